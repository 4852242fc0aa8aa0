/* SPDX-License-Identifier: MIT */
/* The layouts of messages, for the codec and the printer. */
#ifndef SMB_LAYOUT_H
#define SMB_LAYOUT_H

#include "smb_fields.h"

#define SMB_FIELDS_MAX 15

struct smb_layout {
	const char *name;
	uint16_t structure_size; /* odd: at least one byte of buffers follows */
	struct smb_field field[SMB_FIELDS_MAX + 1];
};

/* NULL where kind is no message. */
const struct smb_layout *smb_layout_of(uint8_t kind);

#endif
