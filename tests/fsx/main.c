/* SPDX-License-Identifier: MIT */
/*
 * unetfs-fsx: random operations on one file, compared with a byte oracle.
 *
 * The letters are those that file exercisers have used for decades, so that
 * the option sets people know can be typed unchanged.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cache_script.h>
#include "target_lib.h"

enum long_option {
	OPT_REPLAY = 256,
	OPT_RECORD,
	OPT_OPS,
	OPT_CACHE,
	OPT_HANDLES,
	OPT_POLLUTE,
	OPT_DURATION,
	OPT_HELP,
};

struct options {
	struct fsx_gen_config gen;
	struct fsx_run_config run;
	unsigned handles;
	bool cache; /* --ops=lib: with a disk cache that does its worst */
	unsigned flags; /* enum fsx_target_flags */
	const char *file;
	const char *library; /* SOURCE[,options] */
	const char *array; /* NULL, or the defect of an array */
	const char *save_dir;
	const char *replay;
	const char *record; /* "": beside the file */
};

static const char usage[] =
	"usage: unetfs-fsx [options] FILE\n"
	"Does random operations to FILE and compares what it reads with a model.\n"
	"  -b N      number of the first operation that is really done (default 1)\n"
	"  -c P      one operation in P is followed by closing and opening FILE\n"
	"  -d        print every operation;  -D N  from operation N on\n"
	"  -f        fsync and drop cached data after every operation\n"
	"  -i        drop cached clean data after every operation\n"
	"  -k        keep an existing FILE as it is and start from its contents\n"
	"  -l N      largest size of FILE (default 262144)\n"
	"  -m A:B    print operations that touch bytes A to B\n"
	"  -n        do not check the size of FILE\n"
	"  -o N      largest operation (default 65536);  -O  all as large as that\n"
	"  -p N      a line of progress every N operations (default 10000)\n"
	"  -q        print nothing but failures\n"
	"  -r N      reads start and end at multiples of N (default 1)\n"
	"  -s STYLE  1: truncates only take off a little (default 0)\n"
	"  -t N      sizes of truncates are multiples of N (default 1)\n"
	"  -w N      writes start and end at multiples of N (default 1)\n"
	"  -y        open with O_SYNC\n"
	"  -A        reads and writes through POSIX aio (library: struct netfs_io)\n"
	"  -U        reads and writes through io_uring\n"
	"  -Z        O_DIRECT (usually with -R -W -r 4096 -w 4096)\n"
	"  -R  -W    no mapped reads, no mapped writes\n"
	"  -F        no fallocate;  -K  fallocate always keeps the size\n"
	"  -H        no punch_hole;      -z  no zero_range\n"
	"  -C        no collapse_range;  -I  no insert_range\n"
	"  -E        no copy_range and clone_range\n"
	"  -B -J     accepted and without effect: there is no dedupe, no clone\n"
	"  -L        nothing changes the size of FILE (implies -k)\n"
	"  -N N      number of operations (default: for ever, or --duration)\n"
	"  -P DIR    where FILE.fsxgood, .fsxlog and .fsxops go (default: FILE's)\n"
	"  -S SEED   seed (default 1; 0: drawn from the time and printed)\n"
	"  -X        compare the whole file after every operation\n"
	"  --replay-ops=FILE     take operations from FILE\n"
	"  --record-ops[=FILE]   write operations to FILE (default FILE.fsxops)\n"
	"  --ops=lib:SOURCE[,OPTIONS]  run on the library: FILE is a name in the\n"
	"                        root of SOURCE (mem:, dir:/path, 9p://...)\n"
	"  --ops=array[:DEFECT]  run on an array in memory, to test this program\n"
	"  --cache               with --ops=lib: a disk cache that fails, forgets and lags\n"
	"  --handles=N           use N (1 or 2) open handles in turn; with -Z only\n"
	"                        the second is O_DIRECT\n"
	"  --pollute             leave garbage behind the end of the file in memory\n"
	"                        before every operation; it must stay invisible\n"
	"  --duration=SECONDS    stop after this time\n"
	"Operations that FILE's file system refuses are found at the start and left\n"
	"out.  Exit: 0 all right, 1 a difference or failed operation, 2 usage.\n";

static _Noreturn void usage_error(const char *what)
{
	fprintf(stderr, "unetfs-fsx: %s (--help lists the options)\n", what);
	exit(2);
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t value;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || end == text)
		usage_error("not a number");
	switch (*end) {
	case 'k':
	case 'K':
		return value << 10;
	case 'm':
	case 'M':
		return value << 20;
	case 'g':
	case 'G':
		return value << 30;
	case '\0':
		return value;
	default:
		usage_error("not a number");
	}
}

static uint64_t positive(const char *text)
{
	uint64_t value = number(text);

	if (!value)
		usage_error("0 makes no sense here");
	return value;
}

static void forbid(struct options *opts, enum fsx_kind kind)
{
	opts->gen.kinds &= ~(1U << kind);
}

static bool parse_kind(struct options *opts, int letter)
{
	switch (letter) {
	case 'R':
		forbid(opts, FSX_MAPREAD);
		return true;
	case 'W':
		forbid(opts, FSX_MAPWRITE);
		return true;
	case 'F':
		forbid(opts, FSX_FALLOCATE);
		return true;
	case 'H':
		forbid(opts, FSX_PUNCH_HOLE);
		return true;
	case 'z':
		forbid(opts, FSX_ZERO_RANGE);
		return true;
	case 'C':
		forbid(opts, FSX_COLLAPSE_RANGE);
		return true;
	case 'I':
		forbid(opts, FSX_INSERT_RANGE);
		return true;
	case 'E':
		forbid(opts, FSX_COPY_RANGE);
		forbid(opts, FSX_CLONE_RANGE);
		return true;
	case 'B':
	case 'J':
		return true;
	default:
		return false;
	}
}

static bool parse_generator(struct options *opts, int letter)
{
	switch (letter) {
	case 'c':
		opts->gen.close_one_in = positive(optarg);
		return true;
	case 'l':
		opts->gen.file_max = positive(optarg);
		return true;
	case 'o':
		opts->gen.op_max = positive(optarg);
		return true;
	case 'O':
		opts->gen.op_exact = true;
		return true;
	case 'r':
		opts->gen.read_align = positive(optarg);
		return true;
	case 's':
		opts->gen.small_cuts = number(optarg) == 1;
		return true;
	case 't':
		opts->gen.trunc_align = positive(optarg);
		return true;
	case 'w':
		opts->gen.write_align = positive(optarg);
		return true;
	case 'K':
		opts->gen.always_keep_size = true;
		return true;
	case 'L':
		opts->gen.fixed_size = true;
		opts->flags |= FSX_KEEP;
		return true;
	default:
		return false;
	}
}

static void parse_ops(struct options *opts)
{
	if (!strncmp(optarg, "lib:", 4))
		opts->library = optarg + 4;
	else if (!strncmp(optarg, "array", 5))
		opts->array = optarg[5] == ':' ? optarg + 6 : "";
	else
		usage_error("--ops wants lib:SOURCE[,OPTIONS] or array[:DEFECT]");
}

static bool parse_target(struct options *opts, int letter)
{
	switch (letter) {
	case 'k':
		opts->flags |= FSX_KEEP;
		return true;
	case 'y':
		opts->flags |= FSX_SYNC;
		return true;
	case 'A':
		opts->flags |= FSX_AIO;
		return true;
	case 'U':
		opts->flags |= FSX_URING;
		return true;
	case 'Z':
		opts->flags |= FSX_DIRECT;
		return true;
	case 'P':
		opts->save_dir = optarg;
		return true;
	case OPT_OPS:
		parse_ops(opts);
		return true;
	case OPT_CACHE:
		opts->cache = true;
		return true;
	case OPT_HANDLES:
		opts->handles = number(optarg);
		if (opts->handles < 1 || opts->handles > 2)
			usage_error("--handles is 1 or 2");
		return true;
	case OPT_REPLAY:
		opts->replay = optarg;
		return true;
	case OPT_RECORD:
		opts->record = optarg ? optarg : "";
		return true;
	default:
		return false;
	}
}

static void parse_monitor(struct options *opts)
{
	char *colon = strchr(optarg, ':');

	if (!colon)
		usage_error("-m wants FROM:TO");
	opts->run.monitor_to = number(colon + 1);
	*colon = '\0';
	opts->run.monitor_from = number(optarg);
}

static bool parse_run(struct options *opts, int letter)
{
	switch (letter) {
	case 'b':
		opts->run.first = number(optarg);
		return true;
	case 'd':
		opts->run.debug_from = 1;
		return true;
	case 'D':
		opts->run.debug_from = positive(optarg);
		return true;
	case 'f':
		opts->run.flush_one_in = 1;
		return true;
	case 'i':
		opts->run.drop_after = true;
		return true;
	case 'm':
		parse_monitor(opts);
		return true;
	case 'n':
		opts->run.skip_size_check = true;
		return true;
	case 'p':
		opts->run.progress = number(optarg);
		return true;
	case 'q':
		opts->run.quiet = true;
		return true;
	case 'N':
		opts->run.count = number(optarg);
		return true;
	case 'S':
		opts->run.seed = number(optarg);
		return true;
	case 'X':
		opts->run.check_all = true;
		return true;
	case OPT_POLLUTE:
		opts->run.pollute = true;
		return true;
	case OPT_DURATION:
		opts->run.seconds = positive(optarg);
		return true;
	default:
		return false;
	}
}

static void parse(struct options *opts, int argc, char **argv)
{
	static const struct option longs[] = {
		{"replay-ops", required_argument, NULL, OPT_REPLAY},
		{"record-ops", optional_argument, NULL, OPT_RECORD},
		{"ops", required_argument, NULL, OPT_OPS},
		{"cache", no_argument, NULL, OPT_CACHE},
		{"handles", required_argument, NULL, OPT_HANDLES},
		{"pollute", no_argument, NULL, OPT_POLLUTE},
		{"duration", required_argument, NULL, OPT_DURATION},
		{"help", no_argument, NULL, OPT_HELP},
		{0},
	};
	static const char letters[] = "b:c:dfikl:m:no:p:qr:s:t:w:yzABCD:EFHIJKLN:OP:RS:UWXZ";
	int letter;

	while ((letter = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		if (letter == OPT_HELP) {
			fputs(usage, stdout);
			exit(0);
		}
		if (!parse_kind(opts, letter) && !parse_generator(opts, letter) &&
		    !parse_target(opts, letter) && !parse_run(opts, letter))
			usage_error("unknown option");
	}
	if (optind != argc - 1)
		usage_error("exactly one FILE is needed");
	opts->file = argv[optind];
	if (opts->gen.op_max > opts->gen.file_max)
		opts->gen.op_max = opts->gen.file_max;
	if (opts->run.seed == 0)
		opts->run.seed = (uint64_t)time(NULL) * 1000 + (uint64_t)(clock() % 1000) + 1;
}

/* ------------------------------------------------------ the library */

static int wait_for_event(struct netfs_event *event)
{
	netfs_event_wait(event);
	return 0;
}

static void log_line(void *user, int level, const char *line)
{
	if (level <= NETFS_LOG_WARN)
		fprintf(stderr, "%s\n", line);
}

static int mount_open(struct netfs_client *client, const char *source,
		      struct netfs_mount **ret_mount)
{
	char copy[1024];
	char *comma;
	struct netfs_call call;
	int err;

	if (strlen(source) >= sizeof(copy))
		return -ENAMETOOLONG;
	strcpy(copy, source);
	comma = strchr(copy, ',');
	if (comma)
		*comma = '\0';
	netfs_call_init(&call, NULL);
	netfs_mount_open(client, copy, comma ? comma + 1 : "", &call);
	err = netfs_call_wait(&call);
	if (err)
		fprintf(stderr, "%s: %s\n", source,
			call.message[0] ? call.message : strerror(-err));
	else
		*ret_mount = call.mount;
	return err;
}

static int run_library(struct options *opts, struct fsx_run_result *result)
{
	const struct netfs_client_config client_config = {
		.struct_size = sizeof(client_config),
		.memory_max = 4 << 20,
		.log = log_line,
		.cache = opts->cache ? &cache_script_all : NULL,
	};
	struct netfs_client *client;
	struct netfs_mount *mount;
	struct fsx_lib_config config = {.name = opts->file,
					.handles = opts->handles,
					.flags = opts->flags,
					.wait = wait_for_event,
					.seed = opts->run.seed};
	struct fsx_target *target;
	struct netfs_call call;
	int err = netfs_client_new(&client_config, &client), closed;

	if (err)
		return err;
	err = mount_open(client, opts->library, &mount);
	if (err)
		goto out_client;
	config.mount = mount;
	err = fsx_target_lib(&config, &target);
	if (!err) {
		err = fsx_run(target, &opts->gen, &opts->run, result);
		target->ops->free(target);
	}
	netfs_call_init(&call, NULL);
	netfs_mount_close(mount, err ? NETFS_CLOSE_FORCE : 0, &call);
	closed = netfs_call_wait(&call);
	if (closed && !err) {
		fprintf(stderr, "closing the mount: %s\n", strerror(-closed));
		err = closed;
	}
	if (opts->cache && !(opts->flags & FSX_DIRECT) && !atomic_load(&cache_script_writes))
		fprintf(stderr, "the cache was never used\n"), err = -EINVAL;
	/* A mount that could not be closed still belongs to the client. */
	if (closed)
		return err;
out_client:
	netfs_client_free(client);
	return err;
}

static int run_path(struct options *opts, struct fsx_run_result *result)
{
	struct fsx_target *target;
	int err;

	if (opts->array)
		err = fsx_target_array(opts->array, opts->handles, &target);
	else
		err = fsx_target_path(opts->file, opts->handles, opts->flags, &target);
	if (err)
		return err;
	err = fsx_run(target, &opts->gen, &opts->run, result);
	target->ops->free(target);
	return err;
}

/* ------------------------------------------------------------ main */

static FILE *open_or_exit(const char *path, const char *mode)
{
	FILE *file = fopen(path, mode);

	if (!file) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		exit(2);
	}
	return file;
}

/* Where .fsxgood and its siblings go: the directory given and FILE's name. */
static void save_prefix(const struct options *opts, char *buf, size_t size)
{
	const char *base = strrchr(opts->file, '/');

	if (opts->save_dir)
		snprintf(buf, size, "%s/%s", opts->save_dir, base ? base + 1 : opts->file);
	else
		snprintf(buf, size, "%s", opts->file);
}

static void report(const struct options *opts, const struct fsx_run_result *result)
{
	if (opts->run.quiet)
		return;
	for (int i = 0; i < FSX_KINDS; i++)
		if (result->counts[i])
			printf("%s %" PRIu64 "  ", fsx_kind_name(i), result->counts[i]);
	printf("\n%s: %" PRIu64 " operations (%" PRIu64 " left out), every byte as it must be\n",
	       opts->file, result->done, result->skipped);
}

int main(int argc, char **argv)
{
	static struct options opts = {
		.gen = {.kinds = (1U << FSX_KINDS) - 1,
			.file_max = 262144,
			.op_max = 65536,
			.read_align = 1,
			.write_align = 1,
			.trunc_align = 1,
			.block = 4096,
			.past_end = true},
		.run = {.seed = 1, .first = 1, .progress = 10000},
		.handles = 1,
	};
	static char prefix[3072], record[4096];
	struct fsx_run_result result = {0};
	int err;

	setvbuf(stdout, NULL, _IOLBF, 0);
	parse(&opts, argc, argv);
	save_prefix(&opts, prefix, sizeof(prefix));
	opts.run.name = opts.file;
	opts.run.save_prefix = prefix;
	if (opts.replay)
		opts.run.replay = open_or_exit(opts.replay, "r");
	if (opts.record) {
		snprintf(record, sizeof(record), "%s.fsxops", prefix);
		opts.run.record = open_or_exit(opts.record[0] ? opts.record : record, "w");
	}
	if (!opts.run.quiet)
		printf("%s: seed %" PRIu64 "\n", opts.file, opts.run.seed);
	err = opts.library ? run_library(&opts, &result) : run_path(&opts, &result);
	if (opts.run.replay)
		fclose(opts.run.replay);
	if (opts.run.record && fclose(opts.run.record) && !err)
		err = -errno;
	if (err) {
		fprintf(stderr, "%s: %s\n", opts.file, strerror(-err));
		return 1;
	}
	report(&opts, &result);
	return 0;
}
