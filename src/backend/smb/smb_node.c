// SPDX-License-Identifier: MIT
/*
 * Nodes: objects by their names.
 *
 * SMB addresses everything by its path, so a node knows its directory and its name
 * in it, and a path is put together when it is needed: a directory that is renamed
 * takes what is in it along.  There is one node for each file id; it is called what
 * it was found as last.
 *
 * Locks: conn->lock for places and the table.
 */
#include <string.h>
#include <sys/stat.h>
#include "smb.h"
#include "smb_time.h"

static struct netfs_list *bucket(struct smb_conn *conn, uint64_t file_id)
{
	return &conn->nodes[(file_id ^ file_id >> 17) % SMB_BUCKETS];
}

void smb_node_table_init(struct smb_conn *conn)
{
	for (unsigned i = 0; i < SMB_BUCKETS; i++)
		netfs_list_init(&conn->nodes[i]);
}

static struct smb_node *node_new(struct smb_conn *conn, uint64_t file_id, bool is_dir)
{
	struct smb_node *node = netfs_zalloc(sizeof(*node));

	if (!node)
		return NULL;
	atomic_init(&node->base.refs, 1);
	node->base.be = &conn->be;
	node->file_id = file_id;
	node->is_dir = is_dir;
	netfs_list_init(&node->link);
	return node;
}

struct smb_node *smb_node_root(struct smb_conn *conn)
{
	struct smb_node *node = node_new(conn, 0, true);

	if (node)
		node->is_root = true;
	return node;
}

/* One that is not on its way out, with a reference. */
static struct smb_node *find_locked(struct smb_conn *conn, uint64_t file_id, bool is_dir)
{
	struct netfs_list *link;

	netfs_list_for_each (link, bucket(conn, file_id)) {
		struct smb_node *node = netfs_container_of(link, struct smb_node, link);
		uint32_t refs = atomic_load(&node->base.refs);

		if (node->file_id != file_id || node->is_dir != is_dir)
			continue;
		while (refs > 0) {
			if (atomic_compare_exchange_weak(&node->base.refs, &refs, refs + 1))
				return node;
		}
	}
	return NULL;
}

/* Would node be above itself? */
static bool circular_locked(const struct smb_node *node, const struct smb_node *parent)
{
	for (; parent; parent = parent->parent) {
		if (parent == node)
			return true;
	}
	return false;
}

/* Takes over name; gives back what it replaces. */
static void place_locked(struct smb_node *node, struct smb_node *parent, char **name,
			 struct smb_node **ret_old)
{
	char *old_name = node->name;

	*ret_old = node->parent;
	netfs_node_get(&parent->base);
	node->parent = parent;
	node->name = *name;
	*name = old_name;
}

struct smb_node *smb_node_at(struct smb_conn *conn, struct smb_node *parent, const char *name,
			     uint64_t file_id, bool is_dir)
{
	char *copy = netfs_strdup(name);
	struct smb_node *fresh = node_new(conn, file_id, is_dir), *node, *old = NULL;

	if (!copy || !fresh) {
		netfs_free(copy);
		netfs_free(fresh);
		return NULL;
	}
	netfs_mutex_lock(&conn->lock);
	node = file_id ? find_locked(conn, file_id, is_dir) : NULL;
	if (node && circular_locked(node, parent)) {
		netfs_mutex_unlock(&conn->lock);
		netfs_node_put(&node->base);
		netfs_mutex_lock(&conn->lock);
		node = NULL;
	}
	if (!node) {
		node = netfs_take(fresh);
		netfs_list_push_back(bucket(conn, file_id), &node->link);
	}
	if (node->parent != parent || !node->name || strcmp(node->name, name))
		place_locked(node, parent, &copy, &old);
	netfs_mutex_unlock(&conn->lock);
	netfs_free(copy);
	netfs_free(fresh);
	if (old)
		netfs_node_put(&old->base);
	return node;
}

int smb_node_move(struct smb_node *node, struct smb_node *parent, const char *name)
{
	struct smb_conn *conn = smb_conn_of(node->base.be);
	struct smb_node *old = NULL;
	char *copy = netfs_strdup(name);

	if (!copy)
		return -ENOMEM;
	netfs_mutex_lock(&conn->lock);
	conn->moves++;
	if (!circular_locked(node, parent))
		place_locked(node, parent, &copy, &old);
	netfs_mutex_unlock(&conn->lock);
	netfs_free(copy);
	if (old)
		netfs_node_put(&old->base);
	return 0;
}

void smb_node_free(struct netfs_node *base)
{
	struct smb_node *node = smb_node_of(base);
	struct smb_conn *conn = smb_conn_of(base->be);
	struct smb_node *parent;

	netfs_mutex_lock(&conn->lock);
	netfs_list_remove(&node->link);
	parent = netfs_take(node->parent);
	netfs_mutex_unlock(&conn->lock);
	netfs_free(node->name);
	netfs_free(node);
	if (parent)
		netfs_node_put(&parent->base);
}

/* ------------------------------------------------------------- paths */

#define DEPTH_MAX 512 /* directories above an object */

/* Appends one name in front of which *at is a separator's place. */
static int put_name(const struct smb_conn *conn, const char *name, uint8_t *buf, size_t *at)
{
	ssize_t len;

	if (*at > 0) {
		buf[(*at)++] = '\\';
		buf[(*at)++] = 0;
	}
	len = smb_utf16_put(name, strlen(name), conn->map, buf + *at, 2 * SMB_PATH_MAX - *at);
	if (len < 0)
		return len == -EMSGSIZE ? -ENAMETOOLONG : (int)len;
	*at += (size_t)len;
	return *at > 2 * SMB_PATH_MAX - 8 ? -ENAMETOOLONG : 0;
}

/* The folder of the share that is mounted. */
static int put_prefix(const struct smb_conn *conn, uint8_t *buf, size_t *at)
{
	const char *pos = conn->prefix;
	char name[NETFS_NAME_MAX + 1];
	int err = 0;

	while (*pos && !err) {
		size_t len = strcspn(pos, "/");

		if (len > NETFS_NAME_MAX)
			return -ENAMETOOLONG;
		memcpy(name, pos, len);
		name[len] = 0;
		if (len)
			err = put_name(conn, name, buf, at);
		pos += len + (pos[len] == '/');
	}
	return err;
}

static int path_locked(struct smb_conn *conn, struct smb_node *node, const char *name,
		       uint8_t *buf, size_t *ret_len)
{
	const char *names[DEPTH_MAX];
	unsigned n = 0;
	size_t at = 0;
	int err = 0;

	if (name)
		names[n++] = name;
	for (; !node->is_root; node = node->parent) {
		if (!node->parent)
			return -ESTALE;
		if (n == DEPTH_MAX)
			return -ENAMETOOLONG;
		names[n++] = node->name;
	}
	err = put_prefix(conn, buf, &at);
	while (n > 0 && !err)
		err = put_name(conn, names[--n], buf, &at);
	*ret_len = at;
	return err;
}

int smb_node_path(struct smb_conn *conn, struct smb_node *node, const char *name,
		  struct smb_buf *ret_path)
{
	uint8_t *buf = netfs_alloc(2 * SMB_PATH_MAX);
	size_t len = 0;
	int err;

	if (!buf)
		return -ENOMEM;
	netfs_mutex_lock(&conn->lock);
	err = path_locked(conn, node, name, buf, &len);
	netfs_mutex_unlock(&conn->lock);
	if (err) {
		netfs_free(buf);
		return err == -EILSEQ ? -EINVAL : err;
	}
	*ret_path = (struct smb_buf){buf, (uint32_t)len, 0};
	return 0;
}

/* -------------------------------------------------------- attributes */

void smb_attr_of_all(struct smb_conn *conn, const struct smb_file_all *all,
		     struct netfs_attr *ret_attr)
{
	bool dir = all->basic.attributes & SMB_ATTR_DIRECTORY;
	uint32_t mode = dir ? S_IFDIR | conn->dir_mode : S_IFREG | conn->file_mode;

	if (!dir && all->basic.attributes & SMB_ATTR_READONLY)
		mode &= ~0222u;
	*ret_attr = (struct netfs_attr){
		.ino = all->index,
		.mode = mode,
		.nlink = dir ? 2 : all->standard.nlink ? all->standard.nlink : 1,
		.uid = conn->uid,
		.gid = conn->gid,
		.size = dir ? 0 : all->standard.size,
		.blocks = (all->standard.allocation + 511) / 512,
		.blksize = 65536,
		.atime = smb_time_get(all->basic.times.accessed),
		.mtime = smb_time_get(all->basic.times.written),
		.ctime = smb_time_get(all->basic.times.changed),
		.btime = smb_time_get(all->basic.times.created),
	};
}
