/* SPDX-License-Identifier: MIT */
/*
 * Goal: the recorder tells what the engine did, all of it and in order, a hit
 * in memory leaves nothing, and living requests can be looked at with those
 * who hold them.
 *
 * Method: the real core on the simulated machine over a server that answers
 * when the test says so; the records are compared with a list by hand.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <core/core.h>
#include <core/core_internal.h>
#include <env/sim/sim.h>
#include <env/timer.h>
#include <obs/trace.h>
#include <t.h>
#include <unetfs/trace.h>

#define FILE_SIZE (64u << 10)
#define LIMIT_NS  (UINT64_C(100) * 1000000000)
#define SLICES	  4
#define RECORDS	  256

static struct {
	struct netfs_be be;
	struct netfs_handle handle;
	struct netfs_slice *slice[SLICES]; /* taken, not answered */
	unsigned nslices;
	bool refuse; /* no room for slices */
	struct netfs_stats stats;
	struct netfs_budget *budget;
	struct netfs_core *core;
	struct netfs_inode inode;
	struct netfs_opener opener;
	int busy;
	uint8_t buf[FILE_SIZE];
	struct iovec iov;
	struct netfs_io io;
	ssize_t result;
	bool finished;
} w;

static struct netfs_trace_record records[RECORDS];

/* ------------------------------------------------------------ the world */

static ssize_t take(struct netfs_handle *handle, struct netfs_slice *slice)
{
	if (w.refuse)
		return -EAGAIN;
	assert_true(w.nslices < SLICES);
	w.slice[w.nslices++] = slice;
	return slice->len;
}

static void keep_handle(struct netfs_handle *handle)
{
	fail_msg("the test holds a reference of its own");
}

static void cancel_slice(struct netfs_be *be, struct netfs_slice *slice)
{
}

static const struct netfs_be_ops server_ops = {
	.scheme = "script",
	.read = take,
	.write = take,
	.slice_cancel = cancel_slice,
	.handle_free = keep_handle,
};

static void count_busy(struct netfs_inode *inode)
{
	w.busy++;
}

static void count_idle(struct netfs_inode *inode)
{
	w.busy--;
}

static const struct netfs_inode_ops inode_ops = {count_busy, count_idle};

static bool not_busy(void *user)
{
	return w.busy == 0;
}

static bool io_finished(void *user)
{
	return w.finished;
}

static bool ticked(void *user)
{
	return *(bool *)user;
}

static bool tick;

static void note_tick(struct netfs_task *task)
{
	tick = true;
}

/* A millisecond passes; everything that needs nobody else happens. */
static void settle(void)
{
	struct netfs_timer timer;
	struct netfs_task task;

	tick = false;
	netfs_task_init(&task, note_tick);
	netfs_timer_init(&timer, &task);
	netfs_timer_start(&timer, 1000000);
	assert_true(netfs_sim_run(ticked, &tick, LIMIT_NS));
}

static int start_world(void **state)
{
	struct netfs_core_config config = {.dirty_age_ms = 1000000, .retry_ms = 60000};

	netfs_sim_start(1);
	memset(&w, 0, sizeof(w));
	w.be.ops = &server_ops;
	w.be.rsize = w.be.wsize = 16 << 10;
	w.handle =
		(struct netfs_handle){.refs = 1, .be = &w.be, .readable = true, .writable = true};
	assert_int_equal(netfs_budget_new(1 << 20, 512 << 10, &w.budget), 0);
	config.budget = w.budget;
	config.be = &w.be;
	config.stats = &w.stats;
	assert_int_equal(netfs_core_new(&config, &w.core), 0);
	netfs_inode_init(&w.inode, w.core, &inode_ops, FILE_SIZE, false);
	w.inode.id = 0x77;
	assert_int_equal(netfs_inode_attach_handle(&w.inode, &w.handle), 0);
	netfs_opener_init(&w.opener, &w.handle, 0);
	netfs_trace_clear();
	return 0;
}

static int stop_world(void **state)
{
	netfs_inode_detach_handle(&w.inode, &w.handle);
	assert_true(netfs_sim_run(not_busy, NULL, LIMIT_NS));
	assert_int_equal(netfs_stats_get(&w.stats, NETFS_STAT_requests_living), 0);
	assert_int_equal(netfs_stats_get(&w.stats, NETFS_STAT_subrequests_living), 0);
	assert_int_equal(netfs_stats_get(&w.stats, NETFS_STAT_segments_living), 0);
	netfs_inode_done(&w.inode);
	netfs_core_free(w.core);
	netfs_budget_free(w.budget);
	netfs_sim_stop();
	return 0;
}

static void io_done(struct netfs_io *io, ssize_t result)
{
	w.result = result;
	w.finished = true;
}

static void start_io(bool write, uint64_t start, size_t len, unsigned flags)
{
	w.iov = (struct iovec){w.buf, len};
	w.io = (struct netfs_io){.done = io_done,
				 .iov = &w.iov,
				 .niov = 1,
				 .start = start,
				 .len = len,
				 .flags = flags};
	w.finished = false;
	if (write)
		netfs_core_write(&w.inode, &w.opener, &w.io);
	else
		netfs_core_read(&w.inode, &w.opener, &w.io);
}

/* Answers the oldest slice. */
static void answer(size_t moved, int err, unsigned flags)
{
	struct netfs_slice *slice = w.slice[0];

	assert_true(w.nslices > 0);
	memmove(w.slice, w.slice + 1, --w.nslices * sizeof(struct netfs_slice *));
	slice->done(slice, moved, err, flags);
	settle();
}

static void finish_io(ssize_t want)
{
	assert_true(netfs_sim_run(io_finished, NULL, LIMIT_NS));
	assert_int_equal(w.result, want);
	settle();
}

/* ------------------------------------------------------------- expecting */

struct want {
	enum netfs_trace_event event;
	uint64_t start;
	uint64_t len;
	int error;
};

/* Since the last time exactly these happened. */
static void expect(const struct want *want, size_t count)
{
	size_t n = netfs_trace_read(records, RECORDS);
	char line[200];

	for (size_t i = 0; i < n || i < count; i++) {
		const struct netfs_trace_record *r = &records[i];

		netfs_trace_text(r, line, sizeof(line));
		if (i >= n)
			fail_msg("record %zu is missing", i);
		if (i >= count || r->event != want[i].event || r->start != want[i].start ||
		    r->len != want[i].len || r->error != want[i].error)
			fail_msg("record %zu is %s", i, line);
		assert_int_equal(r->inode, 0x77);
	}
	netfs_trace_clear();
}

#define EXPECT(...)                                                                                \
	do {                                                                                       \
		static const struct want want_[] = {__VA_ARGS__};                                  \
                                                                                                   \
		expect(want_, sizeof(want_) / sizeof(want_[0]));                                   \
	} while (0)

#define EVENT(id, start, len)                                                                      \
	{                                                                                          \
		NETFS_TRACE_##id, start, len, 0                                                    \
	}
#define FAILED(id, start, len, err)                                                                \
	{                                                                                          \
		NETFS_TRACE_##id, start, len, err                                                  \
	}

static void a_miss_leaves_these_events_and_a_hit_none(void **state)
{
	start_io(false, 0, 4096, 0);
	settle();
	EXPECT(EVENT(folio_make, 0, 4096), EVENT(rreq_new, 0, 0), EVENT(folio_read, 0, 4096),
	       EVENT(read_page, 0, 4096), EVENT(sreq_prepare, 0, 4096),
	       EVENT(sreq_submit, 0, 4096));
	answer(4096, 0, 0);
	finish_io(4096);
	EXPECT(EVENT(sreq_answer, 0, 4096), EVENT(sreq_consume, 4096, 4096),
	       EVENT(folio_valid, 0, 4096), EVENT(collect, 4096, 4096), EVENT(rreq_done, 0, 4096),
	       EVENT(rreq_free, 0, 4096));
	start_io(false, 0, 4096, 0);
	finish_io(4096);
	expect(NULL, 0);
	assert_int_equal(netfs_stats_get(&w.stats, NETFS_STAT_read_requests), 1);
	assert_int_equal(netfs_stats_get(&w.stats, NETFS_STAT_download_done), 1);
	assert_int_equal(netfs_stats_get(&w.stats, NETFS_STAT_read_hits), 1);
}

static void a_short_answer_and_one_that_heals_are_told(void **state)
{
	start_io(false, 0, 8192, 0);
	settle();
	netfs_trace_clear();
	answer(4096, 0, 0);
	EXPECT(EVENT(sreq_answer, 0, 4096), EVENT(sreq_short, 4096, 4096),
	       EVENT(rreq_reissue, 0, 8192), EVENT(sreq_submit, 4096, 4096));
	answer(0, -ECONNRESET, NETFS_SLICE_RETRY);
	EXPECT(FAILED(sreq_answer, 4096, 0, -ECONNRESET),
	       FAILED(sreq_retry, 4096, 4096, -ECONNRESET), EVENT(rreq_reissue, 0, 8192),
	       EVENT(rreq_retry_wait, 0, 8192));
	while (!w.nslices)
		settle();
	assert_int_equal(netfs_stats_get(&w.stats, NETFS_STAT_short_reads), 1);
	assert_int_equal(netfs_stats_get(&w.stats, NETFS_STAT_download_retry_passes), 1);
	assert_int_equal(netfs_stats_get(&w.stats, NETFS_STAT_download_retries), 1);
	answer(4096, 0, 0);
	finish_io(8192);
}

static void a_failed_read_says_why(void **state)
{
	start_io(false, 0, 4096, 0);
	settle();
	netfs_trace_clear();
	answer(0, -EACCES, 0);
	finish_io(-EACCES);
	EXPECT(FAILED(sreq_answer, 0, 0, -EACCES), FAILED(sreq_fail, 0, 4096, -EACCES),
	       FAILED(failure_read, 0, 4096, -EACCES), FAILED(sreq_consume, 0, 0, -EACCES),
	       EVENT(folio_abandon, 0, 4096), FAILED(collect, 4096, 4096, -EACCES),
	       FAILED(rreq_done, 0, 4096, -EACCES), FAILED(rreq_free, 0, 4096, -EACCES));
}

static void completed(struct netfs_completion *done, int err)
{
	w.finished = true;
	w.result = err;
}

static void a_write_tells_its_decision_and_its_upload(void **state)
{
	struct netfs_completion flush = {.fn = completed};

	start_io(true, 100, 50, 0);
	finish_io(50);
	EXPECT(EVENT(folio_make, 0, 4096), EVENT(folio_mod_stream, 100, 50));
	start_io(true, 150, 50, 0);
	finish_io(50);
	/* It goes on where the other ended: nothing new. */
	expect(NULL, 0);
	start_io(true, 1000, 50, 0);
	finish_io(50);
	EXPECT(EVENT(folio_mod_stream_more, 1000, 50));
	start_io(true, FILE_SIZE, 10, 0);
	finish_io(10);
	EXPECT(EVENT(folio_make, FILE_SIZE, 4096), EVENT(folio_mod_zero, FILE_SIZE, 10));
	start_io(true, 8192, 4096, 0);
	finish_io(4096);
	EXPECT(EVENT(folio_make, 8192, 4096), EVENT(folio_mod_whole, 8192, 4096));

	w.finished = false;
	netfs_inode_flush(&w.inode, 8192, 12288, &flush);
	settle();
	EXPECT(EVENT(flush_begin, 8192, 4096), EVENT(rreq_new, 0, 0), EVENT(folio_store, 100, 100),
	       EVENT(folio_store, 1000, 50), EVENT(folio_store, 8192, 4096),
	       EVENT(folio_store, FILE_SIZE, 10), EVENT(write_back, 100, FILE_SIZE + 10 - 100),
	       EVENT(sreq_prepare, 100, 100), EVENT(sreq_submit, 100, 100),
	       EVENT(sreq_prepare, 1000, 50), EVENT(sreq_submit, 1000, 50),
	       EVENT(sreq_prepare, 8192, 4096), EVENT(sreq_submit, 8192, 4096),
	       EVENT(sreq_prepare, FILE_SIZE, 10), EVENT(sreq_submit, FILE_SIZE, 10));
	answer(100, 0, 0);
	EXPECT(EVENT(sreq_answer, 100, 100), EVENT(sreq_consume, 200, 100),
	       EVENT(folio_clean, 100, 100), EVENT(collect, 200, 100));
	answer(50, 0, 0);
	answer(4096, 0, 0);
	assert_true(w.finished);
	answer(0, -EIO, 0);
	assert_int_equal(netfs_stats_get(&w.stats, NETFS_STAT_upload_done), 3);
	assert_int_equal(netfs_core_stuck(w.core), 10);
	assert_int_equal(netfs_inode_drop_dirty(&w.inode), 10);
}

/* --------------------------------------------------------- living requests */

static void living_requests_tell_where_they_are_and_who_holds_them(void **state)
{
	struct netfs_request_info info[2];

	assert_int_equal(netfs_core_list_requests(w.core, info, 2), 0);
	start_io(false, 0, 32 << 10, 0);
	settle();
	assert_int_equal(netfs_core_list_requests(w.core, info, 2), 1);
	assert_false(info[0].in_use);
	assert_string_equal(info[0].origin, "RP");
	assert_int_equal(info[0].inode, 0x77);
	assert_int_equal(info[0].start, 0);
	assert_int_equal(info[0].end, 32 << 10);
	assert_true(info[0].age_ns > 0);
	assert_int_equal(info[0].nstreams, 1);
	assert_int_equal(info[0].stream[0].issued_to, 32 << 10);
	assert_int_equal(info[0].stream[0].collected_to, 0);
	assert_int_equal(info[0].stream[0].subs.sent, 2);
	assert_int_equal(info[0].nrefs, 1);
	assert_string_equal(info[0].ref[0].reason, "list");
	/* Its room may be too small; the number is right. */
	assert_int_equal(netfs_core_list_requests(w.core, info, 0), 1);
	answer(16 << 10, 0, 0);
	assert_int_equal(netfs_core_list_requests(w.core, info, 2), 1);
	assert_int_equal(info[0].stream[0].collected_to, 16 << 10);
	assert_int_equal(info[0].stream[0].subs.sent, 1);
	answer(16 << 10, 0, 0);
	finish_io(32 << 10);
	assert_int_equal(netfs_core_list_requests(w.core, info, 2), 0);
}

static void a_stalled_request_is_held_by_the_stalled_list(void **state)
{
	struct netfs_request_info info[1];

	w.refuse = true;
	start_io(false, 0, 4096, 0);
	settle();
	assert_int_equal(netfs_core_list_requests(w.core, info, 1), 1);
	assert_true(info[0].stalled);
	assert_int_equal(info[0].nrefs, 2);
	assert_string_equal(info[0].ref[0].reason, "list");
	assert_string_equal(info[0].ref[1].reason, "stalled");
	assert_int_equal(info[0].stream[0].subs.ready, 1);
	w.refuse = false;
	netfs_core_ready(w.core);
	settle();
	answer(4096, 0, 0);
	finish_io(4096);
}

static void a_request_whose_file_is_in_use_is_listed_without_its_inside(void **state)
{
	struct netfs_request_info info[1];

	start_io(false, 0, 4096, 0);
	settle();
	netfs_mutex_lock(&w.inode.mutex);
	assert_int_equal(netfs_core_list_requests(w.core, info, 1), 1);
	netfs_mutex_unlock(&w.inode.mutex);
	assert_true(info[0].in_use);
	assert_string_equal(info[0].origin, "RP");
	assert_int_equal(info[0].nrefs, 0);
	answer(4096, 0, 0);
	finish_io(4096);
}

static void put_what_nobody_took(void *user)
{
	struct netfs_request *req;
	struct netfs_news news;

	netfs_news_init(&news);
	netfs_mutex_lock(&w.inode.mutex);
	req = netfs_request_new(&w.inode, NETFS_ORIGIN_READ, netfs_handle_get(&w.handle));
	netfs_request_get(req, NETFS_REF_TIMER);
	netfs_request_put(req, NETFS_REF_STALLED, &news);
}

static void a_reference_given_back_for_another_reason_aborts(void **state)
{
	assert_true(t_aborts(put_what_nobody_took, NULL));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start_world, stop_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_miss_leaves_these_events_and_a_hit_none),
		TEST(a_short_answer_and_one_that_heals_are_told),
		TEST(a_failed_read_says_why),
		TEST(a_write_tells_its_decision_and_its_upload),
		TEST(living_requests_tell_where_they_are_and_who_holds_them),
		TEST(a_stalled_request_is_held_by_the_stalled_list),
		TEST(a_reference_given_back_for_another_reason_aborts),
		TEST(a_request_whose_file_is_in_use_is_listed_without_its_inside),
	};

	return t_run(tests, NULL, NULL);
}
