#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Goal: with writeback=journal what write(2) took survives the mount that took it:
# kill -9, a forced unmount, a server that is away; nobody's bytes are overwritten by
# that, and nothing of it can be read in a sealed folder.
# Method: mounts of a directory and of a real 9P server are killed, or lose the
# server, at all sorts of moments; the next mount must bring everything to the
# server.  Others change files meanwhile.  A load whose every call is written down
# is killed again and again.
#
# JOURNAL_KILLS=200 kills so often instead of 12 times; JOURNAL_SEED repeats a run.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/smbd.sh"
requires_fuse
requires_smbd
requires python3 diod sqlite3

kills=${JOURNAL_KILLS:-12}
seed=${JOURNAL_SEED:-$RANDOM}
echo "# JOURNAL_SEED=$seed"
RANDOM=$seed
mkdir "$tmp/x" "$tmp/m"
head -c 48 /dev/urandom >"$tmp/key"
chmod 600 "$tmp/key"

# --------------------------------------------------------------- options

says() {
	local want=$1 options=$2
	out=$("$unetfs" mount -o "$options" "dir:$tmp/x" "$tmp/m" 2>&1) && return 1
	grep -q "$want" <<<"$out" || { echo "$out"; return 1; }
}

check "a journal needs a cache folder" says "needs fsc or cachedir" writeback=journal
check "fsync=local needs a journal" says "needs writeback=journal" fsync=local
check "encrypted content needs a sealed journal" says "needs cachekey" \
	"writeback=journal,cachedir=$tmp/c,encrypt=$tmp/key"
check "another word is refused" says "cannot be" "writeback=disk,cachedir=$tmp/c"

# ------------------------------------------------------- the mount dies

base="cachedir=$tmp/c,writeback=journal,dirtyage=3600"

# A mount serves while it sends what an earlier one left.
sent_again() { timeout 60 "$unetfs" sync "${1:-$tmp/m}"; }

mount_dir() { mount_unetfs "dir:$tmp/x" "$tmp/m" "$base${1:+,$1}" && sent_again; }

kill_mount() {
	kill -KILL "$mount_pid"
	wait "$mount_pid" 2>/dev/null
	wait_for "$patience" not_mounted "$tmp/m" || umount -l "$tmp/m"
}

status_of() {
	"$unetfs" status --json "$1" | python3 -c \
		'import json, sys; print(json.load(sys.stdin).get(sys.argv[1], 0))' "$2"
}

no_journal() { [ -z "$(ls -A "$tmp/c/journal")" ]; }
holds() { [ "$(cat "$tmp/x/$1")" = "$2" ]; }

mount_dir
echo one >"$tmp/m/a"
mkdir "$tmp/m/d"
head -c 3000000 /dev/urandom >"$tmp/big"
cp "$tmp/big" "$tmp/m/d/big"
echo two >>"$tmp/m/a"
touch -d "2001-02-03 04:05:06" "$tmp/m/d/big"
mv "$tmp/m/d" "$tmp/m/e"
check "close(2) did not wait for the server" holds a ""
kill_mount
mount_dir
check "after kill -9 the next mount sends what was written" holds a "one
two"
check "also under the name that it has now" cmp "$tmp/big" "$tmp/x/e/big"
check "with the time that was set" \
	[ "$(date -d "@$(stat -c %Y "$tmp/x/e/big")" "+%F %T")" = "2001-02-03 04:05:06" ]
check "nothing is left in the journal" no_journal

echo three >>"$tmp/m/a"
head -c 200000 "$tmp/big" >"$tmp/m/e/part"
kill_mount
look() { "$unetfs" cache journal "$@" "dir:$tmp/x"; }
check_sh "unetfs cache journal lists it" "
	'$unetfs' cache journal -o '$base' 'dir:$tmp/x' >'$tmp/look.out'
	grep -q ' 6 bytes .*  a\$' '$tmp/look.out'
	grep -q '195.3 KiB .* e/part\$' '$tmp/look.out'
	[ \$(wc -l <'$tmp/look.out') = 2 ]"
check_sh "and saves it elsewhere" "
	'$unetfs' cache journal --json --export '$tmp/saved' -o '$base' \\
		'dir:$tmp/x' >'$tmp/look.json'
	python3 -c 'import json, sys
files = {f[\"path\"]: f for f in json.load(open(sys.argv[1]))[\"files\"]}
assert files[\"a\"][\"pieces\"] == [[8, 6]], files[\"a\"]
print(files[\"e/part\"][\"file\"])' '$tmp/look.json' >'$tmp/name'
	cmp -n 200000 '$tmp/big' \"$tmp/saved/\$(cat '$tmp/name')\"
	cmp '$tmp/look.json' '$tmp/saved/index.json'"
check "which is not done into the same folder again" \
	eval '! look -o "$base" --export "$tmp/saved" >/dev/null 2>&1'
check_sh "who has another key is told that there is more" "
	'$unetfs' cache journal -o '$base,cachekey=$tmp/key' 'dir:$tmp/x' 2>&1 | tee '$tmp/look.out'
	grep -q 'nothing was left' '$tmp/look.out'
	grep -q '1 more files .* other shares, users or keys' '$tmp/look.out'"
check "unetfs cache replay does it without a mount" \
	"$unetfs" cache replay -o "$base" "dir:$tmp/x"
check "what was written is there then" holds a "one
two
three"
check "and the journal is empty" no_journal
check "a source is wanted, and one that can be" bash -c \
	"! '$unetfs' cache replay && ! '$unetfs' cache replay -o '$base' 'dir:$tmp/none'"
mount_dir

# -------------------------------------------------- others change files

echo base >"$tmp/m/changed"
echo base >"$tmp/m/removed"
echo base >"$tmp/m/same"
check "umount brings everything to the server" umount_unetfs "$tmp/m" "$mount_pid"
check "and leaves no journal" no_journal
mount_dir
for f in changed removed same; do
	echo ours >>"$tmp/m/$f"
done
kill_mount
echo theirs >>"$tmp/x/changed"
rm "$tmp/x/removed"
mount_dir
check "what nobody else changed is brought up to date" holds same "base
ours"
check "what somebody changed stays as it is" holds changed "base
theirs"
check_sh "and ours is beside it" "grep -q ours '$tmp'/x/changed.unetfs-conflict-*"
check_sh "so is that of a file that was removed" "
	! [ -e '$tmp/x/removed' ]
	grep -q ours '$tmp'/x/removed.unetfs-conflict-*"
check "the log says so" grep -q "changed by somebody else while .* were in the journal" "$tmp/m.log"
check "the journal is empty then" no_journal
check_umount "$tmp/m" "$mount_pid"
rm -rf "$tmp/x" "$tmp/c"
mkdir "$tmp/x"

# ----------------------------------- it serves while it sends what was left

mount_dir
echo old >"$tmp/x/other"
mkdir "$tmp/m/deep"
for i in $(seq 40); do
	head -c 300000 "$tmp/big" >"$tmp/m/deep/file$i"
done
kill_mount
mount_unetfs "dir:$tmp/x" "$tmp/m" "$base,delay=30"
check "a mount with much to send again serves" [ "$(cat "$tmp/m/other")" = old ]
check "while it does" [ "$(status_of "$tmp/m" left)" -gt 0 ]
check "a file that it has not got to is brought forward, and right" \
	cmp -n 300000 "$tmp/big" "$tmp/m/deep/file40"
check "others are still to come then" [ "$(status_of "$tmp/m" left)" -gt 0 ]
check_sh "sizes are right at once" "
	[ \$(stat -c %s '$tmp/m/deep/file39') = 300000 ]
	[ \$(ls -l '$tmp/m/deep' | awk '\$5 == 300000' | wc -l) = 40 ]"
rm "$tmp/m/deep/file38"
mv "$tmp/m/deep" "$tmp/m/deeper"
check "a folder that is renamed waits for all" [ "$(status_of "$tmp/m" left)" = 0 ]
check_sh "what was removed meanwhile is gone, the rest is there" "
	[ \$(ls '$tmp/x/deeper' | wc -l) = 39 ]
	for f in '$tmp'/x/deeper/*; do cmp -n 300000 '$tmp/big' \$f; done"
kill_mount
check "nothing is left for the next one" no_journal
rm -rf "$tmp/x" "$tmp/c"
mkdir "$tmp/x"

# -------------------------------------------------- the server is away

mount_9p() {
	mount_unetfs "9p://$tmp/9p.sock" "$tmp/${2:-m}" \
		"trans=unix,aname=$tmp/x,cache=strict,$base${1:+,$1}" && sent_again "$tmp/${2:-m}"
}

start_diod "$tmp/x" "$tmp/9p.sock"
mount_9p fsync=local
exec 8>>"$tmp/m/log"
echo before >&8
end "$diod_pid" KILL
check_sh "a file that is open is written while the server is away" \
	"timeout 20 dd if='$tmp/big' bs=64k count=20 iflag=fullblock status=none >&8"
check "and fsync=local does not wait for it" timeout 20 python3 -c 'import os; os.fsync(8)'
exec 8>&-
check_sh "a forced unmount ends, and says what stays in the journal" "
	'$unetfs' umount -f '$tmp/m' 2>'$tmp/force.out'
	grep -q '1310727 bytes.* stay in the journal' '$tmp/force.out'"
wait "$mount_pid" 2>/dev/null
check "what was not sent stays in the journal" eval '! no_journal'
start_diod "$tmp/x" "$tmp/9p.sock"
mount_9p
first=$mount_pid
check_sh "and is sent by the next mount" \
	"cmp <(echo before; head -c 1310720 '$tmp/big') '$tmp/x/log'"
check "a second mount of it leaves a living one alone" \
	mount_9p "" m2
check_umount "$tmp/m2" "$mount_pid"
mount_pid=$first
check_umount "$tmp/m" "$mount_pid"

# ------------------------------------------------------- small and sealed

mount_9p "journalsize=300k,cachekey=$tmp/key"
check_sh "what does not fit waits for the server instead" "
	cp '$tmp/big' '$tmp/m/copy'
	cmp '$tmp/big' '$tmp/m/copy'
	cmp -n 2500000 '$tmp/big' '$tmp/x/copy'"
check "and is counted" [ "$(counter "$tmp/m" journal_refused)" -gt 0 ]
yes "plain text that nobody may find" | head -c 100000 >"$tmp/m/secret"
check_sh "a sealed journal shows nothing" "! grep -rq 'nobody may find' '$tmp/c'"
kill_mount
mount_9p "cachekey=$tmp/key"
check_sh "and is found by who has the key" \
	"cmp <(yes 'plain text that nobody may find' | head -c 100000) '$tmp/x/secret'"
check_sh "a database works on it" "
	sqlite3 '$tmp/m/db' 'create table t(a); insert into t values (1), (2);' >'$tmp/db.out'
	sqlite3 '$tmp/m/db' 'pragma integrity_check; select count(*) from t;' >>'$tmp/db.out'
	grep -qx ok '$tmp/db.out'
	grep -qx 2 '$tmp/db.out'"
check_umount "$tmp/m" "$mount_pid"
rm -rf "$tmp/x" "$tmp/c"
mkdir "$tmp/x"

# --------------------------------------------------- encrypted, and SMB

mount_dir "encrypt=$tmp/key,encrypt_init,cachekey=$tmp/key"
yes "hidden from everybody" | head -c 50000 >"$tmp/m/e"
kill_mount
mount_dir "encrypt=$tmp/key,cachekey=$tmp/key"
check_sh "encrypted content is encrypted when it is written again" "
	cmp <(yes 'hidden from everybody' | head -c 50000) '$tmp/m/e'
	! grep -rq 'hidden from' '$tmp/x' '$tmp/c'"
check_umount "$tmp/m" "$mount_pid"

start_smbd journal
mount_smb "$tmp/m" "$base"
cp "$tmp/big" "$tmp/m/big"
echo late >>"$tmp/m/big"
kill_mount
mount_smb "$tmp/m" "$base"
sent_again
check_sh "SMB: what a dead mount wrote is at the server" \
	"cmp <(cat '$tmp/big'; echo late) '$smbd_export/big'"
echo more >>"$tmp/m/big"
kill_mount
echo theirs >>"$smbd_export/big"
mount_smb "$tmp/m" "$base"
sent_again
check_sh "SMB: what somebody changed stays as it is, and ours is beside it" "
	cmp <(cat '$tmp/big'; echo late; echo theirs) '$smbd_export/big'
	grep -q more '$smbd_export'/big.unetfs-conflict-*"
check_umount "$tmp/m" "$mount_pid"
rm -rf "$tmp/x" "$tmp/c"
mkdir "$tmp/x"

# ---------------------------------------------------------- again and again

mount_either() {
	local options="cache=strict,cachedir=$tmp/c,writeback=journal"
	if [ $(($1 % 2)) = 0 ]; then
		mount_unetfs "dir:$tmp/x" "$tmp/m" "$options,dirtyage=0.2"
	else
		mount_unetfs "9p://$tmp/9p.sock" "$tmp/m" \
			"trans=unix,aname=$tmp/x,$options,dirtyage=1,cachekey=$tmp/key"
	fi
}

ended_are_more_than() { [ "$(wc -l <"$tmp/notes")" -gt "$1" ] || gone "$load_pid"; }

# diod does not always survive clients that go suddenly.
fresh_diod() {
	end "$diod_pid" KILL
	start_diod "$tmp/x" "$tmp/9p.sock"
}

calls=0
for ((i = 1; i <= kills; i++)); do
	fresh_diod
	mount_either "$i"
	: >"$tmp/notes"
	python3 "$here/journalkill.py" load "$tmp/m" "$tmp/notes" "$seed-$i" >"$tmp/load.out" 2>&1 &
	load_pid=$!
	pids+=("$load_pid")
	wait_for $((patience * 3)) ended_are_more_than $((20 + RANDOM % 200)) ||
		not_ok "the load goes on, kill $i"
	kill -KILL "$mount_pid"
	wait "$mount_pid" 2>/dev/null
	wait_for "$patience" gone "$load_pid" || not_ok "the load ends, kill $i"
	wait "$load_pid" || { not_ok "reads are right under load, kill $i"; cat "$tmp/load.out"; }
	wait_for "$patience" not_mounted "$tmp/m" || umount -l "$tmp/m"
	fresh_diod
	mount_either "$i"
	sent_again || not_ok "what kill $i left is sent"
	out=$(python3 "$here/journalkill.py" verify "$tmp/x" "$tmp/notes") ||
		{ not_ok "kill $i: $out"; break; }
	calls=$((calls + $(tail -n 1 <<<"$out")))
	umount_unetfs "$tmp/m" "$mount_pid" || not_ok "umount after kill $i"
	no_journal || not_ok "an empty journal after kill $i"
done
check "$kills kills under load: every call that ended counts at the server" [ "$i" -gt "$kills" ]
echo "# $calls calls ended"
