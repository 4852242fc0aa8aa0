#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Goal: a share of a real Samba server can be used every day like a local
# directory, plain, signed and sealed, and whoever may not use it is told why.
# Method: real programs on mounts of smbd run by root and by another user, each
# with what protects it; the server is asked what was in use.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/smbd.sh"
requires_fuse
requires_smbd
requires git sqlite3 dd

# shares_use SHARE ENCRYPTION SIGNING: patterns, of the share in use.
shares_use() {
	local line
	line=$(smbd_sessions)
	echo "in use: $line"
	# shellcheck disable=SC2053 # patterns
	[[ $line == *" SMB3_11 $1 "$2" "$3 ]]
}

is_bare() { [ -z "$(ls -A "$1")" ]; }

# What a share has to be good for, at M; the same is at B behind the server.
smb_use() {
	local name=$1
	check_sh "$name: a tree is copied and compared byte by byte" \
		'cp -r /usr/include/linux $M/tree && diff -r /usr/include/linux $M/tree &&
		 diff -r /usr/include/linux $B/tree'
	check_sh "$name: git init, add, commit, fsck" \
		'cd $M/tree && git init -q . && git add . && git -c user.email=a@b -c user.name=x \
		 commit -qm x && git fsck && git status --porcelain | wc -l | grep -qx 0'
	check_sh "$name: sqlite3 keeps its integrity" \
		'test "$(sqlite3 $M/t.db "create table t(a, b);
		 with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000)
		 insert into t select i, hex(randomblob(40)) from n; pragma integrity_check")" = ok'
	check "$name: files of one name are made and removed again and again" timeout "$patience" \
		bash -c 'for n in 1 2 3; do python3 "$0/churn.py" "$1/once$n" 250 & p+=" $!"; done
		for one in $p; do wait $one || exit 1; done' "$here" "$M"
	check_sh "$name: temporary file, fsync and rename replace a file" \
		'for i in 1 2 3; do echo $i >$M/new; sync $M/new; mv $M/new $M/kept; done
		 test "$(cat $M/kept $B/kept)" = "$(printf "3\n3")"'
	check_sh "$name: what is appended by two writers is all there" \
		'for w in 1 2; do (for i in {1..50}; do echo $w.$i >>$M/log; done) & done; wait
		 test "$(sort -u $M/log | wc -l)" = 100; cmp $M/log $B/log'
	check_sh "$name: direct I/O moves the same bytes both ways" \
		'head -c 9000000 /dev/urandom >$M/random; sync $M/random
		 dd if=$M/random of=$M/copy bs=1M iflag=direct oflag=direct 2>/dev/null
		 cmp $M/copy $B/random'
	check_sh "$name: read-only files, second names and links in files" \
		'echo x >$M/ro; chmod 444 $M/ro; rm -f $M/ro; test ! -e $B/ro
		 echo one >$M/first; ln $M/first $M/second; rm $M/first; echo two >>$M/second
		 test "$(cat $M/second)" = "$(printf "one\ntwo")"
		 ln -s second $M/link; test "$(readlink $M/link)" = second; grep -q two $M/link'
	check_sh "$name: rm -rf leaves nothing" 'rm -rf $M/*; test -z "$(ls -A $M)"'
	# What was open there a moment before goes in the background.
	check "$name: nor behind the mount" wait_for "$patience" is_bare "$B"
}

# day NAME SHARE OPTIONS ENCRYPTION SIGNING
day() {
	local name=$1
	echo "# $name"
	mount_smb "$tmp/$name" "mfsymlinks${3:+,$3}" "$2"
	[ "$smbd_user" = root ] &&
		check "$name: the server sees what protects it" shares_use "$2" "$4" "$5"
	export M=$tmp/$name B=$smbd_export
	smb_use "$name"
	check_umount "$tmp/$name" "$mount_pid"
	check "$name: the server is still well" smb_do ls
	find "$smbd_export" -mindepth 1 -delete
}

start_smbd own
day plain share "" - '*'
day sealed share seal 'AES-*' '*'
day demanded enc "" 'AES-*' '*'
day none share cache=none - '*'

# Names with characters that SMB reserves, as the server and its other clients
# know them.
mount_smb "$tmp/names" mfsymlinks
export M=$tmp/names B=$smbd_export
check_sh "reserved characters arrive as they are" \
	'mkdir $M/r; for c in : "*" "?" "<" ">" "|" "\"" "\\"; do echo "$c" >"$M/r/a${c}b"; done
	 : >"$M/r/dot."; : >"$M/r/blank "
	 test "$(ls $M/r | wc -l)" = 10
	 for c in : "*" "?" "<" ">" "|" "\"" "\\"; do test "$(cat "$B/r/a${c}b")" = "$c"; done'
check_sh "and are removed by those names" 'rm -r $M/r; test ! -e $B/r'
check_umount "$tmp/names" "$mount_pid"

# The server works out when a file was made that it did not make itself, and the
# first read of it, which sets its time of access, changes the answer.
mkdir "$tmp/again"
head -c 300000 /dev/urandom >"$smbd_export/found"
touch -a -d 2001-02-03 "$smbd_export/found"
for round in first second; do
	mount_smb "$tmp/again" "cachedir=$tmp/c"
	check "a $round mount with a disk cache reads" cmp "$tmp/again/found" "$smbd_export/found"
	downloads=$(counter "$tmp/again" download_slices)
	check_umount "$tmp/again" "$mount_pid"
done
check "the second without asking for data" [ "$downloads" = 0 ]
rm "$smbd_export/found"

# ------------------------------------------------------------ refusals

# refused WHAT PATTERN SOURCE OPTIONS: no mount, and one line says why.
refused() {
	local what=$1 pattern=$2
	mkdir -p "$tmp/refused"
	check "$what: the mount is refused" \
		bash -c '! timeout '$((patience * 2))' "$@" 2>'"$tmp/refused.log" - \
		"$unetfs" mount -o "$4" "$3" "$tmp/refused"
	check "$what: the message says it" grep -qiE "$pattern" "$tmp/refused.log"
	check "$what: nothing is mounted" not_mounted "$tmp/refused"
}

mounts+=("$tmp/refused")
smbd_write_login "not-$smbd_secret" "$tmp/wrong.login"
refused "a wrong password" 'denied|password|log.?on' "//127.0.0.1/share" \
	"credentials=$tmp/wrong.login,port=$smbd_port"
check "a wrong password is not in the message" bash -c \
	'! grep -qF "$1" "$2"' - "$smbd_secret" "$tmp/refused.log"
refused "a share that is not there" 'no such|not found|no share' "//127.0.0.1/nothing" \
	"credentials=$smbd_login,port=$smbd_port"
refused "a password on the command line" 'credentials' "//127.0.0.1/share" \
	"username=$smbd_user,password=$smbd_secret,port=$smbd_port"
refused "an old dialect" 'vers' "//127.0.0.1/share" \
	"credentials=$smbd_login,port=$smbd_port,vers=1.0"
refused "nobody there" 'refused' "//127.0.0.1/share" \
	"credentials=$smbd_login,port=$(free_port)"

mount_smb "$tmp/secret"
check "the password is in no argument and no status" bash -c \
	'! { tr "\0" "\n" </proc/$3/cmdline; tr "\0" "\n" </proc/$3/environ; "$2" status --json "$4"
	     cat "$5"; } | grep -F "$1"' - "$smbd_secret" "$unetfs" "$mount_pid" \
	"$tmp/secret" "$tmp/secret.log"
check_umount "$tmp/secret" "$mount_pid"

# ---------------------------------------------------- the server goes away

mount_smb "$tmp/again"
export M=$tmp/again B=$smbd_export
check_sh "a file is open while the server is killed" \
	'exec 5>>$M/open; echo before >&5; sync $M/open; cp -r /usr/include/linux/usb $M/usb'
exec 8>>"$M/open"
kill_smbd
run_smbd
check_sh "everything goes on when it is back" \
	'diff -r /usr/include/linux/usb $M/usb; echo after >>$M/open
	 test "$(cat $M/open)" = "$(printf "before\nafter")"; cmp $M/open $B/open'
check "the open file goes on too" bash -c "echo more >&8"
exec 8>&-
check_sh "and the server has it" 'sync $M; grep -q more $B/open'
check_umount "$tmp/again" "$mount_pid"

# -------------------------------------------------- a server without rights

if [ "$(id -u)" = 0 ]; then
	start_smbd user nobody
	day "user's" share "" - '*'
	mount_smb "$tmp/rights"
	export M=$tmp/rights B=$smbd_export T=$tmp
	check_sh "what the server's user may not write is refused" \
		'echo theirs >$B/f; chown root $B/f; chmod 644 $B/f
		 fails bash -c "echo mine >>$M/f" 2>$T/err; grep -q "Permission denied" $T/err
		 test "$(cat $M/f)" = theirs; test "$(cat $B/f)" = theirs'
	check_umount "$tmp/rights" "$mount_pid"
fi
