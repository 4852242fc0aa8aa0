/* SPDX-License-Identifier: MIT */
/*
 * Goal: passthrough is asked for where the kernel offers it, in the answer to its
 * greeting and in no other, whatever the messages are like.
 * Method: messages written by hand, by their words of 32 bits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <fuse/pass_abi.h>

#define EXTENDED (1u << 30)
#define BIT_37	 (1u << 5)

/* A greeting: its header has 10 words. */
static bool offered(uint32_t flags, uint32_t flags2, size_t len)
{
	uint32_t words[26] = {104, 26, 77, 0};
	uint64_t unique = 0;
	bool yes = false;

	words[13] = flags;
	words[14] = flags2;
	if (!netfs_pass_greeting(words, len, &unique, &yes))
		return false;
	assert_int_equal(unique, 77);
	return yes;
}

static void the_kernel_offers_it_or_not(void **state)
{
	uint32_t words[26] = {104, 27, 77, 0};
	uint64_t unique;
	bool yes;

	assert_true(offered(EXTENDED, BIT_37, 104));
	assert_true(offered(UINT32_MAX, UINT32_MAX, 60));
	assert_false(offered(EXTENDED, ~BIT_37, 104));
	/* An older one does not say what the second word is. */
	assert_false(offered(~EXTENDED, BIT_37, 104));
	for (size_t len = 0; len < 60; len++)
		assert_false(offered(EXTENDED, BIT_37, len));
	assert_false(netfs_pass_greeting(words, sizeof(words), &unique, &yes));
}

static bool accepted(uint32_t header[4], uint32_t body[16], size_t header_len, size_t body_len)
{
	struct iovec iov[] = {{header, header_len}, {body, body_len}};

	return netfs_pass_accept(iov, 2, 77);
}

static void only_the_answer_is_changed(void **state)
{
	uint32_t header[4] = {80, 0, 77, 0}, other[4] = {80, 0, 78, 0};
	uint32_t refusal[4] = {80, (uint32_t)-5, 77, 0};
	uint32_t body[16], before[16];

	memset(body, 0x21, sizeof(body));
	memcpy(before, body, sizeof(body));
	assert_false(accepted(other, body, 16, 64));
	assert_false(accepted(refusal, body, 16, 64));
	assert_false(accepted(header, body, 16, 24));
	assert_false(accepted(header, body, 12, 64));
	assert_false(netfs_pass_accept(&(struct iovec){header, 16}, 1, 77));
	assert_memory_equal(body, before, sizeof(body));
	assert_true(accepted(header, body, 16, 64));
	before[3] |= EXTENDED;
	before[8] |= BIT_37;
	before[9] = 1;
	assert_memory_equal(body, before, sizeof(body));
}

static void a_descriptor_that_is_no_connection_is_refused(void **state)
{
	assert_true(netfs_pass_backing_open(-1, 0) < 0);
	netfs_pass_backing_close(-1, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_kernel_offers_it_or_not),
		cmocka_unit_test(only_the_answer_is_changed),
		cmocka_unit_test(a_descriptor_that_is_no_connection_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
