/* SPDX-License-Identifier: MIT */
/*
 * Throughput between memory and a server in the same process, and what a second
 * thread adds.
 *
 * On mem: each byte is copied once by us and once by the server, which holds
 * one lock for all its files while it copies; so two threads are also measured
 * on void:, where all that is left is ours.  Write-back and download work on
 * the executor's threads too: with two processors, one client thread already
 * uses more than one of them.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core_bench.h"

#define FILE_SIZE (256 * MIB)
#define STEP	  MIB
#define SMALL	  (4 * KIB)
#define HIT_SIZE  (8 * MIB)
#define HITS	  200000u
#define THREADS	  2u

/* One client thread and its file. */
struct worker {
	pthread_t thread;
	struct netfs_file *file;
	char *buf;
	const char *memory; /* HIT_SIZE bytes to copy from */
	uint64_t seed;
	void (*work)(struct worker *worker);
};

struct team {
	struct bench_mount *m;
	struct worker worker[THREADS];
	unsigned count; /* workers that work */
	void (*work)(struct worker *worker);
};

static void *worker_main(void *arg)
{
	struct worker *worker = arg;

	worker->work(worker);
	return NULL;
}

static void team_work(struct team *team, void (*work)(struct worker *worker))
{
	for (unsigned i = 0; i < team->count; i++) {
		team->worker[i].work = work;
		if (pthread_create(&team->worker[i].thread, NULL, worker_main, &team->worker[i]))
			bench_fail("start a thread", EAGAIN);
	}
	for (unsigned i = 0; i < team->count; i++)
		pthread_join(team->worker[i].thread, NULL);
}

static void work_write(struct worker *worker)
{
	for (uint64_t at = 0; at < FILE_SIZE; at += STEP)
		bench_write(worker->file, worker->buf, STEP, at);
}

static void work_read(struct worker *worker)
{
	for (uint64_t at = 0; at < FILE_SIZE; at += STEP)
		bench_read(worker->file, worker->buf, STEP, at);
}

static void work_hit(struct worker *worker)
{
	uint64_t state = worker->seed; /* not in a line that another thread writes */

	for (unsigned i = 0; i < HITS; i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		bench_read(worker->file, worker->buf, SMALL,
			   (state >> 40) % (HIT_SIZE / SMALL) * SMALL);
	}
}

/* What the machine gives two threads at best. */
static void work_copy(struct worker *worker)
{
	uint64_t state = worker->seed; /* not in a line that another thread writes */

	for (unsigned i = 0; i < HITS; i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		memcpy(worker->buf, worker->memory + (state >> 40) % (HIT_SIZE / SMALL) * SMALL,
		       SMALL);
		__asm__ volatile("" : : "r"(worker->buf) : "memory");
	}
}

static void team_write(void *arg)
{
	struct team *team = arg;

	team_work(team, work_write);
	bench_mount_sync(team->m);
}

static void team_drop(void *arg)
{
	struct team *team = arg;

	for (unsigned i = 0; i < THREADS; i++)
		netfs_advise(team->worker[i].file, 0, 0, NETFS_ADVICE_DONTNEED);
}

static void team_read(void *arg)
{
	team_work(arg, work_read);
}

/* Starts with everything in memory. */
static void team_fill(void *arg)
{
	struct team *team = arg;

	for (unsigned i = 0; i < THREADS; i++) {
		for (uint64_t at = 0; at < HIT_SIZE; at += STEP)
			bench_read(team->worker[i].file, team->worker[i].buf, STEP, at);
	}
}

static void team_copy(void *arg)
{
	team_work(arg, work_copy);
}

static void team_hit(void *arg)
{
	team_work(arg, work_hit);
}

static void copy(void *arg)
{
	char *memory = arg;

	memcpy(memory, memory + FILE_SIZE, FILE_SIZE);
	__asm__ volatile("" : : "r"(memory) : "memory");
}

static void team_open(struct team *team, const char *source, bool create)
{
	char name[16];

	team->m = bench_mount_open(source, "");
	for (unsigned i = 0; i < THREADS; i++) {
		struct worker *worker = &team->worker[i];

		snprintf(name, sizeof(name), "%u", i);
		worker->file = bench_open(team->m, name, create);
		worker->buf = bench_memory(STEP);
		worker->seed = i;
		work_write(worker);
	}
	bench_mount_sync(team->m);
}

static void team_close(struct team *team)
{
	for (unsigned i = 0; i < THREADS; i++) {
		netfs_release(team->worker[i].file);
		free(team->worker[i].buf);
	}
	bench_mount_close(team->m, true);
}

static void report(const char *server, const char *what, unsigned threads, double rate)
{
	char name[64];

	snprintf(name, sizeof(name), "%s, %s, %u thread%s", what, server, threads,
		 threads == 1 ? "" : "s");
	bench_result(name, "GB/s", rate);
}

static void report_scale(const char *server, const char *what, double factor)
{
	char name[64];

	snprintf(name, sizeof(name), "%s, %s: two threads, of one", what, server);
	bench_result(name, "x", factor);
}

static void run_server(const char *server, const char *source, bool create, char *memory)
{
	struct team one = {.count = 1}, two;
	struct bench_lane lanes[] = {{.run = copy, .arg = memory},
				     {.run = team_write, .arg = &one},
				     {.run = team_write, .arg = &two},
				     {.prepare = team_drop, .run = team_read, .arg = &one},
				     {.prepare = team_drop, .run = team_read, .arg = &two},
				     {.prepare = team_fill, .run = team_hit, .arg = &one},
				     {.prepare = team_fill, .run = team_hit, .arg = &two},
				     {.run = team_copy, .arg = &one},
				     {.run = team_copy, .arg = &two}};

	team_open(&one, source, create);
	for (unsigned i = 0; i < THREADS; i++)
		one.worker[i].memory = memory + i * HIT_SIZE;
	two = one;
	two.count = 2;
	bench_race(lanes, 9, bench_rounds());
	team_close(&one);
	report(server, "memcpy beside", 1, FILE_SIZE / lanes[0].best);
	report(server, "write-back", 1, FILE_SIZE / lanes[1].best);
	report(server, "write-back", 2, 2.0 * FILE_SIZE / lanes[2].best);
	report(server, "download", 1, FILE_SIZE / lanes[3].best);
	report(server, "download", 2, 2.0 * FILE_SIZE / lanes[4].best);
	report_scale(server, "write-back", 2 * lanes[1].best / lanes[2].best);
	report_scale(server, "download", 2 * lanes[3].best / lanes[4].best);
	report_scale(server, "4 KiB memcpy beside", 2 * lanes[7].best / lanes[8].best);
	report_scale(server, "4 KiB hits", 2 * lanes[5].best / lanes[6].best);
}

void bench_flow(void)
{
	char *memory = bench_memory(2 * FILE_SIZE);

	bench_group("Throughput");
	run_server("mem", "mem:", true, memory);
	run_server("void", "void:268435456", false, memory);
	free(memory);
}
