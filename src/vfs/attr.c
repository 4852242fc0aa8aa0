/* SPDX-License-Identifier: MIT */
/*
 * Attributes: what the server told, what we changed meanwhile, and what a
 * caller is shown.
 *
 * Three questions are answered for each answer that arrives.
 *
 * Is it older than what we know?  Every question takes a stamp when it is sent,
 * every change of ours takes one when it has happened; an answer whose stamp is
 * below the vnode's is dropped.
 *
 * Does its size count?  Only if no byte was changed here since the question
 * was sent, and none was on its way then: the core's view tells, by seq and
 * dirty.  For a question that was not about this vnode in particular (a lookup)
 * there is no seq; then its size counts if nobody writes and the last local
 * change ended before the question.
 *
 * Did somebody else change the data?  The version that our data came from is
 * kept with the seq of that moment.  Another version means a change by others
 * if that seq still stands; if it does not, our own uploads lie in between and
 * the new version is adopted as ours.  Where the server promised that nobody else
 * had the file, its version is not asked for after each upload; the one that is
 * told next is ours only if that promise held until then.
 *
 * How long is it believed?  For a time, or while a promise of the server holds
 * (a lease) that was there when it was told: then without asking.  Somewhat longer
 * where the server tells of every change in the directory (watch.c).
 *
 * The core is told sizes with no lock held, so two answers may reach it in the
 * wrong order; the later one is then told again.
 *
 * Locks: the vnode's mutex.  The mount's is taken before it or alone.
 */
#include <sys/stat.h>
#include <base/checked_math.h>
#include <env/clock.h>
#include <unetfs/backend.h>
#include <unetfs/cache.h>
#include <vfs/mount.h>
#include <vfs/vnode.h>
#include <vfs/whole.h>

/* Servers tell of a change within this time, mostly. */
#define OURS_NS (5 * NETFS_NS_PER_SEC)

static uint64_t until(uint64_t from_ns, uint32_t ttl_ms)
{
	if (ttl_ms == NETFS_TTL_FOREVER)
		return UINT64_MAX;
	return netfs_saturating_add(from_ns, ttl_ms * NETFS_NS_PER_MS);
}

static uint64_t attr_until(struct netfs_vnode *vnode, uint64_t from_ns)
{
	const struct netfs_vfs_config *config = &vnode->mount->config;

	return until(from_ns,
		     netfs_vnode_directory(vnode) ? config->dir_ttl_ms : config->attr_ttl_ms);
}

static bool time_equal(const struct netfs_time *a, const struct netfs_time *b)
{
	return a->sec == b->sec && a->nsec == b->nsec;
}

static bool time_before(const struct netfs_time *a, const struct netfs_time *b)
{
	return a->sec != b->sec ? a->sec < b->sec : a->nsec < b->nsec;
}

static struct netfs_version version_of(const struct netfs_attr *attr)
{
	return (struct netfs_version){
		.counter = attr->version,
		.mtime = attr->mtime,
		.ctime = attr->ctime,
		.size = attr->size,
	};
}

/* Could the data still be the same, going by what only data changes? */
static bool version_same_data(const struct netfs_version *a, const struct netfs_version *b)
{
	return time_equal(&a->mtime, &b->mtime) && a->size == b->size;
}

/* Is this the version our data came from? */
static bool version_same(const struct netfs_vnode *vnode, const struct netfs_version *version)
{
	const struct netfs_version *ours = &vnode->version;

	/* A rename or link of ours moves ctime and counter alone. */
	if (vnode->meta_changed && version_same_data(ours, version))
		return true;
	if (vnode->mount->be->caps & NETFS_BE_CHANGE_COUNTER)
		return ours->counter == version->counter;
	return version_same_data(ours, version) && time_equal(&ours->ctime, &version->ctime);
}

void netfs_attr_tell_cache_locked(struct netfs_vnode *vnode, bool known)
{
	struct netfs_cookie *cookie = netfs_vnode_regular(vnode) ? vnode->inode.cookie : NULL;
	struct netfs_cache_version version = {
		.counter = vnode->version.counter,
		.mtime = vnode->version.mtime,
		.ctime = vnode->version.ctime,
		.size = vnode->version.size,
	};

	if (cookie && cookie->ops->version)
		cookie->ops->version(cookie, known ? &version : NULL);
}

static void view_of(struct netfs_vnode *vnode, struct netfs_inode_view *ret_view)
{
	*ret_view = (struct netfs_inode_view){0};
	if (netfs_vnode_regular(vnode))
		netfs_inode_view(&vnode->inode, ret_view);
}

static uint32_t promise_now(struct netfs_vnode *vnode)
{
	uint32_t word;

	netfs_mutex_lock(&vnode->mutex);
	word = vnode->node ? netfs_node_promise_now(vnode->node) : 0;
	netfs_mutex_unlock(&vnode->mutex);
	return word;
}

/* What was told is covered by word, if that still holds.  The server does not wait
 * until we heard that it does not, which is too late where nothing is to be cached. */
static void cover_locked(struct netfs_vnode *vnode, uint32_t word)
{
	bool holds = vnode->node && !vnode->mount->config.unbuffered &&
		     netfs_node_promised(vnode->node, word, NETFS_PROMISE_READ);

	vnode->attr_promise = holds ? word : 0;
}

static bool covered_locked(const struct netfs_vnode *vnode)
{
	return vnode->attr_promise &&
	       netfs_node_promised(vnode->node, vnode->attr_promise, NETFS_PROMISE_READ);
}

/* An answer is being taken: is what it says the work of others, although it comes
 * after uploads of ours? */
static bool adopts_too_late_locked(struct netfs_vnode *vnode)
{
	bool lapsed = vnode->adopts_late && !covered_locked(vnode);

	vnode->adopts_late = false;
	return lapsed;
}

static bool watched_locked(const struct netfs_vnode *vnode)
{
	return vnode->told_watch && vnode->attr_until_ns &&
	       netfs_watch_covers(vnode->told_dir, vnode->told_watch, vnode->attr_until_ns);
}

void netfs_attr_ask(struct netfs_mount *mount, struct netfs_vnode *vnode,
		    struct netfs_asked *ret_asked)
{
	*ret_asked = (struct netfs_asked){
		.stamp = netfs_mount_stamp(mount),
		.sent_ns = netfs_clock_now(),
		.about = vnode,
	};
	if (vnode) {
		struct netfs_inode_view view;

		view_of(vnode, &view);
		ret_asked->dirty = view.dirty;
		ret_asked->seq = view.seq;
		ret_asked->promise = promise_now(vnode);
		ret_asked->watch = netfs_watch_now(vnode);
	}
}

/* The version was adopted when the core looked like view, and the core was told.
 * Where something was changed since, the cache holds data of no version. */
static void tell_cache_after_locked(struct netfs_vnode *vnode, const struct netfs_inode_view *view)
{
	struct netfs_inode_view now;

	netfs_attr_tell_cache_locked(vnode, true);
	view_of(vnode, &now);
	if (now.dirty || now.seq != view->seq)
		netfs_attr_tell_cache_locked(vnode, false);
}

/* Does the size in the answer say anything about the file as it is now? */
static bool size_counts(struct netfs_vnode *vnode, const struct netfs_asked *asked,
			const struct netfs_inode_view *view)
{
	if (view->dirty)
		return false;
	if (asked->about == vnode)
		return !asked->dirty && asked->seq == view->seq;
	return vnode->writers == 0 && !atomic_load(&vnode->busy) &&
	       vnode->changed_stamp < asked->stamp;
}

/* Tells the core the newest size that counts.  True where those above must be
 * told.  Called and returns with the mutex held. */
static bool tell_core_locked(struct netfs_vnode *vnode, bool changed)
{
	bool told = false;
	uint64_t stamp;

	do {
		uint64_t size = vnode->version.size;
		uint64_t seq = vnode->size_seq;

		stamp = vnode->size_stamp;
		netfs_mutex_unlock(&vnode->mutex);
		told |= netfs_inode_remote_update(&vnode->inode, size, seq, changed);
		/* Not taken because somebody changes the size just now: the
		 * data is stale all the same. */
		if (changed && !told) {
			netfs_inode_invalidate(&vnode->inode, 0, UINT64_MAX);
			told = true;
		}
		netfs_mutex_lock(&vnode->mutex);
		changed = false;
	} while (vnode->size_stamp != stamp);
	return told;
}

static bool file_answer_locked(struct netfs_vnode *vnode, const struct netfs_attr *attr,
			       const struct netfs_asked *asked)
{
	struct netfs_version version = version_of(attr);
	struct netfs_inode_view view;
	bool changed, told;

	view_of(vnode, &view);
	if (!size_counts(vnode, asked, &view)) {
		/* Ask again, unless what we have is newer than the server's. */
		if (!view.dirty)
			vnode->attr_until_ns = 0;
		if (!vnode->adopts_late)
			vnode->attr_promise = 0;
		return false;
	}
	changed = adopts_too_late_locked(vnode);
	cover_locked(vnode, asked->promise);
	if (vnode->version_seq == view.seq)
		changed = !version_same(vnode, &version);
	vnode->meta_changed = false;
	vnode->doubted = false;
	vnode->version = version;
	vnode->version_seq = view.seq;
	vnode->size_stamp = asked->stamp;
	vnode->size_seq = view.seq;
	if (changed) {
		vnode->epoch++;
		/* The time is theirs now. */
		atomic_store(&vnode->owes_mtime, false);
		netfs_count(&vnode->mount->stats, invalidations);
	}
	if (changed)
		netfs_attr_tell_cache_locked(vnode, false);
	told = tell_core_locked(vnode, changed);
	if (vnode->version_seq == view.seq)
		tell_cache_after_locked(vnode, &view);
	return told;
}

/* True where the names in it may mean something else now. */
static bool directory_answer_locked(struct netfs_vnode *vnode, const struct netfs_attr *attr,
				    const struct netfs_asked *asked)
{
	struct netfs_version version = version_of(attr);
	bool changed = !vnode->names_changed && !version_same(vnode, &version);

	vnode->version = version;
	vnode->names_changed = false;
	vnode->told_dir = vnode;
	vnode->told_watch = asked->about == vnode ? asked->watch : 0;
	return changed;
}

static bool told_same(const struct netfs_attr *a, const struct netfs_attr *b)
{
	return a->version == b->version && a->size == b->size && time_equal(&a->mtime, &b->mtime) &&
	       time_equal(&a->ctime, &b->ctime);
}

static void answer_locked(struct netfs_vnode *vnode, const struct netfs_attr *attr,
			  const struct netfs_asked *asked)
{
	if (!vnode->steady_ns || !told_same(&vnode->attr, attr)) {
		vnode->steady_ns = netfs_clock_now();
		vnode->told_watch = 0;
	}
	vnode->attr_stamp = asked->stamp;
	vnode->attr = *attr;
	if (asked->sent_ns >= vnode->look_again_ns)
		vnode->look_again_ns = 0;
	vnode->attr_until_ns =
		asked->stamp < vnode->stale_stamp ? 0 : attr_until(vnode, asked->sent_ns);
}

void netfs_attr_answer(struct netfs_vnode *vnode, const struct netfs_attr *attr,
		       const struct netfs_asked *asked)
{
	struct netfs_mount *mount = vnode->mount;
	bool data_changed = false, names_changed = false;

	netfs_mutex_lock(&vnode->mutex);
	if (asked->stamp < vnode->attr_stamp) {
		netfs_mutex_unlock(&vnode->mutex);
		return;
	}
	answer_locked(vnode, attr, asked);
	if (netfs_vnode_regular(vnode))
		data_changed = file_answer_locked(vnode, attr, asked);
	else if (netfs_vnode_directory(vnode))
		names_changed = directory_answer_locked(vnode, attr, asked);
	netfs_mutex_unlock(&vnode->mutex);
	if (data_changed)
		netfs_mount_notify_data(mount, vnode->ino);
	if (names_changed) {
		netfs_mutex_lock(&mount->mutex);
		netfs_names_drop_children(vnode);
		netfs_mutex_unlock(&mount->mutex);
	}
}

/* The version after a change of ours is one that our data belongs to. */
static void adopt_locked(struct netfs_vnode *vnode, const struct netfs_attr *attr,
			 const struct netfs_inode_view *view)
{
	vnode->version = version_of(attr);
	vnode->doubted = false;
	vnode->version_seq = view->seq;
	vnode->size_stamp = vnode->attr_stamp;
	vnode->size_seq = view->seq;
}

static void take_answer_locked(struct netfs_vnode *vnode, const struct netfs_attr *attr)
{
	vnode->attr_stamp = netfs_mount_stamp(vnode->mount);
	vnode->attr = *attr;
	vnode->attr_until_ns = attr_until(vnode, netfs_clock_now());
	vnode->steady_ns = netfs_clock_now();
	vnode->told_watch = 0;
}

void netfs_attr_changed(struct netfs_vnode *vnode, const struct netfs_attr *attr,
			const struct netfs_asked *asked)
{
	struct netfs_version version = version_of(attr);
	struct netfs_inode_view view;
	bool told = false, changed;

	netfs_mutex_lock(&vnode->mutex);
	take_answer_locked(vnode, attr);
	view_of(vnode, &view);
	if (netfs_vnode_regular(vnode) && !view.dirty && !asked->dirty && view.seq == asked->seq) {
		/* Times that we set ourselves could hide a change by others. */
		changed = adopts_too_late_locked(vnode);
		if (view.seq == vnode->version_seq)
			changed = !version_same_data(&version, &vnode->version);
		if (changed)
			vnode->epoch++;
		adopt_locked(vnode, attr, &view);
		cover_locked(vnode, asked->promise);
		if (changed)
			netfs_attr_tell_cache_locked(vnode, false);
		told = tell_core_locked(vnode, changed);
		tell_cache_after_locked(vnode, &view);
	}
	netfs_mutex_unlock(&vnode->mutex);
	if (told)
		netfs_mount_notify_data(vnode->mount, vnode->ino);
}

void netfs_attr_resized(struct netfs_vnode *vnode, const struct netfs_attr *attr,
			const struct netfs_asked *asked)
{
	struct netfs_inode_view view;
	bool suspect;

	netfs_mutex_lock(&vnode->mutex);
	/* Our clean data may have been of an older version than the one that
	 * was changed; nobody can tell any more. */
	suspect = adopts_too_late_locked(vnode) ||
		  (!asked->dirty && asked->seq == vnode->version_seq);
	view_of(vnode, &view);
	if (view.size == 0)
		suspect = false;
	if (attr)
		take_answer_locked(vnode, attr);
	else
		vnode->attr_until_ns = 0;
	vnode->attr_stamp = netfs_mount_stamp(vnode->mount);
	vnode->changed_stamp = vnode->attr_stamp;
	vnode->doubted = true;
	if (attr && !view.dirty)
		adopt_locked(vnode, attr, &view);
	cover_locked(vnode, attr && !view.dirty ? asked->promise : 0);
	if (attr && !view.dirty && !suspect)
		tell_cache_after_locked(vnode, &view);
	if (suspect)
		vnode->epoch++;
	netfs_mutex_unlock(&vnode->mutex);
	if (suspect) {
		netfs_inode_invalidate(&vnode->inode, 0, UINT64_MAX);
		netfs_mount_notify_data(vnode->mount, vnode->ino);
	}
}

void netfs_attr_expire(struct netfs_vnode *vnode)
{
	netfs_mutex_lock(&vnode->mutex);
	vnode->attr_until_ns = 0;
	vnode->attr_promise = 0;
	vnode->attr_stamp = netfs_mount_stamp(vnode->mount);
	vnode->meta_changed = true;
	vnode->doubted = true;
	netfs_mutex_unlock(&vnode->mutex);
}

uint64_t netfs_attr_expire_names(struct netfs_vnode *dir, uint64_t since)
{
	struct netfs_mount *mount = dir->mount;
	uint64_t stamp;

	netfs_mutex_lock(&mount->mutex);
	dir->names_stamp = netfs_mount_stamp(mount);
	netfs_mutex_unlock(&mount->mutex);
	netfs_mutex_lock(&dir->mutex);
	stamp = netfs_mount_stamp(mount);
	if (dir->attr_stamp > since || dir->stale_stamp > since)
		since = 0;
	dir->attr_until_ns = 0;
	dir->attr_stamp = stamp;
	dir->names_changed = true;
	netfs_mutex_unlock(&dir->mutex);
	netfs_whole_drop(dir);
	return since ? stamp : 0;
}

static bool unadopted_locked(struct netfs_vnode *vnode, const struct netfs_inode_view *view)
{
	return netfs_vnode_regular(vnode) && (view->dirty || view->seq != vnode->version_seq);
}

bool netfs_attr_certain(struct netfs_vnode *vnode, struct netfs_version *ret_version)
{
	struct netfs_inode_view view;
	bool certain;

	netfs_mutex_lock(&vnode->mutex);
	view_of(vnode, &view);
	certain = !unadopted_locked(vnode, &view) && !vnode->doubted;
	*ret_version = vnode->version;
	netfs_mutex_unlock(&vnode->mutex);
	return certain;
}

bool netfs_attr_unadopted(struct netfs_vnode *vnode)
{
	struct netfs_inode_view view;
	bool unadopted;

	netfs_mutex_lock(&vnode->mutex);
	view_of(vnode, &view);
	unadopted = unadopted_locked(vnode, &view);
	netfs_mutex_unlock(&vnode->mutex);
	return unadopted;
}

/* The disk cache wants the version of what it keeps, or forgets that. */
bool netfs_attr_adopt_late(struct netfs_vnode *vnode)
{
	bool late = netfs_attr_exclusive(vnode);

	netfs_mutex_lock(&vnode->mutex);
	/* What waits already goes on waiting, also while the server is away. */
	if (late && !vnode->inode.cookie && covered_locked(vnode))
		vnode->adopts_late = true;
	late = vnode->adopts_late;
	netfs_mutex_unlock(&vnode->mutex);
	return late;
}

/* A notice was taken for ours, and what we know is believed no longer without asking. */
static bool second_look_due_locked(const struct netfs_vnode *vnode)
{
	return vnode->look_again_ns && netfs_clock_now() >= vnode->look_again_ns;
}

bool netfs_attr_fresh(struct netfs_vnode *vnode)
{
	struct netfs_inode_view view;
	bool fresh;

	netfs_mutex_lock(&vnode->mutex);
	view_of(vnode, &view);
	/* Written and sent since: the server knows better. */
	fresh = (netfs_clock_now() < vnode->attr_until_ns || covered_locked(vnode) ||
		 watched_locked(vnode)) &&
		(view.dirty || !unadopted_locked(vnode, &view)) && !second_look_due_locked(vnode);
	netfs_mutex_unlock(&vnode->mutex);
	return fresh;
}

bool netfs_attr_watched(struct netfs_vnode *vnode)
{
	bool watched;

	netfs_mutex_lock(&vnode->mutex);
	watched = watched_locked(vnode);
	netfs_mutex_unlock(&vnode->mutex);
	return watched;
}

static void show_unsent(struct netfs_attr *attr, const struct netfs_inode_view *view)
{
	struct netfs_time written = {
		.sec = (int64_t)(view->mtime_ns / NETFS_NS_PER_SEC),
		.nsec = (uint32_t)(view->mtime_ns % NETFS_NS_PER_SEC),
	};
	uint64_t blocks = view->size / 512 + (view->size % 512 != 0);

	if (time_before(&attr->mtime, &written))
		attr->mtime = written;
	if (time_before(&attr->ctime, &written))
		attr->ctime = written;
	/* Too few would let programs take the data for a hole. */
	if (attr->blocks < blocks)
		attr->blocks = blocks;
}

void netfs_attr_show(struct netfs_vnode *vnode, struct netfs_attr *ret_attr, uint32_t *ret_ttl_ms)
{
	uint64_t now = netfs_clock_now();
	struct netfs_inode_view view;
	uint64_t left;

	netfs_mutex_lock(&vnode->mutex);
	view_of(vnode, &view);
	*ret_attr = vnode->attr;
	if (netfs_vnode_regular(vnode))
		ret_attr->size = view.size;
	if (unadopted_locked(vnode, &view))
		show_unsent(ret_attr, &view);
	netfs_times_show(vnode, &view, ret_attr);
	left = vnode->attr_until_ns > now ? (vnode->attr_until_ns - now) / NETFS_NS_PER_MS : 0;
	if ((covered_locked(vnode) || watched_locked(vnode)) &&
	    left < vnode->mount->config.attr_ttl_ms)
		left = vnode->mount->config.attr_ttl_ms;
	netfs_mutex_unlock(&vnode->mutex);
	if (atomic_load(&vnode->silly) && ret_attr->nlink)
		ret_attr->nlink--;
	*ret_ttl_ms = left < NETFS_TTL_FOREVER ? (uint32_t)left : NETFS_TTL_FOREVER;
}

static void notify_child(void *user, const char *name)
{
	struct netfs_vnode *dir = user;

	netfs_mount_notify_entry(dir->mount, dir->ino, name);
}

bool netfs_attr_promised(struct netfs_vnode *vnode)
{
	bool promised;

	netfs_mutex_lock(&vnode->mutex);
	promised = covered_locked(vnode) && !second_look_due_locked(vnode);
	netfs_mutex_unlock(&vnode->mutex);
	return promised;
}

bool netfs_attr_exclusive(struct netfs_vnode *vnode)
{
	uint32_t word = promise_now(vnode);

	return word & NETFS_PROMISE_READ && word & NETFS_PROMISE_WRITE;
}

/* Others may change it from now on.  Clean data goes, here, on the disk and
 * above; what arrives later is of a version that is asked for first. */
void netfs_attr_recalled(struct netfs_vnode *vnode)
{
	netfs_mutex_lock(&vnode->mutex);
	vnode->attr_until_ns = 0;
	vnode->attr_promise = 0;
	vnode->epoch++;
	netfs_attr_tell_cache_locked(vnode, false);
	netfs_mutex_unlock(&vnode->mutex);
	netfs_count(&vnode->mount->stats, invalidations);
	if (netfs_vnode_regular(vnode))
		netfs_inode_invalidate(&vnode->inode, 0, UINT64_MAX);
	netfs_mount_notify_data(vnode->mount, vnode->ino);
}

/* May we have changed it a moment ago, or be about to? */
static bool ours_locked(struct netfs_vnode *vnode)
{
	uint64_t since = netfs_saturating_add(vnode->steady_ns, OURS_NS);
	struct netfs_inode_view view;

	view_of(vnode, &view);
	return vnode->writers || vnode->adopts_late || unadopted_locked(vnode, &view) ||
	       netfs_clock_now() < since;
}

void netfs_attr_touched(struct netfs_vnode *vnode)
{
	bool stale;

	netfs_mutex_lock(&vnode->mutex);
	stale = !covered_locked(vnode) || !ours_locked(vnode);
	vnode->stale_stamp = netfs_mount_stamp(vnode->mount);
	/* It may have been of somebody on the server's machine all the same. */
	if (!stale && !vnode->look_again_ns)
		vnode->look_again_ns = netfs_saturating_add(netfs_clock_now(), OURS_NS);
	if (stale) {
		vnode->attr_until_ns = 0;
		/* No lease keeps programs on the server's machine from it. */
		vnode->attr_promise = 0;
	}
	netfs_mutex_unlock(&vnode->mutex);
	if (stale)
		netfs_mount_notify_attr(vnode->mount, vnode->ino);
}

void netfs_attr_stale(struct netfs_vnode *vnode)
{
	struct netfs_mount *mount = vnode->mount;

	netfs_mutex_lock(&vnode->mutex);
	vnode->attr_until_ns = 0;
	vnode->attr_promise = 0;
	vnode->stale_stamp = netfs_mount_stamp(mount);
	netfs_mutex_unlock(&vnode->mutex);
	if (netfs_vnode_directory(vnode)) {
		/* notify only queues, so it may be called with the lock. */
		netfs_mutex_lock(&mount->mutex);
		vnode->names_stamp = netfs_mount_stamp(mount);
		netfs_names_each(vnode, notify_child, vnode);
		netfs_names_drop_children(vnode);
		netfs_mutex_unlock(&mount->mutex);
	}
	netfs_mount_notify_data(mount, vnode->ino);
}
