/* SPDX-License-Identifier: MIT */
/*
 * Goal: the size shown never goes back because of an old answer; times set by
 * hand stay; data is dropped when another client changed the file, and only
 * then.
 * Method: two mounts of one tree, and replies held by the double.
 */
#include <errno.h>
#include "double.h"
#include "world.h"

struct notified {
	unsigned data;
	uint64_t ino;
};

static void note_data(void *user, uint64_t ino, uint64_t start, uint64_t end)
{
	struct notified *notified = user;

	notified->data++;
	notified->ino = ino;
}

static const struct netfs_notify_ops notify_ops = {.inval_data = note_data};

/* The answer says 4 bytes; before it arrives 8 are written and sent. */
static void an_old_answer_does_not_shrink_a_written_file(void **unused)
{
	struct netfs_vnode *vnode;
	struct netfs_file *file;
	struct netfs_call sync;
	struct w_call getattr;
	struct world world;

	world_start(&world, &double_ops, "actimeo=0");
	file = w_create(world.root, "a", &vnode);
	w_write(file, "1234", 0);
	assert_int_equal(w_flush(file), 0);
	double_hold(DOUBLE_GETATTR, DOUBLE_REPLY);
	w_call_init(&getattr);
	netfs_getattr(vnode, NULL, &getattr.call);
	assert_int_equal(double_held(DOUBLE_GETATTR), 1);
	double_pass(DOUBLE_GETATTR);
	w_write(file, "5678", 4);
	/* Unlike a flush this asks for no newer answer. */
	netfs_call_init(&sync, NULL);
	netfs_mount_sync(world.mount, &sync);
	assert_int_equal(netfs_call_wait(&sync), 0);
	double_release(DOUBLE_GETATTR);
	assert_true(getattr.ended);
	assert_int_equal(getattr.call.attr.size, 8);
	assert_int_equal(w_getattr(vnode).size, 8);
	w_expect(file, "12345678", 0);
	w_close(file);
	netfs_vnode_put(vnode);
	world_stop(&world);
}

/* The same through a lookup, which is not about any vnode in particular. */
static void an_old_lookup_does_not_shrink_a_written_file(void **unused)
{
	struct netfs_vnode *vnode, *dir;
	struct netfs_file *file;
	struct w_call lookup;
	struct netfs_call link;
	struct world world;

	world_start(&world, &double_ops, "actimeo=0");
	dir = w_mkdir(world.root, "dir");
	file = w_create(world.root, "a", &vnode);
	w_write(file, "1234", 0);
	assert_int_equal(w_flush(file), 0);
	netfs_call_init(&link, NULL);
	netfs_link(vnode, dir, "b", &link);
	assert_int_equal(netfs_call_wait(&link), 0);
	netfs_vnode_put(link.vnode);
	assert_int_equal(w_unlink(dir, "b"), 0);
	netfs_call_init(&link, NULL);
	netfs_link(vnode, dir, "c", &link);
	assert_int_equal(netfs_call_wait(&link), 0);
	netfs_vnode_put(link.vnode);
	netfs_call_init(&link, NULL);
	double_hold(DOUBLE_LOOKUP, DOUBLE_REPLY);
	w_call_init(&lookup);
	netfs_lookup(dir, "c", &lookup.call);
	double_pass(DOUBLE_LOOKUP);
	w_write(file, "5678", 4);
	assert_int_equal(w_flush(file), 0);
	netfs_release(file);
	double_release(DOUBLE_LOOKUP);
	assert_true(lookup.ended);
	assert_int_equal(lookup.err, 0);
	assert_ptr_equal(lookup.call.vnode, vnode);
	assert_int_equal(lookup.call.attr.size, 8);
	netfs_vnode_put(vnode);
	netfs_vnode_put(vnode);
	netfs_vnode_put(dir);
	world_stop(&world);
}

static void unsent_data_counts_in_size_blocks_and_times(void **unused)
{
	struct netfs_vnode *vnode;
	struct netfs_file *file;
	struct netfs_attr before, after;
	struct world world;

	world_start(&world, &double_ops, "");
	file = w_create(world.root, "a", &vnode);
	before = w_getattr(vnode);
	world_sleep_ms(20);
	double_log_clear();
	w_write(file, "12345", 100000);
	after = w_getattr(vnode);
	assert_int_equal(double_logged("write"), 0);
	assert_int_equal(after.size, 100005);
	assert_true(after.blocks >= (100005 + 511) / 512);
	assert_true(after.mtime.sec > before.mtime.sec || after.mtime.nsec > before.mtime.nsec);
	w_close(file);
	assert_int_equal(w_getattr(vnode).size, 100005);
	netfs_vnode_put(vnode);
	world_stop(&world);
}

static void times_set_by_hand_survive_the_data_written_before(void **unused)
{
	struct netfs_setattr set = {
		.valid = NETFS_SET_MTIME,
		.mtime = {.sec = 1000, .nsec = 5},
	};
	struct netfs_vnode *vnode;
	struct netfs_file *file;
	struct netfs_call call;
	struct world world;

	world_start(&world, &double_ops, "");
	file = w_create(world.root, "a", &vnode);
	w_write(file, "text", 0);
	double_log_clear();
	netfs_call_init(&call, NULL);
	netfs_setattr(vnode, file, &set, &call);
	assert_int_equal(netfs_call_wait(&call), 0);
	assert_int_equal(call.attr.mtime.sec, 1000);
	assert_string_equal(double_log(), "write;setattr other;");
	w_close(file);
	world_sleep_ms(2000);
	assert_int_equal(w_getattr(vnode).mtime.sec, 1000);
	assert_int_equal(w_getattr(vnode).mtime.nsec, 5);
	netfs_vnode_put(vnode);
	world_stop(&world);
}

static void an_open_sees_what_another_client_closed(void **unused)
{
	struct netfs_vnode *root2, *a, *a2;
	struct notified notified = {0};
	struct netfs_mount *mount2;
	struct netfs_file *file;
	struct world world;
	bool keep;

	world_start(&world, &double_ops, "");
	netfs_mount_set_notify(world.mount, &notify_ops, &notified);
	mount2 = world_mount(&world, &double_ops, "");
	root2 = netfs_mount_root(mount2);
	w_put(world.root, "a", "old text");
	a = w_find(world.root, "a");
	a2 = w_find(root2, "a");
	file = w_open(a, O_RDONLY, &keep);
	w_expect(file, "old text", 0);
	w_close(file);
	notified.data = 0;
	world_sleep_ms(10);
	file = w_open(a2, O_WRONLY, NULL);
	w_write(file, "new", 0);
	w_close(file);
	file = w_open(a, O_RDONLY, &keep);
	assert_false(keep);
	assert_int_equal(notified.data, 1);
	assert_int_equal(notified.ino, netfs_vnode_ino(a));
	w_expect(file, "new text", 0);
	w_close(file);
	/* Nobody changed it since. */
	double_log_clear();
	file = w_open(a, O_RDONLY, &keep);
	assert_true(keep);
	w_expect(file, "new text", 0);
	assert_int_equal(double_logged("read;"), 0);
	w_close(file);
	netfs_vnode_put(a);
	netfs_vnode_put(a2);
	netfs_vnode_put(root2);
	assert_int_equal(world_close(mount2, 0), 0);
	world_stop(&world);
}

static void our_own_writes_do_not_drop_our_data(void **unused)
{
	struct notified notified = {0};
	struct netfs_vnode *vnode;
	struct netfs_file *file;
	struct world world;
	bool keep;

	world_start(&world, &double_ops, "");
	netfs_mount_set_notify(world.mount, &notify_ops, &notified);
	w_put(world.root, "a", "text");
	vnode = w_find(world.root, "a");
	w_close(w_open(vnode, O_RDONLY, NULL));
	file = w_open(vnode, O_RDWR, NULL);
	w_write(file, "TEXT and more", 0);
	w_close(file);
	assert_int_equal(w_rename(world.root, "a", "b", 0), 0);
	world_sleep_ms(3000);
	notified.data = 0;
	double_log_clear();
	file = w_open(vnode, O_RDONLY, &keep);
	assert_true(keep);
	w_expect(file, "TEXT and more", 0);
	assert_int_equal(double_logged("read;"), 0);
	assert_int_equal(notified.data, 0);
	w_close(file);
	netfs_vnode_put(vnode);
	world_stop(&world);
}

static void truncation_drops_what_lay_beyond(void **unused)
{
	struct netfs_setattr set = {.valid = NETFS_SET_SIZE, .size = 3};
	struct netfs_vnode *vnode;
	struct netfs_file *file;
	struct netfs_call call;
	struct world world;
	char buf[8];

	world_start(&world, &double_ops, "");
	file = w_create(world.root, "a", &vnode);
	w_write(file, "12345678", 0);
	netfs_call_init(&call, NULL);
	netfs_setattr(vnode, file, &set, &call);
	assert_int_equal(netfs_call_wait(&call), 0);
	assert_int_equal(call.attr.size, 3);
	set.size = 6;
	netfs_call_init(&call, NULL);
	netfs_setattr(vnode, NULL, &set, &call);
	assert_int_equal(netfs_call_wait(&call), 0);
	assert_int_equal(netfs_pread(file, buf, sizeof(buf), 0, 0), 6);
	assert_memory_equal(buf, "123\0\0\0", 6);
	w_close(file);
	netfs_vnode_put(vnode);
	world_stop(&world);
}

static void attributes_are_asked_for_once_while_they_are_believed(void **unused)
{
	struct netfs_vnode *vnode;
	struct world world;

	world_start(&world, &double_ops, "actimeo=5");
	w_put(world.root, "a", "text");
	vnode = w_find(world.root, "a");
	w_getattr(vnode);
	double_log_clear();
	w_getattr(vnode);
	assert_int_equal(double_logged("getattr"), 0);
	world_sleep_ms(5001);
	w_getattr(vnode);
	assert_int_equal(double_logged("getattr"), 1);
	netfs_vnode_put(vnode);
	world_stop(&world);
}

static void a_directory_counts_as_changed_by_what_we_make_in_it(void **unused)
{
	struct netfs_vnode *vnode;
	struct world world;

	world_start(&world, &double_ops, "actimeo=100");
	w_getattr(world.root);
	double_log_clear();
	w_getattr(world.root);
	assert_int_equal(double_logged("getattr"), 0);
	vnode = w_mkdir(world.root, "sub");
	w_getattr(world.root);
	assert_int_equal(double_logged("getattr"), 1);
	netfs_vnode_put(vnode);
	world_stop(&world);
}

static uint64_t mtime_ns(struct netfs_vnode *vnode)
{
	struct netfs_attr attr = w_getattr(vnode);

	return (uint64_t)attr.mtime.sec * 1000000000 + attr.mtime.nsec;
}

/* As the server sees it. */
static uint64_t server_mtime_ns(struct world *world, const char *name)
{
	struct netfs_vnode *root = netfs_mount_root(world->keeper);
	struct netfs_vnode *vnode = w_find(root, name);
	uint64_t ns;

	world_sleep_ms(2000); /* the other mount's attributes have aged */
	ns = mtime_ns(vnode);
	netfs_vnode_put(vnode);
	netfs_vnode_put(root);
	return ns;
}

/* Where close does not wait, data arrives later; the file does not become newer
 * by that, neither here nor at the server. */
static void a_late_upload_keeps_the_time_of_the_write(void **unused)
{
	struct netfs_vnode *object, *program;
	struct netfs_file *file;
	struct world world;
	uint64_t wrote;

	world_start(&world, &double_ops, "cache=loose,actimeo=0");
	file = w_create(world.root, "part.o", &object);
	world_sleep_ms(100);
	w_write(file, "object", 0);
	w_close(file);
	wrote = mtime_ns(object);
	world_sleep_ms(4000);
	file = w_create(world.root, "prog", &program);
	w_write(file, "program", 0);
	w_close(file);
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(mtime_ns(object), wrote);
		assert_true(mtime_ns(program) > wrote);
		world_sleep_ms(200);
	}
	assert_int_equal(server_mtime_ns(&world, "part.o"), wrote);
	/* It is our own change: nothing is read again. */
	file = w_open(object, O_RDONLY, NULL);
	double_log_clear();
	w_expect(file, "object", 0);
	assert_int_equal(double_logged("read"), 0);
	w_close(file);
	netfs_vnode_put(object);
	netfs_vnode_put(program);
	world_stop(&world);
}

/* A time set by hand is the younger one, also where the data, or the time that
 * is owed, is still under way. */
static void a_time_set_by_hand_is_not_taken_back(void **unused)
{
	static const struct netfs_setattr set = {
		.valid = NETFS_SET_MTIME,
		.mtime = {.sec = 1000},
	};

	for (unsigned ms = 0; ms < 12000; ms += 500) {
		struct netfs_vnode *vnode;
		struct netfs_file *file;
		struct netfs_call call;
		struct w_call setattr;
		struct world world;

		world_start(&world, &double_ops, "cache=loose,actimeo=0");
		file = w_create(world.root, "a", &vnode);
		w_write(file, "1234", 0);
		w_close(file);
		double_hold(DOUBLE_SETATTR, DOUBLE_REQUEST);
		world_sleep_ms(ms);
		double_pass(DOUBLE_SETATTR);
		w_call_init(&setattr);
		netfs_setattr(vnode, NULL, &set, &setattr.call);
		world_idle();
		double_release(DOUBLE_SETATTR);
		netfs_call_init(&call, NULL);
		netfs_mount_sync(world.mount, &call);
		assert_int_equal(netfs_call_wait(&call), 0);
		world_sleep_ms(20000);
		assert_true(setattr.ended);
		assert_int_equal(setattr.err, 0);
		assert_int_equal(w_getattr(vnode).mtime.sec, 1000);
		assert_int_equal(server_mtime_ns(&world, "a") / 1000000000, 1000);
		netfs_vnode_put(vnode);
		world_stop(&world);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_old_answer_does_not_shrink_a_written_file),
		cmocka_unit_test(an_old_lookup_does_not_shrink_a_written_file),
		cmocka_unit_test(unsent_data_counts_in_size_blocks_and_times),
		cmocka_unit_test(times_set_by_hand_survive_the_data_written_before),
		cmocka_unit_test(a_late_upload_keeps_the_time_of_the_write),
		cmocka_unit_test(a_time_set_by_hand_is_not_taken_back),
		cmocka_unit_test(an_open_sees_what_another_client_closed),
		cmocka_unit_test(our_own_writes_do_not_drop_our_data),
		cmocka_unit_test(truncation_drops_what_lay_beyond),
		cmocka_unit_test(attributes_are_asked_for_once_while_they_are_believed),
		cmocka_unit_test(a_directory_counts_as_changed_by_what_we_make_in_it),
	};

	return t_run(tests, NULL, NULL);
}
