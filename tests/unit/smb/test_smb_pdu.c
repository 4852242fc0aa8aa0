/* SPDX-License-Identifier: MIT */
/*
 * Goal: messages are what MS-SMB2 says, and no cut one is taken.  Method: bytes laid
 * out by hand; every message and payload with something in each field encoded,
 * decoded, encoded; and each of them cut at every length, in memory that ends
 * there.
 */
#include "t.h"

#include <backend/smb/smb_context.h>
#include <backend/smb/smb_layout.h>
#include <backend/smb/smb_status.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "smb_decoders.h"

#define KINDS 42 /* 18 commands with a reply, CANCEL, 6 breaks, ERROR, less those shared */

static void an_echo_is_these_bytes(void **state)
{
	static const uint8_t expected[] = {
		0xfe, 'S', 'M', 'B', 64, 0, 1, 0, 0, 0, 0, 0, 0x0d, 0, 2, 0, /* credits 2 */
		0,    0,   0,	0,   0,	 0, 0, 0, 9, 0, 0, 0, 0,    0, 0, 0, /* message 9 */
		0,    0,   0,	0,   3,	 0, 0, 0, 8, 7, 6, 5, 4,    3, 2, 1, /* tree 3, session */
		0,    0,   0,	0,   0,	 0, 0, 0, 0, 0, 0, 0, 0,    0, 0, 0, 4, 0, 0, 0};
	struct smb_msg msg = {.kind = SMB_REQUEST(SMB_ECHO),
			      .hdr = {.credit_charge = 1,
				      .credits = 2,
				      .message_id = 9,
				      .tree_id = 3,
				      .session_id = 0x0102030405060708}};
	uint8_t bytes[sizeof(expected)];
	char line[200];

	assert_int_equal(smb_encode(&msg, bytes, sizeof(bytes)), sizeof(bytes));
	assert_memory_equal(bytes, expected, sizeof(expected));
	assert_int_equal(smb_encode(&msg, bytes, sizeof(bytes) - 1), -EMSGSIZE);
	assert_int_equal(smb_decode(expected, sizeof(expected), sizeof(expected), &msg), 0);
	assert_string_equal(smb_print(&msg, line, sizeof(line)), "ECHO request mid 9 charge 1");
}

/* 2.2.13: name at 120, contexts behind it at a multiple of 8. */
static void a_create_puts_its_buffers_where_they_belong(void **state)
{
	struct smb_msg msg = {.kind = SMB_REQUEST(SMB_CREATE)};
	uint8_t bytes[300];
	ssize_t length;

	msg.create_req.name = (struct smb_buf){.p = u"ab", .len = 4};
	msg.create_req.contexts = smb_sample_create(false);
	msg.create_req.contexts.len = 40;
	length = smb_encode(&msg, bytes, sizeof(bytes));
	assert_int_equal(length, 128 + 40);
	assert_int_equal(bytes[64], 57);
	assert_int_equal(bytes[64 + 44], 120);
	assert_int_equal(bytes[64 + 46], 4);
	assert_int_equal(bytes[64 + 48], 128);
	assert_int_equal(bytes[64 + 52], 40);
	assert_memory_equal(bytes + 120, u"ab", 4);
	/* Nothing in it: one byte all the same. */
	msg.create_req.name.len = 0;
	msg.create_req.contexts.len = 0;
	assert_int_equal(smb_encode(&msg, bytes, sizeof(bytes)), 121);
}

static void data_may_be_elsewhere(void **state)
{
	struct smb_msg msg = {.kind = SMB_REQUEST(SMB_WRITE)}, reply;
	uint8_t bytes[SMB_WRITE_HEAD];

	msg.write_req.data.len = 1 << 20;
	assert_int_equal(smb_encode(&msg, bytes, sizeof(bytes)), SMB_WRITE_HEAD);
	assert_int_equal(smb_decode(bytes, sizeof(bytes), SMB_WRITE_HEAD + (1 << 20), &reply), 0);
	assert_null(reply.write_req.data.p);
	assert_int_equal(reply.write_req.data.len, 1 << 20);
	assert_int_equal(reply.write_req.data.off, SMB_WRITE_HEAD);
	assert_int_equal(smb_decode(bytes, sizeof(bytes), SMB_WRITE_HEAD + (1 << 20) - 1, &reply),
			 -EPROTO);
}

static void every_kind_comes_back(void **state)
{
	unsigned kinds = 0;

	for (uint8_t kind = 0; kind < SMB_KINDS; kind++) {
		uint8_t bytes[SMB_SAMPLE_MAX], again[SMB_SAMPLE_MAX];
		struct smb_msg msg, decoded;
		ssize_t length;

		if (!smb_layout_of(kind))
			continue;
		kinds++;
		smb_sample_message(kind, &msg);
		length = smb_encode(&msg, bytes, sizeof(bytes));
		assert_true(length > 0);
		assert_int_equal(bytes[64] | bytes[65] << 8, smb_layout_of(kind)->structure_size);
		assert_int_equal(smb_decode(bytes, length, length, &decoded), 0);
		assert_int_equal(decoded.kind, kind);
		assert_int_equal(smb_encode(&decoded, again, sizeof(again)), length);
		assert_memory_equal(bytes, again, length);
	}
	assert_int_equal(kinds, KINDS);
}

/* StructureSize is the length of the fixed part, 1 more where buffers follow. */
static void sizes_are_those_of_the_specification(void **state)
{
	static const struct smb_msg empty;

	for (uint8_t kind = 0; kind < SMB_KINDS; kind++) {
		const struct smb_layout *layout = smb_layout_of(kind);
		size_t size;

		if (!layout || kind == SMB_REQUEST(SMB_LOCK) || kind == SMB_REPLY(SMB_SET_INFO))
			continue;
		size = 2 + smb_fields_size(layout->field, &empty);
		assert_int_equal(size, layout->structure_size & ~1);
	}
}

static void check_target(const struct smb_target *target)
{
	uint8_t bytes[SMB_SAMPLE_MAX];
	unsigned samples = 0;
	size_t size;

	while ((size = target->sample(samples, bytes)) > 0) {
		size_t needs = target->needs ? target->needs(bytes, size) : size;

		assert_int_equal(target->consume(bytes, size), 0);
		/* An empty list behind the byte that chooses is one too. */
		for (size_t cut = 2; cut < size; cut++) {
			uint8_t *exact = malloc(cut);

			memcpy(exact, bytes, cut);
			if (cut < needs && target->consume(exact, cut) == 0)
				fail_msg("%s %u of %zu is taken at %zu", target->name, samples,
					 size, cut);
			free(exact);
		}
		samples++;
	}
	assert_true(samples > 0);
}

static void nothing_cut_is_taken(void **state)
{
	for (size_t i = 0; i < smb_ntargets; i++)
		check_target(&smb_targets[i]);
	for (size_t i = 0; i < smb_npayload_targets; i++)
		check_target(&smb_payload_targets[i]);
}

static void a_status_decides_the_form(void **state)
{
	struct smb_msg msg = {.kind = SMB_REPLY(SMB_SESSION_SETUP)}, decoded;
	uint8_t bytes[200];
	ssize_t length;

	msg.session_setup_rep.token = (struct smb_buf){.p = "token", .len = 5};
	msg.hdr.status = SMB_STATUS_MORE_PROCESSING;
	length = smb_encode(&msg, bytes, sizeof(bytes));
	assert_int_equal(smb_decode(bytes, length, length, &decoded), 0);
	assert_int_equal(decoded.kind, SMB_REPLY(SMB_SESSION_SETUP));
	assert_memory_equal(decoded.session_setup_rep.token.p, "token", 5);

	msg = (struct smb_msg){
		.kind = SMB_ERROR,
		.hdr = {.command = SMB_SESSION_SETUP, .status = SMB_STATUS_LOGON_FAILURE}};
	length = smb_encode(&msg, bytes, sizeof(bytes));
	assert_int_equal(length, 73);
	assert_int_equal(smb_decode(bytes, length, length, &decoded), 0);
	assert_int_equal(decoded.kind, SMB_ERROR);

	/* Of an IOCTL both may come with this one. */
	msg.hdr = (struct smb_header){.command = SMB_IOCTL, .status = SMB_STATUS_INVALID_PARAMETER};
	length = smb_encode(&msg, bytes, sizeof(bytes));
	assert_int_equal(smb_decode(bytes, length, length, &decoded), 0);
	assert_int_equal(decoded.kind, SMB_ERROR);
	msg = (struct smb_msg){.kind = SMB_REPLY(SMB_IOCTL),
			       .hdr = {.status = SMB_STATUS_INVALID_PARAMETER}};
	length = smb_encode(&msg, bytes, sizeof(bytes));
	assert_int_equal(smb_decode(bytes, length, length, &decoded), 0);
	assert_int_equal(decoded.kind, SMB_REPLY(SMB_IOCTL));
}

static void compounds_lead_forward(void **state)
{
	struct smb_msg msg = {.kind = SMB_REQUEST(SMB_ECHO)};
	uint8_t bytes[256] = {0};

	assert_int_equal(smb_encode(&msg, bytes, sizeof(bytes)), 68);
	assert_int_equal(smb_compound_step(bytes, 68), 68);
	smb_set_next(bytes, 72);
	assert_int_equal(smb_compound_step(bytes, 140), 72);
	assert_int_equal(smb_compound_step(bytes, 72), -EPROTO);
	smb_set_next(bytes, 68);
	assert_int_equal(smb_compound_step(bytes, 140), -EPROTO);
	smb_set_next(bytes, 56);
	assert_int_equal(smb_compound_step(bytes, 140), -EPROTO);
	assert_int_equal(smb_compound_step(bytes, 63), -EPROTO);
}

/* 2.2.3.1.1: one SHA-512 context with a salt. */
static void negotiate_contexts_are_these_bytes(void **state)
{
	static const uint8_t expected[] = {1, 0, 10,  0,   0,	0,   0, 0, 1, 0, 4, 0,
					   1, 0, 's', 'a', 'l', 't', 0, 0, 0, 0, 0, 0,
					   2, 0, 4,   0,   0,	0,   0, 0, 1, 0, 2, 0};
	struct smb_negotiate_contexts contexts = {.hashes = {1, {SMB_HASH_SHA512}},
						  .salt = {.p = "salt", .len = 4},
						  .ciphers = {1, {SMB_AES_128_GCM}}};
	struct smb_buf twice = {.len = 2 * 36 + 4};
	uint8_t bytes[200] = {0};
	uint16_t count;

	assert_int_equal(smb_negotiate_contexts_encode(&contexts, bytes, sizeof(bytes), &count),
			 sizeof(expected));
	assert_memory_equal(bytes, expected, sizeof(expected));
	assert_int_equal(count, 2);
	/* The same again: a second one of a kind is refused. */
	memcpy(bytes + 40, expected, sizeof(expected));
	twice.p = bytes;
	assert_int_equal(smb_negotiate_contexts_decode(&twice, 4, &contexts), -EPROTO);
	assert_int_equal(smb_negotiate_contexts_decode(&twice, 2, &contexts), 0);
}

/* 2.2.13.2.10 */
static void a_lease_is_these_bytes(void **state)
{
	static const uint8_t expected[76] = {
		0,   0, 0, 0, 16, 0,   4,   0,	 0, 0, 24, 0, 52, 0, 0, 0, 'R', 'q', 'L',
		's', 0, 0, 0, 0,  'k', 'e', 'y', 0, 0, 0,  0, 0,  0, 0, 0, 0,	0,   0,
		0,   0, 7, 0, 0,  0,   4,   0,	 0, 0, 0,  0, 0,  0, 0, 0, 0,	0,   'p',
		0,   0, 0, 0, 0,  0,   0,   0,	 0, 0, 0,  0, 0,  0, 0, 9, 0,	0,   0};
	struct smb_create_contexts contexts = {
		.has = SMB_CTX_LEASE_V2, .lease = {{"key"}, 7, SMB_LEASE_HAS_PARENT, {"p"}, 9}};
	uint8_t bytes[200];

	assert_int_equal(smb_create_contexts_encode(&contexts, false, bytes, sizeof(bytes)), 76);
	assert_memory_equal(bytes, expected, sizeof(expected));
	assert_int_equal(smb_create_contexts_encode(&contexts, false, bytes, 75), -EMSGSIZE);
}

static void lines_do_not_carry_control_characters(void **state)
{
	struct smb_msg msg = {.kind = SMB_REQUEST(SMB_CREATE)};
	char line[400], cut[20];

	msg.create_req.name = (struct smb_buf){.p = u"a\x1b'\u20ac", .len = 8};
	smb_print(&msg, line, sizeof(line));
	assert_non_null(strstr(line, "name 'a\\u001b\\u0027\\u20ac'"));
	assert_int_equal(strlen(smb_print(&msg, cut, sizeof(cut))), sizeof(cut) - 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_echo_is_these_bytes),
		cmocka_unit_test(a_create_puts_its_buffers_where_they_belong),
		cmocka_unit_test(data_may_be_elsewhere),
		cmocka_unit_test(every_kind_comes_back),
		cmocka_unit_test(sizes_are_those_of_the_specification),
		cmocka_unit_test(nothing_cut_is_taken),
		cmocka_unit_test(a_status_decides_the_form),
		cmocka_unit_test(compounds_lead_forward),
		cmocka_unit_test(negotiate_contexts_are_these_bytes),
		cmocka_unit_test(a_lease_is_these_bytes),
		cmocka_unit_test(lines_do_not_carry_control_characters),
	};

	return t_run(tests, NULL, NULL);
}
