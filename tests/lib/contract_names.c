/* SPDX-License-Identifier: MIT */
/*
 * The contract check of names: what can be found, made, linked, removed and
 * renamed, and what must be refused with which error.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <contract_call.h>

/* A directory that is gone may be called missing or stale. */
#define assert_gone(err) assert_true((err) == -ENOENT || (err) == -ESTALE)

static void names_are_found_or_not(struct contract *c)
{
	struct netfs_node *file, *again;
	struct netfs_attr attr, attr2;

	assert_int_equal(c_lookup(c, c->home, "none", NULL, NULL), -ENOENT);
	c_make_file(c, c->home, "file", "x");
	assert_int_equal(c_lookup(c, c->home, "file", &file, &attr), 0);
	assert_int_equal(c_lookup(c, c->home, "file", &again, &attr2), 0);
	assert_true(S_ISREG(attr.mode));
	assert_int_equal(attr.ino, attr2.ino);
	assert_int_equal(attr.gen, attr2.gen);
	assert_int_equal(attr.size, 1);
	assert_int_equal(c_lookup(c, file, "below", NULL, NULL), -ENOTDIR);
	assert_int_equal(c_mkdir(c, file, "below", NULL), -ENOTDIR);
	netfs_node_put(file);
	netfs_node_put(again);
	assert_int_equal(c_unlink(c, c->home, "file"), 0);
	assert_int_equal(c_lookup(c, c->home, "file", NULL, NULL), -ENOENT);
	assert_int_equal(c_unlink(c, c->home, "file"), -ENOENT);
}

static void names_have_a_length(struct contract *c)
{
	char name[NETFS_NAME_MAX + 2];

	memset(name, 'n', sizeof(name));
	name[NETFS_NAME_MAX + 1] = 0;
	assert_int_equal(c_lookup(c, c->home, name, NULL, NULL), -ENAMETOOLONG);
	assert_int_equal(c_mkdir(c, c->home, name, NULL), -ENAMETOOLONG);
	if (c->flags & CONTRACT_NO_NAME_MAX)
		return;
	name[NETFS_NAME_MAX] = 0;
	assert_int_equal(c_mkdir(c, c->home, name, NULL), 0);
	assert_int_equal(c_lookup(c, c->home, name, NULL, NULL), 0);
	assert_int_equal(c_rmdir(c, c->home, name), 0);
}

/* Names are bytes: neither text nor case mean anything. */
static void names_are_bytes(struct contract *c)
{
	static const char *const names[] = {" ",    "a b",  "\xff\xfe", "...",
					    "Case", "case", "\n",	"%s"};
	const unsigned n = sizeof(names) / sizeof(names[0]);

	for (unsigned i = 0; i < n; i++)
		c_make_file(c, c->home, names[i], names[i]);
	for (unsigned i = 0; i < n; i++)
		c_expect_file(c, c->home, names[i], names[i]);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(c_unlink(c, c->home, names[i]), 0);
}

static void directories_are_made_and_removed(struct contract *c)
{
	struct netfs_node *dir;
	struct netfs_attr attr;
	int err;

	assert_int_equal(c_mkdir(c, c->home, "dir", &dir), 0);
	assert_int_equal(c_mkdir(c, c->home, "dir", NULL), -EEXIST);
	assert_int_equal(c_getattr(c, dir, NULL, &attr), 0);
	assert_true(S_ISDIR(attr.mode));
	assert_int_equal(attr.mode & 07777, 0755);
	c_make_file(c, dir, "file", "in it");
	assert_int_equal(c_rmdir(c, c->home, "dir"), -ENOTEMPTY);
	err = c_unlink(c, c->home, "dir");
	assert_true(err == -EISDIR || err == -EPERM);
	assert_int_equal(c_rmdir(c, dir, "file"), -ENOTDIR);
	assert_int_equal(c_rmdir(c, dir, "none"), -ENOENT);
	assert_int_equal(c_unlink(c, dir, "file"), 0);
	assert_int_equal(c_rmdir(c, c->home, "dir"), 0);
	assert_gone(c_lookup(c, dir, "file", NULL, NULL));
	assert_gone(c_mkdir(c, dir, "late", NULL));
	netfs_node_put(dir);
}

static void files_are_created(struct contract *c)
{
	struct netfs_node *node, *again;
	struct netfs_attr attr, attr2;
	struct netfs_handle *handle;

	assert_int_equal(c_create(c, c->home, "file", O_RDWR | O_EXCL, &node, &handle), 0);
	assert_true(handle->readable && handle->writable);
	assert_int_equal(c_getattr(c, node, handle, &attr), 0);
	assert_true(S_ISREG(attr.mode));
	assert_int_equal(attr.mode & 07777, 0640);
	assert_int_equal(attr.size, 0);
	assert_int_equal(attr.nlink, 1);
	if (!(c->flags & CONTRACT_NO_OWNER)) {
		assert_int_equal(attr.uid, c->cred.uid);
		assert_int_equal(attr.gid, c->cred.gid);
	}
	assert_int_equal(c_write(c, handle, 0, "12345", 5), 5);
	netfs_handle_put(handle);
	assert_int_equal(c_create(c, c->home, "file", O_RDWR | O_EXCL, NULL, NULL), -EEXIST);
	assert_int_equal(c_create(c, c->home, "file", O_RDONLY, &again, &handle), 0);
	assert_true(handle->readable && !handle->writable);
	assert_int_equal(c_getattr(c, again, handle, &attr2), 0);
	assert_int_equal(attr2.ino, attr.ino);
	assert_int_equal(attr2.size, 5);
	netfs_handle_put(handle);
	assert_int_equal(c_create(c, c->home, "file", O_RDWR | O_TRUNC, NULL, NULL), 0);
	assert_int_equal(c_getattr(c, node, NULL, &attr2), 0);
	assert_int_equal(attr2.size, 0);
	netfs_node_put(again);
	netfs_node_put(node);
	assert_int_equal(c_unlink(c, c->home, "file"), 0);
	assert_int_equal(c_mkdir(c, c->home, "dir", NULL), 0);
	assert_int_equal(c_create(c, c->home, "dir", O_RDWR | O_EXCL, NULL, NULL), -EEXIST);
	assert_int_equal(c_create(c, c->home, "dir", O_RDWR, NULL, NULL), -EISDIR);
	assert_int_equal(c_rmdir(c, c->home, "dir"), 0);
}

static void make_node(struct contract *c, const char *name, uint32_t mode, uint32_t minor)
{
	struct c_call *call = c_call(c);

	c->ops->mknod(c->home, name, mode | 0600, minor ? 1 : 0, minor, &call->op);
	assert_int_equal(c_wait(call), 0);
	assert_int_equal(call->op.attr.mode, mode | 0600);
	assert_int_equal(call->op.attr.rdev_major, minor ? 1 : 0);
	assert_int_equal(call->op.attr.rdev_minor, minor);
	netfs_node_put(call->op.node);
	assert_int_equal(c_unlink(c, c->home, name), 0);
}

static void special_files_are_made(struct contract *c)
{
	make_node(c, "regular", S_IFREG, 0);
	make_node(c, "fifo", S_IFIFO, 0);
	if (c->flags & CONTRACT_NO_DEVICES)
		return;
	make_node(c, "null", S_IFCHR, 3);
	make_node(c, "ram", S_IFBLK, 1);
}

static int read_link(struct contract *c, struct netfs_node *node, char *buf, size_t size)
{
	struct c_call *call = c_call(c);
	int err;

	call->op.buf = buf;
	call->op.buf_size = size;
	c->ops->readlink(node, &call->op);
	err = c_wait(call);
	return err ? err : (int)call->op.count;
}

static void symbolic_links_are_read(struct contract *c)
{
	struct c_call *call = c_call(c);
	char buf[64] = "";

	c->ops->symlink(c->home, "link", "../some where", &call->op);
	assert_int_equal(c_wait(call), 0);
	assert_true(S_ISLNK(call->op.attr.mode));
	assert_int_equal(read_link(c, call->op.node, buf, sizeof(buf)), 13);
	assert_memory_equal(buf, "../some where", 14);
	assert_int_equal(read_link(c, call->op.node, buf, 13), 13);
	assert_int_equal(read_link(c, call->op.node, buf, 12), -ERANGE);
	netfs_node_put(call->op.node);
	assert_int_equal(read_link(c, c->home, buf, sizeof(buf)), -EINVAL);
	call = c_call(c);
	c->ops->symlink(c->home, "link", "else", &call->op);
	assert_int_equal(c_wait(call), -EEXIST);
	assert_int_equal(c_unlink(c, c->home, "link"), 0);
}

static int link_to(struct contract *c, struct netfs_node *node, const char *name,
		   struct netfs_attr *ret_attr)
{
	struct c_call *call = c_call(c);

	c->ops->link(node, c->home, name, &call->op);
	if (!c_wait(call) && ret_attr)
		*ret_attr = call->op.attr;
	return call->err;
}

/* The node goes on naming the object whichever of its names is removed. */
static void hard_links_share_a_file(struct contract *c)
{
	struct netfs_node *node;
	struct netfs_attr attr;

	c_make_file(c, c->home, "one", "shared");
	assert_int_equal(c_lookup(c, c->home, "one", &node, NULL), 0);
	assert_int_equal(link_to(c, node, "two", &attr), 0);
	assert_int_equal(attr.nlink, 2);
	assert_int_equal(link_to(c, node, "two", NULL), -EEXIST);
	c_expect_file(c, c->home, "two", "shared");
	assert_int_equal(c_unlink(c, c->home, "one"), 0);
	assert_int_equal(c_getattr(c, node, NULL, &attr), 0);
	assert_int_equal(attr.nlink, 1);
	c_expect_file(c, c->home, "two", "shared");
	assert_int_equal(link_to(c, node, "one", NULL), 0);
	assert_int_equal(c_unlink(c, c->home, "two"), 0);
	assert_int_equal(c_getattr(c, node, NULL, &attr), 0);
	netfs_node_put(node);
	assert_int_equal(c_unlink(c, c->home, "one"), 0);
	assert_int_equal(link_to(c, c->home, "loop", NULL), -EPERM);
}

void contract_names(struct contract *c)
{
	names_are_found_or_not(c);
	names_have_a_length(c);
	names_are_bytes(c);
	directories_are_made_and_removed(c);
	files_are_created(c);
	special_files_are_made(c);
	symbolic_links_are_read(c);
	hard_links_share_a_file(c);
}

/* --------------------------------------------------------- renames */

static void renames_replace_files(struct contract *c)
{
	struct netfs_node *node, *dir;
	struct netfs_attr attr, attr2;

	assert_int_equal(c_rename(c, c->home, "none", c->home, "else", 0), -ENOENT);
	c_make_file(c, c->home, "a", "A");
	c_make_file(c, c->home, "b", "B");
	assert_int_equal(c_mkdir(c, c->home, "dir", &dir), 0);
	assert_int_equal(c_lookup(c, c->home, "a", &node, &attr), 0);
	assert_int_equal(c_rename(c, c->home, "a", c->home, "b", 0), 0);
	assert_int_equal(c_lookup(c, c->home, "a", NULL, NULL), -ENOENT);
	c_expect_file(c, c->home, "b", "A");
	assert_int_equal(c_getattr(c, node, NULL, &attr2), 0);
	assert_int_equal(attr.ino, attr2.ino);
	assert_int_equal(c_rename(c, c->home, "b", c->home, "b", 0), 0);
	assert_int_equal(c_rename(c, c->home, "b", dir, "c", 0), 0);
	c_expect_file(c, dir, "c", "A");
	assert_int_equal(c_getattr(c, node, NULL, &attr2), 0);
	assert_int_equal(attr.ino, attr2.ino);
	netfs_node_put(node);
	assert_int_equal(c_unlink(c, dir, "c"), 0);
	netfs_node_put(dir);
	assert_int_equal(c_rmdir(c, c->home, "dir"), 0);
}

static void renames_respect_directories(struct contract *c)
{
	struct netfs_node *dir, *full;

	assert_int_equal(c_mkdir(c, c->home, "dir", &dir), 0);
	assert_int_equal(c_mkdir(c, c->home, "full", &full), 0);
	c_make_file(c, c->home, "file", "1");
	c_make_file(c, full, "file", "2");
	assert_int_equal(c_rename(c, c->home, "file", c->home, "dir", 0), -EISDIR);
	assert_int_equal(c_rename(c, c->home, "dir", c->home, "file", 0), -ENOTDIR);
	assert_int_equal(c_rename(c, c->home, "dir", c->home, "full", 0), -ENOTEMPTY);
	assert_int_equal(c_rename(c, c->home, "full", full, "below", 0), -EINVAL);
	assert_int_equal(c_rename(c, c->home, "full", c->home, "dir", 0), 0);
	c_expect_file(c, full, "file", "2");
	netfs_node_put(dir);
	netfs_node_put(full);
	assert_int_equal(c_unlink(c, c->home, "file"), 0);
	assert_int_equal(c_lookup(c, c->home, "dir", &dir, NULL), 0);
	assert_int_equal(c_unlink(c, dir, "file"), 0);
	netfs_node_put(dir);
	assert_int_equal(c_rmdir(c, c->home, "dir"), 0);
}

/* Nodes deep below a directory that moves stay what they were. */
static void renames_carry_what_is_below(struct contract *c)
{
	struct netfs_node *top, *mid, *file;
	struct netfs_handle *handle;
	struct netfs_attr attr;

	assert_int_equal(c_mkdir(c, c->home, "top", &top), 0);
	assert_int_equal(c_mkdir(c, top, "mid", &mid), 0);
	c_make_file(c, mid, "file", "deep");
	assert_int_equal(c_lookup(c, mid, "file", &file, NULL), 0);
	assert_int_equal(c_rename(c, c->home, "top", c->home, "new", 0), 0);
	assert_int_equal(c_getattr(c, file, NULL, &attr), 0);
	assert_int_equal(c_open(c, file, O_RDWR, &handle), 0);
	assert_int_equal(c_rename(c, top, "mid", c->home, "mid", 0), 0);
	assert_int_equal(c_getattr(c, file, NULL, &attr), 0);
	assert_int_equal(c_write(c, handle, 0, "DEEP", 4), 4);
	netfs_handle_put(handle);
	c_expect_file(c, mid, "file", "DEEP");
	assert_int_equal(c_unlink(c, mid, "file"), 0);
	netfs_node_put(file);
	netfs_node_put(mid);
	netfs_node_put(top);
	assert_int_equal(c_rmdir(c, c->home, "mid"), 0);
	assert_int_equal(c_rmdir(c, c->home, "new"), 0);
}

static void rename_flags_are_kept(struct contract *c)
{
	struct netfs_node *node, *dir;
	struct netfs_attr attr;

	if (!(c->be->caps & NETFS_BE_RENAME_FLAGS))
		return;
	c_make_file(c, c->home, "a", "A");
	c_make_file(c, c->home, "b", "B");
	assert_int_equal(c_mkdir(c, c->home, "dir", &dir), 0);
	c_make_file(c, dir, "file", "F");
	assert_int_equal(c_lookup(c, c->home, "b", &node, NULL), 0);
	assert_int_equal(c_rename(c, c->home, "a", c->home, "b", RENAME_NOREPLACE), -EEXIST);
	assert_int_equal(c_rename(c, c->home, "a", c->home, "x", RENAME_EXCHANGE), -ENOENT);
	assert_int_equal(c_rename(c, c->home, "a", c->home, "b", RENAME_EXCHANGE), 0);
	c_expect_file(c, c->home, "a", "B");
	c_expect_file(c, c->home, "b", "A");
	assert_int_equal(c_getattr(c, node, NULL, &attr), 0);
	assert_int_equal(c_rename(c, c->home, "a", c->home, "dir", RENAME_EXCHANGE), 0);
	c_expect_file(c, c->home, "dir", "B");
	c_expect_file(c, dir, "file", "F");
	assert_int_equal(c_rename(c, c->home, "b", c->home, "c", RENAME_NOREPLACE), 0);
	netfs_node_put(node);
	assert_int_equal(c_unlink(c, dir, "file"), 0);
	netfs_node_put(dir);
	assert_int_equal(c_rmdir(c, c->home, "a"), 0);
	assert_int_equal(c_unlink(c, c->home, "c"), 0);
	assert_int_equal(c_unlink(c, c->home, "dir"), 0);
}

void contract_renames(struct contract *c)
{
	renames_replace_files(c);
	renames_respect_directories(c);
	renames_carry_what_is_below(c);
	rename_flags_are_kept(c);
}
