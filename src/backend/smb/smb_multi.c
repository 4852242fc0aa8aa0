// SPDX-License-Identifier: MIT
/*
 * How many channels a session has, and where they go (MS-SMB2 3.2.4.20.10).
 *
 *	session --> where can you be reached? --> places --> channels connect and bind
 *
 * The server lists its interfaces.  One that spreads connections over processors (RSS)
 * takes as many as were asked for, any other one each; an address that nobody but the
 * server itself can mean is left out, unless we are there.  Of an interface with both
 * kinds of addresses those of the kind count by which we know the server.
 *
 * A channel goes to the place that fewest others use; where that does not answer, the
 * next try goes to the next place.
 *
 * Locks: conn->lock.
 */
#include <stdio.h>
#include <string.h>
#include "smb.h"

static bool is_loopback(const struct smb_address *address)
{
	static const uint8_t one[16] = {[15] = 1};

	return address->ipv6 ? !memcmp(address->b, one, 16) : address->b[0] == 127;
}

/* Of one network only, of nobody, or of many. */
static bool is_special(const struct smb_address *address)
{
	static const uint8_t none[16] = {0};

	if (address->ipv6)
		return (address->b[0] == 0xfe && (address->b[1] & 0xc0) == 0x80) ||
		       address->b[0] == 0xff || !memcmp(address->b, none, 16);
	return address->b[0] == 0 || address->b[0] >= 224 ||
	       (address->b[0] == 169 && address->b[1] == 254);
}

static bool is_here(const char *host)
{
	return !strcmp(host, "localhost") || !strcmp(host, "::1") || !strncmp(host, "127.", 4);
}

static void put_text(const struct smb_address *address, char *text, size_t size)
{
	const uint8_t *b = address->b;
	size_t len = 0;

	if (!address->ipv6) {
		snprintf(text, size, "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
		return;
	}
	for (unsigned i = 0; i < 8 && len < size; i++)
		len += (size_t)snprintf(text + len, size - len, "%s%x", i ? ":" : "",
					b[2 * i] << 8 | b[2 * i + 1]);
}

static bool is_many(const struct smb_interface *place)
{
	return place->capabilities & SMB_INTERFACE_RSS;
}

/* ------------------------------------------------------------ places */

static bool same_address(const struct smb_address *a, const struct smb_address *b)
{
	return a->ipv6 == b->ipv6 && !memcmp(a->b, b->b, a->ipv6 ? 16 : 4);
}

/* May it join the count that are there? */
static bool is_usable(const struct smb_conn *conn, const struct smb_interface *place,
		      const struct smb_interface *places, unsigned count)
{
	if (is_special(&place->address) ||
	    (is_loopback(&place->address) && !is_here(conn->address.host)))
		return false;
	for (unsigned i = 0; i < count; i++)
		if (same_address(&places[i].address, &place->address))
			return false;
	return count < SMB_CHANNELS_MAX;
}

static bool has_other(const struct smb_interface *places, unsigned count, uint32_t index, bool ipv6)
{
	for (unsigned i = 0; i < count; i++)
		if (places[i].index == index && places[i].address.ipv6 == ipv6)
			return true;
	return false;
}

/* Leaves one kind of addresses to each interface; how many are left. */
static unsigned one_kind(struct smb_interface *places, unsigned count, bool ipv6)
{
	unsigned left = 0;

	for (unsigned i = 0; i < count; i++) {
		if (places[i].address.ipv6 != ipv6 &&
		    (has_other(places, left, places[i].index, ipv6) ||
		     has_other(places + i, count - i, places[i].index, ipv6)))
			continue;
		places[left++] = places[i];
	}
	return left;
}

/* The channel that made the session is where the user said. */
static void place_first_locked(struct smb_conn *conn)
{
	char text[sizeof(conn->channels[0].to_host)];

	conn->channels[0].place = 0;
	for (unsigned i = 0; i < conn->nplaces; i++) {
		put_text(&conn->places[i].address, text, sizeof(text));
		if (!strcmp(text, conn->address.host))
			conn->channels[0].place = i;
	}
}

static void take_places(struct smb_conn *conn, const struct smb_buf *output)
{
	struct smb_interface places[SMB_CHANNELS_MAX], place;
	struct smb_list list;
	unsigned count = 0, many = 0;

	smb_list_init(&list, 0, output->p, output->len);
	while (smb_interface_next(&list, &place) > 0)
		if (is_usable(conn, &place, places, count))
			places[count++] = place;
	count = one_kind(places, count, strchr(conn->address.host, ':'));
	for (unsigned i = 0; i < count; i++)
		many += is_many(&places[i]);
	netfs_mutex_lock(&conn->lock);
	memcpy(conn->places, places, count * sizeof(places[0]));
	conn->nplaces = count;
	conn->wanted = many || count > conn->max_channels ? conn->max_channels : count;
	if (conn->wanted == 0)
		conn->wanted = 1;
	place_first_locked(conn);
	for (unsigned i = 0; i < conn->wanted && !conn->quit; i++)
		netfs_task_post(&conn->channels[i].task);
	netfs_mutex_unlock(&conn->lock);
}

/* --------------------------------------------------------------- ask */

static void one_only(struct smb_conn *conn, const char *why)
{
	char text[128];

	snprintf(text, sizeof(text), "connected by one channel: %s", why);
	smb_conn_tell(conn, true, text);
	if (conn->host && conn->host->note)
		conn->host->note(conn->host, text);
}

static void answered(struct smb_call *call)
{
	const struct smb_msg *reply = &call->req.part[0].reply;
	struct smb_conn *conn = call->conn;
	bool one;

	if (call->err || reply->kind != SMB_REPLY(SMB_IOCTL)) {
		one_only(conn, "the server does not say where it can be reached");
	} else {
		take_places(conn, &reply->ioctl_rep.output);
		netfs_mutex_lock(&conn->lock);
		one = conn->wanted == 1;
		netfs_mutex_unlock(&conn->lock);
		if (one)
			one_only(conn, "the server has one address, and no RSS there");
	}
	smb_call_end(call, 0);
}

static void ask_body(struct smb_call *call)
{
	struct smb_msg msg = {.kind = SMB_REQUEST(SMB_IOCTL),
			      .ioctl_req = {.code = SMB_FSCTL_QUERY_INTERFACES,
					    .fid = SMB_FID_RELATED,
					    .max_output = 65536,
					    .flags = SMB_IOCTL_IS_FSCTL}};

	if (smb_call_add(call, &msg, 65536))
		smb_call_send(call, answered);
}

void smb_multi_ask(struct smb_conn *conn)
{
	struct smb_call *call;
	bool can;

	if (conn->max_channels < 2)
		return;
	netfs_mutex_lock(&conn->lock);
	can = conn->multichannel;
	netfs_mutex_unlock(&conn->lock);
	call = can ? smb_call_new(conn, NULL, ask_body) : NULL;
	if (call)
		smb_call_start(call);
	else
		one_only(conn, can ? "no memory" : "the server does not offer more");
}

/* --------------------------------------------------------------- aim */

static unsigned users_locked(const struct smb_conn *conn, const struct smb_channel *but,
			     unsigned place)
{
	unsigned users = 0;

	for (unsigned i = 0; i < conn->nchannels; i++) {
		const struct smb_channel *chan = &conn->channels[i];

		users += chan != but && chan->state != SMB_DOWN && chan->place == place;
	}
	return users;
}

void smb_multi_aim(struct smb_channel *chan)
{
	struct smb_conn *conn = chan->conn;
	unsigned best = SMB_CHANNELS_MAX, least = 0;

	netfs_mutex_lock(&conn->lock);
	for (unsigned i = 0; i < conn->nplaces; i++) {
		unsigned place = (i + chan->attempts) % conn->nplaces;
		unsigned users = users_locked(conn, chan, place);

		if (users > 0 && !is_many(&conn->places[place]))
			continue;
		if (best < conn->nplaces && (chan->attempts % 2 || users >= least))
			continue;
		best = place;
		least = users;
	}
	chan->place = best;
	chan->to_host[0] = 0;
	if (best < conn->nplaces)
		put_text(&conn->places[best].address, chan->to_host, sizeof(chan->to_host));
	netfs_mutex_unlock(&conn->lock);
}

void smb_multi_tell(struct smb_conn *conn)
{
	unsigned joined;
	char text[64];
	bool news;

	netfs_mutex_lock(&conn->lock);
	joined = conn->joined;
	news = conn->news;
	conn->news = false;
	netfs_mutex_unlock(&conn->lock);
	snprintf(text, sizeof(text), "connected by %u channel%s", joined, joined == 1 ? "" : "s");
	if (news && joined > 0)
		smb_conn_tell(conn, true, text);
}
