/* SPDX-License-Identifier: MIT */
/*
 * The asking end of a control socket.  Every wait has a limit where the caller
 * gives one: a mount that does not answer must not hang the program.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "cli.h"
#include "contact.h"

int netfs_cli_contact_open(const char *socket_path, const char *request,
			   struct netfs_cli_contact *ret_contact)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct ucred peer = {0};
	socklen_t size = sizeof(peer);
	char line[64];
	int n, err = 0, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
	n = snprintf(line, sizeof(line), "%s\n", request);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ||
	    send(fd, line, (size_t)n, MSG_NOSIGNAL) != n)
		err = -errno;
	if (err < 0) {
		close(fd);
		return err;
	}
	ret_contact->fd = fd;
	ret_contact->pid = peer.pid;
	ret_contact->used = 0;
	return 0;
}

/* Hands out the first line of the buffer, or all of it when it is full. */
static bool take_line(struct netfs_cli_contact *contact, char *line, size_t size)
{
	char *end = memchr(contact->buf, '\n', contact->used);
	size_t n, eaten;

	if (!end && contact->used < sizeof(contact->buf))
		return false;
	n = end ? (size_t)(end - contact->buf) : contact->used;
	eaten = end ? n + 1 : n;
	if (n >= size)
		n = size - 1;
	memcpy(line, contact->buf, n);
	line[n] = '\0';
	contact->used -= eaten;
	memmove(contact->buf, contact->buf + eaten, contact->used);
	return true;
}

int netfs_cli_contact_line(struct netfs_cli_contact *contact, char *line, size_t size,
			   int timeout_ms)
{
	uint64_t until = netfs_cli_now_ms() + (timeout_ms < 0 ? 0 : (uint64_t)timeout_ms);
	struct pollfd pollfd = {.fd = contact->fd, .events = POLLIN};

	while (!take_line(contact, line, size)) {
		uint64_t now = netfs_cli_now_ms();
		int wait = timeout_ms < 0 ? -1 : until > now ? (int)(until - now) : 0;
		ssize_t n = poll(&pollfd, 1, wait);

		if (n == 0)
			return -ETIMEDOUT;
		if (n > 0)
			n = recv(contact->fd, contact->buf + contact->used,
				 sizeof(contact->buf) - contact->used, 0);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return 0;
		if (n > 0)
			contact->used += (size_t)n;
	}
	return 1;
}

void netfs_cli_contact_close(struct netfs_cli_contact *contact)
{
	close(contact->fd);
	contact->fd = -1;
}
