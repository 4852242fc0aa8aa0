/* SPDX-License-Identifier: MIT */
/*
 * Delta debugging of a failed run.
 *
 * A run is a list of operations (ops.h), a set of kinds of fault, and a salt
 * that decides the order of events.  First each kind of fault is left out, then
 * operations, in pieces of a half, a quarter, down to one; what still fails in
 * the same way stays left out.  Since leaving something out shifts the order of
 * all that follows, each try is made with a few salts.
 *
 * Every run is a process of its own with its standard error thrown away; what
 * it did and why it failed comes back through shared memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "shrink.h"

#define SALTS	    3
#define RUN_SECONDS 30

struct shrinking {
	struct world_options best; /* fails; its list is only */
	struct op_list only;
	struct op_report *report; /* shared: of the last run */
	struct op_report *found; /* of the run that best came from */
	char kind[160]; /* of the failure */
	int signal; /* that ended it, 0: none */
	time_t deadline;
	unsigned tries;
};

static void run_child(const struct world_options *options)
{
	struct world_result result;
	int null = open("/dev/null", O_WRONLY);

	dup2(null, STDERR_FILENO);
	alarm(RUN_SECONDS);
	world_run(options, &result);
	_exit(0);
}

/* Runs it; 0 where nothing failed, the signal or -1 where something did. */
static int run(struct shrinking *shrinking, const struct world_options *options)
{
	struct world_options world = *options;
	int status;
	pid_t pid;

	memset(shrinking->report, 0, offsetof(struct op_report, texts));
	world.report = shrinking->report;
	world.trace = false;
	shrinking->tries++;
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		run_child(&world);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return 0;
	if (WIFSIGNALED(status))
		return WTERMSIG(status);
	return WEXITSTATUS(status) ? -1 : 0;
}

static bool same_failure(const struct shrinking *shrinking, int how)
{
	if (how == 0)
		return false;
	if (shrinking->signal)
		return how == shrinking->signal;
	return !strcmp(shrinking->report->kind, shrinking->kind);
}

/* Tries it with a few salts; where one fails the same way, that is the best. */
static bool try(struct shrinking *shrinking, const struct world_options *candidate,
		const struct op_list *only)
{
	for (uint64_t salt = 0; salt < SALTS && time(NULL) < shrinking->deadline; salt++) {
		struct world_options world = *candidate;

		world.only = only;
		world.salt = candidate->salt + salt;
		if (!same_failure(shrinking, run(shrinking, &world)))
			continue;
		shrinking->only = *only;
		shrinking->best = world;
		shrinking->best.only = &shrinking->only;
		memcpy(shrinking->found, shrinking->report, sizeof(*shrinking->found));
		return true;
	}
	return false;
}

static void shrink_faults(struct shrinking *shrinking)
{
	struct world_options world = shrinking->best;
	struct op_list only = shrinking->only;

	world.without = (1U << FAULT_SWITCHES) - 1;
	if (try(shrinking, &world, &only))
		return;
	for (unsigned i = 0; i < FAULT_SWITCHES; i++) {
		world = shrinking->best;
		if (world.without & (1U << i))
			continue;
		world.without |= 1U << i;
		try(shrinking, &world, &only);
	}
}

/* Leaves out pieces of so many operations; true where one was not needed. */
static bool shrink_pieces(struct shrinking *shrinking, unsigned size)
{
	bool less = false;

	for (unsigned at = 0; at < shrinking->only.count;) {
		struct op_list rest = {.count = 0};
		unsigned end = at + size;

		for (unsigned i = 0; i < shrinking->only.count; i++)
			if (i < at || i >= end)
				rest.ids[rest.count++] = shrinking->only.ids[i];
		if (try(shrinking, &shrinking->best, &rest))
			less = true;
		else
			at = end;
	}
	return less;
}

static void shrink_ops(struct shrinking *shrinking)
{
	unsigned size = (shrinking->only.count + 1) / 2;

	while (size && time(NULL) < shrinking->deadline) {
		bool less = shrink_pieces(shrinking, size);

		if (size == 1 && !less)
			break;
		if (size > 1)
			size /= 2;
	}
}

/* ------------------------------------------------------- text of a run */

static void print(const struct shrinking *shrinking, FILE *out)
{
	const struct world_options *best = &shrinking->best;
	const struct op_report *found = shrinking->found;

	fprintf(out, "# %s\nseed %" PRIu64 "\nsalt %" PRIu64 "\n",
		found->what[0] ? found->what : "killed by a signal", best->seed, best->salt);
	if (best->quick)
		fprintf(out, "quick\n");
	if (best->calm)
		fprintf(out, "calm\n");
	fprintf(out, cipher_wanted(best) ? "encrypt\n" : "plain\n");
	fprintf(out, server_wants_smb(best) ? "smb\n" : "9p\n");
	fprintf(out, cachedisk_wanted(best) ? "disk\n" : "no-disk\n");
	if (best->defect)
		fprintf(out, "defect %u\n", best->defect);
	for (unsigned i = 0; i < FAULT_SWITCHES; i++)
		if (best->without & (1U << i))
			fprintf(out, "without %s\n", faults_switch_name(i));
	for (unsigned i = 0; i < found->ops.count; i++)
		fprintf(out, "op %u %u %u\t# %s\n", found->ops.ids[i].stretch,
			found->ops.ids[i].stream, found->ops.ids[i].number, found->texts[i]);
}

static void save(const struct shrinking *shrinking)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "sim-%" PRIu64 ".ops", shrinking->best.seed);
	file = fopen(path, "w");
	if (!file)
		return;
	print(shrinking, file);
	fclose(file);
	fprintf(stderr, "shrunk to %u operations in %u runs; replay: unetfs-sim --ops-file %s\n",
		shrinking->found->ops.count, shrinking->tries, path);
}

static void *shared(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static void shrink_all(struct shrinking *shrinking)
{
	int how = run(shrinking, &shrinking->best);

	if (how == 0) {
		fprintf(stderr, "it does not fail again\n");
		return;
	}
	shrinking->signal = how > 0 ? how : 0;
	strcpy(shrinking->kind, shrinking->report->kind);
	memcpy(shrinking->found, shrinking->report, sizeof(*shrinking->found));
	shrinking->only = shrinking->report->ops;
	/* The list in place of the quota: it must still fail. */
	if (!try(shrinking, &shrinking->best, &shrinking->only)) {
		fprintf(stderr, "it cannot be shrunk\n");
		return;
	}
	shrink_faults(shrinking);
	shrink_ops(shrinking);
	shrink_faults(shrinking);
	print(shrinking, stderr);
	save(shrinking);
}

void shrink(const struct world_options *failed, unsigned seconds)
{
	struct shrinking *shrinking = calloc(1, sizeof(*shrinking));

	if (!shrinking)
		return;
	shrinking->best = *failed;
	shrinking->deadline = time(NULL) + seconds;
	shrinking->report = shared(sizeof(*shrinking->report));
	shrinking->found = calloc(1, sizeof(*shrinking->found));
	if (shrinking->report && shrinking->found)
		shrink_all(shrinking);
	if (shrinking->report)
		munmap(shrinking->report, sizeof(*shrinking->report));
	free(shrinking->found);
	free(shrinking);
}

/* ------------------------------------------------------------- reading */

static int read_switch(const char *name, uint32_t *without)
{
	for (unsigned i = 0; i < FAULT_SWITCHES; i++) {
		if (strcmp(faults_switch_name(i), name))
			continue;
		*without |= 1U << i;
		return 0;
	}
	return -EINVAL;
}

int shrink_read_word(const char *word, struct world_options *world)
{
	if (!strcmp(word, "quick"))
		world->quick = true;
	else if (!strcmp(word, "calm"))
		world->calm = true;
	else if (!strcmp(word, "encrypt"))
		world->cipher = CIPHER_ON;
	else if (!strcmp(word, "plain"))
		world->cipher = CIPHER_OFF;
	else if (!strcmp(word, "smb"))
		world->server = SERVER_SMB;
	else if (!strcmp(word, "9p"))
		world->server = SERVER_9P;
	else if (!strcmp(word, "disk"))
		world->disk = DISK_ON;
	else if (!strcmp(word, "no-disk"))
		world->disk = DISK_OFF;
	else
		return -EINVAL;
	return 0;
}

static int read_line(char *line, struct world_options *world, struct op_list *only)
{
	unsigned stretch, stream, number;
	char name[32];

	line[strcspn(line, "#\n")] = 0;
	if (sscanf(line, "seed %" SCNu64, &world->seed) == 1 ||
	    sscanf(line, "salt %" SCNu64, &world->salt) == 1 ||
	    sscanf(line, "defect %u", &world->defect) == 1)
		return 0;
	if (sscanf(line, "without %31s", name) == 1)
		return read_switch(name, &world->without);
	if (sscanf(line, "op %u %u %u", &stretch, &stream, &number) == 3 && only->count < OPS_MAX) {
		only->ids[only->count++] =
			(struct op_id){(uint8_t)stretch, (uint8_t)stream, (uint16_t)number};
		return 0;
	}
	return line[0] ? shrink_read_word(line, world) : 0;
}

int shrink_read(const char *path, struct world_options *ret_world)
{
	struct op_list *only = calloc(1, sizeof(*only));
	FILE *file = only ? fopen(path, "r") : NULL;
	char line[512];
	int err = 0;

	if (!file) {
		free(only);
		return -errno;
	}
	while (!err && fgets(line, sizeof(line), file))
		err = read_line(line, ret_world, only);
	fclose(file);
	ret_world->only = only;
	if (err)
		fprintf(stderr, "%s: not a line of a run: %s\n", path, line);
	return err;
}
