#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Goal: another directory of this machine, shown through the whole engine, can
# be used every day.  Method: the points of daily.sh, with each way to cache.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/daily.sh"
requires_fuse
requires_daily
daily_source

for options in "" cache=strict cache=none; do
	name=dir-${options:-default}
	mkdir "$tmp/export-$name"
	echo "# $name"
	mount_unetfs "dir:$tmp/export-$name" "$tmp/$name" "$options"
	daily_use "$tmp/$name" "$tmp/export-$name"
	check_umount "$tmp/$name" "$mount_pid"
done
