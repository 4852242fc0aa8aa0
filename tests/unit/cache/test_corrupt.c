/* SPDX-License-Identifier: MIT */
/*
 * Goal: whatever somebody does to a cache folder, no wrong byte comes out of it,
 * nothing outside of it is touched, and it can be used again.
 * Method: a folder of this machine with files of two versions each; corruptions
 * drawn from a seed, in batches; after each batch the folder is opened, culled
 * or checked now and then, everything is read through the store and compared,
 * and what was lost is stored again.  Then the same with a sealed folder.
 *
 * CACHE_CORRUPTIONS=n makes so many instead of 10,000.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <base/hash.h>
#include <t.h>
#include "put_block.h"

#define OBJECTS 40
#define BLOCKS	12
#define BATCH	50
#define VOLUME	"9p://server/a"
#define SECRET	"precious bytes of somebody else\n"

static char *top;
static char folder[300], outside[300];
static bool sealed;
static char file_names[OBJECTS][NETFS_STORE_NAME]; /* of their files */
static struct netfs_rng rng;
static uint64_t version[OBJECTS]; /* of each file, at the server */
static uint64_t made, failed, served, spoilt, refused, anew;

static uint64_t draw(uint64_t bound)
{
	return netfs_rng_below(&rng, bound);
}

static void content(uint64_t ino, uint64_t block, uint8_t bytes[NETFS_MAP_BLOCK])
{
	for (unsigned i = 0; i < NETFS_MAP_BLOCK / 8; i++) {
		uint64_t word = netfs_hash_u64s(ino << 32 | version[ino], block, i);

		memcpy(bytes + 8 * i, &word, 8);
	}
}

/* The last block of a file is short. */
static size_t length(uint64_t ino, uint64_t block)
{
	return block == BLOCKS - 1 ? 100 + ino : NETFS_MAP_BLOCK;
}

/* -------------------------------------------------------------- store */

static struct netfs_store *store_open(void)
{
	struct netfs_store *store = NULL;
	char why[400] = "", name[340];
	int err = netfs_store_open(folder, false, &store, why, sizeof(why));

	/* Something else in the place of the catalogue: who uses the folder is
	 * told, and takes it away. */
	for (unsigned i = 0; err == -EPERM && i < 3; i++) {
		static const char *const tails[] = {"", "-wal", "-shm"};

		snprintf(name, sizeof(name), "%s/catalogue%s", folder, tails[i]);
		unlink(name);
		refused++;
		err = netfs_store_open(folder, false, &store, why, sizeof(why));
	}
	if (err)
		print_error("%s\n", why);
	assert_int_equal(err, 0);
	if (sealed)
		assert_int_equal(
			netfs_store_seal(store, (const uint8_t *)PUT_SECRET, PUT_SECRET_LEN), 0);
	return store;
}

/* What is there of it, compared; the rest stored again. */
static int visit(struct netfs_store *store, uint64_t ino)
{
	uint8_t got[NETFS_MAP_BLOCK], want[NETFS_MAP_BLOCK], mark[NETFS_STORE_VERSION] = {0};
	struct netfs_store_object object;
	struct netfs_store_key key;
	int err;

	assert_int_equal(netfs_store_key(store, ino, 7, &key), 0);
	err = netfs_store_name(store, &key, file_names[ino]);
	if (!err)
		err = netfs_store_load(store, &key, &object);
	if (err)
		return err;
	memcpy(mark, &version[ino], sizeof(version[0]));
	/* As a cookie does. */
	if (object.map.blocks && memcmp(mark, object.version, sizeof(mark)) != 0)
		err = netfs_store_clear(store, &object);
	if (!err)
		err = netfs_map_reserve(&object.map, 0, BLOCKS * NETFS_MAP_BLOCK);
	for (uint64_t block = 0; block < BLOCKS && !err; block++) {
		size_t len = length(ino, block);
		ssize_t n = netfs_map_has(&object.map, block)
				    ? netfs_store_read(&object, block, got)
				    : 0;

		content(ino, block, want);
		if (n > 0) {
			assert_int_equal(n, len);
			assert_memory_equal(got, want, len);
			served++;
			continue;
		}
		spoilt += n < 0;
		assert_int_equal(put_block(&object, block, want, len), 0);
	}
	memcpy(object.version, mark, sizeof(mark));
	if (!err)
		err = netfs_store_save(store, &object);
	netfs_store_release(&object);
	return err;
}

/* Everything, in one transaction.  Damage may cost one try: it is mended then. */
static void visit_all(struct netfs_store *store)
{
	int err = -EUCLEAN;
	int64_t volume;

	for (unsigned attempt = 0; attempt < 3 && err; attempt++) {
		anew += attempt > 0;
		err = netfs_store_begin(store);
		if (!err)
			err = netfs_store_volume(store, VOLUME, &volume);
		for (uint64_t ino = 0; ino < OBJECTS && !err; ino++)
			err = visit(store, ino);
		if (netfs_store_end(store) && !err)
			err = -EUCLEAN;
	}
	assert_int_equal(err, 0);
}

/* --------------------------------------------------------- corruptions */

static void path_of(uint64_t ino, char path[400])
{
	snprintf(path, 400, "%s/%s", folder, file_names[ino]);
}

/* Does the path still lead into the folder, to one file with one name, or none?
 * We must not do ourselves what the store is not to do. */
static bool inside(const char *path)
{
	char up[400], real[4096];
	struct stat st;

	snprintf(up, sizeof(up), "%s", path);
	*strrchr(up, '/') = 0;
	if (!realpath(up, real))
		return true;
	if (strncmp(real, folder, strlen(folder)) != 0)
		return false;
	return lstat(path, &st) != 0 || !S_ISREG(st.st_mode) || st.st_nlink == 1;
}

static void flip(const char *path)
{
	int fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
	off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
	uint8_t byte;

	if (size > 0) {
		off_t at = (off_t)draw((uint64_t)size);

		if (pread(fd, &byte, 1, at) == 1) {
			byte ^= (uint8_t)(1U << draw(8));
			assert_int_equal(pwrite(fd, &byte, 1, at), 1);
		}
	}
	if (fd >= 0)
		close(fd);
}

static void scribble(const char *path)
{
	int fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
	off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
	uint64_t rubbish[64];

	for (unsigned i = 0; i < 64; i++)
		rubbish[i] = netfs_rng_u64(&rng);
	if (size > 0 && draw(4) == 0)
		assert_true(ftruncate(fd, (off_t)draw((uint64_t)size)) == 0);
	else if (size > 0)
		assert_true(pwrite(fd, rubbish, sizeof(rubbish), (off_t)draw((uint64_t)size)) > 0);
	if (fd >= 0)
		close(fd);
}

static void resize_file(const char *path)
{
	struct stat st;

	if (lstat(path, &st) == 0 && S_ISREG(st.st_mode))
		assert_int_equal(truncate(path, (off_t)draw(2 * BLOCKS * NETFS_MAP_BLOCK)), 0);
}

static void swap(const char *one, const char *two)
{
	/* Either may be gone already. */
	if (renameat2(AT_FDCWD, one, AT_FDCWD, two, RENAME_EXCHANGE))
		failed++;
}

/* Takes a copy, or puts the one from before back. */
static void old_copy(uint64_t ino, const char *path)
{
	static uint8_t bytes[BLOCKS * NETFS_MAP_BLOCK];
	static ssize_t len;
	static uint64_t of = OBJECTS;
	int fd;

	if (of != ino && draw(2)) {
		fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
		len = fd < 0 ? 0 : read(fd, bytes, sizeof(bytes));
		of = ino;
	} else {
		char back[400];

		path_of(of < OBJECTS ? of : ino, back);
		fd = !inside(back) ? -1 : open(back, O_WRONLY | O_NOFOLLOW | O_NONBLOCK);
		if (fd >= 0 && len > 0)
			assert_int_equal(write(fd, bytes, (size_t)len), len);
	}
	if (fd >= 0)
		close(fd);
}

static void put_in_folder(const char *path)
{
	char name[420];
	int fd;

	snprintf(name, sizeof(name), "%s/x", path);
	fd = open(name, O_CREAT | O_WRONLY, 0600);
	if (fd >= 0)
		close(fd);
}

static void put_in_place(const char *path, unsigned what)
{
	char precious[340], other[400];

	snprintf(precious, sizeof(precious), "%s/precious", outside);
	path_of(draw(OBJECTS), other);
	if (!inside(other))
		return;
	unlink(path);
	/* Any may fail, where an earlier corruption took the folder of the file
	 * away or put a folder in its place. */
	if ((what == 0 && symlink(precious, path)) || (what == 1 && link(precious, path)) ||
	    (what == 2 && mkfifo(path, 0600)) || (what == 3 && link(other, path)) ||
	    (what == 4 && mkdir(path, 0700)))
		failed++;
	else if (what == 4 && draw(2))
		put_in_folder(path);
}

/* The folder of an object, or the one above, becomes a link to the outside. */
static void lead_away(const char *path)
{
	char up[400], aside[500];

	snprintf(up, sizeof(up), "%s", path);
	*strrchr(up, '/') = 0;
	snprintf(aside, sizeof(aside), "%s/aside-%u", top, (unsigned)made);
	if (rename(up, aside) == 0)
		assert_int_equal(symlink(outside, up), 0);
}

static void corrupt_catalogue(void)
{
	static const char *const tails[] = {"", "", "-wal", "-shm"};
	char path[340], precious[340];
	unsigned what = draw(24);

	snprintf(path, sizeof(path), "%s/catalogue%s", folder, tails[draw(4)]);
	snprintf(precious, sizeof(precious), "%s/precious", outside);
	if (!inside(path))
		return;
	if (what < 16)
		flip(path);
	else if (what < 20)
		scribble(path);
	else
		unlink(path);
	if (what == 22)
		assert_int_equal(symlink(precious, path), 0);
	else if (what == 23)
		assert_int_equal(link(precious, path), 0);
}

static void corrupt(void)
{
	uint64_t ino = draw(OBJECTS);
	unsigned what = draw(16);
	char path[400], other[400];

	path_of(ino, path);
	path_of(draw(OBJECTS), other);
	if (!inside(path) || !inside(other))
		return;
	if (what < 4)
		flip(path);
	else if (what == 4)
		resize_file(path);
	else if (what < 7)
		swap(path, other);
	else if (what == 7)
		unlink(path);
	else if (what == 8)
		old_copy(ino, path);
	else if (what == 9 && getuid() == 0)
		failed += lchown(path, 1 + (uid_t)draw(2), 1) != 0;
	else if (what == 10)
		failed += chmod(path, draw(2) ? 0644 : 0000) != 0;
	else if (what < 13)
		put_in_place(path, draw(5));
	else if (what == 13 && draw(8) == 0)
		lead_away(path);
	else
		scribble(path);
	made++;
}

/* ------------------------------------------------------------- outside */

static void outside_is_as_it_was(void)
{
	char path[340], text[100] = "";
	struct dirent *entry;
	unsigned names = 0;
	struct stat st;
	DIR *dir = opendir(outside);
	int fd;

	assert_non_null(dir);
	while ((entry = readdir(dir)))
		names++;
	closedir(dir);
	assert_int_equal(names, 3);
	snprintf(path, sizeof(path), "%s/precious", outside);
	fd = open(path, O_RDONLY);
	assert_int_equal(read(fd, text, sizeof(text)), strlen(SECRET));
	assert_string_equal(text, SECRET);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mtime, 1000000000);
	close(fd);
}

static void make_outside(void)
{
	struct timespec times[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
	char path[340];
	int fd;

	assert_int_equal(mkdir(outside, 0700), 0);
	snprintf(path, sizeof(path), "%s/precious", outside);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_int_equal(write(fd, SECRET, strlen(SECRET)), strlen(SECRET));
	assert_int_equal(futimens(fd, times), 0);
	close(fd);
}

static uint64_t goal_of_all(void)
{
	const char *count = getenv("CACHE_CORRUPTIONS");

	return count ? strtoull(count, NULL, 10) : 10000;
}

/* Culling may be the first to come to a damaged page of the catalogue. */
static void cull_all(struct netfs_store *store)
{
	int err = netfs_store_cull(store, &(struct netfs_store_cull){0}, UINT64_MAX, UINT64_MAX,
				   UINT64_MAX);

	assert_true(err == 0 || err == -EUCLEAN);
}

static void serve_no_wrong_byte(const char *name, uint64_t goal)
{
	struct netfs_store *store;

	made = failed = served = spoilt = refused = anew = 0;
	t_rng(&rng, name);
	top = t_temp_dir();
	snprintf(folder, sizeof(folder), "%s/cache", top);
	snprintf(outside, sizeof(outside), "%s/outside", top);
	make_outside();
	while (made < goal) {
		store = store_open();
		visit_all(store);
		if (draw(8) == 0)
			cull_all(store);
		netfs_store_close(store);
		outside_is_as_it_was();
		for (unsigned i = draw(4); i < 4; i++)
			version[draw(OBJECTS)]++;
		for (uint64_t end = made + BATCH; made < end;)
			corrupt();
		for (unsigned i = draw(4) ? 0 : 1 + draw(3); i > 0; i--) {
			corrupt_catalogue();
			made++;
		}
	}
	store = store_open();
	visit_all(store);
	visit_all(store);
	netfs_store_close(store);
	outside_is_as_it_was();
	printf("%llu corruptions (%llu found nothing there): %llu blocks read, %llu did not fit, "
	       "%llu catalogues refused, "
	       "%llu "
	       "made anew in use\n",
	       (unsigned long long)made, (unsigned long long)failed, (unsigned long long)served,
	       (unsigned long long)spoilt, (unsigned long long)refused, (unsigned long long)anew);
	assert_true(served > made && spoilt > made / 20 && failed < made / 4);
	t_temp_dir_remove(top);
}

static void no_corruption_serves_a_wrong_byte(void **state)
{
	serve_no_wrong_byte("corrupt", goal_of_all() - goal_of_all() / 4);
}

/* Another checksum and another format of the catalogue: a share of them is enough. */
static void nor_does_one_of_a_sealed_folder(void **state)
{
	sealed = true;
	serve_no_wrong_byte("corrupt sealed", goal_of_all() / 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_corruption_serves_a_wrong_byte),
		cmocka_unit_test(nor_does_one_of_a_sealed_folder),
	};

	return t_run(tests, NULL, NULL);
}
