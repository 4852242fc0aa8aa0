/* SPDX-License-Identifier: MIT */
/*
 * Secrets on the real machine.  Pages of their own, so that they can be kept
 * out of cores and swap without touching their neighbours.  No locks.
 */
#include <env/secret.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static size_t whole_pages(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (size + page - 1) / page * page;
}

void *netfs_secret_alloc(size_t size)
{
	void *secret = mmap(NULL, whole_pages(size), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (secret == MAP_FAILED)
		return NULL;
	/* Both are hardening: without them the key still works. */
	madvise(secret, whole_pages(size), MADV_DONTDUMP);
	mlock(secret, whole_pages(size));
	return secret;
}

void netfs_secret_free(void *secret, size_t size)
{
	if (!secret)
		return;
	explicit_bzero(secret, size);
	munmap(secret, whole_pages(size));
}

/* All that fd gives, up to the limit. */
static ssize_t read_all(int fd, uint8_t *buf)
{
	uint8_t more;
	size_t at = 0;

	for (;;) {
		bool full = at == NETFS_SECRET_MAX;
		ssize_t n = read(fd, full ? &more : buf + at, full ? 1 : NETFS_SECRET_MAX - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return (ssize_t)at;
		if (full)
			return -EFBIG;
		at += (size_t)n;
	}
}

ssize_t netfs_secret_from_file(const char *path, uint8_t *buf)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st))
		n = -errno;
	else if (S_ISREG(st.st_mode) && (st.st_mode & 077))
		n = -EPERM;
	else
		n = read_all(fd, buf);
	close(fd);
	return n;
}

/* Starts the command with its output in a pipe.  Its end, or a negative errno. */
static int start(const char *command, pid_t *ret_pid)
{
	char *argv[] = {(char *)"sh", (char *)"-c", (char *)(uintptr_t)command, NULL};
	posix_spawn_file_actions_t actions;
	int ends[2], err;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	err = posix_spawn_file_actions_init(&actions);
	if (!err) {
		err = posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
		if (!err)
			err = posix_spawn(ret_pid, "/bin/sh", &actions, NULL, argv, environ);
		posix_spawn_file_actions_destroy(&actions);
	}
	close(ends[1]);
	if (err) {
		close(ends[0]);
		return -err;
	}
	return ends[0];
}

ssize_t netfs_secret_from_command(const char *command, uint8_t *buf)
{
	int status = 0, fd;
	ssize_t n;
	pid_t pid;

	fd = start(command, &pid);
	if (fd < 0)
		return fd;
	n = read_all(fd, buf);
	close(fd);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (n < 0)
		return n;
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return -EPIPE;
	if (n > 0 && buf[n - 1] == '\n')
		n--;
	return n;
}

int netfs_secret_random(uint8_t *buf, size_t len)
{
	while (len) {
		ssize_t n = getrandom(buf, len, 0);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			buf += n;
			len -= (size_t)n;
		}
	}
	return 0;
}
