/* SPDX-License-Identifier: MIT */
/*
 * Listings and link targets kept whole.
 *
 * A listing is worth keeping when nothing changed from before it was read until
 * it is used.  So it is kept with the version that the attributes told before
 * the first entry was asked for, and used only while fresh attributes tell the
 * same: versions do not come back.  Only where the version is a time, two
 * changes may share it; hence nothing is kept of an object that changed within
 * the last moments before it was read.
 *
 * A listing that was not read from its start to its end in one go is not kept.
 *
 * In memory entries stand one behind the other:
 *
 *	| record | name, padded to 8 | record | name | ...
 *
 * Locks: the vnode's mutex guards vnode->whole.
 */
#include <string.h>
#include <base/limits.h>
#include <env/alloc.h>
#include <env/clock.h>
#include <unetfs/backend.h>
#include <vfs/mount.h>
#include <vfs/whole.h>

/* How old the last change must be, as our clock and the server's tell. */
#define SETTLED_NS (2 * NETFS_NS_PER_SEC)

/* What an object begins with. */
struct head {
	struct netfs_version version;
};

struct record {
	uint64_t ino;
	uint64_t next;
	uint32_t type;
	uint32_t name_len;
};

static bool counts_changes(const struct netfs_vnode *vnode)
{
	return vnode->mount->be->caps & NETFS_BE_CHANGE_COUNTER;
}

static uint64_t as_ns(const struct netfs_time *time)
{
	return time->sec > 0 ? (uint64_t)time->sec * NETFS_NS_PER_SEC + time->nsec : 0;
}

static bool settled(const struct netfs_vnode *vnode)
{
	uint64_t now = netfs_clock_real();

	return counts_changes(vnode) || (as_ns(&vnode->attr.mtime) + SETTLED_NS < now &&
					 as_ns(&vnode->attr.ctime) + SETTLED_NS < now);
}

static struct netfs_version version_locked(const struct netfs_vnode *vnode)
{
	return (struct netfs_version){
		.counter = vnode->attr.version,
		.mtime = vnode->attr.mtime,
		.ctime = vnode->attr.ctime,
		.size = vnode->attr.size,
	};
}

static bool same(const struct netfs_vnode *vnode, const struct netfs_version *a,
		 const struct netfs_version *b)
{
	if (counts_changes(vnode))
		return a->counter == b->counter;
	return a->size == b->size && as_ns(&a->mtime) == as_ns(&b->mtime) &&
	       as_ns(&a->ctime) == as_ns(&b->ctime);
}

bool netfs_whole_begin(struct netfs_vnode *vnode, struct netfs_version *ret_version)
{
	bool may;

	netfs_mutex_lock(&vnode->mutex);
	may = settled(vnode);
	*ret_version = version_locked(vnode);
	netfs_mutex_unlock(&vnode->mutex);
	return may;
}

void netfs_whole_keep(struct netfs_vnode *vnode, const struct netfs_version *version,
		      const void *data, size_t size)
{
	struct netfs_object *object, *old;
	struct head *head;
	size_t room;

	object = netfs_object_new(vnode->mount->config.budget, sizeof(*head) + size);
	if (!object)
		return;
	head = netfs_object_pin(object, &room);
	head->version = *version;
	if (size)
		memcpy(head + 1, data, size);
	netfs_mutex_lock(&vnode->mutex);
	old = vnode->whole;
	vnode->whole = object;
	netfs_mutex_unlock(&vnode->mutex);
	/* The one it was born with, and the one above. */
	netfs_object_unpin(object);
	netfs_object_unpin(object);
	netfs_object_put(old);
}

bool netfs_whole_kept(struct netfs_vnode *vnode)
{
	bool kept;

	netfs_mutex_lock(&vnode->mutex);
	kept = vnode->whole;
	netfs_mutex_unlock(&vnode->mutex);
	return kept;
}

bool netfs_whole_outdated(struct netfs_vnode *vnode)
{
	bool outdated;

	netfs_mutex_lock(&vnode->mutex);
	outdated = vnode->names_changed;
	netfs_mutex_unlock(&vnode->mutex);
	return outdated;
}

struct netfs_object *netfs_whole_pin(struct netfs_vnode *vnode, const void **ret_data,
				     size_t *ret_size)
{
	struct netfs_object *object, *useless = NULL;
	struct netfs_version version;
	const struct head *head = NULL;
	size_t size;

	netfs_mutex_lock(&vnode->mutex);
	object = vnode->whole;
	version = version_locked(vnode);
	if (object)
		head = netfs_object_pin(object, &size);
	if (object && (!head || !same(vnode, &head->version, &version)))
		useless = netfs_take(vnode->whole);
	netfs_mutex_unlock(&vnode->mutex);
	netfs_object_put(useless);
	if (useless && head)
		netfs_object_unpin(object);
	if (useless || !head)
		return NULL;
	netfs_count(&vnode->mount->stats, whole_hits);
	*ret_data = head + 1;
	*ret_size = size - sizeof(*head);
	return object;
}

void netfs_whole_drop(struct netfs_vnode *vnode)
{
	struct netfs_object *object;

	netfs_mutex_lock(&vnode->mutex);
	object = netfs_take(vnode->whole);
	netfs_mutex_unlock(&vnode->mutex);
	netfs_object_put(object);
}

/* ----------------------------------------------------------- listings */

void netfs_listing_drop(struct netfs_listing *listing)
{
	netfs_free(listing->mem);
	*listing = (struct netfs_listing){0};
}

void netfs_listing_begin(struct netfs_listing *listing, struct netfs_vnode *dir)
{
	netfs_listing_drop(listing);
	listing->on = netfs_whole_begin(dir, &listing->version);
}

static bool listing_room(struct netfs_listing *listing, size_t more)
{
	size_t room = listing->room ? listing->room : 4096;
	uint8_t *mem;

	while (room < listing->used + more)
		room *= 2;
	if (room == listing->room)
		return true;
	mem = room <= NETFS_LISTING_MAX ? netfs_realloc(listing->mem, room) : NULL;
	if (!mem)
		return false;
	listing->mem = mem;
	listing->room = room;
	return true;
}

static size_t record_size(uint32_t name_len)
{
	return sizeof(struct record) + ((name_len + (size_t)7) & ~(size_t)7);
}

void netfs_listing_add(struct netfs_listing *listing, const struct netfs_dirent *entry)
{
	struct record record = {entry->ino, entry->next, entry->type, entry->name_len};
	size_t size = record_size(entry->name_len);

	if (!listing->on)
		return;
	if (!listing_room(listing, size)) {
		netfs_listing_drop(listing);
		return;
	}
	memcpy(listing->mem + listing->used, &record, sizeof(record));
	memcpy(listing->mem + listing->used + sizeof(record), entry->name, entry->name_len);
	listing->used += size;
}

void netfs_listing_end(struct netfs_listing *listing, struct netfs_vnode *dir)
{
	if (listing->on)
		netfs_whole_keep(dir, &listing->version, listing->mem, listing->used);
	netfs_listing_drop(listing);
}

bool netfs_listing_next(const void *data, size_t size, size_t *at, struct netfs_dirent *ret_entry)
{
	const uint8_t *pos = (const uint8_t *)data + *at;
	struct record record;

	if (*at >= size)
		return false;
	memcpy(&record, pos, sizeof(record));
	*ret_entry = (struct netfs_dirent){
		.name = (const char *)pos + sizeof(record),
		.name_len = record.name_len,
		.type = record.type,
		.ino = record.ino,
		.next = record.next,
	};
	*at += record_size(record.name_len);
	return true;
}
