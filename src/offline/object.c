/* SPDX-License-Identifier: MIT */
/*
 * Objects, and the nodes and handles that are addresses of them.
 *
 * What is known of an object is kept once, whatever number of nodes leads to it.  An
 * answer counts if it was asked for after the last change of ours ended, and none is
 * on its way; what we write is added to what is known, and its version is none that a
 * server would tell.
 *
 * A node that was found while the server was away has a name and no address.  When it
 * is used with the server there it is bound: first its parent, then its name is looked
 * up, and what is found must have its number.  A handle likewise: its node is bound,
 * then it is opened.
 *
 * Who finds a node in an object takes a reference only where there is one left: the
 * last put and the finder meet at the lock.
 *
 * Locks: the connection's lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <base/assert.h>
#include <env/alloc.h>
#include <env/clock.h>
#include <offline/offline_impl.h>

static struct offline *offline_of_node(struct offline_node *node)
{
	return offline_of(node->node.be);
}

/* ------------------------------------------------------------- objects */

static uint64_t object_hash(const struct offline *offline, uint64_t ino, uint64_t gen)
{
	return netfs_hash_u64s(offline->seed, ino, gen);
}

static struct offline_object *object_find_locked(struct offline *offline, uint64_t ino,
						 uint64_t gen)
{
	struct netfs_hash_link *link =
		netfs_hash_find(&offline->objects, object_hash(offline, ino, gen));

	netfs_assert_held(&offline->lock);
	for (; link; link = netfs_hash_find_next(link)) {
		struct offline_object *object =
			netfs_container_of(link, struct offline_object, link);

		if (object->ino == ino && object->gen == gen)
			return object;
	}
	return NULL;
}

static struct offline_object *object_new(const struct netfs_attr *attr)
{
	struct offline_object *object = netfs_zalloc(sizeof(*object));

	if (!object)
		return NULL;
	object->ino = attr->ino;
	object->gen = attr->gen;
	netfs_list_init(&object->nodes);
	return object;
}

static bool same_time(const struct netfs_time *a, const struct netfs_time *b)
{
	return a->sec == b->sec && a->nsec == b->nsec;
}

/* Reading moves atime, which is not worth a note. */
static bool same_but_atime(const struct netfs_attr *a, const struct netfs_attr *b)
{
	return a->version == b->version && a->mode == b->mode && a->nlink == b->nlink &&
	       a->uid == b->uid && a->gid == b->gid && a->rdev_major == b->rdev_major &&
	       a->rdev_minor == b->rdev_minor && a->size == b->size && a->blocks == b->blocks &&
	       a->blksize == b->blksize && same_time(&a->mtime, &b->mtime) &&
	       same_time(&a->ctime, &b->ctime) && same_time(&a->btime, &b->btime);
}

enum offline_news offline_object_told(struct offline_node *node, const struct netfs_attr *attr,
				      uint64_t stamp)
{
	struct offline_object *object = node->object;
	struct offline *offline = offline_of_node(node);
	enum offline_news news = OFFLINE_NO_NEWS;

	netfs_mutex_lock(&offline->lock);
	if (object->flying == 0 && object->changed < stamp) {
		if (object->grown)
			news = OFFLINE_OUR_NEWS;
		else if (!object->known || !same_but_atime(&object->attr, attr))
			news = OFFLINE_NEWS;
		object->attr = *attr;
		object->known = true;
		object->grown = false;
	}
	netfs_mutex_unlock(&offline->lock);
	return news;
}

void offline_change_begin(struct offline_node *node, bool names)
{
	struct offline *offline = offline_of_node(node);

	netfs_mutex_lock(&offline->lock);
	if (names)
		node->object->names_flying++;
	else
		node->object->flying++;
	netfs_mutex_unlock(&offline->lock);
}

void offline_change_end(struct offline_node *node, bool names, bool unknown)
{
	struct offline *offline = offline_of_node(node);
	struct offline_object *object = node->object;
	const struct netfs_note lost = {
		.kind = NETFS_NOTE_LOST,
		.ours = true,
		.id = {object->ino, object->gen},
	};

	netfs_mutex_lock(&offline->lock);
	if (names) {
		object->names_flying--;
		object->names_changed = offline_stamp(offline);
	} else {
		object->flying--;
		object->changed = offline_stamp(offline);
		if (unknown)
			object->known = false;
	}
	netfs_mutex_unlock(&offline->lock);
	/* Nor is it what was noted last. */
	if (unknown)
		netfs_namestore_tell(offline->names, &lost);
}

void offline_change_wrote(struct offline_node *node, uint64_t end)
{
	struct offline *offline = offline_of_node(node);
	struct offline_object *object = node->object;
	uint64_t now = netfs_clock_real();
	struct netfs_attr *attr = &object->attr;

	netfs_mutex_lock(&offline->lock);
	object->flying--;
	object->changed = offline_stamp(offline);
	object->grown = true;
	if (attr->size < end)
		attr->size = end;
	attr->version = 0;
	attr->mtime = (struct netfs_time){(int64_t)(now / NETFS_NS_PER_SEC),
					  (uint32_t)(now % NETFS_NS_PER_SEC)};
	attr->ctime = attr->mtime;
	netfs_mutex_unlock(&offline->lock);
}

bool offline_object_known(struct offline_node *node, struct netfs_attr *ret_attr)
{
	struct offline *offline = offline_of_node(node);
	bool known;

	netfs_mutex_lock(&offline->lock);
	known = node->object->known;
	*ret_attr = node->object->attr;
	netfs_mutex_unlock(&offline->lock);
	return known;
}

bool offline_object_recall(struct offline_node *node, struct netfs_attr *attr)
{
	struct offline *offline = offline_of_node(node);
	struct offline_object *object = node->object;
	bool known;

	netfs_mutex_lock(&offline->lock);
	/* Nothing was ever told of it here, nor changed. */
	if (!object->known && !object->changed && !object->flying && !object->grown) {
		object->attr = *attr;
		object->known = true;
	}
	*attr = object->attr;
	known = object->known;
	netfs_mutex_unlock(&offline->lock);
	return known;
}

/* --------------------------------------------------------------- nodes */

static bool try_get(struct offline_node *node)
{
	uint32_t refs = atomic_load(&node->node.refs);

	while (refs) {
		if (atomic_compare_exchange_weak(&node->node.refs, &refs, refs + 1))
			return true;
	}
	return false;
}

static void set_bound_locked(struct offline_node *node, enum offline_bound bound)
{
	netfs_assert_held(&offline_of_node(node)->lock);
	netfs_assert(node->bound != OFFLINE_BOUND);
	node->bound = bound;
}

/* Its parent and name, which nobody needs any more, are the caller's. */
static void attach_locked(struct offline_node *node, struct netfs_node *inner,
			  struct offline_node **ret_parent, char **ret_name)
{
	/* release: pairs with those who look for it without the lock. */
	atomic_store_explicit(&node->node.behind, inner, memory_order_release);
	set_bound_locked(node, OFFLINE_BOUND);
	*ret_parent = netfs_take(node->parent);
	*ret_name = netfs_take(node->name);
}

/* One that will do: with that address, or without one where inner is NULL. */
static struct offline_node *reuse_locked(struct offline_object *object, struct netfs_node *inner)
{
	struct netfs_list *link;

	netfs_list_for_each (link, &object->nodes) {
		struct offline_node *node = netfs_container_of(link, struct offline_node, link);
		bool fits = !inner || offline_inner_node(node) == inner ||
			    node->bound == OFFLINE_UNBOUND;

		if (fits && try_get(node))
			return node;
	}
	return NULL;
}

static struct offline_node *node_new(struct offline *offline, struct offline_node *parent,
				     const char *name)
{
	struct offline_node *node = netfs_zalloc(sizeof(*node));

	if (!node)
		return NULL;
	node->name = name ? netfs_strdup(name) : NULL;
	if (name && !node->name) {
		netfs_free(node);
		return NULL;
	}
	atomic_init(&node->node.refs, 1);
	node->node.be = &offline->be;
	netfs_list_init(&node->link);
	netfs_list_init(&node->waits);
	netfs_list_init(&node->binding.link);
	node->binding.node = &node->node;
	if (parent) {
		netfs_node_get(&parent->node);
		node->parent = parent;
	}
	return node;
}

struct offline_node *offline_node_get(struct offline *offline, const struct netfs_attr *attr,
				      struct netfs_node *inner, struct offline_node *parent,
				      const char *name)
{
	struct offline_node *fresh = node_new(offline, inner ? NULL : parent, inner ? NULL : name);
	struct offline_object *spare = object_new(attr), *object;
	struct offline_node *node, *old_parent = NULL;
	char *old_name = NULL;

	if (!fresh || !spare) {
		if (fresh && fresh->parent)
			netfs_node_put(&fresh->parent->node);
		netfs_free(fresh ? fresh->name : NULL);
		netfs_free(fresh);
		netfs_free(spare);
		netfs_node_put(inner);
		return NULL;
	}
	netfs_mutex_lock(&offline->lock);
	object = object_find_locked(offline, attr->ino, attr->gen);
	if (!object) {
		object = netfs_take(spare);
		netfs_hash_insert(&offline->objects, &object->link,
				  object_hash(offline, attr->ino, attr->gen));
	}
	node = reuse_locked(object, inner);
	if (!node) {
		node = netfs_take(fresh);
		node->object = object;
		netfs_list_push_back(&object->nodes, &node->link);
	}
	if (inner && node->bound == OFFLINE_UNBOUND)
		attach_locked(node, netfs_take(inner), &old_parent, &old_name);
	netfs_mutex_unlock(&offline->lock);
	if (fresh && fresh->parent)
		netfs_node_put(&fresh->parent->node);
	if (fresh)
		netfs_free(fresh->name);
	netfs_free(fresh);
	netfs_free(spare);
	netfs_node_put(inner);
	if (old_parent)
		netfs_node_put(&old_parent->node);
	netfs_free(old_name);
	return node;
}

void offline_node_found(struct offline_node *node, struct netfs_node *inner)
{
	struct offline *offline = offline_of_node(node);
	struct offline_node *parent;
	char *name;

	netfs_mutex_lock(&offline->lock);
	attach_locked(node, inner, &parent, &name);
	netfs_mutex_unlock(&offline->lock);
	netfs_assert(!parent && !name);
}

/* What we wrote and nobody asked about since is all there is to know. */
static void note_growth(struct offline *offline, const struct offline_object *object)
{
	struct netfs_note note = {.kind = NETFS_NOTE_ATTR, .ours = true, .attr = object->attr};

	if (object->known && object->grown)
		netfs_namestore_tell(offline->names, &note);
}

void offline_node_free(struct netfs_node *base)
{
	struct offline_node *node = offline_node_of(base);
	struct offline *offline = offline_of_node(node);
	struct offline_object *object = node->object;
	bool last;

	netfs_mutex_lock(&offline->lock);
	netfs_list_remove(&node->link);
	last = netfs_list_empty(&object->nodes);
	if (last)
		netfs_hash_remove(&offline->objects, &object->link);
	netfs_mutex_unlock(&offline->lock);
	if (last) {
		note_growth(offline, object);
		netfs_free(object);
	}
	netfs_node_put(offline_inner_node(node));
	if (node->parent)
		netfs_node_put(&node->parent->node);
	netfs_free(node->name);
	netfs_free(node);
}

/* ------------------------------------------------------------- binding */

static int binding_begin(struct offline *offline, struct offline_binding *binding)
{
	int err = 0;

	binding->op = (struct netfs_op){0};
	netfs_mutex_lock(&offline->lock);
	if (offline_away_locked(offline)) {
		err = -EHOSTDOWN;
	} else {
		binding->given_up = false;
		netfs_list_push_back(&offline->bindings, &binding->link);
	}
	netfs_mutex_unlock(&offline->lock);
	return err;
}

/* The one behind has it: it may have been called off before. */
static void binding_begun(struct offline *offline, struct offline_binding *binding)
{
	bool cancel;

	netfs_mutex_lock(&offline->lock);
	cancel = binding->given_up && !netfs_list_empty(&binding->link);
	netfs_mutex_unlock(&offline->lock);
	if (cancel && offline->inner_ops->op_cancel)
		offline->inner_ops->op_cancel(offline->inner, &binding->op);
}

/* True where it was called off. */
static bool binding_ended(struct offline *offline, struct offline_binding *binding)
{
	bool given_up;

	netfs_mutex_lock(&offline->lock);
	given_up = binding->given_up;
	netfs_list_remove(&binding->link);
	netfs_mutex_unlock(&offline->lock);
	return given_up;
}

/* One that is not called off yet; what keeps it there comes with it. */
static struct offline_binding *binding_next(struct offline *offline)
{
	struct offline_binding *found = NULL;
	struct netfs_list *link;

	netfs_mutex_lock(&offline->lock);
	netfs_list_for_each (link, &offline->bindings) {
		struct offline_binding *binding =
			netfs_container_of(link, struct offline_binding, link);

		if (binding->given_up)
			continue;
		binding->given_up = true;
		if (binding->node)
			netfs_node_get(binding->node);
		else
			netfs_handle_get(binding->handle);
		found = binding;
		break;
	}
	netfs_mutex_unlock(&offline->lock);
	return found;
}

void offline_bindings_give_up(struct offline *offline)
{
	struct offline_binding *binding;

	while ((binding = binding_next(offline))) {
		struct netfs_handle *handle = binding->handle;
		struct netfs_node *node = binding->node;

		if (offline->inner_ops->op_cancel)
			offline->inner_ops->op_cancel(offline->inner, &binding->op);
		netfs_node_put(node);
		netfs_handle_put(handle);
	}
}

/* It is bound, or err says why not; those who waited hear it. */
static void end_waits(struct offline *offline, struct netfs_list *waits, int err)
{
	struct netfs_list list, *link;

	netfs_list_init(&list);
	netfs_mutex_lock(&offline->lock);
	netfs_list_splice_back(&list, waits);
	netfs_mutex_unlock(&offline->lock);
	while ((link = netfs_list_pop_front(&list))) {
		struct offline_wait *wait = netfs_container_of(link, struct offline_wait, link);

		wait->done(wait, err);
	}
}

/* Ends the binding; the reference of who began it goes. */
static void node_bind_end(struct offline_node *node, struct netfs_node *inner, int err)
{
	struct offline *offline = offline_of_node(node);
	struct offline_node *parent = NULL;
	char *name = NULL;

	netfs_mutex_lock(&offline->lock);
	if (err)
		set_bound_locked(node, OFFLINE_UNBOUND);
	else
		attach_locked(node, inner, &parent, &name);
	netfs_mutex_unlock(&offline->lock);
	end_waits(offline, &node->waits, err);
	if (parent)
		netfs_node_put(&parent->node);
	netfs_free(name);
	netfs_node_put(&node->node);
}

static void node_found(struct netfs_op *op, int err)
{
	struct offline_node *node = netfs_container_of(op, struct offline_node, binding.op);
	struct netfs_node *inner = netfs_take(op->node);
	bool given_up = binding_ended(offline_of_node(node), &node->binding);

	if (!err && (op->attr.ino != node->object->ino || op->attr.gen != node->object->gen)) {
		netfs_node_put(inner);
		inner = NULL;
		err = -ESTALE;
	}
	if (err == -ENOENT || err == -ENOTDIR)
		err = -ESTALE;
	else if (err && given_up)
		err = -EHOSTDOWN;
	node_bind_end(node, inner, err);
}

/* The parent has an address. */
static void parent_bound(struct offline_wait *wait, int err)
{
	struct offline_node *node = netfs_container_of(wait, struct offline_node, wait);
	struct offline *offline = offline_of_node(node);

	if (!err)
		err = binding_begin(offline, &node->binding);
	if (err) {
		node_bind_end(node, NULL, err);
		return;
	}
	netfs_node_get(&node->node);
	node->binding.op.done = node_found;
	node->binding.op.cred = wait->cred;
	offline->inner_ops->lookup(offline_inner_node(node->parent), node->name, &node->binding.op);
	binding_begun(offline, &node->binding);
	netfs_node_put(&node->node);
}

void offline_node_bind(struct offline_node *node, struct offline_wait *wait)
{
	struct offline *offline = offline_of_node(node);
	enum offline_bound was;
	bool away;

	netfs_list_init(&wait->link);
	netfs_mutex_lock(&offline->lock);
	was = node->bound;
	away = offline_away_locked(offline) || !offline->inner;
	if (was == OFFLINE_BINDING || (was == OFFLINE_UNBOUND && !away && node->parent))
		netfs_list_push_back(&node->waits, &wait->link);
	if (was == OFFLINE_UNBOUND && !away && node->parent)
		set_bound_locked(node, OFFLINE_BINDING);
	netfs_mutex_unlock(&offline->lock);
	if (was == OFFLINE_BOUND) {
		wait->done(wait, 0);
	} else if (was == OFFLINE_UNBOUND && (away || !node->parent)) {
		wait->done(wait, away ? -EHOSTDOWN : -ESTALE);
	} else if (was == OFFLINE_UNBOUND) {
		netfs_node_get(&node->node);
		node->wait.done = parent_bound;
		node->wait.cred = wait->cred;
		offline_node_bind(node->parent, &node->wait);
	}
}

int offline_path(struct netfs_node *base, char *buf, size_t size)
{
	struct offline_node *node = offline_node_of(base), *parent = NULL;
	struct offline *offline = offline_of_node(node);
	struct netfs_node *inner = offline_inner_node(node);
	char name[NETFS_NAME_MAX + 1] = "";
	size_t len;
	int err;

	if (inner)
		return offline->inner_ops->path(inner, buf, size);
	netfs_mutex_lock(&offline->lock);
	if (node->parent) {
		parent = node->parent;
		netfs_node_get(&parent->node);
		snprintf(name, sizeof(name), "%s", node->name);
	}
	inner = offline_inner_node(node);
	netfs_mutex_unlock(&offline->lock);
	/* Bound this moment. */
	if (inner)
		return offline->inner_ops->path(inner, buf, size);
	if (!parent) {
		if (!size)
			return -ENAMETOOLONG;
		buf[0] = 0;
		return 0;
	}
	err = offline_path(&parent->node, buf, size);
	netfs_node_put(&parent->node);
	if (err)
		return err;
	len = strlen(buf);
	if (len + strlen(name) + 2 > size)
		return -ENAMETOOLONG;
	snprintf(buf + len, size - len, "%s%s", len ? "/" : "", name);
	return 0;
}

/* ------------------------------------------------------------- handles */

struct offline_handle *offline_handle_new(struct offline_node *node, uint32_t flags,
					  struct netfs_handle *inner, const struct netfs_cred *cred)
{
	struct offline_handle *handle = netfs_zalloc(sizeof(*handle));
	uint32_t access = flags & O_ACCMODE;

	if (!handle) {
		netfs_handle_put(inner);
		return NULL;
	}
	atomic_init(&handle->handle.refs, 1);
	handle->handle.be = node->node.be;
	handle->handle.readable = inner ? inner->readable : access != O_WRONLY;
	handle->handle.writable = inner ? inner->writable : access != O_RDONLY;
	atomic_init(&handle->handle.behind, inner);
	handle->bound = inner ? OFFLINE_BOUND : OFFLINE_UNBOUND;
	handle->flags = flags & O_ACCMODE;
	handle->cred = *cred;
	netfs_node_get(&node->node);
	handle->node = node;
	netfs_list_init(&handle->waits);
	netfs_list_init(&handle->binding.link);
	handle->binding.handle = &handle->handle;
	return handle;
}

void offline_handle_free(struct netfs_handle *base)
{
	struct offline_handle *handle = offline_handle_of(base);

	netfs_handle_put(offline_inner_handle(handle));
	netfs_node_put(&handle->node->node);
	netfs_free(handle);
}

static void handle_bind_end(struct offline_handle *handle, struct netfs_handle *inner, int err)
{
	struct offline *offline = offline_of(handle->handle.be);
	bool starved;

	netfs_mutex_lock(&offline->lock);
	if (err) {
		handle->bound = OFFLINE_UNBOUND;
		handle->err = err == -EHOSTDOWN ? 0 : err;
	} else {
		atomic_store_explicit(&handle->handle.behind, inner, memory_order_release);
		handle->bound = OFFLINE_BOUND;
	}
	starved = handle->starved;
	handle->starved = false;
	netfs_mutex_unlock(&offline->lock);
	end_waits(offline, &handle->waits, err);
	if (starved && offline->up->ready)
		offline->up->ready(offline->up);
	netfs_handle_put(&handle->handle);
}

static void handle_opened(struct netfs_op *op, int err)
{
	struct offline_handle *handle = netfs_container_of(op, struct offline_handle, binding.op);
	struct offline *offline = offline_of(handle->handle.be);

	if (binding_ended(offline, &handle->binding) && err)
		err = -EHOSTDOWN;
	handle_bind_end(handle, err ? NULL : netfs_take(op->handle), err);
}

static void handle_node_bound(struct offline_wait *wait, int err)
{
	struct offline_handle *handle = netfs_container_of(wait, struct offline_handle, wait);
	struct offline *offline = offline_of(handle->handle.be);

	if (!err)
		err = binding_begin(offline, &handle->binding);
	if (err) {
		handle_bind_end(handle, NULL, err);
		return;
	}
	netfs_handle_get(&handle->handle);
	handle->binding.op.done = handle_opened;
	handle->binding.op.cred = handle->cred;
	offline->inner_ops->open(offline_inner_node(handle->node), handle->flags,
				 &handle->binding.op);
	binding_begun(offline, &handle->binding);
	netfs_handle_put(&handle->handle);
}

void offline_handle_bind(struct offline_handle *handle, struct offline_wait *wait)
{
	struct offline *offline = offline_of(handle->handle.be);
	enum offline_bound was;
	int err;

	netfs_list_init(&wait->link);
	netfs_mutex_lock(&offline->lock);
	was = handle->bound;
	err = handle->err == -ESTALE ? -ESTALE : 0;
	if (was == OFFLINE_UNBOUND && !err)
		handle->bound = OFFLINE_BINDING;
	if (was != OFFLINE_BOUND && !err)
		netfs_list_push_back(&handle->waits, &wait->link);
	netfs_mutex_unlock(&offline->lock);
	if (was == OFFLINE_BOUND || err) {
		wait->done(wait, was == OFFLINE_BOUND ? 0 : err);
	} else if (was == OFFLINE_UNBOUND) {
		netfs_handle_get(&handle->handle);
		handle->wait.done = handle_node_bound;
		handle->wait.cred = handle->cred;
		offline_node_bind(handle->node, &handle->wait);
	}
}
