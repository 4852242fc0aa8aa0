/* SPDX-License-Identifier: MIT */
/*
 * Files made one after the other in a directory.
 *
 * Whoever makes a file has the kernel look it up first.  That a name is not there is
 * not believed without a watch (where no negtimeo= says otherwise), because a program
 * may have been told of a file by another machine and must find it; so each new file
 * costs a round trip for nothing.  Here a directory can earn that it does not:
 *
 *	EARNING -- so many missing, then made, none between --> READING --> KNOWN
 *	   ^                                                               |
 *	   +---- one was missing and is not made, or the time is over -----+
 *
 * The directory is read in the background.  After that a name that is not among those
 * is missing, without asking, for as long as names are believed (entry_ttl_ms, where
 * nobody gave times, from before the directory was read); the CREATE that follows is
 * decided at the server, so what others made meanwhile is found there.  Who only looks
 * for names pays with at most one answer that is so old, and ends it.  The directory is
 * read again while that pays.
 *
 * Names are kept as numbers (64 bits of a hash, letters of ASCII folded: another case may
 * be the same to the server); two that share one cost a question.  Names that a server
 * may know by another form are always asked for.
 *
 * Locks: the mount's mutex.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <base/checked_math.h>
#include <base/limits.h>
#include <env/alloc.h>
#include <env/clock.h>
#include <vfs/restore.h>
#include <vfs/vcall.h>

/* ------------------------------------------------------------- names */

static bool plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || strchr("._-+=,@%#()[]{}", c);
}

/* 0: the server may know that name by another form, or another name by this one. */
static uint64_t number_of(const struct netfs_vnode *dir, const char *name)
{
	char text[NETFS_NAME_MAX + 1];
	size_t len = 0;

	for (; name[len] && len < NETFS_NAME_MAX; len++) {
		char c = name[len];

		text[len] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
		if (!plain(text[len]))
			return 0;
	}
	if (len == 0 || name[len] || text[len - 1] == '.')
		return 0;
	return netfs_hash_bytes(dir->mount->hash_seed, text, len) | 1;
}

static uint64_t *place_of(const struct netfs_nameset *set, uint64_t number)
{
	uint32_t at = (uint32_t)(number >> 8) & (set->room - 1);

	while (set->slots[at] && set->slots[at] != number)
		at = (at + 1) & (set->room - 1);
	return &set->slots[at];
}

static void set_clear(struct netfs_nameset *set)
{
	netfs_free(set->slots);
	*set = (struct netfs_nameset){0};
}

static bool set_grow(struct netfs_nameset *set)
{
	struct netfs_nameset more = {.room = set->room ? set->room * 2 : 256, .count = set->count};

	more.slots = netfs_zalloc(more.room * sizeof(*more.slots));
	if (!more.slots)
		return false;
	for (uint32_t i = 0; i < set->room; i++) {
		if (set->slots[i])
			*place_of(&more, set->slots[i]) = set->slots[i];
	}
	netfs_free(set->slots);
	*set = more;
	return true;
}

/* False: there are too many, or there is no memory. */
static bool set_add(struct netfs_nameset *set, uint64_t number)
{
	uint64_t *place;

	if (!number)
		return true;
	if (set->count >= NETFS_BURST_NAMES_MAX)
		return false;
	if (set->count * 2 >= set->room && !set_grow(set))
		return false;
	place = place_of(set, number);
	set->count += *place == 0;
	*place = number;
	return true;
}

static bool set_has(const struct netfs_nameset *set, uint64_t number)
{
	return set->room && *place_of(set, number) == number;
}

/* ------------------------------------------------------------ states */

static void set_state_locked(struct netfs_mount *mount, struct netfs_burst *burst,
			     enum netfs_burst_state state)
{
	netfs_assert_held(&mount->mutex);
	burst->state = state;
	burst->turn = ++mount->bursts.turn;
	burst->served = 0;
	if (state == NETFS_BURST_EARNING)
		set_clear(&burst->names);
}

static void give_up_locked(struct netfs_mount *mount, struct netfs_burst *burst, uint32_t pause_ms)
{
	set_state_locked(mount, burst, NETFS_BURST_EARNING);
	burst->not_before_ns = netfs_saturating_add(netfs_clock_now(), pause_ms * NETFS_NS_PER_MS);
}

static struct netfs_burst *find_locked(const struct netfs_vnode *dir)
{
	struct netfs_bursts *bursts = &dir->mount->bursts;

	netfs_assert_held(&dir->mount->mutex);
	for (unsigned i = 0; i < NETFS_BURSTS; i++) {
		if (bursts->place[i].dir == dir)
			return &bursts->place[i];
	}
	return NULL;
}

static struct netfs_burst *begin_locked(struct netfs_vnode *dir)
{
	struct netfs_bursts *bursts = &dir->mount->bursts;
	struct netfs_burst *oldest = &bursts->place[0];

	for (unsigned i = 1; i < NETFS_BURSTS; i++) {
		if (bursts->place[i].used < oldest->used)
			oldest = &bursts->place[i];
	}
	set_clear(&oldest->names);
	*oldest = (struct netfs_burst){.dir = dir};
	set_state_locked(dir->mount, oldest, NETFS_BURST_EARNING);
	return oldest;
}

void netfs_burst_drop_locked(struct netfs_vnode *dir)
{
	struct netfs_burst *burst = find_locked(dir);

	if (!burst)
		return;
	set_clear(&burst->names);
	*burst = (struct netfs_burst){0};
}

void netfs_bursts_done(struct netfs_bursts *bursts)
{
	for (unsigned i = 0; i < NETFS_BURSTS; i++)
		set_clear(&bursts->place[i].names);
}

/* How long it is believed, in a burst, that a name is not there; 0: not at all. */
static uint32_t believed_ms(const struct netfs_mount *mount)
{
	const struct netfs_vfs_config *config = &mount->config;

	if (config->negative_ttl_ms)
		return config->negative_ttl_ms;
	/* Who says how long gets no more. */
	return config->watched_ms ? config->entry_ttl_ms : 0;
}

/* Are its names still believed?  If not it is looked whether they were worth it. */
static bool known_locked(struct netfs_mount *mount, struct netfs_burst *burst)
{
	uint64_t ttl_ns = believed_ms(mount) * NETFS_NS_PER_MS;
	bool paid;

	if (burst->state != NETFS_BURST_KNOWN)
		return false;
	if (netfs_clock_now() < netfs_saturating_add(burst->asked_ns, ttl_ns))
		return true;
	paid = burst->served >= NETFS_BURST_AFTER && burst->served >= burst->names.count / 64;
	give_up_locked(mount, burst, paid ? 0 : NETFS_BURST_PAUSE_MS);
	return false;
}

/* One is missing.  False: the one before was not made, so this is no burst. */
static bool missing_locked(struct netfs_mount *mount, struct netfs_burst *burst, uint64_t number)
{
	bool goes_on = number && (!burst->missing || burst->missing == number);

	burst->missing = number;
	if (goes_on)
		return true;
	burst->row = 0;
	set_state_locked(mount, burst, NETFS_BURST_EARNING);
	return false;
}

bool netfs_burst_missing(struct netfs_vnode *dir, const char *name)
{
	struct netfs_mount *mount = dir->mount;
	uint64_t number = number_of(dir, name);
	struct netfs_burst *burst;
	bool missing = false;

	netfs_mutex_lock(&mount->mutex);
	burst = find_locked(dir);
	/* Who looks a second time before it is made may be waiting for it. */
	if (burst && number && burst->missing != number && known_locked(mount, burst) &&
	    !set_has(&burst->names, number)) {
		missing = missing_locked(mount, burst, number);
		burst->served += missing;
	}
	netfs_mutex_unlock(&mount->mutex);
	return missing;
}

void netfs_burst_missed_locked(struct netfs_vnode *dir, const char *name)
{
	struct netfs_burst *burst = find_locked(dir);

	if (burst)
		missing_locked(dir->mount, burst, number_of(dir, name));
}

static void there_locked(struct netfs_burst *burst, uint64_t number)
{
	struct netfs_mount *mount = burst->dir->mount;

	if (burst->state != NETFS_BURST_EARNING && !set_add(&burst->names, number))
		give_up_locked(mount, burst, NETFS_BURST_LONG_PAUSE_MS);
}

void netfs_burst_there_locked(struct netfs_vnode *dir, const char *name)
{
	struct netfs_burst *burst = find_locked(dir);

	if (burst)
		there_locked(burst, number_of(dir, name));
}

/* -------------------------------------------------------------- read */

/* The burst that v reads for; NULL: nobody wants it any more. */
static struct netfs_burst *wanted_locked(struct netfs_vcall *v)
{
	struct netfs_burst *burst = find_locked(v->dir);

	return burst && burst->turn == v->start ? burst : NULL;
}

/* A name that is none of a plain kind is never asked about here. */
static bool read_name(struct netfs_op *op, const struct netfs_dirent *entry)
{
	struct netfs_ask *ask = netfs_container_of(op, struct netfs_ask, op);
	struct netfs_vcall *v = netfs_container_of(ask, struct netfs_vcall, ask);
	struct netfs_burst *burst;
	char name[NETFS_NAME_MAX + 1];

	if (entry->name_len > NETFS_NAME_MAX)
		return false;
	memcpy(name, entry->name, entry->name_len);
	name[entry->name_len] = 0;
	netfs_mutex_lock(&v->mount->mutex);
	burst = wanted_locked(v);
	if (burst)
		there_locked(burst, number_of(v->dir, name));
	burst = wanted_locked(v);
	netfs_mutex_unlock(&v->mount->mutex);
	v->start_to = entry->next;
	return burst;
}

static void read_over(struct netfs_vcall *v, int err)
{
	struct netfs_burst *burst;

	netfs_mutex_lock(&v->mount->mutex);
	burst = wanted_locked(v);
	if (burst && err)
		give_up_locked(v->mount, burst,
			       err == -E2BIG ? NETFS_BURST_LONG_PAUSE_MS : NETFS_BURST_PAUSE_MS);
	else if (burst)
		set_state_locked(v->mount, burst, NETFS_BURST_KNOWN);
	netfs_mutex_unlock(&v->mount->mutex);
	netfs_vcall_finish(v, err);
}

static void read_more(struct netfs_vcall *v, int err);

static void read_answered(struct netfs_vcall *v, int err)
{
	bool wanted;

	netfs_mutex_lock(&v->mount->mutex);
	wanted = wanted_locked(v);
	netfs_mutex_unlock(&v->mount->mutex);
	if (err || !wanted || v->ask.op.eof)
		read_over(v, err);
	else if (v->start_to == v->len)
		read_over(v, -EIO); /* it stands still */
	else
		read_more(v, 0);
}

static void read_more(struct netfs_vcall *v, int err)
{
	struct netfs_ask *ask = netfs_vcall_prepare(v, NETFS_ASK_READDIR);

	v->len = v->start_to;
	ask->handle = netfs_handle_get(v->handle);
	ask->start = v->start_to;
	ask->op.cred = v->cred;
	ask->op.fill = read_name;
	ask->op.most = NETFS_BURST_NAMES_MAX;
	netfs_vcall_ask(v, read_answered);
}

static void read_opened(struct netfs_vcall *v, int err)
{
	if (err) {
		read_over(v, err);
		return;
	}
	v->handle = netfs_take(v->ask.op.handle);
	read_more(v, 0);
}

static void read_open(struct netfs_vcall *v, int err)
{
	struct netfs_ask *ask = netfs_vcall_prepare(v, NETFS_ASK_OPEN);

	ask->node = netfs_vnode_node(v->dir);
	ask->op.cred = v->cred;
	ask->flags = O_RDONLY;
	netfs_vcall_ask(v, read_opened);
}

/* The caller holds the mount open. */
static void read_names(struct netfs_vnode *dir, const struct netfs_cred *cred, uint64_t turn)
{
	struct netfs_vcall *v = netfs_vcall_new_raw(dir->mount, NULL, true);

	if (!v) {
		netfs_mutex_lock(&dir->mount->mutex);
		netfs_burst_drop_locked(dir);
		netfs_mutex_unlock(&dir->mount->mutex);
		return;
	}
	v->dir = netfs_vnode_get(dir);
	v->cred = *cred;
	v->start = turn;
	netfs_vcall_start(v, read_open);
}

static bool earned_locked(const struct netfs_mount *mount, const struct netfs_burst *burst)
{
	return burst->state == NETFS_BURST_EARNING && burst->row >= NETFS_BURST_AFTER &&
	       netfs_clock_now() >= burst->not_before_ns && believed_ms(mount) &&
	       !(mount->be->caps & NETFS_BE_LOCAL) && !netfs_mount_restoring(mount);
}

void netfs_burst_made(struct netfs_vcall *v)
{
	struct netfs_mount *mount = v->mount;
	uint64_t number = number_of(v->dir, v->name), turn = 0;
	struct netfs_burst *burst;

	netfs_mutex_lock(&mount->mutex);
	burst = find_locked(v->dir);
	if (!burst) {
		burst = begin_locked(v->dir);
		burst->missing = number;
	}
	burst->used = netfs_mount_stamp(mount);
	if (number && burst->missing == number)
		burst->row++;
	burst->missing = 0;
	if (earned_locked(mount, burst)) {
		set_state_locked(mount, burst, NETFS_BURST_READING);
		burst->asked_ns = netfs_clock_now();
		turn = burst->turn;
	}
	there_locked(burst, number);
	netfs_mutex_unlock(&mount->mutex);
	if (turn)
		read_names(v->dir, &v->call->cred, turn);
}
