/* SPDX-License-Identifier: MIT */
/*
 * What happens after the mutex is dropped.  One place calls out of the core;
 * everything else writes down what is to be told and lets it be told here, so
 * no caller is ever entered with a lock held.
 *
 * The order matters in two places: idle comes last, because the inode may be
 * gone after it; and requests are freed before, because they point at it.
 */
#include <core/core_internal.h>
#include <core/io.h>
#include <env/alloc.h>

void netfs_news_init(struct netfs_news *news)
{
	netfs_list_init(&news->admitted);
	netfs_list_init(&news->readers);
	netfs_list_init(&news->issue);
	netfs_list_init(&news->done);
	netfs_list_init(&news->direct);
	netfs_list_init(&news->handles);
	netfs_list_init(&news->dead);
	news->idle = false;
	news->cleaned = false;
	news->lost_bytes = 0;
}

static void tell_readers(struct netfs_news *news)
{
	struct netfs_list *link;

	while ((link = netfs_list_pop_front(&news->readers)))
		netfs_io_resume(netfs_container_of(link, struct netfs_io_state, link));
}

static void tell_completions(struct netfs_news *news)
{
	struct netfs_list *link;

	while ((link = netfs_list_pop_front(&news->done))) {
		struct netfs_completion *done =
			netfs_container_of(link, struct netfs_completion, link);

		netfs_ranges_done(&done->awaited);
		done->fn(done, done->err);
	}
}

static void issue_requests(struct netfs_news *news)
{
	struct netfs_list *link;

	while ((link = netfs_list_pop_front(&news->issue)))
		netfs_request_issue(netfs_container_of(link, struct netfs_request, issue),
				    NETFS_REF_ISSUER);
}

static void free_things(struct netfs_news *news)
{
	struct netfs_list *link;

	while ((link = netfs_list_pop_front(&news->handles))) {
		struct netfs_file_ref *ref = netfs_container_of(link, struct netfs_file_ref, link);

		netfs_handle_put(ref->handle);
		netfs_free(ref);
	}
	while ((link = netfs_list_pop_front(&news->dead)))
		netfs_request_free(netfs_container_of(link, struct netfs_request, issue));
}

void netfs_news_unlock(struct netfs_news *news, struct netfs_inode *inode)
{
	struct netfs_budget *budget = inode->core->budget;
	struct netfs_core *core = inode->core;
	struct netfs_list *link;

	netfs_mutex_unlock(&inode->mutex);
	if (news->lost_bytes && core->lost)
		core->lost(core->lost_user, inode->id, &news->lost, news->lost_bytes);
	issue_requests(news);
	free_things(news);
	tell_readers(news);
	while ((link = netfs_list_pop_front(&news->direct)))
		netfs_direct_end(netfs_container_of(link, struct netfs_request, link));
	tell_completions(news);
	netfs_gate_run(&news->admitted);
	if (news->cleaned)
		netfs_budget_resume(budget);
	if (news->idle)
		inode->ops->idle(inode);
}
