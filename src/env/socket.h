/* SPDX-License-Identifier: MIT */
/*
 * Asynchronous stream sockets: TCP, unix, or a descriptor somebody gave us.
 *
 * Readiness, not completion: send and recv never block, move what they can,
 * and say -EAGAIN otherwise; after an -EAGAIN (and after connecting, and when
 * the peer goes) the task of that direction is posted once.
 */
#ifndef ENV_SOCKET_H
#define ENV_SOCKET_H

#include <stddef.h>
#include <sys/uio.h>
#include <env/executor.h>

struct netfs_socket;

enum netfs_socket_kind {
	NETFS_SOCKET_TCP, /* host, port */
	NETFS_SOCKET_UNIX, /* path */
	NETFS_SOCKET_FD, /* fds; 0 and 1 style pairs allowed */
};

struct netfs_socket_address {
	enum netfs_socket_kind kind;
	const char *host;
	const char *port; /* number or service name */
	const char *path;
	int rfd;
	int wfd;
};

/*
 * Starts connecting (names are resolved in the background).  address is copied.
 * readable and writable are tasks of the caller; both are posted when the
 * connection stands or failed, and never before *ret_socket is set.  -ENOMEM;
 * of NETFS_SOCKET_FD also why the descriptors cannot be used.  Descriptors
 * belong to the socket once this succeeded.  A name that cannot be resolved
 * ends in the status -EHOSTUNREACH.
 */
int netfs_socket_open(const struct netfs_socket_address *address, struct netfs_task *readable,
		      struct netfs_task *writable, struct netfs_socket **ret_socket);
/* 0 once connected, -EINPROGRESS before, else why not. */
int netfs_socket_status(struct netfs_socket *socket);
/* Bytes moved (> 0), 0 at the peer's end of stream (recv), or negative errno:
 * -EAGAIN, -ENOTCONN before the connection stands, -ECONNRESET ...
 * One caller per direction at a time. */
ssize_t netfs_socket_recv(struct netfs_socket *socket, const struct iovec *iov, unsigned niov);
ssize_t netfs_socket_send(struct netfs_socket *socket, const struct iovec *iov, unsigned niov);
/* Ends the connection and frees it.  Nobody may be inside send or recv.  The
 * tasks may still be queued from before.  NULL is allowed. */
void netfs_socket_close(struct netfs_socket *socket);
/* Makes the peer and both tasks notice an end, without freeing.  Any thread. */
void netfs_socket_shutdown(struct netfs_socket *socket);

#endif
