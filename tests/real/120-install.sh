#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Goal: what is installed works without the tree it was built from.
# Method: install this build into a folder, run the program from there: help,
# version, a mount in the background, umount; compile against its headers.
. "$(dirname "$0")/lib.sh"
requires_fuse
requires meson gcc
check "installation into a folder" \
	env DESTDIR="$tmp/root" meson install -C "$BUILD" --no-rebuild
installed=$(find "$tmp/root" -name unetfs -type f -perm -u+x | head -n 1)
[ "$installed" ] || die "no program was installed"
unetfs=$installed
cd / || exit 1
check "--help names every command" \
	bash -c "'$unetfs' --help | grep -q mount && '$unetfs' --help | grep -q umount &&
	'$unetfs' --help | grep -q status"
check "--version says a version" bash -c "'$unetfs' --version | grep -qE '[0-9]+\.[0-9]+'"

mkdir "$tmp/export" "$tmp/mnt"
echo hello >"$tmp/export/file"
mounts+=("$tmp/mnt")
check "mount returns when the mount is ready" \
	timeout "$patience" "$unetfs" mount "dir:$tmp/export" "$tmp/mnt"
check "the file is there at that moment" cmp "$tmp/mnt/file" "$tmp/export/file"
check "umount" timeout "$patience" "$unetfs" umount "$tmp/mnt"
check "nothing is mounted any more" not_mounted "$tmp/mnt"

header=$(find "$tmp/root" -name unetfs.h | head -n 1)
check "the headers are installed" test "$header"
if [ "$header" ]; then
	printf '#include <unetfs/unetfs.h>\n#include <unetfs/backend.h>\n' >"$tmp/t.c"
	printf 'int main(void)\n{\n\treturn sizeof(struct netfs_io) == 0;\n}\n' >>"$tmp/t.c"
	check "they compile on their own" gcc -std=gnu17 -Wall -Wextra -Wno-unused-parameter \
		-Werror -I"$(dirname "$(dirname "$header")")" -o "$tmp/t" "$tmp/t.c"
fi
