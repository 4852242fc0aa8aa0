/* SPDX-License-Identifier: MIT */
/*
 * The run's chance of misfortune.  Each seed draws which kinds of faults exist
 * at all and how often they come (a swarm), because a run in which everything
 * fails a little never gets far enough for the deep bugs.
 *
 * Big events (cuts, restarts, silence) come from one timer; a period of
 * trouble always ends with the timer's next shot, and a silence with a cut.
 */
#include <errno.h>
#include <string.h>
#include "world.h"

#define MINUTE_NS (60 * NETFS_NS_PER_SEC)

/* Half of all seeds have a given kind of fault at all. */
static uint32_t draw_rate(struct rng *rng, uint32_t max)
{
	return rng_one_in(rng, 2) ? rng_between(rng, 1, max) : 0;
}

static void draw_error_kinds(struct fault_mix *mix, struct rng *rng)
{
	static const uint8_t types[] = {T_READ,	    T_WRITE,   T_FSYNC,	  T_GETATTR, T_SETATTR,
					T_WALK,	    T_LOPEN,   T_LCREATE, T_MKDIR,   T_RENAMEAT,
					T_UNLINKAT, T_READDIR, T_RENAME,  T_REMOVE};

	mix->error = draw_rate(rng, 20000);
	for (unsigned i = 0; i < sizeof(types); i++)
		if (rng_one_in(rng, 2))
			mix->error_kinds[types[i] / 32] |= 1U << types[i] % 32;
}

/* The same for a server that speaks SMB, drawn apart.  What gives something back is
 * never refused. */
static void draw_smb_kinds(struct fault_mix *mix, uint64_t seed)
{
	static const uint8_t commands[] = {
		SMB_CREATE,	     SMB_READ,	     SMB_WRITE,	  SMB_FLUSH,
		SMB_QUERY_DIRECTORY, SMB_QUERY_INFO, SMB_SET_INFO};
	struct rng rng;

	rng_init(&rng, seed ^ UINT64_C(0x5b3fa));
	memset(mix->error_kinds, 0, sizeof(mix->error_kinds));
	for (unsigned i = 0; i < sizeof(commands); i++)
		if (rng_one_in(&rng, 2))
			mix->error_kinds[0] |= 1U << commands[i];
	if (rng_one_in(&rng, 4))
		mix->tamper = (uint32_t)rng_between(&rng, 1, 10000);
}

static void draw_mix(struct fault_mix *mix, struct rng *rng)
{
	mix->delay = draw_rate(rng, 500000);
	mix->delay_max_ns = rng_between(rng, 1, 2000) * NETFS_NS_PER_MS;
	mix->late_execute = draw_rate(rng, 1000000);
	mix->short_read = draw_rate(rng, 200000);
	mix->short_write = draw_rate(rng, 200000);
	draw_error_kinds(mix, rng);
	mix->lost_reply = draw_rate(rng, 5000);
	mix->cut_in_reply = draw_rate(rng, 10000);
	mix->cancel = draw_rate(rng, 50000);
	if (rng_one_in(rng, 2))
		mix->event_every_ns = rng_between(rng, 1, 60) * NETFS_NS_PER_SEC;
	mix->net.cut_per_million = draw_rate(rng, 5000);
	if (rng_one_in(rng, 4))
		mix->memory_within = rng_one_in(rng, 2) ? 20 : 500;
	mix->small_every_ns = (rng_one_in(rng, 2) ? 40 : 2) * NETFS_NS_PER_SEC;
	mix->clock = draw_rate(rng, 1000000);
	mix->forget = draw_rate(rng, 1000000);
	if (rng_one_in(rng, 4))
		mix->lie = draw_rate(rng, 5000);
}

static void draw_net(struct netfs_sim_net *net, struct rng *rng)
{
	net->latency_min_ns = rng_between(rng, 1, 2000) * 1000;
	net->latency_max_ns = net->latency_min_ns * rng_between(rng, 1, 20);
	if (rng_one_in(rng, 2))
		net->segment_max =
			rng_one_in(rng, 4) ? rng_between(rng, 1, 50) : rng_between(rng, 50, 20000);
}

/* Connections that die after a few kilobytes each leave no time for work: half
 * a megabyte must get through in the mean. */
static void limit_cuts(struct netfs_sim_net *net)
{
	if (net->segment_max && net->cut_per_million > 2 * net->segment_max)
		net->cut_per_million = 2 * net->segment_max;
}

/* The next shot: mean as drawn while all is well, short while it is not. */
static void timer_set(struct faults *faults, uint64_t mean_ns)
{
	netfs_timer_start(&faults->timer, rng_between(&faults->rng, 1, 2 * mean_ns));
}

static void net_set(struct faults *faults, bool refuse, bool silent)
{
	struct netfs_sim_net net = faults->mix.net;

	net.refuse = refuse;
	net.blackhole = silent;
	netfs_sim_set_net(&net);
}

void faults_cut_all(struct faults *faults)
{
	netfs_sim_cut_all();
	server_drop_all(faults->server);
}

static void event_end(struct faults *faults)
{
	if (faults->event == EVENT_DOWN)
		server_listen(faults->server, true);
	if (faults->event == EVENT_SILENT)
		faults_cut_all(faults);
	net_set(faults, false, false);
	faults->event = EVENT_NONE;
}

static void event_begin(struct faults *faults)
{
	switch (rng_below(&faults->rng, 4)) {
	case 0:
		if (!server_drop_one(faults->server))
			faults_cut_all(faults);
		timer_set(faults, faults->mix.event_every_ns);
		return;
	case 1:
		faults->event = EVENT_DOWN;
		server_listen(faults->server, false);
		faults_cut_all(faults);
		server_restart(faults->server);
		if (faults->forgets && rng_chance(&faults->rng, faults->mix.forget))
			faults->forgets(faults->user);
		break;
	case 2:
		faults->event = EVENT_SILENT;
		net_set(faults, false, true);
		break;
	default:
		faults->event = EVENT_REFUSE;
		net_set(faults, true, false);
		faults_cut_all(faults);
		break;
	}
	timer_set(faults, rng_between(&faults->rng, 1, 60) * NETFS_NS_PER_SEC);
}

static void shot(struct netfs_task *task)
{
	struct faults *faults = netfs_container_of(task, struct faults, task);

	if (!faults->active)
		return;
	faults->others++;
	if (faults->event == EVENT_NONE) {
		event_begin(faults);
		return;
	}
	event_end(faults);
	timer_set(faults, faults->mix.event_every_ns);
}

/* Failures of the client's own machine. */
static void small_shot(struct netfs_task *task)
{
	struct faults *faults = netfs_container_of(task, struct faults, small_task);
	struct rng *rng = &faults->rng;

	if (!faults->active)
		return;
	if (faults->mix.memory_within && !faults->grace)
		netfs_sim_fail_alloc(rng_between(rng, 1, faults->mix.memory_within));
	if (rng_chance(rng, faults->mix.clock)) {
		netfs_sim_jump_real((int64_t)(rng_below(rng, 2 * MINUTE_NS * 60 * 24)) -
				    (int64_t)(MINUTE_NS * 60 * 24));
		faults->others++;
	}
	netfs_timer_start(&faults->small_timer, rng_between(rng, 1, faults->mix.small_every_ns));
}

uint64_t faults_errors(const struct faults *faults)
{
	return faults->errors + netfs_sim_allocs_refused();
}

static const char *const switches[FAULT_SWITCHES] = {
	[FAULT_DELAY] = "delay",
	[FAULT_LATE] = "late-execution",
	[FAULT_SHORT_READ] = "short-reads",
	[FAULT_SHORT_WRITE] = "short-writes",
	[FAULT_ERROR] = "errors",
	[FAULT_LOST] = "lost-replies",
	[FAULT_CUT_REPLY] = "cut-replies",
	[FAULT_CANCEL] = "cancels",
	[FAULT_EVENTS] = "events",
	[FAULT_CUT_NET] = "cuts",
	[FAULT_SEGMENTS] = "segments",
	[FAULT_MEMORY] = "memory",
	[FAULT_CLOCK] = "clock",
	[FAULT_FORGET] = "forgetting",
	[FAULT_LIE] = "lies",
	[FAULT_TAMPER] = "tampering",
	[FAULT_SHARE] = "sharing",
};

const char *faults_switch_name(unsigned i)
{
	return i < FAULT_SWITCHES ? switches[i] : NULL;
}

/* After the draw, so that one kind less does not change the others. */
static void leave_out(struct fault_mix *mix, uint32_t without)
{
	uint32_t *const rates[FAULT_SWITCHES] = {
		[FAULT_DELAY] = &mix->delay,
		[FAULT_LATE] = &mix->late_execute,
		[FAULT_SHORT_READ] = &mix->short_read,
		[FAULT_SHORT_WRITE] = &mix->short_write,
		[FAULT_ERROR] = &mix->error,
		[FAULT_LOST] = &mix->lost_reply,
		[FAULT_CUT_REPLY] = &mix->cut_in_reply,
		[FAULT_CANCEL] = &mix->cancel,
		[FAULT_CUT_NET] = &mix->net.cut_per_million,
		[FAULT_SEGMENTS] = &mix->net.segment_max,
		[FAULT_MEMORY] = &mix->memory_within,
		[FAULT_CLOCK] = &mix->clock,
		[FAULT_FORGET] = &mix->forget,
		[FAULT_LIE] = &mix->lie,
		[FAULT_TAMPER] = &mix->tamper,
	};

	for (unsigned i = 0; i < FAULT_SWITCHES; i++)
		if (rates[i] && (without & (1U << i)))
			*rates[i] = 0;
	if (without & (1U << FAULT_EVENTS))
		mix->event_every_ns = 0;
}

void faults_init(struct faults *faults, struct server *server, const struct world_options *options)
{
	memset(faults, 0, sizeof(*faults));
	faults->server = server;
	rng_init(&faults->rng, options->seed ^ UINT64_C(0xfa17));
	if (!options->calm)
		draw_mix(&faults->mix, &faults->rng);
	if (server_wants_smb(options) && !options->calm)
		draw_smb_kinds(&faults->mix, options->seed);
	draw_net(&faults->mix.net, &faults->rng);
	leave_out(&faults->mix, options->without);
	faults->rng.state ^= rng_mix(options->salt);
	limit_cuts(&faults->mix.net);
	netfs_task_init(&faults->task, shot);
	netfs_timer_init(&faults->timer, &faults->task);
	netfs_task_init(&faults->small_task, small_shot);
	netfs_timer_init(&faults->small_timer, &faults->small_task);
}

void faults_start(struct faults *faults)
{
	faults->active = true;
	net_set(faults, false, false);
	if (faults->mix.event_every_ns)
		timer_set(faults, faults->mix.event_every_ns);
	if (faults->mix.memory_within || faults->mix.clock)
		netfs_timer_start(&faults->small_timer, 1);
}

void faults_heal(struct faults *faults)
{
	faults->active = false;
	netfs_timer_stop(&faults->timer);
	netfs_timer_stop(&faults->small_timer);
	netfs_sim_fail_alloc(0);
	faults->mix.net.cut_per_million = 0;
	event_end(faults);
}

bool faults_draw(struct faults *faults, uint32_t per_million)
{
	return faults->active && rng_chance(&faults->rng, per_million);
}

int faults_error(struct faults *faults, unsigned type, bool takes_room)
{
	static const int errors[] = {-EIO, -EIO, -ENOSPC, -EDQUOT};

	if (type >= T_MAX || !(faults->mix.error_kinds[type / 32] & (1U << type % 32)))
		return 0;
	if (faults->grace || !faults_draw(faults, faults->mix.error))
		return 0;
	faults->errors++;
	if (takes_room)
		return errors[rng_below(&faults->rng, 4)];
	return rng_one_in(&faults->rng, 4) ? -EAGAIN : -EIO;
}

uint64_t faults_delay(struct faults *faults)
{
	if (!faults_draw(faults, faults->mix.delay))
		return 0;
	faults->others++;
	return rng_between(&faults->rng, 1, faults->mix.delay_max_ns);
}
