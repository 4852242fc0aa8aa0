/* SPDX-License-Identifier: MIT */
/*
 * The file exerciser inside the simulator: its generator, its oracle, its
 * library target, over the 9P client and the simulated server.
 *
 * The exerciser knows no excuses, so the mix keeps only faults that excuse
 * nothing: delays, reordering, short replies, cuts, restarts, silence.
 */
#include <errno.h>
#include <string.h>
#include "../fsx/target_lib.h"
#include "world.h"

static bool has_happened(void *user)
{
	return ((struct netfs_event *)user)->happened;
}

static int wait_for_event(struct netfs_event *event)
{
	return netfs_sim_run(has_happened, event, PATIENCE_NS) ? 0 : -ETIMEDOUT;
}

static void draw_generator(struct rng *rng, struct fsx_gen_config *gen)
{
	static const uint64_t sizes[] = {20000, 70000, 262144};

	*gen = (struct fsx_gen_config){.kinds = (1U << FSX_KINDS) - 1,
				       .read_align = 1,
				       .write_align = 1,
				       .trunc_align = 1,
				       .block = 4096,
				       .past_end = true};
	gen->file_max = sizes[rng_below(rng, 3)];
	gen->op_max = gen->file_max / rng_between(rng, 1, 8);
	gen->close_one_in = rng_one_in(rng, 2) ? rng_between(rng, 5, 200) : 0;
	gen->small_cuts = rng_one_in(rng, 4);
}

static unsigned draw_flags(struct rng *rng)
{
	unsigned flags = rng_one_in(rng, 2) ? FSX_AIO : 0;

	if (rng_one_in(rng, 3))
		flags |= FSX_DIRECT;
	if (rng_one_in(rng, 6))
		flags |= FSX_SYNC;
	return flags;
}

void fsx_mode(struct world *world)
{
	struct rng *rng = &world->rng;
	struct fsx_lib_config config = {.name = "fsx.0", .wait = wait_for_event};
	struct fsx_run_config run = {.name = "simulated", .first = 1, .quiet = true};
	struct fsx_gen_config gen;
	struct fsx_run_result result;
	struct fsx_target *target;

	draw_generator(rng, &gen);
	mount_start(world);
	world->faults.mix.error = 0;
	world->faults.mix.cancel = 0;
	world->faults.mix.memory_within = 0;
	world->faults.mix.forget = 0;
	world->faults.mix.lie = 0;
	faults_start(&world->faults);
	config.mount = world->mount;
	config.handles = rng_between(rng, 1, 2);
	config.flags = draw_flags(rng);
	config.seed = world->options->seed;
	run.seed = world->options->seed;
	run.count = world->options->fsx;
	run.check_all = rng_one_in(rng, 8);
	run.flush_one_in = rng_one_in(rng, 4) ? 10 : 0;
	if (fsx_target_lib(&config, &target))
		world_fail(world, "no memory");
	if (fsx_run(target, &gen, &run, &result))
		world_fail(world, "the exerciser found a difference (%u handles, flags %u)",
			   config.handles, config.flags);
	world->steps = result.done;
	faults_heal(&world->faults);
	server_left_reset(&world->server);
	target->ops->free(target);
	mount_end(world);
}
