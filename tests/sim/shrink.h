/* SPDX-License-Identifier: MIT */
/* Cutting a failed run down to what makes it fail, and running such a rest. */
#ifndef TESTS_SIM_SHRINK_H
#define TESTS_SIM_SHRINK_H

#include "world.h"

/* Repeats the failed run with fewer and fewer operations and kinds of fault for
 * at most so many seconds, prints what is left and writes it to a file. */
void shrink(const struct world_options *failed, unsigned seconds);
/* One word about how a seed is run: quick, calm, encrypt, plain.  -EINVAL. */
int shrink_read_word(const char *word, struct world_options *world);
/* Reads such a file.  The list in ret_world is the caller's from malloc(). */
int shrink_read(const char *path, struct world_options *ret_world);

#endif
