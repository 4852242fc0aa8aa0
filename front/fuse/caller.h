/* SPDX-License-Identifier: MIT */
/* Whether the thread that waits for an answer is about to die. */
#ifndef FUSE_CALLER_H
#define FUSE_CALLER_H

#include <stdbool.h>
#include <sys/types.h>

/* The same of the text of its /proc/TID/status; bounded by its end. */
bool netfs_caller_text_dying(const char *text);
/*
 * Is thread tid gone, or does a signal wait for it that will end it: SIGKILL,
 * or one that ends processes and is neither handled, ignored nor blocked?
 * A thread that cannot be seen (tid 0: another pid namespace) counts as dying,
 * so that it can be killed.  Reads /proc; does not block.
 */
bool netfs_caller_dying(pid_t tid);

#endif
