/* SPDX-License-Identifier: MIT */
/*
 * Message structures to bytes and back, driven by the layouts of p9_msg.c.
 * For each kind of field its encoder stands beside its decoder.  Only cursors
 * touch bytes.  Pure functions, no locks.
 */
#include <errno.h>
#include <string.h>
#include <wire/cursor.h>
#include "p9_msg.h"

static void put_str(struct netfs_writer *w, const struct p9_str *str)
{
	if (str->len > UINT16_MAX)
		w->bad = true;
	netfs_writer_u16(w, (uint16_t)str->len);
	netfs_writer_bytes(w, str->p, str->len);
}

static void get_str(struct netfs_reader *r, struct p9_str *str)
{
	str->len = netfs_reader_u16(r);
	str->p = netfs_reader_bytes(r, str->len);
}

static void put_qid(struct netfs_writer *w, const struct p9_qid *qid)
{
	netfs_writer_u8(w, qid->type);
	netfs_writer_u32(w, qid->version);
	netfs_writer_u64(w, qid->path);
}

static void get_qid(struct netfs_reader *r, struct p9_qid *qid)
{
	qid->type = netfs_reader_u8(r);
	qid->version = netfs_reader_u32(r);
	qid->path = netfs_reader_u64(r);
}

static void put_data(struct netfs_writer *w, const struct p9_data *data)
{
	netfs_writer_u32(w, data->count);
	if (data->p)
		netfs_writer_bytes(w, data->p, data->count);
}

static void get_data(struct netfs_reader *r, struct p9_data *data)
{
	data->count = netfs_reader_u32(r);
	data->p = netfs_reader_bytes(r, data->count);
}

static void put_names(struct netfs_writer *w, const struct p9_names *names)
{
	if (names->count > P9_WALK_MAX) {
		w->bad = true;
		return;
	}
	netfs_writer_u16(w, names->count);
	for (unsigned i = 0; i < names->count; i++)
		put_str(w, &names->v[i]);
}

static void get_names(struct netfs_reader *r, struct p9_names *names)
{
	names->count = netfs_reader_u16(r);
	if (names->count > P9_WALK_MAX) {
		r->bad = true;
		return;
	}
	for (unsigned i = 0; i < names->count; i++)
		get_str(r, &names->v[i]);
}

static void put_qids(struct netfs_writer *w, const struct p9_qids *qids)
{
	if (qids->count > P9_WALK_MAX) {
		w->bad = true;
		return;
	}
	netfs_writer_u16(w, qids->count);
	for (unsigned i = 0; i < qids->count; i++)
		put_qid(w, &qids->v[i]);
}

static void get_qids(struct netfs_reader *r, struct p9_qids *qids)
{
	qids->count = netfs_reader_u16(r);
	if (qids->count > P9_WALK_MAX) {
		r->bad = true;
		return;
	}
	for (unsigned i = 0; i < qids->count; i++)
		get_qid(r, &qids->v[i]);
}

static void put_field(struct netfs_writer *w, uint8_t kind, const void *field)
{
	switch (kind) {
	case P9_U8:
		netfs_writer_u8(w, *(const uint8_t *)field);
		break;
	case P9_U16:
		netfs_writer_u16(w, *(const uint16_t *)field);
		break;
	case P9_U32:
		netfs_writer_u32(w, *(const uint32_t *)field);
		break;
	case P9_U64:
		netfs_writer_u64(w, *(const uint64_t *)field);
		break;
	case P9_STR:
		put_str(w, field);
		break;
	case P9_QID:
		put_qid(w, field);
		break;
	case P9_DATA:
		put_data(w, field);
		break;
	case P9_NAMES:
		put_names(w, field);
		break;
	case P9_QIDS:
		put_qids(w, field);
		break;
	}
}

static void get_field(struct netfs_reader *r, uint8_t kind, void *field)
{
	switch (kind) {
	case P9_U8:
		*(uint8_t *)field = netfs_reader_u8(r);
		break;
	case P9_U16:
		*(uint16_t *)field = netfs_reader_u16(r);
		break;
	case P9_U32:
		*(uint32_t *)field = netfs_reader_u32(r);
		break;
	case P9_U64:
		*(uint64_t *)field = netfs_reader_u64(r);
		break;
	case P9_STR:
		get_str(r, field);
		break;
	case P9_QID:
		get_qid(r, field);
		break;
	case P9_DATA:
		get_data(r, field);
		break;
	case P9_NAMES:
		get_names(r, field);
		break;
	case P9_QIDS:
		get_qids(r, field);
		break;
	}
}

/* Bytes that follow the encoded message because the caller sends them. */
static size_t data_behind(const struct p9_msg *msg)
{
	if (msg->type == P9_TWRITE && !msg->twrite.data.p)
		return msg->twrite.data.count;
	return 0;
}

ssize_t p9_encode(const struct p9_msg *msg, void *buf, size_t size)
{
	const struct p9_layout *layout = p9_layout_of(msg->type);
	struct netfs_writer w;
	size_t length;

	if (!layout)
		return -EINVAL;
	netfs_writer_init(&w, buf, buf ? size : INT32_MAX);
	netfs_writer_u32(&w, 0);
	netfs_writer_u8(&w, msg->type);
	netfs_writer_u16(&w, msg->tag);
	for (unsigned i = 0; layout->field[i].kind != P9_END; i++)
		put_field(&w, layout->field[i].kind, (const char *)msg + layout->field[i].offset);
	if (w.bad)
		return -EMSGSIZE;
	length = w.pos;
	netfs_writer_init(&w, buf, length);
	netfs_writer_u32(&w, (uint32_t)(length + data_behind(msg)));
	return length;
}

int p9_decode(const void *bytes, size_t size, struct p9_msg *ret_msg)
{
	const struct p9_layout *layout;
	struct netfs_reader r;

	netfs_reader_init(&r, bytes, size);
	if (netfs_reader_u32(&r) != size)
		return -EPROTO;
	ret_msg->type = netfs_reader_u8(&r);
	ret_msg->tag = netfs_reader_u16(&r);
	layout = p9_layout_of(ret_msg->type);
	if (r.bad || !layout)
		return -EPROTO;
	for (unsigned i = 0; layout->field[i].kind != P9_END; i++)
		get_field(&r, layout->field[i].kind, (char *)ret_msg + layout->field[i].offset);
	return r.bad || r.left > 0 ? -EPROTO : 0;
}
