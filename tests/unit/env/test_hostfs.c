/* SPDX-License-Identifier: MIT */
/*
 * Goal: names and attributes of local objects, by name and by descriptor
 * (O_PATH too), without following links in the last place.
 * Method: a small tree in a temporary directory.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <env/hostfs.h>
#include <t.h>

static char *dir;
static int dir_fd;

static int setup(void **state)
{
	int fd;

	dir = t_temp_dir();
	dir_fd = netfs_hostfs_open(AT_FDCWD, dir, O_PATH | O_DIRECTORY, 0);
	if (dir_fd < 0)
		return dir_fd;
	fd = netfs_hostfs_open(dir_fd, "file", O_CREAT | O_RDWR, 0600);
	netfs_hostfs_close(fd);
	return netfs_hostfs_symlink("file", dir_fd, "link");
}

static int teardown(void **state)
{
	netfs_hostfs_close(dir_fd);
	netfs_hostfs_close(-1);
	t_temp_dir_remove(dir);
	return 0;
}

static struct stat stat_of(int fd, const char *name)
{
	struct timespec btime;
	struct stat st;

	assert_int_equal(netfs_hostfs_stat(fd, name, &st, &btime), 0);
	return st;
}

static void attributes_change_by_name_and_by_path_descriptor(void **state)
{
	const struct timespec times[2] = {{.tv_sec = 11, .tv_nsec = 12}, {.tv_sec = 13}};
	int fd = netfs_hostfs_open(dir_fd, "file", O_PATH, 0);
	struct statvfs vfs;

	assert_int_equal(netfs_hostfs_chmod(dir_fd, "file", 0640), 0);
	assert_int_equal(stat_of(fd, "").st_mode, S_IFREG | 0640);
	assert_int_equal(netfs_hostfs_chmod(fd, "", 0600), 0);
	assert_int_equal(stat_of(dir_fd, "file").st_mode, S_IFREG | 0600);
	assert_int_equal(netfs_hostfs_utimens(dir_fd, "file", times), 0);
	assert_int_equal(netfs_hostfs_utimens(fd, "", times), 0);
	assert_int_equal(stat_of(fd, "").st_atim.tv_nsec, 12);
	assert_int_equal(stat_of(fd, "").st_mtim.tv_sec, 13);
	assert_int_equal(netfs_hostfs_chown(fd, "", getuid(), UINT32_MAX), 0);
	assert_int_equal(netfs_hostfs_truncate(fd, 1234), 0);
	assert_int_equal(stat_of(fd, "").st_size, 1234);
	assert_int_equal(netfs_hostfs_truncate(fd, UINT64_MAX), -EFBIG);
	assert_int_equal(netfs_hostfs_statvfs(fd, &vfs), 0);
	assert_true(vfs.f_bsize > 0);
	netfs_hostfs_close(fd);
}

static void links_in_the_last_place_are_not_followed(void **state)
{
	int fd;

	assert_int_equal(netfs_hostfs_open(dir_fd, "link", O_RDONLY, 0), -ELOOP);
	assert_true(S_ISLNK(stat_of(dir_fd, "link").st_mode));
	assert_int_equal(netfs_hostfs_chmod(dir_fd, "link", 0666), -EOPNOTSUPP);
	assert_int_equal(stat_of(dir_fd, "file").st_mode & 0777, 0600);
	fd = netfs_hostfs_open(dir_fd, "link", O_PATH, 0);
	assert_true(fd >= 0);
	assert_int_equal(netfs_hostfs_reopen(fd, O_RDONLY), -ELOOP);
	netfs_hostfs_close(fd);
}

static void names_are_made_moved_and_removed(void **state)
{
	char target[16] = {0};
	int fd;

	assert_int_equal(netfs_hostfs_mkdir(dir_fd, "sub", 0700), 0);
	assert_int_equal(netfs_hostfs_mkdir(dir_fd, "sub", 0700), -EEXIST);
	assert_int_equal(netfs_hostfs_mknod(dir_fd, "pipe", S_IFIFO | 0600, 0), 0);
	assert_int_equal(netfs_hostfs_readlink(dir_fd, "link", target, sizeof(target)), 4);
	assert_string_equal(target, "file");
	assert_int_equal(netfs_hostfs_link(dir_fd, "file", dir_fd, "second"), 0);
	fd = netfs_hostfs_open(dir_fd, "file", O_PATH, 0);
	assert_int_equal(netfs_hostfs_link(fd, "", dir_fd, "third"), 0);
	assert_int_equal(stat_of(fd, "").st_nlink, 3);
	netfs_hostfs_close(fd);
	assert_int_equal(netfs_hostfs_rename(dir_fd, "second", dir_fd, "third", RENAME_NOREPLACE),
			 -EEXIST);
	assert_int_equal(netfs_hostfs_rename(dir_fd, "pipe", dir_fd, "fifo", 0), 0);
	assert_int_equal(netfs_hostfs_unlink(dir_fd, "fifo", 0), 0);
	assert_int_equal(netfs_hostfs_unlink(dir_fd, "second", 0), 0);
	assert_int_equal(netfs_hostfs_unlink(dir_fd, "third", 0), 0);
	assert_int_equal(netfs_hostfs_unlink(dir_fd, "sub", AT_REMOVEDIR), 0);
	assert_int_equal(netfs_hostfs_unlink(dir_fd, "sub", AT_REMOVEDIR), -ENOENT);
}

static void paths_beneath_stay_beneath_at_any_length(void **state)
{
	char name[201];
	char *path = calloc(1, 40 * sizeof(name));
	int fd = netfs_hostfs_reopen(dir_fd, O_RDONLY | O_DIRECTORY);

	memset(name, 'd', 200);
	name[200] = '\0';
	for (unsigned i = 0; i < 30; i++) {
		int next;

		assert_int_equal(netfs_hostfs_mkdir(fd, name, 0700), 0);
		next = netfs_hostfs_open(fd, name, O_PATH | O_DIRECTORY, 0);
		netfs_hostfs_close(fd);
		fd = next;
		strcat(path, i ? "/" : "");
		strcat(path, name);
	}
	netfs_hostfs_close(fd);
	assert_true(strlen(path) > PATH_MAX);
	fd = netfs_hostfs_open_beneath(dir_fd, path, O_PATH);
	assert_true(fd >= 0);
	netfs_hostfs_close(fd);
	strcat(path, "/nothing");
	assert_int_equal(netfs_hostfs_open_beneath(dir_fd, path, O_PATH), -ENOENT);
	assert_int_equal(netfs_hostfs_open_beneath(dir_fd, "..", O_PATH), -EXDEV);
	assert_int_equal(netfs_hostfs_open_beneath(dir_fd, "link", O_RDONLY), -ELOOP);
	fd = netfs_hostfs_open_beneath(dir_fd, "", O_PATH);
	assert_true(fd >= 0);
	netfs_hostfs_close(fd);
	free(path);
}

static void locks_of_two_opens_conflict(void **state)
{
	int a = netfs_hostfs_open(dir_fd, "file", O_RDWR, 0);
	int b = netfs_hostfs_open(dir_fd, "file", O_RDWR, 0);
	short type = F_WRLCK;
	uint64_t start = 0;
	uint64_t end = UINT64_MAX;
	int pid = -1;

	assert_int_equal(netfs_hostfs_lock(a, F_WRLCK, 10, 20), 0);
	assert_int_equal(netfs_hostfs_lock(b, F_RDLCK, 19, UINT64_MAX), -EAGAIN);
	assert_int_equal(netfs_hostfs_lock(b, F_RDLCK, 20, UINT64_MAX), 0);
	assert_int_equal(netfs_hostfs_getlock(b, &type, &start, &end, &pid), 0);
	assert_true(type == F_WRLCK && start == 10 && end == 20 && pid == 0);
	assert_int_equal(netfs_hostfs_lock(a, F_UNLCK, 0, UINT64_MAX), 0);
	type = F_WRLCK;
	assert_int_equal(netfs_hostfs_getlock(b, &type, &start, &end, &pid), 0);
	assert_int_equal(type, F_UNLCK);
	assert_int_equal(netfs_hostfs_lock(b, F_RDLCK, 5, 5), -EINVAL);
	assert_int_equal(netfs_hostfs_flock(a, F_WRLCK), 0);
	assert_int_equal(netfs_hostfs_flock(b, F_RDLCK), -EAGAIN);
	assert_int_equal(netfs_hostfs_flock(a, F_UNLCK), 0);
	assert_int_equal(netfs_hostfs_flock(b, F_RDLCK), 0);
	netfs_hostfs_close(a);
	netfs_hostfs_close(b);
}

static void data_calls_of_files(void **state)
{
	int fd = netfs_hostfs_open(dir_fd, "data", O_CREAT | O_RDWR, 0600);
	int to = netfs_hostfs_open(dir_fd, "copy", O_CREAT | O_RDWR, 0600);
	char buf[8] = {0};
	int n;

	assert_int_equal(write(fd, "contents", 8), 8);
	assert_int_equal(netfs_hostfs_copy_range(fd, 0, to, 4, 8), 8);
	assert_int_equal(pread(to, buf, 8, 4), 8);
	assert_memory_equal(buf, "contents", 8);
	assert_int_equal(netfs_hostfs_clone_range(fd, UINT64_MAX, to, 0, 8), -EFBIG);
	n = netfs_hostfs_clone_range(fd, 0, to, 0, 8);
	assert_true(n == 0 || n == -EOPNOTSUPP || n == -EINVAL);
	assert_int_equal(netfs_hostfs_fallocate(fd, 0, 0, 10000), 0);
	assert_int_equal(stat_of(fd, "").st_size, 10000);
	assert_int_equal(netfs_hostfs_fallocate(fd, 0, UINT64_MAX, 1), -EFBIG);
	assert_int_equal(netfs_hostfs_seek(fd, 0, SEEK_DATA), 0);
	assert_int_equal(netfs_hostfs_seek(fd, 20000, SEEK_DATA), -ENXIO);
	netfs_hostfs_close(fd);
	netfs_hostfs_close(to);
}

static void directories_are_read_and_sought(void **state)
{
	char buf[4096] __attribute__((aligned(8)));
	int fd = netfs_hostfs_reopen(dir_fd, O_RDONLY | O_DIRECTORY);
	ssize_t n = netfs_hostfs_getdents(fd, buf, sizeof(buf));

	assert_true(n > 0);
	while (netfs_hostfs_getdents(fd, buf, sizeof(buf)) > 0)
		;
	assert_int_equal(netfs_hostfs_seekdir(fd, 0), 0);
	assert_int_equal(netfs_hostfs_getdents(fd, buf, sizeof(buf)), n);
	netfs_hostfs_close(fd);
}

static void attributes_with_names(void **state)
{
	int fd = netfs_hostfs_open(dir_fd, "file", O_PATH, 0);
	char value[16] = {0};
	char list[256];
	int err = netfs_hostfs_setxattr(fd, "user.test", "value", 5, 0);

	if (err == -EOPNOTSUPP) {
		netfs_hostfs_close(fd);
		skip();
	}
	assert_int_equal(err, 0);
	assert_int_equal(netfs_hostfs_getxattr(fd, "user.test", value, sizeof(value)), 5);
	assert_string_equal(value, "value");
	assert_true(netfs_hostfs_listxattr(fd, list, sizeof(list)) >= 10);
	assert_int_equal(netfs_hostfs_removexattr(fd, "user.test"), 0);
	assert_int_equal(netfs_hostfs_getxattr(fd, "user.test", value, sizeof(value)), -ENODATA);
	netfs_hostfs_close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attributes_change_by_name_and_by_path_descriptor),
		cmocka_unit_test(links_in_the_last_place_are_not_followed),
		cmocka_unit_test(names_are_made_moved_and_removed),
		cmocka_unit_test(paths_beneath_stay_beneath_at_any_length),
		cmocka_unit_test(locks_of_two_opens_conflict),
		cmocka_unit_test(data_calls_of_files),
		cmocka_unit_test(directories_are_read_and_sought),
		cmocka_unit_test(attributes_with_names),
	};

	return t_run(tests, setup, teardown);
}
