/* SPDX-License-Identifier: MIT */
/*
 * What came of a step: results against the model, and whether the budget of
 * faults.h excuses a failure.
 *
 * A step that changed data or size and failed is made again, with the same
 * bytes, until it succeeds; then the model is certain again.  Who fails too
 * often is given a time of grace without injected errors; who fails even then
 * has found a bug.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include "world.h"

#define FAILURES_BEFORE_GRACE 3
#define FAILURES_MAX	      60

static bool is_name_step(enum step_kind step)
{
	switch (step) {
	case STEP_CREATE:
	case STEP_RENAME:
	case STEP_REPLACE:
	case STEP_UNLINK:
	case STEP_MKDIR:
	case STEP_RMDIR:
		return true;
	default:
		return false;
	}
}

/* Were there injected errors that may have hit this step?  Errors of earlier
 * write-back may be told to whoever waits for it, until an fsync succeeds. */
static bool errors_since(const struct slot *slot)
{
	uint64_t since = slot->synced || slot->state == SLOT_ABSENT ? slot->errors_before
								    : slot->errors_synced;
	uint64_t told = slot->handles[slot->handle].errors_told;

	/* Each open file is told once, also after another one's fsync. */
	if ((slot->step == STEP_FSYNC || slot->step == STEP_CLOSE) && told < since)
		since = told;
	return slot->errors_after > since;
}

/* Who waits for data of an older group is told why it does not get on, whatever
 * file that is of: also of one that was closed or removed. */
static bool errors_of_others(const struct slot *slot)
{
	const struct world *world = slot->world;

	return world->groups && slot->errors_after > world->errors_quiet;
}

bool step_excused(struct slot *slot, int err)
{
	if (err == -EINTR)
		return slot->cancelled;
	if (err == -EIO || err == -ENOSPC || err == -EDQUOT || err == -ENOMEM || err == -EAGAIN ||
	    err == -EPROTO)
		return errors_since(slot) || errors_of_others(slot);
	/* The server is away: nobody says for how long. */
	if (err == -EHOSTDOWN)
		return slot->world->cachedisk.offline;
	/* Data of a removed file that can no longer be sent. */
	if (err == -ESTALE && slot->world->server.smb)
		return errors_of_others(slot);
	/* Nobody may replace what is open, be it for data that was not yet sent. */
	if (slot->step == STEP_REPLACE && err == -EACCES)
		return server_keeps_strays(&slot->world->server) &&
		       (slot->world->faults.mix.cancel || netfs_sim_allocs_refused() ||
			!slot->partner->synced);
	if (is_name_step(slot->step) && slot->world->faults.cuts > slot->cuts_before)
		return err == -EEXIST || err == -ENOENT;
	return false;
}

static void grace_update(struct world *world)
{
	world->faults.grace = false;
	for (unsigned i = 0; i < world->slot_count; i++)
		if (world->slots[i].failures > FAILURES_BEFORE_GRACE)
			world->faults.grace = true;
}

void step_retry(struct slot *slot)
{
	struct world *world = slot->world;

	slot->retry = true;
	/* Nobody says for how long the server is away. */
	if (slot->err != -EHOSTDOWN)
		slot->failures++;
	if (slot->failures > FAILURES_MAX)
		slot_fail(slot, "V7: failed %u times, long without an error of the server (%s)",
			  slot->failures, strerror(-slot->err));
	slot->not_before = netfs_clock_now() + rng_between(&slot->rng, 100, 3000) * NETFS_NS_PER_MS;
	grace_update(world);
}

void step_done(struct slot *slot)
{
	slot->step = STEP_NONE;
	/* It takes time to come back, and what is known takes none. */
	if (slot->err == -EHOSTDOWN)
		slot->not_before = netfs_clock_now() + NETFS_NS_PER_SEC;
	if (!slot->failures)
		return;
	slot->failures = 0;
	grace_update(slot->world);
}

static void require_excuse(struct slot *slot, int err)
{
	if (!step_excused(slot, err))
		slot_fail(slot, "failed with %s and nothing excuses it", strerror(-err));
}

/* -------------------------------------------------------- transfers */

static void check_read(struct slot *slot, const struct transfer *transfer)
{
	/* While the server is away a read ends where the cache does. */
	bool patient = !(transfer->flags & NETFS_IO_NOWAIT) && !slot->world->cachedisk.offline;
	uint64_t want = transfer->len, at;

	if (slot->lossy)
		return;
	if (transfer->start >= slot->model.size)
		want = 0;
	else if (want > slot->model.size - transfer->start)
		want = slot->model.size - transfer->start;
	if (transfer->result > (ssize_t)want || (transfer->result < (ssize_t)want && patient &&
						 !errors_since(slot) && !slot->cancelled))
		slot_fail(slot,
			  "V11: read of 0x%zx at 0x%" PRIx64 " returned 0x%zx, must be 0x%" PRIx64
			  ", size 0x%" PRIx64,
			  transfer->len, transfer->start, transfer->result, want, slot->model.size);
	if (fsx_oracle_differs(&slot->model, transfer->start, transfer->buf, transfer->result, &at))
		slot_fail(slot,
			  "V2: read of 0x%zx at 0x%" PRIx64 ": byte 0x%" PRIx64
			  " is 0x%02x, must be 0x%02x, size 0x%" PRIx64,
			  transfer->len, transfer->start, at, transfer->buf[at - transfer->start],
			  slot->model.bytes[at], slot->model.size);
}

/* True where the transfer did all it had to, or was a good read. */
static bool transfer_whole(struct slot *slot, const struct transfer *transfer)
{
	bool patient = !(transfer->flags & NETFS_IO_NOWAIT);

	if (transfer->result == -EAGAIN && !patient)
		return !transfer->write;
	if (transfer->result < 0) {
		require_excuse(slot, transfer->result);
		if (slot->err != -EHOSTDOWN)
			slot->err = (int)transfer->result;
		return false;
	}
	if (!transfer->write) {
		check_read(slot, transfer);
		return true;
	}
	if (transfer->result > (ssize_t)transfer->len)
		slot_fail(slot, "V11: write of 0x%zx returned 0x%zx", transfer->len,
			  transfer->result);
	if (transfer->result == (ssize_t)transfer->len) {
		if (!slot->lossy && transfer->io.start != transfer->start)
			slot_fail(slot, "V4: an append went to 0x%" PRIx64 ", must be 0x%" PRIx64,
				  transfer->io.start, transfer->start);
		return true;
	}
	if (patient && !errors_since(slot) && !slot->cancelled && !slot->lossy)
		slot_fail(slot, "V11: write of 0x%zx returned 0x%zx and nothing excuses it",
			  transfer->len, transfer->result);
	return false;
}

/* What is lent must still be what was read, although others of the batch may have
 * written to the same memory. */
static void take_lent(struct transfer *transfer)
{
	size_t at = 0;

	if (!(transfer->flags & NETFS_IO_BORROW) || transfer->write || transfer->result <= 0)
		return;
	for (unsigned i = 0; i < transfer->io.niov; i++) {
		const struct iovec *piece = &transfer->iov[i];

		if (piece->iov_len > transfer->len - at)
			slot_fail(transfer->slot, "V11: lent more than 0x%zx", transfer->len);
		memcpy(transfer->buf + at, piece->iov_base, piece->iov_len);
		at += piece->iov_len;
	}
	if (at != (size_t)transfer->result)
		slot_fail(transfer->slot, "V11: lent 0x%zx, told 0x%zx", at, transfer->result);
	netfs_io_end(&transfer->io);
}

static void apply_write(struct slot *slot, const struct transfer *transfer)
{
	struct fsx_op op = {.kind = FSX_WRITE, .start = transfer->start, .len = transfer->len};

	fsx_oracle_apply(&slot->model, &op, transfer->buf);
}

/* What the handle promises about an acknowledged write. */
static void check_promise(struct slot *slot, const struct transfer *transfer)
{
	uint32_t flags = 0;

	for (unsigned i = 0; i < HANDLES_MAX; i++)
		if (slot->handles[i].file == transfer->file)
			flags = slot->handles[i].flags;
	if (slot->world->sync || (flags & (O_DSYNC | O_SYNC)) || (transfer->flags & NETFS_IO_DSYNC))
		check_range(slot, transfer->start, transfer->len, true);
	else if (!slot->world->cachedisk.journal && (!slot->world->cached || (flags & O_DIRECT) ||
						     (transfer->flags & NETFS_IO_DIRECT)))
		check_range(slot, transfer->start, transfer->len, false);
}

static void finish_transfers(struct slot *slot)
{
	bool whole = true, wrote = false;

	slot->err = 0;
	for (unsigned i = 0; i < slot->batch_count; i++)
		take_lent(&slot->batch[i]);
	for (unsigned i = 0; i < slot->batch_count; i++) {
		whole &= transfer_whole(slot, &slot->batch[i]);
		wrote |= slot->batch[i].write;
	}
	if (!wrote) {
		step_done(slot);
		return;
	}
	slot->synced = false;
	if (!whole) {
		/* An append cannot be made again: what it left is cut off. */
		if (slot->step == STEP_APPEND) {
			slot->step = STEP_TRUNCATE;
			slot->size = slot->model.size;
		}
		step_retry(slot);
		return;
	}
	for (unsigned i = 0; i < slot->batch_count; i++)
		if (slot->batch[i].write)
			apply_write(slot, &slot->batch[i]);
	for (unsigned i = 0; i < slot->batch_count; i++)
		if (slot->batch[i].write)
			check_promise(slot, &slot->batch[i]);
	step_done(slot);
}

/* ------------------------------------------------------------ calls */

static void apply_truncate(struct slot *slot, uint64_t size)
{
	struct fsx_op op = {.kind = FSX_TRUNCATE, .len = size};

	fsx_oracle_apply(&slot->model, &op, NULL);
}

static void finish_truncate(struct slot *slot)
{
	slot->synced = false;
	if (slot->err) {
		require_excuse(slot, slot->err);
		step_retry(slot);
		return;
	}
	apply_truncate(slot, slot->size);
	if (slot->recovering)
		slot->lossy = false;
	slot->recovering = false;
	if (!slot->lossy && slot->call.attr.size != slot->size)
		slot_fail(slot, "V4: truncated to 0x%" PRIx64 ", told size 0x%" PRIx64, slot->size,
			  slot->call.attr.size);
	step_done(slot);
}

static void finish_fsync(struct slot *slot)
{
	if (slot->err) {
		require_excuse(slot, slot->err);
		step_retry(slot);
		return;
	}
	slot->handles[slot->handle].errors_told = slot->errors_after;
	check_file(slot, false);
	check_file(slot, true);
	slot->synced = true;
	slot->errors_synced = slot->errors_after;
	step_done(slot);
}

static void finish_close(struct slot *slot)
{
	struct open_handle *handle = &slot->handles[slot->handle];

	if (slot->err)
		require_excuse(slot, slot->err);
	else if (slot->world->close_writes && (handle->flags & O_ACCMODE) != O_RDONLY)
		check_file(slot, false);
	netfs_release(handle->file);
	handle->file = NULL;
	if (slot->state == SLOT_ORPHAN) {
		unsigned open = 0;

		for (unsigned i = 0; i < HANDLES_MAX; i++)
			open += slot->handles[i].file != NULL;
		if (!open) {
			netfs_vnode_put(slot->vnode);
			slot->vnode = NULL;
			slot->state = SLOT_ABSENT;
			apply_truncate(slot, 0);
		}
	}
	step_done(slot);
}

/* Errors after this one may reach a file that was opened just now: one that the
 * server made is on its way to the client for as long as its reply is. */
static uint64_t errors_under_way(const struct slot *slot)
{
	return slot->synced ? slot->errors_before : slot->errors_synced;
}

static void finish_open(struct slot *slot)
{
	bool empties = slot->flags & O_TRUNC;

	if (empties)
		slot->synced = false;
	if (slot->err) {
		require_excuse(slot, slot->err);
		if (empties)
			step_retry(slot);
		else
			step_done(slot);
		return;
	}
	for (unsigned i = 0; i < HANDLES_MAX; i++) {
		if (slot->handles[i].file)
			continue;
		slot->handles[i].file = slot->call.file;
		slot->handles[i].flags = slot->flags;
		slot->handles[i].errors_told = errors_under_way(slot);
		break;
	}
	if (empties)
		apply_truncate(slot, 0);
	step_done(slot);
}

static void finish_attr(struct slot *slot)
{
	const struct netfs_attr *attr = &slot->call.attr;

	if (slot->err) {
		require_excuse(slot, slot->err);
	} else {
		if (attr->size != slot->model.size && !slot->lossy)
			slot_fail(slot, "V4: told size 0x%" PRIx64 ", must be 0x%" PRIx64,
				  attr->size, slot->model.size);
		if (slot->step == STEP_CHMOD && (attr->mode & 07777) != 0600)
			slot_fail(slot, "V17: mode is 0%o after chmod 0600", attr->mode);
	}
	step_done(slot);
}

void step_finish(struct slot *slot)
{
	const char *violation = server_violation(&slot->world->server);

	if (violation[0])
		slot_fail(slot, "the server says: %s", violation);
	switch (slot->step) {
	case STEP_READS:
	case STEP_WRITE:
	case STEP_MIX:
	case STEP_APPEND:
		finish_transfers(slot);
		break;
	case STEP_GETATTR:
	case STEP_CHMOD:
		finish_attr(slot);
		break;
	case STEP_TRUNCATE:
		finish_truncate(slot);
		break;
	case STEP_FSYNC:
		finish_fsync(slot);
		break;
	case STEP_CLOSE:
		finish_close(slot);
		break;
	case STEP_OPEN:
		finish_open(slot);
		break;
	case STEP_SEEK:
	case STEP_ALLOCATE:
	case STEP_COPY:
	case STEP_ADVISE:
	case STEP_BARRIER:
		extras_finish(slot);
		break;
	default:
		names_finish(slot);
		break;
	}
}
