/* SPDX-License-Identifier: MIT */
/*
 * The parts of unetfs-core-bench, and what they share: the clock, races between
 * ways to do the same, a table of results beside their budgets, and the short
 * way to a file of the library.
 */
#ifndef BENCH_CORE_BENCH_H
#define BENCH_CORE_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unetfs/unetfs.h>

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)

_Noreturn void bench_fail(const char *what, int err);
/* Nanoseconds since some moment. */
double bench_now(void);
/* xorshift64: the same numbers in every run. */
uint64_t bench_random(void);
/* Memory of ours that was touched. */
void *bench_memory(size_t size);
/* Bytes of small memory in use in this process: all but file data. */
size_t bench_heap(void);

/* ------------------------------------------------------------ races */

/* One way to do something.  prepare is not timed; NULL: nothing to prepare. */
struct bench_lane {
	void (*prepare)(void *arg);
	void (*run)(void *arg);
	void *arg;
	double best; /* nanoseconds of the best round */
};

/* Runs all lanes in turn, rounds times, so that all of them meet the same
 * troubles of the machine. */
void bench_race(struct bench_lane *lanes, unsigned n, unsigned rounds);
/* The rounds that were asked for. */
unsigned bench_rounds(void);

/* ---------------------------------------------------------- results */

enum bench_sense {
	BENCH_PLAIN, /* no budget: there to compare with */
	BENCH_AT_MOST,
	BENCH_AT_LEAST,
};

void bench_group(const char *title);
void bench_result(const char *name, const char *unit, double value);
void bench_budget(const char *name, const char *unit, double value, enum bench_sense sense,
		  double budget);
/* The whole as JSON; false: cannot be written. */
bool bench_json(const char *path);

/* ---------------------------------------------------------- library */

struct bench_mount {
	struct netfs_client *client;
	struct netfs_mount *mount;
	struct netfs_vnode *root;
};

/* With enough memory for everything that is measured. */
struct bench_mount *bench_mount_open(const char *source, const char *options);
void bench_mount_sync(struct bench_mount *m);
/* force: what was not sent is forgotten. */
void bench_mount_close(struct bench_mount *m, bool force);
struct netfs_vnode *bench_lookup(struct bench_mount *m, const char *name);
/* Opens, or makes where create. */
struct netfs_file *bench_open(struct bench_mount *m, const char *name, bool create);
void bench_write(struct netfs_file *file, const void *buf, size_t len, uint64_t start);
void bench_read(struct netfs_file *file, void *buf, size_t len, uint64_t start);

/* ------------------------------------------------------------ parts */

void bench_hits(void);
void bench_growth(void);
void bench_flow(void);
void bench_fuse(void);
/* A mount on folder whose handler does nothing, until it is unmounted. */
int bench_null_handler(const char *folder);

#endif
