/* SPDX-License-Identifier: MIT */
/*
 * Goal: what is believed of a lease is never more than the server granted last,
 * in whatever order its replies and breaks arrive.
 * Method: the rules alone, told one thing after the other.
 */
#include <t.h>
#include <string.h>
#include <unetfs/backend.h>
#include <backend/smb/smb_lease.h>

#define R   SMB_LEASE_READ
#define RH  (SMB_LEASE_READ | SMB_LEASE_HANDLE)
#define RWH (RH | SMB_LEASE_WRITE)

static void a_later_epoch_upgrades(void **unused)
{
	struct smb_lease lease = {.session = 0};

	smb_lease_told(&lease, 1, RH, 1, false);
	assert_int_equal(lease.state, RH);
	smb_lease_told(&lease, 1, RWH, 2, false);
	assert_int_equal(lease.state, RWH);
}

/* The reply was sent before the break, and came after it. */
static void an_overtaken_reply_gives_nothing_back(void **unused)
{
	struct smb_lease lease = {.session = 0};

	smb_lease_told(&lease, 1, RWH, 1, false);
	assert_int_equal(smb_lease_broken(&lease, R, 3), SMB_LEASE_HANDLE | SMB_LEASE_WRITE);
	smb_lease_told(&lease, 1, RWH, 2, false);
	assert_int_equal(lease.state, R);
	smb_lease_told(&lease, 1, RH, 4, false);
	assert_int_equal(lease.state, RH);
}

static void a_break_never_gives(void **unused)
{
	struct smb_lease lease = {.session = 0};

	smb_lease_told(&lease, 1, R, 1, false);
	assert_int_equal(smb_lease_broken(&lease, RWH, 2), 0);
	assert_int_equal(lease.state, R);
	/* Even one that is late. */
	assert_int_equal(smb_lease_broken(&lease, 0, 1), R);
	assert_int_equal(lease.state, 0);
}

static void while_a_break_is_on_its_way_nothing_is_added(void **unused)
{
	struct smb_lease lease = {.session = 0};

	smb_lease_told(&lease, 1, RH, 1, true);
	assert_int_equal(lease.state, 0);
	smb_lease_told(&lease, 1, RH, 2, false);
	smb_lease_told(&lease, 1, RWH, 3, true);
	assert_int_equal(lease.state, RH);
}

static void epochs_run_in_a_circle(void **unused)
{
	struct smb_lease lease = {.session = 0};

	assert_true(smb_epoch_later(1, 65535));
	assert_false(smb_epoch_later(65535, 1));
	assert_false(smb_epoch_later(7, 7));
	smb_lease_told(&lease, 1, R, 65535, false);
	smb_lease_told(&lease, 1, RH, 0, false);
	assert_int_equal(lease.state, RH);
}

/* After a reconnect epochs may begin anew. */
static void another_session_begins_anew(void **unused)
{
	struct smb_lease lease = {.session = 0};

	smb_lease_told(&lease, 1, RWH, 900, false);
	smb_lease_told(&lease, 2, R, 1, false);
	assert_int_equal(lease.state, R);
	assert_int_equal(lease.epoch, 1);
}

static void without_reading_there_is_no_lease(void **unused)
{
	struct smb_lease lease = {.session = 0};

	smb_lease_told(&lease, 1, SMB_LEASE_HANDLE | SMB_LEASE_WRITE, 1, false);
	assert_int_equal(lease.state, 0);
	smb_lease_told(&lease, 1, 0xffffffff, 2, false);
	assert_int_equal(lease.state, RWH);
	assert_int_equal(smb_lease_broken(&lease, SMB_LEASE_HANDLE, 3), RWH);
	assert_int_equal(lease.state, 0);
}

static void a_promise_is_what_the_lease_allows(void **unused)
{
	assert_int_equal(smb_lease_promise(RWH), NETFS_PROMISE_ALL);
	assert_int_equal(smb_lease_promise(RH), NETFS_PROMISE_READ | NETFS_PROMISE_HANDLE);
	assert_int_equal(smb_lease_promise(0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_later_epoch_upgrades),
		cmocka_unit_test(an_overtaken_reply_gives_nothing_back),
		cmocka_unit_test(a_break_never_gives),
		cmocka_unit_test(while_a_break_is_on_its_way_nothing_is_added),
		cmocka_unit_test(epochs_run_in_a_circle),
		cmocka_unit_test(another_session_begins_anew),
		cmocka_unit_test(without_reading_there_is_no_lease),
		cmocka_unit_test(a_promise_is_what_the_lease_allows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
