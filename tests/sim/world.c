/* SPDX-License-Identifier: MIT */
/*
 * A run from its seed to its last check.
 *
 * The loop: finish the steps that came to an end, start new ones on idle slots,
 * let the world run until something has happened.  Now and then all is quieted,
 * the server loses power or the mount is closed and opened anew.  At the end
 * the faults stop, and within a bounded time every step must end, every file
 * must sync and close, the unmount succeed, the server hold exactly the model's
 * bytes, and nothing be left of memory, sockets, timers.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <env/executor.h>
#include <cache_script.h>
#include "world.h"

/* The same text for the same kind of failure. */
static void report_failure(struct world *world, const char *format, va_list args)
{
	struct op_report *report = world->options->report;

	if (!report)
		return;
	snprintf(report->kind, sizeof(report->kind), "%s", format);
	vsnprintf(report->what, sizeof(report->what), format, args);
}

_Noreturn static void fail(struct world *world, const char *format, va_list args)
{
	va_list again;

	va_copy(again, args);
	report_failure(world, format, again);
	va_end(again);
	fprintf(stderr,
		"seed %" PRIu64 " (%s) after %.3f s of virtual time: ", world->options->seed,
		world->mount_options, netfs_clock_now() / 1e9);
	vfprintf(stderr, format, args);
	fprintf(stderr, "\nreplay: unetfs-sim --seed %" PRIu64 "%s%s%s%s%s --trace\n",
		world->options->seed, world->options->quick ? " --quick" : "",
		world->options->calm ? " --calm" : "",
		world->options->cipher == CIPHER_ON    ? " --encrypt"
		: world->options->cipher == CIPHER_OFF ? " --plain"
						       : "",
		server_word(world->options), cachedisk_word(world->options));
	exit(1);
}

void world_fail(struct world *world, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fail(world, format, args);
}

void slot_fail(struct slot *slot, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "slot %u, file %s, step %" PRIu64 " %s, handle flags 0%o%s:\n", slot->index,
		slot->name, slot->number, step_name(slot->step), slot->handles[slot->handle].flags,
		slot->cancelled ? ", cancelled" : "");
	va_start(args, format);
	fail(slot->world, format, args);
}

/* --------------------------------------------------------- waiting */

void world_wait(struct world *world, bool (*cond)(void *user), void *user, const char *what)
{
	uint64_t limit = world->faults.active ? PATIENCE_NS : LIVENESS_NS;

	if (!netfs_sim_run(cond, user, limit))
		world_fail(world, "V7: %s never ends", what);
}

static void nap_over(struct netfs_task *task)
{
	netfs_container_of(task, struct world, nap_task)->napping = false;
}

static bool is_awake(void *user)
{
	return !((struct world *)user)->napping;
}

void world_nap(struct world *world, uint64_t ns)
{
	world->napping = true;
	netfs_timer_start(&world->nap_timer, ns);
	world_wait(world, is_awake, world, "a nap");
}

static bool never(void *user)
{
	return false;
}

/* ------------------------------------------------------------ steps */

static bool is_busy(const struct slot *slot)
{
	return slot->step != STEP_NONE && !slot->retry;
}

static bool any_finished(void *user)
{
	struct world *world = user;

	for (unsigned i = 0; i < world->slot_count; i++)
		if (is_busy(&world->slots[i]) && !world->slots[i].outstanding)
			return true;
	return share_any_finished(world);
}

static unsigned finish_some(struct world *world)
{
	unsigned busy = 0;

	for (unsigned i = 0; i < world->slot_count; i++) {
		struct slot *slot = &world->slots[i];

		if (is_busy(slot) && !slot->outstanding)
			step_finish(slot);
		busy += is_busy(slot);
	}
	return busy;
}

static unsigned busy_count(const struct world *world)
{
	unsigned busy = 0;

	for (unsigned i = 0; i < world->slot_count; i++)
		busy += is_busy(&world->slots[i]);
	return busy;
}

static bool may_start(const struct slot *slot)
{
	return !is_busy(slot) && !slot->held && slot->not_before <= netfs_clock_now();
}

/* Starts steps on idle slots in an order drawn. */
static void start_some(struct world *world, unsigned busy)
{
	unsigned first = rng_below(&world->rng, world->slot_count);
	for (unsigned i = 0; i < world->slot_count && busy < world->concurrency; i++) {
		struct slot *slot = &world->slots[(first + i) % world->slot_count];

		if (!may_start(slot))
			continue;
		if (!slot->retry && !world->quiesce && !ops_left(world, &slot->stream))
			continue;
		step_begin(slot);
		busy += is_busy(slot);
	}
}

static uint64_t earliest_retry(struct world *world)
{
	uint64_t earliest = share_earliest_retry(world), now = netfs_clock_now();

	for (unsigned i = 0; i < world->slot_count; i++) {
		const struct slot *slot = &world->slots[i];

		if ((slot->retry || slot->not_before > now) && slot->not_before < earliest)
			earliest = slot->not_before;
	}
	return earliest;
}

/* Waits for a step to end; where all wait for their time, for that. */
static void wait_some(struct world *world, unsigned busy)
{
	uint64_t now = netfs_clock_now(), retry = earliest_retry(world);
	uint64_t limit = world->faults.active ? PATIENCE_NS : LIVENESS_NS;

	if (!busy) {
		if (retry != UINT64_MAX)
			world_nap(world, retry > now ? retry - now : 1);
		return;
	}
	if (netfs_sim_run(any_finished, world, limit))
		return;
	for (unsigned i = 0; i < world->slot_count; i++)
		if (is_busy(&world->slots[i]))
			slot_fail(&world->slots[i], "V7: the step never ends");
	share_complain(world);
}

/* Runs steps until the quota is reached, or until all is quiet. */
static void run_steps(struct world *world, uint64_t quota)
{
	world->steps_max = quota;
	for (;;) {
		unsigned busy = finish_some(world);

		share_finish(world);
		start_some(world, busy);
		share_begin(world);
		busy = busy_count(world) + share_busy(world);
		if (!busy && earliest_retry(world) == UINT64_MAX)
			return;
		wait_some(world, busy);
		if (!world->quiesce && rng_one_in(&world->rng, 20))
			world_nap(world, rng_between(&world->rng, 1, world->pause_max_ms) *
						 NETFS_NS_PER_MS);
	}
}

static void quiet(struct world *world, enum quiesce quiesce)
{
	world->quiesce = quiesce;
	run_steps(world, UINT64_MAX);
	world->quiesce = QUIESCE_NO;
	world->errors_quiet = faults_errors(&world->faults);
}

/* Power is lost in the middle of everything.  Files that have something to lose
 * are in doubt from now on, the others must not notice. */
static void forgets(void *user)
{
	struct world *world = user;

	for (unsigned i = 0; i < world->slot_count; i++) {
		struct slot *slot = &world->slots[i];

		if (slot->state == SLOT_ABSENT || !node_unstable(slot->node))
			continue;
		netfs_sim_printf("slot %u loses something", i);
		slot->lossy = true;
		slot->synced = false;
		slot->recovering = false;
	}
	share_forgets(world);
	if (tree_lose_power(world->server.tree))
		world_fail(world, "no memory");
	world->faults.others++;
}

/* What happens between two stretches of work. */
static void interlude(struct world *world)
{
	struct rng rng;

	if (!ops_next(world, &world->stream, &rng))
		return;
	/* Only a new mount reads what a disk has. */
	if (!world->options->calm && rng_one_in(&rng, world->cachedisk.on ? 5 : 2)) {
		ops_describe(world, "the server loses power");
		quiet(world, QUIESCE_SYNC);
		share_check(world);
		netfs_sim_printf("the server loses power");
		faults_cut_all(&world->faults);
		if (tree_lose_power(world->server.tree))
			world_fail(world, "no memory");
		world->faults.others++;
	} else {
		if (cachedisk_dies(world)) {
			ops_describe(world, "the mount dies, and another comes");
			quiet(world, QUIESCE_LEAVE);
			mount_dies(world);
			return;
		}
		ops_describe(world, "unmount and mount again");
		quiet(world, QUIESCE_CLOSE);
		mount_again(world);
	}
}

/* ------------------------------------------------------------ setup */

static void log_line(void *user, int level, const char *line)
{
	netfs_sim_printf("log: %s", line);
}

static void make_client(struct world *world)
{
	struct netfs_client_config config = {
		.struct_size = sizeof(config), .threads = 1, .log = log_line, .user = world};
	int err;

	config.memory_max = UINT64_C(4) << 20 << rng_below(&world->rng, 2);
	config.dirty_max = config.memory_max >> rng_between(&world->rng, 1, 6);
	config.dirty_age_ms = rng_between(&world->rng, 10, 10000);
	if (rng_one_in(&world->rng, 3) && !world->cachedisk.on)
		config.cache = &cache_script_all;
	err = netfs_client_new(&config, &world->client);
	if (err)
		world_fail(world, "netfs_client_new: %s", strerror(-err));
}

static void make_slots(struct world *world)
{
	static const uint64_t sizes[] = {9000, 40000, 200000, 600000, 2500000};

	static const uint32_t pauses_ms[] = {1000, 10000, 60000, 300000};

	world->groups = rng_one_in(&world->rng, 3);
	world->pause_max_ms = pauses_ms[rng_below(&world->rng, 4)];
	world->slot_count = rng_between(&world->rng, 2, SLOTS_MAX);
	world->concurrency =
		rng_one_in(&world->rng, 4) ? 1 : rng_between(&world->rng, 1, SLOTS_MAX);
	world->file_max = sizes[rng_below(&world->rng, 5)];
	world->op_max = world->file_max / rng_between(&world->rng, 1, 8);
	for (unsigned i = 0; i < world->slot_count; i++) {
		struct slot *slot = &world->slots[i];

		slot->world = world;
		slot->index = i;
		slot_init_calls(slot);
		slot->stream.stream = (uint8_t)i;
		slot->synced = true;
		slot->dir = rng_below(&world->rng, DIRS_MAX);
		snprintf(slot->name, sizeof(slot->name), "f%ua", i);
		if (fsx_oracle_init(&slot->model, world->file_max))
			world_fail(world, "no memory");
		for (unsigned k = 0; k < BATCH_MAX; k++) {
			slot->batch[k].slot = slot;
			slot->batch[k].buf = malloc(world->op_max);
		}
	}
}

static void make_server(struct world *world)
{
	if (server_init(&world->server, &world->faults, world->options, &world->rng))
		world_fail(world, "no memory");
	for (unsigned i = 0; i < DIRS_MAX; i++) {
		snprintf(world->dirs[i].name, FILE_NAME_MAX, "dir%u", i);
		if (tree_make(world->server.tree, world->server.tree->root, world->dirs[i].name,
			      S_IFDIR | 0755, &world->dirs[i].node))
			world_fail(world, "no memory");
	}
	server_listen(&world->server, true);
}

static bool server_is_idle(void *user)
{
	return server_pending(&((struct world *)user)->server) == 0;
}

/* ------------------------------------------------------------ a run */

static void workload(struct world *world)
{
	uint64_t quota = world->options->quick ? 100 : 300;
	unsigned stretches = rng_between(&world->rng, 1, 4);

	if (world->cachedisk.on)
		stretches = 2 * stretches + 2;
	make_slots(world);
	mount_start(world);
	cipher_start(world);
	share_start(world);
	faults_start(&world->faults);
	for (unsigned i = 1; i <= stretches; i++) {
		world->stretch = (uint8_t)i;
		run_steps(world, quota * i / stretches);
		/* What comes between is not a step and not counted as one. */
		world->steps_max = UINT64_MAX;
		if (i < stretches)
			interlude(world);
	}
	netfs_sim_printf("the faults stop");
	faults_heal(&world->faults);
	cachedisk_heal(world);
	quiet(world, QUIESCE_CLOSE);
	/* From here on it is the clients who hang up. */
	server_left_reset(&world->server);
	share_end(world);
	mount_check(world);
	mount_end(world);
	for (unsigned i = 0; i < world->slot_count; i++) {
		fsx_oracle_done(&world->slots[i].model);
		for (unsigned k = 0; k < BATCH_MAX; k++)
			free(world->slots[i].batch[k].buf);
	}
}

void world_run(const struct world_options *options, struct world_result *ret_result)
{
	struct world *world = calloc(1, sizeof(*world));

	if (!world)
		abort();
	world->options = options;
	rng_init(&world->rng, options->seed);
	world->stream.stream = STREAM_WORLD;
	world->cipher.on = cipher_wanted(options);
	netfs_sim_start(options->seed ^ rng_mix(options->salt));
	netfs_sim_trace(options->trace);
	netfs_task_init(&world->nap_task, nap_over);
	netfs_timer_init(&world->nap_timer, &world->nap_task);
	faults_init(&world->faults, &world->server, options);
	world->faults.forgets = forgets;
	world->faults.user = world;
	make_server(world);
	cachedisk_start(world);
	make_client(world);
	if (options->fsx)
		fsx_mode(world);
	else if (options->hostile)
		hostile_mode(world);
	else
		workload(world);
	cipher_done(world);
	netfs_client_free(world->client);
	world_wait(world, server_is_idle, world, "the server's last request");
	server_drop_all(&world->server);
	netfs_sim_run(never, NULL, LIVENESS_NS);
	cachedisk_done(world);
	ret_result->steps = world->steps;
	ret_result->events = netfs_sim_steps();
	ret_result->digest = netfs_sim_digest();
	ret_result->virtual_ns = netfs_clock_now();
	ret_result->faults =
		faults_errors(&world->faults) + world->faults.others + world->faults.cuts;
	ret_result->requests = server_requests(&world->server);
	ret_result->from_disk = world->cachedisk.given;
	server_done(&world->server);
	/* Looks for allocations, sockets and timers that are left. */
	netfs_sim_stop();
	free(world);
}
