/* SPDX-License-Identifier: MIT */
/*
 * Assertions for our own mistakes, never for what a peer, a disk or a user
 * sent.  They stay on in release builds.
 */
#ifndef BASE_ASSERT_H
#define BASE_ASSERT_H

/* Says what was wrong and where, has the hook say more, then aborts. */
_Noreturn void netfs_assert_failed(const char *expr, const char *file, int line, const char *func);

#define netfs_assert(expr)                                                                         \
	do {                                                                                       \
		if (__builtin_expect(!(expr), 0))                                                  \
			netfs_assert_failed(#expr, __FILE__, __LINE__, __func__);                  \
	} while (0)

/*
 * What else is to be said before the end; once, by netfs_last_words().  The
 * caller of fn may hold any lock, so it takes none and allocates nothing.
 * Any thread.  NULL: nothing.
 */
void netfs_assert_hook(void (*fn)(void));
/* Says one line of last words on standard error, and to the function set. */
void netfs_last_words(const char *line);
/* Where they go besides standard error, for a program without one.  The
 * function is called as the hook is. */
void netfs_last_words_to(void (*fn)(const char *line));

#endif
