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
