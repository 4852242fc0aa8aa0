// SPDX-License-Identifier: MIT
/*
 * Nodes: objects by their names.
 *
 * SMB addresses everything by its path, so a node knows its directory and its name
 * in it, and a path is put together when it is needed: a directory that is renamed
 * takes what is in it along.  There is one node for each file id; it is called what
 * it was found as last.
 *
 * Servers use a file id again when its file is gone, so the time when the file was
 * made is looked at as well; but Samba, for files it did not make itself, tells the
 * smallest of the other times, which moves when the file is used.  So another time is
 * no other file where the name is the same, unless something was open when the
 * connection went: only then its id may be another file's by now without a trace.
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

static struct smb_node *node_new(struct smb_conn *conn, const struct smb_file_all *all)
{
	struct smb_node *node = netfs_zalloc(sizeof(*node));

	if (!node)
		return NULL;
	atomic_init(&node->base.refs, 1);
	node->base.be = &conn->be;
	node->file_id = all->index;
	node->born = node->born_seen = all->basic.times.created;
	node->is_dir = all->basic.attributes & SMB_ATTR_DIRECTORY;
	netfs_list_init(&node->link);
	netfs_list_init(&node->lease_link);
	smb_lease_key(&node->lease.key);
	return node;
}

struct smb_node *smb_node_root(struct smb_conn *conn)
{
	static const struct smb_file_all all = {.basic.attributes = SMB_ATTR_DIRECTORY};
	struct smb_node *node = node_new(conn, &all);

	if (node)
		node->is_root = true;
	return node;
}

static bool is_exactly_locked(const struct smb_node *node, const struct smb_file_all *all)
{
	bool is_dir = all->basic.attributes & SMB_ATTR_DIRECTORY;
	uint64_t born = all->basic.times.created;

	return node->file_id == all->index && node->is_dir == is_dir &&
	       (node->born == born || node->born_seen == born);
}

/* Is it open since before the connection went? */
static bool is_open_from_before_locked(struct smb_conn *conn, const struct smb_node *node)
{
	struct netfs_list *link;

	netfs_list_for_each (link, &conn->handles) {
		struct smb_handle *handle = netfs_container_of(link, struct smb_handle, link);

		/* Session 0: it was not opened yet. */
		if (handle->node == node && !handle->err && handle->session &&
		    handle->session != conn->session)
			return true;
	}
	return false;
}

static bool is_likely_locked(const struct smb_node *node, const struct smb_file_all *all)
{
	bool is_dir = all->basic.attributes & SMB_ATTR_DIRECTORY;

	return node->file_id == all->index && node->is_dir == is_dir && !node->is_link &&
	       !is_open_from_before_locked(smb_conn_of(node->base.be), node);
}

bool smb_node_is(struct smb_node *node, const struct smb_file_all *all, bool exactly)
{
	struct smb_conn *conn = smb_conn_of(node->base.be);
	bool is;

	netfs_mutex_lock(&conn->lock);
	is = is_exactly_locked(node, all) || (!exactly && is_likely_locked(node, all));
	if (is)
		node->born_seen = all->basic.times.created;
	netfs_mutex_unlock(&conn->lock);
	return is;
}

static bool is_called(const struct smb_node *node, const struct smb_node *parent, const char *name)
{
	return (node->parent == parent && node->name && !strcmp(node->name, name)) ||
	       (node->spare.parent == parent && node->spare.name &&
		!strcmp(node->spare.name, name));
}

/* One that is not on its way out, with a reference.  name NULL: that was just made. */
static struct smb_node *find_locked(struct smb_conn *conn, const struct smb_node *parent,
				    const char *name, const struct smb_file_all *all)
{
	struct netfs_list *link;

	netfs_list_for_each (link, bucket(conn, all->index)) {
		struct smb_node *node = netfs_container_of(link, struct smb_node, link);
		uint32_t refs = atomic_load(&node->base.refs);

		if (!is_exactly_locked(node, all) &&
		    !(name && is_called(node, parent, name) && is_likely_locked(node, all)))
			continue;
		while (refs > 0) {
			if (!atomic_compare_exchange_weak(&node->base.refs, &refs, refs + 1))
				continue;
			node->born_seen = all->basic.times.created;
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

static void place_done(struct smb_place *place)
{
	netfs_free(place->name);
	if (place->parent)
		netfs_node_put(&place->parent->base);
}

/* Takes over name; gives back what nobody needs any more.  keep: the old name of a
 * file may still be good. */
static void place_locked(struct smb_node *node, struct smb_place *place, bool keep)
{
	struct smb_place old = {node->parent, node->name};

	netfs_node_get(&place->parent->base);
	node->parent = place->parent;
	node->name = place->name;
	*place = old;
	if (keep && !node->is_dir && old.parent) {
		*place = node->spare;
		node->spare = old;
	}
}

bool smb_node_doubt(struct smb_node *node)
{
	struct smb_conn *conn = smb_conn_of(node->base.be);
	struct smb_place old = {NULL, NULL};

	netfs_mutex_lock(&conn->lock);
	if (node->spare.parent) {
		old = (struct smb_place){node->parent, node->name};
		node->parent = node->spare.parent;
		node->name = node->spare.name;
		node->spare = (struct smb_place){NULL, NULL};
		conn->moves++;
	}
	netfs_mutex_unlock(&conn->lock);
	place_done(&old);
	return old.parent;
}

struct smb_node *smb_node_at(struct smb_conn *conn, struct smb_node *parent, const char *name,
			     const struct smb_file_all *all, bool made)
{
	struct smb_place place = {parent, netfs_strdup(name)};
	struct smb_node *fresh = node_new(conn, all), *node;
	bool placed = false;

	if (!place.name || !fresh) {
		netfs_free(place.name);
		netfs_free(fresh);
		return NULL;
	}
	netfs_mutex_lock(&conn->lock);
	node = all->index ? find_locked(conn, parent, made ? NULL : name, all) : NULL;
	if (node && circular_locked(node, parent)) {
		netfs_mutex_unlock(&conn->lock);
		netfs_node_put(&node->base);
		netfs_mutex_lock(&conn->lock);
		node = NULL;
	}
	if (!node) {
		node = netfs_take(fresh);
		netfs_list_push_back(bucket(conn, all->index), &node->link);
	}
	if (node->parent != parent || !node->name || strcmp(node->name, name)) {
		place_locked(node, &place, true);
		placed = true;
	}
	netfs_mutex_unlock(&conn->lock);
	if (placed)
		place_done(&place);
	else
		netfs_free(place.name);
	netfs_free(fresh);
	return node;
}

void smb_node_move(struct smb_node *node, struct smb_node *parent, char *name, bool also)
{
	struct smb_conn *conn = smb_conn_of(node->base.be);
	struct smb_place place = {parent, name};
	bool placed = false;

	netfs_mutex_lock(&conn->lock);
	conn->moves++;
	if (!circular_locked(node, parent)) {
		place_locked(node, &place, also);
		placed = true;
	}
	netfs_mutex_unlock(&conn->lock);
	if (placed)
		place_done(&place);
	else
		netfs_free(place.name);
}

void smb_node_free(struct netfs_node *base)
{
	struct smb_node *node = smb_node_of(base);
	struct smb_conn *conn = smb_conn_of(base->be);
	struct smb_place place;

	netfs_mutex_lock(&conn->lock);
	netfs_list_remove(&node->link);
	netfs_mutex_unlock(&conn->lock);
	place = (struct smb_place){node->parent, node->name};
	place_done(&node->spare);
	netfs_free(node);
	place_done(&place);
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

static int path_locked(struct smb_conn *conn, struct smb_node *node, const char *name, uint8_t *buf,
		       size_t *ret_len)
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

/* Written from the end of buf. */
static int put_path_locked(const struct smb_node *node, char *buf, size_t size, char **ret_at)
{
	char *at = buf + size - 1;

	*at = 0;
	for (; !node->is_root; node = node->parent) {
		size_t len = node->parent ? strlen(node->name) : 0;

		if (!node->parent)
			return -ENOENT;
		if (len + 1 > (size_t)(at - buf))
			return -ENAMETOOLONG;
		if (*at)
			*--at = '/';
		at -= len;
		memcpy(at, node->name, len);
	}
	*ret_at = at;
	return 0;
}

int smb_path(struct netfs_node *node, char *buf, size_t size)
{
	struct smb_conn *conn = smb_conn_of(node->be);
	char *at;
	int err;

	netfs_mutex_lock(&conn->lock);
	err = put_path_locked(smb_node_of(node), buf, size, &at);
	netfs_mutex_unlock(&conn->lock);
	if (!err)
		memmove(buf, at, strlen(at) + 1);
	return err;
}

/* -------------------------------------------------------- attributes */

void smb_attr_of_all(const struct smb_node *node, const struct smb_file_all *all,
		     struct netfs_attr *ret_attr)
{
	const struct smb_conn *conn = smb_conn_of(node->base.be);
	bool dir = all->basic.attributes & SMB_ATTR_DIRECTORY;
	uint32_t mode = dir ? S_IFDIR | conn->dir_mode : S_IFREG | conn->file_mode;

	*ret_attr = (struct netfs_attr){
		.ino = all->index,
		.gen = node->is_root ? all->basic.times.created : node->born,
		.mode = mode,
		.nlink = dir		       ? 2
			 : all->standard.nlink ? all->standard.nlink
					       : 1,
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
	smb_owner_apply(node, ret_attr);
	if (!dir && all->basic.attributes & SMB_ATTR_READONLY)
		ret_attr->mode &= ~0222u;
}
