#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Goal: under a lease of a real Samba server nothing is asked for twice, and what
# others change, or want to see, is never old, mixed or missing.
# Method: two mounts of one share and smbclient use the same files; a relay counts
# what is asked; the server tells what it granted.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/smbd.sh"
requires_fuse
requires_smbd
[ "$(id -u)" = 0 ] || skip "only root is told what the server granted"

# The leases the server knows of a file, one a line: RWH, RH, R.
leases_of() {
	smbstatus -s "$smbd_dir/smb.conf" -L 2>/dev/null | grep -F " $1 " |
		grep -o 'LEASE([RWH]*)' | tr -d 'LEASE()'
}

lease_is() {
	[ "$(leases_of "$1" | sort -u | xargs)" = "$2" ]
}

# When the server says that a file was opened, in seconds.
opened_at() {
	smbstatus -s "$smbd_dir/smb.conf" -L 2>/dev/null | grep -F " $1 " | grep -o '..:..:.. ....$'
}

# Until the server's clock shows another second.
moment_of_server() {
	local now=$SECONDS
	while [ "$SECONDS" -lt $((now + 2)) ]; do
		moment
	done
}

asked() {
	cat "$tmp/asked"
}

run_relay() {
	python3 "$here/frames.py" "$relay_port" "$direct" "$tmp/asked" 8>&- 9>&- &
	relay_pid=$!
	pids+=("$relay_pid")
	wait_for "$patience" port_answers "$relay_port"
}

# The connection goes, and the server lives and knows.
cut_relay() {
	end "$relay_pid"
}

start_smbd own
relay_port=$(free_port)
direct=$smbd_port
run_relay
smbd_port=$relay_port
mount_smb "$tmp/one" actimeo=0
one_pid=$mount_pid
smbd_port=$direct
mount_smb "$tmp/two"
two_pid=$mount_pid
one=$tmp/one two=$tmp/two
export one two B=$smbd_export

# --------------------------------------------------------------- granted

echo first >"$one/held"
exec 8<>"$one/held"
check "a file that is open for writing has a lease for everything" lease_is held RWH
stat "$one/held" >/dev/null
cat <&8 >/dev/null
before=$(asked)
check "an open file's size and bytes are known without asking" python3 -c 'import os
for i in range(20):
    assert os.fstat(8).st_size == 6
    assert os.pread(8, 100, 0) == b"first\n"'
check "and the server was not asked" test "$(asked)" = "$before"
exec 8>&-
# opened_and_read FILE FIRST: what is in FILE, after FIRST was done with it open.
opened_and_read() {
	python3 -c 'import os, subprocess, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
subprocess.run(sys.argv[2], shell=True, check=True)
print(os.pread(fd, 1000, 0).decode(), end="")' "$1" "$2"
}
printf 'small\n' >"$smbd_export/small"
check "a small file comes with its open" test \
	"$(opened_and_read "$one/small" "cp $tmp/asked $tmp/asked.then")" = small
check "and reading it asks for nothing" cmp "$tmp/asked" "$tmp/asked.then"
printf 'small\n' >"$smbd_export/small2"
check "but not as it was before another client changed it" test \
	"$(opened_and_read "$one/small2" "echo other >$two/small2")" = other
printf 'small\n' >"$smbd_export/small3"
check "nor before we did" test \
	"$(opened_and_read "$one/small3" "echo mine >$one/small3")" = mine
# Samba makes up the time when such files were made, and it moves.
mount_smb "$tmp/asks" nolease,actimeo=0
asks_pid=$mount_pid
export asks=$tmp/asks
check_sh "files and directories made behind the server stay the same when used there" \
	'mkdir $B/made; echo one >$B/made/file; cd $asks/made; exec 9<file; cat file >/dev/null
	 was=$(stat -c %i file .); sleep 0.02; echo two >>$B/made/file; touch $B/made/file $B/made
	 test "$(python3 -c "import os; print(os.fstat(9).st_ino, os.fstat(9).st_size)")" = \
		"$(stat -c %i file) 8"
	 test "$(stat -c %i file .)" = "$was"; test "$(cat file)" = "$(cat $B/made/file)"
	 test "$(ls .)" = file'
check_umount "$asks" "$asks_pid"
exec 8<>"$one/held"
check_sh "another mount sees it" 'test "$(cat $two/held)" = first'
check_sh "and changes it" 'echo second >$two/held'
check "the open file shows that" python3 -c 'import os, time
until = time.monotonic() + 5
while os.pread(8, 100, 0) != b"second\n":
    assert time.monotonic() < until'
exec 8>&-

# ------------------------------------------------------ opened once more

echo again >"$one/again"
cat "$one/again" >/dev/null
before=$(asked)
check "who opens a file a second time reads it" grep -q again "$one/again"
# With actimeo=0 the name is looked up, for the file and for its attributes.
check "and asks for its name only" test $(($(asked) - before)) -le 2
check "the server still has it open" lease_is again RWH
check_sh "what is not in use here can be removed there" 'rm $two/again; test ! -e $two/again'
check "and is then open nowhere" wait_for "$patience" lease_is again ""
echo once >"$one/fresh"
check_sh "who reads elsewhere sees what was written and closed" 'test "$(cat $two/fresh)" = once'
check_sh "and changes it, and it is seen here at the next open" \
	'echo twice >$two/fresh; test "$(cat $one/fresh)" = twice'

# --------------------------------------------------- one after the other

mkdir "$smbd_export/many"
for i in {1..60}; do
	printf 'file %s\n' "$i" >"$smbd_export/many/$i"
done
smbd_port=$relay_port
# Each notice would be one more.
mount_smb "$tmp/many" mfsymlinks,nonotify
many_pid=$mount_pid
smbd_port=$direct
export many=$tmp/many/many
before=$(asked)
check_sh "small files are looked up, opened and read one after the other" \
	'for i in {1..40}; do test "$(cat $many/$i)" = "file $i" || exit; done'
count=$(($(asked) - before))
echo "$count requests for 40 files"
# Two for the first few, and some for the directory.
check "in one request each" test "$count" -le 50
check_sh "the next is only looked at" 'test $(stat -c %s $many/41) = 8'
check "and open already" lease_is many/41 RWH
check_sh "what another client makes of it is what is read then" \
	'echo other >$two/many/41; test "$(cat $many/41)" = other'
check_sh "four more, and one that is only looked at" \
	'cat $many/4{2..6} >/dev/null; stat $many/47 >/dev/null'
check_sh "who only looks" 'stat $many/{48,49,50,51,52,53,54,55,56,57,58,59,60} >/dev/null'
check "has one opened too many" lease_is many/47 RWH
check "and none of the others" test -z "$(for i in {48..60}; do leases_of "many/$i"; done)"
mkdir "$smbd_export/many/folder"
check_sh "what is no file of its own is found as well among such files" '
	ln -s 60 $many/link; sync $many; cat $many/{1..6} >/dev/null
	test "$(cat $many/link)" = "file 60"; cat $many/{7..12} >/dev/null
	test -d $many/folder; cat $many/{13..18} >/dev/null; ! test -e $many/nothing
	test "$(cat $many/19)" = "file 19"'
check_sh "another client removes one" 'stat $many/20 >/dev/null; rm $two/many/20'
check "and it is gone" wait_for "$patience" bash -c '! test -e "$many/20"'
# One program, so that nothing else is looked at meanwhile.
cat >"$tmp/make.py" <<'MAKE'
import os, sys
what, new = sys.argv[1:3]
told = lambda path: os.stat(path).st_mtime_ns // 100  # as the server counts
for i in range(200):
    path = f"{new}/made-{i}"
    if what == "remove":
        os.unlink(path)
    else:
        with open(path, "w", encoding="ascii") as file:
            file.write("made")
    if what == "watch":
        assert told(new) == told(sys.argv[3]), i
MAKE
mkdir "$many/new" "$many/newer"
# WHAT, most requests for 200 files, most of them that are waited for because of names.
while read -r what most most_names; do
	before=$(asked)
	names=$(counter "$tmp/many" name_requests)
	check "$what small files" python3 "$tmp/make.py" "$what" "$many/new"
	count=$(($(asked) - before))
	names=$(($(counter "$tmp/many" name_requests) - names))
	echo "$count requests, $names of them waited for because of names, to $what 200 files"
	# Made, written, and the directory with the first of them; or looked up, closed,
	# removed, and the directory.
	check "in so many requests" test "$count" -le "$most"
	check "and few are waited for" test "$names" -le "$most_names"
done <<'MOST'
make 700 250
remove 900 430
MOST
check "each change is seen at once in the time of its directory" \
	python3 "$tmp/make.py" watch "$many/newer" "$smbd_export/many/newer"
# race.py FOLDER: who makes a name that nobody else has made yet.
cat >"$tmp/race.py" <<'RACE'
import os, sys
for i in range(300):
    try:
        os.close(os.open(f"{sys.argv[1]}/{i}", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        print(i)
    except FileExistsError:
        pass
RACE
mkdir "$many/race"
export tmp
check_sh "of two mounts that make the same names each gets every one that the other does not" '
	python3 $tmp/race.py $many/race >$tmp/first & first=$!
	python3 $tmp/race.py $two/many/race >$tmp/second; wait $first
	test "$(sort -n $tmp/first $tmp/second)" = "$(seq 0 299)"'
check_umount "$tmp/many" "$many_pid"
# What is on the disk does not come along once more.
for when in first again; do
	smbd_port=$relay_port
	mount_smb "$tmp/many" "nonotify,cachedir=$tmp/disk"
	smbd_port=$direct
	before=$(asked)
	check_sh "small files are read, with a disk cache, $when" \
		'for i in {1..19} {21..40}; do test "$(cat $many/$i)" = "file $i" || exit; done'
	count=$(($(asked) - before))
	echo "$count requests for 39 files, $when"
	kept=$(counter "$tmp/many" cache_read_slices)
	check_umount "$tmp/many" "$mount_pid"
done
check "in one request each" test "$count" -le 50
check "out of the disk cache" test "$kept" = 39

# ------------------------------------------------------- breaks and dirt

for round in 1 2 3; do
	head -c $((20 << 20)) /dev/urandom >"$tmp/big"
	exec 8<>"$one/big.$round"
	cat "$tmp/big" >&8
	check "20 MiB that were not sent are all there for who opens next, round $round" bash -c '
		timeout 60 smbclient -s "$1/smb.conf" -p "$2" -A "$3" //127.0.0.1/share \
			-c "get big.$5 $4/got" && cmp "$4/big" "$4/got"' - \
		"$smbd_dir" "$direct" "$smbd_login" "$tmp" "$round"
	exec 8>&-
	exec 8<>"$one/big.$round"
	head -c $((20 << 20)) /dev/urandom >"$tmp/big"
	cat "$tmp/big" >&8
	check "and for another mount" cmp "$tmp/big" "$two/big.$round"
	exec 8>&-
	rm "$one/big.$round"
done

# What is asked for by name does not get in the way of what is open.
check_sh "truncate, rename and unlink by name of an open file" '
	exec 7<>$one/named; echo 0123456789 >&7
	timeout 10 truncate -s 4 $one/named; timeout 10 mv $one/named $one/renamed
	test "$(cat $two/renamed)" = 0123; timeout 10 rm $one/renamed; test ! -e $one/renamed'

echo x >"$one/theirs"
exec 7<>"$one/theirs" 6<"$two/theirs"
check_sh "rename and unlink of what is open on both mounts" '
	timeout 60 mv $one/theirs $one/moved; test "$(cat $two/moved)" = x
	timeout 60 rm $one/moved; test ! -e $one/moved'
exec 7>&- 6<&-

# --------------------------------------------------------- durable handles

echo before >"$one/kept"
exec 8<>"$one/kept"
cat <&8 >/dev/null
cat <&8 >/dev/null
check "a file is open when the connection goes" lease_is kept RWH
since=$(opened_at kept)
cut_relay
check "the server only remembers it" wait_for "$patience" lease_is kept ""
moment_of_server
run_relay
check "when the connection is back the lease is back, unasked" \
	wait_for "$patience" lease_is kept RWH
check "of the file that was opened before, not of a new one" test "$(opened_at kept)" = "$since"
check "it can be written to" timeout 60 bash -c 'echo after >&8'
check_sh "and what was written is at the server" \
	'timeout 60 sync $one/kept; test "$(cat $two/kept)" = "$(printf "before\nafter")"'
exec 8>&-
cut_relay
run_relay
check_sh "what was closed is nowhere open: it can go" \
	'chmod 644 $one/kept; rm $one/kept; test ! -e $one/kept'

# -------------------------------------------------------------- coherency

put=(smbclient -s "$smbd_dir/smb.conf" -p "$direct" -A "$smbd_login" //127.0.0.1/share)
cat >"$tmp/put" <<PUT
#!/bin/bash
exec $(printf '%q ' "${put[@]}") -c "put \$1 \$2"
PUT
chmod +x "$tmp/put"
check "two mounts: nobody sees old or mixed bytes" timeout 300 \
	python3 "$here/coherent.py" 1 "${COHERENT_ROUNDS:-400}" mounts "$one" "$two"
tail -n 1 "$tmp/check.out"
check "two mounts and smbclient: nobody sees old or mixed bytes" timeout 300 \
	python3 "$here/coherent.py" 2 100 three "$one" "$two" -- "$tmp/put"
tail -n 1 "$tmp/check.out"
breaks=$(($(counter "$one" recalls) + $(counter "$two" recalls)))
echo "$breaks leases were given back"
check "leases were given back all the time" test "$breaks" -gt 100
check_umount "$one" "$one_pid"
check_umount "$two" "$two_pid"

# Samba seals no break, not even of a sealed session.
mount_smb "$tmp/sealed-one" seal,actimeo=0
one_pid=$mount_pid
mount_smb "$tmp/sealed-two" seal,actimeo=0
two_pid=$mount_pid
check "two sealed mounts: nobody sees old or mixed bytes" timeout 300 \
	python3 "$here/coherent.py" 3 40 mounts "$tmp/sealed-one" "$tmp/sealed-two"
breaks=$(($(counter "$tmp/sealed-one" recalls) + $(counter "$tmp/sealed-two" recalls)))
check "leases were given back" test "$breaks" -gt 4
lost=$(($(counter "$tmp/sealed-one" reconnects) + $(counter "$tmp/sealed-two" reconnects)))
check "and no session was lost for that" test "$lost" = 0
check_umount "$tmp/sealed-one" "$one_pid"
check_umount "$tmp/sealed-two" "$two_pid"
