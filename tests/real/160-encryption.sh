#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Goal: an encrypted mount gives back what was written, also after a remount;
# the server never has a byte of it in clear; a wrong, missing or careless key
# is refused in one line.
# Method: files of awkward lengths, changed in the middle, cut and appended to,
# through a mount of diod and of a directory; then the export is looked at.
. "$(dirname "$0")/lib.sh"
requires_fuse
requires python3
ops=${FSX_MOUNT_OPS:-2000}
[ "${SANITIZE:-}" ] && ops=${FSX_MOUNT_OPS:-400}

head -c 48 /dev/urandom >"$tmp/key"
head -c 48 /dev/urandom >"$tmp/other"
chmod 600 "$tmp/key" "$tmp/other"
mkdir "$tmp/e1" "$tmp/e2" "$tmp/plain" "$tmp/full" "$tmp/no"
lengths='0 1 15 16 17 100 4095 4096 4097 4111 4112 8192 10000 1048577'

# refused WHAT PATTERN SOURCE OPTIONS
refused() {
	local status
	timeout "$patience" "$unetfs" mount -o "$4" "$3" "$tmp/no" \
		>"$tmp/out" 2>"$tmp/err" </dev/null
	status=$?
	if [ $status = 0 ] || [ "$(wc -l <"$tmp/err")" != 1 ] || ! grep -q -- "$2" "$tmp/err" ||
		is_mounted "$tmp/no"; then
		not_ok "$1"
		echo "# status $status"
		sed 's/^/# /' "$tmp/err"
	else
		ok "$1: $(cat "$tmp/err")"
	fi
}

# A text that is easy to find again, of that length.
text() {
	yes 'plain text, for all to see' | head -c "$1"
}

# truncate(2) by path, of a file nobody has open.
by_path() {
	python3 -c 'import os, sys; os.truncate(sys.argv[2], int(sys.argv[1]))' "$@"
}

fill() {
	local m=$1 n
	for n in $lengths; do
		text "$n" >"$m/f$n" && text "$n" >"$tmp/plain/f$n" || return 1
	done
	for n in "$m" "$tmp/plain"; do
		(
			cd "$n" &&
				printf XYZ | dd of=f10000 bs=1 seek=5000 conv=notrunc status=none &&
				printf more >>f4095 && printf more >>f15 && truncate -s 100 f4112 &&
				truncate -s 70000 f17 && truncate -s 5000 f1048577 &&
				by_path 20000 f100 && by_path 3000 f4097 &&
				truncate -s 9001 f8192 && echo end >>f8192 &&
				dd if=f100 of=far bs=1 seek=123457 status=none
		) || return 1
	done
}

same() {
	diff -r "$tmp/plain" "$1"
}

# Same names and lengths, other bytes, and nowhere the text.
only_ciphertext() {
	(cd "$tmp/plain" && stat -c '%n %s' -- *) >"$tmp/want"
	(cd "$1" && stat -c '%n %s' -- *) >"$tmp/have"
	diff "$tmp/want" "$tmp/have" && ! grep -r -l -a 'for all to see' "$1" &&
		! cmp -s "$tmp/plain/f16" "$1/f16"
}

# all_of NAME MOUNT BEHIND COMMAND-TO-MOUNT...
all_of() {
	local name=$1 m=$2 b=$3
	shift 3
	check "$name: files of all lengths are written and changed" fill "$m"
	check "$name: they read back" same "$m"
	check_umount "$m" "$mount_pid"
	check "$name: the server has other bytes of the same lengths" only_ciphertext "$b"
	"$@"
	check "$name: they read back after a remount" same "$m"
	check "$name: the file with the key's mark is not listed" \
		bash -c '! ls -A "$0" | grep -q unetfs-crypt' "$m"
	check "$name: nor opened, made or removed" bash -c '! cat "$0/.unetfs-crypt" &&
		! touch "$0/.unetfs-crypt" && ! rm "$0/.unetfs-crypt" &&
		! mv "$0/f1" "$0/.unetfs-crypt" && ! ln "$0/f1" "$0/.unetfs-crypt"' "$m"
	[ -s "$b/.unetfs-crypt" ] && ok "$name: it is still there" || not_ok "$name: it is gone"
	rm "$m"/f*
	check "$name: fsx, buffered and mapped" timeout $((patience * 30)) "$BUILD/unetfs-fsx" -q \
		-N "$ops" -S 1 -l 300000 -P "$tmp" "$m/fsx"
	check "$name: fsx, one handle direct" timeout $((patience * 30)) "$BUILD/unetfs-fsx" -q \
		-N "$ops" -S 2 --handles=2 -Z -R -W -r 4096 -w 4096 -P "$tmp" "$m/fsx2"
	cp "$m/fsx" "$tmp/fsx.before" && cp "$m/fsx2" "$tmp/fsx2.before"
	check_umount "$m" "$mount_pid"
	"$@"
	check "$name: what fsx left reads back after a remount" \
		bash -c 'cmp "$0/fsx" "$1/fsx.before" && cmp "$0/fsx2" "$1/fsx2.before"' "$m" "$tmp"
	check_umount "$m" "$mount_pid"
}

dir=dir:$tmp/e2
refused "a share that is not encrypted" encrypt_init "$dir" "encrypt=$tmp/key"
refused "a key file that is not there" nowhere "$dir" "encrypt=/nowhere,encrypt_init"
refused "a key command that fails" command "$dir" "encryptcmd=false,encrypt_init"
head -c 31 /dev/urandom >"$tmp/short"
chmod 600 "$tmp/short"
refused "a key that is too short" little "$dir" "encrypt=$tmp/short,encrypt_init"
cp "$tmp/key" "$tmp/careless"
chmod 644 "$tmp/careless"
refused "a key file that others can read" careless "$dir" "encrypt=$tmp/careless,encrypt_init"
: >"$tmp/full/file"
refused "a share with files in it" force "dir:$tmp/full" "encrypt=$tmp/key,encrypt_init"
check "none of these left anything on the share" \
	test -z "$(ls -A "$tmp/e2" "$tmp/full" | grep crypt)"

mount_dir() {
	mount_unetfs "$dir" "$tmp/dir" "encrypt=$tmp/key,encrypt_init"
}
mount_dir
all_of dir "$tmp/dir" "$tmp/e2" mount_dir
refused "another key" "wrong key" "$dir" "encrypt=$tmp/other"
mount_unetfs "$dir" "$tmp/dir" "encryptcmd=cat $tmp/key; echo"
check "a command gives the same key" cmp "$tmp/dir/fsx" "$tmp/fsx.before"
check_umount "$tmp/dir" "$mount_pid"
echo damage >"$tmp/e2/.unetfs-crypt"
refused "a damaged mark" damaged "$dir" "encrypt=$tmp/key"

rm -r "$tmp/plain" && mkdir "$tmp/plain"
mount_diod_crypt() {
	mount_diod "$tmp/e1" "$tmp/9p" "encrypt=$tmp/key,encrypt_init"
}
mount_diod_crypt
all_of 9p "$tmp/9p" "$tmp/e1" mount_diod_crypt
