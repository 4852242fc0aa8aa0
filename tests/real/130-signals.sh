#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Goal: a signal that is handled ends no call on a file; programs do not expect
# EINTR there.  Method: a timer that fires all the time, with SA_RESTART, under
# reads, writes and lookups that go to the server; libc is called directly,
# because python would hide the error.
. "$(dirname "$0")/lib.sh"
requires_fuse
requires diod python3

cat >"$tmp/signals.py" <<'PYTHON'
import ctypes, os, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
path = sys.argv[1].encode()
signal.signal(signal.SIGALRM, lambda *args: None)
signal.siginterrupt(signal.SIGALRM, False)
fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
buf = ctypes.create_string_buffer(b"x" * 4096)
calls = {"write": lambda at: libc.pwrite(fd, buf, 4096, at),
         "read": lambda at: libc.pread(fd, buf, 4096, at),
         "access": lambda at: libc.access(path, os.R_OK)}
wrong = {}
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
for i in range(1000):
    for name, call in calls.items():
        if call(i % 50 * 4096) < 0:
            key = (name, os.strerror(ctypes.get_errno()))
            wrong[key] = wrong.get(key, 0) + 1
signal.setitimer(signal.ITIMER_REAL, 0)
assert not wrong, wrong
PYTHON

mkdir "$tmp/e1" "$tmp/e2"
mount_diod "$tmp/e1" "$tmp/9p"
check "9p: handled signals end no call" timeout $((patience * 3)) \
	python3 "$tmp/signals.py" "$tmp/9p/file"
check_umount "$tmp/9p" "$mount_pid"
mount_unetfs "dir:$tmp/e2" "$tmp/slow" delay=2,cache=none
check "slow directory: handled signals end no call" timeout $((patience * 3)) \
	python3 "$tmp/signals.py" "$tmp/slow/file"
check_umount "$tmp/slow" "$mount_pid"

# A wait for a lock is the exception: it ends with EINTR, as fcntl(2) and
# flock(2) say.
cat >"$tmp/waits.py" <<'PYTHON'
import ctypes, errno, fcntl, os, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
path = sys.argv[1]
holder = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
waiter = os.open(path, os.O_RDWR)
fcntl.flock(holder, fcntl.LOCK_EX)
signal.signal(signal.SIGALRM, lambda *args: None)
signal.siginterrupt(signal.SIGALRM, True)
signal.setitimer(signal.ITIMER_REAL, 0.2, 0.2)
assert libc.flock(waiter, fcntl.LOCK_EX) == -1
assert ctypes.get_errno() == errno.EINTR, os.strerror(ctypes.get_errno())
PYTHON

# A silent server: signals that are handled do not help the program, and the
# one that kills does, though the kernel tells of the first signal only.
cat >"$tmp/silent.py" <<'PYTHON'
import signal, sys
signal.signal(signal.SIGALRM, lambda *args: None)
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
file = open(sys.argv[1], "rb", buffering=0)
print("open", flush=True)
while True:
    file.seek(0)
    file.read(4096)
PYTHON

waits_in_kernel() {
	[ "$(sed 's/.*) \(.\).*/\1/' "/proc/$1/stat")" = D ]
}

killed_on_silent_server() {
	local signal=$1 reader
	python3 "$tmp/silent.py" "$tmp/quiet/file" >"$tmp/silent.out" 2>&1 &
	reader=$!
	pids+=("$reader")
	wait_for "$patience" grep -q open "$tmp/silent.out" || die "the reader did not begin"
	kill -STOP "$diod_pid"
	wait_for "$patience" waits_in_kernel "$reader" || die "the reader does not wait"
	kill -s "$signal" "$reader"
	check "silent server: SIG$signal ends a reader that handles a timer" \
		wait_for "$patience" gone "$reader"
	wait "$reader" 2>/dev/null
	# diod does not always survive waking up to clients that are gone.
	kill -KILL "$diod_pid"
	wait "$diod_pid" 2>/dev/null
	start_diod "$tmp/e3" "$diod_socket"
}

mkdir "$tmp/e3"
echo text >"$tmp/e3/file"
mount_diod "$tmp/e3" "$tmp/quiet"
check "9p: a signal ends a wait for a lock" timeout "$patience" \
	python3 "$tmp/waits.py" "$tmp/quiet/lock"
killed_on_silent_server KILL
killed_on_silent_server TERM
check "the mount goes on after that" timeout "$patience" cat "$tmp/quiet/file"
check_umount "$tmp/quiet" "$mount_pid"
