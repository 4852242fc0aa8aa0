// SPDX-License-Identifier: MIT
/*
 * From "smb://user@host:port/share/folder", mount options and a file of credentials
 * to a connection's settings.
 *
 * Everything here comes from a user: each wrong word is refused with one line that
 * says what is wrong.  Strings are copied; the configuration is only valid until
 * connect completes, a connection lives longer.  A password never comes in an
 * option, where everybody can see it; it goes from its file to memory that stays out
 * of core dumps.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <env/host.h>
#include <env/secret.h>
#include "smb.h"

const struct netfs_option_info smb_options[] = {
	{"credentials", "file of username=, password= and domain= lines that only you can read"},
	{"cred", "as credentials"},
	{"username", "who to log in as (default: that of the source, or of credentials)"},
	{"user", "as username"},
	{"domain", "domain of the user (default: the server's)"},
	{"workgroup", "as domain"},
	{"sec", "ntlmssp (default) or krb5"},
	{"vers", "protocol version; only 3.1.1"},
	{"port", "port of the server (default 445)"},
	{"seal", "encrypt everything, also where the server does not ask for it"},
	{"sign", "sign everything (always on)"},
	{"uid", "who files belong to on this machine (default: who mounts)"},
	{"gid", "the same for the group"},
	{"forceuid", "as uid says, whatever the server thinks (always, without cifsacl)"},
	{"forcegid", "as gid says, whatever the server thinks (always, without cifsacl)"},
	{"file_mode", "mode of files, octal (default 0755)"},
	{"dir_mode", "mode of directories, octal (default 0755)"},
	{"cifsacl", "owner and mode are the server's: what the file's access list allows"},
	{"modefromsid", "the same, with the mode itself kept in the list (S-1-5-88-3-MODE)"},
	{"idsfromsid", "new owners are kept as S-1-5-88-1-UID and S-1-5-88-2-GID, not as Samba's"},
	{"mfsymlinks", "symbolic links are kept in files, as other clients do it"},
	{"mapposix", "characters the server reserves are mapped (default)"},
	{"nomapposix", "names go to the server as they are"},
	{"serverino", "inode numbers are the server's (always on)"},
	{"nounix", "no POSIX extensions (always on)"},
	{"nolease", "no leases: whatever may have changed is asked for"},
	{"nonotify", "the server is not asked to tell of changes in directories"},
	{"nohandlecache", "files are closed at the server when they are closed here"},
	{"multichannel", "several connections, as many as max_channels says (default: one)"},
	{"nomultichannel", "one connection (default)"},
	{"max_channels", "connections at most, 1 to 16 (default 2 with multichannel)"},
	{"echo_interval", "seconds of silence before the server is asked (default 60)"},
	{NULL, NULL},
};

/* What reading the configuration carries around. */
struct reading {
	const struct netfs_be_config *config;
	struct smb_conn *conn;
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

/* The first len bytes of text, as long as the connection lives. */
static int keep(struct reading *rd, const char *text, size_t len, const char **ret_copy)
{
	char *copy;

	if (rd->nstrings == sizeof(rd->conn->strings) / sizeof(rd->conn->strings[0]))
		return refuse(rd, "credentials: too many lines");
	copy = netfs_alloc(len + 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, text, len);
	copy[len] = 0;
	rd->conn->strings[rd->nstrings++] = copy;
	*ret_copy = copy;
	return 0;
}

/* Digits of that base only, at most max; left alone where the option is missing. */
static int number(struct reading *rd, const char *name, unsigned base, uint32_t max,
		  uint32_t *ret_value)
{
	const char *text = option(rd, name);
	uint64_t value = 0;

	if (!text)
		return 0;
	for (const char *c = text; *c; c++) {
		if (*c < '0' || *c >= (char)('0' + base) || value > max)
			return refuse(rd, "%s=%s is not %s number up to %s%o", name, text,
				      base == 8 ? "an octal" : "a", base == 8 ? "0" : "", max);
		value = value * base + (uint64_t)(*c - '0');
	}
	if (!*text || value > max)
		return refuse(rd, "%s=%s is out of range", name, text);
	*ret_value = (uint32_t)value;
	return 0;
}

/* ------------------------------------------------------------ source */

static int read_share(struct reading *rd)
{
	const char *path = rd->config->source->path, *end;
	int err;

	while (*path == '/')
		path++;
	end = strchrnul(path, '/');
	if (end == path)
		return refuse(rd, "smb source has no share; it is //host/share");
	if (end - path > 80)
		return refuse(rd, "the share's name is longer than 80 characters");
	err = keep(rd, path, (size_t)(end - path), &rd->conn->share);
	while (!err && *end == '/')
		end++;
	return err ? err : keep(rd, end, strlen(end), &rd->conn->prefix);
}

static int read_host(struct reading *rd)
{
	const struct netfs_source *source = rd->config->source;
	const char *at = strrchr(source->host, '@'), *host = at ? at + 1 : source->host;
	const char *port = source->port[0] ? source->port : option(rd, "port");
	struct smb_conn *conn = rd->conn;
	int err = 0;

	if (!port || !port[0])
		port = "445";
	if (!host[0])
		return refuse(rd, "smb source has no host; it is //host/share");
	if (at)
		err = keep(rd, source->host, (size_t)(at - source->host), &conn->user);
	conn->address.kind = NETFS_SOCKET_TCP;
	if (!err)
		err = keep(rd, host, strlen(host), &conn->address.host);
	if (!err)
		err = keep(rd, port, strlen(port), &conn->address.port);
	snprintf(conn->be.address, sizeof(conn->be.address),
		 strchr(host, ':') ? "tcp [%s]:%s" : "tcp %s:%s", host, port);
	return err;
}

/* ------------------------------------------------------- credentials */

/* "word=value" of a line; NULL: another word. */
static const char *value_of(const char *line, const char *word)
{
	size_t len = strlen(word);

	line += strspn(line, " \t");
	return strncmp(line, word, len) || line[len] != '=' ? NULL : line + len + 1;
}

static int read_line(struct reading *rd, const char *line)
{
	const char *user = value_of(line, "username"), *domain = value_of(line, "domain");
	const char *password = value_of(line, "password");

	if (!user)
		user = value_of(line, "user");
	if (user)
		return keep(rd, user, strlen(user), &rd->conn->user);
	if (domain)
		return keep(rd, domain, strlen(domain), &rd->conn->domain);
	if (password) {
		memcpy(rd->conn->password, password, strlen(password) + 1);
		return 0;
	}
	line += strspn(line, " \t\r");
	if (*line && *line != '#')
		return refuse(rd,
			      "credentials: a line that is none of username=, password=, domain=");
	return 0;
}

static int read_credentials(struct reading *rd, const char *path)
{
	char *text = netfs_secret_alloc(NETFS_SECRET_MAX + 1), *line, *next;
	ssize_t len;
	int err = 0;

	rd->conn->password = netfs_secret_alloc(NETFS_SECRET_MAX);
	if (!text || !rd->conn->password) {
		netfs_secret_free(text, NETFS_SECRET_MAX + 1);
		return -ENOMEM;
	}
	len = netfs_secret_from_file(path, (uint8_t *)text);
	if (len == -EPERM)
		err = refuse(rd, "credentials=%s: others can read it; make it mode 0600", path);
	else if (len < 0)
		err = refuse(rd, "credentials=%s: %s", path, strerrordesc_np((int)-len));
	for (line = text; !err && len > 0 && line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = 0;
		if (*line && line[strlen(line) - 1] == '\r')
			line[strlen(line) - 1] = 0;
		err = read_line(rd, line);
	}
	netfs_secret_free(text, NETFS_SECRET_MAX + 1);
	return err;
}

static int read_who(struct reading *rd)
{
	const char *sec = option(rd, "sec"), *cred = option(rd, "credentials");
	const char *user = option(rd, "username"), *domain = option(rd, "domain");
	struct smb_conn *conn = rd->conn;
	int err = 0;

	if (!cred)
		cred = option(rd, "cred");
	if (cred)
		err = read_credentials(rd, cred);
	user = user ? user : option(rd, "user");
	/* In fstab the word alone says who may mount. */
	if (user && !*user)
		user = NULL;
	domain = domain ? domain : option(rd, "workgroup");
	if (!err && user)
		err = keep(rd, user, strlen(user), &conn->user);
	if (!err && domain)
		err = keep(rd, domain, strlen(domain), &conn->domain);
	if (err)
		return err;
	conn->mech = NETFS_AUTH_NTLM;
	if (sec && (!strcmp(sec, "krb5") || !strcmp(sec, "krb5i")))
		conn->mech = NETFS_AUTH_KERBEROS;
	else if (sec && strcmp(sec, "ntlmssp") && strcmp(sec, "ntlmsspi") && strcmp(sec, "ntlmv2"))
		return refuse(rd, "sec=%s is not known; it is ntlmssp or krb5", sec);
	if (conn->mech == NETFS_AUTH_NTLM && (!conn->password || !conn->user[0]))
		return refuse(rd, "no user name and password; give them in a file with "
				  "credentials=FILE, or use sec=krb5");
	return 0;
}

/* ----------------------------------------------------------- the rest */

static int read_owners(struct reading *rd)
{
	struct smb_conn *conn = rd->conn;

	conn->owners = option(rd, "modefromsid") ? SMB_OWNERS_EXACT
		       : option(rd, "cifsacl")	 ? SMB_OWNERS_LIST
						 : SMB_OWNERS_OPTIONS;
	conn->nfs_ids = option(rd, "idsfromsid");
	conn->force_uid = option(rd, "forceuid");
	conn->force_gid = option(rd, "forcegid");
	if (conn->nfs_ids && !conn->owners)
		return refuse(rd, "idsfromsid is of no use without cifsacl or modefromsid");
	return 0;
}

/* As mount.cifs has it: asking for more than one is asking for multichannel. */
static int read_channels(struct reading *rd)
{
	uint32_t most = option(rd, "multichannel") ? 2 : 1;
	int err = number(rd, "max_channels", 10, SMB_CHANNELS_MAX, &most);

	if (!err && most == 0)
		return refuse(rd, "max_channels=0 is out of range");
	if (option(rd, "multichannel") && most < 2)
		most = 2;
	rd->conn->max_channels = option(rd, "nomultichannel") ? 1 : most;
	return err;
}

static int read_rest(struct reading *rd)
{
	const char *vers = option(rd, "vers");
	struct smb_conn *conn = rd->conn;
	uint32_t echo = SMB_ECHO_DEFAULT;
	int err;

	if (vers && strcmp(vers, "3.1.1") && strcmp(vers, "3.11") && strcmp(vers, "3") &&
	    strcmp(vers, "default"))
		return refuse(rd, "vers=%s is not spoken; only 3.1.1", vers);
	conn->seal = option(rd, "seal") ? SMB_SEAL_ALWAYS : SMB_SEAL_IF_ASKED;
	conn->mfsymlinks = option(rd, "mfsymlinks");
	conn->no_leases = option(rd, "nolease");
	conn->no_idle = option(rd, "nohandlecache");
	conn->no_watches = option(rd, "nonotify");
	conn->map = option(rd, "nomapposix") ? SMB_MAP_NONE : SMB_MAP_POSIX;
	conn->uid = netfs_host_uid();
	conn->gid = netfs_host_gid();
	conn->file_mode = conn->dir_mode = 0755;
	conn->io_want = SMB_IO_MAX;
	err = number(rd, "uid", 10, UINT32_MAX - 1, &conn->uid);
	if (!err)
		err = number(rd, "gid", 10, UINT32_MAX - 1, &conn->gid);
	if (!err)
		err = number(rd, "file_mode", 8, 07777, &conn->file_mode);
	if (!err)
		err = number(rd, "dir_mode", 8, 07777, &conn->dir_mode);
	if (!err)
		err = number(rd, "echo_interval", 10, 600, &echo);
	if (!err && echo == 0)
		return refuse(rd, "echo_interval=0 is out of range");
	if (!err)
		err = read_owners(rd);
	if (!err)
		err = read_channels(rd);
	conn->echo_ns = echo * NETFS_NS_PER_SEC;
	conn->hard = rd->config->hard;
	conn->soft_ns = (rd->config->timeout_ms ? rd->config->timeout_ms : 60000) * NETFS_NS_PER_MS;
	return err;
}

int smb_config_read(const struct netfs_be_config *config, struct smb_conn *conn, char *message,
		    size_t size)
{
	struct reading rd = {config, conn, message, size, 0};
	int err;

	conn->user = conn->domain = conn->prefix = "";
	err = read_host(&rd);
	if (!err)
		err = read_share(&rd);
	if (!err)
		err = read_who(&rd);
	return err ? err : read_rest(&rd);
}
