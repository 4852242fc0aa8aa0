/* SPDX-License-Identifier: MIT */
/* Every slice has a timer of its own, which answers it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include "crypt_script.h"
#include "engine_server.h"

static size_t serve_read(struct server *server, struct netfs_slice *slice, size_t most,
			 unsigned *flags)
{
	size_t done = 0;

	for (unsigned i = 0; i < slice->niov && done < most; i++) {
		uint64_t at = slice->start + done;
		size_t n = slice->iov[i].iov_len;

		if (n > most - done)
			n = most - done;
		if (at >= server->size)
			break;
		if (n > server->size - at)
			n = server->size - at;
		memcpy(slice->iov[i].iov_base, server->data + at, n);
		done += n;
	}
	if (slice->start + done >= server->size && done < slice->len)
		*flags |= NETFS_SLICE_EOF;
	return done;
}

static size_t serve_write(struct server *server, struct netfs_slice *slice, size_t most)
{
	size_t done = 0;

	for (unsigned i = 0; i < slice->niov && done < most; i++) {
		uint64_t at = slice->start + done;
		size_t n = slice->iov[i].iov_len;

		if (n > most - done)
			n = most - done;
		assert_true(at + n <= FILE_MAX);
		memcpy(server->data + at, slice->iov[i].iov_base, n);
		if (server->crypt)
			crypt_script_no_plain(server->data + at, at, n);
		done += n;
		if (at + n > server->size)
			server->size = at + n;
	}
	return done;
}

static void answer(struct netfs_task *task)
{
	struct pending *pending = netfs_container_of(task, struct pending, task);
	struct server *server = pending->server;
	struct netfs_slice *slice = pending->slice;
	size_t most = slice->len, moved = 0;
	unsigned flags = 0;
	int err = 0;

	if (chance(server->short_pct))
		most = 1 + netfs_random_below(slice->len);
	if (chance(server->error_pct)) {
		err = -ECONNRESET;
		flags = NETFS_SLICE_RETRY;
		most = chance(50) ? 0 : most;
	}
	if (slice->kind == NETFS_SLICE_WRITE && server->refuse_writes) {
		err = server->refuse_writes;
		flags = 0;
	} else if (slice->kind == NETFS_SLICE_WRITE) {
		moved = serve_write(server, slice, most);
		server->writes++;
	} else if (server->refuse_reads) {
		err = server->refuse_reads;
		flags = 0;
	} else {
		moved = serve_read(server, slice, most, &flags);
		server->reads++;
		if (err)
			flags &= ~NETFS_SLICE_EOF;
	}
	if (moved == slice->len)
		err = 0;
	pending->busy = false;
	slice->done(slice, moved, err, flags);
	if (server->refused_some) {
		server->refused_some = false;
		netfs_core_ready(server->core);
	}
}

static ssize_t take(struct netfs_handle *handle, struct netfs_slice *slice)
{
	struct server *server = netfs_container_of(handle, struct server, handle);

	for (unsigned i = 0; i < server->depth; i++) {
		struct pending *pending = &server->slot[i];
		size_t n = slice->len < server->slice_max ? slice->len : server->slice_max;

		if (pending->busy)
			continue;
		if (chance(30))
			n = 1 + netfs_random_below(n);
		netfs_slice_trim(slice, n);
		pending->busy = true;
		pending->slice = slice;
		if (!server->deaf)
			netfs_timer_start(&pending->timer, 1 + netfs_random_below(3000000));
		return n;
	}
	server->refused_some = true;
	return -EAGAIN;
}

static void sync_op(struct netfs_handle *handle, bool datasync, struct netfs_op *op)
{
	op->done(op, 0);
}

static void cancel_slice(struct netfs_be *be, struct netfs_slice *slice)
{
	struct server *server = netfs_container_of(be, struct server, be);

	for (unsigned i = 0; i < SLOTS; i++) {
		struct pending *pending = &server->slot[i];

		if (!pending->busy || pending->slice != slice)
			continue;
		if (!server->deaf && !netfs_timer_stop(&pending->timer))
			continue;
		pending->busy = false;
		slice->done(slice, 0, -EINTR, 0);
	}
}

static void keep_handle(struct netfs_handle *handle)
{
	fail_msg("the test holds a reference of its own");
}

static const struct netfs_be_ops server_ops = {
	.scheme = "script",
	.read = take,
	.write = take,
	.fsync = sync_op,
	.slice_cancel = cancel_slice,
	.handle_free = keep_handle,
};

void server_init(struct server *server)
{
	memset(server, 0, sizeof(*server));
	server->be.ops = &server_ops;
	server->handle = (struct netfs_handle){
		.refs = 1, .be = &server->be, .readable = true, .writable = true};
	for (unsigned i = 0; i < SLOTS; i++) {
		struct pending *pending = &server->slot[i];

		pending->server = server;
		netfs_task_init(&pending->task, answer);
		netfs_timer_init(&pending->timer, &pending->task);
	}
	server->be.rsize = server->be.wsize = 4096u << netfs_random_below(6);
	server->be.granule = chance(30) ? 8192u << netfs_random_below(7) : 0;
	server->be.depth = server->depth = 1 + netfs_random_below(SLOTS);
	server->slice_max = chance(50) ? FILE_MAX : 1000 + netfs_random_below(100000);
	server->short_pct = chance(50) ? netfs_random_below(60) : 0;
	server->error_pct = chance(50) ? netfs_random_below(30) : 0;
}
