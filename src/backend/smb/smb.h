/* SPDX-License-Identifier: MIT */
/*
 * What the files of the SMB back end share, apart from the messages (smb_pdu.h).
 *
 *	smb.c          the operations table
 *	smb_config.c   source and options to a connection
 *	smb_conn.c     life of the mount's session: connect, disconnect, time of calls, end
 *	smb_channel.c  life of a connection: connect, lose, back off, time out
 *	smb_multi.c    how many of them there are, and where to
 *	smb_hello.c    NEGOTIATE, SESSION_SETUP, TREE_CONNECT
 *	smb_req.c      message ids, credits, send queue, CANCEL
 *	smb_send.c     signing and sealing, and into the socket
 *	smb_recv.c     frames, verification, replies
 *	smb_call.c     operations of several requests, waiting and starting again
 *	smb_node.c     nodes, their paths and attributes
 *	smb_owner.c    owner and mode in a file's security descriptor
 *	smb_handle.c   open files, opening them again
 *	smb_idle.c     files that stay open for a while
 *	smb_head.c     the first bytes of a small file, brought along by its open
 *	smb_ahead.c    files that are opened as they are looked up
 *	smb_lock.c     byte ranges locked at the server
 *	smb_watch.c    directories whose changes the server tells
 *	smb_break.c    leases, and giving them back (the rules: smb_lease_rule.c)
 *	smb_name.c smb_make.c smb_attr.c smb_xattr.c smb_dir.c smb_io.c smb_range.c
 *	               the operations
 *
 * struct smb_conn is the mount: its session at the server, and what belongs to that.
 * struct smb_channel is a TCP connection that carries it, with credits and message ids.
 *
 * Locks: conn->lock (NETFS_RANK_BACKEND) guards ids, credits, nodes' places, handles,
 * calls, and the queues of what is to be sent; chan->send_lock
 * (NETFS_RANK_BACKEND_SEND), taken before it or alone, is held by who signs, seals and
 * gives bytes to the socket (which never blocks), and guards the socket pointer.  One
 * task per channel (chan->task) owns the socket's life and everything that is received;
 * conn->task has the time of calls, leases and idle files, and the end.  Nothing is
 * called upwards with a lock held.
 *
 * Letters: I set before publication, c conn->lock, s chan->send_lock, o only the
 * channel's task, t only conn->task, a atomic, p whoever runs the call at that moment
 * (one at a time).
 */
#ifndef SMB_H
#define SMB_H

#include <errno.h>
#include <unetfs/backend.h>
#include <auth/auth.h>
#include <base/assert.h>
#include <base/list.h>
#include <env/alloc.h>
#include <env/clock.h>
#include <env/executor.h>
#include <env/lock.h>
#include <env/socket.h>
#include <env/timer.h>
#include "smb_context.h"
#include "smb_crypt.h"
#include "smb_fscc.h"
#include "smb_fsctl.h"
#include "smb_lease.h"
#include "smb_pdu.h"
#include "smb_status.h"
#include "smb_utf16.h"

#define SMB_PARTS_MAX	 4u /* messages of one compound */
#define SMB_PREFIX	 4u /* length before each frame (2.1) */
#define SMB_IO_MAX	 (8u << 20) /* bytes of one read or write at most */
#define SMB_CREDIT_BYTES 65536u /* that one credit pays for (3.1.5.2) */
#define SMB_CREDITS_WANT 512u /* held at most; what the window may be */
#define SMB_CREDITS_MAX	 8192u /* believed at most */
#define SMB_CREDITS_KEEP 8u /* slices leave these to everything else */
#define SMB_REPLY_MAX	 (2u << 20) /* longest reply apart from READ data */
#define SMB_LISTING	 (1u << 20) /* bytes of a directory asked for at once */
#define SMB_BUCKETS	 256u
#define SMB_IOV_MAX	 64u /* pieces per send or receive */
#define SMB_STAGE	 65536u
#define SMB_AHEAD_AFTER	 4u /* files looked up and read, before the next is opened ahead */
#define SMB_IDLE_MAX	 1024u /* files that stay open though nobody uses them */
#define SMB_PARENT_AFTER 2u /* changes in a directory before it is asked for with the next */
#define SMB_WATCHES_MAX	 128u /* directories whose changes the server tells */
#define SMB_HELD_MAX	 1024u /* ranges locked through one handle */
#define SMB_PATH_MAX	 32767u /* UTF-16 code units of a path */
#define SMB_RESTARTS_MAX 8u
#define SMB_CHANNELS_MAX 16u
#define SMB_HELD_UP_MAX	 100u /* tries of what an earlier channel's request holds up */

#define SMB_READING                                                                                \
	(SMB_ACCESS_READ_DATA | SMB_ACCESS_READ_ATTRIBUTES | SMB_ACCESS_READ_EA |                  \
	 SMB_ACCESS_READ_CONTROL | SMB_ACCESS_SYNCHRONIZE)

#define SMB_CONNECT_NS (20 * NETFS_NS_PER_SEC)
/* For one more channel: a Samba whose old process just ends may never answer. */
#define SMB_BIND_NS   (5 * NETFS_NS_PER_SEC)
#define SMB_CANCEL_NS (5 * NETFS_NS_PER_SEC)
#define SMB_AGAIN_NS  (100 * NETFS_NS_PER_MS) /* without memory to send */
#define SMB_RECALL_NS (25 * NETFS_NS_PER_SEC) /* servers take a lease after 30 or 35 s */
#define SMB_IDLE_NS   (10 * NETFS_NS_PER_SEC)
/* Samba's other processes hear of a watch a little later than we of its acceptance. */
#define SMB_WATCH_SETTLE_NS (NETFS_NS_PER_SEC / 2)
#define SMB_WATCH_UNUSED_NS (60 * NETFS_NS_PER_SEC) /* then it ends */
#define SMB_WATCH_TRY_NS    (30 * NETFS_NS_PER_SEC) /* one that ended is not asked for again */
#define SMB_WATCH_BUSY	    32u /* notices in a second: more are not worth it */
#define SMB_BACKOFF_MIN_NS  (100 * NETFS_NS_PER_MS)
#define SMB_BACKOFF_MAX_NS  (5 * NETFS_NS_PER_SEC)
#define SMB_BINDING_MAX_NS  (60 * NETFS_NS_PER_SEC) /* of a channel that is not the only one */
#define SMB_ECHO_DEFAULT    60u /* seconds; a silent server is dead after two */

struct smb_conn;
struct smb_channel;
struct smb_call;
struct smb_recall;
struct smb_watch;
struct smb_also;

/* ------------------------------------------------------------ requests */

enum smb_end {
	SMB_ANSWERED, /* every part has its reply */
	SMB_LOST, /* the connection went; req->sent: it may have been executed */
};

/* One message of a request, and its reply. */
struct smb_part {
	struct netfs_list link; /* c chan->ids, by message id */
	struct smb_req *req; /* I */
	uint64_t mid; /* c */
	uint64_t async_id; /* c 0: no interim reply yet; else it counts for chan->pending */
	uint16_t command; /* I */
	uint16_t charge; /* I credits */
	uint32_t at; /* I where it begins in req->head */
	uint32_t len; /* I without data and padding */
	bool aside; /* I asks for owner and mode: may fail without harm to the rest */
	bool waiting; /* c in chan->ids */
	uint32_t status; /* p of the reply */
	uint8_t *bytes; /* p the reply, heap, until the request is done with */
	size_t bytes_len; /* p */
	struct smb_msg reply; /* p decoded; points into bytes */
};

/*
 * Up to SMB_PARTS_MAX related messages in one frame.  Lives inside a call or the
 * channel, which must outlive it; it is the channel's from smb_req_send()
 * to done().
 */
struct smb_req {
	/* c chan->small or large while there are no credits, then chan->queue; s chan->out */
	struct netfs_list link;
	struct smb_channel *chan; /* c that it goes, or went, by */
	uint8_t *head; /* p prefix and messages, heap */
	uint32_t head_len, head_room; /* p */
	struct smb_part part[SMB_PARTS_MAX];
	uint32_t nparts; /* I */
	uint32_t left; /* c parts without a reply */
	uint32_t charge; /* I of all parts */
	bool urgent; /* I may use the credits that are kept back */
	bool in_flight; /* c between send and end */
	uint16_t sequence; /* c conn->sequence when it got its ids */
	bool queued; /* c waits for credits */
	bool sent; /* c written with s: all of it went into the socket */
	bool cancelled; /* c a CANCEL is out */
	const struct iovec *data; /* I payload of the last part: WRITE */
	unsigned ndata; /* I */
	size_t data_len; /* I */
	const struct iovec *into; /* I where the data of READ goes, or NULL */
	unsigned ninto; /* I */
	size_t into_len; /* I most bytes a READ may bring */
	size_t got; /* p bytes of it that came */
	size_t frame_len; /* s bytes on the wire, in chan->out */
	size_t frame_done; /* s bytes the socket took */
	/* The server has taken it and will answer later; NULL: of no interest.  On the
	 * channel's task, as the next, before that. */
	void (*pending)(struct smb_req *req);
	/* Last use of the request by the channel, on its task.  No lock held. */
	void (*done)(struct smb_req *req, enum smb_end end);
};

/* ------------------------------------------------------------ nodes, handles */

/* A name of an object. */
struct smb_place {
	struct smb_node *parent; /* a reference */
	char *name;
};

/* What a security descriptor said last. */
struct smb_owner {
	bool known;
	uint32_t uid, gid; /* those of the mount where it has none for this machine */
	uint32_t mode; /* 07777 at most */
};

/* An object by its name in its directory; the root has neither. */
struct smb_node {
	struct netfs_node base;
	struct netfs_list link; /* c conn->nodes, by file id */
	uint64_t file_id; /* I */
	uint64_t born; /* I FILETIME, with file_id its identity for those above */
	uint64_t born_seen; /* c as the server told it last */
	struct smb_node *parent; /* c a reference; NULL: the root, or lost its name */
	char *name; /* c */
	struct smb_place spare; /* c of a file: another name it had, or has */
	bool is_dir; /* I */
	bool is_root; /* I */
	bool is_link; /* I a symbolic link inside a file */
	struct smb_lease lease; /* c its state while leased > 0 */
	uint32_t leased; /* c open handles that count for it */
	uint32_t locked; /* c ranges locked through its handles */
	uint32_t writes; /* c changes of its data that we began; wraps */
	uint32_t handles; /* c open ones */
	/* c of a directory: the file that was looked up in it last, unless it was opened
	 * since, 0: none; and how many in a row were opened to be read as a whole */
	uint64_t looked_up;
	uint32_t opened_next;
	struct netfs_list lease_link; /* c conn->leases, while leased > 0 */
	struct smb_recall *recall; /* c the server wants some of it back */
	uint64_t unwatched_until_ns; /* c of a directory: no new watch before */
	uint64_t changed_ns; /* c of a directory: when we changed a name in it last */
	uint32_t changes; /* c that followed each other until then */
	struct smb_owner owner; /* c */
};

/* A range that the server has locked for a handle. */
struct smb_held {
	uint64_t start, end; /* as on the wire: what flock(2) locks is one byte */
	uint64_t owner;
	bool flock, exclusive;
};

/* The first bytes of a file as they were when it was opened (smb_head.c). */
struct smb_head {
	uint8_t *bytes; /* c heap: the reply they came in; NULL: none */
	const uint8_t *data; /* c in it */
	uint32_t len; /* c */
	bool whole; /* c the file ends there */
	uint32_t promise; /* c node->promise they were read under */
	uint32_t writes; /* c node->writes when they were asked for */
};

/* The entries of a directory as they were when reading it began. */
struct smb_listing {
	uint8_t *bytes; /* heap: entries, each as struct smb_listed and a name */
	size_t len, room;
	uint64_t count;
	bool whole;
};

struct smb_handle {
	struct netfs_handle base;
	struct netfs_list link; /* c conn->handles, then conn->going */
	struct smb_node *node; /* I a reference */
	uint32_t access; /* I of CREATE */
	uint32_t options; /* I */
	struct smb_fid fid; /* c */
	uint64_t session; /* c conn->session it was opened in */
	bool reopening; /* c a call is at it; others wait in: */
	struct netfs_list waiting; /* c calls by park */
	int err; /* c it could not be opened again: for good */
	bool leased; /* c counts for node->leased */
	struct netfs_list idle_link; /* c conn->idle, while nobody uses it */
	uint64_t idle_until_ns; /* c */
	bool goes; /* c it was idle long enough, and is closed with its last reference */
	struct smb_held *held; /* c heap: what is locked through it */
	uint32_t nheld, held_room; /* c */
	bool durable; /* c the server keeps it when the connection goes */
	uint64_t claimed; /* c the session in which that was tried last */
	bool replay; /* c a change through it was lost: the server may be at it still */
	struct smb_guid create_guid; /* c by which it is claimed then */
	struct smb_listing listing; /* p one readdir at a time, see smb_dir.c */
	struct smb_head head; /* c */
};

/* ------------------------------------------------------------ calls */

typedef void smb_step_fn(struct smb_call *call);

#define SMB_CALL_NODES 3

/*
 * One operation or slice in flight: a chain of requests, each with the step that
 * follows it.  Makes its handle current, then runs body.  When the connection goes
 * it waits in conn->parked and starts again from the top.
 */
struct smb_call {
	struct smb_req req;
	struct smb_conn *conn; /* I */
	struct netfs_list all; /* c conn->calls */
	struct netfs_list park; /* c conn->parked or handle->waiting */
	/* In a word of their own: others are read as a whole, without the lock. */
	bool parked; /* c */
	bool cancelled; /* c */
	struct netfs_op *op; /* I one of the two, or neither for our own */
	struct netfs_slice *slice; /* I */
	uint64_t deadline_ns; /* I 0: waits for ever */
	bool changing; /* p the request in flight changes something */
	bool resent; /* p an earlier try may have made the change */
	bool stale; /* p req is done with: the next message begins a new one */
	smb_step_fn *body; /* I */
	smb_step_fn *next; /* p after the replies */
	smb_step_fn *end; /* I told the result in err, for calls without op; or NULL */
	int err; /* p of the first part that failed */
	uint32_t failed; /* p which */
	uint32_t restarts; /* p */
	uint32_t held_up; /* p times that the server was still at an earlier request */
	uint64_t moves; /* p conn->moves at the start */
	struct smb_node *node[SMB_CALL_NODES]; /* I caller's references */
	struct smb_handle *handle; /* I */

	/* Arguments and scratch of the operation. */
	const char *name, *name2;
	const struct netfs_setattr *set;
	const void *value; /* of an extended attribute; its length is len */
	uint32_t flags, mode;
	uint64_t cookie, start, len;
	struct smb_handle *opening; /* p what becomes op->handle */
	bool is_dir; /* p */
	uint64_t moved; /* p */
	unsigned index; /* p */
	uint32_t attributes; /* p */
	uint32_t writes; /* p node->writes at the start */
	uint8_t *buf; /* p heap, freed at the end */
	uint32_t count; /* p bytes in it */
	char *new_name; /* p a copy of name2 for the node that gets it */
	struct smb_node *opening_node; /* p a reference, of our own calls */
	struct smb_handle *routed; /* I a reference: handle is another one than asked */

	const struct netfs_lock *lock; /* I */
	struct smb_held cut[SMB_LOCKS_MAX]; /* p what it takes apart */
	uint32_t ncut; /* p */

	/* The lease that the next CREATE asks for, or that it carries. */
	struct smb_guid lease_key; /* p */
	uint32_t lease_want; /* p enum smb_lease_state; 0: none */
	uint16_t lease_epoch; /* p */
	struct smb_guid create_guid; /* p of what it opens; a durable handle is claimed by it */
	bool guided; /* p the next CREATE has one */
	bool claim_lost; /* p a claim may have succeeded without our knowing */
	bool replay; /* p as has the one that was lost: it is sent again as that */
	bool reclaim; /* p claimed: what handle->fid was in an earlier session */
	bool opens; /* p what it opens stays open */
	bool no_lease; /* p the server did not like it */
	bool no_owner; /* p who it belongs to is not for us to know */
	bool made; /* p an earlier try made what it is to make */
	smb_step_fn *after; /* p what follows the change of owner and mode */
	bool opens_ahead; /* p a lookup that opens the file as well */
	struct smb_watch *watch; /* I of its request */
	struct smb_also *also; /* p owned: what is asked with the next request, or NULL */
	struct smb_handle *target; /* I of a copy; handle is one of the two */
	struct smb_fid stray; /* I of a file that nobody wants, to be closed */
};

/* ------------------------------------------------------------ connection */

enum smb_state {
	SMB_DOWN, /* no socket; tries again at retry_ns */
	SMB_CONNECTING, /* socket on its way */
	SMB_HELLO, /* negotiating */
	SMB_READY, /* requests go out */
	SMB_GONE, /* ended */
};

enum smb_seal_mode {
	SMB_SEAL_IF_ASKED, /* the server or its share decides */
	SMB_SEAL_ALWAYS,
};

/* Who is asking, for one attempt to authenticate; on a job. */
struct smb_login {
	struct netfs_job job;
	struct smb_channel *chan;
	struct netfs_auth *auth;
	uint8_t *token; /* the server's, heap */
	size_t token_len;
	const void *out; /* ours */
	size_t out_len;
	bool done; /* nothing more is expected */
	uint8_t key[NETFS_AUTH_KEY_MAX];
	size_t key_len;
	int err;
	char message[256];
};

/* A connection to the server. */
struct smb_channel {
	struct smb_conn *conn; /* I */
	struct netfs_task task; /* everything that happens by itself */
	struct netfs_timer timer; /* posts task */

	enum smb_state state; /* c written by o */
	bool joined; /* c carries the session, or did so until it was cut */
	bool binding; /* o it is one more for a session that another one made */
	uint64_t session; /* o conn->session that it is for, once there is one */
	uint64_t session_id; /* c that its messages have */
	struct smb_keys *signer; /* c NULL: nothing is signed yet; else keys or conn->keys */
	struct smb_keys *keys; /* I its own for signing; secret memory */
	unsigned place; /* c of conn->places that it goes to; conn->nplaces or more: none */
	char to_host[48]; /* c the same as text; "": conn->address */
	uint64_t requests, bytes; /* c messages sent; payload both ways */
	bool sealing; /* c all frames from here on */
	uint64_t next_mid; /* c */
	uint32_t credits; /* c that may be spent */
	uint32_t charged; /* c spent on what has no reply yet, not even an interim one */
	uint32_t credits_most; /* c that there were at once, since it was connected */
	struct netfs_list ids[SMB_BUCKETS]; /* c parts in flight by message id */
	struct netfs_list small, large; /* c requests without credits */
	uint32_t outstanding; /* c parts in flight */
	uint32_t pending; /* c of these, answered for the time being */
	uint64_t heard_ns; /* c last sign of life, or first request after idling */
	bool timer_on; /* c */
	uint32_t cancelling; /* c requests with a CANCEL out */
	uint64_t cancel_ns; /* c when the first of them went, or the last ended */

	struct netfs_list queue; /* c requests to be sent, and cancels */
	_Atomic uint32_t send_wanted; /* a 1: whoever has send_lock is to look again */
	struct netfs_mutex send_lock;
	struct netfs_socket *socket; /* s changed by o */
	struct netfs_list out; /* s of these, those that are signed or sealed: being sent */
	bool out_sealed; /* s their ciphertext is in: */
	uint8_t *cipher; /* s heap, one frame behind the other; kept for the next */
	size_t cipher_room; /* s */
	size_t out_len, out_done; /* s bytes of all that was in out, and of these sent */
	bool send_failed; /* s */
	bool send_poor; /* s there was no memory to seal what is in the queue */

	bool keyed; /* o keys are good: all that comes is signed or sealed */
	struct smb_preauth preauth; /* o */
	struct smb_login login; /* o, or the job's while login_busy */
	bool login_busy; /* o */
	_Atomic bool login_back; /* a the job is done */
	struct smb_req hello; /* o */
	struct smb_req echo; /* o */
	bool echoing; /* o */
	uint64_t deadline_ns; /* o of connecting and hello */
	uint64_t retry_ns; /* o */
	uint32_t attempts; /* o */
	bool ending; /* o only leave() is left */
	bool left; /* o all threads that were in conn */
	int fault; /* o why the connection must go */
	char fault_text[256]; /* o */

	uint8_t stage[SMB_STAGE]; /* o bytes received and not used */
	size_t have; /* o */
	struct smb_opening opening; /* o of a sealed frame while: */
	size_t sealed_left; /* o bytes of it that are still to come */
	uint8_t *frame; /* o heap: a frame, opened, that does not fit, or is not only data */
	size_t frame_len, frame_have; /* o */
	struct smb_part *data_part; /* o whose data is being received */
	size_t data_left; /* o */
	uint8_t data_head[SMB_PREFIX + 256]; /* o what came before the data */
	size_t data_head_len; /* o */
};

/* Where owner and mode come from. */
enum smb_owners {
	SMB_OWNERS_OPTIONS, /* uid=, gid=, file_mode=, dir_mode= */
	SMB_OWNERS_LIST, /* the descriptor: what its list allows */
	SMB_OWNERS_EXACT, /* the same, and a mode that is written in it */
};

struct smb_conn {
	struct netfs_be be;
	struct netfs_be_host *host; /* I */
	struct netfs_socket_address address; /* I points into strings */
	char *strings[12]; /* I owned copies */
	const char *share; /* I */
	const char *prefix; /* I folder in it that is mounted, "": all of it */
	const char *user, *domain; /* I */
	char *password; /* I secret memory, NETFS_SECRET_MAX bytes, or NULL */
	enum netfs_auth_mech mech; /* I */
	enum smb_seal_mode seal; /* I */
	bool hard, mfsymlinks; /* I */
	bool no_leases, no_idle; /* I */
	bool no_watches; /* I */
	enum smb_map map; /* I */
	uint32_t uid, gid, file_mode, dir_mode; /* I */
	enum smb_owners owners; /* I */
	_Atomic bool drops_nfs; /* a the server does not keep S-1-5-88 identifiers */
	bool nfs_ids; /* I new owners are written as S-1-5-88, not S-1-22 */
	bool force_uid, force_gid; /* I what the descriptor says of it does not count */
	uint32_t io_want; /* I */
	uint64_t soft_ns; /* I a soft call fails after this */
	uint64_t echo_ns; /* I a silent server is asked after this, dead after twice */
	struct smb_guid client_guid; /* I */
	unsigned max_channels; /* I */

	struct netfs_task task; /* time, and the end */
	struct netfs_timer timer; /* posts task */
	_Atomic uint32_t busy; /* a threads that may still touch conn */

	struct netfs_mutex lock;
	enum smb_state state; /* c of the session: READY while a channel is */
	uint64_t session; /* c one more with every login */
	uint16_t sequence; /* c of channels: one more with every one that was made or lost */
	uint64_t session_id, previous_id; /* c */
	uint32_t tree_id; /* c */
	bool sealing; /* c its channels seal all frames */
	uint32_t max_io, max_transact; /* c */
	_Atomic bool leases_on; /* a the server has them, and they are wanted */
	struct netfs_list leases[SMB_BUCKETS]; /* c nodes with one, by key */
	struct netfs_list recalls; /* c struct smb_recall */
	struct netfs_list watches; /* c struct smb_watch, least recently used first */
	uint32_t nwatches; /* c how many */
	bool noted_remote; /* c that a name leads to another server was told */
	bool unwatchable; /* c the server cannot tell of changes */
	struct netfs_list idle; /* c handles that nobody uses, oldest first */
	uint32_t nidle; /* c how many */
	uint32_t writes; /* c changes of data of any file that we began; wraps */
	struct netfs_list calls; /* c all of them */
	struct netfs_list parked; /* c calls waiting for the connection */
	struct netfs_list again; /* c calls that try again at: */
	uint64_t again_ns; /* c */
	struct netfs_list handles; /* c */
	struct netfs_list going; /* c handles being closed */
	struct netfs_list nodes[SMB_BUCKETS]; /* c by file id; not the root */
	uint32_t closes; /* c what is being closed: of handles, watches, and what is nobody's */
	uint64_t moves; /* c one more whenever something is called otherwise */
	uint32_t moving; /* c renames that are under way, or may be done without our knowing */
	struct netfs_list
		waiting; /* c calls that try again when one of those, or a close, is over */
	bool starved; /* c a slice was refused; host->ready() is due */
	struct netfs_op *end_op; /* c disconnect, or the connect that failed */
	bool closing; /* c disconnect was asked for */
	uint64_t close_ns; /* c and waits for closes no longer than this */

	struct smb_channel *channels; /* I nchannels of them; the first one logs in */
	unsigned nchannels; /* I */
	unsigned joined; /* c channels that carry the session */
	bool news; /* c of how many they are */
	unsigned wanted; /* c how many the server has a place for */
	bool multichannel; /* c it takes more than one */
	struct smb_interface places[SMB_CHANNELS_MAX]; /* c where it can be reached */
	unsigned nplaces; /* c */
	unsigned gone; /* c channels whose tasks never run again */
	bool quit; /* c channels are to end */

	struct smb_keys *keys; /* of the session: set by the channel that logs in, while
				* there is no other; secret memory */
	struct netfs_job config_job; /* reads the configuration */
	const struct netfs_be_config *config; /* I until it is read, on a job */
	struct netfs_op *connect_op; /* the first channel's task's */
	bool was_ready; /* c */
	bool ending; /* t only finish() is left */
	bool left; /* t all threads that were in here */
	int end_err; /* c */
};

static inline struct smb_conn *smb_conn_of(struct netfs_be *be)
{
	return netfs_container_of(be, struct smb_conn, be);
}

static inline struct smb_node *smb_node_of(struct netfs_node *node)
{
	return netfs_container_of(node, struct smb_node, base);
}

static inline struct smb_handle *smb_handle_of(struct netfs_handle *handle)
{
	return netfs_container_of(handle, struct smb_handle, base);
}

extern const struct netfs_option_info smb_options[];

/* smb_config.c.  -EINVAL with one line in message; -ENOMEM. */
int smb_config_read(const struct netfs_be_config *config, struct smb_conn *conn, char *message,
		    size_t size);

/* smb_conn.c */
void smb_connect(const struct netfs_be_config *config, struct netfs_be_host *host,
		 struct netfs_op *op);
void smb_disconnect(struct netfs_be *be, struct netfs_op *op);
/* Around a use of conn by a thread that is not a call's. */
void smb_conn_enter(struct smb_conn *conn);
void smb_conn_leave(struct smb_conn *conn);
/* The channel has logged in and the share is there; takes over root, which is NULL but
 * for the first time.  On the channel's task, as the next. */
void smb_conn_ready(struct smb_channel *chan, struct netfs_node *root,
		    const struct netfs_attr *attr);
/* A channel was lost which carried the session (joined), and with it perhaps that. */
void smb_conn_lost(struct smb_conn *conn, bool joined, bool session, const char *text);
/* One line for people. */
void smb_conn_tell(struct smb_conn *conn, bool connected, const char *text);
/* Its task never runs again. */
void smb_conn_channel_gone(struct smb_conn *conn);
/* The first connect failed: that is the end. */
void smb_conn_failed(struct smb_conn *conn, int err, const char *text);
/* A channel was bound to the session, which is still the one that it was for: else
 * false.  On its task. */
bool smb_conn_bound(struct smb_channel *chan);
/* The server says that the session is over, by this channel. */
void smb_conn_over(struct smb_channel *chan);
/* Is the mount going? */
bool smb_conn_is_closing(struct smb_conn *conn);
/* The sooner of two times of which 0 is none. */
uint64_t smb_sooner(uint64_t a, uint64_t b);

/* smb_channel.c */
/* -ENOMEM; then it is to be done with all the same. */
int smb_channel_init(struct smb_channel *chan, struct smb_conn *conn);
void smb_channel_done(struct smb_channel *chan);
/* Asks whether the server is there; its answer brings credits.  On its task; no other
 * is under way. */
void smb_channel_echo(struct smb_channel *chan);
/* Notes why the channel must go; the first reason stays.  On its task. */
int smb_channel_fault(struct smb_channel *chan, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* smb_multi.c */

/* There is a session: asks the server where it can be reached. */
void smb_multi_ask(struct smb_conn *conn);
/* Where the channel is to connect to: chan->to_host. */
void smb_multi_aim(struct smb_channel *chan);
/* Says how many channels there are, where that is news.  On conn->task. */
void smb_multi_tell(struct smb_conn *conn);

/* smb_hello.c: on the channel's task. */
void smb_hello_start(struct smb_channel *chan);
void smb_hello_login(struct smb_channel *chan);

/* smb_req.c */

/* Forgets replies and messages; may be used again. */
void smb_req_reset(struct smb_req *req);
/* Appends a message.  -ENOMEM, or what smb_encode() says.  charge: credits. */
int smb_req_add(struct smb_req *req, const struct smb_msg *msg, uint32_t charge);
/* Credits that a message with so many bytes of payload either way costs. */
uint32_t smb_charge(size_t bytes);
/* Sends it, or has it wait for credits.  False: the state is not that in which
 * such a request may go; it is still the caller's. */
bool smb_req_send(struct smb_channel *chan, struct smb_req *req, enum smb_state state);
/* The same by one of the session's channels. */
bool smb_req_send_any(struct smb_conn *conn, struct smb_req *req);
/* The same, and the other one (NULL: none) right behind it, if it need not wait: then
 * *ret_sent, which conn->lock guards. */
bool smb_req_send_both(struct smb_conn *conn, struct smb_req *req, struct smb_req *other,
		       bool *ret_sent);
/* Asks the server to give it up.  True: nothing of it went, it is the caller's.
 * Holds conn->lock. */
bool smb_req_cancel_locked(struct smb_conn *conn, struct smb_req *req);
/* Everything in flight goes to list; holds both locks. */
void smb_req_steal_locked(struct smb_channel *chan, struct netfs_list *list);
/* Is anything in flight, by whatever channel?  Holds conn->lock. */
bool smb_req_any_locked(const struct smb_conn *conn);
/* The part that waits for this message id, or NULL. */
struct smb_part *smb_part_find_locked(struct smb_channel *chan, uint64_t mid);
/* Takes credits the server granted; those who waited go.  No lock. */
void smb_credits_add(struct smb_channel *chan, uint32_t credits);
/* The part has its reply.  True: it was the last.  No lock. */
bool smb_part_answered(struct smb_channel *chan, struct smb_part *part);
/* Bytes a slice may have now, 0: none.  Holds conn->lock. */
size_t smb_credits_slice_locked(const struct smb_conn *conn, size_t want);
/* Of so many bytes those that one request may have at all, as long as the server
 * allows no more at once than it did.  No lock. */
size_t smb_credits_reach(struct smb_conn *conn, size_t want);
/* Where requests lack credits, and nothing is in flight that would bring some, none will
 * ever come, and the channel is at fault.  On its task, no lock. */
void smb_req_check_credits(struct smb_channel *chan);
/* The channel is done with the request, but for done(); a CANCEL is freed. */
void smb_req_left_locked(struct smb_req *req);

/* smb_send.c: without a lock. */

/* Moves what the socket takes, unless somebody is at that already, who then does. */
void smb_send(struct smb_channel *chan);
/* The same, after those who are at it: then what was sent before is signed. */
void smb_send_now(struct smb_channel *chan);
/* Waits for who is at it, who then has said what of it was sent. */
void smb_send_wait(struct smb_channel *chan);
/* Is there something that had no memory, and is to be tried again? */
bool smb_send_is_poor(struct smb_channel *chan);

/* smb_recv.c: on the channel's task. */
void smb_recv_reset(struct smb_channel *chan);
/* 1: there may be more; 0: not now; or the fault. */
int smb_recv(struct smb_channel *chan);

/* smb_call.c */
struct smb_call *smb_call_new(struct smb_conn *conn, struct netfs_op *op, smb_step_fn *body);
/* Is something being closed?  Then the call begins anew when it is.  No lock. */
bool smb_call_wait_for_closes(struct smb_call *call);
/* Calls that have waited long enough go on; when to look again, or 0.  On conn->task. */
uint64_t smb_call_again(struct smb_conn *conn, uint64_t now);
/* Has the call wait in list; holds conn->lock. */
void smb_call_park_locked(struct smb_call *call, struct netfs_list *list);
/* Ends op at once where there is no memory for a call. */
struct smb_call *smb_call_for(struct netfs_be *be, struct netfs_op *op, smb_step_fn *body);
void smb_call_start(struct smb_call *call);
/* Sends call->req; next sees the replies.  A part that failed ends the call unless
 * it is in the mask of those that may. */
void smb_call_send(struct smb_call *call, smb_step_fn *next);
/* Its request was answered, or lost, and so was what was asked with it. */
void smb_call_answered(struct smb_call *call, enum smb_end how);
/* Messages for the call's request; a failure ends the call: then false.  payload:
 * bytes that come or go beside the message itself. */
bool smb_call_add(struct smb_call *call, const struct smb_msg *msg, size_t payload);
/* A CREATE of node, or of name in it where name is not NULL, as msg says. */
bool smb_call_add_create(struct smb_call *call, struct smb_node *node, const char *name,
			 struct smb_msg *msg);
/* QUERY_INFO of all about a file, and CLOSE of one that the request opened. */
bool smb_call_add_query(struct smb_call *call, struct smb_fid fid);
bool smb_call_add_close(struct smb_call *call);
/* SET_INFO of what the request opened; for the short classes. */
bool smb_call_add_set(struct smb_call *call, uint8_t info_class, const union smb_info *info);
/* What QUERY_INFO told in part i; -EPROTO. */
int smb_call_all(const struct smb_call *call, unsigned i, union smb_info *ret_info);
/* Ends the call with what its op or slice is told. */
void smb_call_end(struct smb_call *call, int err);
void smb_call_slice_end(struct smb_call *call, size_t moved, int err, unsigned flags);
/* Ends a call of ours early, whatever it waits for: puts it on list where that has to be
 * done, by the next, without a lock.  chan: what to smb_send() then, or NULL. */
void smb_call_cancel_locked(struct smb_call *call, struct netfs_list *list,
			    struct smb_channel **ret_chan);
void smb_call_end_all(struct netfs_list *list, int err);
void smb_call_cancel_op(struct netfs_be *be, struct netfs_op *op);
void smb_call_cancel_slice(struct netfs_be *be, struct netfs_slice *slice);
/* Deadlines: fails what is due; when to look again, or 0. */
uint64_t smb_call_expire(struct smb_conn *conn, uint64_t now);
void smb_call_unpark_locked(struct netfs_list *from, struct netfs_list *to);
void smb_call_start_all(struct netfs_list *list);
void smb_call_fail_parked(struct smb_conn *conn, int err);

/* smb_node.c */
void smb_node_table_init(struct smb_conn *conn);
/* The node of what all is about, now known as name in parent; a reference.  made: it
 * is new.  NULL: no memory.  No lock. */
struct smb_node *smb_node_at(struct smb_conn *conn, struct smb_node *parent, const char *name,
			     const struct smb_file_all *all, bool made);
/* Is what was found by the node's name, or handle, still the same object?  exactly:
 * also if nothing of it was open at the server meanwhile. */
bool smb_node_is(struct smb_node *node, const struct smb_file_all *all, bool exactly);
struct smb_node *smb_node_root(struct smb_conn *conn);
void smb_node_free(struct netfs_node *node);
/* It is called name in parent from now on, and what it was called is gone; or it is
 * called that too (also).  Takes over name. */
void smb_node_move(struct smb_node *node, struct smb_node *parent, char *name, bool also);
/* Its name led nowhere: is there another one to try? */
bool smb_node_doubt(struct smb_node *node);
/* As in backend.h: from the folder that is mounted. */
int smb_path(struct netfs_node *node, char *buf, size_t size);
/* Path of node and, where name is not NULL, of name in it, in UTF-16LE; heap.
 * -ESTALE: it has lost its name; -ENAMETOOLONG; -ENOMEM; -EILSEQ. */
int smb_node_path(struct smb_conn *conn, struct smb_node *node, const char *name,
		  struct smb_buf *ret_path);
/* What all information says of node, and its descriptor said last. */
void smb_attr_of_all(const struct smb_node *node, const struct smb_file_all *all,
		     struct netfs_attr *ret_attr);

/* smb_owner.c */

/* Further access that a CREATE needs for smb_owner_ask(). */
uint32_t smb_owner_access(const struct smb_call *call);
/* Appends the question for owner and mode, where the mount wants to know.  False: the
 * call ended. */
bool smb_owner_ask(struct smb_call *call, struct smb_fid fid);
/* The same for a request without a call, which has a CREATE that needs READ_CONTROL. */
int smb_owner_add(struct smb_req *req, struct smb_fid fid);
/* What the request that was answered tells of it is node's from now on. */
void smb_owner_take(struct smb_req *req, struct smb_node *node);
/* The call's CREATE was refused, perhaps because of smb_owner_access(): true once, then
 * it is tried again without. */
bool smb_owner_refused(struct smb_call *call);
/* Puts what is known of it into attr. */
void smb_owner_apply(const struct smb_node *node, struct netfs_attr *attr);
/* Changes them as call->set says, whose node is call->node[0]; then next, with
 * call->err. */
void smb_owner_set(struct smb_call *call, smb_step_fn *next);
/* call->op->node was made by the request that was answered: sees to it that it has
 * call->mode, and ends the call. */
void smb_owner_made(struct smb_call *call);

/* smb_handle.c */
void smb_handle_free(struct netfs_handle *handle);
struct smb_handle *smb_handle_new(struct smb_conn *conn, struct smb_node *node, uint32_t access,
				  uint32_t options);
/* One for reading a file. */
struct smb_handle *smb_handle_reading(struct smb_conn *conn, struct smb_node *node);
/* A CREATE of handle's node for the call; false: the call ended. */
/* Returns the node's promise that the reply gave or confirmed, or 0. */
uint32_t smb_handle_opened(struct smb_handle *handle, const struct smb_call *call,
			   const struct smb_msg *reply);
/* True: handle is open in this session.  Else the call waits or has ended. */
bool smb_handle_ready(struct smb_call *call);
/* Was it ever opened?  That of a watched directory is when it is needed. */
bool smb_handle_is_open(struct smb_handle *handle);
/* A new session is there: claims what the server kept, before it is tired of it. */
void smb_handle_reclaim_all(struct smb_conn *conn);

/* Closes a handle that nobody else has. */
/* From now on every use gives err. */
void smb_handle_dies_locked(struct smb_handle *handle, int err);
/* The file that part 0 of the call's request opened, if it did, is not wanted. */
void smb_handle_close_stray(const struct smb_call *call);
void smb_handle_close(struct smb_handle *handle);
/* One less of conn->closes: whom it stood in the way of tries again. */
void smb_handle_close_over(struct smb_conn *conn);
/* It is closed at the server, whoever has a reference, and fails from now on. */
void smb_handle_shut(struct smb_handle *handle);

/* smb_idle.c */

/* The last user of handle went: true where it stays open, with a new reference. */
bool smb_idle_keep(struct smb_handle *handle);
/* An idle handle of node with that access, now the caller's, or NULL. */
struct smb_handle *smb_idle_take(struct smb_node *node, uint32_t access, uint32_t *ret_promise);
/* Closes those of node, of what is called name in dir, all of them. */
void smb_idle_close(struct smb_node *node);
void smb_idle_close_name(struct smb_node *dir, const char *name);
/* None of what was called name in dir, and is removed, stays open longer than it is used.
 * True: there is one that is open, or being closed. */
bool smb_idle_end_name(struct smb_node *dir, const char *name);
void smb_idle_close_all(struct smb_conn *conn);
/* Closes what was idle long enough; when to look again, or 0. */
uint64_t smb_idle_expire(struct smb_conn *conn, uint64_t now);

/* smb_watch.c */

/* As in backend.h. */
void smb_watch(struct netfs_node *dir, uint64_t ino, uint64_t gen);
/* Does the server tell now what changes in node? */
bool smb_watch_stands(struct smb_node *node);
/* End those of what is called name in dir, of node and all below it, all of them.  True:
 * there was one; it is over, at the server too, when conn->closes is 0. */
bool smb_watch_close_name(struct smb_node *dir, const char *name);
void smb_watch_close_below(struct smb_node *node);
void smb_watch_close_all(struct smb_conn *conn);
/* A channel was lost, and with it perhaps notices. */
void smb_watch_lost_all(struct smb_conn *conn);
/* Believes and ends those whose time has come; when to look again, or 0.  On
 * conn->task. */
uint64_t smb_watch_expire(struct smb_conn *conn, uint64_t now);

/* smb_parent.c */

/* The call's next request changes a name in call->node[0], whose attributes are asked
 * for with it where somebody will want them. */
void smb_parent_ask(struct smb_call *call);
/* That question, of call->also; ret_out: to be set where it is sent. */
struct smb_req *smb_parent_req(struct smb_call *call, bool **ret_out);
/* The change is answered, or lost.  True: the question is not, and will call
 * smb_call_answered() then. */
bool smb_parent_awaited(struct smb_call *call, enum smb_end how);
/* It was made: says in call->op what is known of the directory. */
void smb_parent_told(struct smb_call *call);
void smb_parent_forget(struct smb_call *call);

/* smb_head.c */

/* Appends a READ of the file that the call's CREATE opens, where that is expected and
 * can be believed.  False: the call ended. */
bool smb_head_ask(struct smb_call *call);
/* The same where nobody knows yet which file that is. */
bool smb_head_ask_any(struct smb_call *call);
/* It turned out to be node.  False: its answer may be older than what we wrote. */
bool smb_head_is_of(struct smb_call *call, struct smb_node *node);
/* Takes its answer into handle, which promise was given with. */
void smb_head_take(struct smb_handle *handle, struct smb_call *call, uint32_t promise);
/* True: slice was served from what came with the open, and has ended. */
bool smb_head_serve(struct smb_handle *handle, struct netfs_slice *slice);
void smb_head_drop(struct smb_handle *handle);
/* Our own change of the file's data begins. */
void smb_head_outdate(struct smb_node *node);

/* smb_ahead.c */

/* Is what the call looks up opened, too?  Then it asks for a lease.  False also where it
 * did so and that failed, and nothing is left of it. */
bool smb_ahead_wanted(struct smb_call *call);
/* The same is asked for without. */
void smb_ahead_forget(struct smb_call *call);
/* node was found, and perhaps opened: then that is kept for who opens it next. */
void smb_ahead_found(struct smb_call *call, struct smb_node *node);
/* It is opened: reads as in struct netfs_op. */
void smb_ahead_opened(struct smb_node *node, uint32_t reads);

/* smb_lock.c */

/* The handle through which the server takes bytes from start on, beside locks of our
 * own: a reference, or NULL where the one asked for will do.  ret_len: how many at
 * most.  Holds conn->lock. */
struct smb_handle *smb_lock_route_locked(struct smb_handle *handle, uint64_t start, bool write,
					 size_t *ret_len);
/* handle was opened anew, and its locks are to be taken again: call->opening. */
void smb_lock_again(struct smb_call *call);
void smb_lock(struct netfs_handle *handle, const struct netfs_lock *lock, struct netfs_op *op);

/* smb_break.c */
void smb_lease_key(struct smb_guid *ret_key);
/* The call's CREATEs are for a handle that stays; node NULL: of a new file. */
void smb_lease_want(struct smb_call *call, struct smb_node *node, uint32_t access);
/* Before a CREATE: one that lasts for a compound carries the lease of what it opens. */
void smb_lease_carry(struct smb_call *call, struct smb_node *node, const char *name,
		     const struct smb_msg *create);
/* The reply to handle's CREATE, the call's.  Returns node->promise, 0: no
 * lease.  Holds conn->lock, as the next. */
uint32_t smb_lease_opened_locked(struct smb_handle *handle, const struct smb_call *call,
				 const struct smb_create_contexts *contexts);
/* handle is about to be closed. */
void smb_lease_closed_locked(struct smb_handle *handle);
/* SMB_LEASE_NOTIFY came; on a channel's task. */
void smb_lease_notified(struct smb_conn *conn, const struct smb_msg *msg);
/* Answers breaks that are due; when to look again, or 0.  On conn->task. */
uint64_t smb_lease_expire(struct smb_conn *conn, uint64_t now);
/* The session is over, and its leases; or a channel was lost, and with it perhaps breaks
 * of them. */
void smb_lease_lost_all(struct smb_conn *conn);

/* The operations, as in backend.h. */
void smb_lookup(struct netfs_node *dir, const char *name, struct netfs_op *op);
void smb_unlink(struct netfs_node *dir, const char *name, struct netfs_op *op);
void smb_rmdir(struct netfs_node *dir, const char *name, struct netfs_op *op);
void smb_rename(struct netfs_node *node, struct netfs_node *old_dir, const char *old_name,
		struct netfs_node *new_dir, const char *new_name, uint32_t flags,
		struct netfs_op *op);
void smb_link(struct netfs_node *node, struct netfs_node *dir, const char *name,
	      struct netfs_op *op);
void smb_mknod(struct netfs_node *dir, const char *name, uint32_t mode, uint32_t major,
	       uint32_t minor, struct netfs_op *op);
void smb_mkdir(struct netfs_node *dir, const char *name, uint32_t mode, struct netfs_op *op);
void smb_symlink(struct netfs_node *dir, const char *name, const char *target, struct netfs_op *op);
void smb_readlink(struct netfs_node *node, struct netfs_op *op);
void smb_create(struct netfs_node *dir, const char *name, uint32_t flags, uint32_t mode,
		struct netfs_op *op);
void smb_open(struct netfs_node *node, uint32_t flags, struct netfs_op *op);
void smb_getattr(struct netfs_node *node, struct netfs_handle *handle, struct netfs_op *op);
void smb_setattr(struct netfs_node *node, struct netfs_handle *handle,
		 const struct netfs_setattr *set, struct netfs_op *op);
void smb_statfs(struct netfs_node *node, struct netfs_op *op);

/* smb_xattr.c */
void smb_getxattr(struct netfs_node *node, const char *name, struct netfs_op *op);
void smb_listxattr(struct netfs_node *node, struct netfs_op *op);
void smb_setxattr(struct netfs_node *node, const char *name, const void *value, size_t size,
		  uint32_t flags, struct netfs_op *op);
void smb_removexattr(struct netfs_node *node, const char *name, struct netfs_op *op);
void smb_readdir(struct netfs_handle *handle, uint64_t cookie, struct netfs_op *op);
ssize_t smb_read(struct netfs_handle *handle, struct netfs_slice *slice);
ssize_t smb_write(struct netfs_handle *handle, struct netfs_slice *slice);
void smb_fsync(struct netfs_handle *handle, bool datasync, struct netfs_op *op);
void smb_fallocate(struct netfs_handle *handle, uint32_t mode, uint64_t start, uint64_t len,
		   struct netfs_op *op);
void smb_copy_range(struct netfs_handle *from, uint64_t from_start, struct netfs_handle *to,
		    uint64_t to_start, uint64_t len, struct netfs_op *op);
void smb_seek(struct netfs_handle *handle, uint64_t start, int whence, struct netfs_op *op);

#endif
