/* SPDX-License-Identifier: MIT */
/*
 * Taking the source of a mount apart.
 *
 *	scheme://host[:port][/path]	an IPv6 host stands in brackets
 *	scheme:path			for what is on this machine
 *
 * Nothing is decoded: a '%' is a '%'.  Whether host, port and path make sense
 * is for the back end to say.
 *
 * Locks: none.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <base/assert.h>
#include <client/source.h>
#include <env/alloc.h>

#define SOURCE_MAX 4096

static int refuse(char *message, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int refuse(char *message, size_t size, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(message, size, format, args);
	va_end(args);
	return -EINVAL;
}

static bool scheme_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
}

/* Cuts "[host]:port" or "host:port" in two.  An error text, or NULL. */
static const char *cut_host(char *at, struct netfs_source *source)
{
	char *end = at, *colon;

	if (*at == '[') {
		end = strchr(at, ']');
		if (!end)
			return "']' is missing";
		*end++ = 0;
		source->host = at + 1;
		if (*end && *end != ':')
			return "':' or '/' is missing after ']'";
		colon = *end ? end : NULL;
	} else {
		source->host = at;
		colon = strchr(at, ':');
		if (colon && strchr(colon + 1, ':'))
			return "an IPv6 address needs brackets";
	}
	if (!colon)
		return NULL;
	*colon = 0;
	source->port = colon + 1;
	if (!*source->port)
		return "the port is missing after ':'";
	return *source->host ? NULL : "the host is missing before ':'";
}

/* parts->text holds two copies: the first is cut up, the second keeps path in
 * one piece with its slash. */
static const char *cut(struct netfs_source_parts *parts, const char *text, size_t len)
{
	char *first = parts->text, *second = parts->text + len + 1;
	size_t scheme_len = (size_t)(strchr(text, ':') - text);
	char *slash;

	first[scheme_len] = 0;
	parts->source.scheme = first;
	first += scheme_len + 1;
	second += scheme_len + 1;
	if (strncmp(first, "//", 2)) {
		parts->source.path = second;
		return NULL;
	}
	slash = strchr(first + 2, '/');
	if (slash) {
		*slash = 0;
		parts->source.path = second + (slash - first);
	}
	return cut_host(first + 2, &parts->source);
}

int netfs_source_parse(const char *text, struct netfs_source_parts *ret_parts, char *message,
		       size_t message_size)
{
	struct netfs_source_parts parts = {.source = {"", "", "", ""}};
	char smb[SOURCE_MAX + 8];
	size_t len = strlen(text), scheme_len = 0;
	const char *wrong;

	/* As mount.cifs has it. */
	if (!strncmp(text, "//", 2)) {
		snprintf(smb, sizeof(smb), "smb:%s", text);
		text = smb;
		len = strlen(text);
	}
	if (len > SOURCE_MAX)
		return refuse(message, message_size, "the source is longer than %d bytes",
			      SOURCE_MAX);
	while (scheme_char(text[scheme_len]))
		scheme_len++;
	if (scheme_len == 0 || text[scheme_len] != ':')
		return refuse(message, message_size,
			      "no scheme in '%s'; a source is SCHEME://HOST/PATH, SCHEME:PATH or "
			      "//HOST/SHARE",
			      text);
	parts.text = netfs_alloc(2 * (len + 1));
	if (!parts.text)
		return -ENOMEM;
	memcpy(parts.text, text, len + 1);
	memcpy(parts.text + len + 1, text, len + 1);
	wrong = cut(&parts, text, len);
	if (wrong) {
		netfs_source_done(&parts);
		return refuse(message, message_size, "bad source '%s': %s", text, wrong);
	}
	*ret_parts = parts;
	return 0;
}

void netfs_source_done(struct netfs_source_parts *parts)
{
	netfs_free(netfs_take(parts->text));
}
