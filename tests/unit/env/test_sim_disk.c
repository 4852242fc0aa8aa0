/* SPDX-License-Identifier: MIT */
/*
 * Goal: the simulated disk keeps what was synced through every crash, and of
 * what was not keeps, loses, tears and reorders everything in turn.
 * Method: one history on one disk, crashed with many seeds; each outcome that
 * must be possible is counted, each that must not is looked for.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <env/hostfs.h>
#include <env/sim/disk.h>
#include <env/sim/sim.h>
#include <t.h>

#define SECTOR	512
#define CRASHES 600

static struct netfs_sim_disk *disk;

static int setup(void **state)
{
	netfs_sim_start(1);
	/* Of all seeds one that syncs nothing by itself before the test does. */
	disk = netfs_sim_disk_new(3);
	netfs_sim_disk_use(disk);
	return 0;
}

static int teardown(void **state)
{
	netfs_sim_disk_use(NULL);
	netfs_sim_disk_free(disk);
	netfs_sim_stop();
	return 0;
}

static int open_file(const char *name)
{
	int fd = netfs_hostfs_open(AT_FDCWD, name, O_RDWR | O_CREAT, 0600);

	assert_true(fd >= 0);
	return fd;
}

static void put(int fd, char byte, size_t len, uint64_t start)
{
	char bytes[8 * SECTOR];

	memset(bytes, byte, len);
	assert_int_equal(netfs_hostfs_pwrite(fd, bytes, len, start), 0);
}

static void sync_name(const char *folder)
{
	int fd = netfs_hostfs_open(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY, 0);

	assert_int_equal(netfs_hostfs_fsync(fd), 0);
	netfs_hostfs_close(fd);
}

/* What the file has after that crash: its bytes, or -ENOENT. */
static ssize_t after_crash(uint64_t seed, const char *name, char *bytes, size_t size)
{
	struct netfs_sim_disk *crashed = netfs_sim_disk_crashed(disk, seed);
	ssize_t n;
	int fd;

	netfs_sim_disk_use(crashed);
	n = fd = netfs_hostfs_open(AT_FDCWD, name, O_RDWR, 0);
	if (fd >= 0)
		n = netfs_hostfs_pread(fd, bytes, size, 0);
	netfs_hostfs_close(fd);
	netfs_sim_disk_use(disk);
	netfs_sim_disk_free(crashed);
	return n;
}

static void synced_bytes_and_names_survive_every_crash(void **state)
{
	char bytes[4 * SECTOR];
	int fd = open_file("/kept");

	put(fd, 'a', sizeof(bytes), 0);
	assert_int_equal(netfs_hostfs_fsync(fd), 0);
	sync_name("/");
	netfs_hostfs_close(fd);
	for (uint64_t seed = 0; seed < CRASHES; seed++) {
		assert_int_equal(after_crash(seed, "/kept", bytes, sizeof(bytes)), sizeof(bytes));
		for (unsigned i = 0; i < sizeof(bytes); i++)
			assert_int_equal(bytes[i], 'a');
	}
}

static void unsynced_writes_are_kept_lost_torn_and_reordered(void **state)
{
	unsigned kept = 0, lost = 0, torn = 0, reordered = 0;
	char bytes[4 * SECTOR];
	int fd = open_file("/file");

	put(fd, 'a', sizeof(bytes), 0);
	assert_int_equal(netfs_hostfs_fsync(fd), 0);
	sync_name("/");
	put(fd, 'b', 2 * SECTOR, 0);
	put(fd, 'c', 2 * SECTOR, 2 * SECTOR);
	netfs_hostfs_close(fd);
	for (uint64_t seed = 0; seed < CRASHES; seed++) {
		bool first, second;

		assert_int_equal(after_crash(seed, "/file", bytes, sizeof(bytes)), sizeof(bytes));
		for (unsigned i = 0; i < sizeof(bytes); i++) {
			assert_int_equal(bytes[i], bytes[i / SECTOR * SECTOR]);
			assert_true(bytes[i] == 'a' || bytes[i] == (i < 2 * SECTOR ? 'b' : 'c'));
		}
		first = bytes[0] == 'b' && bytes[SECTOR] == 'b';
		second = bytes[2 * SECTOR] == 'c' && bytes[3 * SECTOR] == 'c';
		kept += first && second;
		lost += !memchr(bytes, 'b', sizeof(bytes)) && !memchr(bytes, 'c', sizeof(bytes));
		torn += bytes[0] != bytes[SECTOR];
		reordered += second && !memchr(bytes, 'b', sizeof(bytes));
	}
	assert_true(kept && lost && torn && reordered);
}

static void unsynced_names_come_and_go(void **state)
{
	unsigned made = 0, back = 0;
	char byte;

	netfs_hostfs_close(open_file("/old"));
	sync_name("/");
	assert_int_equal(netfs_hostfs_unlink(AT_FDCWD, "/old", 0), 0);
	netfs_hostfs_close(open_file("/new"));
	assert_int_equal(netfs_hostfs_open(AT_FDCWD, "/old", O_RDWR, 0), -ENOENT);
	for (uint64_t seed = 0; seed < CRASHES; seed++) {
		made += after_crash(seed, "/new", &byte, 1) == 0;
		back += after_crash(seed, "/old", &byte, 1) == 0;
	}
	assert_true(made > 0 && made < CRASHES && back > 0 && back < CRASHES);
}

static void the_same_seed_is_the_same_crash(void **state)
{
	char one[4 * SECTOR], two[4 * SECTOR];
	int fd = open_file("/file");

	for (unsigned i = 0; i < 20; i++)
		put(fd, (char)('a' + i), SECTOR + i, i * 50);
	netfs_hostfs_close(fd);
	for (uint64_t seed = 0; seed < 50; seed++) {
		ssize_t n = after_crash(seed, "/file", one, sizeof(one));

		assert_int_equal(after_crash(seed, "/file", two, sizeof(two)), n);
		assert_memory_equal(one, two, n > 0 ? (size_t)n : 0);
	}
}

static void locks_are_of_the_open_file(void **state)
{
	int one = open_file("/file"), two = open_file("/file");

	assert_int_equal(netfs_hostfs_lock(one, F_RDLCK, 10, 20), 0);
	assert_int_equal(netfs_hostfs_lock(two, F_RDLCK, 15, 30), 0);
	assert_int_equal(netfs_hostfs_lock(two, F_WRLCK, 19, 21), -EAGAIN);
	assert_int_equal(netfs_hostfs_lock(one, F_UNLCK, 12, 20), 0);
	assert_int_equal(netfs_hostfs_lock(two, F_WRLCK, 12, 40), 0);
	assert_int_equal(netfs_hostfs_lock(two, F_WRLCK, 11, 12), -EAGAIN);
	netfs_hostfs_close(one);
	assert_int_equal(netfs_hostfs_lock(two, F_WRLCK, 0, UINT64_MAX), 0);
	netfs_hostfs_close(two);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(synced_bytes_and_names_survive_every_crash, setup,
						teardown),
		cmocka_unit_test_setup_teardown(unsynced_writes_are_kept_lost_torn_and_reordered,
						setup, teardown),
		cmocka_unit_test_setup_teardown(unsynced_names_come_and_go, setup, teardown),
		cmocka_unit_test_setup_teardown(the_same_seed_is_the_same_crash, setup, teardown),
		cmocka_unit_test_setup_teardown(locks_are_of_the_open_file, setup, teardown),
	};

	return t_run(tests, NULL, NULL);
}
