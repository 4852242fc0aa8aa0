/* SPDX-License-Identifier: MIT */
/*
 * Private to env/posix: a socket, shared by socket.c (moving bytes, ending)
 * and socket_connect.c (getting there).
 */
#ifndef ENV_POSIX_SOCKET_IMPL_H
#define ENV_POSIX_SOCKET_IMPL_H

#include <netdb.h>
#include <env/socket.h>
#include <env/posix/exec.h>

enum socket_state {
	SOCKET_RESOLVING, /* a job looks the name up, or connects a unix socket */
	SOCKET_CONNECTING, /* the descriptor waits for the peer's answer */
	SOCKET_UP, /* bytes can move, or have ended */
	SOCKET_FAILED, /* err says why there will be no connection */
	SOCKET_CLOSED, /* the owner has left; others may still let go */
};

/*
 * Freed with its last reference: the owner has one, and so has each job and
 * each queued connect task that will look at it.
 *
 * Legend: I set before anybody else sees it; a atomic; L guarded by lock; U as
 * L until the state is UP, unchanged from then until the owner closes.
 */
struct netfs_socket {
	_Atomic uint32_t refs;
	_Atomic uint32_t state; /* a: enum socket_state; written under lock */
	_Atomic int err; /* a: negative errno once FAILED */
	struct netfs_task *readable; /* I */
	struct netfs_task *writable; /* I */

	int rfd; /* U: -1 where there is none */
	int wfd; /* U: often the same as rfd */
	bool rfd_socket; /* U: it is a socket, not a pipe */
	bool wfd_socket; /* U */
	struct netfs_poll_source both; /* rfd, or rfd and wfd where they are one */
	struct netfs_poll_source writing; /* wfd where it is another */
	_Atomic bool want_read; /* a: the next edge posts readable */
	_Atomic bool drained; /* a: recv() took all, and no edge came since */
	_Atomic bool hung_up; /* a: the poller told of an end; drained means nothing */
	bool want_write; /* executor's lock: room is watched for, posts writable */
	_Atomic bool ended; /* a: shut down by us */

	pthread_mutex_t lock;
	struct addrinfo *addresses; /* L: all that the name stands for */
	struct addrinfo *next_address; /* L: the one to try next */
	_Atomic bool connect_posted; /* a: the connect task holds a reference */
	struct netfs_task connect;
	struct netfs_job resolve;
	char *host; /* I: copies of the address */
	char *port; /* I */
	char *path; /* I */
};

/* socket.c */
void netfs_socket_put(struct netfs_socket *socket);
/* Watches the descriptors.  Lock held.  0 or negative errno. */
int netfs_socket_watch_locked(struct netfs_socket *socket);
/* Stops watching and closes them.  Lock held. */
void netfs_socket_drop_fds_locked(struct netfs_socket *socket);
/* Both: lock held; post both tasks. */
void netfs_socket_up_locked(struct netfs_socket *socket);
void netfs_socket_fail_locked(struct netfs_socket *socket, int err);

/* socket_connect.c */
void netfs_socket_connect_init(struct netfs_socket *socket);
/* Posts the job that does the rest. */
void netfs_socket_connect_start(struct netfs_socket *socket);
/* The descriptor that is connecting has news.  Executor's lock held. */
void netfs_socket_connect_event(struct netfs_socket *socket);

#endif
