/* SPDX-License-Identifier: MIT */
/*
 * Who somebody is, in the simulated world: a mechanism of its own behind
 * auth/auth.h, because real ones take their chance and their time from the real
 * machine.
 *
 *	client -> "unetfs"
 *	       <- a challenge, AUTH_SIM_CHALLENGE bytes
 *	       -> the proof, AUTH_SIM_PROOF bytes
 *
 * Both sides make the session key from the challenge.  There is no secret in it: what is
 * tried here is what is done with the key.
 */
#ifndef TESTS_SIM_AUTH_SIM_H
#define TESTS_SIM_AUTH_SIM_H

#include <stdint.h>

#define AUTH_SIM_CHALLENGE 16
#define AUTH_SIM_PROOF	   16
#define AUTH_SIM_KEY	   32

void auth_sim_proof(const uint8_t challenge[AUTH_SIM_CHALLENGE], uint8_t proof[AUTH_SIM_PROOF]);
void auth_sim_key(const uint8_t challenge[AUTH_SIM_CHALLENGE], uint8_t key[AUTH_SIM_KEY]);

#endif
