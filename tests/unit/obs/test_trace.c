/* SPDX-License-Identifier: MIT */
/*
 * Goal: the recorder gives back what was put in, of each thread the youngest,
 * in order of time, while others go on writing; a failed assertion prints it.
 * Method: records whose numbers depend on each other, so that a torn one shows.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <base/assert.h>
#include <base/limits.h>
#include <env/thread.h>
#include <obs/trace.h>
#include <t.h>
#include <unetfs/trace.h>

#define THREADS 4
#define EACH	50000u

static struct netfs_trace_record *records;

static int setup(void **state)
{
	records = calloc(netfs_trace_room(), sizeof(*records));
	netfs_trace_clear();
	return records ? 0 : -1;
}

static int teardown(void **state)
{
	free(records);
	return 0;
}

static size_t read_all(void)
{
	return netfs_trace_read(records, netfs_trace_room());
}

static void a_record_comes_back_as_it_was_put_in(void **state)
{
	const struct netfs_trace_record *r = records;

	netfs_trace(sreq_submit, .inode = 1, .start = 2, .len = 3, .extra = 4, .request = 5,
		    .sub = 6, .error = -7);
	assert_int_equal(read_all(), 1);
	assert_string_equal(r->group, "netfs_sreq");
	assert_string_equal(r->code, "SUBMT");
	assert_string_equal(r->extra_name, "retries");
	assert_int_equal(r->event, NETFS_TRACE_sreq_submit);
	assert_int_equal(r->inode, 1);
	assert_int_equal(r->start, 2);
	assert_int_equal(r->len, 3);
	assert_int_equal(r->extra, 4);
	assert_int_equal(r->request, 5);
	assert_int_equal(r->sub, 6);
	assert_int_equal(r->error, -7);
	assert_int_equal(r->thread, netfs_thread_number());
	assert_true(r->time_ns > 0);
}

static void a_ring_keeps_the_youngest(void **state)
{
	size_t n;

	for (uint64_t i = 0; i < NETFS_TRACE_RECORDS + 100; i++)
		netfs_trace(folio_make, .start = i);
	n = read_all();
	assert_int_equal(n, NETFS_TRACE_RECORDS);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(records[i].start, 100 + i);
	assert_int_equal(netfs_trace_read(records, 10), 10);
	assert_int_equal(records[9].start, NETFS_TRACE_RECORDS + 99);
	assert_int_equal(records[0].start, NETFS_TRACE_RECORDS + 90);
}

static void *write_many(void *arg)
{
	for (uint64_t i = 0; i < EACH; i++)
		netfs_trace(folio_store, .inode = i, .start = i * 3, .len = i * 5, .extra = i * 7,
			    .request = (uint32_t)i, .error = -(int)i);
	return NULL;
}

static void check_whole(const struct netfs_trace_record *r)
{
	assert_int_equal(r->start, r->inode * 3);
	assert_int_equal(r->len, r->inode * 5);
	assert_int_equal(r->extra, r->inode * 7);
	assert_int_equal(r->request, r->inode);
	assert_int_equal(r->error, -(int)r->inode);
}

static void reading_while_others_write_gives_whole_records(void **state)
{
	pthread_t threads[THREADS];
	size_t n;

	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_many, NULL), 0);
	for (unsigned round = 0; round < 20; round++) {
		n = read_all();
		for (size_t i = 0; i < n; i++)
			check_whole(&records[i]);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	n = read_all();
	assert_true(n >= NETFS_TRACE_RECORDS);
	for (size_t i = 0; i < n; i++) {
		check_whole(&records[i]);
		assert_true(i == 0 || records[i].time_ns >= records[i - 1].time_ns);
	}
}

static void *note_number(void *arg)
{
	*(uint32_t *)arg = netfs_thread_number();
	netfs_trace(folio_make, .start = 1);
	return NULL;
}

static void the_number_of_a_thread_that_ended_is_used_again(void **state)
{
	uint32_t numbers[2];
	pthread_t thread;

	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(pthread_create(&thread, NULL, note_number, &numbers[i]), 0);
		pthread_join(thread, NULL);
	}
	assert_int_equal(numbers[0], numbers[1]);
	assert_int_not_equal(numbers[0], netfs_thread_number());
	/* What the first one left is still there. */
	assert_int_equal(read_all(), 2);
}

static pthread_barrier_t barrier;

static void *stay(void *arg)
{
	netfs_trace(folio_make, .start = 1);
	pthread_barrier_wait(&barrier);
	return NULL;
}

static void threads_beyond_the_last_ring_are_counted(void **state)
{
	enum {
		MANY = NETFS_THREADS_MAX + 8
	};
	static pthread_t threads[MANY];
	uint64_t lost = netfs_trace_lost();

	pthread_barrier_init(&barrier, NULL, MANY + 1);
	for (unsigned i = 0; i < MANY; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, stay, NULL), 0);
	pthread_barrier_wait(&barrier);
	for (unsigned i = 0; i < MANY; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&barrier);
	assert_true(netfs_trace_lost() - lost >= 8);
	assert_true(read_all() <= NETFS_THREADS_MAX);
}

static void a_line_of_text_has_every_number(void **state)
{
	const struct netfs_trace_record record = {
		.time_ns = UINT64_C(12000000345),
		.group = "netfs_sreq",
		.code = "TERM",
		.extra_name = "flags",
		.thread = 3,
		.request = 0x2a,
		.sub = 1,
		.inode = 0x11,
		.start = 0x4000,
		.len = 0x1000,
		.extra = 2,
		.error = -5,
	};
	char line[200];

	netfs_trace_text(&record, line, sizeof(line));
	assert_string_equal(line, "12.000000345 t3 netfs_sreq: R=0000002a[1] TERM i=11 "
				  "4000+1000 flags=2 e=-5");
}

static unsigned heard;

static void hear(const char *line)
{
	if (strstr(line, "i=7b"))
		heard++;
	/* The recorder ends with what was put in last. */
	if (strstr(line, "i=7c") && heard == 1)
		_exit(3);
}

static void fail_an_assertion(void *user)
{
	netfs_last_words_to(hear);
	netfs_trace(folio_make, .inode = 0x7b);
	netfs_trace(folio_evict, .inode = 0x7c);
	netfs_assert(!"a mistake of ours");
}

static void a_failed_assertion_prints_the_recorder(void **state)
{
	/* The listener ends the child before abort() does. */
	assert_false(t_aborts(fail_an_assertion, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_record_comes_back_as_it_was_put_in, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_ring_keeps_the_youngest, setup, teardown),
		cmocka_unit_test_setup_teardown(reading_while_others_write_gives_whole_records,
						setup, teardown),
		cmocka_unit_test_setup_teardown(the_number_of_a_thread_that_ended_is_used_again,
						setup, teardown),
		cmocka_unit_test_setup_teardown(threads_beyond_the_last_ring_are_counted, setup,
						teardown),
		cmocka_unit_test(a_line_of_text_has_every_number),
		cmocka_unit_test_setup_teardown(a_failed_assertion_prints_the_recorder, setup,
						teardown),
	};

	return t_run(tests, NULL, NULL);
}
