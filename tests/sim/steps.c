/* SPDX-License-Identifier: MIT */
/*
 * The workload: what a slot does next, and how it starts.
 *
 * Which step is drawn depends on what the slot has: without a file it makes
 * one, without a handle it opens one.  Positions cluster at page boundaries
 * and the end of the file.  While the world is being quieted, slots only sync
 * and close.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include "world.h"

/* Memory that is lent is not there for others. */
#define LENT_MAX 16384
#define DOUBT_NS (10 * NETFS_NS_PER_MS)

static const char *const names[STEP_KINDS] = {
	[STEP_NONE] = "nothing",    [STEP_CREATE] = "create",	  [STEP_LOOKUP] = "lookup",
	[STEP_GETATTR] = "getattr", [STEP_CHMOD] = "chmod",	  [STEP_OPEN] = "open",
	[STEP_READS] = "reads",	    [STEP_WRITE] = "write",	  [STEP_MIX] = "reads and writes",
	[STEP_APPEND] = "append",   [STEP_TRUNCATE] = "truncate", [STEP_FSYNC] = "fsync",
	[STEP_CLOSE] = "close",	    [STEP_RENAME] = "rename",	  [STEP_REPLACE] = "replace",
	[STEP_UNLINK] = "unlink",   [STEP_READDIR] = "readdir",	  [STEP_MKDIR] = "mkdir",
	[STEP_RMDIR] = "rmdir",	    [STEP_SEEK] = "seek",	  [STEP_ALLOCATE] = "allocate",
	[STEP_COPY] = "copy",	    [STEP_ADVISE] = "hint",	  [STEP_BARRIER] = "barrier",
};

const char *step_name(enum step_kind kind)
{
	return names[kind];
}

/* ---------------------------------------------------------- drawing */

static bool is_open(const struct slot *slot, unsigned i, bool write)
{
	uint32_t mode = slot->handles[i].flags & O_ACCMODE;

	return slot->handles[i].file && mode != (write ? O_RDONLY : O_WRONLY);
}

/* Chooses a handle that can read or write; false where there is none. */
static bool pick_handle(struct slot *slot, bool write)
{
	unsigned first = rng_below(&slot->rng, HANDLES_MAX);

	for (unsigned i = 0; i < HANDLES_MAX; i++) {
		unsigned at = (first + i) % HANDLES_MAX;

		if (!is_open(slot, at, write))
			continue;
		slot->handle = at;
		return true;
	}
	return false;
}

/* Any that is open. */
static bool pick_any(struct slot *slot)
{
	return pick_handle(slot, true) || pick_handle(slot, false);
}

static unsigned open_count(const struct slot *slot)
{
	unsigned count = 0;

	for (unsigned i = 0; i < HANDLES_MAX; i++)
		count += slot->handles[i].file != NULL;
	return count;
}

static uint32_t draw_open_flags(struct rng *rng)
{
	static const uint32_t modes[] = {O_RDWR, O_RDWR, O_RDWR, O_RDONLY, O_WRONLY};
	uint32_t flags = modes[rng_below(rng, 5)];

	if (rng_one_in(rng, 6))
		flags |= O_DIRECT;
	if (rng_one_in(rng, 8))
		flags |= rng_one_in(rng, 2) ? O_SYNC : O_DSYNC;
	if (rng_one_in(rng, 8))
		flags |= O_APPEND;
	if (rng_one_in(rng, 10) && (flags & O_ACCMODE) != O_RDONLY)
		flags |= O_TRUNC;
	return flags;
}

static uint64_t draw_place(struct rng *rng, uint64_t size, uint64_t limit)
{
	uint64_t at = rng_below(rng, limit);

	if (rng_one_in(rng, 3) && size)
		at = rng_below(rng, size);
	if (rng_one_in(rng, 4))
		at = (at & ~UINT64_C(4095)) + rng_below(rng, 5) - 2;
	else if (rng_one_in(rng, 6))
		at = size;
	return at < limit ? at : 0;
}

static uint64_t draw_len(struct slot *slot, uint64_t limit)
{
	struct world *world = slot->world;
	uint64_t max = rng_one_in(&slot->rng, 3) ? world->op_max : 5000;

	if (max > world->op_max)
		max = world->op_max;
	if (max > limit)
		max = limit;
	return rng_between(&slot->rng, 1, max);
}

static void draw_reads(struct slot *slot)
{
	struct world *world = slot->world;

	slot->batch_count = rng_one_in(&slot->rng, 2) ? 1 : rng_between(&slot->rng, 1, BATCH_MAX);
	for (unsigned i = 0; i < slot->batch_count; i++) {
		struct transfer *transfer = &slot->batch[i];

		pick_handle(slot, false);
		transfer->file = slot->handles[slot->handle].file;
		transfer->write = false;
		transfer->start = draw_place(&slot->rng, slot->model.size, world->file_max);
		transfer->len = draw_len(slot, world->file_max - transfer->start);
	}
}

static void draw_write(struct slot *slot)
{
	struct world *world = slot->world;
	struct transfer *transfer = &slot->batch[0];
	bool append = slot->handles[slot->handle].flags & O_APPEND;

	slot->step = append ? STEP_APPEND : STEP_WRITE;
	slot->batch_count = 1;
	transfer->write = true;
	transfer->file = slot->handles[slot->handle].file;
	transfer->start = append ? slot->model.size
				 : draw_place(&slot->rng, slot->model.size, world->file_max);
	if (transfer->start >= world->file_max) {
		slot->step = STEP_TRUNCATE;
		slot->size = rng_below(&slot->rng, world->file_max);
		return;
	}
	transfer->len = draw_len(slot, world->file_max - transfer->start);
}

/* Disjoint parts of the file, each read or written. */
static void draw_mix(struct slot *slot)
{
	uint64_t part = slot->model.size / BATCH_MAX;

	slot->batch_count = BATCH_MAX;
	for (unsigned i = 0; i < BATCH_MAX; i++) {
		struct transfer *transfer = &slot->batch[i];
		uint64_t skip = rng_below(&slot->rng, part);

		transfer->write = rng_one_in(&slot->rng, 2) && pick_handle(slot, true);
		/* A write through an appending handle goes elsewhere. */
		if (transfer->write && (slot->handles[slot->handle].flags & O_APPEND))
			transfer->write = false;
		if (!transfer->write && !pick_handle(slot, false)) {
			slot->batch_count = i;
			break;
		}
		transfer->file = slot->handles[slot->handle].file;
		transfer->start = i * part + skip;
		transfer->len = draw_len(slot, part - skip);
	}
	if (!slot->batch_count)
		slot->step = STEP_GETATTR;
}

static void draw_rename(struct slot *slot)
{
	struct world *world = slot->world;

	slot->step = STEP_RENAME;
	slot->new_dir = rng_below(&slot->rng, DIRS_MAX);
	do {
		snprintf(slot->new_name, FILE_NAME_MAX, "f%u%c", slot->index,
			 (char)('a' + rng_below(&slot->rng, 4)));
	} while (slot->new_dir == slot->dir && !strcmp(slot->name, slot->new_name));
	/* A slot may carry the name that was another's.  No two slots have the
	 * same, not even in different directories. */
	for (unsigned i = 0; i < world->slot_count; i++)
		if (i != slot->index && !strcmp(world->slots[i].name, slot->new_name))
			slot->step = STEP_GETATTR;
}

static void draw_replace(struct slot *slot)
{
	struct world *world = slot->world;
	struct slot *partner = &world->slots[rng_below(&slot->rng, world->slot_count)];

	slot->step = STEP_GETATTR;
	if (partner == slot || partner->step != STEP_NONE || partner->held || partner->retry ||
	    partner->state != SLOT_PRESENT || open_count(partner))
		return;
	slot->step = STEP_REPLACE;
	slot->partner = partner;
	partner->held = true;
	slot->new_dir = partner->dir;
	strcpy(slot->new_name, partner->name);
}

static void draw_absent(struct slot *slot)
{

	switch (rng_below(&slot->rng, 6)) {
	case 0:
		slot->step = STEP_LOOKUP;
		break;
	case 1:
		slot->step = STEP_READDIR;
		break;
	case 2:
		slot->step = slot->has_scratch ? STEP_RMDIR : STEP_MKDIR;
		break;
	default:
		slot->step = STEP_CREATE;
		slot->flags =
			draw_open_flags(&slot->rng) | (rng_one_in(&slot->rng, 2) ? O_EXCL : 0);
		break;
	}
}

static void draw_open(struct slot *slot)
{
	slot->step = slot->vnode ? STEP_OPEN : STEP_LOOKUP;
	slot->flags = draw_open_flags(&slot->rng);
}

static void draw_data(struct slot *slot)
{
	struct world *world = slot->world;
	uint64_t draw = rng_below(&slot->rng, 11);

	if (draw < 4 && pick_handle(slot, true)) {
		draw_write(slot);
	} else if (draw < 7 && pick_handle(slot, false)) {
		slot->step = STEP_READS;
		draw_reads(slot);
	} else if (draw == 7 && slot->model.size >= 64) {
		slot->step = STEP_MIX;
		draw_mix(slot);
	} else if (draw == 8 && (pick_handle(slot, true) || slot->state == SLOT_PRESENT)) {
		slot->step = STEP_TRUNCATE;
		slot->size = draw_place(&slot->rng, slot->model.size, world->file_max);
	} else if (draw < 10 || !pick_any(slot) || !extras_draw(slot)) {
		pick_handle(slot, true);
		slot->step = slot->handles[slot->handle].file ? STEP_FSYNC : STEP_GETATTR;
	}
}

static void draw_present(struct slot *slot)
{
	uint64_t draw = rng_below(&slot->rng, 100);
	unsigned open = open_count(slot);

	slot->handle = 0;
	if (slot->state == SLOT_PRESENT && (!slot->vnode || (!open && draw < 60)))
		draw_open(slot);
	else if (draw < 60)
		draw_data(slot);
	else if (draw < 66)
		slot->step = STEP_GETATTR;
	else if (draw < 68)
		slot->step = STEP_CHMOD;
	else if (draw < 78 && open) {
		slot->step = STEP_CLOSE;
		while (!slot->handles[slot->handle].file)
			slot->handle++;
	} else if (slot->state == SLOT_ORPHAN)
		draw_data(slot);
	else if (draw < 84 && open < HANDLES_MAX)
		draw_open(slot);
	else if (draw < 87)
		slot->step = STEP_LOOKUP;
	else if (draw < 90)
		slot->step = STEP_READDIR;
	else if (draw < 93)
		draw_rename(slot);
	else if (draw < 96)
		draw_replace(slot);
	else if (draw < 98)
		slot->step = STEP_UNLINK;
	else
		slot->step = slot->has_scratch ? STEP_RMDIR : STEP_MKDIR;
}

/* The next step on the way to silence; STEP_NONE when the slot is there. */
static void draw_quiet(struct slot *slot)
{
	enum quiesce quiesce = slot->world->quiesce;
	bool closing = quiesce >= QUIESCE_CLOSE || slot->state == SLOT_ORPHAN;

	slot->step = STEP_NONE;
	/* What may have been lost by the server is in no journal. */
	if (slot->state == SLOT_PRESENT && !slot->synced &&
	    (quiesce != QUIESCE_LEAVE || slot->lossy)) {
		slot->flags = O_RDWR;
		if (!slot->vnode)
			slot->step = STEP_LOOKUP;
		else if (!open_count(slot))
			slot->step = STEP_OPEN;
		else
			slot->step = STEP_FSYNC;
		for (slot->handle = 0; slot->step == STEP_FSYNC; slot->handle++)
			if (slot->handles[slot->handle].file)
				return;
		return;
	}
	for (unsigned i = 0; i < HANDLES_MAX && closing; i++) {
		if (!slot->handles[i].file)
			continue;
		slot->step = STEP_CLOSE;
		slot->handle = i;
		return;
	}
	if (closing && slot->vnode) {
		netfs_vnode_put(slot->vnode);
		slot->vnode = NULL;
	}
}

/* ---------------------------------------------------------- issuing */

static void io_done(struct netfs_io *io, ssize_t result)
{
	struct transfer *transfer = io->user;

	transfer->running = false;
	transfer->result = result;
	transfer->slot->outstanding--;
	transfer->slot->errors_after = faults_errors(&transfer->slot->world->faults);
}

/* A call that was cancelled ends with its connection, on which the request may
 * still arrive.  What came of it is not looked at before the server has noticed
 * that the connection is over. */
static void call_over(struct slot *slot)
{
	if (slot->err == -EINTR && server_lingers(&slot->world->server)) {
		netfs_timer_start(&slot->doubt, DOUBT_NS);
		return;
	}
	slot->outstanding--;
	slot->errors_after = faults_errors(&slot->world->faults);
}

static void call_done(struct netfs_call *call, int err)
{
	struct slot *slot = call->user;

	slot->err = err;
	call_over(slot);
}

static void doubt_over(struct netfs_task *task)
{
	call_over(netfs_container_of(task, struct slot, doubt_task));
}

void slot_init_calls(struct slot *slot)
{
	netfs_task_init(&slot->doubt_task, doubt_over);
	netfs_timer_init(&slot->doubt, &slot->doubt_task);
}

void slot_call_start(struct slot *slot)
{
	netfs_call_init(&slot->call, call_done);
	slot->call.user = slot;
	slot->outstanding++;
}

/* Flags of one transfer beside those of its handle.  One that may not wait, and
 * would have to, is made again without that. */
static unsigned draw_io_flags(struct slot *slot, const struct transfer *transfer)
{
	struct rng *rng = &slot->rng;
	unsigned flags = 0;

	if (rng_one_in(rng, 8) && !slot->failures)
		flags |= NETFS_IO_NOWAIT;
	if (rng_one_in(rng, 16))
		flags |= NETFS_IO_DIRECT;
	if (transfer->write && rng_one_in(rng, 16))
		flags |= NETFS_IO_DSYNC;
	if (!transfer->write && transfer->len <= LENT_MAX && rng_one_in(rng, 6))
		flags |= NETFS_IO_BORROW;
	return flags;
}

static void transfer_prepare(struct transfer *transfer, unsigned which)
{
	struct world *world = transfer->slot->world;
	unsigned pieces = rng_between(&transfer->slot->rng, 1, PIECES_MAX), n = 0;
	size_t at = 0;

	transfer->flags = draw_io_flags(transfer->slot, transfer);
	if (transfer->write)
		fsx_fill(transfer->buf, world->options->seed + which, transfer->slot->number,
			 transfer->start, transfer->len);
	else
		memset(transfer->buf, 0xA5, transfer->len);
	while (n < pieces - 1 && transfer->len - at > 1) {
		size_t piece = rng_between(&transfer->slot->rng, 1, transfer->len - at - 1);

		transfer->iov[n++] = (struct iovec){transfer->buf + at, piece};
		at += piece;
	}
	transfer->iov[n++] = (struct iovec){transfer->buf + at, transfer->len - at};
	transfer->io = (struct netfs_io){.done = io_done,
					 .user = transfer,
					 .iov = transfer->iov,
					 .niov = n,
					 .flags = transfer->flags,
					 .start = transfer->start,
					 .len = transfer->len};
	/* An append says itself where it went, whatever it was told. */
	if (transfer->slot->step == STEP_APPEND)
		transfer->io.start = rng_below(&transfer->slot->rng, world->file_max);
	transfer->running = true;
}

static void issue_transfers(struct slot *slot)
{
	/* All are counted before the first is started: it may end at once. */
	slot->outstanding += slot->batch_count;
	for (unsigned i = 0; i < slot->batch_count; i++)
		transfer_prepare(&slot->batch[i], i);
	for (unsigned i = 0; i < slot->batch_count; i++) {
		struct transfer *transfer = &slot->batch[i];

		if (transfer->write)
			netfs_write(transfer->file, &transfer->io);
		else
			netfs_read(transfer->file, &transfer->io);
	}
}

static void issue_truncate(struct slot *slot)
{
	struct netfs_file *file = slot->handles[slot->handle].file;

	slot->set = (struct netfs_setattr){.valid = NETFS_SET_SIZE, .size = slot->size};
	if ((slot->handles[slot->handle].flags & O_ACCMODE) == O_RDONLY)
		file = NULL;
	slot_call_start(slot);
	netfs_setattr(slot->vnode, file, &slot->set, &slot->call);
}

static void issue_chmod(struct slot *slot)
{
	slot->set = (struct netfs_setattr){.valid = NETFS_SET_MODE, .mode = 0600};
	slot_call_start(slot);
	netfs_setattr(slot->vnode, NULL, &slot->set, &slot->call);
}

/* Tells the list of operations what this one turned out to be. */
static void describe(struct slot *slot)
{
	const struct transfer *first = &slot->batch[0];
	const char *name = step_name(slot->step);

	switch (slot->step) {
	case STEP_READS:
	case STEP_WRITE:
	case STEP_MIX:
	case STEP_APPEND:
		ops_describe(slot->world, "%s %u of file %s: 0x%llx+0x%zx, handle flags 0%o", name,
			     slot->batch_count, slot->name, (unsigned long long)first->start,
			     first->len, slot->handles[slot->handle].flags);
		break;
	case STEP_TRUNCATE:
		ops_describe(slot->world, "%s file %s to 0x%llx", name, slot->name,
			     (unsigned long long)slot->size);
		break;
	case STEP_RENAME:
	case STEP_REPLACE:
		ops_describe(slot->world, "%s file %s to %s", name, slot->name, slot->new_name);
		break;
	case STEP_OPEN:
	case STEP_CREATE:
		ops_describe(slot->world, "%s file %s, flags 0%o", name, slot->name, slot->flags);
		break;
	default:
		ops_describe(slot->world, "%s file %s", name, slot->name);
		break;
	}
}

/* How many injected errors everybody knows of: a server decides on one before its
 * answer arrives, which may be to a question that a step finds under way. */
static uint64_t errors_answered(struct world *world)
{
	const uint64_t answer_ns = 2 * NETFS_NS_PER_SEC;
	uint64_t now = netfs_clock_now(), errors = 0;

	world->errors_seen[world->errors_next % ERRORS_SEEN].at_ns = now;
	world->errors_seen[world->errors_next++ % ERRORS_SEEN].errors =
		faults_errors(&world->faults);
	for (unsigned i = 0; i < ERRORS_SEEN && i < world->errors_next; i++)
		if (world->errors_seen[i].at_ns + answer_ns <= now &&
		    world->errors_seen[i].errors > errors)
			errors = world->errors_seen[i].errors;
	return errors;
}

void step_issue(struct slot *slot)
{
	struct world *world = slot->world;
	struct netfs_file *file = slot->handles[slot->handle].file;

	slot->errors_before = errors_answered(world);
	slot->cuts_before = world->faults.cuts;
	slot->cancelled = false;
	slot->err = 0;
	netfs_sim_printf("slot %u: step %llu: %s (size 0x%llx)", slot->index,
			 (unsigned long long)slot->number, step_name(slot->step),
			 (unsigned long long)slot->model.size);
	switch (slot->step) {
	case STEP_READS:
	case STEP_WRITE:
	case STEP_MIX:
	case STEP_APPEND:
		issue_transfers(slot);
		break;
	case STEP_GETATTR:
		slot_call_start(slot);
		netfs_getattr(slot->vnode, NULL, &slot->call);
		break;
	case STEP_CHMOD:
		issue_chmod(slot);
		break;
	case STEP_TRUNCATE:
		issue_truncate(slot);
		break;
	case STEP_FSYNC:
		slot_call_start(slot);
		netfs_fsync(file, rng_one_in(&slot->rng, 2), &slot->call);
		break;
	case STEP_CLOSE:
		slot_call_start(slot);
		netfs_flush(file, 0, &slot->call);
		break;
	case STEP_OPEN:
		slot_call_start(slot);
		netfs_open(slot->vnode, slot->flags, &slot->call);
		break;
	case STEP_SEEK:
	case STEP_ALLOCATE:
	case STEP_COPY:
	case STEP_ADVISE:
	case STEP_BARRIER:
		extras_issue(slot);
		break;
	default:
		names_issue(slot);
		break;
	}
}

/* Cancels what was just started, somewhere on its way. */
static void cancel(struct slot *slot)
{
	slot->cancelled = true;
	if (slot->step == STEP_READS || slot->step == STEP_WRITE || slot->step == STEP_MIX ||
	    slot->step == STEP_APPEND) {
		struct transfer *transfer = &slot->batch[0];

		if (transfer->running)
			netfs_io_cancel(transfer->file, &transfer->io);
	} else if (slot->step != STEP_CLOSE && slot->outstanding) {
		netfs_call_cancel(&slot->call);
	}
}

/* The server lost some of the file, and only what is empty is certain. */
static void draw_recovery(struct slot *slot)
{
	slot->step = STEP_LOOKUP;
	if (!slot->vnode)
		return;
	slot->step = STEP_TRUNCATE;
	slot->size = 0;
	slot->recovering = true;
	for (slot->handle = 0; slot->handle < HANDLES_MAX - 1; slot->handle++)
		if (is_open(slot, slot->handle, true))
			break;
}

static void draw_step(struct slot *slot)
{
	if (slot->world->quiesce)
		draw_quiet(slot);
	else if (!ops_next(slot->world, &slot->stream, &slot->rng))
		slot->step = STEP_NONE;
	else if (slot->state == SLOT_ABSENT)
		draw_absent(slot);
	else
		draw_present(slot);
}

void step_begin(struct slot *slot)
{
	struct world *world = slot->world;

	if (!slot->retry) {
		slot->failures = 0;
		draw_step(slot);
		if (slot->step == STEP_NONE)
			return;
		if (slot->lossy)
			draw_recovery(slot);
		slot->number = ++world->steps;
	}
	slot->retry = false;
	describe(slot);
	step_issue(slot);
	if (slot->outstanding && slot->failures < 3 && world->faults.active &&
	    rng_chance(&slot->rng, world->faults.mix.cancel))
		cancel(slot);
}
