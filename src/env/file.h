/* SPDX-License-Identifier: MIT */
/*
 * Files of this machine: asynchronous data I/O, by io_uring where the kernel
 * has it, else by pool threads.
 */
#ifndef ENV_FILE_H
#define ENV_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include <env/executor.h>

enum netfs_fio_kind {
	NETFS_FIO_READ,
	NETFS_FIO_WRITE,
	NETFS_FIO_FSYNC,
	NETFS_FIO_FDATASYNC,
};

/* One transfer in flight; the caller's, until done() from an executor thread. */
struct netfs_fio {
	enum netfs_fio_kind kind;
	int fd;
	uint64_t start;
	const struct iovec *iov; /* at most 1024 */
	unsigned niov;
	/* result: bytes moved or negative errno. */
	void (*done)(struct netfs_fio *fio, ssize_t result);
	struct netfs_job job; /* the environment's */
	ssize_t result; /* the environment's */
};

/* Never completes before it returns. */
void netfs_fio_submit(struct netfs_fio *fio);
/* Does data I/O go through io_uring here? */
bool netfs_fio_uring(void);

#endif
