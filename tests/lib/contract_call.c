/* SPDX-License-Identifier: MIT */
/*
 * Operations and slices of the contract check, waited for.
 *
 * Completions come from any thread, where cmocka's assertions cannot fail a
 * test, so what is wrong there aborts: a second completion, a lock that is held.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <base/assert.h>
#include <contract_call.h>

#define WAIT_MS 60000
/* Slices in a row that may come back with nothing done. */
#define IDLE_MAX 100

static void call_done(struct netfs_op *op, int err)
{
	struct c_call *call = netfs_container_of(op, struct c_call, op);

	netfs_assert_nothing_held();
	netfs_assert(err <= 0);
	netfs_assert(atomic_fetch_add(&call->dones, 1) == 0);
	call->err = err;
	netfs_event_set(&call->event);
}

struct c_call *c_call(struct contract *c)
{
	struct c_call *call = calloc(1, sizeof(*call));

	assert_non_null(call);
	call->op.done = call_done;
	call->op.cred = c->cred;
	netfs_event_init(&call->event);
	netfs_list_push_back(&c->calls, &call->link);
	return call;
}

int c_wait(struct c_call *call)
{
	netfs_event_wait(&call->event);
	if (call->err) {
		assert_null(call->op.node);
		assert_null(call->op.handle);
	}
	return call->err;
}

/* ---------------------------------------------------------- slices */

static void slice_done(struct netfs_slice *netfs_slice, size_t moved, int err, unsigned flags)
{
	struct c_slice *slice = netfs_container_of(netfs_slice, struct c_slice, slice);

	netfs_assert_nothing_held();
	netfs_assert(err <= 0);
	netfs_assert(atomic_fetch_add(&slice->dones, 1) == 0);
	netfs_assert(moved <= netfs_slice->len);
	slice->moved = moved;
	slice->err = err;
	slice->flags = flags;
	netfs_event_set(&slice->event);
}

static void fill_iov(struct c_slice *slice, struct iovec whole, size_t piece)
{
	unsigned n = 0;

	for (; whole.iov_len; n++) {
		size_t len = piece && n < 7 && piece < whole.iov_len ? piece : whole.iov_len;

		slice->iov[n] = (struct iovec){whole.iov_base, len};
		whole.iov_base = (char *)whole.iov_base + len;
		whole.iov_len -= len;
	}
	slice->slice.iov = slice->iov;
	slice->slice.niov = n;
}

ssize_t c_slice_start(struct contract *c, struct netfs_handle *handle, enum netfs_slice_kind kind,
		      uint64_t start, struct iovec whole, size_t piece, struct c_slice **ret_slice)
{
	struct c_slice *slice = calloc(1, sizeof(*slice));
	ssize_t took;

	assert_non_null(slice);
	netfs_event_init(&slice->event);
	netfs_list_push_back(&c->slices, &slice->link);
	slice->slice.done = slice_done;
	for (;;) {
		uint64_t readies = t_counter_value(&c->ready);

		slice->slice.kind = kind;
		slice->slice.start = start;
		slice->slice.len = whole.iov_len;
		fill_iov(slice, whole, piece);
		took = kind == NETFS_SLICE_READ ? c->ops->read(handle, &slice->slice)
						: c->ops->write(handle, &slice->slice);
		if (took != -EAGAIN)
			break;
		assert_true(t_counter_wait(&c->ready, readies + 1, WAIT_MS));
	}
	assert_true(took != 0);
	assert_true(took <= (ssize_t)whole.iov_len);
	if (took < 0)
		assert_int_equal(atomic_load(&slice->dones), 0);
	else
		assert_int_equal(took, slice->slice.len);
	*ret_slice = slice;
	return took;
}

void c_slice_wait(struct c_slice *slice)
{
	netfs_event_wait(&slice->event);
}

static ssize_t move(struct contract *c, struct netfs_handle *handle, enum netfs_slice_kind kind,
		    uint64_t start, struct iovec whole)
{
	size_t moved = 0;
	unsigned idle = 0;

	/* Progress, a reason why not, or a promise that it will be better: the
	 * last not for ever. */
	while (moved < whole.iov_len && idle < IDLE_MAX) {
		struct iovec rest = {(char *)whole.iov_base + moved, whole.iov_len - moved};
		struct c_slice *slice;
		ssize_t took = c_slice_start(c, handle, kind, start + moved, rest, 1000, &slice);

		if (took < 0)
			return took;
		c_slice_wait(slice);
		if (slice->flags & NETFS_SLICE_HOLE) {
			memset((char *)rest.iov_base + slice->moved, 0, took - slice->moved);
			slice->moved = took;
		}
		moved += slice->moved;
		idle = slice->moved ? 0 : idle + 1;
		if (slice->flags & NETFS_SLICE_EOF)
			break;
		if (slice->err && !(slice->flags & NETFS_SLICE_RETRY))
			return slice->err;
	}
	assert_true(idle < IDLE_MAX);
	return (ssize_t)moved;
}

ssize_t c_read(struct contract *c, struct netfs_handle *handle, uint64_t start, void *buf,
	       size_t len)
{
	return move(c, handle, NETFS_SLICE_READ, start, (struct iovec){buf, len});
}

ssize_t c_write(struct contract *c, struct netfs_handle *handle, uint64_t start, const void *buf,
		size_t len)
{
	return move(c, handle, NETFS_SLICE_WRITE, start, (struct iovec){(void *)buf, len});
}

/* ------------------------------------------------------ operations */

/* Passes results on, or back. */
static int take(struct c_call *call, struct netfs_node **ret_node, struct netfs_handle **ret_handle,
		struct netfs_attr *ret_attr)
{
	int err = c_wait(call);

	if (!err && ret_attr)
		*ret_attr = call->op.attr;
	if (!err && ret_node) {
		assert_non_null(call->op.node);
		*ret_node = call->op.node;
	} else {
		netfs_node_put(call->op.node);
	}
	if (!err && ret_handle) {
		assert_non_null(call->op.handle);
		*ret_handle = call->op.handle;
	} else {
		netfs_handle_put(call->op.handle);
	}
	if (!err && ret_attr) {
		assert_true(ret_attr->ino != 0);
		assert_true(ret_attr->mode & S_IFMT);
		assert_true(ret_attr->mtime.nsec < 1000000000);
	}
	return err;
}

int c_lookup(struct contract *c, struct netfs_node *dir, const char *name,
	     struct netfs_node **ret_node, struct netfs_attr *ret_attr)
{
	struct c_call *call = c_call(c);

	c->ops->lookup(dir, name, &call->op);
	return take(call, ret_node, NULL, ret_attr);
}

int c_getattr(struct contract *c, struct netfs_node *node, struct netfs_handle *handle,
	      struct netfs_attr *ret_attr)
{
	struct c_call *call = c_call(c);

	c->ops->getattr(node, handle, &call->op);
	return take(call, NULL, NULL, ret_attr);
}

int c_setattr(struct contract *c, struct netfs_node *node, struct netfs_handle *handle,
	      const struct netfs_setattr *set, struct netfs_attr *ret_attr)
{
	struct c_call *call = c_call(c);

	c->ops->setattr(node, handle, set, &call->op);
	return take(call, NULL, NULL, ret_attr);
}

int c_mkdir(struct contract *c, struct netfs_node *dir, const char *name,
	    struct netfs_node **ret_node)
{
	struct c_call *call = c_call(c);
	struct netfs_attr attr;
	int err;

	c->ops->mkdir(dir, name, 0755, &call->op);
	err = take(call, ret_node, NULL, &attr);
	if (!err)
		assert_true(S_ISDIR(attr.mode));
	return err;
}

int c_unlink(struct contract *c, struct netfs_node *dir, const char *name)
{
	struct c_call *call = c_call(c);

	c->ops->unlink(dir, name, &call->op);
	return c_wait(call);
}

int c_rmdir(struct contract *c, struct netfs_node *dir, const char *name)
{
	struct c_call *call = c_call(c);

	c->ops->rmdir(dir, name, &call->op);
	return c_wait(call);
}

int c_rename(struct contract *c, struct netfs_node *old_dir, const char *old_name,
	     struct netfs_node *new_dir, const char *new_name, uint32_t flags)
{
	struct netfs_node *node;
	struct c_call *call;
	int err = c_lookup(c, old_dir, old_name, &node, NULL);

	if (err)
		return err;
	call = c_call(c);
	c->ops->rename(node, old_dir, old_name, new_dir, new_name, flags, &call->op);
	err = c_wait(call);
	netfs_node_put(node);
	return err;
}

int c_create(struct contract *c, struct netfs_node *dir, const char *name, uint32_t flags,
	     struct netfs_node **ret_node, struct netfs_handle **ret_handle)
{
	struct c_call *call = c_call(c);
	struct netfs_attr attr;

	c->ops->create(dir, name, flags, 0640, &call->op);
	return take(call, ret_node, ret_handle, &attr);
}

int c_open(struct contract *c, struct netfs_node *node, uint32_t flags,
	   struct netfs_handle **ret_handle)
{
	struct c_call *call = c_call(c);

	c->ops->open(node, flags, &call->op);
	return take(call, NULL, ret_handle, NULL);
}

void c_make_file(struct contract *c, struct netfs_node *dir, const char *name, const char *content)
{
	struct netfs_handle *handle;
	size_t len = strlen(content);

	assert_int_equal(c_create(c, dir, name, O_RDWR | O_EXCL, NULL, &handle), 0);
	assert_int_equal(c_write(c, handle, 0, content, len), len);
	netfs_handle_put(handle);
}

void c_expect_file(struct contract *c, struct netfs_node *dir, const char *name,
		   const char *content)
{
	struct netfs_handle *handle;
	struct netfs_node *node;
	char buf[256] = "";

	assert_int_equal(c_lookup(c, dir, name, &node, NULL), 0);
	assert_int_equal(c_open(c, node, O_RDONLY, &handle), 0);
	assert_int_equal(c_read(c, handle, 0, buf, sizeof(buf) - 1), strlen(content));
	assert_string_equal(buf, content);
	netfs_handle_put(handle);
	netfs_node_put(node);
}
