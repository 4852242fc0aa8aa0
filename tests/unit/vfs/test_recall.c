/* SPDX-License-Identifier: MIT */
/*
 * Goal: what the server promises not to change is not asked for again; when it
 * takes the promise back, unsent data is sent before that is agreed to, and old
 * bytes are never shown afterwards.
 * Method: the double, whose nodes get promises from the test; a second mount of
 * the tree changes files.
 */
#include <vfs/vnode.h>
#include "double.h"
#include "world.h"

#define READ_HANDLE (NETFS_PROMISE_READ | NETFS_PROMISE_HANDLE)

struct recall {
	struct netfs_recall base;
	unsigned done;
};

static void recalled(struct netfs_recall *base)
{
	struct recall *recall = netfs_container_of(base, struct recall, base);

	recall->done++;
	double_note("recalled");
}

/* The server promises this about vnode. */
static void promise(struct netfs_vnode *vnode, uint32_t bits)
{
	struct netfs_node *node = netfs_vnode_node(vnode);

	netfs_node_promise(node, bits);
	netfs_node_put(node);
}

static void take_back(struct netfs_vnode *vnode, struct recall *recall, uint32_t lost,
		      uint32_t keep)
{
	*recall = (struct recall){.base = {.lost = lost, .done = recalled}};
	promise(vnode, keep);
	double_host()->recall(double_host(), vnode->ino, vnode->gen, &recall->base);
	world_idle();
}

/* What another client does. */
static void change(struct world *world, const char *name, const char *text)
{
	struct netfs_vnode *root = netfs_mount_root(world->keeper);
	struct netfs_vnode *vnode = w_find(root, name);
	struct netfs_file *file = w_open(vnode, O_RDWR, NULL);

	w_write(file, text, 0);
	w_close(file);
	netfs_vnode_put(vnode);
	netfs_vnode_put(root);
}

static void what_is_promised_is_not_asked_for(void **unused)
{
	struct netfs_vnode *vnode;
	struct netfs_file *file;
	struct world world;

	world_start(&world, &double_ops, "actimeo=0");
	w_put(world.root, "a", "first");
	vnode = w_find(world.root, "a");
	promise(vnode, READ_HANDLE);
	w_getattr(vnode);
	double_log_clear();
	w_getattr(vnode);
	file = w_open(vnode, O_RDONLY, NULL);
	w_expect(file, "first", 0);
	world_sleep_ms(5000);
	w_getattr(vnode);
	assert_int_equal(double_logged("getattr"), 0);
	promise(vnode, 0);
	w_getattr(vnode);
	assert_int_equal(double_logged("getattr"), 1);
	w_close(file);
	netfs_vnode_put(vnode);
	world_stop(&world);
}

static void a_promise_is_not_relied_on_without_a_cache(void **unused)
{
	struct netfs_vnode *vnode;
	struct world world;

	world_start(&world, &double_ops, "cache=none");
	w_put(world.root, "a", "first");
	vnode = w_find(world.root, "a");
	promise(vnode, READ_HANDLE);
	w_getattr(vnode);
	double_log_clear();
	w_getattr(vnode);
	assert_int_equal(double_logged("getattr"), 1);
	netfs_vnode_put(vnode);
	world_stop(&world);
}

/* A promise given anew says nothing about what was known before. */
static void a_new_promise_does_not_cover_what_is_old(void **unused)
{
	struct netfs_vnode *vnode;
	struct world world;

	world_start(&world, &double_ops, "actimeo=0");
	w_put(world.root, "a", "first");
	vnode = w_find(world.root, "a");
	promise(vnode, READ_HANDLE);
	w_getattr(vnode);
	promise(vnode, 0);
	change(&world, "a", "second!");
	promise(vnode, READ_HANDLE);
	double_log_clear();
	assert_int_equal(w_getattr(vnode).size, 7);
	assert_int_equal(double_logged("getattr"), 1);
	netfs_vnode_put(vnode);
	world_stop(&world);
}

static void unsent_data_is_sent_before_a_promise_is_given_back(void **unused)
{
	struct netfs_vnode *vnode;
	struct netfs_file *file;
	struct recall recall;
	struct world world;

	world_start(&world, &double_ops, "");
	file = w_create(world.root, "a", &vnode);
	promise(vnode, NETFS_PROMISE_ALL);
	w_write(file, "mine", 0);
	double_log_clear();
	take_back(vnode, &recall, NETFS_PROMISE_WRITE, READ_HANDLE);
	assert_int_equal(recall.done, 1);
	assert_string_equal(double_log(), "write;recalled;");
	assert_int_equal(world_stat(world.mount, "recalls"), 1);
	/* It may still be read without asking. */
	w_expect(file, "mine", 0);
	assert_int_equal(double_logged("read"), 0);
	w_close(file);
	netfs_vnode_put(vnode);
	world_stop(&world);
}

static void what_was_read_is_forgotten_with_its_promise(void **unused)
{
	struct netfs_vnode *vnode;
	struct netfs_file *file;
	struct recall recall;
	struct world world;
	bool keep;

	world_start(&world, &double_ops, "");
	w_put(world.root, "a", "first");
	vnode = w_find(world.root, "a");
	promise(vnode, READ_HANDLE);
	file = w_open(vnode, O_RDONLY, NULL);
	w_expect(file, "first", 0);
	take_back(vnode, &recall, READ_HANDLE, 0);
	change(&world, "a", "other");
	w_expect(file, "other", 0);
	w_close(file);
	file = w_open(vnode, O_RDONLY, &keep);
	assert_false(keep);
	w_close(file);
	netfs_vnode_put(vnode);
	world_stop(&world);
}

/* The answer was on its way when the promise went. */
static void an_answer_from_before_is_not_covered(void **unused)
{
	struct netfs_vnode *vnode;
	struct recall recall;
	struct w_call call;
	struct world world;

	world_start(&world, &double_ops, "actimeo=0");
	w_put(world.root, "a", "first");
	vnode = w_find(world.root, "a");
	promise(vnode, READ_HANDLE);
	double_hold(DOUBLE_GETATTR, DOUBLE_REPLY);
	w_call_init(&call);
	netfs_getattr(vnode, NULL, &call.call);
	double_pass(DOUBLE_GETATTR);
	take_back(vnode, &recall, READ_HANDLE, 0);
	change(&world, "a", "second!");
	promise(vnode, READ_HANDLE);
	double_release(DOUBLE_GETATTR);
	assert_true(call.ended);
	assert_int_equal(w_getattr(vnode).size, 7);
	netfs_vnode_put(vnode);
	world_stop(&world);
}

/* Written, closed, and its version not asked for. */
static struct netfs_vnode *written_alone(struct world *world)
{
	struct netfs_vnode *vnode;
	struct netfs_file *file;

	world_start(world, &double_ops, "actimeo=0");
	w_put(world->root, "a", "first");
	vnode = w_find(world->root, "a");
	promise(vnode, NETFS_PROMISE_ALL);
	w_getattr(vnode);
	file = w_open(vnode, O_RDWR, NULL);
	double_log_clear();
	w_write(file, "mine!", 0);
	w_close(file);
	assert_int_equal(double_logged("write"), 1);
	assert_int_equal(double_logged("getattr"), 0);
	return vnode;
}

static void the_version_of_a_file_of_our_own_is_learned_late(void **unused)
{
	struct netfs_vnode *vnode;
	struct netfs_file *file;
	struct world world;

	vnode = written_alone(&world);
	assert_int_equal(w_getattr(vnode).size, 5);
	assert_int_equal(double_logged("getattr"), 1);
	w_getattr(vnode);
	assert_int_equal(double_logged("getattr"), 1);
	file = w_open(vnode, O_RDONLY, NULL);
	w_expect(file, "mine!", 0);
	assert_int_equal(double_logged("read"), 0);
	w_close(file);
	netfs_vnode_put(vnode);
	world_stop(&world);
}

/* Closing what was sent asks nobody, who may be away. */
static void a_late_version_stays_late_without_a_promise(void **unused)
{
	struct netfs_vnode *vnode;
	struct netfs_file *file;
	struct world world;

	vnode = written_alone(&world);
	file = w_open(vnode, O_RDWR, NULL);
	w_write(file, "again", 0);
	w_flush(file);
	promise(vnode, 0);
	double_log_clear();
	w_close(file);
	assert_string_equal(double_log(), "");
	netfs_vnode_put(vnode);
	world_stop(&world);
}

/* The promise ended without a recall, as with the connection. */
static void a_late_version_is_not_taken_for_ours(void **unused)
{
	struct netfs_vnode *vnode;
	struct netfs_file *file;
	struct world world;

	vnode = written_alone(&world);
	promise(vnode, 0);
	change(&world, "a", "other");
	promise(vnode, NETFS_PROMISE_ALL);
	file = w_open(vnode, O_RDONLY, NULL);
	w_expect(file, "other", 0);
	w_close(file);
	netfs_vnode_put(vnode);
	world_stop(&world);
}

static void a_late_version_is_not_taken_for_ours_by_a_change(void **unused)
{
	struct netfs_setattr set = {.valid = NETFS_SET_MODE, .mode = 0600};
	struct netfs_vnode *vnode;
	struct netfs_file *file;
	struct w_call call;
	struct world world;

	vnode = written_alone(&world);
	promise(vnode, 0);
	change(&world, "a", "other");
	promise(vnode, NETFS_PROMISE_ALL);
	w_call_init(&call);
	netfs_setattr(vnode, NULL, &set, &call.call);
	world_idle();
	assert_true(call.ended);
	file = w_open(vnode, O_RDONLY, NULL);
	w_expect(file, "other", 0);
	w_close(file);
	netfs_vnode_put(vnode);
	world_stop(&world);
}

static void a_recall_of_what_nobody_knows_ends_at_once(void **unused)
{
	struct recall recall = {.base = {.lost = NETFS_PROMISE_ALL, .done = recalled}};
	struct world world;

	world_start(&world, &double_ops, "");
	double_host()->recall(double_host(), 4711, 1, &recall.base);
	assert_int_equal(recall.done, 1);
	world_stop(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_promised_is_not_asked_for),
		cmocka_unit_test(a_promise_is_not_relied_on_without_a_cache),
		cmocka_unit_test(a_new_promise_does_not_cover_what_is_old),
		cmocka_unit_test(unsent_data_is_sent_before_a_promise_is_given_back),
		cmocka_unit_test(what_was_read_is_forgotten_with_its_promise),
		cmocka_unit_test(an_answer_from_before_is_not_covered),
		cmocka_unit_test(the_version_of_a_file_of_our_own_is_learned_late),
		cmocka_unit_test(a_late_version_stays_late_without_a_promise),
		cmocka_unit_test(a_late_version_is_not_taken_for_ours),
		cmocka_unit_test(a_late_version_is_not_taken_for_ours_by_a_change),
		cmocka_unit_test(a_recall_of_what_nobody_knows_ends_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
