// SPDX-License-Identifier: MIT
/*
 * Files that nobody has open any more, and that stay open at the server for a while,
 * because they will be opened again: under a lease for handle caching, which the
 * server breaks when somebody wants to remove or rename the file, or to open it in a
 * way that we would be in the way of.  With the handle its lease stays, so what is
 * known of the file needs no asking either.
 *
 * Only while the lease is for writing too, so that nobody else has the file: of that
 * the server takes nothing away before we agreed.  Read caching alone is taken without
 * waiting for us, and a program that was just told of a change, and opens the file,
 * would find it old for a moment.
 *
 * What of our own calls would meet such a handle has it closed before: it would keep
 * a removed name alive, and a directory from being renamed.
 *
 * Locks: conn->lock guards the list, which is in order of time.
 */
#include <string.h>
#include "smb.h"

static bool may_stay_locked(struct smb_conn *conn, const struct smb_handle *handle)
{
	uint32_t needed = SMB_LEASE_READ | SMB_LEASE_HANDLE | SMB_LEASE_WRITE;

	return conn->state == SMB_READY && !conn->closing && !conn->no_idle && !handle->err &&
	       !handle->goes && handle->session == conn->session && handle->leased &&
	       !handle->node->recall && !handle->nheld &&
	       (handle->node->lease.state & needed) == needed;
}

static void unlist_locked(struct smb_conn *conn, struct smb_handle *handle)
{
	netfs_list_remove(&handle->idle_link);
	conn->nidle--;
}

/* One more would be too many: the oldest, which is to be closed, or NULL. */
static struct smb_handle *oldest_locked(struct smb_conn *conn)
{
	struct smb_handle *handle;

	if (conn->nidle < SMB_IDLE_MAX)
		return NULL;
	handle = netfs_container_of(conn->idle.next, struct smb_handle, idle_link);
	unlist_locked(conn, handle);
	handle->goes = true;
	return handle;
}

bool smb_idle_keep(struct smb_handle *handle)
{
	struct smb_conn *conn = smb_conn_of(handle->base.be);
	struct smb_handle *goes = NULL;
	bool stays;

	netfs_mutex_lock(&conn->lock);
	stays = may_stay_locked(conn, handle);
	if (stays) {
		goes = oldest_locked(conn);
		atomic_store(&handle->base.refs, 1);
		handle->idle_until_ns = netfs_clock_now() + SMB_IDLE_NS;
		if (netfs_list_empty(&conn->idle))
			netfs_task_post(&conn->task);
		netfs_list_push_back(&conn->idle, &handle->idle_link);
		conn->nidle++;
	}
	netfs_mutex_unlock(&conn->lock);
	if (goes)
		netfs_handle_put(&goes->base);
	return stays;
}

struct smb_handle *smb_idle_take(struct smb_node *node, uint32_t access, uint32_t *ret_promise)
{
	struct smb_conn *conn = smb_conn_of(node->base.be);
	struct smb_handle *found = NULL;
	struct netfs_list *link;

	netfs_mutex_lock(&conn->lock);
	netfs_list_for_each (link, &conn->idle) {
		struct smb_handle *handle = netfs_container_of(link, struct smb_handle, idle_link);

		if (handle->node != node || (handle->access & access) != access ||
		    !may_stay_locked(conn, handle))
			continue;
		found = handle;
		break;
	}
	if (found)
		unlist_locked(conn, found);
	*ret_promise = atomic_load(&node->base.promise);
	netfs_mutex_unlock(&conn->lock);
	return found;
}

/* ------------------------------------------------------------- close */

/* Which of them; all of what is given has to fit. */
struct which {
	const struct smb_node *node; /* NULL: any */
	const struct smb_node *dir; /* with name; NULL: anywhere */
	const char *name;
	uint64_t before_ns; /* idle until then at most; 0: any */
};

static bool called(const struct smb_place *place, const struct which *which)
{
	return place->parent == which->dir && place->name && !strcmp(place->name, which->name);
}

static bool meant(const struct smb_handle *handle, const struct which *which)
{
	const struct smb_node *node = handle->node;
	const struct smb_place place = {node->parent, node->name};

	if (which->node && node != which->node)
		return false;
	if (which->before_ns && handle->idle_until_ns > which->before_ns)
		return false;
	return !which->dir || called(&place, which) || called(&node->spare, which);
}

static void close_those(struct smb_conn *conn, const struct which *which)
{
	struct netfs_list list, *link, *tmp;

	netfs_list_init(&list);
	netfs_mutex_lock(&conn->lock);
	netfs_list_for_each_safe (link, tmp, &conn->idle) {
		struct smb_handle *handle = netfs_container_of(link, struct smb_handle, idle_link);

		if (!meant(handle, which))
			continue;
		unlist_locked(conn, handle);
		handle->goes = true;
		netfs_list_push_back(&list, &handle->idle_link);
	}
	netfs_mutex_unlock(&conn->lock);
	/* One that is being opened again is closed when that is over. */
	while ((link = netfs_list_pop_front(&list)))
		netfs_handle_put(&netfs_container_of(link, struct smb_handle, idle_link)->base);
}

void smb_idle_close(struct smb_node *node)
{
	close_those(smb_conn_of(node->base.be), &(const struct which){.node = node});
}

void smb_idle_close_name(struct smb_node *dir, const char *name)
{
	close_those(smb_conn_of(dir->base.be), &(const struct which){.dir = dir, .name = name});
}

bool smb_idle_end_name(struct smb_node *dir, const char *name)
{
	struct smb_conn *conn = smb_conn_of(dir->base.be);
	struct which which = {.dir = dir, .name = name};
	struct netfs_list *link;
	bool some = false;

	netfs_mutex_lock(&conn->lock);
	/* The last user of one may be about to leave it idle. */
	netfs_list_for_each (link, &conn->handles) {
		struct smb_handle *handle = netfs_container_of(link, struct smb_handle, link);

		if (!meant(handle, &which))
			continue;
		handle->goes = true;
		some = true;
	}
	netfs_list_for_each (link, &conn->going)
		some = some || meant(netfs_container_of(link, struct smb_handle, link), &which);
	netfs_mutex_unlock(&conn->lock);
	close_those(conn, &which);
	return some;
}

void smb_idle_close_all(struct smb_conn *conn)
{
	close_those(conn, &(const struct which){.node = NULL});
}

uint64_t smb_idle_expire(struct smb_conn *conn, uint64_t now)
{
	uint64_t next = 0;

	close_those(conn, &(const struct which){.before_ns = now});
	netfs_mutex_lock(&conn->lock);
	if (!netfs_list_empty(&conn->idle))
		next = netfs_container_of(conn->idle.next, struct smb_handle, idle_link)
			       ->idle_until_ns;
	netfs_mutex_unlock(&conn->lock);
	return next;
}
