/* SPDX-License-Identifier: MIT */
/*
 * When a FUSE daemon dies, its connection ends with the last descriptor of
 * /dev/fuse.  That may be never: a thread that waits in the kernel for a page
 * of the very mount it serves cannot be killed and keeps the descriptor, and all
 * who use the mount hang with it.  So a second process holds the way out open:
 * the abort file of the connection.
 *
 * The guard learns of the daemon's end in three ways, because none sees all
 * cases: a message "done" (all is well), the end of the process (pidfd), and
 * the death of its main thread while another one is stuck (the parent-death
 * signal, which is sent for the thread that made the guard).  Unless all is
 * well it aborts the connection, takes the mount out of the tree, and removes
 * the daemon's socket.
 *
 * The guard is forked before the daemon has threads, is in a session of its own
 * and ignores what ends others, so that it outlives the daemon.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <fuse/fuse_front.h>
#include "runtime.h"
#include "supervisor.h"

enum message_kind {
	MESSAGE_MOUNTED,
	MESSAGE_DONE,
};

struct message {
	enum message_kind kind;
	uint32_t minor;
	char socket[NETFS_CLI_SOCKET_SIZE];
};

/* What the guard knows. */
struct guard {
	const char *mount_point;
	int line_fd;
	int pid_fd;
	int signal_fd;
	int abort_fd; /* negative: not open */
	bool mounted;
	bool done;
	struct message mount;
};

static void take_message(struct guard *guard)
{
	struct message message;
	ssize_t n = recv(guard->line_fd, &message, sizeof(message), MSG_DONTWAIT);

	if (n != (ssize_t)sizeof(message)) {
		/* The daemon is gone; the descriptor says no more. */
		if (n == 0)
			guard->line_fd = -1;
		return;
	}
	if (message.kind == MESSAGE_DONE) {
		guard->done = true;
		return;
	}
	guard->mount = message;
	guard->mounted = true;
	guard->abort_fd = netfs_fuse_abort_open(message.minor);
}

/* Until the daemon is done, or dead. */
static void watch(struct guard *guard)
{
	bool dead = false;

	while (!guard->done && !dead) {
		struct pollfd fds[3] = {
			{.fd = guard->line_fd, .events = POLLIN},
			{.fd = guard->pid_fd, .events = POLLIN},
			{.fd = guard->signal_fd, .events = POLLIN},
		};

		if (poll(fds, 3, -1) < 0)
			continue;
		dead = fds[1].revents || fds[2].revents;
		if (fds[0].revents)
			take_message(guard);
	}
	/* What it said last counts, whatever was seen first. */
	while (dead && !guard->done && guard->line_fd >= 0) {
		bool before = guard->mounted;

		take_message(guard);
		if (guard->mounted == before)
			break;
	}
}

/* The daemon died: frees everybody.  The mount point is looked up in the
 * kernel's list, because there might be another mount on it by now. */
static void clean_up(struct guard *guard)
{
	struct netfs_mountinfo info;

	if (guard->abort_fd >= 0 && write(guard->abort_fd, "1", 1) != 1)
		netfs_fuse_abort(guard->mount.minor);
	if (netfs_mountinfo_find(guard->mount_point, &info) == 0 &&
	    strcmp(info.type, NETFS_FUSE_TYPE) == 0 &&
	    (!guard->mounted || info.minor == guard->mount.minor)) {
		if (guard->abort_fd < 0)
			netfs_fuse_abort(info.minor);
		netfs_fuse_unmount(guard->mount_point, MNT_DETACH);
	}
	if (guard->mounted && guard->mount.socket[0])
		netfs_cli_runtime_remove(guard->mount.socket);
}

/* Keeps only the line, and a null device as standard descriptors. */
static int settle(int line_fd)
{
	int null = open("/dev/null", O_RDWR);

	if (line_fd != 3 && dup2(line_fd, 3) < 0)
		return -errno;
	for (int fd = 0; fd < 3 && null >= 0; fd++)
		dup2(null, fd);
	close_range(4, ~0U, 0);
	setsid();
	if (chdir("/") < 0)
		return -errno;
	prctl(PR_SET_NAME, "unetfs-guard");
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	return 3;
}

static void __attribute__((noreturn)) guard_main(const char *mount_point, int line_fd, pid_t daemon)
{
	struct guard guard = {.mount_point = mount_point, .abort_fd = -1};
	sigset_t set;

	guard.line_fd = settle(line_fd);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_SETMASK, &set, NULL);
	guard.signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	prctl(PR_SET_PDEATHSIG, SIGUSR1);
	guard.pid_fd = pidfd_open(daemon, 0);
	if (guard.pid_fd >= 0 && getppid() == daemon)
		watch(&guard);
	if (!guard.done)
		clean_up(&guard);
	_exit(0);
}

int netfs_cli_supervisor_start(const char *mount_point, struct netfs_cli_supervisor *ret)
{
	pid_t pid, self = getpid();
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	pid = fork();
	if (pid < 0) {
		int err = -errno;

		close(fds[0]);
		close(fds[1]);
		return err;
	}
	if (pid == 0)
		guard_main(mount_point, fds[1], self);
	close(fds[1]);
	ret->fd = fds[0];
	ret->pid = pid;
	return 0;
}

static void tell(struct netfs_cli_supervisor *supervisor, const struct message *message)
{
	while (send(supervisor->fd, message, sizeof(*message), MSG_NOSIGNAL) < 0 && errno == EINTR)
		continue;
}

void netfs_cli_supervisor_mounted(struct netfs_cli_supervisor *supervisor, uint32_t minor,
				  const char *socket)
{
	struct message message = {.kind = MESSAGE_MOUNTED, .minor = minor};

	snprintf(message.socket, sizeof(message.socket), "%s", socket);
	tell(supervisor, &message);
}

void netfs_cli_supervisor_done(struct netfs_cli_supervisor *supervisor)
{
	struct message message = {.kind = MESSAGE_DONE};
	int status;

	tell(supervisor, &message);
	close(supervisor->fd);
	while (waitpid(supervisor->pid, &status, 0) < 0 && errno == EINTR)
		continue;
}
