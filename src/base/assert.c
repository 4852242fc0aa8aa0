/* SPDX-License-Identifier: MIT */
/*
 * The end of a program that noticed its own mistake.  One line on standard
 * error, then abort(), so that a core dump shows the stack that was wrong.
 * Nothing here allocates or takes a lock of ours: the caller may hold any.
 */
#include <stdio.h>
#include <stdlib.h>
#include <base/assert.h>

_Noreturn void netfs_assert_failed(const char *expr, const char *file, int line, const char *func)
{
	fprintf(stderr, "unetfs: assertion failed: %s (%s:%d, %s)\n", expr, file, line, func);
	fflush(stderr);
	abort();
}
