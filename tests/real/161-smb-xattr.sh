#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Goal: extended attributes of users are kept by a Samba server, with the errors
# programs expect.  Method: setfattr, getfattr and cp on a mount; what the server
# has is looked at behind it and with another mount.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/smbd.sh"
requires_fuse
requires_smbd
requires setfattr getfattr

start_smbd own
mount_smb "$tmp/mount" mfsymlinks
first_pid=$mount_pid
export M=$tmp/mount B=$smbd_export

check_sh "a value is set, read and listed" \
	'echo x >$M/f; setfattr -n user.colour -v green $M/f
	 test "$(getfattr --only-values -n user.colour $M/f)" = green
	 getfattr $M/f | grep -qx user.colour'
check_sh "and the file has it behind the mount" \
	'test "$(getfattr --only-values -n user.colour $B/f)" = green'
check_sh "what is set behind the mount is seen" \
	'setfattr -n user.shape -v round $B/f
	 test "$(getfattr --only-values -n user.shape $M/f)" = round
	 test "$(getfattr $M/f | grep -c ^user)" = 2'
check_sh "values hold any bytes" \
	'head -c 3000 /dev/urandom >$M/bytes
	 setfattr -n user.raw -v 0x$(od -An -v -tx1 $M/bytes | tr -d " \n") $M/f
	 getfattr --only-values -n user.raw $M/f | cmp - $M/bytes'
check_sh "a value is replaced, also by a shorter one" \
	'setfattr -n user.colour -v red $M/f
	 test "$(getfattr --only-values -n user.colour $M/f)" = red'
check_sh "a value that is removed is gone" \
	'setfattr -x user.colour $M/f
	 { getfattr -n user.colour $M/f 2>&1 || :; } | grep "No such attribute"
	 test -z "$(getfattr $B/f | sed -n /colour/p)"'
check_sh "what is not there cannot be removed" \
	'{ setfattr -x user.never $M/f 2>&1 || :; } | grep "No such attribute"'
check_sh "directories have them too, and the root" \
	'mkdir $M/d; setfattr -n user.a -v 1 $M/d; setfattr -n user.b -v 2 $M
	 test "$(getfattr --only-values -n user.a $B/d)$(getfattr --only-values -n user.b $B)" = 12'
check_sh "create and replace are told apart" \
	'python3 - <<"PY"
import errno, os
path = os.environ["M"] + "/f"
def fails(number, name, value, flags):
    try:
        os.setxattr(path, name, value, flags)
    except OSError as e:
        assert e.errno == number, e
        return
    raise AssertionError("no error")
os.setxattr(path, "user.new", b"1", os.XATTR_CREATE)
fails(errno.EEXIST, "user.new", b"2", os.XATTR_CREATE)
os.setxattr(path, "user.new", b"3", os.XATTR_REPLACE)
assert os.getxattr(path, "user.new") == b"3"
fails(errno.ENODATA, "user.none", b"2", os.XATTR_REPLACE)
fails(errno.EINVAL, "user.empty", b"", 0)
fails(errno.EOPNOTSUPP, "trusted.x", b"1", 0)
fails(errno.EINVAL, "user.sp ace", b"1", 0)
assert os.getxattr(path, "user.new") == b"3"
PY'
check_sh "cp -a takes them along, and 50 of one file are all there" \
	'for i in {1..50}; do setfattr -n user.n$i -v value$i $M/bytes; done
	 cp -a $M/bytes $M/copy
	 getfattr -d $M/bytes | tail -n +2 | sort >'"$tmp"'/one
	 getfattr -d $M/copy | tail -n +2 | sort | cmp - '"$tmp"'/one
	 test "$(grep -c ^user.n '"$tmp"'/one)" = 50'
mount_smb "$tmp/other" ro
export O=$tmp/other
check_sh "a mount that only reads shows and keeps them" \
	'test "$(getfattr --only-values -n user.n7 $O/copy)" = value7
	 { setfattr -n user.n7 -v x $O/copy 2>&1 || :; } | grep "Read-only"'
check_umount "$tmp/other" "$mount_pid"
check_sh "files of the same name are not taken for each other" \
	'mv $M/f $M/g; echo y >$M/f; test -z "$(getfattr $M/f)"
	 test "$(getfattr --only-values -n user.new $M/g)" = 3'
check_umount "$tmp/mount" "$first_pid"
