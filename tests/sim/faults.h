/* SPDX-License-Identifier: MIT */
/*
 * What goes wrong in a run, and what the client may make of it.
 *
 * The budget.  These faults happen, and these are the only excuses:
 *
 *  1. Replies come late and in another order than their requests, and the
 *     server executes them late.  Excuses nothing.
 *  2. A read or write moves fewer bytes than asked for, at least one.
 *     Excuses nothing: no caller may see it.
 *  3. The server answers a request that it did not execute with EIO, ENOSPC or
 *     EDQUOT (writes, creations), EIO or EAGAIN (the rest).  The call on whose behalf
 *     it was sent may fail with that errno.  A read has then told nothing
 *     wrong.  Bytes of a failed unbuffered write or truncation are any mix of
 *     old and new until the call is made again and succeeds.  Data of a
 *     buffered write is not lost: flush and fsync may fail as often as there
 *     were errors since the last success of that file, after that they succeed
 *     and the server has every byte.  The made-up name of a file that was
 *     unlinked while open may stay behind, and an unmount may fail once with
 *     ESTALE for data of a removed file.
 *  4. The connection dies, at any byte in either direction, by a cut, by a
 *     restart of the server that keeps what it acknowledged, or after a reply
 *     was lost.  A request the server has not executed by then is executed at
 *     that instant or never, not later.  The mounts are hard: no call may fail
 *     because of it, with one exception.  A request that is not idempotent may
 *     have been executed without the client knowing.  Sent again, create, mkdir
 *     and link may fail with EEXIST, unlink and rmdir with ENOENT, rename with
 *     ENOENT; then the server's state is that of success or that of failure,
 *     and the next lookup tells which.
 *  5. The network is silent for at most two minutes, then the connection is
 *     cut.  As 4.
 *  6. The server loses power when every file was flushed with success and
 *     nothing is in flight.  Excuses nothing: what fsync acknowledged must be
 *     there.
 *  7. The server loses power in the middle of everything: as 4, and what was
 *     written and not flushed is gone.  The protocol tells nobody, and the
 *     client cannot know: bytes and size of a file that lost something are
 *     unknown, as after an error, until it was emptied by a later call.  A file
 *     that had nothing unflushed must not change.
 *  8. An allocation of the client fails.  As an error of 3 with ENOMEM.
 *  9. The wall clock jumps.  Excuses nothing.
 * 10. The answer to a read or write claims more bytes than were asked for or sent.
 *     The client ends the connection, as 4; the call may fail with EPROTO, as 3.
 * 11. A call is cancelled.  It may fail with EINTR; bytes and names then as in
 *     3 and 4.  An unlink of an open file that is cancelled may leave the made-up
 *     name instead of the real one.
 * 12. SMB only: somebody on the way changes, cuts, repeats or strips replies that are
 *     signed or sealed, or those of the login.  As 4: the client ends the connection.
 * 13. SMB only: an open whose call was cancelled before its reply came, or whose close
 *     found no memory, keeps its file from being replaced (EACCES) until it is a
 *     minute old, or the session ends.  So does a file's own open while there is
 *     data to be sent through it.
 *
 * Not in the budget: wrong bytes, duplicate or unknown tags, a request executed
 * after its connection died, and a second client that changes files.
 *
 * In a run that begins new groups of writes an error of 3, 8 and 10 may be told
 * to every call that waits for data, whatever file it hit: newer data waits for
 * older data of all files.
 *
 * After faults_heal() nothing of this happens any more, and everything must
 * come to its end within LIVENESS_NS.
 */
#ifndef TESTS_SIM_FAULTS_H
#define TESTS_SIM_FAULTS_H

#include <env/clock.h>
#include <env/sim/sim.h>
#include <env/timer.h>
#include "../fsx/rng.h"

#define LIVENESS_NS (UINT64_C(15) * 60 * NETFS_NS_PER_SEC)
/* No call may take longer than this while the faults go on: some seeds let a session live
 * for a few requests every few minutes (30472), and a listing has to be done in one. */
#define PATIENCE_NS (UINT64_C(12) * 3600 * NETFS_NS_PER_SEC)

struct server;
struct world_options;

/* Servers that are wrong on purpose, to see that the run notices. */
enum server_defect {
	DEFECT_NONE,
	DEFECT_LOST_WRITE, /* one write in 40 is acknowledged and not done */
	DEFECT_NO_FLUSH, /* fsync does nothing */
	DEFECT_DOUBLE_ENTRY, /* a directory's last entry is listed twice */
	DEFECT_KEPT_TAIL, /* truncation to a smaller size does nothing */
	DEFECT_COUNT,
};

/* Kinds of faults that can be switched off, in the order of their names. */
enum fault_switch {
	FAULT_DELAY,
	FAULT_LATE,
	FAULT_SHORT_READ,
	FAULT_SHORT_WRITE,
	FAULT_ERROR,
	FAULT_LOST,
	FAULT_CUT_REPLY,
	FAULT_CANCEL,
	FAULT_EVENTS,
	FAULT_CUT_NET,
	FAULT_SEGMENTS,
	FAULT_MEMORY,
	FAULT_CLOCK,
	FAULT_FORGET,
	FAULT_LIE,
	FAULT_TAMPER,
	FAULT_SHARE, /* not a fault: the other two clients */
	FAULT_SWITCHES,
};

/* One run's own mix; rates are per million requests unless said otherwise. */
struct fault_mix {
	uint32_t delay; /* replies that wait */
	uint64_t delay_max_ns;
	uint32_t late_execute; /* of those: executed only when the reply goes */
	uint32_t short_read;
	uint32_t short_write;
	uint32_t error;
	uint32_t error_kinds[4]; /* a bit for each message type that may fail */
	uint32_t lie; /* more bytes claimed than there can be */
	uint32_t tamper; /* replies that somebody on the way changes; SMB only */
	uint32_t lost_reply;
	uint32_t cut_in_reply;
	uint32_t cancel; /* calls that are cancelled */
	uint64_t event_every_ns; /* mean time between big events; 0: none */
	uint32_t memory_within; /* one of so many allocations fails now and then; 0: none */
	uint64_t small_every_ns; /* at most, between small events */
	uint32_t clock; /* the wall clock jumps: chance at each small event */
	uint32_t forget; /* a restart loses what was not flushed: chance per restart */
	struct netfs_sim_net net;
};

struct faults {
	struct fault_mix mix;
	struct rng rng;
	bool active;
	bool grace; /* no errors for a while: somebody failed too often */
	struct server *server;
	struct netfs_timer timer;
	struct netfs_task task;
	struct netfs_timer small_timer; /* the next failed allocation, jump of the clock */
	struct netfs_task small_task;
	/* The server is about to lose power. */
	void (*forgets)(void *user);
	void *user;
	enum {
		EVENT_NONE,
		EVENT_DOWN,
		EVENT_SILENT,
		EVENT_REFUSE,
	} event; /* what goes on until the timer fires */

	/* What has happened so far. */
	uint64_t cuts; /* connections that began or ended */
	uint64_t errors;
	uint64_t others; /* delays, short replies, big events ... */
};

/* Draws the mix of a run, leaves out what its options switch off. */
void faults_init(struct faults *faults, struct server *server, const struct world_options *options);
/* What a switch is called; NULL past the last. */
const char *faults_switch_name(unsigned i);
void faults_start(struct faults *faults);
/* Everything works from now on. */
void faults_heal(struct faults *faults);
/* The connections die now; counted. */
void faults_cut_all(struct faults *faults);

/* Failures so far that a call may be told of: errors of the server, and memory
 * that was refused. */
uint64_t faults_errors(const struct faults *faults);

/* Draws for one request of this type, made by the server. */
bool faults_draw(struct faults *faults, uint32_t per_million);
/* Negative errno, or 0: execute it.  takes_room: it may find no space. */
int faults_error(struct faults *faults, unsigned type, bool takes_room);
/* Nanoseconds until the reply goes. */
uint64_t faults_delay(struct faults *faults);

#endif
