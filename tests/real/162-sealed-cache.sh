#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Goal: a sealed disk cache serves the next mount with its key, without a request
# for data; nobody else finds anything in it, and whatever happens to it no wrong
# byte is read.  A key that is not there, open to others or too short is refused in
# one line, and appears in no file, log or argument.
# Method: mounts with cachekey= follow each other on one folder, by themselves and
# beside plain ones; counters say where the data came from; the folder is searched
# for what is to be hidden, and damaged.
. "$(dirname "$0")/lib.sh"
requires_fuse
requires python3

head -c 48 /dev/urandom >"$tmp/key"
# One that can be found again, if it were anywhere.
echo 'easily-found-key-easily-found-key-easily' >"$tmp/words"
chmod 600 "$tmp/key" "$tmp/words"
mkdir "$tmp/secret-share" "$tmp/no"
share=$tmp/secret-share
yes 'plain text, for all to see' | head -c 3000001 >"$share/text"
head -c 5000000 /dev/urandom >"$share/random"
for i in $(seq 20); do
	yes "file $i, for all to see" | head -c $((i * 4001)) >"$share/f$i"
done

same() { diff -r "$share" "$tmp/m"; }
asked_nothing() { [ "$(counter "$tmp/m" download_slices)" = 0 ]; }
asked() { [ "$(counter "$tmp/m" download_slices)" -gt 0 ]; }
mount_with() { mount_unetfs "dir:$share" "$tmp/m" "cache=strict,cachedir=$tmp/${2:-c}$1"; }
unmount() { umount_unetfs "$tmp/m" "$mount_pid" || not_ok "umount"; }
hidden() { ! grep -r -l -a -F -e "$1" "$tmp/c"; }
seen() { grep -r -q -a -F -e "$1" "$tmp/c"; }

mount_with ",cachekey=$tmp/words"
check "the first mount reads the tree" same
check "from the server" asked
check "the key is in no argument" \
	bash -c '! tr "\0" "\n" <"/proc/$0/cmdline" | grep -q easily' "$mount_pid"
unmount
mount_with ",cachekey=$tmp/words"
check "the second mount with the key reads the same" same
check "without asking for data" asked_nothing
check "content is not to be seen while it is used" hidden 'for all to see'
printf XXXX | dd of="$tmp/m/text" bs=1 seek=50000 conv=notrunc status=none
cp "$share/random" "$tmp/m/written"
unmount
mount_with ",cachekey=$tmp/words"
check "what was written is read" cmp "$tmp/m/written" "$share/written"
check "from the cache" asked_nothing
check "what was changed here is right" same
unmount
check "content is not to be seen in the folder" hidden 'for all to see'
check "nor the share" hidden secret-share
check "nor the key" hidden easily

# Others on the same folder.
mount_with ",cachekey=$tmp/key"
check "with another key the tree is read right" same
check "from the server, because nothing is found" asked
unmount
mount_with ""
check "without a key too" same
check "from the server again" asked
check "in which case it is to be seen" seen 'for all to see'
unmount
for options in "" ",cachekey=$tmp/key" ",cachekey=$tmp/words"; do
	mount_with "$options"
	check "each finds its own${options:+ (${options##*/})}" same
	check "and asks for nothing" asked_nothing
	unmount
done

# From outside.
cache_says() {
	"$unetfs" cache --json "${@:2}" "$tmp/c" |
		python3 -c "import json, sys; j = json.load(sys.stdin); sys.exit(not ($1))"
}
check "cache ls says which volumes are sealed" cache_says \
	"3 * sum(o['volume'].startswith('sealed ') for o in j['objects']) ==
		2 * len(j['objects']) > 60" ls
check "cache check counts what it cannot check" cache_says \
	"j['sealed'] == 2 * j['objects'] / 3 and j['blocks'] > 1000 and j['bad'] == 0" check
check "and with a key checks that, too" cache_says \
	"j['sealed'] == j['objects'] / 3 and j['blocks'] > 2000 and j['bad'] == 0" \
	check --cachekey "$tmp/key"
check "nothing of it was dropped" cache_says \
	"j['sealed'] == j['objects'] / 3 and j['blocks'] > 2000 and j['bad'] == 0" \
	check --cachekey "$tmp/words"

# Damage.  The folder has nobody else's objects: links that nobody takes away would
# be damaged the next time.
mount_with ",cachekey=$tmp/words" hurt
same >/dev/null
for round in 1 2 3; do
	unmount
	python3 "$here/damage.py" "$tmp/hurt" "$round"
	mount_with ",cachekey=$tmp/words" hurt
	check "no wrong byte from a damaged sealed cache, round $round" same
done
check "the server was asked for what was damaged" asked
unmount
check "the files of others are as they were" grep -qx precious "$tmp/precious"

# refused WHAT PATTERN OPTIONS
refused() {
	timeout "$patience" "$unetfs" mount -o "$3" "dir:$share" "$tmp/no" \
		>"$tmp/out" 2>"$tmp/err" </dev/null
	if [ $? = 0 ] || [ "$(wc -l <"$tmp/err")" != 1 ] || ! grep -q -- "$2" "$tmp/err" ||
		is_mounted "$tmp/no"; then
		not_ok "$1"
		sed 's/^/# /' "$tmp/err"
	else
		ok "$1: $(cat "$tmp/err")"
	fi
}
head -c 31 /dev/urandom >"$tmp/short"
chmod 600 "$tmp/short"
cp "$tmp/key" "$tmp/careless"
chmod 644 "$tmp/careless"
fresh=cache=strict,cachedir=$tmp/fresh
refused "a key file that is not there" nowhere "$fresh,cachekey=/nowhere"
refused "a key file that others can read" careless "$fresh,cachekey=$tmp/careless"
refused "a key that is too short" little "$fresh,cachekey=$tmp/short"
refused "a key file without its path" "whole path" "$fresh,cachekey=key"
refused "a key without a cache" cachedir "cache=strict,cachekey=$tmp/key"
check "none of these made a cache" [ ! -e "$tmp/fresh" ]
check_refused() { ! "$unetfs" cache check --cachekey "$1" "$tmp/c" >"$tmp/out" 2>"$tmp/err"; }
check "cache check refuses such a key file, too" check_refused "$tmp/careless"
check "with the same line" grep -q careless "$tmp/err"
