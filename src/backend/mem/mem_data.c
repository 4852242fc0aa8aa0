/* SPDX-License-Identifier: MIT */
/*
 * The bytes of a file: a table of chunks of 64 KiB, of which only those that
 * were written exist.  A missing chunk reads as zeroes, so a file of 5 GiB with
 * one byte at its end costs one chunk and a table of 640 KiB.
 *
 * What holds between calls: every byte at or beyond attr.size that has memory
 * is zero.  A file can therefore grow by changing attr.size alone.
 *
 * Locks: the caller's, see mem_tree.h.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <backend/mem/mem_tree.h>
#include <base/round.h>
#include <env/alloc.h>

#define CHUNK UINT64_C(65536)

/* Memory of the chunk that position pos is in, NULL for a hole. */
static char *chunk_find(const struct netfs_mem_file *file, uint64_t pos)
{
	return pos / CHUNK < file->nchunks ? file->chunks[pos / CHUNK] : NULL;
}

/* The same, filling the hole.  NULL where there is no memory. */
static char *chunk_make(struct netfs_mem_file *file, uint64_t pos)
{
	uint64_t i = pos / CHUNK;

	if (i >= file->nchunks) {
		/* At least doubled, so that a growing file stays linear. */
		uint64_t n = i < 2 * file->nchunks ? 2 * file->nchunks : i + 1;
		char **chunks = netfs_realloc(file->chunks, n * sizeof(*chunks));

		if (!chunks)
			return NULL;
		memset(chunks + file->nchunks, 0, (n - file->nchunks) * sizeof(*chunks));
		file->chunks = chunks;
		file->nchunks = n;
	}
	if (!file->chunks[i]) {
		file->chunks[i] = netfs_zalloc(CHUNK);
		if (!file->chunks[i])
			return NULL;
		file->attr.blocks += CHUNK / 512;
		file->tree->bytes += CHUNK;
	}
	return file->chunks[i];
}

static void chunk_drop(struct netfs_mem_file *file, uint64_t pos)
{
	netfs_free(file->chunks[pos / CHUNK]);
	file->chunks[pos / CHUNK] = NULL;
	file->attr.blocks -= CHUNK / 512;
	file->tree->bytes -= CHUNK;
}

void netfs_mem_data_read(const struct netfs_mem_file *file, uint64_t start, char *buf, size_t len)
{
	while (len) {
		size_t in = start % CHUNK, n = netfs_min(CHUNK - in, len);
		const char *chunk = chunk_find(file, start);

		if (chunk)
			memcpy(buf, chunk + in, n);
		else
			memset(buf, 0, n);
		start += n;
		buf += n;
		len -= n;
	}
}

size_t netfs_mem_data_write(struct netfs_mem_file *file, uint64_t start, const char *buf,
			    size_t len)
{
	size_t moved = 0;

	while (moved < len) {
		size_t in = start % CHUNK, n = netfs_min(CHUNK - in, len - moved);
		char *chunk = chunk_make(file, start);

		if (!chunk)
			break;
		memcpy(chunk + in, buf + moved, n);
		start += n;
		moved += n;
	}
	if (moved && start > file->attr.size)
		file->attr.size = start;
	return moved;
}

uint64_t netfs_mem_data_copy(struct netfs_mem_file *from, uint64_t from_start,
			     struct netfs_mem_file *to, uint64_t to_start, uint64_t len)
{
	uint64_t moved = 0;

	while (moved < len) {
		uint64_t in = (from_start + moved) % CHUNK, n = netfs_min(CHUNK - in, len - moved);
		const char *chunk = chunk_find(from, from_start + moved);
		uint64_t pos = to_start + moved;

		if (!chunk) {
			netfs_mem_data_zero(to, pos, pos + n);
			if (to->attr.size < pos + n)
				to->attr.size = pos + n;
		} else if (netfs_mem_data_write(to, pos, chunk + in, n) < n) {
			break;
		}
		moved += n;
	}
	return moved;
}

void netfs_mem_data_zero(struct netfs_mem_file *file, uint64_t start, uint64_t end)
{
	end = netfs_min(end, file->nchunks * CHUNK);
	while (start < end) {
		uint64_t in = start % CHUNK, n = netfs_min(CHUNK - in, end - start);
		char *chunk = chunk_find(file, start);

		if (chunk && n == CHUNK)
			chunk_drop(file, start);
		else if (chunk)
			memset(chunk + in, 0, n);
		start += n;
	}
}

void netfs_mem_data_resize(struct netfs_mem_file *file, uint64_t size)
{
	/* To the end of the last chunk, not of the file: that drops it whole. */
	if (size < file->attr.size)
		netfs_mem_data_zero(file, size, UINT64_MAX);
	file->attr.size = size;
}

int netfs_mem_data_seek(const struct netfs_mem_file *file, uint64_t start, int whence,
			uint64_t *ret_offset)
{
	bool data = whence == SEEK_DATA;
	uint64_t pos = start, size = file->attr.size;
	uint64_t end = data ? netfs_min(size, file->nchunks * CHUNK) : size;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL;
	while (pos < end && !chunk_find(file, pos) == data)
		pos = (pos / CHUNK + 1) * CHUNK;
	if (start >= size || (data && pos >= end))
		return -ENXIO;
	*ret_offset = netfs_min(pos, size);
	return 0;
}

void netfs_mem_data_free(struct netfs_mem_file *file)
{
	netfs_mem_data_zero(file, 0, UINT64_MAX);
	netfs_free(file->chunks);
}
