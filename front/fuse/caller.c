/* SPDX-License-Identifier: MIT */
/*
 * Reads /proc/TID/status.  The lines that matter are
 *
 *	State:	D (disk sleep)
 *	SigPnd:	0000000000000100      waits for this thread
 *	ShdPnd:	0000000000000000      waits for any thread of the process
 *	SigBlk, SigIgn, SigCgt        what it does with signals
 *
 * with bit n - 1 for signal n.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "caller.h"

#define BIT(signal) (UINT64_C(1) << ((signal)-1))

/* What these do by default is not to end the process. */
#define HARMLESS                                                                                   \
	(BIT(SIGCHLD) | BIT(SIGURG) | BIT(SIGWINCH) | BIT(SIGCONT) | BIT(SIGSTOP) | BIT(SIGTSTP) | \
	 BIT(SIGTTIN) | BIT(SIGTTOU))

/* What follows "\nname:" and its blanks; NULL: no such line. */
static const char *value_of(const char *text, const char *name)
{
	char label[16];

	snprintf(label, sizeof(label), "\n%s:", name);
	text = strstr(text, label);
	if (!text)
		return NULL;
	text += strlen(label);
	return text + strspn(text, " \t");
}

static uint64_t signals_of(const char *text, const char *name)
{
	const char *value = value_of(text, name);

	return value ? strtoull(value, NULL, 16) : 0;
}

bool netfs_caller_text_dying(const char *text)
{
	const char *state = value_of(text, "State");
	uint64_t waiting = signals_of(text, "SigPnd") | signals_of(text, "ShdPnd");
	uint64_t survived = signals_of(text, "SigBlk") | signals_of(text, "SigIgn") |
			    signals_of(text, "SigCgt") | HARMLESS;

	if (!state || *state == 'Z' || *state == 'X')
		return true;
	return (waiting & BIT(SIGKILL)) || (waiting & ~survived);
}

bool netfs_caller_dying(pid_t tid)
{
	char path[32], text[8192];
	size_t used = 0;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT;
	while ((n = read(fd, text + used, sizeof(text) - 1 - used)) > 0)
		used += (size_t)n;
	close(fd);
	text[used] = '\0';
	return netfs_caller_text_dying(text);
}
