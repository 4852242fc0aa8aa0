/* SPDX-License-Identifier: MIT */
/*
 * The link to the server: there, or away.
 *
 *	CONNECTING --reached--> HERE <--back-- DOUBTED
 *	     |                   |  \\           ^ |
 *	     |                   |   +---lost---+ | for too long
 *	     |                   +<----back---+   v
 *	     +--not reached, but known-----> AWAY
 *
 * What happens is noted under the lock by whoever hears of it, and one task makes of it
 * what follows: so states change, and are told, in one order.
 *
 * Once the server was met the one behind reconnects by itself.  Before that the task
 * connects again and again: after 100 ms, doubling to 30 s; a server that does not let us
 * in is asked every 5 minutes only, so that no account is locked by it.
 *
 * Locks: the connection's lock.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <base/assert.h>
#include <env/alloc.h>
#include <env/clock.h>
#include <env/random.h>
#include <offline/offline_impl.h>

#define PATIENCE_NS	 (3 * NETFS_NS_PER_SEC)
#define RETRY_MIN_NS	 (100 * NETFS_NS_PER_MS)
#define RETRY_MAX_NS	 (30 * NETFS_NS_PER_SEC)
#define SHORT_NS	 (10 * NETFS_NS_PER_MS)
#define BACK_AGAIN_NS	 NETFS_NS_PER_SEC /* until coming back is tried again */
#define RETRY_REFUSED_NS (300 * NETFS_NS_PER_SEC)
/* The header of a text of a state, a time and a number. */
#define TEXT_MAX 320

bool offline_away_locked(const struct offline *offline)
{
	return offline->state == OFFLINE_AWAY || offline->state == OFFLINE_CLOSING;
}

bool offline_away(struct offline *offline)
{
	bool away;

	netfs_mutex_lock(&offline->lock);
	away = offline_away_locked(offline);
	netfs_mutex_unlock(&offline->lock);
	return away;
}

static void set_state_locked(struct offline *offline, enum offline_state state)
{
	netfs_assert_held(&offline->lock);
	netfs_assert(offline->state != OFFLINE_CLOSING);
	offline->state = state;
}

static enum offline_state state_of(struct offline *offline)
{
	enum offline_state state;

	netfs_mutex_lock(&offline->lock);
	state = offline->state;
	netfs_mutex_unlock(&offline->lock);
	return state;
}

static void tell(struct offline *offline, bool connected, const char *text)
{
	if (offline->up->state)
		offline->up->state(offline->up, connected, text);
}

/* The server cannot be reached, which is not what it says itself. */
static bool unreachable(int err)
{
	switch (err) {
	case -ECONNREFUSED:
	case -ECONNRESET:
	case -ECONNABORTED:
	case -EHOSTDOWN:
	case -EHOSTUNREACH:
	case -ENETDOWN:
	case -ENETUNREACH:
	case -ENOTCONN:
	case -EPIPE:
	case -ETIMEDOUT:
		return true;
	}
	return false;
}

/* ---------------------------------------------------------- for people */

/* Days since 1970 as a date. */
static void date_of(int64_t days, int *ret_year, unsigned *ret_month, unsigned *ret_day)
{
	/* From the 1st of March of the year 0 on, so that a leap day ends a year. */
	int64_t from = days + 719468;
	int64_t era = from / 146097;
	unsigned in_era = (unsigned)(from - era * 146097);
	unsigned year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	unsigned in_year = in_era - (365 * year + year / 4 - year / 100);
	unsigned month = (5 * in_year + 2) / 153;

	*ret_day = in_year - (153 * month + 2) / 5 + 1;
	*ret_month = month < 10 ? month + 3 : month - 9;
	*ret_year = (int)(era * 400) + (int)year + (*ret_month <= 2);
}

static void tell_away(struct offline *offline)
{
	uint64_t now = offline->away_real_ns / NETFS_NS_PER_SEC;
	unsigned second = (unsigned)(now % 86400), month, day;
	char text[TEXT_MAX], why[sizeof(offline->lost_text)];
	int year;

	netfs_mutex_lock(&offline->lock);
	memcpy(why, offline->lost_text, sizeof(why));
	netfs_mutex_unlock(&offline->lock);
	date_of((int64_t)(now / 86400), &year, &month, &day);
	snprintf(text, sizeof(text),
		 "offline since %04d-%02u-%02u %02u:%02u:%02u UTC, %llu names known%s%s", year,
		 month, day, second / 3600, second / 60 % 60, second % 60,
		 (unsigned long long)netfs_namestore_count(offline->names), why[0] ? ": " : "",
		 why);
	tell(offline, false, text);
}

/* --------------------------------------------------- what we are called */

static void hear_ready(struct netfs_be_host *host)
{
	struct offline *offline = host->priv;

	if (offline->up->ready)
		offline->up->ready(offline->up);
}

static void hear_changed(struct netfs_be_host *host, uint64_t ino, uint64_t gen)
{
	struct offline *offline = host->priv;

	if (offline->up->changed)
		offline->up->changed(offline->up, ino, gen);
}

static void hear_watching(struct netfs_be_host *host, uint64_t ino, uint64_t gen, bool stands)
{
	struct offline *offline = host->priv;

	if (offline->up->watching)
		offline->up->watching(offline->up, ino, gen, stands);
}

/* Not noted: it may be of a change of ours that another followed since. */
static void hear_happened(struct netfs_be_host *host, uint64_t ino, uint64_t gen, const char *name,
			  enum netfs_change change)
{
	struct offline *offline = host->priv;

	if (offline->up->happened)
		offline->up->happened(offline->up, ino, gen, name, change);
}

static void hear_recall(struct netfs_be_host *host, uint64_t ino, uint64_t gen,
			struct netfs_recall *recall)
{
	struct offline *offline = host->priv;

	if (offline->up->recall)
		offline->up->recall(offline->up, ino, gen, recall);
	else
		recall->done(recall);
}

static void hear_note(struct netfs_be_host *host, const char *text)
{
	struct offline *offline = host->priv;

	if (offline->up->note)
		offline->up->note(offline->up, text);
}

static void hear_state(struct netfs_be_host *host, bool connected, const char *text)
{
	struct offline *offline = host->priv;

	netfs_mutex_lock(&offline->lock);
	if (!connected && !offline->lost)
		offline->lost_ns = netfs_clock_now();
	offline->lost = !connected;
	snprintf(offline->lost_text, sizeof(offline->lost_text), "%s", text ? text : "");
	netfs_mutex_unlock(&offline->lock);
	netfs_task_post(&offline->task);
}

/* ----------------------------------------------------------- to connect */

static void tried(struct netfs_op *op, int err)
{
	struct offline *offline = netfs_container_of(op, struct offline, inner_op);

	netfs_mutex_lock(&offline->lock);
	offline->try_state = TRY_ANSWERED;
	offline->try_err = err > 0 ? -EIO : err;
	netfs_mutex_unlock(&offline->lock);
	netfs_task_post(&offline->task);
}

static void try_to_connect(struct offline *offline)
{
	netfs_mutex_lock(&offline->lock);
	offline->try_state = TRY_RUNNING;
	offline->lost = false;
	netfs_mutex_unlock(&offline->lock);
	offline->try_text[0] = 0;
	offline->inner_op = (struct netfs_op){
		.done = tried,
		.cred = offline->cred,
		.buf = offline->try_text,
		.buf_size = sizeof(offline->try_text),
	};
	offline->inner_ops->connect(&offline->config.config, &offline->host, &offline->inner_op);
}

static uint64_t backoff_ns(struct offline *offline, int err)
{
	uint64_t step = RETRY_MIN_NS;

	if (err == -EACCES || err == -EPERM)
		return RETRY_REFUSED_NS;
	for (unsigned i = 0; i < offline->tries && step < offline->retry_max_ns; i++)
		step *= 2;
	if (step > offline->retry_max_ns)
		step = offline->retry_max_ns;
	offline->tries++;
	return step / 2 + netfs_random_below(step / 2 + 1);
}

static void be_is(struct offline *offline, const struct netfs_name_share *share)
{
	struct netfs_be *be = &offline->be;

	be->caps = share->caps;
	be->rsize = share->rsize;
	be->wsize = share->wsize;
	be->depth = share->depth;
	be->granule = share->granule;
	offline_ops_limit(&offline->ops, share->functions);
}

static struct netfs_name_share share_of(const struct offline *offline, const struct netfs_be *inner,
					const struct netfs_attr *root)
{
	return (struct netfs_name_share){
		.root = {root->ino, root->gen},
		.functions = offline_ops_word(inner->ops),
		.caps = inner->caps,
		.rsize = inner->rsize,
		.wsize = inner->wsize,
		.depth = inner->depth,
		.granule = inner->granule,
	};
}

static void note_share(struct offline *offline, const struct netfs_name_share *share,
		       const struct netfs_attr *root)
{
	struct netfs_note note = {.kind = NETFS_NOTE_SHARE, .share = *share};

	netfs_namestore_tell(offline->names, &note);
	note = (struct netfs_note){.kind = NETFS_NOTE_ATTR, .attr = *root};
	netfs_namestore_tell(offline->names, &note);
}

/* The first connection is there, or what is known stands for it. */
static void connect_done(struct offline *offline, struct offline_node *root,
			 const struct netfs_attr *attr)
{
	struct netfs_op *op = netfs_take(offline->connect_op);

	op->be = &offline->be;
	op->node = &root->node;
	op->attr = *attr;
	op->done(op, 0);
}

static void end_with(struct offline *offline, struct netfs_op *op, int err);

static void connect_fail(struct offline *offline, int err, const char *format)
{
	struct netfs_op *op = netfs_take(offline->connect_op);

	if (op->buf && op->buf_size)
		snprintf(op->buf, op->buf_size, format, offline->try_text);
	end_with(offline, op, err);
}

/* The server was met at mount.  Its node is the root's. */
static void first_met(struct offline *offline)
{
	struct netfs_op *op = &offline->inner_op;
	struct netfs_name_share share = share_of(offline, op->be, &op->attr);
	struct offline_node *root;

	netfs_mutex_lock(&offline->lock);
	offline->inner = op->be;
	set_state_locked(offline, OFFLINE_HERE);
	netfs_mutex_unlock(&offline->lock);
	be_is(offline, &share);
	memcpy(offline->be.address, op->be->address, sizeof(offline->be.address));
	root = offline_node_get(offline, &op->attr, netfs_take(op->node), NULL, NULL);
	if (!root) {
		snprintf(offline->try_text, sizeof(offline->try_text), "no memory");
		connect_fail(offline, -ENOMEM, "%s");
		return;
	}
	offline_object_told(root, &op->attr, offline_stamp(offline));
	note_share(offline, &share, &op->attr);
	connect_done(offline, root, &op->attr);
}

/* What it says later must fit what was said at mount. */
static const char *misfit(struct offline *offline)
{
	const struct netfs_op *op = &offline->inner_op;
	const struct netfs_be *inner = op->be;
	uint64_t word = offline_ops_word(&offline->ops);

	if (op->attr.ino != offline->root->object->ino ||
	    op->attr.gen != offline->root->object->gen)
		return "the share is another one now: mount it again";
	if ((offline->be.caps & ~inner->caps) || (word & ~offline_ops_word(inner->ops)) ||
	    ((offline->be.caps ^ inner->caps) & NETFS_BE_CHANGE_COUNTER))
		return "the server is not what it was: mount it again";
	return NULL;
}

static void misfit_closed(struct netfs_op *op, int err)
{
	tried(op, -EACCES);
}

/* The server was met later. */
static void met(struct offline *offline)
{
	struct netfs_op *op = &offline->inner_op;
	const char *wrong = misfit(offline);
	struct netfs_name_share share = share_of(offline, op->be, &op->attr);
	struct netfs_be *inner = op->be;

	if (wrong) {
		netfs_mutex_lock(&offline->lock);
		offline->try_state = TRY_RUNNING;
		netfs_mutex_unlock(&offline->lock);
		netfs_node_put(op->node);
		snprintf(offline->try_text, sizeof(offline->try_text), "%s", wrong);
		*op = (struct netfs_op){.done = misfit_closed};
		inner->ops->disconnect(inner, op);
		return;
	}
	netfs_mutex_lock(&offline->lock);
	offline->inner = inner;
	netfs_mutex_unlock(&offline->lock);
	/* The root has no address so far, and is found by no name. */
	offline_node_found(offline->root, netfs_take(op->node));
	note_share(offline, &share, &op->attr);
}

/* ------------------------------------------------------ away, and back */

/* Comes up without the server, where enough is known.  False: it is not. */
static bool first_away(struct offline *offline)
{
	struct netfs_name_share share;
	struct netfs_attr attr;
	struct offline_node *root;

	if (!netfs_namestore_share(offline->names, &share, &attr))
		return false;
	be_is(offline, &share);
	snprintf(offline->be.address, sizeof(offline->be.address), "not connected");
	root = offline_node_get(offline, &attr, NULL, NULL, NULL);
	if (!root)
		return false;
	offline_object_told(root, &attr, offline_stamp(offline));
	netfs_node_get(&root->node);
	offline->root = root;
	netfs_mutex_lock(&offline->lock);
	set_state_locked(offline, OFFLINE_AWAY);
	snprintf(offline->lost_text, sizeof(offline->lost_text), "%.159s",
		 offline->try_text[0] ? offline->try_text : "no answer");
	netfs_mutex_unlock(&offline->lock);
	offline->away_real_ns = netfs_clock_real();
	tell_away(offline);
	connect_done(offline, root, &attr);
	return true;
}

static void go_away(struct offline *offline)
{
	netfs_mutex_lock(&offline->lock);
	set_state_locked(offline, OFFLINE_AWAY);
	netfs_mutex_unlock(&offline->lock);
	offline->away_real_ns = netfs_clock_real();
	tell_away(offline);
	offline_bindings_give_up(offline);
	offline_calls_give_up(offline);
	offline_moves_give_up(offline);
	/* What waits for room is refused now. */
	if (offline->up->ready)
		offline->up->ready(offline->up);
}

/* The numbers of all that is known here, so that it is asked for again.  NULL: no
 * memory, or none. */
static struct netfs_name_id *all_ids(struct offline *offline, size_t *ret_n)
{
	const struct netfs_hash_link *link = NULL;
	struct netfs_name_id *ids;
	size_t n = 0;

	netfs_mutex_lock(&offline->lock);
	ids = netfs_calloc(offline->objects.count + 1, sizeof(*ids));
	while (ids && (link = netfs_hash_walk(&offline->objects, link))) {
		const struct offline_object *object =
			netfs_container_of(link, struct offline_object, link);

		ids[n++] = (struct netfs_name_id){object->ino, object->gen};
	}
	netfs_mutex_unlock(&offline->lock);
	*ret_n = n;
	return ids;
}

/* Without the memory it is one by one, which cannot be: then it stays away until there
 * is some. */
static bool come_back(struct offline *offline)
{
	struct netfs_name_id *ids;
	size_t n;

	netfs_mutex_lock(&offline->lock);
	set_state_locked(offline, OFFLINE_HERE);
	netfs_mutex_unlock(&offline->lock);
	ids = all_ids(offline, &n);
	if (!ids) {
		netfs_mutex_lock(&offline->lock);
		set_state_locked(offline, OFFLINE_AWAY);
		netfs_mutex_unlock(&offline->lock);
		return false;
	}
	for (size_t i = 0; i < n && offline->up->changed; i++)
		offline->up->changed(offline->up, ids[i].ino, ids[i].gen);
	netfs_free(ids);
	tell(offline, true, "server responds again");
	offline_calls_resume(offline);
	if (offline->up->ready)
		offline->up->ready(offline->up);
	return true;
}

/* ----------------------------------------------------------------- end */

static void end_with(struct offline *offline, struct netfs_op *op, int err)
{
	netfs_mutex_lock(&offline->lock);
	set_state_locked(offline, OFFLINE_CLOSING);
	offline->close_op = op;
	offline->close_err = err;
	netfs_mutex_unlock(&offline->lock);
	netfs_task_post(&offline->task);
}

void offline_disconnect(struct netfs_be *be, struct netfs_op *op)
{
	end_with(offline_of(be), op, 0);
}

static void names_closed(void *user)
{
	struct offline *offline = user;

	netfs_mutex_lock(&offline->lock);
	offline->ended = true;
	netfs_task_post(&offline->task);
	netfs_mutex_unlock(&offline->lock);
}

static void inner_closed(struct netfs_op *op, int err)
{
	struct offline *offline = netfs_container_of(op, struct offline, inner_op);

	netfs_namestore_close(offline->names, names_closed, offline);
}

static void offline_free(struct offline *offline)
{
	netfs_free(offline->config.options);
	netfs_free(offline->config.text);
	netfs_hash_done(&offline->objects);
	netfs_mutex_done(&offline->lock);
	netfs_free(offline);
}

/* Closes what is behind, once nothing of ours is on its way there. */
static void close_step(struct offline *offline)
{
	bool wait, ended, running;
	struct netfs_op *op;
	struct netfs_be *inner;
	int err;

	netfs_timer_stop(&offline->timer);
	if (offline->root)
		netfs_node_put(&netfs_take(offline->root)->node);
	netfs_mutex_lock(&offline->lock);
	ended = offline->ended;
	running = offline->try_state == TRY_RUNNING || offline->try_state == TRY_CLOSING;
	wait = running || !netfs_list_empty(&offline->calls);
	inner = offline->inner;
	/* Met just when it was not wanted any more. */
	if (!wait && offline->try_state == TRY_ANSWERED && !offline->try_err && !inner)
		inner = offline->inner = offline->inner_op.be;
	if (!wait)
		offline->try_state = TRY_CLOSING;
	op = offline->close_op;
	err = offline->close_err;
	netfs_mutex_unlock(&offline->lock);
	if (ended && !offline->leaving) {
		/* Who said so may have posted the task since this run began. */
		offline->leaving = true;
		netfs_task_post(&offline->task);
		return;
	}
	if (ended) {
		offline_free(offline);
		op->done(op, err);
		return;
	}
	if (wait) {
		offline_calls_give_up(offline);
		return;
	}
	netfs_node_put(netfs_take(offline->inner_op.node));
	offline->inner_op = (struct netfs_op){.done = inner_closed};
	if (inner)
		inner->ops->disconnect(inner, &offline->inner_op);
	else
		inner_closed(&offline->inner_op, 0);
}

void offline_short(struct offline *offline)
{
	netfs_mutex_lock(&offline->lock);
	offline->short_of_memory = true;
	netfs_mutex_unlock(&offline->lock);
	netfs_timer_start(&offline->timer, SHORT_NS);
}

/* Those that found no memory may try again. */
static void memory_again(struct offline *offline)
{
	bool again;

	netfs_mutex_lock(&offline->lock);
	again = offline->short_of_memory;
	offline->short_of_memory = false;
	netfs_mutex_unlock(&offline->lock);
	if (again && offline->up->ready)
		offline->up->ready(offline->up);
}

void offline_calls_end(struct offline *offline)
{
	netfs_task_post(&offline->task);
}

/* ---------------------------------------------------------------- task */

/* An attempt has ended.  err: how. */
static void after_try(struct offline *offline, int err)
{
	bool first = offline->connect_op;

	if (!err && first) {
		first_met(offline);
	} else if (!err) {
		met(offline);
	} else if (first && !unreachable(err)) {
		connect_fail(offline, err, "%s");
	} else if (first && !first_away(offline)) {
		connect_fail(offline, err, "%s; and nothing is known of the share from before");
	} else if (!first && !unreachable(err) && !offline->told_refusal) {
		offline->told_refusal = true;
		netfs_mutex_lock(&offline->lock);
		snprintf(offline->lost_text, sizeof(offline->lost_text), "%.159s",
			 offline->try_text);
		netfs_mutex_unlock(&offline->lock);
		tell_away(offline);
	}
	if (err)
		offline->retry_ns = netfs_clock_now() + backoff_ns(offline, err);
}

/* The answer to an attempt, if there is one. */
static bool take_try(struct offline *offline, int *ret_err)
{
	bool answered;

	netfs_mutex_lock(&offline->lock);
	answered = offline->try_state == TRY_ANSWERED;
	if (answered)
		offline->try_state = TRY_NONE;
	*ret_err = offline->try_err;
	netfs_mutex_unlock(&offline->lock);
	return answered;
}

/* What is to happen to the state, if anything; and when to look again, 0: not. */
static enum offline_state next_state(struct offline *offline, uint64_t now, uint64_t *ret_when)
{
	enum offline_state state, next;
	uint64_t until;
	bool lost;

	netfs_mutex_lock(&offline->lock);
	next = state = offline->state;
	lost = offline->lost || !offline->inner;
	until = offline->lost_ns + offline->patience_ns;
	if (state == OFFLINE_CONNECTING)
		until = offline->started_ns + offline->patience_ns;
	netfs_mutex_unlock(&offline->lock);
	*ret_when = 0;
	if (state == OFFLINE_HERE && lost)
		next = OFFLINE_DOUBTED;
	else if ((state == OFFLINE_DOUBTED || state == OFFLINE_AWAY) && !lost)
		next = OFFLINE_HERE;
	if ((next == OFFLINE_DOUBTED || next == OFFLINE_CONNECTING) && now >= until)
		next = OFFLINE_AWAY;
	else if (next == OFFLINE_DOUBTED || next == OFFLINE_CONNECTING)
		*ret_when = until;
	return next;
}

static void tell_lost(struct offline *offline, bool connected)
{
	char text[sizeof(offline->lost_text)];

	netfs_mutex_lock(&offline->lock);
	memcpy(text, offline->lost_text, sizeof(text));
	netfs_mutex_unlock(&offline->lock);
	tell(offline, connected, text);
}

/* Makes the state what it is to be.  False: it could not, and is to be tried again. */
static bool follow(struct offline *offline, enum offline_state state, enum offline_state next)
{
	if (next == OFFLINE_DOUBTED) {
		if (state != next) {
			netfs_mutex_lock(&offline->lock);
			set_state_locked(offline, next);
			netfs_mutex_unlock(&offline->lock);
		}
		tell_lost(offline, false);
	} else if (next == OFFLINE_HERE && state == OFFLINE_DOUBTED) {
		netfs_mutex_lock(&offline->lock);
		set_state_locked(offline, next);
		netfs_mutex_unlock(&offline->lock);
		tell_lost(offline, true);
	} else if (next == OFFLINE_HERE && state == OFFLINE_AWAY) {
		return come_back(offline);
	} else if (next == OFFLINE_AWAY && state == OFFLINE_CONNECTING) {
		first_away(offline);
	} else if (next == OFFLINE_AWAY && state != next) {
		go_away(offline);
	}
	return true;
}

static bool wants_to_try(struct offline *offline)
{
	bool wants;

	netfs_mutex_lock(&offline->lock);
	wants = !offline->inner && offline->try_state == TRY_NONE;
	netfs_mutex_unlock(&offline->lock);
	return wants;
}

static void run(struct netfs_task *task)
{
	struct offline *offline = netfs_container_of(task, struct offline, task);
	uint64_t now, when;
	int err;

	if (state_of(offline) != OFFLINE_CLOSING && take_try(offline, &err))
		after_try(offline, err);
	now = netfs_clock_now();
	if (state_of(offline) == OFFLINE_CLOSING) {
		close_step(offline);
		return;
	}
	memory_again(offline);
	if (!follow(offline, state_of(offline), next_state(offline, now, &when)))
		when = now + BACK_AGAIN_NS;
	if (state_of(offline) == OFFLINE_CLOSING) {
		close_step(offline);
		return;
	}
	if (wants_to_try(offline)) {
		if (now >= offline->retry_ns)
			try_to_connect(offline);
		else if (!when || offline->retry_ns < when)
			when = offline->retry_ns;
	}
	if (when)
		netfs_timer_start(&offline->timer, when > now ? when - now : 0);
}

/* --------------------------------------------------------------- begin */

static size_t lengths(const struct netfs_be_config *config)
{
	const struct netfs_source *source = config->source;
	size_t sum = strlen(source->scheme) + strlen(source->host) + strlen(source->port) +
		     strlen(source->path) + 4;

	for (unsigned i = 0; i < config->noptions; i++)
		sum += strlen(config->options[i].name) + strlen(config->options[i].value) + 2;
	return sum;
}

static const char *keep(char **at, const char *text)
{
	size_t size = strlen(text) + 1;
	const char *kept = memcpy(*at, text, size);

	*at += size;
	return kept;
}

static int config_copy(struct offline_config *mine, const struct netfs_be_config *config)
{
	const struct netfs_source *source = config->source;
	char *at = mine->text = netfs_alloc(lengths(config));

	mine->options = netfs_calloc(config->noptions + 1, sizeof(*mine->options));
	if (!at || !mine->options)
		return -ENOMEM;
	mine->config = *config;
	mine->config.source = &mine->source;
	mine->config.options = mine->options;
	mine->source.scheme = keep(&at, source->scheme);
	mine->source.host = keep(&at, source->host);
	mine->source.port = keep(&at, source->port);
	mine->source.path = keep(&at, source->path);
	for (unsigned i = 0; i < config->noptions; i++) {
		mine->options[i].name = keep(&at, config->options[i].name);
		mine->options[i].value = keep(&at, config->options[i].value);
	}
	return 0;
}

static void offline_init(struct offline *offline, const struct netfs_offline_config *config)
{
	netfs_mutex_init(&offline->lock, NETFS_RANK_OFFLINE);
	netfs_hash_init(&offline->objects);
	netfs_list_init(&offline->calls);
	netfs_list_init(&offline->bindings);
	netfs_list_init(&offline->moves);
	netfs_task_init(&offline->task, run);
	netfs_timer_init(&offline->timer, &offline->task);
	offline->seed = netfs_random_u64();
	offline->inner_ops = config->ops;
	offline->names = config->names;
	offline_ops_fill(&offline->ops, config->ops);
	offline->be.ops = &offline->ops;
	offline->patience_ns =
		config->patience_ms ? config->patience_ms * NETFS_NS_PER_MS : PATIENCE_NS;
	offline->retry_max_ns =
		config->retry_ms ? config->retry_ms * NETFS_NS_PER_MS : RETRY_MAX_NS;
	offline->state = OFFLINE_CONNECTING;
	offline->started_ns = netfs_clock_now();
}

void netfs_offline_connect(const struct netfs_offline_config *config,
			   const struct netfs_be_config *be_config, struct netfs_be_host *host,
			   struct netfs_op *op)
{
	struct offline *offline = netfs_zalloc(sizeof(*offline));

	if (!offline || config_copy(&offline->config, be_config)) {
		if (offline) {
			netfs_free(offline->config.options);
			netfs_free(offline->config.text);
		}
		netfs_free(offline);
		netfs_namestore_close(config->names, NULL, NULL);
		op->done(op, -ENOMEM);
		return;
	}
	offline_init(offline, config);
	offline->up = host;
	offline->host = (struct netfs_be_host){
		.ready = hear_ready,
		.changed = hear_changed,
		.watching = hear_watching,
		.happened = hear_happened,
		.recall = hear_recall,
		.state = hear_state,
		.note = hear_note,
		.priv = offline,
	};
	offline->cred = op->cred;
	offline->connect_op = op;
	netfs_task_post(&offline->task);
}

bool netfs_offline_unmet(const struct netfs_be *be)
{
	struct offline *offline;
	bool unmet;

	if (be->ops->disconnect != offline_disconnect)
		return false;
	offline = netfs_container_of(be, struct offline, be);
	netfs_mutex_lock(&offline->lock);
	unmet = !offline->inner;
	netfs_mutex_unlock(&offline->lock);
	return unmet;
}
