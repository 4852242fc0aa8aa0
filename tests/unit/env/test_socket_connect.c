/* SPDX-License-Identifier: MIT */
/*
 * Goal: every address of a name is tried in turn; what the resolver says
 * becomes a status that means something.
 * Method: this program has a getaddrinfo() of its own, which the library finds
 * before the C library's and which answers as each test wants.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <env/socket.h>
#include <t.h>

#define TIMEOUT_MS 30000

/* What the resolver answers; set while no socket exists. */
static int answer_code;
static uint16_t answer_ports[4]; /* on 127.0.0.1; 0: no more */

int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
		struct addrinfo **ret_list)
{
	struct addrinfo **tail = ret_list;

	*ret_list = NULL;
	for (unsigned i = 0; i < 4 && answer_ports[i]; i++) {
		struct sockaddr_in *address = calloc(1, sizeof(*address));
		struct addrinfo *info = calloc(1, sizeof(*info));

		address->sin_family = AF_INET;
		address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		address->sin_port = htons(answer_ports[i]);
		info->ai_family = AF_INET;
		info->ai_socktype = SOCK_STREAM;
		info->ai_addr = (struct sockaddr *)address;
		info->ai_addrlen = sizeof(*address);
		*tail = info;
		tail = &info->ai_next;
	}
	errno = EMFILE;
	return answer_code;
}

void freeaddrinfo(struct addrinfo *list)
{
	while (list) {
		struct addrinfo *next = list->ai_next;

		free(list->ai_addr);
		free(list);
		list = next;
	}
}

struct end {
	struct netfs_task readable;
	struct netfs_task writable;
	struct t_counter news;
};

static int setup(void **state)
{
	return netfs_executor_start(2);
}

static int teardown(void **state)
{
	netfs_executor_stop();
	return 0;
}

static void readable(struct netfs_task *task)
{
	t_counter_add(&netfs_container_of(task, struct end, readable)->news, 1);
}

static void writable(struct netfs_task *task)
{
	t_counter_add(&netfs_container_of(task, struct end, writable)->news, 1);
}

/* A socket on 127.0.0.1; listening or, bound only, one that refuses. */
static int bind_port(bool listening, uint16_t *ret_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	if (listening)
		assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	*ret_port = ntohs(address.sin_port);
	return fd;
}

static int connect_and_tell(void)
{
	const struct netfs_socket_address address = {
		.kind = NETFS_SOCKET_TCP, .host = "server", .port = "564"};
	struct netfs_socket *socket = NULL;
	struct end end;
	int status;

	t_counter_init(&end.news);
	netfs_task_init(&end.readable, readable);
	netfs_task_init(&end.writable, writable);
	assert_int_equal(netfs_socket_open(&address, &end.readable, &end.writable, &socket), 0);
	assert_true(t_counter_wait(&end.news, 2, TIMEOUT_MS));
	status = netfs_socket_status(socket);
	netfs_socket_close(socket);
	netfs_executor_stop();
	/* Once each, and not for every address. */
	assert_int_equal(t_counter_value(&end.news), 2);
	assert_int_equal(netfs_executor_start(2), 0);
	t_counter_done(&end.news);
	return status;
}

static void addresses_are_tried_until_one_answers(void **state)
{
	int closed[2];
	int listener;

	answer_code = 0;
	closed[0] = bind_port(false, &answer_ports[0]);
	closed[1] = bind_port(false, &answer_ports[1]);
	listener = bind_port(true, &answer_ports[2]);
	answer_ports[3] = answer_ports[0];
	assert_int_equal(connect_and_tell(), 0);
	answer_ports[2] = 0;
	assert_int_equal(connect_and_tell(), -ECONNREFUSED);
	close(closed[0]);
	close(closed[1]);
	close(listener);
}

static void what_the_resolver_says_becomes_a_status(void **state)
{
	answer_ports[0] = 0;
	answer_code = 0;
	assert_int_equal(connect_and_tell(), -EHOSTUNREACH);
	answer_code = EAI_NONAME;
	assert_int_equal(connect_and_tell(), -EHOSTUNREACH);
	answer_code = EAI_AGAIN;
	assert_int_equal(connect_and_tell(), -ETIMEDOUT);
	answer_code = EAI_SERVICE;
	assert_int_equal(connect_and_tell(), -EINVAL);
	answer_code = EAI_MEMORY;
	assert_int_equal(connect_and_tell(), -ENOMEM);
	answer_code = EAI_SYSTEM;
	assert_int_equal(connect_and_tell(), -EMFILE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_tried_until_one_answers),
		cmocka_unit_test(what_the_resolver_says_becomes_a_status),
	};

	return t_run(tests, setup, teardown);
}
