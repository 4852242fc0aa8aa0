/* SPDX-License-Identifier: MIT */
/*
 * The words of FUSE passthrough.
 *
 * The greeting and its answer carry 64 feature bits, the upper ones in a second word that
 * counts where EXTENDED is set in the first.  Messages are of the host's byte order.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include "pass_abi.h"

/* Opcode of the greeting, and the bits of it that are of interest. */
#define OPCODE_INIT	 26
#define INIT_EXTENDED	 (1u << 30) /* of flags: flags2 is there */
#define INIT_PASSTHROUGH (1u << 5) /* of flags2: bit 37 of all */
/* Backing files are on file systems that stand on no other; ours may be below one more. */
#define STACK_DEPTH 1

struct request_header {
	uint32_t len;
	uint32_t opcode;
	uint64_t unique;
	uint64_t nodeid;
	uint32_t uid;
	uint32_t gid;
	uint32_t pid;
	uint32_t padding;
};

struct init_request {
	struct request_header header;
	uint32_t major;
	uint32_t minor;
	uint32_t max_readahead;
	uint32_t flags;
	uint32_t flags2;
};

struct answer_header {
	uint32_t len;
	int32_t error;
	uint64_t unique;
};

struct init_answer {
	uint32_t major;
	uint32_t minor;
	uint32_t max_readahead;
	uint32_t flags;
	uint16_t max_background;
	uint16_t congestion_threshold;
	uint32_t max_write;
	uint32_t time_gran;
	uint16_t max_pages;
	uint16_t map_alignment;
	uint32_t flags2;
	uint32_t max_stack_depth;
	uint32_t unused[6];
};

struct backing_map {
	int32_t fd;
	uint32_t flags;
	uint64_t padding;
};

#define IOC_BACKING_OPEN  _IOW(229, 1, struct backing_map)
#define IOC_BACKING_CLOSE _IOW(229, 2, uint32_t)

_Static_assert(sizeof(struct init_answer) == 64, "the layout is the kernel's");
_Static_assert(sizeof(struct netfs_pass_open) == 16, "the layout is the kernel's");

bool netfs_pass_greeting(const void *request, size_t len, uint64_t *ret_unique, bool *ret_offered)
{
	struct init_request init = {0};

	if (len < sizeof(init.header))
		return false;
	memcpy(&init, request, len < sizeof(init) ? len : sizeof(init));
	if (init.header.opcode != OPCODE_INIT)
		return false;
	*ret_unique = init.header.unique;
	*ret_offered = len >= offsetof(struct init_request, flags2) + sizeof(init.flags2) &&
		       (init.flags & INIT_EXTENDED) && (init.flags2 & INIT_PASSTHROUGH);
	return true;
}

bool netfs_pass_accept(const struct iovec *answer, int niov, uint64_t unique)
{
	struct answer_header header;
	struct init_answer init;

	if (niov < 2 || answer[0].iov_len != sizeof(header) || answer[1].iov_len != sizeof(init))
		return false;
	memcpy(&header, answer[0].iov_base, sizeof(header));
	if (header.unique != unique || header.error)
		return false;
	memcpy(&init, answer[1].iov_base, sizeof(init));
	init.flags |= INIT_EXTENDED;
	init.flags2 |= INIT_PASSTHROUGH;
	init.max_stack_depth = STACK_DEPTH;
	memcpy(answer[1].iov_base, &init, sizeof(init));
	return true;
}

int netfs_pass_backing_open(int device, int fd)
{
	struct backing_map map = {.fd = fd};
	int id = ioctl(device, IOC_BACKING_OPEN, &map);

	return id < 0 ? -errno : id;
}

void netfs_pass_backing_close(int device, int backing_id)
{
	uint32_t id = (uint32_t)backing_id;

	ioctl(device, IOC_BACKING_CLOSE, &id);
}
