/* SPDX-License-Identifier: MIT */
/*
 * Goal: a client on the real machine opens and closes mounts, says in one line
 * why it cannot, and stands many threads at once with everything balanced in
 * the end.
 * Method: the public interface only, on mem and dir; threads that do random
 * name operations and I/O on a few names, half of them completing elsewhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <base/rng.h>
#include <unetfs/unetfs.h>
#include <t.h>

#define THREADS 4
#define STEPS	3000
#define NAMES	6

static int open_mount(struct netfs_client *client, const char *source, const char *options,
		      struct netfs_call *call)
{
	netfs_call_init(call, NULL);
	netfs_mount_open(client, source, options, call);
	return netfs_call_wait(call);
}

static int close_mount(struct netfs_mount *mount)
{
	struct netfs_call call;

	netfs_call_init(&call, NULL);
	netfs_mount_close(mount, 0, &call);
	return netfs_call_wait(&call);
}

static struct netfs_client *new_client(void)
{
	struct netfs_client_config config = {
		.struct_size = sizeof(config),
		.memory_max = 32 << 20,
	};
	struct netfs_client *client;

	assert_int_equal(netfs_client_new(&config, &client), 0);
	return client;
}

static void an_unknown_scheme_is_named_with_the_known_ones(void **unused)
{
	struct netfs_client *client = new_client();
	struct netfs_call call;

	assert_int_equal(open_mount(client, "gopher://x/y", "", &call), -EINVAL);
	assert_string_equal(call.message,
			    "unknown scheme 'gopher' in 'gopher://x/y'; known: smb, 9p, dir, mem");
	assert_int_equal(open_mount(client, "mem:", "bogus", &call), -EINVAL);
	assert_non_null(strstr(call.message, "bogus"));
	assert_int_not_equal(open_mount(client, "dir:/does/not/exist", "", &call), 0);
	assert_true(strlen(call.message) > 10);
	netfs_client_free(client);
}

static void impossible_limits_are_refused(void **unused)
{
	struct netfs_client_config config = {.struct_size = sizeof(config), .memory_max = 1};
	struct netfs_client *client;

	assert_int_equal(netfs_client_new(&config, &client), -EINVAL);
	config.memory_max = 32 << 20;
	config.dirty_max = 64 << 20;
	assert_int_equal(netfs_client_new(&config, &client), -EINVAL);
	config.struct_size = sizeof(config) + 8;
	assert_int_equal(netfs_client_new(&config, &client), -EINVAL);
	assert_int_equal(netfs_client_new(NULL, &client), 0);
	netfs_client_free(client);
	netfs_client_free(NULL);
}

static void help_names_the_words_of_all(void **unused)
{
	const struct netfs_option_help *help = netfs_option_help();
	bool cache = false, delay = false;

	for (; help->name; help++) {
		cache |= !strcmp(help->name, "cache") && !*help->scheme;
		delay |= !strcmp(help->name, "delay") && !strcmp(help->scheme, "dir");
		assert_true(strlen(help->meaning) > 3);
	}
	assert_true(cache);
	assert_true(delay);
}

/* ------------------------------------------------------------ threads */

struct worker {
	pthread_t thread;
	struct netfs_vnode *root;
	struct netfs_rng rng;
	unsigned failures; /* of a kind that cannot be */
};

static void use_file(struct worker *worker, struct netfs_file *file)
{
	struct netfs_lock lock = {.type = NETFS_LOCK_WRITE, .end = 10};
	struct netfs_call call;
	char buf[512];
	ssize_t n;

	memset(buf, 'x', sizeof(buf));
	for (unsigned i = 0; i < 3; i++) {
		uint64_t at = netfs_rng_below(&worker->rng, 20000);

		n = netfs_pwrite(file, buf, sizeof(buf), at, 0);
		worker->failures += n != sizeof(buf);
		n = netfs_pread(file, buf, sizeof(buf), at, 0);
		worker->failures += n < 0;
		memset(buf, 'x', sizeof(buf));
	}
	lock.owner = (uintptr_t)worker;
	netfs_call_init(&call, NULL);
	netfs_lock(file, &lock, true, &call);
	worker->failures += netfs_call_wait(&call) != 0;
	netfs_call_init(&call, NULL);
	netfs_flush(file, (uintptr_t)worker, &call);
	worker->failures += netfs_call_wait(&call) != 0;
	netfs_release(file);
}

static void do_create(struct worker *worker, const char *name)
{
	struct netfs_call call;
	uint32_t flags = O_RDWR | (netfs_rng_below(&worker->rng, 3) ? 0 : O_TRUNC);

	netfs_call_init(&call, NULL);
	netfs_create(worker->root, name, flags, 0644, &call);
	if (netfs_call_wait(&call))
		return;
	use_file(worker, call.file);
	netfs_vnode_put(call.vnode);
}

static void do_lookup(struct worker *worker, const char *name)
{
	struct netfs_setattr set = {.valid = NETFS_SET_SIZE};
	struct netfs_call call, next;
	int err;

	netfs_call_init(&call, NULL);
	netfs_lookup(worker->root, name, &call);
	err = netfs_call_wait(&call);
	worker->failures += err && err != -ENOENT;
	if (err)
		return;
	netfs_call_init(&next, NULL);
	set.size = netfs_rng_below(&worker->rng, 10000);
	if (netfs_rng_below(&worker->rng, 2))
		netfs_setattr(call.vnode, NULL, &set, &next);
	else
		netfs_getattr(call.vnode, NULL, &next);
	netfs_call_wait(&next);
	netfs_vnode_put(call.vnode);
}

static bool count_entry(struct netfs_call *call, const struct netfs_direntry *entry)
{
	if (entry->vnode)
		netfs_vnode_put(entry->vnode);
	return true;
}

static void do_list(struct worker *worker)
{
	struct netfs_call call, list;

	netfs_call_init(&call, NULL);
	netfs_open(worker->root, O_RDONLY, &call);
	worker->failures += netfs_call_wait(&call) != 0;
	netfs_call_init(&list, NULL);
	netfs_readdir(call.file, 0, true, count_entry, &list);
	worker->failures += netfs_call_wait(&list) != 0;
	netfs_release(call.file);
}

static void do_move(struct worker *worker, const char *name)
{
	struct netfs_call call;
	char other[16];

	snprintf(other, sizeof(other), "f%u", (unsigned)netfs_rng_below(&worker->rng, NAMES));
	netfs_call_init(&call, NULL);
	if (netfs_rng_below(&worker->rng, 2))
		netfs_rename(worker->root, name, worker->root, other, 0, &call);
	else
		netfs_unlink(worker->root, name, &call);
	netfs_call_wait(&call);
}

static void do_cancelled(struct worker *worker, const char *name)
{
	struct netfs_call call;
	int err;

	netfs_call_init(&call, NULL);
	netfs_lookup(worker->root, name, &call);
	netfs_call_cancel(&call);
	err = netfs_call_wait(&call);
	netfs_call_cancel(&call);
	if (!err)
		netfs_vnode_put(call.vnode);
}

static void *work(void *user)
{
	struct worker *worker = user;

	for (unsigned step = 0; step < STEPS; step++) {
		char name[16];

		snprintf(name, sizeof(name), "f%u", (unsigned)netfs_rng_below(&worker->rng, NAMES));
		switch (netfs_rng_below(&worker->rng, 6)) {
		case 0:
		case 1:
			do_create(worker, name);
			break;
		case 2:
			do_lookup(worker, name);
			break;
		case 3:
			do_move(worker, name);
			break;
		case 4:
			do_cancelled(worker, name);
			break;
		default:
			if (step % 8 == 0)
				do_list(worker);
			break;
		}
	}
	return NULL;
}

static void stress(const char *options)
{
	struct netfs_client *client = new_client();
	struct worker workers[THREADS];
	struct netfs_mount_status status;
	struct netfs_vnode *root;
	struct netfs_rng rng;
	struct netfs_call call;

	t_rng(&rng, "stress");
	if (open_mount(client, "mem:", options, &call))
		fail_msg("%s", call.message);
	root = netfs_mount_root(call.mount);
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.root = root};
		netfs_rng_init(&workers[i].rng, netfs_rng_u64(&rng));
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		assert_int_equal(workers[i].failures, 0);
	}
	netfs_vnode_put(root);
	{
		struct netfs_call sync;

		netfs_call_init(&sync, NULL);
		netfs_mount_sync(call.mount, &sync);
		assert_int_equal(netfs_call_wait(&sync), 0);
	}
	netfs_mount_status(call.mount, &status);
	assert_int_equal(status.files_open, 0);
	assert_int_equal(status.dirty, 0);
	assert_int_equal(close_mount(call.mount), 0);
	netfs_client_free(client);
}

static void many_threads_leave_everything_balanced(void **unused)
{
	stress("");
}

static void many_threads_with_answers_from_elsewhere(void **unused)
{
	stress("async,cache=loose");
}

static void many_threads_without_a_cache(void **unused)
{
	stress("async,cache=none");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_unknown_scheme_is_named_with_the_known_ones),
		cmocka_unit_test(impossible_limits_are_refused),
		cmocka_unit_test(help_names_the_words_of_all),
		cmocka_unit_test(many_threads_leave_everything_balanced),
		cmocka_unit_test(many_threads_with_answers_from_elsewhere),
		cmocka_unit_test(many_threads_without_a_cache),
	};

	return t_run(tests, NULL, NULL);
}
