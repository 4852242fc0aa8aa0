/* SPDX-License-Identifier: MIT */
/*
 * Goal: the mem back end keeps the contract in both orders of completion, and
 * mounts of one name meet in one tree.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <backend/backends.h>
#include <contract_call.h>

static const struct netfs_source unnamed = {"mem", "", "", ""};
static const struct netfs_source named = {"mem", "", "", "shared"};

static void keeps_the_contract(void **state)
{
	contract_run(&netfs_mem_ops, &unnamed, "", CONTRACT_NO_SPARSE);
}

static void keeps_the_contract_when_completing_later(void **state)
{
	contract_run(&netfs_mem_ops, &unnamed, "async", CONTRACT_NO_SPARSE);
}

static void mounts_of_a_name_share_a_tree(void **state)
{
	struct contract a, b;
	char why[256];

	assert_int_equal(c_connect(&a, &netfs_mem_ops, &named, "", why), 0);
	c_make_file(&a, a.root, "file", "seen by both");
	assert_int_equal(c_connect(&b, &netfs_mem_ops, &named, "async", why), 0);
	c_expect_file(&b, b.root, "file", "seen by both");
	c_disconnect(&a);
	c_expect_file(&b, b.root, "file", "seen by both");
	c_disconnect(&b);
}

static void a_tree_goes_with_its_last_mount(void **state)
{
	struct contract c;
	char why[256];

	assert_int_equal(c_connect(&c, &netfs_mem_ops, &named, "", why), 0);
	assert_int_equal(c_lookup(&c, c.root, "file", NULL, NULL), -ENOENT);
	c_make_file(&c, c.root, "file", "with data");
	assert_int_equal(c_mkdir(&c, c.root, "dir", NULL), 0);
	c_disconnect(&c);
	assert_int_equal(c_connect(&c, &netfs_mem_ops, &named, "", why), 0);
	assert_int_equal(c_lookup(&c, c.root, "file", NULL, NULL), -ENOENT);
	c_disconnect(&c);
}

static void mounts_without_a_name_have_their_own(void **state)
{
	struct contract a, b;
	char why[256];

	assert_int_equal(c_connect(&a, &netfs_mem_ops, &unnamed, "", why), 0);
	assert_int_equal(c_connect(&b, &netfs_mem_ops, &unnamed, "", why), 0);
	c_make_file(&a, a.root, "file", "mine");
	assert_int_equal(c_lookup(&b, b.root, "file", NULL, NULL), -ENOENT);
	c_disconnect(&a);
	c_disconnect(&b);
}

static void files_have_a_largest_size(void **state)
{
	struct netfs_setattr set = {.valid = NETFS_SET_SIZE, .size = UINT64_C(1) << 31};
	struct netfs_handle *handle;
	struct netfs_node *node;
	struct contract c;
	char why[256];

	assert_int_equal(c_connect(&c, &netfs_mem_ops, &unnamed, "", why), 0);
	assert_int_equal(c_create(&c, c.root, "file", O_RDWR, &node, &handle), 0);
	assert_int_equal(c_setattr(&c, node, NULL, &set, NULL), -EFBIG);
	assert_int_equal(c_write(&c, handle, UINT64_C(1) << 31, "x", 1), -EFBIG);
	assert_int_equal(c_write(&c, handle, (UINT64_C(1) << 30) - 1, "xy", 2), -EFBIG);
	netfs_handle_put(handle);
	netfs_node_put(node);
	c_disconnect(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_the_contract),
		cmocka_unit_test(keeps_the_contract_when_completing_later),
		cmocka_unit_test(mounts_of_a_name_share_a_tree),
		cmocka_unit_test(a_tree_goes_with_its_last_mount),
		cmocka_unit_test(mounts_without_a_name_have_their_own),
		cmocka_unit_test(files_have_a_largest_size),
	};

	return t_run(tests, NULL, NULL);
}
