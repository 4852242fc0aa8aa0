/* SPDX-License-Identifier: MIT */
/*
 * An SMB 3.1.1 server in the simulated world, over the tree of tree.h and with the
 * codecs of the back end.  Like the 9P one it is correct where the faults leave it
 * alone, and strict: a request that breaks the protocol is remembered as the
 * client's violation.  Hostile, it is honest up to a drawn reply and lies from
 * then on.
 *
 * Frames are neither signed nor sealed; any token opens a session.
 */
#ifndef TESTS_SIM_SERVER_SMB_H
#define TESTS_SIM_SERVER_SMB_H

#include <backend/smb/smb_context.h>
#include <backend/smb/smb_fscc.h>
#include <backend/smb/smb_status.h>
#include <base/list.h>
#include <env/socket.h>
#include <env/timer.h>
#include "auth_sim.h"
#include "faults.h"
#include "server_smb_crypt.h"
#include "tree.h"

#define SMB_SERVER_HOST	   "server"
#define SMB_SERVER_PORT	   "445"
#define SMB_IO_MAX	   (1u << 20) /* bytes of one READ, WRITE or transaction */
#define SMB_CREDITS_MAX	   512u
#define SMB_WINDOW	   4096u /* message ids a connection remembers as used */
#define SMB_CHAIN_MAX	   8u /* requests of one compound */
#define SMB_BREAK_WAIT_NS  (UINT64_C(35) * NETFS_NS_PER_SEC)
#define SMB_FILE_LOCKS_MAX 64u
#define SMB_OLD_MAX	   4096u

struct smb_server;

/* A session, carried by one connection or several. */
struct session_smb {
	struct netfs_list link; /* of the server, until its end: requests may be left */
	uint64_t id;
	struct smb_guid client;
	struct crypt_smb crypt; /* of the connection that it was made by */
	uint32_t tree_id;
	bool sealing;
	bool over;
	unsigned channels; /* connections that carry it */
	uint8_t *nonces; /* a bit for each that came */
	uint64_t nonces_room; /* bits */
};

/* A lease; it lives as long as it has opens. */
struct lease_smb {
	struct netfs_list link; /* of the server */
	struct smb_guid client;
	struct smb_guid key;
	struct node *node;
	uint32_t state; /* enum smb_lease_state */
	uint32_t to; /* while breaking: what it breaks to */
	bool breaking;
	uint64_t since_ns; /* when the break was sent */
	uint16_t epoch;
	unsigned opens;
};

struct lock_smb {
	uint64_t start, length;
	bool exclusive;
};

/* An open file.  Durable ones stay when their connection goes. */
struct open_smb {
	struct netfs_list link; /* of the server */
	uint64_t id;
	struct session_smb *session; /* NULL: waits to be reclaimed */
	uint16_t sequence; /* of channels: the latest that was seen (3.3.5.2.10) */
	unsigned now, before; /* requests that are not done, of it and of earlier ones */
	struct smb_guid client;
	struct smb_guid create_guid;
	bool durable;
	uint32_t action; /* what its CREATE did */
	uint64_t away_ns; /* since when it waits to be reclaimed */
	struct node *node;
	struct node *dir; /* where its name is */
	char name[TREE_NAME_MAX + 1]; /* "": the share's root */
	uint32_t access, share;
	bool remove; /* at its close */
	bool doomed; /* it is closed when it is used */
	bool replayed; /* what made it was sent again */
	struct lease_smb *lease;
	uint64_t cookie; /* of the enumeration: the last entry that was told */
	unsigned dots; /* of "." and ".." told */
	struct lock_smb locks[SMB_FILE_LOCKS_MAX];
	unsigned nlocks;
	struct seen_smb *seen; /* heap: what is in the directory, as it was told; or NULL */
	unsigned nseen;
};

struct conn_smb {
	struct netfs_list link; /* in the server's living or dead */
	struct smb_server *server;
	struct netfs_socket *socket; /* NULL: over */
	struct netfs_task readable;
	struct netfs_task writable;
	struct netfs_timer doom; /* cuts it after a reply was lost */
	struct netfs_task doom_task;
	struct netfs_list requests;
	struct smb_guid client;
	enum {
		SMB_NEW,
		SMB_NEGOTIATED,
		SMB_READY
	} phase;
	uint64_t session_id; /* also before there is a session */
	struct session_smb *session; /* NULL: none yet; also of one that is over */
	struct session_smb *binding; /* it is to carry this one */
	uint64_t seen; /* the last nonce that came */
	uint8_t hash[CRYPT_SMB_HASH]; /* of the messages until there are keys */
	uint8_t challenge[AUTH_SIM_CHALLENGE];
	bool challenged;
	struct crypt_smb crypt; /* for signing; sealed is with the session's */
	bool keyed; /* crypt is good: requests must be signed */
	bool sealing; /* and sealed */
	uint64_t granted; /* message ids below this may be used */
	uint64_t low; /* ids below this are too old */
	uint8_t used[SMB_WINDOW]; /* by id modulo SMB_WINDOW */
	uint32_t held; /* credits the client has */
	uint8_t *in;
	size_t in_len;
	uint8_t *out;
	size_t out_len, out_room;
	bool cut_when_sent;
	uint8_t old[SMB_OLD_MAX]; /* a frame that went out, for a hostile server */
	size_t old_len;
};

/* What goes out. */
struct frame_smb {
	uint8_t *bytes;
	size_t len;
	size_t told; /* the length that stands before it */
};

/* A frame that was received and is not answered. */
struct request_smb {
	struct netfs_list link; /* of its connection */
	struct smb_server *server;
	struct conn_smb *conn; /* NULL: over, only waits for its task */
	struct netfs_timer timer;
	struct netfs_task task;
	uint64_t message_id; /* of its first message */
	uint64_t async_id; /* it was told to wait; 0: not */
	bool sealed; /* it came sealed, and its reply goes so */
	bool waits; /* for a lease, a lock or a change */
	bool idles; /* for a change, perhaps for ever: counts for server->idle */
	bool executed;
	bool cancelled;
	bool lost;
	bool late; /* its connection is gone, and it is executed all the same */
	uint64_t counted; /* id of the open that it counts for; 0: none */
	uint16_t sequence; /* of channels, of its first message */
	size_t at; /* the message to execute next */
	struct smb_fid fid; /* of the compound */
	uint32_t create_status; /* what the compound's CREATE came to */
	uint8_t *reply; /* frame without its length */
	size_t reply_len, reply_room, reply_last;
	size_t len;
	uint8_t body[];
};

struct smb_server_config {
	enum server_defect defect;
	uint32_t leases; /* enum smb_lease_state that it grants at most */
	bool durable;
	bool notify; /* it tells of changes in directories */
	uint32_t starve; /* grants no more credits than these at once; 0: as many as asked for */
	uint16_t signing; /* enum smb_signing; HMAC: says nothing of it, which is CMAC */
	uint16_t cipher; /* enum smb_cipher */
	bool seal_session; /* wants encryption, of everything */
	bool seal_share; /* or of its share only */
	uint32_t io_max; /* bytes of one READ or WRITE; 0: SMB_IO_MAX */
	unsigned addresses; /* that it tells, and has beside its name; 0: no multichannel */
	bool rss; /* they take more than one connection each */
	uint64_t hostile_after; /* replies; 0: never */
};

struct smb_server {
	struct tree tree;
	struct faults *faults;
	struct smb_server_config config;
	struct netfs_list conns;
	struct netfs_list dead; /* freed at the end: tasks may be queued */
	struct netfs_list opens;
	struct netfs_list leases;
	struct netfs_list sessions; /* also those that are over */
	bool listening;
	uint64_t last_id; /* of opens, sessions, async requests */
	uint64_t pending; /* living struct request_smb */
	uint64_t idle; /* of these, waiting for a change in a directory */
	uint64_t requests; /* messages received so far */
	uint64_t replies;
	uint64_t breaks; /* lease breaks sent */
	uint64_t in_the_way; /* opens nobody knows of that kept a file from being replaced */
	uint64_t opens_left; /* most that a client had that hung up by itself */
	char violation[128]; /* the first one; "": none */
};

/* One message being executed. */
struct call_smb {
	struct smb_server *server;
	struct conn_smb *conn;
	struct request_smb *request;
	struct smb_msg req;
	struct smb_msg rep; /* its kind is that of success */
	uint8_t *payload; /* SMB_IO_MAX bytes for what rep points to */
	bool wait; /* nothing was done; again when something changed */
};

int smb_server_init(struct smb_server *server, struct faults *faults,
		    const struct smb_server_config *config);
void smb_server_listen(struct smb_server *server, bool on);
/* Ends all connections: their requests are executed now or never. */
void smb_server_drop_all(struct smb_server *server);
/* Ends one of several connections, perhaps; false: none. */
bool smb_server_drop_one(struct smb_server *server);
/* Sessions, and connections that have none. */
unsigned smb_server_clients(const struct smb_server *server);
/* Is there a connection that its client gave up and the server still hears?  Its
 * requests may yet be executed. */
bool smb_server_lingers(const struct smb_server *server);
/* Does anybody hold a lock on node? */
bool smb_server_is_locked(const struct smb_server *server, const struct node *node);
/* Ends the connection: its requests are executed now or never. */
void smb_server_drop(struct conn_smb *conn);
/* Forgets opens that wait to be reclaimed, as a restart does. */
void smb_server_forget(struct smb_server *server);
/* After the executor has stopped: tasks of its connections may be queued before. */
void smb_server_done(struct smb_server *server);
void smb_server_violation(struct smb_server *server, const char *what);
/* A message of the server's own: a break. */
void smb_server_notify(struct conn_smb *conn, const struct smb_msg *msg);
/* Something changed that requests may wait for. */
void smb_server_retry(struct smb_server *server);
/* A connection of the client's, NULL: none. */
struct conn_smb *smb_server_conn_of(struct smb_server *server, const struct smb_guid *client);

/* server_smb_ops.c: executes a message; a status. */
uint32_t smb_server_execute(struct call_smb *call);

/* server_smb_session.c */
uint32_t smb_on_session_setup(struct call_smb *call);
uint32_t smb_on_logoff(struct call_smb *call);
/* The session of this id that is not over; NULL. */
struct session_smb *smb_session_find(struct smb_server *server, uint64_t id);
/* The connection goes, and with the last one its session. */
void smb_session_leave(struct conn_smb *conn);
void smb_sessions_done(struct smb_server *server);
/* A sealed frame came; its nonce must never have come before. */
void smb_session_nonce(struct conn_smb *conn, const uint8_t *frame);
/* The channel sequence of a frame of one message: SMB_STATUS_OK, and it counts until
 * smb_session_uncount(); or why it is not to be done. */
uint32_t smb_session_count(struct request_smb *request, const struct smb_msg *msg);
void smb_session_uncount(struct request_smb *request);

/* server_smb_file.c */
uint32_t smb_on_create(struct call_smb *call);
uint32_t smb_on_close(struct call_smb *call);
struct open_smb *smb_open_find(struct call_smb *call, const struct smb_fid *fid);
/* Where path (UTF-16, from the root) leads: its directory and its last name, "" for the
 * root itself. */
uint32_t smb_walk(struct call_smb *call, const struct smb_buf *path, struct node **ret_dir,
		  char name[TREE_NAME_MAX + 1]);
void smb_opens_detach(struct smb_server *server, struct session_smb *session);
/* Those nobody claimed in time are closed. */
void smb_opens_expire(struct smb_server *server);
void smb_open_close(struct smb_server *server, struct open_smb *open);
struct smb_times smb_times_of(const struct node *node);
uint32_t smb_attributes_of(const struct node *node);

/* server_smb_info.c */
uint32_t smb_on_query_directory(struct call_smb *call);
uint32_t smb_on_query_info(struct call_smb *call);
uint32_t smb_on_set_info(struct call_smb *call);

/* server_smb_lie.c: before a frame is signed or sealed, and after. */
void smb_lie_signed(struct conn_smb *conn, struct frame_smb *frame);
void smb_lie_on_the_way(struct conn_smb *conn, struct frame_smb *frame);
/* Somebody on the way keeps it. */
void smb_lie_remember(struct conn_smb *conn, const struct frame_smb *frame);

/* server_smb_watch.c */
uint32_t smb_on_change_notify(struct call_smb *call);

/* server_smb_ioctl.c */
uint32_t smb_on_ioctl(struct call_smb *call);

/* server_smb_lease.c: false: somebody has to give something back first, and was asked. */
bool smb_leases_yield(struct smb_server *server, struct node *node, const struct smb_guid *client,
		      const struct smb_guid *key, uint32_t keep);
/* Leases whose owner did not answer in time are gone. */
void smb_leases_expire(struct smb_server *server);
struct lease_smb *smb_lease_get(struct call_smb *call, struct node *node,
				struct smb_create_contexts *contexts);
void smb_lease_put(struct lease_smb *lease);
uint32_t smb_on_lease_ack(struct call_smb *call);

#endif
