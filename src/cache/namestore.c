/* SPDX-License-Identifier: MIT */
/*
 * The store of names: its queue and its worker.
 *
 *	tell, ask --> queue --> worker: [begin, notes, commit], answers
 *
 * A note alone lets the worker wait for a second, so that many become one
 * transaction; a question wakes it, and finds done what was told before it.  The
 * queue is bounded: what has no room, or no memory, was not told, and neither was what a
 * failed transaction had.  After such a gap no directory is known to be complete, and
 * where a change of ours was not told nothing is: what is known from before it is wrong.
 * A gap is somewhere among the notes that are queued when it is met, so it counts behind
 * each of them.
 *
 * The database is opened and closed by whoever opens the store and by the worker,
 * never by two threads at a time.
 *
 * Locks: the store's mutex.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <cache/namestore.h>
#include <cache/place.h>
#include <cache/store/name_table.h>
#include <env/alloc.h>
#include <env/clock.h>
#include <env/executor.h>
#include <env/hostfs.h>
#include <env/lock.h>
#include <env/timer.h>

#define DELAY_NS NETFS_NS_PER_SEC
/* Notes waiting, of 300 bytes or so: what a fast walk tells within a second. */
#define QUEUE_MAX 65536u
/* More than this many are not made to wait. */
#define QUEUE_LONG 8192u
/* Names, and objects: a very large tree, in some 200 MB. */
#define ROWS_MAX 500000u
/* Notes after which it is looked whether there are too many rows. */
#define CULL_EVERY 20000u

enum store_state {
	STORE_IDLE, /* the worker is not posted; the timer may be armed */
	STORE_WORKING, /* it is posted, or runs */
	STORE_ENDED, /* nobody touches it any more but who frees it */
};

/* What was not told; the worst counts. */
enum gap {
	GAP_NONE,
	GAP_ANSWER, /* something that the server said */
	GAP_CHANGE, /* a change of ours */
};

/*
 * Owned by who opened it until netfs_namestore_close(), then by the worker.
 *
 * I: immutable; a: atomic; m: mutex; w: the worker's.
 */
struct netfs_namestore {
	struct netfs_name_table table; /* w */
	char file[NETFS_ROW_FILE]; /* I */
	uint64_t rows_max; /* I */
	struct netfs_name_share share; /* I, but for root: w */
	struct netfs_attr root; /* I */
	bool share_known; /* I */
	uint32_t since_cull; /* w: notes */
	_Atomic uint64_t names; /* a: about */
	_Atomic uint64_t last; /* a: the last moment */

	struct netfs_mutex mutex;
	enum store_state state; /* m */
	struct netfs_list queue; /* m */
	uint32_t queued; /* m: notes in it */
	enum gap gap; /* m */
	bool armed; /* m: the timer is, or its task under way */
	bool closing; /* m */
	void (*closed)(void *user); /* m */
	void *user; /* m */
	struct netfs_job job;
	struct netfs_task task;
	struct netfs_timer timer;
};

/* ------------------------------------------------------------- entries */

bool netfs_note_add_entry(char *text, size_t size, size_t *len, const struct netfs_dirent *entry)
{
	size_t at = *len;

	if (size - at < NETFS_NOTE_ENTRY_MAX || entry->name_len > NETFS_NAME_MAX)
		return false;
	memcpy(text + at, &entry->ino, 8);
	memcpy(text + at + 8, &entry->next, 8);
	memcpy(text + at + 16, &entry->type, 4);
	memcpy(text + at + 20, &entry->name_len, 4);
	memcpy(text + at + 24, entry->name, entry->name_len);
	*len = at + 24 + entry->name_len;
	return true;
}

bool netfs_note_next_entry(const char *text, size_t len, size_t *at, struct netfs_dirent *ret_entry)
{
	const char *from = text + *at;

	if (*at == len)
		return false;
	memcpy(&ret_entry->ino, from, 8);
	memcpy(&ret_entry->next, from + 8, 8);
	memcpy(&ret_entry->type, from + 16, 4);
	memcpy(&ret_entry->name_len, from + 20, 4);
	ret_entry->name = from + 24;
	*at += 24 + ret_entry->name_len;
	return true;
}

/* -------------------------------------------------------------- worker */

static bool is_question(const struct netfs_note *note)
{
	return note->done;
}

static void set_state_locked(struct netfs_namestore *store, enum store_state state)
{
	netfs_assert_held(&store->mutex);
	store->state = state;
}

static void post_locked(struct netfs_namestore *store)
{
	if (store->state != STORE_IDLE)
		return;
	set_state_locked(store, STORE_WORKING);
	netfs_job_post(&store->job);
}

static void learn_count(struct netfs_namestore *store)
{
	uint64_t names, objects;

	if (!netfs_name_table_count(&store->table, &names, &objects))
		atomic_store(&store->names, names);
}

static int do_gap(struct netfs_namestore *store, enum gap gap)
{
	switch (gap) {
	case GAP_ANSWER:
		return netfs_name_table_gap(&store->table);
	case GAP_CHANGE:
		return netfs_name_table_forget(&store->table, &store->share.root);
	default:
		return 0;
	}
}

/* Some notes as one transaction. */
static int do_notes(struct netfs_namestore *store, struct netfs_list *notes, enum gap gap)
{
	int err = netfs_name_table_begin(&store->table);
	struct netfs_list *link;

	if (err)
		return err;
	netfs_list_for_each (link, notes) {
		const struct netfs_note *note = netfs_container_of(link, struct netfs_note, link);

		if (err)
			break;
		if (note->kind == NETFS_NOTE_SHARE)
			store->share.root = note->share.root;
		err = netfs_name_table_note(&store->table, note);
		store->since_cull++;
	}
	if (!err)
		err = do_gap(store, gap);
	if (!err && store->since_cull >= CULL_EVERY) {
		store->since_cull = 0;
		err = netfs_name_table_cull(&store->table, store->rows_max, &store->share.root);
	}
	return netfs_name_table_end(&store->table, err);
}

/* What is damaged is emptied.  What cannot be opened knows nothing from then on. */
static void reopen(struct netfs_namestore *store)
{
	netfs_name_table_close(&store->table);
	netfs_name_table_open(&store->table);
}

static enum gap gap_of(const struct netfs_note *note)
{
	return note->ours ? GAP_CHANGE : GAP_ANSWER;
}

/* Returns what it means if they were not told. */
static enum gap free_notes(struct netfs_list *notes)
{
	enum gap gap = GAP_NONE;
	struct netfs_list *link;

	while ((link = netfs_list_pop_front(notes))) {
		struct netfs_note *note = netfs_container_of(link, struct netfs_note, link);

		if (gap < gap_of(note))
			gap = gap_of(note);
		netfs_free(note);
	}
	return gap;
}

/* The notes before the first question of the queue. */
static void split(struct netfs_list *queue, struct netfs_list *notes)
{
	netfs_list_init(notes);
	while (!netfs_list_empty(queue) &&
	       !is_question(netfs_container_of(queue->next, struct netfs_note, link)))
		netfs_list_push_back(notes, netfs_list_pop_front(queue));
}

static void widen_gap_locked(struct netfs_namestore *store, enum gap gap)
{
	netfs_assert_held(&store->mutex);
	if (store->gap < gap)
		store->gap = gap;
}

static void widen_gap(struct netfs_namestore *store, enum gap gap)
{
	netfs_mutex_lock(&store->mutex);
	widen_gap_locked(store, gap);
	netfs_mutex_unlock(&store->mutex);
}

/* gap: what could not be noted as one. */
static void answer(struct netfs_namestore *store, struct netfs_note *note, enum gap gap)
{
	int err = gap == GAP_CHANGE ? -EHOSTDOWN : netfs_name_table_ask(&store->table, note);

	if (err == -EUCLEAN)
		reopen(store);
	note->done(note, err && err != -ENOENT ? -EHOSTDOWN : err);
}

static void work_through(struct netfs_namestore *store, struct netfs_list *queue, enum gap gap)
{
	do {
		struct netfs_list notes, *link;
		enum gap lost, left = GAP_NONE;
		bool told;
		int err;

		split(queue, &notes);
		told = gap || !netfs_list_empty(&notes);
		err = told ? do_notes(store, &notes, gap) : 0;
		lost = free_notes(&notes);
		if (err == -EUCLEAN)
			reopen(store);
		if (err)
			left = gap > lost ? gap : lost;
		widen_gap(store, left);
		if (told)
			learn_count(store);
		link = netfs_list_pop_front(queue);
		if (link)
			answer(store, netfs_container_of(link, struct netfs_note, link), left);
	} while (!netfs_list_empty(queue));
}

static void store_free(struct netfs_namestore *store)
{
	netfs_name_table_close(&store->table);
	netfs_rows_free(store->table.rows);
	if (store->table.folder >= 0)
		netfs_hostfs_close(store->table.folder);
	netfs_mutex_done(&store->mutex);
	netfs_free(store);
}

static void end(struct netfs_namestore *store)
{
	void (*closed)(void *user) = store->closed;
	void *user = store->user;

	store_free(store);
	if (closed)
		closed(user);
}

/* More to do?  Then it is in queue, else the worker may go.  first: it has just come. */
static bool more(struct netfs_namestore *store, struct netfs_list *queue, bool first,
		 enum gap *ret_gap, bool *ret_ended)
{
	bool go_on;

	netfs_mutex_lock(&store->mutex);
	netfs_list_splice_back(queue, &store->queue);
	store->queued = 0;
	/* A gap that cannot be noted is not tried again and again. */
	go_on = !netfs_list_empty(queue) || (first && store->gap);
	*ret_gap = store->gap;
	if (go_on) {
		store->gap = GAP_NONE;
	} else {
		*ret_ended = store->closing && !store->armed;
		set_state_locked(store, *ret_ended ? STORE_ENDED : STORE_IDLE);
	}
	netfs_mutex_unlock(&store->mutex);
	return go_on;
}

static void work(struct netfs_job *job)
{
	struct netfs_namestore *store = netfs_container_of(job, struct netfs_namestore, job);
	struct netfs_list queue;
	bool first = true, ended = false;
	enum gap gap;

	netfs_list_init(&queue);
	for (; more(store, &queue, first, &gap, &ended); first = false)
		work_through(store, &queue, gap);
	if (ended)
		end(store);
}

static void delay_over(struct netfs_task *task)
{
	struct netfs_namestore *store = netfs_container_of(task, struct netfs_namestore, task);

	netfs_mutex_lock(&store->mutex);
	store->armed = false;
	post_locked(store);
	netfs_mutex_unlock(&store->mutex);
}

/* ----------------------------------------------------- notes, questions */

uint64_t netfs_namestore_now(struct netfs_namestore *store)
{
	uint64_t last = atomic_load(&store->last), now;

	do {
		now = netfs_clock_real();
		if (now <= last)
			now = last + 1;
	} while (!atomic_compare_exchange_weak(&store->last, &last, now));
	return now;
}

/* With all it points at; NULL: no memory. */
static struct netfs_note *copy(const struct netfs_note *note)
{
	size_t name = note->name ? strlen(note->name) + 1 : 0;
	size_t to_name = note->to_name ? strlen(note->to_name) + 1 : 0;
	struct netfs_note *mine = netfs_alloc(sizeof(*mine) + name + to_name + note->text_len);
	char *at = (char *)(mine + 1);

	if (!mine)
		return NULL;
	*mine = *note;
	mine->done = NULL;
	if (name)
		mine->name = memcpy(at, note->name, name);
	at += name;
	if (to_name)
		mine->to_name = memcpy(at, note->to_name, to_name);
	at += to_name;
	if (note->text_len)
		memcpy(at, note->text, note->text_len);
	mine->text = at;
	netfs_list_init(&mine->link);
	return mine;
}

void netfs_namestore_tell(struct netfs_namestore *store, const struct netfs_note *note)
{
	struct netfs_note *mine = copy(note);

	netfs_mutex_lock(&store->mutex);
	if (mine && store->queued < QUEUE_MAX) {
		mine->seq = netfs_namestore_now(store);
		netfs_list_push_back(&store->queue, &mine->link);
		store->queued++;
		mine = NULL;
	} else {
		widen_gap_locked(store, gap_of(note));
	}
	if (store->queued > QUEUE_LONG) {
		post_locked(store);
	} else if (store->state == STORE_IDLE && !store->armed) {
		store->armed = true;
		netfs_timer_start(&store->timer, DELAY_NS);
	}
	netfs_mutex_unlock(&store->mutex);
	netfs_free(mine);
}

void netfs_namestore_ask(struct netfs_namestore *store, struct netfs_note *note)
{
	netfs_list_init(&note->link);
	netfs_mutex_lock(&store->mutex);
	netfs_list_push_back(&store->queue, &note->link);
	post_locked(store);
	netfs_mutex_unlock(&store->mutex);
}

uint64_t netfs_namestore_count(struct netfs_namestore *store)
{
	return atomic_load(&store->names);
}

/* ------------------------------------------------------- birth and end */

static void read_share(struct netfs_namestore *store)
{
	struct netfs_note root = {.kind = NETFS_ASK_NAME_ATTR};
	int err = netfs_name_table_share(&store->table, &store->share);

	root.id = store->share.root;
	if (!err)
		err = netfs_name_table_ask(&store->table, &root);
	store->share_known = !err;
	store->root = root.attr;
}

bool netfs_namestore_share(struct netfs_namestore *store, struct netfs_name_share *ret_share,
			   struct netfs_attr *ret_root)
{
	*ret_share = store->share;
	*ret_root = store->root;
	return store->share_known;
}

static int store_open(struct netfs_namestore *store, const struct netfs_namestore_config *config)
{
	int err = netfs_rows_new(config->volume, config->secret, config->secret_len,
				 &store->table.rows, store->file);

	if (err)
		return err;
	store->table.file = store->file;
	store->table.folder = netfs_place_open(config->folder, "names");
	if (store->table.folder < 0)
		return store->table.folder;
	return netfs_name_table_open(&store->table);
}

int netfs_namestore_open(const struct netfs_namestore_config *config,
			 struct netfs_namestore **ret_store, char *message, size_t message_size)
{
	struct netfs_namestore *store = netfs_zalloc(sizeof(*store));
	int err;

	if (!store)
		return -ENOMEM;
	netfs_mutex_init(&store->mutex, NETFS_RANK_CACHE);
	netfs_list_init(&store->queue);
	store->job.fn = work;
	netfs_task_init(&store->task, delay_over);
	netfs_timer_init(&store->timer, &store->task);
	store->rows_max = config->rows ? config->rows : ROWS_MAX;
	store->table.folder = -1;
	err = store_open(store, config);
	if (err) {
		snprintf(message, message_size, "the names in %.180s: %s", config->folder,
			 err == -EMEDIUMTYPE ? "of another format; remove its folder names"
					     : strerrordesc_np(-err));
		store_free(store);
		return err;
	}
	read_share(store);
	learn_count(store);
	*ret_store = store;
	return 0;
}

void netfs_namestore_close(struct netfs_namestore *store, void (*closed)(void *user), void *user)
{
	if (!store)
		return;
	netfs_mutex_lock(&store->mutex);
	store->closing = true;
	store->closed = closed;
	store->user = user;
	if (store->armed && netfs_timer_stop(&store->timer))
		store->armed = false;
	post_locked(store);
	netfs_mutex_unlock(&store->mutex);
}
