#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Goal: locks of programs on different clients of a Samba server keep each other
# out, wait without asking, can be given up, and outlive a lost connection.
# Method: programs on two mounts of one share; a relay between one of them and the
# server counts what is asked, and is cut.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/smbd.sh"
requires_fuse
requires_smbd

run_relay() {
	python3 "$here/frames.py" "$relay_port" "$direct" "$tmp/asked" 8>&- 9>&- &
	relay_pid=$!
	pids+=("$relay_pid")
	wait_for "$patience" port_answers "$relay_port"
}

lockers() {
	timeout 60 python3 "$here/lockers.py" "$@"
}

free() {
	lockers try "$@"
}

taken() {
	! lockers try "$@"
}

# holding ARGUMENTS: until let_go.
holding() {
	coproc HOLDER { python3 "$here/lockers.py" "$@"; }
	pids+=("$HOLDER_PID")
	holder_pid=$HOLDER_PID
	read -r -t "$patience" -u "${HOLDER[0]}" _ || die "cannot lock: $*"
}

let_go() {
	local in=${HOLDER[1]}
	exec {in}>&-
	wait_for "$patience" gone "$holder_pid"
	wait "$holder_pid" 2>/dev/null
}

start_smbd own
direct=$smbd_port
relay_port=$(free_port)
run_relay
smbd_port=$relay_port
mount_smb "$tmp/one"
one_pid=$mount_pid
smbd_port=$direct
mount_smb "$tmp/two"
two_pid=$mount_pid
smbd_port=$relay_port
mount_smb "$tmp/alone" nobrl
alone_pid=$mount_pid
one=$tmp/one two=$tmp/two
echo 0 >"$one/f"

holding hold "$one/f" 0 100
check "a range locked on one mount is taken on the other" taken "$two/f" 50 1
check "the range beside it is not" free "$two/f" 100 100
check "with nobrl nobody elsewhere is asked" free "$tmp/alone/f" 50 1
let_go
check "it is free when its holder has gone" free "$two/f" 50 1
holding hold "$one/f" 0 100 r
check "readers share" free "$two/f" 0 100 r
check "writers do not" taken "$two/f" 0 100
let_go
holding cut "$one/f" 0 100 40 60
check "a piece that was given up is free" free "$two/f" 40 20
check "what is in front of it is not" taken "$two/f" 0 40
check "nor what is behind" taken "$two/f" 60 40
let_go
holding hold "$one/f" 0 0 f
check "flock counts between mounts" taken "$two/f" 0 0 f
check "and locks no bytes" bash -c 'echo 1 >"$1"' - "$two/f"
let_go

# Waiting.
holding hold "$two/f" 0 10
lockers wait "$one/f" 0 10 &
waiter=$!
pids+=("$waiter")
steady() {
	local a b
	a=$(cat "$tmp/asked")
	for _ in {1..40}; do moment; done
	b=$(cat "$tmp/asked")
	[ "$a" = "$b" ] && ! gone "$waiter"
}
check "who waits does not ask again and again" wait_for "$patience" steady
let_go
check "and gets it when it is free" wait "$waiter"
holding hold "$two/f" 0 10
timeout -s INT 1 python3 "$here/lockers.py" wait "$one/f" 0 10 2>/dev/null
check "who waits can be interrupted" test $? = 124
let_go
check "and has nothing afterwards" free "$two/f" 0 10

# Data goes with the locks.
: >"$one/n"
lockers count "$one/n" 100 &
first=$!
lockers count "$two/n" 100 &
second=$!
wait "$first" && wait "$second"
check "a number that both count up under a lock is right" grep -q 00000200 "$one/n"

# The connection goes.
holding hold "$one/f" 0 10
end "$relay_pid"
run_relay
check_sh "the mount is back" "timeout 60 cat $one/n"
check "a lock is still held when the connection was lost" taken "$two/f" 0 10
kill_smbd
smbd_port=$direct
run_smbd
check_sh "the mount is back once more" "echo more >>$one/n && timeout 60 sync $one/n"
check_sh "the file was used again" "timeout 60 dd if=$one/f of=/dev/null iflag=direct bs=4096"
check "and when the server was killed" wait_for "$patience" taken "$two/f" 0 10
let_go
check "and free when its holder has gone" free "$two/f" 0 10
check_umount "$one" "$one_pid"
check_umount "$two" "$two_pid"
check_umount "$tmp/alone" "$alone_pid"
