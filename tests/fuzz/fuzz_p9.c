/* SPDX-License-Identifier: MIT */
/*
 * Fuzzer of the 9P client: the whole back end on the simulated machine, against
 * a server that answers what the input says.
 *
 * An input is
 *
 *	flags      bit 0: the hello is fuzzed too; bits 1-3: size of segments
 *	then a mix of operations (when nothing is in flight) and answers
 *
 * read by client and server in turn, as each needs bytes.  After the input is
 * used up the server hangs up and the soft mount gives up; everything must
 * complete exactly once and nothing may be left, which the simulator checks.
 *
 * With libFuzzer LLVMFuzzerTestOneInput is all there is.  Without
 * (FUZZ_STANDALONE), main mutates a corpus of honest sessions:
 *
 *	fuzz-p9 [--runs N] [--seed S] [FILE...]
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <backend/backends.h>
#include <backend/p9/p9_msg.h>
#include <base/rng.h>
#include <env/clock.h>
#include <env/executor.h>
#include <env/sim/sim.h>
#include <sys/stat.h>
#include "fuzz_p9_server.h"

#define NODES	  6
#define HANDLES	  4
#define FLYING	  24
#define LIMIT_NS  (UINT64_C(3600) * NETFS_NS_PER_SEC)
#define DATA_SIZE 20000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One operation or slice in flight. */
struct flight {
	union {
		struct netfs_op op;
		struct netfs_slice slice;
	};
	struct iovec iov[2];
	struct netfs_lock lock;
	struct netfs_setattr set;
	bool is_slice;
	bool busy;
	bool keeps; /* node and handle are results */
	uint8_t data[DATA_SIZE];
};

static struct {
	struct netfs_be *be;
	struct netfs_be_host host;
	struct netfs_node *nodes[NODES];
	struct netfs_handle *handles[HANDLES];
	struct flight flights[FLYING];
	unsigned flying;
} world;

static void on_ready(struct netfs_be_host *host)
{
}

static void on_state(struct netfs_be_host *host, bool connected, const char *text)
{
	if (strlen(text) > 400)
		abort();
}

static void keep_node(struct netfs_node *node)
{
	for (unsigned i = 1; i < NODES; i++) {
		if (!world.nodes[i]) {
			world.nodes[i] = node;
			return;
		}
	}
	netfs_node_put(node);
}

static void keep_handle(struct netfs_handle *handle)
{
	for (unsigned i = 0; i < HANDLES; i++) {
		if (!world.handles[i]) {
			world.handles[i] = handle;
			return;
		}
	}
	netfs_handle_put(handle);
}

static void landed(struct flight *f)
{
	if (!f->busy)
		abort(); /* completed twice */
	f->busy = false;
	world.flying--;
}

static void op_done(struct netfs_op *op, int err)
{
	struct flight *f = netfs_container_of(op, struct flight, op);

	landed(f);
	if (err > 0 || err < -4095)
		abort();
	if (err || !f->keeps)
		return;
	if (op->node)
		keep_node(op->node);
	if (op->handle)
		keep_handle(op->handle);
}

static void slice_done(struct netfs_slice *slice, size_t moved, int err, unsigned flags)
{
	struct flight *f = netfs_container_of(slice, struct flight, slice);

	landed(f);
	if (moved > slice->len || err > 0)
		abort();
}

static bool fill(struct netfs_op *op, const struct netfs_dirent *entry)
{
	if (entry->name_len == 0 || entry->name_len > NETFS_NAME_MAX ||
	    memchr(entry->name, '/', entry->name_len) || memchr(entry->name, 0, entry->name_len))
		abort();
	return true;
}

static struct flight *take_flight(void)
{
	for (unsigned i = 0; i < FLYING; i++) {
		struct flight *f = &world.flights[i];

		if (f->busy)
			continue;
		memset(f, 0, offsetof(struct flight, data));
		f->busy = true;
		f->op.done = op_done;
		f->op.fill = fill;
		world.flying++;
		return f;
	}
	return NULL;
}

/* ------------------------------------------------------- operations */

static void start_slice(struct flight *f, struct netfs_handle *handle, bool is_read, uint8_t size)
{
	size_t len = 1 + (size_t)size * 70;
	ssize_t taken;

	f->is_slice = true;
	f->slice = (struct netfs_slice){.kind = is_read ? NETFS_SLICE_READ : NETFS_SLICE_WRITE,
					.start = (uint64_t)size * 1000,
					.len = len,
					.iov = f->iov,
					.niov = 2,
					.done = slice_done};
	f->iov[0] = (struct iovec){f->data, len / 2};
	f->iov[1] = (struct iovec){f->data + len / 2, len - len / 2};
	taken = is_read ? world.be->ops->read(handle, &f->slice)
			: world.be->ops->write(handle, &f->slice);
	if (taken < 0)
		landed(f);
}

static void start_on_handle(struct flight *f, uint8_t code, struct netfs_handle *handle,
			    uint8_t arg)
{
	const struct netfs_be_ops *ops = world.be->ops;

	f->lock = (struct netfs_lock){.type = arg % 3,
				      .start = arg,
				      .end = arg & 8 ? UINT64_MAX : arg + 10u,
				      .owner = arg};
	switch (code % 6) {
	case 0:
		start_slice(f, handle, true, arg);
		break;
	case 1:
		start_slice(f, handle, false, arg);
		break;
	case 2:
		ops->readdir(handle, arg % 4, &f->op);
		break;
	case 3:
		ops->fsync(handle, arg & 1, &f->op);
		break;
	case 4:
		ops->lock(handle, &f->lock, &f->op);
		break;
	default:
		ops->getlock(handle, &f->lock, &f->op);
	}
}

static void start_on_node(struct flight *f, uint8_t code, struct netfs_node *node, uint8_t arg)
{
	const struct netfs_be_ops *ops = world.be->ops;
	struct netfs_handle *handle = world.handles[arg % HANDLES];

	f->op.buf = f->data;
	f->op.buf_size = arg * 8u;
	f->set = (struct netfs_setattr){.valid = arg, .size = arg};
	switch (code % 8) {
	case 0:
		ops->getattr(node, handle, &f->op);
		break;
	case 1:
		ops->setattr(node, handle, &f->set, &f->op);
		break;
	case 2:
		ops->readlink(node, &f->op);
		break;
	case 3:
		ops->statfs(node, &f->op);
		break;
	case 4:
		ops->getxattr(node, "user.a", &f->op);
		break;
	case 5:
		ops->listxattr(node, &f->op);
		break;
	case 6:
		ops->setxattr(node, "user.a", f->data, arg * 70u, 0, &f->op);
		break;
	default:
		f->keeps = true;
		ops->open(node, arg % 3, &f->op);
	}
}

static void start_on_name(struct flight *f, uint8_t code, struct netfs_node *dir, uint8_t arg)
{
	const struct netfs_be_ops *ops = world.be->ops;
	struct netfs_node *node = world.nodes[arg % NODES];

	f->op.cred.uid = arg & 1 ? 1000 : 0;
	f->keeps = true;
	node = node ? node : world.nodes[0];
	switch (code % 8) {
	case 0:
		ops->lookup(dir, "name", &f->op);
		break;
	case 1:
		ops->create(dir, "new", arg & 2 ? O_RDWR | O_EXCL : O_RDWR, 0644, &f->op);
		break;
	case 2:
		ops->mkdir(dir, "dir", 0755, &f->op);
		break;
	case 3:
		ops->mknod(dir, "fifo", S_IFIFO | 0600, 0, 0, &f->op);
		break;
	case 4:
		ops->symlink(dir, "link", "to/where", &f->op);
		break;
	case 5:
		ops->link(node, dir, "hard", &f->op);
		break;
	case 6:
		if (arg & 1)
			ops->unlink(dir, "name", &f->op);
		else
			ops->rmdir(dir, "dir", &f->op);
		break;
	default:
		ops->rename(node, dir, "name", world.nodes[0], "other", 0, &f->op);
	}
}

static void cancel_one(uint8_t arg)
{
	struct flight *f = &world.flights[arg % FLYING];

	if (f->busy && f->is_slice)
		world.be->ops->slice_cancel(world.be, &f->slice);
	else if (f->busy)
		world.be->ops->op_cancel(world.be, &f->op);
}

/* Gives back what nothing in flight may be using. */
static void drop_one(uint8_t arg)
{
	unsigned i = arg % (NODES + HANDLES);

	if (world.flying > 0)
		return;
	if (i > 0 && i < NODES) {
		netfs_node_put(world.nodes[i]);
		world.nodes[i] = NULL;
	} else if (i >= NODES) {
		netfs_handle_put(world.handles[i - NODES]);
		world.handles[i - NODES] = NULL;
	}
}

static void start_one(uint8_t code, uint8_t arg)
{
	struct netfs_node *node = world.nodes[(arg >> 4) % NODES];
	struct netfs_handle *handle = world.handles[(arg >> 4) % HANDLES];
	struct flight *f;

	if (code % 32 >= 30) {
		cancel_one(arg);
		return;
	}
	if (code % 32 >= 28) {
		drop_one(arg);
		return;
	}
	f = take_flight();
	if (!f)
		return;
	node = node ? node : world.nodes[0];
	if (code % 32 < 8)
		start_on_name(f, code, node, arg);
	else if (code % 32 < 16 || !handle)
		start_on_node(f, code, node, arg);
	else
		start_on_handle(f, code, handle, arg);
}

/* ------------------------------------------------------- one input */

static bool nothing_flies(void *user)
{
	return world.flying == 0;
}

static void settle(void)
{
	if (!netfs_sim_run(nothing_flies, NULL, LIMIT_NS))
		abort(); /* hangs */
}

static bool connect_client(void)
{
	static const struct netfs_source source = {
		.scheme = "9p", .host = "server", .port = "", .path = "/export"};
	static const struct netfs_option options[] = {{"msize", "8192"}, {"timeo", "20"}};
	struct netfs_be_config config = {
		.source = &source, .options = options, .noptions = 2, .timeout_ms = 3000};
	struct flight *f = take_flight();

	world.host = (struct netfs_be_host){.ready = on_ready, .state = on_state};
	f->op.buf = f->data;
	f->op.buf_size = 200;
	netfs_p9_ops.connect(&config, &world.host, &f->op);
	settle();
	world.be = f->op.be;
	world.nodes[0] = f->op.node;
	return world.be != NULL;
}

static void disconnect_client(void)
{
	struct flight *f;

	for (unsigned i = 0; i < HANDLES; i++)
		netfs_handle_put(world.handles[i]);
	for (unsigned i = 0; i < NODES; i++)
		netfs_node_put(world.nodes[i]);
	f = take_flight();
	world.be->ops->disconnect(world.be, &f->op);
	settle();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};
	uint8_t flags = fuzz_byte(&input);
	struct netfs_sim_net net = {.latency_max_ns = 1000,
				    .segment_max = (flags >> 1 & 7) * (flags >> 1 & 7)};

	world.be = NULL;
	world.flying = 0;
	memset(world.nodes, 0, sizeof(world.nodes));
	memset(world.handles, 0, sizeof(world.handles));
	netfs_sim_start(1);
	netfs_sim_set_net(&net);
	netfs_executor_start(1);
	fuzz_server_start(&input, !(flags & 1));
	if (connect_client()) {
		while (input.left > 0) {
			uint8_t code = fuzz_byte(&input);

			start_one(code, fuzz_byte(&input));
			/* Bit 7: something else goes along with it. */
			if (!(code & 0x80))
				settle();
		}
		settle();
		disconnect_client();
	}
	fuzz_server_stop();
	netfs_executor_stop();
	netfs_sim_stop();
	return 0;
}

/* ------------------------------------------------------- without libFuzzer */

#ifdef FUZZ_STANDALONE

#define INPUT_MAX 400
#define CORPUS	  512

static struct {
	uint8_t bytes[INPUT_MAX];
	size_t size;
} corpus[CORPUS];
static unsigned ncorpus;

/* An open file, then four times the operation; the i-th answer of the i-th of
 * them is of that kind, all others are honest. */
static void add_session(unsigned code, unsigned kind)
{
	uint8_t *bytes = corpus[ncorpus].bytes;
	size_t size = 0;

	bytes[size++] = (uint8_t)(code % 4 << 1);
	bytes[size++] = 1;
	bytes[size++] = 2;
	for (unsigned i = 0; i < 4; i++)
		bytes[size++] = FUZZ_HONEST;
	for (unsigned i = 0; i < 4; i++) {
		bytes[size++] = (uint8_t)code;
		bytes[size++] = (uint8_t)(i * 9 + 5);
		for (unsigned k = 0; k < i; k++)
			bytes[size++] = FUZZ_HONEST;
		bytes[size++] = (uint8_t)kind;
		bytes[size++] = 3;
		for (unsigned k = 0; k < 8; k++)
			bytes[size++] = FUZZ_HONEST;
	}
	corpus[ncorpus++].size = size;
}

/* Each operation with each kind of answer, then all of them in a row. */
static void make_corpus(void)
{
	for (unsigned code = 0; code < 31; code++) {
		for (unsigned kind = 0; kind < FUZZ_ANSWERS; kind++)
			add_session(code, kind);
	}
	for (unsigned flags = 0; flags < 16; flags++) {
		uint8_t *bytes = corpus[ncorpus].bytes;
		size_t size = 0;

		bytes[size++] = (uint8_t)flags;
		for (unsigned i = 0; i < 6 && flags & 1; i++)
			bytes[size++] = FUZZ_HONEST;
		for (unsigned code = 0; code < 31; code++) {
			bytes[size++] = (uint8_t)((flags & 4 ? 0x80 : 0) | code);
			bytes[size++] = (uint8_t)(code * 11);
			for (unsigned k = 0; k < 5; k++)
				bytes[size++] = FUZZ_HONEST;
		}
		corpus[ncorpus++].size = size;
	}
}

static void mutate(struct netfs_rng *rng, uint8_t *bytes, size_t *size)
{
	unsigned count = 1 + (unsigned)netfs_rng_below(rng, 6);

	while (count-- > 0) {
		size_t at = netfs_rng_below(rng, *size);

		switch (netfs_rng_below(rng, 6)) {
		case 0:
			bytes[at] = (uint8_t)netfs_rng_u64(rng);
			break;
		case 1:
			bytes[at] ^= (uint8_t)(1u << netfs_rng_below(rng, 8));
			break;
		case 2: /* an answer of some other kind */
			bytes[at] = (uint8_t)netfs_rng_below(rng, FUZZ_ANSWERS);
			break;
		case 3:
			if (*size < INPUT_MAX) {
				memmove(bytes + at + 1, bytes + at, *size - at);
				bytes[at] = (uint8_t)netfs_rng_u64(rng);
				++*size;
			}
			break;
		case 4:
			if (*size > 2) {
				memmove(bytes + at, bytes + at + 1, *size - at - 1);
				--*size;
			}
			break;
		default: /* the end of another session */
			at = netfs_rng_below(rng, ncorpus);
			if (corpus[at].size > *size) {
				memcpy(bytes + *size, corpus[at].bytes + *size,
				       corpus[at].size - *size);
				*size = corpus[at].size;
			}
		}
	}
}

static int run_file(const char *path)
{
	static uint8_t bytes[1 << 16];
	FILE *f = fopen(path, "rb");
	size_t size;

	if (!f) {
		perror(path);
		return 1;
	}
	size = fread(bytes, 1, sizeof(bytes), f);
	fclose(f);
	return LLVMFuzzerTestOneInput(bytes, size);
}

/* Every decoder of a reply must have been reached.  0 where that is so. */
static int report(uint64_t runs, uint64_t seed)
{
	unsigned missing = 0;

	for (unsigned type = 0; type < 256; type++) {
		const struct p9_layout *layout = p9_layout_of((uint8_t)type);

		if (!layout || type % 2 == 0 || fuzz_replies[type] > 0)
			continue;
		printf("fuzz-p9: no %s was ever sent\n", layout->name);
		missing++;
	}
	printf("fuzz-p9: %" PRIu64 " runs with seed %" PRIu64 ", %u types of replies missing\n",
	       runs, seed, missing);
	return runs >= 1000 && missing > 0;
}

int main(int argc, char **argv)
{
	uint64_t runs = 20000, seed = 1;
	struct netfs_rng rng;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--runs") == 0 && i + 1 < argc)
			runs = strtoull(argv[++i], NULL, 0);
		else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
			seed = strtoull(argv[++i], NULL, 0);
		else
			return run_file(argv[i]);
	}
	make_corpus();
	for (unsigned i = 0; i < ncorpus; i++)
		LLVMFuzzerTestOneInput(corpus[i].bytes, corpus[i].size);
	for (uint64_t run = 0; run < runs; run++) {
		uint8_t bytes[INPUT_MAX];
		size_t size;
		unsigned from;

		/* Each run has a seed of its own, so that --runs 1 repeats it. */
		netfs_rng_init(&rng, seed + run);
		from = (unsigned)netfs_rng_below(&rng, ncorpus);
		size = corpus[from].size;
		memcpy(bytes, corpus[from].bytes, size);
		mutate(&rng, bytes, &size);
		if (getenv("FUZZ_TRACE"))
			fprintf(stderr, "run %" PRIu64 "\n", seed + run);
		LLVMFuzzerTestOneInput(bytes, size);
	}
	return report(runs, seed);
}

#endif
