#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Goal: a directory behind a real 9P server can be used every day like a local
# one.  Method: the points of daily.sh on a mount of diod, once as it comes and
# once with each way to cache.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/daily.sh"
requires_fuse
requires_daily
daily_source

for options in "" cache=loose; do
	name=9p-${options:-default}
	mkdir "$tmp/export-$name"
	echo "# $name"
	mount_diod "$tmp/export-$name" "$tmp/$name" "$options"
	daily_use "$tmp/$name" "$tmp/export-$name" whole
	check_umount "$tmp/$name" "$mount_pid"
	check "the server is still well" kill -0 "$diod_pid"
	end "$diod_pid"
done
