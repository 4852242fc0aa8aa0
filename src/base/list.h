/* SPDX-License-Identifier: MIT */
/*
 * Circular doubly linked list with the link inside the element.  An empty list
 * and an unlinked element both point at themselves.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct netfs_list {
	struct netfs_list *next;
	struct netfs_list *prev;
};

#define netfs_container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

static inline void netfs_list_init(struct netfs_list *list)
{
	list->next = list;
	list->prev = list;
}

static inline bool netfs_list_empty(const struct netfs_list *list)
{
	return list->next == list;
}

static inline void netfs_list_insert(struct netfs_list *prev, struct netfs_list *elem)
{
	elem->prev = prev;
	elem->next = prev->next;
	prev->next->prev = elem;
	prev->next = elem;
}

static inline void netfs_list_push_front(struct netfs_list *list, struct netfs_list *elem)
{
	netfs_list_insert(list, elem);
}

static inline void netfs_list_push_back(struct netfs_list *list, struct netfs_list *elem)
{
	netfs_list_insert(list->prev, elem);
}

/* Leaves elem pointing at itself; removing it again is harmless. */
static inline void netfs_list_remove(struct netfs_list *elem)
{
	elem->prev->next = elem->next;
	elem->next->prev = elem->prev;
	netfs_list_init(elem);
}

/* Removes and returns the first element, NULL where there is none. */
static inline struct netfs_list *netfs_list_pop_front(struct netfs_list *list)
{
	struct netfs_list *elem = list->next;

	if (elem == list)
		return NULL;
	netfs_list_remove(elem);
	return elem;
}

/* Moves everything from one list to the end of the other. */
static inline void netfs_list_splice_back(struct netfs_list *list, struct netfs_list *from)
{
	if (netfs_list_empty(from))
		return;
	from->next->prev = list->prev;
	from->prev->next = list;
	list->prev->next = from->next;
	list->prev = from->prev;
	netfs_list_init(from);
}

#define netfs_list_for_each(pos, list) for (pos = (list)->next; pos != (list); pos = pos->next)

/* pos may be removed from the list inside the loop. */
#define netfs_list_for_each_safe(pos, tmp, list)                                                   \
	for (pos = (list)->next, tmp = pos->next; pos != (list); pos = tmp, tmp = pos->next)

#endif
