/* SPDX-License-Identifier: MIT */
/*
 * unetfs umount: takes a mount away without losing anything in silence.
 *
 *	plain	the daemon sends what is unsent, we report on it; then umount(2);
 *		then the daemon sends what came in between, and ends
 *	-l	out of the tree now, the daemon goes on until everything is sent
 *	-f	the daemon gives up, says what is lost, and everything is torn down,
 *		with the abort file of the kernel where the daemon does not answer
 *
 * When the program returns with 0, the daemon has ended (with -l: may go on).  A
 * dead mount, whose daemon is gone, is simply taken away.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <unistd.h>
#include <fuse/fuse_front.h>
#include "busy.h"
#include "cli.h"
#include "contact.h"
#include "drain.h"
#include "runtime.h"

/* How long a daemon that was told to give up may take. */
#define FORCE_MS 5000
/* A process that is just ending may keep a mount busy for a moment. */
#define BUSY_TRIES    4
#define BUSY_PAUSE_MS 50

const struct netfs_cli_flag netfs_cli_umount_flags[] = {
	{"-f", "force: give up what is unsent, say how much that was, and always end"},
	{"-l", "lazy: out of the tree now; what is unsent is sent in the background"},
	{"-t SECONDS", "wait no longer than this for unsent data; then it stays mounted"},
	{NULL, NULL},
};

struct umount {
	char path[PATH_MAX];
	struct netfs_mountinfo info;
	struct netfs_cli_contact contact;
	bool in_contact;
	char stale[NETFS_CLI_SOCKET_SIZE]; /* socket of a dead process */
	int pid_fd; /* of the daemon, or -1 */
	struct netfs_cli_drain drain;
	bool force;
};

/* ------------------------------------------------------------- contact */

static void contact(struct umount *umount, const char *request)
{
	struct netfs_cli_record record;

	if (netfs_cli_runtime_find(umount->path, umount->info.minor, &record) < 0)
		return;
	if (netfs_cli_contact_open(record.socket, request, &umount->contact) < 0) {
		memcpy(umount->stale, record.socket, sizeof(umount->stale));
		return;
	}
	umount->in_contact = true;
	umount->pid_fd = pidfd_open(umount->contact.pid, 0);
}

/* Until the daemon has sent everything. */
static int drain(struct umount *umount)
{
	bool dead = false;
	int code = NETFS_CLI_OK;

	contact(umount, "drain");
	if (umount->in_contact)
		code = netfs_cli_drain(&umount->drain, &umount->contact, &dead);
	if (dead)
		umount->in_contact = false; /* so is the mount */
	return code;
}

/* Waits for the process; false: not in time. */
static bool wait_process(struct umount *umount, int timeout_ms)
{
	struct pollfd pollfd = {.fd = umount->pid_fd, .events = POLLIN};

	return umount->pid_fd < 0 || poll(&pollfd, 1, timeout_ms) > 0;
}

static int report_kept(struct umount *umount, const char *line)
{
	unsigned long long left = 0;
	char size[32], reason[256] = "";

	netfs_cli_drain_break(&umount->drain);
	sscanf(line, "kept %llu %255[^\n]", &left, reason);
	netfs_cli_error("%s is unmounted, but %s could not be sent: %s; process %d keeps trying",
			umount->path, netfs_cli_size(size, left), reason, umount->contact.pid);
	return NETFS_CLI_FAILED;
}

static int report_closed(struct umount *umount, const char *line)
{
	unsigned long long lost = 0, kept = 0;
	char size[32];

	sscanf(line, "closed %llu %llu", &lost, &kept);
	if (kept)
		fprintf(stderr,
			"unetfs: %s: %s (%llu bytes) stay in the journal; the next mount of the "
			"share sends them\n",
			umount->path, netfs_cli_size(size, kept), kept);
	if (!lost)
		return NETFS_CLI_OK;
	netfs_cli_drain_break(&umount->drain);
	netfs_cli_error("%s: %s (%llu bytes) were never sent and are lost", umount->path,
			netfs_cli_size(size, lost), lost);
	return NETFS_CLI_FAILED;
}

/* With -f it is not left to linger. */
static int report_lingering(struct umount *umount)
{
	netfs_cli_drain_break(&umount->drain);
	if (umount->force && umount->pid_fd >= 0)
		pidfd_send_signal(umount->pid_fd, SIGKILL, NULL, 0);
	netfs_cli_error("%s is unmounted; process %d %s", umount->path, umount->contact.pid,
			umount->force ? "did not end and was killed" : "has not ended yet");
	return NETFS_CLI_FAILED;
}

/* After the unmount: what the daemon says last. */
static int wait_end(struct umount *umount)
{
	int code = NETFS_CLI_OK;
	char line[512];

	while (umount->in_contact) {
		int n = netfs_cli_contact_line(&umount->contact, line, sizeof(line),
					       netfs_cli_drain_left(&umount->drain));

		if (n == -ETIMEDOUT)
			return report_lingering(umount);
		if (n <= 0)
			break;
		if (strncmp(line, "kept", 4) == 0)
			return report_kept(umount, line);
		if (strncmp(line, "closed", 6) == 0)
			code = report_closed(umount, line);
	}
	wait_process(umount, netfs_cli_drain_left(&umount->drain));
	return code;
}

/* ------------------------------------------------------------ unmounting */

static int report_refusal(struct umount *umount, int err)
{
	char who[512];

	netfs_cli_drain_break(&umount->drain);
	if (err == -EPERM) {
		netfs_cli_error("%s: not permitted to unmount", umount->path);
		return NETFS_CLI_USAGE;
	}
	if (err != -EBUSY)
		netfs_cli_error("%s: cannot unmount: %s", umount->path, strerror(-err));
	else if (netfs_cli_busy(umount->path, who, sizeof(who)))
		netfs_cli_error("%s is busy: in use by %s", umount->path, who);
	else
		netfs_cli_error("%s is busy", umount->path);
	return NETFS_CLI_FAILED;
}

static int umount_plain(struct umount *umount)
{
	int err = 0, code = drain(umount);

	if (code != NETFS_CLI_OK)
		return code;
	for (unsigned i = 0; i < BUSY_TRIES; i++) {
		err = netfs_fuse_unmount(umount->path, 0);
		if (err != -EBUSY)
			break;
		netfs_cli_pause_ms(BUSY_PAUSE_MS);
	}
	if (err < 0)
		return report_refusal(umount, err);
	code = wait_end(umount);
	if (code == NETFS_CLI_OK)
		netfs_cli_drain_end(&umount->drain);
	return code;
}

static int umount_lazy(struct umount *umount)
{
	int err = netfs_fuse_unmount(umount->path, MNT_DETACH);

	return err < 0 ? report_refusal(umount, err) : NETFS_CLI_OK;
}

/* The daemon's answer to "abort", if it gives one in time. */
static void ask_to_give_up(struct umount *umount)
{
	unsigned long long dropped;
	char line[512], size[32];

	contact(umount, "abort");
	if (!umount->in_contact)
		return;
	if (netfs_cli_contact_line(&umount->contact, line, sizeof(line), FORCE_MS) == 1 &&
	    sscanf(line, "dropping %llu", &dropped) == 1)
		fprintf(stderr, "unetfs: %s: giving up %s (%llu bytes) of unsent data\n",
			umount->path, netfs_cli_size(size, dropped), dropped);
}

/* Nothing here waits without a limit: the kernel's abort file ends what the
 * daemon does not, and a daemon that does not end is killed. */
static int umount_force(struct umount *umount)
{
	int code, err;

	ask_to_give_up(umount);
	netfs_fuse_abort(umount->info.minor);
	err = netfs_fuse_unmount(umount->path, MNT_FORCE | MNT_DETACH);
	if (err < 0 && err != -EINVAL)
		return report_refusal(umount, err);
	umount->drain.until = netfs_cli_now_ms() + FORCE_MS;
	code = wait_end(umount);
	if (!wait_process(umount, FORCE_MS))
		code = report_lingering(umount);
	return code;
}

/* ----------------------------------------------------------------- verb */

/* 0 or an exit code, reported. */
static int find_mount(struct umount *umount, const char *dir)
{
	int err = netfs_cli_path(dir, umount->path);

	if (err == 0 && netfs_mountinfo_find(umount->path, &umount->info) < 0 &&
	    !realpath(dir, umount->path))
		err = -errno;
	if (err < 0) {
		netfs_cli_error("%s: %s", dir, strerror(-err));
		return NETFS_CLI_USAGE;
	}
	if (netfs_mountinfo_find(umount->path, &umount->info) < 0) {
		netfs_cli_error("%s is not mounted", umount->path);
		return NETFS_CLI_USAGE;
	}
	if (strcmp(umount->info.type, NETFS_FUSE_TYPE) != 0) {
		netfs_cli_error("%s is not a mount of unetfs but %s", umount->path,
				umount->info.type);
		return NETFS_CLI_USAGE;
	}
	return NETFS_CLI_OK;
}

int netfs_cli_umount(int argc, char **argv)
{
	static struct umount umount = {.pid_fd = -1, .drain.unmounting = true};
	bool lazy = false;
	int opt, code = NETFS_CLI_OK;

	opterr = 0;
	umount.drain.path = umount.path;
	umount.drain.tty = isatty(STDERR_FILENO);
	while ((opt = getopt(argc, argv, "flt:")) != -1 && code == NETFS_CLI_OK) {
		if (opt == 'f')
			umount.force = true;
		else if (opt == 'l')
			lazy = true;
		else if (opt == 't')
			code = netfs_cli_drain_seconds("umount", optarg, &umount.drain.until);
		else
			code = netfs_cli_usage("umount", "flag -%c", optopt);
	}
	if (code == NETFS_CLI_OK && argc - optind != 1)
		code = netfs_cli_usage("umount", "one directory is wanted");
	if (code == NETFS_CLI_OK && umount.force && lazy)
		code = netfs_cli_usage("umount", "-f and -l exclude each other");
	if (code == NETFS_CLI_OK)
		code = find_mount(&umount, argv[optind]);
	if (code != NETFS_CLI_OK)
		return code;
	if (umount.force)
		code = umount_force(&umount);
	else
		code = lazy ? umount_lazy(&umount) : umount_plain(&umount);
	if (code == NETFS_CLI_OK && umount.stale[0])
		netfs_cli_runtime_remove(umount.stale);
	return code;
}
