/* SPDX-License-Identifier: MIT */
/*
 * Goal: wherever the power fails, what the journal has left, written over what the
 * server has, gives every byte that somebody was told is in the journal, or one
 * written later; and a file that may have been changed at the server by our own
 * uploads is marked.
 * Method: the journal on the simulated disk, with a workload that plays the engine and
 * a server that is a table.  Files are rows of cells; a write fills some with its
 * number.  Before each change of the disk a power failure is tried on a copy: another
 * mount opens the journal and does again what it finds.  Now and then the run itself
 * goes on with such a copy.  One world in three is sealed, in one of four the disk
 * fails now and then, and the journal may be too small.
 *
 * JOURNAL_STATES=1000000 tries so many failures instead of 10,000.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <base/hash.h>
#include <env/alloc.h>
#include <env/clock.h>
#include <env/executor.h>
#include <env/hostfs.h>
#include <env/sim/disk.h>
#include <env/sim/sim.h>
#include <journal/journal_impl.h>
#include <journal/left.h>
#include <t.h>

#define FOLDER "/cache"
#define VOLUME "9p://server/a"
#define SECRET "0123456789abcdef0123456789abcdef-journal"
#define FILES  4
#define CELLS  48
#define CELL   64
#define WRITES 64
#define STEPS  300

struct write {
	bool busy;
	bool told; /* its end was */
	struct netfs_journal_write write;
	struct iovec iov[2];
	uint64_t bytes[CELLS * CELL / 8];
	unsigned file;
	unsigned from, n;
	uint32_t number;
};

struct file {
	struct netfs_journal_file *file;
	uint32_t memory[CELLS]; /* the newest write of each cell */
	uint32_t told[CELLS]; /* the newest that somebody was told of */
	uint32_t server[CELLS]; /* what the server has */
	uint64_t version; /* of that */
	unsigned name; /* how often it was renamed */
	bool wants_mark; /* an upload waits for it */
	bool busy; /* a release is under way */
	uint64_t earlier; /* the last record, some time ago */
	struct netfs_journal_wait wait;
};

static struct world {
	uint64_t seed;
	bool sealed;
	bool failing; /* the disk does, now and then */
	struct netfs_rng rng;
	struct netfs_sim_disk *disk;
	struct netfs_journal *journal;
	struct file files[FILES];
	struct write writes[WRITES];
	uint32_t numbers;
	unsigned flying;
} w;

/* Of all worlds. */
static struct {
	uint64_t goal, states, sealed, extents, crashes, refused, failed, marked, released;
} sum;

static uint64_t draw(uint64_t bound)
{
	return netfs_rng_below(&w.rng, bound);
}

static void fail_world(const char *what)
{
	fprintf(stderr, "world %llu, state %llu: %s\n", (unsigned long long)w.seed,
		(unsigned long long)sum.states, what);
	fail();
}

#define check(cond)                                                                                \
	do {                                                                                       \
		if (!(cond))                                                                       \
			fail_world(#cond);                                                         \
	} while (0)

/* ------------------------------------------------------------ content */

static uint64_t word(uint32_t number, unsigned cell)
{
	return number ? netfs_hash_u64s(w.seed, number, cell) : 0;
}

/* ------------------------------------------------------ another mount */

static struct netfs_journal_config config(void)
{
	return (struct netfs_journal_config){
		.folder = FOLDER,
		.volume = VOLUME,
		.secret = w.sealed ? (const uint8_t *)SECRET : NULL,
		.secret_len = sizeof(SECRET),
		.size = CELLS * CELL * 3,
		.segment = 8192,
	};
}

static struct netfs_left *open_left(void)
{
	const struct netfs_journal_config how = config();
	struct netfs_left *left;
	char why[300] = "";

	check(netfs_left_open(&how, &left, why, sizeof(why)) == 0);
	return left;
}

/* Does again what is left of one file. */
static void redo(struct netfs_left *all, struct netfs_left_file *left, uint64_t content[CELLS])
{
	const struct file *file = &w.files[left->ino];
	char name[32];

	check(left->ino < FILES && left->gen == 7 && left->npaths >= 1);
	snprintf(name, sizeof(name), "folder/file-%u", (unsigned)left->ino);
	check(strncmp(left->paths[0], name, strlen(name)) == 0);
	check((unsigned)atoi(left->paths[0] + strlen(name) + 1) <= file->name);
	/* Where the mark could not be written a change looks like somebody else's. */
	if (left->base_known && !left->marked && !w.failing)
		check(left->base.counter == file->version);
	for (size_t i = 0; i < left->nextents; i++) {
		const struct netfs_left_extent *extent = &left->extents[i];
		uint64_t cell[CELL / 8];

		check(extent->start % CELL == 0 && extent->len % CELL == 0);
		check(extent->start + extent->len <= CELLS * CELL);
		for (uint32_t at = 0; at < extent->len; at += CELL) {
			check(netfs_left_read(all, left, extent, at, cell, sizeof(cell)) == 0);
			for (unsigned k = 1; k < CELL / 8; k++)
				check(cell[k] == cell[0]);
			content[(extent->start + at) / CELL] = cell[0];
		}
		sum.extents++;
	}
}

/* Is it what the write of that number or a later one put there? */
static void check_cell(const struct file *file, unsigned cell, uint64_t content)
{
	for (uint32_t number = file->memory[cell]; number >= file->told[cell]; number--) {
		if (content == word(number, cell))
			return;
		if (number == 0)
			break;
	}
	check(content == word(file->server[cell], cell) && file->server[cell] >= file->told[cell]);
}

static void check_disk(struct netfs_sim_disk *disk)
{
	struct netfs_sim_disk *before = netfs_sim_disk_use(disk);
	struct netfs_left_file *left = NULL;
	struct netfs_left *all;
	uint64_t content[FILES][CELLS];

	netfs_sim_disk_fail(disk, 0);
	for (unsigned i = 0; i < FILES; i++)
		for (unsigned k = 0; k < CELLS; k++)
			content[i][k] = word(w.files[i].server[k], k);
	all = open_left();
	while ((left = netfs_left_next(all, left)))
		redo(all, left, content[left->ino < FILES ? left->ino : 0]);
	for (unsigned i = 0; i < FILES; i++)
		for (unsigned k = 0; k < CELLS; k++)
			check_cell(&w.files[i], k, content[i][k]);
	/* Once it is done nothing is left. */
	while ((left = netfs_left_next(all, NULL))) {
		check(netfs_left_mark(all, left) == 0);
		check(netfs_left_done(all, left) == 0);
	}
	check(netfs_left_bytes(all) == 0);
	netfs_left_close(all);
	all = open_left();
	check(netfs_left_next(all, NULL) == NULL);
	netfs_left_close(all);
	netfs_sim_disk_use(before);
}

static struct netfs_sim_disk *crashed(void)
{
	return netfs_sim_disk_crashed(w.disk, netfs_hash_u64s(w.seed, sum.states, 6));
}

static void power_fails(void *user)
{
	struct netfs_sim_disk *disk = crashed();

	check_disk(disk);
	netfs_sim_disk_free(disk);
	sum.states++;
	sum.sealed += w.sealed;
}

/* ----------------------------------------------------------- the owner */

static int where(void *user, char buf[NETFS_JOURNAL_PATH])
{
	struct file *file = user;

	snprintf(buf, NETFS_JOURNAL_PATH, "folder/file-%u-%u", (unsigned)(file - w.files),
		 file->name);
	return 0;
}

/* Some of what is in memory goes to the server, in any order. */
static void upload(struct file *file)
{
	if (!netfs_journal_mark(file->file)) {
		file->wants_mark = true;
		return;
	}
	for (unsigned i = 0; i < CELLS; i++)
		if (draw(2))
			file->server[i] = file->memory[i];
	file->version++;
	sum.marked++;
}

static void marked(void *user)
{
	struct file *file = user;

	if (netfs_journal_mark(file->file) && file->wants_mark) {
		file->wants_mark = false;
		upload(file);
	}
}

static void idle(void *user)
{
	struct file *file = user;

	netfs_journal_told(file->file);
}

static const struct netfs_journal_ops ops = {.path = where, .marked = marked, .idle = idle};

static void released(struct netfs_journal_wait *wait, int err)
{
	netfs_container_of(wait, struct file, wait)->busy = false;
	w.flying--;
	sum.released += err == 0;
}

/* All there is becomes durable at the server, and the records go. */
static void settle(struct file *file)
{
	if (file->busy)
		return;
	if (!netfs_journal_mark(file->file)) {
		file->wants_mark = true;
		return;
	}
	if (memcmp(file->server, file->memory, sizeof(file->server)) != 0)
		file->version++;
	memcpy(file->server, file->memory, sizeof(file->server));
	file->busy = true;
	w.flying++;
	file->wait = (struct netfs_journal_wait){.done = released};
	/* What was written since a flush began is not part of it. */
	netfs_journal_release(file->file, draw(2) ? netfs_journal_seq(file->file) : file->earlier,
			      &file->wait);
}

static void tell(struct write *write)
{
	struct file *file = &w.files[write->file];

	for (unsigned i = write->from; i < write->from + write->n; i++)
		if (file->told[i] < write->number)
			file->told[i] = write->number;
}

static void written(struct netfs_journal_wait *wait, int err)
{
	struct write *write = netfs_container_of(
		netfs_container_of(wait, struct netfs_journal_write, wait), struct write, write);

	write->busy = false;
	w.flying--;
	if (!err)
		tell(write);
	else
		sum.failed++;
}

static struct write *write_new(void)
{
	for (unsigned i = 0; i < WRITES; i++)
		if (!w.writes[i].busy)
			return &w.writes[i];
	return NULL;
}

static void put(struct file *file)
{
	struct write *write = write_new();
	size_t len, first;

	if (!write)
		return;
	write->file = (unsigned)(file - w.files);
	write->from = draw(CELLS);
	write->n = 1 + draw(draw(4) ? 4 : CELLS - write->from);
	if (write->n > CELLS - write->from)
		write->n = CELLS - write->from;
	write->number = ++w.numbers;
	for (unsigned i = 0; i < write->n * CELL / 8; i++)
		write->bytes[i] = word(write->number, write->from + i * 8 / CELL);
	len = write->n * CELL;
	first = draw(len + 1);
	write->iov[0] = (struct iovec){write->bytes, first};
	write->iov[1] = (struct iovec){(char *)write->bytes + first, len - first};
	write->write = (struct netfs_journal_write){
		.wait.done = written, .start = write->from * CELL, .len = len, .iov = write->iov};
	netfs_journal_base(file->file, &(struct netfs_cache_version){.counter = file->version},
			   true);
	if (netfs_journal_write(file->file, &write->write)) {
		sum.refused++;
		return;
	}
	write->busy = true;
	w.flying++;
	for (unsigned i = write->from; i < write->from + write->n; i++)
		file->memory[i] = write->number;
}

/* ------------------------------------------------------------- worlds */

static void open_all(void)
{
	const struct netfs_journal_config how = config();

	check(netfs_executor_start(0) == 0);
	check(netfs_journal_open(&how, &w.journal) == 0);
	netfs_journal_set_ops(w.journal, &ops);
	for (unsigned i = 0; i < FILES; i++)
		check(netfs_journal_file_new(w.journal, i, 7, &w.files[i], &w.files[i].file) == 0);
}

static bool quiet(void *user)
{
	if (w.flying)
		return false;
	for (unsigned i = 0; i < FILES; i++)
		if (netfs_journal_live(w.files[i].file))
			return false;
	return true;
}

static bool never(void *user)
{
	return false;
}

static bool nothing_flies(void *user)
{
	return w.flying == 0;
}

/* The mount ends: all is settled, or what is unsent is left where it is. */
static void close_all(bool forced)
{
	check(netfs_sim_run(nothing_flies, NULL, NETFS_NS_PER_SEC));
	netfs_sim_disk_fail(w.disk, 0);
	for (unsigned i = 0; i < FILES; i++) {
		struct file *file = &w.files[i];

		while (!forced && netfs_journal_live(file->file)) {
			settle(file);
			netfs_sim_run(never, NULL, NETFS_NS_PER_MS);
		}
		if (netfs_journal_live(file->file))
			netfs_journal_abandon(file->file);
	}
	check(netfs_sim_run(quiet, NULL, NETFS_NS_PER_SEC));
	for (unsigned i = 0; i < FILES; i++)
		netfs_journal_file_free(w.files[i].file);
	netfs_journal_close(w.journal, NULL, NULL);
	netfs_executor_stop();
}

/* Another mount does what is left. */
static void recover(void)
{
	struct netfs_left *all = open_left();
	struct netfs_left_file *left;
	uint64_t content[CELLS];

	while ((left = netfs_left_next(all, NULL))) {
		struct file *file = &w.files[left->ino];

		for (unsigned k = 0; k < CELLS; k++)
			content[k] = word(file->server[k], k);
		redo(all, left, content);
		check(netfs_left_mark(all, left) == 0);
		for (unsigned k = 0; k < CELLS; k++) {
			uint32_t number = file->memory[k];

			while (number && content[k] != word(number, k))
				number--;
			file->server[k] = file->memory[k] = number;
		}
		file->version++;
		check(netfs_left_done(all, left) == 0);
	}
	netfs_left_close(all);
	for (unsigned i = 0; i < FILES; i++)
		memcpy(w.files[i].memory, w.files[i].server, sizeof(w.files[i].memory));
}

static void watch(void)
{
	netfs_sim_disk_watch(w.disk, power_fails, NULL);
	netfs_sim_disk_fail(w.disk, w.failing ? 30000 : 0);
}

static void reopen(void)
{
	struct netfs_sim_disk *next = draw(2) ? crashed() : NULL;
	struct file before[FILES];

	memcpy(before, w.files, sizeof(before));
	netfs_sim_disk_watch(w.disk, NULL, NULL);
	close_all(draw(2) == 0);
	if (next) {
		netfs_sim_disk_use(next);
		netfs_sim_disk_free(w.disk);
		w.disk = next;
		memcpy(w.files, before, sizeof(before));
		sum.crashes++;
	}
	for (unsigned i = 0; i < FILES; i++)
		w.files[i].wants_mark = w.files[i].busy = false;
	for (unsigned i = 0; i < FILES; i++)
		w.files[i].earlier = 0;
	open_all();
	recover();
	watch();
}

static void step(void)
{
	struct file *file = &w.files[draw(FILES)];

	switch (draw(13)) {
	case 0:
		upload(file);
		break;
	case 1:
	case 2:
		settle(file);
		break;
	case 3:
		file->name++;
		netfs_journal_renamed(w.journal);
		break;
	case 4:
		netfs_journal_mtime(file->file, netfs_clock_real());
		break;
	case 11:
		file->earlier = netfs_journal_seq(file->file);
		break;
	case 5:
		netfs_sim_run(never, NULL, draw(NETFS_NS_PER_SEC * 6));
		break;
	case 6:
		netfs_sim_run(never, NULL, draw(NETFS_NS_PER_MS));
		break;
	default:
		put(file);
	}
}

static void run_world(uint64_t seed)
{
	memset(&w, 0, sizeof(w));
	w.seed = seed;
	netfs_rng_init(&w.rng, seed);
	netfs_sim_start(seed);
	w.sealed = draw(3) == 0;
	w.failing = draw(4) == 0;
	w.disk = netfs_sim_disk_new(seed);
	netfs_sim_disk_use(w.disk);
	open_all();
	watch();
	for (unsigned i = 0; i < STEPS && sum.states < sum.goal; i++) {
		step();
		if (draw(60) == 0)
			reopen();
	}
	netfs_sim_disk_watch(w.disk, NULL, NULL);
	close_all(false);
	netfs_sim_disk_use(NULL);
	netfs_sim_disk_free(w.disk);
	netfs_sim_stop();
}

static void told_bytes_survive_the_power(void **state)
{
	const char *states = getenv("JOURNAL_STATES"), *seed = getenv("JOURNAL_SEED");
	uint64_t first = seed ? strtoull(seed, NULL, 10) : t_seed();

	sum.goal = states ? strtoull(states, NULL, 10) : 10000;
	printf("seed %llu\n", (unsigned long long)first);
	for (uint64_t i = 0; sum.states < sum.goal; i++)
		run_world(first + i);
	printf("%llu states, %llu sealed, %llu extents, %llu crashes, %llu refused, %llu failed, "
	       "%llu uploads, %llu releases\n",
	       (unsigned long long)sum.states, (unsigned long long)sum.sealed,
	       (unsigned long long)sum.extents, (unsigned long long)sum.crashes,
	       (unsigned long long)sum.refused, (unsigned long long)sum.failed,
	       (unsigned long long)sum.marked, (unsigned long long)sum.released);
	assert_true(sum.extents > 0 && sum.crashes > 0 && sum.refused > 0 && sum.marked > 0 &&
		    sum.released > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(told_bytes_survive_the_power),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
