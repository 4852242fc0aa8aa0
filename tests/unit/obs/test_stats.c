/* SPDX-License-Identifier: MIT */
/*
 * Goal: each counter has its own name and meaning and counts only itself.
 */
#include <pthread.h>
#include <string.h>
#include <obs/stats.h>
#include <t.h>

static void every_counter_has_its_own_name(void **state)
{
	for (unsigned i = 0; i < NETFS_STAT_COUNT; i++) {
		assert_true(*netfs_stat_name(i));
		assert_true(*netfs_stat_meaning(i));
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(netfs_stat_name(i), netfs_stat_name(j));
	}
	assert_string_equal(netfs_stat_name(NETFS_STAT_upload_bytes), "upload_bytes");
}

static void every_counter_stands_in_a_group(void **state)
{
	assert_string_equal(netfs_stat_group(0), "Reads");
	assert_string_equal(netfs_stat_group(NETFS_STAT_upload_bytes), "Uploads");
	assert_string_equal(netfs_stat_group(NETFS_STAT_COUNT - 1), "Names");
	assert_string_equal(netfs_stat_code(NETFS_STAT_download_slices), "DL");
	assert_string_equal(netfs_stat_code(NETFS_STAT_read_calls), "-");
	for (unsigned i = 0; i < NETFS_STAT_COUNT; i++) {
		for (unsigned j = 0; j < i; j++) {
			if (*netfs_stat_code(i) != '-')
				assert_string_not_equal(netfs_stat_code(i), netfs_stat_code(j));
		}
	}
}

static void counting_changes_one_counter(void **state)
{
	struct netfs_stats stats = {0};

	netfs_count(&stats, read_calls);
	netfs_count_n(&stats, read_bytes, 4096);
	netfs_count_n(&stats, read_bytes, 1);
	for (unsigned i = 0; i < NETFS_STAT_COUNT; i++) {
		uint64_t want = i == NETFS_STAT_read_calls   ? 1
				: i == NETFS_STAT_read_bytes ? 4097
							     : 0;

		assert_int_equal(netfs_stats_get(&stats, i), want);
	}
}

static void *count_down(void *stats)
{
	netfs_stats_sub(stats, NETFS_STAT_requests_living, 2);
	return stats;
}

/* Whatever part of the struct each of them used. */
static void a_counter_is_what_all_threads_counted(void **state)
{
	struct netfs_stats stats = {0};
	pthread_t thread;

	netfs_count_n(&stats, requests_living, 5);
	assert_int_equal(pthread_create(&thread, NULL, count_down, &stats), 0);
	pthread_join(thread, NULL);
	assert_int_equal(netfs_stats_get(&stats, NETFS_STAT_requests_living), 3);
}

static void unknown_counter(void *user)
{
	netfs_stat_name(NETFS_STAT_COUNT);
}

static void asking_for_an_unknown_counter_aborts(void **state)
{
	assert_true(t_aborts(unknown_counter, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_counter_has_its_own_name),
		cmocka_unit_test(every_counter_stands_in_a_group),
		cmocka_unit_test(counting_changes_one_counter),
		cmocka_unit_test(a_counter_is_what_all_threads_counted),
		cmocka_unit_test(asking_for_an_unknown_counter_aborts),
	};

	return t_run(tests, NULL, NULL);
}
