/* SPDX-License-Identifier: MIT */
/*
 * What of a shared file may be seen, by whom, and when.
 *
 * A version is done when its write returned, published when it is at the server
 * for certain (its write went past the cache or was synchronous, or a flush or
 * fsync of its client that began later succeeded), and durable likewise.
 *
 * Every version of the same client that was done must be seen.  Of the other's
 * those that were published must be seen
 *  - by a mount with cache=none, and through O_DIRECT: when the read began,
 *  - by other mounts when the file was opened, less the time for which they
 *    believe attributes at an open; but only by a client that does not write to
 *    the file itself, because one that does cannot tell its own new version of
 *    the file from one with another's changes in between.
 * What the server lost with its power must be seen only if it was durable.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
#include <crypt/crypt.h>
#include "world.h"

void actor_fail(struct actor *actor, const char *format, ...)
{
	struct share_file *file = &actor->world->share.files[actor->file];
	char text[400];
	va_list args;

	fprintf(stderr, "actor %u (%s), file %s, handle flags 0%o: ", actor->index,
		actor->party->options, file->name, actor->handles[actor->file].flags);
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	/* The kind of failure is in the first word. */
	text[sizeof(text) - 1] = 0;
	if (!strncmp(text, "V1:", 3))
		world_fail(actor->world, "V1: shared%s", text + 3);
	if (!strncmp(text, "V2:", 3))
		world_fail(actor->world, "V2: shared%s", text + 3);
	if (!strncmp(text, "V4:", 3))
		world_fail(actor->world, "V4: shared%s", text + 3);
	if (!strncmp(text, "V14:", 4))
		world_fail(actor->world, "V14: shared%s", text + 4);
	world_fail(actor->world, "shared: %s", text);
}

/* ---------------------------------------------------------- versions */

uint64_t share_stamp(struct world *world)
{
	uint64_t now = netfs_clock_now() << STAMP_SHIFT;

	world->share.stamp = now > world->share.stamp ? now : world->share.stamp + 1;
	return world->share.stamp;
}

static struct share_file *file_of(struct actor *actor)
{
	return &actor->world->share.files[actor->file];
}

static unsigned owner_of(const struct share_file *file, uint64_t pos)
{
	return pos < file->body ? (pos / file->stripe) % ACTORS : 0;
}

struct version *version_new(struct actor *actor, uint64_t start, uint64_t end, bool zero)
{
	struct share_file *file = file_of(actor);
	struct version *version;

	if (file->count[actor->index] == VERSIONS_MAX)
		return NULL;
	version = &file->log[actor->index][file->count[actor->index]++];
	*version = (struct version){
		.start = start, .end = end, .zero = zero, .begun = share_stamp(actor->world)};
	version->first = version->begun;
	return version;
}

uint8_t version_byte(const struct share_file *file, const struct version *version, uint64_t pos)
{
	uint64_t place = (uint64_t)(version - file->log[0]);

	if (version->zero)
		return 0;
	return 1 + rng_mix(pos << 16 ^ place ^ (uint64_t)file->name[1] << 56) % 255;
}

void versions_published(struct actor *actor, uint64_t done, uint64_t now, bool durable)
{
	struct share_file *file = file_of(actor);

	for (unsigned a = 0; a < ACTORS; a++) {
		if (actor->world->share.actors[a].party != actor->party)
			continue;
		for (unsigned i = 0; i < file->count[a]; i++) {
			struct version *version = &file->log[a][i];

			/* What a loss of power took is not there again. */
			if (!version->done || version->done > done || version->begun <= file->lost)
				continue;
			if (!version->published)
				version->published = now;
			version->durable |= durable;
			if (!version->settled)
				version->settled = now;
			version->safe |= durable;
		}
	}
}

/* ------------------------------------------------------------- seeing */

/* Published by then must be seen by this reader. */
static uint64_t horizon(const struct actor *actor)
{
	const struct share_handle *handle = &actor->handles[actor->file];
	const struct party *party = actor->party;
	uint64_t ttl = party->ttl_ns << STAMP_SHIFT;

	if (!party->cached || (handle->flags & O_DIRECT))
		return actor->begun;
	if (party->wrote[actor->file] || handle->begun < ttl)
		return 0;
	return handle->begun - ttl;
}

static bool is_lost(const struct share_file *file, const struct version *version)
{
	return version->begun <= file->lost && !version->durable;
}

static bool must_see(const struct actor *actor, unsigned owner, const struct version *version)
{
	const struct share *share = &actor->world->share;
	const struct share_file *file = &share->files[actor->file];

	if (is_lost(file, version))
		return false;
	if (share->actors[owner].party == actor->party)
		return version->done && version->done <= actor->begun;
	return version->published && version->published <= horizon(actor);
}

/* Is value what actor may find at pos? */
static bool may_see(const struct actor *actor, uint64_t pos, uint8_t value)
{
	const struct share_file *file = &actor->world->share.files[actor->file];
	unsigned owner = owner_of(file, pos);

	for (unsigned i = file->count[owner]; i-- > 0;) {
		const struct version *version = &file->log[owner][i];

		if (pos < version->start || pos >= version->end)
			continue;
		if (version_byte(file, version, pos) == value)
			return true;
		if (must_see(actor, owner, version))
			return false;
	}
	return value == 0;
}

/* Both in one block of ciphertext, or in the tail, where every change writes the
 * last block anew. */
static bool share_block(const struct share_file *file, const struct version *version, uint64_t pos)
{
	uint64_t start = netfs_crypt_down(version->start), end = netfs_crypt_up(version->end);

	if (version->end > file->body) {
		end = UINT64_MAX;
		if (start > netfs_crypt_down(file->body))
			start = netfs_crypt_down(file->body);
	}
	return pos >= start && pos < end;
}

/* Was pos written for certain after power was lost? */
static bool written_since(const struct actor *actor, uint64_t pos)
{
	const struct share_file *file = &actor->world->share.files[actor->file];
	unsigned owner = owner_of(file, pos);

	for (unsigned i = 0; i < file->count[owner]; i++) {
		const struct version *version = &file->log[owner][i];

		if (pos >= version->start && pos < version->end && version->begun > file->lost &&
		    must_see(actor, owner, version))
			return true;
	}
	return false;
}

/*
 * An encrypted block is garbage while it is half old and half new: for other
 * clients until it was settled by what they go by, and for everybody where
 * the server lost power inside it.
 */
static bool may_be_torn(const struct actor *actor, uint64_t pos, bool for_reader)
{
	const struct share *share = &actor->world->share;
	const struct share_file *file = &share->files[actor->file];
	bool certain = written_since(actor, pos);

	for (unsigned a = 0; a < ACTORS && actor->world->cipher.on; a++) {
		for (unsigned i = 0; i < file->count[a]; i++) {
			const struct version *version = &file->log[a][i];

			if (!share_block(file, version, pos))
				continue;
			/* A later try writes its own bytes, and not again the last
			 * block that an earlier one had made longer. */
			if (!certain && version->first <= file->lost &&
			    (!version->safe || version->begun > file->lost))
				return true;
			if (for_reader && share->actors[a].party != actor->party &&
			    (!version->settled || version->settled > horizon(actor)))
				return true;
		}
	}
	return false;
}

/* Is the size one certain number for this actor, during its whole operation? */
static bool size_certain(const struct actor *actor)
{
	const struct share_file *file = &actor->world->share.files[actor->file];

	if (file->size_doubt || (file->tail_changes & 1) ||
	    file->tail_changes != actor->tail_before)
		return false;
	if (actor->party == actor->world->share.actors[0].party)
		return true;
	if (actor->party->cached)
		return false;
	for (unsigned i = 0; i < file->count[0]; i++)
		if (file->log[0][i].end > file->body &&
		    (!file->log[0][i].published || file->log[0][i].published > actor->begun))
			return false;
	return true;
}

void share_check_read(struct actor *actor)
{
	struct share_file *file = file_of(actor);
	uint64_t start = actor->io.start, want = actor->io.len, least = want;
	uint64_t got = (uint64_t)actor->result;
	/* What another client made longer is seen after the next look. */
	bool certain = size_certain(actor) && (!actor->world->cipher.on ||
					       actor->party == actor->world->share.actors[0].party);
	uint64_t end = certain ? file->size : file->max;
	uint64_t low = certain ? file->size : file->body;

	if (want > (start < end ? end - start : 0))
		want = start < end ? end - start : 0;
	if (least > (start < low ? low - start : 0))
		least = start < low ? low - start : 0;
	if (got > want || (got < least && !faults_errors(&actor->world->faults) &&
			   !actor->party->suspect[actor->file]))
		actor_fail(actor,
			   "V4: read at 0x%" PRIx64 " returned 0x%" PRIx64 ", must be 0x%" PRIx64
			   " to 0x%" PRIx64,
			   start, got, least, want);
	for (uint64_t i = 0; i < got; i++)
		if (!may_see(actor, start + i, actor->buf[i]) &&
		    !may_be_torn(actor, start + i, true))
			actor_fail(
				actor, "V2: byte 0x%" PRIx64 " of actor %u is 0x%02x for actor %u",
				start + i, owner_of(file, start + i), actor->buf[i], actor->index);
}

void share_check_attr(struct actor *actor)
{
	struct share_file *file = file_of(actor);
	uint64_t size = actor->call.attr.size;

	if (size_certain(actor) ? size == file->size : size >= file->body && size <= file->max)
		return;
	actor_fail(actor, "V4: size is 0x%" PRIx64 ", must be 0x%" PRIx64, size, file->size);
}

/* Everything is synced: the server has each owner's newest bytes. */
void share_check_server(struct world *world)
{
	struct share *share = &world->share;

	for (unsigned f = 0; f < SHARE_FILES; f++) {
		struct share_file *file = &share->files[f];
		struct image *image = &file->node->stable;
		const uint8_t *bytes = cipher_plain(world, image, 0, image->size);

		if (image->size != file->size && !file->size_doubt)
			world_fail(world, "V4: shared %s is 0x%" PRIx64 " long, must be 0x%" PRIx64,
				   file->name, image->size, file->size);
		for (uint64_t pos = 0; pos < image->size; pos++) {
			struct actor *owner = &share->actors[owner_of(file, pos)];

			owner->file = f;
			owner->begun = share_stamp(world);
			if (!may_see(owner, pos, bytes[pos]) && !may_be_torn(owner, pos, false))
				actor_fail(owner,
					   "V1: byte 0x%" PRIx64 " is 0x%02x on the server's disk",
					   pos, bytes[pos]);
		}
	}
}

/* --------------------------------------------------------------- locks */

/* Was no connection lost from when the first of two locks was asked for until both
 * were told of?  Locks may be lost with a connection, also before they are told of. */
static bool held_together(const struct share_handle *a, const struct share_handle *b)
{
	return a->cuts == b->cuts_granted && b->cuts == a->cuts_granted;
}

void share_check_lock(struct actor *actor)
{
	struct share *share = &actor->world->share;
	struct share_handle *mine = &actor->handles[actor->file];

	for (unsigned a = 0; a < ACTORS; a++) {
		struct share_handle *other = &share->actors[a].handles[actor->file];

		if (a == actor->index || !other->locked ||
		    (!mine->lock_write && !other->lock_write))
			continue;
		if (held_together(mine, other))
			actor_fail(actor, "V14: a lock was granted that actor %u holds", a);
	}
}

void share_check_locked_io(struct actor *actor)
{
	struct share_file *file = file_of(actor);
	struct share_handle *handle = &actor->handles[actor->file];

	if (!handle->locked || actor->cuts_before != actor->cuts_after)
		return;
	if (actor->party->cached && !(handle->flags & O_DIRECT))
		return;
	/* Blocks come and go through memory that all handles share, and through any
	 * of them. */
	if (actor->world->cipher.on)
		return;
	/* Before or after a loss of the connection it may be anybody's; but who
	 * is served by the server now has its lock there, or an error. */
	if (actor->world->faults.cuts == actor->cuts_after &&
	    !server_holds(&actor->world->server, file->node, 1000 + actor->index))
		actor_fail(actor, "V14: served without the lock it was granted");
}
