/* SPDX-License-Identifier: MIT */
/*
 * Goal: the dir back end keeps the contract on a real file system, also when it
 * plays a slow and failing server; it stays in its directory whatever others do
 * there; it holds no descriptors but those of open files.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <backend/backends.h>
#include <env/clock.h>
#include <contract_call.h>

/* What each test has: a directory, and a connection to it. */
struct place {
	struct contract c;
	char *path;
	char why[256];
};

static int connect_to(struct place *place, const char *path, const char *options)
{
	struct netfs_source source = {"dir", "", "", path};

	return c_connect(&place->c, &netfs_dir_ops, &source, options, place->why);
}

static void open_place(struct place *place, const char *options)
{
	place->path = t_temp_dir();
	assert_int_equal(connect_to(place, place->path, options), 0);
}

static void close_place(struct place *place)
{
	c_disconnect(&place->c);
	t_temp_dir_remove(place->path);
}

/* path of name in the place; valid until the next call. */
static const char *in(struct place *place, const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/%s", place->path, name);
	return path;
}

static void run_contract(const char *options)
{
	char *path = t_temp_dir();
	struct netfs_source source = {"dir", "", "", path};

	contract_run(&netfs_dir_ops, &source, options, getuid() ? CONTRACT_NO_DEVICES : 0);
	t_temp_dir_remove(path);
}

static void keeps_the_contract(void **state)
{
	run_contract("");
}

static void keeps_the_contract_in_trouble(void **state)
{
	run_contract("delay=1,errors=50");
}

static void refuses_bad_options_and_places(void **state)
{
	static const char *const bad[] = {"delay=x",
					  "delay=",
					  "bw=0",
					  "bw=5x",
					  "bw=1kk",
					  "errors=0",
					  "errors=5:",
					  "errors=5:EWHAT",
					  "delay=-1",
					  "bw=9999999999g",
					  "bw=99999999999999999999"};
	struct place place;
	int fd;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(connect_to(&place, "/", bad[i]), -EINVAL);
		assert_non_null(strstr(place.why, "bad value"));
	}
	assert_int_equal(connect_to(&place, "relative", ""), -EINVAL);
	place.path = t_temp_dir();
	assert_int_equal(connect_to(&place, in(&place, "none"), ""), -ENOENT);
	fd = open(in(&place, "file"), O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(connect_to(&place, in(&place, "file"), ""), -ENOTDIR);
	t_temp_dir_remove(place.path);
}

static void failing_for_good_says_so(void **state)
{
	struct netfs_handle *handle;
	struct place place;

	open_place(&place, "errors=1:ENOSPC");
	assert_int_equal(c_create(&place.c, place.c.root, "file", O_RDWR, NULL, &handle), 0);
	assert_int_equal(c_write(&place.c, handle, 0, "x", 1), -ENOSPC);
	netfs_handle_put(handle);
	close_place(&place);
}

/* Only the lower bound is certain on a busy machine. */
static void a_narrow_line_takes_its_time(void **state)
{
	static char data[256 * 1024];
	struct netfs_handle *handle;
	struct place place;
	uint64_t start;

	open_place(&place, "bw=2m");
	assert_int_equal(c_create(&place.c, place.c.root, "file", O_RDWR, NULL, &handle), 0);
	start = netfs_clock_now();
	assert_int_equal(c_write(&place.c, handle, 0, data, sizeof(data)), sizeof(data));
	assert_true(netfs_clock_now() - start >= 125 * NETFS_NS_PER_MS);
	netfs_handle_put(handle);
	close_place(&place);
}

/* An hour of delay: without the cancellation this would not end. */
static void cancelling_ends_a_delay(void **state)
{
	struct place place;
	struct c_call *call;

	open_place(&place, "delay=3600000");
	call = c_call(&place.c);
	place.c.ops->lookup(place.c.root, "none", &call->op);
	place.c.ops->op_cancel(place.c.be, &call->op);
	assert_int_equal(c_wait(call), -ENOENT);
	close_place(&place);
}

static void nodes_hold_no_descriptors(void **state)
{
	struct netfs_node *nodes[100];
	struct place place;
	char name[16];
	unsigned before;

	open_place(&place, "");
	before = t_count_fds();
	for (unsigned i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "%u", i);
		assert_int_equal(c_mkdir(&place.c, place.c.root, name, &nodes[i]), 0);
	}
	assert_int_equal(t_count_fds(), before);
	for (unsigned i = 0; i < 100; i++)
		netfs_node_put(nodes[i]);
	close_place(&place);
}

/* Deeper than the kernel takes a path at once, and than any buffer on a stack. */
static void trees_may_be_deep(void **state)
{
	struct netfs_node *nodes[40];
	struct netfs_attr attr, attr2;
	struct place place;
	char name[201];

	open_place(&place, "");
	memset(name, 'd', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	nodes[0] = place.c.root;
	for (unsigned i = 1; i < 40; i++)
		assert_int_equal(c_mkdir(&place.c, nodes[i - 1], name, &nodes[i]), 0);
	c_make_file(&place.c, nodes[39], "file", "far down");
	c_expect_file(&place.c, nodes[39], "file", "far down");
	assert_int_equal(c_lookup(&place.c, nodes[38], name, NULL, &attr), 0);
	/* The last one alone keeps all above it alive. */
	for (unsigned i = 1; i < 39; i++)
		netfs_node_put(nodes[i]);
	assert_int_equal(c_getattr(&place.c, nodes[39], NULL, &attr2), 0);
	assert_int_equal(attr.ino, attr2.ino);
	assert_int_equal(c_unlink(&place.c, nodes[39], "file"), 0);
	netfs_node_put(nodes[39]);
	close_place(&place);
}

/* A name that others gave to something else is not followed. */
static void exchanged_objects_are_stale(void **state)
{
	struct netfs_node *file, *dir;
	struct netfs_attr attr;
	struct place place;
	char there[512];

	open_place(&place, "");
	assert_int_equal(c_mkdir(&place.c, place.c.root, "dir", &dir), 0);
	c_make_file(&place.c, dir, "file", "ours");
	assert_int_equal(c_lookup(&place.c, dir, "file", &file, NULL), 0);
	snprintf(there, sizeof(there), "%s", in(&place, "else"));
	assert_int_equal(rename(in(&place, "dir"), there), 0);
	assert_int_equal(c_getattr(&place.c, file, NULL, &attr), -ESTALE);
	assert_int_equal(symlink("/", in(&place, "dir")), 0);
	assert_int_equal(c_getattr(&place.c, dir, NULL, &attr), -ESTALE);
	assert_int_equal(c_lookup(&place.c, dir, "etc", NULL, NULL), -ESTALE);
	assert_int_equal(c_mkdir(&place.c, dir, "evil", NULL), -ESTALE);
	netfs_node_put(dir);
	/* Looked up where it is now, it is known again. */
	assert_int_equal(c_lookup(&place.c, place.c.root, "else", &dir, NULL), 0);
	assert_int_equal(c_getattr(&place.c, file, NULL, &attr), 0);
	netfs_node_put(file);
	netfs_node_put(dir);
	close_place(&place);
}

/* Opening them would wait for somebody, or do things on this machine. */
static void only_files_and_directories_are_opened(void **state)
{
	struct netfs_node *node;
	struct place place;

	open_place(&place, "");
	assert_int_equal(mkfifo(in(&place, "fifo"), 0600), 0);
	assert_int_equal(c_lookup(&place.c, place.c.root, "fifo", &node, NULL), 0);
	assert_int_equal(c_open(&place.c, node, O_RDONLY, NULL), -ENXIO);
	assert_int_equal(c_create(&place.c, place.c.root, "fifo", O_WRONLY, NULL, NULL), -ENXIO);
	netfs_node_put(node);
	assert_int_equal(symlink("/etc/passwd", in(&place, "link")), 0);
	assert_int_equal(c_create(&place.c, place.c.root, "link", O_RDONLY, NULL, NULL), -ELOOP);
	close_place(&place);
}

/* Directories that hand on their group do so, and modes are what was asked. */
static void new_objects_are_as_asked(void **state)
{
	mode_t umask_before = umask(077);
	struct netfs_node *dir, *node;
	struct netfs_attr attr;
	struct place place;

	open_place(&place, "");
	assert_int_equal(mkdir(in(&place, "dir"), 0700), 0);
	assert_int_equal(chmod(in(&place, "dir"), 02777), 0);
	assert_int_equal(c_lookup(&place.c, place.c.root, "dir", &dir, NULL), 0);
	if (!getuid())
		place.c.cred.uid = place.c.cred.gid = 4711;
	assert_int_equal(c_mkdir(&place.c, dir, "sub", &node), 0);
	assert_int_equal(c_getattr(&place.c, node, NULL, &attr), 0);
	assert_int_equal(attr.mode, S_IFDIR | 02755);
	assert_int_equal(attr.uid, place.c.cred.uid);
	assert_int_equal(attr.gid, getgid());
	netfs_node_put(node);
	netfs_node_put(dir);
	close_place(&place);
	umask(umask_before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_the_contract),
		cmocka_unit_test(keeps_the_contract_in_trouble),
		cmocka_unit_test(refuses_bad_options_and_places),
		cmocka_unit_test(failing_for_good_says_so),
		cmocka_unit_test(a_narrow_line_takes_its_time),
		cmocka_unit_test(cancelling_ends_a_delay),
		cmocka_unit_test(nodes_hold_no_descriptors),
		cmocka_unit_test(trees_may_be_deep),
		cmocka_unit_test(exchanged_objects_are_stale),
		cmocka_unit_test(only_files_and_directories_are_opened),
		cmocka_unit_test(new_objects_are_as_asked),
	};

	return t_run(tests, NULL, NULL);
}
