/* SPDX-License-Identifier: MIT */
/*
 * unetfs-hit: what the recorder costs where it matters most, in operations
 * that memory answers.
 *
 *	unetfs-hit [ROUNDS]
 *
 * On a share in memory a file of 8 MiB is held in the cache, and 4 KiB are
 * read, borrowed and written over at random places in it; the writes stay in
 * so small a part that nothing is sent meanwhile.  For each of the
 * three one line of JSON says the processor time of one operation, the records
 * it made, and which part of its time those cost; before them a line says what
 * one record costs.  It ends with 1 where that part is more than a hundredth.
 * The best of ROUNDS (15) counts: others on the machine can
 * only make it slower.
 *
 * To compare with a library that has no recorder, build both and run both:
 *	meson setup -Dbuildtype=release -Dchecked=false -Dc_args=-DNETFS_TRACE_OFF
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <obs/trace.h>
#include <unetfs/trace.h>
#include <unetfs/unetfs.h>

#define FILE_SIZE	 (8u << 20)
#define BLOCK		 4096u
#define DIRTY_SIZE	 (128u << 10) /* less than is sent at once */
#define OPS		 50000u
#define COST_MAX_PERCENT 1.0

static struct netfs_file *file;
static uint64_t state = 88172645463325252ULL;
static char buf[FILE_SIZE];

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "unetfs-hit: cannot %s\n", what);
	exit(1);
}

static double cpu(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

/* xorshift64: the same places in every run. */
static uint64_t place(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % (FILE_SIZE / BLOCK) * BLOCK;
}

static void read_one(void)
{
	if (netfs_pread(file, buf, BLOCK, place(), 0) != BLOCK)
		fail("read");
}

static void write_one(void)
{
	if (netfs_pwrite(file, buf, BLOCK, place() % DIRTY_SIZE, 0) != BLOCK)
		fail("write");
}

static void borrowed(struct netfs_io *io, ssize_t result)
{
	if (result != BLOCK)
		fail("borrow");
	netfs_io_end(io);
}

static void borrow_one(void)
{
	struct iovec iov[8];
	struct netfs_io io = {.done = borrowed,
			      .iov = iov,
			      .niov = 8,
			      .flags = NETFS_IO_BORROW,
			      .start = place(),
			      .len = BLOCK};

	netfs_read(file, &io);
}

static void record_one(void)
{
	netfs_trace(folio_make, .inode = 1, .start = place());
}

/* Nanoseconds of one operation, and the records that all of a round made. */
static double measure(void (*one)(void), unsigned rounds, size_t *ret_records)
{
	static struct netfs_trace_record records[OPS];
	double best = 1e18;

	for (unsigned round = 0; round < rounds; round++) {
		double begin;

		netfs_trace_clear();
		begin = cpu();
		for (unsigned i = 0; i < OPS; i++)
			one();
		begin = cpu() - begin;
		if (begin < best)
			best = begin;
	}
	*ret_records = netfs_trace_read(records, OPS);
	return best / OPS;
}

static void start(struct netfs_client **ret_client, struct netfs_mount **ret_mount)
{
	/* Nothing is sent while the writes are measured. */
	struct netfs_client_config config = {
		.struct_size = sizeof(config), .memory_max = 64 << 20, .dirty_age_ms = 3600000};
	struct netfs_vnode *root;
	struct netfs_call call;

	if (netfs_client_new(&config, ret_client))
		fail("start");
	netfs_call_init(&call, NULL);
	netfs_mount_open(*ret_client, "mem:", "", &call);
	if (netfs_call_wait(&call))
		fail("mount");
	*ret_mount = call.mount;
	root = netfs_mount_root(*ret_mount);
	netfs_call_init(&call, NULL);
	netfs_create(root, "file", O_RDWR, 0644, &call);
	if (netfs_call_wait(&call))
		fail("create");
	netfs_vnode_put(root);
	netfs_vnode_put(call.vnode);
	file = call.file;
	if (netfs_pwrite(file, buf, FILE_SIZE, 0, 0) != FILE_SIZE)
		fail("fill");
	netfs_call_init(&call, NULL);
	netfs_mount_sync(*ret_mount, &call);
	if (netfs_call_wait(&call))
		fail("sync");
}

static void stop(struct netfs_client *client, struct netfs_mount *mount)
{
	struct netfs_call call;

	netfs_release(file);
	netfs_call_init(&call, NULL);
	netfs_mount_close(mount, 0, &call);
	if (netfs_call_wait(&call))
		fail("close");
	netfs_client_free(client);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*one)(void);
	} hits[] = {{"read", read_one}, {"borrow", borrow_one}, {"overwrite", write_one}};
	unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 15;
	struct netfs_client *client;
	struct netfs_mount *mount;
	double record, ns, percent;
	bool dear = false;
	size_t records;

	start(&client, &mount);
	record = measure(record_one, rounds, &records);
	printf("{\"what\": \"record\", \"ns\": %.1f}\n", record);
	for (unsigned i = 0; i < sizeof(hits) / sizeof(hits[0]); i++) {
		ns = measure(hits[i].one, rounds, &records);
		percent = 100 * record * records / OPS / ns;
		dear |= percent > COST_MAX_PERCENT;
		printf("{\"what\": \"%s\", \"ns\": %.1f, \"records\": %zu, \"of\": %u, "
		       "\"cost_percent\": %.4f}\n",
		       hits[i].name, ns, records, OPS, percent);
	}
	stop(client, mount);
	return dear;
}
