/* SPDX-License-Identifier: MIT */
/*
 * Goal: notices to the kernel are joined, bounded and never lost.  Method: fill
 * the queue in one thread and look at what comes out.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <fuse/notice.h>

static struct netfs_notice_queue queue;
static struct netfs_notice a, b;
static struct netfs_notice_order order;

static int setup(void **state)
{
	netfs_notice_queue_init(&queue);
	netfs_notice_init(&a, 10);
	netfs_notice_init(&b, 20);
	return 0;
}

static int teardown(void **state)
{
	netfs_notice_queue_done(&queue);
	return 0;
}

/* Stops the queue so that next() does not wait: what is left is then lost, so
 * look first. */
static void assert_empty(void)
{
	assert_true(netfs_list_empty(&queue.data));
	assert_true(netfs_list_empty(&queue.names));
	assert_int_equal(queue.nnames, 0);
}

static void ranges_of_one_node_are_joined(void **state)
{
	netfs_notice_data(&queue, &a, 100, 200);
	netfs_notice_data(&queue, &a, 400, 500);
	netfs_notice_data(&queue, &a, 50, 60);
	assert_true(netfs_notice_next(&queue, &order));
	assert_int_equal(order.nodeid, 10);
	assert_int_equal(order.start, 50);
	assert_int_equal(order.end, 500);
	assert_string_equal(order.name, "");
	assert_empty();
}

static void attributes_only_stays_so_until_bytes_are_added(void **state)
{
	netfs_notice_data(&queue, &a, 0, 0);
	assert_true(netfs_notice_next(&queue, &order));
	assert_int_equal(order.start, order.end);
	netfs_notice_data(&queue, &a, 0, 0);
	netfs_notice_data(&queue, &a, 7, 9);
	netfs_notice_data(&queue, &a, 3, 3);
	assert_true(netfs_notice_next(&queue, &order));
	assert_int_equal(order.start, 7);
	assert_int_equal(order.end, 9);
}

static void a_sent_range_is_not_sent_again(void **state)
{
	netfs_notice_data(&queue, &a, 0, 1000);
	assert_true(netfs_notice_next(&queue, &order));
	netfs_notice_data(&queue, &a, 5, 6);
	assert_true(netfs_notice_next(&queue, &order));
	assert_int_equal(order.start, 5);
	assert_int_equal(order.end, 6);
}

static void nodes_are_sent_oldest_first(void **state)
{
	netfs_notice_data(&queue, &b, 0, 1);
	netfs_notice_data(&queue, &a, 0, 1);
	netfs_notice_data(&queue, &b, 1, 2);
	assert_true(netfs_notice_next(&queue, &order));
	assert_int_equal(order.nodeid, 20);
	assert_int_equal(order.end, 2);
	assert_true(netfs_notice_next(&queue, &order));
	assert_int_equal(order.nodeid, 10);
	assert_empty();
}

static void a_forgotten_node_is_not_sent(void **state)
{
	netfs_notice_data(&queue, &a, 0, 1);
	netfs_notice_data(&queue, &b, 0, 1);
	netfs_notice_forget(&queue, &a);
	netfs_notice_forget(&queue, &a);
	assert_true(netfs_notice_next(&queue, &order));
	assert_int_equal(order.nodeid, 20);
	assert_empty();
}

static void fenced(struct netfs_notice *notice)
{
}

/* Who waits is told after what came before it, also after the stop. */
static void a_fence_comes_after_the_data_before_it(void **state)
{
	struct netfs_notice fence;

	netfs_notice_init(&fence, 0);
	fence.fence = fenced;
	assert_false(netfs_notice_fence(&queue, &fence));
	netfs_notice_data(&queue, &a, 0, 1);
	assert_true(netfs_notice_fence(&queue, &fence));
	netfs_notice_data(&queue, &b, 0, 1);
	assert_true(netfs_notice_next(&queue, &order));
	assert_int_equal(order.nodeid, 10);
	assert_null(order.fence);
	netfs_notice_stop(&queue);
	assert_true(netfs_notice_next(&queue, &order));
	assert_ptr_equal(order.fence, &fence);
	assert_false(netfs_notice_next(&queue, &order));
	assert_false(netfs_notice_fence(&queue, &fence));
}

/* It was taken out, and nobody knows whether the kernel has it. */
static void a_fence_waits_for_the_notice_being_sent(void **state)
{
	struct netfs_notice fence;

	netfs_notice_init(&fence, 0);
	fence.fence = fenced;
	netfs_notice_data(&queue, &a, 0, 1);
	assert_true(netfs_notice_next(&queue, &order));
	assert_true(netfs_notice_fence(&queue, &fence));
	assert_true(netfs_notice_next(&queue, &order));
	assert_ptr_equal(order.fence, &fence);
}

static void a_name_is_sent_once_and_before_data(void **state)
{
	netfs_notice_data(&queue, &a, 0, 1);
	assert_true(netfs_notice_name(&queue, 10, "x"));
	assert_true(netfs_notice_name(&queue, 10, "x"));
	assert_true(netfs_notice_name(&queue, 20, "x"));
	assert_true(netfs_notice_next(&queue, &order));
	assert_string_equal(order.name, "x");
	assert_int_equal(order.nodeid, 10);
	assert_true(netfs_notice_next(&queue, &order));
	assert_int_equal(order.nodeid, 20);
	assert_true(netfs_notice_next(&queue, &order));
	assert_string_equal(order.name, "");
	assert_empty();
	assert_true(netfs_notice_name(&queue, 10, "x"));
	assert_int_equal(queue.nnames, 1);
}

static void names_are_bounded_and_the_caller_is_told(void **state)
{
	char name[300];

	for (unsigned i = 0; i < NETFS_NOTICE_NAMES_MAX; i++) {
		snprintf(name, sizeof(name), "name-%u", i);
		assert_true(netfs_notice_name(&queue, 1, name));
	}
	assert_false(netfs_notice_name(&queue, 1, "one more"));
	assert_true(netfs_notice_name(&queue, 1, "name-7"));
	assert_true(netfs_notice_next(&queue, &order));
	assert_string_equal(order.name, "name-0");
	assert_true(netfs_notice_name(&queue, 1, "one more"));
}

static void an_overlong_name_is_refused(void **state)
{
	char name[300];

	for (unsigned i = 0; i < sizeof(name) - 1; i++)
		name[i] = 'n';
	name[sizeof(name) - 1] = '\0';
	assert_false(netfs_notice_name(&queue, 1, name));
	assert_empty();
}

static void *wait_for_one(void *arg)
{
	struct netfs_notice_order *got = arg;

	return netfs_notice_next(&queue, got) ? got : NULL;
}

static void a_waiting_notifier_is_woken(void **state)
{
	struct netfs_notice_order got;
	pthread_t thread;
	void *result;

	assert_int_equal(pthread_create(&thread, NULL, wait_for_one, &got), 0);
	netfs_notice_data(&queue, &a, 1, 2);
	pthread_join(thread, &result);
	assert_ptr_equal(result, &got);
	assert_int_equal(got.nodeid, 10);
}

static void a_stopped_queue_ends_the_notifier_and_takes_no_memory(void **state)
{
	struct netfs_notice_order got;
	pthread_t thread;
	void *result;

	assert_int_equal(pthread_create(&thread, NULL, wait_for_one, &got), 0);
	netfs_notice_stop(&queue);
	pthread_join(thread, &result);
	assert_null(result);
	assert_true(netfs_notice_name(&queue, 1, "late"));
	assert_int_equal(queue.nnames, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ranges_of_one_node_are_joined),
		TEST(attributes_only_stays_so_until_bytes_are_added),
		TEST(a_sent_range_is_not_sent_again),
		TEST(nodes_are_sent_oldest_first),
		TEST(a_forgotten_node_is_not_sent),
		TEST(a_fence_comes_after_the_data_before_it),
		TEST(a_fence_waits_for_the_notice_being_sent),
		TEST(a_name_is_sent_once_and_before_data),
		TEST(names_are_bounded_and_the_caller_is_told),
		TEST(an_overlong_name_is_refused),
		TEST(a_waiting_notifier_is_woken),
		TEST(a_stopped_queue_ends_the_notifier_and_takes_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
