/* SPDX-License-Identifier: MIT */
/*
 * Runs whose mount keeps a disk cache: the product's own, in a folder on the
 * simulated disk, which fails now and then, is too small, and loses power between
 * two mounts.  Half of them have a journal there, and their mounts may die.
 */
#ifndef TESTS_SIM_CACHEDISK_H
#define TESTS_SIM_CACHEDISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../fsx/rng.h"

struct netfs_sim_disk;
struct world;
struct world_options;

enum disk_choice {
	DISK_DRAWN, /* the seed says */
	DISK_ON,
	DISK_OFF,
};

struct cachedisk {
	bool on;
	bool journal; /* what was written survives the mount */
	bool offline; /* it goes on while its server is away */
	bool small; /* it has little room */
	bool sealed; /* it is */
	uint64_t deaths; /* of mounts */
	uint64_t died; /* those that cachedisk_between() knows of */
	struct rng rng;
	struct netfs_sim_disk *disk;
	uint64_t given; /* bytes, to mounts that were closed */
};

/* Does a run with these options have one? */
bool cachedisk_wanted(const struct world_options *options);
/* " --disk", " --no-disk" or "", as the options say. */
const char *cachedisk_word(const struct world_options *options);
void cachedisk_start(struct world *world);
/* The client is gone. */
void cachedisk_done(struct world *world);
/* Adds to the options of a mount that is about to be made. */
void cachedisk_add_options(struct world *world, char *options, size_t size);
/* It was made: from now on the disk fails now and then. */
void cachedisk_mounted(struct world *world);
/* The mount is about to be closed. */
void cachedisk_unmount(struct world *world);
/* Does the mount die, instead of being closed? */
bool cachedisk_dies(struct world *world);
/* Between two mounts: perhaps files are changed, or the machine loses power. */
void cachedisk_between(struct world *world);
/* The faults stop. */
void cachedisk_heal(struct world *world);

#endif
