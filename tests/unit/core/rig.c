/* SPDX-License-Identifier: MIT */
/*
 * The rig's server is an array behind netfs_be_ops.  A slice it takes is put in
 * a list; a task answers the list, unless it is told to hold it.
 *
 * It checks on its own that no byte arrives that nobody wrote: every byte of a
 * slice must be marked unsent in the rig's own account.
 *
 * Locks: none.  The simulated machine has one thread.
 */
#include <stdio.h>
#include <core/folio.h>
#include "rig.h"

#define LIMIT_NS (UINT64_C(100000) * NETFS_NS_PER_SEC)
#define LONG_MS	 (UINT32_C(3600) * 1000 * 24)

static struct rig *the_rig;

/* ------------------------------------------------------------ the server */

static size_t move_read(struct rig *rig, struct netfs_slice *slice, size_t most, unsigned *flags)
{
	size_t done = 0;

	for (unsigned i = 0; i < slice->niov && done < most; i++) {
		uint64_t at = slice->start + done;
		size_t n = slice->iov[i].iov_len;

		if (n > most - done)
			n = most - done;
		if (at >= rig->server_size)
			break;
		if (n > rig->server_size - at)
			n = rig->server_size - at;
		memcpy(slice->iov[i].iov_base, rig->server + at, n);
		done += n;
	}
	if (done < most && slice->start + done >= rig->server_size)
		*flags |= NETFS_SLICE_EOF;
	rig->read_bytes += done;
	return done;
}

static size_t move_write(struct rig *rig, struct netfs_slice *slice, size_t most)
{
	size_t done = 0;

	for (unsigned i = 0; i < slice->niov && done < most; i++) {
		uint64_t at = slice->start + done;
		size_t n = slice->iov[i].iov_len;

		if (n > most - done)
			n = most - done;
		assert_true(at + n <= RIG_ROOM);
		for (size_t j = 0; j < n; j++)
			assert_true(rig->unsent[at + j]);
		memcpy(rig->server + at, slice->iov[i].iov_base, n);
		done += n;
		if (at + n > rig->server_size)
			rig->server_size = at + n;
	}
	rig->written_bytes += done;
	return done;
}

static void finish(struct rig *rig, struct netfs_slice *slice, size_t moved, int err,
		   unsigned flags)
{
	if (moved > slice->len)
		moved = slice->len;
	if (slice->kind == NETFS_SLICE_READ)
		moved = move_read(rig, slice, moved, &flags);
	else
		moved = move_write(rig, slice, moved);
	if (err)
		flags &= ~NETFS_SLICE_EOF;
	slice->done(slice, moved, err, flags);
}

/* As the script wants it. */
static void serve(struct rig *rig, struct netfs_slice *slice)
{
	int err = slice->kind == NETFS_SLICE_READ ? rig->read_error : rig->write_error;
	size_t most = rig->move_max ? rig->move_max : slice->len;

	if (err && rig->fail_count) {
		if (rig->fail_count > 0)
			rig->fail_count--;
		finish(rig, slice, rig->fail_moved, err, rig->fail_flags);
		return;
	}
	finish(rig, slice, most, 0, 0);
}

static struct netfs_slice *take_held(struct rig *rig, unsigned at)
{
	struct netfs_slice *slice = rig->held[at];

	assert_true(at < rig->nheld);
	rig->nheld--;
	memmove(&rig->held[at], &rig->held[at + 1], (rig->nheld - at) * sizeof(rig->held[0]));
	return slice;
}

static void answer_run(struct netfs_task *task)
{
	struct rig *rig = netfs_container_of(task, struct rig, answer_task);

	rig->answer_posted = false;
	while (rig->nheld && !rig->hold)
		serve(rig, take_held(rig, rig->reverse ? rig->nheld - 1 : 0));
	if (rig->full && rig->nheld == 0) {
		rig->full = false;
		netfs_core_ready(rig->core);
	}
}

static void post_answers(struct rig *rig)
{
	if (rig->answer_posted || rig->hold || rig->nheld == 0)
		return;
	rig->answer_posted = true;
	netfs_task_post(&rig->answer_task);
}

static size_t accept_bytes(const struct rig *rig, const struct netfs_slice *slice)
{
	size_t n = slice->len;

	if (rig->take_max && n > rig->take_max)
		n = rig->take_max;
	if (rig->boundary && n > rig->boundary - slice->start % rig->boundary)
		n = rig->boundary - slice->start % rig->boundary;
	return n;
}

static ssize_t take(struct netfs_handle *handle, struct netfs_slice *slice)
{
	struct rig *rig = netfs_container_of(handle, struct rig, handle);
	size_t n = accept_bytes(rig, slice), used = strlen(rig->log);

	rig->full = rig->nheld >= (rig->depth ? rig->depth : RIG_HELD);
	if (rig->busy && rig->ready_inside) {
		rig->busy = false;
		netfs_core_ready(rig->core);
		return -EAGAIN;
	}
	if (rig->busy || rig->full)
		return -EAGAIN;
	netfs_slice_trim(slice, n);
	snprintf(rig->log + used, sizeof(rig->log) - used, "%c%llu+%zu;",
		 slice->kind == NETFS_SLICE_READ ? 'r' : 'w', (unsigned long long)slice->start, n);
	if (slice->kind == NETFS_SLICE_READ)
		rig->reads++;
	else
		rig->writes++;
	if (rig->at_once) {
		serve(rig, slice);
		return (ssize_t)n;
	}
	rig->held[rig->nheld++] = slice;
	post_answers(rig);
	return (ssize_t)n;
}

static void cancel_slice(struct netfs_be *be, struct netfs_slice *slice)
{
	struct rig *rig = netfs_container_of(be, struct rig, be);

	for (unsigned i = 0; i < rig->nheld; i++) {
		if (rig->held[i] == slice) {
			finish(rig, take_held(rig, i), 0, -EINTR, 0);
			return;
		}
	}
}

static void sync_op(struct netfs_handle *handle, bool datasync, struct netfs_op *op)
{
	netfs_container_of(handle, struct rig, handle)->syncs++;
	op->done(op, 0);
}

static void keep_handle(struct netfs_handle *handle)
{
	fail_msg("the test holds a reference of its own");
}

static const struct netfs_be_ops rig_ops = {
	.scheme = "rig",
	.read = take,
	.write = take,
	.fsync = sync_op,
	.slice_cancel = cancel_slice,
	.handle_free = keep_handle,
};

void rig_answer(struct rig *rig, unsigned held, size_t moved, int err, unsigned flags)
{
	finish(rig, take_held(rig, held), moved, err, flags);
	rig_run();
}

void rig_release(struct rig *rig)
{
	rig->hold = false;
	post_answers(rig);
	rig_run();
}

void rig_ready(struct rig *rig)
{
	rig->busy = false;
	netfs_core_ready(rig->core);
	rig_run();
}

void rig_clear_log(struct rig *rig)
{
	rig->log[0] = 0;
	rig->reads = rig->writes = 0;
	rig->read_bytes = rig->written_bytes = 0;
}

/* ------------------------------------------------------------- the engine */

static void count_busy(struct netfs_inode *inode)
{
	the_rig->refs++;
}

static void count_idle(struct netfs_inode *inode)
{
	the_rig->refs--;
	assert_true(the_rig->refs >= 0);
}

static const struct netfs_inode_ops inode_ops = {count_busy, count_idle};

static void start_server(struct rig *rig, const struct rig_options *options, uint64_t size)
{
	rig->be.ops = &rig_ops;
	rig->be.rsize = options->rsize ? options->rsize : 64 << 10;
	rig->be.wsize = options->wsize ? options->wsize : 64 << 10;
	rig->handle = (struct netfs_handle){
		.refs = 1, .be = &rig->be, .readable = true, .writable = true};
	netfs_task_init(&rig->answer_task, answer_run);
	rig->fail_count = -1;
	rig->next = 7;
	for (uint64_t i = 0; i < size; i++)
		rig->server[i] = rig->mine[i] = (uint8_t)(i * 31 / 7 % 251 + 1);
	rig->size = rig->server_size = size;
}

static void note_lost(void *user, uint64_t inode, const struct netfs_range *range, uint64_t bytes)
{
	struct rig *rig = user;

	if (rig->lost_bytes == 0 || range->from < rig->lost.from)
		rig->lost.from = range->from;
	if (range->to > rig->lost.to)
		rig->lost.to = range->to;
	rig->lost_bytes += bytes;
}

void rig_start(struct rig *rig, uint64_t size, const struct rig_options *options)
{
	static const struct rig_options usual;
	static const uint8_t secret[NETFS_CRYPT_SALT_SIZE] = "a secret and a salt";
	struct netfs_core_config config = {.rasize = 0};

	if (!options)
		options = &usual;
	netfs_sim_start(1);
	memset(rig, 0, sizeof(*rig));
	the_rig = rig;
	start_server(rig, options, size);
	assert_int_equal(netfs_budget_new(options->memory_max ? options->memory_max : 64 << 20,
					  options->dirty_max ? options->dirty_max : 32 << 20,
					  &rig->budget),
			 0);
	config.budget = rig->budget;
	config.be = &rig->be;
	config.stats = &rig->stats;
	config.lost = note_lost;
	config.lost_user = rig;
	config.rasize = options->rasize;
	config.dirty_age_ms = options->dirty_age_ms ? options->dirty_age_ms : LONG_MS;
	config.hard = options->retry_ms == 0;
	config.retry_ms = options->retry_ms;
	if (options->encrypted)
		assert_int_equal(netfs_crypt_new(secret, sizeof(secret), secret, &rig->crypt), 0);
	config.crypt = rig->crypt;
	assert_int_equal(netfs_core_new(&config, &rig->core), 0);
	netfs_inode_init(&rig->inode, rig->core, &inode_ops, size, options->created);
	assert_int_equal(netfs_inode_attach_handle(&rig->inode, &rig->handle), 0);
	netfs_opener_init(&rig->opener, &rig->handle, 0);
	netfs_opener_init(&rig->direct, &rig->handle, NETFS_OPENER_UNBUFFERED);
}

static bool is_idle(void *user)
{
	return ((struct rig *)user)->refs == 0;
}

void rig_stop(struct rig *rig)
{
	netfs_sim_fail_alloc(0);
	rig->read_error = rig->write_error = 0;
	rig->busy = false;
	netfs_core_ready(rig->core);
	rig_release(rig);
	netfs_inode_detach_handle(&rig->inode, &rig->handle);
	assert_true(netfs_sim_run(is_idle, rig, LIMIT_NS));
	assert_int_equal(netfs_core_dirty(rig->core), 0);
	assert_int_equal(netfs_core_stuck(rig->core), 0);
	assert_int_equal(netfs_core_requests(rig->core), 0);
	netfs_inode_done(&rig->inode);
	assert_int_equal(netfs_core_cached(rig->core), 0);
	assert_int_equal(netfs_budget_used(rig->budget), 0);
	netfs_core_free(rig->core);
	netfs_budget_free(rig->budget);
	netfs_crypt_free(rig->crypt);
	assert_int_equal(rig->handle.refs, 1);
	netfs_sim_stop();
	assert_int_equal(netfs_sim_allocs(), 0);
}

static bool never(void *user)
{
	return false;
}

void rig_run(void)
{
	netfs_sim_run(never, NULL, NETFS_NS_PER_MS / 1000);
}

void rig_sleep_ms(uint64_t ms)
{
	netfs_sim_run(never, NULL, ms * NETFS_NS_PER_MS);
}

uint64_t rig_stat(struct rig *rig, unsigned stat)
{
	return netfs_stats_get(&rig->stats, stat);
}

/* ---------------------------------------------------------- reads, writes */

static void io_done(struct netfs_io *io, ssize_t result)
{
	struct rig_io *rig_io = io->user;

	assert_false(rig_io->ended);
	rig_io->result = result;
	rig_io->ended = true;
}

void rig_begin_lent(struct rig *rig, struct rig_io *io, uint64_t start, size_t len, unsigned pieces)
{
	io->ended = false;
	io->io = (struct netfs_io){.done = io_done,
				   .user = io,
				   .iov = io->iov,
				   .niov = pieces,
				   .start = start,
				   .len = len,
				   .flags = NETFS_IO_BORROW};
	netfs_core_read(&rig->inode, &rig->opener, &io->io);
}

void rig_begin(struct rig *rig, struct rig_io *io, bool write, uint64_t start, size_t len,
	       unsigned flags)
{
	struct netfs_opener *opener = flags & NETFS_IO_DIRECT ? &rig->direct : &rig->opener;

	io->ended = false;
	io->iov[0] = (struct iovec){io->buf, len};
	io->io = (struct netfs_io){.done = io_done,
				   .user = io,
				   .iov = io->iov,
				   .niov = flags & NETFS_IO_BORROW ? RIG_PIECES : 1,
				   .start = start,
				   .len = len,
				   .flags = flags};
	/* Where it goes is known only later. */
	if (write && (flags & NETFS_IO_APPEND))
		memset(rig->unsent, true, sizeof(rig->unsent));
	for (size_t i = 0; write && i < len; i++)
		io->buf[i] = rig->next = rig->next % 250 + 1;
	if (write) {
		for (uint64_t i = start; i < start + len && i < RIG_ROOM; i++)
			rig->unsent[i] = true;
		netfs_core_write(&rig->inode, opener, &io->io);
	} else {
		memset(io->buf, 0xa5, len);
		netfs_core_read(&rig->inode, opener, &io->io);
	}
}

static bool io_ended(void *user)
{
	return ((struct rig_io *)user)->ended;
}

ssize_t rig_finish(struct rig_io *io)
{
	assert_true(netfs_sim_run(io_ended, io, LIMIT_NS));
	return io->result;
}

void rig_note_write(struct rig *rig, const struct rig_io *io)
{
	if (io->result <= 0)
		return;
	memcpy(rig->mine + io->io.start, io->buf, (size_t)io->result);
	if (io->io.start + (uint64_t)io->result > rig->size)
		rig->size = io->io.start + (uint64_t)io->result;
}

static void write_with(struct rig *rig, uint64_t start, size_t len, unsigned flags)
{
	static struct rig_io io;

	rig_begin(rig, &io, true, start, len, flags);
	assert_int_equal(rig_finish(&io), len);
	rig_note_write(rig, &io);
}

void rig_write(struct rig *rig, uint64_t start, size_t len)
{
	write_with(rig, start, len, 0);
}

void rig_write_direct(struct rig *rig, uint64_t start, size_t len)
{
	write_with(rig, start, len, NETFS_IO_DIRECT);
}

static void read_with(struct rig *rig, uint64_t start, size_t len, unsigned flags)
{
	static struct rig_io io;
	size_t want = start >= rig->size ? 0 : rig->size - start;

	if (want > len)
		want = len;
	rig_begin(rig, &io, false, start, len, flags);
	assert_int_equal(rig_finish(&io), want);
	assert_memory_equal(io.buf, rig->mine + start, want);
}

void rig_read(struct rig *rig, uint64_t start, size_t len)
{
	read_with(rig, start, len, 0);
}

void rig_read_direct(struct rig *rig, uint64_t start, size_t len)
{
	read_with(rig, start, len, NETFS_IO_DIRECT);
}

ssize_t rig_read_fails(struct rig *rig, uint64_t start, size_t len)
{
	static struct rig_io io;

	rig_begin(rig, &io, false, start, len, 0);
	return rig_finish(&io);
}

void rig_check(struct rig *rig)
{
	struct netfs_inode_view view;
	struct netfs_folio *folio;

	netfs_inode_view(&rig->inode, &view);
	assert_int_equal(view.size, rig->size);
	rig_read(rig, 0, RIG_ROOM);
	netfs_mutex_lock(&rig->inode.mutex);
	for (folio = netfs_folio_index_next(&rig->inode.folios, 0); folio;
	     folio = netfs_folio_index_next(&rig->inode.folios, netfs_folio_end(folio)))
		netfs_folio_check(folio);
	netfs_mutex_unlock(&rig->inode.mutex);
}

/* -------------------------------------------------------- flush and lock */

static void flush_done(struct netfs_completion *done, int err)
{
	struct rig_flush *flush = netfs_container_of(done, struct rig_flush, done);

	assert_false(flush->ended);
	flush->err = err;
	flush->ended = true;
}

static bool flush_ended(void *user)
{
	return ((struct rig_flush *)user)->ended;
}

void rig_begin_flush(struct rig *rig, struct rig_flush *flush, uint64_t start, uint64_t end)
{
	*flush = (struct rig_flush){.done.fn = flush_done};
	netfs_list_init(&flush->done.link);
	netfs_inode_flush(&rig->inode, start, end, &flush->done);
}

int rig_finish_flush(struct rig_flush *flush)
{
	assert_true(netfs_sim_run(flush_ended, flush, LIMIT_NS));
	return flush->err;
}

void rig_check_server(const struct rig *rig)
{
	assert_int_equal(rig->server_size, rig->size);
	assert_memory_equal(rig->server, rig->mine, rig->size);
}

int rig_flush(struct rig *rig)
{
	struct rig_flush flush;
	int err;

	rig_begin_flush(rig, &flush, 0, UINT64_MAX);
	err = rig_finish_flush(&flush);
	if (err)
		return err;
	assert_int_equal(netfs_core_dirty(rig->core), 0);
	memset(rig->unsent, 0, sizeof(rig->unsent));
	rig_check_server(rig);
	return 0;
}

void rig_begin_lock(struct rig *rig, struct rig_flush *lock)
{
	*lock = (struct rig_flush){.done.fn = flush_done};
	netfs_inode_lock(&rig->inode, &lock->done);
}

void rig_lock(struct rig *rig)
{
	struct rig_flush lock;

	rig_begin_lock(rig, &lock);
	assert_int_equal(rig_finish_flush(&lock), 0);
}

void rig_truncate(struct rig *rig, uint64_t size)
{
	rig_lock(rig);
	if (size < rig->server_size)
		memset(rig->server + size, 0, rig->server_size - size);
	rig->server_size = size;
	netfs_inode_resized(&rig->inode, size);
	memset(rig->mine + size, 0, RIG_ROOM - size);
	memset(rig->unsent + size, 0, (RIG_ROOM - size) * sizeof(rig->unsent[0]));
	rig->size = size;
	netfs_inode_unlock(&rig->inode);
}

void rig_punch(struct rig *rig, uint64_t start, uint64_t end)
{
	rig_lock(rig);
	memset(rig->server + start, 0, end - start);
	netfs_inode_discard(&rig->inode, start, end);
	netfs_inode_set_zero(&rig->inode, start, end);
	memset(rig->mine + start, 0, end - start);
	memset(rig->unsent + start, 0, (end - start) * sizeof(rig->unsent[0]));
	netfs_inode_unlock(&rig->inode);
}

void rig_remote_change(struct rig *rig, uint64_t size, bool tell)
{
	struct netfs_inode_view view;

	netfs_inode_view(&rig->inode, &view);
	memset(rig->server, 0, RIG_ROOM);
	for (uint64_t i = 0; i < size; i++)
		rig->server[i] = rig->next = rig->next % 250 + 1;
	rig->server_size = size;
	if (!tell)
		return;
	memcpy(rig->mine, rig->server, RIG_ROOM);
	rig->size = size;
	assert_true(netfs_inode_remote_update(&rig->inode, size, view.seq, true));
}
