/* SPDX-License-Identifier: MIT */
/*
 * Helpers for tests.  The counter is the one way for a test to wait: it turns
 * "something has happened n times" into a netfs_event, with a timer as the
 * deadline, so a hanging test says so and the simulator can run it too.
 *
 * Locks: each counter has one, of the innermost rank but the environment's
 * own, so that it can be raised nearly everywhere.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <base/hash.h>
#include <env/clock.h>
#include <env/timer.h>
#include <t.h>

uint64_t t_seed(void)
{
	static bool known;
	static uint64_t seed;
	const char *text = getenv("UNETFS_TEST_SEED");
	struct timespec now;

	if (known)
		return seed;
	if (text) {
		seed = strtoull(text, NULL, 0);
	} else {
		clock_gettime(CLOCK_REALTIME, &now);
		seed = netfs_hash_u64s((uint64_t)getpid(), (uint64_t)now.tv_sec,
				       (uint64_t)now.tv_nsec);
	}
	known = true;
	fprintf(stderr, "UNETFS_TEST_SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

void t_rng(struct netfs_rng *rng, const char *test_name)
{
	netfs_rng_init(rng, netfs_hash_bytes(t_seed(), test_name, strlen(test_name)));
}

/* -------------------------------------------------------- directories, fds */

char *t_temp_dir(void)
{
	const char *base = getenv("TMPDIR");
	char *path = NULL;

	if (asprintf(&path, "%s/unetfs-test-XXXXXX", base && *base ? base : "/tmp") < 0)
		path = NULL;
	assert_non_null(path);
	assert_non_null(mkdtemp(path));
	return path;
}

static void remove_beneath(int dir_fd, dev_t dev);

static void remove_entry(int dir_fd, const char *name, dev_t dev)
{
	struct stat st;
	int fd;

	if (!unlinkat(dir_fd, name, 0))
		return;
	fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	/* Never into what somebody mounted there and forgot. */
	if (fd >= 0 && !fstat(fd, &st) && st.st_dev == dev)
		remove_beneath(fd, dev);
	else if (fd >= 0)
		close(fd);
	unlinkat(dir_fd, name, AT_REMOVEDIR);
}

/* Takes dir_fd over.  By descriptors, as paths may be longer than allowed. */
static void remove_beneath(int dir_fd, dev_t dev)
{
	DIR *dir = fdopendir(dir_fd);
	struct dirent *entry;

	assert_non_null(dir);
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			remove_entry(dir_fd, entry->d_name, dev);
	closedir(dir);
}

void t_temp_dir_remove(char *path)
{
	struct stat st;
	int fd;

	if (!path)
		return;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	remove_beneath(fd, st.st_dev);
	/* Fails where something could not be removed. */
	assert_int_equal(rmdir(path), 0);
	free(path);
}

unsigned t_count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	unsigned count = 0;

	if (!dir)
		return 0;
	while ((entry = readdir(dir)))
		count += entry->d_name[0] != '.';
	closedir(dir);
	/* The directory itself was one of them. */
	return count - 1;
}

int t_check_fds(unsigned before, int failed)
{
	unsigned after = t_count_fds();

	if (after <= before)
		return failed;
	fprintf(stderr, "%u descriptors were left open\n", after - before);
	return failed ? failed : 1;
}

/* ---------------------------------------------------------------- counter */

struct deadline {
	struct netfs_timer timer;
	struct netfs_task task;
	struct netfs_event *event; /* the waiter's */
	struct netfs_event passed; /* the task has run */
};

void t_counter_init(struct t_counter *counter)
{
	netfs_mutex_init(&counter->mutex, NETFS_RANK_ENV);
	counter->value = 0;
	counter->target = 0;
	counter->event = NULL;
}

void t_counter_done(struct t_counter *counter)
{
	assert_null(counter->event);
	netfs_mutex_done(&counter->mutex);
}

void t_counter_add(struct t_counter *counter, uint64_t n)
{
	netfs_mutex_lock(&counter->mutex);
	counter->value += n;
	if (counter->event && counter->value >= counter->target)
		netfs_event_set(counter->event);
	netfs_mutex_unlock(&counter->mutex);
}

uint64_t t_counter_value(struct t_counter *counter)
{
	uint64_t value;

	netfs_mutex_lock(&counter->mutex);
	value = counter->value;
	netfs_mutex_unlock(&counter->mutex);
	return value;
}

static void deadline_passed(struct netfs_task *task)
{
	struct deadline *deadline = netfs_container_of(task, struct deadline, task);

	netfs_event_set(deadline->event);
	netfs_event_set(&deadline->passed);
}

bool t_counter_wait(struct t_counter *counter, uint64_t target, uint64_t timeout_ms)
{
	struct netfs_event event;
	struct deadline deadline = {.event = &event};
	bool reached;

	netfs_event_init(&event);
	netfs_event_init(&deadline.passed);
	netfs_task_init(&deadline.task, deadline_passed);
	netfs_timer_init(&deadline.timer, &deadline.task);

	netfs_mutex_lock(&counter->mutex);
	counter->target = target;
	counter->event = &event;
	if (counter->value >= target)
		netfs_event_set(&event);
	netfs_mutex_unlock(&counter->mutex);
	netfs_timer_start(&deadline.timer, timeout_ms * NETFS_NS_PER_MS);
	netfs_event_wait(&event);

	/* Nobody may hold on to what lives on this stack. */
	if (!netfs_timer_stop(&deadline.timer))
		netfs_event_wait(&deadline.passed);
	netfs_mutex_lock(&counter->mutex);
	counter->event = NULL;
	reached = counter->value >= target;
	netfs_mutex_unlock(&counter->mutex);
	netfs_event_done(&event);
	netfs_event_done(&deadline.passed);
	return reached;
}

bool t_aborts(void (*fn)(void *user), void *user)
{
	const struct rlimit none = {0};
	int status = 0;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		setrlimit(RLIMIT_CORE, &none);
		signal(SIGABRT, SIG_DFL);
		if (!freopen("/dev/null", "w", stderr))
			_exit(1);
		fn(user);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}
