/* SPDX-License-Identifier: MIT */
/*
 * A cache folder: a catalogue and one file per object.  doc/cache-format.md
 * says what is in it.
 *
 * Every function here may block, and a store is used by one thread at a time.
 * Other processes may use the folder meanwhile.
 */
#ifndef CACHE_STORE_STORE_H
#define CACHE_STORE_STORE_H

#include <sys/types.h>
#include <cache/store/map.h>
#include <cache/store/seal.h>

#define NETFS_STORE_FORMAT 4
/* A folder and the name: "01/234567..." */
#define NETFS_STORE_NAME 40
/* What tells two versions of a file apart, as bytes that are only compared. */
#define NETFS_STORE_VERSION 8

struct netfs_store;

/* Which object: of which volume, and the catalogue's numbers of the file; see
 * netfs_store_key(). */
struct netfs_store_key {
	int64_t volume;
	uint64_t ino;
	uint64_t gen;
};

/* An object that is open here, and locked against every other user of the
 * folder.  Zero is none. */
struct netfs_store_object {
	struct netfs_store_key key;
	bool open;
	int fd; /* for data I/O, while open */
	uint8_t version[NETFS_STORE_VERSION]; /* what the data is of */
	struct netfs_map map;
	uint64_t counted; /* bytes of it in the totals of the catalogue */
	/* How often it was used, bounded, and which objects go before it: those of
	 * lower rank.  The owner's, and recorded. */
	uint8_t uses;
	uint64_t rank;
	bool pinned; /* goes last; recorded */
	bool exposed; /* see netfs_store_expose(); the file says so */
	struct netfs_seal_key seal; /* of a sealed one; else zero */
};

/* Neither uses nor a rank is more. */
#define NETFS_STORE_USES 8
#define NETFS_STORE_RANK (UINT64_C(1) << 62)

struct netfs_store_space {
	uint64_t bytes; /* of data in the folder, by the catalogue */
	uint64_t objects;
	uint64_t clock; /* what ranks are measured on: bytes ever stored, about */
	uint64_t disk_bytes; /* the file system: all, and those to be had */
	uint64_t disk_free;
	uint64_t disk_files;
	uint64_t disk_files_free;
};

/* path is absolute; the folder is made where it is missing.  A catalogue of
 * another format is dropped with all objects.  only: nothing is made or
 * dropped, -ENOENT and -EUCLEAN say so.  -EPERM: the folder is not ours
 * alone; message then says so in a line.  NULL message is allowed. */
int netfs_store_open(const char *path, bool only, struct netfs_store **ret_store, char *message,
		     size_t message_size);
void netfs_store_close(struct netfs_store *store);
/* Volumes asked for from now on are sealed with keys made of that secret, which is
 * not needed any longer; and what others sealed with it can be loaded.  Once, and
 * before anything else.  -ENOMEM, -EIO. */
int netfs_store_seal(struct netfs_store *store, const uint8_t *secret, size_t len);
/* The number of the volume with that key, which is made where it is missing.
 * The last one asked for is made again in a catalogue that had to be made anew. */
int netfs_store_volume(struct netfs_store *store, const char *key, int64_t *ret_volume);
/* The object of a file of the volume that was asked for last: the server's numbers
 * in a plain one, which do not appear in a sealed one.  -ENOMEM, -EIO. */
int netfs_store_key(const struct netfs_store *store, uint64_t ino, uint64_t gen,
		    struct netfs_store_key *ret_key);

/* What follows is one transaction until end: all of it stays, or nothing.  Where
 * the catalogue was found damaged since (-EUCLEAN from any function here), it is
 * first made anew. */
int netfs_store_begin(struct netfs_store *store);
int netfs_store_end(struct netfs_store *store);
/* Opens the object, with what the catalogue has of it; the file is made where
 * it is missing.  -EBUSY: another user of the folder has it; -EUCLEAN: there is
 * something that is not ours in its place; -ENOKEY: it is sealed with a key that
 * we do not have. */
int netfs_store_load(struct netfs_store *store, const struct netfs_store_key *key,
		     struct netfs_store_object *ret_object);
/* Forgets all data of an open object, in the catalogue and on the disk. */
int netfs_store_clear(struct netfs_store *store, struct netfs_store_object *object);
/* An object without a record gets one that says nothing, so that its file is
 * found again if it is never saved. */
int netfs_store_announce(struct netfs_store *store, struct netfs_store_object *object);
/* Records version, map and rank.  Its data was written before.  What it holds and
 * is not there becomes a hole first. */
int netfs_store_save(struct netfs_store *store, struct netfs_store_object *object);
/* The bytes of a block of an open object, which is there: how many.  -EILSEQ:
 * they are not those that were stored, and buf is to be forgotten. */
ssize_t netfs_store_read(const struct netfs_store_object *object, uint64_t block,
			 uint8_t buf[NETFS_MAP_BLOCK]);
/* All bytes of a block that is there, as the disk has them, become in place what was
 * stored.  -EILSEQ: they are not that, and are to be forgotten. */
int netfs_store_prove(const struct netfs_store_object *object, uint64_t block, uint8_t *bytes);
/* Gives the disk back what an open object has in [start, end), whole blocks, of
 * which nothing is in its map any more.  What was recorded of it does not fit its
 * checksums from then on.  Not of one that is exposed. */
int netfs_store_punch(const struct netfs_store_object *object, uint64_t start, uint64_t end);
/* What tells whether somebody changed a file since. */
struct netfs_store_stamp {
	uint64_t number;
	uint64_t size;
	uint64_t mtime_ns;
	uint64_t ctime_ns;
};

int netfs_store_stamp(const struct netfs_store_object *object, struct netfs_store_stamp *ret_stamp);
/*
 * Others may read the file of an open object by themselves from now on, and for longer
 * than anybody here knows: who mapped it keeps it without having it open.  So nothing of
 * it becomes a hole any more, by whomever; it goes as a whole, and something else in its
 * place is another file.
 */
int netfs_store_expose(struct netfs_store_object *object);
/* Records whether it is pinned, and nothing else; it has a record. */
int netfs_store_pin(struct netfs_store *store, const struct netfs_store_object *object);
/* Removes it from catalogue and folder. */
int netfs_store_remove(struct netfs_store *store, struct netfs_store_object *object);
/* Closes the object and frees what is in it.  Not before the end of the
 * transaction that saved it. */
void netfs_store_release(struct netfs_store_object *object);

/* One object of the catalogue, as a walk finds it. */
struct netfs_store_entry {
	struct netfs_store_key key;
	/* Where the walk is: */
	bool pinned; /* is not to be culled */
	int64_t rank;
	int64_t id;
	int64_t used; /* milliseconds since 1970 */
	uint64_t bytes;
	char volume[512]; /* its key, cut short where it is longer */
	char name[NETFS_STORE_NAME]; /* of its file */
};

/* The next one, those that are culled first before others: 1, 0 at the end, or a
 * negative errno.  Only pinned, rank and id are read; an id of 0 comes before all. */
int netfs_store_next(struct netfs_store *store, struct netfs_store_entry *entry);
/* The name of an object's file. */
int netfs_store_name(struct netfs_store *store, const struct netfs_store_key *key,
		     char name[NETFS_STORE_NAME]);
/* Removes it (key and name), in a transaction of its own.  -EBUSY: somebody uses it. */
int netfs_store_evict(struct netfs_store *store, const struct netfs_store_entry *entry);
int netfs_store_space(struct netfs_store *store, struct netfs_store_space *ret_space);
/* The clock is that at least. */
int netfs_store_tick(struct netfs_store *store, uint64_t clock);

/* One walk of culling.  Zero is its start. */
struct netfs_store_cull {
	struct netfs_store_entry at;
	bool over; /* there are no more */
	uint64_t freed; /* bytes that went, and objects */
	uint64_t gone;
	uint64_t busy_bytes; /* of objects that are in use or pinned */
	uint64_t busy;
	uint64_t pins_max; /* the caller's: pinned ones go while they are more bytes */
	uint64_t pins; /* bytes of them, once the walk came there */
	bool pins_known;
};

/* Goes on removing objects of a rank below that which nobody uses, the lowest
 * first, and pinned ones last, until the walk has freed that many bytes and objects.  Of
 * a large one only as much as is wanted, from its end.  Each in a transaction of its
 * own. */
int netfs_store_cull(struct netfs_store *store, struct netfs_store_cull *cull, uint64_t rank,
		     uint64_t bytes, uint64_t objects);
/* Removes what is left of objects that were begun and never saved, and that
 * nobody uses.  Likewise. */
int netfs_store_sweep(struct netfs_store *store);

#endif
