/* SPDX-License-Identifier: MIT */
/*
 * Goal: bytes arrive complete and in order over every kind of socket, ends and
 * errors are told to both tasks, and closing is safe at any moment.
 * Method: an end (struct end) sends a stream whose bytes follow from their
 * position, checks what it receives against the same rule, and raises counters
 * when a direction is through.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <env/socket.h>
#include <t.h>

#define STREAM_BYTES (3u << 20)
#define CHUNK	     70000
#define TIMEOUT_MS   30000

struct end {
	struct netfs_socket *socket;
	struct netfs_task readable;
	struct netfs_task writable;
	unsigned char salt_out;
	unsigned char salt_in;
	uint64_t to_send;
	uint64_t sent; /* the writable task's */
	uint64_t received; /* the readable task's */
	bool sender_done;
	bool receiver_done;
	_Atomic int last_error;
	struct t_counter *news; /* 1 for each direction that ended */
	struct t_counter *arrived; /* 1 when a whole stream came; may be NULL */
};

static int setup(void **state)
{
	t_seed();
	return netfs_executor_start(2);
}

static int teardown(void **state)
{
	netfs_executor_stop();
	return 0;
}

static unsigned char byte_at(uint64_t pos, unsigned char salt)
{
	return (unsigned char)((pos * 31 + (pos >> 11)) ^ salt);
}

static void send_more(struct netfs_task *task)
{
	struct end *end = netfs_container_of(task, struct end, writable);
	static __thread unsigned char buf[CHUNK];
	ssize_t n = 0;

	while (!end->sender_done && end->sent < end->to_send) {
		size_t len = (size_t)(end->to_send - end->sent);
		struct iovec iov[2];

		if (len > sizeof(buf))
			len = sizeof(buf);
		for (size_t i = 0; i < len; i++)
			buf[i] = byte_at(end->sent + i, end->salt_out);
		iov[0] = (struct iovec){buf, len / 3};
		iov[1] = (struct iovec){buf + len / 3, len - len / 3};
		n = netfs_socket_send(end->socket, iov, 2);
		if (n < 0)
			break;
		end->sent += (uint64_t)n;
	}
	if (end->sender_done || n == -EAGAIN || n == -ENOTCONN)
		return;
	if (n < 0)
		atomic_store(&end->last_error, (int)n);
	end->sender_done = true;
	t_counter_add(end->news, 1);
}

static void receive_more(struct netfs_task *task)
{
	struct end *end = netfs_container_of(task, struct end, readable);
	static __thread unsigned char buf[CHUNK];
	struct iovec iov[2] = {{buf, 5}, {buf + 5, sizeof(buf) - 5}};
	ssize_t n;

	if (end->receiver_done)
		return;
	while ((n = netfs_socket_recv(end->socket, iov, 2)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			if (buf[i] != byte_at(end->received + (uint64_t)i, end->salt_in))
				abort();
		end->received += (uint64_t)n;
		if (end->arrived && end->received == STREAM_BYTES)
			t_counter_add(end->arrived, 1);
	}
	if (n == -EAGAIN || n == -ENOTCONN)
		return;
	if (n < 0)
		atomic_store(&end->last_error, (int)n);
	end->receiver_done = true;
	t_counter_add(end->news, 1);
}

static void end_init(struct end *end, bool first, uint64_t to_send, struct t_counter *news)
{
	memset(end, 0, sizeof(*end));
	netfs_task_init(&end->readable, receive_more);
	netfs_task_init(&end->writable, send_more);
	end->salt_out = first ? 0x55 : 0xaa;
	end->salt_in = first ? 0xaa : 0x55;
	end->to_send = to_send;
	end->news = news;
}

static int end_open(struct end *end, const struct netfs_socket_address *address)
{
	return netfs_socket_open(address, &end->readable, &end->writable, &end->socket);
}

static void end_open_fds(struct end *end, int rfd, int wfd)
{
	const struct netfs_socket_address address = {
		.kind = NETFS_SOCKET_FD, .rfd = rfd, .wfd = wfd};

	assert_int_equal(end_open(end, &address), 0);
}

/* The tasks live on the tests' stacks: none may be queued when those end. */
static void settle(void)
{
	netfs_executor_stop();
	assert_int_equal(netfs_executor_start(2), 0);
}

/* Both send everything, and it arrives; then one hangs up, and the other sees
 * that.  Earlier, TCP would reset and lose what is on its way. */
static void exchange(struct end *a, struct end *b, struct t_counter *news)
{
	assert_true(t_counter_wait(a->arrived, 2, TIMEOUT_MS));
	assert_true(t_counter_wait(news, 2, TIMEOUT_MS));
	netfs_socket_shutdown(a->socket);
	assert_true(t_counter_wait(news, 4, TIMEOUT_MS));
	assert_int_equal(a->sent, STREAM_BYTES);
	assert_int_equal(b->sent, STREAM_BYTES);
	assert_int_equal(a->received, STREAM_BYTES);
	assert_int_equal(b->received, STREAM_BYTES);
	assert_int_equal(netfs_socket_status(b->socket), 0);
	netfs_socket_close(a->socket);
	netfs_socket_close(b->socket);
	settle();
}

static void bytes_pass_through_a_socket_pair(void **state)
{
	struct t_counter news;
	struct t_counter arrived;
	struct end a;
	struct end b;
	int fds[2];

	t_counter_init(&news);
	t_counter_init(&arrived);
	end_init(&a, true, STREAM_BYTES, &news);
	end_init(&b, false, STREAM_BYTES, &news);
	a.arrived = b.arrived = &arrived;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	end_open_fds(&a, fds[0], fds[0]);
	end_open_fds(&b, fds[1], fds[1]);
	exchange(&a, &b, &news);
	t_counter_done(&news);
	t_counter_done(&arrived);
}

static void bytes_pass_through_pipes(void **state)
{
	struct t_counter news;
	struct end a;
	struct end b;
	int there[2];
	int back[2];

	t_counter_init(&news);
	end_init(&a, true, STREAM_BYTES, &news);
	end_init(&b, false, STREAM_BYTES, &news);
	assert_int_equal(pipe(there), 0);
	assert_int_equal(pipe(back), 0);
	end_open_fds(&a, back[0], there[1]);
	end_open_fds(&b, there[0], back[1]);
	assert_true(t_counter_wait(&news, 2, TIMEOUT_MS));
	/* Pipes have no shutdown: closing one side is the end. */
	netfs_socket_close(a.socket);
	assert_true(t_counter_wait(&news, 3, TIMEOUT_MS));
	netfs_socket_close(b.socket);
	settle();
	assert_int_equal(b.received, STREAM_BYTES);
	t_counter_done(&news);
}

/* -------------------------------------------------------------- listeners */

static int listen_unix(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static int listen_tcp(char port[8])
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	snprintf(port, 8, "%u", ntohs(address.sin_port));
	return fd;
}

static void exchange_with_listener(const struct netfs_socket_address *address, int listener)
{
	struct t_counter news;
	struct t_counter arrived;
	struct end a;
	struct end b;
	int fd;

	t_counter_init(&news);
	t_counter_init(&arrived);
	end_init(&a, true, STREAM_BYTES, &news);
	end_init(&b, false, STREAM_BYTES, &news);
	a.arrived = b.arrived = &arrived;
	assert_int_equal(end_open(&a, address), 0);
	fd = accept(listener, NULL, NULL);
	assert_true(fd >= 0);
	end_open_fds(&b, fd, fd);
	exchange(&a, &b, &news);
	t_counter_done(&news);
	t_counter_done(&arrived);
}

static void bytes_pass_through_a_unix_socket(void **state)
{
	char *dir = t_temp_dir();
	char path[100];
	const struct netfs_socket_address address = {.kind = NETFS_SOCKET_UNIX, .path = path};
	int listener;

	snprintf(path, sizeof(path), "%s/socket", dir);
	listener = listen_unix(path);
	exchange_with_listener(&address, listener);
	close(listener);
	t_temp_dir_remove(dir);
}

static void bytes_pass_through_tcp_by_name(void **state)
{
	char port[8];
	/* A name with several addresses, of which one listens. */
	const struct netfs_socket_address address = {
		.kind = NETFS_SOCKET_TCP, .host = "localhost", .port = port};
	int listener = listen_tcp(port);

	exchange_with_listener(&address, listener);
	close(listener);
}

/* ----------------------------------------------------------------- errors */

static void check_failure(const struct netfs_socket_address *address, int want)
{
	struct t_counter news;
	struct end end;
	struct iovec iov = {&end, 1};

	t_counter_init(&news);
	end_init(&end, true, 1, &news);
	assert_int_equal(end_open(&end, address), 0);
	assert_true(t_counter_wait(&news, 2, TIMEOUT_MS));
	assert_int_equal(netfs_socket_status(end.socket), want);
	assert_int_equal(netfs_socket_recv(end.socket, &iov, 1), want);
	assert_int_equal(netfs_socket_send(end.socket, &iov, 1), want);
	netfs_socket_shutdown(end.socket);
	netfs_socket_close(end.socket);
	settle();
	t_counter_done(&news);
}

static void connections_that_fail_say_why(void **state)
{
	char *dir = t_temp_dir();
	char path[100];
	char long_path[300];
	char port[8];
	int listener = listen_tcp(port);

	close(listener);
	check_failure(&(struct netfs_socket_address){.kind = NETFS_SOCKET_TCP,
						     .host = "127.0.0.1",
						     .port = port},
		      -ECONNREFUSED);
	check_failure(&(struct netfs_socket_address){.kind = NETFS_SOCKET_TCP,
						     .host = "127.0.0.1",
						     .port = "no-such-service"},
		      -EINVAL);
	snprintf(path, sizeof(path), "%s/nothing", dir);
	check_failure(&(struct netfs_socket_address){.kind = NETFS_SOCKET_UNIX, .path = path},
		      -ENOENT);
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = '\0';
	check_failure(&(struct netfs_socket_address){.kind = NETFS_SOCKET_UNIX, .path = long_path},
		      -ENAMETOOLONG);
	t_temp_dir_remove(dir);
}

static void descriptors_that_cannot_be_watched_are_refused(void **state)
{
	const struct netfs_socket_address bad = {.kind = NETFS_SOCKET_FD, .rfd = -1, .wfd = -1};
	struct netfs_socket_address file = {.kind = NETFS_SOCKET_FD};
	struct end end;

	end_init(&end, true, 0, NULL);
	assert_int_equal(end_open(&end, &bad), -EBADF);
	file.rfd = file.wfd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	assert_int_equal(end_open(&end, &file), -EPERM);
	assert_null(end.socket);
	/* Still the caller's. */
	assert_int_equal(close(file.rfd), 0);
}

static void the_peers_end_reaches_both_tasks(bool pipes)
{
	struct t_counter news;
	struct end end;
	int there[2];
	int back[2];

	t_counter_init(&news);
	end_init(&end, true, UINT64_MAX, &news);
	if (pipes) {
		assert_int_equal(pipe(there), 0);
		assert_int_equal(pipe(back), 0);
		end_open_fds(&end, back[0], there[1]);
		close(back[1]);
		close(there[0]);
	} else {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, there), 0);
		end_open_fds(&end, there[0], there[0]);
		close(there[1]);
	}
	assert_true(t_counter_wait(&news, 2, TIMEOUT_MS));
	assert_int_equal(end.received, 0);
	/* A peer that left bytes unread resets the connection. */
	assert_true(end.last_error == -EPIPE || end.last_error == -ECONNRESET);
	netfs_socket_close(end.socket);
	settle();
	t_counter_done(&news);
}

static void a_vanished_peer_is_an_error_and_not_a_signal(void **state)
{
	the_peers_end_reaches_both_tasks(false);
	the_peers_end_reaches_both_tasks(true);
}

/* The last bytes and the end may come as one event, before or after the first
 * look: a reader that got less than it asked for must still hear of the end. */
static void an_end_that_comes_with_the_last_bytes_is_seen(void **state)
{
	for (unsigned round = 0; round < 400; round++) {
		unsigned char last[9];
		struct t_counter news;
		struct end end;
		int fds[2];

		t_counter_init(&news);
		end_init(&end, true, 0, &news);
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
		for (unsigned i = 0; i < sizeof(last); i++)
			last[i] = byte_at(i, end.salt_in);
		if (round % 2)
			end_open_fds(&end, fds[0], fds[0]);
		assert_int_equal(write(fds[1], last, sizeof(last)), sizeof(last));
		close(fds[1]);
		if (round % 2 == 0)
			end_open_fds(&end, fds[0], fds[0]);
		/* The sender has nothing to send and ends at once. */
		assert_true(t_counter_wait(&news, 2, TIMEOUT_MS));
		assert_int_equal(end.received, sizeof(last));
		assert_int_equal(end.last_error, 0);
		netfs_socket_close(end.socket);
		settle();
		t_counter_done(&news);
	}
}

static void shutdown_ends_both_directions(void **state)
{
	struct t_counter news;
	struct end end;
	int fds[2];

	t_counter_init(&news);
	end_init(&end, true, UINT64_MAX, &news);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	end_open_fds(&end, fds[0], fds[0]);
	netfs_socket_shutdown(end.socket);
	assert_true(t_counter_wait(&news, 2, TIMEOUT_MS));
	assert_int_equal(end.last_error, -EPIPE);
	netfs_socket_close(end.socket);
	close(fds[1]);
	settle();
	t_counter_done(&news);
}

/* ------------------------------------------------------ closing at any time */

static _Atomic bool stop_talking;

static void *talk(void *arg)
{
	const int *fds = arg;
	char buf[512] = {0};

	while (!atomic_load(&stop_talking)) {
		/* The far ends come and go; only the attempt matters. */
		for (unsigned i = 0; i < 4; i++) {
			int fd = fds[i];

			if (send(fd, buf, sizeof(buf), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
				sched_yield();
			(void)!recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
		}
	}
	return NULL;
}

static void discard(struct netfs_task *task)
{
	struct end *end = netfs_container_of(task, struct end, readable);

	t_counter_add(end->news, 1);
}

static void ignore(struct netfs_task *task)
{
}

static void closing_is_safe_while_data_comes(void **state)
{
	struct t_counter news;
	struct end ends[4];
	pthread_t thread;
	int fds[4];
	int mine[4];

	t_counter_init(&news);
	atomic_store(&stop_talking, false);
	for (unsigned i = 0; i < 4; i++) {
		int pair[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
		fds[i] = pair[0];
		mine[i] = pair[1];
		end_init(&ends[i], true, 0, &news);
		netfs_task_init(&ends[i].readable, discard);
		netfs_task_init(&ends[i].writable, ignore);
	}
	assert_int_equal(pthread_create(&thread, NULL, talk, fds), 0);
	for (unsigned round = 0; round < 3000; round++) {
		struct end *end = &ends[round % 4];
		int fd = fcntl(mine[round % 4], F_DUPFD_CLOEXEC, 3);
		char buf[4096];
		struct iovec iov = {buf, sizeof(buf)};

		end_open_fds(end, fd, fd);
		netfs_socket_recv(end->socket, &iov, 1);
		netfs_socket_close(end->socket);
	}
	atomic_store(&stop_talking, true);
	pthread_join(thread, NULL);
	settle();
	for (unsigned i = 0; i < 4; i++) {
		close(fds[i]);
		close(mine[i]);
	}
	t_counter_done(&news);
}

static void closing_is_safe_while_connecting(void **state)
{
	char port[8];
	const struct netfs_socket_address address = {
		.kind = NETFS_SOCKET_TCP, .host = "127.0.0.1", .port = port};
	int listener = listen_tcp(port);
	struct t_counter news;
	struct end end;
	struct netfs_rng rng;

	t_rng(&rng, __func__);
	t_counter_init(&news);
	end_init(&end, true, 0, &news);
	netfs_task_init(&end.readable, ignore);
	netfs_task_init(&end.writable, ignore);
	for (unsigned round = 0; round < 200; round++) {
		assert_int_equal(end_open(&end, &address), 0);
		for (uint64_t i = netfs_rng_below(&rng, 40); i; i--)
			netfs_socket_status(end.socket);
		if (round % 3 == 0)
			netfs_socket_shutdown(end.socket);
		if (round % 2)
			sched_yield();
		netfs_socket_close(end.socket);
	}
	netfs_socket_close(NULL);
	close(listener);
	settle();
	t_counter_done(&news);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_pass_through_a_socket_pair),
		cmocka_unit_test(bytes_pass_through_pipes),
		cmocka_unit_test(bytes_pass_through_a_unix_socket),
		cmocka_unit_test(bytes_pass_through_tcp_by_name),
		cmocka_unit_test(connections_that_fail_say_why),
		cmocka_unit_test(descriptors_that_cannot_be_watched_are_refused),
		cmocka_unit_test(a_vanished_peer_is_an_error_and_not_a_signal),
		cmocka_unit_test(an_end_that_comes_with_the_last_bytes_is_seen),
		cmocka_unit_test(shutdown_ends_both_directions),
		cmocka_unit_test(closing_is_safe_while_data_comes),
		cmocka_unit_test(closing_is_safe_while_connecting),
	};

	return t_run(tests, setup, teardown);
}
