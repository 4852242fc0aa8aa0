#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Goal: with cache=immutable the kernel reads a file that is whole in the disk cache from
# there by itself, once all of it was compared with its checksums; whatever happens to
# cache, mount and program meanwhile, every byte read is right and nothing waits.  No other
# mount does so.
# Method: a real 9P server; the counters of the program say who read.
if [ "$(id -u)" = 0 ] && [ -z "${OWN_DEV:-}" ] && unshare -m true 2>/dev/null; then
	OWN_DEV=1 exec unshare -m "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"
requires_fuse
requires python3
[ "$(id -u)" = 0 ] || skip "only root's kernel reads files by itself"

mkdir "$tmp/e"
head -c 9000001 /dev/urandom >"$tmp/e/big"
head -c 300 /dev/urandom >"$tmp/e/small"
head -c 20000000 /dev/urandom >"$tmp/e/other"
cp "$tmp/e/big" "$tmp/e/hurt"
: >"$tmp/e/empty"
start_diod "$tmp/e" "$tmp/9p.sock"
source="9p://$tmp/9p.sock"
cache=$tmp/c
m=$tmp/m
mount_it() {
	mount_unetfs "$source" "$m" "trans=unix,aname=$tmp/e,cachedir=$cache,${1:-cache=immutable}"
}
unmount() { umount_unetfs "$m" "$mount_pid" || not_ok "umount"; }
right() { cmp "$m/$1" "$tmp/e/$1"; }
count() { "$unetfs" status --json "$m" | grep -oP "\"$1\":\K[0-9]+"; }
given() { count passthrough_files; }
# Opens it until the kernel got it.
opened_given() {
	local before
	before=$(given)
	: <"$m/$1"
	[ "$(given)" -gt "$before" ]
}
is_given() { wait_for "$patience" opened_given "$1"; }
# by_itself COMMAND...: succeeds, and the program is not asked for a byte.
by_itself() {
	local before
	before=$(count read_calls)
	"$@" && [ "$(count read_calls)" = "$before" ]
}

mount_it
if ! "$unetfs" status "$m" | grep -q passthrough; then
	umount_unetfs "$m" "$mount_pid"
	skip "this kernel has no passthrough"
fi
check "the first read is right" right big
check "and asks the server" [ "$(count download_bytes)" -ge 9000001 ]
check "no file was given to the kernel" [ "$(given)" = 0 ]
check "a file that is whole and proved is, at an open soon" is_given big
check "what the kernel reads by itself is right" by_itself right big
check "without a single read of the program" \
	by_itself dd if="$m/big" of=/dev/null bs=64k status=none
check "a file of one block, too" right small
check "is given" is_given small
check "and right" by_itself right small
check "an empty one is as empty as before" right empty
check "nothing is given that nobody has open" [ "$(count passthrough_living)" = 0 ]

# One kind of open at a time.
right other
exec 7<"$m/other"
: <"$m/other"
moment
check "while it is open in the old way, others open it so" right other
check "and none of them fails" [ "$(count passthrough_living)" = 0 ]
exec 7<&-
check "after that it is given" is_given other
exec 7<"$m/other"
check "which counts" [ "$(count passthrough_living)" = 1 ]
check "with O_DIRECT it is read beside" \
	cmp <(dd if="$m/other" iflag=direct bs=1M status=none) "$tmp/e/other"
odd() { # No disk reads from there with O_DIRECT.
	python3 -c 'import os, sys
fd = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECT)
import mmap
buf = mmap.mmap(-1, 8192)
n = os.preadv(fd, [memoryview(buf)[:1001]], 777)
with open(sys.argv[2], "rb") as f: f.seek(777); want = f.read(1001)
sys.exit(n != 1001 or buf[:n] != want)' "$m/other" "$tmp/e/other"
}
check "from any place" odd
exec 7<&-

# A mapping is longer there than the open file, and what it shows stays.
mkfifo "$tmp/go"
python3 - "$m/big" "$tmp/e/big" "$tmp/go" >"$tmp/mapped" <<'EOF' &
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
m = mmap.mmap(fd, 0, prot=mmap.PROT_READ)
os.closerange(3, 100) # it has one of its own
print("ready" if m[0] == open(sys.argv[2], "rb").read(1)[0] else "wrong", flush=True)
open(sys.argv[3]).read()
print("same" if m[:] == open(sys.argv[2], "rb").read() else "different", flush=True)
EOF
mapper=$!
pids+=("$mapper")
says() { [ "$(tail -n 1 "$tmp/mapped")" = "$1" ]; }
check "a mapping of it reads right" wait_for "$patience" says ready
closed() { [ "$(count files_open)" = 0 ]; }
check "the file is not open any more" wait_for "$patience" closed
gone_from_cache() {
	"$unetfs" cache evict "$cache" >/dev/null
	"$unetfs" cache stat --json "$cache" | grep -q '"objects":0'
}
check "all objects go" wait_for "$patience" gone_from_cache
check "and are read again, right" right big
: >"$tmp/go"
check "the mapping has its bytes for all that" wait_for "$patience" says same
wait_for "$patience" gone "$mapper"

# Damage before the proof; what was read is in the kernel's memory, hence the new mount.
right hurt
unmount
python3 - "$cache" "$tmp/e/hurt" <<'EOF'
import glob, sys
want = open(sys.argv[2], "rb").read()
for name in glob.glob(sys.argv[1] + "/??/*"):
    with open(name, "r+b") as f:
        if f.read() == want:
            f.seek(5000000)
            f.write(b"damage")
EOF
mount_it
: <"$m/hurt"
check "a damaged file is read right" right hurt
check "with a question to the server" [ "$(count download_slices)" -gt 0 ]
check "and it is given when it is whole again" is_given hurt
check "with all its bytes" by_itself right hurt

# The ends.
exec 7<"$m/hurt"
busy() { ! umount "$m" 2>"$tmp/why"; }
check "a mount with such a file open is busy" busy
check "a forced unmount ends it" timeout "$patience" "$unetfs" umount -f "$m"
exec 7<&-
wait_for "$patience" gone "$mount_pid"
mount_it
right hurt
is_given hurt || not_ok "given again"
exec 7<"$m/hurt"
kill -9 "$mount_pid"
wait_for "$patience" gone "$mount_pid"
read_some() { timeout "$patience" head -c 4096 <&7 >"$tmp/some" || [ $? != 124 ]; }
check "whoever reads when the program is killed does not wait" read_some
exec 7<&-
check "the mount point is free again" wait_for "$patience" not_mounted "$m"
mount_it
check "the next mount reads the same" right hurt
check "from the cache" [ "$(count download_slices)" = 0 ]
unmount

# Others.
for options in cache=strict cache=loose cache=strict,ro "cache=immutable,cachekey=$tmp/key"; do
	[ -e "$tmp/key" ] || head -c 48 /dev/urandom >"$tmp/key"
	chmod 600 "$tmp/key"
	mount_it "$options"
	right hurt && right hurt || not_ok "reading with $options"
	"$unetfs" status "$m" >"$tmp/status"
	check "a mount with ${options%%/*} gives none" [ "$(given)" = 0 ]
	check "nor says so to the kernel" sh -c "! grep -q passthrough, '$tmp/status'"
	unmount
done

# The mount of a user, whose program may not give files to the kernel.
become_user
install -m 755 "$(readlink -f "$unetfs")" "$tmp/unetfs"
chmod 755 "$tmp"
chmod -R a+rX "$tmp/e"
install -d -o "$uid" "$tmp/user"
printf '#!/bin/bash\nexec %s %s "$@"\n' "${as_user[*]}" "$tmp/unetfs" >"$tmp/by-user"
chmod 755 "$tmp/by-user"
"${as_user[@]}" mkdir "$tmp/user/m"
m=$tmp/user/m
as_root=$unetfs
unetfs=$tmp/by-user
mount_unetfs "dir:$tmp/e" "$m" "cache=immutable,cachedir=$tmp/user/c"
for time in first second third; do
	check "a user reads right the $time time" "${as_user[@]}" cmp "$m/big" "$tmp/e/big"
done
check "and the kernel was given nothing" [ "$(given)" = 0 ]
"$unetfs" status "$m" >"$tmp/status"
check "as the mount says" sh -c "! grep -q passthrough, '$tmp/status'"
"${as_user[@]}" "$tmp/unetfs" umount "$m"
check "the user's umount ends well" wait_for "$patience" gone "$mount_pid"
unetfs=$as_root
