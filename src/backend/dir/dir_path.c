/* SPDX-License-Identifier: MIT */
/*
 * Where the objects of a local directory are.
 *
 * A node holds no descriptor, for there may be millions of them.  It knows its
 * names, each as (parent node, name), and is opened by walking from the root
 * along them:
 *
 *	root <- "usr" <- "include" <- "stdio.h"
 *
 * The kernel walks, beneath the root and through no symbolic link, so nothing
 * that others do to the directory leads outside of it.  What is opened is then
 * compared with what the node stands for (device, inode number, time of
 * birth): a name that got another object since is not followed.
 *
 * Hard links give a node several names.  They are learnt when they are looked
 * up or made, and forgotten when they are removed; the latest is tried first.
 *
 * Locks: dir_be.mutex guards all names and the table of nodes; it is not held
 * while the kernel walks.  A directory may therefore move between the moment
 * its path was put together and the walk.  Renames of ours announce themselves:
 * who does not find an object while one is under way, or after one has ended
 * since the path was made, gets -ERESTART and starts again (dir.c), when no
 * rename is under way.  Renames by others are nobody's to announce: -ESTALE,
 * and the engine looks the name up again.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <backend/dir/dir.h>
#include <env/alloc.h>
#include <env/hostfs.h>

/* Bytes of the longest path we put together, as deep as sane trees get. */
#define DIR_PATH_MAX (256 * 1024)

int netfs_dir_stat(int fd, const char *name, struct dir_stat *ret_stat)
{
	struct timespec btime;
	int err = netfs_hostfs_stat(fd, name, &ret_stat->st, &btime);

	if (err)
		return err;
	ret_stat->btime = (struct netfs_time){btime.tv_sec, btime.tv_nsec};
	ret_stat->gen = (uint64_t)btime.tv_sec * 1000000000 + btime.tv_nsec;
	return 0;
}

static uint64_t node_hash(uint64_t dev, uint64_t ino, uint64_t gen)
{
	return netfs_hash_u64s(gen, dev, ino);
}

static bool node_is(const struct dir_node *node, const struct dir_stat *stat)
{
	return node->ino == stat->st.st_ino && node->dev == stat->st.st_dev &&
	       node->gen == stat->gen && node->type == (stat->st.st_mode & S_IFMT);
}

/* ----------------------------------------------------------- table */

static void unhash_locked(struct dir_be *be, struct dir_node *node)
{
	if (node->hashed)
		netfs_hash_remove(&be->nodes, &node->link);
	node->hashed = false;
}

/* A new reference, unless the last one is just going. */
static bool get_unless_dead(struct dir_node *node)
{
	uint32_t refs = atomic_load_explicit(&node->node.refs, memory_order_relaxed);

	while (refs && !atomic_compare_exchange_weak(&node->node.refs, &refs, refs + 1))
		;
	return refs != 0;
}

static struct dir_node *find_locked(struct dir_be *be, const struct dir_stat *stat)
{
	uint64_t hash = node_hash(stat->st.st_dev, stat->st.st_ino, stat->gen);
	struct netfs_hash_link *link = netfs_hash_find(&be->nodes, hash);

	for (; link; link = netfs_hash_find_next(link)) {
		struct dir_node *node = netfs_container_of(link, struct dir_node, link);

		if (node_is(node, stat) && get_unless_dead(node))
			return node;
	}
	return NULL;
}

struct dir_node *netfs_dir_node_find(struct dir_be *be, const struct dir_stat *stat)
{
	struct dir_node *node;

	netfs_mutex_lock(&be->mutex);
	node = find_locked(be, stat);
	netfs_mutex_unlock(&be->mutex);
	return node;
}

/* ----------------------------------------------------------- names */

static struct dir_alias *alias_new(struct dir_node *parent, const char *name)
{
	size_t size = strlen(name) + 1;
	struct dir_alias *alias = netfs_alloc(sizeof(*alias) + size);

	if (!alias)
		return NULL;
	memcpy(alias->name, name, size);
	alias->parent = parent;
	netfs_node_get(&parent->node);
	return alias;
}

/* Without the lock, since a node may go with it.  NULL is allowed. */
static void alias_free(struct dir_alias *alias)
{
	if (alias)
		netfs_node_put(&alias->parent->node);
	netfs_free(alias);
}

static struct dir_alias *alias_find_locked(struct dir_node *node, const struct dir_node *parent,
					   const char *name)
{
	struct netfs_list *pos;

	netfs_list_for_each (pos, &node->aliases) {
		struct dir_alias *alias = netfs_container_of(pos, struct dir_alias, link);

		if (alias->parent == parent && !strcmp(alias->name, name))
			return alias;
	}
	return NULL;
}

/* Puts alias in front.  Returns one that is not needed any more, or NULL. */
static struct dir_alias *alias_add_locked(struct dir_node *node, struct dir_alias *alias)
{
	struct dir_alias *old = alias_find_locked(node, alias->parent, alias->name);
	struct netfs_list *pos;
	unsigned n = 0;

	netfs_list_for_each (pos, &node->aliases)
		n++;
	/* A directory has one name: what we knew before was moved by others. */
	if (!old && n && (S_ISDIR(node->type) || n >= DIR_ALIASES_MAX))
		old = netfs_container_of(node->aliases.prev, struct dir_alias, link);
	if (old)
		netfs_list_remove(&old->link);
	netfs_list_push_front(&node->aliases, &alias->link);
	return old;
}

int netfs_dir_node_add_name(struct dir_node *node, struct dir_node *parent, const char *name)
{
	struct dir_be *be = netfs_dir_be(node->node.be);
	struct dir_alias *alias = alias_new(parent, name);

	if (!alias)
		return -ENOMEM;
	netfs_mutex_lock(&be->mutex);
	alias = alias_add_locked(node, alias);
	netfs_mutex_unlock(&be->mutex);
	alias_free(alias);
	return 0;
}

void netfs_dir_node_drop_name(struct dir_node *node, struct dir_node *parent, const char *name,
			      bool gone)
{
	struct dir_alias *alias;
	struct dir_be *be;

	if (!node)
		return;
	be = netfs_dir_be(node->node.be);
	netfs_mutex_lock(&be->mutex);
	alias = alias_find_locked(node, parent, name);
	if (alias)
		netfs_list_remove(&alias->link);
	/* Its inode number may be another object's from now on. */
	if (gone)
		unhash_locked(be, node);
	netfs_mutex_unlock(&be->mutex);
	alias_free(alias);
}

/* ----------------------------------------------------------- nodes */

static struct dir_node *node_new(struct dir_be *be, const struct dir_stat *stat)
{
	struct dir_node *node = netfs_zalloc(sizeof(*node));

	if (!node)
		return NULL;
	atomic_init(&node->node.refs, 1);
	node->node.be = &be->be;
	netfs_list_init(&node->aliases);
	netfs_list_init(&node->locks);
	node->dev = stat->st.st_dev;
	node->ino = stat->st.st_ino;
	node->gen = stat->gen;
	node->type = stat->st.st_mode & S_IFMT;
	return node;
}

int netfs_dir_node_get(struct dir_be *be, const struct dir_stat *stat, struct dir_node *parent,
		       const char *name, struct dir_node **ret_node)
{
	struct dir_node *fresh = node_new(be, stat), *node;
	struct dir_alias *alias = parent ? alias_new(parent, name) : NULL;

	if (!fresh || (parent && !alias)) {
		alias_free(alias);
		netfs_free(fresh);
		return -ENOMEM;
	}
	netfs_mutex_lock(&be->mutex);
	node = find_locked(be, stat);
	if (!node) {
		node = netfs_take(fresh);
		node->hashed = true;
		netfs_hash_insert(&be->nodes, &node->link,
				  node_hash(node->dev, node->ino, node->gen));
	}
	if (alias && node != be->root)
		alias = alias_add_locked(node, alias);
	netfs_mutex_unlock(&be->mutex);
	alias_free(alias);
	netfs_free(fresh);
	*ret_node = node;
	return 0;
}

/* Its parents may go with it, and theirs; a list instead of recursion, for
 * trees can be deeper than a stack. */
void netfs_dir_node_free(struct netfs_node *netfs_node)
{
	struct dir_node *dead = netfs_dir_node(netfs_node);
	struct dir_be *be = netfs_dir_be(netfs_node->be);
	struct netfs_list *pos;

	netfs_mutex_lock(&be->mutex);
	dead->next_dead = NULL;
	while (dead) {
		struct dir_node *node = dead;

		dead = node->next_dead;
		unhash_locked(be, node);
		while ((pos = netfs_list_pop_front(&node->aliases))) {
			struct dir_alias *alias = netfs_container_of(pos, struct dir_alias, link);
			struct dir_node *parent = alias->parent;

			netfs_free(alias);
			/* acq_rel: as in netfs_node_put(), whose place it takes. */
			if (atomic_fetch_sub_explicit(&parent->node.refs, 1,
						      memory_order_acq_rel) == 1) {
				parent->next_dead = dead;
				dead = parent;
			}
		}
		netfs_free(node);
	}
	netfs_mutex_unlock(&be->mutex);
}

/* ------------------------------------------------------------ walks */

/* The i-th alias, NULL after the last. */
static struct dir_alias *alias_at_locked(const struct dir_node *node, unsigned i)
{
	struct netfs_list *pos;

	netfs_list_for_each (pos, &node->aliases)
		if (i-- == 0)
			return netfs_container_of(pos, struct dir_alias, link);
	return NULL;
}

/*
 * Writes the path of node by its i-th name to the end of buf; *ret is where it
 * begins.  -ESTALE where there is no such name, or an ancestor has none.
 */
static int path_locked(struct dir_node *node, unsigned i, char *buf, size_t size, char **ret)
{
	struct dir_be *be = netfs_dir_be(node->node.be);
	char *at = buf + size - 1;

	*at = 0;
	while (node != be->root) {
		struct dir_alias *alias = alias_at_locked(node, i);
		size_t len = alias ? strlen(alias->name) : 0;

		if (!alias)
			return -ESTALE;
		if (len + 1 > (size_t)(at - buf))
			return -ENAMETOOLONG;
		if (*at)
			*--at = '/';
		at -= len;
		memcpy(at, alias->name, len);
		node = alias->parent;
		i = 0;
	}
	*ret = at;
	return 0;
}

int netfs_dir_path(struct netfs_node *node, char *buf, size_t size)
{
	struct dir_be *be = netfs_dir_be(node->be);
	char *at;
	int err;

	netfs_mutex_lock(&be->mutex);
	err = path_locked(netfs_container_of(node, struct dir_node, node), 0, buf, size, &at);
	netfs_mutex_unlock(&be->mutex);
	if (err)
		return err == -ESTALE ? -ENOENT : err;
	memmove(buf, at, strlen(at) + 1);
	return 0;
}

/* Opens path and checks that it is node; else -ESTALE. */
static int open_checked(struct dir_node *node, const char *path, struct dir_stat *ret_stat)
{
	struct dir_be *be = netfs_dir_be(node->node.be);
	int err, fd = netfs_hostfs_open_beneath(be->root_fd, *path ? path : ".",
						O_PATH | O_NOFOLLOW);

	/* The path is one that was: what does not fit it now has moved. */
	if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP || fd == -EXDEV)
		return -ESTALE;
	if (fd < 0)
		return fd;
	err = netfs_dir_stat(fd, "", ret_stat);
	if (!err && !node_is(node, ret_stat))
		err = -ESTALE;
	if (err)
		netfs_hostfs_close(fd);
	return err ? err : fd;
}

/* Did paths change since renamed was read, or do they just now? */
static bool paths_moved(struct dir_be *be, uint64_t renamed)
{
	bool moved;

	netfs_mutex_lock(&be->mutex);
	moved = be->renames || be->renamed != renamed;
	netfs_mutex_unlock(&be->mutex);
	return moved;
}

/* Tries one name after the other, with paths put together in buf. */
static int open_by_names(struct dir_node *node, char *buf, size_t size, struct dir_stat *ret_stat)
{
	struct dir_be *be = netfs_dir_be(node->node.be);
	uint64_t renamed = 0;
	int fd = -ESTALE;

	for (unsigned i = 0; fd == -ESTALE; i++) {
		char *path;
		int err;

		netfs_mutex_lock(&be->mutex);
		if (!i)
			renamed = be->renamed;
		err = path_locked(node, i, buf, size, &path);
		netfs_mutex_unlock(&be->mutex);
		if (err == -ESTALE)
			return paths_moved(be, renamed) ? -ERESTART : -ESTALE;
		fd = err ? err : open_checked(node, path, ret_stat);
	}
	return fd;
}

int netfs_dir_node_open(struct dir_node *node, struct dir_stat *ret_stat)
{
	char small[PATH_MAX];
	struct dir_stat unused;
	struct dir_stat *stat = ret_stat ? ret_stat : &unused;
	int fd = open_by_names(node, small, sizeof(small), stat);

	if (fd == -ENAMETOOLONG) {
		netfs_cleanup_free char *big = netfs_alloc(DIR_PATH_MAX);

		fd = big ? open_by_names(node, big, DIR_PATH_MAX, stat) : -ENOMEM;
	}
	return fd;
}

void netfs_dir_rename_begin(struct dir_be *be)
{
	netfs_mutex_lock(&be->mutex);
	be->renames++;
	netfs_mutex_unlock(&be->mutex);
}

void netfs_dir_rename_end(struct dir_be *be)
{
	struct netfs_list again, *pos;

	netfs_list_init(&again);
	netfs_mutex_lock(&be->mutex);
	be->renamed++;
	if (--be->renames == 0)
		netfs_list_splice_back(&again, &be->waiting);
	netfs_mutex_unlock(&be->mutex);
	while ((pos = netfs_list_pop_front(&again)))
		netfs_job_post(&netfs_container_of(pos, struct dir_req, link)->job);
}
