#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Goal: with "offline" a mount whose server went away goes on with what it knows and
# has, also a mount that begins while it is away; what is not there is refused at once;
# when the server is back everything is as on any mount.
# Method: a real diod and a real smbd, killed and started again at the same place, under
# mounts with a disk cache and a journal.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/smbd.sh"
requires_fuse
requires_smbd
requires diod python3 sqlite3

head -c 48 /dev/urandom >"$tmp/key"
chmod 600 "$tmp/key"

# --------------------------------------------------------------- options

says() {
	local want=$1 options=$2 source=${3:-dir:$tmp}
	mkdir -p "$tmp/none"
	out=$("$unetfs" mount -o "$options" "$source" "$tmp/none" 2>&1) && return 1
	grep -q "$want" <<<"$out" || { echo "$out"; return 1; }
}

check "offline needs a cache folder" says "offline needs fsc or cachedir" offline
check "offline and soft exclude each other" says "exclude each other" \
	"offline,soft,cachedir=$tmp/c0"
check "a share that is not known is an error that says so" \
	says "refused.*nothing is known" "offline,cache=loose,cachedir=$tmp/c0,port=1" \
	"9p://127.0.0.1/x"

# --------------------------------------------------------------- helpers

make_tree() {
	local i
	mkdir "$1/d" "$1/d/deep" "$1/empty"
	for i in $(seq 40); do
		head -c $((i * 1371)) /dev/urandom >"$1/d/f$i"
	done
	head -c 3000000 /dev/urandom >"$1/big"
	echo pinned >"$1/d/deep/pinned"
	echo uncached >"$1/uncached"
	ln -s d/f1 "$1/link"
}

is_away() { "$unetfs" status "$m" | grep -q "offline since .* names known"; }
is_here() { [ "$(counter "$m" connected)" = True ]; }
comes_back() { wait_for "$patience" is_here; }
# fails_with TEXT COMMAND...: soon.
fails_with() {
	local want=$1 out
	shift
	out=$(timeout 2 "$@" 2>&1) && { echo "it did not fail"; return 1; }
	grep -q "$want" <<<"$out" || { echo "$out"; return 1; }
}
show_tree() {
	timeout 2 sh -c 'cd "$1" && ls -lR --time-style=full-iso . && find . && readlink link' \
		sh "$1"
}
same_listing() { show_tree "$m" 2>&1 | cmp - "$tmp/$name.listing"; }
same_data() { timeout 2 diff -r -x uncached -x written "$m" "$tmp/$name.kept"; }
holds() { [ "$(cat "$1")" = "$2" ]; }
log_has_once() { [ "$(grep -c "offline since" "$tmp/$name.log")" = "$1" ]; }

# What a mount shows while its server is away.
works_away() {
	local when=$1
	check "$name, $when: names and attributes are as they were" same_listing
	check "$name, $when: data in the cache is read" same_data
	check "$name, $when: a file that is not in the cache is refused at once" \
		fails_with "Host is down" cat "$m/uncached"
	check "$name, $when: a name that is not there is not there" \
		fails_with "No such file" cat "$m/d/none"
	check "$name, $when: nothing is made" fails_with "Host is down" mkdir "$m/d/new"
	check "$name, $when: nothing is removed" fails_with "Host is down" rm "$m/d/f1"
	check "$name, $when: status says so" is_away
	check "$name, $when: for programs too" [ "$(counter "$m" connected)" = False ]
}

# ---------------------------------------------------------- with a server

# The server: kill_server, start_server, mount_share OPTIONS.  Behind it is $b.
offline_on() {
	local reader
	m=$tmp/$name
	make_tree "$b"
	cp -a "$b" "$tmp/$name.kept"
	mount_share "$1"
	check "$name: the tree is read" same_data
	show_tree "$m" >"$tmp/$name.listing" 2>&1
	check "$name: a file is pinned" "$unetfs" cache pin "$m/d/deep/pinned"
	# What is copied to the cache in the background is there when it was read from it.
	umount_unetfs "$m" "$mount_pid" || not_ok "umount of $name"
	mount_share "$1"
	check "$name: and again, from the cache" same_data
	show_tree "$m" >"$tmp/$name.listing" 2>&1

	(until [ -e "$tmp/$name.stop" ]; do cmp "$m/big" "$tmp/$name.kept/big" || exit; done) \
		>"$tmp/$name.reader" 2>&1 &
	reader=$!
	pids+=("$reader")
	moment
	kill_server
	check "$name: the server is found to be away" wait_for "$patience" is_away
	works_away "while it is away"
	: >"$tmp/$name.stop"
	check "$name: who was reading a cached file reads on" wait "$reader"
	check "$name: the log tells once" log_has_once 1

	umount_unetfs "$m" "$mount_pid" || not_ok "umount of $name while its server is away"
	mount_share "$1"
	works_away "mounted while it is away"

	check "$name: a cached file is written" timeout 2 sh -c "echo more >>'$m/d/deep/pinned'"
	check "$name: and read" holds "$m/d/deep/pinned" "pinned
more"
	echo changed >"$b/d/f2"
	rm "$b/d/f3"
	echo new >"$b/d/new"
	start_server
	check "$name: the server is back" comes_back
	check "$name: what others changed meanwhile is seen" holds "$m/d/f2" changed
	check "$name: and what they made" holds "$m/d/new" new
	check "$name: and what they removed" fails_with "No such file" cat "$m/d/f3"
	check "$name: a file that was not cached is read" holds "$m/uncached" uncached
	sync "$m/d/deep/pinned"
	check "$name: what was written is at the server" holds "$b/d/deep/pinned" "pinned
more"
	check "$name: things are made and removed again" sh -c "mkdir '$m/x' && rmdir '$m/x'"
	check_umount "$m" "$mount_pid"
}

# ------------------------------------------------------------------- 9P

name=9p
b=$tmp/9p.export
mkdir "$b"
kill_server() { end "$diod_pid" KILL; }
start_server() { start_diod "$b" "$tmp/9p.sock"; }
mount_share() { mount_unetfs "9p://$tmp/9p.sock" "$m" "trans=unix,aname=$b,$1"; }
start_server
offline_on "cache=loose,cachedir=$tmp/c1,offline,writeback=journal"

# A journal that waits: for the mount that died, for one that never meets the server, and
# for one that does.
options="cache=loose,cachedir=$tmp/c1,offline,writeback=journal,dirtyage=3600"
kill_server
mount_share "$options"
echo mine >>"$m/d/f5"
echo mine >>"$m/d/f6"
kill -KILL "$mount_pid"
wait "$mount_pid" 2>/dev/null
wait_for "$patience" not_mounted "$m" || umount -l "$m"
mount_share "$options"
check "what a dead mount had written waits, says status" [ "$(counter "$m" left)" = 10 ]
umount_unetfs "$m" "$mount_pid" || not_ok "umount while the journal waits"
echo theirs >"$b/other"
mv "$b/other" "$b/d/f6"
start_server
mount_share "$options"
"$unetfs" sync "$m"
check "the mount that meets the server sends it" sh -c "tail -c 5 '$b/d/f5' | grep -q mine"
check "and finds what another made meanwhile" holds "$b/d/f6" theirs
check "beside which it keeps ours" sh -c "tail -c 5 '$b'/d/f6.unetfs-conflict-* | grep -q mine"
check_umount "$m" "$mount_pid"

# Encrypted: a part of a block that is written while the server is away is sent when the
# rest of the block can be read from there, where others may have changed it.
mkdir "$b/secret"
plain=$tmp/plain
encrypted="cache=loose,encrypt=$tmp/key,aname=$b/secret,trans=unix"
options="$encrypted,cachedir=$tmp/c3,cachekey=$tmp/key,offline,writeback=journal"
head -c 100000 /dev/urandom >"$tmp/content"
mount_unetfs "9p://$tmp/9p.sock" "$m" "$options,encrypt_init"
cp "$tmp/content" "$m/file"
umount_unetfs "$m" "$mount_pid" || not_ok "umount of the encrypted share"
mount_unetfs "9p://$tmp/9p.sock" "$m" "$options"
secret_pid=$mount_pid
cmp "$tmp/content" "$m/file"
umount_unetfs "$m" "$secret_pid" || not_ok "umount of the encrypted share, cached"
mount_unetfs "9p://$tmp/9p.sock" "$m" "$options"
secret_pid=$mount_pid
ls -l "$m" >/dev/null
kill_server
check "encrypted: the server is found to be away" wait_for "$patience" is_away
check "encrypted: data in the cache is read" timeout 2 cmp "$tmp/content" "$m/file"
for at in 100 4090 50000 99990; do
	for file in "$tmp/content" "$m/file"; do
		printf 'changed within' | timeout 2 dd of="$file" bs=1 seek="$at" conv=notrunc \
			status=none
	done
done
check "encrypted: what is written is read" timeout 2 cmp "$tmp/content" "$m/file"
sync "$m/file" &
pids+=("$!")
fsync_pid=$!
start_server
check "encrypted: the server is back" comes_back
check "encrypted: fsync waited for it" wait "$fsync_pid"
mkdir "$plain"
mount_unetfs "9p://$tmp/9p.sock" "$plain" "$encrypted"
check "encrypted: a mount without all that reads it" cmp "$tmp/content" "$plain/file"
check_umount "$plain" "$mount_pid"
check_umount "$m" "$secret_pid"
kill_server
check "encrypted: a mount that begins needs the server" says "Host is down" "$options" \
	"9p://$tmp/9p.sock"

# ------------------------------------------------------------------ SMB

name=smb
start_smbd smb
b=$smbd_export
kill_server() { kill_smbd; }
start_server() { run_smbd; }
mount_share() { mount_smb "$m" "$1"; }
offline_on "cachedir=$tmp/c2,offline,writeback=journal,cachekey=$tmp/key"

check "no name can be read in a sealed folder" \
	sh -c "! grep -rqa -e pinned -e d/f1 '$tmp/c2/names'"
smbd_write_login wrong "$tmp/wrong"
check "a wrong password is an error, as ever" says "login to .* failed" \
	"credentials=$tmp/wrong,port=$smbd_port,cachedir=$tmp/c2,cachekey=$tmp/key,offline" \
	"//127.0.0.1/share"
