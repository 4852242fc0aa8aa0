# SPDX-License-Identifier: MIT
#
# A Samba server of a test's own, without touching the machine's.  Sourced after
# lib.sh:
#
#	start_smbd NAME [USER]
#
# starts one on a free port of 127.0.0.1, run by USER (default: whoever runs the
# test), and sets
#
#	smbd_dir	its folder, with smb.conf and log.*
#	smbd_port smbd_pid smbd_user
#	smbd_export	what [share] and [enc] show
#	smbd_login	a credentials file for mount
#
# smbd_interfaces, smbd_multichannel and smbd_modules (vfs objects), where they are set
# before, are what its configuration has for that.
#
# [enc] demands encryption.  The server leads a group of processes, so that it
# is killed, frozen and thawed with all that serve connections.

requires_smbd() {
	PATH=$PATH:/usr/sbin:/sbin
	requires smbd smbpasswd pdbedit smbclient smbstatus python3 setpriv ss
}

free_port() {
	python3 -c 'import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

port_answers() {
	python3 -c 'import socket, sys
socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)' "$1"
}

# Characters that no name may have on the wire, to where clients put them.
smbd_mappings() {
	local i
	for i in {1..31}; do
		printf '0x%02x:0xf0%02x,' "$i" "$i"
	done
	printf '0x22:0xf020,0x2a:0xf021,0x3a:0xf022,0x3c:0xf023,'
	echo '0x3e:0xf024,0x3f:0xf025,0x5c:0xf026,0x7c:0xf027'
}

smbd_global() {
	cat <<-CONF
		[global]
		server role = standalone server
		workgroup = LAB
		netbios name = LABSRV
		interfaces = ${smbd_interfaces:-lo}
		bind interfaces only = yes
		smb ports = $smbd_port
		disable netbios = yes
		lock directory = $smbd_dir/lock
		state directory = $smbd_dir/state
		cache directory = $smbd_dir/cache
		pid directory = $smbd_dir/pid
		private dir = $smbd_dir/priv
		ncalrpc dir = $smbd_dir/ncalrpc
		passdb backend = tdbsam:$smbd_dir/priv/passdb.tdb
		log file = $smbd_dir/log.%m
		server min protocol = SMB3_00
		server multi channel support = ${smbd_multichannel:-yes}
		smb2 leases = yes
		durable handles = yes
		kernel oplocks = no
		kernel share modes = no
		posix locking = no
		load printers = no
		printing = bsd
		printcap name = /dev/null
		disable spoolss = yes
		rpc start on demand helpers = no
		case sensitive = yes
	CONF
}

# smbd_share NAME PATH [LINE...]
smbd_share() {
	printf '[%s]\npath = %s\nread only = no\n' "$1" "$2"
	printf 'create mask = 07777\ndirectory mask = 07777\nea support = yes\n'
	printf 'vfs objects = %s\n' "${smbd_modules:-catia streams_xattr}"
	printf 'catia:mappings = %s\n' "$(smbd_mappings)"
	[ "$(id -u "$smbd_user")" = 0 ] || echo "force user = $smbd_user"
	shift 2
	[ $# = 0 ] || printf '%s\n' "$@"
}

# Runs a command as the one who runs the server.
as_smbd() {
	"${smbd_as[@]}" "$@"
}

# smbd_password PASSWORD: makes the account, or changes its password.
smbd_password() {
	local new=-a
	as_smbd pdbedit -s "$smbd_dir/smb.conf" -L 2>/dev/null | grep -q "^$smbd_user:" && new=
	if [ "$(id -u "$smbd_user")" = 0 ] || [ -z "$new" ]; then
		printf '%s\n%s\n' "$1" "$1" |
			smbpasswd -c "$smbd_dir/smb.conf" $new -s "$smbd_user"
	else
		printf '%s\n%s\n' "$1" "$1" |
			as_smbd pdbedit -s "$smbd_dir/smb.conf" -a -t -u "$smbd_user"
	fi >>"$smbd_dir/password.log" 2>&1 || die "cannot set the password of $smbd_user"
}

# smbd_write_login PASSWORD FILE
smbd_write_login() {
	(umask 077 && printf 'username=%s\npassword=%s\ndomain=LAB\n' "$smbd_user" "$1" >"$2")
}

start_smbd() {
	smbd_dir=$tmp/$1.smbd
	smbd_user=${2:-$(id -un)}
	smbd_as=(env)
	[ "$smbd_user" = "$(id -un)" ] || smbd_as=(setpriv "--reuid=$smbd_user"
		"--regid=$(id -g "$smbd_user")" --clear-groups)
	smbd_export=$tmp/$1.export
	smbd_login=$tmp/$1.login
	smbd_port=$(free_port)
	mkdir -p "$smbd_dir"/{lock,state,cache,pid,priv,ncalrpc} "$smbd_export"
	{
		smbd_global
		smbd_share share "$smbd_export"
		smbd_share enc "$smbd_export" "server smb encrypt = required"
	} >"$smbd_dir/smb.conf"
	if [ "$smbd_user" != "$(id -un)" ]; then
		chmod 0711 "$tmp"
		chown -R "$smbd_user" "$smbd_dir" "$smbd_export"
	fi
	smbd_secret=$(head -c 12 /dev/urandom | base64 | tr +/ xy)
	smbd_password "$smbd_secret"
	smbd_write_login "$smbd_secret" "$smbd_login"
	run_smbd
}

# Runs the server, also again after kill_smbd.
run_smbd() {
	(exec "${smbd_as[@]}" smbd -F -s "$smbd_dir/smb.conf") \
		</dev/null >>"$smbd_dir/out" 2>&1 8>&- 9>&- &
	smbd_pid=$!
	pids+=("$smbd_pid")
	groups_of_pids+=("$smbd_pid")
	wait_for "$patience" port_answers "$smbd_port" && return
	tail -n 5 "$smbd_dir/out" | sed 's/^/# /'
	die "smbd does not answer on port $smbd_port"
}

# signal_smbd SIGNAL: to the server and all that serve connections.
signal_smbd() {
	kill -s "$1" -- "-$smbd_pid"
}

# Without a word to anybody, as by a power failure.
kill_smbd() {
	signal_smbd KILL || die "there is no server to kill"
	wait "$smbd_pid" 2>/dev/null
	wait_for "$patience" group_gone "$smbd_pid" || die "smbd does not die"
}

# One line for each share in use: PROCESS DIALECT SHARE ENCRYPTION SIGNING, the
# stronger of what session and share have, "-" for none.  Only a server that root
# runs tells.
smbd_sessions() {
	smbstatus -s "$smbd_dir/smb.conf" --json 2>/dev/null | python3 -c 'import json, sys
status = json.loads(sys.stdin.read() or "{}")
for tree in status.get("tcons", {}).values():
    session = status["sessions"][tree["session_id"]]
    def best(kind):
        return max(session[kind]["cipher"], tree[kind]["cipher"])
    print(session["server_id"]["pid"], session["session_dialect"], tree["service"],
          best("encryption"), best("signing"))'
}

# The processes that serve connections.
smbd_servers() {
	ss -tnpH state established "sport = :$smbd_port" |
		grep -o 'pid=[0-9]*' | cut -d= -f2 | sort -u
}

# Ends every connection and lets the server live.
cut_smbd() {
	local pid
	for pid in $(smbd_servers); do
		kill -KILL "$pid"
		wait_for "$patience" gone "$pid"
	done
}

# smb_do COMMANDS [SHARE]: what another client does, without a mount.
smb_do() {
	smbclient -s "$smbd_dir/smb.conf" -p "$smbd_port" -A "$smbd_login" \
		"//127.0.0.1/${2:-share}" -c "$1"
}

# mount_smb DIR [OPTIONS] [SHARE]
mount_smb() {
	mount_unetfs "//127.0.0.1/${3:-share}" "$1" \
		"credentials=$smbd_login,port=$smbd_port${2:+,$2}"
}
