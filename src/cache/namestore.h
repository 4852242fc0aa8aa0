/* SPDX-License-Identifier: MIT */
/*
 * What a mount knows of the names and attributes of its share, kept in the cache's
 * folder: directories, what their entries lead to, how that looked when the server
 * told last.  Read by a mount whose server is away.  doc/cache-format.md has the
 * format.
 *
 * It is told with notes and asked with questions, which one worker works through in
 * their order.  Nothing here delays who tells or asks.  What was told within the last
 * second is lost with the process, somewhat more with the machine's power; what is
 * damaged was never told.
 *
 * Functions may be called from any thread, with locks of higher rank held, and do not
 * block unless it is said.
 */
#ifndef CACHE_NAMESTORE_H
#define CACHE_NAMESTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <base/list.h>
#include <unetfs/backend.h>

struct netfs_namestore;

/* Only read by netfs_namestore_open(). */
struct netfs_namestore_config {
	const char *folder; /* the cache's, an absolute path */
	const char *volume; /* what names the share, and whose eyes see it */
	const uint8_t *secret; /* what it is sealed with; NULL: it is not */
	size_t secret_len;
	uint64_t rows; /* names, and objects, it may keep; 0: the usual */
};

/* As in struct netfs_attr. */
struct netfs_name_id {
	uint64_t ino;
	uint64_t gen;
};

/* What a mount must know before it has met the server. */
struct netfs_name_share {
	struct netfs_name_id root;
	uint64_t functions; /* the owner's: what the server can do */
	uint32_t caps; /* the next five as in struct netfs_be */
	uint32_t rsize;
	uint32_t wsize;
	uint32_t depth;
	uint32_t granule;
};

enum netfs_note_kind {
	/* Notes. */
	NETFS_NOTE_SHARE, /* share */
	NETFS_NOTE_SPACE, /* statfs */
	NETFS_NOTE_ENTRY, /* name in id leads to what attr is of */
	NETFS_NOTE_GONE, /* name in id leads nowhere */
	NETFS_NOTE_UNSURE, /* nobody knows whether and where to name in id leads */
	NETFS_NOTE_MOVED, /* name in id is to_name in to now; flag: exchanged */
	NETFS_NOTE_ATTR, /* attr */
	NETFS_NOTE_LOST, /* there is no id any more */
	NETFS_NOTE_TARGET, /* the link id leads to text */
	NETFS_NOTE_LISTED, /* id has the entries in text; flag: and since since no others */
	NETFS_NOTE_EMPTY, /* nothing is in id, which was just made */
	/* Questions.  -EHOSTDOWN: nobody knows. */
	NETFS_ASK_NAME_ENTRY, /* attr of name in id; -ENOENT: it is known that there is none */
	NETFS_ASK_NAME_ATTR, /* attr of id */
	NETFS_ASK_NAME_TARGET, /* text, text_len: where the link id leads to */
	/* text, text_len: entries of id from cookie on; flag: none follow. */
	NETFS_ASK_NAME_LIST,
	NETFS_ASK_NAME_SPACE, /* statfs */
};

/* Which fields count follows from kind. */
struct netfs_note {
	struct netfs_list link; /* the store's */
	enum netfs_note_kind kind;
	bool flag;
	bool ours; /* of a change of ours: all that is known is wrong without it */
	/* A question: called once, by the worker, with no lock held. */
	void (*done)(struct netfs_note *note, int err);
	struct netfs_name_id id;
	struct netfs_name_id to;
	const char *name; /* at most NETFS_NAME_MAX bytes */
	const char *to_name;
	uint64_t since; /* netfs_namestore_now() when a listing began */
	uint64_t cookie;
	char *text; /* room for the answer, or bytes that are told */
	size_t text_size; /* of the room */
	size_t text_len;
	union {
		struct netfs_attr attr;
		struct netfs_statfs statfs;
		struct netfs_name_share share;
	};
	uint64_t seq; /* the store's */
};

/* Blocking.  What is there and damaged, or of another key, is dropped.  message says
 * what is wrong, in one line.  -EPERM, -EMEDIUMTYPE: of another format, -ENOMEM, -EIO. */
int netfs_namestore_open(const struct netfs_namestore_config *config,
			 struct netfs_namestore **ret_store, char *message, size_t message_size);
/* No question is on its way.  closed(), which may be NULL, follows when what was told
 * is written; never before this returns.  NULL for store is allowed: then it is not
 * called. */
void netfs_namestore_close(struct netfs_namestore *store, void (*closed)(void *user), void *user);
/* What the last mount told of the share, and the attributes of its root.  False:
 * there was none, or it was damaged.  Right after it was opened. */
bool netfs_namestore_share(struct netfs_namestore *store, struct netfs_name_share *ret_share,
			   struct netfs_attr *ret_root);
/* Names in it, about. */
uint64_t netfs_namestore_count(struct netfs_namestore *store);
/* A moment in the order of notes. */
uint64_t netfs_namestore_now(struct netfs_namestore *store);

/* Copied.  Where there is no memory it was not told. */
void netfs_namestore_tell(struct netfs_namestore *store, const struct netfs_note *note);
/* The caller's until done. */
void netfs_namestore_ask(struct netfs_namestore *store, struct netfs_note *note);

/* Entries in a text: one is added where there is room, and the next is taken from
 * *at on.  False: there is none. */
bool netfs_note_add_entry(char *text, size_t size, size_t *len, const struct netfs_dirent *entry);
bool netfs_note_next_entry(const char *text, size_t len, size_t *at,
			   struct netfs_dirent *ret_entry);
/* Bytes of a text that any entry fits into. */
#define NETFS_NOTE_ENTRY_MAX (24 + NETFS_NAME_MAX)

#endif
