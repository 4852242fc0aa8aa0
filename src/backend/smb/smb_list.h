/* SPDX-License-Identifier: MIT */
/*
 * Lists whose entries begin with the distance to the next one (MS-FSCC 2.4), for
 * the codecs of this folder.
 */
#ifndef SMB_LIST_H
#define SMB_LIST_H

#include "smb_fields.h"
#include "smb_fscc.h"

#define SMB_STEP_MIN 8u /* no entry is shorter */

/* The next entry's bytes, its distance included: 1, 0 at the end, -EPROTO. */
int smb_list_step(struct smb_list *list, struct smb_span *ret_entry);
/* A writer for the entry at a multiple of align, which begins with the distance;
 * writes 4 zero bytes for it. */
void smb_list_begin(struct smb_list_writer *list, size_t align, struct netfs_writer *ret_w);
/* Takes the entry into the list: 0; -EMSGSIZE: it did not fit, nothing changed. */
int smb_list_end(struct smb_list_writer *list, size_t align, const struct netfs_writer *w);

#endif
