/* SPDX-License-Identifier: MIT */
/*
 * The disk of the simulated machine.
 *
 *	         write, cut                       sync
 *	now  <--------------- changes, in order --------> safe
 *
 * Reads see now.  A crash begins at safe and applies some of the changes, each
 * for itself, a write sector by sector; later ones may be kept where earlier
 * ones are not.  Names of a folder are treated alike.  Which are kept is drawn:
 * all (only the process died), none, those before a moment with the one at that
 * moment torn, or each by chance.  A file that is longer than the writes that
 * are kept has zeros or rubbish there.
 *
 * A node lives for as long as a name leads to it, now or after some crash, or
 * somebody has it open.
 *
 * One thread, no lock.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <base/assert.h>
#include <base/hash.h>
#include <env/sim/disk_impl.h>
#include <env/sim/world.h>

#define SECTOR 512
/* Changes between two that the disk syncs by itself, on average. */
#define FLUSH_EVERY 64
/* Changes between two searches for what nothing leads to. */
#define SWEEP_EVERY 128
/* How far back the moment of a crash may be. */
#define MOMENTS 64

struct netfs_sim_disk *netfs_sim_disk_current;

static void *more(void *array, size_t count, size_t *room, size_t size)
{
	if (count < *room)
		return array;
	*room = *room ? 2 * *room : 8;
	array = reallocarray(array, *room, size);
	if (!array)
		netfs_sim_die("the simulator itself is out of memory");
	return array;
}

/* --------------------------------------------------------------- bytes */

static void page_put(struct disk_page *page)
{
	if (page && --page->refs == 0)
		free(page);
}

/* The page, to be written to. */
static struct disk_page *page_own(struct disk_bytes *bytes, size_t i)
{
	struct disk_page *old = bytes->pages[i], *page = old;

	if (old && old->refs == 1)
		return old;
	page = calloc(1, sizeof(*page));
	if (!page)
		netfs_sim_die("the simulator itself is out of memory");
	page->refs = 1;
	if (old)
		memcpy(page->data, old->data, DISK_PAGE);
	page_put(old);
	bytes->pages[i] = page;
	return page;
}

static void bytes_resize(struct disk_bytes *bytes, uint64_t size)
{
	size_t npages = (size + DISK_PAGE - 1) / DISK_PAGE, tail = size % DISK_PAGE;

	for (size_t i = npages; i < bytes->npages; i++)
		page_put(bytes->pages[i]);
	if (npages != bytes->npages) {
		bytes->pages = realloc(bytes->pages, (npages + 1) * sizeof(*bytes->pages));
		if (!bytes->pages)
			netfs_sim_die("the simulator itself is out of memory");
	}
	for (size_t i = bytes->npages; i < npages; i++)
		bytes->pages[i] = NULL;
	bytes->npages = npages;
	if (size < bytes->size && tail && bytes->pages[npages - 1])
		memset(page_own(bytes, npages - 1)->data + tail, 0, DISK_PAGE - tail);
	bytes->size = size;
}

static void bytes_put(struct disk_bytes *bytes, const void *from, size_t len, uint64_t start)
{
	static const uint8_t zero[DISK_PAGE];
	size_t n;

	if (start + len > bytes->size)
		bytes_resize(bytes, start + len);
	for (size_t done = 0; done < len; done += n) {
		size_t at = (start + done) % DISK_PAGE;

		n = len - done < DISK_PAGE - at ? len - done : DISK_PAGE - at;
		if (n == DISK_PAGE && memcmp((const uint8_t *)from + done, zero, n) == 0) {
			/* As good as a hole. */
			page_put(bytes->pages[(start + done) / DISK_PAGE]);
			bytes->pages[(start + done) / DISK_PAGE] = NULL;
			continue;
		}
		memcpy(page_own(bytes, (start + done) / DISK_PAGE)->data + at,
		       (const uint8_t *)from + done, n);
	}
}

void disk_bytes_get(const struct disk_bytes *bytes, void *into, size_t len, uint64_t start)
{
	size_t n;

	for (size_t done = 0; done < len; done += n) {
		const struct disk_page *page = bytes->pages[(start + done) / DISK_PAGE];
		size_t at = (start + done) % DISK_PAGE;

		n = len - done < DISK_PAGE - at ? len - done : DISK_PAGE - at;
		if (page)
			memcpy((uint8_t *)into + done, page->data + at, n);
		else
			memset((uint8_t *)into + done, 0, n);
	}
}

static void bytes_copy(struct disk_bytes *to, const struct disk_bytes *from)
{
	bytes_resize(to, 0);
	bytes_resize(to, from->size);
	for (size_t i = 0; i < from->npages; i++) {
		to->pages[i] = from->pages[i];
		if (to->pages[i])
			to->pages[i]->refs++;
	}
}

static void bytes_free(struct disk_bytes *bytes)
{
	bytes_resize(bytes, 0);
	free(bytes->pages);
}

/* --------------------------------------------------------------- nodes */

static struct disk_node *node_new(struct netfs_sim_disk *disk, uint32_t mode)
{
	struct disk_node *node = calloc(1, sizeof(*node));

	if (!node)
		netfs_sim_die("the simulator itself is out of memory");
	node->disk = disk;
	node->number = ++disk->nodes_made;
	node->mode = mode;
	node->next = disk->nodes;
	disk->nodes = node;
	return node;
}

static void forget_changes(struct disk_node *node)
{
	for (size_t i = 0; i < node->nchanges; i++)
		free(node->changes[i].bytes);
	node->nchanges = 0;
	node->name_changes.count = 0;
}

static void node_free(struct disk_node *node)
{
	netfs_assert(!node->opens);
	forget_changes(node);
	free(node->changes);
	bytes_free(&node->now);
	bytes_free(&node->safe);
	free(node->names.names);
	free(node->safe_names.names);
	free(node->name_changes.names);
	for (unsigned i = 0; i < node->nmaps; i++)
		free(node->maps[i].memory);
	free(node);
}

static void reach(struct disk_node *node)
{
	const struct disk_names *all[] = {&node->names, &node->safe_names, &node->name_changes};

	if (node->reached)
		return;
	node->reached = true;
	for (unsigned i = 0; i < 3; i++)
		for (size_t j = 0; j < all[i]->count; j++)
			if (all[i]->names[j].node)
				reach(all[i]->names[j].node);
}

static void sweep(struct netfs_sim_disk *disk)
{
	struct disk_node **link = &disk->nodes;

	for (struct disk_node *node = disk->nodes; node; node = node->next)
		node->reached = false;
	reach(disk->root);
	for (struct disk_node *node = disk->nodes; node; node = node->next)
		if (node->opens)
			reach(node);
	while (*link) {
		struct disk_node *node = *link;

		if (node->reached) {
			link = &node->next;
			continue;
		}
		*link = node->next;
		node_free(node);
	}
}

/* --------------------------------------------------------------- names */

static struct disk_name *name_in(const struct disk_names *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++)
		if (strcmp(names->names[i].name, name) == 0)
			return &names->names[i];
	return NULL;
}

static void name_push(struct disk_names *names, const char *name, struct disk_node *node,
		      uint64_t number)
{
	struct disk_name *into;

	netfs_assert(strlen(name) < DISK_NAME);
	names->names = more(names->names, names->count, &names->room, sizeof(*names->names));
	into = &names->names[names->count++];
	*into = (struct disk_name){.number = number, .node = node};
	memcpy(into->name, name, strlen(name));
}

/* The name leads there from now on; NULL: nowhere. */
static void name_set(struct disk_names *names, const char *name, struct disk_node *node)
{
	struct disk_name *old = name_in(names, name);

	if (old && node)
		old->node = node;
	else if (old)
		*old = names->names[--names->count];
	else if (node)
		name_push(names, name, node, 0);
}

struct disk_node *disk_find(const struct disk_node *folder, const char *name)
{
	struct disk_name *found = name_in(&folder->names, name);

	return found ? found->node : NULL;
}

/* ------------------------------------------------------------- changes */

static void sync_node(struct disk_node *node)
{
	bytes_copy(&node->safe, &node->now);
	for (size_t i = 0; i < node->name_changes.count; i++)
		name_set(&node->safe_names, node->name_changes.names[i].name,
			 node->name_changes.names[i].node);
	forget_changes(node);
}

static void flush_something(struct netfs_sim_disk *disk)
{
	uint64_t skip = netfs_rng_below(&disk->luck, 1 + disk->nodes_made);
	struct disk_node *node = disk->nodes;

	while (node->next && skip--)
		node = node->next;
	sync_node(node);
}

static void before_change(struct netfs_sim_disk *disk)
{
	void (*before)(void *user) = disk->before;

	disk->before = NULL;
	if (before)
		before(disk->user);
	disk->before = before;
	disk->changes++;
	if (netfs_rng_below(&disk->luck, FLUSH_EVERY) == 0)
		flush_something(disk);
	if (disk->changes % SWEEP_EVERY == 0)
		sweep(disk);
}

void disk_name(struct disk_node *folder, const char *name, struct disk_node *node)
{
	before_change(folder->disk);
	name_set(&folder->names, name, node);
	name_push(&folder->name_changes, name, node, folder->disk->changes);
}

struct disk_node *disk_make(struct disk_node *folder, const char *name, uint32_t mode)
{
	struct disk_node *node;

	before_change(folder->disk);
	node = node_new(folder->disk, mode);
	name_set(&folder->names, name, node);
	name_push(&folder->name_changes, name, node, folder->disk->changes);
	return node;
}

void disk_remove(struct disk_node *folder, const char *name)
{
	before_change(folder->disk);
	name_set(&folder->names, name, NULL);
	name_push(&folder->name_changes, name, NULL, folder->disk->changes);
}

static struct disk_change *change_new(struct disk_node *node)
{
	node->changes =
		more(node->changes, node->nchanges, &node->changes_room, sizeof(*node->changes));
	node->changes[node->nchanges] = (struct disk_change){.number = node->disk->changes};
	return &node->changes[node->nchanges++];
}

void disk_write(struct disk_node *node, const void *bytes, size_t len, uint64_t start)
{
	struct disk_change *change;

	if (!len)
		return;
	before_change(node->disk);
	bytes_put(&node->now, bytes, len, start);
	change = change_new(node);
	change->start = start;
	change->len = len;
	change->bytes = malloc(len);
	if (!change->bytes)
		netfs_sim_die("the simulator itself is out of memory");
	memcpy(change->bytes, bytes, len);
}

void disk_cut(struct disk_node *node, uint64_t size)
{
	before_change(node->disk);
	bytes_resize(&node->now, size);
	change_new(node)->start = size;
}

void disk_sync(struct disk_node *node)
{
	before_change(node->disk);
	sync_node(node);
}

/* --------------------------------------------------------------- crash */

/* What a crash keeps. */
struct crash {
	struct netfs_rng luck;
	enum {
		KEEP_ALL,
		KEEP_NONE,
		KEEP_BEFORE,
		KEEP_SOME
	} kind;
	uint64_t moment;
	unsigned eighths; /* of a change kept by chance */
};

static bool kept(struct crash *crash, uint64_t number)
{
	switch (crash->kind) {
	case KEEP_ALL:
		return true;
	case KEEP_NONE:
		return false;
	case KEEP_BEFORE:
		return number < crash->moment ||
		       (number == crash->moment && netfs_rng_below(&crash->luck, 2));
	default:
		return netfs_rng_below(&crash->luck, 8) < crash->eighths;
	}
}

/* The length got there and the data did not. */
static void lose(struct crash *crash, struct disk_bytes *bytes, size_t len, uint64_t start)
{
	bool rubbish = netfs_rng_below(&crash->luck, 2);

	if (crash->kind != KEEP_SOME || start + len <= bytes->size ||
	    netfs_rng_below(&crash->luck, 4))
		return;
	if (start < bytes->size) {
		len -= bytes->size - start;
		start = bytes->size;
	}
	bytes_resize(bytes, start + len);
	for (size_t i = 0; i < len && rubbish; i++) {
		uint8_t byte = (uint8_t)netfs_rng_u64(&crash->luck);

		bytes_put(bytes, &byte, 1, start + i);
	}
}

static void crash_write(struct crash *crash, struct disk_bytes *bytes,
			const struct disk_change *change)
{
	uint64_t end = change->start + change->len;

	for (uint64_t at = change->start, next; at < end; at = next) {
		next = (at / SECTOR + 1) * SECTOR;
		if (next > end)
			next = end;
		if (kept(crash, change->number))
			bytes_put(bytes, change->bytes + (at - change->start), next - at, at);
		else
			lose(crash, bytes, next - at, at);
	}
}

static void copy_node(struct netfs_sim_disk *disk, struct disk_node *to,
		      const struct disk_node *from, struct crash *crash)
{
	bytes_copy(&to->safe, &from->safe);
	for (size_t i = 0; i < from->nchanges; i++) {
		const struct disk_change *change = &from->changes[i];

		if (change->bytes)
			crash_write(crash, &to->safe, change);
		else if (kept(crash, change->number))
			bytes_resize(&to->safe, change->start);
	}
	bytes_copy(&to->now, &to->safe);
	for (size_t i = 0; i < from->safe_names.count; i++)
		name_set(&to->safe_names, from->safe_names.names[i].name,
			 from->safe_names.names[i].node);
	for (size_t i = 0; i < from->name_changes.count; i++)
		if (kept(crash, from->name_changes.names[i].number))
			name_set(&to->safe_names, from->name_changes.names[i].name,
				 from->name_changes.names[i].node);
	for (size_t i = 0; i < to->safe_names.count; i++) {
		struct disk_name *name = &to->safe_names.names[i];
		struct disk_node *below = node_new(disk, name->node->mode);

		copy_node(disk, below, name->node, crash);
		name->node = below;
		name_set(&to->names, name->name, below);
	}
}

struct netfs_sim_disk *netfs_sim_disk_crashed(const struct netfs_sim_disk *disk, uint64_t seed)
{
	struct netfs_sim_disk *copy = netfs_sim_disk_new(seed);
	static const unsigned eighths[] = {1, 4, 7};
	struct crash crash;
	uint64_t kind, back = disk->changes < MOMENTS ? disk->changes : MOMENTS;

	netfs_rng_init(&crash.luck, netfs_hash_u64s(seed, 4, 0));
	kind = netfs_rng_below(&crash.luck, 8);
	crash.kind = kind == 0	 ? KEEP_ALL
		     : kind == 1 ? KEEP_NONE
		     : kind < 4	 ? KEEP_BEFORE
				 : KEEP_SOME;
	crash.moment = disk->changes - netfs_rng_below(&crash.luck, back + 1);
	crash.eighths = eighths[netfs_rng_below(&crash.luck, 3)];
	copy_node(copy, copy->root, disk->root, &crash);
	return copy;
}

/* ------------------------------------------------------------ the whole */

struct netfs_sim_disk *netfs_sim_disk_new(uint64_t seed)
{
	struct netfs_sim_disk *disk = calloc(1, sizeof(*disk));

	if (!disk)
		netfs_sim_die("the simulator itself is out of memory");
	netfs_rng_init(&disk->luck, netfs_hash_u64s(seed, 5, 0));
	disk->root = node_new(disk, S_IFDIR | 0700);
	return disk;
}

void netfs_sim_disk_free(struct netfs_sim_disk *disk)
{
	netfs_assert(disk != netfs_sim_disk_current);
	while (disk->nodes) {
		struct disk_node *node = disk->nodes;

		disk->nodes = node->next;
		node_free(node);
	}
	free(disk);
}

struct netfs_sim_disk *netfs_sim_disk_use(struct netfs_sim_disk *disk)
{
	struct netfs_sim_disk *before = netfs_sim_disk_current;

	netfs_sim_disk_current = disk;
	return before;
}

void netfs_sim_disk_watch(struct netfs_sim_disk *disk, void (*before)(void *user), void *user)
{
	disk->before = before;
	disk->user = user;
}

uint64_t netfs_sim_disk_changes(const struct netfs_sim_disk *disk)
{
	return disk->changes;
}

void netfs_sim_disk_fail(struct netfs_sim_disk *disk, unsigned per_million)
{
	disk->fail = per_million;
}

int disk_fails(struct disk_node *node, bool change)
{
	struct netfs_sim_disk *disk = node->disk;

	if (!disk->fail || netfs_rng_below(&disk->luck, 1000000) >= disk->fail)
		return 0;
	return change && netfs_rng_below(&disk->luck, 2) ? -ENOSPC : -EIO;
}
