// SPDX-License-Identifier: MIT
/*
 * Directories whose changes the server tells (MS-SMB2 2.2.35, 3.2.4.17): an open
 * handle and a CHANGE_NOTIFY that is answered when something happens, and sent again.
 *
 *	smb_watch() --> CREATE --> CHANGE_NOTIFY --> taken --> stands: host->watching()
 *	                                ^  |
 *	                                |  +--> changes --> host->happened()
 *	                                +-------+  too many to tell: it stands anew
 *
 * Between two of them the server collects what happens for the handle, so nothing is
 * missed.  It is one call for as long as the watch lasts: when the connection goes it
 * waits, opens the directory again and asks again; what was known before is then told
 * under no watch.  A watch stands only some time after the server took it, because
 * Samba hands it on to another process.
 *
 * While it waits it holds no credit, and no time runs out.  There is a bound for how
 * many there are.  One that is not used ends, one that is told too much ends too, and
 * so does one that would be in the way of a change of ours: an open directory keeps its
 * name from being free again, and those above it from being renamed.
 *
 * Locks: conn->lock for the list and what is in it.  A watch belongs to its call and
 * goes with that; whoever finds it in the list has the lock.
 */
#include <string.h>
#include "smb.h"

#define ACCESS_LIST (SMB_ACCESS_READ_DATA | SMB_ACCESS_READ_ATTRIBUTES | SMB_ACCESS_SYNCHRONIZE)
#define CREDITS_MIN 16u /* with fewer none is watched: names need four at once */
#define OUTPUT_MAX  65536u /* one credit's worth of changes */

struct smb_watch {
	struct netfs_list link; /* c conn->watches, until it is to end */
	struct smb_node *node; /* I a reference */
	uint64_t ino, gen; /* I what the host calls it */
	struct smb_handle *handle; /* I a reference */
	struct smb_call *call; /* I */
	uint64_t used_ns; /* c */
	uint64_t taken_ns; /* c by the server; 0: not yet */
	bool stands; /* c */
	bool ends; /* c because we want it to */
	uint64_t second_ns; /* p since when they are counted: */
	uint32_t notices; /* p */
};

static struct smb_watch *find_locked(struct smb_conn *conn, const struct smb_node *node)
{
	struct netfs_list *link;

	netfs_list_for_each (link, &conn->watches) {
		struct smb_watch *watch = netfs_container_of(link, struct smb_watch, link);

		if (watch->node == node)
			return watch;
	}
	return NULL;
}

static bool stands_locked(struct smb_conn *conn, const struct smb_node *node)
{
	const struct smb_watch *watch = find_locked(conn, node);

	return watch && watch->stands;
}

bool smb_watch_stands(struct smb_node *node)
{
	struct smb_conn *conn = smb_conn_of(node->base.be);
	bool stands;

	netfs_mutex_lock(&conn->lock);
	stands = stands_locked(conn, node);
	netfs_mutex_unlock(&conn->lock);
	return stands;
}

/* -------------------------------------------------------------- tell */

static void tell(struct smb_conn *conn, uint64_t ino, uint64_t gen, bool stands)
{
	if (conn->host && conn->host->watching)
		conn->host->watching(conn->host, ino, gen, stands);
}

/* Somebody else may have told the opposite meanwhile, and been faster. */
static void tell_stands(struct smb_conn *conn, struct smb_node *node, uint64_t ino, uint64_t gen)
{
	tell(conn, ino, gen, true);
	if (!smb_watch_stands(node))
		tell(conn, ino, gen, false);
}

/* Anything may have happened: the watch ends, and the next stands soon. */
static void lose_count(struct smb_watch *watch)
{
	struct smb_conn *conn = watch->call->conn;

	netfs_mutex_lock(&conn->lock);
	watch->stands = false;
	watch->taken_ns = netfs_clock_now();
	netfs_mutex_unlock(&conn->lock);
	tell(conn, watch->ino, watch->gen, false);
}

/* A server may call a file by a name that it made up for old programs (MS-FSCC 2.1.5.2.1):
 * NAME~1.EXT.  Which that is we do not know. */
static bool is_short(const char *name)
{
	const char *tilde = strchr(name, '~');

	return tilde && tilde[1] >= '0' && tilde[1] <= '9' && strlen(name) <= 12;
}

static bool tell_change(struct smb_watch *watch, const struct smb_change *change)
{
	struct smb_conn *conn = watch->call->conn;
	char name[3 * NETFS_NAME_MAX + 1];
	ssize_t len =
		smb_utf16_get(change->name.p, change->name.len, conn->map, name, sizeof(name) - 1);
	enum netfs_change what = NETFS_CHANGE_GONE;

	if (change->action < SMB_CHANGE_ADDED || change->action > SMB_CHANGE_NEW_NAME)
		return true;
	if (len <= 0 || len > NETFS_NAME_MAX || memchr(name, '/', (size_t)len) ||
	    memchr(name, 0, (size_t)len))
		return false;
	name[len] = 0;
	if (is_short(name))
		return false;
	if (change->action == SMB_CHANGE_ADDED)
		what = NETFS_CHANGE_MADE;
	else if (change->action == SMB_CHANGE_MODIFIED)
		what = NETFS_CHANGE_TOUCHED;
	if (conn->host && conn->host->happened)
		conn->host->happened(conn->host, watch->ino, watch->gen, name, what);
	return true;
}

/* False: that is no list of changes. */
static bool tell_changes(struct smb_watch *watch, const struct smb_buf *output)
{
	struct smb_change change;
	struct smb_list list;
	bool all = output->len > 0;
	int more;

	smb_list_init(&list, 0, output->p, output->len);
	while ((more = smb_change_next(&list, &change)) > 0)
		all &= tell_change(watch, &change);
	if (more < 0 || !all)
		lose_count(watch);
	return more == 0;
}

/* ---------------------------------------------------------- the call */

static void ended(struct smb_call *call)
{
	struct smb_watch *watch = call->watch;
	struct smb_conn *conn = call->conn;

	netfs_mutex_lock(&conn->lock);
	netfs_list_remove(&watch->link);
	conn->nwatches--;
	if (!watch->ends)
		watch->node->unwatched_until_ns = netfs_clock_now() + SMB_WATCH_TRY_NS;
	netfs_mutex_unlock(&conn->lock);
	tell(conn, watch->ino, watch->gen, false);
	netfs_handle_put(&watch->handle->base);
	if (watch->ends)
		smb_handle_close_over(conn);
	netfs_node_put(&watch->node->base);
	netfs_free(watch);
}

static bool is_to_end(struct smb_watch *watch)
{
	struct smb_conn *conn = watch->call->conn;
	bool ends;

	netfs_mutex_lock(&conn->lock);
	ends = watch->ends;
	netfs_mutex_unlock(&conn->lock);
	return ends;
}

/* So much happens there, mostly by ourselves, that asking costs less. */
static bool is_too_much(struct smb_watch *watch)
{
	uint64_t now = netfs_clock_now();

	if (now - watch->second_ns >= NETFS_NS_PER_SEC) {
		watch->second_ns = now;
		watch->notices = 0;
	}
	return ++watch->notices > SMB_WATCH_BUSY;
}

static void told(struct smb_call *call)
{
	const struct smb_part *part = &call->req.part[0];
	struct smb_watch *watch = call->watch;
	bool goes_on = false;

	if (is_to_end(watch)) {
		smb_call_end(call, 0);
		return;
	}
	if (part->status == SMB_STATUS_NOTIFY_ENUM_DIR) {
		lose_count(watch);
		goes_on = true;
	} else if (part->status == SMB_STATUS_OK &&
		   part->reply.kind == SMB_REPLY(SMB_CHANGE_NOTIFY)) {
		goes_on = tell_changes(watch, &part->reply.change_notify_rep.output);
	} else if (call->err == -EOPNOTSUPP) {
		netfs_mutex_lock(&call->conn->lock);
		call->conn->unwatchable = true;
		netfs_mutex_unlock(&call->conn->lock);
	}
	if (goes_on && !is_too_much(watch))
		smb_call_start(call);
	else
		smb_call_end(call, 0);
}

/* The server has it. */
static void taken(struct smb_req *req)
{
	struct smb_call *call = netfs_container_of(req, struct smb_call, req);
	struct smb_watch *watch = call->watch;
	struct smb_channel *chan = NULL;
	struct smb_conn *conn = call->conn;
	struct netfs_list list;

	netfs_list_init(&list);
	netfs_mutex_lock(&conn->lock);
	if (!watch->stands)
		watch->taken_ns = netfs_clock_now();
	/* Nobody could cancel it while it was on its way into the socket. */
	if (watch->ends)
		smb_call_cancel_locked(call, &list, &chan);
	netfs_task_post(&conn->task);
	netfs_mutex_unlock(&conn->lock);
	netfs_assert(netfs_list_empty(&list));
	if (chan)
		smb_send(chan);
}

static void body(struct smb_call *call)
{
	const uint32_t filter = SMB_NOTIFY_FILE_NAME | SMB_NOTIFY_DIR_NAME | SMB_NOTIFY_ATTRIBUTES |
				SMB_NOTIFY_SIZE | SMB_NOTIFY_LAST_WRITE | SMB_NOTIFY_CREATION |
				(call->conn->owners ? SMB_NOTIFY_SECURITY : 0);
	struct smb_msg msg = {.kind = SMB_REQUEST(SMB_CHANGE_NOTIFY),
			      .change_notify_req = {.max_output = OUTPUT_MAX,
						    .fid = call->handle->fid,
						    .filter = filter}};

	if (is_to_end(call->watch)) {
		smb_call_end(call, 0);
		return;
	}
	call->restarts = 0;
	if (!smb_call_add(call, &msg, OUTPUT_MAX))
		return;
	call->req.pending = taken;
	smb_call_send(call, told);
}

/* ------------------------------------------------------------- begin */

static void begin(struct smb_conn *conn, struct smb_node *node, uint64_t ino, uint64_t gen)
{
	struct smb_watch *watch = netfs_zalloc(sizeof(*watch));
	struct smb_handle *handle =
		watch ? smb_handle_new(conn, node, ACCESS_LIST, SMB_OPT_DIRECTORY) : NULL;
	struct smb_call *call = handle ? smb_call_new(conn, NULL, body) : NULL;

	if (!call) {
		if (handle)
			netfs_handle_put(&handle->base);
		netfs_free(watch);
		return;
	}
	*watch = (struct smb_watch){.node = smb_node_of(netfs_node_get(&node->base)),
				    .ino = ino,
				    .gen = gen,
				    .handle = handle,
				    .call = call,
				    .used_ns = netfs_clock_now()};
	call->watch = watch;
	call->handle = handle;
	call->end = ended;
	call->deadline_ns = 0;
	netfs_mutex_lock(&conn->lock);
	netfs_list_push_back(&conn->watches, &watch->link);
	conn->nwatches++;
	netfs_mutex_unlock(&conn->lock);
	smb_call_start(call);
}

/* As many as there are credits for without anybody missing them, also where the server
 * does not give them back before something happens. */
static uint32_t most_locked(const struct smb_conn *conn)
{
	uint32_t credits = 0;

	for (unsigned i = 0; i < conn->nchannels; i++) {
		if (conn->channels[i].credits_most > credits)
			credits = conn->channels[i].credits_most;
	}
	if (credits < CREDITS_MIN)
		return 0;
	return credits / 4 < SMB_WATCHES_MAX ? credits / 4 : SMB_WATCHES_MAX;
}

/* Samba 4.17 ends the session, mostly, when a channel is lost that such a request waits
 * on: several channels are there so that it does not. */
static bool may_begin_locked(struct smb_conn *conn, const struct smb_node *node, uint64_t now)
{
	return conn->max_channels == 1 && !conn->no_watches && !conn->unwatchable &&
	       !conn->closing && conn->state == SMB_READY && node->is_dir &&
	       now >= node->unwatched_until_ns;
}

static bool stop(struct smb_conn *conn, bool (*meant)(const struct smb_watch *, const void *),
		 const void *what);

static bool is_unused(const struct smb_watch *watch, const void *since)
{
	return watch->used_ns < *(const uint64_t *)since;
}

void smb_watch(struct netfs_node *dir, uint64_t ino, uint64_t gen)
{
	struct smb_node *node = smb_node_of(dir);
	struct smb_conn *conn = smb_conn_of(dir->be);
	uint64_t now = netfs_clock_now();
	struct smb_watch *watch;
	bool stands = false, fresh = false, room = true;

	netfs_mutex_lock(&conn->lock);
	watch = find_locked(conn, node);
	if (watch) {
		watch->used_ns = now;
		netfs_list_remove(&watch->link);
		netfs_list_push_back(&conn->watches, &watch->link);
		stands = watch->stands;
	} else if (may_begin_locked(conn, node, now)) {
		room = conn->nwatches < most_locked(conn);
		fresh = room;
	}
	netfs_mutex_unlock(&conn->lock);
	if (!room) {
		/* Next time there is. */
		uint64_t since = now > SMB_WATCH_TRY_NS ? now - SMB_WATCH_TRY_NS : 0;

		stop(conn, is_unused, &since);
	}
	if (stands)
		tell_stands(conn, node, ino, gen);
	else if (fresh)
		begin(conn, node, ino, gen);
}

/* --------------------------------------------------------------- end */

/* Takes the first that is meant out of the list, with a reference to its handle. */
static struct smb_handle *stop_one_locked(struct smb_conn *conn,
					  bool (*meant)(const struct smb_watch *, const void *),
					  const void *what, struct netfs_list *list,
					  struct smb_channel **ret_chan)
{
	struct netfs_list *link;

	netfs_list_for_each (link, &conn->watches) {
		struct smb_watch *watch = netfs_container_of(link, struct smb_watch, link);
		struct smb_handle *handle = watch->handle;

		if (!meant(watch, what))
			continue;
		watch->ends = true;
		watch->stands = false;
		/* Its directory may yet be opened, and is closed then. */
		conn->closes++;
		netfs_list_remove(&watch->link);
		netfs_handle_get(&handle->base);
		smb_call_cancel_locked(watch->call, list, ret_chan);
		return handle;
	}
	return NULL;
}

/* The server is told both: to answer the request, and to close the directory.  True:
 * there were some. */
static bool stop(struct smb_conn *conn, bool (*meant)(const struct smb_watch *, const void *),
		 const void *what)
{
	for (bool some = false;; some = true) {
		struct smb_channel *chan = NULL;
		struct smb_handle *handle;
		struct netfs_list list;

		netfs_list_init(&list);
		netfs_mutex_lock(&conn->lock);
		handle = stop_one_locked(conn, meant, what, &list, &chan);
		netfs_mutex_unlock(&conn->lock);
		if (!handle)
			return some;
		smb_call_end_all(&list, -EINTR);
		if (chan)
			smb_send(chan);
		smb_handle_shut(handle);
		netfs_handle_put(&handle->base);
	}
}

static bool any(const struct smb_watch *watch, const void *unused)
{
	return true;
}

void smb_watch_close_all(struct smb_conn *conn)
{
	stop(conn, any, NULL);
}

static bool is_below(const struct smb_watch *watch, const void *what)
{
	const struct smb_node *node = watch->node;

	while (node && node != what)
		node = node->parent;
	return node;
}

void smb_watch_close_below(struct smb_node *node)
{
	stop(smb_conn_of(node->base.be), is_below, node);
}

static bool is_called(const struct smb_watch *watch, const void *what)
{
	const struct smb_place *place = what;
	const struct smb_node *node = watch->node;

	return node->parent == place->parent && node->name && !strcmp(node->name, place->name);
}

bool smb_watch_close_name(struct smb_node *dir, const char *name)
{
	struct smb_place place = {dir, (char *)(uintptr_t)name};

	return stop(smb_conn_of(dir->base.be), is_called, &place);
}

/* -------------------------------------------------------------- time */

/* Those that no longer stand, one by one: what the host calls them. */
static bool lose_one_locked(struct smb_conn *conn, uint64_t *ret_ino, uint64_t *ret_gen)
{
	struct netfs_list *link;

	netfs_list_for_each (link, &conn->watches) {
		struct smb_watch *watch = netfs_container_of(link, struct smb_watch, link);

		if (!watch->stands)
			continue;
		watch->stands = false;
		watch->taken_ns = netfs_clock_now();
		*ret_ino = watch->ino;
		*ret_gen = watch->gen;
		return true;
	}
	return false;
}

void smb_watch_lost_all(struct smb_conn *conn)
{
	uint64_t ino = 0, gen = 0;
	bool some;

	do {
		netfs_mutex_lock(&conn->lock);
		some = lose_one_locked(conn, &ino, &gen);
		netfs_mutex_unlock(&conn->lock);
		if (some)
			tell(conn, ino, gen, false);
	} while (some);
	/* What goes on by another channel stands again soon. */
	netfs_mutex_lock(&conn->lock);
	if (!conn->quit)
		netfs_task_post(&conn->task);
	netfs_mutex_unlock(&conn->lock);
}

/* The server has it, and it is there for a while: with a reference. */
static struct smb_node *settled_locked(struct smb_conn *conn, uint64_t now, uint64_t *ret_next,
				       uint64_t *ret_ino, uint64_t *ret_gen)
{
	struct netfs_list *link;

	netfs_list_for_each (link, &conn->watches) {
		struct smb_watch *watch = netfs_container_of(link, struct smb_watch, link);
		const struct smb_req *req = &watch->call->req;
		uint64_t when = watch->taken_ns + SMB_WATCH_SETTLE_NS;

		if (watch->stands || !req->in_flight || !req->part[0].async_id)
			continue;
		if (now < when) {
			*ret_next = smb_sooner(*ret_next, when);
			continue;
		}
		watch->stands = true;
		*ret_ino = watch->ino;
		*ret_gen = watch->gen;
		return smb_node_of(netfs_node_get(&watch->node->base));
	}
	return NULL;
}

uint64_t smb_watch_expire(struct smb_conn *conn, uint64_t now)
{
	uint64_t since = now > SMB_WATCH_UNUSED_NS ? now - SMB_WATCH_UNUSED_NS : 0;
	uint64_t next = 0, ino = 0, gen = 0;
	struct smb_node *node;

	stop(conn, is_unused, &since);
	do {
		netfs_mutex_lock(&conn->lock);
		node = settled_locked(conn, now, &next, &ino, &gen);
		if (!node && !netfs_list_empty(&conn->watches))
			next = smb_sooner(next, now + SMB_WATCH_UNUSED_NS / 2);
		netfs_mutex_unlock(&conn->lock);
		if (node) {
			tell_stands(conn, node, ino, gen);
			netfs_node_put(&node->base);
		}
	} while (node);
	return next;
}
