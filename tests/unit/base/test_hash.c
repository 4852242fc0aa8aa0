/* SPDX-License-Identifier: MIT */
/*
 * Goal: what was inserted is found until it is removed, at every size, with
 * colliding hashes and without memory to grow; the hash functions spread.
 * Method: random runs beside an array that says what is in.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <base/hash.h>
#include <base/mem.h>
#include <t.h>

#define ELEMENTS 5000

struct element {
	struct netfs_hash_link link;
	bool in;
};

static void *no_memory(void *ptr, size_t size)
{
	return NULL;
}

static bool found(const struct netfs_hash *table, const struct element *element, uint64_t hash)
{
	struct netfs_hash_link *link = netfs_hash_find(table, hash);

	while (link && link != &element->link)
		link = netfs_hash_find_next(link);
	return link;
}

static void check_all(const struct netfs_hash *table, struct element *elements,
		      uint64_t (*hash_of)(unsigned i))
{
	size_t want = 0;
	size_t walked = 0;

	for (unsigned i = 0; i < ELEMENTS; i++) {
		want += elements[i].in;
		assert_int_equal(found(table, &elements[i], hash_of(i)), elements[i].in);
	}
	assert_int_equal(table->count, want);
	for (struct netfs_hash_link *link = NULL; (link = netfs_hash_walk(table, link));)
		walked++;
	assert_int_equal(walked, want);
}

static void random_run(const char *name, uint64_t (*hash_of)(unsigned i), unsigned rounds)
{
	struct element *elements = calloc(ELEMENTS, sizeof(*elements));
	struct netfs_hash table;
	struct netfs_rng rng;

	t_rng(&rng, name);
	netfs_hash_init(&table);
	for (unsigned round = 0; round < rounds; round++) {
		unsigned i = (unsigned)netfs_rng_below(&rng, ELEMENTS);

		if (elements[i].in)
			netfs_hash_remove(&table, &elements[i].link);
		else
			netfs_hash_insert(&table, &elements[i].link, hash_of(i));
		elements[i].in = !elements[i].in;
		if (round % (rounds / 4) == 0)
			check_all(&table, elements, hash_of);
	}
	check_all(&table, elements, hash_of);
	netfs_hash_done(&table);
	free(elements);
}

static uint64_t spread(unsigned i)
{
	return netfs_hash_u64s(1, i, 2);
}

static uint64_t colliding(unsigned i)
{
	return netfs_hash_u64s(1, i / 16, 2);
}

static void elements_are_found_until_removed(void **state)
{
	random_run(__func__, spread, 40000);
}

static void equal_hashes_are_kept_apart_by_the_owner(void **state)
{
	random_run(__func__, colliding, 20000);
}

static void works_without_memory_to_grow(void **state)
{
	netfs_mem_realloc = no_memory;
	random_run(__func__, spread, 4000);
	netfs_mem_realloc = realloc;
}

static void walking_may_remove_what_it_left(void **state)
{
	struct element *elements = calloc(ELEMENTS, sizeof(*elements));
	struct netfs_hash table;
	struct netfs_hash_link *link;

	netfs_hash_init(&table);
	for (unsigned i = 0; i < ELEMENTS; i++)
		netfs_hash_insert(&table, &elements[i].link, spread(i));
	link = netfs_hash_walk(&table, NULL);
	while (link) {
		struct netfs_hash_link *next = netfs_hash_walk(&table, link);

		netfs_hash_remove(&table, link);
		link = next;
	}
	assert_int_equal(table.count, 0);
	netfs_hash_done(&table);
	free(elements);
}

static void missing_element(void *user)
{
	struct element element = {0};
	struct netfs_hash table;

	netfs_hash_init(&table);
	netfs_hash_remove(&table, &element.link);
}

static void removing_what_is_not_there_aborts(void **state)
{
	assert_true(t_aborts(missing_element, NULL));
}

/* No chain of 2^12 gets far more than its share of 2^14 similar keys. */
static void check_spread(uint64_t (*hash_of)(unsigned i))
{
	static unsigned chains[1 << 12];
	unsigned longest = 0;

	memset(chains, 0, sizeof(chains));
	for (unsigned i = 0; i < 1 << 14; i++) {
		unsigned *chain = &chains[hash_of(i) >> (64 - 12)];

		if (++*chain > longest)
			longest = *chain;
	}
	assert_true(longest < 24);
}

static uint64_t name_hash(unsigned i)
{
	char name[32];
	int len = snprintf(name, sizeof(name), "file-%u.c", i);

	return netfs_hash_bytes(7, name, (size_t)len);
}

static uint64_t short_hash(unsigned i)
{
	return netfs_hash_bytes(7, &i, 2);
}

static uint64_t pair_hash(unsigned i)
{
	return netfs_hash_u64s(7, i & 127, i >> 7);
}

static void hash_functions_spread_similar_keys(void **state)
{
	check_spread(spread);
	check_spread(name_hash);
	check_spread(short_hash);
	check_spread(pair_hash);
}

static void hashes_depend_on_seed_length_and_every_byte(void **state)
{
	unsigned char bytes[40] = {0};

	for (size_t len = 0; len < sizeof(bytes); len++) {
		uint64_t plain = netfs_hash_bytes(1, bytes, len);

		assert_true(plain == netfs_hash_bytes(1, bytes, len));
		assert_true(plain != netfs_hash_bytes(2, bytes, len));
		assert_true(plain != netfs_hash_bytes(1, bytes, len + 1));
		for (size_t i = 0; i < len; i++) {
			bytes[i] = 1;
			assert_true(plain != netfs_hash_bytes(1, bytes, len));
			bytes[i] = 0;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elements_are_found_until_removed),
		cmocka_unit_test(equal_hashes_are_kept_apart_by_the_owner),
		cmocka_unit_test(works_without_memory_to_grow),
		cmocka_unit_test(walking_may_remove_what_it_left),
		cmocka_unit_test(removing_what_is_not_there_aborts),
		cmocka_unit_test(hash_functions_spread_similar_keys),
		cmocka_unit_test(hashes_depend_on_seed_length_and_every_byte),
	};

	return t_run(tests, NULL, NULL);
}
