/* SPDX-License-Identifier: MIT */
/*
 * unetfs-sim: many seeds of the simulated world.
 *
 * Every seed runs in a process of its own, so that one that crashes, hangs or
 * leaks is only a failed seed.  Every 16th is run a second time with the heap
 * laid out differently, and must go the same way, event for event.
 */
#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "progress.h"
#include "shrink.h"

#define JOBS_MAX    64
#define TWICE_EVERY 16
#define LISTED_MAX  1024 /* seeds in a file */

enum long_option {
	OPT_SEED = 256,
	OPT_RUNS,
	OPT_JOBS,
	OPT_FSX,
	OPT_HOSTILE,
	OPT_SEEDS,
	OPT_TRACE,
	OPT_ENCRYPT,
	OPT_PLAIN,
	OPT_SMB,
	OPT_9P,
	OPT_DISK,
	OPT_NO_DISK,
	OPT_QUICK,
	OPT_CALM,
	OPT_KEEP_GOING,
	OPT_NO_SHRINK,
	OPT_OPS_FILE,
	OPT_WITHOUT,
	OPT_DEFECT,
	OPT_PROGRESS,
	OPT_HELP,
};

static const char usage[] =
	"usage: unetfs-sim [options]\n"
	"Runs the client against a simulated server in virtual time, with faults,\n"
	"and compares with a model.  One seed gives one run, always the same.\n"
	"  --seed N        the first seed (default 1)\n"
	"  --runs N        how many seeds from there (default 1)\n"
	"  --fsx N         N operations of the file exerciser instead of the workload\n"
	"  --hostile N     N calls to an SMB server that lies instead\n"
	"  --encrypt       the mounts encrypt content; otherwise one seed in five\n"
	"                  draws that, and none with --fsx\n"
	"  --plain         they do not\n"
	"  --smb           the server speaks SMB; otherwise one seed in four draws that\n"
	"  --9p            it speaks 9P\n"
	"  --disk          the mount has a disk cache; otherwise one seed in four draws\n"
	"                  that, and none with --fsx\n"
	"  --no-disk       it has none\n"
	"  --seeds FILE    runs the seeds listed in FILE first: SEED [quick] [calm]\n"
	"                  [encrypt] [plain] [smb] [9p] [disk] [fsx=N] a line\n"
	"  --quick         shorter runs\n"
	"  --calm          no faults\n"
	"  --defect NAME   the server does something wrong, which must be noticed:\n"
	"                  lost-write, no-flush, double-entry, kept-tail\n"
	"  --trace         every event on standard error\n"
	"  --jobs N        as many seeds at a time (default: 1)\n"
	"  --keep-going    do not stop at the first seed that fails\n"
	"  --progress FILE tells now and then how far it is, keeps that in FILE, and\n"
	"                  goes on from there when it is started again\n"
	"  --no-shrink     do not cut the first failed run down to what it needs\n"
	"  --ops-file FILE replays a run that was cut down\n"
	"  --without KIND  one kind of fault less, as in such a file\n";

struct options {
	struct world_options world;
	uint64_t runs;
	unsigned jobs;
	bool keep_going;
	bool no_shrink;
	const char *seeds;
	const char *progress;
};

#define SHRINK_SECONDS 60
/* A run takes a second or two; with sanitizers on a busy machine a hundred times
 * as long. */
#ifdef __SANITIZE_THREAD__
#define HUNG_SECONDS 3600 /* all is twenty times slower then */
#else
#define HUNG_SECONDS 600
#endif

/* One seed's process. */
struct child {
	pid_t pid; /* 0: free */
	int pipe;
	struct world_options world;
	bool twice; /* is run again when it ends */
	uint64_t digest; /* of the first time, where this is the second */
};

static struct child children[JOBS_MAX];

static void run_in_child(const struct world_options *world, int out, bool disturb)
{
	struct world_result result = {0};

	/* A run that hangs in real time is a failure as well. */
	alarm(HUNG_SECONDS + (unsigned)(world->fsx / 50));
	if (disturb) {
		/* Addresses must not decide anything. */
		for (unsigned i = 1; i < 200; i++) {
			void *junk = malloc(i * 37);

			if (i % 3)
				free(junk);
		}
	}
	world_run(world, &result);
	if (write(out, &result, sizeof(result)) != sizeof(result))
		_exit(3);
	/* Regular exit, for the leak checkers. */
	exit(0);
}

static bool start_child(struct child *child, const struct world_options *world)
{
	int ends[2];

	if (pipe(ends) < 0)
		return false;
	fflush(NULL);
	child->world = *world;
	child->pid = fork();
	if (child->pid == 0) {
		close(ends[0]);
		run_in_child(world, ends[1], child->digest != 0);
	}
	close(ends[1]);
	child->pipe = ends[0];
	if (child->pid > 0)
		return true;
	close(ends[0]);
	child->pid = 0;
	return false;
}

static void print_failed(const struct child *child, const char *why, int value)
{
	const struct world_options *world = &child->world;

	fprintf(stderr, "FAILED: seed %" PRIu64 ": %s %d; unetfs-sim --seed %" PRIu64, world->seed,
		why, value, world->seed);
	if (world->fsx)
		fprintf(stderr, " --fsx %" PRIu64, world->fsx);
	if (world->hostile)
		fprintf(stderr, " --hostile %" PRIu64, world->hostile);
	fprintf(stderr, "%s%s%s%s%s --trace%s%s%s\n", world->quick ? " --quick" : "",
		world->calm ? " --calm" : "",
		world->cipher == CIPHER_ON    ? " --encrypt"
		: world->cipher == CIPHER_OFF ? " --plain"
					      : "",
		server_word(world), cachedisk_word(world),
		cipher_wanted(world) ? " (encrypted)" : "", server_wants_smb(world) ? " (SMB)" : "",
		cachedisk_wanted(world) ? " (disk cache)" : "");
}

/* Adds what child did to the totals.  False where it failed. */
static bool take_result(struct child *child, int status, struct totals *totals)
{
	struct world_result result;
	ssize_t got = read(child->pipe, &result, sizeof(result));

	close(child->pipe);
	if (WIFSIGNALED(status)) {
		print_failed(child, "killed by signal", WTERMSIG(status));
		return false;
	}
	if (WEXITSTATUS(status) || got != sizeof(result)) {
		print_failed(child, "exit code", WEXITSTATUS(status));
		return false;
	}
	if (child->digest && child->digest != result.digest) {
		print_failed(child, "it ran differently the second time; events:", result.events);
		return false;
	}
	totals->sum.steps += result.steps;
	totals->sum.virtual_ns += result.virtual_ns;
	totals->sum.faults += result.faults;
	totals->sum.requests += result.requests;
	totals->sum.from_disk += result.from_disk;
	if (!child->twice)
		return true;
	child->twice = false;
	child->digest = result.digest;
	return start_child(child, &child->world);
}

/* Waits for one child.  False where it failed. */
static bool reap(struct totals *totals)
{
	int status;
	pid_t pid = waitpid(-1, &status, 0);

	for (unsigned i = 0; i < JOBS_MAX; i++) {
		struct child *child = &children[i];
		bool good;

		if (child->pid != pid || pid <= 0)
			continue;
		child->pid = 0;
		good = take_result(child, status, totals);
		if (!good && !totals->failed++)
			totals->first_failed = child->world;
		return good;
	}
	return true;
}

static unsigned running(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < JOBS_MAX; i++)
		count += children[i].pid != 0;
	return count;
}

/* Runs a seed, beside others where there is room.  False: stop. */
static bool run_seed(const struct options *opts, const struct world_options *world,
		     struct totals *totals)
{
	bool good = true;
	unsigned at = 0;

	while (good && running() >= opts->jobs)
		good = reap(totals) || opts->keep_going;
	if (!good)
		return false;
	while (children[at].pid)
		at++;
	children[at].digest = 0;
	children[at].twice = totals->runs % TWICE_EVERY == 0 && !world->trace;
	totals->runs++;
	totals->encrypted += cipher_wanted(world);
	totals->smb += server_wants_smb(world);
	totals->disk += cachedisk_wanted(world);
	if (start_child(&children[at], world))
		return true;
	perror("fork");
	return false;
}

/* One line of the file of seeds: 1, 0 for nothing in it, or -1. */
static int parse_seed(char *line, struct world_options *ret_world)
{
	/* Nearly all were found when there was none. */
	struct world_options world = {.disk = DISK_OFF};
	char *rest, *word = strtok_r(line, " \t\n", &rest);

	if (!word || word[0] == '#')
		return 0;
	world.seed = strtoull(word, NULL, 0);
	while ((word = strtok_r(NULL, " \t\n", &rest))) {
		if (word[0] == '#')
			break;
		if (!strncmp(word, "fsx=", 4))
			world.fsx = strtoull(word + 4, NULL, 0);
		else if (shrink_read_word(word, &world))
			return -1;
	}
	*ret_world = world;
	return 1;
}

/* Reads the file as a whole before the first child is made: they would share
 * its position.  How many there are, or -1. */
static int read_listed(const char *path, struct world_options *ret_worlds)
{
	FILE *file = fopen(path, "r");
	char line[256];
	int count = 0, got = 0;

	if (!file) {
		perror(path);
		return -1;
	}
	while (got >= 0 && count < LISTED_MAX && fgets(line, sizeof(line), file)) {
		got = parse_seed(line, &ret_worlds[count]);
		count += got > 0;
	}
	fclose(file);
	if (got < 0)
		fprintf(stderr, "%s: not a seed: %s\n", path, line);
	return got < 0 ? -1 : count;
}

static bool run_listed(const struct options *opts, struct totals *totals)
{
	static struct world_options worlds[LISTED_MAX];
	int count = read_listed(opts->seeds, worlds);
	bool good = count >= 0;

	if (!good)
		totals->failed++;
	for (int i = 0; good && i < count; i++)
		good = run_seed(opts, &worlds[i], totals);
	return good;
}

static enum server_defect parse_defect(const char *name)
{
	static const char *const names[DEFECT_COUNT] = {
		[DEFECT_NONE] = "none",		  [DEFECT_LOST_WRITE] = "lost-write",
		[DEFECT_NO_FLUSH] = "no-flush",	  [DEFECT_DOUBLE_ENTRY] = "double-entry",
		[DEFECT_KEPT_TAIL] = "kept-tail",
	};

	for (unsigned i = 0; i < DEFECT_COUNT; i++)
		if (!strcmp(names[i], name))
			return i;
	fputs(usage, stderr);
	exit(2);
}

static uint32_t parse_switch(const char *name)
{
	for (unsigned i = 0; i < FAULT_SWITCHES; i++)
		if (!strcmp(faults_switch_name(i), name))
			return 1U << i;
	fputs(usage, stderr);
	exit(2);
}

/* What kind of run: false, it is another option. */
static bool parse_kind(struct world_options *world, int letter)
{
	switch (letter) {
	case OPT_ENCRYPT:
		world->cipher = CIPHER_ON;
		break;
	case OPT_PLAIN:
		world->cipher = CIPHER_OFF;
		break;
	case OPT_SMB:
		world->server = SERVER_SMB;
		break;
	case OPT_9P:
		world->server = SERVER_9P;
		break;
	case OPT_DISK:
		world->disk = DISK_ON;
		break;
	case OPT_NO_DISK:
		world->disk = DISK_OFF;
		break;
	case OPT_QUICK:
		world->quick = true;
		break;
	case OPT_CALM:
		world->calm = true;
		break;
	default:
		return false;
	}
	return true;
}

static void parse_one(struct options *opts, int letter)
{
	if (parse_kind(&opts->world, letter))
		return;
	switch (letter) {
	case OPT_SEED:
		opts->world.seed = strtoull(optarg, NULL, 0);
		break;
	case OPT_RUNS:
		opts->runs = strtoull(optarg, NULL, 0);
		break;
	case OPT_JOBS:
		opts->jobs = strtoul(optarg, NULL, 0);
		break;
	case OPT_FSX:
		opts->world.fsx = strtoull(optarg, NULL, 0);
		break;
	case OPT_HOSTILE:
		opts->world.hostile = strtoull(optarg, NULL, 0);
		opts->world.server = SERVER_SMB;
		opts->world.cipher = CIPHER_OFF;
		opts->no_shrink = true;
		break;
	case OPT_SEEDS:
		opts->seeds = optarg;
		break;
	case OPT_TRACE:
		opts->world.trace = true;
		break;
	case OPT_DEFECT:
		opts->world.defect = parse_defect(optarg);
		break;
	case OPT_PROGRESS:
		opts->progress = optarg;
		break;
	case OPT_NO_SHRINK:
		opts->no_shrink = true;
		break;
	case OPT_OPS_FILE:
		if (shrink_read(optarg, &opts->world))
			exit(2);
		opts->no_shrink = true;
		break;
	case OPT_WITHOUT:
		opts->world.without |= parse_switch(optarg);
		break;
	case OPT_KEEP_GOING:
		opts->keep_going = true;
		break;
	default:
		fputs(usage, letter == OPT_HELP ? stdout : stderr);
		exit(letter == OPT_HELP ? 0 : 2);
	}
}

static void parse(struct options *opts, int argc, char **argv)
{
	static const struct option longs[] = {
		{"seed", required_argument, NULL, OPT_SEED},
		{"runs", required_argument, NULL, OPT_RUNS},
		{"jobs", required_argument, NULL, OPT_JOBS},
		{"fsx", required_argument, NULL, OPT_FSX},
		{"hostile", required_argument, NULL, OPT_HOSTILE},
		{"seeds", required_argument, NULL, OPT_SEEDS},
		{"trace", no_argument, NULL, OPT_TRACE},
		{"encrypt", no_argument, NULL, OPT_ENCRYPT},
		{"plain", no_argument, NULL, OPT_PLAIN},
		{"smb", no_argument, NULL, OPT_SMB},
		{"9p", no_argument, NULL, OPT_9P},
		{"disk", no_argument, NULL, OPT_DISK},
		{"no-disk", no_argument, NULL, OPT_NO_DISK},
		{"quick", no_argument, NULL, OPT_QUICK},
		{"calm", no_argument, NULL, OPT_CALM},
		{"keep-going", no_argument, NULL, OPT_KEEP_GOING},
		{"no-shrink", no_argument, NULL, OPT_NO_SHRINK},
		{"ops-file", required_argument, NULL, OPT_OPS_FILE},
		{"without", required_argument, NULL, OPT_WITHOUT},
		{"progress", required_argument, NULL, OPT_PROGRESS},
		{"defect", required_argument, NULL, OPT_DEFECT},
		{"help", no_argument, NULL, OPT_HELP},
		{0},
	};
	int letter;

	while ((letter = getopt_long(argc, argv, "", longs, NULL)) != -1)
		parse_one(opts, letter);
	if (optind != argc || opts->jobs < 1 || opts->jobs > JOBS_MAX ||
	    (opts->seeds && opts->progress)) {
		fputs(usage, stderr);
		exit(2);
	}
}

/* What was done so far, now and then. */
static bool note_progress(const struct options *opts, struct totals *totals)
{
	bool good = true;

	while (running())
		good &= reap(totals) || opts->keep_going;
	if (good)
		progress_write(opts->progress, opts->world.seed, totals);
	progress_print(totals);
	return good;
}

/* All of the series, or what is left of it. */
static bool run_series(const struct options *opts, struct totals *totals)
{
	uint64_t at = 0;
	bool good = true;

	if (opts->progress)
		at = progress_read(opts->progress, opts->world.seed, totals);
	for (; good && at < opts->runs; at++) {
		struct world_options world = opts->world;

		world.seed += at;
		good = run_seed(opts, &world, totals);
		if (good && opts->progress && (at + 1) % PROGRESS_EVERY == 0)
			good = note_progress(opts, totals);
	}
	while (running())
		good &= reap(totals) || opts->keep_going;
	if (good && opts->progress)
		progress_write(opts->progress, opts->world.seed, totals);
	return good;
}

int main(int argc, char **argv)
{
	struct options opts = {.world = {.seed = 1}, .runs = 1, .jobs = 1};
	struct totals totals = {0};
	bool good = true;

	progress_start();
	/* Giving memory back to the system and taking it again would cost more
	 * than all the rest. */
	mallopt(M_MMAP_THRESHOLD, 1 << 30);
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	parse(&opts, argc, argv);
	if (opts.seeds)
		good = run_listed(&opts, &totals);
	good = good && run_series(&opts, &totals);
	while (running())
		reap(&totals);
	progress_print(&totals);
	if (totals.failed && totals.first_failed.seed && !opts.no_shrink && !opts.world.fsx)
		shrink(&totals.first_failed, SHRINK_SECONDS);
	return totals.failed || !good ? 1 : 0;
}
