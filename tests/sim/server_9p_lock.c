/* SPDX-License-Identifier: MIT */
/*
 * The simulated server's byte-range locks, as fcntl(2) has them: an owner's new
 * lock replaces what it had in the range, others conflict unless both read.
 * Nobody waits here; who cannot have a lock is told so.
 *
 * Locks end with the fid they were set through, and so with its connection.
 * One that its owner sets again on a new connection belongs to that one, even
 * where the old connection has not been noticed to be dead.
 */
#include <errno.h>
#include <stdlib.h>
#include "server_9p.h"

enum {
	LOCK_READ = 0,
	LOCK_WRITE = 1,
	LOCK_NONE = 2,
	STATUS_SUCCESS = 0,
	STATUS_BLOCKED = 1,
};

static void take_range(struct in9 *in, struct lock9 *ret_lock)
{
	uint64_t len;

	ret_lock->start = in_u64(in);
	len = in_u64(in);
	ret_lock->end = len ? ret_lock->start + len : UINT64_MAX;
	ret_lock->proc_id = in_u32(in);
	in_string(in, ret_lock->client_id, sizeof(ret_lock->client_id));
}

static bool same_owner(const struct lock9 *a, const struct lock9 *b)
{
	return a->proc_id == b->proc_id && !strcmp(a->client_id, b->client_id);
}

static bool overlap(const struct lock9 *a, const struct lock9 *b)
{
	return a->node == b->node && a->start < b->end && b->start < a->end;
}

static struct lock9 *conflict(struct server9 *server, const struct lock9 *wanted)
{
	struct netfs_list *at;

	netfs_list_for_each (at, &server->locks) {
		struct lock9 *lock = netfs_container_of(at, struct lock9, link);

		if (overlap(lock, wanted) && !same_owner(lock, wanted) &&
		    (lock->write || wanted->write))
			return lock;
	}
	return NULL;
}

static void add(struct server9 *server, const struct lock9 *lock, uint64_t start, uint64_t end)
{
	struct lock9 *piece = start < end ? malloc(sizeof(*piece)) : NULL;

	if (!piece)
		return;
	*piece = *lock;
	piece->start = start;
	piece->end = end;
	netfs_list_init(&piece->link);
	netfs_list_push_back(&server->locks, &piece->link);
}

/* What the owner has in the range goes; what sticks out of it stays. */
static void cut_out(struct server9 *server, const struct lock9 *range)
{
	struct netfs_list *at, *tmp;

	netfs_list_for_each_safe (at, tmp, &server->locks) {
		struct lock9 *lock = netfs_container_of(at, struct lock9, link);

		if (!overlap(lock, range) || !same_owner(lock, range))
			continue;
		netfs_list_remove(&lock->link);
		add(server, lock, lock->start, range->start);
		add(server, lock, range->end, lock->end);
		free(lock);
	}
}

int server9_lock(struct conn9 *conn, const struct fid9 *fid, struct in9 *in, struct out9 *out)
{
	struct lock9 lock = {.node = fid->node, .conn = conn, .fid = fid->number};
	uint8_t type = in_u8(in);

	in_u32(in);
	take_range(in, &lock);
	lock.write = type == LOCK_WRITE;
	if (in->bad || type > LOCK_NONE || lock.start >= lock.end)
		return -EINVAL;
	if (type != LOCK_NONE && conflict(conn->server, &lock)) {
		out_u8(out, STATUS_BLOCKED);
		return 0;
	}
	cut_out(conn->server, &lock);
	if (type != LOCK_NONE)
		add(conn->server, &lock, lock.start, lock.end);
	out_u8(out, STATUS_SUCCESS);
	return 0;
}

int server9_getlock(struct conn9 *conn, const struct fid9 *fid, struct in9 *in, struct out9 *out)
{
	struct lock9 wanted = {.node = fid->node}, *other;
	uint8_t type = in_u8(in);

	take_range(in, &wanted);
	wanted.write = type == LOCK_WRITE;
	if (in->bad)
		return -EINVAL;
	other = conflict(conn->server, &wanted);
	out_u8(out, !other ? LOCK_NONE : other->write ? LOCK_WRITE : LOCK_READ);
	if (!other)
		other = &wanted;
	out_u64(out, other->start);
	out_u64(out, other->end == UINT64_MAX ? 0 : other->end - other->start);
	out_u32(out, other->proc_id);
	out_string(out, other->client_id);
	return 0;
}

void server9_unlock_fid(struct conn9 *conn, uint32_t fid)
{
	struct netfs_list *at, *tmp;

	netfs_list_for_each_safe (at, tmp, &conn->server->locks) {
		struct lock9 *lock = netfs_container_of(at, struct lock9, link);

		if (lock->conn != conn || lock->fid != fid)
			continue;
		netfs_list_remove(&lock->link);
		free(lock);
	}
}

bool server9_holds(const struct server9 *server, const struct node *node, uint32_t proc_id)
{
	struct netfs_list *at;

	netfs_list_for_each (at, &server->locks) {
		const struct lock9 *lock = netfs_container_of(at, struct lock9, link);

		if (lock->node == node && lock->proc_id == proc_id)
			return true;
	}
	return false;
}
