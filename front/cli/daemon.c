/* SPDX-License-Identifier: MIT */
/*
 * The life of a mount.
 *
 *	connect -> attach to the kernel -> serve -> unmounted -> drain -> close
 *
 * The main thread does all of it in this order and waits for events only in
 * pump(): signals, completions, the end of the FUSE session.  Everything else
 * happens in the threads of the session, of the library, and of the control
 * socket.
 *
 * Signals: the first TERM or INT unmounts and sends what is unsent; the second
 * gives that up and says how much is lost.  HUP is ignored.
 *
 * Nothing unsent is dropped by itself: while the rest cannot be sent it is kept
 * and tried again, until it went, or a second TERM or "umount -f" gives it up.
 *
 * The lock guards the mount against those who look at it through the control
 * socket while it is being closed: from then on they see its last picture.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <syslog.h>
#include <unistd.h>
#include <base/assert.h>
#include <base/list.h>
#include <fuse/fuse_front.h>
#include "cli.h"
#include "control.h"
#include "daemon.h"
#include "inside.h"
#include "mlock.h"
#include "runtime.h"
#include "supervisor.h"

#define STATS_MAX 256
/* Between two attempts to send what could not be sent. */
#define RETRY_MS_MIN 1000
#define RETRY_MS_MAX 30000
/* How long processes may use a mount that was taken from under them by TERM. */
#define LINGER_MS 3000
/* Between two looks at the signals while requests end. */
#define FINISH_MS 200
/* How long requests may take to end once everything was given up. */
#define GIVE_UP_MS 3000

struct daemon {
	const struct netfs_cli_mount_request *request;
	struct netfs_client *client;
	struct netfs_fuse_config fuse_config;
	struct netfs_fuse_session *fuse;
	struct netfs_cli_control *control;
	struct netfs_cli_supervisor supervisor;
	struct netfs_cli_record record;
	char features[512];
	int signal_fd;
	int event_fd; /* something to look at for the main thread */
	unsigned stops; /* TERM and INT so far; the main thread's */
	_Atomic bool ended; /* the FUSE session */
	_Atomic bool forced; /* give up what is unsent */
	_Atomic bool quiet; /* no messages: the one that counts is to come */
	_Atomic int nheld; /* 1: somebody writes held, 2: it is there */
	char held[512]; /* the first that was not said while it was quiet */
	bool to_syslog;
	uint64_t lost;
	uint64_t kept; /* bytes that stay in the journal */

	pthread_mutex_t lock; /* guards the rest */
	struct netfs_mount *mount;
	bool closing; /* mount must not be touched; the picture counts */
	struct netfs_mount_status picture;
	struct netfs_stat stats[STATS_MAX];
	size_t nstats;
};

/* A call the main thread waits for. */
struct waiter {
	struct netfs_call call;
	struct daemon *daemon;
	_Atomic bool done;
	int err;
};

/* ------------------------------------------------------------- events */

static void notify(struct daemon *daemon)
{
	uint64_t one = 1;

	while (write(daemon->event_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		continue;
}

/* For when there is a mount: it may say something about that. */
static void hold(struct daemon *daemon, const char *line)
{
	int none = 0;

	if (!atomic_compare_exchange_strong(&daemon->nheld, &none, 1))
		return;
	snprintf(daemon->held, sizeof(daemon->held), "%s", line);
	atomic_store(&daemon->nheld, 2);
}

static void write_log(void *user, int level, const char *line)
{
	static const int priorities[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};
	struct daemon *daemon = user;
	int limit = daemon->request->verbose ? NETFS_LOG_DEBUG : NETFS_LOG_WARN;

	if (level > limit || level < 0)
		return;
	if (daemon->quiet && !daemon->request->verbose) {
		hold(daemon, line);
		return;
	}
	if (daemon->to_syslog)
		syslog(priorities[level & 3], "%s: %s", daemon->request->mount_point, line);
	else
		netfs_cli_error("%s%s%s", daemon->request->mount_point,
				daemon->request->replay ? "" : ": ", line);
}

__attribute__((format(printf, 3, 4))) static void say(struct daemon *daemon, int level,
						      const char *format, ...)
{
	char line[512];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	write_log(daemon, level, line);
}

/* Waits until something happens, at most timeout_ms. */
static void pump(struct daemon *daemon, int timeout_ms)
{
	struct pollfd fds[3] = {
		{.fd = daemon->signal_fd, .events = POLLIN},
		{.fd = daemon->event_fd, .events = POLLIN},
		{.fd = daemon->request->report_fd, .events = 0},
	};
	struct signalfd_siginfo info;
	uint64_t count;

	/* Nobody waits for the report any more once it was given. */
	if (!daemon->quiet)
		fds[2].fd = -1;
	if (poll(fds, 3, timeout_ms) < 0)
		return;
	if (fds[0].revents && read(daemon->signal_fd, &info, sizeof(info)) == sizeof(info) &&
	    info.ssi_signo != SIGHUP)
		daemon->stops++;
	if (fds[1].revents && read(daemon->event_fd, &count, sizeof(count)) < 0)
		return;
	if (fds[2].revents & POLLERR)
		daemon->stops++;
}

static void waiter_done(struct netfs_call *call, int err)
{
	struct waiter *waiter = netfs_container_of(call, struct waiter, call);
	struct daemon *daemon = waiter->daemon;

	waiter->err = err;
	/* release: pairs with the load in await(); waiter may be gone after. */
	atomic_store_explicit(&waiter->done, true, memory_order_release);
	notify(daemon);
}

static void waiter_init(struct waiter *waiter, struct daemon *daemon)
{
	netfs_call_init(&waiter->call, waiter_done);
	waiter->daemon = daemon;
	atomic_init(&waiter->done, false);
}

/* Waits for the call; more stop signals than stops, or force, cancel it. */
static int await(struct daemon *daemon, struct waiter *waiter, unsigned stops)
{
	bool cancelled = false;

	while (!atomic_load_explicit(&waiter->done, memory_order_acquire)) {
		pump(daemon, -1);
		if (!cancelled && (daemon->stops > stops || daemon->forced)) {
			cancelled = true;
			netfs_call_cancel(&waiter->call);
		}
	}
	return waiter->err;
}

/* ------------------------------------------------- the control socket */

static void take_picture_locked(struct daemon *daemon)
{
	if (daemon->closing || !daemon->mount)
		return;
	netfs_mount_status(daemon->mount, &daemon->picture);
	daemon->nstats = netfs_mount_stats(daemon->mount, daemon->stats, STATS_MAX);
	if (daemon->nstats > STATS_MAX)
		daemon->nstats = STATS_MAX;
}

static void add_fact(struct netfs_cli_text *text, const char *name, const char *value)
{
	netfs_cli_text_add(text, "s %s ", name);
	for (; *value; value++)
		netfs_cli_text_put(text, *value == '\n' ? "?" : value, 1);
	netfs_cli_text_put(text, "\n", 1);
}

static void add_number(struct netfs_cli_text *text, const char *name, uint64_t value)
{
	netfs_cli_text_add(text, "u %s %llu\n", name, (unsigned long long)value);
}

static const char *state_of(const struct daemon *daemon)
{
	if (daemon->ended)
		return "unmounted, sending what is left";
	return daemon->picture.state;
}

static void report(void *user, struct netfs_cli_text *text)
{
	struct daemon *daemon = user;
	const struct netfs_mount_status *picture = &daemon->picture;

	pthread_mutex_lock(&daemon->lock);
	take_picture_locked(daemon);
	add_fact(text, "mount_point", daemon->request->mount_point);
	add_fact(text, "source", daemon->request->source);
	add_number(text, "pid", (uint64_t)getpid());
	add_fact(text, "version", NETFS_VERSION);
	add_fact(text, "state", state_of(daemon));
	netfs_cli_text_add(text, "b connected %d\n", picture->connected);
	add_fact(text, "address", picture->address);
	netfs_cli_text_add(text, "b read_only %d\n",
			   picture->read_only ||
				   (daemon->request->options.mount_flags & MS_RDONLY) != 0);
	add_fact(text, "cache", picture->cache_mode);
	add_fact(text, "options", daemon->request->option_text);
	add_number(text, "dirty", picture->dirty);
	add_number(text, "stuck", picture->stuck);
	add_number(text, "lost", picture->lost);
	if (picture->lost_last[0])
		add_fact(text, "lost_last", picture->lost_last);
	if (picture->journalled || picture->left) {
		add_number(text, "journal", picture->journalled);
		add_number(text, "left", picture->left);
	}
	add_number(text, "cached", picture->cached);
	if (picture->cache_folder[0]) {
		add_fact(text, "cachedir", picture->cache_folder);
		add_number(text, "cachevolume", picture->cache_volume);
		netfs_cli_text_add(text, "b cachesealed %d\n", picture->cache_sealed);
	}
	add_number(text, "vnodes", picture->vnodes);
	add_number(text, "files_open", picture->files_open);
	add_number(text, "requests", picture->requests);
	add_fact(text, "kernel", daemon->features);
	for (size_t i = 0; i < daemon->nstats; i++)
		netfs_cli_text_add(text, "c %s %llu %s %s %s\n", daemon->stats[i].name,
				   (unsigned long long)daemon->stats[i].value,
				   daemon->stats[i].group, daemon->stats[i].code,
				   daemon->stats[i].meaning);
	pthread_mutex_unlock(&daemon->lock);
}

static void list_requests(void *user, struct netfs_cli_text *text)
{
	struct daemon *daemon = user;

	pthread_mutex_lock(&daemon->lock);
	if (!daemon->closing && daemon->mount)
		netfs_cli_inside_requests(text, daemon->mount);
	pthread_mutex_unlock(&daemon->lock);
}

/* The recorder belongs to the process, so it can be read to the very end. */
static void dump_trace(void *user, struct netfs_cli_text *text)
{
	netfs_cli_inside_trace(text);
}

/* The mount cannot be closed meanwhile: that waits for the sync that the
 * control socket has begun. */
static bool control_sync(void *user, struct netfs_call *call)
{
	struct daemon *daemon = user;
	struct netfs_mount *mount;

	pthread_mutex_lock(&daemon->lock);
	mount = daemon->closing ? NULL : daemon->mount;
	pthread_mutex_unlock(&daemon->lock);
	if (mount)
		netfs_mount_sync(mount, call);
	return mount != NULL;
}

static uint64_t unsent(void *user)
{
	struct daemon *daemon = user;
	uint64_t dirty;

	pthread_mutex_lock(&daemon->lock);
	take_picture_locked(daemon);
	dirty = daemon->picture.dirty + daemon->picture.left;
	pthread_mutex_unlock(&daemon->lock);
	return dirty;
}

static uint64_t give_up(void *user)
{
	struct daemon *daemon = user;
	uint64_t dirty = unsent(daemon);

	pthread_mutex_lock(&daemon->lock);
	/* What is in the journal stays there. */
	dirty -= daemon->picture.journalled < dirty ? daemon->picture.journalled : dirty;
	daemon->forced = true;
	if (!daemon->closing && daemon->mount)
		netfs_mount_abort(daemon->mount);
	pthread_mutex_unlock(&daemon->lock);
	notify(daemon);
	return dirty;
}

static const struct netfs_cli_control_ops control_ops = {
	.report = report,
	.requests = list_requests,
	.trace = dump_trace,
	.sync = control_sync,
	.dirty = unsent,
	.abort = give_up,
};

/* ------------------------------------------------------------- starting */

static int failed(struct daemon *daemon, int code, const char *reason)
{
	if (daemon->request->replay)
		netfs_cli_error("cannot connect %s: %s", daemon->request->source, reason);
	else
		netfs_cli_error("cannot mount %s on %s: %s", daemon->request->source,
				daemon->request->mount_point, reason);
	return code;
}

/* Before there are threads.  A part of it that is missing is said with the mount. */
static int stay_in_memory(struct daemon *daemon)
{
	char why[256];

	if (!daemon->request->options.mlock)
		return NETFS_CLI_OK;
	if (netfs_cli_mlock(why, sizeof(why)) < 0)
		return failed(daemon, NETFS_CLI_USAGE, why);
	if (why[0])
		say(daemon, NETFS_LOG_WARN, "%s", why);
	return NETFS_CLI_OK;
}

/* Opens the share. */
static int connect_share(struct daemon *daemon)
{
	const struct netfs_cli_mount_request *request = daemon->request;
	struct netfs_client_config config = request->options.client;
	struct waiter waiter;
	int err;

	config.log = write_log;
	config.user = daemon;
	err = netfs_client_new(&config, &daemon->client);
	if (err < 0)
		return failed(daemon, NETFS_CLI_SYSTEM, strerror(-err));
	waiter_init(&waiter, daemon);
	waiter.call.cred = (struct netfs_cred){geteuid(), getegid(), getpid()};
	netfs_mount_open(daemon->client, request->source, request->options.rest, &waiter.call);
	err = await(daemon, &waiter, 0);
	if (err == 0) {
		daemon->mount = waiter.call.mount;
		return NETFS_CLI_OK;
	}
	return failed(daemon, err == -EINVAL ? NETFS_CLI_USAGE : NETFS_CLI_FAILED,
		      waiter.call.message[0] ? waiter.call.message : strerror(-err));
}

static void on_ended(void *user)
{
	struct daemon *daemon = user;

	daemon->ended = true;
	notify(daemon);
}

/* One client that changes the share, or none: only then may the kernel rely
 * on our notices alone. */
static bool one_client(struct daemon *daemon)
{
	struct netfs_mount_status *picture = &daemon->picture;

	netfs_mount_status(daemon->mount, picture);
	return strcmp(picture->cache_mode, "loose") == 0 ||
	       strcmp(picture->cache_mode, "immutable") == 0;
}

/* Shows the share. */
static int attach(struct daemon *daemon)
{
	const struct netfs_cli_mount_request *request = daemon->request;
	char why[256];
	int err;

	daemon->fuse_config = (struct netfs_fuse_config){
		.source = request->source,
		.mount_point = request->mount_point,
		.mount_flags = request->options.mount_flags,
		.allow_other = request->options.allow_other,
		.trust_notices = one_client(daemon),
		.readahead_kb = request->options.readahead_kb,
		.log = write_log,
		.ended = on_ended,
		.user = daemon,
	};
	/* Nothing is written to a share that nobody changes, and the kernel does not do both. */
	daemon->fuse_config.passthrough = strcmp(daemon->picture.cache_mode, "immutable") == 0 &&
					  daemon->picture.cache_folder[0] &&
					  !daemon->picture.cache_sealed;
	daemon->fuse_config.kernel_writeback =
		request->options.kernel_writeback && !daemon->picture.read_only;
	err = netfs_fuse_start(&daemon->fuse_config, daemon->mount, why, &daemon->fuse);
	if (err == 0) {
		snprintf(daemon->features, sizeof(daemon->features), "%s",
			 netfs_fuse_features(daemon->fuse));
		return NETFS_CLI_OK;
	}
	if (err == -EPERM)
		return failed(daemon, NETFS_CLI_USAGE, why);
	return failed(daemon, err == -ENOMEM ? NETFS_CLI_SYSTEM : NETFS_CLI_FAILED, why);
}

/* Makes the mount known.  It works without; only status and a counted umount
 * do not. */
static void publish(struct daemon *daemon)
{
	const struct netfs_cli_mount_request *request = daemon->request;
	struct netfs_cli_record *record = &daemon->record;
	uint32_t minor = netfs_fuse_minor(daemon->fuse);
	int err = netfs_cli_runtime_path(request->mount_point, minor, record->socket);

	if (err == 0)
		err = netfs_cli_control_start(record->socket, &control_ops, daemon,
					      &daemon->control);
	if (err == 0) {
		snprintf(record->mount_point, sizeof(record->mount_point), "%s",
			 request->mount_point);
		snprintf(record->source, sizeof(record->source), "%s", request->source);
		record->pid = getpid();
		err = netfs_cli_runtime_write(record);
	}
	netfs_cli_supervisor_mounted(&daemon->supervisor, minor, record->socket);
	if (err < 0)
		say(daemon, NETFS_LOG_WARN, "no control socket: %s", strerror(-err));
}

/* A failed assertion, which may hold any lock: syslog(3) takes its own. */
static void last_words(const char *line)
{
	syslog(LOG_CRIT, "%s", line);
}

/* From here on nobody reads our standard streams. */
static void leave_terminal(struct daemon *daemon)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	openlog("unetfs", LOG_PID, LOG_DAEMON);
	daemon->to_syslog = true;
	netfs_last_words_to(last_words);
	for (int i = 0; i < 3 && fd >= 0; i++)
		dup2(fd, i);
	if (fd > 2)
		close(fd);
}

/* The parent may return.  Where it is gone already, the mount is not wanted
 * any more. */
static void tell_ready(struct daemon *daemon)
{
	char code = NETFS_CLI_OK;

	daemon->quiet = false;
	if (atomic_load(&daemon->nheld) == 2)
		say(daemon, NETFS_LOG_WARN, "%s", daemon->held);
	say(daemon, NETFS_LOG_INFO, "%s is mounted", daemon->request->source);
	if (daemon->request->foreground)
		return;
	leave_terminal(daemon);
	if (write(daemon->request->report_fd, &code, 1) != 1)
		daemon->stops++;
	close(daemon->request->report_fd);
}

/* ------------------------------------------------------------ the end */

static int sync_once(struct daemon *daemon, unsigned stops, char *reason, size_t size)
{
	struct waiter waiter;
	int err;

	waiter_init(&waiter, daemon);
	netfs_mount_sync(daemon->mount, &waiter.call);
	err = await(daemon, &waiter, stops);
	snprintf(reason, size, "%.200s",
		 waiter.call.message[0] ? waiter.call.message : strerror(-err));
	return err;
}

/* TERM: sends, unmounts, and if somebody still uses the mount, waits a moment
 * and ends it for them. */
static void terminate(struct daemon *daemon)
{
	const char *mount_point = daemon->request->mount_point;
	uint64_t until;
	char reason[256];
	int err;

	if (sync_once(daemon, 1, reason, sizeof(reason)) < 0 && !daemon->ended)
		say(daemon, NETFS_LOG_WARN, "not everything could be sent: %s", reason);
	if (daemon->ended)
		return;
	err = netfs_fuse_unmount(mount_point, 0);
	if (err < 0)
		err = netfs_fuse_unmount(mount_point, MNT_DETACH);
	if (err < 0)
		say(daemon, NETFS_LOG_WARN, "cannot unmount: %s", strerror(-err));
	until = netfs_cli_now_ms() + LINGER_MS;
	while (!daemon->ended && daemon->stops < 2 && netfs_cli_now_ms() < until)
		pump(daemon, 100);
	if (daemon->ended)
		return;
	say(daemon, NETFS_LOG_WARN, "still in use: its users get errors from here on");
	netfs_fuse_abort(netfs_fuse_minor(daemon->fuse));
	while (!daemon->ended && daemon->stops < 3)
		pump(daemon, 1000);
	if (!daemon->ended)
		_exit(NETFS_CLI_FAILED);
}

static void set_closing(struct daemon *daemon, bool closing)
{
	if (closing)
		netfs_cli_control_quiesce(daemon->control);
	pthread_mutex_lock(&daemon->lock);
	take_picture_locked(daemon);
	daemon->closing = closing;
	pthread_mutex_unlock(&daemon->lock);
	if (!closing)
		netfs_cli_control_resume(daemon->control);
}

/* Closes the mount; on failure it stays as it was. */
static int close_once(struct daemon *daemon, uint32_t flags, char *reason, size_t size)
{
	struct waiter waiter;
	int err;

	set_closing(daemon, true);
	waiter_init(&waiter, daemon);
	netfs_mount_close(daemon->mount, flags, &waiter.call);
	/* A forced close does not wait for the server: it is not cancelled. */
	err = await(daemon, &waiter, flags ? UINT32_MAX : 1);
	snprintf(reason, size, "%.200s",
		 waiter.call.message[0] ? waiter.call.message : strerror(-err));
	if (err < 0 && !flags) {
		set_closing(daemon, false);
		return err;
	}
	pthread_mutex_lock(&daemon->lock);
	daemon->mount = NULL;
	pthread_mutex_unlock(&daemon->lock);
	daemon->lost = flags ? waiter.call.count : 0;
	daemon->kept = flags ? waiter.call.offset : 0;
	return 0;
}

static bool giving_up(const struct daemon *daemon)
{
	return daemon->forced || daemon->stops >= 2;
}

static void tell_kept(struct daemon *daemon, const char *reason)
{
	unsigned long long dirty = unsent(daemon);
	char size[32];

	say(daemon, NETFS_LOG_ERROR, "%s could not be sent and are kept: %s",
	    netfs_cli_size(size, dirty), reason);
	netfs_cli_control_tell(daemon->control, "kept %llu %s", dirty, reason);
}

/* Sends the rest and closes, however long that takes, unless it is given up. */
static void drain(struct daemon *daemon)
{
	unsigned wait_ms = RETRY_MS_MIN;
	char reason[256];
	uint64_t until;

	while (!giving_up(daemon)) {
		if (sync_once(daemon, 1, reason, sizeof(reason)) == 0 && !giving_up(daemon) &&
		    close_once(daemon, 0, reason, sizeof(reason)) == 0)
			return;
		if (giving_up(daemon))
			break;
		tell_kept(daemon, reason);
		until = netfs_cli_now_ms() + wait_ms;
		while (!giving_up(daemon) && netfs_cli_now_ms() < until)
			pump(daemon, (int)(until - netfs_cli_now_ms()));
		wait_ms = wait_ms * 2 > RETRY_MS_MAX ? RETRY_MS_MAX : wait_ms * 2;
	}
	netfs_mount_abort(daemon->mount);
	close_once(daemon, NETFS_CLOSE_FORCE, reason, sizeof(reason));
}

/* A connection that was aborted leaves a dead mount behind. */
static void clear_mount_point(struct daemon *daemon)
{
	const char *mount_point = daemon->request->mount_point;
	struct netfs_mountinfo info;

	if (netfs_mountinfo_find(mount_point, &info) == 0 &&
	    strcmp(info.type, NETFS_FUSE_TYPE) == 0 && info.minor == netfs_fuse_minor(daemon->fuse))
		netfs_fuse_unmount(mount_point, MNT_DETACH);
}

/* The end of those who gave up and whom the library does not let go. */
static void __attribute__((noreturn)) leave(struct daemon *daemon)
{
	unsigned long long dirty = unsent(daemon);

	say(daemon, NETFS_LOG_ERROR, "%llu bytes were never sent and are lost", dirty);
	if (daemon->record.socket[0])
		netfs_cli_runtime_remove(daemon->record.socket);
	netfs_cli_control_tell(daemon->control, "closed %llu", dirty);
	netfs_cli_supervisor_done(&daemon->supervisor);
	_exit(NETFS_CLI_FAILED);
}

/* What waits for the server is cancelled; where that does not help, giving up
 * does, and where not even that, we go. */
static void finish(struct daemon *daemon)
{
	uint64_t until = 0;

	while (netfs_fuse_finish(daemon->fuse, FINISH_MS) < 0) {
		pump(daemon, 0);
		if (!giving_up(daemon))
			continue;
		netfs_mount_abort(daemon->mount);
		if (!until)
			until = netfs_cli_now_ms() + GIVE_UP_MS;
		if (netfs_cli_now_ms() > until)
			leave(daemon);
	}
}

static void serve(struct daemon *daemon)
{
	while (!daemon->ended && daemon->stops == 0)
		pump(daemon, -1);
	if (!daemon->ended)
		terminate(daemon);
	clear_mount_point(daemon);
	finish(daemon);
	drain(daemon);
	if (daemon->lost)
		say(daemon, NETFS_LOG_ERROR, "%llu bytes were never sent and are lost",
		    (unsigned long long)daemon->lost);
	if (daemon->kept)
		say(daemon, NETFS_LOG_WARN,
		    "%llu bytes stay in the journal; the next mount of the share sends them",
		    (unsigned long long)daemon->kept);
	if (daemon->record.socket[0])
		netfs_cli_runtime_remove(daemon->record.socket);
	netfs_cli_control_tell(daemon->control, "closed %llu %llu",
			       (unsigned long long)daemon->lost, (unsigned long long)daemon->kept);
	netfs_cli_control_stop(daemon->control);
}

/* ------------------------------------------------------------- the whole */

/* Where the kernel refused, the share is let go again. */
static void disconnect(struct daemon *daemon)
{
	char reason[256];

	if (daemon->mount)
		close_once(daemon, NETFS_CLOSE_FORCE, reason, sizeof(reason));
}

/* What a mount sends again is sent, and nothing else: what is left now stays. */
static int replayed(struct daemon *daemon)
{
	char size[32], reason[256];
	struct netfs_call call;

	netfs_call_init(&call, NULL);
	netfs_mount_sync(daemon->mount, &call);
	netfs_call_wait(&call);
	netfs_mount_status(daemon->mount, &daemon->picture);
	if (daemon->picture.left)
		netfs_cli_error("%s: %s (%llu bytes) could not be sent and stay in the journal",
				daemon->request->source, netfs_cli_size(size, daemon->picture.left),
				(unsigned long long)daemon->picture.left);
	if (close_once(daemon, 0, reason, sizeof(reason))) {
		netfs_cli_error("%s: %s", daemon->request->source, reason);
		disconnect(daemon);
		return NETFS_CLI_FAILED;
	}
	return daemon->picture.left ? NETFS_CLI_FAILED : NETFS_CLI_OK;
}

static int run(struct daemon *daemon)
{
	int code = stay_in_memory(daemon);

	if (code == NETFS_CLI_OK)
		code = connect_share(daemon);

	if (code == NETFS_CLI_OK && daemon->request->replay) {
		code = replayed(daemon);
	} else if (code == NETFS_CLI_OK) {
		code = attach(daemon);
		if (code != NETFS_CLI_OK)
			disconnect(daemon);
	}
	if (code == NETFS_CLI_OK && !daemon->request->replay) {
		publish(daemon);
		tell_ready(daemon);
		serve(daemon);
		netfs_fuse_free(daemon->fuse);
		code = daemon->lost ? NETFS_CLI_FAILED : NETFS_CLI_OK;
	}
	netfs_client_free(daemon->client);
	return code;
}

/* The signals the main thread takes from signal_fd; threads inherit the mask. */
static int signals_take(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int netfs_cli_daemon_run(const struct netfs_cli_mount_request *request)
{
	struct daemon *daemon = calloc(1, sizeof(*daemon));
	int code, err;

	if (!daemon)
		return NETFS_CLI_SYSTEM;
	daemon->request = request;
	daemon->quiet = true;
	pthread_mutex_init(&daemon->lock, NULL);
	daemon->signal_fd = signals_take();
	daemon->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = netfs_cli_supervisor_start(request->mount_point, &daemon->supervisor);
	if (err < 0) {
		code = failed(daemon, NETFS_CLI_SYSTEM, strerror(-err));
	} else {
		code = run(daemon);
		netfs_cli_supervisor_done(&daemon->supervisor);
	}
	close(daemon->signal_fd);
	close(daemon->event_fd);
	pthread_mutex_destroy(&daemon->lock);
	free(daemon);
	return code;
}
