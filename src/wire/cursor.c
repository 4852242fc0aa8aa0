/* SPDX-License-Identifier: MIT */
/*
 * Cursors over message bytes.  Every access goes through take() or put(), the
 * only two places that compare with the end, so a length that a peer made up
 * cannot lead anywhere.  Numbers are put together byte by byte: no alignment,
 * no byte order of the machine.  No locks; a cursor belongs to one function.
 */
#include <wire/cursor.h>

#include <string.h>

void netfs_reader_init(struct netfs_reader *reader, const void *bytes, size_t size)
{
	reader->pos = bytes;
	reader->left = size;
	reader->bad = false;
}

static const uint8_t *take(struct netfs_reader *reader, size_t size)
{
	const uint8_t *pos = reader->pos;

	if (reader->bad || size > reader->left) {
		reader->bad = true;
		return NULL;
	}
	reader->pos += size;
	reader->left -= size;
	return pos;
}

static uint64_t take_number(struct netfs_reader *reader, size_t size)
{
	const uint8_t *pos = take(reader, size);
	uint64_t value = 0;

	for (size_t i = size; pos && i > 0; i--)
		value = value << 8 | pos[i - 1];
	return value;
}

uint8_t netfs_reader_u8(struct netfs_reader *reader)
{
	return (uint8_t)take_number(reader, 1);
}

uint16_t netfs_reader_u16(struct netfs_reader *reader)
{
	return (uint16_t)take_number(reader, 2);
}

uint32_t netfs_reader_u32(struct netfs_reader *reader)
{
	return (uint32_t)take_number(reader, 4);
}

uint64_t netfs_reader_u64(struct netfs_reader *reader)
{
	return take_number(reader, 8);
}

const void *netfs_reader_bytes(struct netfs_reader *reader, size_t size)
{
	return take(reader, size);
}

void netfs_writer_init(struct netfs_writer *writer, void *buf, size_t size)
{
	writer->buf = buf;
	writer->size = size;
	writer->pos = 0;
	writer->bad = false;
}

static void put(struct netfs_writer *writer, const void *bytes, size_t size)
{
	if (writer->bad || size > writer->size - writer->pos) {
		writer->bad = true;
		return;
	}
	if (writer->buf && size > 0)
		memcpy(writer->buf + writer->pos, bytes, size);
	writer->pos += size;
}

static void put_number(struct netfs_writer *writer, uint64_t value, size_t size)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
	put(writer, bytes, size);
}

void netfs_writer_u8(struct netfs_writer *writer, uint8_t value)
{
	put_number(writer, value, 1);
}

void netfs_writer_u16(struct netfs_writer *writer, uint16_t value)
{
	put_number(writer, value, 2);
}

void netfs_writer_u32(struct netfs_writer *writer, uint32_t value)
{
	put_number(writer, value, 4);
}

void netfs_writer_u64(struct netfs_writer *writer, uint64_t value)
{
	put_number(writer, value, 8);
}

void netfs_writer_bytes(struct netfs_writer *writer, const void *bytes, size_t size)
{
	put(writer, bytes, size);
}
