/* SPDX-License-Identifier: MIT */
/*
 * A 9P2000.L server in the simulated world, over the tree of tree.h.  It is
 * correct where the faults leave it alone, and strict: a request that breaks
 * the protocol is remembered as the client's violation and fails the run.
 */
#ifndef TESTS_SIM_SERVER_9P_H
#define TESTS_SIM_SERVER_9P_H

#include <base/list.h>
#include <env/socket.h>
#include <env/timer.h>
#include "faults.h"
#include "tree.h"
#include "wire9.h"

#define FIDS_MAX    512
#define SERVER_HOST "server"
#define SERVER_PORT "564"

struct fid9 {
	uint32_t number; /* NO_FID: free */
	struct node *node;
	bool open;
	uint32_t flags; /* of the open */
};

struct conn9 {
	struct netfs_list link; /* in the server's living or dead */
	struct server9 *server;
	struct netfs_socket *socket; /* NULL: the connection is over */
	struct netfs_task readable;
	struct netfs_task writable;
	struct netfs_timer doom; /* cuts it after a reply was lost */
	struct netfs_task doom_task;
	struct netfs_list requests;
	struct fid9 fids[FIDS_MAX];
	uint32_t msize; /* 0 before Tversion */
	uint8_t *in; /* a frame that is not complete yet */
	size_t in_len;
	uint8_t *out; /* replies not yet taken by the network */
	size_t out_len;
	size_t out_room;
	bool cut_when_sent;
};

/* A request that was received and is not answered. */
struct request9 {
	struct netfs_list link; /* of its connection */
	struct server9 *server;
	struct conn9 *conn; /* NULL: over, only waits for its task */
	struct netfs_timer timer;
	struct netfs_task task;
	uint8_t type;
	uint16_t tag;
	bool executed;
	bool lost; /* the reply will not be sent */
	struct out9 reply;
	size_t len; /* of body */
	uint8_t body[];
};

struct server9_config {
	enum server_defect defect;
	uint32_t msize_max;
	bool no_renameat; /* answers EOPNOTSUPP, as old servers do */
	bool no_unlinkat;
	bool iounit_zero;
};

/* A byte-range lock that somebody holds. */
struct lock9 {
	struct netfs_list link;
	const struct node *node;
	const struct conn9 *conn; /* it ends with the fid it was set through */
	uint32_t fid;
	bool write;
	uint64_t start;
	uint64_t end;
	uint32_t proc_id; /* of the owner, with client_id */
	char client_id[64];
};

struct server9 {
	struct tree tree;
	struct netfs_list locks;
	struct faults *faults;
	struct server9_config config;
	struct netfs_list conns;
	struct netfs_list dead; /* freed at the end: tasks may be queued */
	bool listening;
	uint64_t pending; /* living struct request9 */
	uint64_t requests; /* received so far */
	uint64_t fids_used; /* now, over all connections */
	uint64_t fids_left; /* most that a client had that hung up by itself */
	char violation[128]; /* the first one; "": none */
};

int server9_init(struct server9 *server, struct faults *faults,
		 const struct server9_config *config);
void server9_listen(struct server9 *server, bool on);
/* Ends all connections: their requests are executed now or never. */
void server9_drop_all(struct server9 *server);
/* Is there a connection that its client gave up and the server still hears?  Its
 * requests may yet be executed. */
bool server9_lingers(const struct server9 *server);
/* Nothing may be left of its connections' timers and tasks. */
void server9_done(struct server9 *server);
void server9_violation(struct server9 *server, const char *what);

/* Tflush: the request with this tag is answered now or never. */
void server9_flush(struct conn9 *conn, uint16_t tag);

/* server_9p_lock.c: Tlock and Tgetlock after their fid was taken off in.  0 or
 * a negative errno. */
int server9_lock(struct conn9 *conn, const struct fid9 *fid, struct in9 *in, struct out9 *out);
int server9_getlock(struct conn9 *conn, const struct fid9 *fid, struct in9 *in, struct out9 *out);
/* The locks set through it are gone. */
void server9_unlock_fid(struct conn9 *conn, uint32_t fid);
/* Does this owner hold a lock on node? */
bool server9_holds(const struct server9 *server, const struct node *node, uint32_t proc_id);

/* server_9p_ops.c: executes a request and writes its reply. */
void server9_execute(struct conn9 *conn, struct request9 *request);
struct fid9 *server9_fid(struct conn9 *conn, uint32_t number);
void server9_fids_clear(struct conn9 *conn);

#endif
