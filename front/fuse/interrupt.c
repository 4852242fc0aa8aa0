/* SPDX-License-Identifier: MIT */
/*
 * Signals of those who wait for an answer.
 *
 * The kernel says once, at the first signal, that the caller of a request was
 * interrupted, and not whether the signal is fatal; then it waits for the
 * answer whatever comes.  A call on a file must not fail because a program
 * handles a timer, and a killed program must go away although its server is
 * silent.  So:
 *
 *	a wait for a lock	is cancelled by any signal
 *	everything else		only once its caller is about to die (caller.h)
 *
 * An interrupted request whose caller lives on moves to a list of its own, and
 * while that list has something in it the interrupter looks at the callers
 * every tenth of a second: the signal that kills may come second.
 *
 * libfuse may call on_interrupt() with a request that is being answered at that
 * moment, and does so with a lock of its own held that the answer does not
 * need.  Three rules make that safe: the memory of a request is never given
 * back while the session lives; under the session's lock, on_interrupt()
 * compares the libfuse request (which libfuse keeps for the length of the call,
 * so its address cannot come again) and pins ours; and a pinned request is put
 * on the free list by the one who takes the last pin off.
 */
#include <time.h>
#include "caller.h"
#include "session.h"

#define LOOK_EVERY_NS 100000000L

void netfs_fuse_request_cancel(struct netfs_fuse_request *r)
{
	if (r->is_io)
		netfs_io_cancel(r->file, &r->io);
	else
		netfs_call_cancel(&r->call);
}

/* r->req is not NULL: it cannot end before the pin is taken off. */
static bool request_dying(struct netfs_fuse_request *r)
{
	return r->is_lock_wait || netfs_caller_dying(r->caller);
}

static void unpin(struct netfs_fuse_request *r)
{
	struct netfs_fuse_session *session = r->session;

	pthread_mutex_lock(&session->lock);
	if (--r->pins == 0 && !r->req)
		netfs_fuse_request_free_locked(r);
	pthread_mutex_unlock(&session->lock);
}

static void list_interrupted(struct netfs_fuse_request *r)
{
	struct netfs_fuse_session *session = r->session;

	pthread_mutex_lock(&session->lock);
	if (r->listed) {
		netfs_list_remove(&r->link);
		netfs_list_push_back(&session->interrupted, &r->link);
		pthread_cond_signal(&session->interrupts);
	}
	pthread_mutex_unlock(&session->lock);
}

static void on_interrupt(fuse_req_t req, void *data)
{
	struct netfs_fuse_request *r = data;
	struct netfs_fuse_session *session = netfs_fuse_session_of(req);
	bool same;

	pthread_mutex_lock(&session->lock);
	same = r->req == req;
	if (same)
		r->pins++;
	pthread_mutex_unlock(&session->lock);
	if (!same)
		return;
	if (request_dying(r))
		netfs_fuse_request_cancel(r);
	else
		list_interrupted(r);
	unpin(r);
}

void netfs_fuse_interrupts_allow(struct netfs_fuse_request *r)
{
	fuse_req_interrupt_func(r->req, on_interrupt, r);
}

/* Pins the first request of from and moves it to seen; NULL: there is none. */
static struct netfs_fuse_request *next_of(struct netfs_fuse_session *session,
					  struct netfs_list *from, struct netfs_list *seen)
{
	struct netfs_fuse_request *r = NULL;
	struct netfs_list *link;

	pthread_mutex_lock(&session->lock);
	link = netfs_list_pop_front(from);
	if (link) {
		r = netfs_container_of(link, struct netfs_fuse_request, link);
		netfs_list_push_back(seen, link);
		r->pins++;
	}
	pthread_mutex_unlock(&session->lock);
	return r;
}

static void put_back(struct netfs_fuse_session *session, struct netfs_list *to,
		     struct netfs_list *seen)
{
	pthread_mutex_lock(&session->lock);
	netfs_list_splice_back(to, seen);
	pthread_mutex_unlock(&session->lock);
}

static void cancel_list(struct netfs_fuse_session *session, struct netfs_list *list)
{
	struct netfs_fuse_request *r;
	struct netfs_list seen;

	netfs_list_init(&seen);
	while ((r = next_of(session, list, &seen))) {
		netfs_fuse_request_cancel(r);
		unpin(r);
	}
	put_back(session, list, &seen);
}

void netfs_fuse_requests_cancel(struct netfs_fuse_session *session)
{
	cancel_list(session, &session->pending);
	cancel_list(session, &session->interrupted);
}

/* -------------------------------------------------- the interrupter */

/* A cancelled one is done with: it goes back to the pending ones. */
static void look(struct netfs_fuse_session *session)
{
	struct netfs_fuse_request *r;
	struct netfs_list seen;

	netfs_list_init(&seen);
	while ((r = next_of(session, &session->interrupted, &seen))) {
		if (request_dying(r)) {
			pthread_mutex_lock(&session->lock);
			if (r->listed) {
				netfs_list_remove(&r->link);
				netfs_list_push_back(&session->pending, &r->link);
			}
			pthread_mutex_unlock(&session->lock);
			netfs_fuse_request_cancel(r);
		}
		unpin(r);
	}
	put_back(session, &session->interrupted, &seen);
}

/* Waits until it is time to look.  False: stop. */
static bool wait_turn(struct netfs_fuse_session *session)
{
	struct timespec until;
	bool go_on;
	int err = 0;

	pthread_mutex_lock(&session->lock);
	while (!session->interrupts_stop && netfs_list_empty(&session->interrupted))
		pthread_cond_wait(&session->interrupts, &session->lock);
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += LOOK_EVERY_NS;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	while (!session->interrupts_stop && err == 0)
		err = pthread_cond_clockwait(&session->interrupts, &session->lock, CLOCK_MONOTONIC,
					     &until);
	go_on = !session->interrupts_stop;
	pthread_mutex_unlock(&session->lock);
	return go_on;
}

void *netfs_fuse_interrupts_main(void *arg)
{
	struct netfs_fuse_session *session = arg;

	while (wait_turn(session))
		look(session);
	return NULL;
}

void netfs_fuse_interrupts_stop(struct netfs_fuse_session *session)
{
	pthread_mutex_lock(&session->lock);
	session->interrupts_stop = true;
	pthread_cond_signal(&session->interrupts);
	pthread_mutex_unlock(&session->lock);
}
