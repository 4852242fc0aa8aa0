/* SPDX-License-Identifier: MIT */
/*
 * Steps beside reads, writes and names: holes, allocation, copies on the
 * server, hints, groups of writes.
 *
 * 9P has no message for holes, allocation and copies.  Then every byte is data,
 * and the others are refused without a change; what a client must not do is to
 * fail in another way, to wait, or to lose what is unsent.  SMB has some: what
 * they did is done to the model too, and what failed is made again.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <string.h>
#include <unistd.h>
#include "world.h"

/* ------------------------------------------------------------ drawing */

static void draw_range(struct slot *slot)
{
	struct world *world = slot->world;

	slot->size = rng_below(&slot->rng, world->file_max);
	slot->extra_len = rng_between(&slot->rng, 1, world->op_max);
}

static bool draw_seek(struct slot *slot)
{
	slot->step = STEP_SEEK;
	slot->flags = rng_one_in(&slot->rng, 2) ? SEEK_DATA : SEEK_HOLE;
	draw_range(slot);
	return true;
}

static bool draw_allocate(struct slot *slot)
{
	static const uint32_t modes[] = {0,
					 FALLOC_FL_KEEP_SIZE,
					 FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					 FALLOC_FL_ZERO_RANGE,
					 FALLOC_FL_COLLAPSE_RANGE,
					 FALLOC_FL_INSERT_RANGE};

	if ((slot->handles[slot->handle].flags & O_ACCMODE) == O_RDONLY)
		return false;
	slot->step = STEP_ALLOCATE;
	slot->flags = modes[rng_below(&slot->rng, 6)];
	draw_range(slot);
	return true;
}

static bool draw_copy(struct slot *slot)
{
	if ((slot->handles[slot->handle].flags & (O_ACCMODE | O_APPEND)) != O_RDWR)
		return false;
	slot->step = STEP_COPY;
	draw_range(slot);
	if (slot->extra_len > slot->size)
		slot->extra_len = slot->size;
	return slot->extra_len > 0;
}

/* slot->handle is open.  False: nothing that could be done with it. */
bool extras_draw(struct slot *slot)
{
	switch (rng_below(&slot->rng, 6)) {
	case 0:
		return draw_seek(slot);
	case 1:
		return draw_allocate(slot);
	case 2:
		return draw_copy(slot);
	case 3:
		slot->step = STEP_BARRIER;
		return slot->world->groups;
	default:
		slot->step = STEP_ADVISE;
		slot->flags = (uint32_t)rng_between(&slot->rng, NETFS_ADVICE_NORMAL,
						    NETFS_ADVICE_DONTNEED);
		draw_range(slot);
		return true;
	}
}

/* ------------------------------------------------------------ issuing */

void extras_issue(struct slot *slot)
{
	struct netfs_file *file = slot->handles[slot->handle].file;

	switch (slot->step) {
	case STEP_SEEK:
		slot_call_start(slot);
		netfs_seek(file, slot->size, (int)slot->flags, &slot->call);
		break;
	case STEP_ALLOCATE:
		slot_call_start(slot);
		netfs_fallocate(file, slot->flags, slot->size, slot->extra_len, &slot->call);
		break;
	case STEP_COPY:
		if (slot->world->server.smb && slot->extra_len > slot->world->file_max - slot->size)
			slot->extra_len = slot->world->file_max - slot->size;
		slot_call_start(slot);
		netfs_copy_range(file, 0, file, slot->size, slot->extra_len, &slot->call);
		break;
	case STEP_BARRIER:
		slot->err = netfs_mount_barrier(slot->world->mount);
		break;
	default:
		slot->err = netfs_advise(file, slot->size, slot->extra_len,
					 (enum netfs_advice)slot->flags);
		break;
	}
	slot->errors_after = faults_errors(&slot->world->faults);
}

/* ---------------------------------------------------------- finishing */

static void require(struct slot *slot, bool good)
{
	if (good || step_excused(slot, slot->err))
		return;
	slot_fail(slot, "%s gave %s and nothing excuses it", step_name(slot->step),
		  slot->err ? strerror(-slot->err) : "success");
}

static void check_seek(struct slot *slot)
{
	uint64_t size = slot->model.size;
	uint64_t want = slot->flags == SEEK_DATA ? slot->size : size;

	if (slot->lossy)
		return;
	if (slot->size >= size) {
		require(slot, slot->err == -ENXIO);
		return;
	}
	require(slot, slot->err == 0);
	if (!slot->err && slot->call.offset != want)
		slot_fail(slot,
			  "V5: looking from 0x%" PRIx64 " found 0x%" PRIx64 ", must be 0x%" PRIx64,
			  slot->size, slot->call.offset, want);
}

static void apply(struct slot *slot, enum fsx_kind kind, uint64_t len)
{
	struct fsx_op op = {.kind = kind, .flags = FSX_KEEP_SIZE, .start = slot->size, .len = len};

	if (kind == FSX_COPY_RANGE) {
		op.start = 0;
		op.dest = slot->size;
	} else if (op.start >= slot->model.size) {
		return;
	} else if (len > slot->model.size - op.start) {
		op.len = slot->model.size - op.start;
	}
	fsx_oracle_apply(&slot->model, &op, NULL);
	slot->synced = false;
}

/* It was refused, which may be and changes nothing, unless an earlier try already
 * changed something; what is encrypted is never copied there. */
static bool is_refused(const struct slot *slot)
{
	return slot->err == -EOPNOTSUPP && (!slot->failures || slot->world->cipher.on);
}

/* Of the modes that are drawn SMB knows one. */
static void finish_allocate(struct slot *slot)
{
	bool known = slot->world->server.smb && slot->flags & FALLOC_FL_PUNCH_HOLE;

	if (!known) {
		require(slot, slot->err == -EOPNOTSUPP);
	} else if (slot->err) {
		require(slot, false);
		slot->synced = false;
		step_retry(slot);
		return;
	} else {
		apply(slot, FSX_PUNCH_HOLE, slot->extra_len);
	}
	step_done(slot);
}

static void finish_copy(struct slot *slot)
{
	uint64_t most = slot->model.size < slot->extra_len ? slot->model.size : slot->extra_len;

	if (!slot->world->server.smb) {
		require(slot, slot->err == -EOPNOTSUPP);
	} else if (!is_refused(slot)) {
		require(slot, !slot->err || slot->failures);
		slot->synced = false;
		if (slot->err || (slot->call.count < most && !slot->lossy)) {
			step_retry(slot);
			return;
		}
		if (slot->call.count > most && !slot->lossy)
			slot_fail(slot, "V11: copied 0x%" PRIx64 ", must be 0x%" PRIx64,
				  (uint64_t)slot->call.count, most);
		if (most)
			apply(slot, FSX_COPY_RANGE, most);
	}
	step_done(slot);
}

void extras_finish(struct slot *slot)
{
	switch (slot->step) {
	case STEP_SEEK:
		check_seek(slot);
		break;
	case STEP_ALLOCATE:
		finish_allocate(slot);
		return;
	case STEP_COPY:
		finish_copy(slot);
		return;
	case STEP_BARRIER:
		require(slot, slot->err == 0 || slot->err == -EBUSY);
		break;
	default:
		/* A hint never waits, and one that cannot be followed is lost. */
		require(slot, slot->err == 0);
		break;
	}
	step_done(slot);
}
