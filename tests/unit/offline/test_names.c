/* SPDX-License-Identifier: MIT */
/*
 * Goal: what the store of names was told is there for the next mount; what is damaged,
 * of another key or was lost with the power was never told; what it says was true when
 * it was told.
 * Method: the store on the simulated disk, plain and sealed.  In a random workload a
 * power failure is tried on a copy of the disk before each change of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <base/hash.h>
#include <cache/namestore.h>
#include <cache/place.h>
#include <cache/store/name_table.h>
#include <env/executor.h>
#include <env/hostfs.h>
#include <env/sim/disk.h>
#include <env/sim/sim.h>
#include <t.h>

#define FOLDER "/cache"
#define SECRET "a secret of thirty-two bytes....."
#define VOLUME "9p://server/a"

static const struct netfs_name_id root = {1, 0};

/* --------------------------------------------------------------- world */

static struct netfs_sim_disk *disk;
static struct netfs_namestore *store;

static int setup(void **state)
{
	netfs_sim_start(t_seed());
	disk = netfs_sim_disk_new(t_seed());
	netfs_sim_disk_use(disk);
	assert_int_equal(netfs_executor_start(0), 0);
	return 0;
}

static int teardown(void **state)
{
	netfs_executor_stop();
	netfs_sim_disk_use(NULL);
	netfs_sim_disk_free(disk);
	netfs_sim_stop();
	return 0;
}

static int open_store(const char *secret)
{
	const struct netfs_namestore_config config = {
		.folder = FOLDER,
		.volume = VOLUME,
		.secret = (const uint8_t *)secret,
		.secret_len = secret ? strlen(secret) : 0,
	};
	char why[300];

	return netfs_namestore_open(&config, &store, why, sizeof(why));
}

static void set_event(void *user)
{
	netfs_event_set(user);
}

static void close_store(void)
{
	struct netfs_event event;

	netfs_event_init(&event);
	netfs_namestore_close(store, set_event, &event);
	netfs_event_wait(&event);
	netfs_event_done(&event);
}

static struct netfs_attr attr_of(uint64_t ino, uint64_t version)
{
	return (struct netfs_attr){
		.ino = ino,
		.version = version,
		.mode = (ino < 10 ? S_IFDIR : S_IFREG) | 0644,
		.nlink = 1,
		.size = ino * version,
		.mtime = {(int64_t)version, 5},
	};
}

static void tell_entry(struct netfs_name_id dir, const char *name, uint64_t ino, uint64_t version)
{
	const struct netfs_note note = {
		.kind = NETFS_NOTE_ENTRY, .id = dir, .name = name, .attr = attr_of(ino, version)};

	netfs_namestore_tell(store, &note);
}

static void tell_name(enum netfs_note_kind kind, struct netfs_name_id dir, const char *name)
{
	const struct netfs_note note = {.kind = kind, .id = dir, .name = name};

	netfs_namestore_tell(store, &note);
}

static void tell_attr(uint64_t ino, uint64_t version)
{
	const struct netfs_note note = {.kind = NETFS_NOTE_ATTR, .attr = attr_of(ino, version)};

	netfs_namestore_tell(store, &note);
}

struct question {
	struct netfs_note note;
	struct netfs_event event;
	int err;
};

static void answered(struct netfs_note *note, int err)
{
	struct question *question = netfs_container_of(note, struct question, note);

	question->err = err;
	netfs_event_set(&question->event);
}

static int ask(struct question *question)
{
	question->note.done = answered;
	netfs_event_init(&question->event);
	netfs_namestore_ask(store, &question->note);
	netfs_event_wait(&question->event);
	netfs_event_done(&question->event);
	return question->err;
}

/* The number that name leads to, or an error. */
static int64_t leads_to(struct netfs_name_id dir, const char *name)
{
	struct question q = {.note = {.kind = NETFS_ASK_NAME_ENTRY, .id = dir, .name = name}};
	int err = ask(&q);

	return err ? err : (int64_t)q.note.attr.ino;
}

/* Names of a directory, or an error. */
static int listed(struct netfs_name_id dir)
{
	static char text[4096];
	struct question q = {.note = {.kind = NETFS_ASK_NAME_LIST,
				      .id = dir,
				      .text = text,
				      .text_size = sizeof(text)}};
	struct netfs_dirent entry;
	int n = 0;

	do {
		size_t at = 0;
		int err = ask(&q);

		if (err)
			return err;
		while (netfs_note_next_entry(text, q.note.text_len, &at, &entry)) {
			q.note.cookie = entry.next;
			n++;
		}
	} while (!q.note.flag);
	return n;
}

static void tell_listing(struct netfs_name_id dir, const char *const *names, const uint64_t *inos,
			 unsigned n)
{
	struct netfs_note note = {.kind = NETFS_NOTE_LISTED, .id = dir, .flag = true};
	char text[4096];

	note.since = netfs_namestore_now(store);
	note.text = text;
	for (unsigned i = 0; i < n; i++) {
		struct netfs_dirent entry = {.name = names[i],
					     .name_len = (uint32_t)strlen(names[i]),
					     .ino = inos[i],
					     .type = inos[i] < 10 ? S_IFDIR : S_IFREG};

		assert_true(netfs_note_add_entry(text, sizeof(text), &note.text_len, &entry));
	}
	netfs_namestore_tell(store, &note);
}

/* ----------------------------------------------------------- told, asked */

static void tell_share(void)
{
	const struct netfs_note note = {
		.kind = NETFS_NOTE_SHARE,
		.share = {.root = root, .caps = 5, .rsize = 1 << 20, .wsize = 4096, .depth = 8},
	};

	netfs_namestore_tell(store, &note);
	tell_attr(root.ino, 3);
}

static void remembers(const char *secret)
{
	struct netfs_name_share share;
	struct netfs_attr attr;
	const char *const names[] = {"dir", "file", "only listed"};
	const uint64_t inos[] = {2, 20, 21};
	char target[8];
	struct question q = {.note = {.kind = NETFS_ASK_NAME_TARGET,
				      .id = {30, 0},
				      .text = target,
				      .text_size = sizeof(target)}};
	const struct netfs_note link = {
		.kind = NETFS_NOTE_TARGET, .id = {30, 0}, .text = (char *)"where", .text_len = 5};

	assert_int_equal(open_store(secret), 0);
	assert_false(netfs_namestore_share(store, &share, &attr));
	tell_share();
	tell_entry(root, "dir", 2, 1);
	tell_entry(root, "file", 20, 1);
	tell_entry(root, "gone", 22, 1);
	tell_attr(20, 7);
	netfs_namestore_tell(store, &link);
	assert_int_equal(leads_to(root, "none"), -EHOSTDOWN);
	tell_listing(root, names, inos, 3);
	assert_int_equal(leads_to(root, "none"), -ENOENT);
	close_store();

	assert_int_equal(open_store(secret), 0);
	assert_true(netfs_namestore_share(store, &share, &attr));
	assert_int_equal(share.wsize, 4096);
	assert_int_equal(attr.ino, root.ino);
	assert_int_equal(attr.version, 3);
	assert_int_equal(netfs_namestore_count(store), 3);
	assert_int_equal(leads_to(root, "dir"), 2);
	assert_int_equal(leads_to(root, "file"), 20);
	assert_int_equal(leads_to(root, "gone"), -ENOENT);
	assert_int_equal(leads_to(root, "only listed"), -EHOSTDOWN);
	assert_int_equal(listed(root), 3);
	assert_int_equal(listed((struct netfs_name_id){2, 0}), -EHOSTDOWN);
	assert_int_equal(ask(&q), 0);
	assert_int_equal(q.note.text_len, 5);
	assert_memory_equal(target, "where", 5);
	close_store();
}

static void what_is_told_is_there_the_next_time(void **state)
{
	remembers(NULL);
}

static void so_it_is_when_sealed(void **state)
{
	remembers(SECRET);
}

static void names_follow_changes(void **state)
{
	const struct netfs_name_id dir = {2, 0};
	struct netfs_note move = {
		.kind = NETFS_NOTE_MOVED, .id = root, .name = "a", .to = dir, .to_name = "b"};

	assert_int_equal(open_store(NULL), 0);
	tell_share();
	tell_name(NETFS_NOTE_EMPTY, root, NULL);
	tell_name(NETFS_NOTE_EMPTY, dir, NULL);
	tell_entry(root, "a", 20, 1);
	tell_entry(root, "x", 21, 1);
	netfs_namestore_tell(store, &move);
	assert_int_equal(leads_to(root, "a"), -ENOENT);
	assert_int_equal(leads_to(dir, "b"), 20);
	move = (struct netfs_note){.kind = NETFS_NOTE_MOVED,
				   .id = root,
				   .name = "x",
				   .to = dir,
				   .to_name = "b",
				   .flag = true};
	netfs_namestore_tell(store, &move);
	assert_int_equal(leads_to(root, "x"), 20);
	assert_int_equal(leads_to(dir, "b"), 21);
	/* Something that nobody knows comes to be there. */
	move = (struct netfs_note){
		.kind = NETFS_NOTE_MOVED, .id = {3, 0}, .name = "y", .to = dir, .to_name = "b"};
	netfs_namestore_tell(store, &move);
	assert_int_equal(leads_to(dir, "b"), -EHOSTDOWN);
	assert_int_equal(listed(dir), -EHOSTDOWN);
	tell_name(NETFS_NOTE_GONE, root, "x");
	assert_int_equal(listed(root), 0);
	tell_entry(root, "y", 22, 1);
	tell_name(NETFS_NOTE_UNSURE, root, "y");
	assert_int_equal(leads_to(root, "y"), -EHOSTDOWN);
	assert_int_equal(listed(root), -EHOSTDOWN);
	close_store();
}

/* --------------------------------------------------------------- damage */

/* The folder of the databases, and the name of the only one. */
static int place_of(char name[NETFS_ROW_FILE], const char *secret)
{
	struct netfs_rows *rows;

	assert_int_equal(netfs_rows_new(VOLUME, (const uint8_t *)secret,
					secret ? strlen(secret) : 0, &rows, name),
			 0);
	netfs_rows_free(rows);
	return netfs_place_open(FOLDER, "names");
}

static void change_database(const char *sql_text)
{
	struct netfs_name_table table = {.folder = -1};
	char name[NETFS_ROW_FILE];

	table.folder = place_of(name, NULL);
	table.file = name;
	assert_int_equal(netfs_name_table_open(&table), 0);
	assert_int_equal(sqlite3_exec(table.sql.db, sql_text, NULL, NULL, NULL), SQLITE_OK);
	netfs_name_table_close(&table);
	netfs_hostfs_close(table.folder);
}

static void fill(void)
{
	assert_int_equal(open_store(NULL), 0);
	tell_share();
	tell_name(NETFS_NOTE_EMPTY, root, NULL);
	tell_entry(root, "a", 20, 1);
	tell_entry(root, "b", 21, 1);
	close_store();
}

static void a_damaged_row_was_never_told(void **state)
{
	fill();
	change_database("UPDATE entries SET body = substr(body, 1, length(body) - 1) || x'00'"
			" WHERE name = CAST('a' AS BLOB)");
	change_database("UPDATE objects SET attr = x'00112233'"
			" WHERE id = x'15000000000000000000000000000000'");
	assert_int_equal(open_store(NULL), 0);
	assert_int_equal(leads_to(root, "a"), -EHOSTDOWN);
	assert_int_equal(leads_to(root, "b"), -EHOSTDOWN);
	/* Nor is it known any more that there are no others. */
	assert_int_equal(leads_to(root, "c"), -EHOSTDOWN);
	tell_entry(root, "a", 20, 1);
	assert_int_equal(leads_to(root, "a"), 20);
	close_store();
}

static void a_row_in_another_place_is_found_out(void **state)
{
	fill();
	change_database("UPDATE objects SET attr = (SELECT attr FROM objects"
			" WHERE id = x'14000000000000000000000000000000')"
			" WHERE id = x'15000000000000000000000000000000'");
	assert_int_equal(open_store(NULL), 0);
	assert_int_equal(leads_to(root, "a"), 20);
	assert_int_equal(leads_to(root, "b"), -EHOSTDOWN);
	close_store();
}

static void a_file_that_is_none_of_ours_is_emptied(void **state)
{
	struct netfs_name_share share;
	struct netfs_attr attr;
	char name[NETFS_ROW_FILE];
	int place, file;

	fill();
	place = place_of(name, NULL);
	file = netfs_hostfs_open_beneath(place, name, O_RDWR);
	assert_true(file >= 0);
	assert_int_equal(netfs_hostfs_pwrite(file, "this is no database, or not any more", 36, 0),
			 0);
	netfs_hostfs_close(file);
	netfs_hostfs_close(place);
	assert_int_equal(open_store(NULL), 0);
	assert_false(netfs_namestore_share(store, &share, &attr));
	tell_entry(root, "a", 20, 1);
	assert_int_equal(leads_to(root, "a"), 20);
	close_store();
}

static void another_format_is_refused(void **state)
{
	fill();
	change_database("PRAGMA user_version = 99");
	assert_int_equal(open_store(NULL), -EMEDIUMTYPE);
}

static void another_key_knows_nothing(void **state)
{
	struct netfs_name_share share;
	struct netfs_attr attr;

	fill();
	assert_int_equal(open_store(SECRET), 0);
	assert_false(netfs_namestore_share(store, &share, &attr));
	assert_int_equal(leads_to(root, "a"), -EHOSTDOWN);
	close_store();
	assert_int_equal(open_store(NULL), 0);
	assert_int_equal(leads_to(root, "a"), 20);
	close_store();
}

static void after_a_full_disk_nothing_is_whole(void **state)
{
	assert_int_equal(open_store(NULL), 0);
	tell_share();
	tell_name(NETFS_NOTE_EMPTY, root, NULL);
	assert_int_equal(leads_to(root, "new"), -ENOENT);
	netfs_sim_disk_fail(disk, 1000000);
	tell_entry(root, "new", 20, 1);
	leads_to(root, "new");
	netfs_sim_disk_fail(disk, 0);
	tell_attr(21, 1);
	assert_int_equal(leads_to(root, "new"), -EHOSTDOWN);
	close_store();
}

/* What the server said costs only itself, a change of ours what is known from before. */
static void a_change_that_was_not_told_leaves_nothing_known(void **state)
{
	const struct netfs_note move = {.kind = NETFS_NOTE_MOVED,
					.ours = true,
					.id = root,
					.name = "a",
					.to = root,
					.to_name = "b"};

	assert_int_equal(open_store(NULL), 0);
	tell_share();
	tell_entry(root, "a", 20, 1);
	tell_entry(root, "b", 21, 1);
	assert_int_equal(leads_to(root, "b"), 21);
	netfs_sim_disk_fail(disk, 1000000);
	tell_entry(root, "c", 22, 1);
	leads_to(root, "b");
	netfs_sim_disk_fail(disk, 0);
	assert_int_equal(leads_to(root, "b"), 21);
	netfs_sim_disk_fail(disk, 1000000);
	netfs_namestore_tell(store, &move);
	assert_int_equal(leads_to(root, "b"), -EHOSTDOWN);
	netfs_sim_disk_fail(disk, 0);
	assert_int_equal(leads_to(root, "b"), -EHOSTDOWN);
	assert_int_equal(leads_to(root, "a"), -EHOSTDOWN);
	tell_entry(root, "b", 20, 1);
	assert_int_equal(leads_to(root, "b"), 20);
	close_store();
}

static void old_rows_go(void **state)
{
	struct netfs_name_table table = {0};
	uint64_t names, objects;
	char name[NETFS_ROW_FILE];
	struct question q = {.note = {.kind = NETFS_ASK_NAME_ENTRY, .id = root}};

	assert_int_equal(netfs_rows_new(VOLUME, NULL, 0, &table.rows, name), 0);
	table.folder = netfs_place_open(FOLDER, "names");
	table.file = name;
	assert_int_equal(netfs_name_table_open(&table), 0);
	assert_int_equal(netfs_name_table_begin(&table), 0);
	for (unsigned i = 0; i < 300; i++) {
		char text[16];
		struct netfs_note note = {.kind = NETFS_NOTE_ENTRY,
					  .id = root,
					  .name = text,
					  .seq = i + 2,
					  .attr = attr_of(100 + i, 1)};

		snprintf(text, sizeof(text), "file%u", i);
		assert_int_equal(netfs_name_table_note(&table, &note), 0);
	}
	assert_int_equal(netfs_name_table_note(&table, &(struct netfs_note){.kind = NETFS_NOTE_ATTR,
									    .seq = 1,
									    .attr = attr_of(1, 1)}),
			 0);
	assert_int_equal(netfs_name_table_cull(&table, 100, &root), 0);
	assert_int_equal(netfs_name_table_end(&table, 0), 0);
	assert_int_equal(netfs_name_table_count(&table, &names, &objects), 0);
	assert_true(names <= 90 && names > 80 && objects <= 92 && objects > 80);
	q.note.name = "file0";
	assert_int_equal(netfs_name_table_ask(&table, &q.note), -EHOSTDOWN);
	q.note.name = "file299";
	assert_int_equal(netfs_name_table_ask(&table, &q.note), 0);
	q.note = (struct netfs_note){.kind = NETFS_ASK_NAME_ATTR, .id = root};
	assert_int_equal(netfs_name_table_ask(&table, &q.note), 0);
	netfs_name_table_close(&table);
	netfs_rows_free(table.rows);
	netfs_hostfs_close(table.folder);
}

/* ------------------------------------------------------- power failures */

#define NAMES 12
#define DIRS  3

/* What each name has ever been told to lead to, as bits; bit 63: to nothing. */
static struct {
	uint64_t led[DIRS][NAMES];
	uint64_t now[DIRS][NAMES]; /* a number, or 0 */
	bool sealed;
	bool checking;
	uint64_t states, found, missing, unknown;
} w;

#define NOTHING (UINT64_C(1) << 63)

static struct netfs_name_id dir_of(unsigned dir)
{
	return (struct netfs_name_id){2 + dir, 0};
}

static void name_of(unsigned number, char text[8])
{
	snprintf(text, 8, "n%u", number);
}

static void check_name(struct netfs_name_table *table, unsigned dir, unsigned number)
{
	char text[8];
	struct netfs_note note = {.kind = NETFS_ASK_NAME_ENTRY, .id = dir_of(dir), .name = text};
	int err;

	name_of(number, text);
	err = netfs_name_table_ask(table, &note);
	if (err == -EHOSTDOWN) {
		w.unknown++;
		return;
	}
	if (err == -ENOENT) {
		assert_true(w.led[dir][number] & NOTHING);
		w.missing++;
		return;
	}
	assert_int_equal(err, 0);
	assert_true(note.attr.ino >= 10 && note.attr.ino < 60);
	assert_true(w.led[dir][number] >> note.attr.ino & 1);
	w.found++;
}

static void power_fails(void *user)
{
	struct netfs_name_table table = {0};
	struct netfs_sim_disk *copy, *before;
	char name[NETFS_ROW_FILE];

	if (w.checking)
		return;
	w.checking = true;
	copy = netfs_sim_disk_crashed(disk, netfs_hash_u64s(t_seed(), w.states++, 1));
	before = netfs_sim_disk_use(copy);
	assert_int_equal(netfs_rows_new(VOLUME, w.sealed ? (const uint8_t *)SECRET : NULL,
					strlen(SECRET), &table.rows, name),
			 0);
	table.folder = netfs_place_open(FOLDER, "names");
	table.file = name;
	assert_true(table.folder >= 0);
	assert_int_equal(netfs_name_table_open(&table), 0);
	for (unsigned dir = 0; dir < DIRS; dir++) {
		for (unsigned i = 0; i < NAMES; i++)
			check_name(&table, dir, i);
	}
	netfs_name_table_close(&table);
	netfs_rows_free(table.rows);
	netfs_hostfs_close(table.folder);
	netfs_sim_disk_use(before);
	netfs_sim_disk_free(copy);
	w.checking = false;
}

static void becomes(unsigned dir, unsigned number, uint64_t ino)
{
	w.now[dir][number] = ino;
	w.led[dir][number] |= ino ? UINT64_C(1) << ino : NOTHING;
}

static void list_one(unsigned dir)
{
	static const char *const all[NAMES] = {"n0", "n1", "n2", "n3", "n4",  "n5",
					       "n6", "n7", "n8", "n9", "n10", "n11"};
	const char *names[NAMES];
	uint64_t inos[NAMES];
	unsigned n = 0;

	for (unsigned i = 0; i < NAMES; i++) {
		if (!w.now[dir][i])
			continue;
		names[n] = all[i];
		inos[n++] = w.now[dir][i];
	}
	tell_listing(dir_of(dir), names, inos, n);
}

static void step(struct netfs_rng *rng)
{
	unsigned dir = netfs_rng_below(rng, DIRS), number = netfs_rng_below(rng, NAMES);
	unsigned to_dir = netfs_rng_below(rng, DIRS), to = netfs_rng_below(rng, NAMES);
	uint64_t ino = 10 + netfs_rng_below(rng, 50), was;
	char text[8], to_text[8];
	struct netfs_note move = {.kind = NETFS_NOTE_MOVED,
				  .id = dir_of(dir),
				  .name = text,
				  .to = dir_of(to_dir),
				  .to_name = to_text};

	name_of(number, text);
	name_of(to, to_text);
	switch (netfs_rng_below(rng, 5)) {
	case 0:
		list_one(dir);
		break;
	case 1:
		becomes(dir, number, 0);
		tell_name(NETFS_NOTE_GONE, dir_of(dir), text);
		break;
	case 2:
		was = w.now[dir][number];
		if (!was || (dir == to_dir && number == to))
			break;
		becomes(dir, number, 0);
		becomes(to_dir, to, was);
		netfs_namestore_tell(store, &move);
		break;
	default:
		becomes(dir, number, ino);
		tell_entry(dir_of(dir), text, ino, 1 + netfs_rng_below(rng, 9));
		break;
	}
}

static void no_power_failure_tells_what_never_was(void **state)
{
	struct netfs_rng rng;

	t_rng(&rng, "names power failures");
	for (unsigned round = 0; round < 2; round++) {
		memset(w.led, 0, sizeof(w.led));
		memset(w.now, 0, sizeof(w.now));
		for (unsigned dir = 0; dir < DIRS; dir++) {
			for (unsigned i = 0; i < NAMES; i++)
				w.led[dir][i] = NOTHING;
		}
		w.sealed = round;
		netfs_sim_disk_watch(disk, power_fails, NULL);
		assert_int_equal(open_store(w.sealed ? SECRET : NULL), 0);
		for (unsigned i = 0; i < 60; i++) {
			for (unsigned n = netfs_rng_below(&rng, 12); n; n--)
				step(&rng);
			leads_to(root, "flushes");
		}
		close_store();
		netfs_sim_disk_watch(disk, NULL, NULL);
	}
	printf("%llu power failures: %llu names found, %llu missing, %llu unknown\n",
	       (unsigned long long)w.states, (unsigned long long)w.found,
	       (unsigned long long)w.missing, (unsigned long long)w.unknown);
	assert_true(w.states > 200 && w.found > 1000 && w.missing > 100 && w.unknown > 100);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_told_is_there_the_next_time),
		TEST(so_it_is_when_sealed),
		TEST(names_follow_changes),
		TEST(a_damaged_row_was_never_told),
		TEST(a_row_in_another_place_is_found_out),
		TEST(a_file_that_is_none_of_ours_is_emptied),
		TEST(another_format_is_refused),
		TEST(another_key_knows_nothing),
		TEST(after_a_full_disk_nothing_is_whole),
		TEST(a_change_that_was_not_told_leaves_nothing_known),
		TEST(old_rows_go),
		TEST(no_power_failure_tells_what_never_was),
	};

	return t_run(tests, NULL, NULL);
}
