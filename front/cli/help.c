/* SPDX-License-Identifier: MIT */
/*
 * The help and the manual page, both from the table of verbs and the tables of
 * options, so that they cannot say anything else than the program does.
 */
#include <stdio.h>
#include <string.h>
#include <unetfs/unetfs.h>
#include "cli.h"
#include "options.h"

const struct netfs_cli_flag netfs_cli_help_flags[] = {
	{"--man", "the whole manual page, in mdoc"},
	{NULL, NULL},
};

/* ---------------------------------------------------------------- help */

static void help_flags(const struct netfs_cli_flag *flags)
{
	for (; flags && flags->flag; flags++)
		printf("      %-14s %s\n", flags->flag, flags->meaning);
}

static void help_options(void)
{
	const struct netfs_cli_option_help *own;
	const struct netfs_option_help *help;
	const char *scheme = "";

	printf("\nOptions of every mount (-o):\n");
	for (own = netfs_cli_option_help; own->name; own++)
		printf("  %-22s %s\n", own->name, own->meaning);
	for (help = netfs_option_help(); help->name; help++) {
		if (strcmp(scheme, help->scheme) != 0)
			printf("\nOptions of %s: sources:\n", help->scheme);
		scheme = help->scheme;
		printf("  %-22s %s\n", help->name, help->meaning);
	}
}

static void help_all(void)
{
	const struct netfs_cli_verb *verb;

	printf("unetfs %s: network file systems, mounted from user space\n\n", NETFS_VERSION);
	for (verb = netfs_cli_verbs; verb->name; verb++) {
		printf("  unetfs %s %s\n      %s\n", verb->name, verb->arguments, verb->summary);
		help_flags(verb->flags);
	}
	printf("  unetfs --version\n");
	help_options();
	printf("\nThe manual: man unetfs.  Exit codes are those of mount(8).\n");
}

static void help_verb(const struct netfs_cli_verb *verb)
{
	printf("unetfs %s %s\n%s\n", verb->name, verb->arguments, verb->text);
	help_flags(verb->flags);
	if (verb->run == netfs_cli_mount)
		help_options();
}

/* ---------------------------------------------------------------- mdoc */

/* Text of a manual: a backslash is written \e, and a line must not begin with
 * a dot or a quote. */
static void man_text(const char *text)
{
	if (*text == '.' || *text == '\'')
		printf("\\&");
	for (; *text; text++) {
		if (*text == '\\')
			printf("\\e");
		else
			putchar(*text);
		if (*text == '\n' && (text[1] == '.' || text[1] == '\''))
			printf("\\&");
	}
	putchar('\n');
}

static void man_item(const char *name, const char *meaning)
{
	printf(".It \"");
	for (; *name; name++)
		printf(*name == '-' ? "\\-" : "%c", *name);
	printf("\"\n");
	man_text(meaning);
}

static void man_verbs(void)
{
	const struct netfs_cli_verb *verb;

	printf(".Sh COMMANDS\n.Bl -tag -width Ds\n");
	for (verb = netfs_cli_verbs; verb->name; verb++) {
		printf(".It Cm %s ", verb->name);
		man_text(verb->arguments);
		man_text(verb->text);
		if (!verb->flags || !verb->flags->flag)
			continue;
		printf(".Bl -tag -width Ds\n");
		for (const struct netfs_cli_flag *flag = verb->flags; flag->flag; flag++)
			man_item(flag->flag, flag->meaning);
		printf(".El\n");
	}
	printf(".El\n");
}

static void man_options(void)
{
	const struct netfs_cli_option_help *own;
	const struct netfs_option_help *help;
	const char *scheme = "";

	printf(".Sh MOUNT OPTIONS\n.Bl -tag -width Ds\n");
	for (own = netfs_cli_option_help; own->name; own++)
		man_item(own->name, own->meaning);
	for (help = netfs_option_help(); help->name; help++) {
		if (strcmp(scheme, help->scheme) != 0)
			printf(".El\n.Ss Options of %s: sources\n.Bl -tag -width Ds\n",
			       help->scheme);
		scheme = help->scheme;
		man_item(help->name, help->meaning);
	}
	printf(".El\n.Pp\n");
	man_text("Words of fstab (auto, noauto, nofail, _netdev, user, users, defaults, comment, "
		 "x-*) are accepted and left to mount(8) and systemd.\n"
		 "A comma inside a value is written \\, or the value stands in double quotes.\n"
		 "Passwords are refused on a command line.");
}

static const char man_head[] = ".Dd November 22, 2026\n.Dt UNETFS 1\n.Os\n.Sh NAME\n.Nm unetfs\n"
			       ".Nd network file systems, mounted from user space\n.Sh SYNOPSIS\n";

static const char man_description[] =
	".Sh DESCRIPTION\n"
	".Nm\n"
	"shows a share of a server, or a directory, as part of the tree of files.\n"
	"It keeps file data and names in memory, reads ahead, gathers writes and sends them in\n"
	"parallel, and sends everything before a mount ends.\n"
	".Pp\n"
	"A source is\n"
	".Ar 9p://host[:port]/aname ,\n"
	".Ar 9p:///path/to/socket\n"
	"with\n"
	".Fl o Cm trans=unix ,\n"
	".Ar dir:/path ,\n"
	"or\n"
	".Ar mem:\n"
	"for an empty share in memory.\n"
	".Pp\n"
	"Linked as\n"
	".Pa /sbin/mount.unetfs\n"
	"it is the helper of\n"
	".Xr mount 8 :\n"
	".Dl 9p://server/export /mnt unetfs _netdev,cache=loose 0 0\n";

static const char man_tail[] =
	".Sh SIGNALS\n"
	"The process of a mount takes\n"
	".Dv SIGTERM\n"
	"and\n"
	".Dv SIGINT\n"
	"as an order to unmount and to send what is unsent; a second one gives the rest up and\n"
	"says how much it was.\n"
	".Dv SIGHUP\n"
	"is ignored.\n"
	"When the process dies otherwise, a small second process ends the connection and takes\n"
	"the mount away, so that no program hangs.\n"
	".Sh FILES\n"
	".Bl -tag -width Ds\n"
	".It Pa /run/unetfs , $XDG_RUNTIME_DIR/unetfs\n"
	"Sockets by which running mounts are asked, of root and of others.\n"
	".El\n"
	".Sh EXIT STATUS\n"
	"As\n"
	".Xr mount 8 :\n"
	"0 success, 1 wrong use or not permitted, 2 system error, 32 the mount or unmount\n"
	"failed.\n"
	".Sh SEE ALSO\n"
	".Xr fusermount3 1 ,\n"
	".Xr fuse 4 ,\n"
	".Xr mount 8\n";

static void man_all(void)
{
	const struct netfs_cli_verb *verb;

	fputs(man_head, stdout);
	for (verb = netfs_cli_verbs; verb->name; verb++) {
		printf(".Nm\n.Cm %s\n", verb->name);
		man_text(verb->arguments);
	}
	fputs(man_description, stdout);
	man_verbs();
	man_options();
	fputs(man_tail, stdout);
}

int netfs_cli_help(int argc, char **argv)
{
	const struct netfs_cli_verb *verb;

	if (argc < 2) {
		help_all();
	} else if (strcmp(argv[1], "--man") == 0) {
		man_all();
	} else {
		verb = netfs_cli_verb_find(argv[1]);
		if (!verb)
			return netfs_cli_usage(NULL, "no command \"%s\"", argv[1]);
		help_verb(verb);
	}
	return fflush(stdout) == 0 ? NETFS_CLI_OK : NETFS_CLI_SYSTEM;
}
