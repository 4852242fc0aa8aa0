/* SPDX-License-Identifier: MIT */
/*
 * Goal: the simulated network delivers what was sent, in order, in pieces and
 * with delay; cuts, refusals and black holes look to both ends as they should;
 * one seed gives one run.
 * Method: a client and a server stream bytes at each other that follow from
 * their position.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <env/clock.h>
#include <env/random.h>
#include <env/timer.h>
#include <env/sim/sim.h>
#include <t.h>

#define STREAM_BYTES (1u << 20)
#define MINUTE_NS    (60 * NETFS_NS_PER_SEC)

struct end {
	struct netfs_socket *socket;
	struct netfs_task readable;
	struct netfs_task writable;
	unsigned char salt_out;
	unsigned char salt_in;
	uint64_t sent;
	uint64_t received;
	uint64_t largest; /* most bytes one recv gave */
	int recv_end; /* 1 while open, 0 or an error afterwards */
	int send_end; /* 1 while open, 0 when all is sent, or an error */
};

static struct end client;
static struct end server;

static unsigned char byte_at(uint64_t pos, unsigned char salt)
{
	return (unsigned char)((pos * 31 + (pos >> 11)) ^ salt);
}

static void send_more(struct netfs_task *task)
{
	struct end *end = netfs_container_of(task, struct end, writable);
	unsigned char buf[5000];
	ssize_t n = 1;

	while (end->send_end == 1 && end->sent < STREAM_BYTES) {
		size_t len = sizeof(buf);
		struct iovec iov[2];

		if (len > STREAM_BYTES - end->sent)
			len = STREAM_BYTES - end->sent;
		for (size_t i = 0; i < len; i++)
			buf[i] = byte_at(end->sent + i, end->salt_out);
		iov[0] = (struct iovec){buf, len / 3};
		iov[1] = (struct iovec){buf + len / 3, len - len / 3};
		n = netfs_socket_send(end->socket, iov, 2);
		if (n < 0)
			break;
		assert_true(n > 0);
		end->sent += (uint64_t)n;
	}
	if (n < 0 && n != -EAGAIN)
		end->send_end = (int)n;
	else if (end->sent == STREAM_BYTES)
		end->send_end = 0;
}

static void receive_more(struct netfs_task *task)
{
	struct end *end = netfs_container_of(task, struct end, readable);
	unsigned char buf[3000];
	struct iovec iov[2] = {{buf, 7}, {buf + 7, sizeof(buf) - 7}};
	ssize_t n;

	if (end->recv_end != 1)
		return;
	while ((n = netfs_socket_recv(end->socket, iov, 2)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(buf[i],
					 byte_at(end->received + (uint64_t)i, end->salt_in));
		end->received += (uint64_t)n;
		if (end->largest < (uint64_t)n)
			end->largest = (uint64_t)n;
	}
	if (n != -EAGAIN)
		end->recv_end = (int)n;
}

static void end_init(struct end *end, bool first)
{
	memset(end, 0, sizeof(*end));
	netfs_task_init(&end->readable, receive_more);
	netfs_task_init(&end->writable, send_more);
	end->salt_out = first ? 0x55 : 0xaa;
	end->salt_in = first ? 0xaa : 0x55;
	end->recv_end = 1;
	end->send_end = 1;
}

static void accept_one(void *user, struct netfs_socket *socket)
{
	server.socket = socket;
	netfs_socket_adopt(socket, &server.readable, &server.writable);
}

static const struct netfs_socket_address address = {
	.kind = NETFS_SOCKET_TCP, .host = "server", .port = "564"};

/* A world with a listening server and a client that has begun to connect. */
static void begin(uint64_t seed, const struct netfs_sim_net *net)
{
	netfs_sim_start(seed);
	assert_int_equal(netfs_executor_start(0), 0);
	if (net)
		netfs_sim_set_net(net);
	end_init(&client, true);
	end_init(&server, false);
	netfs_sim_listen("server", "564", accept_one, NULL);
	assert_int_equal(
		netfs_socket_open(&address, &client.readable, &client.writable, &client.socket), 0);
}

static void finish(void)
{
	netfs_socket_close(client.socket);
	netfs_socket_close(server.socket);
	netfs_executor_stop();
	netfs_sim_stop();
}

static bool all_received(void *user)
{
	return client.received == STREAM_BYTES && server.received == STREAM_BYTES;
}

static bool client_over(void *user)
{
	return client.recv_end != 1 && client.send_end != 1;
}

static bool both_over(void *user)
{
	return client_over(NULL) && server.recv_end != 1 && server.send_end != 1;
}

static bool never(void *user)
{
	return false;
}

static void bytes_arrive_in_order_in_pieces(void **state)
{
	struct netfs_rng rng;

	t_rng(&rng, __func__);
	for (unsigned i = 0; i < 10; i++) {
		struct netfs_sim_net net = {
			.latency_max_ns = netfs_rng_below(&rng, 5 * NETFS_NS_PER_MS),
			.segment_max = (uint32_t)(200 + netfs_rng_below(&rng, 2000)),
		};

		begin(netfs_rng_u64(&rng), &net);
		assert_int_equal(netfs_socket_status(client.socket), -EINPROGRESS);
		assert_true(netfs_sim_run(all_received, NULL, 60 * MINUTE_NS));
		assert_int_equal(netfs_socket_status(client.socket), 0);
		finish();
	}
}

static void the_end_comes_after_all_data(void **state)
{
	begin(3, NULL);
	assert_true(netfs_sim_run(all_received, NULL, MINUTE_NS));
	netfs_socket_shutdown(client.socket);
	assert_true(netfs_sim_run(both_over, NULL, MINUTE_NS));
	assert_int_equal(server.recv_end, 0);
	assert_int_equal(client.recv_end, 0);
	finish();

	/* Closed as soon as everything is sent, long before it has arrived. */
	begin(4, NULL);
	server.send_end = 0;
	while (client.send_end == 1)
		assert_false(netfs_sim_run(never, NULL, 1000));
	netfs_socket_close(client.socket);
	client.socket = NULL;
	assert_true(server.received < STREAM_BYTES);
	assert_false(netfs_sim_run(never, NULL, MINUTE_NS));
	assert_int_equal(server.received, STREAM_BYTES);
	assert_int_equal(server.recv_end, 0);
	finish();
}

static void a_sender_waits_for_a_reader_that_does_not_read(void **state)
{
	begin(5, NULL);
	server.recv_end = 0;
	server.send_end = 0;
	assert_false(netfs_sim_run(client_over, NULL, MINUTE_NS));
	assert_in_range(client.sent, 1, STREAM_BYTES - 1);
	finish();
}

static void a_cut_ends_both_ends_and_loses_only_a_tail(void **state)
{
	const struct netfs_sim_net net = {
		.latency_max_ns = NETFS_NS_PER_MS, .segment_max = 1000, .cut_per_million = 10000};
	unsigned cut_short = 0;

	for (uint64_t seed = 0; seed < 30; seed++) {
		begin(seed, &net);
		assert_true(netfs_sim_run(both_over, NULL, MINUTE_NS));
		assert_true(client.received <= server.sent);
		assert_true(server.received <= client.sent);
		assert_int_equal(client.recv_end, -ECONNRESET);
		assert_int_equal(server.recv_end, -ECONNRESET);
		cut_short += client.received < STREAM_BYTES;
		finish();
	}
	assert_true(cut_short > 20);
}

static void cutting_all_reaches_every_connection(void **state)
{
	begin(6, NULL);
	assert_false(netfs_sim_run(all_received, NULL, NETFS_NS_PER_MS));
	assert_int_equal(netfs_socket_status(client.socket), 0);
	netfs_sim_cut_all();
	assert_true(netfs_sim_run(both_over, NULL, MINUTE_NS));
	assert_int_equal(client.recv_end, -ECONNRESET);
	assert_int_equal(server.recv_end, -ECONNRESET);
	finish();
}

static void refusals_say_why(void **state)
{
	struct netfs_sim_net net = {.refuse = true};
	const struct netfs_socket_address nobody = {.kind = NETFS_SOCKET_UNIX, .path = "/none"};

	begin(7, &net);
	assert_true(netfs_sim_run(client_over, NULL, MINUTE_NS));
	assert_int_equal(netfs_socket_status(client.socket), -ECONNREFUSED);
	assert_int_equal(client.recv_end, -ECONNREFUSED);
	netfs_socket_close(client.socket);
	client.recv_end = client.send_end = 1;
	assert_int_equal(
		netfs_socket_open(&nobody, &client.readable, &client.writable, &client.socket), 0);
	assert_true(netfs_sim_run(client_over, NULL, MINUTE_NS));
	assert_int_equal(netfs_socket_status(client.socket), -ENOENT);
	finish();
}

static void no_listener_refuses_and_shutdown_aborts_connecting(void **state)
{
	begin(8, NULL);
	netfs_sim_listen("server", "564", NULL, NULL);
	assert_true(netfs_sim_run(client_over, NULL, MINUTE_NS));
	assert_int_equal(netfs_socket_status(client.socket), -ECONNREFUSED);
	finish();

	begin(9, NULL);
	netfs_socket_shutdown(client.socket);
	assert_true(netfs_sim_run(client_over, NULL, MINUTE_NS));
	assert_int_equal(netfs_socket_status(client.socket), -ECONNABORTED);
	finish();
}

static void nothing_passes_a_black_hole_until_it_is_lifted(void **state)
{
	struct netfs_sim_net net = {.segment_max = 1000, .latency_max_ns = NETFS_NS_PER_MS};
	uint64_t got;

	/* During a transfer. */
	begin(10, &net);
	assert_false(netfs_sim_run(all_received, NULL, 5 * NETFS_NS_PER_MS));
	assert_int_equal(netfs_socket_status(client.socket), 0);
	net.blackhole = true;
	netfs_sim_set_net(&net);
	assert_false(netfs_sim_run(never, NULL, NETFS_NS_PER_SEC));
	got = client.received + server.received;
	assert_false(netfs_sim_run(never, NULL, 60 * MINUTE_NS));
	assert_int_equal(client.received + server.received, got);
	assert_int_equal(client.recv_end, 1);
	net.blackhole = false;
	netfs_sim_set_net(&net);
	assert_true(netfs_sim_run(all_received, NULL, MINUTE_NS));
	finish();

	/* While connecting. */
	net.blackhole = true;
	begin(11, &net);
	assert_false(netfs_sim_run(client_over, NULL, 60 * MINUTE_NS));
	assert_int_equal(netfs_socket_status(client.socket), -EINPROGRESS);
	net.blackhole = false;
	netfs_sim_set_net(&net);
	assert_true(netfs_sim_run(all_received, NULL, MINUTE_NS));
	finish();
}

static uint64_t play(uint64_t seed)
{
	const struct netfs_sim_net net = {
		.latency_max_ns = NETFS_NS_PER_MS, .segment_max = 3000, .cut_per_million = 1000};
	uint64_t digest;

	begin(seed, &net);
	assert_false(netfs_sim_run(never, NULL, MINUTE_NS));
	digest = netfs_sim_digest() ^ client.received ^ server.received << 32;
	finish();
	return digest;
}

static void one_seed_gives_one_run(void **state)
{
	struct netfs_rng rng;

	t_rng(&rng, __func__);
	for (unsigned i = 0; i < 10; i++) {
		uint64_t seed = netfs_rng_u64(&rng);
		uint64_t digest = play(seed);

		assert_true(digest == play(seed));
		assert_true(digest != play(seed + 1));
	}
}

/* Closes the client, sometimes both ends, from inside the world, in the middle of other events. */
struct closer {
	struct netfs_task task;
	struct netfs_timer timer;
};

static void close_client(struct netfs_task *task)
{
	/* Its tasks may be queued; they must not run on a closed socket. */
	client.recv_end = client.send_end = 0;
	netfs_socket_close(client.socket);
	client.socket = NULL;
	if (netfs_random_below(2)) {
		server.recv_end = server.send_end = 0;
		netfs_socket_close(server.socket);
		server.socket = NULL;
	}
}

static void closing_is_safe_at_any_step(void **state)
{
	/* One delay for all, so that much is due at the same moment. */
	const struct netfs_sim_net net = {
		.latency_min_ns = NETFS_NS_PER_MS,
		.latency_max_ns = NETFS_NS_PER_MS,
		.segment_max = 30000,
		.cut_per_million = 50000,
	};
	struct netfs_rng rng;

	t_rng(&rng, __func__);
	for (unsigned i = 0; i < 200; i++) {
		struct closer closer;

		begin(netfs_rng_u64(&rng), &net);
		netfs_task_init(&closer.task, close_client);
		netfs_timer_init(&closer.timer, &closer.task);
		netfs_timer_start(&closer.timer, netfs_rng_below(&rng, 8) * NETFS_NS_PER_MS);
		assert_false(netfs_sim_run(never, NULL, MINUTE_NS));
		server.recv_end = server.send_end = 0;
		finish();
	}
}

static void leave_socket(void *user)
{
	begin(1, NULL);
	netfs_sim_run(all_received, NULL, MINUTE_NS);
	netfs_executor_stop();
	netfs_sim_stop();
}

static void accept_none(void *user, struct netfs_socket *socket)
{
}

static void adopt_nothing(void *user)
{
	begin(1, NULL);
	netfs_sim_listen("server", "564", accept_none, NULL);
	netfs_sim_run(all_received, NULL, MINUTE_NS);
}

static void sockets_left_over_abort(void **state)
{
	assert_true(t_aborts(leave_socket, NULL));
	assert_true(t_aborts(adopt_nothing, NULL));
}

static void opening_without_memory_fails_cleanly(void **state)
{
	struct netfs_socket *socket = NULL;

	begin(12, NULL);
	for (unsigned i = 1; i <= 3; i++) {
		netfs_sim_fail_alloc(i);
		assert_int_equal(
			netfs_socket_open(&address, &client.readable, &client.writable, &socket),
			-ENOMEM);
		assert_null(socket);
	}
	assert_true(netfs_sim_run(all_received, NULL, MINUTE_NS));
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_arrive_in_order_in_pieces),
		cmocka_unit_test(the_end_comes_after_all_data),
		cmocka_unit_test(a_sender_waits_for_a_reader_that_does_not_read),
		cmocka_unit_test(a_cut_ends_both_ends_and_loses_only_a_tail),
		cmocka_unit_test(cutting_all_reaches_every_connection),
		cmocka_unit_test(refusals_say_why),
		cmocka_unit_test(no_listener_refuses_and_shutdown_aborts_connecting),
		cmocka_unit_test(nothing_passes_a_black_hole_until_it_is_lifted),
		cmocka_unit_test(one_seed_gives_one_run),
		cmocka_unit_test(closing_is_safe_at_any_step),
		cmocka_unit_test(sockets_left_over_abort),
		cmocka_unit_test(opening_without_memory_fails_cleanly),
	};

	return t_run(tests, NULL, NULL);
}
