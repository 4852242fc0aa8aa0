/* SPDX-License-Identifier: MIT */
/*
 * The server's bytes and names against the model.  Only looked at when a
 * promise says that they must agree: after a durable write, a successful fsync,
 * a replacing rename, and at the end.
 */
#include <inttypes.h>
#include <string.h>
#include "world.h"

static const struct image *image_of(struct slot *slot, bool stable)
{
	struct world *world = slot->world;
	struct node *node = tree_find(world->dirs[slot->dir].node, slot->name);

	if (!node)
		slot_fail(slot, "V16: the server has no %s/%s", world->dirs[slot->dir].name,
			  slot->name);
	if (node != slot->node)
		slot_fail(slot, "V16: %s at the server is another file", slot->name);
	return stable ? &node->stable : &node->now;
}

static void compare(struct slot *slot, const struct image *image, uint64_t start, uint64_t len)
{
	const uint8_t *bytes = cipher_plain(slot->world, image, start, len);

	for (uint64_t at = start; at < start + len; at++) {
		uint8_t byte = bytes[at - start];

		if (byte == slot->model.bytes[at])
			continue;
		slot_fail(slot,
			  "V1: byte 0x%" PRIx64 " is 0x%02x at the server%s, must be 0x%02x "
			  "(compared from 0x%" PRIx64 ", 0x%" PRIx64 " bytes)",
			  at, byte, image == &slot->node->stable ? "'s disk" : "",
			  slot->model.bytes[at], start, len);
	}
}

void check_range(struct slot *slot, uint64_t start, uint64_t len, bool stable)
{
	const struct image *image;

	if (slot->state != SLOT_PRESENT || slot->lossy)
		return;
	image = image_of(slot, stable);
	if (image->size < start + len)
		slot_fail(slot,
			  "V4: the server's size is 0x%" PRIx64 ", a write to 0x%" PRIx64
			  " was acknowledged",
			  image->size, start + len);
	compare(slot, image, start, len);
}

void check_file(struct slot *slot, bool stable)
{
	const struct image *image;

	if (slot->state != SLOT_PRESENT || slot->lossy)
		return;
	image = image_of(slot, stable);
	if (image->size != slot->model.size)
		slot_fail(slot, "V4: size is 0x%" PRIx64 " at the server%s, must be 0x%" PRIx64,
			  image->size, stable ? "'s disk" : "", slot->model.size);
	compare(slot, image, 0, image->size);
}

static unsigned names_expected(struct world *world, unsigned dir)
{
	unsigned count = 0;

	for (unsigned i = 0; i < world->slot_count; i++) {
		count += world->slots[i].state == SLOT_PRESENT && world->slots[i].dir == dir;
		/* Scratch directories live in the first one. */
		count += dir == 0 && world->slots[i].has_scratch;
	}
	return count;
}

/* A removed file that was open gets a made-up name until it is closed.  Where
 * the server refused to remove that one, or the call that made it was cancelled,
 * it stays; nobody waits for it. */
static bool excused_name(struct world *world, const char *name)
{
	bool excuse = faults_errors(&world->faults) || world->faults.mix.cancel ||
		      world->cachedisk.deaths;

	return excuse && !strncmp(name, ".unetfs-", 8);
}

void check_tree(struct world *world)
{
	for (unsigned i = 0; i < world->slot_count; i++)
		check_file(&world->slots[i], true);
	for (unsigned i = 0; i < DIRS_MAX; i++) {
		unsigned count = 0;

		for (struct entry *at = world->dirs[i].node->entries; at; at = at->next)
			count += !excused_name(world, at->name);
		if (count == names_expected(world, i))
			continue;
		for (struct entry *at = world->dirs[i].node->entries; at; at = at->next)
			fprintf(stderr, "  %s/%s\n", world->dirs[i].name, at->name);
		world_fail(world, "V16: %u names in %s at the server, must be %u", count,
			   world->dirs[i].name, names_expected(world, i));
	}
}
