/* SPDX-License-Identifier: MIT */
/*
 * The helpers of p9_t.h.  diod runs on a unix socket in a temporary folder and
 * is waited for by connecting to it; it is stopped by its pid and reaped.
 */
#include "p9_t.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <backend/backends.h>
#include <env/executor.h>

#define DIOD "/usr/sbin/diod"

bool server_present(void)
{
	return access(DIOD, X_OK) == 0;
}

static bool answers(const struct server *s)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool good;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", s->socket);
	good = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
	close(fd);
	return good;
}

static volatile sig_atomic_t killing;

/* A hard mount waits for ever for a server that crashed: say it instead. */
static void server_ended(int signal)
{
	static const char text[] = "diod ended by itself; it does so when it is mistreated\n";
	ssize_t done;

	if (killing)
		return;
	done = write(STDERR_FILENO, text, sizeof(text) - 1);
	_exit(done > 0 ? 1 : 2);
}

void server_start(struct server *s)
{
	struct sigaction action = {.sa_handler = server_ended,
				   .sa_flags = SA_NOCLDSTOP | SA_RESTART};

	unlink(s->socket);
	killing = false;
	sigaction(SIGCHLD, &action, NULL);
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0) {
		int null = open("/dev/null", O_RDWR);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		execl(DIOD, DIOD, "-f", "-n", "-N", "-c", "/dev/null", "-l", s->socket, "-e",
		      s->export, "-L", "stderr", "--nwthreads", "8", (char *)NULL);
		_exit(127);
	}
	/* There is no other event to wait for than that it answers. */
	for (int i = 0; !answers(s); i++) {
		struct timespec pause = {.tv_nsec = 2000000};

		assert_true(i < 5000);
		assert_int_equal(waitpid(s->pid, NULL, WNOHANG), 0);
		nanosleep(&pause, NULL);
	}
}

void server_kill(struct server *s)
{
	killing = true;
	kill(s->pid, SIGKILL);
	assert_int_equal(waitpid(s->pid, NULL, 0), s->pid);
	s->pid = 0;
}

void server_freeze(struct server *s)
{
	int status;

	kill(s->pid, SIGSTOP);
	assert_int_equal(waitpid(s->pid, &status, WUNTRACED), s->pid);
	assert_true(WIFSTOPPED(status));
}

static void on_ready(struct netfs_be_host *host)
{
	struct server *s = host->priv;

	s->ready++;
}

static void on_state(struct netfs_be_host *host, bool connected, const char *text)
{
	struct server *s = host->priv;

	assert_non_null(text);
	if (connected)
		s->back++;
	else
		s->lost++;
}

int server_connect(struct server *s, char *message, size_t size)
{
	struct netfs_source source = {.scheme = "9p", .host = "", .port = "", .path = s->socket};
	struct netfs_be_config config = {.source = &source,
					 .options = s->options,
					 .noptions = s->noptions,
					 .hard = s->hard,
					 .timeout_ms = s->timeout_ms};
	struct top t;
	int err;

	s->host = (struct netfs_be_host){.ready = on_ready, .state = on_state, .priv = s};
	top_init(&t);
	t.op.buf = message;
	t.op.buf_size = size;
	netfs_p9_ops.connect(&config, &s->host, &t.op);
	err = top_wait(&t);
	if (!err) {
		s->be = t.op.be;
		s->root = t.op.node;
		assert_true(S_ISDIR(t.op.attr.mode));
	}
	return err;
}

void server_up(struct server *s)
{
	char message[256] = "";

	snprintf(s->dir, sizeof(s->dir), "/tmp/unetfs-p9-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->export, sizeof(s->export), "%s/x", s->dir);
	snprintf(s->socket, sizeof(s->socket), "%s/s", s->dir);
	assert_int_equal(mkdir(s->export, 0755), 0);
	server_start(s);
	assert_int_equal(netfs_executor_start(0), 0);
	s->options[s->noptions++] = (struct netfs_option){"trans", "unix"};
	s->options[s->noptions++] = (struct netfs_option){"aname", s->export};
	if (server_connect(s, message, sizeof(message)) != 0)
		fail_msg("%s", message);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

void server_down(struct server *s)
{
	struct top t;

	if (s->be) {
		netfs_node_put(s->root);
		top_init(&t);
		s->be->ops->disconnect(s->be, &t.op);
		assert_int_equal(top_wait(&t), 0);
	}
	netfs_executor_stop();
	if (s->pid)
		server_kill(s);
	nftw(s->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ------------------------------------------------------- operations */

static void top_done(struct netfs_op *op, int err)
{
	struct top *t = (struct top *)op;

	t->err = err;
	netfs_event_set(&t->event);
}

void top_init(struct top *t)
{
	*t = (struct top){.op = {.done = top_done}};
	netfs_event_init(&t->event);
}

int top_wait(struct top *t)
{
	netfs_event_wait(&t->event);
	netfs_event_done(&t->event);
	return t->err;
}

static int finish_node(struct top *t, struct netfs_node **ret_node, struct netfs_attr *ret_attr)
{
	int err = top_wait(t);

	if (err)
		return err;
	if (ret_attr)
		*ret_attr = t->op.attr;
	if (ret_node)
		*ret_node = t->op.node;
	else
		netfs_node_put(t->op.node);
	return 0;
}

int t_lookup(struct netfs_node *dir, const char *name, struct netfs_node **ret_node,
	     struct netfs_attr *ret_attr)
{
	struct top t;

	top_init(&t);
	dir->be->ops->lookup(dir, name, &t.op);
	return finish_node(&t, ret_node, ret_attr);
}

int t_getattr(struct netfs_node *node, struct netfs_handle *handle, struct netfs_attr *ret_attr)
{
	struct top t;
	int err;

	top_init(&t);
	node->be->ops->getattr(node, handle, &t.op);
	err = top_wait(&t);
	*ret_attr = t.op.attr;
	return err;
}

int t_setattr(struct netfs_node *node, struct netfs_handle *handle, const struct netfs_setattr *set,
	      struct netfs_attr *ret_attr)
{
	struct top t;
	int err;

	top_init(&t);
	node->be->ops->setattr(node, handle, set, &t.op);
	err = top_wait(&t);
	*ret_attr = t.op.attr;
	return err;
}

int t_create(struct netfs_node *dir, const char *name, uint32_t flags, struct netfs_node **ret_node,
	     struct netfs_handle **ret_handle)
{
	struct top t;
	int err;

	top_init(&t);
	dir->be->ops->create(dir, name, flags, 0640, &t.op);
	err = finish_node(&t, ret_node, NULL);
	if (!err && ret_handle)
		*ret_handle = t.op.handle;
	else if (!err)
		netfs_handle_put(t.op.handle);
	return err;
}

int t_open(struct netfs_node *node, uint32_t flags, struct netfs_handle **ret_handle)
{
	struct top t;
	int err;

	top_init(&t);
	node->be->ops->open(node, flags, &t.op);
	err = top_wait(&t);
	if (!err)
		*ret_handle = t.op.handle;
	return err;
}

int t_mkdir(struct netfs_node *dir, const char *name, struct netfs_node **ret_node)
{
	struct top t;

	top_init(&t);
	dir->be->ops->mkdir(dir, name, 0755, &t.op);
	return finish_node(&t, ret_node, NULL);
}

int t_unlink(struct netfs_node *dir, const char *name)
{
	struct top t;

	top_init(&t);
	dir->be->ops->unlink(dir, name, &t.op);
	return top_wait(&t);
}

int t_rmdir(struct netfs_node *dir, const char *name)
{
	struct top t;

	top_init(&t);
	dir->be->ops->rmdir(dir, name, &t.op);
	return top_wait(&t);
}

int t_rename(struct netfs_node *node, struct netfs_node *from, const char *old_name,
	     struct netfs_node *to, const char *new_name)
{
	struct top t;

	top_init(&t);
	from->be->ops->rename(node, from, old_name, to, new_name, 0, &t.op);
	return top_wait(&t);
}

int t_fsync(struct netfs_handle *handle)
{
	struct top t;

	top_init(&t);
	handle->be->ops->fsync(handle, false, &t.op);
	return top_wait(&t);
}

int t_lock(struct netfs_handle *handle, enum netfs_lock_type type, uint64_t owner,
	   enum netfs_lock_result *ret_result)
{
	struct netfs_lock lock = {.type = type, .end = UINT64_MAX, .owner = owner};
	struct top t;
	int err;

	top_init(&t);
	handle->be->ops->lock(handle, &lock, &t.op);
	err = top_wait(&t);
	*ret_result = t.op.lock_result;
	return err;
}

/* ------------------------------------------------------- slices */

static void tslice_done(struct netfs_slice *slice, size_t moved, int err, unsigned flags)
{
	struct tslice *t = (struct tslice *)slice;

	t->moved = moved;
	t->err = err;
	t->flags = flags;
	netfs_event_set(&t->event);
}

ssize_t tslice_start(struct tslice *t, struct netfs_handle *handle, enum netfs_slice_kind kind,
		     uint64_t start, void *buf, size_t len)
{
	size_t part = len / 3;
	ssize_t taken;

	/* In pieces of odd sizes, as folios are not. */
	*t = (struct tslice){
		.slice = {.kind = kind,
			  .start = start,
			  .len = len,
			  .iov = t->iov,
			  .niov = 3,
			  .done = tslice_done},
		.iov = {{buf, part},
			{(char *)buf + part, 1},
			{(char *)buf + part + 1, len - part - 1}},
	};
	if (part == 0) {
		t->iov[0].iov_len = len;
		t->slice.niov = 1;
	}
	netfs_event_init(&t->event);
	if (kind == NETFS_SLICE_READ)
		taken = handle->be->ops->read(handle, &t->slice);
	else
		taken = handle->be->ops->write(handle, &t->slice);
	if (taken < 0)
		netfs_event_done(&t->event);
	return taken;
}

void tslice_wait(struct tslice *t)
{
	netfs_event_wait(&t->event);
	netfs_event_done(&t->event);
}

ssize_t t_io(struct netfs_handle *handle, enum netfs_slice_kind kind, uint64_t start, void *buf,
	     size_t len)
{
	size_t pos = 0;

	while (pos < len) {
		struct tslice t;
		ssize_t taken =
			tslice_start(&t, handle, kind, start + pos, (char *)buf + pos, len - pos);

		if (taken < 0)
			return taken;
		tslice_wait(&t);
		pos += t.moved;
		if (t.err)
			return t.err;
		if (t.flags & NETFS_SLICE_EOF)
			break;
	}
	return (ssize_t)pos;
}

/* ------------------------------------------------------- directories */

struct listing {
	struct top t;
	void (*each)(void *user, const char *name, size_t len);
	void *user;
	uint64_t next;
	unsigned room; /* entries to take in this turn */
};

static bool take_entry(struct netfs_op *op, const struct netfs_dirent *entry)
{
	struct listing *l = (struct listing *)op;

	if (l->room-- == 0)
		return false;
	l->next = entry->next;
	l->each(l->user, entry->name, entry->name_len);
	return true;
}

int t_list(struct netfs_node *dir, void (*each)(void *user, const char *name, size_t len),
	   void *user)
{
	struct listing l = {.each = each, .user = user};
	struct netfs_handle *handle = NULL;
	bool eof = false;
	int err = t_open(dir, O_RDONLY, &handle);

	while (!err && !eof) {
		top_init(&l.t);
		l.t.op.fill = take_entry;
		l.room = 700;
		dir->be->ops->readdir(handle, l.next, &l.t.op);
		err = top_wait(&l.t);
		eof = l.t.op.eof;
	}
	netfs_handle_put(handle);
	return err;
}
