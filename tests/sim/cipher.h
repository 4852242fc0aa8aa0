/* SPDX-License-Identifier: MIT */
/*
 * Runs whose mounts encrypt content: the server's bytes are ciphertext, and
 * whoever looks at them behind the clients' backs has to decrypt them.
 */
#ifndef TESTS_SIM_CIPHER_H
#define TESTS_SIM_CIPHER_H

#include <stdbool.h>
#include <stdint.h>
#include "tree.h"

#define CIPHER_OPTION ",encrypt=/key"

struct netfs_crypt;
struct world;
struct world_options;

enum cipher_choice {
	CIPHER_DRAWN, /* the seed says */
	CIPHER_ON,
	CIPHER_OFF,
};

struct cipher {
	bool on;
	struct netfs_crypt *crypt; /* NULL before the first mount */
	uint8_t *plain; /* what was decrypted last */
};

/* Does a run with these options encrypt? */
bool cipher_wanted(const struct world_options *options);
/* After the first mount, which told the share what its key is. */
void cipher_start(struct world *world);
void cipher_done(struct world *world);
/* What [start, start + len) of the image, which ends inside it, means: the byte at
 * start and those behind it, until the next call. */
const uint8_t *cipher_plain(struct world *world, const struct image *image, uint64_t start,
			    uint64_t len);

#endif
