/* SPDX-License-Identifier: MIT */
/*
 * Contexts of CREATE (MS-SMB2 2.2.13.2 and 2.2.14.2).
 *
 *	| next | name at, len | 0 | data at, len | name | pad | data | pad | next | ...
 *
 * Requests and replies have different data under the same names; for each name
 * there is one function for either direction.  Pure functions, no locks.
 */
#include <errno.h>
#include <string.h>
#include "smb_context.h"
#include "smb_list.h"

#define HEAD	 16u
#define ALIGN	 8u
#define LEASE_V1 32u
#define LEASE_V2 52u
#define DISK_ID	 32u
#define LEASES	 (SMB_CTX_LEASE_V1 | SMB_CTX_LEASE_V2)

struct name {
	const char *text;
	uint8_t len;
};

typedef void put_fn(struct netfs_writer *w, const struct smb_create_contexts *contexts, bool reply);
typedef void get_fn(struct netfs_reader *r, struct smb_create_contexts *contexts, bool reply);

static void put_lease_v1(struct netfs_writer *w, const struct smb_create_contexts *contexts,
			 bool reply)
{
	smb_put_guid(w, &contexts->lease.key);
	netfs_writer_u32(w, contexts->lease.state);
	netfs_writer_u32(w, contexts->lease.flags);
	netfs_writer_u64(w, 0);
}

static void put_lease_v2(struct netfs_writer *w, const struct smb_create_contexts *contexts,
			 bool reply)
{
	put_lease_v1(w, contexts, reply);
	smb_put_guid(w, &contexts->lease.parent);
	netfs_writer_u16(w, contexts->lease.epoch);
	netfs_writer_u16(w, 0);
}

/* Which version it is only its length tells. */
static void get_lease(struct netfs_reader *r, struct smb_create_contexts *contexts, bool reply)
{
	bool v2 = r->left >= LEASE_V2;

	if (!v2 && r->left != LEASE_V1)
		r->bad = true;
	contexts->has |= v2 ? SMB_CTX_LEASE_V2 : SMB_CTX_LEASE_V1;
	smb_get_guid(r, &contexts->lease.key);
	contexts->lease.state = netfs_reader_u32(r);
	contexts->lease.flags = netfs_reader_u32(r);
	netfs_reader_u64(r);
	if (!v2)
		return;
	smb_get_guid(r, &contexts->lease.parent);
	contexts->lease.epoch = netfs_reader_u16(r);
}

static void put_durable(struct netfs_writer *w, const struct smb_create_contexts *contexts,
			bool reply)
{
	netfs_writer_u32(w, contexts->durable.timeout_ms);
	netfs_writer_u32(w, contexts->durable.flags);
	if (reply)
		return;
	netfs_writer_u64(w, 0);
	smb_put_guid(w, &contexts->durable.create_guid);
}

static void get_durable(struct netfs_reader *r, struct smb_create_contexts *contexts, bool reply)
{
	contexts->has |= SMB_CTX_DURABLE;
	contexts->durable.timeout_ms = netfs_reader_u32(r);
	contexts->durable.flags = netfs_reader_u32(r);
	if (reply)
		return;
	netfs_reader_u64(r);
	smb_get_guid(r, &contexts->durable.create_guid);
}

static void put_reconnect(struct netfs_writer *w, const struct smb_create_contexts *contexts,
			  bool reply)
{
	smb_put_fid(w, &contexts->reconnect.fid);
	smb_put_guid(w, &contexts->reconnect.create_guid);
	netfs_writer_u32(w, contexts->reconnect.flags);
}

static void get_reconnect(struct netfs_reader *r, struct smb_create_contexts *contexts, bool reply)
{
	contexts->has |= SMB_CTX_RECONNECT;
	smb_get_fid(r, &contexts->reconnect.fid);
	smb_get_guid(r, &contexts->reconnect.create_guid);
	contexts->reconnect.flags = netfs_reader_u32(r);
}

/* A request may name the time it knows; we never do, and read none. */
static void put_maximal(struct netfs_writer *w, const struct smb_create_contexts *contexts,
			bool reply)
{
	if (!reply)
		return;
	netfs_writer_u32(w, contexts->maximal.status);
	netfs_writer_u32(w, contexts->maximal.access);
}

static void get_maximal(struct netfs_reader *r, struct smb_create_contexts *contexts, bool reply)
{
	contexts->has |= SMB_CTX_MAXIMAL_ACCESS;
	if (!reply)
		return;
	contexts->maximal.status = netfs_reader_u32(r);
	contexts->maximal.access = netfs_reader_u32(r);
}

static void put_disk_id(struct netfs_writer *w, const struct smb_create_contexts *contexts,
			bool reply)
{
	if (!reply)
		return;
	netfs_writer_u64(w, contexts->disk_id.file);
	netfs_writer_u64(w, contexts->disk_id.volume);
	smb_put_zeros(w, DISK_ID - 16);
}

static void get_disk_id(struct netfs_reader *r, struct smb_create_contexts *contexts, bool reply)
{
	contexts->has |= SMB_CTX_DISK_ID;
	if (!reply)
		return;
	contexts->disk_id.file = netfs_reader_u64(r);
	contexts->disk_id.volume = netfs_reader_u64(r);
	netfs_reader_bytes(r, DISK_ID - 16);
}

static void put_timewarp(struct netfs_writer *w, const struct smb_create_contexts *contexts,
			 bool reply)
{
	netfs_writer_u64(w, contexts->timewarp);
}

static void get_timewarp(struct netfs_reader *r, struct smb_create_contexts *contexts, bool reply)
{
	contexts->has |= SMB_CTX_TIMEWARP;
	contexts->timewarp = netfs_reader_u64(r);
}

static void put_posix(struct netfs_writer *w, const struct smb_create_contexts *contexts,
		      bool reply)
{
	const struct smb_posix_info *posix = &contexts->posix;

	if (!reply) {
		netfs_writer_u32(w, posix->mode);
		return;
	}
	netfs_writer_u32(w, posix->nlink);
	netfs_writer_u32(w, posix->reparse_tag);
	netfs_writer_u32(w, posix->mode);
	smb_sid_put(w, &posix->owner);
	smb_sid_put(w, &posix->group);
}

static void get_posix(struct netfs_reader *r, struct smb_create_contexts *contexts, bool reply)
{
	struct smb_posix_info *posix = &contexts->posix;

	contexts->has |= SMB_CTX_POSIX;
	if (!reply) {
		posix->mode = netfs_reader_u32(r);
		return;
	}
	posix->nlink = netfs_reader_u32(r);
	posix->reparse_tag = netfs_reader_u32(r);
	posix->mode = netfs_reader_u32(r);
	smb_sid_get(r, &posix->owner);
	smb_sid_get(r, &posix->group);
}

static void put_security(struct netfs_writer *w, const struct smb_create_contexts *contexts,
			 bool reply)
{
	netfs_writer_bytes(w, contexts->security.p, contexts->security.len);
}

static void get_security(struct netfs_reader *r, struct smb_create_contexts *contexts, bool reply)
{
	contexts->has |= SMB_CTX_SECURITY;
	smb_get_buf(r, r->left, &contexts->security);
}

static void put_allocation(struct netfs_writer *w, const struct smb_create_contexts *contexts,
			   bool reply)
{
	netfs_writer_u64(w, contexts->allocation);
}

static void get_allocation(struct netfs_reader *r, struct smb_create_contexts *contexts, bool reply)
{
	contexts->has |= SMB_CTX_ALLOCATION;
	contexts->allocation = netfs_reader_u64(r);
}

static const struct {
	uint32_t bit; /* enum smb_create_context */
	uint32_t family; /* all bits of this name: only one of them may be there */
	bool in_reply;
	struct name name;
	put_fn *put;
	get_fn *get;
} kinds[] = {
	{SMB_CTX_LEASE_V2, LEASES, true, {"RqLs", 4}, put_lease_v2, get_lease},
	{SMB_CTX_LEASE_V1, LEASES, true, {"RqLs", 4}, put_lease_v1, get_lease},
	{SMB_CTX_DURABLE, SMB_CTX_DURABLE, true, {"DH2Q", 4}, put_durable, get_durable},
	{SMB_CTX_RECONNECT, SMB_CTX_RECONNECT, false, {"DH2C", 4}, put_reconnect, get_reconnect},
	{SMB_CTX_MAXIMAL_ACCESS,
	 SMB_CTX_MAXIMAL_ACCESS,
	 true,
	 {"MxAc", 4},
	 put_maximal,
	 get_maximal},
	{SMB_CTX_DISK_ID, SMB_CTX_DISK_ID, true, {"QFid", 4}, put_disk_id, get_disk_id},
	{SMB_CTX_TIMEWARP, SMB_CTX_TIMEWARP, false, {"TWrp", 4}, put_timewarp, get_timewarp},
	{SMB_CTX_SECURITY, SMB_CTX_SECURITY, false, {"SecD", 4}, put_security, get_security},
	{SMB_CTX_ALLOCATION,
	 SMB_CTX_ALLOCATION,
	 false,
	 {"AlSi", 4},
	 put_allocation,
	 get_allocation},
	{SMB_CTX_POSIX,
	 SMB_CTX_POSIX,
	 true,
	 {"\x93\xad\x25\x50\x9c\xb4\x11\xe7\xb4\x23\x83\xde\x96\x8b\xcd\x7c", 16},
	 put_posix,
	 get_posix},
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* One entry behind its distance; data_len is found out by counting first. */
static void put_one(struct netfs_writer *w, size_t kind, const struct smb_create_contexts *contexts,
		    bool reply)
{
	size_t name_len = kinds[kind].name.len;
	size_t data_at = (HEAD + name_len + ALIGN - 1) / ALIGN * ALIGN;
	struct netfs_writer counter;

	smb_writer_init(&counter, NULL, 0);
	kinds[kind].put(&counter, contexts, reply);
	netfs_writer_u16(w, HEAD);
	netfs_writer_u16(w, (uint16_t)name_len);
	netfs_writer_u16(w, 0);
	netfs_writer_u16(w, counter.pos ? (uint16_t)data_at : 0);
	netfs_writer_u32(w, (uint32_t)counter.pos);
	netfs_writer_bytes(w, kinds[kind].name.text, name_len);
	smb_pad(w, ALIGN);
	kinds[kind].put(w, contexts, reply);
}

ssize_t smb_create_contexts_encode(const struct smb_create_contexts *contexts, bool reply,
				   void *buf, size_t size)
{
	struct smb_list_writer list;
	struct netfs_writer w;

	smb_list_writer_init(&list, 0, buf, size);
	for (size_t i = 0; i < KINDS; i++) {
		if (!(contexts->has & kinds[i].bit) || (reply && !kinds[i].in_reply))
			continue;
		smb_list_begin(&list, ALIGN, &w);
		put_one(&w, i, contexts, reply);
		if (smb_list_end(&list, ALIGN, &w) < 0)
			return -EMSGSIZE;
	}
	return (ssize_t)list.pos;
}

/* KINDS where we know none of that name. */
static size_t kind_named(const struct smb_buf *name)
{
	size_t i;

	for (i = 0; i < KINDS; i++) {
		if (name->len == kinds[i].name.len &&
		    memcmp(name->p, kinds[i].name.text, name->len) == 0)
			break;
	}
	return i;
}

static int get_one(const struct smb_span *entry, bool reply, struct smb_create_contexts *contexts)
{
	uint16_t name_at, name_len, data_at;
	struct smb_buf name, data;
	struct netfs_reader r;
	uint32_t data_len;
	size_t kind;

	netfs_reader_init(&r, entry->bytes, entry->have);
	netfs_reader_u32(&r);
	name_at = netfs_reader_u16(&r);
	name_len = netfs_reader_u16(&r);
	netfs_reader_u16(&r);
	data_at = netfs_reader_u16(&r);
	data_len = netfs_reader_u32(&r);
	if (r.bad || name_len < 4 || name_at < HEAD ||
	    !smb_slice(entry->bytes, entry->have, name_at, name_len, &name) ||
	    !smb_slice(entry->bytes, entry->have, data_at, data_len, &data))
		return -EPROTO;
	kind = kind_named(&name);
	if (kind == KINDS || (reply && !kinds[kind].in_reply))
		return 0;
	if (contexts->has & kinds[kind].family)
		return -EPROTO;
	netfs_reader_init(&r, data.p, data.len);
	kinds[kind].get(&r, contexts, reply);
	return r.bad ? -EPROTO : 0;
}

int smb_create_contexts_decode(const struct smb_buf *buf, bool reply,
			       struct smb_create_contexts *ret_contexts)
{
	struct smb_span entry;
	struct smb_list list;
	unsigned count = 0;
	int got;

	memset(ret_contexts, 0, sizeof(*ret_contexts));
	if (buf->len > 0 && !buf->p)
		return -EPROTO;
	smb_list_init(&list, 0, buf->p, buf->len);
	while ((got = smb_list_step(&list, &entry)) > 0) {
		if (count++ == SMB_CONTEXTS_MAX || get_one(&entry, reply, ret_contexts) < 0)
			return -EPROTO;
	}
	return got;
}
