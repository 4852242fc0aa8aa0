/* SPDX-License-Identifier: MIT */
/*
 * A request of the kernel between its arrival and its answer.
 *
 * A call of the library that completes before it returns (a hit) is answered by
 * the thread that received the request, without a lock and without waking
 * anybody.  Otherwise the completion answers, from whatever thread it comes.
 * Who of the two it is, is decided by one exchange of the state:
 *
 *	STARTING -> DONE      completed inside the call: the starter answers
 *	STARTING -> PENDING   the call returned first: the completion answers
 *
 * The session's lock is held for a few instructions, never while the library or
 * libfuse is called.  Requests that were answered at once go to a free list of
 * the thread, which needs no lock.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include "session.h"

#define THREAD_FREE_MAX 64
/* Idle buffers worth keeping; each may hold up to 1 MiB of memory. */
#define BUFFERS_FREE_MAX 16
#define PAGE		 4096u
/* What stands before the data in a message that writes: both headers. */
#define WRITE_HEADER 80u

static _Thread_local struct netfs_fuse_thread *self;

void netfs_fuse_thread_enter(struct netfs_fuse_thread *thread)
{
	self = thread;
}

/* ----------------------------------------------------------- buffers */

/* One page for this struct, one whose end takes the headers, the data. */
#define BUFFER_MAP (2 * PAGE + NETFS_FUSE_DATA_MAX + PAGE)

size_t netfs_fuse_buffer_size(void)
{
	return WRITE_HEADER + NETFS_FUSE_DATA_MAX + PAGE;
}

struct netfs_fuse_buffer *netfs_fuse_buffer_get(struct netfs_fuse_session *session)
{
	struct netfs_fuse_buffer *buffer;
	struct netfs_list *link;
	char *map;

	pthread_mutex_lock(&session->lock);
	link = netfs_list_pop_front(&session->free_buffers);
	if (link)
		session->nfree_buffers--;
	pthread_mutex_unlock(&session->lock);
	if (link)
		return netfs_container_of(link, struct netfs_fuse_buffer, link);
	map = mmap(NULL, BUFFER_MAP, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		return NULL;
	buffer = (struct netfs_fuse_buffer *)map;
	netfs_list_init(&buffer->link);
	buffer->map = map;
	buffer->data = map + 2 * PAGE;
	buffer->mem = buffer->data - WRITE_HEADER;
	return buffer;
}

void netfs_fuse_buffer_put(struct netfs_fuse_session *session, struct netfs_fuse_buffer *buffer)
{
	bool keep;

	if (!buffer)
		return;
	pthread_mutex_lock(&session->lock);
	keep = session->nfree_buffers < BUFFERS_FREE_MAX;
	if (keep) {
		netfs_list_push_front(&session->free_buffers, &buffer->link);
		session->nfree_buffers++;
	}
	pthread_mutex_unlock(&session->lock);
	if (!keep)
		munmap(buffer->map, BUFFER_MAP);
}

/* ------------------------------------------------------ life and death */

struct netfs_fuse_session *netfs_fuse_session_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static struct netfs_fuse_request *request_get(struct netfs_fuse_session *session)
{
	struct netfs_list *link = NULL;

	if (self && self->nfree) {
		self->nfree--;
		link = netfs_list_pop_front(&self->free);
		return netfs_container_of(link, struct netfs_fuse_request, link);
	}
	pthread_mutex_lock(&session->lock);
	link = netfs_list_pop_front(&session->free_requests);
	pthread_mutex_unlock(&session->lock);
	if (link)
		return netfs_container_of(link, struct netfs_fuse_request, link);
	return calloc(1, sizeof(struct netfs_fuse_request));
}

void netfs_fuse_request_free_locked(struct netfs_fuse_request *r)
{
	netfs_list_push_front(&r->session->free_requests, &r->link);
}

/* The answer is out: gives everything back.  was_pending: the session's lists
 * and interrupts may know it. */
static void request_end(struct netfs_fuse_request *r, bool was_pending)
{
	struct netfs_fuse_session *session = r->session;

	free(r->mem);
	r->mem = NULL;
	netfs_fuse_buffer_put(session, r->buffer);
	r->buffer = NULL;
	if (!was_pending && self && self->nfree < THREAD_FREE_MAX) {
		netfs_list_push_front(&self->free, &r->link);
		self->nfree++;
	} else {
		pthread_mutex_lock(&session->lock);
		r->req = NULL;
		if (r->listed)
			netfs_list_remove(&r->link);
		r->listed = false;
		if (r->pins == 0)
			netfs_fuse_request_free_locked(r);
		pthread_mutex_unlock(&session->lock);
	}
	if (atomic_fetch_sub(&session->inflight, 1) == 1 && atomic_load(&session->stopping)) {
		pthread_mutex_lock(&session->lock);
		pthread_cond_broadcast(&session->cond);
		pthread_mutex_unlock(&session->lock);
	}
}

static void answer(struct netfs_fuse_request *r, bool was_pending)
{
	int err = r->err;

	if (r->is_io)
		err = r->result < 0 ? (int)r->result : 0;
	r->reply(r, err);
	request_end(r, was_pending);
}

/* Both sides of the exchange need what the other wrote: acq_rel pairs with
 * the exchange in register_pending(). */
static void completed(struct netfs_fuse_request *r)
{
	int old = atomic_exchange_explicit(&r->state, NETFS_FUSE_DONE, memory_order_acq_rel);

	if (old == NETFS_FUSE_PENDING)
		answer(r, true);
}

static void call_done(struct netfs_call *call, int err)
{
	struct netfs_fuse_request *r = netfs_container_of(call, struct netfs_fuse_request, call);

	r->err = err;
	completed(r);
}

static void io_done(struct netfs_io *io, ssize_t result)
{
	struct netfs_fuse_request *r = netfs_container_of(io, struct netfs_fuse_request, io);

	r->result = result;
	completed(r);
}

static struct netfs_fuse_request *
request_begin(fuse_req_t req, void (*reply)(struct netfs_fuse_request *r, int err))
{
	struct netfs_fuse_session *session = netfs_fuse_session_of(req);
	struct netfs_fuse_request *r = request_get(session);

	if (!r) {
		fuse_reply_err(req, ENOMEM);
		return NULL;
	}
	netfs_list_init(&r->link);
	r->session = session;
	r->req = req;
	r->reply = reply;
	r->file = NULL;
	r->handle = NULL;
	r->is_lock_wait = false;
	r->caller = fuse_req_ctx(req)->pid;
	atomic_store_explicit(&r->state, NETFS_FUSE_STARTING, memory_order_relaxed);
	atomic_fetch_add(&session->inflight, 1);
	return r;
}

struct netfs_fuse_request *
netfs_fuse_call_begin(fuse_req_t req, void (*reply)(struct netfs_fuse_request *r, int err))
{
	struct netfs_fuse_request *r = request_begin(req, reply);
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	if (!r)
		return NULL;
	r->is_io = false;
	netfs_call_init(&r->call, call_done);
	r->call.cred.uid = ctx->uid;
	r->call.cred.gid = ctx->gid;
	r->call.cred.pid = ctx->pid;
	return r;
}

struct netfs_fuse_request *netfs_fuse_node_begin(fuse_req_t req, uint64_t nodeid,
						 void (*reply)(struct netfs_fuse_request *r,
							       int err),
						 struct netfs_vnode **ret_vnode)
{
	struct netfs_fuse_session *session = netfs_fuse_session_of(req);
	struct netfs_vnode *vnode = netfs_fuse_node_find(&session->nodes, nodeid);
	struct netfs_fuse_request *r;

	if (!vnode) {
		fuse_reply_err(req, ESTALE);
		return NULL;
	}
	r = netfs_fuse_call_begin(req, reply);
	if (!r)
		return NULL;
	r->nodeid = nodeid;
	*ret_vnode = vnode;
	return r;
}

struct netfs_fuse_request *netfs_fuse_io_begin(fuse_req_t req, struct netfs_file *file,
					       void (*reply)(struct netfs_fuse_request *r, int err))
{
	struct netfs_fuse_request *r = request_begin(req, reply);

	if (!r)
		return NULL;
	r->is_io = true;
	r->file = file;
	memset(&r->io, 0, sizeof(r->io));
	r->io.done = io_done;
	r->io.iov = r->iov;
	return r;
}

void netfs_fuse_request_fail(struct netfs_fuse_request *r, int err)
{
	fuse_reply_err(r->req, -err);
	request_end(r, false);
}

bool netfs_fuse_request_name(struct netfs_fuse_request *r, unsigned slot, const char *name)
{
	size_t size = strlen(name) + 1;

	if (size > NETFS_FUSE_NAME_SIZE) {
		netfs_fuse_request_fail(r, -ENAMETOOLONG);
		return false;
	}
	memcpy(r->name[slot], name, size);
	return true;
}

/* -------------------------------------------------- pending requests */

/* The call returned without having completed: from here on interrupts may
 * come, and the completion answers.  False: it completed meanwhile. */
static bool register_pending(struct netfs_fuse_request *r)
{
	struct netfs_fuse_session *session = r->session;
	int expected = NETFS_FUSE_STARTING;

	pthread_mutex_lock(&session->lock);
	netfs_list_push_back(&session->pending, &r->link);
	r->listed = true;
	pthread_mutex_unlock(&session->lock);
	netfs_fuse_interrupts_allow(r);
	if (atomic_load(&session->stopping))
		netfs_fuse_request_cancel(r);
	return atomic_compare_exchange_strong_explicit(&r->state, &expected, NETFS_FUSE_PENDING,
						       memory_order_acq_rel, memory_order_acquire);
}

static bool completed_inline(struct netfs_fuse_request *r)
{
	return atomic_load_explicit(&r->state, memory_order_acquire) == NETFS_FUSE_DONE;
}

void netfs_fuse_request_started(struct netfs_fuse_request *r)
{
	if (completed_inline(r))
		answer(r, false);
	else if (!register_pending(r))
		answer(r, true);
}

void netfs_fuse_request_started_with_message(struct netfs_fuse_request *r)
{
	if (completed_inline(r)) {
		answer(r, false);
		return;
	}
	r->buffer = self->buffer;
	self->buffer = NULL;
	if (!register_pending(r))
		answer(r, true);
}

/* ------------------------------------------------------------ the end */

bool netfs_fuse_requests_drain(struct netfs_fuse_session *session, unsigned timeout_ms)
{
	struct timespec until;
	int err = 0;

	atomic_store(&session->stopping, true);
	netfs_fuse_requests_cancel(session);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_mutex_lock(&session->lock);
	while (atomic_load(&session->inflight) > 0 && err == 0)
		err = pthread_cond_timedwait(&session->cond, &session->lock, &until);
	pthread_mutex_unlock(&session->lock);
	return atomic_load(&session->inflight) == 0;
}

static void free_list(struct netfs_list *list)
{
	struct netfs_list *link;

	while ((link = netfs_list_pop_front(list)))
		free(netfs_container_of(link, struct netfs_fuse_request, link));
}

void netfs_fuse_requests_free(struct netfs_fuse_session *session)
{
	struct netfs_list *link;

	for (unsigned i = 0; i < NETFS_FUSE_THREADS_MAX; i++) {
		netfs_fuse_buffer_put(session, session->threads[i].buffer);
		session->threads[i].buffer = NULL;
		free_list(&session->threads[i].free);
	}
	free_list(&session->free_requests);
	while ((link = netfs_list_pop_front(&session->free_buffers)))
		munmap(netfs_container_of(link, struct netfs_fuse_buffer, link)->map, BUFFER_MAP);
	session->nfree_buffers = 0;
}
