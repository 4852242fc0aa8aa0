/* SPDX-License-Identifier: MIT */
/*
 * Goal: every message is encoded, decoded and printed as the protocol's
 * description says, and nothing malformed is decoded.  Method: a table of
 * bytes laid out by hand (p9_messages.h), compared in all three directions,
 * then cut, stretched and lied to.
 */
#include "t.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "p9_messages.h"

/* The bytes of table entry i, exactly as large as they are. */
static uint8_t *bytes_of(size_t i, size_t *ret_size)
{
	const char *hex = p9_messages[i].hex;
	size_t size = strlen(hex) / 2;
	uint8_t *bytes = malloc(size + 1);

	for (size_t b = 0; b < size; b++) {
		char digits[3] = {hex[2 * b], hex[2 * b + 1], '\0'};

		bytes[b] = (uint8_t)strtoul(digits, NULL, 16);
	}
	*ret_size = size;
	return realloc(bytes, size);
}

static void set_size(uint8_t *bytes, size_t size)
{
	for (unsigned i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(size >> (8 * i));
}

static void every_type_is_in_the_table(void **state)
{
	unsigned types = 0;

	for (unsigned type = 0; type < 256; type++)
		types += p9_layout_of((uint8_t)type) != NULL;
	assert_int_equal(types, P9_MESSAGES);
}

static void messages_encode_to_their_bytes(void **state)
{
	for (size_t i = 0; i < P9_MESSAGES; i++) {
		size_t size;
		uint8_t *expected = bytes_of(i, &size), *found = malloc(size);

		assert_int_equal(p9_encode(&p9_messages[i].msg, NULL, 0), size);
		assert_int_equal(p9_encode(&p9_messages[i].msg, found, size), size);
		assert_memory_equal(found, expected, size);
		assert_int_equal(p9_encode(&p9_messages[i].msg, found, size - 1), -EMSGSIZE);
		free(expected);
		free(found);
	}
}

static void bytes_decode_and_print(void **state)
{
	for (size_t i = 0; i < P9_MESSAGES; i++) {
		size_t size;
		uint8_t *bytes = bytes_of(i, &size), *again = malloc(size);
		struct p9_msg msg;
		char line[512];

		assert_int_equal(p9_decode(bytes, size, &msg), 0);
		assert_string_equal(p9_print(&msg, line, sizeof(line)), p9_messages[i].line);
		assert_int_equal(p9_encode(&msg, again, size), size);
		assert_memory_equal(again, bytes, size);
		free(bytes);
		free(again);
	}
}

static void cut_and_stretched_messages_do_not_decode(void **state)
{
	for (size_t i = 0; i < P9_MESSAGES; i++) {
		size_t size;
		uint8_t *whole = bytes_of(i, &size);
		struct p9_msg msg;

		for (size_t cut = 0; cut < size; cut++) {
			uint8_t *part = malloc(cut + 1);

			memcpy(part, whole, cut);
			part = realloc(part, cut ? cut : 1);
			assert_int_equal(p9_decode(part, cut, &msg), -EPROTO);
			/* Also where the size field agrees. */
			if (cut >= 4) {
				set_size(part, cut);
				assert_int_equal(p9_decode(part, cut, &msg), -EPROTO);
			}
			free(part);
		}
		whole = realloc(whole, size + 1);
		whole[size] = 0;
		assert_int_equal(p9_decode(whole, size + 1, &msg), -EPROTO);
		set_size(whole, size + 1);
		assert_int_equal(p9_decode(whole, size + 1, &msg), -EPROTO);
		free(whole);
	}
}

static void more_than_sixteen_names_or_qids_are_refused(void **state)
{
	uint8_t bytes[7 + 2 + 17 * 13] = {0};
	struct p9_msg msg = {.type = P9_TWALK, .twalk = {.names = {.count = 17}}};

	set_size(bytes, sizeof(bytes));
	bytes[4] = P9_RWALK;
	bytes[7] = 17;
	assert_int_equal(p9_decode(bytes, sizeof(bytes), &msg), -EPROTO);
	msg = (struct p9_msg){.type = P9_TWALK, .twalk = {.names = {.count = 17}}};
	assert_int_equal(p9_encode(&msg, NULL, 0), -EMSGSIZE);
}

static void unknown_types_are_refused(void **state)
{
	uint8_t bytes[7] = {7};
	struct p9_msg msg = {.type = 6};
	char line[40];

	for (unsigned type = 0; type < 256; type++) {
		bytes[4] = (uint8_t)type;
		if (!p9_layout_of((uint8_t)type))
			assert_int_equal(p9_decode(bytes, 7, &msg), -EPROTO);
	}
	msg.type = 6;
	assert_int_equal(p9_encode(&msg, NULL, 0), -EINVAL);
	assert_string_equal(p9_print(&msg, line, sizeof(line)), "message 6 tag 0");
}

static void strings_over_64k_do_not_encode(void **state)
{
	char *text = malloc(65537);
	struct p9_msg msg = {.type = P9_RREADLINK};

	memset(text, 'x', 65536);
	text[65536] = '\0';
	msg.rreadlink.target = p9_str(text);
	assert_int_equal(p9_encode(&msg, NULL, 0), -EMSGSIZE);
	text[65535] = '\0';
	msg.rreadlink.target = p9_str(text);
	assert_int_equal(p9_encode(&msg, NULL, 0), 7 + 2 + 65535);
	free(text);
}

static void printing_is_cut_at_the_buffers_end(void **state)
{
	char line[512], *part;

	for (size_t i = 0; i < P9_MESSAGES; i++) {
		size_t len = strlen(p9_messages[i].line);

		for (size_t size = 0; size <= len; size++) {
			part = malloc(size ? size : 1);
			p9_print(&p9_messages[i].msg, part, size);
			if (size > 0)
				assert_memory_equal(part, p9_messages[i].line, strlen(part));
			free(part);
		}
	}
	assert_string_equal(p9_print(&p9_messages[0].msg, line, 8), "Rlerror");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_is_in_the_table),
		cmocka_unit_test(messages_encode_to_their_bytes),
		cmocka_unit_test(bytes_decode_and_print),
		cmocka_unit_test(cut_and_stretched_messages_do_not_decode),
		cmocka_unit_test(more_than_sixteen_names_or_qids_are_refused),
		cmocka_unit_test(unknown_types_are_refused),
		cmocka_unit_test(strings_over_64k_do_not_encode),
		cmocka_unit_test(printing_is_cut_at_the_buffers_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
