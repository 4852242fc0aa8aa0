/* SPDX-License-Identifier: MIT */
/*
 * The simulated machine's disk: folders and files behind env/hostfs.h and
 * env/file.h, and what the loss of power makes of them.
 *
 * What was written and not synced may, at a crash, be there, be gone, or be
 * there in some of its sectors; none waits for an earlier one.  So may names
 * that were made or removed in a folder that was not synced since, and the
 * length of a file.  Now and then the disk syncs something by itself, as a
 * kernel does.  All of it comes from a seed.
 *
 * Private to the world around the product, like sim.h.
 */
#ifndef ENV_SIM_DISK_H
#define ENV_SIM_DISK_H

#include <stdint.h>

struct netfs_sim_disk;

/* An empty one, with a root folder. */
struct netfs_sim_disk *netfs_sim_disk_new(uint64_t seed);
/* Nothing of it is open. */
void netfs_sim_disk_free(struct netfs_sim_disk *disk);
/* Absolute paths lead to that one from now on (NULL: nowhere); the one before
 * is returned.  What is open stays where it is. */
struct netfs_sim_disk *netfs_sim_disk_use(struct netfs_sim_disk *disk);
/* What would be on a disk if the power failed now; the seed decides among the
 * possibilities.  disk itself is left alone. */
struct netfs_sim_disk *netfs_sim_disk_crashed(const struct netfs_sim_disk *disk, uint64_t seed);
/* before() is called before each change of the disk and each sync; not from
 * inside before().  NULL: nobody is. */
void netfs_sim_disk_watch(struct netfs_sim_disk *disk, void (*before)(void *user), void *user);
/* Of a million reads and changes of its files, so many fail from now on, with
 * -EIO, or the changes with -ENOSPC; the disk's own luck decides. */
void netfs_sim_disk_fail(struct netfs_sim_disk *disk, unsigned per_million);
/* Changes so far. */
uint64_t netfs_sim_disk_changes(const struct netfs_sim_disk *disk);

#endif
