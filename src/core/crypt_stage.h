/* SPDX-License-Identifier: MIT */
/*
 * Encryption of content: a stage between folios and slices, inside the core
 * only.  Everything here does nothing where the inode has no key.
 *
 *	folios   |pp|pppppppp|pppp..    plain text
 *	            |  ^  |
 *	 cipher     v  |  v             encrypted ahead of the slices, in order;
 *	            |cccccccc|          decrypted in place, or beside the folio
 *	slices     [ 1 ][  2  ][ 3      any length: blocks know nothing of them
 *
 * Uploads are of whole blocks.  A dirty range is grown to the blocks around it;
 * a block that is not all dirty is downloaded first, and the upload is considered
 * again when it is here.  Each segment of an upload gets ciphertext in memory of
 * its own, made by a task, and keeps it until all streams passed: the disk cache
 * and every further attempt send the same bytes.
 *
 * Downloads ask for whole blocks.  What came is decrypted by a task before it
 * becomes valid, in the folio's own memory where the whole block was missing,
 * else in a block of memory beside it.
 *
 * The bytes of a last block depend on its length.  So a file grows from a last
 * block that is not full only after that block was sent anew in its new length;
 * see netfs_crypt_limit().
 *
 * Under the inode's mutex unless said otherwise.
 */
#ifndef CORE_CRYPT_STAGE_H
#define CORE_CRYPT_STAGE_H

#include <base/ranges.h>
#include <core/core_internal.h>
#include <crypt/crypt.h>

/* The file's part of the tweak.  No back end has a value that belongs to a file
 * and stays when the file is copied at the server. */
#define NETFS_CRYPT_TWEAK 0

struct netfs_block;
struct netfs_folio;

/* ---------------------------------------------- downloads, crypt_read.c */

/* What is to be asked for; empty: nothing. */
struct netfs_crypt_piece {
	uint64_t from;
	uint64_t to;
	uint64_t next; /* where to look next */
	bool beside; /* in memory of its own: a part of it is here already */
};

/* What lies in range (from the start of a block), which is inside folio.  Fills
 * in what is known to be zero.  -ENOMEM. */
int netfs_crypt_look(struct netfs_inode *inode, struct netfs_folio *folio,
		     const struct netfs_range *range, struct netfs_crypt_piece *ret_piece);
/* A block comes whole from one place: cuts what a cache has of a run that ends at
 * end; empty: nothing. */
void netfs_crypt_one_place(const struct netfs_inode *inode, uint64_t end, uint64_t *from,
			   uint64_t *to);
/* Where a download goes on at the server that got as far as pos from a cache. */
uint64_t netfs_crypt_again(const struct netfs_inode *inode, uint64_t pos);
/* Puts what is missing of the piece on its way.  -ENOMEM. */
int netfs_crypt_request(struct netfs_request *req, struct netfs_folio *folio,
			const struct netfs_crypt_piece *piece);
/* The head of a download's stream ended. */
void netfs_crypt_read_collect(struct netfs_subrequest *sub, struct netfs_news *news);
/* A download is over. */
void netfs_crypt_read_finish(struct netfs_request *req, struct netfs_news *news);
void netfs_crypt_note_eof(struct netfs_subrequest *sub);

/* ----------------------------------------------- checks, crypt_check.c */

/* May the block of folio be sent, as far as what is not dirty of it goes?  If
 * not it is being read again, and then the upload is considered again. */
bool netfs_crypt_recheck(struct netfs_folio *folio, uint64_t block, struct netfs_news *news);
/* A block was read again and decrypted. */
void netfs_crypt_recheck_settle(struct netfs_request *req);
/* The range was given to an upload, or is forgotten. */
void netfs_crypt_sent(struct netfs_inode *inode, const struct netfs_range *range);
/* An upload or a check of the file ended: what waited for it may be sent. */
void netfs_crypt_stay_fresh(struct netfs_inode *inode);

/* ------------------------------------------------ groups, crypt_group.c */

/* What becomes dirty in folio is of the group of the file's unsent data, or of
 * the newest where there is none. */
void netfs_crypt_join(struct netfs_folio *folio);
/* Has the file unsent data of a group before the newest?  Then a write has to
 * wait for that. */
bool netfs_crypt_older(const struct netfs_inode *inode);
/* May the file's unsent data not be sent yet, because of older groups? */
bool netfs_crypt_closed(const struct netfs_inode *inode);
/* Has the file's data sent, then resumes io; or ends it with an error.  No lock
 * held. */
void netfs_crypt_wait_older(struct netfs_io *io);

/* ----------------------------------------------- uploads, crypt_write.c */

/* Nothing from this position on may be sent yet. */
uint64_t netfs_crypt_limit(struct netfs_inode *inode, struct netfs_news *news);
/* The first stretch of folio from *pos on, below limit, that is dirty and here
 * by whole blocks; *pos moves on.  Asks for the rest of other blocks. */
bool netfs_crypt_next(struct netfs_folio *folio, uint64_t *pos, uint64_t limit,
		      struct netfs_range *ret_range, struct netfs_news *news);
/* A block that is half at the server is lost: a flush waits for all of it. */
void netfs_crypt_whole(const struct netfs_inode *inode, struct netfs_range *range);
/* The same for what arrived of folio and is not dirty there: cuts off what shares
 * a block with dirty bytes, perhaps all. */
void netfs_crypt_whole_clean(const struct netfs_folio *folio, struct netfs_range *range);
/* Adds [from, to), which is valid, to what is dirty.  -ENOMEM. */
int netfs_crypt_dirty(struct netfs_folio *folio, uint64_t from, uint64_t to);
/* An upload of [from, to) ended in failure: the blocks at both ends are dirty as a
 * whole, also where a part arrived or has yet to. */
void netfs_crypt_torn(struct netfs_inode *inode, uint64_t from, uint64_t to);
/* How many segments of the request may be sent. */
unsigned netfs_crypt_ready(const struct netfs_request *req);
/* How much of a run of len bytes at start to offer, most bytes at most: to the
 * end of a block, where that is possible. */
size_t netfs_crypt_trim(const struct netfs_request *req, uint64_t start, size_t len, size_t most);
/* Has the next segments encrypted while those before are on the wire. */
void netfs_crypt_prepare(struct netfs_request *req);
/* Encrypts the next segments; no lock held.  Uses up a reference. */
void netfs_crypt_encrypt_some(struct netfs_request *req);
/* Segments were let go: there may be room for more ciphertext. */
void netfs_crypt_let_go(struct netfs_request *req);

/* -------------------------------------------------------- both, direct */

void netfs_crypt_request_init(struct netfs_request *req);
/* Was it decrypted, where that is to be? */
bool netfs_crypt_passed(const struct netfs_request *req, const struct netfs_seg *seg);
void netfs_crypt_drop_seg(struct netfs_request *req, struct netfs_seg *seg);
/* A download that a change of the size may wait for is over; crypt_resize.c. */
void netfs_crypt_resize_again(struct netfs_inode *inode, int err, struct netfs_news *news);
/* A read past the cache: what is here of the range is sent and forgotten
 * first.  No lock held; crypt_direct.c. */
void netfs_crypt_direct_read(struct netfs_io *io);
/* Before a write past the cache: the rest of its blocks is read anew, because
 * others may have changed it.  No lock held. */
void netfs_crypt_direct_write(struct netfs_io *io);

#endif
