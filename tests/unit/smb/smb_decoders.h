/* SPDX-License-Identifier: MIT */
/*
 * Every decoder of the SMB back end behind one face, with honest bytes for each:
 * for tests that cut them and for fuzzers that bend them.
 */
#ifndef TESTS_SMB_DECODERS_H
#define TESTS_SMB_DECODERS_H

#include <backend/smb/smb_pdu.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SMB_SAMPLE_MAX 4096

struct smb_target {
	const char *name;
	/*
	 * Decodes bytes as far as it goes, encodes what came out and decodes that:
	 * the two must be equal, else it aborts.  0, or the decoder's error.
	 */
	int (*consume)(const uint8_t *bytes, size_t size);
	/* The i-th honest input into SMB_SAMPLE_MAX bytes; its length, 0: there are no more. */
	size_t (*sample)(unsigned i, uint8_t *buf);
	/* The least length that is complete: a cut input below it is refused.  NULL: all
	 * of it is needed. */
	size_t (*needs)(const uint8_t *bytes, size_t size);
};

extern const struct smb_target smb_targets[];
extern const size_t smb_ntargets;

/* A message of kind with something in every field. */
void smb_sample_message(uint8_t kind, struct smb_msg *ret_msg);
/* smb_decoders_payload.c: what is inside messages. */
extern const struct smb_target smb_payload_targets[];
extern const size_t smb_npayload_targets;

/* Ends the program unless it holds. */
#define smb_must(condition)                                                                        \
	do {                                                                                       \
		if (!(condition))                                                                  \
			smb_must_fail(__FILE__, __LINE__, #condition);                             \
	} while (0)
_Noreturn void smb_must_fail(const char *file, int line, const char *condition);

/* Payload decoders, over bytes of exactly that size; their errors are fine. */
int smb_consume_negotiate(const struct smb_buf *buf, uint16_t count);
int smb_consume_create(const struct smb_buf *buf, bool reply);
int smb_consume_error(const struct smb_buf *buf, uint8_t count, uint32_t status);
int smb_consume_info(uint8_t type, uint8_t info_class, const void *bytes, size_t size);
int smb_consume_directory(uint8_t info_class, const void *bytes, size_t size);
int smb_consume_reparse(const void *bytes, size_t size);
int smb_consume_lists(const void *bytes, size_t size);
int smb_consume_fsctl(uint32_t code, bool reply, const void *bytes, size_t size);

/* Honest lists for the messages that carry them; static memory. */
struct smb_buf smb_sample_negotiate(bool reply, uint16_t *ret_count);
struct smb_buf smb_sample_create(bool reply);
struct smb_buf smb_sample_error(unsigned i, uint8_t *ret_count, uint32_t *ret_status);
struct smb_buf smb_sample_directory(uint8_t info_class);

#endif
