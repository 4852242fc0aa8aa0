/* SPDX-License-Identifier: MIT */
/*
 * The mem back end: a tree in the memory of the process, and the tutorial for
 * those who write a back end, a table of functions (the end of this file) behind
 * <unetfs/backend.h>.  The engine caches, reads ahead, writes back and retries;
 * what is left is names, attributes, "read this slice", "write this slice".
 *
 * 1. Embed: the contract's structs are the first members of ours.  A node is
 *    how we address an object of the server: here a pointer, elsewhere a path
 *    or a fid.  Two nodes may be one file: attr.ino says that they are.
 * 2. Do not wait: others send a message and complete when the reply comes.
 *    Memory answers at once, so we complete before we return, or with "async"
 *    from a task, for tests.  The contract allows both.
 * 3. Complete once, with no lock held, and forget: the caller may come back at
 *    once, and may have freed what was completed.  Hence enter() and leave().
 * 4. Promise nothing: what the server cannot do is NULL in the table.  Here
 *    that is extended attributes, locks, fallocate, finding holes.
 *
 * "mem:" is a tree of one's own, "mem:NAME" one for all mounts of that name in
 * the process; it goes with the last of them.  One lock guards all files.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <backend/backends.h>
#include <base/round.h>
#include <env/alloc.h>
#include <env/clock.h>
#include <env/executor.h>
#include <env/lock.h>

#define SLICE_LIMIT (1U << 20) /* moved at once, as if by a message size */
#define FILE_LIMIT  (UINT64_C(1) << 30) /* -EFBIG beyond */

struct file {
	uint32_t refs; /* names, nodes, handles, mounts */
	struct netfs_attr attr; /* nlink counts names, also of directories */
	char *data; /* attr.size bytes, or a link's target */
	struct file *parent; /* of a directory */
	struct netfs_list entries; /* of a directory: struct entry, by cookie */
};

struct entry {
	struct netfs_list link; /* in a directory's entries */
	uint64_t cookie; /* where readdir resumes behind it */
	struct file *file;
	char name[NETFS_NAME_MAX + 1];
};

struct mem_be {
	struct netfs_be be;
	struct entry *export; /* the tree, in exports */
	bool async;
};

/* A node or a handle: what the engine addresses a file by. */
struct mem_ref {
	union {
		struct netfs_node node;
		struct netfs_handle handle;
	};
	struct file *file;
};

/* A completion: of an operation, or else of a slice. */
struct answer {
	struct netfs_task task;
	struct netfs_op *op;
	struct netfs_slice *slice;
	size_t moved;
	int err;
	unsigned flags;
};

static struct netfs_mutex mem_lock;
static uint64_t last_number; /* of a file or an entry; none is used again */
/* The roots of all trees, by name; the name "" is never found. */
static struct file exports = {.attr = {.mode = S_IFDIR, .nlink = 1},
			      .entries = {&exports.entries, &exports.entries}};

__attribute__((constructor)) static void mem_lock_init(void)
{
	netfs_mutex_init(&mem_lock, NETFS_RANK_BACKEND);
}

/* ---------------------------------------------------- the server */

static struct netfs_time changed(struct file *file)
{
	uint64_t ns = netfs_clock_real();

	file->attr.version++;
	return file->attr.ctime = (struct netfs_time){ns / NETFS_NS_PER_SEC, ns % NETFS_NS_PER_SEC};
}

static void file_put(struct file *file)
{
	if (--file->refs)
		return;
	netfs_free(file->data);
	netfs_free(file);
}

static int file_resize(struct file *file, uint64_t size)
{
	uint64_t kept = netfs_min(file->attr.size, size);
	char *data = size <= FILE_LIMIT ? netfs_realloc(file->data, size + 1) : NULL;

	if (!data)
		return size <= FILE_LIMIT ? -ENOSPC : -EFBIG;
	memset(data + kept, 0, size - kept + 1);
	file->data = data;
	file->attr.size = size;
	file->attr.blocks = netfs_round_up(size, 512) / 512;
	file->attr.mtime = changed(file);
	return 0;
}

/* NULL in ret_entry where there is none. */
static int entry_find(struct file *dir, const char *name, struct entry **ret_entry)
{
	struct netfs_list *pos;

	*ret_entry = NULL;
	if (!S_ISDIR(dir->attr.mode) || strlen(name) > NETFS_NAME_MAX)
		return S_ISDIR(dir->attr.mode) ? -ENAMETOOLONG : -ENOTDIR;
	netfs_list_for_each (pos, &dir->entries) {
		struct entry *entry = netfs_container_of(pos, struct entry, link);

		if (*name && !strcmp(entry->name, name)) {
			*ret_entry = entry;
			return 0;
		}
	}
	return dir->attr.nlink ? -ENOENT : -ESTALE;
}

/* At the end and with a new cookie, so that no listing under way is upset. */
static void entry_place(struct file *dir, const char *name, struct entry *entry)
{
	strcpy(entry->name, name);
	entry->cookie = ++last_number;
	entry->file->parent = dir;
	netfs_list_remove(&entry->link);
	netfs_list_push_back(&dir->entries, &entry->link);
	dir->attr.mtime = changed(dir);
	changed(entry->file);
}

static int entry_add(struct file *dir, const char *name, struct file *file,
		     struct entry **ret_entry)
{
	int err = entry_find(dir, name, ret_entry);
	struct entry *entry;

	if (err != -ENOENT)
		return err ? err : -EEXIST;
	entry = netfs_zalloc(sizeof(*entry));
	if (!entry)
		return -ENOSPC;
	netfs_list_init(&entry->link);
	entry->file = file;
	file->refs++;
	file->attr.nlink++;
	entry_place(dir, name, entry);
	*ret_entry = entry;
	return 0;
}

static void entry_free(struct file *dir, struct entry *entry)
{
	netfs_list_remove(&entry->link);
	dir->attr.mtime = changed(dir);
	entry->file->attr.nlink--;
	changed(entry->file);
	file_put(entry->file);
	netfs_free(entry);
}

/* An empty file where data is NULL. */
static int file_make(struct file *dir, const char *name, const struct netfs_attr *attr,
		     const char *data, struct entry **ret_entry)
{
	size_t len = data ? strlen(data) : 0;
	struct file *file = netfs_zalloc(sizeof(*file));
	int err;

	if (!file)
		return -ENOSPC;
	*file = (struct file){.refs = 1, .attr = *attr};
	netfs_list_init(&file->entries);
	file->attr.ino = ++last_number;
	err = file_resize(file, len);
	if (!err)
		err = entry_add(dir, name, file, ret_entry);
	if (!err && len)
		memcpy(file->data, data, len);
	file->attr.atime = file->attr.btime = file->attr.mtime;
	file_put(file);
	return err;
}

/* May file go, being a directory where one is meant? */
static int check_removable(const struct file *file, bool directory)
{
	if (directory != S_ISDIR(file->attr.mode))
		return directory ? -ENOTDIR : -EISDIR;
	return netfs_list_empty(&file->entries) ? 0 : -ENOTEMPTY;
}

static int entry_rename(struct file *old_dir, const char *old_name, struct file *new_dir,
			const char *new_name, uint32_t flags)
{
	bool exchange = flags == RENAME_EXCHANGE;
	struct entry *old, *over;
	int err = entry_find(old_dir, old_name, &old);

	if (err)
		return err;
	err = entry_find(new_dir, new_name, &over);
	if (err && (err != -ENOENT || exchange))
		return err;
	if (over && flags == RENAME_NOREPLACE)
		return -EEXIST;
	if (over && over->file == old->file)
		return 0;
	for (struct file *up = new_dir; up; up = up->parent)
		if (up == old->file)
			return -EINVAL;
	for (struct file *up = old_dir; up && exchange; up = up->parent)
		if (up == over->file)
			return -EINVAL;
	err = over && !exchange ? check_removable(over->file, S_ISDIR(old->file->attr.mode)) : 0;
	if (err)
		return err;
	if (exchange)
		entry_place(old_dir, old_name, over);
	else if (over)
		entry_free(new_dir, over);
	entry_place(new_dir, new_name, old);
	old_dir->attr.mtime = changed(old_dir);
	return 0;
}

/* -------------------------------------- what every back end does */

static void answer_run(struct netfs_task *task);

/* Now, or from a task; where there is no memory for that, now is as good. */
static void answer(const struct netfs_be *be, struct answer what)
{
	bool async = be && ((const struct mem_be *)be)->async;
	struct answer *later = async ? netfs_alloc(sizeof(*later)) : NULL;

	if (later) {
		*later = what;
		netfs_task_init(&later->task, answer_run);
		netfs_task_post(&later->task);
	} else if (what.op) {
		what.op->done(what.op, what.err);
	} else {
		what.slice->done(what.slice, what.moved, what.err, what.flags);
	}
}

static void answer_run(struct netfs_task *task)
{
	struct answer *later = netfs_container_of(task, struct answer, task), what = *later;

	netfs_free(later);
	answer(NULL, what);
}

static struct file *file_of(const void *ref)
{
	return ((const struct mem_ref *)ref)->file;
}

/* Every operation is enter(), the server's part, leave(). */
static struct file *enter(const void *ref)
{
	netfs_mutex_lock(&mem_lock);
	return file_of(ref);
}

static void leave(const struct netfs_be *be, struct netfs_op *op, int err)
{
	netfs_mutex_unlock(&mem_lock);
	answer(be, (struct answer){.op = op, .err = err});
}

static int give_node(struct netfs_be *be, struct netfs_op *op, struct file *file)
{
	struct mem_ref *ref = netfs_alloc(sizeof(*ref));

	if (!ref)
		return -ENOMEM;
	*ref = (struct mem_ref){.node = {.refs = 1, .be = be}, .file = file};
	file->refs++;
	op->node = &ref->node;
	op->attr = file->attr;
	return 0;
}

static int give_handle(struct netfs_be *be, struct netfs_op *op, struct file *file, uint32_t flags)
{
	uint32_t mode = flags & O_ACCMODE;
	struct mem_ref *ref;

	if (S_ISDIR(file->attr.mode) && (flags & (O_ACCMODE | O_TRUNC)))
		return -EISDIR;
	if ((flags & O_TRUNC) && file_resize(file, 0))
		return -ENOMEM;
	ref = netfs_alloc(sizeof(*ref));
	if (!ref)
		return -ENOMEM;
	*ref = (struct mem_ref){.handle = {.refs = 1,
					   .be = be,
					   .readable = mode != O_WRONLY,
					   .writable = mode != O_RDONLY},
				.file = file};
	file->refs++;
	op->handle = &ref->handle;
	return 0;
}

static void ref_free(void *ref)
{
	file_put(enter(ref));
	netfs_mutex_unlock(&mem_lock);
	netfs_free(ref);
}

static void mem_node_free(struct netfs_node *node)
{
	ref_free(node);
}

static void mem_handle_free(struct netfs_handle *handle)
{
	ref_free(handle);
}

/* ---------------------------------------------------- connection */

static void mem_connect(const struct netfs_be_config *config, struct netfs_be_host *host,
			struct netfs_op *op)
{
	static const struct netfs_attr attr = {.mode = S_IFDIR | 0755};
	struct mem_be *be = netfs_zalloc(sizeof(*be));
	struct entry *entry;
	int err = -ENOMEM;

	netfs_mutex_lock(&mem_lock);
	if (be)
		err = entry_find(&exports, config->source->path, &entry);
	if (err == -ENOENT)
		err = file_make(&exports, config->source->path, &attr, NULL, &entry);
	if (!err)
		err = give_node(&be->be, op, entry->file);
	if (err) {
		netfs_mutex_unlock(&mem_lock);
		netfs_free(be);
		if (op->buf)
			snprintf(op->buf, op->buf_size, "cannot make the tree: error %d", -err);
		op->done(op, err);
		return;
	}
	be->be = (struct netfs_be){
		.ops = &netfs_mem_ops,
		.caps = NETFS_BE_OPEN_UNLINKED | NETFS_BE_RENAME_FLAGS | NETFS_BE_CHANGE_COUNTER |
			NETFS_BE_LOCAL,
		.rsize = SLICE_LIMIT,
		.wsize = SLICE_LIMIT,
		.depth = 8,
		.address = "memory",
	};
	be->async = netfs_config_option(config, "async");
	be->export = entry;
	entry->file->refs++;
	op->be = &be->be;
	leave(&be->be, op, 0);
}

/* The last mount of a tree takes along all that is in it. */
static void mem_disconnect(struct netfs_be *netfs_be, struct netfs_op *op)
{
	struct mem_be be = *(struct mem_be *)netfs_be;
	struct file *root = be.export->file;

	netfs_free(netfs_be);
	netfs_mutex_lock(&mem_lock);
	if (--root->refs == root->attr.nlink) {
		while (!netfs_list_empty(&root->entries)) {
			struct entry *entry =
				netfs_container_of(root->entries.next, struct entry, link);

			netfs_list_splice_back(&root->entries, &entry->file->entries);
			entry_free(root, entry);
		}
		entry_free(&exports, be.export);
	}
	leave(&be.be, op, 0);
}

/* What memory is asked is answered before anybody can want it back. */
static void mem_op_cancel(struct netfs_be *be, struct netfs_op *op)
{
}

static void mem_slice_cancel(struct netfs_be *be, struct netfs_slice *slice)
{
}

/* ----------------------------------------- names and attributes */

static void mem_lookup(struct netfs_node *dir, const char *name, struct netfs_op *op)
{
	struct entry *entry;
	int err = entry_find(enter(dir), name, &entry);

	leave(dir->be, op, err ? err : give_node(dir->be, op, entry->file));
}

static void mem_getattr(struct netfs_node *node, struct netfs_handle *handle, struct netfs_op *op)
{
	op->attr = enter(node)->attr;
	leave(node->be, op, 0);
}

static void mem_setattr(struct netfs_node *node, struct netfs_handle *handle,
			const struct netfs_setattr *set, struct netfs_op *op)
{
	struct file *file = enter(node);
	struct netfs_attr *attr = &file->attr;
	int err = 0;

	if (set->valid & NETFS_SET_SIZE)
		err = S_ISREG(attr->mode) ? file_resize(file, set->size) : -EINVAL;
	if (err)
		goto out;
	changed(file);
	if (set->valid & NETFS_SET_MODE)
		attr->mode = (attr->mode & S_IFMT) | (set->mode & 07777);
	if (set->valid & NETFS_SET_UID)
		attr->uid = set->uid;
	if (set->valid & NETFS_SET_GID)
		attr->gid = set->gid;
	if (set->valid & (NETFS_SET_ATIME | NETFS_SET_ATIME_NOW))
		attr->atime = set->valid & NETFS_SET_ATIME ? set->atime : attr->ctime;
	if (set->valid & (NETFS_SET_MTIME | NETFS_SET_MTIME_NOW))
		attr->mtime = set->valid & NETFS_SET_MTIME ? set->mtime : attr->ctime;
	op->attr = *attr;
out:
	leave(node->be, op, err);
}

static void mem_readlink(struct netfs_node *node, struct netfs_op *op)
{
	struct file *file = enter(node);
	int err = file->attr.size > op->buf_size ? -ERANGE : 0;

	if (!S_ISLNK(file->attr.mode))
		err = -EINVAL;
	op->count = err ? 0 : file->attr.size;
	if (op->count)
		memcpy(op->buf, file->data, op->count);
	leave(node->be, op, err);
}

static void make(struct netfs_node *dir, const char *name, struct netfs_attr attr,
		 const char *target, struct netfs_op *op)
{
	struct entry *entry;
	int err;

	attr.uid = op->cred.uid;
	attr.gid = op->cred.gid;
	err = file_make(enter(dir), name, &attr, target, &entry);
	leave(dir->be, op, err ? err : give_node(dir->be, op, entry->file));
}

static void mem_mknod(struct netfs_node *dir, const char *name, uint32_t mode, uint32_t rdev_major,
		      uint32_t rdev_minor, struct netfs_op *op)
{
	make(dir, name,
	     (struct netfs_attr){.mode = mode & S_IFMT ? mode : S_IFREG | mode,
				 .rdev_major = rdev_major,
				 .rdev_minor = rdev_minor},
	     NULL, op);
}

static void mem_mkdir(struct netfs_node *dir, const char *name, uint32_t mode, struct netfs_op *op)
{
	make(dir, name, (struct netfs_attr){.mode = S_IFDIR | (mode & 07777)}, NULL, op);
}

static void mem_symlink(struct netfs_node *dir, const char *name, const char *target,
			struct netfs_op *op)
{
	make(dir, name, (struct netfs_attr){.mode = S_IFLNK | 0777}, target, op);
}

static void mem_link(struct netfs_node *node, struct netfs_node *dir, const char *name,
		     struct netfs_op *op)
{
	struct file *file = enter(node);
	int err = S_ISDIR(file->attr.mode) ? -EPERM : file->attr.nlink ? 0 : -ENOENT;
	struct entry *entry;

	if (!err)
		err = entry_add(file_of(dir), name, file, &entry);
	op->attr = file->attr;
	leave(dir->be, op, err);
}

static void discard(struct netfs_node *node, const char *name, bool directory, struct netfs_op *op)
{
	struct file *dir = enter(node);
	struct entry *entry;
	int err = entry_find(dir, name, &entry);

	if (!err)
		err = check_removable(entry->file, directory);
	if (!err)
		entry_free(dir, entry);
	leave(node->be, op, err);
}

static void mem_unlink(struct netfs_node *dir, const char *name, struct netfs_op *op)
{
	discard(dir, name, false, op);
}

static void mem_rmdir(struct netfs_node *dir, const char *name, struct netfs_op *op)
{
	discard(dir, name, true, op);
}

/* Our nodes point to files and not to names: there is nothing to keep right. */
static void mem_rename(struct netfs_node *node, struct netfs_node *old_dir, const char *old_name,
		       struct netfs_node *new_dir, const char *new_name, uint32_t flags,
		       struct netfs_op *op)
{
	struct file *from = enter(old_dir), *to = file_of(new_dir);

	leave(node->be, op, entry_rename(from, old_name, to, new_name, flags));
}

/* ---------------------------------------------------- open files */

static void mem_open(struct netfs_node *node, uint32_t flags, struct netfs_op *op)
{
	struct file *file = enter(node);

	leave(node->be, op, give_handle(node->be, op, file, flags));
}

static void mem_create(struct netfs_node *dir, const char *name, uint32_t flags, uint32_t mode,
		       struct netfs_op *op)
{
	struct netfs_attr attr = {
		.mode = S_IFREG | (mode & 07777), .uid = op->cred.uid, .gid = op->cred.gid};
	struct file *parent = enter(dir);
	struct entry *entry;
	int err = entry_find(parent, name, &entry);

	if (err == -ENOENT)
		err = file_make(parent, name, &attr, NULL, &entry);
	else if (!err && (flags & O_EXCL))
		err = -EEXIST;
	if (!err)
		err = give_handle(dir->be, op, entry->file, flags);
	if (!err)
		err = give_node(dir->be, op, entry->file);
	netfs_mutex_unlock(&mem_lock);
	if (err)
		netfs_handle_put(netfs_take(op->handle));
	answer(dir->be, (struct answer){.op = op, .err = err});
}

/* One entry at a time, for op->fill is called without the lock. */
static void mem_readdir(struct netfs_handle *handle, uint64_t cookie, struct netfs_op *op)
{
	struct netfs_list *entries = &file_of(handle)->entries, *pos;
	struct netfs_dirent dirent = {.next = cookie};
	struct entry *entry;
	char name[NETFS_NAME_MAX + 1];

	do {
		netfs_mutex_lock(&mem_lock);
		op->eof = true;
		netfs_list_for_each (pos, entries) {
			entry = netfs_container_of(pos, struct entry, link);
			if (entry->cookie <= dirent.next)
				continue;
			strcpy(name, entry->name);
			dirent = (struct netfs_dirent){name, strlen(name),
						       entry->file->attr.mode & S_IFMT,
						       entry->file->attr.ino, entry->cookie};
			op->eof = false;
			break;
		}
		netfs_mutex_unlock(&mem_lock);
	} while (!op->eof && op->fill(op, &dirent));
	answer(handle->be, (struct answer){.op = op});
}

/* Both ways: takes a part that suits us off the front, and moves it. */
static ssize_t mem_transfer(struct netfs_handle *handle, struct netfs_slice *slice)
{
	bool write = slice->kind == NETFS_SLICE_WRITE;
	struct file *file = file_of(handle);
	size_t len = netfs_min(slice->len, SLICE_LIMIT), wanted = len, moved = 0, n;
	int err = 0;

	if (write ? !handle->writable : !handle->readable)
		return -EBADF;
	netfs_slice_trim(slice, len);
	netfs_mutex_lock(&mem_lock);
	if (write && slice->start + len > file->attr.size)
		err = file_resize(file, slice->start + len);
	if (slice->start + len > file->attr.size)
		wanted = slice->start < file->attr.size ? file->attr.size - slice->start : 0;
	for (struct iovec *iov = slice->iov; !err && moved < wanted; iov++, moved += n) {
		char *data = file->data + slice->start + moved;

		n = netfs_min(iov->iov_len, wanted - moved);
		memcpy(write ? data : iov->iov_base, write ? iov->iov_base : data, n);
	}
	if (write && !err)
		file->attr.mtime = changed(file);
	netfs_mutex_unlock(&mem_lock);
	answer(handle->be, (struct answer){.slice = slice,
					   .moved = moved,
					   .err = err,
					   .flags = !write && moved < len ? NETFS_SLICE_EOF : 0});
	return len;
}

static void mem_fsync(struct netfs_handle *handle, bool datasync, struct netfs_op *op)
{
	answer(handle->be, (struct answer){.op = op});
}

/* Nothing is shared here, but nobody can tell. */
static void mem_clone_range(struct netfs_handle *from, uint64_t from_start, struct netfs_handle *to,
			    uint64_t to_start, uint64_t len, struct netfs_op *op)
{
	struct file *source = enter(from), *target = file_of(to);
	int err = 0;

	if (!from->readable || !to->writable)
		err = -EBADF;
	else if (from_start > source->attr.size || len > source->attr.size - from_start)
		err = -EINVAL;
	else if (to_start > FILE_LIMIT || len > FILE_LIMIT - to_start)
		err = -EFBIG;
	else if (to_start + len > target->attr.size)
		err = file_resize(target, to_start + len);
	if (!err) {
		memmove(target->data + to_start, source->data + from_start, len);
		target->attr.mtime = changed(target);
	}
	leave(from->be, op, err);
}

static void mem_statfs(struct netfs_node *node, struct netfs_op *op)
{
	const uint64_t blocks = UINT64_C(1) << 24;

	op->statfs =
		(struct netfs_statfs){4096, NETFS_NAME_MAX, blocks, blocks, blocks, blocks, blocks};
	answer(node->be, (struct answer){.op = op});
}

const struct netfs_be_ops netfs_mem_ops = {
	.scheme = "mem",
	.summary = "a tree in the memory of the process: mem: or mem:NAME",
	.options =
		(const struct netfs_option_info[]){
			{"async", "complete every request from another thread (for tests)"},
			{NULL, NULL},
		},
	.connect = mem_connect,
	.disconnect = mem_disconnect,
	.node_free = mem_node_free,
	.handle_free = mem_handle_free,
	.op_cancel = mem_op_cancel,
	.slice_cancel = mem_slice_cancel,
	.lookup = mem_lookup,
	.getattr = mem_getattr,
	.setattr = mem_setattr,
	.readlink = mem_readlink,
	.mknod = mem_mknod,
	.mkdir = mem_mkdir,
	.symlink = mem_symlink,
	.link = mem_link,
	.unlink = mem_unlink,
	.rmdir = mem_rmdir,
	.rename = mem_rename,
	.create = mem_create,
	.open = mem_open,
	.readdir = mem_readdir,
	.read = mem_transfer,
	.write = mem_transfer,
	.fsync = mem_fsync,
	.clone_range = mem_clone_range,
	.statfs = mem_statfs,
};
