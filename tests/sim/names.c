/* SPDX-License-Identifier: MIT */
/*
 * Steps on names: create, lookup, rename, unlink, directories and their lists.
 *
 * When a step on a name fails, its effect is unknown, and the server is asked
 * behind the client's back which it was.  That settles the model; the client
 * must tell the same from then on, so a stale name in its memory is found by
 * the next lookup.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include "world.h"

static struct node *peek(struct slot *slot, unsigned dir, const char *name)
{
	return tree_find(slot->world->dirs[dir].node, name);
}

static void scratch_name(const struct slot *slot, char *buf)
{
	snprintf(buf, FILE_NAME_MAX, "d%u", slot->index);
}

static void require_excuse(struct slot *slot)
{
	if (!step_excused(slot, slot->err))
		slot_fail(slot, "failed with %s and nothing excuses it", strerror(-slot->err));
}

/* ---------------------------------------------------------- issuing */

static bool fill(struct netfs_call *call, const struct netfs_direntry *entry)
{
	struct slot *slot = call->user;
	struct listing *list = &slot->list;

	/* A small reader's room is used up now and then. */
	if (list->filled && rng_one_in(&slot->rng, 8))
		return false;
	if (list->count == NAMES_SEEN_MAX)
		slot_fail(slot, "V16: more names in a directory than there are");
	snprintf(list->names[list->count++], FILE_NAME_MAX, "%s", entry->name);
	list->cookie = entry->next;
	list->filled++;
	return true;
}

static void issue_list(struct slot *slot)
{
	struct listing *list = &slot->list;
	struct world *world = slot->world;

	list->phase = LIST_OPEN;
	list->dir = rng_below(&slot->rng, DIRS_MAX);
	list->cookie = 0;
	list->count = 0;
	for (unsigned i = 0; i < world->slot_count; i++)
		list->epochs[i] = world->slots[i].epoch;
	slot_call_start(slot);
	netfs_open(world->dirs[list->dir].vnode, O_RDONLY | O_DIRECTORY, &slot->call);
}

static void issue_list_read(struct slot *slot)
{
	slot->list.phase = LIST_READ;
	slot->list.filled = 0;
	slot_call_start(slot);
	netfs_readdir(slot->list.file, slot->list.cookie, false, fill, &slot->call);
}

void names_issue(struct slot *slot)
{
	struct world *world = slot->world;
	struct netfs_vnode *dir = world->dirs[slot->dir].vnode;

	if (slot->step == STEP_READDIR) {
		issue_list(slot);
		return;
	}
	if (slot->step != STEP_LOOKUP)
		slot->epoch++;
	slot_call_start(slot);
	switch (slot->step) {
	case STEP_CREATE:
		netfs_create(dir, slot->name, slot->flags, 0644, &slot->call);
		break;
	case STEP_LOOKUP:
		netfs_lookup(dir, slot->name, &slot->call);
		break;
	case STEP_REPLACE:
		slot->partner->epoch++;
		netfs_rename(dir, slot->name, world->dirs[slot->new_dir].vnode, slot->new_name, 0,
			     &slot->call);
		break;
	case STEP_RENAME:
		netfs_rename(dir, slot->name, world->dirs[slot->new_dir].vnode, slot->new_name, 0,
			     &slot->call);
		break;
	case STEP_UNLINK:
		netfs_unlink(dir, slot->name, &slot->call);
		break;
	case STEP_MKDIR:
		scratch_name(slot, slot->new_name);
		netfs_mkdir(world->dirs[0].vnode, slot->new_name, 0755, &slot->call);
		break;
	case STEP_RMDIR:
		scratch_name(slot, slot->new_name);
		netfs_rmdir(world->dirs[0].vnode, slot->new_name, &slot->call);
		break;
	default:
		slot_fail(slot, "no such step");
	}
}

/* -------------------------------------------------------- finishing */

static void become_empty(struct slot *slot)
{
	struct fsx_op op = {.kind = FSX_TRUNCATE, .len = 0};

	fsx_oracle_apply(&slot->model, &op, NULL);
	slot->synced = false;
	slot->lossy = false;
}

static void finish_create(struct slot *slot)
{
	struct node *node = peek(slot, slot->dir, slot->name);

	if (slot->err)
		require_excuse(slot);
	if (!slot->err && !node)
		slot_fail(slot, "V16: the server has no %s", slot->name);
	if (node) {
		slot->state = SLOT_PRESENT;
		slot->node = node;
		slot->errors_synced = slot->errors_after;
		become_empty(slot);
	}
	if (!slot->err) {
		slot->vnode = slot->call.vnode;
		slot->handles[0].file = slot->call.file;
		slot->handles[0].flags = slot->flags;
		slot->handles[0].errors_told = slot->errors_after;
	}
}

static void finish_lookup(struct slot *slot)
{
	const struct netfs_call *call = &slot->call;

	if (slot->err) {
		if (slot->err != -ENOENT || slot->state == SLOT_PRESENT)
			require_excuse(slot);
		return;
	}
	if (slot->state != SLOT_PRESENT)
		slot_fail(slot, "V16: found %s, which does not exist", slot->name);
	if (call->attr.size != slot->model.size && !slot->lossy)
		slot_fail(slot, "V4: told size 0x%" PRIx64 ", must be 0x%" PRIx64, call->attr.size,
			  slot->model.size);
	if (!slot->vnode) {
		slot->vnode = call->vnode;
		return;
	}
	if (netfs_vnode_ino(slot->vnode) != netfs_vnode_ino(call->vnode))
		slot_fail(slot, "V16: %s is another file now", slot->name);
	netfs_vnode_put(call->vnode);
}

/* The file lost its name; what is open stays usable. */
static void become_nameless(struct slot *slot)
{
	slot->state = SLOT_ABSENT;
	for (unsigned i = 0; i < HANDLES_MAX; i++)
		if (slot->handles[i].file)
			slot->state = SLOT_ORPHAN;
	if (slot->state == SLOT_ORPHAN)
		return;
	if (slot->vnode)
		netfs_vnode_put(slot->vnode);
	slot->vnode = NULL;
	become_empty(slot);
}

static void finish_unlink(struct slot *slot)
{
	bool there = peek(slot, slot->dir, slot->name) != NULL;

	if (slot->err)
		require_excuse(slot);
	else if (there)
		slot_fail(slot, "V16: %s is still at the server", slot->name);
	if (!there)
		become_nameless(slot);
}

static bool finish_move(struct slot *slot)
{
	bool at_old = peek(slot, slot->dir, slot->name) == slot->node;
	bool at_new = peek(slot, slot->new_dir, slot->new_name) == slot->node;

	if (slot->err)
		require_excuse(slot);
	else if (!at_new)
		slot_fail(slot, "V16: the server has no %s", slot->new_name);
	if (at_old == at_new)
		slot_fail(slot, "V16: the file has %s names at the server", at_old ? "two" : "no");
	return at_new;
}

static void finish_rename(struct slot *slot)
{
	if (!finish_move(slot))
		return;
	slot->dir = slot->new_dir;
	strcpy(slot->name, slot->new_name);
}

static void finish_replace(struct slot *slot)
{
	struct slot *partner = slot->partner;
	bool moved = finish_move(slot);

	partner->held = false;
	partner->epoch++;
	slot->partner = NULL;
	if (!moved)
		return;
	/* The names change hands, so that each slot keeps one of its own. */
	partner->dir = slot->dir;
	strcpy(partner->name, slot->name);
	slot->dir = slot->new_dir;
	strcpy(slot->name, slot->new_name);
	become_nameless(partner);
	/* Nobody may see the old name with less than the whole new file. */
	if (!slot->err)
		check_file(slot, false);
}

static void finish_scratch(struct slot *slot)
{
	bool there = peek(slot, 0, slot->new_name) != NULL;

	if (slot->err)
		require_excuse(slot);
	else if (there != (slot->step == STEP_MKDIR))
		slot_fail(slot, "V16: %s %s at the server", slot->new_name,
			  there ? "is still" : "is not");
	if (!slot->err && slot->step == STEP_MKDIR)
		netfs_vnode_put(slot->call.vnode);
	slot->has_scratch = there;
}

/* ---------------------------------------------------------- listing */

static unsigned times_seen(const struct listing *list, const char *name)
{
	unsigned count = 0;

	for (unsigned i = 0; i < list->count; i++)
		count += !strcmp(list->names[i], name);
	return count;
}

static void check_list(struct slot *slot)
{
	struct listing *list = &slot->list;
	struct world *world = slot->world;

	for (unsigned i = 0; i < world->slot_count; i++) {
		struct slot *other = &world->slots[i];
		unsigned want = other->state == SLOT_PRESENT && other->dir == list->dir;

		/* Only names that nobody touched meanwhile are certain. */
		if (other->epoch != list->epochs[i] || (other->epoch & 1))
			continue;
		if (times_seen(list, other->name) != want)
			slot_fail(slot, "V16: %s was listed %u times in %s, must be %u",
				  other->name, times_seen(list, other->name),
				  world->dirs[list->dir].name, want);
	}
	if (times_seen(list, ".") != 1 || times_seen(list, "..") != 1)
		slot_fail(slot, "V16: \".\" and \"..\" were not listed once each");
}

static bool finish_list(struct slot *slot)
{
	struct listing *list = &slot->list;

	if (!slot->err && list->phase == LIST_OPEN) {
		list->file = slot->call.file;
		issue_list_read(slot);
		return false;
	}
	if (slot->err)
		require_excuse(slot);
	if (!slot->err && list->filled) {
		issue_list_read(slot);
		return false;
	}
	if (!slot->err)
		check_list(slot);
	if (list->phase == LIST_READ)
		netfs_release(list->file);
	return true;
}

void names_finish(struct slot *slot)
{
	bool changes = slot->step != STEP_LOOKUP && slot->step != STEP_READDIR;

	switch (slot->step) {
	case STEP_CREATE:
		finish_create(slot);
		break;
	case STEP_LOOKUP:
		finish_lookup(slot);
		break;
	case STEP_UNLINK:
		finish_unlink(slot);
		break;
	case STEP_RENAME:
		finish_rename(slot);
		break;
	case STEP_REPLACE:
		finish_replace(slot);
		break;
	case STEP_READDIR:
		if (!finish_list(slot))
			return;
		break;
	default:
		finish_scratch(slot);
		break;
	}
	if (changes)
		slot->epoch++;
	step_done(slot);
}
