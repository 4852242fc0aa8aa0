/* SPDX-License-Identifier: MIT */
/*
 * CHANGE_NOTIFY of the simulated SMB server (MS-SMB2 3.3.5.19, MS-FSA 2.1.5.11).
 *
 * An open of a directory that was asked once remembers what it saw there.  A request
 * waits until that differs from what is there, and is told the difference; or, now and
 * then, only that there is one, as servers do that lost count.
 */
#include <backend/smb/smb_utf16.h>
#include <stdlib.h>
#include <string.h>
#include "server_smb.h"

/* An entry as it was told last. */
struct seen_smb {
	const struct node *node;
	struct timespec mtime, ctime;
	uint64_t size;
	char name[TREE_NAME_MAX + 1];
};

static struct seen_smb see(const struct entry *entry)
{
	struct seen_smb seen = {.node = entry->node,
				.mtime = entry->node->mtime,
				.ctime = entry->node->ctime,
				.size = entry->node->now.size};

	memcpy(seen.name, entry->name, sizeof(seen.name));
	return seen;
}

static void see_all(struct open_smb *open)
{
	unsigned n = 0;

	free(open->seen);
	for (const struct entry *entry = open->node->entries; entry; entry = entry->next)
		n++;
	open->seen = calloc(n + 1, sizeof(*open->seen));
	if (!open->seen)
		abort();
	open->nseen = 0;
	for (const struct entry *entry = open->node->entries; entry; entry = entry->next)
		open->seen[open->nseen++] = see(entry);
}

static bool put(struct smb_list_writer *list, uint32_t action, const char *name)
{
	uint8_t bytes[2 * TREE_NAME_MAX];
	ssize_t len = smb_utf16_put(name, strlen(name), SMB_MAP_POSIX, bytes, sizeof(bytes));
	struct smb_change change = {.action = action, .name = {bytes, (uint32_t)len, 0}};

	return len > 0 && smb_change_put(list, &change) == 0;
}

static const struct seen_smb *seen_as(const struct open_smb *open, const char *name)
{
	for (unsigned i = 0; i < open->nseen; i++)
		if (!strcmp(open->seen[i].name, name))
			return &open->seen[i];
	return NULL;
}

static bool same(const struct seen_smb *a, const struct seen_smb *b)
{
	return !memcmp(&a->mtime, &b->mtime, sizeof(a->mtime)) &&
	       !memcmp(&a->ctime, &b->ctime, sizeof(a->ctime)) && a->size == b->size;
}

/* False: it did not fit. */
static bool put_all(const struct open_smb *open, struct smb_list_writer *list)
{
	bool fits = true;

	for (unsigned i = 0; i < open->nseen; i++)
		if (tree_find(open->node, open->seen[i].name) != open->seen[i].node)
			fits &= put(list, SMB_CHANGE_REMOVED, open->seen[i].name);
	for (const struct entry *entry = open->node->entries; entry; entry = entry->next) {
		const struct seen_smb *old = seen_as(open, entry->name);
		struct seen_smb now = see(entry);

		if (!old || old->node != now.node)
			fits &= put(list, SMB_CHANGE_ADDED, entry->name);
		else if (!same(old, &now))
			fits &= put(list, SMB_CHANGE_MODIFIED, entry->name);
	}
	return fits;
}

uint32_t smb_on_change_notify(struct call_smb *call)
{
	struct open_smb *open = smb_open_find(call, &call->req.change_notify_req.fid);
	uint32_t size = call->req.change_notify_req.max_output;
	struct smb_list_writer list;
	bool fits;

	if (!call->server->config.notify)
		return SMB_STATUS_NOT_SUPPORTED;
	if (!open)
		return call->request->waits ? SMB_STATUS_NOTIFY_CLEANUP : SMB_STATUS_FILE_CLOSED;
	if (!S_ISDIR(open->node->mode) || size > SMB_IO_MAX)
		return SMB_STATUS_INVALID_PARAMETER;
	if (!open->seen)
		see_all(open);
	smb_list_writer_init(&list, 0, call->payload, size);
	fits = put_all(open, &list);
	if (fits && list.pos == 0) {
		call->wait = true;
		return SMB_STATUS_OK;
	}
	see_all(open);
	if (!fits || rng_one_in(&call->server->faults->rng, 8))
		return SMB_STATUS_NOTIFY_ENUM_DIR;
	call->rep.change_notify_rep.output =
		(struct smb_buf){.p = call->payload, .len = (uint32_t)list.pos};
	return SMB_STATUS_OK;
}
