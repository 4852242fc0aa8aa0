/* SPDX-License-Identifier: MIT */
/*
 * The simulated server's store.  Plain and slow: linear searches, one malloc a
 * name.  It belongs to the world around the product, so it uses malloc and not
 * the product's allocator, whose count must be the product's alone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <env/clock.h>
#include "tree.h"

/* The server's own clock, which does not jump with the client's. */
static struct timespec now_stamp(void)
{
	uint64_t ns = UINT64_C(1700000000) * NETFS_NS_PER_SEC + netfs_clock_now();

	return (struct timespec){ns / NETFS_NS_PER_SEC, ns % NETFS_NS_PER_SEC};
}

/* No two changes of a file have the same time: where a server's clock is too
 * coarse for that, no client can tell them apart. */
void node_touch(struct node *node)
{
	struct timespec now = now_stamp(), last = node->mtime;

	if (now.tv_sec < last.tv_sec ||
	    (now.tv_sec == last.tv_sec && now.tv_nsec <= last.tv_nsec)) {
		now = last;
		now.tv_nsec++;
		now.tv_sec += now.tv_nsec / 1000000000;
		now.tv_nsec %= 1000000000;
	}
	node->version++;
	node->mtime = now;
	node->ctime = node->mtime;
}

static struct node *node_new(struct tree *tree, uint32_t mode)
{
	struct node *node = calloc(1, sizeof(*node));

	if (!node)
		return NULL;
	node->ino = ++tree->last_ino;
	node->mode = mode;
	node->nlink = S_ISDIR(mode) ? 2 : 0;
	node->atime = now_stamp();
	node_touch(node);
	node->next = tree->nodes;
	tree->nodes = node;
	return node;
}

int tree_init(struct tree *tree)
{
	memset(tree, 0, sizeof(*tree));
	tree->last_ino = 100;
	tree->root = node_new(tree, S_IFDIR | 0755);
	if (!tree->root)
		return -ENOMEM;
	tree->root->parent = tree->root;
	return 0;
}

void tree_done(struct tree *tree)
{
	while (tree->nodes) {
		struct node *node = tree->nodes;

		tree->nodes = node->next;
		while (node->entries) {
			struct entry *entry = node->entries;

			node->entries = entry->next;
			free(entry);
		}
		free(node->now.bytes);
		free(node->stable.bytes);
		free(node->target);
		free(node);
	}
}

static struct entry **find(struct node *dir, const char *name)
{
	struct entry **at = &dir->entries;

	while (*at && strcmp((*at)->name, name))
		at = &(*at)->next;
	return at;
}

struct node *tree_find(struct node *dir, const char *name)
{
	struct entry *entry = *find(dir, name);

	return entry ? entry->node : NULL;
}

struct entry *tree_entry_of(struct node *dir, const struct node *node)
{
	struct entry *entry = dir->entries;

	while (entry && entry->node != node)
		entry = entry->next;
	return entry;
}

static int add(struct node *dir, const char *name, struct node *node)
{
	struct entry **end = &dir->entries;
	struct entry *entry;

	if (strlen(name) > TREE_NAME_MAX)
		return -ENAMETOOLONG;
	if (!name[0] || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		return -EINVAL;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	strcpy(entry->name, name);
	entry->node = node;
	entry->cookie = ++dir->last_cookie;
	while (*end)
		end = &(*end)->next;
	*end = entry;
	node->nlink++;
	node->parent = dir;
	if (S_ISDIR(node->mode))
		dir->nlink++;
	node_touch(dir);
	return 0;
}

static void remove_at(struct node *dir, struct entry **at)
{
	struct entry *entry = *at;

	*at = entry->next;
	entry->node->nlink--;
	if (S_ISDIR(entry->node->mode))
		dir->nlink--;
	entry->node->ctime = now_stamp();
	node_touch(dir);
	free(entry);
}

int tree_make(struct tree *tree, struct node *dir, const char *name, uint32_t mode,
	      struct node **ret_node)
{
	struct node *node;
	int err;

	if (!S_ISDIR(dir->mode))
		return -ENOTDIR;
	if (dir->nlink < 2)
		return -ENOENT;
	if (tree_find(dir, name))
		return -EEXIST;
	node = node_new(tree, mode);
	if (!node)
		return -ENOMEM;
	/* A node without a name stays behind until the tree goes. */
	if (S_ISDIR(mode))
		node->nlink = 1;
	err = add(dir, name, node);
	if (!err)
		*ret_node = node;
	return err;
}

int tree_link(struct node *dir, const char *name, struct node *node)
{
	if (!S_ISDIR(dir->mode))
		return -ENOTDIR;
	if (S_ISDIR(node->mode))
		return -EPERM;
	if (tree_find(dir, name))
		return -EEXIST;
	node->ctime = now_stamp();
	return add(dir, name, node);
}

int tree_unlink(struct node *dir, const char *name, bool is_dir)
{
	struct entry **at;

	if (!S_ISDIR(dir->mode))
		return -ENOTDIR;
	at = find(dir, name);
	if (!*at)
		return -ENOENT;
	if (is_dir && !S_ISDIR((*at)->node->mode))
		return -ENOTDIR;
	if (!is_dir && S_ISDIR((*at)->node->mode))
		return -EISDIR;
	if (is_dir && (*at)->node->entries)
		return -ENOTEMPTY;
	remove_at(dir, at);
	return 0;
}

static bool is_below(const struct node *dir, const struct node *above)
{
	for (const struct node *at = dir;; at = at->parent) {
		if (at == above)
			return true;
		if (at->parent == at)
			return false;
	}
}

int tree_rename(struct node *from, const char *old_name, struct node *to, const char *name)
{
	struct entry **old, **at;
	struct node *node;
	int err;

	if (!S_ISDIR(from->mode) || !S_ISDIR(to->mode))
		return -ENOTDIR;
	old = find(from, old_name);
	if (!*old)
		return -ENOENT;
	node = (*old)->node;
	if (S_ISDIR(node->mode) && is_below(to, node))
		return -EINVAL;
	at = find(to, name);
	if (*at && (*at)->node == node)
		return 0;
	if (*at) {
		err = tree_unlink(to, name, S_ISDIR(node->mode));
		if (err)
			return err;
	}
	err = add(to, name, node);
	if (err)
		return err;
	remove_at(from, find(from, old_name));
	return 0;
}

static int reserve(struct image *image, uint64_t room)
{
	uint8_t *bytes;

	if (room > TREE_FILE_MAX)
		return -EFBIG;
	if (room <= image->room)
		return 0;
	room = (room * 3 / 2 + 4095) & ~UINT64_C(4095);
	bytes = realloc(image->bytes, room);
	if (!bytes)
		return -ENOMEM;
	memset(bytes + image->room, 0, room - image->room);
	image->bytes = bytes;
	image->room = room;
	return 0;
}

static int image_write(struct image *image, uint64_t start, const void *bytes, size_t len)
{
	int err = start > TREE_FILE_MAX ? -EFBIG : reserve(image, start + len);

	if (err)
		return err;
	memcpy(image->bytes + start, bytes, len);
	if (start + len > image->size)
		image->size = start + len;
	return 0;
}

static int image_resize(struct image *image, uint64_t size)
{
	int err = size > image->size ? reserve(image, size) : 0;

	if (err)
		return err;
	if (size < image->size)
		memset(image->bytes + size, 0, image->size - size);
	image->size = size;
	return 0;
}

int node_write(struct node *node, uint64_t start, const void *bytes, size_t len)
{
	bool clean = node->dirty_to <= node->dirty_from;
	int err = image_write(&node->now, start, bytes, len);

	if (err)
		return err;
	if (clean || start < node->dirty_from)
		node->dirty_from = start;
	if (clean || start + len > node->dirty_to)
		node->dirty_to = start + len;
	return 0;
}

int node_resize(struct node *node, uint64_t size)
{
	int err = image_resize(&node->now, size);

	return err ? err : image_resize(&node->stable, size);
}

/* Copies the part where they may differ. */
static int image_copy(struct node *node, struct image *to, const struct image *from)
{
	uint64_t start = node->dirty_from;
	uint64_t end = node->dirty_to < from->size ? node->dirty_to : from->size;
	int err = image_resize(to, from->size);

	if (!err && start < end)
		memcpy(to->bytes + start, from->bytes + start, end - start);
	if (!err)
		node->dirty_from = node->dirty_to = 0;
	return err;
}

bool node_unstable(const struct node *node)
{
	uint64_t start = node->dirty_from;
	uint64_t end = node->dirty_to < node->now.size ? node->dirty_to : node->now.size;

	if (node->now.size != node->stable.size)
		return true;
	return start < end &&
	       memcmp(node->now.bytes + start, node->stable.bytes + start, end - start);
}

int node_flush(struct node *node)
{
	return image_copy(node, &node->stable, &node->now);
}

int tree_lose_power(struct tree *tree)
{
	int err = 0;

	for (struct node *node = tree->nodes; node && !err; node = node->next)
		if (S_ISREG(node->mode))
			err = image_copy(node, &node->now, &node->stable);
	return err;
}
