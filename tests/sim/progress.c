/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include "progress.h"

static double clock_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static double seconds_of(const struct timeval *time)
{
	return time->tv_sec + time->tv_usec / 1e6;
}

/* Of this process and its children so far. */
static double processor_now(void)
{
	struct rusage own, children;

	getrusage(RUSAGE_SELF, &own);
	getrusage(RUSAGE_CHILDREN, &children);
	return seconds_of(&own.ru_utime) + seconds_of(&own.ru_stime) +
	       seconds_of(&children.ru_utime) + seconds_of(&children.ru_stime);
}

static double began;

void progress_start(void)
{
	began = clock_now();
}

/* Another number for another build of the program (FNV-1a). */
static uint64_t program(void)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	FILE *file = fopen("/proc/self/exe", "r");
	unsigned char buf[65536];
	size_t got;

	while (file && (got = fread(buf, 1, sizeof(buf), file)) > 0)
		for (size_t i = 0; i < got; i++)
			hash = (hash ^ buf[i]) * UINT64_C(0x100000001b3);
	if (file)
		fclose(file);
	return hash;
}

uint64_t progress_read(const char *path, uint64_t first, struct totals *ret_totals)
{
	struct totals totals = {0};
	uint64_t of_program, of_first;
	FILE *file = fopen(path, "r");
	int got;

	if (!file)
		return 0;
	got = fscanf(file,
		     "unetfs-sim 4 program %" SCNx64 " first %" SCNu64 " runs %" SCNu64
		     " encrypted %" SCNu64 " smb %" SCNu64 " disk %" SCNu64 " failed %" SCNu64
		     " steps %" SCNu64 " requests %" SCNu64 " faults %" SCNu64 " virtual %" SCNu64
		     " disk_bytes %" SCNu64 " seconds %lf processor %lf",
		     &of_program, &of_first, &totals.runs, &totals.encrypted, &totals.smb,
		     &totals.disk, &totals.failed, &totals.sum.steps, &totals.sum.requests,
		     &totals.sum.faults, &totals.sum.virtual_ns, &totals.sum.from_disk,
		     &totals.seconds, &totals.processor);
	fclose(file);
	if (got != 14 || of_program != program() || of_first != first) {
		fprintf(stderr, "%s is of another program or series: from the start\n", path);
		return 0;
	}
	*ret_totals = totals;
	return totals.runs;
}

void progress_write(const char *path, uint64_t first, const struct totals *totals)
{
	char fresh[4096];
	FILE *file;
	int err;

	snprintf(fresh, sizeof(fresh), "%s.new", path);
	file = fopen(fresh, "w");
	if (!file) {
		perror(fresh);
		return;
	}
	fprintf(file, "unetfs-sim 4 program %016" PRIx64 " first %" PRIu64 "\n", program(), first);
	fprintf(file,
		"runs %" PRIu64 " encrypted %" PRIu64 " smb %" PRIu64 " disk %" PRIu64
		" failed %" PRIu64 " steps %" PRIu64 "\n",
		totals->runs, totals->encrypted, totals->smb, totals->disk, totals->failed,
		totals->sum.steps);
	fprintf(file,
		"requests %" PRIu64 " faults %" PRIu64 " virtual %" PRIu64 " disk_bytes %" PRIu64
		"\n",
		totals->sum.requests, totals->sum.faults, totals->sum.virtual_ns,
		totals->sum.from_disk);
	fprintf(file, "seconds %.3f processor %.3f\n", totals->seconds + clock_now() - began,
		totals->processor + processor_now());
	err = ferror(file);
	err |= fclose(file);
	if (err || rename(fresh, path))
		perror(path);
}

void progress_print(const struct totals *totals)
{
	double hours = totals->sum.virtual_ns / 3.6e12;
	double seconds = totals->seconds + clock_now() - began;
	double processor = totals->processor + processor_now();

	printf("%" PRIu64 " runs, %" PRIu64 " encrypted, %" PRIu64 " with SMB, %" PRIu64
	       " with a disk cache that gave %" PRIu64 " KiB, %" PRIu64 " failed: %" PRIu64
	       " operations, %" PRIu64 " requests, %" PRIu64
	       " faults, %.1f simulated hours, %.0f a minute, "
	       "%.0f a minute of processor\n",
	       totals->runs, totals->encrypted, totals->smb, totals->disk,
	       totals->sum.from_disk >> 10, totals->failed, totals->sum.steps, totals->sum.requests,
	       totals->sum.faults, hours, hours / seconds * 60, hours / processor * 60);
	fflush(stdout);
}
