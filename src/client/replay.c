/* SPDX-License-Identifier: MIT */
/*
 * What was left in a journal is written once more.
 *
 *	find the file -> is it as it was? -> mark -> open, write, fsync -> done
 *	      |                 | no
 *	      +-- gone ---------+-----> a file beside it, with what is there now and ours
 *
 * A file is the one that was written if its number is the same, under one of the
 * names it had.  It is as it was if its time and size are those that the dead mount
 * knew before it wrote.  Where that mount may have sent some of it, they need not be:
 * then it must not be shorter, and its time not later than that mount certainly lived
 * and a little; otherwise somebody else was there.
 *
 * Nobody's bytes are overwritten in doubt: both copies are kept.  What cannot be
 * written now stays in the journal for the next mount.
 *
 * One step after the other, each begun by the end of the one before.  The mount
 * serves meanwhile; it holds the files back that are not done (vfs/restore.c), and
 * says which somebody waits for: that is the next.
 *
 * Locks: none.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <client/lane.h>
#include <client/replay.h>
#include <env/alloc.h>
#include <env/clock.h>
#include <env/executor.h>
#include <journal/left.h>
#include <vfs/vfs.h>

#define CHUNK (UINT32_C(1) << 20)
/* How much later than the last sign of life of its mount a change may be ours. */
#define GRACE_NS (30 * NETFS_NS_PER_SEC)
/* How often it is written down that a file is being redone. */
#define LIFE_NS (5 * NETFS_NS_PER_SEC)

struct netfs_replay {
	struct netfs_mount *mount;
	struct netfs_left *all; /* the mount's */
	struct netfs_cred cred;
	void (*log)(void *user, int level, const char *line);
	void *user;
	char *source; /* owned: for people */
	struct {
		uint64_t files; /* written again, or found to be there */
		uint64_t bytes;
		uint64_t conflicts; /* kept in files of their own beside what others made */
		uint64_t stuck; /* that could not be written, and stay in the journal */
		uint64_t stuck_bytes;
	} sum;

	struct netfs_left_file *left; /* the file at hand */
	unsigned path; /* which of its places is tried */
	const char *rest; /* of the path */
	struct netfs_vnode *at; /* how far it was followed; a reference */
	struct netfs_vnode *parent; /* the folder it ends in; a reference, or NULL */
	struct netfs_vnode *vnode; /* the file, or NULL: it is gone */
	struct netfs_attr attr;
	bool conflict;
	bool marked; /* some of it may have been sent by us */
	struct netfs_file *from; /* what others made of it */
	struct netfs_file *to;
	uint64_t copied;
	size_t extent;
	uint32_t offset;

	struct netfs_call call;
	void (*step)(struct netfs_replay *replay, int err);
	struct netfs_lane lane; /* of what blocks */
	int err; /* why the file at hand is stuck */
	uint64_t ino; /* of the one that was tried last */
	uint64_t gen;
	struct netfs_io io;
	struct iovec iov;
	uint8_t *buf; /* CHUNK */
	struct netfs_setattr set;
	char name[NETFS_NAME_MAX + 1];
};

/* ------------------------------------------------------------- steps */

static void called(struct netfs_call *call, int err)
{
	struct netfs_replay *replay = call->user;

	replay->step(replay, err);
}

static struct netfs_call *call(struct netfs_replay *replay,
			       void (*step)(struct netfs_replay *replay, int err))
{
	netfs_call_init(&replay->call, called);
	replay->call.user = replay;
	replay->call.cred = replay->cred;
	replay->step = step;
	return &replay->call;
}

static void prepare(struct netfs_replay *replay, uint64_t start, size_t len,
		    void (*done)(struct netfs_io *io, ssize_t result))
{
	replay->iov = (struct iovec){.iov_base = replay->buf, .iov_len = len};
	replay->io = (struct netfs_io){
		.done = done,
		.user = replay,
		.iov = &replay->iov,
		.niov = 1,
		.start = start,
		.len = len,
	};
}

static void written(struct netfs_io *io, ssize_t result)
{
	struct netfs_replay *replay = io->user;

	if (result >= 0 && (size_t)result != io->len)
		result = -EIO;
	replay->step(replay, result < 0 ? (int)result : 0);
}

/* Writes what is in buf, as the last thing a step does. */
static void put(struct netfs_replay *replay, uint64_t start, size_t len,
		void (*step)(struct netfs_replay *replay, int err))
{
	prepare(replay, start, len, written);
	replay->step = step;
	netfs_write(replay->to, &replay->io);
}

static void run_step(void *user)
{
	struct netfs_replay *replay = user;

	replay->step(replay, 0);
}

/* Goes on where it may block. */
static void block(struct netfs_replay *replay, void (*step)(struct netfs_replay *replay, int err))
{
	replay->step = step;
	netfs_lane_post(&replay->lane, run_step);
}

__attribute__((format(printf, 3, 4))) static void say(const struct netfs_replay *replay, int level,
						      const char *format, ...)
{
	char line[512], text[700];
	va_list args;

	if (!replay->log)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	snprintf(text, sizeof(text), "%.180s: %s", replay->source, line);
	replay->log(replay->user, level, text);
}

/* ---------------------------------------------------------- the next */

static void next_file(struct netfs_replay *replay);
static void follow(struct netfs_replay *replay);

static void let_go(struct netfs_replay *replay)
{
	if (replay->from)
		netfs_release(netfs_take(replay->from));
	if (replay->to)
		netfs_release(netfs_take(replay->to));
	if (replay->at)
		netfs_vnode_put(netfs_take(replay->at));
	if (replay->parent)
		netfs_vnode_put(netfs_take(replay->parent));
	if (replay->vnode)
		netfs_vnode_put(netfs_take(replay->vnode));
}

static void replay_free(struct netfs_replay *replay)
{
	netfs_free(replay->source);
	netfs_free(replay->buf);
	netfs_free(replay);
}

/* As the mount's own journal does while it has something in it: what changes at the
 * server until then, and a little later, may be our doing. */
static void show_life(void *user)
{
	struct netfs_replay *replay = user;

	if (replay->marked)
		netfs_left_mark(replay->all, replay->left);
}

static void say_sum(const struct netfs_replay *replay)
{
	say(replay, replay->sum.stuck ? NETFS_LOG_WARN : NETFS_LOG_INFO,
	    "journal: %llu files, %llu bytes written again; %llu conflicts, %llu files with %llu "
	    "bytes stuck",
	    (unsigned long long)replay->sum.files, (unsigned long long)replay->sum.bytes,
	    (unsigned long long)replay->sum.conflicts, (unsigned long long)replay->sum.stuck,
	    (unsigned long long)replay->sum.stuck_bytes);
}

static void replay_over(void *user)
{
	struct netfs_replay *replay = user;
	struct netfs_mount *mount = replay->mount;
	uint64_t ino = replay->ino, gen = replay->gen;

	say_sum(replay);
	replay_free(replay);
	/* After that the mount may be gone, and a new one may do what is left. */
	netfs_mount_restored(mount, ino, gen, NULL);
}

/* What has not been tried, from after (NULL: the first) on. */
static struct netfs_left_file *untried(struct netfs_replay *replay, struct netfs_left_file *after)
{
	struct netfs_left_file *file = netfs_left_next(replay->all, after);

	while (file && file->tried)
		file = netfs_left_next(replay->all, file);
	return file;
}

/* Another of the same file: other mounts that died had written to it too. */
static struct netfs_left_file *another(struct netfs_replay *replay, uint64_t ino, uint64_t gen)
{
	struct netfs_left_file *file = untried(replay, NULL);

	while (file && (file->ino != ino || file->gen != gen))
		file = untried(replay, file);
	return file;
}

/* That file was tried; done: and is gone.  What somebody waits for comes next. */
static void go_on(struct netfs_replay *replay, uint64_t ino, uint64_t gen)
{
	let_go(replay);
	if (!untried(replay, NULL)) {
		replay->ino = ino;
		replay->gen = gen;
		netfs_lane_end(&replay->lane, replay_over);
		return;
	}
	netfs_mount_restored(replay->mount, ino, gen, another(replay, ino, gen));
	replay->left = netfs_mount_held_wanted(replay->mount);
	if (!replay->left)
		replay->left = untried(replay, NULL);
	next_file(replay);
}

/* Blocking. */
static void stays(struct netfs_replay *replay, int err)
{
	struct netfs_left_file *left = replay->left;

	/* Some of it may have been sent just now. */
	show_life(replay);
	if (!netfs_mount_aborted(replay->mount))
		say(replay, NETFS_LOG_ERROR, "%s: %llu bytes stay in the journal: %s",
		    left->paths[0], (unsigned long long)left->bytes, strerrordesc_np(-replay->err));
	replay->sum.stuck++;
	replay->sum.stuck_bytes += left->bytes;
	left->tried = true;
	go_on(replay, left->ino, left->gen);
}

static void undone(struct netfs_replay *replay, int err)
{
	block(replay, stays);
}

/* It could not be written: it stays, and the next one is tried.  Nothing of it is sent
 * later, when nobody tells that it is our doing. */
static void stuck(struct netfs_replay *replay, int err)
{
	replay->err = err;
	if (replay->to)
		netfs_file_undo(replay->to, call(replay, undone));
	else
		undone(replay, 0);
}

/* Blocking. */
static void file_done(struct netfs_replay *replay, int err)
{
	struct netfs_left_file *left = replay->left;
	uint64_t ino = left->ino, gen = left->gen, bytes = left->bytes;

	if (replay->conflict)
		say(replay, NETFS_LOG_WARN,
		    "%s: changed by somebody else while %llu bytes of it were in the journal; "
		    "they are in %s",
		    left->paths[0], (unsigned long long)bytes, replay->name);
	err = netfs_left_done(replay->all, left);
	if (err) {
		stuck(replay, err);
		return;
	}
	if (replay->conflict)
		replay->sum.conflicts++;
	else
		replay->sum.files++;
	replay->sum.bytes += bytes;
	go_on(replay, ino, gen);
}

static void times_set(struct netfs_replay *replay, int err)
{
	/* What could not be had of that costs nothing but the time itself. */
	block(replay, file_done);
}

static void synced(struct netfs_replay *replay, int err)
{
	const struct netfs_left_file *left = replay->left;

	if (err) {
		stuck(replay, err);
		return;
	}
	replay->set = (struct netfs_setattr){
		.valid = NETFS_SET_MTIME,
		.mtime = {.sec = (int64_t)(left->mtime_ns / NETFS_NS_PER_SEC),
			  .nsec = (uint32_t)(left->mtime_ns % NETFS_NS_PER_SEC)},
	};
	netfs_setattr(netfs_file_vnode(replay->to), replay->to, &replay->set,
		      call(replay, times_set));
}

/* -------------------------------------------------------- the extents */

static void extent_read(struct netfs_replay *replay, int err);

static uint32_t chunk(const struct netfs_replay *replay)
{
	uint32_t left = replay->left->extents[replay->extent].len - replay->offset;

	return left < CHUNK ? left : CHUNK;
}

static void extent_written(struct netfs_replay *replay, int err)
{
	if (err) {
		stuck(replay, err);
		return;
	}
	replay->offset += chunk(replay);
	if (replay->offset == replay->left->extents[replay->extent].len) {
		replay->extent++;
		replay->offset = 0;
	}
	if (replay->extent == replay->left->nextents)
		netfs_fsync(replay->to, false, call(replay, synced));
	else
		block(replay, extent_read);
}

/* Blocking. */
static void extent_read(struct netfs_replay *replay, int err)
{
	const struct netfs_left_extent *extent = &replay->left->extents[replay->extent];
	uint32_t len = chunk(replay);

	err = netfs_left_read(replay->all, replay->left, extent, replay->offset, replay->buf, len);
	if (err)
		stuck(replay, err);
	else
		put(replay, extent->start + replay->offset, len, extent_written);
}

static void write_extents(struct netfs_replay *replay)
{
	replay->extent = 0;
	replay->offset = 0;
	block(replay, extent_read);
}

/* ------------------------------------------------ both copies are kept */

static void copy_more(struct netfs_replay *replay, int err);

static void copy_written(struct netfs_replay *replay, int err)
{
	if (err) {
		stuck(replay, err);
		return;
	}
	replay->copied += replay->iov.iov_len;
	copy_more(replay, 0);
}

static void copy_read(struct netfs_io *io, ssize_t result)
{
	struct netfs_replay *replay = io->user;

	if (result < 0)
		stuck(replay, (int)result);
	else if (result == 0)
		write_extents(replay);
	else
		put(replay, replay->copied, (size_t)result, copy_written);
}

static void copy_more(struct netfs_replay *replay, int err)
{
	prepare(replay, replay->copied, CHUNK, copy_read);
	netfs_read(replay->from, &replay->io);
}

static void copy_opened(struct netfs_replay *replay, int err)
{
	if (err) {
		stuck(replay, err);
		return;
	}
	replay->from = replay->call.file;
	replay->copied = 0;
	copy_more(replay, 0);
}

static void beside_made(struct netfs_replay *replay, int err)
{
	if (err) {
		stuck(replay, err);
		return;
	}
	replay->to = replay->call.file;
	netfs_vnode_put(replay->call.vnode);
	netfs_file_redo(replay->to);
	if (replay->vnode)
		netfs_open(replay->vnode, O_RDONLY, call(replay, copy_opened));
	else
		write_extents(replay);
}

/* NAME.unetfs-conflict-20261129T031542: by the time of the last write. */
static void name_beside(struct netfs_replay *replay)
{
	const char *path = replay->left->paths[0], *slash = strrchr(path, '/');
	uint64_t seconds = replay->left->mtime_ns / NETFS_NS_PER_SEC;
	const unsigned room = NETFS_NAME_MAX - 48;

	snprintf(replay->name, sizeof(replay->name), "%.*s.unetfs-conflict-%llu-%llx", (int)room,
		 slash ? slash + 1 : path, (unsigned long long)seconds,
		 (unsigned long long)(replay->left->ino & 0xffffffff));
}

static void keep_both(struct netfs_replay *replay)
{
	struct netfs_vnode *dir = replay->parent;

	replay->conflict = true;
	name_beside(replay);
	if (!dir)
		dir = replay->parent = netfs_mount_root(replay->mount);
	netfs_create(dir, replay->name, O_WRONLY | O_TRUNC, 0600, call(replay, beside_made));
}

/* ---------------------------------------------------------- to decide */

static bool time_equal(const struct netfs_time *a, const struct netfs_time *b)
{
	return a->sec == b->sec && a->nsec == b->nsec;
}

/* Can what the server has be what we found, and what we may have sent of it? */
static bool ours(const struct netfs_left_file *left, const struct netfs_attr *attr)
{
	uint64_t at;

	if (left->base_known && time_equal(&left->base.mtime, &attr->mtime) &&
	    left->base.size == attr->size)
		return true;
	if (left->base_known && !left->marked)
		return false;
	/* What makes a file shorter leaves nothing of it in the journal. */
	if (left->base_known && attr->size < left->base.size)
		return false;
	at = (uint64_t)attr->mtime.sec * NETFS_NS_PER_SEC + attr->mtime.nsec;
	return at <= left->alive_ns + GRACE_NS;
}

static void opened(struct netfs_replay *replay, int err)
{
	if (err) {
		stuck(replay, err);
		return;
	}
	replay->to = replay->call.file;
	netfs_file_redo(replay->to);
	write_extents(replay);
}

/* Blocking. */
static void mark(struct netfs_replay *replay, int err)
{
	err = netfs_left_mark(replay->all, replay->left);
	replay->marked = !err;
	if (err)
		stuck(replay, err);
	else
		netfs_open(replay->vnode, O_WRONLY, call(replay, opened));
}

/* Had it lost its name already, and only lived for those who had it open? */
static bool was_removed(const struct netfs_left_file *left)
{
	const char *slash = strrchr(left->paths[0], '/');

	return netfs_name_silly(slash ? slash + 1 : left->paths[0]);
}

static void decide(struct netfs_replay *replay)
{
	if (!replay->vnode && was_removed(replay->left))
		block(replay, file_done);
	else if (replay->vnode && ours(replay->left, &replay->attr))
		block(replay, mark);
	else
		keep_both(replay);
}

/* ------------------------------------------------------------ to find */

/* Tries the next place; after the last the file is gone. */
static void elsewhere(struct netfs_replay *replay)
{
	netfs_vnode_put(netfs_take(replay->at));
	if (++replay->path == replay->left->npaths) {
		decide(replay);
		return;
	}
	replay->at = netfs_mount_root(replay->mount);
	replay->rest = replay->left->paths[replay->path];
	follow(replay);
}

static void followed(struct netfs_replay *replay, int err)
{
	struct netfs_left_file *left = replay->left;
	const struct netfs_attr *attr = &replay->call.attr;
	bool last = !*replay->rest;

	if (err && err != -ENOENT && err != -ENOTDIR && err != -ESTALE && err != -ELOOP) {
		stuck(replay, err);
		return;
	}
	/* The folder of its newest place is where a copy would go. */
	if (last && replay->path == 0 && !replay->parent)
		replay->parent = netfs_vnode_get(replay->at);
	if (err) {
		elsewhere(replay);
		return;
	}
	netfs_vnode_put(replay->at);
	replay->at = replay->call.vnode;
	if (!last) {
		follow(replay);
		return;
	}
	if (attr->ino != left->ino || attr->gen != left->gen) {
		elsewhere(replay);
		return;
	}
	replay->attr = *attr;
	replay->vnode = netfs_take(replay->at);
	decide(replay);
}

/* One name further. */
static void follow(struct netfs_replay *replay)
{
	size_t len = strcspn(replay->rest, "/");

	if (len == 0 || len > NETFS_NAME_MAX) {
		stuck(replay, -EINVAL);
		return;
	}
	memcpy(replay->name, replay->rest, len);
	replay->name[len] = 0;
	replay->rest += len + (replay->rest[len] == '/');
	netfs_lookup(replay->at, replay->name, call(replay, followed));
}

static void next_file(struct netfs_replay *replay)
{
	replay->conflict = false;
	replay->marked = false;
	replay->path = 0;
	replay->rest = replay->left->paths[0];
	replay->at = netfs_mount_root(replay->mount);
	follow(replay);
}

static void begin(struct netfs_replay *replay, int err)
{
	next_file(replay);
}

static int hold_back(struct netfs_replay *replay)
{
	struct netfs_left_file *file = NULL, *held = NULL;
	int err = 0;

	while (!err && (file = netfs_left_next(replay->all, file)))
		err = netfs_mount_hold_back(replay->mount, file->ino, file->gen, file);
	while (err && (held = netfs_left_next(replay->all, held)) != file)
		netfs_mount_restored(replay->mount, held->ino, held->gen, NULL);
	return err;
}

int netfs_replay_start(struct netfs_mount *mount, struct netfs_left *left,
		       const struct netfs_cred *cred, const char *source,
		       void (*log)(void *user, int level, const char *line), void *user)
{
	struct netfs_replay *replay;
	int err;

	if (!netfs_left_next(left, NULL))
		return 0;
	replay = netfs_zalloc(sizeof(*replay));
	if (!replay)
		return -ENOMEM;
	replay->mount = mount;
	replay->all = left;
	replay->cred = *cred;
	replay->log = log;
	replay->user = user;
	replay->source = netfs_strdup(source);
	replay->buf = netfs_alloc(CHUNK);
	netfs_mount_set_restorer(mount, &replay->call);
	err = replay->buf && replay->source ? hold_back(replay) : -ENOMEM;
	if (err) {
		replay_free(replay);
		return err;
	}
	replay->left = netfs_left_next(left, NULL);
	netfs_lane_begin(&replay->lane, LIFE_NS, show_life, replay);
	block(replay, begin);
	return 0;
}
