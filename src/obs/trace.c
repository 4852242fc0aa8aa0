/* SPDX-License-Identifier: MIT */
/*
 * The rings of the flight recorder.
 *
 *	rings[thread]   |r4096|r4097|  r2  |  r3  | ...      head = 4098
 *	                            ^next one to be overwritten
 *
 * Each thread has a number (env/thread.h) and writes only the ring of that
 * number; when it ends, a later thread may go on in the ring behind its
 * records.  A ring is memory from the start of the program, but only touched
 * once its thread makes a record.
 *
 * There is no lock.  A slot has a sequence number: 0 while it is being
 * written, afterwards one more than the record's position.  The writer sets it
 * to 0, writes the words, and sets it again; all are release stores, so who
 * sees a word of the new record also sees the 0 or the new number.  The reader
 * loads the number, the words and the number again, all but the last with
 * acquire, which pairs with those; the record is good when both numbers are
 * the one expected.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unetfs/trace.h>
#include <base/assert.h>
#include <base/limits.h>
#include <env/clock.h>
#include <env/thread.h>
#include <obs/trace.h>

enum word {
	WORD_TIME,
	WORD_INODE,
	WORD_START,
	WORD_LEN,
	WORD_EXTRA,
	WORD_WHO, /* request, sub and event */
	WORD_ERROR,
	WORDS,
};

/* One record, as large as a line of the processor's cache. */
struct slot {
	_Atomic uint64_t seq;
	_Atomic uint64_t word[WORDS];
} __attribute__((aligned(64)));

struct ring {
	_Atomic uint64_t head; /* position of the next record */
	_Atomic uint64_t from; /* older ones were cleared */
	struct slot slot[NETFS_TRACE_RECORDS];
};

_Static_assert(sizeof(struct slot) == 64, "a record fills one line");
_Static_assert(NETFS_TRACE_COUNT <= UINT16_MAX, "an event's number has 16 bits");

static struct ring rings[NETFS_THREADS_MAX];
static _Thread_local struct ring *own;
static _Atomic uint64_t lost;
static _Atomic bool hooked;

/* ----------------------------------------------------------- the events */

struct event {
	const char *group;
	const char *code;
	const char *extra_name;
	const char *meaning;
};

static const struct event events[] = {
#define NETFS_TRACE_ROW(id, group, code, extra, meaning) {group, code, extra, meaning},
	NETFS_TRACE_EVENTS(NETFS_TRACE_ROW)
#undef NETFS_TRACE_ROW
};

/* ------------------------------------------------------------- writing */

/* A failed assertion prints the end of the recorder. */
static void last_words(void)
{
	static struct netfs_trace_record records[NETFS_TRACE_LAST_WORDS];
	size_t n = netfs_trace_read(records, NETFS_TRACE_LAST_WORDS);
	char line[256];

	netfs_last_words("what happened before, oldest first:");
	for (size_t i = 0; i < n; i++) {
		netfs_trace_text(&records[i], line, sizeof(line));
		netfs_last_words(line);
	}
}

static struct ring *claim(void)
{
	uint32_t number = netfs_thread_number();

	if (number >= NETFS_THREADS_MAX) {
		atomic_fetch_add_explicit(&lost, 1, memory_order_relaxed);
		return NULL;
	}
	if (!atomic_exchange_explicit(&hooked, true, memory_order_relaxed))
		netfs_assert_hook(last_words);
	return own = &rings[number];
}

static void set(_Atomic uint64_t *word, uint64_t value)
{
	atomic_store_explicit(word, value, memory_order_release);
}

void netfs_trace_put(enum netfs_trace_event event, const struct netfs_trace_info *info)
{
	struct ring *ring = own ? own : claim();
	struct slot *slot;
	uint64_t pos;

	if (!ring)
		return;
	pos = atomic_load_explicit(&ring->head, memory_order_relaxed);
	slot = &ring->slot[pos % NETFS_TRACE_RECORDS];
	atomic_store_explicit(&slot->seq, 0, memory_order_relaxed);
	set(&slot->word[WORD_TIME], netfs_clock_now());
	set(&slot->word[WORD_INODE], info->inode);
	set(&slot->word[WORD_START], info->start);
	set(&slot->word[WORD_LEN], info->len);
	set(&slot->word[WORD_EXTRA], info->extra);
	set(&slot->word[WORD_WHO],
	    (uint64_t)info->request << 32 | (uint32_t)info->sub << 16 | (uint32_t)event);
	set(&slot->word[WORD_ERROR], (uint32_t)info->error);
	set(&slot->seq, pos + 1);
	set(&ring->head, pos + 1);
}

void netfs_trace_clear(void)
{
	for (unsigned i = 0; i < NETFS_THREADS_MAX; i++)
		atomic_store(&rings[i].from, atomic_load(&rings[i].head));
}

/* ------------------------------------------------------------- reading */

/* Where a reader stands in one ring, going back in time. */
struct cursor {
	uint64_t next; /* position of the next older record, plus one */
	uint64_t from; /* the oldest one wanted */
	uint64_t time; /* of the record at next */
	bool any;
};

/* Copies the words of the record at pos; false where it is gone. */
static bool load(struct ring *ring, uint64_t pos, uint64_t *ret_word)
{
	struct slot *slot = &ring->slot[pos % NETFS_TRACE_RECORDS];

	if (atomic_load_explicit(&slot->seq, memory_order_acquire) != pos + 1)
		return false;
	for (unsigned i = 0; i < WORDS; i++)
		ret_word[i] = atomic_load_explicit(&slot->word[i], memory_order_acquire);
	return atomic_load_explicit(&slot->seq, memory_order_relaxed) == pos + 1;
}

/* Finds the next older record of the ring.  What is overwritten while the
 * reader goes back is the oldest, so there is nothing behind it. */
static void look(struct ring *ring, struct cursor *cursor)
{
	uint64_t word[WORDS];

	cursor->any = cursor->next > cursor->from && load(ring, cursor->next - 1, word);
	if (cursor->any)
		cursor->time = word[WORD_TIME];
}

static void start(struct ring *ring, struct cursor *cursor)
{
	cursor->next = atomic_load_explicit(&ring->head, memory_order_acquire);
	cursor->from = atomic_load_explicit(&ring->from, memory_order_relaxed);
	if (cursor->next > cursor->from + NETFS_TRACE_RECORDS)
		cursor->from = cursor->next - NETFS_TRACE_RECORDS;
	look(ring, cursor);
}

static void unpack(const uint64_t *word, uint32_t thread, struct netfs_trace_record *record)
{
	uint32_t number = word[WORD_WHO] & UINT16_MAX;
	const struct event *event = &events[number];

	*record = (struct netfs_trace_record){
		.time_ns = word[WORD_TIME],
		.group = event->group,
		.code = event->code,
		.meaning = event->meaning,
		.extra_name = event->extra_name,
		.event = number,
		.thread = thread,
		.request = word[WORD_WHO] >> 32,
		.sub = (word[WORD_WHO] >> 16) & UINT16_MAX,
		.inode = word[WORD_INODE],
		.start = word[WORD_START],
		.len = word[WORD_LEN],
		.extra = word[WORD_EXTRA],
		.error = (int32_t)(uint32_t)word[WORD_ERROR],
	};
	if (!event->extra_name || event->extra_name[0] != '$')
		return;
	record->extra_name++;
	for (unsigned i = 0; i < 8; i++)
		record->extra_text[i] = (char)(record->extra >> (8 * i));
}

/* The ring whose next record is the youngest; NETFS_THREADS_MAX: none. */
static uint32_t youngest(const struct cursor *cursors)
{
	uint32_t best = NETFS_THREADS_MAX;

	for (uint32_t i = 0; i < NETFS_THREADS_MAX; i++) {
		if (cursors[i].any &&
		    (best == NETFS_THREADS_MAX || cursors[i].time > cursors[best].time))
			best = i;
	}
	return best;
}

size_t netfs_trace_read(struct netfs_trace_record *ret_records, size_t max)
{
	struct cursor cursors[NETFS_THREADS_MAX];
	uint64_t word[WORDS];
	size_t n = 0;
	uint32_t i;

	for (i = 0; i < NETFS_THREADS_MAX; i++)
		start(&rings[i], &cursors[i]);
	while (n < max && (i = youngest(cursors)) < NETFS_THREADS_MAX) {
		if (load(&rings[i], --cursors[i].next, word))
			unpack(word, i, &ret_records[max - ++n]);
		look(&rings[i], &cursors[i]);
	}
	memmove(ret_records, ret_records + (max - n), n * sizeof(*ret_records));
	return n;
}

size_t netfs_trace_room(void)
{
	return (size_t)NETFS_THREADS_MAX * NETFS_TRACE_RECORDS;
}

uint64_t netfs_trace_lost(void)
{
	return atomic_load_explicit(&lost, memory_order_relaxed);
}

/* ---------------------------------------------------------------- text */

int netfs_trace_text(const struct netfs_trace_record *record, char *buf, size_t size)
{
	char who[32] = "", extra[64] = "", error[24] = "";

	if (record->request && strcmp(record->group, "netfs_sreq") == 0)
		snprintf(who, sizeof(who), " R=%08x[%u]", record->request, record->sub);
	else if (record->request)
		snprintf(who, sizeof(who), " R=%08x", record->request);
	if (record->extra_name && record->extra_text[0])
		snprintf(extra, sizeof(extra), " %s=%s", record->extra_name, record->extra_text);
	else if (record->extra_name)
		snprintf(extra, sizeof(extra), " %s=%llu", record->extra_name,
			 (unsigned long long)record->extra);
	if (record->error)
		snprintf(error, sizeof(error), " e=%d", record->error);
	return snprintf(buf, size, "%llu.%09llu t%u %s:%s %s i=%llx %llx+%llx%s%s",
			(unsigned long long)(record->time_ns / NETFS_NS_PER_SEC),
			(unsigned long long)(record->time_ns % NETFS_NS_PER_SEC), record->thread,
			record->group, who, record->code, (unsigned long long)record->inode,
			(unsigned long long)record->start, (unsigned long long)record->len, extra,
			error);
}
