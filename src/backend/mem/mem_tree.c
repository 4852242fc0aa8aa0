/* SPDX-License-Identifier: MIT */
/*
 * Names and attributes in memory.  A directory is a list of entries in the
 * order they were made.  Each entry has a number that is never used again in
 * its tree, and that number is its readdir cookie: a reader that resumes
 * behind cookie N sees every entry with a larger one, whatever was removed or
 * added meanwhile, and none twice.
 *
 * A file is freed when it has neither a name (attr.nlink) nor a reference, so
 * one that was unlinked while open goes on working.
 *
 * Locks: the caller's, see mem_tree.h.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <backend/mem/mem_tree.h>
#include <env/alloc.h>
#include <env/clock.h>

/* One name in one directory. */
struct mem_entry {
	struct netfs_list link; /* in the directory's entries */
	uint64_t cookie;
	struct netfs_mem_file *file;
	size_t name_len;
	char name[];
};

/* Trees that have a name, so that several mounts can meet in one. */
static struct netfs_list trees = {&trees, &trees};

/* --------------------------------------------------------- files */

static struct netfs_time time_now(void)
{
	uint64_t ns = netfs_clock_real();

	return (struct netfs_time){ns / NETFS_NS_PER_SEC, ns % NETFS_NS_PER_SEC};
}

void netfs_mem_file_changed(struct netfs_mem_file *file)
{
	file->attr.version++;
	file->attr.ctime = time_now();
}

void netfs_mem_file_modified(struct netfs_mem_file *file)
{
	netfs_mem_file_changed(file);
	file->attr.mtime = file->attr.ctime;
}

static struct netfs_mem_file *file_new(struct netfs_mem_tree *tree, const struct netfs_attr *attr)
{
	struct netfs_mem_file *file = netfs_zalloc(sizeof(*file));

	if (!file)
		return NULL;
	file->tree = tree;
	file->attr = *attr;
	file->attr.ino = ++tree->last_ino;
	file->attr.blksize = 4096;
	netfs_mem_file_modified(file);
	file->attr.atime = file->attr.btime = file->attr.mtime;
	netfs_list_init(&file->xattrs);
	netfs_list_init(&file->entries);
	netfs_list_push_back(&tree->files, &file->link);
	tree->count++;
	return file;
}

static void file_free(struct netfs_mem_file *file)
{
	netfs_list_remove(&file->link);
	file->tree->count--;
	netfs_mem_data_free(file);
	netfs_mem_xattr_free(file);
	netfs_free(file->target);
	netfs_free(file);
}

static void file_free_unused(struct netfs_mem_file *file)
{
	if (!file->refs && !file->attr.nlink)
		file_free(file);
}

void netfs_mem_file_put(struct netfs_mem_file *file)
{
	file->refs--;
	file_free_unused(file);
}

int netfs_mem_file_setattr(struct netfs_mem_file *file, const struct netfs_setattr *set)
{
	struct netfs_attr *attr = &file->attr;
	struct netfs_time now = time_now();

	if ((set->valid & NETFS_SET_SIZE) && !S_ISREG(attr->mode))
		return S_ISDIR(attr->mode) ? -EISDIR : -EINVAL;
	if ((set->valid & NETFS_SET_SIZE) && set->size > NETFS_MEM_SIZE_MAX)
		return -EFBIG;
	netfs_mem_file_changed(file);
	if (set->valid & NETFS_SET_SIZE) {
		netfs_mem_data_resize(file, set->size);
		attr->mtime = now;
	}
	if (set->valid & NETFS_SET_MODE)
		attr->mode = (attr->mode & S_IFMT) | (set->mode & 07777);
	if (set->valid & NETFS_SET_UID)
		attr->uid = set->uid;
	if (set->valid & NETFS_SET_GID)
		attr->gid = set->gid;
	if (set->valid & (NETFS_SET_ATIME | NETFS_SET_ATIME_NOW))
		attr->atime = set->valid & NETFS_SET_ATIME_NOW ? now : set->atime;
	if (set->valid & (NETFS_SET_MTIME | NETFS_SET_MTIME_NOW))
		attr->mtime = set->valid & NETFS_SET_MTIME_NOW ? now : set->mtime;
	return 0;
}

/* ------------------------------------------------------- entries */

/* Checks what is true of every use of a name, then looks for it. */
static int entry_find(struct netfs_mem_file *dir, const char *name, struct mem_entry **ret_entry)
{
	size_t len = strlen(name);
	struct netfs_list *pos;

	if (!S_ISDIR(dir->attr.mode))
		return -ENOTDIR;
	if (len > NETFS_NAME_MAX)
		return -ENAMETOOLONG;
	netfs_list_for_each (pos, &dir->entries) {
		struct mem_entry *entry = netfs_container_of(pos, struct mem_entry, link);

		if (entry->name_len == len && !memcmp(entry->name, name, len)) {
			*ret_entry = entry;
			return 0;
		}
	}
	return -ENOENT;
}

/* Is there room for a new name?  Not in a directory that was removed. */
static int entry_check_new(struct netfs_mem_file *dir, const char *name)
{
	struct mem_entry *entry;
	int err = entry_find(dir, name, &entry);

	if (err == -ENOENT)
		return dir->attr.nlink ? 0 : -ENOENT;
	return err ? err : -EEXIST;
}

/* The file gets under the entry, or leaves it: links of directories follow. */
static void entry_attach(struct netfs_mem_file *dir, struct mem_entry *entry,
			 struct netfs_mem_file *file)
{
	entry->file = file;
	if (S_ISDIR(file->attr.mode)) {
		file->parent = dir;
		dir->attr.nlink++;
	}
	netfs_mem_file_changed(file);
	netfs_mem_file_modified(dir);
}

static struct netfs_mem_file *entry_detach(struct netfs_mem_file *dir, struct mem_entry *entry)
{
	if (S_ISDIR(entry->file->attr.mode))
		dir->attr.nlink--;
	netfs_mem_file_modified(dir);
	return entry->file;
}

static int entry_new(struct netfs_mem_file *dir, const char *name, struct netfs_mem_file *file)
{
	size_t len = strlen(name);
	struct mem_entry *entry = netfs_alloc(sizeof(*entry) + len);

	if (!entry)
		return -ENOSPC;
	entry->cookie = ++dir->tree->last_cookie;
	entry->name_len = len;
	memcpy(entry->name, name, len);
	netfs_list_push_back(&dir->entries, &entry->link);
	entry_attach(dir, entry, file);
	return 0;
}

static struct netfs_mem_file *entry_free(struct netfs_mem_file *dir, struct mem_entry *entry)
{
	struct netfs_mem_file *file = entry_detach(dir, entry);

	netfs_list_remove(&entry->link);
	netfs_free(entry);
	return file;
}

/* One name less: a directory has only the one. */
static void file_unlinked(struct netfs_mem_file *file)
{
	file->attr.nlink = S_ISDIR(file->attr.mode) ? 0 : file->attr.nlink - 1;
	netfs_mem_file_changed(file);
	file_free_unused(file);
}

/* --------------------------------------------------------- names */

int netfs_mem_dir_find(struct netfs_mem_file *dir, const char *name,
		       struct netfs_mem_file **ret_file)
{
	struct mem_entry *entry;
	int err = entry_find(dir, name, &entry);

	if (!err)
		*ret_file = entry->file;
	return err;
}

int netfs_mem_dir_make(struct netfs_mem_file *dir, const char *name, const struct netfs_attr *attr,
		       const char *target, struct netfs_mem_file **ret_file)
{
	int err = entry_check_new(dir, name);
	struct netfs_mem_file *file;

	if (err)
		return err;
	file = file_new(dir->tree, attr);
	if (!file)
		return -ENOSPC;
	if (target) {
		file->target = netfs_strdup(target);
		file->attr.size = strlen(target);
	}
	err = target && !file->target ? -ENOSPC : entry_new(dir, name, file);
	if (err) {
		file_free(file);
		return err;
	}
	file->attr.nlink = S_ISDIR(attr->mode) ? 2 : 1;
	*ret_file = file;
	return 0;
}

int netfs_mem_dir_link(struct netfs_mem_file *dir, const char *name, struct netfs_mem_file *file)
{
	int err = entry_check_new(dir, name);

	if (err)
		return err;
	if (S_ISDIR(file->attr.mode))
		return -EPERM;
	if (!file->attr.nlink)
		return -ENOENT;
	err = entry_new(dir, name, file);
	if (!err)
		file->attr.nlink++;
	return err;
}

/* May what is called name go away, for a directory or for another file? */
static int check_removable(const struct netfs_mem_file *file, bool directory)
{
	if (directory && !S_ISDIR(file->attr.mode))
		return -ENOTDIR;
	if (!directory && S_ISDIR(file->attr.mode))
		return -EISDIR;
	return netfs_list_empty(&file->entries) ? 0 : -ENOTEMPTY;
}

int netfs_mem_dir_remove(struct netfs_mem_file *dir, const char *name, bool directory)
{
	struct mem_entry *entry;
	int err = entry_find(dir, name, &entry);

	if (!err)
		err = check_removable(entry->file, directory);
	if (!err)
		file_unlinked(entry_free(dir, entry));
	return err;
}

/* Is dir file itself, or somewhere below it? */
static bool is_within(const struct netfs_mem_file *dir, const struct netfs_mem_file *file)
{
	while (dir && dir != file)
		dir = dir->parent;
	return dir == file;
}

/* Moves what old names over new, which may be NULL. */
static int rename_over(struct netfs_mem_file *old_dir, struct mem_entry *old,
		       struct netfs_mem_file *new_dir, struct mem_entry *new, const char *new_name)
{
	struct netfs_mem_file *victim;
	int err;

	if (!new) {
		err = entry_new(new_dir, new_name, old->file);
		if (!err)
			entry_free(old_dir, old);
		return err;
	}
	err = check_removable(new->file, S_ISDIR(old->file->attr.mode));
	if (err)
		return err;
	victim = entry_detach(new_dir, new);
	entry_attach(new_dir, new, old->file);
	entry_free(old_dir, old);
	file_unlinked(victim);
	return 0;
}

int netfs_mem_dir_rename(struct netfs_mem_file *old_dir, const char *old_name,
			 struct netfs_mem_file *new_dir, const char *new_name, uint32_t flags)
{
	struct netfs_mem_file *file;
	struct mem_entry *old, *new = NULL;
	int err = entry_find(old_dir, old_name, &old);

	if (err)
		return err;
	err = entry_find(new_dir, new_name, &new);
	if (err && (err != -ENOENT || flags == RENAME_EXCHANGE || !new_dir->attr.nlink))
		return err;
	if (flags != 0 && flags != RENAME_NOREPLACE && flags != RENAME_EXCHANGE)
		return -EINVAL;
	if (new &&flags == RENAME_NOREPLACE)
		return -EEXIST;
	if (new &&new->file == old->file)
		return 0;
	if (is_within(new_dir, old->file))
		return -EINVAL;
	if (flags != RENAME_EXCHANGE)
		return rename_over(old_dir, old, new_dir, new, new_name);
	if (is_within(old_dir, new->file))
		return -EINVAL;
	file = entry_detach(old_dir, old);
	entry_attach(old_dir, old, entry_detach(new_dir, new));
	entry_attach(new_dir, new, file);
	return 0;
}

unsigned netfs_mem_dir_list(struct netfs_mem_file *dir, uint64_t cookie,
			    struct netfs_mem_dirent *ret_entries, unsigned max, bool *ret_eof)
{
	struct netfs_list *pos;
	unsigned n = 0;

	*ret_eof = false;
	netfs_list_for_each (pos, &dir->entries) {
		struct mem_entry *entry = netfs_container_of(pos, struct mem_entry, link);

		if (entry->cookie <= cookie)
			continue;
		if (n == max)
			return n;
		memcpy(ret_entries[n].name, entry->name, entry->name_len);
		ret_entries[n].entry = (struct netfs_dirent){
			.name = ret_entries[n].name,
			.name_len = entry->name_len,
			.type = entry->file->attr.mode & S_IFMT,
			.ino = entry->file->attr.ino,
			.next = entry->cookie,
		};
		n++;
	}
	*ret_eof = true;
	return n;
}

/* --------------------------------------------------------- trees */

static void tree_free(struct netfs_mem_tree *tree)
{
	struct netfs_list *pos;

	while ((pos = tree->files.next) != &tree->files) {
		struct netfs_mem_file *file = netfs_container_of(pos, struct netfs_mem_file, link);

		while (!netfs_list_empty(&file->entries))
			netfs_free(netfs_container_of(netfs_list_pop_front(&file->entries),
						      struct mem_entry, link));
		file_free(file);
	}
	netfs_list_remove(&tree->link);
	netfs_free(tree->name);
	netfs_free(tree);
}

static int tree_new(const char *name, struct netfs_mem_tree **ret_tree)
{
	static const struct netfs_attr root = {.mode = S_IFDIR | 0755, .nlink = 2};
	struct netfs_mem_tree *tree = netfs_zalloc(sizeof(*tree));

	if (!tree)
		return -ENOMEM;
	netfs_list_init(&tree->link);
	netfs_list_init(&tree->files);
	tree->name = netfs_strdup(name);
	tree->root = file_new(tree, &root);
	if (!tree->name || !tree->root) {
		tree_free(tree);
		return -ENOMEM;
	}
	if (*name)
		netfs_list_push_back(&trees, &tree->link);
	*ret_tree = tree;
	return 0;
}

int netfs_mem_tree_open(const char *name, struct netfs_mem_tree **ret_tree)
{
	struct netfs_list *pos;
	int err;

	netfs_list_for_each (pos, &trees) {
		struct netfs_mem_tree *tree = netfs_container_of(pos, struct netfs_mem_tree, link);

		if (!strcmp(tree->name, name)) {
			tree->mounts++;
			*ret_tree = tree;
			return 0;
		}
	}
	err = tree_new(name, ret_tree);
	if (!err)
		(*ret_tree)->mounts = 1;
	return err;
}

void netfs_mem_tree_close(struct netfs_mem_tree *tree)
{
	if (--tree->mounts == 0)
		tree_free(tree);
}

void netfs_mem_tree_statfs(const struct netfs_mem_tree *tree, struct netfs_statfs *ret_statfs)
{
	uint64_t blocks = NETFS_MEM_SIZE_MAX / 4096, used = tree->bytes / 4096;
	uint64_t left = used < blocks ? blocks - used : 0;

	*ret_statfs = (struct netfs_statfs){
		.bsize = 4096,
		.namelen = NETFS_NAME_MAX,
		.blocks = blocks,
		.bfree = left,
		.bavail = left,
		.files = UINT32_MAX,
		.ffree = UINT32_MAX - tree->count,
	};
}
