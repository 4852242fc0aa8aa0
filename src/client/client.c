/* SPDX-License-Identifier: MIT */
/*
 * The client: starts the executor, sets up the memory budget, and counts its
 * mounts.
 *
 * Locks: none of its own; it only houses the mutex of cancellation (rank CALL),
 * which must outlive every call.
 */
#include <errno.h>
#include <string.h>
#include <base/assert.h>
#include <client/client_private.h>
#include <env/alloc.h>
#include <env/executor.h>
#include <env/host.h>

#define MEMORY_DEFAULT_MAX (UINT64_C(4) << 30)
/* Below this not even write-back is sure to make progress. */
#define MEMORY_MIN	     (UINT64_C(4) << 20)
#define DIRTY_AGE_DEFAULT_MS 5000

static int take_config(const struct netfs_client_config *from, struct netfs_client_config *to)
{
	memset(to, 0, sizeof(*to));
	if (from) {
		/* A caller of another version may know fewer fields, or more
		 * than we do; more must be zero to mean nothing. */
		if (from->struct_size == 0 || from->struct_size > sizeof(*to))
			return -EINVAL;
		memcpy(to, from, from->struct_size);
	}
	if (!to->memory_max)
		to->memory_max = netfs_host_memory() / 4;
	if (!(from && from->memory_max) && to->memory_max > MEMORY_DEFAULT_MAX)
		to->memory_max = MEMORY_DEFAULT_MAX;
	if (to->memory_max < MEMORY_MIN)
		return -EINVAL;
	if (!to->dirty_max)
		to->dirty_max = to->memory_max / 2;
	if (to->dirty_max > to->memory_max)
		return -EINVAL;
	if (!to->dirty_age_ms)
		to->dirty_age_ms = DIRTY_AGE_DEFAULT_MS;
	return 0;
}

int netfs_client_new(const struct netfs_client_config *config, struct netfs_client **ret_client)
{
	struct netfs_client *client = netfs_zalloc(sizeof(*client));
	int err;

	if (!client)
		return -ENOMEM;
	err = take_config(config, &client->config);
	if (err)
		goto fail;
	err = netfs_executor_start(client->config.threads);
	if (err)
		goto fail;
	err = netfs_budget_new(client->config.memory_max, client->config.dirty_max,
			       &client->budget);
	if (err) {
		netfs_executor_stop();
		goto fail;
	}
	netfs_mutex_init(&client->call_mutex, NETFS_RANK_CALL);
	*ret_client = client;
	return 0;
fail:
	netfs_free(client);
	return err;
}

void netfs_client_free(struct netfs_client *client)
{
	if (!client)
		return;
	netfs_assert(atomic_load(&client->mounts) == 0);
	netfs_executor_stop();
	netfs_budget_free(client->budget);
	netfs_mutex_done(&client->call_mutex);
	netfs_free(client);
}
