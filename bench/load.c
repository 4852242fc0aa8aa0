/* SPDX-License-Identifier: MIT */
/*
 * unetfs-load: one piece of load on a file or a folder, timed by itself.
 *
 * It prints one line of JSON: what it did, how long that took on the monotonic
 * clock, and the processor time of this process.  What happens before the first
 * byte (opening the file) counts, and so does close(), where network file
 * systems send what they still have.  It uses no library of ours, so that it
 * measures every file system in the same way.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ALIGNMENT 4096

struct load {
	const char *what;
	const char *path;
	size_t block; /* bytes of one read or write */
	uint64_t size; /* bytes of the file, or of each small file */
	uint64_t count; /* operations at most; small files: how many */
	double seconds; /* stop after this time */
	bool direct; /* O_DIRECT */
	bool random; /* at random places instead of one after the other */
	bool sync; /* fsync before close */
	char *buf; /* block bytes, aligned */
	uint64_t state; /* of the random numbers */
	uint64_t ops; /* done */
	uint64_t bytes; /* moved */
	double begin; /* when it began */
};

static _Noreturn void fail(const struct load *load, const char *what)
{
	fprintf(stderr, "unetfs-load: %s: %s %s: %s\n", load->what, what, load->path,
		strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static double cpu(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec +
	       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* xorshift64: the same places in every run. */
static uint64_t next_random(struct load *load)
{
	load->state ^= load->state << 13;
	load->state ^= load->state >> 7;
	load->state ^= load->state << 17;
	return load->state;
}

static bool time_is_up(const struct load *load)
{
	return now() - load->begin >= load->seconds;
}

/* Reads or writes blocks of one file, each byte once or at random places. */
static void run_blocks(struct load *load, bool writing)
{
	uint64_t blocks = load->size / load->block;
	int flags = writing ? O_RDWR | O_CREAT : O_RDONLY;
	int fd = open(load->path, flags | (load->direct ? O_DIRECT : 0), 0644);

	if (fd < 0)
		fail(load, "cannot open");
	for (uint64_t i = 0; i < load->count && (load->random || i < blocks); i++) {
		uint64_t at = (load->random ? next_random(load) % blocks : i) * load->block;
		ssize_t moved = writing ? pwrite(fd, load->buf, load->block, at)
					: pread(fd, load->buf, load->block, at);

		if (moved != (ssize_t)load->block)
			fail(load, writing ? "short write to" : "short read of");
		load->ops++;
		load->bytes += moved;
		/* Asking for the time costs less than the smallest read. */
		if (time_is_up(load))
			break;
	}
	if (load->sync && fsync(fd))
		fail(load, "cannot sync");
	if (close(fd))
		fail(load, "cannot close");
}

static void small_create(struct load *load, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, load->buf, load->size) != (ssize_t)load->size || close(fd))
		fail(load, "cannot write");
	load->bytes += load->size;
}

static void small_read(struct load *load, const char *path)
{
	int fd = open(path, O_RDONLY);

	if (fd < 0 || read(fd, load->buf, load->size) != (ssize_t)load->size || close(fd))
		fail(load, "cannot read");
	load->bytes += load->size;
}

static void small_stat(struct load *load, const char *path)
{
	struct stat st;

	if (stat(path, &st) || (uint64_t)st.st_size != load->size)
		fail(load, "cannot stat");
}

static void small_delete(struct load *load, const char *path)
{
	if (unlink(path))
		fail(load, "cannot remove");
}

/* The same to each of count small files in a folder. */
static void run_small(struct load *load, void (*one)(struct load *load, const char *path))
{
	char path[4096];

	if (mkdir(load->path, 0755) && errno != EEXIST)
		fail(load, "cannot make");
	for (uint64_t i = 0; i < load->count; i++) {
		snprintf(path, sizeof(path), "%s/small-%" PRIu64, load->path, i);
		one(load, path);
		load->ops++;
	}
}

static void run(struct load *load)
{
	if (!strcmp(load->what, "read"))
		run_blocks(load, false);
	else if (!strcmp(load->what, "write"))
		run_blocks(load, true);
	else if (!strcmp(load->what, "create"))
		run_small(load, small_create);
	else if (!strcmp(load->what, "open-read"))
		run_small(load, small_read);
	else if (!strcmp(load->what, "stat"))
		run_small(load, small_stat);
	else if (!strcmp(load->what, "delete"))
		run_small(load, small_delete);
	else
		fail(load, "unknown work on");
}

static const char usage[] =
	"usage: unetfs-load [options] read|write|create|open-read|stat|delete PATH\n"
	"  -b BYTES   size of one read or write (4096)\n"
	"  -s BYTES   size of the file, or of each small file (4096)\n"
	"  -n COUNT   operations at most, or number of small files (unlimited)\n"
	"  -t SECONDS stop after this time (60)\n"
	"  -r         at random places;  -d  O_DIRECT;  -f  fsync before close\n";

static void parse(struct load *load, int argc, char **argv)
{
	int opt;

	while ((opt = getopt(argc, argv, "b:s:n:t:rdf")) != -1) {
		switch (opt) {
		case 'b':
			load->block = strtoull(optarg, NULL, 0);
			break;
		case 's':
			load->size = strtoull(optarg, NULL, 0);
			break;
		case 'n':
			load->count = strtoull(optarg, NULL, 0);
			break;
		case 't':
			load->seconds = strtod(optarg, NULL);
			break;
		case 'r':
			load->random = true;
			break;
		case 'd':
			load->direct = true;
			break;
		case 'f':
			load->sync = true;
			break;
		default:
			fputs(usage, stderr);
			exit(2);
		}
	}
	if (argc - optind != 2 || !load->block || !load->size) {
		fputs(usage, stderr);
		exit(2);
	}
	load->what = argv[optind];
	load->path = argv[optind + 1];
}

int main(int argc, char **argv)
{
	struct load load = {
		.block = 4096,
		.size = 4096,
		.count = UINT64_MAX,
		.seconds = 60,
		.state = 88172645463325252ULL,
	};
	size_t room;
	double seconds;

	parse(&load, argc, argv);
	room = load.block > load.size || load.size > (1 << 20) ? load.block : load.size;
	room = (room + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	load.buf = aligned_alloc(ALIGNMENT, room);
	if (!load.buf)
		fail(&load, "no memory for");
	for (size_t i = 0; i < room; i++)
		load.buf[i] = (char)next_random(&load);

	load.begin = now();
	run(&load);
	seconds = now() - load.begin;
	printf("{\"what\": \"%s\", \"ops\": %" PRIu64 ", \"bytes\": %" PRIu64
	       ", \"seconds\": %.6f, \"cpu\": %.6f}\n",
	       load.what, load.ops, load.bytes, seconds, cpu());
	free(load.buf);
	return 0;
}
