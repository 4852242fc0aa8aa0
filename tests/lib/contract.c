/* SPDX-License-Identifier: MIT */
/*
 * The contract check: connect, the parts one after the other, disconnect, and
 * a last look at everything that was ever in flight.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <env/executor.h>
#include <contract_call.h>

#define HOME "contract"

static void host_ready(struct netfs_be_host *host)
{
	struct contract *c = host->priv;

	netfs_assert_nothing_held();
	t_counter_add(&c->ready, 1);
}

static void host_changed(struct netfs_be_host *host, uint64_t ino, uint64_t gen)
{
	struct contract *c = host->priv;

	netfs_assert_nothing_held();
	t_counter_add(&c->changed, 1);
}

static void host_state(struct netfs_be_host *host, bool connected, const char *text)
{
	struct contract *c = host->priv;

	netfs_assert_nothing_held();
	netfs_mutex_lock(&c->ready.mutex);
	snprintf(c->state, sizeof(c->state), "%s", text);
	netfs_mutex_unlock(&c->ready.mutex);
	t_counter_add(connected ? &c->ups : &c->downs, 1);
}

static bool option_known(const struct netfs_be_ops *ops, const char *name)
{
	for (const struct netfs_option_info *info = ops->options; info && info->name; info++)
		if (!strcmp(info->name, name))
			return true;
	return false;
}

/* Takes "a,b=c" apart in place. */
static unsigned parse_options(const struct netfs_be_ops *ops, char *text,
			      struct netfs_option *ret_options, unsigned max)
{
	unsigned n = 0;

	for (char *word = strtok(text, ","); word; word = strtok(NULL, ",")) {
		char *value = strchr(word, '=');

		if (value)
			*value++ = 0;
		assert_true(n < max);
		assert_true(option_known(ops, word));
		ret_options[n++] = (struct netfs_option){word, value ? value : ""};
	}
	return n;
}

/* Ends the executor, and with it what is still in some queue; then nothing may
 * have completed twice, and everything once. */
static void forget_all(struct contract *c)
{
	struct netfs_list *pos;

	netfs_executor_stop();
	while ((pos = netfs_list_pop_front(&c->calls))) {
		struct c_call *call = netfs_container_of(pos, struct c_call, link);

		assert_int_equal(atomic_load(&call->dones), 1);
		netfs_event_done(&call->event);
		free(call);
	}
	while ((pos = netfs_list_pop_front(&c->slices))) {
		struct c_slice *slice = netfs_container_of(pos, struct c_slice, link);

		assert_true(atomic_load(&slice->dones) <= 1);
		netfs_event_done(&slice->event);
		free(slice);
	}
	t_counter_done(&c->ready);
	t_counter_done(&c->changed);
	t_counter_done(&c->ups);
	t_counter_done(&c->downs);
}

int c_connect(struct contract *c, const struct netfs_be_ops *ops, const struct netfs_source *source,
	      const char *options, char *why)
{
	struct netfs_option list[16];
	char *text = strdup(options);
	struct netfs_be_config config = {
		.source = source, .options = list, .hard = true, .timeout_ms = 10000};
	struct c_call *call;
	int err;

	assert_non_null(text);
	*c = (struct contract){
		.ops = ops,
		.host = {.ready = host_ready,
			 .changed = host_changed,
			 .state = host_state,
			 .priv = c},
		.cred = {.uid = getuid(), .gid = getgid(), .pid = getpid()},
	};
	netfs_list_init(&c->calls);
	netfs_list_init(&c->slices);
	t_counter_init(&c->ready);
	t_counter_init(&c->changed);
	t_counter_init(&c->ups);
	t_counter_init(&c->downs);
	assert_int_equal(netfs_executor_start(2), 0);
	call = c_call(c);
	call->op.buf = why;
	call->op.buf_size = 256;
	*why = 0;
	config.noptions = parse_options(ops, text, list, 16);
	ops->connect(&config, &c->host, &call->op);
	c_wait(call);
	free(text);
	c->be = call->op.be;
	c->root = call->op.node;
	c->root_attr = call->op.attr;
	if (!call->err) {
		/* What a connection can do is known when it stands. */
		c->ops = c->be->ops;
		return 0;
	}
	assert_null(c->be);
	/* Somebody is to understand why. */
	assert_true(*why);
	err = call->err;
	forget_all(c);
	return err;
}

void c_disconnect(struct contract *c)
{
	struct c_call *call = c_call(c);

	netfs_node_put(c->root);
	c->ops->disconnect(c->be, &call->op);
	assert_int_equal(c_wait(call), 0);
	forget_all(c);
}

void contract_run(const struct netfs_be_ops *ops, const struct netfs_source *source,
		  const char *options, unsigned flags)
{
	struct contract c;
	char why[256];
	int err = c_connect(&c, ops, source, options, why);

	if (err)
		fail_msg("connect: %s: %s", strerror(-err), why);
	/* A user that is not the process's shows whose the new objects are. */
	if (!(flags & CONTRACT_NO_OWNER) && !getuid())
		c.cred.uid = c.cred.gid = 4711;
	c.flags = flags;
	assert_non_null(c.be);
	assert_non_null(c.root);
	assert_ptr_equal(c.be->ops, c.ops);
	assert_ptr_equal(c.root->be, c.be);
	assert_true(S_ISDIR(c.root_attr.mode));
	assert_true(c.be->rsize > 0);
	assert_true(c.be->wsize > 0);
	assert_true(c.be->depth > 0);
	assert_true(*c.be->address);
	assert_int_equal(c_mkdir(&c, c.root, HOME, &c.home), 0);
	contract_names(&c);
	contract_renames(&c);
	contract_attributes(&c);
	contract_directories(&c);
	contract_data(&c);
	contract_traffic(&c);
	netfs_node_put(c.home);
	assert_int_equal(c_rmdir(&c, c.root, HOME), 0);
	c_disconnect(&c);
}
