/* SPDX-License-Identifier: MIT */
/*
 * Sockets and records of running mounts.
 *
 * The name is a hash of the mount point's path and the minor number of the
 * mount: a mount that was taken out of the tree and still sends its data, and
 * the next one at the same place, have different ones.  The folder is of mode
 * 0700 and must be ours: nobody else can put a socket there.
 */
#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "runtime.h"

#define DIR_SIZE 80

static void folder_name(char dir[DIR_SIZE])
{
	const char *base = getenv("XDG_RUNTIME_DIR");
	char run[48];

	snprintf(run, sizeof(run), "/run/user/%u", getuid());
	if (geteuid() == 0)
		snprintf(dir, DIR_SIZE, "/run/unetfs");
	else if (base && base[0] == '/' && strlen(base) < 60)
		snprintf(dir, DIR_SIZE, "%.60s/unetfs", base);
	else if (access(run, W_OK) == 0)
		snprintf(dir, DIR_SIZE, "%s/unetfs", run);
	else
		snprintf(dir, DIR_SIZE, "/tmp/unetfs-%u", getuid());
}

/* The folder may be one that somebody prepared for us: look before trusting. */
static int folder_make(const char *dir)
{
	struct stat st;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return -errno;
	if (lstat(dir, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022))
		return -EPERM;
	return 0;
}

/* FNV-1a: names need to differ, not to be secret. */
static uint64_t hash(const char *text)
{
	uint64_t sum = UINT64_C(0xcbf29ce484222325);

	for (; *text; text++)
		sum = (sum ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	return sum;
}

static void key(const char *mount_point, uint32_t minor, char name[48])
{
	snprintf(name, 48, "%016llx-%u.sock", (unsigned long long)hash(mount_point), minor);
}

int netfs_cli_runtime_path(const char *mount_point, uint32_t minor,
			   char path[NETFS_CLI_SOCKET_SIZE])
{
	char dir[DIR_SIZE], name[48];
	int err;

	folder_name(dir);
	err = folder_make(dir);
	if (err < 0)
		return err;
	key(mount_point, minor, name);
	if ((size_t)snprintf(path, NETFS_CLI_SOCKET_SIZE, "%.50s/%s", dir, name) >=
	    NETFS_CLI_SOCKET_SIZE)
		return -ENAMETOOLONG;
	return 0;
}

/* x.sock becomes x.mount. */
static void record_path(const char *socket, char *path, size_t size)
{
	size_t n = strlen(socket);

	n = n > strlen(".sock") ? n - strlen(".sock") : 0;
	if (n > size - sizeof(".mount"))
		n = size - sizeof(".mount");
	memcpy(path, socket, n);
	memcpy(path + n, ".mount", sizeof(".mount"));
}

/* A record is lines of "word value"; a newline in a value is "\n". */
static void put_line(FILE *file, const char *word, const char *value)
{
	fprintf(file, "%s ", word);
	for (; *value; value++) {
		if (*value == '\n' || *value == '\\')
			fprintf(file, "\\%c", *value == '\n' ? 'n' : '\\');
		else
			fputc(*value, file);
	}
	fputc('\n', file);
}

int netfs_cli_runtime_write(const struct netfs_cli_record *record)
{
	char path[160];
	FILE *file;

	record_path(record->socket, path, sizeof(path));
	file = fopen(path, "we");
	if (!file)
		return -errno;
	put_line(file, "mount_point", record->mount_point);
	put_line(file, "source", record->source);
	fprintf(file, "pid %d\n", record->pid);
	return fclose(file) == 0 ? 0 : -errno;
}

void netfs_cli_runtime_remove(const char *socket)
{
	char path[160];

	record_path(socket, path, sizeof(path));
	unlink(path);
	unlink(socket);
}

static void take_line(const char *value, char *out, size_t size)
{
	size_t n = 0;

	for (; *value && *value != '\n' && n + 1 < size; value++) {
		char c = *value;

		if (c == '\\' && value[1])
			c = *++value == 'n' ? '\n' : *value;
		out[n++] = c;
	}
	out[n] = '\0';
}

static bool read_record(const char *socket, struct netfs_cli_record *ret_record)
{
	char path[160], line[2 * PATH_MAX];
	FILE *file;

	memset(ret_record, 0, sizeof(*ret_record));
	snprintf(ret_record->socket, sizeof(ret_record->socket), "%.100s", socket);
	record_path(socket, path, sizeof(path));
	file = fopen(path, "re");
	if (!file)
		return false;
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, "mount_point ", 12) == 0)
			take_line(line + 12, ret_record->mount_point,
				  sizeof(ret_record->mount_point));
		else if (strncmp(line, "source ", 7) == 0)
			take_line(line + 7, ret_record->source, sizeof(ret_record->source));
		else if (strncmp(line, "pid ", 4) == 0)
			ret_record->pid = atoi(line + 4);
	}
	fclose(file);
	return ret_record->mount_point[0] == '/';
}

static void each_in(const char *pattern,
		    bool (*fn)(void *user, const struct netfs_cli_record *record), void *user)
{
	struct netfs_cli_record record;
	glob_t found;

	if (glob(pattern, GLOB_NOSORT, NULL, &found) != 0)
		return;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		size_t n = strlen(found.gl_pathv[i]);
		char socket[NETFS_CLI_SOCKET_SIZE];

		if (n < 7 || n >= sizeof(socket))
			continue;
		snprintf(socket, sizeof(socket), "%.*s.sock", (int)n - 6, found.gl_pathv[i]);
		if (read_record(socket, &record) && !fn(user, &record))
			break;
	}
	globfree(&found);
}

void netfs_cli_runtime_each(bool (*fn)(void *user, const struct netfs_cli_record *record),
			    void *user)
{
	char dir[DIR_SIZE], pattern[DIR_SIZE + 16];

	folder_name(dir);
	snprintf(pattern, sizeof(pattern), "%s/*.mount", dir);
	each_in(pattern, fn, user);
	/* Root sees everybody's mounts.  What such a socket says is text of that
	 * user and is only shown; folders that any user can make are left out. */
	if (geteuid() != 0)
		return;
	each_in("/run/user/*/unetfs/*.mount", fn, user);
}

struct search {
	char name[48];
	const char *mount_point;
	struct netfs_cli_record *record;
	bool found;
};

static bool match(void *user, const struct netfs_cli_record *record)
{
	struct search *search = user;
	const char *name = strrchr(record->socket, '/');

	if (!name || strcmp(name + 1, search->name) != 0 ||
	    strcmp(record->mount_point, search->mount_point) != 0)
		return true;
	*search->record = *record;
	search->found = true;
	return false;
}

int netfs_cli_runtime_find(const char *mount_point, uint32_t minor,
			   struct netfs_cli_record *ret_record)
{
	struct search search = {.mount_point = mount_point, .record = ret_record};

	key(mount_point, minor, search.name);
	netfs_cli_runtime_each(match, &search);
	return search.found ? 0 : -ENOENT;
}

int netfs_cli_path(const char *dir, char path[PATH_MAX])
{
	char copy[PATH_MAX], parent[PATH_MAX];
	const char *last;
	char *slash;
	size_t n = strlen(dir);

	while (n > 1 && dir[n - 1] == '/')
		n--;
	if (n == 0 || n >= sizeof(copy))
		return n ? -ENAMETOOLONG : -ENOENT;
	memcpy(copy, dir, n);
	copy[n] = '\0';
	slash = strrchr(copy, '/');
	last = slash ? slash + 1 : copy;
	if (!*last || strcmp(last, ".") == 0 || strcmp(last, "..") == 0)
		return realpath(copy, path) ? 0 : -errno;
	if (slash)
		*slash = '\0';
	if (!realpath(!slash ? "." : copy[0] ? copy : "/", parent))
		return -errno;
	n = (size_t)snprintf(path, PATH_MAX, "%.*s/%.*s", PATH_MAX - 300,
			     strcmp(parent, "/") == 0 ? "" : parent, 255, last);
	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}
