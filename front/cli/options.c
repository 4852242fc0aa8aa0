/* SPDX-License-Identifier: MIT */
/*
 * Sorts mount options.
 *
 * Words come in four kinds: flags of mount(2); words of fstab that mean
 * something to mount(8), to systemd or to nobody, and are accepted in silence;
 * words about the kernel's side and about memory, which end here; all others,
 * which are the library's and are checked there.  Some are for both ("ro").
 *
 * Passwords are refused wherever they look like one: what is in argv can be
 * read by every user of the machine.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include "options.h"

#define READAHEAD_KB	 1024
#define READAHEAD_KB_MAX 4096
#define WORD_MAX	 1024

enum kind {
	KIND_SET, /* flag on */
	KIND_CLEAR, /* flag off */
	KIND_IGNORE,
	KIND_OTHERS,
	KIND_MLOCK,
	KIND_KCACHE,
	KIND_RASIZE,
	KIND_MEMORY,
	KIND_DIRTY_MAX,
	KIND_THREADS,
	KIND_SECRET,
};

struct word {
	const char *name;
	enum kind kind;
	unsigned long flag;
};

static const struct word words[] = {
	{"ro", KIND_SET, MS_RDONLY},
	{"rw", KIND_CLEAR, MS_RDONLY},
	{"nosuid", KIND_SET, MS_NOSUID},
	{"suid", KIND_CLEAR, MS_NOSUID},
	{"nodev", KIND_SET, MS_NODEV},
	{"dev", KIND_CLEAR, MS_NODEV},
	{"noexec", KIND_SET, MS_NOEXEC},
	{"exec", KIND_CLEAR, MS_NOEXEC},
	{"sync", KIND_SET, MS_SYNCHRONOUS},
	{"async", KIND_CLEAR, MS_SYNCHRONOUS},
	{"dirsync", KIND_SET, MS_DIRSYNC},
	{"noatime", KIND_SET, MS_NOATIME},
	{"atime", KIND_CLEAR, MS_NOATIME},
	{"relatime", KIND_SET, MS_RELATIME},
	{"norelatime", KIND_CLEAR, MS_RELATIME},
	{"strictatime", KIND_SET, MS_STRICTATIME},
	{"nodiratime", KIND_SET, MS_NODIRATIME},
	{"diratime", KIND_CLEAR, MS_NODIRATIME},
	{"allow_other", KIND_OTHERS, 0},
	{"mlock", KIND_MLOCK, 0},
	{"kcache", KIND_KCACHE, 0},
	{"rasize", KIND_RASIZE, 0},
	{"memory", KIND_MEMORY, 0},
	{"dirtymax", KIND_DIRTY_MAX, 0},
	{"threads", KIND_THREADS, 0},
	{"password", KIND_SECRET, 0},
	{"password2", KIND_SECRET, 0},
	{"passwd", KIND_SECRET, 0},
	{"pass", KIND_SECRET, 0},
	{"pw", KIND_SECRET, 0},
	{"secret", KIND_SECRET, 0},
	{"token", KIND_SECRET, 0},
	{"auto", KIND_IGNORE, 0},
	{"noauto", KIND_IGNORE, 0},
	{"nofail", KIND_IGNORE, 0},
	{"_netdev", KIND_IGNORE, 0},
	{"user", KIND_IGNORE, 0},
	{"users", KIND_IGNORE, 0},
	{"nouser", KIND_IGNORE, 0},
	{"owner", KIND_IGNORE, 0},
	{"group", KIND_IGNORE, 0},
	{"defaults", KIND_IGNORE, 0},
	{"comment", KIND_IGNORE, 0},
	{"nonempty", KIND_IGNORE, 0},
	{"default_permissions", KIND_IGNORE, 0},
};

const struct netfs_cli_option_help netfs_cli_option_help[] = {
	{"ro, rw", "read only, or both (the default)"},
	{"suid, dev", "honour set-id bits and device files; off unless given"},
	{"noexec, noatime, sync, ...", "the flags that mount(8) has for every file system"},
	{"allow_other", "users other than the one who mounts may use it; root's default"},
	{"kcache=writeback", "let the kernel gather small writes: for shares that no other client "
			     "changes; the default is kcache=writethrough"},
	{"memory=BYTES", "file data kept in memory; the default is a quarter of it, at most 4G"},
	{"dirtymax=BYTES", "writers wait when so much is unsent; the default is half of memory="},
	{"threads=N", "threads that do the library's work; the default is 2"},
	{"mlock", "the program stays in memory, for a swap file on the mount: see doc/swap.md"},
	{NULL, NULL},
};

void netfs_cli_options_init(struct netfs_cli_options *options, bool root)
{
	memset(options, 0, sizeof(*options));
	options->mount_flags = MS_NOSUID | MS_NODEV;
	options->allow_other = root;
	options->readahead_kb = READAHEAD_KB;
	options->client.struct_size = sizeof(options->client);
}

const char *netfs_cli_options_word(const char *text, char *word, size_t size, bool *ret_cut)
{
	bool quoted = false;
	size_t n = 0;

	*ret_cut = false;
	if (!*text)
		return NULL;
	for (; *text && (quoted || *text != ','); text++) {
		if (*text == '"') {
			quoted = !quoted;
			continue;
		}
		if (*text == '\\' && text[1])
			text++;
		if (n + 1 < size)
			word[n++] = *text;
		else
			*ret_cut = true;
	}
	word[n] = '\0';
	return *text ? text + 1 : text;
}

bool netfs_cli_options_size(const char *text, uint64_t *ret_size)
{
	static const char units[] = "KMGT";
	unsigned long long value;
	const char *unit;
	unsigned shift = 0;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno)
		return false;
	unit = *end ? strchr(units, *end >= 'a' ? *end - 'a' + 'A' : *end) : NULL;
	if (unit) {
		shift = 10 * (unsigned)(unit - units + 1);
		end++;
	}
	if (*end || (value << shift) >> shift != value)
		return false;
	*ret_size = (uint64_t)value << shift;
	return true;
}

/* "_" and "-" are one in names, as in other mount programs; a leading "_"
 * belongs to the name. */
static bool same_name(const char *a, const char *b)
{
	for (; *a && *b; a++, b++) {
		char x = *a == '-' ? '_' : *a, y = *b == '-' ? '_' : *b;

		if (x != y)
			return false;
	}
	return *a == *b;
}

static const struct word *find(const char *name)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (same_name(words[i].name, name))
			return &words[i];
	}
	return NULL;
}

static bool library_knows(const char *name)
{
	const struct netfs_option_help *help;

	for (help = netfs_option_help(); help->name; help++) {
		if (same_name(help->name, name))
			return true;
	}
	return false;
}

static int refuse(char why[256], const char *name, const char *value, const char *wanted)
{
	snprintf(why, 256, "option %.60s=%.60s: %.100s", name, value, wanted);
	return -EINVAL;
}

static int take_number(const char *name, const char *value, uint64_t *ret, char why[256])
{
	if (!netfs_cli_options_size(value, ret) || *ret == 0)
		return refuse(why, name, value, "not a number above 0");
	return 0;
}

static int take_kcache(struct netfs_cli_options *options, const char *value, char why[256])
{
	if (strcmp(value, "writeback") == 0)
		options->kernel_writeback = true;
	else if (strcmp(value, "writethrough") == 0)
		options->kernel_writeback = false;
	else
		return refuse(why, "kcache", value, "must be writeback or writethrough");
	return 0;
}

static int take_value(struct netfs_cli_options *options, const struct word *word, const char *value,
		      char why[256])
{
	uint64_t n = 0;
	int err;

	if (word->kind == KIND_KCACHE)
		return take_kcache(options, value, why);
	err = take_number(word->name, value, &n, why);
	if (err < 0)
		return err;
	if (word->kind == KIND_MEMORY)
		options->client.memory_max = n;
	else if (word->kind == KIND_DIRTY_MAX)
		options->client.dirty_max = n;
	else if (word->kind == KIND_THREADS)
		options->client.threads = n > 64 ? 64 : (uint32_t)n;
	else if (n / 1024 > READAHEAD_KB_MAX)
		options->readahead_kb = READAHEAD_KB_MAX;
	else
		options->readahead_kb = (uint32_t)(n / 1024);
	return 0;
}

static int take_known(struct netfs_cli_options *options, const struct word *word, const char *value,
		      char why[256])
{
	switch (word->kind) {
	case KIND_SET:
		options->mount_flags |= word->flag;
		return 0;
	case KIND_CLEAR:
		options->mount_flags &= ~word->flag;
		return 0;
	case KIND_OTHERS:
		options->allow_other = true;
		return 0;
	case KIND_MLOCK:
		options->mlock = true;
		return 0;
	case KIND_IGNORE:
		return 0;
	case KIND_SECRET:
		snprintf(why, 256,
			 "option %s: not on a command line, where every user can read "
			 "it; use a credentials file",
			 word->name);
		return -EINVAL;
	default:
		return take_value(options, word, value, why);
	}
}

/* Adds a word to the library's list, with its commas escaped again. */
static int pass_on(struct netfs_cli_options *options, const char *word, char why[256])
{
	size_t n = strlen(options->rest);

	if (n && n + 1 < sizeof(options->rest))
		options->rest[n++] = ',';
	for (; *word && n + 3 < sizeof(options->rest); word++) {
		if (*word == ',' || *word == '\\' || *word == '"')
			options->rest[n++] = '\\';
		options->rest[n++] = *word;
	}
	options->rest[n] = '\0';
	if (!*word)
		return 0;
	snprintf(why, 256, "the list of options is too long");
	return -EINVAL;
}

/* "x-systemd.automount" and its like are for others. */
static bool is_comment(const char *name)
{
	return strncmp(name, "x-", 2) == 0 || strncmp(name, "X-", 2) == 0;
}

static int take_word(struct netfs_cli_options *options, const char *text, char why[256])
{
	char name[128];
	size_t n = strcspn(text, "=");
	const char *value = text[n] ? text + n + 1 : "";
	const struct word *word;
	int err;

	if (n == 0 || n >= sizeof(name)) {
		snprintf(why, 256, "option \"%.100s\": no such option", text);
		return text[0] ? -EINVAL : 0;
	}
	memcpy(name, text, n);
	name[n] = '\0';
	if (is_comment(name))
		return 0;
	word = find(name);
	err = word ? take_known(options, word, value, why) : 0;
	if (err < 0 || (!library_knows(name) && (word || options->sloppy)))
		return err;
	return pass_on(options, text, why);
}

int netfs_cli_options_parse(struct netfs_cli_options *options, const char *text, char why[256])
{
	char word[WORD_MAX];
	bool cut;
	int err;

	while ((text = netfs_cli_options_word(text, word, sizeof(word), &cut))) {
		if (cut) {
			snprintf(why, 256, "option %.60s...: too long", word);
			return -EINVAL;
		}
		err = take_word(options, word, why);
		if (err < 0)
			return err;
	}
	return 0;
}
