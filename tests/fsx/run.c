/* SPDX-License-Identifier: MIT */
/*
 * The runner: takes operations from the generator or a file, does each to the
 * target and to the oracle, and compares.
 *
 * Every read is compared byte by byte, the size after every operation that may
 * change it, and the whole file at the end, once through the open handles and
 * once after closing and opening.  The first difference ends the run: seed,
 * last operations, first wrong byte, and the expected contents in a file.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "fsx.h"

#define HISTORY 100

struct run {
	struct fsx_target *target;
	const struct fsx_run_config *config;
	struct fsx_gen gen;
	struct fsx_oracle oracle;
	struct fsx_run_result *result;
	uint8_t *buf; /* room of the oracle, page aligned */
	struct rng rng;
	uint64_t number; /* of the operation that runs */
	unsigned handle;
	struct {
		uint64_t number;
		struct fsx_op op;
	} history[HISTORY];
	uint64_t history_count;
};

static void print_history(const struct run *run, FILE *out)
{
	uint64_t from = run->history_count > HISTORY ? run->history_count - HISTORY : 0;

	for (uint64_t i = from; i < run->history_count; i++) {
		char line[128];

		fsx_op_print(&run->history[i % HISTORY].op, line, sizeof(line));
		fprintf(out, "%" PRIu64 ": %s\n", run->history[i % HISTORY].number, line);
	}
}

static void save(const struct run *run, const char *suffix, bool log)
{
	char path[4096];
	FILE *out;

	snprintf(path, sizeof(path), "%s%s", run->config->save_prefix, suffix);
	out = fopen(path, "w");
	if (!out) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return;
	}
	if (log)
		print_history(run, out);
	else
		fwrite(run->oracle.bytes, 1, run->oracle.size, out);
	fclose(out);
	fprintf(stderr, "see %s\n", path);
}

/* Tells what is wrong, once for a run; returns -EIO. */
static int fail(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int fail(struct run *run, const char *format, ...)
{
	va_list args;

	print_history(run, stderr);
	fprintf(stderr, "%s: FAILED at operation %" PRIu64 ", seed %" PRIu64 ": ",
		run->config->name, run->number, run->config->seed);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	if (run->config->save_prefix) {
		save(run, ".fsxgood", false);
		save(run, ".fsxlog", true);
	}
	return -EIO;
}

static int fail_errno(struct run *run, const char *what, int err)
{
	return fail(run, "%s: %s", what, strerror(-err));
}

static int compare(struct run *run, const char *how, uint64_t start, size_t len)
{
	uint64_t at;
	unsigned wrong = 0;

	if (!fsx_oracle_differs(&run->oracle, start, run->buf, len, &at))
		return 0;
	for (uint64_t i = at; i < start + len; i++)
		wrong += run->buf[i - start] != run->oracle.bytes[i];
	return fail(run,
		    "%s of [0x%" PRIx64 ", 0x%" PRIx64 "): first difference at 0x%" PRIx64
		    ": expected 0x%02x, got 0x%02x; %u bytes differ; size 0x%" PRIx64,
		    how, start, start + len, at, run->oracle.bytes[at], run->buf[at - start], wrong,
		    run->oracle.size);
}

static int do_read(struct run *run, const struct fsx_op *op)
{
	uint64_t want = op->len;
	ssize_t got;

	if (op->start >= run->oracle.size)
		want = 0;
	else if (want > run->oracle.size - op->start)
		want = run->oracle.size - op->start;
	memset(run->buf, 0xA5, op->len);
	got = run->target->ops->read(run->target, run->handle, run->buf, op->len, op->start);
	if (got < 0)
		return fail_errno(run, "read", got);
	if (got != want)
		return fail(run, "read returned 0x%zx bytes where 0x%" PRIx64 " were due", got,
			    want);
	return compare(run, "read", op->start, got);
}

static int do_mapread(struct run *run, const struct fsx_op *op)
{
	int err;

	memset(run->buf, 0xA5, op->len);
	err = run->target->ops->mapread(run->target, run->handle, run->buf, op->len, op->start);
	if (err)
		return fail_errno(run, "mapread", err);
	return compare(run, "mapread", op->start, op->len);
}

static int do_write(struct run *run, const struct fsx_op *op)
{
	ssize_t put;

	fsx_fill(run->buf, run->config->seed, run->number, op->start, op->len);
	put = run->target->ops->write(run->target, run->handle, run->buf, op->len, op->start);
	if (put < 0)
		return fail_errno(run, "write", put);
	if (put != op->len)
		return fail(run, "write took 0x%zx of 0x%" PRIx64 " bytes", put, op->len);
	return 0;
}

static int do_mapwrite(struct run *run, const struct fsx_op *op)
{
	int err = 0;

	fsx_fill(run->buf, run->config->seed, run->number, op->start, op->len);
	/* Memory behind the end of the file cannot be written to. */
	if (op->start + op->len > run->oracle.size)
		err = run->target->ops->truncate(run->target, run->handle, op->start + op->len);
	if (!err)
		err = run->target->ops->mapwrite(run->target, run->handle, run->buf, op->len,
						 op->start);
	return err ? fail_errno(run, "mapwrite", err) : 0;
}

static int do_fallocate(struct run *run, const struct fsx_op *op)
{
	static const int modes[FSX_KINDS] = {
		[FSX_PUNCH_HOLE] = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		[FSX_ZERO_RANGE] = FALLOC_FL_ZERO_RANGE,
		[FSX_COLLAPSE_RANGE] = FALLOC_FL_COLLAPSE_RANGE,
		[FSX_INSERT_RANGE] = FALLOC_FL_INSERT_RANGE,
	};
	int mode = modes[op->kind] | (op->flags & FSX_KEEP_SIZE ? FALLOC_FL_KEEP_SIZE : 0);
	int err = run->target->ops->fallocate(run->target, run->handle, mode, op->start, op->len);

	return err ? fail_errno(run, fsx_kind_name(op->kind), err) : 0;
}

static int do_copy(struct run *run, const struct fsx_op *op)
{
	uint64_t done = 0;

	/* It may copy less than asked for, but must get on. */
	while (done < op->len) {
		ssize_t copied = run->target->ops->copy(run->target, run->handle, op->start + done,
							op->dest + done, op->len - done);

		if (copied < 0)
			return fail_errno(run, "copy_range", copied);
		if (copied == 0 || copied > op->len - done)
			return fail(run, "copy_range returned 0x%zx for 0x%" PRIx64, copied,
				    op->len - done);
		done += copied;
	}
	return 0;
}

static int do_clone(struct run *run, const struct fsx_op *op)
{
	int err = run->target->ops->clone(run->target, run->handle, op->start, op->dest, op->len);

	return err ? fail_errno(run, "clone_range", err) : 0;
}

static int do_op(struct run *run, const struct fsx_op *op)
{
	int err;

	switch (op->kind) {
	case FSX_READ:
		return do_read(run, op);
	case FSX_MAPREAD:
		return do_mapread(run, op);
	case FSX_WRITE:
		return do_write(run, op);
	case FSX_MAPWRITE:
		return do_mapwrite(run, op);
	case FSX_TRUNCATE:
		err = run->target->ops->truncate(run->target, run->handle, op->len);
		return err ? fail_errno(run, "truncate", err) : 0;
	case FSX_COPY_RANGE:
		return do_copy(run, op);
	case FSX_CLONE_RANGE:
		return do_clone(run, op);
	case FSX_FSYNC:
		err = run->target->ops->fsync(run->target, run->handle);
		return err ? fail_errno(run, "fsync", err) : 0;
	default:
		return do_fallocate(run, op);
	}
}

static int check_size(struct run *run)
{
	uint64_t size;
	int err;

	if (run->config->skip_size_check)
		return 0;
	err = run->target->ops->size(run->target, run->handle, &size);
	if (err)
		return fail_errno(run, "stat", err);
	if (size != run->oracle.size)
		return fail(run, "size is 0x%" PRIx64 ", must be 0x%" PRIx64, size,
			    run->oracle.size);
	return 0;
}

static int check_all(struct run *run, const char *when)
{
	/* Rounded up to what a direct read wants; what is there is compared. */
	size_t len = (run->oracle.size + 4095) & ~(size_t)4095;
	size_t at = 0;

	memset(run->buf, 0xA5, len);
	while (at < run->oracle.size) {
		ssize_t got = run->target->ops->read(run->target, run->handle, run->buf + at,
						     len - at, at);

		if (got < 0)
			return fail_errno(run, when, got);
		if (got == 0)
			return fail(run, "%s: the file ends at 0x%zx, must be 0x%" PRIx64, when, at,
				    run->oracle.size);
		at += got;
	}
	return compare(run, when, 0, run->oracle.size);
}

static int reopen(struct run *run)
{
	int err = run->target->ops->close(run->target);

	if (err)
		return fail_errno(run, "close", err);
	err = run->target->ops->open(run->target, false);
	return err ? fail_errno(run, "open", err) : 0;
}

static bool wants_print(const struct run *run, const struct fsx_op *op)
{
	const struct fsx_run_config *config = run->config;
	bool dest = op->kind == FSX_COPY_RANGE || op->kind == FSX_CLONE_RANGE;
	uint64_t at = dest ? op->dest : op->start;

	if (config->quiet)
		return false;
	if (config->debug_from && run->number >= config->debug_from)
		return true;
	return config->monitor_to && at < config->monitor_to && at + op->len > config->monitor_from;
}

static void note(struct run *run, const struct fsx_op *op)
{
	char line[128];

	run->history[run->history_count % HISTORY].number = run->number;
	run->history[run->history_count++ % HISTORY].op = *op;
	fsx_op_print(op, line, sizeof(line));
	if (run->config->record)
		fprintf(run->config->record, "%s\n", line);
	if (wants_print(run, op))
		printf("%" PRIu64 ": %s\n", run->number, line);
}

/* What follows every operation. */
static int after(struct run *run, const struct fsx_op *op)
{
	const struct fsx_target_ops *ops = run->target->ops;
	int err = check_size(run);

	if (!err && rng_one_in(&run->rng, run->config->flush_one_in)) {
		err = ops->fsync(run->target, run->handle);
		if (err)
			return fail_errno(run, "fsync", err);
		if (ops->drop)
			ops->drop(run->target, run->handle);
	}
	if (!err && run->config->drop_after && ops->drop)
		ops->drop(run->target, run->handle);
	if (!err && (op->flags & FSX_CLOSE_OPEN))
		err = reopen(run);
	if (!err && run->config->check_all)
		err = check_all(run, "check of the whole file");
	return err;
}

/* A replayed operation may not fit what the file is now. */
static bool fits(const struct run *run, const struct fsx_op *op)
{
	uint64_t size = run->oracle.size, room = run->oracle.room;

	if (op->start > room || op->len > room - op->start)
		return false;
	switch (op->kind) {
	case FSX_MAPREAD:
		return op->start + op->len <= size;
	case FSX_COPY_RANGE:
	case FSX_CLONE_RANGE:
		return op->start + op->len <= size && op->dest <= room &&
		       op->len <= room - op->dest;
	case FSX_COLLAPSE_RANGE:
		return op->start + op->len < size;
	case FSX_INSERT_RANGE:
		return op->start < size && op->len <= room - size;
	default:
		return true;
	}
}

static int step(struct run *run, struct fsx_op *op)
{
	const struct fsx_target_ops *ops = run->target->ops;
	int err = 0;

	op->size = run->oracle.size;
	if (!fits(run, op))
		op->flags |= FSX_SKIPPED;
	note(run, op);
	if (op->flags & FSX_SKIPPED) {
		run->result->skipped++;
		return 0;
	}
	run->handle = run->number % run->target->handles;
	if (run->config->pollute && ops->pollute)
		err = ops->pollute(run->target, run->handle, run->oracle.size);
	if (err)
		return fail_errno(run, "writing behind the end", err);
	err = do_op(run, op);
	if (err)
		return err;
	fsx_oracle_apply(&run->oracle, op, run->buf);
	run->result->done++;
	run->result->counts[op->kind]++;
	return after(run, op);
}

/* The next operation: 1, 0 at the end of a replay, or -EINVAL. */
static int next(struct run *run, struct fsx_op *ret_op)
{
	char line[256];
	int got = 0;

	if (!run->config->replay) {
		fsx_gen_next(&run->gen, run->oracle.size, ret_op);
		return 1;
	}
	while (got == 0 && fgets(line, sizeof(line), run->config->replay))
		got = fsx_op_parse(line, ret_op);
	if (got < 0)
		fprintf(stderr, "not an operation: %s", line);
	return got;
}

static int run_all(struct run *run)
{
	const struct fsx_run_config *config = run->config;
	time_t end = config->seconds ? time(NULL) + (time_t)config->seconds : 0;
	int err = 0;

	for (run->number = 1; !err; run->number++) {
		struct fsx_op op;

		if (!config->replay && config->count && run->number > config->count)
			break;
		if (end && time(NULL) >= end)
			break;
		err = next(run, &op);
		if (err <= 0)
			break;
		err = 0;
		/* The draws before the first are made, the work is not. */
		if (run->number < config->first)
			continue;
		err = step(run, &op);
		if (config->progress && run->number % config->progress == 0 && !config->quiet)
			printf("%s: %" PRIu64 " operations\n", config->name, run->number);
	}
	if (!err)
		err = check_all(run, "last check");
	if (!err)
		err = reopen(run);
	if (!err)
		err = check_size(run);
	if (!err)
		err = check_all(run, "check after closing and opening");
	return err;
}

int fsx_probe(struct fsx_target *target, uint32_t kinds, uint32_t *ret_kinds)
{
	const struct fsx_target_ops *ops = target->ops;
	static const struct {
		enum fsx_kind kind;
		int mode;
	} tries[] = {
		{FSX_FALLOCATE, 0},
		{FSX_PUNCH_HOLE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE},
		{FSX_ZERO_RANGE, FALLOC_FL_ZERO_RANGE},
		{FSX_COLLAPSE_RANGE, FALLOC_FL_COLLAPSE_RANGE},
		{FSX_INSERT_RANGE, FALLOC_FL_INSERT_RANGE},
	};
	ssize_t copied = -EOPNOTSUPP;
	int err = ops->truncate(target, 0, 4096 * 4);

	for (unsigned i = 0; i < sizeof(tries) / sizeof(tries[0]) && !err; i++) {
		if (!(kinds & (1U << tries[i].kind)))
			continue;
		err = ops->fallocate ? ops->fallocate(target, 0, tries[i].mode, 0, 4096)
				     : -EOPNOTSUPP;
		if (err == -EOPNOTSUPP || err == -ENOSYS) {
			kinds &= ~(1U << tries[i].kind);
			err = 0;
		}
	}
	if (err)
		return err;
	if (ops->copy && (kinds & (1U << FSX_COPY_RANGE)))
		copied = ops->copy(target, 0, 0, 8192, 4096);
	if (copied == -EOPNOTSUPP || copied == -ENOSYS || copied == -EXDEV || copied == -EINVAL)
		kinds &= ~(1U << FSX_COPY_RANGE);
	else if (copied < 0)
		return copied;
	err = ops->clone ? ops->clone(target, 0, 0, 8192, 4096) : -EOPNOTSUPP;
	if (err == -EOPNOTSUPP || err == -ENOSYS || err == -EXDEV || err == -EINVAL ||
	    err == -ENOTTY)
		kinds &= ~(1U << FSX_CLONE_RANGE);
	else if (err)
		return err;
	if (!ops->mapread)
		kinds &= ~(1U << FSX_MAPREAD);
	if (!ops->mapwrite)
		kinds &= ~(1U << FSX_MAPWRITE);
	*ret_kinds = kinds;
	return ops->truncate(target, 0, 0);
}

/* The file as found becomes the model: for runs that keep it. */
static int adopt(struct run *run)
{
	uint64_t size;
	int err = run->target->ops->size(run->target, 0, &size);
	ssize_t got = 0;

	if (err)
		return err;
	if (size > run->oracle.room)
		return -EFBIG;
	while (run->oracle.size < size) {
		got = run->target->ops->read(run->target, 0, run->oracle.bytes + run->oracle.size,
					     size - run->oracle.size, run->oracle.size);
		if (got <= 0)
			return got ? (int)got : -EIO;
		run->oracle.size += got;
	}
	return 0;
}

static int run_open(struct run *run)
{
	int err = run->target->ops->open(run->target, true);
	uint64_t size = 0;

	if (!err)
		err = run->target->ops->size(run->target, 0, &size);
	/* A file that is kept must not be emptied by the probe. */
	if (!err && size == 0)
		err = fsx_probe(run->target, run->gen.config.kinds, &run->gen.config.kinds);
	return err ? err : adopt(run);
}

int fsx_run(struct fsx_target *target, const struct fsx_gen_config *gen,
	    const struct fsx_run_config *config, struct fsx_run_result *ret_result)
{
	struct run *run = calloc(1, sizeof(*run));
	uint64_t room = (gen->file_max + 8191) & ~UINT64_C(4095);
	int err = -ENOMEM;

	if (!run)
		return -ENOMEM;
	memset(ret_result, 0, sizeof(*ret_result));
	run->target = target;
	run->config = config;
	run->result = ret_result;
	fsx_gen_init(&run->gen, gen, config->seed);
	rng_init(&run->rng, ~config->seed);
	run->buf = aligned_alloc(4096, room);
	if (run->buf && fsx_oracle_init(&run->oracle, room) == 0) {
		err = run_open(run);
		if (err)
			fprintf(stderr, "%s: cannot start: %s\n", config->name, strerror(-err));
		else
			err = run_all(run);
		fsx_oracle_done(&run->oracle);
	}
	free(run->buf);
	free(run);
	return err;
}
