/* SPDX-License-Identifier: MIT */
/*
 * unetfs cache replay, and unetfs cache journal: what mounts with writeback=journal had
 * not sent when they died.
 *
 *	replay   sends it, as the next mount would
 *	journal  lists it; with --export also writes it into files of a folder, for when
 *		 it cannot be sent.  It stays in the journal.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <unetfs/journal.h>
#include "cli.h"
#include "daemon.h"
#include "text.h"

#define CHUNK	  (1 << 20)
#define SHOW_MS	  200
#define INDEX	  "index.json"
#define TIME_SIZE 32

struct look {
	struct netfs_journal_look *look;
	const char *export; /* NULL: only a list */
	int dir; /* of it */
	uint8_t *buf; /* CHUNK */
	struct netfs_cli_text text; /* the list as JSON */
	bool json;
	uint64_t files, bytes;
	uint64_t shown_ms;
	bool shown;
};

/* ------------------------------------------------------------ arguments */

/* -o OPTIONS SOURCE, of a mount with a journal. */
static int parse(int argc, char **argv, const struct option *words, struct look *look,
		 char options[NETFS_CLI_OPTIONS_MAX], struct netfs_cli_mount_request *request)
{
	int opt, code = NETFS_CLI_OK;
	char why[256];

	opterr = 0;
	while ((opt = getopt_long(argc, argv, "o:", words, NULL)) != -1 && code == NETFS_CLI_OK) {
		if (opt == 'o')
			code = netfs_cli_options_add(options, optarg) ? NETFS_CLI_OK
								      : NETFS_CLI_USAGE;
		else if (opt == 'j')
			look->json = true;
		else if (opt == 'e')
			look->export = optarg;
		else
			code = netfs_cli_usage("cache", "flag %s", argv[optind - 1]);
	}
	if (code == NETFS_CLI_OK && argc - optind != 1)
		code = netfs_cli_usage("cache", "%s wants the source of a mount", argv[0]);
	if (code == NETFS_CLI_OK && !netfs_cli_options_add(options, "writeback=journal"))
		code = NETFS_CLI_USAGE;
	if (code == NETFS_CLI_OK)
		code = netfs_cli_check_source(argv[optind]);
	if (code == NETFS_CLI_OK && netfs_cli_options_parse(&request->options, options, why) < 0) {
		netfs_cli_error("%s", why);
		code = NETFS_CLI_USAGE;
	}
	if (code == NETFS_CLI_OK)
		snprintf(request->source, sizeof(request->source), "%s", argv[optind]);
	return code;
}

int netfs_cli_replay(int argc, char **argv)
{
	static const struct option none[] = {{0}};
	struct netfs_cli_mount_request *request = netfs_cli_request_new();
	char options[NETFS_CLI_OPTIONS_MAX] = "";
	int code;

	if (!request)
		return NETFS_CLI_SYSTEM;
	code = parse(argc, argv, none, NULL, options, request);
	if (code == NETFS_CLI_OK) {
		request->option_text = options;
		request->foreground = request->verbose = request->replay = true;
		code = netfs_cli_daemon_run(request);
	}
	free(request);
	return code;
}

/* ---------------------------------------------------------------- export */

static void progress(struct look *look)
{
	uint64_t now = netfs_cli_now_ms();
	char size[32];

	if (!isatty(STDERR_FILENO) || now - look->shown_ms < SHOW_MS)
		return;
	look->shown_ms = now;
	look->shown = true;
	fprintf(stderr, "\rexported: %s, %" PRIu64 " files   ", netfs_cli_size(size, look->bytes),
		look->files);
}

static int write_all(int fd, const uint8_t *buf, size_t len, uint64_t at)
{
	while (len) {
		ssize_t n = pwrite(fd, buf, len, (off_t)at);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			buf += n;
			len -= (size_t)n;
			at += (uint64_t)n;
		}
	}
	return 0;
}

static int export_piece(struct look *look, uint64_t piece, int fd)
{
	uint64_t start;
	uint32_t len, at = 0;
	int err = 0;

	netfs_journal_look_piece(look->look, piece, &start, &len);
	while (!err && at < len) {
		size_t n = len - at < CHUNK ? len - at : CHUNK;

		err = netfs_journal_look_read(look->look, piece, at, look->buf, n);
		if (!err)
			err = write_all(fd, look->buf, n, start + at);
		at += (uint32_t)n;
		look->bytes += n;
		progress(look);
	}
	return err;
}

/* The last part of the path behind a number: no path is followed. */
static void export_name(const struct look *look, const char *path, char name[NAME_MAX])
{
	const char *slash = strrchr(path, '/');

	snprintf(name, NAME_MAX, "%06" PRIu64 "-%.200s", look->files, slash ? slash + 1 : path);
}

static int export_file(struct look *look, const struct netfs_journal_kept *kept, const char *name)
{
	int fd =
		openat(look->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int err = fd < 0 ? -errno : 0;

	for (uint64_t i = 0; i < kept->pieces && !err; i++)
		err = export_piece(look, i, fd);
	if (!err && fsync(fd) < 0)
		err = -errno;
	if (fd >= 0)
		close(fd);
	if (err)
		netfs_cli_error("%s: %s: %s", look->export, kept->path, strerror(-err));
	return err;
}

/* ------------------------------------------------------------------ list */

static void say_time(uint64_t ns, char text[TIME_SIZE])
{
	time_t seconds = (time_t)(ns / 1000000000);
	struct tm tm;

	text[0] = 0;
	if (localtime_r(&seconds, &tm))
		strftime(text, TIME_SIZE, "%Y-%m-%d %H:%M:%S", &tm);
}

static void number(struct netfs_cli_text *text, const char *name, uint64_t value)
{
	netfs_cli_json_key(text, name);
	netfs_cli_text_add(text, "%" PRIu64, value);
}

static void add_pieces(struct look *look, const struct netfs_journal_kept *kept)
{
	netfs_cli_json_key(&look->text, "pieces");
	netfs_cli_json_open(&look->text, '[');
	for (uint64_t i = 0; i < kept->pieces; i++) {
		uint64_t start;
		uint32_t len;

		netfs_journal_look_piece(look->look, i, &start, &len);
		netfs_cli_json_next(&look->text);
		netfs_cli_text_add(&look->text, "[%" PRIu64 ",%" PRIu32 "]", start, len);
	}
	netfs_cli_json_close(&look->text, ']');
}

/* name: of the exported file, or NULL. */
static void add_json(struct look *look, const struct netfs_journal_kept *kept, const char *name)
{
	struct netfs_cli_text *text = &look->text;

	netfs_cli_json_next(text);
	netfs_cli_json_open(text, '{');
	netfs_cli_json_key(text, "path");
	netfs_cli_json_string(text, kept->path);
	if (name) {
		netfs_cli_json_key(text, "file");
		netfs_cli_json_string(text, name);
	}
	number(text, "ino", kept->ino);
	number(text, "gen", kept->gen);
	number(text, "bytes", kept->bytes);
	number(text, "written_ns", kept->written_ns);
	netfs_cli_json_key(text, "may_be_sent");
	netfs_cli_text_add(text, "%s", kept->sent ? "true" : "false");
	add_pieces(look, kept);
	netfs_cli_json_close(text, '}');
}

static void print_line(const struct netfs_journal_kept *kept)
{
	char size[32], when[TIME_SIZE];

	say_time(kept->written_ns, when);
	printf("%-19s %12s %8" PRIu64 "  %s  ", when, netfs_cli_size(size, kept->bytes),
	       kept->pieces, kept->sent ? "partly sent" : "unsent     ");
	for (const char *c = kept->path; *c; c++)
		putchar((unsigned char)*c < 0x20 || *c == 0x7f ? '?' : *c);
	putchar('\n');
}

static int each(struct look *look)
{
	struct netfs_journal_kept kept;
	char name[NAME_MAX];
	int code = NETFS_CLI_OK;

	netfs_cli_json_open(&look->text, '{');
	netfs_cli_json_key(&look->text, "files");
	netfs_cli_json_open(&look->text, '[');
	while (netfs_journal_look_next(look->look, &kept)) {
		look->files++;
		export_name(look, kept.path, name);
		if (look->export && export_file(look, &kept, name))
			code = NETFS_CLI_FAILED;
		add_json(look, &kept, look->export ? name : NULL);
		if (!look->json)
			print_line(&kept);
	}
	netfs_cli_json_close(&look->text, ']');
	number(&look->text, "others", netfs_journal_look_others(look->look));
	netfs_cli_json_close(&look->text, '}');
	netfs_cli_text_put(&look->text, "\n", 1);
	if (look->shown)
		fprintf(stderr, "\r%*s\r", 78, "");
	return look->text.failed ? NETFS_CLI_SYSTEM : code;
}

static int write_index(struct look *look)
{
	int fd = openat(look->dir, INDEX, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
			0600);
	int err = fd < 0 ? -errno : 0;

	if (!err)
		err = write_all(fd, (const uint8_t *)look->text.data, look->text.len, 0);
	if (!err && (fsync(fd) < 0 || fsync(look->dir) < 0))
		err = -errno;
	if (fd >= 0)
		close(fd);
	if (err)
		netfs_cli_error("%s/%s: %s", look->export, INDEX, strerror(-err));
	return err ? NETFS_CLI_FAILED : NETFS_CLI_OK;
}

static int show(struct look *look)
{
	uint64_t others = netfs_journal_look_others(look->look);
	int code = each(look);

	if (look->export && code != NETFS_CLI_SYSTEM && write_index(look))
		code = NETFS_CLI_FAILED;
	if (look->json)
		fwrite(look->text.data, look->text.len, 1, stdout);
	else if (!look->files)
		puts("nothing was left");
	if (others)
		netfs_cli_error("%" PRIu64 " more files of the journal's folder are of other "
				"shares, users or keys, or of mounts that are alive",
				others);
	return fflush(stdout) ? NETFS_CLI_SYSTEM : code;
}

static int open_export(struct look *look)
{
	int err = mkdir(look->export, 0700) < 0 && errno != EEXIST ? -errno : 0;

	look->dir = err ? -1 : open(look->export, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (look->dir < 0 && !err)
		err = -errno;
	if (!err && faccessat(look->dir, INDEX, F_OK, 0) == 0)
		err = -EEXIST;
	if (err)
		netfs_cli_error("%s: %s", look->export,
				err == -EEXIST ? "there is an export in it already; say an empty "
						 "folder"
					       : strerror(-err));
	return err ? NETFS_CLI_USAGE : NETFS_CLI_OK;
}

static int look_at(struct look *look, const struct netfs_cli_mount_request *request)
{
	char why[256] = "";
	int err, code;

	err = netfs_journal_look_open(request->source, request->options.rest, geteuid(),
				      &look->look, why, sizeof(why));
	if (why[0] || err)
		netfs_cli_error("%s: %s", request->source, why[0] ? why : strerror(-err));
	if (err)
		return err == -EINVAL ? NETFS_CLI_USAGE : NETFS_CLI_FAILED;
	netfs_cli_text_init(&look->text);
	look->buf = malloc(CHUNK);
	code = look->buf ? NETFS_CLI_OK : NETFS_CLI_SYSTEM;
	if (code == NETFS_CLI_OK && look->export)
		code = open_export(look);
	if (code == NETFS_CLI_OK)
		code = show(look);
	if (look->dir >= 0)
		close(look->dir);
	free(look->buf);
	netfs_cli_text_done(&look->text);
	netfs_journal_look_close(look->look);
	return code;
}

int netfs_cli_journal(int argc, char **argv)
{
	static const struct option words[] = {
		{"json", no_argument, NULL, 'j'}, {"export", required_argument, NULL, 'e'}, {0}};
	struct netfs_cli_mount_request *request = netfs_cli_request_new();
	char options[NETFS_CLI_OPTIONS_MAX] = "";
	struct look look = {.dir = -1};
	int code;

	if (!request)
		return NETFS_CLI_SYSTEM;
	code = parse(argc, argv, words, &look, options, request);
	if (code == NETFS_CLI_OK)
		code = look_at(&look, request);
	free(request);
	return code;
}
