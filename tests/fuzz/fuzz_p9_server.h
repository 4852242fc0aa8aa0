/* SPDX-License-Identifier: MIT */
/*
 * The server of the 9P fuzzer: answers what an input tells it to, from honest
 * to garbage, on the simulated network.
 */
#ifndef FUZZ_P9_SERVER_H
#define FUZZ_P9_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An input being used up. */
struct fuzz_input {
	const uint8_t *pos;
	size_t left;
};

/* The next byte, 0 when there is none. */
uint8_t fuzz_byte(struct fuzz_input *input);

/* What the first bits of a control byte ask for as an answer. */
enum fuzz_answer {
	FUZZ_HONEST, /* a good reply */
	FUZZ_MUTATED, /* a good reply; next: count, then (place, xor) pairs */
	FUZZ_ERROR, /* Rlerror; next: the error */
	FUZZ_BODY, /* right header; next: length, then the body */
	FUZZ_RAW, /* next: length, then bytes as they are */
	FUZZ_SILENCE,
	FUZZ_CLOSE,
	FUZZ_TYPE, /* a good reply to another request; next: its type */
	FUZZ_LONG, /* a good reply with more data than was asked for; next: how much */
	FUZZ_ANSWERS,
};

/* Starts listening; answers come from input (honest ones when hello_honest,
 * until the attach is through, and none when input is empty). */
void fuzz_server_start(struct fuzz_input *input, bool hello_honest);
/* Closes what is open. */
void fuzz_server_stop(void);
/* Replies sent, by type: which decoders were reached. */
extern uint64_t fuzz_replies[256];

#endif
