/* SPDX-License-Identifier: MIT */
/*
 * The end of a program that noticed its own mistake.  One line, what the hook
 * has to say (the flight recorder), then abort(), so that a core dump shows
 * the stack that was wrong.  Nothing here allocates or takes a lock of ours:
 * the caller may hold any.
 *
 * The hook runs once: a mistake inside it, or on a second thread meanwhile,
 * ends the program without it.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <base/assert.h>

static void (*_Atomic hook)(void);
static void (*_Atomic listener)(const char *line);

void netfs_assert_hook(void (*fn)(void))
{
	atomic_store(&hook, fn);
}

void netfs_last_words_to(void (*fn)(const char *line))
{
	atomic_store(&listener, fn);
}

void netfs_last_words(const char *line)
{
	void (*fn)(const char *line) = atomic_load(&listener);

	fprintf(stderr, "unetfs: %s\n", line);
	if (fn)
		fn(line);
}

_Noreturn void netfs_assert_failed(const char *expr, const char *file, int line, const char *func)
{
	void (*fn)(void) = atomic_exchange(&hook, NULL);
	char text[512];

	snprintf(text, sizeof(text), "assertion failed: %s (%s:%d, %s)", expr, file, line, func);
	netfs_last_words(text);
	if (fn)
		fn();
	fflush(stderr);
	abort();
}
