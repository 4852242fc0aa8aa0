/* SPDX-License-Identifier: MIT */
/*
 * Getting into the tree of mounts, and out of it.
 *
 * Root mounts by mount(2) itself, so that each reason of a failure can be told.
 * Others need the set-id helper of libfuse, fusermount3, which also decides
 * what they may do.
 *
 * default_permissions is always on: the kernel checks mode, owner and group for
 * each user, so that nobody profits from what another user was allowed.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "session.h"

#define CONNECTIONS "/sys/fs/fuse/connections"

extern char **environ;

static int device_open(char why[256])
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	int err = errno;

	if (fd >= 0)
		return fd;
	if (err == ENOENT || err == ENODEV || err == ENXIO)
		snprintf(why, 256, "no /dev/fuse: load the fuse module (modprobe fuse)");
	else
		snprintf(why, 256, "cannot open /dev/fuse: %s", strerror(err));
	return -err;
}

static int mount_as_root(const struct netfs_fuse_config *config, char why[256])
{
	char options[256];
	int err, fd = device_open(why);

	if (fd < 0)
		return fd;
	snprintf(options, sizeof(options),
		 "fd=%d,rootmode=40000,user_id=%u,group_id=%u,max_read=%u,default_permissions%s",
		 fd, getuid(), getgid(), NETFS_FUSE_DATA_MAX,
		 config->allow_other ? ",allow_other" : "");
	if (mount(config->source, config->mount_point, "fuse.unetfs", config->mount_flags,
		  options) == 0)
		return fd;
	err = errno;
	close(fd);
	if (err == ENODEV)
		snprintf(why, 256, "the kernel has no FUSE: load the fuse module (modprobe fuse)");
	else
		snprintf(why, 256, "cannot mount on %.180s: %s", config->mount_point,
			 strerror(err));
	return -err;
}

static const struct {
	unsigned long flag;
	const char *word;
} flag_words[] = {
	{MS_RDONLY, ",ro"},	  {MS_NOSUID, ",nosuid"},   {MS_NODEV, ",nodev"},
	{MS_NOEXEC, ",noexec"},	  {MS_NOATIME, ",noatime"}, {MS_SYNCHRONOUS, ",sync"},
	{MS_DIRSYNC, ",dirsync"},
};

/* Options for fusermount3, in which commas of the source are escaped. */
static void helper_options(const struct netfs_fuse_config *config, char *out, size_t size)
{
	size_t used =
		(size_t)snprintf(out, size, "default_permissions,subtype=unetfs,max_read=%u%s",
				 NETFS_FUSE_DATA_MAX, config->allow_other ? ",allow_other" : "");

	for (size_t i = 0; i < sizeof(flag_words) / sizeof(flag_words[0]); i++) {
		if (config->mount_flags & flag_words[i].flag)
			used += (size_t)snprintf(out + used, size - used, "%s", flag_words[i].word);
	}
	used += (size_t)snprintf(out + used, size - used, ",fsname=");
	for (const char *c = config->source; *c && used + 3 < size; c++) {
		if (*c == ',' || *c == '\\')
			out[used++] = '\\';
		out[used++] = *c;
	}
	out[used] = '\0';
}

static int mount_by_helper(struct netfs_fuse_session *session, char why[256])
{
	const struct netfs_fuse_config *config = session->config;
	int fd = device_open(why);

	if (fd < 0)
		return fd;
	close(fd);
	if (fuse_session_mount(session->se, config->mount_point) == 0)
		return 0;
	snprintf(why, 256, "fusermount3 refused to mount on %.180s", config->mount_point);
	return -EPERM;
}

static ssize_t device_read(int fd, void *buf, size_t size, void *user)
{
	return read(fd, buf, size);
}

static ssize_t device_write(int fd, struct iovec *iov, int niov, void *user)
{
	netfs_fuse_passthrough_answer(user, iov, niov);
	return writev(fd, iov, niov);
}

/* Has the session use the device, which it closes at its end. */
static int take_device(struct netfs_fuse_session *session, int fd)
{
	const struct fuse_custom_io io = {.writev = device_write, .read = device_read};
	char path[32];

	/* Only the administrator may give files to the kernel. */
	if (session->config->passthrough) {
		session->pass.possible = true;
		return fuse_session_custom_io(session->se, &io, fd) == 0 ? 0 : -EIO;
	}
	snprintf(path, sizeof(path), "/dev/fd/%d", fd);
	return fuse_session_mount(session->se, path) == 0 ? 0 : -EIO;
}

int netfs_fuse_attach(struct netfs_fuse_session *session, const struct fuse_lowlevel_ops *ops,
		      char why[256])
{
	const struct netfs_fuse_config *config = session->config;
	bool root = geteuid() == 0;
	char options[1024];
	char *argv[] = {(char *)"unetfs", (char *)"-o", options, NULL};
	struct fuse_args args = FUSE_ARGS_INIT(root ? 1 : 3, argv);
	int fd;

	helper_options(config, options, sizeof(options));
	session->se = fuse_session_new(&args, ops, sizeof(*ops), session);
	fuse_opt_free_args(&args);
	if (!session->se) {
		snprintf(why, 256, "cannot start FUSE: out of memory or an option it refused");
		return -ENOMEM;
	}
	if (!root) {
		session->max_read = NETFS_FUSE_DATA_MAX;
		return mount_by_helper(session, why);
	}
	fd = mount_as_root(config, why);
	return fd < 0 ? fd : take_device(session, fd);
}

void netfs_fuse_set_readahead(const struct netfs_fuse_config *config, uint32_t major,
			      uint32_t minor)
{
	char path[64], text[16];
	int fd, n;

	snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb", major, minor);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	n = snprintf(text, sizeof(text), "%u", config->readahead_kb);
	if (write(fd, text, (size_t)n) != n)
		netfs_fuse_log(config, NETFS_LOG_INFO, "read-ahead stays at the kernel's default");
	close(fd);
}

/* Runs fusermount3 -u, quietly. */
static int unmount_by_helper(const char *mount_point, int flags)
{
	const char *argv[] = {"fusermount3", "-q", "-u", flags & MNT_DETACH ? "-z" : "--",
			      mount_point,   NULL};
	int status, err;
	pid_t pid;

	err = posix_spawnp(&pid, argv[0], NULL, NULL, (char **)(uintptr_t)argv, environ);
	if (err)
		return -err;
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EBUSY;
}

int netfs_fuse_unmount(const char *mount_point, int flags)
{
	if (geteuid() != 0)
		return unmount_by_helper(mount_point, flags);
	return umount2(mount_point, flags | UMOUNT_NOFOLLOW) == 0 ? 0 : -errno;
}

int netfs_fuse_abort_open(uint32_t minor)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), CONNECTIONS "/%u/abort", minor);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0 || errno != ENOENT)
		return fd >= 0 ? fd : -errno;
	if (mount("fusectl", CONNECTIONS, "fusectl", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return -errno;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd >= 0 ? fd : -errno;
}

int netfs_fuse_abort(uint32_t minor)
{
	int err = 0, fd = netfs_fuse_abort_open(minor);

	if (fd < 0)
		return fd;
	if (write(fd, "1", 1) != 1)
		err = -errno;
	close(fd);
	return err;
}
