/* SPDX-License-Identifier: MIT */
/*
 * The decision table of a buffered write, every row of it.
 *
 * Goal: whatever is known of the bytes around it, a write takes its place at
 * once, asks the server for nothing, sends nothing that was not written, and
 * is readable from then on; and whatever follows, both sides end up with the
 * bytes they must have.
 *
 * Method: every state of one page x every kind of range x everything that may
 * follow, with the file's end behind the page and inside it, beside a byte
 * array for our view and one for the server's.
 *
 * UNETFS_TEST_VERBOSE=1 names each row before it runs.
 *
 * A library that takes its bytes from memory of its own process has no short
 * copies: there is no page of the caller that may fail to appear.  So there is
 * no row for them.
 */
#include <stdio.h>
#include <stdlib.h>
#include "rig.h"

#define P      8192 /* the page that is looked at */
#define PAGE   4096
#define FAR    (5 * PAGE) /* the end of the file behind it */
#define INSIDE (P + 2200) /* and in it */

/* --------------------------------------------------- what is known of it */

static void nothing(struct rig *rig)
{
}

static void clean(struct rig *rig)
{
	rig_read(rig, P, PAGE);
}

static void partly_valid(struct rig *rig)
{
	rig_write(rig, P + 1000, 1000);
	assert_int_equal(rig_flush(rig), 0);
}

static void dirty_whole(struct rig *rig)
{
	rig_write(rig, P, PAGE);
}

static void dirty_front(struct rig *rig)
{
	rig_write(rig, P, 1000);
}

static void dirty_middle(struct rig *rig)
{
	rig_write(rig, P + 1000, 1000);
}

static void dirty_tail(struct rig *rig)
{
	rig_write(rig, P + 3000, PAGE - 3000);
}

static void dirty_two(struct rig *rig)
{
	rig_write(rig, P + 500, 500);
	rig_write(rig, P + 2500, 500);
}

static void dirty_over_clean(struct rig *rig)
{
	rig_read(rig, P, PAGE);
	rig_write(rig, P + 1000, 1000);
}

/* A read of it is on its way; it ends by itself. */
static void pending(struct rig *rig)
{
	static struct rig_io io;

	rig->hold = true;
	rig_begin(rig, &io, false, P, PAGE, 0);
	assert_false(io.ended);
}

static void pending_around_dirty(struct rig *rig)
{
	rig_write(rig, P + 1000, 1000);
	pending(rig);
}

static struct rig_flush setup_flush;

static void uploading(struct rig *rig)
{
	rig_write(rig, P, PAGE);
	rig->hold = true;
	rig_begin_flush(rig, &setup_flush, 0, UINT64_MAX);
	rig_run();
}

static void uploading_part(struct rig *rig)
{
	rig_write(rig, P + 1000, 1000);
	rig->hold = true;
	rig_begin_flush(rig, &setup_flush, 0, UINT64_MAX);
	rig_run();
}

static void uploading_and_dirty(struct rig *rig)
{
	uploading_part(rig);
	rig_write(rig, P + 1500, 1000);
}

static void uploading_and_stale(struct rig *rig)
{
	uploading_part(rig);
	netfs_inode_invalidate(&rig->inode, 0, UINT64_MAX);
}

static void known_zero(struct rig *rig)
{
	rig_punch(rig, P, rig->size < P + PAGE ? rig->size : P + PAGE);
}

static void beyond_the_end(struct rig *rig)
{
	rig_truncate(rig, P - 500);
}

static const struct {
	const char *name;
	void (*prepare)(struct rig *rig);
} states[] = {
	{"absent", nothing},
	{"clean valid", clean},
	{"partly valid", partly_valid},
	{"dirty whole", dirty_whole},
	{"dirty front", dirty_front},
	{"dirty middle", dirty_middle},
	{"dirty tail", dirty_tail},
	{"dirty in two pieces", dirty_two},
	{"dirty over clean", dirty_over_clean},
	{"download pending", pending},
	{"download pending around dirty", pending_around_dirty},
	{"under upload", uploading},
	{"under upload in part", uploading_part},
	{"under upload and dirty again", uploading_and_dirty},
	{"under upload and stale", uploading_and_stale},
	{"known zero", known_zero},
	{"beyond the end", beyond_the_end},
};

/* ------------------------------------------------------ where it is written */

static const struct {
	const char *name;
	int64_t from; /* file position, or from the end */
	size_t len;
	bool at_end;
} ranges[] = {
	{"front", P, 700, false},
	{"middle", P + 1200, 600, false},
	{"tail", P + 3500, PAGE - 3500, false},
	{"one byte", P + 1999, 1, false},
	{"whole", P, PAGE, false},
	{"whole and neighbours", P - PAGE, 3 * PAGE, false},
	{"across the page before", P - 1000, 1500, false},
	{"across the page behind", P + 3000, PAGE, false},
	{"append", 0, 600, true},
	{"beyond the end", 3000, 500, true},
	{"far beyond the end", 40000, 500, true},
	{"across the end", -100, 300, true},
	{"adjacent before", P + 600, 400, false},
	{"adjacent behind", P + 2000, 500, false},
	{"overlapping before", P + 900, 600, false},
	{"overlapping behind", P + 1500, 1100, false},
	{"covering", P + 400, 3000, false},
};

/* ------------------------------------------------------------ what follows */

struct row {
	uint64_t from;
	size_t len;
	uint8_t server[RIG_ROOM]; /* what the server may have kept */
	uint8_t before[RIG_ROOM]; /* what was unsent before */
	uint8_t after[RIG_ROOM]; /* or got at once, from the write itself */
};

static void read_back(struct rig *rig, const struct row *row)
{
	rig_release(rig);
	rig_check(rig);
}

static void flush(struct rig *rig, const struct row *row)
{
	rig_release(rig);
	assert_int_equal(rig_flush(rig), 0);
}

/* Every byte of the server is either what it was or what was once written. */
static void check_old_or_new(const struct rig *rig, const struct row *row)
{
	for (uint64_t i = 0; i < rig->server_size; i++)
		assert_true(rig->server[i] == row->server[i] || rig->server[i] == row->before[i] ||
			    rig->server[i] == row->after[i] || rig->server[i] == rig->mine[i]);
}

static void failing_flush(struct rig *rig, const struct row *row)
{
	rig_release(rig);
	rig->write_error = -ENOSPC;
	if (netfs_core_dirty(rig->core)) {
		assert_int_equal(rig_flush(rig), -ENOSPC);
		assert_int_equal(netfs_core_stuck(rig->core), netfs_core_dirty(rig->core));
	}
	rig_check(rig);
	check_old_or_new(rig, row);
	rig->write_error = 0;
	assert_int_equal(rig_flush(rig), 0);
}

static void truncate_into(struct rig *rig, const struct row *row)
{
	rig_release(rig);
	rig_truncate(rig, row->from + row->len / 2);
	rig_check(rig);
	assert_int_equal(rig_flush(rig), 0);
	rig_truncate(rig, row->from + row->len + 3000);
	rig_check(rig);
}

static void write_again_under_upload(struct rig *rig, const struct row *row)
{
	struct rig_flush early;

	rig->hold = true;
	rig_begin_flush(rig, &early, 0, UINT64_MAX);
	rig_run();
	rig_write(rig, row->from + row->len / 3, row->len);
	rig_release(rig);
	assert_int_equal(rig_finish_flush(&early), 0);
}

static void fail_under_second_write(struct rig *rig, const struct row *row)
{
	struct rig_flush early;

	rig_release(rig);
	rig->hold = true;
	rig->write_error = -EIO;
	rig_begin_flush(rig, &early, 0, UINT64_MAX);
	rig_run();
	rig_write(rig, row->from + row->len / 3, row->len);
	rig_release(rig);
	rig_finish_flush(&early);
	rig_check(rig);
	check_old_or_new(rig, row);
	rig->write_error = 0;
	assert_int_equal(rig_flush(rig), 0);
}

static void forget_clean(struct rig *rig, const struct row *row)
{
	netfs_inode_invalidate(&rig->inode, 0, UINT64_MAX);
	rig_release(rig);
	netfs_inode_invalidate(&rig->inode, 0, UINT64_MAX);
	rig_check(rig);
}

static void punch_through(struct rig *rig, const struct row *row)
{
	rig_release(rig);
	assert_int_equal(rig_flush(rig), 0);
	rig_punch(rig, row->from, row->from + row->len / 2);
	rig_check(rig);
}

static const struct {
	const char *name;
	void (*run)(struct rig *rig, const struct row *row);
} follows[] = {
	{"read back", read_back},
	{"flush", flush},
	{"failing flush", failing_flush},
	{"truncate into it", truncate_into},
	{"second write under upload", write_again_under_upload},
	{"upload fails under a second write", fail_under_second_write},
	{"clean data is forgotten", forget_clean},
	{"punch through it", punch_through},
};

/* -------------------------------------------------------------- the table */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The write itself: at once, without a question, and readable at once. */
static void write_row(struct rig *rig, const struct row *row)
{
	unsigned reads = rig->reads;
	struct rig_io *io = test_malloc(sizeof(*io));

	rig_begin(rig, io, true, row->from, row->len, 0);
	assert_true(io->ended);
	assert_int_equal(io->result, row->len);
	rig_note_write(rig, io);
	assert_int_equal(rig->reads, reads);
	rig_read(rig, row->from, row->len);
	assert_int_equal(rig->reads, reads);
	test_free(io);
}

static void run_row(size_t state, size_t range, size_t follow, uint64_t size)
{
	static struct rig rig;
	static struct row row;

	rig_start(&rig, size, NULL);
	states[state].prepare(&rig);
	row.from = (uint64_t)(ranges[range].from + (ranges[range].at_end ? (int64_t)rig.size : 0));
	row.len = ranges[range].len;
	memcpy(row.server, rig.server, RIG_ROOM);
	memcpy(row.before, rig.mine, RIG_ROOM);
	write_row(&rig, &row);
	memcpy(row.after, rig.mine, RIG_ROOM);
	follows[follow].run(&rig, &row);
	rig_release(&rig);
	rig_check(&rig);
	assert_int_equal(rig_flush(&rig), 0);
	rig_stop(&rig);
}

static void every_row(uint64_t size)
{
	for (size_t state = 0; state < COUNT(states); state++) {
		for (size_t range = 0; range < COUNT(ranges); range++) {
			for (size_t follow = 0; follow < COUNT(follows); follow++) {
				if (getenv("UNETFS_TEST_VERBOSE"))
					fprintf(stderr, "%s; %s; %s\n", states[state].name,
						ranges[range].name, follows[follow].name);
				run_row(state, range, follow, size);
			}
		}
	}
}

static void the_end_of_the_file_is_behind_the_page(void **unused)
{
	every_row(FAR);
}

static void the_end_of_the_file_is_in_the_page(void **unused)
{
	every_row(INSIDE);
}

/* A write that must be durable, in the same places: when it ends its bytes are
 * at the server and were made durable after they came; one that the server
 * refuses says so and is kept. */
static void run_durable_row(size_t state, size_t range, int err, uint64_t size)
{
	static struct rig rig;
	static struct rig_io io;
	uint64_t from;

	rig_start(&rig, size, NULL);
	states[state].prepare(&rig);
	from = (uint64_t)(ranges[range].from + (ranges[range].at_end ? (int64_t)rig.size : 0));
	rig_begin(&rig, &io, true, from, ranges[range].len, NETFS_IO_DSYNC);
	/* What was held before is answered well; the write's own bytes not. */
	rig_release(&rig);
	assert_int_equal(rig_finish(&io), ranges[range].len);
	rig_note_write(&rig, &io);
	assert_int_equal(rig.syncs, 1);
	assert_true(rig.server_size >= from + ranges[range].len);
	assert_memory_equal(rig.server + from, rig.mine + from, ranges[range].len);
	rig.write_error = err;
	rig_begin(&rig, &io, true, from, ranges[range].len, NETFS_IO_DSYNC);
	assert_int_equal(rig_finish(&io), err ? err : (ssize_t)ranges[range].len);
	io.result = ranges[range].len;
	rig_note_write(&rig, &io);
	rig_check(&rig);
	rig.write_error = 0;
	assert_int_equal(rig_flush(&rig), 0);
	rig_stop(&rig);
}

static void a_durable_write_in_every_row(void **unused)
{
	for (size_t state = 0; state < COUNT(states); state++) {
		for (size_t range = 0; range < COUNT(ranges); range++) {
			run_durable_row(state, range, 0, FAR);
			run_durable_row(state, range, -ENOSPC, FAR);
			run_durable_row(state, range, 0, INSIDE);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_end_of_the_file_is_behind_the_page),
		cmocka_unit_test(the_end_of_the_file_is_in_the_page),
		cmocka_unit_test(a_durable_write_in_every_row),
	};

	return t_run(tests, NULL, NULL);
}
