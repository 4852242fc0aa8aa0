/* SPDX-License-Identifier: MIT */
/*
 * Troubles that the dir back end plays on request: a slow server (delay=), a
 * narrow line (bw=), one that fails now and then (errors=).
 *
 * Everything ends here.  Where no trouble is asked for, that costs one look at
 * a flag.  Otherwise the answer is held back by a timer.  The line is a clock:
 * the moment until which it is busy with the data before.  A slice's data takes
 * its share of time from there on, so that many slices together are as slow as
 * the line, and each waits its turn, with no queue kept.
 *
 * A failing data request fails before anything is done.  "errors=N" heals: the
 * engine is told to try again.  "errors=N:ENOSPC" is for good, and then also
 * for fallocate and copies.  Names never fail by it: their contract knows no
 * retry, as a back end would do that by itself.
 *
 * What is cancelled is not held back, or not any longer, and ends with the
 * answer it has.
 *
 * Locks: dir_be.mutex guards the clock of the line and the list of what is
 * under way, which is kept only where there are troubles to play.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <backend/dir/dir.h>
#include <base/round.h>
#include <env/alloc.h>
#include <env/clock.h>
#include <env/random.h>

#define DELAY_MAX_MS 3600000
#define BW_MAX	     (UINT64_C(1) << 50)
#define ONE_IN_MAX   1000000000

/* --------------------------------------------------------- options */

/* Errors that a data request may fail with. */
static const struct {
	const char *name;
	int err;
} errors[] = {
	{"EIO", EIO},	    {"ENOSPC", ENOSPC},	      {"EDQUOT", EDQUOT}, {"EROFS", EROFS},
	{"EACCES", EACCES}, {"EPERM", EPERM},	      {"EFBIG", EFBIG},	  {"ESTALE", ESTALE},
	{"ENOMEM", ENOMEM}, {"ETIMEDOUT", ETIMEDOUT}, {"EINTR", EINTR},
};

/* A decimal number from min to max.  What follows it, or NULL. */
static const char *parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value)
{
	uint64_t value = 0;
	const char *at = text;

	for (; *at >= '0' && *at <= '9'; at++) {
		value = value * 10 + (uint64_t)(*at - '0');
		if (value > max)
			return NULL;
	}
	if (at == text || value < min)
		return NULL;
	*ret_value = value;
	return at;
}

static bool parse_delay(struct dir_faults *faults, const char *text)
{
	const char *end = parse_number(text, 0, DELAY_MAX_MS, &faults->delay_ns);

	faults->delay_ns *= NETFS_NS_PER_MS;
	return end && !*end;
}

static bool parse_bw(struct dir_faults *faults, const char *text)
{
	static const char units[] = "kmg";
	const char *end = parse_number(text, 1, BW_MAX, &faults->bytes_per_s);
	const char *unit = end && *end ? strchr(units, *end | 0x20) : NULL;

	if (unit) {
		int shift = 10 * (int)(unit - units + 1);

		if (faults->bytes_per_s > BW_MAX >> shift)
			return false;
		faults->bytes_per_s <<= shift;
		end++;
	}
	return end && !*end;
}

static bool parse_errors(struct dir_faults *faults, const char *text)
{
	const char *end = parse_number(text, 1, ONE_IN_MAX, &faults->one_in);

	if (!end)
		return false;
	faults->heals = !*end;
	faults->err = -EIO;
	if (!*end)
		return true;
	for (size_t i = 0; *end == ':' && i < sizeof(errors) / sizeof(errors[0]); i++) {
		if (!strcmp(end + 1, errors[i].name)) {
			faults->err = -errors[i].err;
			return true;
		}
	}
	return false;
}

int netfs_dir_faults_init(struct dir_faults *faults, const struct netfs_be_config *config,
			  char *text, size_t text_size)
{
	static const struct {
		const char *name;
		bool (*parse)(struct dir_faults *faults, const char *text);
	} parsers[] = {{"delay", parse_delay}, {"bw", parse_bw}, {"errors", parse_errors}};

	netfs_list_init(&faults->pending);
	for (size_t i = 0; i < sizeof(parsers) / sizeof(parsers[0]); i++) {
		const char *value = netfs_config_option(config, parsers[i].name);

		if (value && !parsers[i].parse(faults, value)) {
			snprintf(text, text_size, "bad value in %s=%.64s", parsers[i].name, value);
			return -EINVAL;
		}
	}
	faults->on = faults->delay_ns || faults->bytes_per_s;
	return 0;
}

int netfs_dir_faults_draw(const struct dir_faults *faults, unsigned *ret_flags)
{
	if (!faults->one_in || netfs_random_below(faults->one_in))
		return 0;
	*ret_flags = faults->heals ? NETFS_SLICE_RETRY : 0;
	return faults->err;
}

/* ------------------------------------------------------ completing */

static void finish(struct dir_late *late)
{
	struct dir_late copy = *late;

	if (copy.be->faults.on) {
		netfs_mutex_lock(&copy.be->mutex);
		netfs_list_remove(&late->link);
		netfs_mutex_unlock(&copy.be->mutex);
	}
	netfs_free(copy.memory);
	if (copy.op)
		copy.op->done(copy.op, copy.err);
	else
		copy.slice->done(copy.slice, copy.moved, copy.err, copy.flags);
}

static void late_run(struct netfs_task *task)
{
	finish(netfs_container_of(task, struct dir_late, task));
}

void netfs_dir_late_begin(struct dir_late *late)
{
	struct dir_be *be = late->be;

	if (!be->faults.on)
		return;
	netfs_task_init(&late->task, late_run);
	netfs_timer_init(&late->timer, &late->task);
	netfs_mutex_lock(&be->mutex);
	late->hurry = false;
	late->held_back = false;
	netfs_list_push_back(&be->faults.pending, &late->link);
	netfs_mutex_unlock(&be->mutex);
}

/* How long from now on until the line has brought bytes more. */
static uint64_t line_delay_locked(struct dir_faults *faults, size_t bytes)
{
	uint64_t now = netfs_clock_now();

	if (!faults->bytes_per_s || !bytes)
		return 0;
	faults->busy_until_ns =
		netfs_max(faults->busy_until_ns, now) +
		(uint64_t)((unsigned __int128)bytes * NETFS_NS_PER_SEC / faults->bytes_per_s);
	return faults->busy_until_ns - now;
}

void netfs_dir_late_end(struct dir_late *late, size_t moved, int err, unsigned flags)
{
	struct dir_be *be = late->be;
	uint64_t delay_ns;
	bool now = true;

	late->moved = moved;
	late->err = err;
	late->flags = flags;
	if (be->faults.on) {
		netfs_mutex_lock(&be->mutex);
		delay_ns = be->faults.delay_ns + line_delay_locked(&be->faults, moved);
		now = late->hurry || !delay_ns;
		late->held_back = !now;
		if (!now)
			netfs_timer_start(&late->timer, delay_ns);
		netfs_mutex_unlock(&be->mutex);
	}
	if (now)
		finish(late);
}

/* ------------------------------------------------------- cancelling */

/* Who works on a request cannot be interrupted, but it will not be held back.
 * Where the timer could not be stopped, the answer is on its way already. */
static void cancel(struct dir_be *be, const struct netfs_op *op, const struct netfs_slice *slice)
{
	struct netfs_list *pos;

	if (!be->faults.on)
		return;
	netfs_mutex_lock(&be->mutex);
	netfs_list_for_each (pos, &be->faults.pending) {
		struct dir_late *late = netfs_container_of(pos, struct dir_late, link);

		if (late->op != op || late->slice != slice)
			continue;
		late->hurry = true;
		if (late->held_back && netfs_timer_stop(&late->timer))
			netfs_task_post(&late->task);
		break;
	}
	netfs_mutex_unlock(&be->mutex);
}

void netfs_dir_op_cancel(struct netfs_be *be, struct netfs_op *op)
{
	cancel(netfs_dir_be(be), op, NULL);
}

void netfs_dir_slice_cancel(struct netfs_be *be, struct netfs_slice *slice)
{
	cancel(netfs_dir_be(be), NULL, slice);
}
