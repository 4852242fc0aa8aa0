/* SPDX-License-Identifier: MIT */
/*
 * Mount options.
 *
 * One table has every word that all mounts know: its name, what --help says
 * (NULL: a word of fstab that means something to others), how its value is
 * read, and the field it goes to.  Words of a back end come from that back
 * end's own table; one that stands in both goes to both.
 *
 * '-' and '_' are the same in names.  A word nobody knows is an error: a
 * misspelt option must not weaken a promise in silence.
 *
 * Locks: none.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <base/assert.h>
#include <base/checked_math.h>
#include <client/options.h>
#include <env/alloc.h>
#include <vfs/vfs.h>

static const struct netfs_cache_mode modes[] = {
	{.name = "none", .unbuffered = true, .revalidate = true, .close_writes = true},
	{.name = "strict",
	 .attr_ttl_ms = 1000,
	 .entry_ttl_ms = 1000,
	 .watched_ms = 30000,
	 .revalidate = true,
	 .close_writes = true},
	{.name = "loose", .attr_ttl_ms = 60000, .entry_ttl_ms = 60000, .negative_ttl_ms = 60000},
	{.name = "immutable",
	 .attr_ttl_ms = NETFS_TTL_FOREVER,
	 .entry_ttl_ms = NETFS_TTL_FOREVER,
	 .negative_ttl_ms = NETFS_TTL_FOREVER,
	 .read_only = true,
	 .immutable = true},
};

enum kind {
	KIND_IGNORED,
	KIND_ON,
	KIND_OFF,
	KIND_SECONDS,
	KIND_SIZE,
	KIND_NUMBER,
	KIND_BYTES,
	KIND_PERCENT,
	KIND_PATH,
	KIND_TEXT, /* must have a value */
	KIND_CACHE,
	KIND_LOCKS,
	KIND_NOAC,
	KIND_INIT,
	KIND_WRITEBACK,
	KIND_FSYNC,
};

struct word {
	const char *name;
	const char *meaning;
	enum kind kind;
	size_t field;
};

#define FIELD(name) offsetof(struct netfs_mount_options, name)

static const struct word words[] = {
	{"ro", "read-only", KIND_ON, FIELD(read_only)},
	{"rw", "read and write (default)", KIND_OFF, FIELD(read_only)},
	{"cache",
	 "none, strict, loose or immutable (default: strict; none for 9p); immutable is read-only, "
	 "and with fsc the kernel reads by itself what is whole in the disk cache",
	 KIND_CACHE, 0},
	{"actimeo", "seconds that attributes and names are believed", KIND_SECONDS, FIELD(actimeo)},
	{"acregmin", "as acregmax, where that is not given", KIND_SECONDS, FIELD(acregmin)},
	{"acregmax", "seconds that attributes of files are believed", KIND_SECONDS,
	 FIELD(acregmax)},
	{"acdirmin", "as acdirmax, where that is not given", KIND_SECONDS, FIELD(acdirmin)},
	{"acdirmax", "seconds that directories and names are believed", KIND_SECONDS,
	 FIELD(acdirmax)},
	{"negtimeo", "seconds that the absence of a name is believed", KIND_SECONDS,
	 FIELD(negtimeo)},
	{"noac", "as actimeo=0,negtimeo=0", KIND_NOAC, 0},
	{"rsize", "largest read request in bytes, with k, m or g (default: the server's)",
	 KIND_SIZE, FIELD(rsize)},
	{"wsize", "largest write request in bytes, likewise", KIND_SIZE, FIELD(wsize)},
	{"rasize", "bytes read ahead of a sequential reader at most (default 4m)", KIND_SIZE,
	 FIELD(rasize)},
	{"hard", "wait for a server that does not answer (default)", KIND_OFF, FIELD(soft)},
	{"soft", "fail with an error when the server does not answer in time", KIND_ON,
	 FIELD(soft)},
	{"timeo", "tenths of a second to wait for an answer on a soft mount (default 600)",
	 KIND_NUMBER, FIELD(timeo)},
	{"retrans", "how often a request is tried again on a soft mount (default 2)", KIND_NUMBER,
	 FIELD(retrans)},
	{"locks", "server or local: who knows of locks (default: server, where it can)", KIND_LOCKS,
	 0},
	{"nolock", "as locks=local", KIND_ON, FIELD(local_locks)},
	{"nobrl", "as locks=local", KIND_ON, FIELD(local_locks)},
	{"sync", "every write is at the server, and durable, when it returns", KIND_ON,
	 FIELD(sync)},
	{"async", "writes are collected (default, unless cache=none)", KIND_OFF, FIELD(sync)},
	{"dirtyage", "seconds after which written data is sent at the latest (default 5)",
	 KIND_SECONDS, FIELD(dirtyage)},
	{"encrypt", "file with the key that content is encrypted with", KIND_TEXT, FIELD(encrypt)},
	{"encryptcmd", "as encrypt, with a command that prints the key", KIND_TEXT,
	 FIELD(encryptcmd)},
	{"encrypt_init",
	 "begins encryption of an empty share; encrypt_init=force: of one with files", KIND_INIT,
	 FIELD(encrypt_init)},
	{"fsc", "keep file data in the disk cache, in " NETFS_OPTION_CACHEDIR, KIND_ON, FIELD(fsc)},
	{"cachedir", "the same, in this folder (an absolute path; it must be yours alone)",
	 KIND_PATH, FIELD(cachedir)},
	{"cachesize", "bytes the disk cache may take, with k, m, g or t (default: see bcull)",
	 KIND_BYTES, FIELD(cachesize)},
	{"cachetag", "name of the share in the disk cache (default: its source)", KIND_TEXT,
	 FIELD(cachetag)},
	{"cachekey", "file with the key that the disk cache is sealed with", KIND_TEXT,
	 FIELD(cachekey)},
	{"writeback",
	 "memory or journal: written data is on the cache's disk before write(2) returns",
	 KIND_WRITEBACK, 0},
	{"fsync", "server or local: where fsync(2) has data be (default server; local: journal)",
	 KIND_FSYNC, 0},
	{"journalsize", "bytes of data the journal may hold, with k, m, g or t (default 1g)",
	 KIND_BYTES, FIELD(journalsize)},
	{"offline",
	 "while the server is away go on with what the disk cache has (default: wait for it)",
	 KIND_ON, FIELD(offline)},
	{"brun", "percent of the disk, and of cachesize, free when culling ends (default 7)",
	 KIND_PERCENT, FIELD(brun)},
	{"bcull", "the same when culling begins (default 5)", KIND_PERCENT, FIELD(bcull)},
	{"bstop", "the same when nothing more is stored (default 1)", KIND_PERCENT, FIELD(bstop)},
	{"frun", "as brun, of the disk's files (default 7)", KIND_PERCENT, FIELD(frun)},
	{"fcull", "as bcull, of the disk's files (default 5)", KIND_PERCENT, FIELD(fcull)},
	{"fstop", "as bstop, of the disk's files (default 1)", KIND_PERCENT, FIELD(fstop)},
	{"defaults", NULL, KIND_IGNORED, 0},
	{"auto", NULL, KIND_IGNORED, 0},
	{"noauto", NULL, KIND_IGNORED, 0},
	{"nofail", NULL, KIND_IGNORED, 0},
	{"_netdev", NULL, KIND_IGNORED, 0},
	{"user", NULL, KIND_IGNORED, 0},
	{"users", NULL, KIND_IGNORED, 0},
	{"nouser", NULL, KIND_IGNORED, 0},
	{"owner", NULL, KIND_IGNORED, 0},
	{"group", NULL, KIND_IGNORED, 0},
	{"suid", NULL, KIND_IGNORED, 0},
	{"nosuid", NULL, KIND_IGNORED, 0},
	{"dev", NULL, KIND_IGNORED, 0},
	{"nodev", NULL, KIND_IGNORED, 0},
	{"exec", NULL, KIND_IGNORED, 0},
	{"noexec", NULL, KIND_IGNORED, 0},
	{"atime", NULL, KIND_IGNORED, 0},
	{"noatime", NULL, KIND_IGNORED, 0},
	{"relatime", NULL, KIND_IGNORED, 0},
	{"norelatime", NULL, KIND_IGNORED, 0},
	{"strictatime", NULL, KIND_IGNORED, 0},
	{"diratime", NULL, KIND_IGNORED, 0},
	{"nodiratime", NULL, KIND_IGNORED, 0},
	{"comment", NULL, KIND_IGNORED, 0},
};

#define NWORDS (sizeof(words) / sizeof(words[0]))
#define NMODES (sizeof(modes) / sizeof(modes[0]))

bool netfs_options_help_at(unsigned i, const char **ret_name, const char **ret_meaning)
{
	/* The words that mean nothing to us come last. */
	if (i >= NWORDS || !words[i].meaning)
		return false;
	*ret_name = words[i].name;
	*ret_meaning = words[i].meaning;
	return true;
}

/* ------------------------------------------------------------ values */

static bool parse_number(const char *text, const char **ret_end, uint64_t *ret_number)
{
	uint64_t number = 0;

	if (*text < '0' || *text > '9')
		return false;
	for (; *text >= '0' && *text <= '9'; text++) {
		if (!netfs_checked_mul(number, 10, &number) ||
		    !netfs_checked_add(number, (uint64_t)(*text - '0'), &number))
			return false;
	}
	*ret_end = text;
	*ret_number = number;
	return true;
}

static bool parse_plain(const char *text, uint64_t *ret_number)
{
	const char *end;

	return parse_number(text, &end, ret_number) && !*end && *ret_number <= UINT32_MAX;
}

/* "1", "0.5", "2.125": milliseconds. */
static bool parse_seconds(const char *text, uint64_t *ret_ms)
{
	uint64_t seconds, unit = 100, ms;
	const char *end;

	if (!parse_number(text, &end, &seconds) || !netfs_checked_mul(seconds, 1000, &ms))
		return false;
	if (*end == '.') {
		for (end++; *end >= '0' && *end <= '9'; end++, unit /= 10)
			ms += (uint64_t)(*end - '0') * unit;
	}
	*ret_ms = ms;
	return !*end && ms < NETFS_TTL_FOREVER;
}

static bool parse_bytes(const char *text, uint64_t *ret_bytes)
{
	unsigned shift = 0;
	const char *end;
	uint64_t bytes;

	if (!parse_number(text, &end, &bytes))
		return false;
	if (*end == 'k' || *end == 'K')
		shift = 10;
	else if (*end == 'm' || *end == 'M')
		shift = 20;
	else if (*end == 'g' || *end == 'G')
		shift = 30;
	else if (*end == 't' || *end == 'T')
		shift = 40;
	if (shift && !netfs_checked_mul(bytes, UINT64_C(1) << shift, &bytes))
		return false;
	*ret_bytes = bytes;
	return !end[shift ? 1 : 0];
}

static bool parse_size(const char *text, uint64_t *ret_bytes)
{
	return parse_bytes(text, ret_bytes) && *ret_bytes <= UINT32_MAX;
}

static bool parse_percent(const char *text, uint32_t *ret_percent)
{
	uint64_t number;
	const char *end;

	if (!parse_number(text, &end, &number) || number > 99)
		return false;
	*ret_percent = (uint32_t)number;
	return !*end || !strcmp(end, "%");
}

static bool parse_text(const char *text, const char **ret_text)
{
	*ret_text = text;
	return *text;
}

static bool parse_cache(const char *text, struct netfs_mount_options *options)
{
	for (unsigned i = 0; i < NMODES; i++) {
		if (!strcmp(modes[i].name, text)) {
			options->mode = &modes[i];
			return true;
		}
	}
	return false;
}

static bool parse_locks(const char *text, struct netfs_mount_options *options)
{
	if (strcmp(text, "local") && strcmp(text, "server"))
		return false;
	options->local_locks = !strcmp(text, "local");
	return true;
}

static bool parse_writeback(const char *text, struct netfs_mount_options *options)
{
	if (strcmp(text, "memory") && strcmp(text, "journal"))
		return false;
	options->journal = !strcmp(text, "journal");
	return true;
}

static bool parse_fsync(const char *text, struct netfs_mount_options *options)
{
	if (strcmp(text, "server") && strcmp(text, "local"))
		return false;
	options->sync_local = !strcmp(text, "local");
	return true;
}

static bool set_word(struct netfs_mount_options *options, const struct word *word,
		     const char *value)
{
	void *field = (char *)options + word->field;

	switch (word->kind) {
	case KIND_IGNORED:
		return true;
	case KIND_ON:
	case KIND_OFF:
		*(bool *)field = word->kind == KIND_ON;
		return !*value;
	case KIND_SECONDS:
		return parse_seconds(value, field);
	case KIND_SIZE:
		return parse_size(value, field);
	case KIND_NUMBER:
		return parse_plain(value, field);
	case KIND_BYTES:
		return parse_bytes(value, field);
	case KIND_PERCENT:
		return parse_percent(value, field);
	case KIND_PATH:
		return *value == '/' && parse_text(value, field);
	case KIND_TEXT:
		return parse_text(value, field);
	case KIND_CACHE:
		return parse_cache(value, options);
	case KIND_LOCKS:
		return parse_locks(value, options);
	case KIND_WRITEBACK:
		return parse_writeback(value, options);
	case KIND_FSYNC:
		return parse_fsync(value, options);
	case KIND_NOAC:
		options->actimeo = 0;
		options->negtimeo = 0;
		return !*value;
	case KIND_INIT:
		*(const char **)field = value;
		return !*value || !strcmp(value, "force");
	}
	return false;
}

/* ------------------------------------------------------------- words */

static bool same_name(const char *a, const char *b)
{
	for (; *a && *b; a++, b++) {
		char x = *a == '-' ? '_' : *a, y = *b == '-' ? '_' : *b;

		if (x != y)
			return false;
	}
	return !*a && !*b;
}

static const struct word *find_word(const char *name)
{
	for (unsigned i = 0; i < NWORDS; i++) {
		if (same_name(words[i].name, name))
			return &words[i];
	}
	return NULL;
}

static const char *find_backend_word(const struct netfs_be_ops *ops, const char *name)
{
	const struct netfs_option_info *info = ops->options;

	for (; info && info->name; info++) {
		if (same_name(info->name, name))
			return info->name;
	}
	return NULL;
}

/* Cuts the next word off *text, undoing escapes and quotes in place. */
static char *next_word(char **text)
{
	char *from = *text, *to = *text, *word = *text;
	bool quoted = false;

	if (!*from)
		return NULL;
	for (; *from && (quoted || *from != ','); from++) {
		if (*from == '"') {
			quoted = !quoted;
			continue;
		}
		if (from[0] == '\\' && from[1])
			from++;
		*to++ = *from;
	}
	*text = *from ? from + 1 : from;
	*to = 0;
	return word;
}

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

static int take_word(struct netfs_mount_options *options, const struct netfs_be_ops *ops,
		     char *name, char *message, size_t message_size)
{
	const char *backend_name;
	const struct word *word;
	char *value = strchr(name, '=');

	if (value)
		*value++ = 0;
	else
		value = name + strlen(name);
	word = find_word(name);
	backend_name = find_backend_word(ops, name);
	if (!word && !backend_name) {
		if ((name[0] == 'x' || name[0] == 'X') && name[1] == '-')
			return 0;
		return refuse(message, message_size, "unknown option '%s'; see unetfs mount --help",
			      name);
	}
	if (word && !set_word(options, word, value))
		return refuse(message, message_size,
			      *value ? "option '%s' cannot be '%s'" : "option '%s' needs a value%s",
			      name, value);
	if (backend_name)
		options->backend[options->nbackend++] =
			(struct netfs_option){.name = backend_name, .value = value};
	return 0;
}

static unsigned count_commas(const char *text)
{
	unsigned n = 0;

	for (; *text; text++)
		n += *text == ',';
	return n;
}

static void set_defaults(struct netfs_mount_options *options, const struct netfs_be_ops *ops)
{
	uint64_t *numbers[] = {
		&options->actimeo,  &options->acregmin, &options->acregmax, &options->acdirmin,
		&options->acdirmax, &options->negtimeo, &options->dirtyage, &options->rsize,
		&options->wsize,    &options->rasize,	&options->timeo,    &options->retrans,
	};

	*options = (struct netfs_mount_options){0};
	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		*numbers[i] = NETFS_OPTION_UNSET;
	options->journalsize = UINT64_C(1) << 30;
	options->brun = options->frun = 7;
	options->bcull = options->fcull = 5;
	options->bstop = options->fstop = 1;
	/* 9P tells nobody that a file was changed, and has no counter. */
	parse_cache(strcmp(ops->scheme, "9p") ? "strict" : "none", options);
}

static int check_encryption(const struct netfs_mount_options *options, char *message, size_t size)
{
	if (options->encrypt && options->encryptcmd)
		return refuse(message, size, "encrypt and encryptcmd exclude each other");
	/* A daemon has left the folder it was started in. */
	if (options->encrypt && options->encrypt[0] != '/')
		return refuse(message, size, "encrypt wants the whole path of the key file");
	if (options->encrypt_init && !options->encrypt && !options->encryptcmd)
		return refuse(message, size,
			      "encrypt_init needs encrypt=FILE or encryptcmd=COMMAND");
	return 0;
}

static int check_cache(struct netfs_mount_options *options, char *message, size_t size)
{
	if (options->fsc && !options->cachedir)
		options->cachedir = NETFS_OPTION_CACHEDIR;
	/* Where nothing is kept in memory nothing passes by the disk cache. */
	if (options->cachedir && options->mode->unbuffered)
		return refuse(message, size,
			      "the disk cache needs cache=strict, loose or immutable");
	if (options->cachekey && !options->cachedir)
		return refuse(message, size, "cachekey needs fsc or cachedir=FOLDER");
	if (options->cachekey && options->cachekey[0] != '/')
		return refuse(message, size, "cachekey wants the whole path of the key file");
	return 0;
}

static int check_journal(const struct netfs_mount_options *options, char *message, size_t size)
{
	if (options->journal && !options->cachedir)
		return refuse(message, size, "writeback=journal needs fsc or cachedir=FOLDER");
	if (options->sync_local && !options->journal)
		return refuse(message, size, "fsync=local needs writeback=journal");
	/* What is hidden from the server is not to be read on this disk either. */
	if (options->journal && (options->encrypt || options->encryptcmd) && !options->cachekey)
		return refuse(message, size,
			      "writeback=journal with encrypted content needs cachekey=FILE");
	return 0;
}

static int check_offline(const struct netfs_mount_options *options, char *message, size_t size)
{
	if (options->offline && !options->cachedir)
		return refuse(message, size, "offline needs fsc or cachedir=FOLDER");
	if (options->offline && options->soft)
		return refuse(message, size, "offline and soft exclude each other");
	return 0;
}

int netfs_options_parse(const char *text, const struct netfs_be_ops *ops,
			struct netfs_mount_options *ret_options, char *message, size_t message_size)
{
	struct netfs_mount_options options;
	char *word, *rest;
	int err = 0;

	if (!text)
		text = "";
	set_defaults(&options, ops);
	options.text = netfs_strdup(text);
	options.backend = netfs_calloc(count_commas(text) + 1, sizeof(*options.backend));
	rest = options.text;
	if (!options.text || !options.backend)
		err = -ENOMEM;
	while (!err && (word = next_word(&rest))) {
		if (*word)
			err = take_word(&options, ops, word, message, message_size);
	}
	if (err) {
		netfs_options_done(&options);
		return err;
	}
	if (options.mode->read_only)
		options.read_only = true;
	err = check_encryption(&options, message, message_size);
	if (!err)
		err = check_cache(&options, message, message_size);
	if (!err)
		err = check_journal(&options, message, message_size);
	if (!err)
		err = check_offline(&options, message, message_size);
	if (err) {
		netfs_options_done(&options);
		return err;
	}
	*ret_options = options;
	return 0;
}

void netfs_options_done(struct netfs_mount_options *options)
{
	netfs_free(netfs_take(options->backend));
	netfs_free(netfs_take(options->text));
}

/* ----------------------------------------------------- times to live */

/* The first that was given. */
static uint32_t first_given(uint64_t a, uint64_t b, uint64_t c, uint32_t otherwise)
{
	if (a != NETFS_OPTION_UNSET)
		return (uint32_t)a;
	if (b != NETFS_OPTION_UNSET)
		return (uint32_t)b;
	return c != NETFS_OPTION_UNSET ? (uint32_t)c : otherwise;
}

uint32_t netfs_options_attr_ttl(const struct netfs_mount_options *options)
{
	return first_given(options->actimeo, options->acregmax, options->acregmin,
			   options->mode->attr_ttl_ms);
}

uint32_t netfs_options_dir_ttl(const struct netfs_mount_options *options)
{
	return first_given(options->actimeo, options->acdirmax, options->acdirmin,
			   options->mode->attr_ttl_ms);
}

uint32_t netfs_options_entry_ttl(const struct netfs_mount_options *options)
{
	return first_given(options->actimeo, options->acdirmax, options->acdirmin,
			   options->mode->entry_ttl_ms);
}

uint32_t netfs_options_negative_ttl(const struct netfs_mount_options *options)
{
	return first_given(options->negtimeo, NETFS_OPTION_UNSET, NETFS_OPTION_UNSET,
			   options->mode->negative_ttl_ms);
}

/* Who says how long gets no more. */
uint32_t netfs_options_watched(const struct netfs_mount_options *options)
{
	const uint64_t given[] = {options->actimeo,  options->acregmax, options->acregmin,
				  options->acdirmax, options->acdirmin, options->negtimeo};

	for (unsigned i = 0; i < sizeof(given) / sizeof(given[0]); i++) {
		if (given[i] != NETFS_OPTION_UNSET)
			return 0;
	}
	return options->mode->watched_ms;
}
