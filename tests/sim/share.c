/* SPDX-License-Identifier: MIT */
/*
 * The two clients that share files: their mounts, what their actors do.
 *
 * An operation that failed with an excuse is made again until it succeeds, as
 * those of the slots are (finish.c); until then its bytes are neither the old
 * ones nor the new ones for certain, which the versions express by not being
 * done.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <backend/backends.h>
#include <client/client.h>
#include "world.h"

#define FAILURES_MAX 200
#define LOCK_FAR     (UINT64_C(1) << 40) /* behind all data */

static const char *const op_names[SHARE_OPS] = {
	[SHARE_NONE] = "nothing",  [SHARE_OPEN] = "open",	[SHARE_CLOSE] = "close",
	[SHARE_READ] = "read",	   [SHARE_WRITE] = "write",	[SHARE_TRUNCATE] = "truncate",
	[SHARE_FSYNC] = "fsync",   [SHARE_GETATTR] = "getattr", [SHARE_LOCK] = "lock",
	[SHARE_UNLOCK] = "unlock",
};

static struct share_file *file_of(struct actor *actor)
{
	return &actor->world->share.files[actor->file];
}

static struct share_handle *handle_of(struct actor *actor)
{
	return &actor->handles[actor->file];
}

/* ------------------------------------------------------------- drawing */

static void draw_range(struct actor *actor, uint64_t start, uint64_t limit)
{
	uint64_t at = rng_below(&actor->rng, limit);
	uint64_t len = rng_between(&actor->rng, 1, rng_one_in(&actor->rng, 3) ? SHARE_IO_MAX : 600);

	if (rng_one_in(&actor->rng, 4))
		at = 0;
	if (len > limit - at)
		len = limit - at;
	actor->io.start = start + at;
	actor->io.len = len < SHARE_IO_MAX ? len : SHARE_IO_MAX;
}

static void draw_write(struct actor *actor)
{
	struct share_file *file = file_of(actor);
	uint64_t stripes = file->body / file->stripe / ACTORS;
	uint64_t stripe = rng_below(&actor->rng, stripes) * ACTORS + actor->index;

	actor->op = SHARE_WRITE;
	if (actor->index == 0 && rng_one_in(&actor->rng, 3))
		draw_range(actor, file->body, file->max - file->body);
	else
		draw_range(actor, stripe * file->stripe, file->stripe);
	actor->version =
		version_new(actor, actor->io.start, actor->io.start + actor->io.len, false);
	if (!actor->version)
		actor->op = SHARE_READ;
}

static void draw_truncate(struct actor *actor)
{
	struct share_file *file = file_of(actor);

	actor->op = SHARE_TRUNCATE;
	actor->set = (struct netfs_setattr){.valid = NETFS_SET_SIZE};
	actor->set.size = file->body + rng_below(&actor->rng, file->max - file->body);
	actor->version = version_new(actor, actor->set.size, UINT64_MAX, true);
	if (!actor->version)
		actor->op = SHARE_GETATTR;
}

static void draw_lock(struct actor *actor)
{
	struct share_handle *handle = handle_of(actor);

	actor->op = handle->locked ? SHARE_UNLOCK : SHARE_LOCK;
	actor->lock = (struct netfs_lock){.end = 1, .owner = 1000 + actor->index, .pid = 1};
	/* A server that speaks SMB lets nobody else read or write what is locked; here
	 * locks only exclude each other. */
	if (actor->world->server.smb) {
		actor->lock.start = LOCK_FAR;
		actor->lock.end = LOCK_FAR + 1;
	}
	actor->lock.type = handle->locked		? NETFS_LOCK_UNLOCK
			   : rng_one_in(&actor->rng, 3) ? NETFS_LOCK_READ
							: NETFS_LOCK_WRITE;
}

static void draw_open(struct actor *actor)
{
	struct share_handle *handle = handle_of(actor);

	actor->op = SHARE_OPEN;
	handle->flags = O_RDWR;
	if (rng_one_in(&actor->rng, 4))
		handle->flags |= O_DIRECT;
	if (rng_one_in(&actor->rng, 6))
		handle->flags |= rng_one_in(&actor->rng, 2) ? O_SYNC : O_DSYNC;
}

static void draw(struct actor *actor)
{
	uint64_t draw = rng_below(&actor->rng, 100);
	bool writes;

	actor->file = (unsigned)rng_below(&actor->rng, SHARE_FILES);
	/* In the second file one client only reads. */
	writes = actor->file == 0 || actor->party == &actor->world->share.parties[0];
	if (!handle_of(actor)->file)
		draw_open(actor);
	else if (draw < 30 && writes)
		draw_write(actor);
	else if (draw < 60)
		actor->op = SHARE_READ;
	else if (draw < 68)
		actor->op = SHARE_FSYNC;
	else if (draw < 80)
		actor->op = SHARE_CLOSE;
	else if (draw < 88)
		draw_lock(actor);
	else if (draw < 92 || actor->index)
		actor->op = SHARE_GETATTR;
	else
		draw_truncate(actor);
	if (actor->op == SHARE_READ)
		draw_range(actor, 0, file_of(actor)->max);
}

/* The next operation on the way to silence. */
static void draw_quiet(struct actor *actor)
{
	struct world *world = actor->world;

	actor->op = SHARE_NONE;
	for (actor->file = 0; actor->file < SHARE_FILES; actor->file++) {
		struct share_handle *handle = handle_of(actor);

		if (actor->party->dirty[actor->file] ||
		    (actor->index == 0 && file_of(actor)->size_doubt)) {
			if (!handle->file)
				draw_open(actor);
			else if (actor->index == 0 && file_of(actor)->size_doubt)
				draw_truncate(actor);
			else
				actor->op = SHARE_FSYNC;
			return;
		}
		if (handle->file && world->quiesce >= QUIESCE_CLOSE) {
			actor->op = SHARE_CLOSE;
			return;
		}
	}
	actor->file = 0;
}

/* ------------------------------------------------------------- issuing */

/* Handles may have lost their locks, and themselves with them, with a connection.
 * What was to be sent through one then failed, and all of the client are told. */
static void suspect(struct actor *actor)
{
	struct share *share = &actor->world->share;

	for (unsigned a = 0; a < ACTORS; a++) {
		struct share_handle *handle = &share->actors[a].handles[actor->file];

		if (share->actors[a].party != actor->party || !handle->at_stake ||
		    handle->cuts == actor->world->faults.cuts)
			continue;
		handle->suspect = true;
		actor->party->suspect[actor->file] = true;
	}
}

static void ended(struct actor *actor, ssize_t result)
{
	actor->result = result;
	actor->ended = share_stamp(actor->world);
	actor->cuts_after = actor->world->faults.cuts;
	actor->running = false;
	if (result >= 0 && (actor->op == SHARE_READ || actor->op == SHARE_WRITE))
		share_check_locked_io(actor);
}

static void call_done(struct netfs_call *call, int err)
{
	ended(call->user, err);
}

static void io_done(struct netfs_io *io, ssize_t result)
{
	ended(io->user, result);
}

static void issue_io(struct actor *actor)
{
	struct share_file *file = file_of(actor);
	uint64_t start = actor->io.start;
	size_t len = actor->io.len;

	memset(actor->buf, 0xA5, len);
	if (actor->op == SHARE_WRITE) {
		for (size_t i = 0; i < len; i++)
			actor->buf[i] = version_byte(file, actor->version, start + i);
	}
	actor->iov = (struct iovec){actor->buf, len};
	actor->io = (struct netfs_io){.done = io_done,
				      .user = actor,
				      .iov = &actor->iov,
				      .niov = 1,
				      .start = start,
				      .len = len};
	if (actor->op == SHARE_WRITE)
		netfs_write(handle_of(actor)->file, &actor->io);
	else
		netfs_read(handle_of(actor)->file, &actor->io);
}

static void issue_call(struct actor *actor)
{
	struct share_handle *handle = handle_of(actor);
	struct netfs_vnode *vnode = actor->party->vnodes[actor->file];

	netfs_call_init(&actor->call, call_done);
	actor->call.user = actor;
	switch (actor->op) {
	case SHARE_OPEN:
		handle->begun = actor->begun;
		netfs_open(vnode, handle->flags, &actor->call);
		break;
	case SHARE_CLOSE:
		handle->locked = false;
		netfs_flush(handle->file, 1000 + actor->index, &actor->call);
		break;
	case SHARE_TRUNCATE:
		netfs_setattr(vnode, handle->file, &actor->set, &actor->call);
		break;
	case SHARE_FSYNC:
		netfs_fsync(handle->file, false, &actor->call);
		break;
	case SHARE_LOCK:
		handle->at_stake = true;
		handle->cuts = actor->cuts_before;
		netfs_lock(handle->file, &actor->lock, false, &actor->call);
		break;
	case SHARE_UNLOCK:
		handle->locked = false;
		netfs_lock(handle->file, &actor->lock, false, &actor->call);
		break;
	default:
		netfs_getattr(vnode, NULL, &actor->call);
		break;
	}
}

static bool changes_tail(const struct actor *actor)
{
	return actor->index == 0 &&
	       (actor->op == SHARE_TRUNCATE ||
		(actor->op == SHARE_WRITE &&
		 actor->io.start >= actor->world->share.files[actor->file].body));
}

static void issue(struct actor *actor)
{
	actor->begun = share_stamp(actor->world);
	actor->cuts_before = actor->world->faults.cuts;
	actor->running = true;
	suspect(actor);
	if (changes_tail(actor) && !actor->retry)
		file_of(actor)->tail_changes++;
	if (actor->op == SHARE_WRITE || actor->op == SHARE_TRUNCATE) {
		actor->party->wrote[actor->file] = true;
		actor->party->dirty[actor->file] = true;
		/* Power may have been lost between two tries. */
		actor->version->begun = actor->begun;
	}
	actor->tail_before = file_of(actor)->tail_changes;
	actor->retry = false;
	netfs_sim_printf("actor %u: %s of %s", actor->index, op_names[actor->op],
			 file_of(actor)->name);
	if (actor->op == SHARE_READ || actor->op == SHARE_WRITE)
		issue_io(actor);
	else
		issue_call(actor);
}

static void begin(struct actor *actor)
{
	struct world *world = actor->world;

	if (!actor->retry) {
		if (world->quiesce)
			draw_quiet(actor);
		else if (ops_next(world, &actor->stream, &actor->rng))
			draw(actor);
		if (actor->op == SHARE_NONE)
			return;
		actor->failures = 0;
		world->steps++;
		ops_describe(world, "%s of shared %s by actor %u: 0x%llx+0x%zx, handle flags 0%o",
			     op_names[actor->op], file_of(actor)->name, actor->index,
			     (unsigned long long)actor->io.start, actor->io.len,
			     handle_of(actor)->flags);
	}
	/* It lost its lock, and is opened before anything is tried again. */
	if (actor->pending && !handle_of(actor)->file)
		actor->op = SHARE_OPEN;
	issue(actor);
}

/* ----------------------------------------------------------- finishing */

static bool excused(struct actor *actor)
{
	int err = (int)actor->result;

	suspect(actor);
	if (err == -EIO && actor->party->suspect[actor->file])
		return true;
	return (err == -EIO || err == -ENOSPC || err == -EDQUOT || err == -EAGAIN ||
		err == -ENOMEM || err == -EPROTO) &&
	       faults_errors(&actor->world->faults);
}

static bool failed(struct actor *actor)
{
	if (actor->op == SHARE_READ)
		return actor->result < 0;
	if (actor->op == SHARE_WRITE)
		return actor->result != (ssize_t)actor->io.len;
	return actor->result != 0;
}

/* One that lost its lock gives errors until it is opened again. */
static bool is_dead(struct actor *actor)
{
	struct share_handle *handle = handle_of(actor);

	return handle->file && handle->suspect && actor->result == -EIO;
}

/* What failed is made again, if it changed something or was to make it safe. */
static void again(struct actor *actor)
{
	if (++actor->failures > FAILURES_MAX)
		actor_fail(actor, "V7: %s failed %u times (%s)", op_names[actor->op],
			   actor->failures, strerror(actor->result < 0 ? (int)-actor->result : 0));
	if (actor->op == SHARE_WRITE || actor->op == SHARE_TRUNCATE || actor->op == SHARE_FSYNC)
		actor->pending = actor->op;
	actor->op = is_dead(actor) ? SHARE_CLOSE : actor->pending;
	actor->retry = actor->op != SHARE_NONE;
	if (actor->retry)
		actor->not_before =
			netfs_clock_now() + rng_between(&actor->rng, 100, 3000) * NETFS_NS_PER_MS;
}

static void published(struct actor *actor)
{
	struct share_handle *handle = handle_of(actor);
	bool durable = actor->party->sync || (handle->flags & (O_SYNC | O_DSYNC));

	if (!durable && actor->party->cached && !(handle->flags & O_DIRECT))
		return;
	actor->version->published = actor->ended;
	actor->version->durable = durable && actor->version->begun > file_of(actor)->lost;
	actor->version->settled = actor->version->published;
	actor->version->safe = actor->version->durable;
}

static void finish_change(struct actor *actor)
{
	struct share_file *file = file_of(actor);

	actor->version->done = actor->ended;
	if (changes_tail(actor))
		file->tail_changes++;
	if (actor->op == SHARE_TRUNCATE) {
		file->size = actor->set.size;
		file->size_doubt &= actor->begun <= file->lost;
		/* The size is; encrypted, the last block is sent later. */
		actor->version->published = actor->ended;
		actor->version->durable = true;
		return;
	}
	if (actor->io.start + actor->io.len > file->size)
		file->size = actor->io.start + actor->io.len;
	published(actor);
}

static void finish_close(struct actor *actor)
{
	struct share_handle *handle = handle_of(actor);

	if (!actor->result && actor->party->close_writes)
		versions_published(actor, actor->begun, actor->ended, false);
	netfs_release(handle->file);
	*handle = (struct share_handle){.flags = handle->flags};
}

static void finish_good(struct actor *actor)
{
	struct share_handle *handle = handle_of(actor);

	switch (actor->op) {
	case SHARE_OPEN:
		handle->file = actor->call.file;
		break;
	case SHARE_READ:
		suspect(actor);
		share_check_read(actor);
		break;
	case SHARE_WRITE:
	case SHARE_TRUNCATE:
		finish_change(actor);
		break;
	case SHARE_FSYNC:
		versions_published(actor, actor->begun, actor->ended, true);
		break;
	case SHARE_GETATTR:
		share_check_attr(actor);
		break;
	case SHARE_LOCK:
		handle->lock_write = actor->lock.type == NETFS_LOCK_WRITE;
		handle->cuts_granted = actor->cuts_after;
		handle->locked = true;
		share_check_lock(actor);
		break;
	case SHARE_UNLOCK:
		suspect(actor);
		handle->at_stake = false;
		break;
	default:
		break;
	}
}

/* Is everything of the party in this file on the server's disk? */
static void note_clean(struct actor *actor)
{
	struct share *share = &actor->world->share;
	struct share_file *file = file_of(actor);

	for (unsigned a = 0; a < ACTORS; a++) {
		if (share->actors[a].party != actor->party)
			continue;
		for (unsigned i = 0; i < file->count[a]; i++)
			if (!file->log[a][i].done || file->log[a][i].done > actor->begun)
				return;
	}
	actor->party->dirty[actor->file] = false;
}

static void finish(struct actor *actor)
{
	enum share_op op = actor->op;

	if (server_violation(&actor->world->server)[0])
		actor_fail(actor, "the server says: %s", server_violation(&actor->world->server));
	if (op == SHARE_CLOSE) {
		if (failed(actor) && !excused(actor))
			actor_fail(actor, "close failed with %s", strerror((int)-actor->result));
		finish_close(actor);
	} else if (op == SHARE_LOCK && actor->result == -EAGAIN) {
		handle_of(actor)->at_stake = false;
		actor->op = SHARE_NONE;
	} else if (failed(actor)) {
		if (actor->result < 0 ? !excused(actor) : !faults_errors(&actor->world->faults))
			actor_fail(actor, "%s failed with %s, nothing excuses it", op_names[op],
				   strerror(actor->result < 0 ? (int)-actor->result : 0));
		again(actor);
		return;
	} else {
		finish_good(actor);
		if (op == SHARE_FSYNC)
			note_clean(actor);
	}
	if (op == actor->pending)
		actor->pending = SHARE_NONE;
	/* The file is open again: now for what was to be done with it. */
	actor->op = actor->pending;
	actor->retry = actor->pending != SHARE_NONE;
}

/* ---------------------------------------------------------- the run's loop */

bool share_any_finished(struct world *world)
{
	for (unsigned i = 0; i < ACTORS && world->share.on; i++) {
		struct actor *actor = &world->share.actors[i];

		if (actor->op && !actor->retry && !actor->running)
			return true;
	}
	return false;
}

void share_finish(struct world *world)
{
	for (unsigned i = 0; i < ACTORS && world->share.on; i++) {
		struct actor *actor = &world->share.actors[i];

		if (actor->op && !actor->retry && !actor->running)
			finish(actor);
	}
}

unsigned share_busy(const struct world *world)
{
	unsigned busy = 0;

	for (unsigned i = 0; i < ACTORS && world->share.on; i++)
		busy += world->share.actors[i].op && !world->share.actors[i].retry;
	return busy;
}

void share_begin(struct world *world)
{
	for (unsigned i = 0; i < ACTORS && world->share.on; i++) {
		struct actor *actor = &world->share.actors[i];

		if (actor->op && !actor->retry)
			continue;
		if (actor->not_before > netfs_clock_now())
			continue;
		if (!actor->retry && !world->quiesce && !ops_left(world, &actor->stream))
			continue;
		begin(actor);
	}
}

uint64_t share_earliest_retry(struct world *world)
{
	uint64_t earliest = UINT64_MAX;

	for (unsigned i = 0; i < ACTORS && world->share.on; i++) {
		struct actor *actor = &world->share.actors[i];

		if (actor->retry && actor->not_before < earliest)
			earliest = actor->not_before;
	}
	return earliest;
}

void share_complain(struct world *world)
{
	for (unsigned i = 0; i < ACTORS && world->share.on; i++) {
		struct actor *actor = &world->share.actors[i];

		if (actor->op && !actor->retry)
			actor_fail(actor, "V7: %s never ends", op_names[actor->op]);
	}
}

void share_forgets(struct world *world)
{
	for (unsigned f = 0; f < SHARE_FILES && world->share.on; f++) {
		struct share_file *file = &world->share.files[f];

		if (!node_unstable(file->node))
			continue;
		netfs_sim_printf("%s loses something", file->name);
		file->lost = share_stamp(world);
		file->size_doubt |= file->node->now.size != file->node->stable.size;
	}
}

/* --------------------------------------------------------- mount, unmount */

static void draw_options(struct party *party)
{
	static const unsigned msizes[] = {4096, 16384, 65536, 262144};
	struct rng *rng = &party->world->rng;
	unsigned mode = (unsigned)rng_below(rng, 4), msize;
	unsigned ttl = mode == 3 ? 60 : 0;

	party->cached = mode >= 2;
	party->close_writes = mode != 3;
	party->sync = rng_one_in(rng, 12);
	snprintf(party->options, sizeof(party->options), "cache=%s",
		 mode < 2    ? "none"
		 : mode == 2 ? "strict"
			     : "loose");
	msize = msizes[rng_below(rng, 4)];
	if (party->world->cipher.on && msize == 4096)
		msize = 8192;
	server_add_options(&party->world->server, msize, party->options, sizeof(party->options));
	if (party->sync)
		strcat(party->options, ",sync");
	if (mode == 3 && rng_one_in(rng, 2)) {
		ttl = (unsigned)rng_below(rng, 20);
		snprintf(party->options + strlen(party->options), 20, ",actimeo=%u", ttl);
	}
	if (party->world->cipher.on)
		strcat(party->options, CIPHER_OPTION);
	party->ttl_ns = ttl * NETFS_NS_PER_SEC;
	netfs_sim_printf("party: %s", party->options);
}

static void issue_mount(struct world *world, struct netfs_call *call, void *user)
{
	struct party *party = user;

	netfs_mount_open_with(party->client, server_ops(&world->server),
			      server_source(&world->server), party->options, call);
}

struct wanted {
	struct netfs_vnode *dir;
	const char *name;
};

static void issue_lookup(struct world *world, struct netfs_call *call, void *user)
{
	struct wanted *wanted = user;

	netfs_lookup(wanted->dir, wanted->name, call);
}

static struct netfs_vnode *find(struct world *world, struct netfs_vnode *dir, const char *name)
{
	struct wanted wanted = {dir, name};
	struct netfs_call call;
	int err = world_call(world, &call, "lookup of a shared file", issue_lookup, &wanted);

	if (err)
		world_fail(world, "lookup of %s: %s", name, strerror(-err));
	netfs_vnode_put(dir);
	return call.vnode;
}

static void start_party(struct party *party)
{
	struct netfs_client_config config = {.struct_size = sizeof(config), .threads = 1};
	struct world *world = party->world;
	struct netfs_call call;

	config.memory_max = 4 << 20;
	config.dirty_age_ms = (uint32_t)rng_between(&world->rng, 10, 10000);
	draw_options(party);
	if (netfs_client_new(&config, &party->client) ||
	    world_call(world, &call, "mounting", issue_mount, party))
		world_fail(world, "a second client cannot mount with %s", party->options);
	party->mount = call.mount;
	for (unsigned f = 0; f < SHARE_FILES; f++)
		party->vnodes[f] =
			find(world, find(world, netfs_mount_root(party->mount), "shared"),
			     world->share.files[f].name);
}

static void make_file(struct world *world, struct node *dir, unsigned f)
{
	struct share_file *file = &world->share.files[f];

	snprintf(file->name, sizeof(file->name), "s%u", f);
	file->stripe = rng_between(&world->rng, 100, 6000);
	/* Two clients in one block would undo each other's changes, two actors of one
	 * client must not. */
	if (world->cipher.on && f == 0)
		file->stripe = 2048 * (1 + file->stripe / 2048);
	file->body = file->stripe * ACTORS * rng_between(&world->rng, 1, 4);
	file->max = file->body + 12000;
	file->size = file->body;
	if (tree_make(world->server.tree, dir, file->name, S_IFREG | 0644, &file->node) ||
	    node_resize(file->node, file->body))
		world_fail(world, "no memory");
}

void share_start(struct world *world)
{
	struct share *share = &world->share;
	struct node *dir;

	share->on = rng_one_in(&world->rng, 2) && !(world->options->without & (1U << FAULT_SHARE));
	if (!share->on)
		return;
	if (tree_make(world->server.tree, world->server.tree->root, "shared", S_IFDIR | 0755, &dir))
		world_fail(world, "no memory");
	for (unsigned f = 0; f < SHARE_FILES; f++)
		make_file(world, dir, f);
	for (unsigned i = 0; i < PARTIES; i++) {
		share->parties[i].world = world;
		start_party(&share->parties[i]);
	}
	for (unsigned i = 0; i < ACTORS; i++) {
		struct actor *actor = &share->actors[i];

		actor->world = world;
		actor->index = i;
		actor->party = &share->parties[i * PARTIES / ACTORS];
		actor->stream.stream = (uint8_t)(STREAM_ACTORS + i);
	}
}

static void issue_close(struct world *world, struct netfs_call *call, void *user)
{
	netfs_mount_close(((struct party *)user)->mount, 0, call);
}

static void end_party(struct party *party)
{
	struct world *world = party->world;
	struct netfs_mount_status status;
	struct netfs_call call;
	int err;

	netfs_mount_status(party->mount, &status);
	if (status.files_open || status.dirty || status.stuck)
		world_fail(world, "V13: a second client has %llu files open, %llu bytes dirty",
			   (unsigned long long)status.files_open, (unsigned long long)status.dirty);
	for (unsigned f = 0; f < SHARE_FILES; f++)
		netfs_vnode_put(party->vnodes[f]);
	err = world_call(world, &call, "unmounting", issue_close, party);
	if (err || call.count)
		world_fail(world, "V7: a second client cannot unmount: %s", strerror(-err));
	netfs_client_free(party->client);
}

void share_check(struct world *world)
{
	if (world->share.on)
		share_check_server(world);
}

void share_end(struct world *world)
{
	if (!world->share.on)
		return;
	share_check(world);
	for (unsigned i = 0; i < PARTIES; i++)
		end_party(&world->share.parties[i]);
	world->share.on = false;
}
