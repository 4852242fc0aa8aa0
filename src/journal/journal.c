/* SPDX-License-Identifier: MIT */
/*
 * The journal: its files, and the worker that writes.
 *
 *	write, mark, release --> queue --> worker: a frame of all there is, to the disk
 *	                                        --> done(), for each of them
 *
 * There is one worker; while it waits for the disk the next frame gathers, so that
 * many writers share one wait.
 *
 * A record counts from the moment it is queued, and until it is released: also
 * where the disk refused it, because nobody knows then what a later mount will find.
 *
 * A file is live while a record of it counts or an entry is in the queue.  Its owner
 * is told the end of that, and may free it after netfs_journal_told() only.
 *
 * While anything counts, a sign of life is written every few seconds, so that a
 * later mount knows until when changes at the server may be ours.
 *
 * Locks: the journal's mutex; none is held while the disk works or owners are told.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <base/assert.h>
#include <env/alloc.h>
#include <env/clock.h>
#include <env/secret.h>
#include <journal/journal_impl.h>

/* Bytes of a frame after which no further entry goes into it. */
#define FRAME_FULL (4U << 20)
#define TRIES_MAX  16
#define BEAT_NS	   (5 * NETFS_NS_PER_SEC)

/* --------------------------------------------------------------- files */

int netfs_journal_file_new(struct netfs_journal *journal, uint64_t ino, uint64_t gen, void *user,
			   struct netfs_journal_file **ret_file)
{
	struct netfs_journal_file *file = netfs_zalloc(sizeof(*file));

	if (!file)
		return -ENOMEM;
	file->journal = journal;
	file->ino = ino;
	file->gen = gen;
	file->user = user;
	netfs_list_init(&file->link);
	netfs_list_init(&file->records);
	*ret_file = file;
	return 0;
}

void netfs_journal_file_free(struct netfs_journal_file *file)
{
	if (!file)
		return;
	netfs_assert(netfs_list_empty(&file->link));
	netfs_free(file);
}

/* Will whoever reads the log find nothing of the file?  What is in the queue is
 * taken for written: so this is so, or not, at the same places of the log. */
static bool blank_locked(const struct netfs_journal_file *file)
{
	return netfs_list_empty(&file->records) ||
	       netfs_container_of(file->records.prev, struct jrecord, link)->seq <= file->released;
}

static bool counts_locked(const struct netfs_journal_file *file)
{
	return file->pending || !netfs_list_empty(&file->records);
}

bool netfs_journal_live(struct netfs_journal_file *file)
{
	bool live;

	netfs_mutex_lock(&file->journal->mutex);
	live = !netfs_list_empty(&file->link);
	netfs_mutex_unlock(&file->journal->mutex);
	return live;
}

uint64_t netfs_journal_seq(struct netfs_journal_file *file)
{
	uint64_t seq;

	netfs_mutex_lock(&file->journal->mutex);
	seq = file->seq;
	netfs_mutex_unlock(&file->journal->mutex);
	return seq;
}

uint64_t netfs_journal_age(struct netfs_journal_file *file)
{
	uint64_t born = 0;

	netfs_mutex_lock(&file->journal->mutex);
	if (!netfs_list_empty(&file->records))
		born = netfs_container_of(file->records.next, struct jrecord, link)->born_ns;
	netfs_mutex_unlock(&file->journal->mutex);
	return born ? netfs_clock_now() - born + 1 : 0;
}

void netfs_journal_base(struct netfs_journal_file *file, const struct netfs_cache_version *version,
			bool known)
{
	netfs_mutex_lock(&file->journal->mutex);
	file->next_base = *version;
	file->next_known = known && !file->held;
	netfs_mutex_unlock(&file->journal->mutex);
}

void netfs_journal_hold(struct netfs_journal_file *file, bool on)
{
	netfs_mutex_lock(&file->journal->mutex);
	file->held = on;
	file->next_known = false;
	netfs_mutex_unlock(&file->journal->mutex);
}

/* ---------------------------------------------------------- the queue */

static void post_locked(struct netfs_journal *journal)
{
	if (journal->working)
		return;
	journal->working = true;
	netfs_job_post(&journal->job);
}

static void queue_locked(struct netfs_journal_file *file, struct netfs_journal_wait *wait,
			 enum record_kind kind)
{
	struct netfs_journal *journal = file->journal;

	wait->file = file;
	wait->kind = (uint8_t)kind;
	wait->tries = 0;
	wait->err = 0;
	file->pending++;
	if (netfs_list_empty(&file->link))
		netfs_list_push_back(&journal->live, &file->link);
	netfs_list_push_back(&journal->queue, &wait->link);
	if (!journal->beating) {
		journal->beating = true;
		netfs_timer_start(&journal->beat_timer, BEAT_NS);
	}
	post_locked(journal);
}

int netfs_journal_write(struct netfs_journal_file *file, struct netfs_journal_write *write)
{
	struct netfs_journal *journal = file->journal;
	struct jrecord *record = netfs_zalloc(sizeof(*record));
	int err = record ? 0 : -ENOMEM;

	netfs_mutex_lock(&journal->mutex);
	if (journal->bytes + write->len > journal->size || write->len > FRAME_FULL * 4ULL)
		err = -ENOSPC;
	if (!err) {
		record->seq = file->seq = write->wait.seq = ++journal->seq;
		record->born_ns = netfs_clock_now();
		record->len = (uint32_t)write->len;
		journal->bytes += write->len;
		if (blank_locked(file)) {
			file->base = file->next_base;
			file->base_known = file->next_known;
			file->life++;
			file->marked = false;
		}
		netfs_list_push_back(&file->records, &record->link);
		queue_locked(file, &write->wait, RECORD_DATA);
	} else {
		/* It will be sent without a mark. */
		file->next_known = false;
	}
	netfs_mutex_unlock(&journal->mutex);
	if (err)
		netfs_free(record);
	return err;
}

static void mark_over(struct netfs_journal_wait *wait, int err)
{
	struct netfs_journal_file *file = wait->file;

	/* Where the disk fails the data goes to the server all the same. */
	netfs_mutex_lock(&file->journal->mutex);
	file->marking = false;
	file->marked = file->mark_life == file->life;
	netfs_mutex_unlock(&file->journal->mutex);
	file->journal->ops->marked(file->user);
}

bool netfs_journal_mark(struct netfs_journal_file *file)
{
	struct netfs_journal *journal = file->journal;
	bool done;

	netfs_mutex_lock(&journal->mutex);
	/* Of what is not in the journal nobody will find anything. */
	done = file->marked || blank_locked(file);
	if (!done && !file->marking) {
		file->marking = true;
		file->mark_life = file->life;
		file->mark_wait.done = mark_over;
		file->mark_wait.seq = ++journal->seq;
		queue_locked(file, &file->mark_wait, RECORD_MARK);
	}
	netfs_mutex_unlock(&journal->mutex);
	return done;
}

void netfs_journal_release(struct netfs_journal_file *file, uint64_t seq,
			   struct netfs_journal_wait *wait)
{
	netfs_mutex_lock(&file->journal->mutex);
	if (seq > file->released)
		file->released = seq;
	wait->value = seq | (blank_locked(file) ? RELEASE_ALL : 0);
	wait->seq = ++file->journal->seq;
	queue_locked(file, wait, RECORD_RELEASE);
	netfs_mutex_unlock(&file->journal->mutex);
}

static void forget_wait(struct netfs_journal_wait *wait, int err)
{
	netfs_free(wait);
}

void netfs_journal_mtime(struct netfs_journal_file *file, uint64_t mtime_ns)
{
	struct netfs_journal_wait *wait = netfs_zalloc(sizeof(*wait));

	if (!wait)
		return;
	wait->done = forget_wait;
	wait->value = mtime_ns;
	netfs_mutex_lock(&file->journal->mutex);
	if (counts_locked(file)) {
		wait->seq = ++file->journal->seq;
		queue_locked(file, wait, RECORD_MTIME);
		wait = NULL;
	}
	netfs_mutex_unlock(&file->journal->mutex);
	netfs_free(wait);
}

bool netfs_journal_moving(struct netfs_journal *journal, const char *from, const char *to,
			  struct netfs_journal_wait *wait)
{
	bool live;

	netfs_mutex_lock(&journal->mutex);
	live = !netfs_list_empty(&journal->live);
	if (live) {
		wait->from = from;
		wait->to = to;
		netfs_list_push_back(&journal->moves, &wait->link);
		post_locked(journal);
	}
	netfs_mutex_unlock(&journal->mutex);
	return live;
}

void netfs_journal_renamed(struct netfs_journal *journal)
{
	struct netfs_list *link;

	netfs_mutex_lock(&journal->mutex);
	netfs_list_for_each (link, &journal->live)
		netfs_container_of(link, struct netfs_journal_file, link)->moved = true;
	if (!netfs_list_empty(&journal->live)) {
		journal->moved = true;
		post_locked(journal);
	}
	netfs_mutex_unlock(&journal->mutex);
}

static void beat(struct netfs_task *task)
{
	struct netfs_journal *journal = netfs_container_of(task, struct netfs_journal, beat_task);

	netfs_mutex_lock(&journal->mutex);
	journal->beating = !netfs_list_empty(&journal->live) && !journal->closing;
	journal->beat = journal->beating;
	if (journal->beating)
		netfs_timer_start(&journal->beat_timer, BEAT_NS);
	post_locked(journal);
	netfs_mutex_unlock(&journal->mutex);
}

/* --------------------------------------------------------- accounting */

static void drop_record_locked(struct netfs_journal *journal, struct jrecord *record)
{
	journal->bytes -= record->len;
	if (record->segment)
		atomic_fetch_sub(&record->segment->live, 1);
	netfs_list_remove(&record->link);
	netfs_free(record);
}

static void unmark_locked(struct netfs_journal_file *file)
{
	if (file->mark_segment)
		atomic_fetch_sub(&file->mark_segment->live, 1);
	file->mark_segment = NULL;
}

static void release_locked(struct netfs_journal_file *file, uint64_t seq)
{
	struct netfs_list *link, *tmp;

	netfs_list_for_each_safe (link, tmp, &file->records) {
		struct jrecord *record = netfs_container_of(link, struct jrecord, link);

		if (record->seq <= seq)
			drop_record_locked(file->journal, record);
	}
	if (netfs_list_empty(&file->records))
		unmark_locked(file);
}

/* An entry is over: the file may be as well. */
static void over(struct netfs_journal_file *file)
{
	struct netfs_journal *journal = file->journal;
	bool idle;

	netfs_mutex_lock(&journal->mutex);
	file->pending--;
	idle = !counts_locked(file) && !file->dying;
	if (idle)
		file->dying = true;
	netfs_mutex_unlock(&journal->mutex);
	if (idle)
		journal->ops->idle(file->user);
}

void netfs_journal_abandon(struct netfs_journal_file *file)
{
	struct netfs_journal *journal = file->journal;

	netfs_mutex_lock(&journal->mutex);
	if (!netfs_list_empty(&file->records))
		journal->log.keep = true;
	/* Until its owner is told. */
	file->pending++;
	journal->kept += journal->bytes;
	release_locked(file, UINT64_MAX);
	journal->kept -= journal->bytes;
	if (netfs_list_empty(&file->link))
		netfs_list_push_back(&journal->live, &file->link);
	netfs_mutex_unlock(&journal->mutex);
	over(file);
}

void netfs_journal_told(struct netfs_journal_file *file)
{
	netfs_mutex_lock(&file->journal->mutex);
	file->dying = false;
	if (!counts_locked(file))
		netfs_list_remove(&file->link);
	netfs_mutex_unlock(&file->journal->mutex);
}

/* ----------------------------------------------------------- a frame */

static void gather(uint8_t *to, const struct iovec *iov, size_t len)
{
	for (; len; iov++) {
		size_t n = iov->iov_len < len ? iov->iov_len : len;

		memcpy(to, iov->iov_base, n);
		to += n;
		len -= n;
	}
}

/* A record of where the file is. */
static int put_name(struct netfs_journal *journal, struct netfs_journal_file *file, uint64_t seq,
		    const char *path)
{
	struct record record = {.seq = seq, .ino = file->ino, .gen = file->gen};
	struct record_name name = {.path = path, .path_len = strlen(path)};

	netfs_mutex_lock(&journal->mutex);
	name.known = file->base_known;
	name.base = file->base;
	netfs_mutex_unlock(&journal->mutex);
	return frame_add_name(&journal->dir.frame, record, &name);
}

/* Where the file is now, once a frame. */
static int add_name(struct netfs_journal *journal, struct netfs_journal_file *file, uint64_t seq)
{
	char path[NETFS_JOURNAL_PATH];
	int err;

	if (file->named == journal->begun)
		return 0;
	err = journal->ops->path(file->user, path);
	if (!err)
		err = put_name(journal, file, seq, path);
	if (!err)
		file->named = journal->begun;
	return err;
}

static int add_entry(struct netfs_journal *journal, struct netfs_journal_wait *wait)
{
	struct netfs_journal_file *file = wait->file;
	struct record record = {.kind = wait->kind,
				.seq = wait->seq,
				.ino = file->ino,
				.gen = file->gen,
				.start = wait->value};
	struct netfs_journal_write *write = NULL;
	uint8_t *body;
	int err;

	if (wait->kind == RECORD_RELEASE)
		file->named = 0; /* what follows has another base */
	if (wait->kind == RECORD_DATA) {
		write = netfs_container_of(wait, struct netfs_journal_write, wait);
		record.start = write->start;
		record.len = (uint32_t)write->len;
		err = add_name(journal, file, wait->seq);
		if (err)
			return err;
	}
	body = frame_add(&journal->dir.frame, &record);
	if (!body)
		return -ENOMEM;
	if (write)
		gather(body, write->iov, write->len);
	return 0;
}

/* Takes entries off the queue until the frame is full.  They go to batch, with
 * what is wrong with those that are not in the frame. */
static void fill(struct netfs_journal *journal, struct netfs_list *batch)
{
	while (journal->dir.frame.used < FRAME_FULL) {
		struct netfs_journal_wait *wait;
		struct netfs_list *link;

		netfs_mutex_lock(&journal->mutex);
		link = netfs_list_pop_front(&journal->queue);
		netfs_mutex_unlock(&journal->mutex);
		if (!link)
			return;
		wait = netfs_container_of(link, struct netfs_journal_wait, link);
		wait->err = add_entry(journal, wait);
		netfs_list_push_back(batch, &wait->link);
	}
}

/* The live file behind that one (NULL: the first) that counts, kept from being told
 * that it is idle; the one given is let go. */
static struct netfs_journal_file *next_live(struct netfs_journal *journal,
					    struct netfs_journal_file *after, bool moved)
{
	struct netfs_journal_file *found = NULL;
	struct netfs_list *link;

	netfs_mutex_lock(&journal->mutex);
	link = after ? after->link.next : journal->live.next;
	for (; link != &journal->live; link = link->next) {
		found = netfs_container_of(link, struct netfs_journal_file, link);
		if (counts_locked(found) && (found->moved || !moved))
			break;
		found = NULL;
	}
	if (found) {
		found->pending++;
		found->moved &= !moved;
	}
	netfs_mutex_unlock(&journal->mutex);
	if (after)
		over(after);
	return found;
}

/* Where files are now that names have changed. */
static void fill_moved(struct netfs_journal *journal)
{
	struct netfs_journal_file *file = NULL;
	bool moved;

	netfs_mutex_lock(&journal->mutex);
	moved = journal->moved;
	journal->moved = false;
	netfs_mutex_unlock(&journal->mutex);
	while (moved && (file = next_live(journal, file, true)))
		add_name(journal, file, netfs_journal_seq(file));
}

/* Where they will be, if they are at from or below. */
static void fill_move(struct netfs_journal *journal, const struct netfs_journal_wait *wait)
{
	struct netfs_journal_file *file = NULL;
	char path[NETFS_JOURNAL_PATH], next[NETFS_JOURNAL_PATH];
	size_t len = strlen(wait->from);

	while ((file = next_live(journal, file, false))) {
		if (journal->ops->path(file->user, path) || strncmp(path, wait->from, len) != 0 ||
		    (path[len] && path[len] != '/'))
			continue;
		if ((size_t)snprintf(next, sizeof(next), "%s%s", wait->to, path + len) <
		    sizeof(next))
			put_name(journal, file, netfs_journal_seq(file), next);
	}
}

static void fill_moves(struct netfs_journal *journal, struct netfs_list *done)
{
	struct netfs_list *link;

	netfs_mutex_lock(&journal->mutex);
	netfs_list_splice_back(done, &journal->moves);
	netfs_mutex_unlock(&journal->mutex);
	netfs_list_for_each (link, done)
		fill_move(journal, netfs_container_of(link, struct netfs_journal_wait, link));
}

/* ---------------------------------------------------------- the worker */

static void note_written(struct netfs_journal *journal, const struct netfs_journal_wait *wait,
			 struct segment *segment)
{
	struct netfs_list *link;

	netfs_list_for_each (link, &wait->file->records) {
		struct jrecord *record = netfs_container_of(link, struct jrecord, link);

		if (record->seq != wait->seq)
			continue;
		record->segment = segment;
		atomic_fetch_add(&segment->live, 1);
		return;
	}
}

/* What is released goes, and its segment; the mark must last as long as the rest. */
static void note_mark(struct netfs_journal_file *file, struct segment *segment)
{
	unmark_locked(file);
	if (netfs_list_empty(&file->records))
		return;
	file->mark_segment = segment;
	atomic_fetch_add(&segment->live, 1);
}

/* Who asked for data to be written goes another way where that fails; a mark or a
 * release is worth trying again, because what follows is less safe without. */
static bool again_locked(struct netfs_journal *journal, struct netfs_journal_wait *wait)
{
	if (!wait->err || wait->kind == RECORD_DATA || ++wait->tries == TRIES_MAX)
		return false;
	netfs_list_remove(&wait->link);
	netfs_list_push_front(&journal->queue, &wait->link);
	return true;
}

static void settle(struct netfs_journal *journal, struct netfs_list *batch, int err,
		   struct segment *segment)
{
	struct netfs_list *link, *tmp;

	netfs_mutex_lock(&journal->mutex);
	netfs_list_for_each_safe (link, tmp, batch) {
		struct netfs_journal_wait *wait =
			netfs_container_of(link, struct netfs_journal_wait, link);

		if (!wait->err)
			wait->err = err;
		if (again_locked(journal, wait))
			continue;
		if (wait->kind == RECORD_DATA && !wait->err && segment)
			note_written(journal, wait, segment);
		else if (wait->kind == RECORD_MARK && !wait->err && segment)
			note_mark(wait->file, segment);
		else if (wait->kind == RECORD_RELEASE)
			release_locked(wait->file, wait->value & ~RELEASE_ALL);
	}
	netfs_mutex_unlock(&journal->mutex);
}

static void tell(struct netfs_list *batch)
{
	struct netfs_list *link;

	while ((link = netfs_list_pop_front(batch))) {
		struct netfs_journal_wait *wait =
			netfs_container_of(link, struct netfs_journal_wait, link);
		struct netfs_journal_file *file = wait->file;

		wait->done(wait, wait->err);
		over(file);
	}
}

static void tell_moves(struct netfs_list *moves, int err)
{
	struct netfs_list *link;

	while ((link = netfs_list_pop_front(moves))) {
		struct netfs_journal_wait *wait =
			netfs_container_of(link, struct netfs_journal_wait, link);

		wait->done(wait, err);
	}
}

static bool take_beat(struct netfs_journal *journal)
{
	bool alive;

	netfs_mutex_lock(&journal->mutex);
	alive = journal->beat;
	journal->beat = false;
	netfs_mutex_unlock(&journal->mutex);
	return alive;
}

/* One frame of all there is. */
static void write_frame(struct netfs_journal *journal)
{
	struct segment *segment = NULL;
	struct netfs_list batch, moves;
	struct frame_head head = log_head(&journal->log);
	bool alive = take_beat(journal);
	ssize_t size = 0;
	int err = frame_begin(&journal->dir.frame);

	netfs_list_init(&batch);
	netfs_list_init(&moves);
	journal->begun++;
	if (!err) {
		fill_moved(journal);
		fill_moves(journal, &moves);
		fill(journal, &batch);
	}
	if (!err && (journal->dir.frame.nrecords || alive)) {
		size = frame_end(&journal->dir.frame, &head, journal->dir.seal);
		err = size < 0 ? (int)size
			       : log_append(&journal->dir, &journal->log, &journal->dir.frame,
					    (size_t)size, &segment);
	}
	settle(journal, &batch, err, segment);
	tell(&batch);
	tell_moves(&moves, err);
}

void journal_free(struct netfs_journal *journal)
{
	log_trim(&journal->dir, &journal->log, true);
	log_close(&journal->log);
	log_dir_close(&journal->dir);
	netfs_mutex_done(&journal->mutex);
	netfs_free(journal);
}

/* True: there is more. */
static bool again(struct netfs_journal *journal, bool *ret_over)
{
	bool more;

	netfs_mutex_lock(&journal->mutex);
	more = !netfs_list_empty(&journal->queue) || journal->moved ||
	       !netfs_list_empty(&journal->moves);
	if (!more) {
		journal->working = false;
		*ret_over = journal->closing && !journal->beating;
	}
	netfs_mutex_unlock(&journal->mutex);
	return more;
}

static void journal_end(struct netfs_journal *journal)
{
	void (*closed)(void *user) = journal->closed;
	void *user = journal->closed_user;

	journal_free(journal);
	if (closed)
		closed(user);
}

static void work(struct netfs_job *job)
{
	struct netfs_journal *journal = netfs_container_of(job, struct netfs_journal, job);
	bool end = false;

	do {
		write_frame(journal);
		log_trim(&journal->dir, &journal->log, false);
	} while (again(journal, &end));
	if (end)
		journal_end(journal);
}

/* ----------------------------------------------------- birth and end */

int netfs_journal_open(const struct netfs_journal_config *config,
		       struct netfs_journal **ret_journal)
{
	struct netfs_journal *journal = netfs_zalloc(sizeof(*journal));
	int err;

	if (!journal)
		return -ENOMEM;
	netfs_mutex_init(&journal->mutex, NETFS_RANK_JOURNAL);
	netfs_list_init(&journal->log.segments);
	netfs_list_init(&journal->queue);
	netfs_list_init(&journal->live);
	netfs_list_init(&journal->moves);
	journal->job.fn = work;
	netfs_task_init(&journal->beat_task, beat);
	netfs_timer_init(&journal->beat_timer, &journal->beat_task);
	journal->size = config->size;
	err = log_dir_open(&journal->dir, config);
	if (!err)
		err = netfs_secret_random(journal->log.id, sizeof(journal->log.id));
	if (err) {
		journal_free(journal);
		return err;
	}
	*ret_journal = journal;
	return 0;
}

void netfs_journal_set_ops(struct netfs_journal *journal, const struct netfs_journal_ops *ops)
{
	journal->ops = ops;
}

void netfs_journal_close(struct netfs_journal *journal, void (*closed)(void *user), void *user)
{
	if (!journal)
		return;
	netfs_mutex_lock(&journal->mutex);
	netfs_assert(netfs_list_empty(&journal->live));
	journal->closing = true;
	journal->closed = closed;
	journal->closed_user = user;
	if (journal->beating && netfs_timer_stop(&journal->beat_timer))
		journal->beating = false;
	post_locked(journal);
	netfs_mutex_unlock(&journal->mutex);
}

uint64_t netfs_journal_bytes(struct netfs_journal *journal)
{
	uint64_t bytes;

	netfs_mutex_lock(&journal->mutex);
	bytes = journal->bytes;
	netfs_mutex_unlock(&journal->mutex);
	return bytes;
}

bool netfs_journal_pressed(struct netfs_journal *journal)
{
	return netfs_journal_bytes(journal) > journal->size / 2;
}

uint64_t netfs_journal_kept(struct netfs_journal *journal)
{
	uint64_t bytes;

	netfs_mutex_lock(&journal->mutex);
	bytes = journal->kept;
	netfs_mutex_unlock(&journal->mutex);
	return bytes;
}
