# SPDX-License-Identifier: MIT
#
# Words for the lines of shell in tests.  "bash -e" does not stop at what begins
# with "!", hence the first.

# fails COMMAND...: it must.
fails() {
	if "$@"; then
		echo "did not fail: $*"
		return 1
	fi
}

# settle PATH...: what was written there is at the server now.
settle() {
	find "$@" -type f -print0 | xargs -0 -r sync
}

# same_behind TREE BEHIND: the server has this tree.  With LINKS=files its links
# are files there, as xsym.py makes them.
same_behind() {
	local tree=$1
	if [ "${LINKS:-}" = files ]; then
		tree=$T/tree-as-files
		[ -d "$tree" ] || { cp -a "$1" "$tree"; python3 "$HERE/xsym.py" tree "$tree"; }
	fi
	diff -r --no-dereference "$tree" "$2"
}

# link_behind LINK TARGET: that link as the server has it.
link_behind() {
	if [ "${LINKS:-}" = files ]; then
		python3 "$HERE/xsym.py" check "$1" "$2"
	else
		test "$(readlink "$1")" = "$2"
	fi
}
