# SPDX-License-Identifier: MIT
#
# What people do to a share every day, as a list of points.  Sourced by the
# tests that mount different servers:
#
#	daily_use MOUNT BEHIND [whole] [files]
#
# BEHIND is the same directory as the server sees it.  "whole": the server locks
# whole files where ranges were asked for, as diod does.  "files": links are files
# at the server, as SMB servers have them with mfsymlinks.  Each point uses a folder
# of its own, so that one failure does not bring others.

requires_daily() {
	requires rsync tar git make gcc sqlite3 python3 flock dd
}

daily_use() {
	local word
	export M=$1 B=$2 T=$tmp HERE=$here RANGES=lockf LINKS=links
	for word in "${@:3}"; do
		case $word in
		whole) RANGES=whole ;;
		files) LINKS=files ;;
		*) die "daily_use does not know '$word'" ;;
		esac
	done
	daily_copies
	daily_names
	daily_writers
	daily_sqlite
	daily_development
	daily_mappings
	daily_removal
}

# A real tree of a few hundred files, with links and odd names in it; once per test.
daily_source() {
	local T=$tmp
	mkdir -p "$T/tree/deep/er/still"
	cp -a /usr/include/linux/. "$T/tree/deep/er/still/"
	cp -a /usr/include/[a-f]*.h "$T/tree/"
	ln -s ../stdio.h "$T/tree/deep/dangling"
	ln -s er/still "$T/tree/deep/link-to-directory"
	ln "$T/tree/dirent.h" "$T/tree/hard-link.h"
	: >"$T/tree/empty"
	: >"$T/tree/$(printf 'n%.0s' {1..255})"
	printf 'x' >"$T/tree/name with blanks, a tab	and ünïcödé"
	chmod 0600 "$T/tree/empty"
	touch -d '2001-02-03 04:05:06.789' "$T/tree/dirent.h"
}

daily_copies() {
	check_sh "cp -a copies a tree with links, modes and times" \
		'cp -a $T/tree $M/cp && test -z "$(rsync -aniH --delete $T/tree/ $M/cp/)"'
	check_sh "the server has the same bytes" \
		'settle $M/cp; same_behind $T/tree $B/cp'
	check_sh "rsync -a transfers a tree" 'rsync -aH $T/tree/ $M/rsync/'
	check_sh "rsync -a again transfers nothing" \
		'out=$(rsync -aiH $T/tree/ $M/rsync/); echo "$out"; test -z "$out"'
	check_sh "rsync --checksum agrees with every file" \
		'out=$(rsync -aicH $T/tree/ $M/rsync/); echo "$out"; test -z "$out"'
	check_sh "tar x unpacks what tar c packed" \
		'mkdir $M/tar; tar cf $T/t.tar -C $T tree; tar xf $T/t.tar -C $M/tar
		 diff -r --no-dereference $T/tree $M/tar/tree; tar df $T/t.tar -C $M/tar'
	check_sh "find and xargs see every file" \
		'sums() { (cd $1; find . -type f -print0 | sort -z | xargs -0 sha256sum); }
		 sums $T/tree >$T/a; sums $M/cp >$T/b; cmp $T/a $T/b'
	check_sh "a directory of 2500 names is listed whole" \
		'mkdir $M/many; (cd $M/many; seq -f name-%g 2500 | xargs touch)
		 test "$(ls $M/many | wc -l)" = 2500; test "$(ls $B/many | wc -l)" = 2500
		 test "$(ls $M/many | sort -u | wc -l)" = 2500'
}

daily_names() {
	check_sh "symbolic links are made, read and followed" \
		'mkdir $M/n; cd $M/n; echo text >file; ln -s file link
		 test "$(readlink link)" = file
		 test "$(cat link)" = text; link_behind $B/n/link file'
	check_sh "hard links share data and count" \
		'cd $M/n; echo one >h1; ln h1 h2; echo two >>h2; cmp h1 h2
		 test "$(stat -c %h h1)" = 2; rm h1; test "$(stat -c %h h2)" = 1'
	check_sh "rename replaces files and moves directories" \
		'cd $M/n; echo new >a; echo old >b; mv a b; test "$(cat b)" = new; test ! -e a
		 mkdir -p d1/sub; echo x >d1/sub/f; mkdir d2; mv d1 d2/
		 test "$(cat d2/d1/sub/f)" = x
		 test ! -e d1; test -e $B/n/d2/d1/sub/f'
	check_sh "mv -n keeps what is there" \
		'cd $M/n; echo keep >k1; echo other >k2; mv -n k2 k1 || true
		 test "$(cat k1)" = keep'
	check_sh "modes and times are set and kept" \
		'cd $M/n; : >m; chmod 0640 m; touch -d "1999-12-31 23:59:59" m
		 test "$(stat -c "%a %Y" m)" = "640 $(date -d "1999-12-31 23:59:59" +%s)"
		 test "$(stat -c "%a %Y" $B/n/m)" = "$(stat -c "%a %Y" m)"'
	check_sh "errors are those of a file system" \
		'cd $M/n; mkdir e; : >e/f; fails rmdir e 2>$T/err; grep -q "not empty" $T/err
		 fails cat nothing 2>$T/err; grep -q "No such file" $T/err
		 fails mkdir e 2>$T/err; grep -q "File exists" $T/err
		 fails cat e 2>$T/err; grep -q "Is a directory" $T/err'
	check_sh "df shows the file system of the server" \
		'size() { df --output=size -k $1 | tail -n 1; }
		 test "$(size $M)" = "$(size $B)"'
}

daily_writers() {
	check_sh "an editor saves by temporary file, fsync and rename" \
		'mkdir $M/w; python3 $HERE/editor.py $M/w/doc $B/w/doc 50'
	check_sh "dd appends" \
		'cd $M/w; printf 12345 >app
		 printf 678 | dd of=app oflag=append conv=notrunc status=none
		 test "$(cat app)" = 12345678
		 settle app; test "$(cat $B/w/app)" = 12345678'
	check_sh "two processes append without losing a line" \
		'line() { for i in $(seq 400); do echo "$1 $i and some more"; done; }
		 cd $M/w; line a >>log & line b >>$M/w/log; wait
		 test "$(wc -l <$M/w/log)" = 800
		 for p in a b; do grep "^$p " $M/w/log | cut -d" " -f2 | cmp - <(seq 400); done
		 settle $M/w/log; cmp $M/w/log $B/w/log'
	check_sh "a sparse file reads as zeroes and keeps its size" \
		'cd $M/w; truncate -s 10M sparse
		 printf end | dd of=sparse bs=1 seek=5000000 conv=notrunc \
		 status=none; test "$(stat -c %s sparse)" = 10485760
		 settle sparse; cmp sparse $B/w/sparse
		 truncate -s 4999999 sparse; cmp -n 4999999 sparse /dev/zero
		 cmp sparse $B/w/sparse'
	check_sh "flock excludes a second process" \
		'cd $M/w; : >lock; exec 9>lock; flock 9; fails flock -n lock true; flock -u 9
		 flock -n lock true'
	check_sh "flock waits until the other one lets go" \
		'cd $M/w; python3 $HERE/lockwait.py flock lock'
	check_sh "record locks exclude by range and wait" \
		'cd $M/w; python3 $HERE/lockwait.py $RANGES lock'
	check_sh "O_DIRECT writes and reads the same bytes" \
		'cd $M/w; dd if=/dev/urandom of=$T/rnd bs=1M count=4 status=none
		 dd if=$T/rnd of=direct bs=256K oflag=direct status=none
		 settle direct; cmp $T/rnd $B/w/direct
		 dd if=direct of=$T/rnd2 bs=512K iflag=direct status=none; cmp $T/rnd $T/rnd2
		 cmp direct $T/rnd'
}

daily_sqlite() {
	local mode
	for mode in delete truncate wal; do
		export MODE=$mode
		check_sh "sqlite3 in journal mode $mode keeps its integrity" \
			'db() { sqlite3 $M/$MODE.db "$@"; }
			 rows="with recursive c(x) as (select 1 union all
			       select x+1 from c where x<2000)
			       insert into t(b) select hex(randomblob(40)) from c;"
			 db "pragma journal_mode=$MODE; create table t(a integer primary key, b);"
			 for i in 1 2 3 4 5; do db "begin; $rows commit;"; done
			 db "delete from t where a%3=0; vacuum;"
			 test "$(db "pragma integrity_check;")" = ok
			 test "$(db "select count(*) from t;")" = 6667'
	done
}

daily_development() {
	check_sh "git clone, commit and fsck work" \
		'export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b
		 export GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
		 rm -rf $T/repo; mkdir $T/repo; cp -a $T/tree/deep/er/still/[a-k]* $T/repo
		 cd $T/repo
		 git init -q .; git add .; git commit -qm one; git -c protocol.file.allow=always \
		 clone -q --no-local $T/repo $M/clone; cd $M/clone; git fsck --strict --no-progress
		 echo change >>$(ls *.h | head -n 1); git commit -qam two; git gc -q
		 git fsck --no-progress
		 test -z "$(git status --porcelain)"'
	check_sh "make -j2 builds a program once" \
		'mkdir $M/prog; cd $M/prog; bash $HERE/program.sh 24; make -s -j2
		 test "$(./prog)" = 276
		 make -q; touch part3.c; fails make -q; make -s -j2; test "$(./prog)" = 276'
}

daily_mappings() {
	check_sh "shared mappings and writes see each other" \
		'python3 $HERE/mapping.py $M/map $B/map'
}

daily_removal() {
	check_sh "rm -rf removes trees" \
		'rm -rf $M/cp $M/rsync $M/tar $M/many $M/clone $M/prog $M/n
		 for d in cp rsync tar many clone prog n; do test ! -e $M/$d; test ! -e $B/$d; done'
}
