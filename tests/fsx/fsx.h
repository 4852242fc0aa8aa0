/* SPDX-License-Identifier: MIT */
/*
 * The pieces of the random file exerciser: operations, the byte oracle, the
 * generator, the text format of recorded operations, the targets they run on
 * and the runner that compares.  The program is main.c; the simulator uses all
 * but that.
 *
 * All positions are bytes.  Functions return 0 or a negative errno unless they
 * say otherwise.
 */
#ifndef TESTS_FSX_H
#define TESTS_FSX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include "rng.h"

enum fsx_kind {
	FSX_READ,
	FSX_WRITE,
	FSX_MAPREAD,
	FSX_MAPWRITE,
	FSX_TRUNCATE,
	FSX_FALLOCATE,
	FSX_PUNCH_HOLE,
	FSX_ZERO_RANGE,
	FSX_COLLAPSE_RANGE,
	FSX_INSERT_RANGE,
	FSX_COPY_RANGE,
	FSX_CLONE_RANGE,
	FSX_FSYNC,
	FSX_KINDS,
};

enum fsx_op_flags {
	FSX_SKIPPED = 1 << 0, /* was drawn, but had nothing to work on */
	FSX_KEEP_SIZE = 1 << 1, /* fallocate, zero_range: size stays */
	FSX_CLOSE_OPEN = 1 << 2, /* the file is closed and opened afterwards */
};

/* One operation.  truncate: start is 0 and len the new size. */
struct fsx_op {
	enum fsx_kind kind;
	unsigned flags;
	uint64_t start; /* copy_range, clone_range: of the source */
	uint64_t len;
	uint64_t dest; /* copy_range, clone_range only */
	uint64_t size; /* of the file before the operation */
};

/* ----------------------------------------------------------- oracle */

/* What the file must contain.  Bytes from size to room are zero, always. */
struct fsx_oracle {
	uint8_t *bytes;
	uint64_t size;
	uint64_t room;
};

int fsx_oracle_init(struct fsx_oracle *oracle, uint64_t room);
void fsx_oracle_done(struct fsx_oracle *oracle);
/* Does to the model what op must do to the file.  data: of a write. */
void fsx_oracle_apply(struct fsx_oracle *oracle, const struct fsx_op *op, const void *data);
/* The first byte of got[0..len) that differs from the model at start; false
 * where none does.  Past the end the model is zero. */
bool fsx_oracle_differs(const struct fsx_oracle *oracle, uint64_t start, const void *got,
			size_t len, uint64_t *ret_at);
/* The bytes that operation number op_number writes at start: never zero, and
 * different for every operation and place. */
void fsx_fill(void *buf, uint64_t seed, uint64_t op_number, uint64_t start, size_t len);

/* -------------------------------------------------------- generator */

struct fsx_gen_config {
	uint32_t kinds; /* a bit for each allowed fsx_kind */
	uint64_t file_max; /* largest size */
	uint64_t op_max; /* largest operation */
	uint64_t read_align; /* positions of reads are multiples, 1: any */
	uint64_t write_align; /* of everything that changes bytes */
	uint64_t trunc_align;
	uint64_t block; /* unit of collapse, insert and clone */
	uint32_t close_one_in; /* 0: never */
	bool op_exact; /* every operation is op_max long where it fits */
	bool small_cuts; /* truncates take off a little, not anything */
	bool fixed_size; /* nothing changes the size */
	bool past_end; /* reads may cross the end of the file */
	bool always_keep_size;
};

struct fsx_gen {
	struct fsx_gen_config config;
	struct rng rng;
};

void fsx_gen_init(struct fsx_gen *gen, const struct fsx_gen_config *config, uint64_t seed);
/* Draws an operation for a file of this size. */
void fsx_gen_next(struct fsx_gen *gen, uint64_t size, struct fsx_op *ret_op);

/* ------------------------------------------------------ text format */

const char *fsx_kind_name(enum fsx_kind kind);
/* One line, without newline, into buf. */
void fsx_op_print(const struct fsx_op *op, char *buf, size_t size);
/* 1: an operation; 0: an empty line or a comment; -EINVAL. */
int fsx_op_parse(const char *line, struct fsx_op *ret_op);

/* ---------------------------------------------------------- targets */

struct fsx_target;

/*
 * What operations run on: a path or the library.  handle counts from 0 and
 * says which open instance of the file is used.  NULL means that the target
 * cannot do it at all.
 */
struct fsx_target_ops {
	/* Opens all handles; with_create also makes an empty file, or empties
	 * an old one unless keep was asked for. */
	int (*open)(struct fsx_target *target, bool with_create);
	int (*close)(struct fsx_target *target);
	ssize_t (*read)(struct fsx_target *target, unsigned handle, void *buf, size_t len,
			uint64_t start);
	ssize_t (*write)(struct fsx_target *target, unsigned handle, const void *buf, size_t len,
			 uint64_t start);
	int (*mapread)(struct fsx_target *target, unsigned handle, void *buf, size_t len,
		       uint64_t start);
	int (*mapwrite)(struct fsx_target *target, unsigned handle, const void *buf, size_t len,
			uint64_t start);
	int (*truncate)(struct fsx_target *target, unsigned handle, uint64_t size);
	/* mode as fallocate(2). */
	int (*fallocate)(struct fsx_target *target, unsigned handle, int mode, uint64_t start,
			 uint64_t len);
	ssize_t (*copy)(struct fsx_target *target, unsigned handle, uint64_t from, uint64_t to,
			size_t len);
	/* All of the range or an error. */
	int (*clone)(struct fsx_target *target, unsigned handle, uint64_t from, uint64_t to,
		     size_t len);
	int (*fsync)(struct fsx_target *target, unsigned handle);
	int (*size)(struct fsx_target *target, unsigned handle, uint64_t *ret_size);
	/* Drops what is cached and clean, where there is a way. */
	void (*drop)(struct fsx_target *target, unsigned handle);
	/* Writes garbage behind the end of the file in the memory of its last
	 * page; it must never become part of the file. */
	int (*pollute)(struct fsx_target *target, unsigned handle, uint64_t size);
	void (*free)(struct fsx_target *target);
};

struct fsx_target {
	const struct fsx_target_ops *ops;
	unsigned handles;
};

enum fsx_target_flags {
	FSX_DIRECT = 1 << 0, /* O_DIRECT; with two handles only on the second */
	FSX_AIO = 1 << 1, /* reads and writes through POSIX aio, or netfs_io */
	FSX_URING = 1 << 2, /* reads and writes through io_uring */
	FSX_SYNC = 1 << 3, /* O_SYNC */
	FSX_KEEP = 1 << 4, /* an existing file is taken as it is */
};

/* path: of a regular file, made if it is missing. */
int fsx_target_path(const char *path, unsigned handles, unsigned flags,
		    struct fsx_target **ret_target);

/* An array in memory.  defect: "" or what it does wrong, to test the tests. */
int fsx_target_array(const char *defect, unsigned handles, struct fsx_target **ret_target);

/* ----------------------------------------------------------- runner */

struct fsx_run_config {
	const char *name; /* how messages call the file */
	const char *save_prefix; /* .fsxgood, .fsxlog and .fsxops go here; NULL: not */
	uint64_t seed;
	uint64_t first; /* number of the first operation that is done */
	uint64_t count; /* operations; 0: until the deadline */
	uint64_t seconds; /* deadline; 0: none */
	uint64_t progress; /* a line each so many operations; 0: none */
	uint64_t debug_from; /* operations are printed from here; 0: never */
	uint64_t monitor_from; /* operations that touch [from, to) are printed */
	uint64_t monitor_to;
	uint32_t flush_one_in; /* fsync and drop after an operation; 0: never */
	bool drop_after; /* drop clean memory after each operation */
	bool check_all; /* compare the whole file after each operation */
	bool skip_size_check;
	bool pollute;
	bool quiet;
	FILE *record; /* operations are written here, NULL: not */
	FILE *replay; /* and come from here instead of the generator */
};

struct fsx_run_result {
	uint64_t done; /* operations, the left out ones not counted */
	uint64_t skipped;
	uint64_t counts[FSX_KINDS];
};

/* Which kinds target refuses, found by trying on its (open, empty) file. */
int fsx_probe(struct fsx_target *target, uint32_t kinds, uint32_t *ret_kinds);
/* Opens, probes, exercises, compares, closes.  0: all was right.  -EIO after
 * telling what was wrong; other errors where it could not even start. */
int fsx_run(struct fsx_target *target, const struct fsx_gen_config *gen,
	    const struct fsx_run_config *config, struct fsx_run_result *ret_result);

#endif
