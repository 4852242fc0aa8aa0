/* SPDX-License-Identifier: MIT */
/*
 * The contract check of attributes, extended attributes, and locks, and of
 * reading directories.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <base/assert.h>
#include <contract_call.h>

static void attributes_are_set(struct contract *c)
{
	struct netfs_setattr set = {
		.valid = NETFS_SET_MODE | NETFS_SET_ATIME | NETFS_SET_MTIME,
		.mode = 0604,
		.atime = {.sec = 1000000000, .nsec = 123456000},
		.mtime = {.sec = 1234567890, .nsec = 987654000},
	};
	struct netfs_node *node;
	struct netfs_attr attr, attr2;

	c_make_file(c, c->home, "file", "12345");
	assert_int_equal(c_lookup(c, c->home, "file", &node, &attr), 0);
	assert_int_equal(c_setattr(c, node, NULL, &set, &attr2), 0);
	assert_int_equal(attr2.mode, S_IFREG | 0604);
	assert_int_equal(attr2.atime.sec, 1000000000);
	assert_int_equal(attr2.mtime.sec, 1234567890);
	assert_int_equal(attr2.mtime.nsec, 987654000);
	assert_int_equal(attr2.size, 5);
	assert_int_equal(attr2.uid, attr.uid);
	if (c->be->caps & NETFS_BE_CHANGE_COUNTER)
		assert_int_not_equal(attr2.version, attr.version);
	set = (struct netfs_setattr){.valid = NETFS_SET_MTIME_NOW | NETFS_SET_ATIME_NOW};
	assert_int_equal(c_setattr(c, node, NULL, &set, &attr2), 0);
	assert_true(attr2.mtime.sec >= attr.mtime.sec - 1);
	assert_int_equal(attr2.mode, S_IFREG | 0604);
	if (!(c->flags & CONTRACT_NO_OWNER) && !getuid()) {
		set = (struct netfs_setattr){
			.valid = NETFS_SET_UID | NETFS_SET_GID, .uid = 17, .gid = 18};
		assert_int_equal(c_setattr(c, node, NULL, &set, &attr2), 0);
		assert_int_equal(attr2.uid, 17);
		assert_int_equal(attr2.gid, 18);
	}
	netfs_node_put(node);
	assert_int_equal(c_unlink(c, c->home, "file"), 0);
}

/* What was cut off does not come back: a file that grows is zero there. */
static void sizes_are_set(struct contract *c)
{
	struct netfs_setattr set = {.valid = NETFS_SET_SIZE, .size = 3};
	struct netfs_handle *handle;
	struct netfs_node *node;
	struct netfs_attr attr;
	char buf[16] = "";

	assert_int_equal(c_create(c, c->home, "file", O_RDWR, &node, &handle), 0);
	assert_int_equal(c_write(c, handle, 0, "123456", 6), 6);
	assert_int_equal(c_setattr(c, node, NULL, &set, &attr), 0);
	assert_int_equal(attr.size, 3);
	set.size = 8;
	assert_int_equal(c_setattr(c, node, handle, &set, &attr), 0);
	assert_int_equal(attr.size, 8);
	assert_int_equal(c_read(c, handle, 0, buf, sizeof(buf)), 8);
	assert_memory_equal(buf, "123\0\0\0\0\0", 8);
	netfs_handle_put(handle);
	netfs_node_put(node);
	assert_int_equal(c_unlink(c, c->home, "file"), 0);
	assert_true(c_setattr(c, c->home, NULL, &set, NULL) < 0);
}

/* ---------------------------------------------- extended attributes */

static int set_xattr(struct contract *c, struct netfs_node *node, const char *value, uint32_t flags)
{
	struct c_call *call = c_call(c);

	c->ops->setxattr(node, "user.netfs", value, strlen(value), flags, &call->op);
	return c_wait(call);
}

static int remove_xattr(struct contract *c, struct netfs_node *node)
{
	struct c_call *call = c_call(c);

	c->ops->removexattr(node, "user.netfs", &call->op);
	return c_wait(call);
}

/* The answer's length, or the error. */
static int get_xattr(struct contract *c, struct netfs_node *node, const char *name, char *buf,
		     size_t size)
{
	struct c_call *call = c_call(c);

	call->op.buf = buf;
	call->op.buf_size = size;
	if (name)
		c->ops->getxattr(node, name, &call->op);
	else
		c->ops->listxattr(node, &call->op);
	return c_wait(call) ? call->err : (int)call->op.count;
}

static bool list_has(const char *list, size_t size, const char *name)
{
	for (size_t at = 0; at < size; at += strlen(list + at) + 1)
		if (!strcmp(list + at, name))
			return true;
	return false;
}

static void extended_attributes_are_kept(struct contract *c)
{
	struct netfs_node *node;
	char buf[512] = "";
	int n;

	if (!c->ops->setxattr)
		return;
	c_make_file(c, c->home, "file", "");
	assert_int_equal(c_lookup(c, c->home, "file", &node, NULL), 0);
	n = set_xattr(c, node, "value", XATTR_CREATE);
	if (n != -EOPNOTSUPP) {
		assert_int_equal(n, 0);
		assert_int_equal(set_xattr(c, node, "other", XATTR_CREATE), -EEXIST);
		assert_int_equal(get_xattr(c, node, "user.netfs", NULL, 0), 5);
		assert_int_equal(get_xattr(c, node, "user.netfs", buf, 4), -ERANGE);
		assert_int_equal(get_xattr(c, node, "user.netfs", buf, 5), 5);
		assert_memory_equal(buf, "value", 5);
		assert_int_equal(set_xattr(c, node, "longer value", XATTR_REPLACE), 0);
		assert_int_equal(get_xattr(c, node, "user.netfs", buf, sizeof(buf)), 12);
		n = get_xattr(c, node, NULL, NULL, 0);
		assert_true(n >= 11);
		assert_int_equal(get_xattr(c, node, NULL, buf, 5), -ERANGE);
		assert_int_equal(get_xattr(c, node, NULL, buf, sizeof(buf)), n);
		assert_true(list_has(buf, (size_t)n, "user.netfs"));
		assert_int_equal(remove_xattr(c, node), 0);
		assert_int_equal(remove_xattr(c, node), -ENODATA);
		assert_int_equal(get_xattr(c, node, "user.netfs", buf, 5), -ENODATA);
		assert_int_equal(set_xattr(c, node, "x", XATTR_REPLACE), -ENODATA);
	}
	netfs_node_put(node);
	assert_int_equal(c_unlink(c, c->home, "file"), 0);
}

static void space_is_told(struct contract *c)
{
	struct c_call *call;

	if (!c->ops->statfs)
		return;
	call = c_call(c);
	c->ops->statfs(c->home, &call->op);
	assert_int_equal(c_wait(call), 0);
	assert_true(call->op.statfs.bsize > 0);
	assert_true(call->op.statfs.namelen > 0);
	assert_true(call->op.statfs.bfree <= call->op.statfs.blocks);
}

/* ----------------------------------------------------------- locks */

static enum netfs_lock_result lock(struct contract *c, struct netfs_handle *handle,
				   const struct netfs_lock *lock)
{
	struct c_call *call = c_call(c);

	c->ops->lock(handle, lock, &call->op);
	assert_int_equal(c_wait(call), 0);
	return call->op.lock_result;
}

static enum netfs_lock_type get_lock(struct contract *c, struct netfs_handle *handle,
				     const struct netfs_lock *lock)
{
	struct c_call *call = c_call(c);

	c->ops->getlock(handle, lock, &call->op);
	assert_int_equal(c_wait(call), 0);
	return call->op.lock.type;
}

static void locks_keep_owners_apart(struct contract *c)
{
	struct netfs_lock one = {.type = NETFS_LOCK_WRITE, .start = 0, .end = 100, .owner = 1};
	struct netfs_lock two = {.type = NETFS_LOCK_READ, .start = 50, .end = 60, .owner = 2};
	struct netfs_lock all = {.type = NETFS_LOCK_UNLOCK, .end = UINT64_MAX, .owner = 1};
	struct netfs_handle *a, *b;
	struct netfs_node *node;

	if (!(c->be->caps & NETFS_BE_LOCKS) || c->flags & CONTRACT_NO_RANGE_LOCKS)
		return;
	assert_int_equal(c_create(c, c->home, "file", O_RDWR, &node, &a), 0);
	assert_int_equal(c_open(c, node, O_RDWR, &b), 0);
	one.pid = two.pid = c->cred.pid;
	assert_int_equal(lock(c, a, &one), NETFS_LOCK_GRANTED);
	assert_int_equal(lock(c, b, &one), NETFS_LOCK_GRANTED);
	assert_int_equal(lock(c, b, &two), NETFS_LOCK_BLOCKED);
	assert_int_equal(lock(c, a, &two), NETFS_LOCK_BLOCKED);
	assert_int_equal(get_lock(c, b, &two), NETFS_LOCK_WRITE);
	assert_int_equal(get_lock(c, b, &one), NETFS_LOCK_UNLOCK);
	two.start = 100;
	two.end = UINT64_MAX;
	assert_int_equal(lock(c, b, &two), NETFS_LOCK_GRANTED);
	one.type = NETFS_LOCK_UNLOCK;
	assert_int_equal(lock(c, a, &one), NETFS_LOCK_GRANTED);
	two.start = 50;
	assert_int_equal(get_lock(c, b, &two), NETFS_LOCK_UNLOCK);
	assert_int_equal(lock(c, b, &two), NETFS_LOCK_GRANTED);
	one.type = NETFS_LOCK_READ;
	assert_int_equal(lock(c, a, &one), NETFS_LOCK_GRANTED);
	assert_int_equal(lock(c, a, &all), NETFS_LOCK_GRANTED);
	all.owner = 2;
	assert_int_equal(lock(c, b, &all), NETFS_LOCK_GRANTED);
	netfs_handle_put(a);
	netfs_handle_put(b);
	netfs_node_put(node);
	assert_int_equal(c_unlink(c, c->home, "file"), 0);
}

void contract_attributes(struct contract *c)
{
	attributes_are_set(c);
	sizes_are_set(c);
	extended_attributes_are_kept(c);
	space_is_told(c);
	locks_keep_owners_apart(c);
}

/* ----------------------------------------------------- directories */

#define ENTRIES 200

/* What one or several readdirs brought. */
struct listing {
	unsigned room; /* entries to take before saying no */
	unsigned n;
	bool refused;
	unsigned seen[ENTRIES]; /* how often "entry-N" came */
	uint64_t next[ENTRIES]; /* its cookie */
	uint64_t last; /* cookie of the latest */
};

static bool take_entry(struct netfs_op *op, const struct netfs_dirent *entry)
{
	struct listing *list = netfs_container_of(op, struct c_call, op)->user;
	char name[NETFS_NAME_MAX + 1];
	unsigned i = ENTRIES;

	netfs_assert_nothing_held();
	netfs_assert(!list->refused);
	netfs_assert(entry->name_len > 0 && entry->name_len <= NETFS_NAME_MAX);
	if (!list->room) {
		list->refused = true;
		return false;
	}
	memcpy(name, entry->name, entry->name_len);
	name[entry->name_len] = 0;
	netfs_assert(strcmp(name, ".") != 0 && strcmp(name, "..") != 0);
	netfs_assert(sscanf(name, "entry-%u", &i) == 1 && i < ENTRIES);
	netfs_assert(!entry->type || entry->type == (i % 2 ? S_IFREG : S_IFDIR));
	netfs_assert(entry->next != 0);
	list->room--;
	list->n++;
	list->seen[i]++;
	list->next[i] = list->last = entry->next;
	return true;
}

/* Up to max entries from cookie on; did it end there? */
static bool read_some(struct contract *c, struct netfs_handle *handle, uint64_t cookie,
		      unsigned max, struct listing *list)
{
	struct c_call *call = c_call(c);
	unsigned before = list->n;

	list->room = max;
	list->refused = false;
	call->user = list;
	call->op.fill = take_entry;
	c->ops->readdir(handle, cookie, &call->op);
	assert_int_equal(c_wait(call), 0);
	if (!call->op.eof)
		assert_true(list->n > before || list->refused);
	if (list->refused)
		assert_false(call->op.eof);
	return call->op.eof;
}

static void read_all(struct contract *c, struct netfs_handle *handle, uint64_t cookie,
		     unsigned step, struct listing *list)
{
	list->last = cookie;
	while (!read_some(c, handle, list->last, step, list))
		;
}

static void make_entries(struct contract *c, struct netfs_node *dir)
{
	struct c_call *calls[ENTRIES];
	char names[ENTRIES][16];

	for (unsigned i = 0; i < ENTRIES; i++) {
		calls[i] = c_call(c);
		snprintf(names[i], sizeof(names[i]), "entry-%u", i);
		if (i % 2)
			c->ops->create(dir, names[i], O_WRONLY | O_EXCL, 0600, &calls[i]->op);
		else
			c->ops->mkdir(dir, names[i], 0700, &calls[i]->op);
	}
	for (unsigned i = 0; i < ENTRIES; i++) {
		assert_int_equal(c_wait(calls[i]), 0);
		netfs_node_put(calls[i]->op.node);
		netfs_handle_put(calls[i]->op.handle);
	}
}

static void remove_entry(struct contract *c, struct netfs_node *dir, unsigned i)
{
	char name[16];

	snprintf(name, sizeof(name), "entry-%u", i);
	assert_int_equal(i % 2 ? c_unlink(c, dir, name) : c_rmdir(c, dir, name), 0);
}

static void listings_are_whole(struct contract *c, struct netfs_handle *handle)
{
	static const unsigned steps[] = {ENTRIES * 2, 7, 1};
	struct listing list;

	for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		memset(&list, 0, sizeof(list));
		read_all(c, handle, 0, steps[i], &list);
		assert_int_equal(list.n, ENTRIES);
		for (unsigned j = 0; j < ENTRIES; j++)
			assert_int_equal(list.seen[j], 1);
	}
}

/* Resumed at any entry, a listing has all that came after it. */
static void cookies_resume(struct contract *c, struct netfs_handle *handle)
{
	struct listing first = {0};

	read_all(c, handle, 0, 50, &first);
	for (unsigned i = 0; i < ENTRIES; i += 37) {
		struct listing rest = {0}, head = {0};

		read_all(c, handle, first.next[i], 50, &rest);
		head.last = 0;
		while (head.n < ENTRIES - rest.n)
			read_some(c, handle, head.last, ENTRIES - rest.n - head.n, &head);
		assert_int_equal(rest.seen[i], 0);
		assert_int_equal(head.seen[i], 1);
		for (unsigned j = 0; j < ENTRIES; j++)
			assert_int_equal(head.seen[j] + rest.seen[j], 1);
	}
}

/* What is removed while a listing is under way costs nobody else his place. */
static void listings_survive_removal(struct contract *c, struct netfs_node *dir,
				     struct netfs_handle *handle)
{
	struct listing list = {0};
	bool gone[ENTRIES] = {false};
	bool eof = false;

	while (!eof) {
		eof = read_some(c, handle, list.last, 10, &list);
		for (unsigned i = 0; i < ENTRIES; i++) {
			if (!list.seen[i] || gone[i])
				continue;
			remove_entry(c, dir, i);
			gone[i] = true;
		}
	}
	for (unsigned i = 0; i < ENTRIES; i++)
		assert_int_equal(list.seen[i], 1);
	memset(&list, 0, sizeof(list));
	assert_true(read_some(c, handle, 0, 10, &list));
	assert_int_equal(list.n, 0);
}

void contract_directories(struct contract *c)
{
	struct netfs_handle *handle;
	struct netfs_node *dir;
	struct listing list = {0};

	assert_int_equal(c_mkdir(c, c->home, "dir", &dir), 0);
	assert_int_equal(c_open(c, dir, O_RDONLY, &handle), 0);
	assert_true(read_some(c, handle, 0, 10, &list));
	assert_int_equal(list.n, 0);
	assert_int_equal(c_open(c, dir, O_RDWR, NULL), -EISDIR);
	make_entries(c, dir);
	listings_are_whole(c, handle);
	cookies_resume(c, handle);
	listings_survive_removal(c, dir, handle);
	netfs_handle_put(handle);
	netfs_node_put(dir);
	assert_int_equal(c_rmdir(c, c->home, "dir"), 0);
}
