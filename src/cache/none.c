/* SPDX-License-Identifier: MIT */
/*
 * The door of the folder where there is no disk a catalogue could be on: in the
 * simulated machine.
 *
 * Locks: none.
 */
#include <errno.h>
#include <stdio.h>
#include <cache/cache.h>
#include <cache/namestore.h>

int netfs_cache_open(const struct netfs_cache_config *config, struct netfs_cache **ret_cache,
		     char *message, size_t message_size)
{
	snprintf(message, message_size, "there is no disk cache on this machine");
	return -EOPNOTSUPP;
}

/* There never was one. */
void netfs_cache_close(struct netfs_cache *cache)
{
}

int netfs_namestore_open(const struct netfs_namestore_config *config,
			 struct netfs_namestore **ret_store, char *message, size_t message_size)
{
	snprintf(message, message_size, "there is no disk cache on this machine");
	return -EOPNOTSUPP;
}

void netfs_namestore_close(struct netfs_namestore *store, void (*closed)(void *user), void *user)
{
}

bool netfs_namestore_share(struct netfs_namestore *store, struct netfs_name_share *ret_share,
			   struct netfs_attr *ret_root)
{
	return false;
}

uint64_t netfs_namestore_count(struct netfs_namestore *store)
{
	return 0;
}

uint64_t netfs_namestore_now(struct netfs_namestore *store)
{
	return 0;
}

void netfs_namestore_tell(struct netfs_namestore *store, const struct netfs_note *note)
{
}

void netfs_namestore_ask(struct netfs_namestore *store, struct netfs_note *note)
{
	note->done(note, -EHOSTDOWN);
}

bool netfs_note_add_entry(char *text, size_t size, size_t *len, const struct netfs_dirent *entry)
{
	return false;
}

bool netfs_note_next_entry(const char *text, size_t len, size_t *at, struct netfs_dirent *ret_entry)
{
	return false;
}
