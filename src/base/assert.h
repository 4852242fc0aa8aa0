/* SPDX-License-Identifier: MIT */
/*
 * Assertions for our own mistakes, never for what a peer, a disk or a user
 * sent.  They stay on in release builds.
 */
#ifndef BASE_ASSERT_H
#define BASE_ASSERT_H

/* Prints where and what to standard error, then aborts. */
_Noreturn void netfs_assert_failed(const char *expr, const char *file, int line, const char *func);

#define netfs_assert(expr)                                                                         \
	do {                                                                                       \
		if (__builtin_expect(!(expr), 0))                                                  \
			netfs_assert_failed(#expr, __FILE__, __LINE__, __func__);                  \
	} while (0)

#endif
