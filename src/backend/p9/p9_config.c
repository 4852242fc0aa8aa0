/* SPDX-License-Identifier: MIT */
/*
 * From "9p://host:port/aname" and mount options to a connection's settings.
 *
 * Everything here comes from a user: each wrong word is refused with one line
 * that says what is wrong.  Strings are copied; the configuration is only valid
 * until connect completes, a connection lives longer.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <env/host.h>
#include "p9.h"

#define NAME_MAX_BYTES 4096 /* of uname and aname: they go into one message */

const struct netfs_option_info p9_options[] = {
	{"trans", "transport: tcp, unix (source is the socket's path) or fd (default tcp)"},
	{"port", "port of the server (default 564)"},
	{"msize", "largest message in bytes, 4096 to 16777216 (default 1048576)"},
	{"version", "protocol version; only 9p2000.L"},
	{"aname", "file tree to attach to (default the path of the source)"},
	{"uname", "user name to attach with (default root)"},
	{"access", "who to attach as: user, any (both: the owner of this process) or a uid"},
	{"rfdno", "descriptor to read from with trans=fd"},
	{"wfdno", "descriptor to write to with trans=fd"},
	{"timeo", "a silent server is dead after this many tenths of a second (default 600)"},
	{NULL, NULL},
};

/* What reading the configuration carries around. */
struct reading {
	const struct netfs_be_config *config;
	struct p9_conn *conn;
	char *message;
	size_t size;
	unsigned nstrings;
};

static __attribute__((format(printf, 2, 3))) int refuse(struct reading *rd, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(rd->message, rd->size, format, args);
	va_end(args);
	return -EINVAL;
}

static const char *option(struct reading *rd, const char *name)
{
	return netfs_config_option(rd->config, name);
}

/* A copy that lives as long as the connection. */
static int keep(struct reading *rd, const char *text, const char **ret_copy)
{
	char *copy = netfs_strdup(text);

	if (!copy)
		return -ENOMEM;
	netfs_assert(rd->nstrings < sizeof(rd->conn->strings) / sizeof(rd->conn->strings[0]));
	rd->conn->strings[rd->nstrings++] = copy;
	*ret_copy = copy;
	return 0;
}

/* Digits only, within [min, max]; left alone where the option is missing. */
static int number(struct reading *rd, const char *name, uint64_t min, uint64_t max,
		  uint64_t *ret_value)
{
	const char *text = option(rd, name);
	uint64_t value = 0;

	if (!text)
		return 0;
	for (const char *c = text; *c; c++) {
		if (*c < '0' || *c > '9' || value > max)
			return refuse(rd, "%s=%s is not a number from %llu to %llu", name, text,
				      (unsigned long long)min, (unsigned long long)max);
		value = value * 10 + (uint64_t)(*c - '0');
	}
	if (!*text || value < min || value > max)
		return refuse(rd, "%s=%s is not a number from %llu to %llu", name, text,
			      (unsigned long long)min, (unsigned long long)max);
	*ret_value = value;
	return 0;
}

static int read_tcp(struct reading *rd)
{
	const struct netfs_source *source = rd->config->source;
	struct p9_conn *conn = rd->conn;
	const char *port = option(rd, "port");
	int err;

	if (!source->host[0])
		return refuse(rd, "9p source has no host; for a unix socket add trans=unix");
	if (source->port[0])
		port = source->port;
	if (!port || !port[0])
		port = "564";
	conn->address.kind = NETFS_SOCKET_TCP;
	err = keep(rd, source->host, &conn->address.host);
	if (!err)
		err = keep(rd, port, &conn->address.port);
	snprintf(conn->be.address, sizeof(conn->be.address),
		 strchr(source->host, ':') ? "tcp [%s]:%s" : "tcp %s:%s", source->host, port);
	return err;
}

static int read_unix(struct reading *rd)
{
	const struct netfs_source *source = rd->config->source;
	struct p9_conn *conn = rd->conn;

	if (source->host[0] || source->path[0] != '/')
		return refuse(rd, "with trans=unix the source is 9p:///path/to/socket");
	conn->address.kind = NETFS_SOCKET_UNIX;
	snprintf(conn->be.address, sizeof(conn->be.address), "unix %s", source->path);
	return keep(rd, source->path, &conn->address.path);
}

static int read_fd(struct reading *rd)
{
	struct p9_conn *conn = rd->conn;
	uint64_t rfd = 0, wfd = 0;
	int err;

	if (!option(rd, "rfdno") || !option(rd, "wfdno"))
		return refuse(rd, "trans=fd needs rfdno= and wfdno=");
	err = number(rd, "rfdno", 0, INT32_MAX, &rfd);
	if (!err)
		err = number(rd, "wfdno", 0, INT32_MAX, &wfd);
	conn->address.kind = NETFS_SOCKET_FD;
	conn->address.rfd = (int)rfd;
	conn->address.wfd = (int)wfd;
	snprintf(conn->be.address, sizeof(conn->be.address), "fd %d,%d", conn->address.rfd,
		 conn->address.wfd);
	return err;
}

static int read_transport(struct reading *rd)
{
	const char *trans = option(rd, "trans");

	if (!trans || strcmp(trans, "tcp") == 0)
		return read_tcp(rd);
	if (strcmp(trans, "unix") == 0)
		return read_unix(rd);
	if (strcmp(trans, "fd") == 0)
		return read_fd(rd);
	return refuse(rd, "trans=%s is not known: tcp, unix or fd", trans);
}

static int read_names(struct reading *rd)
{
	struct p9_conn *conn = rd->conn;
	const char *aname = option(rd, "aname");
	const char *uname = option(rd, "uname");
	int err;

	if (!aname)
		aname = conn->address.kind == NETFS_SOCKET_TCP ? rd->config->source->path : "";
	if (!uname)
		uname = "root";
	if (strlen(aname) + strlen(uname) > NAME_MAX_BYTES - 64)
		return refuse(rd, "aname and uname are too long");
	err = keep(rd, aname, &conn->aname);
	return err ? err : keep(rd, uname, &conn->uname);
}

static int read_access(struct reading *rd)
{
	const char *access = option(rd, "access");
	uint64_t uid = netfs_host_uid();
	int err = 0;

	if (access && strcmp(access, "user") != 0 && strcmp(access, "any") != 0) {
		err = number(rd, "access", 0, UINT32_MAX - 1, &uid);
		if (err)
			return refuse(rd, "access=%s is not user, any or a uid", access);
	}
	rd->conn->uid = (uint32_t)uid;
	return 0;
}

static bool version_known(const char *version)
{
	return !version || strcmp(version, "9p2000.L") == 0 || strcmp(version, P9_VERSION) == 0;
}

int p9_config_read(const struct netfs_be_config *config, struct p9_conn *conn, char *message,
		   size_t size)
{
	struct reading rd = {.config = config, .conn = conn, .message = message, .size = size};
	uint64_t msize = P9_MSIZE_WANT, timeo = P9_TIMEO_DEFAULT_DS;
	int err;

	if (!version_known(option(&rd, "version")))
		return refuse(&rd, "version=%s is not supported, only 9p2000.L",
			      option(&rd, "version"));
	err = read_transport(&rd);
	if (!err)
		err = read_names(&rd);
	if (!err)
		err = read_access(&rd);
	if (!err)
		err = number(&rd, "msize", P9_MSIZE_MIN, P9_MSIZE_MAX, &msize);
	if (!err)
		err = number(&rd, "timeo", 1, 1000000, &timeo);
	if (err)
		return err;
	conn->msize_want = (uint32_t)msize;
	conn->msize = conn->msize_want;
	conn->hard = config->hard;
	conn->silent_ns = timeo * 100 * NETFS_NS_PER_MS;
	conn->soft_ns = conn->silent_ns;
	if (!config->hard && config->timeout_ms > 0) {
		conn->soft_ns = config->timeout_ms * NETFS_NS_PER_MS;
		if (conn->silent_ns > conn->soft_ns)
			conn->silent_ns = conn->soft_ns;
	}
	conn->be.caps = NETFS_BE_LOCKS;
	if (conn->address.kind == NETFS_SOCKET_UNIX)
		conn->be.caps |= NETFS_BE_LOCAL;
	return 0;
}
