/* SPDX-License-Identifier: MIT */
/*
 * How a public call runs: steps, waiting, cancelling, the end.
 *
 * Turns.  A back end may answer a question before the function that asked it
 * returns, and a loop of such questions must not grow the stack.  So a call has
 * a turn, in an atomic:
 *
 *	STEP	a step runs (or has just asked for something)
 *	WAIT	the step returned before the answer came
 *	ANSWER	the answer came while the step was still running
 *
 * The thread that runs steps loops: run a step, then change STEP to WAIT and
 * leave, or find ANSWER and run the next one.  Whoever brings the answer puts
 * ANSWER; where it replaced WAIT it is the one that runs steps from now on.
 *
 * Cancelling.  call->priv[0] leads to the struct netfs_vcall while there is
 * one; the client's call mutex guards that pointer, so that a late cancel finds
 * either a living call, which it keeps alive by a reference, or nothing.  A
 * cancel sets cancelled and then calls interrupt; a step puts interrupt and
 * then looks at cancelled (both sequentially consistent): one of them sees the
 * other.
 *
 * The completion of a flush lives in a struct of its own, which a cancelled
 * call leaves behind: whoever asked for it need not be there when it ends.
 *
 * Locks: the call mutex (rank CALL), below everything of vfs; never held while
 * anything else is called.
 */
#include <errno.h>
#include <string.h>
#include <base/assert.h>
#include <env/alloc.h>
#include <env/clock.h>
#include <vfs/vcall.h>

enum turn {
	TURN_STEP,
	TURN_WAIT,
	TURN_ANSWER,
};

/* call->priv, by index. */
enum {
	PRIV_VCALL, /* struct netfs_vcall; under the call mutex */
	PRIV_MUTEX, /* the call mutex */
	PRIV_WAITER, /* struct netfs_event, or &call->priv once done; atomic */
	PRIV_ERROR, /* for the waiter */
};

struct netfs_flush_wait {
	struct netfs_completion done;
	struct netfs_vcall *v; /* c: NULL once nobody waits any more */
	struct netfs_vnode *vnode; /* a reference */
	struct netfs_mount *mount; /* a hold */
};

/* ------------------------------------------------------ public calls */

void netfs_call_init(struct netfs_call *call, void (*done)(struct netfs_call *call, int err))
{
	memset(call, 0, sizeof(*call));
	call->done = done;
}

void netfs_call_complete(struct netfs_call *call, int err)
{
	void *waiter;

	netfs_assert_nothing_held();
	if (call->done) {
		call->done(call, err);
		return;
	}
	call->priv[PRIV_ERROR] = (void *)(intptr_t)err;
	/* acq_rel: the waiter sees the results, and we its event. */
	waiter = __atomic_exchange_n(&call->priv[PRIV_WAITER], (void *)&call->priv,
				     __ATOMIC_ACQ_REL);
	if (waiter)
		netfs_event_set(waiter);
}

int netfs_call_wait(struct netfs_call *call)
{
	struct netfs_event event;
	void *before;

	netfs_assert(!call->done);
	netfs_event_init(&event);
	before = __atomic_exchange_n(&call->priv[PRIV_WAITER], (void *)&event, __ATOMIC_ACQ_REL);
	if (!before)
		netfs_event_wait(&event);
	netfs_event_done(&event);
	return (int)(intptr_t)call->priv[PRIV_ERROR];
}

void netfs_call_cancel(struct netfs_call *call)
{
	struct netfs_mutex *mutex = call->priv[PRIV_MUTEX];
	struct netfs_vcall *v;

	if (!mutex)
		return;
	netfs_mutex_lock(mutex);
	v = call->priv[PRIV_VCALL];
	if (v)
		atomic_fetch_add(&v->refs, 1);
	netfs_mutex_unlock(mutex);
	if (!v)
		return;
	netfs_vcall_cancel(v);
	netfs_vcall_put(v);
}

/* ---------------------------------------------------- birth and end */

static void sleep_over(struct netfs_task *task)
{
	netfs_vcall_resume(netfs_container_of(task, struct netfs_vcall, timer_task), 0);
}

static void vcall_enlist(struct netfs_vcall *v)
{
	struct netfs_mutex *mutex = v->mount->config.call_mutex;

	if (v->call) {
		netfs_mutex_lock(mutex);
		v->call->priv[PRIV_MUTEX] = mutex;
		v->call->priv[PRIV_VCALL] = v;
		netfs_mutex_unlock(mutex);
	}
	if (v->holding) {
		netfs_mutex_lock(&v->mount->mutex);
		netfs_list_push_back(&v->mount->calls, &v->link);
		netfs_mutex_unlock(&v->mount->mutex);
	}
}

struct netfs_vcall *netfs_vcall_new_raw(struct netfs_mount *mount, struct netfs_call *call,
					bool holding)
{
	struct netfs_vcall *v = netfs_zalloc(sizeof(*v));

	if (!v) {
		if (call)
			netfs_call_complete(call, -ENOMEM);
		return NULL;
	}
	v->call = call;
	v->mount = mount;
	v->holding = holding;
	atomic_init(&v->refs, 1);
	netfs_list_init(&v->link);
	netfs_list_init(&v->wait_link);
	netfs_list_init(&v->gate.link);
	netfs_list_init(&v->gate.gate.link);
	netfs_list_init(&v->lock.link);
	netfs_task_init(&v->timer_task, sleep_over);
	netfs_timer_init(&v->timer, &v->timer_task);
	/* After an abort nothing waits for the server any more. */
	atomic_init(&v->cancelled, atomic_load(&mount->aborted));
	if (holding)
		netfs_mount_hold_more(mount);
	vcall_enlist(v);
	return v;
}

struct netfs_vcall *netfs_vcall_new(struct netfs_mount *mount, struct netfs_call *call)
{
	int err = netfs_mount_hold(mount);
	struct netfs_vcall *v;

	if (err) {
		if (call)
			netfs_call_complete(call, err);
		return NULL;
	}
	netfs_count(&mount->stats, name_calls);
	v = netfs_vcall_new_raw(mount, call, true);
	netfs_mount_drop(mount);
	return v;
}

static void vcall_put_vnode(struct netfs_vnode *vnode)
{
	if (vnode)
		netfs_vnode_put(vnode);
}

static void vcall_free(struct netfs_vcall *v)
{
	vcall_put_vnode(v->gate_vnode);
	vcall_put_vnode(v->vnode);
	vcall_put_vnode(v->dir);
	vcall_put_vnode(v->new_dir);
	vcall_put_vnode(v->target);
	vcall_put_vnode(v->silly_file);
	netfs_handle_put(v->handle);
	netfs_free(v->text);
	netfs_free(v->silly);
	netfs_free(v->scratch);
	if (v->holding)
		netfs_mount_drop(v->mount);
	netfs_free(v);
}

void netfs_vcall_put(struct netfs_vcall *v)
{
	if (atomic_fetch_sub(&v->refs, 1) == 1)
		vcall_free(v);
}

static void vcall_end(struct netfs_vcall *v)
{
	struct netfs_call *call = v->call;

	if (call) {
		struct netfs_mutex *mutex = call->priv[PRIV_MUTEX];

		netfs_mutex_lock(mutex);
		call->priv[PRIV_VCALL] = NULL;
		netfs_mutex_unlock(mutex);
	}
	if (v->holding) {
		netfs_mutex_lock(&v->mount->mutex);
		netfs_list_remove(&v->link);
		netfs_mutex_unlock(&v->mount->mutex);
	}
	if (call)
		netfs_call_complete(call, v->err);
	netfs_vcall_put(v);
}

/* ------------------------------------------------------------- steps */

static void vcall_run(struct netfs_vcall *v)
{
	uint32_t turn;

	do {
		netfs_step_fn step = netfs_take(v->step);

		atomic_store(&v->interrupt, NULL);
		atomic_store(&v->turn, TURN_STEP);
		step(v, v->err);
		if (v->finished) {
			vcall_end(v);
			return;
		}
		netfs_assert(v->step);
		turn = TURN_STEP;
	} while (!atomic_compare_exchange_strong(&v->turn, &turn, TURN_WAIT));
}

void netfs_vcall_start(struct netfs_vcall *v, netfs_step_fn first)
{
	v->step = first;
	v->err = 0;
	vcall_run(v);
}

void netfs_vcall_resume(struct netfs_vcall *v, int err)
{
	v->err = err;
	if (atomic_exchange(&v->turn, TURN_ANSWER) == TURN_WAIT)
		vcall_run(v);
}

void netfs_vcall_return(struct netfs_vcall *v, int err)
{
	netfs_step_fn then = netfs_take(v->then);

	then(v, err);
}

void netfs_vcall_finish(struct netfs_vcall *v, int err)
{
	netfs_assert(!v->finished);
	v->finished = true;
	v->err = err;
}

void netfs_vcall_await(struct netfs_vcall *v, netfs_step_fn next,
		       void (*interrupt)(struct netfs_vcall *v))
{
	netfs_assert(!v->step);
	v->step = next;
	atomic_store(&v->interrupt, interrupt);
}

void netfs_vcall_armed(struct netfs_vcall *v)
{
	void (*interrupt)(struct netfs_vcall * v);

	if (!atomic_load(&v->cancelled))
		return;
	if (atomic_load(&v->abort_only) && !atomic_load(&v->mount->aborted))
		return;
	interrupt = atomic_load(&v->interrupt);
	if (interrupt)
		interrupt(v);
}

void netfs_vcall_cancel(struct netfs_vcall *v)
{
	atomic_store(&v->cancelled, true);
	netfs_vcall_armed(v);
}

/* ------------------------------------------------------------- waits */

static void wait_interrupt(struct netfs_vcall *v)
{
	struct netfs_mount *mount = v->mount;
	bool waiting;

	netfs_mutex_lock(&mount->mutex);
	waiting = !netfs_list_empty(&v->wait_link);
	if (waiting)
		netfs_list_remove(&v->wait_link);
	netfs_mutex_unlock(&mount->mutex);
	if (waiting)
		netfs_vcall_resume(v, -EINTR);
}

void netfs_vcall_wait_unlock(struct netfs_vcall *v, struct netfs_list *list, netfs_step_fn next)
{
	netfs_assert_held(&v->mount->mutex);
	netfs_vcall_await(v, next, wait_interrupt);
	netfs_list_push_back(list, &v->wait_link);
	netfs_mutex_unlock(&v->mount->mutex);
	netfs_vcall_armed(v);
}

void netfs_vcall_wake_locked(struct netfs_mount *mount, struct netfs_list *list)
{
	struct netfs_list woken, *link;

	netfs_assert_held(&mount->mutex);
	/* Who waits anew waits for the next time. */
	netfs_list_init(&woken);
	netfs_list_splice_back(&woken, list);
	/* One at a time: each may be interrupted as long as it is in a list. */
	while ((link = netfs_list_pop_front(&woken))) {
		netfs_mutex_unlock(&mount->mutex);
		netfs_vcall_resume(netfs_container_of(link, struct netfs_vcall, wait_link), 0);
		netfs_mutex_lock(&mount->mutex);
	}
}

static void ask_interrupt(struct netfs_vcall *v)
{
	netfs_ask_cancel(v->mount, &v->ask);
}

/* The server does not know the object any more: whatever name led to it leads
 * elsewhere now, and the next lookup has to ask. */
static void forget_names_of(struct netfs_vnode *vnode)
{
	struct netfs_mount *mount = vnode->mount;

	netfs_mutex_lock(&mount->mutex);
	netfs_names_forget(vnode);
	netfs_mutex_unlock(&mount->mutex);
}

static void ask_done(struct netfs_ask *ask, int err)
{
	struct netfs_vcall *v = netfs_container_of(ask, struct netfs_vcall, ask);

	if (err == -ESTALE && v->vnode)
		forget_names_of(v->vnode);
	netfs_vcall_resume(v, err);
}

struct netfs_ask *netfs_vcall_prepare(struct netfs_vcall *v, enum netfs_ask_kind kind)
{
	netfs_ask_init(&v->ask, v->mount, kind);
	v->ask.done = ask_done;
	if (v->call)
		v->ask.op.cred = v->call->cred;
	return &v->ask;
}

void netfs_vcall_ask(struct netfs_vcall *v, netfs_step_fn next)
{
	netfs_vcall_await(v, next, ask_interrupt);
	netfs_ask_send(&v->ask);
	netfs_vcall_armed(v);
}

static void flush_over(struct netfs_completion *done, int err)
{
	struct netfs_flush_wait *wait = netfs_container_of(done, struct netfs_flush_wait, done);
	struct netfs_mount *mount = wait->mount;
	struct netfs_vcall *v;

	netfs_mutex_lock(mount->config.call_mutex);
	v = wait->v;
	if (v)
		v->flush = NULL;
	netfs_mutex_unlock(mount->config.call_mutex);
	netfs_vnode_put(wait->vnode);
	netfs_free(wait);
	if (v)
		netfs_vcall_resume(v, err);
	netfs_mount_drop(mount);
}

static void flush_interrupt(struct netfs_vcall *v)
{
	struct netfs_mutex *mutex = v->mount->config.call_mutex;
	bool left = false;

	netfs_mutex_lock(mutex);
	if (v->flush) {
		v->flush->v = NULL;
		v->flush = NULL;
		left = true;
	}
	netfs_mutex_unlock(mutex);
	if (left)
		netfs_vcall_resume(v, -EINTR);
}

void netfs_vcall_flush(struct netfs_vcall *v, struct netfs_vnode *vnode, uint64_t start,
		       uint64_t end, netfs_step_fn next)
{
	struct netfs_flush_wait *wait;

	if (!netfs_vnode_regular(vnode)) {
		netfs_vcall_await(v, next, NULL);
		netfs_vcall_resume(v, 0);
		return;
	}
	wait = netfs_zalloc(sizeof(*wait));
	if (!wait) {
		netfs_vcall_await(v, next, NULL);
		netfs_vcall_resume(v, -ENOMEM);
		return;
	}
	netfs_list_init(&wait->done.link);
	wait->done.fn = flush_over;
	wait->v = v;
	wait->vnode = netfs_vnode_get(vnode);
	wait->mount = v->mount;
	netfs_mount_hold_more(v->mount);
	netfs_mutex_lock(v->mount->config.call_mutex);
	v->flush = wait;
	netfs_mutex_unlock(v->mount->config.call_mutex);
	netfs_vcall_await(v, next, flush_interrupt);
	/* Under our own lock nobody else's flush would be let through. */
	if (v->gated && vnode == v->gate_vnode)
		netfs_inode_flush_locked(&vnode->inode, start, end, &wait->done);
	else
		netfs_inode_flush(&vnode->inode, start, end, &wait->done);
	netfs_vcall_armed(v);
}

static void gate_over(struct netfs_completion *done, int err)
{
	struct netfs_vcall *v = netfs_container_of(done, struct netfs_vcall, gate);

	v->gated = err == 0;
	if (v->gated && v->gate_vnode->inode.journal)
		netfs_journal_hold(v->gate_vnode->inode.journal, true);
	netfs_vcall_resume(v, err);
}

static void gate_interrupt(struct netfs_vcall *v)
{
	netfs_inode_lock_cancel(&v->gate_vnode->inode, &v->gate);
}

void netfs_vcall_gate(struct netfs_vcall *v, struct netfs_vnode *vnode, netfs_step_fn next)
{
	/* A late cancel may still look at it, so it stays until the end. */
	netfs_assert(!v->gate_vnode || v->gate_vnode == vnode);
	if (!v->gate_vnode)
		v->gate_vnode = netfs_vnode_get(vnode);
	v->gate.fn = gate_over;
	netfs_vcall_await(v, next, gate_interrupt);
	netfs_inode_lock(&vnode->inode, &v->gate);
	netfs_vcall_armed(v);
}

void netfs_vcall_ungate(struct netfs_vcall *v)
{
	v->gated = false;
	if (v->gate_vnode->inode.journal)
		netfs_journal_hold(v->gate_vnode->inode.journal, false);
	netfs_inode_unlock(&v->gate_vnode->inode);
}

static void resize_prepared(struct netfs_completion *done, int err)
{
	netfs_vcall_resume(netfs_container_of(done, struct netfs_vcall, resize), err);
}

void netfs_vcall_prepare_resize(struct netfs_vcall *v, uint64_t size, netfs_step_fn next)
{
	v->resize.fn = resize_prepared;
	netfs_vcall_await(v, next, NULL);
	netfs_inode_prepare_resize(&v->gate_vnode->inode, size, &v->resize);
}

static void sleep_interrupt(struct netfs_vcall *v)
{
	if (netfs_timer_stop(&v->timer))
		netfs_vcall_resume(v, -EINTR);
}

void netfs_vcall_sleep(struct netfs_vcall *v, uint32_t delay_ms, netfs_step_fn next)
{
	netfs_vcall_await(v, next, sleep_interrupt);
	netfs_timer_start(&v->timer, delay_ms * NETFS_NS_PER_MS);
	netfs_vcall_armed(v);
}
