/* SPDX-License-Identifier: MIT */
/*
 * The client's side of auth_sim.h, and what both sides make of a challenge.
 */
#include "auth_sim.h"

#include <auth/auth.h>
#include <env/alloc.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "../fsx/rng.h"

struct netfs_auth {
	unsigned steps;
	uint8_t challenge[AUTH_SIM_CHALLENGE];
	uint8_t proof[AUTH_SIM_PROOF];
};

static void stretch(const uint8_t challenge[AUTH_SIM_CHALLENGE], uint64_t purpose, uint8_t *out,
		    size_t len)
{
	uint64_t word[2];

	memcpy(word, challenge, sizeof(word));
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)rng_mix(word[0] ^ rng_mix(word[1] ^ rng_mix(purpose + i)));
}

void auth_sim_proof(const uint8_t challenge[AUTH_SIM_CHALLENGE], uint8_t proof[AUTH_SIM_PROOF])
{
	stretch(challenge, 1000, proof, AUTH_SIM_PROOF);
}

void auth_sim_key(const uint8_t challenge[AUTH_SIM_CHALLENGE], uint8_t key[AUTH_SIM_KEY])
{
	stretch(challenge, 2000, key, AUTH_SIM_KEY);
}

int netfs_auth_new(const struct netfs_auth_who *who, struct netfs_auth **ret_auth, char *message,
		   size_t message_size)
{
	struct netfs_auth *auth = netfs_zalloc(sizeof(*auth));

	if (!auth)
		return -ENOMEM;
	*ret_auth = auth;
	return 0;
}

int netfs_auth_step(struct netfs_auth *auth, const void *in, size_t len, const void **ret_out,
		    size_t *ret_len, bool *ret_done, char *message, size_t message_size)
{
	if (auth->steps++ == 0) {
		*ret_out = "unetfs";
		*ret_len = 6;
		*ret_done = false;
		return 0;
	}
	if (len != AUTH_SIM_CHALLENGE || auth->steps > 2) {
		snprintf(message, message_size, "not a challenge");
		return -EACCES;
	}
	memcpy(auth->challenge, in, len);
	auth_sim_proof(auth->challenge, auth->proof);
	*ret_out = auth->proof;
	*ret_len = sizeof(auth->proof);
	*ret_done = true;
	return 0;
}

int netfs_auth_key(struct netfs_auth *auth, uint8_t *key, size_t *ret_len)
{
	if (auth->steps < 2)
		return -EACCES;
	auth_sim_key(auth->challenge, key);
	*ret_len = AUTH_SIM_KEY;
	return 0;
}

void netfs_auth_free(struct netfs_auth *auth)
{
	netfs_free(auth);
}
