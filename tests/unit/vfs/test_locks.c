/* SPDX-License-Identifier: MIT */
/*
 * Goal: the lock table holds, byte for byte, what fcntl(2) says; nobody who can
 * go on is left waiting; calls wait, are granted, and are cancelled.
 * Method: random operations against an array with one state per byte and owner;
 * then whole calls on mem behind the double.
 */
#include <errno.h>
#include <base/rng.h>
#include <env/sim/sim.h>
#include <vfs/locks.h>
#include "double.h"
#include "world.h"

#define BYTES  24
#define OWNERS 3
#define SLOTS  6

enum {
	FREE,
	READ,
	WRITE
};

/* The oracle: what each owner has on each byte. */
static uint8_t oracle[OWNERS][BYTES];

static unsigned handles_freed;

static void handle_free(struct netfs_handle *handle)
{
	handles_freed++;
}

static const struct netfs_be_ops fake_ops = {.handle_free = handle_free};
static struct netfs_be fake_be = {.ops = &fake_ops};

static bool oracle_allows(const struct netfs_lock *lock)
{
	for (unsigned owner = 0; owner < OWNERS; owner++) {
		for (uint64_t at = lock->start; at < lock->end; at++) {
			uint8_t has = oracle[owner][at];

			if (owner == lock->owner || has == FREE)
				continue;
			if (has == WRITE || lock->type == NETFS_LOCK_WRITE)
				return false;
		}
	}
	return true;
}

static void oracle_set(const struct netfs_lock *lock)
{
	static const uint8_t states[] = {READ, WRITE, FREE};

	for (uint64_t at = lock->start; at < lock->end; at++)
		oracle[lock->owner][at] = states[lock->type];
}

/* Does the table have exactly what the oracle has?  Each byte is probed by
 * somebody who has nothing. */
static void check_table(struct netfs_lock_table *table)
{
	for (uint64_t at = 0; at < BYTES; at++) {
		struct netfs_lock probe = {.owner = 99, .start = at, .end = at + 1}, found;
		bool readers = false, writer = false;

		for (unsigned owner = 0; owner < OWNERS; owner++) {
			struct netfs_lock_filter mine = {
				.owner = owner, .start = at, .end = at + 1};

			assert_int_equal(netfs_locks_find(table, &mine, NULL),
					 oracle[owner][at] != FREE);
			readers |= oracle[owner][at] == READ;
			writer |= oracle[owner][at] == WRITE;
		}
		probe.type = NETFS_LOCK_READ;
		assert_int_equal(netfs_locks_conflict(table, &probe, &found), writer);
		probe.type = NETFS_LOCK_WRITE;
		assert_int_equal(netfs_locks_conflict(table, &probe, &found), writer || readers);
	}
}

struct slot {
	struct netfs_lock_request request;
	bool used;
	bool granted;
};

static void slot_granted(struct netfs_lock_request *request)
{
	netfs_container_of(request, struct slot, request)->granted = true;
}

/* Those who were told get their lock. */
static void apply_granted(struct netfs_lock_table *table, struct slot *slots)
{
	bool again;

	do {
		again = false;
		for (unsigned i = 0; i < SLOTS; i++) {
			if (!slots[i].used || !slots[i].granted)
				continue;
			assert_true(oracle_allows(&slots[i].request.lock));
			oracle_set(&slots[i].request.lock);
			slots[i].used = slots[i].granted = false;
			netfs_locks_apply(table, &slots[i].request);
			again = true;
		}
	} while (again);
	/* Nobody waits who need not. */
	for (unsigned i = 0; i < SLOTS; i++)
		assert_true(!slots[i].used || !oracle_allows(&slots[i].request.lock));
}

static struct slot *free_slot(struct slot *slots)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		if (!slots[i].used)
			return &slots[i];
	}
	return NULL;
}

static bool owner_waits(struct slot *slots, uint64_t owner)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		if (slots[i].used && slots[i].request.lock.owner == owner)
			return true;
	}
	return false;
}

static void want_lock(struct netfs_lock_table *table, struct slot *slots,
		      const struct netfs_lock *lock, struct netfs_handle *handle)
{
	struct slot *slot = free_slot(slots);
	enum netfs_locks_answer answer;
	bool wait = slot && !owner_waits(slots, lock->owner);
	struct slot once = {0};

	if (!wait)
		slot = &once;
	slot->request.granted = slot_granted;
	assert_int_equal(netfs_locks_prepare(&slot->request, lock, handle), 0);
	answer = netfs_locks_reserve(table, &slot->request, wait);
	assert_int_equal(answer == NETFS_LOCKS_RESERVED, oracle_allows(lock));
	if (answer == NETFS_LOCKS_RESERVED) {
		oracle_set(lock);
		netfs_locks_apply(table, &slot->request);
	} else if (answer == NETFS_LOCKS_WAITING) {
		slot->used = true;
		slot->granted = false;
	} else {
		netfs_locks_unprepare(&slot->request);
	}
}

static void some_waiter_gives_up(struct netfs_lock_table *table, struct slot *slots)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		if (!slots[i].used)
			continue;
		assert_true(netfs_locks_dequeue(table, &slots[i].request));
		netfs_locks_unprepare(&slots[i].request);
		slots[i].used = false;
		return;
	}
}

static void the_table_agrees_with_an_array(void **unused)
{
	struct netfs_handle handles[2] = {
		{.refs = 1, .be = &fake_be},
		{.refs = 1, .be = &fake_be},
	};
	struct netfs_lock_table *table;
	struct slot slots[SLOTS] = {0};
	struct netfs_rng rng;

	t_rng(&rng, "the_table_agrees_with_an_array");
	netfs_sim_start(1);
	table = netfs_locks_new();
	for (unsigned step = 0; step < 20000; step++) {
		uint64_t start = netfs_rng_below(&rng, BYTES);
		struct netfs_lock lock = {
			.type = (enum netfs_lock_type)netfs_rng_below(&rng, 3),
			.owner = netfs_rng_below(&rng, OWNERS),
			.start = start,
			.end = start + 1 + netfs_rng_below(&rng, BYTES - start),
		};

		if (lock.type == NETFS_LOCK_UNLOCK) {
			struct netfs_lock_filter mine = {
				.owner = lock.owner, .start = lock.start, .end = lock.end};

			oracle_set(&lock);
			assert_int_equal(netfs_locks_unlock(table, &mine), 0);
		} else {
			want_lock(table, slots, &lock, &handles[netfs_rng_below(&rng, 2)]);
		}
		apply_granted(table, slots);
		if (netfs_rng_below(&rng, 10) == 0)
			some_waiter_gives_up(table, slots);
		check_table(table);
	}
	for (unsigned i = 0; i < SLOTS; i++)
		some_waiter_gives_up(table, slots);
	netfs_locks_drop(table, &handles[0]);
	netfs_locks_drop(table, &handles[1]);
	/* All references are back. */
	assert_int_equal(handles[0].refs, 1);
	assert_int_equal(handles[1].refs, 1);
	netfs_locks_free(table);
	netfs_sim_stop();
	memset(oracle, 0, sizeof(oracle));
}

/* ------------------------------------------------------------- calls */

static void ask_lock(struct w_call *w, struct netfs_file *file, const struct netfs_lock *lock,
		     bool wait)
{
	w_call_init(w);
	netfs_lock(file, lock, wait, &w->call);
}

static int lock_now(struct netfs_file *file, enum netfs_lock_type type, uint64_t owner,
		    uint64_t start, uint64_t end)
{
	struct netfs_lock lock = {.type = type, .owner = owner, .start = start, .end = end};
	struct netfs_call call;

	netfs_call_init(&call, NULL);
	netfs_lock(file, &lock, false, &call);
	return netfs_call_wait(&call);
}

static void a_waiting_lock_is_granted_when_the_other_goes(void **unused)
{
	struct netfs_lock lock = {
		.type = NETFS_LOCK_WRITE, .owner = 2, .start = 5, .end = UINT64_MAX};
	struct netfs_file *file;
	struct netfs_call call;
	struct w_call waiting;
	struct world world;

	world_start(&world, &double_ops, "locks=local");
	file = w_create(world.root, "a", NULL);
	assert_int_equal(lock_now(file, NETFS_LOCK_WRITE, 1, 0, 10), 0);
	assert_int_equal(lock_now(file, NETFS_LOCK_READ, 2, 9, 12), -EAGAIN);
	netfs_call_init(&call, NULL);
	netfs_getlock(file, &lock, &call);
	assert_int_equal(netfs_call_wait(&call), 0);
	assert_int_equal(call.lock.type, NETFS_LOCK_WRITE);
	assert_int_equal(call.lock.owner, 1);
	ask_lock(&waiting, file, &lock, true);
	assert_false(waiting.ended);
	assert_int_equal(lock_now(file, NETFS_LOCK_UNLOCK, 1, 0, 7), 0);
	assert_false(waiting.ended);
	assert_int_equal(lock_now(file, NETFS_LOCK_UNLOCK, 1, 7, 10), 0);
	assert_true(waiting.ended);
	assert_int_equal(waiting.err, 0);
	/* close(2) by the owner gives it up. */
	netfs_call_init(&call, NULL);
	netfs_flush(file, 2, &call);
	assert_int_equal(netfs_call_wait(&call), 0);
	assert_int_equal(lock_now(file, NETFS_LOCK_WRITE, 3, 0, UINT64_MAX), 0);
	w_close(file);
	world_stop(&world);
}

static void a_waiting_lock_can_be_cancelled(void **unused)
{
	struct netfs_lock lock = {.type = NETFS_LOCK_WRITE, .owner = 2, .end = 10};
	struct netfs_file *file;
	struct w_call waiting;
	struct world world;

	world_start(&world, &double_ops, "locks=local");
	file = w_create(world.root, "a", NULL);
	assert_int_equal(lock_now(file, NETFS_LOCK_WRITE, 1, 0, 10), 0);
	ask_lock(&waiting, file, &lock, true);
	netfs_call_cancel(&waiting.call);
	assert_true(waiting.ended);
	assert_int_equal(waiting.err, -EINTR);
	assert_int_equal(lock_now(file, NETFS_LOCK_UNLOCK, 1, 0, 10), 0);
	assert_int_equal(lock_now(file, NETFS_LOCK_WRITE, 3, 0, 10), 0);
	w_close(file);
	world_stop(&world);
}

static void flock_and_posix_locks_do_not_meet(void **unused)
{
	struct netfs_lock flock = {
		.type = NETFS_LOCK_WRITE, .flock = true, .owner = 7, .end = UINT64_MAX};
	struct netfs_vnode *vnode;
	struct netfs_file *file, *second;
	struct w_call call;
	struct world world;

	world_start(&world, &double_ops, "locks=local");
	file = w_create(world.root, "a", &vnode);
	second = w_open(vnode, O_RDWR, NULL);
	assert_int_equal(lock_now(file, NETFS_LOCK_WRITE, 1, 0, UINT64_MAX), 0);
	ask_lock(&call, file, &flock, false);
	assert_true(call.ended);
	assert_int_equal(call.err, 0);
	flock.owner = 8;
	ask_lock(&call, second, &flock, false);
	assert_int_equal(call.err, -EAGAIN);
	ask_lock(&call, second, &flock, true);
	assert_false(call.ended);
	/* The release of the file gives up what it was used to take. */
	w_close(file);
	world_idle();
	assert_true(call.ended);
	assert_int_equal(call.err, 0);
	w_close(second);
	netfs_vnode_put(vnode);
	world_stop(&world);
}

static void the_server_is_asked_again_until_it_grants(void **unused)
{
	struct netfs_lock lock = {.type = NETFS_LOCK_WRITE, .owner = 2, .end = 10};
	struct netfs_file *file;
	struct w_call waiting;
	struct world world;

	world_start(&world, &double_ops, "");
	double_caps(0, NETFS_BE_LOCKS);
	world_remount(&world, "");
	file = w_create(world.root, "a", NULL);
	double_block_locks(4);
	assert_int_equal(lock_now(file, NETFS_LOCK_WRITE, 1, 0, 10), -EAGAIN);
	double_log_clear();
	ask_lock(&waiting, file, &lock, true);
	assert_false(waiting.ended);
	/* 50, 100 and 200 ms later. */
	world_sleep_ms(300);
	assert_false(waiting.ended);
	world_sleep_ms(60);
	assert_true(waiting.ended);
	assert_int_equal(waiting.err, 0);
	assert_int_equal(double_logged("writelock;"), 4);
	/* While it is ours the server is not even asked. */
	assert_int_equal(lock_now(file, NETFS_LOCK_WRITE, 1, 0, 10), -EAGAIN);
	assert_int_equal(double_logged("writelock;"), 4);
	assert_int_equal(lock_now(file, NETFS_LOCK_UNLOCK, 2, 0, 10), 0);
	assert_int_equal(double_logged("unlock;"), 1);
	w_close(file);
	world_stop(&world);
}

static void a_lock_that_waits_for_the_server_can_be_cancelled(void **unused)
{
	struct netfs_lock lock = {.type = NETFS_LOCK_WRITE, .owner = 2, .end = 10};
	struct netfs_file *file;
	struct w_call waiting;
	struct world world;

	world_start(&world, &double_ops, "");
	double_caps(0, NETFS_BE_LOCKS);
	world_remount(&world, "");
	file = w_create(world.root, "a", NULL);
	double_block_locks(1000);
	ask_lock(&waiting, file, &lock, true);
	world_sleep_ms(5000);
	assert_false(waiting.ended);
	netfs_call_cancel(&waiting.call);
	assert_true(waiting.ended);
	assert_int_equal(waiting.err, -EINTR);
	double_block_locks(0);
	/* Cancelled while the server thinks: it is told to forget it. */
	double_hold(DOUBLE_LOCK, DOUBLE_REPLY);
	ask_lock(&waiting, file, &lock, true);
	assert_int_equal(double_held(DOUBLE_LOCK), 1);
	double_log_clear();
	double_pass(DOUBLE_LOCK);
	netfs_call_cancel(&waiting.call);
	assert_true(waiting.ended);
	assert_int_equal(waiting.err, -EINTR);
	assert_int_equal(double_logged("unlock;"), 1);
	assert_int_equal(lock_now(file, NETFS_LOCK_WRITE, 3, 0, 10), 0);
	w_close(file);
	world_stop(&world);
}

/* What another client wrote under its lock, though we read before. */
static void a_lock_of_the_server_goes_with_the_data(void **unused)
{
	struct netfs_vnode *root, *theirs;
	struct netfs_file *file, *other;
	struct world world;

	world_start(&world, &double_ops, "");
	double_caps(0, NETFS_BE_LOCKS);
	world_remount(&world, "");
	file = w_create(world.root, "a", NULL);
	w_write(file, "mine", 0);
	double_log_clear();
	assert_int_equal(lock_now(file, NETFS_LOCK_WRITE, 1, 0, 10), 0);
	assert_int_equal(strncmp(double_log(), "write;writelock;", 16), 0);
	w_write(file, "more", 0);
	double_log_clear();
	assert_int_equal(lock_now(file, NETFS_LOCK_UNLOCK, 1, 0, 10), 0);
	assert_string_equal(double_log(), "write;unlock;");
	w_expect(file, "more", 0);
	root = netfs_mount_root(world.keeper);
	theirs = w_find(root, "a");
	other = w_open(theirs, O_RDWR, NULL);
	w_write(other, "next", 0);
	w_close(other);
	assert_int_equal(lock_now(file, NETFS_LOCK_READ, 1, 0, 10), 0);
	w_expect(file, "next", 0);
	w_close(file);
	netfs_vnode_put(theirs);
	netfs_vnode_put(root);
	world_stop(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_agrees_with_an_array),
		cmocka_unit_test(a_waiting_lock_is_granted_when_the_other_goes),
		cmocka_unit_test(a_waiting_lock_can_be_cancelled),
		cmocka_unit_test(flock_and_posix_locks_do_not_meet),
		cmocka_unit_test(the_server_is_asked_again_until_it_grants),
		cmocka_unit_test(a_lock_that_waits_for_the_server_can_be_cancelled),
		cmocka_unit_test(a_lock_of_the_server_goes_with_the_data),
	};

	return t_run(tests, NULL, NULL);
}
