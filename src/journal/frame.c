/* SPDX-License-Identifier: MIT */
/*
 * Frames.
 *
 *	head 96: magic, version, sealed?, number, time, lengths, log, nonce, tag
 *	body:    record 40 + what follows it, record 40 + what follows it, ...
 *
 * The tag proves head and body: a checksum, or that of AES-256-GCM, which hides the
 * body as well.  The head names the log and the place in it, so no frame can stand
 * for another.
 *
 * Locks: none.
 */
#include <errno.h>
#include <string.h>
#include <xxhash.h>
#include <base/round.h>
#include <crypt/aead.h>
#include <env/alloc.h>
#include <env/secret.h>
#include <journal/frame.h>
#include <wire/cursor.h>

#define MAGIC	0x314a4e75u /* "uNJ1" */
#define VERSION 1
#define SEALED	1
#define NONCE	48
#define TAG	64

int frame_begin(struct frame *frame)
{
	if (!frame->bytes) {
		frame->room = 64 << 10;
		frame->bytes = netfs_alloc(frame->room);
	}
	frame->used = FRAME_HEAD;
	frame->nrecords = 0;
	return frame->bytes ? 0 : -ENOMEM;
}

void frame_done(struct frame *frame)
{
	netfs_free(frame->bytes);
	*frame = (struct frame){0};
}

static int reserve(struct frame *frame, size_t more)
{
	size_t need = frame->used + more + FRAME_ALIGN, room = frame->room;
	uint8_t *bytes;

	if (need <= room)
		return 0;
	while (room < need)
		room *= 2;
	bytes = netfs_realloc(frame->bytes, room);
	if (!bytes)
		return -ENOMEM;
	frame->bytes = bytes;
	frame->room = room;
	return 0;
}

uint8_t *frame_add(struct frame *frame, const struct record *record)
{
	struct netfs_writer writer;
	uint8_t *body;

	if (frame->used + FRAME_RECORD + record->len > FRAME_BODY_MAX ||
	    reserve(frame, FRAME_RECORD + record->len))
		return NULL;
	netfs_writer_init(&writer, frame->bytes + frame->used, FRAME_RECORD);
	netfs_writer_u32(&writer, record->kind);
	netfs_writer_u32(&writer, record->len);
	netfs_writer_u64(&writer, record->seq);
	netfs_writer_u64(&writer, record->ino);
	netfs_writer_u64(&writer, record->gen);
	netfs_writer_u64(&writer, record->start);
	body = frame->bytes + frame->used + FRAME_RECORD;
	frame->used += FRAME_RECORD + record->len;
	frame->nrecords++;
	return body;
}

static void put_time(struct netfs_writer *writer, const struct netfs_time *time)
{
	netfs_writer_u64(writer, (uint64_t)time->sec);
	netfs_writer_u32(writer, time->nsec);
}

int frame_add_name(struct frame *frame, struct record record, const struct record_name *name)
{
	struct netfs_writer writer;
	uint8_t *body;

	record.kind = RECORD_NAME;
	record.len = FRAME_NAME + (uint32_t)name->path_len;
	body = frame_add(frame, &record);
	if (!body)
		return -ENOMEM;
	netfs_writer_init(&writer, body, record.len);
	netfs_writer_u32(&writer, name->known);
	netfs_writer_u32(&writer, 0);
	netfs_writer_u64(&writer, name->base.counter);
	put_time(&writer, &name->base.mtime);
	put_time(&writer, &name->base.ctime);
	netfs_writer_u64(&writer, name->base.size);
	netfs_writer_u64(&writer, 0);
	netfs_writer_bytes(&writer, name->path, name->path_len);
	return writer.bad ? -EINVAL : 0;
}

/* ------------------------------------------------------------- proofs */

static void checksum(const uint8_t head[FRAME_HEAD], const uint8_t *body, size_t len,
		     uint8_t ret_tag[NETFS_AEAD_TAG])
{
	XXH128_hash_t outer = XXH3_128bits(head, TAG);
	XXH128_hash_t hash = XXH3_128bits_withSeed(body, len, outer.low64 ^ outer.high64);
	struct netfs_writer writer;

	netfs_writer_init(&writer, ret_tag, NETFS_AEAD_TAG);
	netfs_writer_u64(&writer, hash.low64 ^ outer.low64);
	netfs_writer_u64(&writer, hash.high64);
}

static int seal(struct netfs_aead *aead, uint8_t *bytes, size_t len)
{
	int err = netfs_aead_start(aead, bytes + NONCE);

	if (!err)
		err = netfs_aead_beside(aead, bytes, TAG);
	if (!err)
		err = netfs_aead_seal(aead, bytes + FRAME_HEAD, bytes + FRAME_HEAD, len,
				      bytes + TAG);
	return err;
}

ssize_t frame_end(struct frame *frame, const struct frame_head *head, struct netfs_aead *aead)
{
	size_t len = frame->used - FRAME_HEAD, size = netfs_round_up(frame->used, FRAME_ALIGN);
	struct netfs_writer writer;
	int err = 0;

	memset(frame->bytes, 0, FRAME_HEAD);
	netfs_writer_init(&writer, frame->bytes, FRAME_HEAD);
	netfs_writer_u32(&writer, MAGIC);
	netfs_writer_u16(&writer, VERSION);
	netfs_writer_u16(&writer, aead ? SEALED : 0);
	netfs_writer_u64(&writer, head->number);
	netfs_writer_u64(&writer, head->time_ns);
	netfs_writer_u32(&writer, (uint32_t)len);
	netfs_writer_u32(&writer, frame->nrecords);
	netfs_writer_bytes(&writer, head->log, sizeof(head->log));
	if (aead)
		err = netfs_secret_random(frame->bytes + NONCE, NETFS_AEAD_NONCE);
	if (!err && aead)
		err = seal(aead, frame->bytes, len);
	else if (!err)
		checksum(frame->bytes, frame->bytes + FRAME_HEAD, len, frame->bytes + TAG);
	memset(frame->bytes + frame->used, 0, size - frame->used);
	return err ? err : (ssize_t)size;
}

int frame_head_read(const uint8_t bytes[FRAME_HEAD], bool sealed, struct frame_head *ret_head)
{
	struct netfs_reader reader;
	const void *log;
	bool ours;

	netfs_reader_init(&reader, bytes, FRAME_HEAD);
	ours = netfs_reader_u32(&reader) == MAGIC;
	ours &= netfs_reader_u16(&reader) == VERSION;
	ours &= netfs_reader_u16(&reader) == (sealed ? SEALED : 0);
	ret_head->number = netfs_reader_u64(&reader);
	ret_head->time_ns = netfs_reader_u64(&reader);
	ret_head->body_len = netfs_reader_u32(&reader);
	ret_head->nrecords = netfs_reader_u32(&reader);
	log = netfs_reader_bytes(&reader, sizeof(ret_head->log));
	if (!ours || !log || ret_head->body_len > FRAME_BODY_MAX)
		return -EILSEQ;
	memcpy(ret_head->log, log, sizeof(ret_head->log));
	return 0;
}

int frame_open(const uint8_t head[FRAME_HEAD], uint8_t *body, size_t len, struct netfs_aead *aead)
{
	uint8_t tag[NETFS_AEAD_TAG];
	int err;

	if (!aead) {
		checksum(head, body, len, tag);
		return memcmp(tag, head + TAG, sizeof(tag)) ? -EILSEQ : 0;
	}
	err = netfs_aead_start(aead, head + NONCE);
	if (!err)
		err = netfs_aead_beside(aead, head, TAG);
	if (!err)
		err = netfs_aead_open(aead, body, body, len, head + TAG);
	return err ? -EILSEQ : 0;
}

/* ------------------------------------------------------------ reading */

bool frame_next(const uint8_t *body, size_t len, size_t *at, struct record *ret_record)
{
	struct netfs_reader reader;
	uint32_t kind;

	if (*at >= len)
		return false;
	netfs_reader_init(&reader, body + *at, len - *at);
	*ret_record = (struct record){0};
	kind = netfs_reader_u32(&reader);
	ret_record->len = netfs_reader_u32(&reader);
	ret_record->seq = netfs_reader_u64(&reader);
	ret_record->ino = netfs_reader_u64(&reader);
	ret_record->gen = netfs_reader_u64(&reader);
	ret_record->start = netfs_reader_u64(&reader);
	ret_record->body = netfs_reader_bytes(&reader, ret_record->len);
	if (reader.bad || kind == 0 || kind >= RECORD_KINDS)
		return false;
	ret_record->kind = (enum record_kind)kind;
	ret_record->body_at = *at + FRAME_RECORD;
	*at += FRAME_RECORD + ret_record->len;
	return true;
}

static struct netfs_time take_time(struct netfs_reader *reader)
{
	struct netfs_time time;

	time.sec = (int64_t)netfs_reader_u64(reader);
	time.nsec = netfs_reader_u32(reader);
	return time;
}

int frame_read_name(const struct record *record, struct record_name *ret_name)
{
	struct netfs_reader reader;
	size_t len = record->len;

	netfs_reader_init(&reader, record->body, len);
	ret_name->known = netfs_reader_u32(&reader) != 0;
	netfs_reader_u32(&reader);
	ret_name->base.counter = netfs_reader_u64(&reader);
	ret_name->base.mtime = take_time(&reader);
	ret_name->base.ctime = take_time(&reader);
	ret_name->base.size = netfs_reader_u64(&reader);
	netfs_reader_u64(&reader);
	if (reader.bad || len < FRAME_NAME)
		return -EILSEQ;
	ret_name->path_len = len - FRAME_NAME;
	ret_name->path = (const char *)netfs_reader_bytes(&reader, ret_name->path_len);
	if (!ret_name->path || memchr(ret_name->path, 0, ret_name->path_len))
		return -EILSEQ;
	return 0;
}
