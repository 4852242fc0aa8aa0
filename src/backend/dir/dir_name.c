/* SPDX-License-Identifier: MIT */
/*
 * Names of the dir back end, each function run on a pool thread.
 *
 * All follow one pattern: open the directory (dir_path.c says how), make the
 * one call that counts, tell the nodes about it.  What can be restarted
 * (-ERESTART) comes before the call, so the call is made once.
 *
 * An object's identity is asked just before its name is removed or replaced,
 * since afterwards nobody can tell which node lost it.  Somebody else may
 * exchange the name in between; then a node keeps a name that is not its own
 * any more, which the walk notices.
 *
 * Locks: none held in any of these calls.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <backend/dir/dir.h>
#include <env/hostfs.h>

/* Results of everything that finds or makes an object. */
static int give_node(struct dir_req *req, const struct dir_stat *stat)
{
	struct dir_node *node;
	int err = netfs_dir_node_get(req->be, stat, req->node, req->name, &node);

	if (err)
		return err;
	req->op->node = &node->node;
	netfs_dir_attr(req->be, stat, &req->op->attr);
	return 0;
}

int netfs_dir_run_lookup(struct dir_req *req)
{
	struct dir_stat stat;
	int err, fd = netfs_dir_node_open(req->node, NULL);

	if (fd < 0)
		return fd;
	err = netfs_dir_stat(fd, req->name, &stat);
	netfs_hostfs_close(fd);
	return err ? err : give_node(req, &stat);
}

/*
 * Makes the new object what was asked for: the owner is the asking user, but
 * for the group in a directory that hands on its own; the permissions are the
 * mode, whatever the process's umask made of it.  Both only as far as we may.
 */
static int settle_new(struct dir_req *req, int dir_fd, const struct dir_stat *dir,
		      struct dir_stat *stat)
{
	uint32_t uid = req->op->cred.uid, gid = req->op->cred.gid;
	uint32_t mode = req->mode & 07777;
	bool changed = false;

	if (uid == stat->st.st_uid)
		uid = UINT32_MAX;
	if (gid == stat->st.st_gid || (dir->st.st_mode & S_ISGID))
		gid = UINT32_MAX;
	if (uid != UINT32_MAX || gid != UINT32_MAX)
		changed = !netfs_hostfs_chown(dir_fd, req->name, uid, gid);
	if (S_ISDIR(stat->st.st_mode))
		mode |= stat->st.st_mode & S_ISGID;
	if (!S_ISLNK(stat->st.st_mode) &&
	    ((stat->st.st_mode & 07777) != mode || (changed && (mode & 06000))))
		changed |= !netfs_hostfs_chmod(dir_fd, req->name, mode);
	return changed ? netfs_dir_stat(dir_fd, req->name, stat) : 0;
}

static int finish_new(struct dir_req *req, int dir_fd, const struct dir_stat *dir)
{
	struct dir_stat stat;
	int err = netfs_dir_stat(dir_fd, req->name, &stat);

	if (!err)
		err = settle_new(req, dir_fd, dir, &stat);
	return err ? err : give_node(req, &stat);
}

int netfs_dir_run_mknod(struct dir_req *req)
{
	struct dir_stat dir;
	int err, fd = netfs_dir_node_open(req->node, &dir);

	if (fd < 0)
		return fd;
	err = netfs_hostfs_mknod(fd, req->name, req->mode, req->rdev);
	if (!err)
		err = finish_new(req, fd, &dir);
	netfs_hostfs_close(fd);
	return err;
}

int netfs_dir_run_mkdir(struct dir_req *req)
{
	struct dir_stat dir;
	int err, fd = netfs_dir_node_open(req->node, &dir);

	if (fd < 0)
		return fd;
	err = netfs_hostfs_mkdir(fd, req->name, req->mode);
	if (!err)
		err = finish_new(req, fd, &dir);
	netfs_hostfs_close(fd);
	return err;
}

int netfs_dir_run_symlink(struct dir_req *req)
{
	struct dir_stat dir;
	int err, fd = netfs_dir_node_open(req->node, &dir);

	if (fd < 0)
		return fd;
	err = netfs_hostfs_symlink(req->arg, fd, req->name);
	if (!err)
		err = finish_new(req, fd, &dir);
	netfs_hostfs_close(fd);
	return err;
}

int netfs_dir_run_link(struct dir_req *req)
{
	struct dir_stat stat;
	int err, fd = netfs_dir_node_open(req->node, NULL), dir_fd;

	if (fd < 0)
		return fd;
	dir_fd = netfs_dir_node_open(req->new_dir, NULL);
	err = dir_fd < 0 ? dir_fd : netfs_hostfs_link(fd, "", dir_fd, req->name);
	if (!err)
		err = netfs_dir_node_add_name(req->node, req->new_dir, req->name);
	if (!err)
		err = netfs_dir_stat(fd, "", &stat);
	if (!err)
		netfs_dir_attr(req->be, &stat, &req->op->attr);
	if (dir_fd >= 0)
		netfs_hostfs_close(dir_fd);
	netfs_hostfs_close(fd);
	return err;
}

/* The node of what is called name in dir_fd, if we have it; with a reference.
 * ret_last: it has no other name. */
static struct dir_node *node_of_name(struct dir_be *be, int dir_fd, const char *name,
				     bool *ret_last)
{
	struct dir_stat stat;

	*ret_last = false;
	if (netfs_dir_stat(dir_fd, name, &stat))
		return NULL;
	*ret_last = S_ISDIR(stat.st.st_mode) || stat.st.st_nlink == 1;
	return netfs_dir_node_find(be, &stat);
}

static void put_node(struct dir_node *node)
{
	if (node)
		netfs_node_put(&node->node);
}

int netfs_dir_run_unlink(struct dir_req *req)
{
	int err, fd = netfs_dir_node_open(req->node, NULL);
	struct dir_node *victim;
	bool last;

	if (fd < 0)
		return fd;
	victim = node_of_name(req->be, fd, req->name, &last);
	err = netfs_hostfs_unlink(fd, req->name, (int)req->flags);
	if (!err)
		netfs_dir_node_drop_name(victim, req->node, req->name, last);
	put_node(victim);
	netfs_hostfs_close(fd);
	return err;
}

/* The call itself, and what it means to the two nodes. */
static int rename_nodes(struct dir_req *req, int old_fd, int new_fd)
{
	bool exchange = req->flags & RENAME_EXCHANGE, last;
	struct dir_node *moved = req->moved;
	struct dir_node *victim = node_of_name(req->be, new_fd, req->new_name, &last);
	int err = netfs_hostfs_rename(old_fd, req->name, new_fd, req->new_name, req->flags);

	/* Two names of one object: the call does nothing, both stay. */
	if (!err && victim != moved) {
		netfs_dir_node_drop_name(moved, req->node, req->name, false);
		netfs_dir_node_drop_name(victim, req->new_dir, req->new_name, last && !exchange);
		err = netfs_dir_node_add_name(moved, req->new_dir, req->new_name);
		if (!err && exchange && victim)
			err = netfs_dir_node_add_name(victim, req->node, req->name);
	}
	put_node(victim);
	return err;
}

int netfs_dir_run_rename(struct dir_req *req)
{
	int err, old_fd = netfs_dir_node_open(req->node, NULL), new_fd;

	if (old_fd < 0)
		return old_fd;
	new_fd = netfs_dir_node_open(req->new_dir, NULL);
	if (new_fd < 0) {
		netfs_hostfs_close(old_fd);
		return new_fd;
	}
	netfs_dir_rename_begin(req->be);
	err = rename_nodes(req, old_fd, new_fd);
	netfs_dir_rename_end(req->be);
	netfs_hostfs_close(new_fd);
	netfs_hostfs_close(old_fd);
	return err;
}

/* Opens what is there already.  Nothing but regular files: opening others may
 * block or do things. */
static int open_existing(struct dir_req *req, int dir_fd)
{
	struct dir_stat stat;
	int err, fd, path_fd = netfs_hostfs_open(dir_fd, req->name, O_PATH | O_NOFOLLOW, 0);

	if (path_fd < 0)
		return path_fd;
	err = netfs_dir_stat(path_fd, "", &stat);
	if (!err && !S_ISREG(stat.st.st_mode))
		err = S_ISDIR(stat.st.st_mode)	 ? -EISDIR
		      : S_ISLNK(stat.st.st_mode) ? -ELOOP
						 : -ENXIO;
	fd = err ? err : netfs_hostfs_reopen(path_fd, (int)(req->flags & (O_ACCMODE | O_TRUNC)));
	netfs_hostfs_close(path_fd);
	return fd;
}

/* fd is the new handle's. */
static int create_finish(struct dir_req *req, int dir_fd, int fd, const struct dir_stat *settle)
{
	struct dir_stat stat;
	int err = netfs_dir_stat(fd, "", &stat);

	if (!err && settle)
		err = settle_new(req, dir_fd, settle, &stat);
	if (!err)
		err = give_node(req, &stat);
	if (err) {
		netfs_hostfs_close(fd);
		return err;
	}
	err = netfs_dir_give_handle(netfs_dir_node(req->op->node), fd, req->flags, req->op);
	if (err) {
		netfs_node_put(req->op->node);
		req->op->node = NULL;
	}
	return err;
}

int netfs_dir_run_create(struct dir_req *req)
{
	int flags = (int)(req->flags & O_ACCMODE) | O_CREAT | O_EXCL;
	struct dir_stat dir;
	int fd, err, dir_fd = netfs_dir_node_open(req->node, &dir);
	bool fresh;

	if (dir_fd < 0)
		return dir_fd;
	fd = netfs_hostfs_open(dir_fd, req->name, flags, req->mode & 07777);
	fresh = fd != -EEXIST;
	if (!fresh && !(req->flags & O_EXCL))
		fd = open_existing(req, dir_fd);
	err = fd < 0 ? fd : create_finish(req, dir_fd, fd, fresh ? &dir : NULL);
	netfs_hostfs_close(dir_fd);
	return err;
}
