/* SPDX-License-Identifier: MIT */
/*
 * Whether a seed has a disk is drawn apart from everything else, and so is what
 * becomes of it: a run without one is what it would be if there were none.
 */
#include "cachedisk.h"

#include <stdio.h>
#include <string.h>
#include <env/sim/disk.h>
#include <env/sim/sim.h>
#include <env/sim/world.h>
#include "world.h"

#define ONE_IN 4

bool cachedisk_wanted(const struct world_options *options)
{
	struct rng rng;

	if (options->disk != DISK_DRAWN || options->fsx || options->hostile)
		return options->disk == DISK_ON;
	rng_init(&rng, options->seed ^ UINT64_C(0xd15c));
	return rng_one_in(&rng, ONE_IN);
}

const char *cachedisk_word(const struct world_options *options)
{
	return options->disk == DISK_ON ? " --disk" : options->disk == DISK_OFF ? " --no-disk" : "";
}

static void luck(struct cachedisk *disk, bool active)
{
	static const unsigned per_million[] = {0, 0, 200, 5000, 100000};

	netfs_sim_disk_fail(disk->disk, active ? per_million[rng_below(&disk->rng, 5)] : 0);
}

void cachedisk_start(struct world *world)
{
	struct cachedisk *disk = &world->cachedisk;
	struct rng rng;

	disk->on = cachedisk_wanted(world->options);
	if (!disk->on)
		return;
	rng_init(&disk->rng, world->options->seed ^ UINT64_C(0xd15c0));
	/* Apart, too: a run without one is what it was before there were any. */
	rng_init(&rng, world->options->seed ^ UINT64_C(0x10c));
	/* What is whose is told by time there. */
	disk->journal = rng_one_in(&rng, 2) && !world->faults.mix.clock;
	disk->small = rng_one_in(&rng, 3);
	disk->sealed = rng_one_in(&rng, 3);
	rng_init(&rng, world->options->seed ^ UINT64_C(0x0ff));
	/* The exerciser takes every error for a difference. */
	disk->offline = rng_one_in(&rng, 4) && !world->options->fsx;
	disk->disk = netfs_sim_disk_new(world->options->seed);
	netfs_sim_disk_use(disk->disk);
}

void cachedisk_add_options(struct world *world, char *options, size_t size)
{
	static const unsigned kib[] = {64, 256, 1024, 4096};
	struct cachedisk *disk = &world->cachedisk;
	size_t len = strlen(options);

	if (!disk->on)
		return;
	snprintf(options + len, size - len, ",cachedir=/cache");
	if (rng_one_in(&disk->rng, 2))
		snprintf(options + strlen(options), size - strlen(options), ",cachesize=%uk",
			 kib[rng_below(&disk->rng, 4)]);
	/* A journal is found by who has its key, and what is known of names. */
	if (disk->journal || disk->offline ? disk->sealed || world->cipher.on
					   : rng_one_in(&disk->rng, 3))
		strncat(options, ",cachekey=/key", size - strlen(options) - 1);
	if (disk->journal) {
		strncat(options, ",writeback=journal", size - strlen(options) - 1);
		if (disk->small)
			strncat(options, ",journalsize=64k", size - strlen(options) - 1);
	}
	if (disk->offline)
		strncat(options, ",offline", size - strlen(options) - 1);
	/* Making the folder is not what is tested. */
	netfs_sim_disk_fail(disk->disk, 0);
}

void cachedisk_mounted(struct world *world)
{
	/* What could not be noted of names is not shown later, and nobody here knows. */
	if (world->cachedisk.on)
		luck(&world->cachedisk, !world->options->calm && !world->cachedisk.offline);
}

void cachedisk_unmount(struct world *world)
{
	struct netfs_stat stats[256];
	size_t n = netfs_mount_stats(world->mount, stats, 256);

	for (size_t i = 0; i < n; i++)
		if (!strcmp(stats[i].name, "cache_read_bytes") && world->cachedisk.on)
			world->cachedisk.given += stats[i].value;
}

bool cachedisk_dies(struct world *world)
{
	struct cachedisk *disk = &world->cachedisk;

	/* What a dead mount had written is not shown by one whose server is away. */
	if (!disk->on || !disk->journal || disk->offline || rng_one_in(&disk->rng, 3))
		return false;
	disk->deaths++;
	return true;
}

static bool closed(void *user)
{
	return netfs_sim_files_left() == 0;
}

/* Somebody writes to the file while nobody has it mounted. */
static void change(struct slot *slot, struct rng *rng)
{
	uint64_t start, len;
	uint8_t byte = (uint8_t)rng_between(rng, 1, 255);

	if (slot->state != SLOT_PRESENT || slot->lossy || !slot->model.size || rng_below(rng, 3))
		return;
	start = rng_below(rng, slot->model.size);
	len = rng_between(rng, 1, slot->model.size - start);
	memset(slot->model.bytes + start, byte, len);
	if (node_write(slot->node, start, slot->model.bytes + start, len) || node_flush(slot->node))
		slot_fail(slot, "no memory");
	node_touch(slot->node);
}

void cachedisk_between(struct world *world)
{
	struct cachedisk *disk = &world->cachedisk;
	struct netfs_sim_disk *after;
	bool died = disk->deaths > disk->died;

	disk->died = disk->deaths;
	/* What is known of names may be old, and is shown: so it must not become so. */
	if (!disk->on || disk->offline)
		return;
	for (unsigned i = 0; i < world->slot_count && !world->cipher.on && !died; i++)
		change(&world->slots[i], &disk->rng);
	if (!rng_one_in(&disk->rng, 3))
		return;
	world_wait(world, closed, world, "closing the cache");
	netfs_sim_printf("the machine of the mount loses power");
	after = netfs_sim_disk_crashed(disk->disk, rng_u64(&disk->rng));
	netfs_sim_disk_use(after);
	netfs_sim_disk_free(disk->disk);
	disk->disk = after;
}

void cachedisk_heal(struct world *world)
{
	/* What could not be noted of names is not shown later, and nobody here knows. */
	if (world->cachedisk.on)
		luck(&world->cachedisk, false);
}

void cachedisk_done(struct world *world)
{
	struct cachedisk *disk = &world->cachedisk;

	if (!disk->on)
		return;
	world_wait(world, closed, world, "closing the cache");
	netfs_sim_disk_use(NULL);
	netfs_sim_disk_free(disk->disk);
}
