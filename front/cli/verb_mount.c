/* SPDX-License-Identifier: MIT */
/*
 * unetfs mount, and the same as a helper of mount(8).
 *
 * Everything that can be checked without the server is checked first.  Then,
 * unless -f is given, a child becomes the daemon; it writes its errors to our
 * stderr and one byte to a pipe when the mount is ready, so that the parent
 * returns at that moment, or with the child's exit code.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <fuse/fuse_front.h>
#include "cli.h"
#include "daemon.h"
#include "runtime.h"

const struct netfs_cli_flag netfs_cli_mount_flags[] = {
	{"-f", "stay in the foreground; messages go to standard error"},
	{"-v", "say more"},
	{"-o OPTIONS", "comma-separated mount options; may be given several times"},
	{NULL, NULL},
};

static int refuse_mounted(const char *path, const struct netfs_mountinfo *info)
{
	struct stat st;

	if (stat(path, &st) < 0 && errno == ENOTCONN)
		netfs_cli_error("%s holds a mount of %s whose process is dead; unetfs umount %s "
				"takes it away",
				path, info->source, path);
	else
		netfs_cli_error("%s is busy: %s is mounted there", path, info->source);
	return NETFS_CLI_FAILED;
}

/* A directory, not yet a mount of ours. */
static int check_mount_point(const char *dir, char path[PATH_MAX])
{
	struct netfs_mountinfo info;
	struct stat st;
	int err = netfs_cli_path(dir, path);

	if (err == 0 && netfs_mountinfo_find(path, &info) == 0 &&
	    strcmp(info.type, NETFS_FUSE_TYPE) == 0)
		return refuse_mounted(path, &info);
	/* A link to a directory is followed, as mount(8) does. */
	if (err == 0 && !realpath(dir, path))
		err = -errno;
	if (err == 0 && stat(path, &st) < 0)
		err = -errno;
	if (err == 0 && !S_ISDIR(st.st_mode))
		err = -ENOTDIR;
	if (err == 0)
		return NETFS_CLI_OK;
	netfs_cli_error("mount point %s: %s", dir,
			err == -ENOENT ? "no such directory" : strerror(-err));
	return NETFS_CLI_FAILED;
}

/* The same after links were followed: that may lead to a mount as well. */
static int check_again(const char *path)
{
	struct netfs_mountinfo info;

	if (netfs_mountinfo_find(path, &info) < 0 || strcmp(info.type, NETFS_FUSE_TYPE) != 0)
		return NETFS_CLI_OK;
	return refuse_mounted(path, &info);
}

int netfs_cli_check_source(const char *source)
{
	const char *scheme = strstr(source, "://"), *at, *colon;

	if (strlen(source) >= sizeof(((struct netfs_cli_mount_request *)0)->source)) {
		netfs_cli_error("the source is too long");
		return NETFS_CLI_USAGE;
	}
	at = scheme ? strchr(scheme + 3, '@') : NULL;
	colon = scheme ? strchr(scheme + 3, ':') : NULL;
	if (at && colon && colon < at && !memchr(scheme + 3, '/', (size_t)(at - scheme - 3))) {
		netfs_cli_error("no password in a source: every user can read it there; use a "
				"credentials file");
		return NETFS_CLI_USAGE;
	}
	return NETFS_CLI_OK;
}

/* Says no early and clearly where there is no FUSE at all. */
static int check_fuse(void)
{
	if (access("/dev/fuse", F_OK) == 0)
		return NETFS_CLI_OK;
	netfs_cli_error("no /dev/fuse: load the fuse module (modprobe fuse)");
	return NETFS_CLI_FAILED;
}

/* The child: leaves the session and the directory of its parent. */
static void __attribute__((noreturn))
become_daemon(struct netfs_cli_mount_request *request, const int fds[2])
{
	close(fds[0]);
	request->report_fd = fds[1];
	setsid();
	if (chdir("/") < 0)
		_exit(NETFS_CLI_SYSTEM);
	exit(netfs_cli_daemon_run(request));
}

static int wait_ready(pid_t pid, int fd)
{
	int status;
	char code;
	ssize_t n;

	do
		n = read(fd, &code, 1);
	while (n < 0 && errno == EINTR);
	if (n == 1)
		return code;
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return NETFS_CLI_SYSTEM;
	}
	if (WIFEXITED(status) && WEXITSTATUS(status))
		return WEXITSTATUS(status);
	netfs_cli_error("the mount's process died before it was ready");
	return NETFS_CLI_SYSTEM;
}

static int start(struct netfs_cli_mount_request *request)
{
	int fds[2];
	pid_t pid;

	if (request->foreground)
		return netfs_cli_daemon_run(request);
	if (pipe2(fds, O_CLOEXEC) < 0) {
		netfs_cli_error("pipe: %s", strerror(errno));
		return NETFS_CLI_SYSTEM;
	}
	pid = fork();
	if (pid < 0) {
		netfs_cli_error("cannot start a process: %s", strerror(errno));
		return NETFS_CLI_SYSTEM;
	}
	if (pid == 0)
		become_daemon(request, fds);
	close(fds[1]);
	return wait_ready(pid, fds[0]);
}

/* Both ways of calling meet here: what is parsed is checked and done. */
static int mount_checked(struct netfs_cli_mount_request *request, const char *source,
			 const char *dir, const char *options, bool fake)
{
	char why[256];
	int code = netfs_cli_check_source(source);

	if (code == NETFS_CLI_OK && netfs_cli_options_parse(&request->options, options, why) < 0) {
		netfs_cli_error("%s", why);
		code = NETFS_CLI_USAGE;
	}
	if (code == NETFS_CLI_OK)
		code = check_mount_point(dir, request->mount_point);
	if (code == NETFS_CLI_OK)
		code = check_again(request->mount_point);
	if (code == NETFS_CLI_OK)
		code = check_fuse();
	if (code != NETFS_CLI_OK || fake)
		return code;
	snprintf(request->source, sizeof(request->source), "%s", source);
	request->option_text = options;
	return start(request);
}

struct netfs_cli_mount_request *netfs_cli_request_new(void)
{
	struct netfs_cli_mount_request *request = calloc(1, sizeof(*request));

	if (!request) {
		netfs_cli_error("out of memory");
		return NULL;
	}
	request->report_fd = -1;
	netfs_cli_options_init(&request->options, geteuid() == 0);
	return request;
}

bool netfs_cli_options_add(char all[NETFS_CLI_OPTIONS_MAX], const char *more)
{
	size_t n = strlen(all);

	if (n + strlen(more) + 2 > NETFS_CLI_OPTIONS_MAX) {
		netfs_cli_error("the list of options is too long");
		return false;
	}
	snprintf(all + n, NETFS_CLI_OPTIONS_MAX - n, "%s%s", n ? "," : "", more);
	return true;
}

int netfs_cli_mount(int argc, char **argv)
{
	struct netfs_cli_mount_request *request = netfs_cli_request_new();
	char options[NETFS_CLI_OPTIONS_MAX] = "";
	int opt, code = NETFS_CLI_OK;

	if (!request)
		return NETFS_CLI_SYSTEM;
	opterr = 0;
	while ((opt = getopt(argc, argv, "fvo:")) != -1 && code == NETFS_CLI_OK) {
		if (opt == 'f')
			request->foreground = true;
		else if (opt == 'v')
			request->verbose = true;
		else if (opt == 'o')
			code = netfs_cli_options_add(options, optarg) ? NETFS_CLI_OK
								      : NETFS_CLI_USAGE;
		else
			code = netfs_cli_usage("mount", "flag -%c", optopt);
	}
	if (code == NETFS_CLI_OK && argc - optind != 2)
		code = netfs_cli_usage("mount", "a source and a directory are wanted");
	if (code == NETFS_CLI_OK)
		code = mount_checked(request, argv[optind], argv[optind + 1], options, false);
	free(request);
	return code;
}

/* mount.unetfs SPEC DIR [-sfnv] [-N ns] [-o opts] [-t type]; here -f means
 * "do all but the mount". */
int netfs_cli_mount_helper(int argc, char **argv)
{
	struct netfs_cli_mount_request *request = netfs_cli_request_new();
	char options[NETFS_CLI_OPTIONS_MAX] = "";
	int opt, code = NETFS_CLI_OK;
	bool fake = false;

	if (!request)
		return NETFS_CLI_SYSTEM;
	opterr = 0;
	while ((opt = getopt(argc, argv, "sfnvN:o:t:")) != -1 && code == NETFS_CLI_OK) {
		if (opt == 's')
			request->options.sloppy = true;
		else if (opt == 'f')
			fake = true;
		else if (opt == 'v')
			request->verbose = true;
		else if (opt == 'o')
			code = netfs_cli_options_add(options, optarg) ? NETFS_CLI_OK
								      : NETFS_CLI_USAGE;
		else if (opt == '?')
			code = netfs_cli_usage("mount", "flag -%c", optopt);
	}
	if (code == NETFS_CLI_OK && argc - optind != 2)
		code = netfs_cli_usage("mount", "a source and a directory are wanted");
	if (code == NETFS_CLI_OK)
		code = mount_checked(request, argv[optind], argv[optind + 1], options, fake);
	free(request);
	return code;
}
