/* SPDX-License-Identifier: MIT */
/*
 * Goal: a back end with "offline" before it keeps the contract; while its server is away
 * what is known is answered and what is not is refused, at once; what was found
 * meanwhile works when it is back.
 * Method: mem behind a link that the test cuts and mends, and a store of names in a
 * folder of the test.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "away.h"
#include <backend/backends.h>
#include <cache/namestore.h>
#include <contract_call.h>
#include <env/executor.h>
#include <offline/offline.h>

#define WAIT_MS 20000

static const struct netfs_source source = {"mem", "", "", "offline"};
static char *folder;

/* As the assembler does. */
static void connect_offline(const struct netfs_be_config *config, struct netfs_be_host *host,
			    struct netfs_op *op)
{
	const struct netfs_namestore_config names = {.folder = folder, .volume = "volume"};
	struct netfs_offline_config offline = {
		.ops = &away_ops, .patience_ms = 30, .retry_ms = 200};

	assert_int_equal(netfs_namestore_open(&names, &offline.names, op->buf, op->buf_size), 0);
	netfs_offline_connect(&offline, config, host, op);
}

static struct netfs_be_ops offline_ops;

static int setup(void **state)
{
	offline_ops = netfs_mem_ops;
	offline_ops.connect = connect_offline;
	folder = t_temp_dir();
	chmod(folder, 0700);
	return 0;
}

static int teardown(void **state)
{
	t_temp_dir_remove(folder);
	return 0;
}

/* The share, as somebody else sees it all the time. */
static struct contract other;
static struct contract c;

static void begin(void)
{
	char why[256];

	assert_int_equal(c_connect(&other, &netfs_mem_ops, &source, "", why), 0);
	assert_int_equal(c_connect(&c, &offline_ops, &source, "async", why), 0);
}

static void end(void)
{
	c_disconnect(&c);
	away_forget();
	c_disconnect(&other);
}

static void cut(void)
{
	uint64_t downs = t_counter_value(&c.downs);

	away_cut(true);
	/* Lost, which may be told more than once, then away. */
	do
		assert_true(t_counter_wait(&c.downs, ++downs, WAIT_MS));
	while (!strstr(c.state, "offline since 20"));
}

static void mend(void)
{
	uint64_t ups = t_counter_value(&c.ups);

	away_mend();
	assert_true(t_counter_wait(&c.ups, ups + 1, WAIT_MS));
}

static bool count_one(struct netfs_op *op, const struct netfs_dirent *entry)
{
	struct c_call *call = netfs_container_of(op, struct c_call, op);

	(*(unsigned *)call->user)++;
	*(uint64_t *)op->buf = entry->next;
	return true;
}

/* Lists it all; entries, or an error. */
static int list(struct netfs_node *dir)
{
	struct netfs_handle *handle;
	unsigned n = 0;
	uint64_t cookie = 0;
	bool eof = false;
	int err = c_open(&c, dir, O_RDONLY, &handle);

	while (!err && !eof) {
		struct c_call *call = c_call(&c);

		call->user = &n;
		call->op.fill = count_one;
		call->op.buf = &cookie;
		c.ops->readdir(handle, cookie, &call->op);
		err = c_wait(call);
		eof = call->op.eof;
	}
	netfs_handle_put(handle);
	return err ? err : (int)n;
}

/* ----------------------------------------------------------------- here */

static void keeps_the_contract(void **state)
{
	contract_run(&offline_ops, &source, "", CONTRACT_NO_SPARSE);
}

static void keeps_the_contract_when_completing_later(void **state)
{
	contract_run(&offline_ops, &source, "async", CONTRACT_NO_SPARSE);
}

/* ----------------------------------------------------------------- away */

static void known_names_are_answered_while_away(void **state)
{
	struct netfs_attr told, known;
	struct netfs_node *dir, *file;

	begin();
	assert_int_equal(c_mkdir(&c, c.root, "dir", &dir), 0);
	c_make_file(&c, dir, "file", "content");
	c_make_file(&other, other.root, "unseen", "x");
	assert_int_equal(c_lookup(&c, dir, "file", &file, &told), 0);
	cut();
	assert_int_equal(c_getattr(&c, file, NULL, &known), 0);
	assert_int_equal(known.size, told.size);
	assert_int_equal(known.version, told.version);
	netfs_node_put(file);
	assert_int_equal(c_lookup(&c, dir, "file", &file, &known), 0);
	assert_int_equal(known.ino, told.ino);
	assert_int_equal(known.version, told.version);
	/* What was made here has no names that are not known. */
	assert_int_equal(c_lookup(&c, dir, "none", NULL, NULL), -ENOENT);
	assert_int_equal(list(dir), 1);
	/* The root was never listed. */
	assert_int_equal(c_lookup(&c, c.root, "unseen", NULL, NULL), -EHOSTDOWN);
	assert_int_equal(list(c.root), -EHOSTDOWN);
	mend();
	assert_int_equal(c_lookup(&c, c.root, "unseen", NULL, NULL), 0);
	netfs_node_put(file);
	netfs_node_put(dir);
	end();
}

static void a_listing_that_was_read_is_known_whole(void **state)
{
	begin();
	c_make_file(&other, other.root, "a", "");
	c_make_file(&other, other.root, "b", "");
	assert_int_equal(list(c.root), 2);
	assert_int_equal(c_lookup(&c, c.root, "b", NULL, NULL), 0);
	assert_int_equal(c_unlink(&c, c.root, "b"), 0);
	c_make_file(&c, c.root, "c", "");
	assert_int_equal(c_rename(&c, c.root, "c", c.root, "d", 0), 0);
	cut();
	assert_int_equal(list(c.root), 2);
	/* It was never looked up. */
	assert_int_equal(c_lookup(&c, c.root, "a", NULL, NULL), -EHOSTDOWN);
	assert_int_equal(c_lookup(&c, c.root, "b", NULL, NULL), -ENOENT);
	assert_int_equal(c_lookup(&c, c.root, "c", NULL, NULL), -ENOENT);
	assert_int_equal(c_lookup(&c, c.root, "d", NULL, NULL), 0);
	mend();
	end();
}

static void changes_are_refused_while_away(void **state)
{
	struct netfs_setattr set = {.valid = NETFS_SET_SIZE};
	struct netfs_handle *handle;
	struct netfs_node *file;

	begin();
	c_make_file(&c, c.root, "file", "content");
	assert_int_equal(c_lookup(&c, c.root, "file", &file, NULL), 0);
	cut();
	assert_int_equal(c_mkdir(&c, c.root, "dir", NULL), -EHOSTDOWN);
	assert_int_equal(c_create(&c, c.root, "new", O_RDWR, NULL, NULL), -EHOSTDOWN);
	assert_int_equal(c_unlink(&c, c.root, "file"), -EHOSTDOWN);
	assert_int_equal(c_setattr(&c, file, NULL, &set, NULL), -EHOSTDOWN);
	assert_int_equal(c_open(&c, file, O_RDWR | O_TRUNC, NULL), -EHOSTDOWN);
	assert_int_equal(c_open(&c, file, O_RDWR, &handle), 0);
	netfs_handle_put(handle);
	assert_int_equal(away_parked(), 0);
	mend();
	assert_int_equal(c_unlink(&c, c.root, "file"), 0);
	netfs_node_put(file);
	end();
}

static void questions_on_their_way_are_called_off(void **state)
{
	struct netfs_node *file;
	struct c_call *known, *unknown, *change;
	uint64_t downs;

	begin();
	c_make_file(&c, c.root, "file", "content");
	assert_int_equal(c_lookup(&c, c.root, "file", &file, NULL), 0);
	downs = t_counter_value(&c.downs);
	away_cut(false);
	known = c_call(&c);
	c.ops->getattr(file, NULL, &known->op);
	unknown = c_call(&c);
	c.ops->lookup(c.root, "never seen", &unknown->op);
	change = c_call(&c);
	c.ops->mkdir(c.root, "dir", 0755, &change->op);
	assert_int_equal(away_parked(), 3);
	away_cut(true);
	assert_true(t_counter_wait(&c.downs, downs + 2, WAIT_MS));
	assert_int_equal(c_wait(known), 0);
	assert_int_equal(known->op.attr.size, 7);
	assert_int_equal(c_wait(unknown), -EHOSTDOWN);
	/* It may have been done. */
	assert_int_equal(atomic_load(&change->dones), 0);
	assert_int_equal(away_parked(), 1);
	mend();
	assert_int_equal(c_wait(change), 0);
	netfs_node_put(change->op.node);
	netfs_node_put(file);
	end();
}

static void slices_wait_or_are_refused(void **state)
{
	char buf[8];
	struct iovec iov = {buf, 7};
	struct netfs_handle *before, *after;
	struct netfs_slice write = {.kind = NETFS_SLICE_WRITE, .len = 7, .iov = &iov, .niov = 1};
	struct netfs_slice read = {.kind = NETFS_SLICE_READ, .len = 7, .iov = &iov, .niov = 1};
	struct netfs_slice needed = read;
	struct netfs_node *file;
	uint64_t ready;

	begin();
	c_make_file(&c, c.root, "file", "content");
	assert_int_equal(c_lookup(&c, c.root, "file", &file, NULL), 0);
	assert_int_equal(c_open(&c, file, O_RDWR, &before), 0);
	cut();
	assert_int_equal(c_open(&c, file, O_RDWR, &after), 0);
	assert_int_equal(c.ops->read(before, &read), -EHOSTDOWN);
	assert_int_equal(c.ops->read(after, &read), -EHOSTDOWN);
	needed.for_upload = true;
	assert_int_equal(c.ops->read(before, &needed), -EAGAIN);
	assert_int_equal(c.ops->write(before, &write), -EAGAIN);
	assert_int_equal(c.ops->write(after, &write), -EAGAIN);
	ready = t_counter_value(&c.ready);
	mend();
	assert_true(t_counter_wait(&c.ready, ready + 1, WAIT_MS));
	/* That of a handle without an address waits until it has one. */
	assert_int_equal(c_write(&c, after, 0, "changed", 7), 7);
	assert_int_equal(c_read(&c, before, 0, buf, 7), 7);
	assert_memory_equal(buf, "changed", 7);
	netfs_handle_put(before);
	netfs_handle_put(after);
	netfs_node_put(file);
	end();
}

static void what_is_written_is_known(void **state)
{
	struct netfs_attr before, after;
	struct netfs_handle *handle;
	struct netfs_node *file;

	begin();
	c_make_file(&c, c.root, "file", "content");
	assert_int_equal(c_lookup(&c, c.root, "file", &file, &before), 0);
	assert_int_equal(c_open(&c, file, O_RDWR, &handle), 0);
	assert_int_equal(c_write(&c, handle, 7, "more", 4), 4);
	cut();
	assert_int_equal(c_getattr(&c, file, NULL, &after), 0);
	assert_int_equal(after.size, 11);
	assert_true(after.version != before.version);
	mend();
	netfs_handle_put(handle);
	netfs_node_put(file);
	end();
}

static void fsync_waits_for_the_server(void **state)
{
	struct netfs_handle *handle;
	struct netfs_node *file;
	struct c_call *sync, *killed;

	begin();
	c_make_file(&c, c.root, "file", "content");
	assert_int_equal(c_lookup(&c, c.root, "file", &file, NULL), 0);
	cut();
	assert_int_equal(c_open(&c, file, O_RDWR, &handle), 0);
	sync = c_call(&c);
	c.ops->fsync(handle, false, &sync->op);
	killed = c_call(&c);
	c.ops->fsync(handle, false, &killed->op);
	c.ops->op_cancel(c.be, &killed->op);
	assert_int_equal(c_wait(killed), -EINTR);
	assert_int_equal(atomic_load(&sync->dones), 0);
	mend();
	assert_int_equal(c_wait(sync), 0);
	netfs_handle_put(handle);
	netfs_node_put(file);
	end();
}

static void coming_back_everything_is_asked_again(void **state)
{
	struct netfs_node *file;
	uint64_t changed;

	begin();
	c_make_file(&c, c.root, "file", "content");
	assert_int_equal(c_lookup(&c, c.root, "file", &file, NULL), 0);
	cut();
	changed = t_counter_value(&c.changed);
	mend();
	/* The root and the file. */
	assert_int_equal(t_counter_value(&c.changed), changed + 2);
	netfs_node_put(file);
	end();
}

/* Each is answered while the other is on its way. */
static void changes_beside_each_other_are_noted(void **state)
{
	struct c_call *a, *b;

	begin();
	assert_int_equal(list(c.root), 0);
	away_cut(false);
	a = c_call(&c);
	c.ops->mkdir(c.root, "a", 0755, &a->op);
	b = c_call(&c);
	c.ops->mkdir(c.root, "b", 0755, &b->op);
	assert_int_equal(away_parked(), 2);
	away_mend();
	assert_int_equal(c_wait(a), 0);
	assert_int_equal(c_wait(b), 0);
	netfs_node_put(a->op.node);
	netfs_node_put(b->op.node);
	cut();
	assert_int_equal(list(c.root), 2);
	assert_int_equal(c_lookup(&c, c.root, "a", NULL, NULL), 0);
	assert_int_equal(c_lookup(&c, c.root, "b", NULL, NULL), 0);
	mend();
	end();
}

/* That it failed does not say that nothing was done: it may have been sent twice. */
static void a_change_that_failed_leaves_its_name_unknown(void **state)
{
	begin();
	c_make_file(&other, other.root, "other", "x");
	assert_int_equal(list(c.root), 1);
	c_make_file(&other, other.root, "new", "x");
	assert_int_equal(c_mkdir(&c, c.root, "new", NULL), -EEXIST);
	cut();
	assert_int_equal(c_lookup(&c, c.root, "new", NULL, NULL), -EHOSTDOWN);
	assert_int_equal(list(c.root), -EHOSTDOWN);
	mend();
	end();
}

/* An answer about a name is not noted while one is being changed, but what it says of
 * what we wrote is. */
static void what_was_written_is_noted_beside_a_change_of_names(void **state)
{
	struct netfs_handle *handle;
	struct c_call *lookup, *change;
	struct netfs_node *file;
	struct netfs_attr attr;

	begin();
	c_make_file(&c, c.root, "file", "content");
	assert_int_equal(c_lookup(&c, c.root, "file", &file, NULL), 0);
	assert_int_equal(c_open(&c, file, O_RDWR, &handle), 0);
	assert_int_equal(c_write(&c, handle, 7, "more", 4), 4);
	away_cut(false);
	lookup = c_call(&c);
	c.ops->lookup(c.root, "file", &lookup->op);
	change = c_call(&c);
	c.ops->mkdir(c.root, "dir", 0755, &change->op);
	assert_int_equal(away_parked(), 2);
	away_mend();
	assert_int_equal(c_wait(lookup), 0);
	assert_int_equal(c_wait(change), 0);
	netfs_node_put(lookup->op.node);
	netfs_node_put(change->op.node);
	netfs_handle_put(handle);
	netfs_node_put(file);
	cut();
	assert_int_equal(c_lookup(&c, c.root, "file", NULL, &attr), 0);
	assert_int_equal(attr.size, 11);
	mend();
	end();
}

/* One that nobody waits for, and that must not be forgotten. */
static void a_removal_nobody_waits_for_waits_for_the_server(void **state)
{
	struct c_call *removal;

	begin();
	c_make_file(&c, c.root, "hidden", "");
	cut();
	removal = c_call(&c);
	removal->op.wait = true;
	c.ops->unlink(c.root, "hidden", &removal->op);
	assert_int_equal(atomic_load(&removal->dones), 0);
	mend();
	assert_int_equal(c_wait(removal), 0);
	end();
}

/* ------------------------------------------------- mounted while away */

static void disconnect_and_cut(void)
{
	c_disconnect(&c);
	away_forget();
	away_cut(false);
}

static int connect_again(char why[256])
{
	return c_connect(&c, &offline_ops, &source, "async", why);
}

/* The server is met after that. */
static void met(void)
{
	uint64_t ups = t_counter_value(&c.ups);

	away_mend();
	assert_true(t_counter_wait(&c.ups, ups + 1, WAIT_MS));
}

static void a_known_share_is_there_without_its_server(void **state)
{
	struct netfs_node *dir, *file, *link;
	struct netfs_handle *handle;
	struct netfs_attr before, after;
	struct c_call *call;
	char why[256], path[64], buf[16];

	begin();
	assert_int_equal(c_mkdir(&c, c.root, "dir", &dir), 0);
	c_make_file(&c, dir, "file", "content");
	call = c_call(&c);
	c.ops->symlink(dir, "link", "target", &call->op);
	assert_int_equal(c_wait(call), 0);
	netfs_node_put(call->op.node);
	assert_int_equal(c_lookup(&c, dir, "file", NULL, &before), 0);
	netfs_node_put(dir);
	assert_int_equal(list(c.root), 1);
	disconnect_and_cut();

	assert_int_equal(connect_again(why), 0);
	assert_true(netfs_offline_unmet(c.be));
	assert_int_equal(c_lookup(&c, c.root, "dir", &dir, NULL), 0);
	assert_int_equal(list(c.root), 1);
	assert_int_equal(list(dir), 2);
	assert_int_equal(c_lookup(&c, c.root, "none", NULL, NULL), -ENOENT);
	assert_int_equal(c_lookup(&c, dir, "file", &file, &after), 0);
	assert_int_equal(after.version, before.version);
	assert_int_equal(after.ino, before.ino);
	assert_int_equal(c_lookup(&c, dir, "link", &link, NULL), 0);
	call = c_call(&c);
	call->op.buf = buf;
	call->op.buf_size = sizeof(buf);
	c.ops->readlink(link, &call->op);
	assert_int_equal(c_wait(call), 0);
	assert_int_equal(call->op.count, 6);
	assert_memory_equal(buf, "target", 6);
	if (c.ops->path) {
		assert_int_equal(c.ops->path(file, path, sizeof(path)), 0);
		assert_string_equal(path, "dir/file");
	}
	assert_int_equal(c_open(&c, file, O_RDWR, &handle), 0);
	met();
	assert_false(netfs_offline_unmet(c.be));
	assert_int_equal(c_write(&c, handle, 0, "CONTENT", 7), 7);
	assert_int_equal(c_getattr(&c, file, NULL, &after), 0);
	assert_int_equal(c_unlink(&c, dir, "link"), 0);
	netfs_handle_put(handle);
	netfs_node_put(link);
	netfs_node_put(file);
	netfs_node_put(dir);
	end();
}

static void what_is_another_by_now_is_stale(void **state)
{
	struct netfs_node *file, *gone, *dir;
	struct netfs_handle *handle;
	char why[256], buf[8];

	begin();
	c_make_file(&c, c.root, "file", "content");
	c_make_file(&c, c.root, "gone", "content");
	assert_int_equal(c_mkdir(&c, c.root, "dir", NULL), 0);
	disconnect_and_cut();
	assert_int_equal(connect_again(why), 0);
	assert_int_equal(c_lookup(&c, c.root, "file", &file, NULL), 0);
	assert_int_equal(c_lookup(&c, c.root, "gone", &gone, NULL), 0);
	assert_int_equal(c_lookup(&c, c.root, "dir", &dir, NULL), 0);
	assert_int_equal(c_open(&c, file, O_RDONLY, &handle), 0);
	assert_int_equal(c_unlink(&other, other.root, "file"), 0);
	assert_int_equal(c_unlink(&other, other.root, "gone"), 0);
	c_make_file(&other, other.root, "file", "another");
	met();
	assert_int_equal(c_getattr(&c, file, NULL, NULL), -ESTALE);
	assert_int_equal(c_getattr(&c, gone, NULL, NULL), -ESTALE);
	assert_int_equal(c_read(&c, handle, 0, buf, 7), -ESTALE);
	assert_int_equal(c_getattr(&c, dir, NULL, NULL), 0);
	netfs_handle_put(handle);
	netfs_node_put(dir);
	netfs_node_put(gone);
	netfs_node_put(file);
	end();
}

static void an_unknown_share_is_an_error_that_says_so(void **state)
{
	char why[256];

	away_cut(false);
	assert_int_equal(connect_again(why), -ECONNREFUSED);
	assert_true(strstr(why, "no way to the server"));
	assert_true(strstr(why, "nothing is known"));
	away_mend();
}

static void a_server_that_refuses_is_an_error(void **state)
{
	char why[256];

	begin();
	disconnect_and_cut();
	away_refuse(-EACCES);
	assert_int_equal(connect_again(why), -EACCES);
	assert_string_equal(why, "no way to the server");
	away_refuse(-ECONNREFUSED);
	away_mend();
	c_disconnect(&other);
}

static void another_share_is_not_taken_for_it(void **state)
{
	char why[256];
	uint64_t downs;

	begin();
	disconnect_and_cut();
	assert_int_equal(connect_again(why), 0);
	downs = t_counter_value(&c.downs);
	/* Its tree goes with its last mount. */
	c_disconnect(&other);
	away_mend();
	assert_true(t_counter_wait(&c.downs, downs + 1, WAIT_MS));
	assert_true(strstr(c.state, "another one now"));
	assert_true(netfs_offline_unmet(c.be));
	c_disconnect(&c);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(keeps_the_contract),
		TEST(keeps_the_contract_when_completing_later),
		TEST(known_names_are_answered_while_away),
		TEST(a_listing_that_was_read_is_known_whole),
		TEST(changes_are_refused_while_away),
		TEST(questions_on_their_way_are_called_off),
		TEST(slices_wait_or_are_refused),
		TEST(what_is_written_is_known),
		TEST(fsync_waits_for_the_server),
		TEST(coming_back_everything_is_asked_again),
		TEST(changes_beside_each_other_are_noted),
		TEST(a_change_that_failed_leaves_its_name_unknown),
		TEST(what_was_written_is_noted_beside_a_change_of_names),
		TEST(a_removal_nobody_waits_for_waits_for_the_server),
		TEST(a_known_share_is_there_without_its_server),
		TEST(what_is_another_by_now_is_stale),
		TEST(an_unknown_share_is_an_error_that_says_so),
		TEST(a_server_that_refuses_is_an_error),
		TEST(another_share_is_not_taken_for_it),
	};

	return t_run(tests, NULL, NULL);
}
