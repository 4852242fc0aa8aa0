/* SPDX-License-Identifier: MIT */
/*
 * unetfs cache: what is in a cache folder, whether it is sound, and less or more
 * of it.
 *
 *	ls      every object: volume, number of the file, bytes, last use
 *	stat    sums, and the disk it is on
 *	check   reads everything, drops what does not fit its checksum or seal
 *	evict   removes everything that no mount has in use
 *	warm    reads files through their mount, so that they are in its cache
 *	pin     the same, and has the cache keep them when it makes room
 *	unpin   it need not any more
 *	replay  sends what is in the journal of a share
 *	journal lists that, or saves it elsewhere
 *
 * For people one line is one thing, and what takes long shows how far it is on
 * a terminal.  With --json the whole is one object.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>
#include <unetfs/cache_folder.h>
#include <fuse/fuse_front.h>
#include "cli.h"
#include "report.h"
#include "selection.h"
#include "text.h"
#include "tree.h"

#define DEFAULT_FOLDER "/var/cache/unetfs"
#define READ_SIZE      (1 << 20)
#define SHOW_MS	       200

/* What one command works on. */
struct work {
	struct netfs_cache_folder *folder;
	const char *path; /* as it was given */
	struct netfs_cli_selection *selection; /* of the files there; NULL: path is a folder */
	const char *file; /* the path of the object at hand; NULL: not known */
	const char *key_file; /* NULL: none was given */
	bool json;
	struct netfs_cli_text text; /* json */
	uint64_t objects, bytes, blocks, bad, busy, sealed, failed;
	uint64_t all_bytes; /* to come, for the line of progress; 0: not known */
	uint64_t shown_ms;
	bool shown;
	const char *pin; /* what warm sets on each file; NULL: nothing */
	bool unread; /* it does not read them */
};

/* ------------------------------------------------------------- progress */

static void progress(struct work *work, const char *what)
{
	uint64_t now = netfs_cli_now_ms();
	char size[32], all[32];

	if (!isatty(STDERR_FILENO) || now - work->shown_ms < SHOW_MS)
		return;
	work->shown_ms = now;
	work->shown = true;
	if (work->all_bytes)
		fprintf(stderr, "\r%s: %s of %s, %u %%   ", what, netfs_cli_size(size, work->bytes),
			netfs_cli_size(all, work->all_bytes),
			(unsigned)(work->bytes * 100 / work->all_bytes));
	else
		fprintf(stderr, "\r%s: %s, %" PRIu64 " files   ", what,
			netfs_cli_size(size, work->bytes), work->objects);
}

static void progress_end(struct work *work)
{
	if (work->shown)
		fprintf(stderr, "\r%*s\r", 78, "");
	work->shown = false;
}

/* --------------------------------------------------------------- output */

static void number(struct work *work, const char *name, uint64_t value)
{
	netfs_cli_json_key(&work->text, name);
	netfs_cli_text_add(&work->text, "%" PRIu64, value);
}

static void text(struct work *work, const char *name, const char *value)
{
	netfs_cli_json_key(&work->text, name);
	netfs_cli_json_string(&work->text, value);
}

static int print(struct work *work, int code)
{
	if (work->json) {
		netfs_cli_text_put(&work->text, "}\n", 2);
		if (work->text.failed || fwrite(work->text.data, work->text.len, 1, stdout) != 1)
			code = NETFS_CLI_SYSTEM;
	}
	netfs_cli_text_done(&work->text);
	return fflush(stdout) ? NETFS_CLI_SYSTEM : code;
}

/* ------------------------------------------------------- every object */

static void show_object(struct work *work, const struct netfs_cache_object *object)
{
	time_t used = (time_t)(object->used_ms / 1000);
	char size[32], when[32] = "";
	struct tm tm;

	if (work->json) {
		netfs_cli_json_next(&work->text);
		netfs_cli_json_open(&work->text, '{');
		text(work, "volume", object->volume);
		if (work->file)
			text(work, "path", work->file);
		number(work, "ino", object->ino);
		number(work, "gen", object->gen);
		number(work, "bytes", object->bytes);
		number(work, "used_ms", object->used_ms);
		netfs_cli_json_key(&work->text, "pinned");
		netfs_cli_text_add(&work->text, "%s", object->pinned ? "true" : "false");
		netfs_cli_json_close(&work->text, '}');
		return;
	}
	if (localtime_r(&used, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	printf("%-19s %12s %20" PRIu64 "  %s%s\n", when, netfs_cli_size(size, object->bytes),
	       object->ino, work->file ? work->file : object->volume,
	       object->pinned ? "  pinned" : "");
}

static void check_object(struct work *work, const struct netfs_cache_object *object)
{
	struct netfs_cache_checked checked;
	int err = netfs_cache_folder_check(work->folder, object, &checked);

	if (err == -EBUSY) {
		work->busy++;
	} else if (err == -ENOKEY) {
		work->sealed++;
	} else if (err) {
		work->failed++;
		netfs_cli_error("%s: file %" PRIu64 " of %s: %s", work->path, object->ino,
				object->volume, strerror(-err));
	}
	work->blocks += checked.blocks;
	work->bad += checked.bad;
	if (checked.bad && !work->json)
		printf("file %" PRIu64 " of %s: %" PRIu64 " of %" PRIu64
		       " blocks were not what was stored, and are dropped\n",
		       object->ino, object->volume, checked.bad, checked.blocks);
	work->bytes += object->bytes;
	progress(work, "checked");
}

static void evict_object(struct work *work, const struct netfs_cache_object *object)
{
	int err = netfs_cache_folder_evict(work->folder, object);

	if (err == -EBUSY)
		work->busy++;
	else if (err)
		work->failed++;
	else
		work->bytes += object->bytes;
	progress(work, "removed");
}

/* 0, or a code that was reported. */
static int each(struct work *work,
		void (*fn)(struct work *work, const struct netfs_cache_object *object))
{
	struct netfs_cache_object object = {0};
	int result;

	while ((result = netfs_cache_folder_next(work->folder, &object)) == 1) {
		if (work->selection &&
		    !netfs_cli_selection_has(work->selection, &object, &work->file))
			continue;
		work->objects++;
		fn(work, &object);
	}
	progress_end(work);
	if (!result)
		return NETFS_CLI_OK;
	netfs_cli_error("%s: %s", work->path, strerror(-result));
	return NETFS_CLI_FAILED;
}

/* ---------------------------------------------------------------- verbs */

static int run_ls(struct work *work)
{
	int code;

	if (work->json) {
		netfs_cli_json_key(&work->text, "objects");
		netfs_cli_json_open(&work->text, '[');
	}
	code = each(work, show_object);
	if (work->json)
		netfs_cli_json_close(&work->text, ']');
	return print(work, code);
}

static void add_object(struct work *work, const struct netfs_cache_object *object)
{
	work->bytes += object->bytes;
}

static int run_stat(struct work *work)
{
	struct netfs_cache_total total;
	int err = netfs_cache_folder_total(work->folder, &total), code = NETFS_CLI_OK;
	char size[32], disk[32], free[32];

	if (err) {
		netfs_cli_error("%s: %s", work->path, strerror(-err));
		return NETFS_CLI_FAILED;
	}
	if (work->selection) {
		code = each(work, add_object);
		total.bytes = work->bytes;
		total.objects = work->objects;
	}
	if (work->json) {
		number(work, "bytes", total.bytes);
		number(work, "objects", total.objects);
		number(work, "disk_bytes", total.disk_bytes);
		number(work, "disk_free", total.disk_free);
	} else {
		printf("%s in %" PRIu64 " files; the disk has %s, %s free\n",
		       netfs_cli_size(size, total.bytes), total.objects,
		       netfs_cli_size(disk, total.disk_bytes),
		       netfs_cli_size(free, total.disk_free));
	}
	return print(work, code);
}

static int run_check(struct work *work)
{
	struct netfs_cache_total total;
	int code;

	if (!work->selection && netfs_cache_folder_total(work->folder, &total) == 0)
		work->all_bytes = total.bytes;
	code = each(work, check_object);
	if (work->json) {
		number(work, "objects", work->objects);
		number(work, "blocks", work->blocks);
		number(work, "bad", work->bad);
		number(work, "in_use", work->busy);
		number(work, "sealed", work->sealed);
	} else {
		printf("%" PRIu64 " blocks of %" PRIu64 " files checked, %" PRIu64
		       " dropped; %" PRIu64 " files in use were left out\n",
		       work->blocks, work->objects, work->bad, work->busy);
		if (work->sealed)
			printf("%" PRIu64 " of the files are sealed, and were not checked: "
			       "that needs --cachekey with their key\n",
			       work->sealed);
	}
	return print(work, work->failed ? NETFS_CLI_FAILED : code);
}

static int run_evict(struct work *work)
{
	char size[32];
	int code = each(work, evict_object);

	if (work->json) {
		number(work, "objects", work->objects - work->busy - work->failed);
		number(work, "bytes", work->bytes);
		number(work, "in_use", work->busy);
	} else {
		printf("%" PRIu64 " files removed, %s; %" PRIu64 " in use stay\n",
		       work->objects - work->busy - work->failed, netfs_cli_size(size, work->bytes),
		       work->busy);
	}
	return print(work, work->failed ? NETFS_CLI_FAILED : code);
}

/* ------------------------------------------------------ warm, pin, unpin */

static void warm_failed(void *user, const char *path)
{
	struct work *work = user;

	work->failed++;
	netfs_cli_error("%s: %s", path, strerror(errno));
}

static bool read_all(struct work *work, int fd)
{
	char *buf = malloc(READ_SIZE);
	ssize_t n = buf ? 0 : -1;

	while (buf && ((n = read(fd, buf, READ_SIZE)) > 0 || (n < 0 && errno == EINTR))) {
		work->bytes += n > 0 ? (uint64_t)n : 0;
		progress(work, "read");
	}
	free(buf);
	return n == 0;
}

static void pin_failed(struct work *work, const char *path)
{
	work->failed++;
	netfs_cli_error("%s: %s", path,
			errno == EOPNOTSUPP ? "its mount has no disk cache; mount with -o fsc"
			: errno == ENOBUFS  ? "another mount has it in the cache"
			: errno == EPERM    ? "only root and the owner of the mount can pin"
					    : strerror(errno));
}

/* The file stays open for it, and what it says is heard before it is closed. */
static void warm_file(void *user, const char *path, const struct stat *st)
{
	struct work *work = user;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0 || (!work->unread && !read_all(work, fd)))
		warm_failed(work, path);
	else if (work->pin && fsetxattr(fd, NETFS_FUSE_PIN, work->pin, 1, 0))
		pin_failed(work, path);
	work->objects++;
	if (fd >= 0)
		close(fd);
}

static int run_warm(struct work *work, char **paths)
{
	const struct netfs_cli_tree tree = {.file = warm_file, .failed = warm_failed, .user = work};
	char size[32];

	for (; *paths; paths++)
		netfs_cli_tree_walk(&tree, *paths);
	progress_end(work);
	if (work->json) {
		number(work, "files", work->objects);
		number(work, "bytes", work->bytes);
		number(work, "failed", work->failed);
	} else {
		printf("%" PRIu64 " files %s, %s\n", work->objects - work->failed,
		       work->unread ? "unpinned"
		       : work->pin  ? "read and pinned"
				    : "read",
		       netfs_cli_size(size, work->bytes));
	}
	return print(work, work->failed ? NETFS_CLI_FAILED : NETFS_CLI_OK);
}

/* ----------------------------------------------------------------- main */

const struct netfs_cli_flag netfs_cli_cache_flags[] = {
	{"ls", "every object, in the order in which they are culled: last use, bytes on the disk, "
	       "the server's number of the file, the share"},
	{"stat", "how much there is, and the disk it is on"},
	{"check", "compares everything with its checksums and drops what does not fit: the server "
		  "is asked for it again"},
	{"evict", "removes everything that no mount has in use"},
	{"warm", "reads files and trees through their mount, so that its cache has them"},
	{"pin", "the same, and its cache keeps them when it makes room, up to half of its space; "
		"for root and the owner of the mount"},
	{"unpin", "it need not keep them any more"},
	{"replay", "sends what mounts with writeback=journal had not sent when they died, as the "
		   "next mount of the share would; takes SOURCE and -o OPTIONS of the mount"},
	{"journal",
	 "lists what is there to be replayed: bytes, pieces, last change and path of each "
	 "file; takes the same, and --export DIR: writes the data into files there, "
	 "each as long as its last piece wants, with index.json to say what is what"},
	{"--cachekey FILE", "with check: the key of sealed objects, which cannot be checked "
			    "without"},
	{"--json", "for programs"},
	{NULL, NULL},
};

/* Where the folder is: what path is, or what the mount has that path is on. */
static int find_folder(struct work *work, char folder[PATH_MAX])
{
	if (netfs_cli_report_is_mount(work->path))
		return netfs_cli_selection_make(work->path, folder, &work->selection);
	if (realpath(work->path, folder))
		return NETFS_CLI_OK;
	netfs_cli_error("%s: %s", work->path, strerror(errno));
	return NETFS_CLI_USAGE;
}

static int run_in(struct work *work, const char *path, int (*run)(struct work *work))
{
	char why[512] = "";
	int err = netfs_cache_folder_open(path, &work->folder, why, sizeof(why)), code;

	if (err) {
		netfs_cli_error("%s", why[0] ? why : strerror(-err));
		return err == -ENOMEM ? NETFS_CLI_SYSTEM : NETFS_CLI_USAGE;
	}
	err = work->key_file
		      ? netfs_cache_folder_key(work->folder, work->key_file, why, sizeof(why))
		      : 0;
	if (err)
		netfs_cli_error("%s", why[0] ? why : strerror(-err));
	code = err ? NETFS_CLI_USAGE : run(work);
	netfs_cache_folder_close(work->folder);
	return code;
}

static int run_on_folder(struct work *work, int (*run)(struct work *work))
{
	char folder[PATH_MAX];
	int code = find_folder(work, folder);

	if (code == NETFS_CLI_OK)
		code = run_in(work, folder, run);
	netfs_cli_selection_free(work->selection);
	return code;
}

/* Does the verb take paths of mounts, and not a folder? */
static bool is_of_paths(struct work *work, const char *verb)
{
	work->unread = strcmp(verb, "unpin") == 0;
	work->pin = work->unread ? "0" : strcmp(verb, "pin") == 0 ? "1" : NULL;
	return work->pin || strcmp(verb, "warm") == 0;
}

int netfs_cli_cache(int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'}, {"cachekey", required_argument, NULL, 'k'}, {0}};
	static const struct {
		const char *name;
		int (*run)(struct work *work);
	} verbs[] = {
		{"ls", run_ls}, {"stat", run_stat}, {"check", run_check}, {"evict", run_evict}};
	struct work work = {.path = DEFAULT_FOLDER};
	int opt;

	if (argc > 1 && strcmp(argv[1], "replay") == 0)
		return netfs_cli_replay(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "journal") == 0)
		return netfs_cli_journal(argc - 1, argv + 1);

	opterr = 0;
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'j')
			work.json = true;
		else if (opt == 'k')
			work.key_file = optarg;
		else
			return netfs_cli_usage("cache", "%s", argv[optind - 1]);
	}
	if (optind == argc)
		return netfs_cli_usage("cache", "what is to be done?");
	if (work.json)
		netfs_cli_json_open(&work.text, '{');
	if (is_of_paths(&work, argv[optind])) {
		if (optind + 1 == argc)
			return netfs_cli_usage("cache", "%s wants files or folders of a mount",
					       argv[optind]);
		return run_warm(&work, argv + optind + 1);
	}
	if (argc - optind > 2)
		return netfs_cli_usage("cache", "one folder or path is wanted");
	if (optind + 1 < argc)
		work.path = argv[optind + 1];
	for (unsigned i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(argv[optind], verbs[i].name) == 0)
			return run_on_folder(&work, verbs[i].run);
	}
	return netfs_cli_usage("cache", "no such word: %s", argv[optind]);
}
