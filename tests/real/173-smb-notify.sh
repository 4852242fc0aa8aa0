#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Goal: a directory that is used again and again is watched by a real Samba server:
# nothing of it is asked for twice, and what others change there is seen at once.
# Method: two mounts of one share, smbclient, and changes behind the server's back; a
# relay counts what is asked.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/smbd.sh"
requires_fuse
requires_smbd
requires git

asked() {
	cat "$tmp/asked"
}

run_relay() {
	python3 "$here/frames.py" "$relay_port" "$direct" "$tmp/asked" 8>&- 9>&- &
	relay_pid=$!
	pids+=("$relay_pid")
	wait_for "$patience" port_answers "$relay_port"
}

# mount_relayed DIR [OPTIONS]
mount_relayed() {
	smbd_port=$relay_port
	mount_smb "$@"
	smbd_port=$direct
}

# What is believed for a second without a watch is believed no more.
second_passes() {
	local until=$((${EPOCHREALTIME/./} + 1100000))
	while [ ${EPOCHREALTIME/./} -lt $until ]; do
		moment
	done
}

quiet_round() {
	local before
	second_passes
	before=$(asked)
	"$@" >/dev/null
	[ "$(asked)" = "$before" ]
}

# watched COMMAND...: until the command, which uses some directories, asks nothing.  One
# that we changed much is not watched for 30 s.
watched() {
	local deadline=$((SECONDS + patience * 3))
	until quiet_round "$@"; do
		[ $SECONDS -lt $deadline ] || return 1
	done
}

# Long before anything that is believed would be asked for again.
soon=5

is() {
	[ "$(cat "$1")" = "$2" ]
}

# Not by an open, which asks: size and names.
has_size() {
	[ "$(stat -c %s "$1")" = "$2" ]
}

lists() {
	ls "$1" | grep -qx "$2"
}

lists_not() {
	! lists "$1" "$2"
}

missing() {
	! stat "$1" 2>/dev/null
}

# entries DIR COUNT
entries() {
	[ "$(ls "$1" | wc -l)" = "$2" ]
}

start_smbd own
B=$smbd_export
relay_port=$(free_port)
direct=$smbd_port
mkdir "$B/d"
for i in {1..50}; do
	echo "$i" >"$B/d/file$i"
done
run_relay
mount_relayed "$tmp/one"
one_pid=$mount_pid
mount_smb "$tmp/two" nonotify
two_pid=$mount_pid
one=$tmp/one two=$tmp/two
d=$one/d

# --------------------------------------------------------------- watched

check "a directory that is listed again and again is asked about no more" watched ls -l "$d"
check "because it is watched" test "$(counter "$one" watches)" -ge 1
missing "$d/none"
check "nor is a name that is not there" quiet_round missing "$d/none"
before=$(counter "$two" watches)
ls -l "$two/d" >/dev/null
second_passes
ls -l "$two/d" >/dev/null
check "nonotify watches nothing" test "$before/$(counter "$two" watches)" = 0/0

# ------------------------------------------------------------ by others

echo 1 >"$two/d/none"
check "a name that another mount makes is there" wait_for $soon stat "$d/none"
check "and listed" wait_for $soon lists "$d" none
echo 123456 >"$two/d/file1"
check "the size of a file that it writes is seen" wait_for $soon has_size "$d/file1" 7
check "and its bytes" is "$d/file1" 123456
mv "$two/d/file2" "$two/d/moved"
check "a name that it moves is gone" wait_for $soon missing "$d/file2"
check "and is there again" wait_for $soon is "$d/moved" 2
mv "$two/d/file3" "$two/d/file4"
check "a file that it puts in the place of another is seen" wait_for $soon is "$d/file4" 3
rm "$two/d/file5"
check "a file that it removes is gone" wait_for $soon missing "$d/file5"
check "also from the listing" wait_for $soon lists_not "$d" file5
check "after all that it is asked about no more" watched ls -l "$d"
echo x >"$tmp/x"
smb_do "put $tmp/x d\\put" >/dev/null 2>&1
check "a file that smbclient puts there is there" wait_for $soon stat "$d/put"
smb_do "del d\\put" >/dev/null
check "and gone when it deletes it" wait_for $soon missing "$d/put"
watched ls -l "$d" || not_ok "the watch goes on"
echo behind >"$B/d/behind"
check "a file made behind the server's back is there" wait_for $soon is "$d/behind" behind
check "the watch goes on" watched ls -l "$d"
echo more >>"$B/d/behind"
# A notice of it may be taken for one of our own changes: then there is a second look
# after five seconds.
check "what is added to it there is seen, in spite of the lease" \
	wait_for 15 has_size "$d/behind" 12
check "also its bytes" is "$d/behind" "$(printf "behind\nmore")"
rm "$B/d/behind"
check "it is gone when it is removed there" wait_for $soon missing "$d/behind"

# ----------------------------------------------------------- by ourselves

check "the watch goes on" watched ls -l "$d"
check "what we make and remove is there and gone" bash -euc '
	cd "$1"
	for i in {1..20}; do
		echo $i >mine; test "$(cat mine)" = $i; mv mine yours; test ! -e mine
		ls | grep -qx yours; rm yours; test ! -e yours; ls | { ! grep -qx yours; }
		mkdir mine; test -d mine; rmdir mine; test ! -e mine
	done' - "$d"
check "the watch goes on" watched ls -l "$d"

# git and make ask the kernel where they are.
check "who works in a directory has a name for it whatever is told" bash -euc '
	cd "$1"; mkdir work; cd work
	for i in {1..20}; do mkdir deep; (cd deep && /bin/pwd >/dev/null); rmdir deep; done
	mv ../work ../elsewhere; for i in {1..30}; do /bin/pwd >/dev/null; ls .. >/dev/null; done
	cd "$1"; rmdir elsewhere' - "$d"

# ---------------------------------------------- directories that go or move

mkdir -p "$B/gone" "$B/tree/below"
check "a directory is watched" watched ls -l "$one/gone"
check "it is removed and made anew here" bash -euc \
	'for i in {1..5}; do rmdir "$1"; mkdir "$1"; ls "$1"; done' - "$one/gone"
check "it is watched again" watched ls -l "$one/gone"
check "it is removed and made anew by another" timeout 20 bash -c \
	'rmdir "$1"; until mkdir "$1"; do :; done 2>/dev/null' - "$two/gone"
touch "$B/gone/new"
check "and is the new one here" wait_for $soon lists "$one/gone" new
check "one in a tree is watched" watched ls -l "$one/tree/below"
check "the tree can be renamed" mv "$one/tree" "$one/wood"
check "one in it is watched" watched ls -l "$one/wood/below"
check "the tree can be renamed by another" mv "$two/wood" "$two/tree"
check "and is where it went" wait_for $soon test -d "$one/tree/below"

# ------------------------------------------------- more than can be told

check "the watch goes on" watched ls -l "$d"
count=$(ls "$d" | wc -l)
mkdir "$tmp/many"
(cd "$tmp/many" && seq 3000 | xargs touch && cp -r . "$B/d/")
check "after thousands of changes at once all are seen" wait_for "$patience" \
	entries "$d" $((count + 3000))
(cd "$tmp/many" && find . -type f | (cd "$B/d" && xargs rm))
check "and that they are gone" wait_for "$patience" entries "$d" "$count"

# ------------------------------------------------------------ connection

check "the watch goes on, or is there again" eval \
	'watched ls -l "$d"'
end "$relay_pid"
echo away >"$B/d/away"
rm "$B/d/file6"
run_relay
check "what changed while the connection was away is seen" wait_for "$patience" is "$d/away" away
check "also what is gone" wait_for $soon missing "$d/file6"
check "after that it is watched again" watched ls -l "$d"
rm "$B/d/away"
check "and what changes is told" wait_for $soon missing "$d/away"

# --------------------------------------------------------------- figures

# cost ROUNDS COMMAND...: requests of that many.
cost() {
	local rounds=$1 before
	shift
	before=$(asked)
	while [ $((rounds--)) -gt 0 ]; do
		second_passes
		"$@" >/dev/null
	done
	echo $(($(asked) - before))
}

mkdir "$B/thousand"
(cd "$B/thousand" && seq 1000 | xargs touch)
git -C "$B" init -q repo
cp -r "$here/../../src" "$B/repo/"
(cd "$B/repo" && git add . && git -c user.name=a -c user.email=a@b commit -qm all)
mount_relayed "$tmp/three" nonotify
three_pid=$mount_pid
export GIT_OPTIONAL_LOCKS=0
status() {
	git -c safe.directory='*' -C "$1/repo" status --short
}
watched ls -l "$one/thousand"
with=$(cost 10 ls -l "$one/thousand")
without=$(cost 10 ls -l "$tmp/three/thousand")
echo "# ls -l of 1,000 files, ten times: $with requests, without a watch $without"
check "a watch saves most requests of a listing" test $((with * 5)) -lt "$without"
status "$one" >/dev/null
watched status "$one"
with=$(cost 4 status "$one")
status "$tmp/three" >/dev/null
without=$(cost 4 status "$tmp/three")
files=$(git -C "$B/repo" ls-files | wc -l)
echo "# git status of $files files, four times: $with requests, without a watch $without"
check "and of git status" test $((with * 3)) -lt "$without"

check_umount "$tmp/three" "$three_pid"
check_umount "$one" "$one_pid"
check_umount "$two" "$two_pid"
