/* SPDX-License-Identifier: MIT */
/*
 * Goal: file transfers move the right bytes, report short ends and errors, and
 * complete once each, by io_uring and by pool threads.
 * Method: the same tests twice, the second time with NETFS_NO_URING set.  More
 * transfers at once than a ring holds.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <base/limits.h>
#include <env/file.h>
#include <t.h>

#define PIECE	   4096
#define MANY	   (6 * NETFS_URING_DEPTH)
#define TIMEOUT_MS 30000

struct transfer {
	struct netfs_fio fio;
	struct iovec iov[2];
	ssize_t result;
	unsigned completed;
	struct t_counter *done;
};

static char *dir;

static int setup_uring(void **state)
{
	unsetenv("NETFS_NO_URING");
	dir = t_temp_dir();
	return netfs_executor_start(2);
}

static int setup_pool(void **state)
{
	setenv("NETFS_NO_URING", "1", 1);
	dir = t_temp_dir();
	return netfs_executor_start(2);
}

static int teardown(void **state)
{
	netfs_executor_stop();
	t_temp_dir_remove(dir);
	return 0;
}

static int open_file(const char *name, int flags)
{
	char path[200];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, flags | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	return fd;
}

static void done(struct netfs_fio *fio, ssize_t result)
{
	struct transfer *transfer = netfs_container_of(fio, struct transfer, fio);

	transfer->result = result;
	transfer->completed++;
	t_counter_add(transfer->done, 1);
}

static void prepare(struct transfer *transfer, enum netfs_fio_kind kind, int fd, uint64_t start,
		    void *buf)
{
	transfer->completed = 0;
	transfer->iov[0] = (struct iovec){buf, PIECE / 4};
	transfer->iov[1] = (struct iovec){(char *)buf + PIECE / 4, PIECE - PIECE / 4};
	transfer->fio = (struct netfs_fio){.kind = kind,
					   .fd = fd,
					   .start = start,
					   .iov = transfer->iov,
					   .niov = 2,
					   .done = done};
	if (kind != NETFS_FIO_READ && kind != NETFS_FIO_WRITE)
		transfer->fio.niov = 0;
}

static ssize_t run_one(enum netfs_fio_kind kind, int fd, uint64_t start, void *buf)
{
	struct t_counter counter;
	struct transfer transfer = {.done = &counter};

	t_counter_init(&counter);
	prepare(&transfer, kind, fd, start, buf);
	netfs_fio_submit(&transfer.fio);
	assert_true(t_counter_wait(&counter, 1, TIMEOUT_MS));
	assert_int_equal(transfer.completed, 1);
	t_counter_done(&counter);
	return transfer.result;
}

static void the_path_is_the_one_asked_for(void **state)
{
	if (getenv("NETFS_NO_URING"))
		assert_false(netfs_fio_uring());
	else
		print_message("io_uring: %s\n", netfs_fio_uring() ? "yes" : "no");
}

static void one_of_each_kind(void **state)
{
	char out[PIECE];
	char in[PIECE] = {0};
	int fd = open_file("one", O_RDWR);

	for (unsigned i = 0; i < PIECE; i++)
		out[i] = (char)(i * 7);
	assert_int_equal(run_one(NETFS_FIO_WRITE, fd, 100, out), PIECE);
	assert_int_equal(run_one(NETFS_FIO_FSYNC, fd, 0, NULL), 0);
	assert_int_equal(run_one(NETFS_FIO_FDATASYNC, fd, 0, NULL), 0);
	assert_int_equal(run_one(NETFS_FIO_READ, fd, 100, in), PIECE);
	assert_memory_equal(in, out, PIECE);
	/* Short at the end, nothing behind it. */
	assert_int_equal(run_one(NETFS_FIO_READ, fd, 200, in), PIECE - 100);
	assert_int_equal(run_one(NETFS_FIO_READ, fd, 100 + PIECE, in), 0);
	close(fd);
}

static void errors_are_reported(void **state)
{
	char buf[PIECE];
	int fd = open_file("readonly", O_RDONLY);

	assert_int_equal(run_one(NETFS_FIO_WRITE, fd, 0, buf), -EBADF);
	close(fd);
	assert_int_equal(run_one(NETFS_FIO_READ, -1, 0, buf), -EBADF);
	assert_int_equal(run_one(NETFS_FIO_FSYNC, -1, 0, buf), -EBADF);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(run_one(NETFS_FIO_READ, fd, 0, buf), -EISDIR);
	close(fd);
}

static void run_many(enum netfs_fio_kind kind, int fd, char *buf)
{
	struct transfer *transfers = calloc(MANY, sizeof(*transfers));
	struct t_counter counter;

	t_counter_init(&counter);
	for (unsigned i = 0; i < MANY; i++) {
		transfers[i].done = &counter;
		prepare(&transfers[i], kind, fd, (uint64_t)i * PIECE, buf + (size_t)i * PIECE);
		netfs_fio_submit(&transfers[i].fio);
	}
	assert_true(t_counter_wait(&counter, MANY, TIMEOUT_MS));
	netfs_executor_stop();
	for (unsigned i = 0; i < MANY; i++) {
		assert_int_equal(transfers[i].completed, 1);
		assert_int_equal(transfers[i].result, PIECE);
	}
	assert_int_equal(netfs_executor_start(2), 0);
	t_counter_done(&counter);
	free(transfers);
}

static void more_than_a_ring_holds_complete_once_each(void **state)
{
	char *out = malloc((size_t)MANY * PIECE);
	char *in = calloc(MANY, PIECE);
	int fd = open_file("many", O_RDWR);
	struct netfs_rng rng;

	t_rng(&rng, __func__);
	for (size_t i = 0; i < (size_t)MANY * PIECE; i++)
		out[i] = (char)netfs_rng_u64(&rng);
	run_many(NETFS_FIO_WRITE, fd, out);
	run_many(NETFS_FIO_READ, fd, in);
	assert_memory_equal(in, out, (size_t)MANY * PIECE);
	close(fd);
	free(in);
	free(out);
}

/* A thread that submits and ends at once; the kernel then cancels what it had
 * not begun, and the transfers must complete nevertheless. */
struct leaver {
	struct transfer transfers[64];
	int fd;
	char *buf;
};

static void *submit_and_leave(void *arg)
{
	struct leaver *leaver = arg;

	for (unsigned i = 0; i < 64; i++) {
		prepare(&leaver->transfers[i], i % 8 ? NETFS_FIO_WRITE : NETFS_FIO_FDATASYNC,
			leaver->fd, (uint64_t)i * PIECE, leaver->buf);
		netfs_fio_submit(&leaver->transfers[i].fio);
	}
	return NULL;
}

static void *submit_one(void *arg)
{
	netfs_fio_submit(&((struct transfer *)arg)->fio);
	return NULL;
}

static void transfers_outlive_the_thread_that_submitted_them(void **state)
{
	struct leaver *leaver = calloc(1, sizeof(*leaver));
	struct t_counter counter;

	t_counter_init(&counter);
	leaver->fd = open_file("leaver", O_RDWR);
	leaver->buf = calloc(1, PIECE);
	for (unsigned i = 0; i < 64; i++)
		leaver->transfers[i].done = &counter;
	for (unsigned round = 1; round <= 5; round++) {
		pthread_t thread;

		assert_int_equal(pthread_create(&thread, NULL, submit_and_leave, leaver), 0);
		pthread_join(thread, NULL);
		assert_true(t_counter_wait(&counter, 64 * round, TIMEOUT_MS));
		for (unsigned i = 0; i < 64; i++)
			assert_int_equal(leaver->transfers[i].result, i % 8 ? PIECE : 0);
	}
	netfs_executor_stop();
	assert_int_equal(netfs_executor_start(2), 0);
	close(leaver->fd);
	t_counter_done(&counter);
	free(leaver->buf);
	free(leaver);
}

/* The kernel cancels a read of an empty pipe when its thread ends. */
static void a_cancelled_transfer_is_entered_again(void **state)
{
	struct t_counter counter;
	struct transfer transfer = {.done = &counter};
	char buf[PIECE];
	pthread_t thread;
	int fds[2];

	assert_true(netfs_fio_uring());
	t_counter_init(&counter);
	assert_int_equal(pipe(fds), 0);
	prepare(&transfer, NETFS_FIO_READ, fds[0], 0, buf);
	assert_int_equal(pthread_create(&thread, NULL, submit_one, &transfer), 0);
	pthread_join(thread, NULL);
	assert_int_equal(t_counter_value(&counter), 0);
	assert_int_equal(write(fds[1], "late", 4), 4);
	assert_true(t_counter_wait(&counter, 1, TIMEOUT_MS));
	assert_int_equal(transfer.result, 4);
	close(fds[0]);
	close(fds[1]);
	t_counter_done(&counter);
}

struct gate {
	struct netfs_task task;
	pthread_barrier_t *barrier;
};

static void wait_at_gate(struct netfs_task *task)
{
	struct gate *gate = netfs_container_of(task, struct gate, task);

	/* Against the rules, to let completions pile up. */
	pthread_barrier_wait(gate->barrier);
	pthread_barrier_wait(gate->barrier);
}

static void completions_that_piled_up_are_all_reaped(void **state)
{
	static struct transfer transfers[200];
	static char bufs[200][PIECE];
	struct t_counter counter;
	pthread_barrier_t barrier;
	struct gate gates[2];
	int fd = open_file("pile", O_RDWR);

	t_counter_init(&counter);
	/* In the page cache: most complete during the submission. */
	assert_int_equal(run_one(NETFS_FIO_WRITE, fd, 0, bufs[0]), PIECE);
	pthread_barrier_init(&barrier, NULL, 3);
	for (unsigned i = 0; i < 2; i++) {
		netfs_task_init(&gates[i].task, wait_at_gate);
		gates[i].barrier = &barrier;
		netfs_task_post(&gates[i].task);
	}
	/* Both workers are busy from here to there. */
	pthread_barrier_wait(&barrier);
	for (unsigned i = 0; i < 200; i++) {
		transfers[i].done = &counter;
		prepare(&transfers[i], NETFS_FIO_READ, fd, 0, bufs[i]);
		netfs_fio_submit(&transfers[i].fio);
	}
	pthread_barrier_wait(&barrier);
	assert_true(t_counter_wait(&counter, 200, TIMEOUT_MS));
	netfs_executor_stop();
	assert_int_equal(netfs_executor_start(2), 0);
	pthread_barrier_destroy(&barrier);
	close(fd);
	t_counter_done(&counter);
}

static void stopping_waits_for_transfers(void **state)
{
	struct t_counter counter;
	struct transfer transfer = {.done = &counter};
	char buf[PIECE] = {0};
	int fd = open_file("stop", O_RDWR);

	t_counter_init(&counter);
	prepare(&transfer, NETFS_FIO_WRITE, fd, 0, buf);
	netfs_fio_submit(&transfer.fio);
	netfs_executor_stop();
	assert_int_equal(transfer.completed, 1);
	assert_int_equal(netfs_executor_start(2), 0);
	close(fd);
	t_counter_done(&counter);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_path_is_the_one_asked_for),
		cmocka_unit_test(one_of_each_kind),
		cmocka_unit_test(errors_are_reported),
		cmocka_unit_test(more_than_a_ring_holds_complete_once_each),
		cmocka_unit_test(transfers_outlive_the_thread_that_submitted_them),
		cmocka_unit_test(completions_that_piled_up_are_all_reaped),
		cmocka_unit_test(stopping_waits_for_transfers),
	};

	const struct CMUnitTest of_rings[] = {
		cmocka_unit_test(a_cancelled_transfer_is_entered_again),
	};

	return t_run(tests, setup_uring, teardown) + t_run(of_rings, setup_uring, teardown) +
	       t_run(tests, setup_pool, teardown);
}
