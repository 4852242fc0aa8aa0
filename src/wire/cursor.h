/* SPDX-License-Identifier: MIT */
/*
 * Bounds-checked reading and writing of little-endian message bytes.
 *
 * Errors stick: a cursor that once ran over its end stays bad, reads give zero
 * and writes do nothing from then on, so that a decoder checks once at its end.
 */
#ifndef WIRE_CURSOR_H
#define WIRE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a decoder is in somebody else's bytes; owns nothing. */
struct netfs_reader {
	const uint8_t *pos;
	size_t left;
	bool bad; /* something was asked for that is not there */
};

void netfs_reader_init(struct netfs_reader *reader, const void *bytes, size_t size);
uint8_t netfs_reader_u8(struct netfs_reader *reader);
uint16_t netfs_reader_u16(struct netfs_reader *reader);
uint32_t netfs_reader_u32(struct netfs_reader *reader);
uint64_t netfs_reader_u64(struct netfs_reader *reader);
/* A pointer to the next size bytes, which are skipped.  NULL when too few. */
const void *netfs_reader_bytes(struct netfs_reader *reader, size_t size);

/* Where an encoder is.  With buf NULL it only counts. */
struct netfs_writer {
	uint8_t *buf;
	size_t size;
	size_t pos;
	bool bad; /* something did not fit */
};

void netfs_writer_init(struct netfs_writer *writer, void *buf, size_t size);
void netfs_writer_u8(struct netfs_writer *writer, uint8_t value);
void netfs_writer_u16(struct netfs_writer *writer, uint16_t value);
void netfs_writer_u32(struct netfs_writer *writer, uint32_t value);
void netfs_writer_u64(struct netfs_writer *writer, uint64_t value);
void netfs_writer_bytes(struct netfs_writer *writer, const void *bytes, size_t size);

#endif
