/* SPDX-License-Identifier: MIT */
/*
 * The contract check of data: slices, the end of files, holes, files without
 * a name; and of many operations and slices at a time.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <contract_call.h>

#define KIB 1024
#define MIB (1024 * 1024)

static bool is_zero(const char *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (buf[i])
			return false;
	return true;
}

static void close_file(struct contract *c, const char *name, struct netfs_node *node,
		       struct netfs_handle *handle)
{
	netfs_handle_put(handle);
	netfs_node_put(node);
	assert_int_equal(c_unlink(c, c->home, name), 0);
}

/* A slice larger than anything, in pieces of odd sizes, there and back. */
static void data_comes_back(struct contract *c)
{
	const size_t len = 5 * MIB + 777;
	char *out = malloc(len), *in = malloc(len);
	struct netfs_handle *handle;
	struct netfs_node *node;
	struct netfs_attr attr, attr2;
	struct netfs_rng rng;

	assert_non_null(out);
	assert_non_null(in);
	t_rng(&rng, "data_comes_back");
	for (size_t i = 0; i < len; i++)
		out[i] = (char)netfs_rng_u64(&rng);
	assert_int_equal(c_create(c, c->home, "file", O_RDWR, &node, &handle), 0);
	assert_int_equal(c_getattr(c, node, handle, &attr), 0);
	assert_int_equal(c_write(c, handle, 0, out, len), len);
	assert_int_equal(c_getattr(c, node, handle, &attr2), 0);
	assert_int_equal(attr2.size, len);
	if (c->be->caps & NETFS_BE_CHANGE_COUNTER)
		assert_int_not_equal(attr.version, attr2.version);
	assert_int_equal(c_read(c, handle, 0, in, len), len);
	assert_memory_equal(in, out, len);
	assert_int_equal(c_write(c, handle, 4095, "overwritten", 11), 11);
	memcpy(out + 4095, "overwritten", 11);
	assert_int_equal(c_read(c, handle, 4000, in, 9000), 9000);
	assert_memory_equal(in, out + 4000, 9000);
	close_file(c, "file", node, handle);
	free(out);
	free(in);
}

/* One slice beyond the end: nothing is moved, and it is said why. */
static void files_end(struct contract *c)
{
	struct netfs_handle *handle;
	struct netfs_node *node;
	char buf[64];

	assert_int_equal(c_create(c, c->home, "file", O_RDWR, &node, &handle), 0);
	assert_int_equal(c_read(c, handle, 0, buf, sizeof(buf)), 0);
	assert_int_equal(c_write(c, handle, 0, "ten bytes!", 10), 10);
	assert_int_equal(c_read(c, handle, 10, buf, sizeof(buf)), 0);
	assert_int_equal(c_read(c, handle, 1 << 30, buf, sizeof(buf)), 0);
	assert_int_equal(c_read(c, handle, 4, buf, sizeof(buf)), 6);
	assert_memory_equal(buf, "bytes!", 6);
	close_file(c, "file", node, handle);
}

static void holes_are_zero(struct contract *c)
{
	const uint64_t far = c->flags & CONTRACT_NO_SPARSE ? 8 * MIB : UINT64_C(5) << 30;
	struct netfs_handle *handle;
	struct netfs_node *node;
	struct netfs_attr attr;
	char buf[9000];

	assert_int_equal(c_create(c, c->home, "file", O_RDWR, &node, &handle), 0);
	assert_int_equal(c_write(c, handle, far, "x", 1), 1);
	assert_int_equal(c_getattr(c, node, NULL, &attr), 0);
	assert_int_equal(attr.size, far + 1);
	assert_int_equal(c_read(c, handle, far / 2, buf, sizeof(buf)), sizeof(buf));
	assert_true(is_zero(buf, sizeof(buf)));
	assert_int_equal(c_read(c, handle, far - 100, buf, sizeof(buf)), 101);
	assert_true(is_zero(buf, 100));
	assert_int_equal(buf[100], 'x');
	close_file(c, "file", node, handle);
}

static void handles_keep_to_their_mode(struct contract *c)
{
	struct netfs_handle *reader, *writer;
	struct iovec iov = {(char[4]){"abc"}, 4};
	struct netfs_node *node;
	struct c_slice *slice;
	char buf[4] = "";

	assert_int_equal(c_create(c, c->home, "file", O_WRONLY, &node, &writer), 0);
	assert_false(writer->readable);
	assert_true(writer->writable);
	assert_int_equal(c_write(c, writer, 0, "abc", 3), 3);
	assert_int_equal(c_open(c, node, O_RDONLY, &reader), 0);
	assert_false(reader->writable);
	assert_int_equal(c_read(c, reader, 0, buf, 4), 3);
	assert_string_equal(buf, "abc");
	if (c_slice_start(c, reader, NETFS_SLICE_WRITE, 0, iov, 0, &slice) > 0) {
		c_slice_wait(slice);
		assert_true(slice->err < 0);
	}
	netfs_handle_put(writer);
	assert_int_equal(c_open(c, node, O_WRONLY | O_TRUNC, &writer), 0);
	assert_int_equal(c_read(c, reader, 0, buf, 4), 0);
	netfs_handle_put(writer);
	close_file(c, "file", node, reader);
}

static void handles_outlive_names(struct contract *c)
{
	struct netfs_setattr set = {.valid = NETFS_SET_SIZE, .size = 3};
	struct netfs_handle *handle;
	struct netfs_node *node;
	struct netfs_attr attr;
	char buf[16] = "";

	if (!(c->be->caps & NETFS_BE_OPEN_UNLINKED))
		return;
	for (int over = 0; over < 2; over++) {
		assert_int_equal(c_create(c, c->home, "file", O_RDWR, &node, &handle), 0);
		c_make_file(c, c->home, "new", "the new one");
		if (over)
			assert_int_equal(c_rename(c, c->home, "new", c->home, "file", 0), 0);
		else
			assert_int_equal(c_unlink(c, c->home, "file"), 0);
		assert_int_equal(c_write(c, handle, 0, "nameless", 8), 8);
		assert_int_equal(c_setattr(c, node, handle, &set, &attr), 0);
		assert_int_equal(c_getattr(c, node, handle, &attr), 0);
		assert_int_equal(attr.size, 3);
		assert_int_equal(attr.nlink, 0);
		netfs_node_put(node);
		assert_int_equal(c_read(c, handle, 0, buf, sizeof(buf)), 3);
		assert_memory_equal(buf, "nam", 3);
		c_expect_file(c, c->home, over ? "file" : "new", "the new one");
		netfs_handle_put(handle);
		assert_int_equal(c_unlink(c, c->home, over ? "file" : "new"), 0);
	}
}

static void writes_are_made_durable(struct contract *c)
{
	struct netfs_handle *handle;
	struct netfs_node *node;

	assert_int_equal(c_create(c, c->home, "file", O_RDWR, &node, &handle), 0);
	assert_int_equal(c_write(c, handle, 0, "x", 1), 1);
	for (int datasync = 0; datasync < 2; datasync++) {
		struct c_call *call = c_call(c);

		c->ops->fsync(handle, datasync, &call->op);
		assert_int_equal(c_wait(call), 0);
	}
	close_file(c, "file", node, handle);
}

/* -------------------------------------------------- optional calls */

static int allocate(struct contract *c, struct netfs_handle *handle, uint32_t mode, uint64_t start,
		    uint64_t len)
{
	struct c_call *call = c_call(c);

	c->ops->fallocate(handle, mode, start, len, &call->op);
	return c_wait(call);
}

static void space_is_allocated(struct contract *c)
{
	struct netfs_handle *handle;
	struct netfs_node *node;
	struct netfs_attr attr;
	char buf[400 * 1024], want[sizeof(buf)];
	int err;

	if (!c->ops->fallocate)
		return;
	memset(want, 'w', sizeof(want));
	assert_int_equal(c_create(c, c->home, "file", O_RDWR, &node, &handle), 0);
	assert_int_equal(c_write(c, handle, 0, want, sizeof(want)), sizeof(want));
	err = allocate(c, handle, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1000, 200000);
	if (!err)
		memset(want + 1000, 0, 200000);
	assert_true(!err || err == -EOPNOTSUPP);
	err = allocate(c, handle, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 300000, 50000);
	if (!err)
		memset(want + 300000, 0, 50000);
	assert_true(!err || err == -EOPNOTSUPP);
	err = allocate(c, handle, FALLOC_FL_KEEP_SIZE, sizeof(want), 100000);
	assert_true(!err || err == -EOPNOTSUPP);
	assert_int_equal(c_read(c, handle, 0, buf, sizeof(buf)), sizeof(buf));
	assert_memory_equal(buf, want, sizeof(buf));
	assert_int_equal(c_getattr(c, node, handle, &attr), 0);
	assert_int_equal(attr.size, sizeof(want));
	err = allocate(c, handle, 0, sizeof(want), 100000);
	assert_true(!err || err == -EOPNOTSUPP);
	assert_int_equal(c_getattr(c, node, handle, &attr), 0);
	assert_int_equal(attr.size, sizeof(want) + (err ? 0 : 100000));
	assert_true(allocate(c, handle, 0x8000, 0, 4096) < 0);
	close_file(c, "file", node, handle);
}

static int64_t copy(struct contract *c, struct netfs_handle *from, uint64_t from_start,
		    struct netfs_handle *to, uint64_t to_start, uint64_t len)
{
	struct c_call *call = c_call(c);

	c->ops->copy_range(from, from_start, to, to_start, len, &call->op);
	return c_wait(call) ? call->err : (int64_t)call->op.count;
}

static void ranges_are_copied(struct contract *c)
{
	struct netfs_handle *from, *to;
	struct netfs_node *a, *b;
	char buf[32] = "";
	int64_t n;

	if (!c->ops->copy_range)
		return;
	assert_int_equal(c_create(c, c->home, "from", O_RDWR, &a, &from), 0);
	assert_int_equal(c_create(c, c->home, "to", O_RDWR, &b, &to), 0);
	assert_int_equal(c_write(c, from, 100000, "0123456789", 10), 10);
	assert_int_equal(c_write(c, to, 0, "abcdef", 6), 6);
	n = copy(c, from, 99999, to, 3, 5);
	if (n != -EOPNOTSUPP) {
		assert_int_equal(n, 5);
		assert_int_equal(c_read(c, to, 0, buf, sizeof(buf)), 8);
		assert_memory_equal(buf, "abc\0000123", 8);
		assert_int_equal(copy(c, from, 100008, to, 0, 100), 2);
		assert_int_equal(c_read(c, to, 0, buf, sizeof(buf)), 8);
		assert_memory_equal(buf, "89c", 3);
		assert_int_equal(copy(c, from, 200000, to, 0, 100), 0);
		assert_int_equal(copy(c, from, 100000, from, 0, 10), 10);
		assert_int_equal(c_read(c, from, 0, buf, 10), 10);
		assert_memory_equal(buf, "0123456789", 10);
	}
	close_file(c, "from", a, from);
	close_file(c, "to", b, to);
}

static int share(struct contract *c, struct netfs_handle *from, uint64_t from_start,
		 struct netfs_handle *to, uint64_t to_start, uint64_t len)
{
	struct c_call *call = c_call(c);

	c->ops->clone_range(from, from_start, to, to_start, len, &call->op);
	return c_wait(call);
}

/* Where the server cannot it says so, and has changed nothing. */
static void ranges_are_cloned(struct contract *c)
{
	struct netfs_handle *from, *to;
	struct netfs_node *a, *b;
	char buf[16384], want[16384];
	int err;

	if (!c->ops->clone_range)
		return;
	memset(want, 'c', sizeof(want));
	assert_int_equal(c_create(c, c->home, "from", O_RDWR, &a, &from), 0);
	assert_int_equal(c_create(c, c->home, "to", O_RDWR, &b, &to), 0);
	assert_int_equal(c_write(c, from, 0, want, 8192), 8192);
	assert_int_equal(c_write(c, to, 0, want, 100), 100);
	assert_true(share(c, from, 0, to, 0, 12288) < 0);
	err = share(c, from, 0, to, 4096, 8192);
	assert_true(!err || err == -EOPNOTSUPP || err == -EXDEV || err == -EINVAL);
	memset(want + 100, 0, 4096 - 100);
	assert_int_equal(c_read(c, to, 0, buf, sizeof(buf)), err ? 100 : 12288);
	assert_memory_equal(buf, want, err ? 100 : 12288);
	close_file(c, "from", a, from);
	close_file(c, "to", b, to);
}

static int64_t seek(struct contract *c, struct netfs_handle *handle, uint64_t start, int whence)
{
	struct c_call *call = c_call(c);

	c->ops->seek(handle, start, whence, &call->op);
	return c_wait(call) ? call->err : (int64_t)call->op.offset;
}

/* Holes may be called data, but data may not be called a hole. */
static void data_is_found(struct contract *c)
{
	const uint64_t far = 64 * MIB;
	struct netfs_handle *handle;
	struct netfs_node *node;
	int64_t data, hole;

	if (!c->ops->seek)
		return;
	assert_int_equal(c_create(c, c->home, "file", O_RDWR, &node, &handle), 0);
	assert_int_equal(c_write(c, handle, far, "x", 1), 1);
	data = seek(c, handle, 0, SEEK_DATA);
	assert_true(data >= 0 && data <= far);
	hole = seek(c, handle, 0, SEEK_HOLE);
	assert_true(hole == 0 || hole == far + 1);
	assert_int_equal(seek(c, handle, far, SEEK_DATA), far);
	assert_int_equal(seek(c, handle, far, SEEK_HOLE), far + 1);
	assert_int_equal(seek(c, handle, far + 1, SEEK_DATA), -ENXIO);
	assert_int_equal(seek(c, handle, far + 1, SEEK_HOLE), -ENXIO);
	close_file(c, "file", node, handle);
}

void contract_data(struct contract *c)
{
	data_comes_back(c);
	files_end(c);
	holes_are_zero(c);
	handles_keep_to_their_mode(c);
	handles_outlive_names(c);
	writes_are_made_durable(c);
	space_is_allocated(c);
	ranges_are_copied(c);
	ranges_are_cloned(c);
	data_is_found(c);
}

/* --------------------------------------------------------- traffic */

#define SLICES	   64
#define SLICE_SIZE (16 * KIB)

/* All of buf as separate slices, in flight together; cancel some meanwhile.
 * Those that were cut short, by that or by a short answer, are done again. */
static void move_all(struct contract *c, struct netfs_handle *handle, enum netfs_slice_kind kind,
		     char *buf, bool cancel)
{
	struct c_slice *slices[SLICES];

	for (unsigned i = 0; i < SLICES; i++) {
		struct iovec iov = {buf + i * SLICE_SIZE, SLICE_SIZE};

		assert_true(c_slice_start(c, handle, kind, i * SLICE_SIZE, iov, 4 * KIB,
					  &slices[i]) > 0);
	}
	for (unsigned i = 0; cancel && i < SLICES; i += 3)
		c->ops->slice_cancel(c->be, &slices[i]->slice);
	for (unsigned i = 0; i < SLICES; i++) {
		uint64_t start = i * SLICE_SIZE;
		bool again;

		c_slice_wait(slices[i]);
		again = slices[i]->err == -EINTR || (slices[i]->flags & NETFS_SLICE_RETRY);
		assert_true(!slices[i]->err || again);
		if (slices[i]->moved == SLICE_SIZE)
			continue;
		if (kind == NETFS_SLICE_READ)
			assert_int_equal(c_read(c, handle, start, buf + start, SLICE_SIZE),
					 SLICE_SIZE);
		else
			assert_int_equal(c_write(c, handle, start, buf + start, SLICE_SIZE),
					 SLICE_SIZE);
	}
}

static void slices_fly_together(struct contract *c)
{
	char *out = malloc(SLICES * SLICE_SIZE), *in = calloc(SLICES, SLICE_SIZE);
	struct netfs_handle *handle;
	struct netfs_node *node;

	assert_non_null(out);
	assert_non_null(in);
	assert_int_equal(c_create(c, c->home, "file", O_RDWR, &node, &handle), 0);
	for (int cancel = 0; cancel < 2; cancel++) {
		for (unsigned i = 0; i < SLICES * SLICE_SIZE; i++)
			out[i] = (char)(i / SLICE_SIZE + i + cancel);
		move_all(c, handle, NETFS_SLICE_WRITE, out, cancel);
		move_all(c, handle, NETFS_SLICE_READ, in, cancel);
		assert_memory_equal(in, out, SLICES * SLICE_SIZE);
	}
	close_file(c, "file", node, handle);
	free(out);
	free(in);
}

/* Of many who make one name at a time one is told that it was he. */
static void names_are_made_once(struct contract *c)
{
	struct c_call *calls[32];
	unsigned made = 0;

	for (unsigned i = 0; i < 32; i++) {
		calls[i] = c_call(c);
		c->ops->mkdir(c->home, "dir", 0755, &calls[i]->op);
	}
	for (unsigned i = 0; i < 32; i++) {
		int err = c_wait(calls[i]);

		assert_true(!err || err == -EEXIST);
		made += !err;
		netfs_node_put(calls[i]->op.node);
	}
	assert_int_equal(made, 1);
	assert_int_equal(c_rmdir(c, c->home, "dir"), 0);
}

/* Nobody loses sight of a file because a directory above it is moving. */
static void renames_disturb_nobody(struct contract *c)
{
	struct netfs_node *top, *mid, *file;
	struct c_call *asks[16], *move;

	assert_int_equal(c_mkdir(c, c->home, "top", &top), 0);
	assert_int_equal(c_mkdir(c, top, "mid", &mid), 0);
	c_make_file(c, mid, "file", "still there");
	assert_int_equal(c_lookup(c, mid, "file", &file, NULL), 0);
	for (unsigned round = 0; round < 50; round++) {
		const char *from = round % 2 ? "pot" : "top", *to = round % 2 ? "top" : "pot";

		for (unsigned i = 0; i < 16; i++)
			asks[i] = c_call(c);
		for (unsigned i = 0; i < 8; i++)
			c->ops->getattr(file, NULL, &asks[i]->op);
		move = c_call(c);
		c->ops->rename(top, c->home, from, c->home, to, 0, &move->op);
		for (unsigned i = 8; i < 16; i++)
			c->ops->lookup(mid, "file", &asks[i]->op);
		assert_int_equal(c_wait(move), 0);
		for (unsigned i = 0; i < 16; i++) {
			assert_int_equal(c_wait(asks[i]), 0);
			netfs_node_put(asks[i]->op.node);
		}
	}
	assert_int_equal(c_unlink(c, mid, "file"), 0);
	assert_int_equal(c_rmdir(c, top, "mid"), 0);
	netfs_node_put(file);
	netfs_node_put(mid);
	netfs_node_put(top);
	assert_int_equal(c_rmdir(c, c->home, "top"), 0);
}

/* An operation may be cancelled at any time, also when it is over. */
static void cancelled_operations_end(struct contract *c)
{
	struct c_call *calls[16];

	for (unsigned i = 0; i < 16; i++) {
		calls[i] = c_call(c);
		c->ops->lookup(c->root, "contract", &calls[i]->op);
		c->ops->op_cancel(c->be, &calls[i]->op);
	}
	for (unsigned i = 0; i < 16; i++) {
		int err = c_wait(calls[i]);

		assert_true(!err || err == -EINTR);
		netfs_node_put(calls[i]->op.node);
		c->ops->op_cancel(c->be, &calls[i]->op);
	}
}

void contract_traffic(struct contract *c)
{
	slices_fly_together(c);
	names_are_made_once(c);
	renames_disturb_nobody(c);
	cancelled_operations_end(c);
}
