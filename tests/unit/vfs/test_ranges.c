/* SPDX-License-Identifier: MIT */
/*
 * Goal: fallocate in all its modes, truncation, copies and looking for holes give
 * what they give on a local file, here and at the server, whatever is unsent when
 * they start and however they end.
 * Method: mem behind the double, which can do these; a byte array says what
 * must be there; the server's bytes are read through a mount of their own.
 */
#include <errno.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <unistd.h>
#include "double.h"
#include "world.h"

#define ROOM	 65536
#define PUNCH	 (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)
#define ZERO	 FALLOC_FL_ZERO_RANGE
#define COLLAPSE FALLOC_FL_COLLAPSE_RANGE
#define INSERT	 FALLOC_FL_INSERT_RANGE
#define KEEP	 FALLOC_FL_KEEP_SIZE

/* A file, what must be in it, and how the server sees it. */
struct model {
	struct netfs_vnode *vnode;
	struct netfs_file *file;
	const char *name;
	uint64_t size;
	uint8_t bytes[ROOM];
};

static struct world world;

static void model_start(struct model *model, const char *name)
{
	memset(model, 0, sizeof(*model));
	model->name = name;
	model->file = w_create(world.root, name, &model->vnode);
}

static void model_stop(struct model *model)
{
	w_close(model->file);
	netfs_vnode_put(model->vnode);
}

static void put(struct model *model, uint64_t start, uint64_t len)
{
	static uint8_t next = 1;

	for (uint64_t i = start; i < start + len; i++)
		model->bytes[i] = next = next % 250 + 1;
	if (start + len > model->size)
		model->size = start + len;
	assert_int_equal(netfs_pwrite(model->file, model->bytes + start, len, start, 0), len);
}

static int sync_file(struct model *model)
{
	struct netfs_call call;

	netfs_call_init(&call, NULL);
	netfs_fsync(model->file, false, &call);
	return netfs_call_wait(&call);
}

static int range(struct model *model, uint32_t mode, uint64_t start, uint64_t len)
{
	struct netfs_call call;

	netfs_call_init(&call, NULL);
	netfs_fallocate(model->file, mode, start, len, &call);
	return netfs_call_wait(&call);
}

static int resize(struct model *model, uint64_t size)
{
	struct netfs_setattr set = {.valid = NETFS_SET_SIZE, .size = size};
	struct netfs_call call;

	netfs_call_init(&call, NULL);
	netfs_setattr(model->vnode, model->file, &set, &call);
	return netfs_call_wait(&call);
}

static int copy(struct model *from, uint64_t start, struct model *to, uint64_t start_to,
		uint64_t len, uint64_t *ret_count)
{
	struct netfs_call call;
	int err;

	netfs_call_init(&call, NULL);
	netfs_copy_range(from->file, start, to->file, start_to, len, &call);
	err = netfs_call_wait(&call);
	if (ret_count)
		*ret_count = call.count;
	return err;
}

/* Our own view is the model, and in it is not a byte more. */
static void check_ours(struct model *model)
{
	static uint8_t buf[ROOM];

	assert_int_equal(w_getattr(model->vnode).size, model->size);
	assert_int_equal(netfs_pread(model->file, buf, ROOM, 0, 0), model->size);
	assert_memory_equal(buf, model->bytes, model->size);
}

static void check_server(struct model *model)
{
	static uint8_t buf[ROOM];
	struct netfs_vnode *root = netfs_mount_root(world.keeper);
	struct netfs_vnode *vnode = w_find(root, model->name);
	struct netfs_file *file = w_open(vnode, O_RDONLY, NULL);

	assert_int_equal(netfs_pread(file, buf, ROOM, 0, NETFS_IO_DIRECT), model->size);
	assert_memory_equal(buf, model->bytes, model->size);
	netfs_release(file);
	netfs_vnode_put(vnode);
	netfs_vnode_put(root);
}

static void check(struct model *model)
{
	check_ours(model);
	assert_int_equal(sync_file(model), 0);
	check_server(model);
	check_ours(model);
}

/* ------------------------------------------------------------ fallocate */

static void model_zero(struct model *model, uint64_t start, uint64_t end)
{
	if (end > model->size)
		end = model->size;
	if (start < end)
		memset(model->bytes + start, 0, end - start);
}

static void model_range(struct model *model, uint32_t mode, uint64_t start, uint64_t len)
{
	uint8_t *at = model->bytes + start;

	if (mode == COLLAPSE) {
		memmove(at, at + len, model->size - start - len);
		memset(model->bytes + model->size - len, 0, len);
		model->size -= len;
	} else if (mode == INSERT) {
		memmove(at + len, at, model->size - start);
		memset(at, 0, len);
		model->size += len;
	} else {
		if (!(mode & KEEP) && start + len > model->size)
			model->size = start + len;
		if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
			model_zero(model, start, start + len);
	}
}

/* What is unsent when the operation starts. */
enum before {
	CLEAN, /* all of it sent, and cached */
	DIRTY_ACROSS, /* unsent bytes on both sides of both ends of the range */
	DIRTY_TAIL, /* unsent bytes behind, which make the file so long */
	BEFORES,
};

static void prepare(struct model *model, enum before before)
{
	put(model, 0, 20000);
	assert_int_equal(sync_file(model), 0);
	check_ours(model);
	if (before == DIRTY_ACROSS)
		put(model, 3000, 15000);
	else if (before == DIRTY_TAIL)
		put(model, 25000, 3000);
}

/* edge 71: unsent bytes across a hole do not fill it again.
 * edge 72: unsent bytes that end the file count although they are cut. */
static void every_mode_with_every_kind_of_unsent_data(void **unused)
{
	static const struct {
		uint32_t mode;
		uint64_t start, len;
	} rows[] = {
		{0, 4096, 8192},	{0, 15000, 20000},     {KEEP, 15000, 20000},
		{PUNCH, 4096, 8192},	{PUNCH, 5000, 100},    {PUNCH, 0, 40000},
		{PUNCH, 26000, 9000},	{PUNCH, 19000, 8000},  {ZERO, 4096, 8192},
		{ZERO, 5001, 7000},	{ZERO, 15000, 20000},  {ZERO | KEEP, 15000, 20000},
		{COLLAPSE, 4096, 8192}, {COLLAPSE, 0, 4096},   {INSERT, 4096, 8192},
		{INSERT, 0, 4096},	{INSERT, 16384, 4096},
	};

	world_start(&world, &double_ops, "");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (enum before before = 0; before < BEFORES; before++) {
			struct model model;

			model_start(&model, "f");
			prepare(&model, before);
			assert_int_equal(range(&model, rows[i].mode, rows[i].start, rows[i].len),
					 0);
			model_range(&model, rows[i].mode, rows[i].start, rows[i].len);
			check(&model);
			put(&model, 100, 30000);
			check(&model);
			model_stop(&model);
			assert_int_equal(w_unlink(world.root, "f"), 0);
		}
	}
	world_stop(&world);
}

/* What was punched or zeroed is known to be zero: nobody asks for it. */
static void a_punched_hole_is_not_read(void **unused)
{
	struct model model;
	char buf[4096];

	world_start(&world, &double_ops, "rasize=0");
	model_start(&model, "f");
	put(&model, 0, 20000);
	assert_int_equal(range(&model, PUNCH, 4096, 8192), 0);
	model_range(&model, PUNCH, 4096, 8192);
	double_log_clear();
	assert_int_equal(netfs_pread(model.file, buf, 4096, 8192, 0), 4096);
	assert_int_equal(double_logged("read"), 0);
	check(&model);
	model_stop(&model);
	world_stop(&world);
}

/* Modes that no system call would let through do not reach the server. */
static void wrong_modes_are_refused(void **unused)
{
	static const struct {
		uint32_t mode;
		int err;
	} rows[] = {
		{FALLOC_FL_PUNCH_HOLE, -EOPNOTSUPP},
		{PUNCH | ZERO, -EOPNOTSUPP},
		{1u << 20, -EOPNOTSUPP},
		{COLLAPSE | KEEP, -EINVAL},
		{INSERT | COLLAPSE, -EINVAL},
	};
	struct model model;

	world_start(&world, &double_ops, "");
	model_start(&model, "f");
	put(&model, 0, 100);
	double_log_clear();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(range(&model, rows[i].mode, 0, 4096), rows[i].err);
	assert_int_equal(range(&model, 0, 0, 0), -EINVAL);
	assert_int_equal(range(&model, 0, INT64_MAX, 1), -EFBIG);
	assert_int_equal(double_logged("fallocate"), 0);
	check(&model);
	model_stop(&model);
	world_stop(&world);
}

/* A request that failed may have done all of it: then we see what it did. */
static void a_failed_request_leaves_no_stale_bytes(void **unused)
{
	static const uint32_t modes[] = {PUNCH, ZERO, COLLAPSE, INSERT};

	world_start(&world, &double_ops, "");
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		for (int done = 0; done < 2; done++) {
			struct model model;

			model_start(&model, "f");
			prepare(&model, DIRTY_ACROSS);
			double_fail_ranges(-EIO, done);
			assert_int_equal(range(&model, modes[i], 4096, 8192), -EIO);
			double_fail_ranges(0, false);
			if (done)
				model_range(&model, modes[i], 4096, 8192);
			check(&model);
			model_stop(&model);
			assert_int_equal(w_unlink(world.root, "f"), 0);
		}
	}
	world_stop(&world);
}

/* A server that cannot do it at all costs no cached data. */
static void a_refused_request_keeps_the_cache(void **unused)
{
	struct model model;

	world_start(&world, &double_ops, "");
	model_start(&model, "f");
	prepare(&model, DIRTY_ACROSS);
	double_fail_ranges(-EOPNOTSUPP, false);
	assert_int_equal(range(&model, PUNCH, 4096, 4096), -EOPNOTSUPP);
	double_fail_ranges(0, false);
	double_log_clear();
	check_ours(&model);
	assert_int_equal(double_logged("read"), 0);
	check(&model);
	model_stop(&model);
	world_stop(&world);
}

/* Data the server refuses stops a punch: it would fill the hole later. */
static void unsent_data_that_cannot_be_sent_stops_it(void **unused)
{
	struct model model;

	world_start(&world, &double_ops, "");
	model_start(&model, "f");
	prepare(&model, DIRTY_ACROSS);
	double_fail_writes(-ENOSPC);
	double_log_clear();
	assert_int_equal(range(&model, PUNCH, 4096, 4096), -ENOSPC);
	assert_int_equal(double_logged("fallocate"), 0);
	double_fail_writes(0);
	check_ours(&model);
	sync_file(&model);
	assert_int_equal(range(&model, PUNCH, 4096, 4096), 0);
	model_range(&model, PUNCH, 4096, 4096);
	check(&model);
	model_stop(&model);
	world_stop(&world);
}

/* ------------------------------------------------------------- truncate */

/* edge 75: shrinking into bytes that never reached the server is told to it
 * all the same, and the bytes cut off are never sent. */
static void a_cut_through_unsent_data_reaches_the_server(void **unused)
{
	struct model model;

	world_start(&world, &double_ops, "");
	model_start(&model, "f");
	put(&model, 0, 1000);
	put(&model, 5000, 20000);
	double_log_clear();
	assert_int_equal(resize(&model, 3000), 0);
	model_zero(&model, 3000, ROOM);
	model.size = 3000;
	assert_int_equal(double_logged("setattr"), 1);
	assert_int_equal(double_logged("write"), 0);
	check(&model);
	assert_int_equal(world_stat(world.mount, "upload_bytes"), 1000);
	model_stop(&model);
	world_stop(&world);
}

/* Cutting off and growing again shows zeroes, clean or unsent. */
static void a_cut_and_grown_file_has_zeroes(void **unused)
{
	world_start(&world, &double_ops, "");
	for (enum before before = 0; before < BEFORES; before++) {
		struct model model;

		model_start(&model, "f");
		prepare(&model, before);
		assert_int_equal(resize(&model, 5001), 0);
		assert_int_equal(resize(&model, 17001), 0);
		memset(model.bytes + 5001, 0, ROOM - 5001);
		model.size = 17001;
		check_ours(&model);
		put(&model, 30000, 10);
		check(&model);
		model_stop(&model);
		assert_int_equal(w_unlink(world.root, "f"), 0);
	}
	world_stop(&world);
}

/* ----------------------------------------------------------------- copy */

static void model_copy(struct model *from, uint64_t start, struct model *to, uint64_t start_to,
		       uint64_t len)
{
	memmove(to->bytes + start_to, from->bytes + start, len);
	if (start_to + len > to->size)
		to->size = start_to + len;
}

/* edge 73: the source ends later here than at the server. */
static void a_copy_of_unsent_data_is_whole(void **unused)
{
	struct model from, to;
	uint64_t count;

	world_start(&world, &double_ops, "");
	model_start(&from, "from");
	model_start(&to, "to");
	put(&from, 0, 5000);
	assert_int_equal(sync_file(&from), 0);
	put(&from, 20000, 1000);
	/* In the hole between what the server has and what is unsent. */
	assert_int_equal(copy(&from, 4000, &to, 1000, 8000, &count), 0);
	assert_int_equal(count, 8000);
	model_copy(&from, 4000, &to, 1000, 8000);
	check(&to);
	check(&from);
	model_stop(&from);
	model_stop(&to);
	world_stop(&world);
}

static void copies_meet_unsent_data_at_both_ends(void **unused)
{
	world_start(&world, &double_ops, "");
	for (enum before before = 0; before < BEFORES; before++) {
		struct model from, to;
		uint64_t count;

		model_start(&from, "from");
		model_start(&to, "to");
		prepare(&from, before);
		prepare(&to, before);
		assert_int_equal(copy(&from, 2999, &to, 5001, 7777, &count), 0);
		assert_int_equal(count, 7777);
		model_copy(&from, 2999, &to, 5001, 7777);
		check(&to);
		/* Behind the end, leaving a hole; and inside one file. */
		assert_int_equal(copy(&from, 0, &to, 40000, 9000, &count), 0);
		model_copy(&from, 0, &to, 40000, 9000);
		check(&to);
		assert_int_equal(copy(&to, 1, &to, 12000, 4000, &count), 0);
		model_copy(&to, 1, &to, 12000, 4000);
		check(&to);
		check(&from);
		model_stop(&from);
		model_stop(&to);
		assert_int_equal(w_unlink(world.root, "from"), 0);
		assert_int_equal(w_unlink(world.root, "to"), 0);
	}
	world_stop(&world);
}

static void a_short_copy_says_how_short(void **unused)
{
	struct model from, to;
	uint64_t count;

	world_start(&world, &double_ops, "");
	model_start(&from, "from");
	model_start(&to, "to");
	put(&from, 0, 9000);
	put(&to, 0, 9000);
	double_limit_copies(1234);
	assert_int_equal(copy(&from, 100, &to, 200, 8000, &count), 0);
	assert_int_equal(count, 1234);
	model_copy(&from, 100, &to, 200, 1234);
	check(&to);
	double_limit_copies(0);
	assert_int_equal(copy(&from, 9000, &to, 0, 100, &count), 0);
	assert_int_equal(count, 0);
	check(&to);
	model_stop(&from);
	model_stop(&to);
	world_stop(&world);
}

static void a_failed_copy_leaves_no_stale_bytes(void **unused)
{
	world_start(&world, &double_ops, "");
	for (int done = 0; done < 2; done++) {
		struct model from, to;

		model_start(&from, "from");
		model_start(&to, "to");
		prepare(&from, CLEAN);
		prepare(&to, DIRTY_ACROSS);
		double_fail_ranges(-EIO, done);
		assert_int_equal(copy(&from, 0, &to, 5000, 6000, NULL), -EIO);
		double_fail_ranges(0, false);
		if (done)
			model_copy(&from, 0, &to, 5000, 6000);
		check(&to);
		model_stop(&from);
		model_stop(&to);
		assert_int_equal(w_unlink(world.root, "from"), 0);
		assert_int_equal(w_unlink(world.root, "to"), 0);
	}
	world_stop(&world);
}

/* --------------------------------------------------------------- clones */

static int share(struct model *from, uint64_t start, struct model *to, uint64_t start_to,
		 uint64_t len)
{
	struct netfs_call call;

	netfs_call_init(&call, NULL);
	netfs_clone_range(from->file, start, to->file, start_to, len, &call);
	return netfs_call_wait(&call);
}

/* Both files are sent first, the target's old bytes are forgotten, its size
 * grows, and what was known to be zero in it is not any more. */
static void a_clone_meets_unsent_data_at_both_ends(void **unused)
{
	world_start(&world, &double_ops, "");
	double_allow_clones(true);
	for (int how = CLEAN; how <= DIRTY_ACROSS; how++) {
		struct model from, to;

		model_start(&from, "from");
		model_start(&to, "to");
		prepare(&from, how);
		prepare(&to, how);
		assert_int_equal(resize(&to, 60000), 0);
		to.size = 60000;
		check_ours(&to);
		double_log_clear();
		assert_int_equal(share(&from, 100, &to, 35000, from.size - 100), 0);
		assert_int_equal(double_logged("clone"), 1);
		assert_int_equal(double_logged("copy"), 0);
		model_copy(&from, 100, &to, 35000, from.size - 100);
		check(&to);
		check(&from);
		/* Without a length: to the end. */
		assert_int_equal(share(&from, 4096, &to, 100, 0), 0);
		model_copy(&from, 4096, &to, 100, from.size - 4096);
		check(&to);
		/* Sharing is not seen: a change of one is none of the other. */
		put(&from, 4096, 3);
		check(&from);
		check(&to);
		model_stop(&from);
		model_stop(&to);
		assert_int_equal(w_unlink(world.root, "from"), 0);
		assert_int_equal(w_unlink(world.root, "to"), 0);
	}
	double_allow_clones(false);
	world_stop(&world);
}

static void a_copy_is_a_clone_where_the_server_can(void **unused)
{
	struct model from, to;
	uint64_t count;

	world_start(&world, &double_ops, "");
	model_start(&from, "from");
	model_start(&to, "to");
	put(&from, 0, 9000);
	put(&to, 0, 100);
	double_log_clear();
	assert_int_equal(copy(&from, 0, &to, 50, 1000, &count), 0);
	assert_int_equal(count, 1000);
	assert_int_equal(double_logged("copy"), 1);
	model_copy(&from, 0, &to, 50, 1000);
	double_allow_clones(true);
	double_log_clear();
	assert_int_equal(copy(&from, 8000, &to, 500, 5000, &count), 0);
	assert_int_equal(count, 1000);
	assert_int_equal(double_logged("copy"), 0);
	model_copy(&from, 8000, &to, 500, 1000);
	check(&to);
	double_allow_clones(false);
	model_stop(&from);
	model_stop(&to);
	world_stop(&world);
}

static void a_failed_clone_leaves_no_stale_bytes(void **unused)
{
	world_start(&world, &double_ops, "");
	double_allow_clones(true);
	for (int done = 0; done < 2; done++) {
		struct model from, to;

		model_start(&from, "from");
		model_start(&to, "to");
		prepare(&from, CLEAN);
		prepare(&to, DIRTY_ACROSS);
		double_fail_ranges(-EIO, done);
		assert_int_equal(share(&from, 0, &to, 5000, 6000), -EIO);
		double_fail_ranges(0, false);
		if (done)
			model_copy(&from, 0, &to, 5000, 6000);
		check(&to);
		model_stop(&from);
		model_stop(&to);
		assert_int_equal(w_unlink(world.root, "from"), 0);
		assert_int_equal(w_unlink(world.root, "to"), 0);
	}
	double_allow_clones(false);
	world_stop(&world);
}

static void wrong_clones_are_refused(void **unused)
{
	struct model a, b;

	world_start(&world, &double_ops, "");
	model_start(&a, "a");
	model_start(&b, "b");
	put(&a, 0, 9000);
	put(&b, 0, 9000);
	assert_int_equal(share(&a, 0, &b, 0, 9000), -EOPNOTSUPP);
	double_allow_clones(true);
	double_log_clear();
	assert_int_equal(share(&a, 0, &b, 0, 9001), -EINVAL);
	assert_int_equal(share(&a, 10000, &b, 0, 1), -EINVAL);
	assert_int_equal(share(&a, 0, &a, 100, 200), -EINVAL);
	assert_int_equal(share(&a, 0, &a, 100, 0), -EINVAL);
	assert_int_equal(share(&a, 9000, &b, 0, 0), 0);
	assert_int_equal(share(&a, 0, &b, INT64_MAX - 10, 0), -EFBIG);
	assert_int_equal(double_logged("clone"), 0);
	double_allow_clones(false);
	check(&a);
	check(&b);
	model_stop(&a);
	model_stop(&b);
	world_stop(&world);
}

static void wrong_copies_are_refused(void **unused)
{
	struct model a, b;
	struct netfs_file *reader;
	struct netfs_call call;

	world_start(&world, &double_ops, "");
	model_start(&a, "a");
	model_start(&b, "b");
	put(&a, 0, 9000);
	put(&b, 0, 9000);
	double_log_clear();
	assert_int_equal(copy(&a, 0, &a, 100, 200, NULL), -EINVAL);
	assert_int_equal(copy(&a, INT64_MAX, &b, 0, 2, NULL), -EFBIG);
	assert_int_equal(copy(&a, 0, &b, 0, 0, NULL), 0);
	reader = w_open(b.vnode, O_RDONLY, NULL);
	netfs_call_init(&call, NULL);
	netfs_copy_range(a.file, 0, reader, 0, 100, &call);
	assert_int_equal(netfs_call_wait(&call), -EBADF);
	netfs_release(reader);
	assert_int_equal(double_logged("copy"), 0);
	check(&a);
	check(&b);
	model_stop(&a);
	model_stop(&b);
	world_stop(&world);
}

/* ------------------------------------------------------------------ holes */

static int64_t seek(struct netfs_file *file, uint64_t start, int whence)
{
	struct netfs_call call;
	int err;

	netfs_call_init(&call, NULL);
	netfs_seek(file, start, whence, &call);
	err = netfs_call_wait(&call);
	return err ? err : (int64_t)call.offset;
}

static void unsent_data_is_no_hole(void **unused)
{
	struct model model;

	world_start(&world, &double_ops, "");
	model_start(&model, "f");
	assert_int_equal(resize(&model, 20000), 0);
	model.size = 20000;
	put(&model, 5000, 1000);
	assert_int_equal(seek(model.file, 0, SEEK_DATA), 5000);
	assert_int_equal(seek(model.file, 5500, SEEK_HOLE), 6000);
	put(&model, 9000, 1);
	assert_int_equal(seek(model.file, 6000, SEEK_DATA), 9000);
	assert_int_equal(seek(model.file, 9001, SEEK_DATA), -ENXIO);
	/* Data behind the end that the server knows. */
	put(&model, 20000, 10);
	assert_int_equal(seek(model.file, 19000, SEEK_DATA), 20000);
	assert_int_equal(seek(model.file, 20010, SEEK_HOLE), -ENXIO);
	check(&model);
	model_stop(&model);
	world_stop(&world);
}

/* Where nobody can tell holes, everything is data. */
static void a_file_whose_holes_are_unknown_is_data(void **unused)
{
	struct model model;

	world_start(&world, &double_ops, "");
	model_start(&model, "f");
	put(&model, 5000, 1000);
	double_fail_writes(-EIO);
	assert_int_equal(seek(model.file, 0, SEEK_DATA), 0);
	assert_int_equal(seek(model.file, 0, SEEK_HOLE), 6000);
	assert_int_equal(seek(model.file, 6000, SEEK_DATA), -ENXIO);
	double_fail_writes(0);
	double_fail_ranges(-EOPNOTSUPP, false);
	assert_int_equal(seek(model.file, 100, SEEK_DATA), 100);
	assert_int_equal(seek(model.file, 100, SEEK_HOLE), 6000);
	double_fail_ranges(-EACCES, false);
	assert_int_equal(seek(model.file, 100, SEEK_DATA), -EACCES);
	double_fail_ranges(0, false);
	assert_int_equal(seek(model.file, 0, SEEK_SET), -EINVAL);
	assert_int_equal(seek(model.file, UINT64_MAX, SEEK_DATA), -ENXIO);
	(void)sync_file(&model);
	model_stop(&model);
	world_stop(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_mode_with_every_kind_of_unsent_data),
		cmocka_unit_test(a_punched_hole_is_not_read),
		cmocka_unit_test(wrong_modes_are_refused),
		cmocka_unit_test(a_failed_request_leaves_no_stale_bytes),
		cmocka_unit_test(a_refused_request_keeps_the_cache),
		cmocka_unit_test(unsent_data_that_cannot_be_sent_stops_it),
		cmocka_unit_test(a_cut_through_unsent_data_reaches_the_server),
		cmocka_unit_test(a_cut_and_grown_file_has_zeroes),
		cmocka_unit_test(a_copy_of_unsent_data_is_whole),
		cmocka_unit_test(copies_meet_unsent_data_at_both_ends),
		cmocka_unit_test(a_short_copy_says_how_short),
		cmocka_unit_test(a_failed_copy_leaves_no_stale_bytes),
		cmocka_unit_test(wrong_copies_are_refused),
		cmocka_unit_test(unsent_data_is_no_hole),
		cmocka_unit_test(a_file_whose_holes_are_unknown_is_data),
		cmocka_unit_test(a_clone_meets_unsent_data_at_both_ends),
		cmocka_unit_test(a_copy_is_a_clone_where_the_server_can),
		cmocka_unit_test(a_failed_clone_leaves_no_stale_bytes),
		cmocka_unit_test(wrong_clones_are_refused),
	};

	return t_run(tests, NULL, NULL);
}
