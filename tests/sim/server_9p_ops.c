/* SPDX-License-Identifier: MIT */
/*
 * What each 9P2000.L request does to the tree.  One function a message: it
 * takes the fields off in, and either returns a negative errno or has written
 * the reply's fields to out.
 *
 * The meaning of the messages is that of the published protocol; where servers
 * differ (iounit, "." in directories, renameat missing) the configuration of
 * the run decides, so that the client meets them all.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include "server_9p.h"

#define L_APPEND    02000
#define L_TRUNC	    01000
#define L_DSYNC	    010000
#define L_REMOVEDIR 0x200
/* What comes before the data in Rread and Rreaddir; iounit leaves room for the
 * longer head of Twrite. */
#define READ_HEADER 11
#define IO_HEADER   24

struct call9 {
	struct conn9 *conn;
	struct server9 *server;
	struct request9 *request;
	struct in9 in;
	struct out9 *out;
};

typedef int (*handler_fn)(struct call9 *call);

struct fid9 *server9_fid(struct conn9 *conn, uint32_t number)
{
	if (number == NO_FID)
		return NULL;
	for (unsigned i = 0; i < FIDS_MAX; i++)
		if (conn->fids[i].number == number)
			return &conn->fids[i];
	return NULL;
}

static void fid_free(struct conn9 *conn, struct fid9 *fid)
{
	server9_unlock_fid(conn, fid->number);
	fid->number = NO_FID;
	conn->server->fids_used--;
}

void server9_fids_clear(struct conn9 *conn)
{
	for (unsigned i = 0; i < FIDS_MAX; i++)
		if (conn->fids[i].number != NO_FID)
			fid_free(conn, &conn->fids[i]);
}

static int fid_new(struct conn9 *conn, uint32_t number, struct node *node)
{
	if (number == NO_FID)
		return -EBADF;
	if (server9_fid(conn, number)) {
		server9_violation(conn->server, "newfid is in use");
		return -EBADF;
	}
	for (unsigned i = 0; i < FIDS_MAX; i++) {
		if (conn->fids[i].number != NO_FID)
			continue;
		conn->fids[i] = (struct fid9){.number = number, .node = node};
		conn->server->fids_used++;
		return 0;
	}
	server9_violation(conn->server, "more fids than any mount here needs");
	return -EMFILE;
}

static struct fid9 *take_fid(struct call9 *call)
{
	return server9_fid(call->conn, in_u32(&call->in));
}

static struct node *take_node(struct call9 *call)
{
	struct fid9 *fid = take_fid(call);

	return fid ? fid->node : NULL;
}

static void put_qid(struct out9 *out, const struct node *node)
{
	out_u8(out, S_ISDIR(node->mode) ? 0x80 : S_ISLNK(node->mode) ? 0x02 : 0);
	out_u32(out, 0);
	out_u64(out, node->ino);
}

static int on_version(struct call9 *call)
{
	uint32_t msize = in_u32(&call->in);
	char version[32];

	in_string(&call->in, version, sizeof(version));
	if (call->in.bad || msize < 4096)
		return -EINVAL;
	if (msize > call->server->config.msize_max)
		msize = call->server->config.msize_max;
	server9_fids_clear(call->conn);
	call->conn->msize = msize;
	out_u32(call->out, msize);
	out_string(call->out, !strcmp(version, "9P2000.L") ? version : "unknown");
	return 0;
}

static int on_attach(struct call9 *call)
{
	uint32_t number = in_u32(&call->in);
	char text[256];
	int err;

	in_u32(&call->in);
	in_string(&call->in, text, sizeof(text));
	in_string(&call->in, text, sizeof(text));
	in_u32(&call->in);
	if (call->in.bad)
		return -EINVAL;
	err = fid_new(call->conn, number, call->server->tree.root);
	if (!err)
		put_qid(call->out, call->server->tree.root);
	return err;
}

static int on_flush(struct call9 *call)
{
	server9_flush(call->conn, in_u16(&call->in));
	return 0;
}

static int on_walk(struct call9 *call)
{
	struct fid9 *fid = take_fid(call);
	uint32_t number = in_u32(&call->in);
	unsigned count = in_u16(&call->in), done;
	struct node *path[16], *node;

	if (!fid)
		return -EBADF;
	if (count > 16)
		return -EINVAL;
	if (fid->open)
		server9_violation(call->server, "walk from an open fid");
	node = fid->node;
	for (done = 0; done < count; done++) {
		char name[TREE_NAME_MAX + 1];

		in_string(&call->in, name, sizeof(name));
		if (call->in.bad)
			return -EINVAL;
		if (!S_ISDIR(node->mode))
			node = NULL;
		else
			node = !strcmp(name, "..") ? node->parent : tree_find(node, name);
		if (!node)
			break;
		path[done] = node;
	}
	if (count && !done)
		return S_ISDIR(fid->node->mode) ? -ENOENT : -ENOTDIR;
	if (done == count) {
		int err = 0;

		if (number == fid->number)
			fid->node = node;
		else
			err = fid_new(call->conn, number, node);
		if (err)
			return err;
	}
	out_u16(call->out, done);
	for (unsigned i = 0; i < done; i++)
		put_qid(call->out, path[i]);
	return 0;
}

static int on_clunk(struct call9 *call)
{
	struct fid9 *fid = take_fid(call);

	if (!fid)
		return -EBADF;
	fid_free(call->conn, fid);
	return 0;
}

static int on_remove(struct call9 *call)
{
	struct fid9 *fid = take_fid(call);
	struct node *node = fid ? fid->node : NULL;
	struct entry *entry;

	if (!fid)
		return -EBADF;
	fid_free(call->conn, fid);
	entry = node->parent ? tree_entry_of(node->parent, node) : NULL;
	if (!entry)
		return -ENOENT;
	return tree_unlink(node->parent, entry->name, S_ISDIR(node->mode));
}

static int truncate_both(struct server9 *server, struct node *node, uint64_t size)
{
	int err;

	if (server->config.defect == DEFECT_KEPT_TAIL && size < node->now.size)
		return 0;
	err = node_resize(node, size);
	if (!err)
		node_touch(node);
	return err;
}

static void put_open(struct call9 *call, const struct node *node)
{
	put_qid(call->out, node);
	out_u32(call->out, call->server->config.iounit_zero ? 0 : call->conn->msize - IO_HEADER);
}

static int on_lopen(struct call9 *call)
{
	struct fid9 *fid = take_fid(call);
	uint32_t flags = in_u32(&call->in);
	int err = 0;

	if (!fid)
		return -EBADF;
	if (fid->open)
		server9_violation(call->server, "fid opened twice");
	if (S_ISDIR(fid->node->mode) && (flags & O_ACCMODE) != O_RDONLY)
		return -EISDIR;
	if (flags & L_TRUNC)
		err = truncate_both(call->server, fid->node, 0);
	if (err)
		return err;
	fid->open = true;
	fid->flags = flags;
	put_open(call, fid->node);
	return 0;
}

/* The fid of the directory becomes the new file's. */
static int on_lcreate(struct call9 *call)
{
	struct fid9 *fid = take_fid(call);
	char name[TREE_NAME_MAX + 1];
	uint32_t flags, mode;
	struct node *node;
	int err;

	in_string(&call->in, name, sizeof(name));
	flags = in_u32(&call->in);
	mode = in_u32(&call->in);
	in_u32(&call->in);
	if (!fid)
		return -EBADF;
	if (call->in.bad)
		return -EINVAL;
	err = tree_make(&call->server->tree, fid->node, name, S_IFREG | (mode & 07777), &node);
	if (err == -EEXIST && !(flags & O_EXCL)) {
		node = tree_find(fid->node, name);
		err = S_ISDIR(node->mode) ? -EISDIR : 0;
		if (!err && (flags & L_TRUNC))
			err = truncate_both(call->server, node, 0);
	}
	if (err)
		return err;
	fid->node = node;
	fid->open = true;
	fid->flags = flags;
	put_open(call, node);
	return 0;
}

/* mkdir, mknod and symlink differ only in what comes between name and gid. */
static int make(struct call9 *call, struct node *dir, const char *name, uint32_t mode,
		struct node **ret_node)
{
	in_u32(&call->in);
	if (!dir)
		return -EBADF;
	if (call->in.bad)
		return -EINVAL;
	return tree_make(&call->server->tree, dir, name, mode, ret_node);
}

static int on_mkdir(struct call9 *call)
{
	struct node *dir = take_node(call), *node;
	char name[TREE_NAME_MAX + 1];
	uint32_t mode;
	int err;

	in_string(&call->in, name, sizeof(name));
	mode = in_u32(&call->in);
	err = make(call, dir, name, S_IFDIR | (mode & 07777), &node);
	if (!err)
		put_qid(call->out, node);
	return err;
}

static int on_mknod(struct call9 *call)
{
	struct node *dir = take_node(call), *node;
	char name[TREE_NAME_MAX + 1];
	uint32_t mode, rdev_major, rdev_minor;
	int err;

	in_string(&call->in, name, sizeof(name));
	mode = in_u32(&call->in);
	rdev_major = in_u32(&call->in);
	rdev_minor = in_u32(&call->in);
	err = make(call, dir, name, mode, &node);
	if (err)
		return err;
	node->rdev_major = rdev_major;
	node->rdev_minor = rdev_minor;
	put_qid(call->out, node);
	return 0;
}

static int on_symlink(struct call9 *call)
{
	struct node *dir = take_node(call), *node;
	char name[TREE_NAME_MAX + 1], target[4096];
	int err;

	in_string(&call->in, name, sizeof(name));
	in_string(&call->in, target, sizeof(target));
	err = make(call, dir, name, S_IFLNK | 0777, &node);
	if (err)
		return err;
	node->target = strdup(target);
	put_qid(call->out, node);
	return 0;
}

static int on_readlink(struct call9 *call)
{
	struct node *node = take_node(call);

	if (!node)
		return -EBADF;
	if (!S_ISLNK(node->mode))
		return -EINVAL;
	out_string(call->out, node->target);
	return 0;
}

static int on_link(struct call9 *call)
{
	struct node *dir = take_node(call);
	struct node *node = take_node(call);
	char name[TREE_NAME_MAX + 1];

	in_string(&call->in, name, sizeof(name));
	if (!dir || !node)
		return -EBADF;
	return call->in.bad ? -EINVAL : tree_link(dir, name, node);
}

static int on_rename(struct call9 *call)
{
	struct node *node = take_node(call);
	struct node *dir = take_node(call);
	char name[TREE_NAME_MAX + 1];
	struct entry *entry;

	in_string(&call->in, name, sizeof(name));
	if (!dir || !node)
		return -EBADF;
	if (call->in.bad)
		return -EINVAL;
	entry = node->parent ? tree_entry_of(node->parent, node) : NULL;
	return entry ? tree_rename(node->parent, entry->name, dir, name) : -ENOENT;
}

static int on_renameat(struct call9 *call)
{
	struct node *from = take_node(call), *to;
	char old_name[TREE_NAME_MAX + 1], name[TREE_NAME_MAX + 1];

	if (call->server->config.no_renameat)
		return -EOPNOTSUPP;
	in_string(&call->in, old_name, sizeof(old_name));
	to = take_node(call);
	in_string(&call->in, name, sizeof(name));
	if (!from || !to)
		return -EBADF;
	return call->in.bad ? -EINVAL : tree_rename(from, old_name, to, name);
}

static int on_unlinkat(struct call9 *call)
{
	struct node *dir = take_node(call);
	char name[TREE_NAME_MAX + 1];
	uint32_t flags;

	if (call->server->config.no_unlinkat)
		return -EOPNOTSUPP;
	in_string(&call->in, name, sizeof(name));
	flags = in_u32(&call->in);
	if (!dir)
		return -EBADF;
	return call->in.bad ? -EINVAL : tree_unlink(dir, name, flags & L_REMOVEDIR);
}

static void put_time(struct out9 *out, struct timespec time)
{
	out_u64(out, time.tv_sec);
	out_u64(out, time.tv_nsec);
}

static int on_getattr(struct call9 *call)
{
	struct node *node = take_node(call);
	uint64_t size;

	if (!node)
		return -EBADF;
	size = S_ISREG(node->mode)   ? node->now.size
	       : S_ISLNK(node->mode) ? strlen(node->target)
				     : 4096;
	out_u64(call->out, 0x7ff);
	put_qid(call->out, node);
	out_u32(call->out, node->mode);
	out_u32(call->out, node->uid);
	out_u32(call->out, node->gid);
	out_u64(call->out, node->nlink);
	out_u64(call->out, (uint64_t)node->rdev_major << 8 | node->rdev_minor);
	out_u64(call->out, size);
	out_u64(call->out, 4096);
	out_u64(call->out, (size + 511) / 512);
	put_time(call->out, node->atime);
	put_time(call->out, node->mtime);
	put_time(call->out, node->ctime);
	put_time(call->out, (struct timespec){0});
	out_u64(call->out, 0);
	out_u64(call->out, 0);
	return 0;
}

static struct timespec take_time(struct in9 *in)
{
	struct timespec time;

	time.tv_sec = in_u64(in);
	time.tv_nsec = in_u64(in);
	return time;
}

static int on_setattr(struct call9 *call)
{
	struct node *node = take_node(call);
	uint32_t valid = in_u32(&call->in);
	uint32_t mode = in_u32(&call->in), uid = in_u32(&call->in), gid = in_u32(&call->in);
	uint64_t size = in_u64(&call->in);
	struct timespec atime = take_time(&call->in), mtime = take_time(&call->in);
	int err = 0;

	if (!node)
		return -EBADF;
	if (call->in.bad)
		return -EINVAL;
	if (valid & 8)
		err = S_ISREG(node->mode) ? truncate_both(call->server, node, size) : -EISDIR;
	if (err)
		return err;
	if (valid & 1)
		node->mode = (node->mode & S_IFMT) | (mode & 07777);
	if (valid & 2)
		node->uid = uid;
	if (valid & 4)
		node->gid = gid;
	if (valid & 0x80)
		node->atime = atime;
	if (valid & 0x100)
		node->mtime = mtime;
	node->version++;
	return 0;
}

static bool put_entry(struct out9 *out, const struct node *node, uint64_t cookie, const char *name)
{
	struct out9 before = *out;

	put_qid(out, node);
	out_u64(out, cookie);
	out_u8(out, S_ISDIR(node->mode) ? 4 : S_ISLNK(node->mode) ? 10 : 8);
	out_string(out, name);
	if (!out->bad)
		return true;
	*out = before;
	return false;
}

static int on_readdir(struct call9 *call)
{
	struct fid9 *fid = take_fid(call);
	uint64_t cookie = in_u64(&call->in);
	uint32_t count = in_u32(&call->in);
	struct out9 *out = call->out;
	size_t room = out->room, count_at = out->len;
	struct entry *entry;

	if (!fid || !fid->open)
		return -EBADF;
	if (!S_ISDIR(fid->node->mode))
		return -ENOTDIR;
	if (call->in.bad || count > call->conn->msize - READ_HEADER)
		return -EINVAL;
	out_u32(out, 0);
	if (out->len + count < room)
		out->room = out->len + count;
	if (cookie < 1 && !put_entry(out, fid->node, 1, "."))
		return -EINVAL;
	if (cookie < 2 && !put_entry(out, fid->node->parent, 2, ".."))
		goto full;
	for (entry = fid->node->entries; entry; entry = entry->next) {
		if (entry->cookie + 2 > cookie &&
		    !put_entry(out, entry->node, entry->cookie + 2, entry->name))
			break;
		if (call->server->config.defect == DEFECT_DOUBLE_ENTRY && !entry->next &&
		    entry->cookie + 2 > cookie)
			put_entry(out, entry->node, entry->cookie + 2, entry->name);
	}
full:
	out->room = room;
	count = out->len - count_at - 4;
	for (unsigned i = 0; i < 4; i++)
		out->buf[count_at + i] = count >> (8 * i);
	return 0;
}

/* Claims more than was asked for, with bytes for a part of it.  A claim that is
 * wrong and could be right is for no client to notice. */
static int lie(struct call9 *call, uint32_t asked)
{
	struct faults *faults = call->server->faults;
	static const uint8_t nonsense[64] = {0xEE};

	faults->errors++;
	out_u32(call->out, asked + 1 + (uint32_t)rng_below(&faults->rng, sizeof(nonsense)));
	if (call->request->type == T_READ)
		out_bytes(call->out, nonsense, rng_below(&faults->rng, sizeof(nonsense)));
	return 0;
}

static int on_read(struct call9 *call)
{
	struct faults *faults = call->server->faults;
	struct fid9 *fid = take_fid(call);
	uint64_t start = in_u64(&call->in);
	uint32_t count = in_u32(&call->in);
	uint64_t left;

	if (!fid || !fid->open || (fid->flags & O_ACCMODE) == O_WRONLY)
		return -EBADF;
	if (S_ISDIR(fid->node->mode))
		return -EISDIR;
	if (call->in.bad || count > call->conn->msize - READ_HEADER)
		return -EINVAL;
	if (!faults->grace && faults_draw(faults, faults->mix.lie))
		return lie(call, count);
	left = start < fid->node->now.size ? fid->node->now.size - start : 0;
	if (count > left)
		count = left;
	if (count > 1 && faults_draw(faults, faults->mix.short_read)) {
		count = rng_between(&faults->rng, 1, count - 1);
		faults->others++;
	}
	out_u32(call->out, count);
	out_bytes(call->out, fid->node->now.bytes + (count ? start : 0), count);
	return 0;
}

static int on_write(struct call9 *call)
{
	struct faults *faults = call->server->faults;
	struct fid9 *fid = take_fid(call);
	uint64_t start = in_u64(&call->in);
	uint32_t count = in_u32(&call->in);
	const uint8_t *bytes = in_bytes(&call->in, count);
	uint32_t asked = count;
	int err = 0;

	if (!fid || !fid->open || (fid->flags & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	if (!bytes || !S_ISREG(fid->node->mode))
		return -EINVAL;
	if (count > 1 && faults_draw(faults, faults->mix.short_write)) {
		count = rng_between(&faults->rng, 1, count - 1);
		faults->others++;
	}
	if (fid->flags & L_APPEND)
		start = fid->node->now.size;
	if (call->server->config.defect != DEFECT_LOST_WRITE || !rng_one_in(&faults->rng, 40))
		err = node_write(fid->node, start, bytes, count);
	if (err)
		return err;
	node_touch(fid->node);
	if (fid->flags & L_DSYNC)
		err = node_flush(fid->node);
	if (!err && !faults->grace && faults_draw(faults, faults->mix.lie))
		return lie(call, asked);
	out_u32(call->out, count);
	return err;
}

static int on_fsync(struct call9 *call)
{
	struct node *node = take_node(call);

	if (!node)
		return -EBADF;
	if (!S_ISREG(node->mode) || call->server->config.defect == DEFECT_NO_FLUSH)
		return 0;
	return node_flush(node);
}

static int on_statfs(struct call9 *call)
{
	if (!take_node(call))
		return -EBADF;
	out_u32(call->out, 0x01021997);
	out_u32(call->out, 4096);
	for (unsigned i = 0; i < 5; i++)
		out_u64(call->out, 1000000 >> i);
	out_u64(call->out, 1);
	out_u32(call->out, TREE_NAME_MAX);
	return 0;
}

static int on_lock(struct call9 *call)
{
	struct fid9 *fid = take_fid(call);

	if (!fid || !fid->open)
		return -EBADF;
	return server9_lock(call->conn, fid, &call->in, call->out);
}

static int on_getlock(struct call9 *call)
{
	struct fid9 *fid = take_fid(call);

	if (!fid || !fid->open)
		return -EBADF;
	return server9_getlock(call->conn, fid, &call->in, call->out);
}

static const handler_fn handlers[T_MAX] = {
	[T_VERSION] = on_version,   [T_ATTACH] = on_attach,   [T_FLUSH] = on_flush,
	[T_WALK] = on_walk,	    [T_CLUNK] = on_clunk,     [T_REMOVE] = on_remove,
	[T_LOPEN] = on_lopen,	    [T_LCREATE] = on_lcreate, [T_MKDIR] = on_mkdir,
	[T_MKNOD] = on_mknod,	    [T_SYMLINK] = on_symlink, [T_READLINK] = on_readlink,
	[T_LINK] = on_link,	    [T_RENAME] = on_rename,   [T_RENAMEAT] = on_renameat,
	[T_UNLINKAT] = on_unlinkat, [T_GETATTR] = on_getattr, [T_SETATTR] = on_setattr,
	[T_READDIR] = on_readdir,   [T_READ] = on_read,	      [T_WRITE] = on_write,
	[T_FSYNC] = on_fsync,	    [T_STATFS] = on_statfs,   [T_LOCK] = on_lock,
	[T_GETLOCK] = on_getlock,
};

void server9_execute(struct conn9 *conn, struct request9 *request)
{
	struct server9 *server = conn->server;
	struct out9 *out = &request->reply;
	struct call9 call = {.conn = conn, .server = server, .request = request, .out = out};
	handler_fn handler = request->type < T_MAX ? handlers[request->type] : NULL;
	int err;

	request->executed = true;
	call.in = (struct in9){request->body, request->body + request->len, false};
	out->len = HEADER_LEN;
	err = faults_error(server->faults, request->type,
			   request->type == T_WRITE || request->type == T_LCREATE ||
				   request->type == T_MKDIR);
	/* It costs the fid in any case. */
	if (err && request->type == T_REMOVE)
		on_clunk(&call);
	if (!err)
		err = handler ? handler(&call) : -EOPNOTSUPP;
	if (call.in.bad)
		server9_violation(server, "request shorter than its fields");
	if (!err && out->bad)
		err = -ERANGE;
	if (err) {
		out->bad = false;
		out->len = HEADER_LEN;
		out_u32(out, -err);
	}
	netfs_sim_printf("server: request %u tag %u: %s %d", request->type, request->tag,
			 err ? "error" : "done", -err);
	for (unsigned i = 0; i < 4; i++)
		out->buf[i] = out->len >> (8 * i);
	out->buf[4] = err ? T_LERROR + 1 : request->type + 1;
	out->buf[5] = request->tag;
	out->buf[6] = request->tag >> 8;
}
