/* SPDX-License-Identifier: MIT */
/*
 * Goal: a cursor never reads or writes past its end, and its errors stick.
 * Method: exact buffers on the heap, so that a sanitizer sees one byte too many.
 */
#include "t.h"

#include <stdlib.h>
#include <string.h>
#include <wire/cursor.h>

static void numbers_are_little_endian(void **state)
{
	uint8_t bytes[15];
	static const uint8_t expected[15] = {0x01, 0x03, 0x02, 0x07, 0x06, 0x05, 0x04, 0x0f,
					     0x0e, 0x0d, 0x0c, 0x0b, 0x0a, 0x09, 0x08};
	struct netfs_writer w;
	struct netfs_reader r;

	netfs_writer_init(&w, bytes, sizeof(bytes));
	netfs_writer_u8(&w, 0x01);
	netfs_writer_u16(&w, 0x0203);
	netfs_writer_u32(&w, 0x04050607);
	netfs_writer_u64(&w, UINT64_C(0x08090a0b0c0d0e0f));
	assert_false(w.bad);
	assert_int_equal(w.pos, 15);
	assert_memory_equal(bytes, expected, 15);
	netfs_reader_init(&r, bytes, sizeof(bytes));
	assert_int_equal(netfs_reader_u8(&r), 0x01);
	assert_int_equal(netfs_reader_u16(&r), 0x0203);
	assert_int_equal(netfs_reader_u32(&r), 0x04050607);
	assert_true(netfs_reader_u64(&r) == UINT64_C(0x08090a0b0c0d0e0f));
	assert_false(r.bad);
	assert_int_equal(r.left, 0);
}

static void reader_stops_at_its_end_and_stays_bad(void **state)
{
	uint8_t *bytes = malloc(3);
	struct netfs_reader r;

	memset(bytes, 0xff, 3);
	netfs_reader_init(&r, bytes, 3);
	assert_int_equal(netfs_reader_u32(&r), 0);
	assert_true(r.bad);
	/* One byte would still be there. */
	assert_int_equal(netfs_reader_u8(&r), 0);
	assert_null(netfs_reader_bytes(&r, 0));
	netfs_reader_init(&r, bytes, 3);
	assert_ptr_equal(netfs_reader_bytes(&r, 3), bytes);
	assert_non_null(netfs_reader_bytes(&r, 0));
	assert_false(r.bad);
	assert_null(netfs_reader_bytes(&r, SIZE_MAX));
	assert_true(r.bad);
	free(bytes);
}

static void writer_stops_at_its_end_and_stays_bad(void **state)
{
	uint8_t *bytes = calloc(1, 3);
	struct netfs_writer w;

	netfs_writer_init(&w, bytes, 3);
	netfs_writer_u16(&w, 0xffff);
	netfs_writer_u16(&w, 0xffff);
	assert_true(w.bad);
	netfs_writer_u8(&w, 0xff);
	assert_int_equal(w.pos, 2);
	assert_int_equal(bytes[2], 0);
	free(bytes);
}

static void writer_without_buffer_counts(void **state)
{
	struct netfs_writer w;

	netfs_writer_init(&w, NULL, 100);
	netfs_writer_u64(&w, 1);
	netfs_writer_bytes(&w, "abc", 3);
	assert_int_equal(w.pos, 11);
	assert_false(w.bad);
	netfs_writer_bytes(&w, NULL, 90);
	assert_true(w.bad);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_little_endian),
		cmocka_unit_test(reader_stops_at_its_end_and_stays_bad),
		cmocka_unit_test(writer_stops_at_its_end_and_stays_bad),
		cmocka_unit_test(writer_without_buffer_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
