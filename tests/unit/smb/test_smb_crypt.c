/* SPDX-License-Identifier: MIT */
/*
 * Goal: what is signed and sealed with contexts that are kept is what was signed and
 * sealed with new ones, a frame may be opened in any pieces, and one that somebody
 * touched, or that has a nonce that was there before, is never made.
 * Method: both directions have the same key here, so that what is sealed can be opened.
 */
#include <t.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <base/rng.h>
#include <backend/smb/smb_context.h>
#include <backend/smb/smb_crypt.h>
#include <backend/smb/smb_pdu.h>

#define SESSION 0x1234567890u
#define ROOM	300000u

static const uint16_t ciphers[] = {SMB_AES_128_CCM, SMB_AES_128_GCM, SMB_AES_256_CCM,
				   SMB_AES_256_GCM};

static struct smb_keys keys_of(uint16_t cipher, uint16_t signing)
{
	struct smb_keys keys = {.cipher = cipher, .signing = signing};
	struct smb_preauth preauth = {{1, 2, 3}};
	uint8_t session_key[32];

	for (unsigned i = 0; i < sizeof(session_key); i++)
		session_key[i] = (uint8_t)(i * 7);
	assert_int_equal(smb_keys_derive(&keys, session_key, sizeof(session_key), &preauth), 0);
	memcpy(keys.open, keys.seal, sizeof(keys.open));
	return keys;
}

struct pieces {
	uint8_t head[200];
	uint8_t *data;
	struct iovec iov[8];
	struct smb_text text;
};

/* A message in pieces of chance. */
static void make_pieces(struct pieces *pieces, struct netfs_rng *rng, size_t size)
{
	size_t at = 0;

	pieces->data = malloc(size + 1);
	assert_non_null(pieces->data);
	for (size_t i = 0; i < sizeof(pieces->head); i++)
		pieces->head[i] = (uint8_t)netfs_rng_u64(rng);
	for (size_t i = 0; i < size; i++)
		pieces->data[i] = (uint8_t)netfs_rng_u64(rng);
	for (unsigned i = 0; i < 8; i++) {
		size_t left = size - at, len = i == 7 ? left : netfs_rng_below(rng, left + 1);

		pieces->iov[i] = (struct iovec){pieces->data + at, len};
		at += len;
	}
	/* The last piece may be longer than the message. */
	pieces->iov[7].iov_len++;
	pieces->text = (struct smb_text){.head = pieces->head,
					 .head_len = 64 + netfs_rng_below(rng, 100),
					 .data = pieces->iov,
					 .data_len = size};
}

static bool is_text(const struct pieces *pieces, const uint8_t *bytes)
{
	return !memcmp(bytes, pieces->text.head, pieces->text.head_len) &&
	       !memcmp(bytes + pieces->text.head_len, pieces->data, pieces->text.data_len);
}

/* Opens it in pieces of chance, or in one where the cipher wants that. */
static int open_frame(struct smb_keys *keys, struct netfs_rng *rng, uint8_t *frame, size_t size)
{
	struct smb_opening opening = {0};
	uint8_t *at = frame + SMB_TRANSFORM;
	size_t left = size - SMB_TRANSFORM;
	int err;

	if (!smb_opens_in_pieces(keys) || netfs_rng_below(rng, 3) == 0)
		return smb_unseal(keys, SESSION, frame, size);
	err = smb_open_begin(&opening, keys, SESSION, frame, size);
	while (!err && left > 0) {
		size_t n = 1 + netfs_rng_below(rng, left);

		err = smb_open_more(&opening, at, at, n);
		at += n;
		left -= n;
	}
	return err ? err : smb_open_end(&opening);
}

/* Seals and opens one, every third after somebody touched it; its nonce. */
static uint64_t one_frame(struct smb_keys *keys, struct netfs_rng *rng, unsigned i)
{
	struct smb_transform transform;
	struct pieces pieces;
	uint8_t *frame = malloc(ROOM);
	size_t size;

	assert_non_null(frame);
	make_pieces(&pieces, rng, netfs_rng_below(rng, i % 4 ? 5000 : 200000));
	size = SMB_TRANSFORM + pieces.text.head_len + pieces.text.data_len;
	assert_int_equal(smb_seal(keys, SESSION, &pieces.text, frame), 0);
	assert_int_equal(smb_transform_decode(frame, SMB_TRANSFORM, size, &transform), 0);
	if (i % 3 == 2) {
		/* In the tag, or in the message. */
		frame[i % 2 ? 4 + netfs_rng_below(rng, SMB_TAG)
			    : SMB_TRANSFORM + netfs_rng_below(rng, size - SMB_TRANSFORM)] ^= 1;
		assert_int_equal(open_frame(keys, rng, frame, size), -EBADMSG);
	} else {
		assert_int_equal(open_frame(keys, rng, frame, size), 0);
		assert_true(is_text(&pieces, frame + SMB_TRANSFORM));
	}
	free(pieces.data);
	free(frame);
	return transform.nonce[0] + 256u * transform.nonce[1];
}

static void what_is_sealed_can_be_opened_in_any_pieces(void **unused)
{
	struct netfs_rng rng;

	t_rng(&rng, __func__);
	for (unsigned c = 0; c < 4; c++) {
		struct smb_keys keys = keys_of(ciphers[c], SMB_AES_GMAC);
		uint64_t nonce = 0;

		for (unsigned i = 0; i < 60; i++)
			assert_int_equal(one_frame(&keys, &rng, i), ++nonce);
		smb_keys_done(&keys);
	}
}

static void an_opening_that_is_dropped_harms_no_later_one(void **unused)
{
	struct smb_keys keys = keys_of(SMB_AES_128_GCM, SMB_AES_GMAC);
	const uint8_t message[100] = "a message";
	const struct smb_text text = {.head = message, .head_len = sizeof(message)};
	uint8_t first[SMB_TRANSFORM + sizeof(message)], second[SMB_TRANSFORM + sizeof(message)];
	uint8_t out[sizeof(message)];
	struct smb_opening opening;

	assert_int_equal(smb_seal(&keys, SESSION, &text, first), 0);
	assert_int_equal(smb_seal(&keys, SESSION, &text, second), 0);
	assert_int_equal(smb_open_begin(&opening, &keys, SESSION, first, sizeof(first)), 0);
	assert_int_equal(smb_open_more(&opening, first + SMB_TRANSFORM, out, 7), 0);
	smb_open_drop(&opening);
	smb_open_drop(&opening);
	assert_int_equal(smb_unseal(&keys, SESSION, second, sizeof(second)), 0);
	assert_memory_equal(second + SMB_TRANSFORM, message, sizeof(message));
	assert_int_equal(smb_open_begin(&opening, &keys, SESSION + 1, first, sizeof(first)),
			 -EBADMSG);
	smb_keys_done(&keys);
}

/* Also after the keys became others, while contexts of both kinds were kept. */
static void a_kept_context_signs_as_a_new_one_does(void **unused)
{
	struct netfs_rng rng;

	t_rng(&rng, __func__);
	for (unsigned i = 0; i < 40; i++) {
		uint16_t signing = i % 2 ? SMB_AES_GMAC : SMB_AES_CMAC;
		struct smb_keys old = keys_of(SMB_AES_128_GCM, signing);
		struct smb_keys fresh = keys_of(SMB_AES_128_GCM, signing);
		struct smb_keys other = {.signing = signing};
		uint8_t a[SMB_TAG], b[SMB_TAG];
		struct pieces pieces;

		make_pieces(&pieces, &rng, netfs_rng_below(&rng, 20000));
		assert_int_equal(smb_sign(&old, &pieces.text, 6, true, false, a), 0);
		assert_int_equal(smb_sign(&old, &pieces.text, 7, false, true, a), 0);
		assert_int_equal(smb_sign(&fresh, &pieces.text, 7, false, true, b), 0);
		assert_true(smb_signature_equal(a, b));
		memset(other.sign, 0x55, sizeof(other.sign));
		smb_keys_copy(&old, &other);
		assert_int_equal(smb_sign(&old, &pieces.text, 7, false, true, a), 0);
		assert_int_equal(smb_sign(&other, &pieces.text, 7, false, true, b), 0);
		assert_true(smb_signature_equal(a, b));
		smb_keys_done(&old);
		smb_keys_done(&fresh);
		smb_keys_done(&other);
		free(pieces.data);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_sealed_can_be_opened_in_any_pieces),
		cmocka_unit_test(an_opening_that_is_dropped_harms_no_later_one),
		cmocka_unit_test(a_kept_context_signs_as_a_new_one_does),
	};

	return t_run(tests, NULL, NULL);
}
