/* SPDX-License-Identifier: MIT */
/*
 * The server and the world of plain.h.
 *
 * Locks: none; the simulator has one thread.
 */
#include "plain.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <env/clock.h>

#define LIMIT_NS (UINT64_C(4000) * 1000000000)

static struct plain *the_plain;

/* ------------------------------------------------------------ server */

static size_t fill(struct plain *plain, struct netfs_slice *slice, size_t most, unsigned *flags)
{
	uint64_t pos = slice->start;
	size_t moved = 0;

	for (unsigned i = 0; i < slice->niov; i++) {
		uint8_t *base = slice->iov[i].iov_base;

		for (size_t j = 0; j < slice->iov[i].iov_len && moved < most && pos < plain->size;
		     j++, pos++, moved++)
			base[j] = plain_byte(pos);
	}
	if (pos >= plain->size && moved < slice->len)
		*flags |= NETFS_SLICE_EOF;
	return moved;
}

static void answer(struct netfs_task *task)
{
	struct plain_slot *slot = netfs_container_of(task, struct plain_slot, task);
	struct plain *plain = slot->plain;
	struct netfs_slice *slice = slot->slice;
	struct plain_verdict verdict = {.moved = slice->len};

	if (plain->judge)
		plain->judge(plain, slice, &verdict);
	slot->busy = false;
	if (slice->kind == NETFS_SLICE_READ && !verdict.err)
		verdict.moved = fill(plain, slice, verdict.moved, &verdict.flags);
	else if (verdict.err)
		verdict.moved = 0;
	else if (slice->start + verdict.moved > plain->size)
		plain->size = slice->start + verdict.moved;
	slice->done(slice, verdict.moved, verdict.err, verdict.flags);
	if (plain->refused) {
		plain->refused = false;
		netfs_core_ready(plain->core);
	}
}

static void send_answer(struct plain_slot *slot)
{
	struct plain *plain = slot->plain;
	uint64_t now = netfs_clock_now(), delay = plain->delay_ns;

	if (plain->bytes_per_s) {
		if (plain->line_free_ns < now)
			plain->line_free_ns = now;
		plain->line_free_ns += slot->slice->len * NETFS_NS_PER_SEC / plain->bytes_per_s;
		delay += plain->line_free_ns - now;
	}
	netfs_timer_start(&slot->timer, delay);
}

static ssize_t take(struct netfs_handle *handle, struct netfs_slice *slice)
{
	struct plain *plain = netfs_container_of(handle, struct plain, handle);
	unsigned depth = plain->depth ? plain->depth : PLAIN_SLOTS;

	for (unsigned i = 0; i < depth; i++) {
		struct plain_slot *slot = &plain->slot[i];

		if (slot->busy)
			continue;
		if (plain->take_max && slice->len > plain->take_max)
			netfs_slice_trim(slice, plain->take_max);
		slot->busy = true;
		slot->slice = slice;
		assert_true(plain->nasked < PLAIN_LOG);
		plain->asked[plain->nasked++] = (struct plain_asked){
			slice->start, slice->start + slice->len, slice->kind == NETFS_SLICE_WRITE};
		plain->nwrites += slice->kind == NETFS_SLICE_WRITE;
		if (!plain->hold)
			send_answer(slot);
		return slice->len;
	}
	plain->refused = true;
	return -EAGAIN;
}

void plain_release(struct plain *plain)
{
	plain->hold = false;
	for (unsigned i = 0; i < PLAIN_SLOTS; i++) {
		if (plain->slot[i].busy)
			send_answer(&plain->slot[i]);
	}
}

static void sync_op(struct netfs_handle *handle, bool datasync, struct netfs_op *op)
{
	op->done(op, 0);
}

static void cancel(struct netfs_be *be, struct netfs_slice *slice)
{
}

static void keep_handle(struct netfs_handle *handle)
{
	fail_msg("the test holds a reference of its own");
}

static const struct netfs_be_ops ops = {
	.scheme = "plain",
	.read = take,
	.write = take,
	.fsync = sync_op,
	.slice_cancel = cancel,
	.handle_free = keep_handle,
};

/* ------------------------------------------------------------- world */

static void count_busy(struct netfs_inode *inode)
{
	the_plain->busy++;
}

static void count_idle(struct netfs_inode *inode)
{
	the_plain->busy--;
}

static const struct netfs_inode_ops inode_ops = {count_busy, count_idle};

static void server_init(struct plain *plain)
{
	plain->be.ops = &ops;
	plain->be.rsize = plain->be.wsize = plain->rsize ? plain->rsize : 1 << 20;
	plain->be.depth = 16;
	plain->be.granule = plain->granule;
	plain->handle = (struct netfs_handle){
		.refs = 1, .be = &plain->be, .readable = true, .writable = true};
	for (unsigned i = 0; i < PLAIN_SLOTS; i++) {
		plain->slot[i].plain = plain;
		netfs_task_init(&plain->slot[i].task, answer);
		netfs_timer_init(&plain->slot[i].timer, &plain->slot[i].task);
	}
}

void plain_start(struct plain *plain)
{
	struct netfs_core_config config = {
		.be = &plain->be,
		.stats = &plain->stats,
		.dirty_age_ms = 5000,
		.rasize = plain->rasize,
		.hard = true,
	};

	netfs_sim_start(1);
	the_plain = plain;
	server_init(plain);
	assert_int_equal(netfs_budget_new(plain->memory_max ? plain->memory_max : 64 << 20,
					  plain->dirty_max ? plain->dirty_max : 32 << 20,
					  &plain->budget),
			 0);
	config.budget = plain->budget;
	assert_int_equal(netfs_core_new(&config, &plain->core), 0);
	netfs_inode_init(&plain->inode, plain->core, &inode_ops,
			 plain->other_size ? plain->told_size : plain->size, false);
	assert_int_equal(netfs_inode_attach_handle(&plain->inode, &plain->handle), 0);
	netfs_opener_init(&plain->opener, &plain->handle, 0);
	netfs_opener_init(&plain->direct, &plain->handle, NETFS_OPENER_UNBUFFERED);
}

static bool is_idle(void *user)
{
	return ((struct plain *)user)->busy == 0;
}

void plain_idle(struct plain *plain)
{
	assert_true(netfs_sim_run(is_idle, plain, LIMIT_NS));
}

void plain_stop(struct plain *plain)
{
	netfs_inode_detach_handle(&plain->inode, &plain->handle);
	plain_idle(plain);
	assert_int_equal(netfs_core_requests(plain->core), 0);
	netfs_inode_done(&plain->inode);
	assert_int_equal(netfs_budget_used(plain->budget), 0);
	netfs_core_free(plain->core);
	netfs_budget_free(plain->budget);
	assert_int_equal(plain->handle.refs, 1);
	netfs_sim_stop();
	assert_int_equal(netfs_sim_allocs(), 0);
}

uint64_t plain_stat(struct plain *plain, enum netfs_stat_id id)
{
	return netfs_stats_get(&plain->stats, id);
}

/* --------------------------------------------------------------- ios */

static void io_done(struct netfs_io *io, ssize_t result)
{
	struct plain_io *mine = io->user;

	assert_false(mine->ended);
	mine->result = result;
	mine->ended = true;
}

static void io_prepare(struct plain_io *io, uint64_t pos, size_t len, unsigned flags)
{
	io->buf = malloc(len);
	memset(io->buf, 0xee, len);
	io->iov[0] = (struct iovec){io->buf, len};
	io->ended = false;
	io->io = (struct netfs_io){.done = io_done,
				   .user = io,
				   .iov = io->iov,
				   .niov = 1,
				   .flags = flags,
				   .start = pos,
				   .len = len};
}

void plain_read_start(struct plain *plain, struct plain_io *io, uint64_t pos, size_t len,
		      unsigned flags)
{
	io_prepare(io, pos, len, flags);
	netfs_core_read(&plain->inode, flags & NETFS_IO_DIRECT ? &plain->direct : &plain->opener,
			&io->io);
}

void plain_write_start(struct plain *plain, struct plain_io *io, uint64_t pos, size_t len,
		       unsigned flags)
{
	io_prepare(io, pos, len, flags);
	netfs_core_write(&plain->inode, flags & NETFS_IO_DIRECT ? &plain->direct : &plain->opener,
			 &io->io);
}

static bool io_ended(void *user)
{
	return ((struct plain_io *)user)->ended;
}

ssize_t plain_wait(struct plain *plain, struct plain_io *io)
{
	assert_true(netfs_sim_run(io_ended, io, LIMIT_NS));
	free(io->buf);
	return io->result;
}

ssize_t plain_read(struct plain *plain, uint64_t pos, size_t len, unsigned flags)
{
	struct plain_io io;

	plain_read_start(plain, &io, pos, len, flags);
	assert_true(netfs_sim_run(io_ended, &io, LIMIT_NS));
	for (ssize_t i = 0; i < io.result; i++) {
		if (io.buf[i] != plain_byte(pos + i))
			fail_msg("byte %llu is wrong", (unsigned long long)(pos + i));
	}
	return plain_wait(plain, &io);
}

ssize_t plain_write(struct plain *plain, uint64_t pos, size_t len, unsigned flags)
{
	struct plain_io io;

	plain_write_start(plain, &io, pos, len, flags);
	return plain_wait(plain, &io);
}

struct flush {
	struct netfs_completion done;
	bool ended;
	int err;
};

static void flush_done(struct netfs_completion *done, int err)
{
	struct flush *flush = netfs_container_of(done, struct flush, done);

	flush->err = err;
	flush->ended = true;
}

static bool flush_ended(void *user)
{
	return ((struct flush *)user)->ended;
}

int plain_flush(struct plain *plain)
{
	struct flush flush = {.done = {.fn = flush_done}};

	netfs_inode_flush(&plain->inode, 0, UINT64_MAX, &flush.done);
	assert_true(netfs_sim_run(flush_ended, &flush, LIMIT_NS));
	return flush.err;
}

bool plain_was_asked(struct plain *plain, uint64_t start, uint64_t end)
{
	for (unsigned i = 0; i < plain->nasked; i++) {
		if (plain->asked[i].start == start && plain->asked[i].end == end)
			return true;
	}
	return false;
}
