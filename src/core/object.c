/* SPDX-License-Identifier: MIT */
/*
 * Whole objects: memory for what is read and kept whole, a directory's listing
 * or the target of a symbolic link.
 *
 * An object is memory within the budget that may go at any time while nobody
 * has it pinned: it costs one question to get it back, so it goes before any
 * file data does, oldest first, and all objects together never take more than
 * a part of the budget.  What stays with its owner is the small struct, by which
 * the owner learns that the rest is gone.
 *
 * Locks: the budget's mutex guards everything here.
 */
#include <core/budget.h>
#include <core/core.h>
#include <base/assert.h>
#include <env/alloc.h>

/* Of memory_max, for all objects together. */
#define OBJECTS_PART 8

/* b: the budget's mutex; I: immutable. */
struct netfs_object {
	struct netfs_budget *budget; /* I */
	struct netfs_list link; /* b: budget->objects while it may go */
	uint32_t refs; /* b: the owner's, and one of each pin */
	uint32_t pins; /* b */
	size_t size; /* I */
	void *data; /* b: NULL once it is gone */
};

static void drop_locked(struct netfs_object *object)
{
	struct netfs_budget *budget = object->budget;

	netfs_list_remove(&object->link);
	netfs_free(netfs_take(object->data));
	budget->object_bytes -= object->size;
	netfs_budget_uncharge(budget, object->size);
}

bool netfs_budget_drop_object(struct netfs_budget *budget)
{
	netfs_assert_held(&budget->mutex);
	if (netfs_list_empty(&budget->objects))
		return false;
	drop_locked(netfs_container_of(budget->objects.next, struct netfs_object, link));
	return true;
}

/* Room among the objects; those in use do not leave. */
static bool make_room(struct netfs_budget *budget, size_t size)
{
	uint64_t most = budget->memory_max / OBJECTS_PART;
	bool fits = size <= most;

	netfs_mutex_lock(&budget->mutex);
	while (fits && budget->object_bytes + size > most)
		fits = netfs_budget_drop_object(budget);
	if (fits)
		budget->object_bytes += size;
	netfs_mutex_unlock(&budget->mutex);
	return fits;
}

static void give_room_back(struct netfs_budget *budget, size_t size)
{
	netfs_mutex_lock(&budget->mutex);
	budget->object_bytes -= size;
	netfs_mutex_unlock(&budget->mutex);
}

struct netfs_object *netfs_object_new(struct netfs_budget *budget, size_t size)
{
	struct netfs_object *object;

	if (!make_room(budget, size))
		return NULL;
	object = netfs_zalloc(sizeof(*object));
	if (object)
		object->data = netfs_alloc(size);
	if (!object || !object->data || !netfs_budget_charge(budget, size, NULL, false)) {
		give_room_back(budget, size);
		if (object)
			netfs_free(object->data);
		netfs_free(object);
		return NULL;
	}
	object->budget = budget;
	object->size = size;
	object->refs = 2;
	object->pins = 1;
	netfs_list_init(&object->link);
	return object;
}

void *netfs_object_pin(struct netfs_object *object, size_t *ret_size)
{
	void *data;

	netfs_mutex_lock(&object->budget->mutex);
	data = object->data;
	if (data) {
		*ret_size = object->size;
		object->refs++;
		object->pins++;
		netfs_list_remove(&object->link);
	}
	netfs_mutex_unlock(&object->budget->mutex);
	return data;
}

/* Drops a reference; true: it was the last, and the memory is gone. */
static bool put_locked(struct netfs_object *object)
{
	netfs_assert(object->refs > 0);
	if (--object->refs)
		return false;
	if (object->data)
		drop_locked(object);
	return true;
}

void netfs_object_unpin(struct netfs_object *object)
{
	struct netfs_budget *budget;
	bool last;

	if (!object)
		return;
	budget = object->budget;
	netfs_mutex_lock(&budget->mutex);
	netfs_assert(object->pins > 0);
	if (--object->pins == 0)
		netfs_list_push_back(&budget->objects, &object->link);
	last = put_locked(object);
	netfs_mutex_unlock(&budget->mutex);
	if (last)
		netfs_free(object);
}

void netfs_object_put(struct netfs_object *object)
{
	struct netfs_budget *budget;
	bool last;

	if (!object)
		return;
	budget = object->budget;
	netfs_mutex_lock(&budget->mutex);
	last = put_locked(object);
	netfs_mutex_unlock(&budget->mutex);
	if (last)
		netfs_free(object);
}
