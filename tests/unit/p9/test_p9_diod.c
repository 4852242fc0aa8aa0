/* SPDX-License-Identifier: MIT */
/*
 * Goal: the 9P back end does what backend.h says on a real server, also when
 * the server is killed under it.  Method: each test starts a diod of its own on
 * a unix socket and goes through the operations table; results are compared
 * with what is in the exported folder itself.
 */
#include "p9_t.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <backend/backends.h>
#include <contract.h>
#include <env/executor.h>

static int setup(void **state)
{
	struct server *s = calloc(1, sizeof(*s));

	s->hard = true;
	server_up(s);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	server_down(*state);
	free(*state);
	return 0;
}

static void *pattern(size_t size, unsigned seed)
{
	unsigned char *buf = malloc(size);

	for (size_t i = 0; i < size; i++)
		buf[i] = (unsigned char)((i * 2654435761u + seed) >> 7);
	return buf;
}

static void path_in(const struct server *s, const char *name, char *path, size_t size)
{
	snprintf(path, size, "%s/%s", s->export, name);
}

static void put_file(const struct server *s, const char *name, const void *data, size_t size)
{
	char path[512];
	FILE *f;

	path_in(s, name, path, sizeof(path));
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, size, f), size);
	fclose(f);
}

static void expect_file(const struct server *s, const char *name, const void *data, size_t size)
{
	char *found = malloc(size + 1), path[512];
	FILE *f;

	path_in(s, name, path, sizeof(path));
	f = fopen(path, "r");
	assert_non_null(f);
	assert_int_equal(fread(found, 1, size + 1, f), size);
	assert_memory_equal(found, data, size);
	fclose(f);
	free(found);
}

/* ------------------------------------------------------- single operations */

static void the_contract_holds(void **state)
{
	struct server *s = *state;
	struct netfs_source source = {.scheme = "9p", .host = "", .port = "", .path = s->socket};
	char options[160];

	snprintf(options, sizeof(options), "trans=unix,aname=%s", s->export);
	/* diod makes an flock(2) of every lock. */
	contract_run(&netfs_p9_ops, &source, options, CONTRACT_NO_RANGE_LOCKS);
}

static void connect_reports_limits_and_address(void **state)
{
	struct server *s = *state;

	assert_int_equal(s->be->rsize, 65536 - 24);
	assert_int_equal(s->be->wsize, 65536 - 24);
	assert_int_equal(s->be->depth, 32);
	assert_true(s->be->caps & NETFS_BE_LOCKS);
	assert_memory_equal(s->be->address, "unix ", 5);
}

static void data_goes_there_and_back(void **state)
{
	struct server *s = *state;
	size_t size = 1000003;
	char *out = pattern(size, 1), *in = calloc(1, size + 100);
	struct netfs_handle *handle;
	struct netfs_node *node;
	struct netfs_attr attr;

	assert_int_equal(t_create(s->root, "file", O_RDWR | O_EXCL, &node, &handle), 0);
	assert_int_equal(t_io(handle, NETFS_SLICE_WRITE, 0, out, size), size);
	assert_int_equal(t_fsync(handle), 0);
	expect_file(s, "file", out, size);
	assert_int_equal(t_io(handle, NETFS_SLICE_READ, 0, in, size + 100), size);
	assert_memory_equal(in, out, size);
	assert_int_equal(t_getattr(node, handle, &attr), 0);
	assert_int_equal(attr.size, size);
	assert_int_equal(attr.mode, S_IFREG | 0640);
	assert_int_equal(attr.uid, 0);
	netfs_handle_put(handle);
	assert_int_equal(t_create(s->root, "file", O_RDWR | O_EXCL, NULL, NULL), -EEXIST);
	assert_int_equal(t_create(s->root, "file", O_RDWR, NULL, &handle), 0);
	assert_int_equal(t_io(handle, NETFS_SLICE_READ, 0, in, 10), 10);
	netfs_handle_put(handle);
	assert_int_equal(t_open(node, O_RDWR | O_TRUNC, &handle), 0);
	assert_int_equal(t_io(handle, NETFS_SLICE_READ, 0, in, 10), 0);
	netfs_handle_put(handle);
	netfs_node_put(node);
	free(out);
	free(in);
}

static void names_are_made_and_removed(void **state)
{
	struct server *s = *state;
	struct netfs_node *dir, *node;
	struct netfs_attr attr;
	char target[64];
	struct top t;

	assert_int_equal(t_mkdir(s->root, "d", &dir), 0);
	assert_int_equal(t_mkdir(s->root, "d", NULL), -EEXIST);
	top_init(&t);
	s->be->ops->symlink(dir, "l", "some/where", &t.op);
	assert_int_equal(top_wait(&t), 0);
	node = t.op.node;
	assert_true(S_ISLNK(t.op.attr.mode));
	top_init(&t);
	t.op.buf = target;
	t.op.buf_size = sizeof(target);
	s->be->ops->readlink(node, &t.op);
	assert_int_equal(top_wait(&t), 0);
	assert_int_equal(t.op.count, 10);
	assert_memory_equal(target, "some/where", 10);
	netfs_node_put(node);
	top_init(&t);
	s->be->ops->mknod(dir, "n", S_IFIFO | 0600, 0, 0, &t.op);
	assert_int_equal(top_wait(&t), 0);
	assert_true(S_ISFIFO(t.op.attr.mode));
	netfs_node_put(t.op.node);
	put_file(s, "d/f", "x", 1);
	assert_int_equal(t_lookup(dir, "f", &node, NULL), 0);
	top_init(&t);
	s->be->ops->link(node, dir, "f2", &t.op);
	assert_int_equal(top_wait(&t), 0);
	assert_int_equal(t.op.attr.nlink, 2);
	netfs_node_put(node);
	assert_int_equal(t_unlink(dir, "f"), 0);
	assert_int_equal(t_unlink(dir, "f"), -ENOENT);
	assert_int_equal(t_lookup(dir, "f", NULL, NULL), -ENOENT);
	assert_int_equal(t_lookup(dir, "f2", NULL, &attr), 0);
	assert_int_equal(attr.nlink, 1);
	assert_int_equal(t_unlink(s->root, "d"), -EISDIR);
	assert_int_equal(t_rmdir(dir, "f2"), -ENOTDIR);
	assert_int_equal(t_rmdir(s->root, "d"), -ENOTEMPTY);
	assert_int_equal(t_unlink(dir, "f2"), 0);
	assert_int_equal(t_unlink(dir, "l"), 0);
	assert_int_equal(t_unlink(dir, "n"), 0);
	assert_int_equal(t_rmdir(s->root, "d"), 0);
	netfs_node_put(dir);
}

static void new_objects_belong_to_who_asked(void **state)
{
	struct server *s = *state;
	struct top t;

	top_init(&t);
	t.op.cred = (struct netfs_cred){.uid = 1234, .gid = 2345};
	s->be->ops->mkdir(s->root, "d", 0700, &t.op);
	assert_int_equal(top_wait(&t), 0);
	assert_int_equal(t.op.attr.uid, 1234);
	assert_int_equal(t.op.attr.gid, 2345);
	netfs_node_put(t.op.node);
	/* A file that is there keeps its owner. */
	put_file(s, "f", "x", 1);
	top_init(&t);
	t.op.cred = (struct netfs_cred){.uid = 1234, .gid = 2345};
	s->be->ops->create(s->root, "f", O_RDWR, 0600, &t.op);
	assert_int_equal(top_wait(&t), 0);
	assert_int_equal(t.op.attr.uid, 0);
	netfs_node_put(t.op.node);
	netfs_handle_put(t.op.handle);
}

static void attributes_are_changed(void **state)
{
	struct server *s = *state;
	struct netfs_setattr set = {.valid = NETFS_SET_MODE | NETFS_SET_SIZE | NETFS_SET_MTIME |
					     NETFS_SET_ATIME,
				    .mode = 0604,
				    .size = 12345,
				    .mtime = {1000000, 42},
				    .atime = {2000000, 43}};
	struct netfs_node *node;
	struct netfs_attr attr;
	struct netfs_handle *handle;

	put_file(s, "f", "hello", 5);
	assert_int_equal(t_lookup(s->root, "f", &node, &attr), 0);
	assert_int_equal(attr.size, 5);
	assert_int_equal(t_setattr(node, NULL, &set, &attr), 0);
	assert_int_equal(attr.mode, S_IFREG | 0604);
	assert_int_equal(attr.size, 12345);
	assert_int_equal(attr.mtime.sec, 1000000);
	assert_int_equal(attr.mtime.nsec, 42);
	assert_int_equal(attr.atime.sec, 2000000);
	set = (struct netfs_setattr){.valid = NETFS_SET_UID | NETFS_SET_GID, .uid = 5, .gid = 6};
	assert_int_equal(t_setattr(node, NULL, &set, &attr), 0);
	assert_int_equal(attr.uid, 5);
	assert_int_equal(attr.gid, 6);
	assert_int_equal(t_open(node, O_RDWR, &handle), 0);
	set = (struct netfs_setattr){.valid = NETFS_SET_SIZE | NETFS_SET_MTIME_NOW, .size = 3};
	assert_int_equal(t_setattr(node, handle, &set, &attr), 0);
	assert_int_equal(attr.size, 3);
	assert_true(attr.mtime.sec > 1000000);
	netfs_handle_put(handle);
	netfs_node_put(node);
	expect_file(s, "f", "hel", 3);
}

static void statfs_tells_sizes(void **state)
{
	struct server *s = *state;
	struct top t;

	top_init(&t);
	s->be->ops->statfs(s->root, &t.op);
	assert_int_equal(top_wait(&t), 0);
	assert_true(t.op.statfs.bsize >= 512);
	assert_true(t.op.statfs.blocks > 0);
	assert_true(t.op.statfs.namelen >= 255);
}

static void bad_names_are_refused_and_long_ones_work(void **state)
{
	static const char *const bad[] = {"", ".", "..", "a/b", "/"};
	struct server *s = *state;
	char name[258];

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(t_lookup(s->root, bad[i], NULL, NULL), -EINVAL);
		assert_int_equal(t_mkdir(s->root, bad[i], NULL), -EINVAL);
		assert_int_equal(t_unlink(s->root, bad[i]), -EINVAL);
		assert_int_equal(t_create(s->root, bad[i], O_RDWR, NULL, NULL), -EINVAL);
	}
	memset(name, 'n', sizeof(name));
	name[256] = '\0';
	assert_int_equal(t_mkdir(s->root, name, NULL), -ENAMETOOLONG);
	name[255] = '\0';
	assert_int_equal(t_mkdir(s->root, name, NULL), 0);
	assert_int_equal(t_lookup(s->root, name, NULL, NULL), 0);
	assert_int_equal(t_rmdir(s->root, name), 0);
}

struct seen {
	unsigned count;
	unsigned char flags[5000];
};

static void see(void *user, const char *name, size_t len)
{
	struct seen *seen = user;
	char text[300] = "";
	unsigned i;

	memcpy(text, name, len);
	assert_int_equal(sscanf(text, "entry-%u", &i), 1);
	assert_true(i < 5000);
	assert_int_equal(seen->flags[i]++, 0);
	seen->count++;
}

static void big_directory_is_listed_once(void **state)
{
	struct server *s = *state;
	struct seen *seen = calloc(1, sizeof(*seen));
	char path[512], name[300];

	for (unsigned i = 0; i < 5000; i++) {
		/* Lengths vary, so that pieces end anywhere. */
		snprintf(
			name, sizeof(name), "entry-%u-%.*s", i, (int)(i % 97),
			"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
			"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
		path_in(s, name, path, sizeof(path));
		close(open(path, O_CREAT | O_WRONLY, 0600));
	}
	assert_int_equal(t_list(s->root, see, seen), 0);
	assert_int_equal(seen->count, 5000);
	free(seen);
}

static void xattrs_are_kept(void **state)
{
	struct server *s = *state;
	struct netfs_node *node;
	char buf[64] = "", path[512];
	struct top t;

	put_file(s, "f", "x", 1);
	path_in(s, "f", path, sizeof(path));
	if (setxattr(path, "user.probe", "1", 1, 0) != 0)
		skip();
	assert_int_equal(t_lookup(s->root, "f", &node, NULL), 0);
	top_init(&t);
	s->be->ops->setxattr(node, "user.a", "value", 5, 0, &t.op);
	assert_int_equal(top_wait(&t), 0);
	assert_int_equal(getxattr(path, "user.a", buf, sizeof(buf)), 5);
	assert_memory_equal(buf, "value", 5);
	top_init(&t);
	s->be->ops->getxattr(node, "user.a", &t.op);
	assert_int_equal(top_wait(&t), 0);
	assert_int_equal(t.op.count, 5);
	top_init(&t);
	t.op.buf = buf;
	t.op.buf_size = 3;
	s->be->ops->getxattr(node, "user.a", &t.op);
	assert_int_equal(top_wait(&t), -ERANGE);
	top_init(&t);
	t.op.buf = buf;
	t.op.buf_size = sizeof(buf);
	s->be->ops->listxattr(node, &t.op);
	assert_int_equal(top_wait(&t), 0);
	assert_non_null(memmem(buf, t.op.count, "user.a", 7));
	top_init(&t);
	s->be->ops->removexattr(node, "user.a", &t.op);
	assert_int_equal(top_wait(&t), 0);
	top_init(&t);
	s->be->ops->getxattr(node, "user.a", &t.op);
	assert_int_equal(top_wait(&t), -ENODATA);
	netfs_node_put(node);
}

static void locks_exclude_another_client(void **state)
{
	struct server *s = *state, *other = calloc(1, sizeof(*other));
	struct netfs_handle *mine, *theirs;
	struct netfs_node *node, *their_node;
	enum netfs_lock_result result;
	struct top t;

	memcpy(other->options, s->options, sizeof(s->options));
	memcpy(other->socket, s->socket, sizeof(s->socket));
	other->noptions = s->noptions;
	other->hard = true;
	assert_int_equal(server_connect(other, NULL, 0), 0);
	put_file(s, "f", "x", 1);
	assert_int_equal(t_lookup(s->root, "f", &node, NULL), 0);
	assert_int_equal(t_lookup(other->root, "f", &their_node, NULL), 0);
	assert_int_equal(t_open(node, O_RDWR, &mine), 0);
	assert_int_equal(t_open(their_node, O_RDWR, &theirs), 0);
	assert_int_equal(t_lock(mine, NETFS_LOCK_WRITE, 1, &result), 0);
	assert_int_equal(result, NETFS_LOCK_GRANTED);
	assert_int_equal(t_lock(theirs, NETFS_LOCK_WRITE, 2, &result), 0);
	assert_int_equal(result, NETFS_LOCK_BLOCKED);
	top_init(&t);
	s->be->ops->getlock(
		theirs, &(struct netfs_lock){.type = NETFS_LOCK_WRITE, .end = UINT64_MAX}, &t.op);
	assert_int_equal(top_wait(&t), 0);
	assert_int_equal(t.op.lock.type, NETFS_LOCK_WRITE);
	assert_int_equal(t_lock(mine, NETFS_LOCK_UNLOCK, 1, &result), 0);
	assert_int_equal(t_lock(theirs, NETFS_LOCK_READ, 2, &result), 0);
	assert_int_equal(result, NETFS_LOCK_GRANTED);
	netfs_handle_put(mine);
	netfs_handle_put(theirs);
	netfs_node_put(node);
	netfs_node_put(their_node);
	netfs_node_put(other->root);
	top_init(&t);
	other->be->ops->disconnect(other->be, &t.op);
	assert_int_equal(top_wait(&t), 0);
	free(other);
}

/* ------------------------------------------------------- paths */

/* A create makes no fid for its node, and an open takes it away. */
static void file_without_a_fid_is_found(void **state)
{
	struct server *s = *state;
	struct netfs_handle *first, *second, *third;
	struct netfs_setattr set = {.valid = NETFS_SET_MODE, .mode = 0604};
	struct netfs_node *dir, *file;
	struct netfs_attr attr;
	char text[] = "abcdef";

	assert_int_equal(t_mkdir(s->root, "d", &dir), 0);
	assert_int_equal(t_create(dir, "file", O_RDWR | O_EXCL, &file, &first), 0);
	assert_int_equal(t_io(first, NETFS_SLICE_WRITE, 0, text, 3), 3);
	assert_int_equal(t_getattr(file, NULL, &attr), 0);
	assert_int_equal(attr.size, 3);
	assert_int_equal(t_setattr(file, NULL, &set, &attr), 0);
	assert_int_equal(attr.mode, S_IFREG | 0604);
	assert_int_equal(t_open(file, O_RDONLY, &second), 0);
	assert_int_equal(t_open(file, O_RDWR, &third), 0);
	assert_int_equal(t_io(third, NETFS_SLICE_WRITE, 3, text + 3, 3), 3);
	netfs_handle_put(first);
	netfs_handle_put(third);
	assert_int_equal(t_getattr(file, NULL, &attr), 0);
	assert_int_equal(attr.size, 6);
	netfs_handle_put(second);
	assert_int_equal(t_getattr(file, NULL, &attr), 0);
	assert_int_equal(t_unlink(dir, "file"), 0);
	assert_int_equal(t_getattr(file, NULL, &attr), -ESTALE);
	netfs_node_put(file);
	netfs_node_put(dir);
}

/* The copy of the directory's fid that is ready for the next create is a path on
 * this server: after a renaming another directory may be there. */
static void create_after_a_rename_goes_to_the_right_directory(void **state)
{
	struct server *s = *state;
	struct netfs_node *a, *other;

	assert_int_equal(t_mkdir(s->root, "a", &a), 0);
	assert_int_equal(t_create(a, "one", O_RDWR | O_EXCL, NULL, NULL), 0);
	assert_int_equal(t_create(a, "two", O_RDWR | O_EXCL, NULL, NULL), 0);
	assert_int_equal(t_rename(a, s->root, "a", s->root, "b"), 0);
	assert_int_equal(t_mkdir(s->root, "a", &other), 0);
	assert_int_equal(t_create(a, "three", O_RDWR | O_EXCL, NULL, NULL), 0);
	assert_int_equal(t_lookup(other, "three", NULL, NULL), -ENOENT);
	expect_file(s, "b/three", "", 0);
	server_kill(s);
	server_start(s);
	assert_int_equal(t_create(a, "four", O_RDWR | O_EXCL, NULL, NULL), 0);
	expect_file(s, "b/four", "", 0);
	netfs_node_put(a);
	netfs_node_put(other);
}

static void node_below_renamed_directory_is_found(void **state)
{
	struct server *s = *state;
	struct netfs_node *a, *b, *file;
	struct netfs_handle *handle;
	struct netfs_attr attr;
	char buf[8];

	assert_int_equal(t_mkdir(s->root, "a", &a), 0);
	assert_int_equal(t_mkdir(a, "b", &b), 0);
	put_file(s, "a/b/file", "deep", 4);
	assert_int_equal(t_lookup(b, "file", &file, NULL), 0);
	assert_int_equal(t_rename(a, s->root, "a", s->root, "moved"), 0);
	assert_int_equal(t_getattr(file, NULL, &attr), 0);
	assert_int_equal(attr.size, 4);
	assert_int_equal(t_open(file, O_RDONLY, &handle), 0);
	assert_int_equal(t_io(handle, NETFS_SLICE_READ, 0, buf, 8), 4);
	netfs_handle_put(handle);
	assert_int_equal(t_create(b, "new", O_RDWR, NULL, NULL), 0);
	/* Another object at the old path is not taken for it. */
	assert_int_equal(t_rename(file, b, "file", b, "other"), 0);
	put_file(s, "moved/b/file", "imposter", 8);
	assert_int_equal(t_getattr(file, NULL, &attr), 0);
	assert_int_equal(attr.size, 4);
	assert_int_equal(t_rename(a, s->root, "moved", b, "loop"), -EINVAL);
	assert_int_equal(t_rename(b, a, "b", s->root, "b2"), 0);
	assert_int_equal(t_rename(b, s->root, "b2", a, "b3"), 0);
	assert_int_equal(t_lookup(b, "other", NULL, NULL), 0);
	netfs_node_put(a);
	netfs_node_put(b);
	netfs_node_put(file);
}

static void deep_paths_are_walked_again(void **state)
{
	struct server *s = *state;
	struct netfs_node *dirs[40];
	struct netfs_attr attr;

	assert_int_equal(t_mkdir(s->root, "top", &dirs[0]), 0);
	for (unsigned i = 1; i < 40; i++)
		assert_int_equal(t_mkdir(dirs[i - 1], "below", &dirs[i]), 0);
	assert_int_equal(t_rename(dirs[0], s->root, "top", s->root, "summit"), 0);
	assert_int_equal(t_getattr(dirs[39], NULL, &attr), 0);
	server_kill(s);
	server_start(s);
	assert_int_equal(t_mkdir(dirs[39], "bottom", NULL), 0);
	for (unsigned i = 0; i < 40; i++)
		netfs_node_put(dirs[i]);
}

static void replaced_file_is_stale_after_restart(void **state)
{
	struct server *s = *state;
	struct netfs_node *node;
	struct netfs_handle *handle;
	struct netfs_attr attr;
	char path[512], from[512], buf[8];

	put_file(s, "f", "old", 3);
	assert_int_equal(t_lookup(s->root, "f", &node, NULL), 0);
	assert_int_equal(t_open(node, O_RDONLY, &handle), 0);
	server_kill(s);
	put_file(s, "g", "other", 5);
	path_in(s, "f", path, sizeof(path));
	unlink(path);
	path_in(s, "g", from, sizeof(from));
	assert_int_equal(rename(from, path), 0);
	server_start(s);
	assert_int_equal(t_getattr(node, NULL, &attr), -ESTALE);
	assert_int_equal(t_io(handle, NETFS_SLICE_READ, 0, buf, 8), -ESTALE);
	netfs_handle_put(handle);
	netfs_node_put(node);
}

/* ------------------------------------------------------- many, cancelled, killed */

#define MANY 400
#define PART 20011

static void many_slices_fly_at_once(void **state)
{
	struct server *s = *state;
	struct tslice *slices = calloc(MANY, sizeof(*slices));
	char *out = pattern((size_t)MANY * PART, 7), *in = calloc(MANY, PART);
	struct netfs_handle *handle;
	unsigned refused = 0;

	assert_int_equal(t_create(s->root, "f", O_RDWR, NULL, &handle), 0);
	for (int kind = NETFS_SLICE_WRITE; kind >= NETFS_SLICE_READ; kind--) {
		char *buf = kind == NETFS_SLICE_WRITE ? out : in;
		unsigned waited = 0;

		for (unsigned i = 0; i < MANY; i++) {
			size_t at = (size_t)i * PART;

			while (tslice_start(&slices[i], handle, kind, at, buf + at, PART) ==
			       -EAGAIN) {
				refused++;
				tslice_wait(&slices[waited++]);
			}
		}
		while (waited < MANY)
			tslice_wait(&slices[waited++]);
		for (unsigned i = 0; i < MANY; i++) {
			assert_int_equal(slices[i].err, 0);
			assert_int_equal(slices[i].moved, PART);
		}
	}
	assert_memory_equal(in, out, (size_t)MANY * PART);
	if (refused > 0)
		assert_true(s->ready > 0);
	netfs_handle_put(handle);
	free(slices);
	free(out);
	free(in);
}

static void cancelled_operations_complete_once(void **state)
{
	struct server *s = *state;
	struct tslice slices[32];
	struct top tops[32];
	char *buf = calloc(32, 65536);
	struct netfs_handle *handle;

	assert_int_equal(t_create(s->root, "f", O_RDWR, NULL, &handle), 0);
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 16; i++) {
			top_init(&tops[i]);
			s->be->ops->getattr(s->root, NULL, &tops[i].op);
			assert_true(tslice_start(&slices[i], handle,
						 i % 2 ? NETFS_SLICE_READ : NETFS_SLICE_WRITE,
						 i * 60000, buf + i * 65536, 60000) > 0);
		}
		for (unsigned i = 0; i < 16; i++) {
			s->be->ops->op_cancel(s->be, &tops[i].op);
			s->be->ops->slice_cancel(s->be, &slices[i].slice);
		}
		for (unsigned i = 0; i < 16; i++) {
			int err = top_wait(&tops[i]);

			assert_true(err == 0 || err == -EINTR);
			tslice_wait(&slices[i]);
			assert_true(slices[i].err == 0 || slices[i].err == -EINTR);
		}
	}
	netfs_handle_put(handle);
	free(buf);
}

static void cancel_ends_a_wait_for_a_dead_server(void **state)
{
	struct server *s = *state;
	struct top t;

	server_kill(s);
	top_init(&t);
	s->be->ops->getattr(s->root, NULL, &t.op);
	s->be->ops->op_cancel(s->be, &t.op);
	assert_int_equal(top_wait(&t), -EINTR);
}

/* A process that waits for a frozen server can be killed all the same. */
static void cancel_ends_a_wait_for_a_frozen_server(void **state)
{
	struct server *s = *state;
	struct netfs_handle *handle;
	struct netfs_attr attr;
	struct tslice slice;
	struct top t;
	char buf[100];

	assert_int_equal(t_create(s->root, "f", O_RDWR, NULL, &handle), 0);
	server_freeze(s);
	top_init(&t);
	s->be->ops->getattr(s->root, NULL, &t.op);
	assert_true(tslice_start(&slice, handle, NETFS_SLICE_READ, 0, buf, sizeof(buf)) > 0);
	s->be->ops->op_cancel(s->be, &t.op);
	s->be->ops->slice_cancel(s->be, &slice.slice);
	assert_int_equal(top_wait(&t), -EINTR);
	tslice_wait(&slice);
	assert_int_equal(slice.err, -EINTR);
	kill(s->pid, SIGCONT);
	assert_int_equal(t_getattr(s->root, NULL, &attr), 0);
	netfs_handle_put(handle);
}

static void kill_in_the_middle_loses_nothing(void **state)
{
	struct server *s = *state;
	struct tslice slices[32];
	size_t part = 60000;
	char *out = pattern(32 * part, 3), *in = calloc(32, part);
	struct netfs_handle *handle;

	assert_int_equal(t_create(s->root, "f", O_RDWR, NULL, &handle), 0);
	for (unsigned round = 0; round < 4; round++) {
		int kind = round % 2 ? NETFS_SLICE_READ : NETFS_SLICE_WRITE;

		/* Stopped first, so that all of them are in flight when it dies. */
		server_freeze(s);
		for (unsigned i = 0; i < 32; i++)
			assert_int_equal(
				tslice_start(&slices[i], handle, kind, i * part,
					     (kind == NETFS_SLICE_READ ? in : out) + i * part,
					     part),
				part);
		server_kill(s);
		server_start(s);
		for (unsigned i = 0; i < 32; i++) {
			tslice_wait(&slices[i]);
			assert_int_equal(slices[i].err, 0);
			assert_int_equal(slices[i].moved, part);
		}
	}
	assert_memory_equal(in, out, 32 * part);
	expect_file(s, "f", out, 32 * part);
	assert_true(s->lost >= 1);
	assert_true(s->back >= 1);
	netfs_handle_put(handle);
	free(out);
	free(in);
}

static void names_survive_a_kill(void **state)
{
	struct server *s = *state;
	struct netfs_node *nodes[12];
	struct top tops[12];
	char names[12][16];

	for (unsigned round = 0; round < 3; round++) {
		server_freeze(s);
		for (unsigned i = 0; i < 12; i++) {
			snprintf(names[i], sizeof(names[i]), "d%u-%u", round, i);
			top_init(&tops[i]);
			if (i % 2)
				s->be->ops->mkdir(s->root, names[i], 0755, &tops[i].op);
			else
				s->be->ops->create(s->root, names[i], O_RDWR | O_EXCL, 0644,
						   &tops[i].op);
		}
		/* Let some of it happen; the rest dies with the server. */
		if (round > 0)
			kill(s->pid, SIGCONT);
		server_kill(s);
		server_start(s);
		for (unsigned i = 0; i < 12; i++) {
			assert_int_equal(top_wait(&tops[i]), 0);
			nodes[i] = tops[i].op.node;
			if (i % 2 == 0)
				netfs_handle_put(tops[i].op.handle);
		}
		for (unsigned i = 0; i < 12; i++) {
			netfs_node_put(nodes[i]);
			assert_int_equal(i % 2 ? t_rmdir(s->root, names[i])
					       : t_unlink(s->root, names[i]),
					 0);
		}
	}
}

static void locks_are_taken_again_or_lost_with_an_error(void **state)
{
	struct server *s = *state;
	struct netfs_handle *handle;
	enum netfs_lock_result result;
	char buf[4] = "abc", path[512];
	int fd;

	assert_int_equal(t_create(s->root, "f", O_RDWR, NULL, &handle), 0);
	assert_int_equal(t_lock(handle, NETFS_LOCK_WRITE, 9, &result), 0);
	server_kill(s);
	server_start(s);
	assert_int_equal(t_io(handle, NETFS_SLICE_WRITE, 0, buf, 3), 3);
	/* While the server is away somebody else takes it (diod uses flock). */
	server_kill(s);
	path_in(s, "f", path, sizeof(path));
	fd = open(path, O_RDWR);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &(struct flock){.l_type = F_WRLCK}), 0);
	server_start(s);
	assert_int_equal(t_io(handle, NETFS_SLICE_WRITE, 0, buf, 3), -EIO);
	close(fd);
	assert_int_equal(t_io(handle, NETFS_SLICE_WRITE, 0, buf, 3), -EIO);
	netfs_handle_put(handle);
}

/* ------------------------------------------------------- soft, refused */

static void soft_mount_gives_up(void **state)
{
	struct server *s = calloc(1, sizeof(*s));
	struct netfs_attr attr;

	s->timeout_ms = 300;
	server_up(s);
	server_freeze(s);
	assert_int_equal(t_getattr(s->root, NULL, &attr), -ETIMEDOUT);
	kill(s->pid, SIGCONT);
	server_kill(s);
	assert_int_equal(t_getattr(s->root, NULL, &attr), -ETIMEDOUT);
	server_down(s);
	free(s);
}

static int try_connect(struct server *s, const char *name, const char *value, char *message,
		       size_t size)
{
	struct server copy = *s;

	copy.noptions = 0;
	copy.options[copy.noptions++] = (struct netfs_option){name, value};
	if (strcmp(name, "trans") != 0)
		copy.options[copy.noptions++] = (struct netfs_option){"trans", "unix"};
	return server_connect(&copy, message, size);
}

static void wrong_mounts_say_why(void **state)
{
	struct server *s = *state, gone = *s;
	char message[256];

	assert_int_equal(try_connect(s, "version", "9p2000.u", message, sizeof(message)), -EINVAL);
	assert_non_null(strstr(message, "9p2000.u"));
	assert_int_equal(try_connect(s, "msize", "12x", message, sizeof(message)), -EINVAL);
	assert_int_equal(try_connect(s, "msize", "100", message, sizeof(message)), -EINVAL);
	assert_int_equal(try_connect(s, "trans", "pigeon", message, sizeof(message)), -EINVAL);
	assert_int_equal(try_connect(s, "trans", "fd", message, sizeof(message)), -EINVAL);
	assert_int_equal(try_connect(s, "access", "nobody", message, sizeof(message)), -EINVAL);
	assert_int_not_equal(try_connect(s, "aname", "/nowhere", message, sizeof(message)), 0);
	assert_non_null(strstr(message, "attach"));
	snprintf(gone.socket, sizeof(gone.socket), "/tmp/unetfs-no-such-socket");
	assert_int_not_equal(server_connect(&gone, message, sizeof(message)), 0);
	assert_non_null(strstr(message, "/tmp/unetfs-no-such-socket"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(the_contract_holds),
		T(connect_reports_limits_and_address),
		T(data_goes_there_and_back),
		T(names_are_made_and_removed),
		T(new_objects_belong_to_who_asked),
		T(attributes_are_changed),
		T(statfs_tells_sizes),
		T(bad_names_are_refused_and_long_ones_work),
		T(big_directory_is_listed_once),
		T(xattrs_are_kept),
		T(locks_exclude_another_client),
		T(file_without_a_fid_is_found),
		T(create_after_a_rename_goes_to_the_right_directory),
		T(node_below_renamed_directory_is_found),
		T(deep_paths_are_walked_again),
		T(replaced_file_is_stale_after_restart),
		T(many_slices_fly_at_once),
		T(cancelled_operations_complete_once),
		T(cancel_ends_a_wait_for_a_dead_server),
		T(cancel_ends_a_wait_for_a_frozen_server),
		T(kill_in_the_middle_loses_nothing),
		T(names_survive_a_kill),
		T(locks_are_taken_again_or_lost_with_an_error),
		cmocka_unit_test(soft_mount_gives_up),
		T(wrong_mounts_say_why),
	};

	if (!server_present()) {
		fprintf(stderr, "SKIPPED: diod is not installed, the 9P client is not tested\n");
		return 77;
	}
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
