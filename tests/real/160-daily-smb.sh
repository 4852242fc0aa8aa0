#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Goal: a share of a real Samba server can be used every day like a local
# directory, plain, signed and sealed, and whoever may not use it is told why.
# Method: the points of daily.sh on mounts of smbd run by root and by another
# user, each with what protects it; the server is asked what was in use.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/daily.sh"
. "$(dirname "$0")/smbd.sh"
requires_fuse
requires_smbd
requires_daily
daily_source

# shares_use SHARE ENCRYPTION SIGNING: patterns, of the share in use.
shares_use() {
	local line
	line=$(smbd_sessions)
	echo "in use: $line"
	# shellcheck disable=SC2053 # patterns
	[[ $line == *" SMB3_11 $1 "$2" "$3 ]]
}

# day NAME SHARE OPTIONS ENCRYPTION SIGNING
day() {
	local name=$1
	echo "# $name"
	mount_smb "$tmp/$name" "mfsymlinks${3:+,$3}" "$2"
	[ "$smbd_user" = root ] &&
		check "$name: the server sees what protects it" shares_use "$2" "$4" "$5"
	daily_use "$tmp/$name" "$smbd_export" files
	check_umount "$tmp/$name" "$mount_pid"
	check "$name: the server is still well" smb_do ls
	find "$smbd_export" -mindepth 1 -delete
}

start_smbd own
day plain share "" - '*'
day signed share sign - 'AES-128-*'
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
check_sh "the server's reserved characters are seen as they are" \
	'echo x >"$B/r/theirs:\"*"; test "$(cat "$M/r/theirs:\"*")" = x; rm -r $M/r; test ! -e $B/r'
check_umount "$tmp/names" "$mount_pid"

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

# -------------------------------------------------- a server without rights

if [ "$(id -u)" = 0 ]; then
	start_smbd user nobody
	day "user's" share "" - '*'
	mount_smb "$tmp/rights"
	export M=$tmp/rights B=$smbd_export
	check_sh "what the server's user may not write is refused" \
		'echo theirs >$B/f; chown root $B/f; chmod 644 $B/f
		 fails bash -c "echo mine >>$M/f" 2>$T/err; grep -q "Permission denied" $T/err
		 test "$(cat $M/f)" = theirs; test "$(cat $B/f)" = theirs'
	check_umount "$tmp/rights" "$mount_pid"
fi
