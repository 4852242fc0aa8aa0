/* SPDX-License-Identifier: MIT */
/*
 * Listing a directory.
 *
 * The server's entries are read in batches; a batch stays with the open file
 * until its entries are taken, so what one readdir had no room for is not asked
 * for again by the next.  With attributes, all entries of a batch are looked up
 * at once and handed on in their order.
 *
 * What one reader read from start to end is kept with the directory and handed
 * to the next ones as long as the version is the same (whole.c).
 *
 * Cookies.  A reader's 0 is the start, 1 is after ".", 2 after ".."; a server's
 * cookie c is handed out as c + 2, its 0 (the start) being our 2.  The two
 * largest numbers have no place left and end the listing with -EOVERFLOW.
 *
 * Silly names of this mount are left out; a batch of nothing else is followed
 * by the next.  A server that neither gives an entry nor says that the end is
 * reached, or whose cookie stands still, gets -EIO: there is no endless loop.
 *
 * Locks: the vnode's mutex guards file->batch; while a call works on a batch it
 * is the call's alone.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <base/limits.h>
#include <env/alloc.h>
#include <vfs/file.h>
#include <vfs/restore.h>
#include <vfs/vcall.h>
#include <vfs/whole.h>

#define COOKIE_DOTS 2

struct entry {
	const char *name; /* in the batch's text */
	uint32_t type;
	uint32_t entry_ttl_ms;
	uint64_t ino;
	uint64_t next; /* the reader's cookie */
	struct netfs_vnode *vnode;
};

/* o: the call that took it, else the file. */
struct netfs_batch {
	uint64_t position; /* the reader's cookie before the first not taken */
	uint64_t server_next; /* where the next batch begins */
	bool plus; /* looked up */
	bool eof; /* nothing follows */
	int bad; /* the server's entries were not acceptable */
	struct netfs_listing listing; /* from the start to server_next */
	struct netfs_object *kept; /* pinned: the entries come from here */
	const void *kept_data;
	size_t kept_size;
	size_t kept_at;
	uint32_t count;
	uint32_t taken;
	uint32_t text_used;
	struct entry entries[NETFS_READDIR_BATCH];
	char text[NETFS_READDIR_TEXT];
};

/* One lookup of a batch. */
struct plus {
	struct netfs_ask ask;
	struct netfs_asked asked;
	struct netfs_vcall *v;
	struct entry *entry;
	struct netfs_vnode *hint; /* a reference */
};

/* What a readdir call has besides the common part: v->scratch. */
struct listing {
	netfs_fill_fn fill;
	bool plus;
	bool filled; /* the reader got something */
	struct netfs_batch *batch;
	_Atomic uint32_t pending; /* lookups, and the one that sends them */
	struct plus lookups[]; /* NETFS_READDIR_PLUS of them where plus is set */
};

static void batch_clear(struct netfs_batch *batch)
{
	for (uint32_t i = batch->taken; i < batch->count; i++) {
		if (batch->entries[i].vnode)
			netfs_vnode_put(batch->entries[i].vnode);
	}
	batch->count = batch->taken = batch->text_used = 0;
	batch->eof = false;
	batch->bad = 0;
}

/* It goes on somewhere else than where it stopped. */
static void batch_jump(struct netfs_batch *batch)
{
	batch_clear(batch);
	netfs_listing_drop(&batch->listing);
	netfs_object_unpin(netfs_take(batch->kept));
}

void netfs_batch_free(struct netfs_batch *batch)
{
	if (!batch)
		return;
	batch_jump(batch);
	netfs_free(batch);
}

static struct listing *listing_of(struct netfs_vcall *v)
{
	return v->scratch;
}

static struct netfs_batch *batch_take(struct netfs_file *file)
{
	struct netfs_batch *batch;

	netfs_mutex_lock(&file->vnode->mutex);
	batch = netfs_take(file->batch);
	netfs_mutex_unlock(&file->vnode->mutex);
	return batch;
}

static void batch_return(struct netfs_file *file, struct netfs_batch *batch)
{
	struct netfs_batch *old;

	netfs_mutex_lock(&file->vnode->mutex);
	old = file->batch;
	file->batch = batch;
	netfs_mutex_unlock(&file->vnode->mutex);
	netfs_batch_free(old);
}

static void list_end(struct netfs_vcall *v, int err)
{
	struct listing *list = listing_of(v);

	if (err)
		netfs_batch_free(list->batch);
	else
		batch_return(v->file, list->batch);
	list->batch = NULL;
	/* What was handed out counts; the error comes again next time. */
	netfs_vcall_finish(v, list->filled ? 0 : err);
}

/* ---------------------------------------------------------- handing on */

/* False: the reader has no room. */
static bool hand_on(struct netfs_vcall *v, struct entry *entry)
{
	struct listing *list = listing_of(v);
	struct netfs_direntry out = {
		.name = entry->name,
		.ino = entry->ino,
		.type = entry->type,
		.next = entry->next,
	};

	if (list->plus && entry->vnode && !netfs_vnode_held_back(v, entry->vnode)) {
		out.vnode = entry->vnode;
		out.entry_ttl_ms = entry->entry_ttl_ms;
		netfs_attr_show(entry->vnode, &out.attr, &out.attr_ttl_ms);
	}
	if (!list->fill(v->call, &out))
		return false;
	if (entry->vnode && !out.vnode)
		netfs_vnode_put(entry->vnode);
	entry->vnode = NULL;
	list->filled = true;
	return true;
}

static bool hand_on_dots(struct netfs_vcall *v, uint64_t *cookie)
{
	struct netfs_mount *mount = v->mount;
	struct entry dot = {.name = ".", .type = S_IFDIR, .ino = v->vnode->ino, .next = 1};
	struct entry dotdot = {.name = "..", .type = S_IFDIR, .next = COOKIE_DOTS};

	netfs_mutex_lock(&mount->mutex);
	dotdot.ino = v->vnode == mount->root ? v->vnode->ino : v->vnode->parent_ino;
	netfs_mutex_unlock(&mount->mutex);
	if (*cookie == 0) {
		if (!hand_on(v, &dot))
			return false;
		*cookie = 1;
	}
	if (*cookie == 1) {
		if (!hand_on(v, &dotdot))
			return false;
		*cookie = COOKIE_DOTS;
	}
	return true;
}

/* False: the reader has no room. */
static bool hand_on_batch(struct netfs_vcall *v)
{
	struct netfs_batch *batch = listing_of(v)->batch;

	while (batch->taken < batch->count) {
		struct entry *entry = &batch->entries[batch->taken];

		if (!hand_on(v, entry))
			return false;
		batch->position = entry->next;
		batch->taken++;
	}
	return true;
}

/* ------------------------------------------------------------- lookups */

static void batch_ready(struct netfs_vcall *v, int err);

static void plus_ended(struct netfs_vcall *v)
{
	if (atomic_fetch_sub(&listing_of(v)->pending, 1) == 1)
		netfs_vcall_resume(v, 0);
}

static void plus_answered(struct netfs_ask *ask, int err)
{
	struct plus *plus = netfs_container_of(ask, struct plus, ask);
	struct entry *entry = plus->entry;

	/* An entry that is gone again is listed without a vnode. */
	if (!err)
		err = netfs_name_enter(plus->v->vnode, entry->name, ask, &plus->asked, false,
				       &entry->vnode, &entry->entry_ttl_ms);
	if (!err)
		entry->ino = entry->vnode->ino;
	if (plus->hint)
		netfs_vnode_put(plus->hint);
	plus_ended(plus->v);
}

static void plus_send(struct netfs_vcall *v, struct plus *plus, struct entry *entry)
{
	entry->vnode = netfs_name_cached(v->vnode, entry->name, &entry->entry_ttl_ms);
	if (entry->vnode && netfs_attr_fresh(entry->vnode)) {
		netfs_count(&v->mount->stats, name_hits);
		return;
	}
	netfs_ask_init(&plus->ask, v->mount, NETFS_ASK_LOOKUP);
	plus->ask.done = plus_answered;
	plus->ask.op.cred = v->call->cred;
	plus->ask.dir = netfs_vnode_node(v->vnode);
	plus->ask.name = entry->name;
	plus->v = v;
	plus->entry = entry;
	plus->hint = entry->vnode ? entry->vnode : netfs_name_hint(v->vnode, entry->name);
	entry->vnode = NULL;
	netfs_attr_ask(v->mount, plus->hint, &plus->asked);
	plus->asked.dir_watch = netfs_watch_now(v->vnode);
	atomic_fetch_add(&listing_of(v)->pending, 1);
	netfs_ask_send(&plus->ask);
}

static void plus_interrupt(struct netfs_vcall *v)
{
	struct listing *list = listing_of(v);

	for (uint32_t i = 0; i < NETFS_READDIR_PLUS; i++)
		netfs_ask_cancel(v->mount, &list->lookups[i].ask);
}

static void plus_all(struct netfs_vcall *v)
{
	struct listing *list = listing_of(v);
	struct netfs_batch *batch = list->batch;

	atomic_store(&list->pending, 1);
	netfs_vcall_await(v, batch_ready, plus_interrupt);
	for (uint32_t i = 0; i < batch->count; i++)
		plus_send(v, &list->lookups[i], &batch->entries[i]);
	netfs_vcall_armed(v);
	plus_ended(v);
}

/* ------------------------------------------------------------- batches */

static bool name_acceptable(const struct netfs_dirent *entry)
{
	return entry->name_len > 0 && entry->name_len <= NETFS_NAME_MAX &&
	       !memchr(entry->name, '/', entry->name_len) &&
	       !memchr(entry->name, 0, entry->name_len);
}

static bool name_dots(const struct netfs_dirent *entry)
{
	return entry->name[0] == '.' &&
	       (entry->name_len == 1 || (entry->name_len == 2 && entry->name[1] == '.'));
}

static bool batch_room(const struct netfs_batch *batch, const struct netfs_dirent *entry)
{
	uint32_t max = batch->plus ? NETFS_READDIR_PLUS : NETFS_READDIR_BATCH;

	return batch->count < max && batch->text_used + entry->name_len + 1 <= sizeof(batch->text);
}

static void batch_add(struct netfs_batch *batch, const struct netfs_dirent *in)
{
	char *name = batch->text + batch->text_used;

	memcpy(name, in->name, in->name_len);
	name[in->name_len] = 0;
	batch->text_used += in->name_len + 1;
	batch->entries[batch->count++] = (struct entry){
		.name = name,
		.type = in->type & S_IFMT,
		.ino = in->ino,
		.next = in->next + COOKIE_DOTS,
	};
}

/* The back end's answer, entry by entry. */
static bool batch_fill(struct netfs_op *op, const struct netfs_dirent *in)
{
	struct netfs_ask *ask = netfs_container_of(op, struct netfs_ask, op);
	struct netfs_vcall *v = netfs_container_of(ask, struct netfs_vcall, ask);
	struct netfs_batch *batch = listing_of(v)->batch;

	if (!name_acceptable(in))
		batch->bad = -EIO;
	else if (in->next > UINT64_MAX - COOKIE_DOTS)
		batch->bad = -EOVERFLOW;
	if (batch->bad || !batch_room(batch, in))
		return false;
	batch->server_next = in->next;
	if (name_dots(in))
		return true;
	netfs_listing_add(&batch->listing, in);
	if (!netfs_silly_hidden(v->vnode, in->name, in->name_len))
		batch_add(batch, in);
	return true;
}

/* The next batch out of what was kept. */
static void batch_from_kept(struct netfs_vcall *v)
{
	struct netfs_batch *batch = listing_of(v)->batch;
	size_t at = batch->kept_at;
	struct netfs_dirent entry;

	batch_clear(batch);
	batch->plus = listing_of(v)->plus;
	while (netfs_listing_next(batch->kept_data, batch->kept_size, &at, &entry)) {
		if (!batch_room(batch, &entry))
			return;
		batch->kept_at = at;
		batch->server_next = entry.next;
		if (!netfs_silly_hidden(v->vnode, entry.name, entry.name_len))
			batch_add(batch, &entry);
	}
	batch->eof = true;
}

static void batch_ask(struct netfs_vcall *v);

static void batch_go_on(struct netfs_vcall *v)
{
	struct netfs_batch *batch = listing_of(v)->batch;

	while (hand_on_batch(v) && !batch->eof) {
		if (!batch->kept) {
			batch_ask(v);
			return;
		}
		batch_from_kept(v);
		if (batch->plus && batch->count) {
			plus_all(v);
			return;
		}
	}
	list_end(v, 0);
}

/* All its lookups are answered. */
static void batch_ready(struct netfs_vcall *v, int err)
{
	/* A cut-short listing would look like one without attributes. */
	if (atomic_load(&v->cancelled))
		list_end(v, -EINTR);
	else
		batch_go_on(v);
}

static void batch_answered(struct netfs_vcall *v, int err)
{
	struct netfs_batch *batch = listing_of(v)->batch;

	if (!err && batch->count == 0)
		err = batch->bad;
	if (!err && batch->count == 0 && !v->ask.op.eof && batch->server_next == v->start)
		err = -EIO;
	if (err) {
		list_end(v, err);
		return;
	}
	batch->eof = v->ask.op.eof && !batch->bad;
	if (batch->eof)
		netfs_listing_end(&batch->listing, v->vnode);
	if (batch->plus && batch->count)
		plus_all(v);
	else
		batch_go_on(v);
}

static void batch_ask(struct netfs_vcall *v)
{
	struct netfs_batch *batch = listing_of(v)->batch;
	struct netfs_ask *ask;

	batch_clear(batch);
	batch->plus = listing_of(v)->plus;
	v->start = batch->server_next;
	ask = netfs_vcall_prepare(v, NETFS_ASK_READDIR);
	ask->handle = netfs_handle_get(v->handle);
	ask->start = batch->server_next;
	ask->op.fill = batch_fill;
	netfs_vcall_ask(v, batch_answered);
}

/* ------------------------------------------------------------- the call */

/* The batch to go on with: the file's, if the reader goes on where it stopped. */
static int list_batch(struct netfs_vcall *v, uint64_t cookie)
{
	struct listing *list = listing_of(v);
	struct netfs_batch *batch = batch_take(v->file);

	if (!batch)
		batch = netfs_zalloc(sizeof(*batch));
	if (!batch)
		return -ENOMEM;
	if (batch->position != cookie || batch->plus != list->plus) {
		batch_jump(batch);
		batch->position = cookie;
		batch->server_next = cookie - COOKIE_DOTS;
	}
	list->batch = batch;
	return 0;
}

/* Nothing was read into it, and it stands at the start. */
static bool batch_untouched(const struct netfs_batch *batch)
{
	return batch->server_next == 0 && batch->count == 0 && !batch->eof && !batch->kept;
}

/* The directory's version is known, or cannot be had. */
static void list_checked(struct netfs_vcall *v, int err)
{
	struct netfs_batch *batch = listing_of(v)->batch;

	if (err == -EINTR) {
		list_end(v, err);
		return;
	}
	if (!err)
		batch->kept = netfs_whole_pin(v->vnode, &batch->kept_data, &batch->kept_size);
	batch->kept_at = 0;
	if (!batch->kept)
		netfs_listing_begin(&batch->listing, v->vnode);
	batch_go_on(v);
}

/* From the start: out of what was kept, if that is still right.  Who opens a
 * file asks whether it changed; who begins a listing as well. */
static void list_begin(struct netfs_vcall *v)
{
	bool believed = (!v->mount->config.revalidate || netfs_attr_watched(v->vnode)) &&
			netfs_attr_fresh(v->vnode);
	bool ask = netfs_whole_kept(v->vnode) ? !believed : netfs_whole_outdated(v->vnode);

	if (!ask) {
		list_checked(v, 0);
		return;
	}
	v->then = list_checked;
	netfs_vcall_refetch(v, v->vnode, v->handle);
}

static void list_start(struct netfs_vcall *v, int err)
{
	uint64_t cookie = v->start;

	if (v->first_err) {
		netfs_vcall_finish(v, v->first_err);
		return;
	}
	/* A reader who begins anew wants to see what is there now. */
	if (cookie < COOKIE_DOTS) {
		netfs_batch_free(batch_take(v->file));
		netfs_watch_used(v->vnode);
	}
	if (!hand_on_dots(v, &cookie)) {
		netfs_vcall_finish(v, 0);
		return;
	}
	err = list_batch(v, cookie);
	if (err)
		netfs_vcall_finish(v, listing_of(v)->filled ? 0 : err);
	else if (batch_untouched(listing_of(v)->batch))
		list_begin(v);
	else
		batch_go_on(v);
}

void netfs_readdir(struct netfs_file *file, uint64_t cookie, bool plus, netfs_fill_fn fill,
		   struct netfs_call *call)
{
	struct netfs_vcall *v = netfs_vcall_new(file->vnode->mount, call);
	struct listing *list;

	if (!v)
		return;
	list = netfs_zalloc(sizeof(*list) + (plus ? NETFS_READDIR_PLUS * sizeof(struct plus) : 0));
	v->scratch = list;
	v->vnode = netfs_vnode_get(file->vnode);
	v->handle = netfs_handle_get(file->handle);
	v->file = file;
	v->start = cookie;
	if (!list) {
		v->first_err = -ENOMEM;
	} else if (!netfs_vnode_directory(file->vnode)) {
		v->first_err = -ENOTDIR;
	} else {
		list->fill = fill;
		list->plus = plus;
	}
	netfs_vcall_start(v, list_start);
}
