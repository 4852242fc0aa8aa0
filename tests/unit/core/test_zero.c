/* SPDX-License-Identifier: MIT */
/*
 * What is known to be zero at the server, rule by rule.
 *
 * Goal: a byte known to be zero costs no question, and no byte is taken for
 * zero that might not be.  Where one offset would be kept ("zero from here
 * on"), the engine keeps a set of ranges.
 * Method: one file in the rig; its log of requests says what was asked for.
 * Each rule has its test; the rule for a disk cache has none as long as there
 * is none.
 */
#include "rig.h"

#define PAGE 4096

static bool is_zero(struct rig *rig, uint64_t from, uint64_t to)
{
	return netfs_ranges_covers(&rig->inode.zero, from, to);
}

/* Rule 1: of a file that was there before, everything behind its end.
 * edge 44: a read across that end asks for what is below it only. */
static void an_existing_file_is_zero_behind_its_end(void **unused)
{
	static struct rig rig;

	rig_start(&rig, 5000, NULL);
	assert_true(is_zero(&rig, 5000, UINT64_MAX));
	assert_false(netfs_ranges_overlaps(&rig.inode.zero, 0, 5000));
	rig_write(&rig, 30000, 10);
	rig_read(&rig, 0, 20000);
	assert_string_equal(rig.log, "r0+5000;");
	assert_int_equal(rig_flush(&rig), 0);
	rig_stop(&rig);
}

/* Rule 2: a file we made is zero all over.
 * edge 40: a write into it needs nothing from the server. */
static void a_file_we_made_is_zero(void **unused)
{
	static struct rig rig;

	rig_start(&rig, 0, &(struct rig_options){.created = true});
	assert_true(is_zero(&rig, 0, UINT64_MAX));
	rig_write(&rig, 10000, 100);
	rig_check(&rig);
	assert_int_equal(rig.reads, 0);
	assert_int_equal(rig_flush(&rig), 0);
	rig_stop(&rig);
}

/* Rule 3: what is cut off is zero. */
static void a_cut_leaves_zeroes(void **unused)
{
	static struct rig rig;

	rig_start(&rig, 20000, NULL);
	rig_truncate(&rig, 6000);
	assert_true(is_zero(&rig, 6000, UINT64_MAX));
	rig_truncate(&rig, 20000);
	rig_read(&rig, 8192, 8000);
	assert_int_equal(rig.reads, 0);
	rig_check(&rig);
	rig_stop(&rig);
}

/* Rule 4: growing changes nothing of what is known. */
static void growing_teaches_nothing(void **unused)
{
	static struct rig rig;

	rig_start(&rig, 6000, NULL);
	rig_truncate(&rig, 20000);
	assert_true(is_zero(&rig, 6000, UINT64_MAX));
	assert_false(netfs_ranges_overlaps(&rig.inode.zero, 0, 6000));
	rig_read(&rig, 4096, 10000);
	assert_string_equal(rig.log, "r4096+1904;");
	rig_stop(&rig);
}

/* Rule 5: a write that is only here changes nothing at the server. */
static void an_unsent_write_teaches_nothing(void **unused)
{
	static struct rig rig;

	rig_start(&rig, 0, &(struct rig_options){.created = true});
	rig_write(&rig, 0, 5000);
	assert_true(is_zero(&rig, 0, UINT64_MAX));
	/* Forgotten before it was sent, it never was. */
	rig_truncate(&rig, 0);
	rig_truncate(&rig, 5000);
	rig_check(&rig);
	assert_int_equal(rig.reads + rig.writes, 0);
	rig_stop(&rig);
}

/* Rule 6: somebody else changed the file: anything below its new end. */
static void a_change_by_others_forgets_below_the_new_end(void **unused)
{
	static struct rig rig;

	rig_start(&rig, 20000, NULL);
	rig_truncate(&rig, 0);
	rig_remote_change(&rig, 9000, true);
	assert_false(netfs_ranges_overlaps(&rig.inode.zero, 0, 9000));
	assert_true(is_zero(&rig, 9000, UINT64_MAX));
	rig_check(&rig);
	rig_remote_change(&rig, 3000, true);
	assert_true(is_zero(&rig, 3000, UINT64_MAX));
	rig_check(&rig);
	rig_stop(&rig);
}

/* Rules 7 and 8: what was sent is not zero from the moment it leaves, long
 * before it can leave our memory; what was not sent between stays known. */
static void what_is_sent_is_not_zero(void **unused)
{
	static struct rig rig;
	struct rig_flush flush;

	rig_start(&rig, 0, &(struct rig_options){.created = true});
	rig_write(&rig, 0, 100);
	rig_write(&rig, 2 * PAGE, 100);
	rig.hold = true;
	rig_begin_flush(&rig, &flush, 0, UINT64_MAX);
	rig_run();
	assert_false(netfs_ranges_overlaps(&rig.inode.zero, 0, 100));
	assert_true(is_zero(&rig, 100, 2 * PAGE));
	assert_false(netfs_ranges_overlaps(&rig.inode.zero, 2 * PAGE, 2 * PAGE + 100));
	rig_release(&rig);
	assert_int_equal(rig_finish_flush(&flush), 0);
	netfs_inode_invalidate(&rig.inode, 0, UINT64_MAX);
	rig_clear_log(&rig);
	rig_check(&rig);
	assert_string_equal(rig.log, "r0+100;r8192+100;");
	rig_stop(&rig);
}

/* Rule 9: a direct write is not zero from before it is sent.
 * edge 65: nor does a buffered reader meet what was cached before. */
static void a_direct_write_is_not_zero(void **unused)
{
	static struct rig rig;
	static struct rig_io io;

	rig_start(&rig, 0, &(struct rig_options){.created = true});
	rig_truncate(&rig, 20000);
	rig_check(&rig);
	rig.hold = true;
	rig_begin(&rig, &io, true, PAGE, PAGE, NETFS_IO_DIRECT);
	assert_int_equal(rig.nheld, 1);
	assert_false(netfs_ranges_overlaps(&rig.inode.zero, PAGE, 2 * PAGE));
	rig_release(&rig);
	assert_int_equal(rig_finish(&io), PAGE);
	rig_note_write(&rig, &io);
	rig_clear_log(&rig);
	rig_check(&rig);
	assert_string_equal(rig.log, "r4096+4096;");
	rig_stop(&rig);
}

/* And what a single offset cannot say: a hole in the middle. */
static void a_hole_in_the_middle_is_zero(void **unused)
{
	static struct rig rig;

	rig_start(&rig, 20000, NULL);
	rig_punch(&rig, PAGE, 3 * PAGE);
	assert_true(is_zero(&rig, PAGE, 3 * PAGE));
	rig_read(&rig, PAGE, 2 * PAGE);
	assert_int_equal(rig.reads, 0);
	netfs_inode_clear_zero(&rig.inode, PAGE, 2 * PAGE);
	netfs_inode_invalidate(&rig.inode, 0, UINT64_MAX);
	rig_read(&rig, PAGE, 2 * PAGE);
	assert_string_equal(rig.log, "r4096+4096;");
	rig_check(&rig);
	rig_stop(&rig);
}

/* Without memory to say so, less is believed, never more. */
static void without_memory_less_is_known(void **unused)
{
	static struct rig rig;

	rig_start(&rig, 20000, NULL);
	rig_lock(&rig);
	for (uint64_t n = 1; n < 4; n++) {
		netfs_inode_set_zero(&rig.inode, 1000, 1100);
		netfs_inode_set_zero(&rig.inode, 2000, 2100);
		netfs_sim_fail_alloc(n);
		netfs_inode_set_zero(&rig.inode, 3000, 3100);
		netfs_inode_clear_zero(&rig.inode, 1020, 1030);
		netfs_inode_clear_zero(&rig.inode, 1050, 1060);
		netfs_sim_fail_alloc(0);
		assert_false(netfs_ranges_overlaps(&rig.inode.zero, 1020, 1030));
		assert_false(netfs_ranges_overlaps(&rig.inode.zero, 1050, 1060));
		netfs_inode_clear_zero(&rig.inode, 0, UINT64_MAX);
	}
	netfs_inode_unlock(&rig.inode);
	rig_stop(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_existing_file_is_zero_behind_its_end),
		cmocka_unit_test(a_file_we_made_is_zero),
		cmocka_unit_test(a_cut_leaves_zeroes),
		cmocka_unit_test(growing_teaches_nothing),
		cmocka_unit_test(an_unsent_write_teaches_nothing),
		cmocka_unit_test(a_change_by_others_forgets_below_the_new_end),
		cmocka_unit_test(what_is_sent_is_not_zero),
		cmocka_unit_test(a_direct_write_is_not_zero),
		cmocka_unit_test(a_hole_in_the_middle_is_zero),
		cmocka_unit_test(without_memory_less_is_known),
	};

	return t_run(tests, NULL, NULL);
}
