/* SPDX-License-Identifier: MIT */
/*
 * Goal: security descriptors come to the mode that they mean, a new mode replaces what
 * was said of those it is about, and nothing that is said of others is lost.
 * Method: tables of entries and the modes they mean; every mode there is; a descriptor
 * byte by byte; what is cut or lies about its lengths.
 */
#include "t.h"

#include <backend/smb/smb_sid.h>
#include <errno.h>
#include <string.h>

#define R   (SMB_ACCESS_READ_DATA | SMB_ACCESS_READ_ATTRIBUTES)
#define W   (SMB_ACCESS_WRITE_DATA | SMB_ACCESS_APPEND_DATA)
#define X   SMB_ACCESS_EXECUTE
#define ALL SMB_ACCESS_GENERIC_ALL
#define ACE(t, f, a, s)                                                                            \
	{                                                                                          \
		.type = (t), .flags = (f), .access = (a), .sid = s                                 \
	}
#define INHERITS (SMB_ACE_FILES_INHERIT | SMB_ACE_DIRS_INHERIT)

#define OWNER                                                                                      \
	{                                                                                          \
		.revision = 1, .count = 2, .authority = {0, 0, 0, 0, 0, 22}, .sub = { 1, 1000 }    \
	}
static const struct smb_sid owner = OWNER;
#define GROUP                                                                                      \
	{                                                                                          \
		.revision = 1, .count = 2, .authority = {0, 0, 0, 0, 0, 22}, .sub = { 2, 100 }     \
	}
static const struct smb_sid group = GROUP;
#define EVERYONE                                                                                   \
	{                                                                                          \
		.revision = 1, .count = 1, .authority = { 0, 0, 0, 0, 0, 1 }                       \
	}
static const struct smb_sid everyone = EVERYONE;
#define LOGGED_IN                                                                                  \
	{                                                                                          \
		.revision = 1, .count = 1, .authority = {0, 0, 0, 0, 0, 5}, .sub = { 11 }          \
	}
#define OWNER_RIGHTS                                                                               \
	{                                                                                          \
		.revision = 1, .count = 1, .authority = {0, 0, 0, 0, 0, 3}, .sub = { 4 }           \
	}
#define BOB                                                                                        \
	{                                                                                          \
		.revision = 1, .count = 5, .authority = {0, 0, 0, 0, 0, 5},                        \
		.sub = { 21,                                                                       \
			 7,                                                                        \
			 8,                                                                        \
			 9,                                                                        \
			 1001 }                                                                    \
	}
static const struct smb_sid bob = BOB;
#define MODE_0640                                                                                  \
	{                                                                                          \
		.revision = 1, .count = 3, .authority = {0, 0, 0, 0, 0, 5}, .sub = { 88, 3, 0640 } \
	}
static const struct smb_sid mode_0640 = MODE_0640;
#define MODE_4755                                                                                  \
	{                                                                                          \
		.revision = 1, .count = 3, .authority = {0, 0, 0, 0, 0, 5},                        \
		.sub = { 88,                                                                       \
			 3,                                                                        \
			 04755 }                                                                   \
	}

static const struct {
	struct smb_ace aces[4];
	uint32_t list, exact;
} meanings[] = {
	{{{0}}, 0, 0},
	{{ACE(SMB_ACE_ALLOW, 0, R | W, OWNER), ACE(SMB_ACE_ALLOW, 0, R, GROUP)}, 0640, 0640},
	{{ACE(SMB_ACE_ALLOW, 0, R | X, EVERYONE), ACE(SMB_ACE_ALLOW, 0, W, OWNER)}, 0755, 0755},
	{{ACE(SMB_ACE_ALLOW, 0, ALL, LOGGED_IN)}, 0777, 0777},
	{{ACE(SMB_ACE_ALLOW, 0, ALL, BOB)}, 0, 0},
	/* The first that speaks of a bit decides. */
	{{ACE(SMB_ACE_DENY, 0, W, OWNER), ACE(SMB_ACE_ALLOW, 0, R | W, EVERYONE)}, 0466, 0466},
	{{ACE(SMB_ACE_ALLOW, 0, R | W, EVERYONE), ACE(SMB_ACE_DENY, 0, W, OWNER)}, 0666, 0666},
	{{ACE(SMB_ACE_DENY, 0, R, GROUP), ACE(SMB_ACE_ALLOW, 0, R, EVERYONE)}, 0404, 0404},
	{{ACE(SMB_ACE_ALLOW, 0, R, OWNER_RIGHTS), ACE(SMB_ACE_ALLOW, 0, X, OWNER)}, 0500, 0500},
	/* What is only for things made later. */
	{{ACE(SMB_ACE_ALLOW, INHERITS | SMB_ACE_INHERIT_ONLY, ALL, EVERYONE),
	  ACE(SMB_ACE_ALLOW, INHERITS, R, OWNER)},
	 0400,
	 0400},
	/* A mode that is written down counts where it is asked for. */
	{{ACE(SMB_ACE_DENY, 0, 0, MODE_0640), ACE(SMB_ACE_ALLOW, 0, ALL, LOGGED_IN)}, 0777, 0640},
	{{ACE(SMB_ACE_ALLOW, 0, ALL, OWNER), ACE(SMB_ACE_ALLOW, 0, 0, MODE_4755)}, 0700, 04755},
	/* Kinds that are not known say nothing. */
	{{ACE(9, 0, ALL, EVERYONE), ACE(SMB_ACE_ALLOW, 0, R, OWNER)}, 0400, 0400},
};

static void fill(struct smb_security *security, const struct smb_ace *aces, unsigned n)
{
	memset(security, 0, sizeof(*security));
	security->owner = owner;
	security->group = group;
	security->has_dacl = true;
	for (unsigned i = 0; i < n && smb_sid_present(&aces[i].sid); i++)
		security->aces[security->naces++] = aces[i];
}

/* As it comes back from a server. */
static void over_the_wire(struct smb_security *security, uint8_t *bytes, size_t size)
{
	ssize_t len = smb_security_encode(security, bytes, size);

	assert_true(len > 0);
	assert_int_equal(smb_security_decode(bytes, (size_t)len, security), 0);
}

static void entries_come_to_a_mode(void **state)
{
	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
		static struct smb_security security;
		uint8_t bytes[1024];
		uint32_t mode = ~0u;

		fill(&security, meanings[i].aces, 4);
		for (int wire = 0; wire < 2; wire++) {
			assert_true(smb_security_mode(&security, SMB_SECURITY_LIST, &mode));
			assert_int_equal(mode, meanings[i].list);
			assert_true(smb_security_mode(&security, SMB_SECURITY_EXACT, &mode));
			assert_int_equal(mode, meanings[i].exact);
			over_the_wire(&security, bytes, sizeof(bytes));
		}
	}
}

static void without_a_list_there_is_no_mode(void **state)
{
	static struct smb_security security;
	uint8_t bytes[256];
	uint32_t mode;

	memset(&security, 0, sizeof(security));
	security.owner = owner;
	over_the_wire(&security, bytes, sizeof(bytes));
	assert_false(smb_security_mode(&security, SMB_SECURITY_LIST, &mode));
	assert_false(smb_security_mode(&security, SMB_SECURITY_EXACT, &mode));
}

/* Whatever was there before, and also if owner and group become others. */
static void every_mode_comes_back(void **state)
{
	struct smb_security_change changes[] = {
		{owner, group, 0, SMB_SECURITY_EXACT},
		{owner, group, 0, SMB_SECURITY_LIST},
		{smb_sid_of(SMB_SID_UID, 5), smb_sid_of(SMB_SID_GID, 6), 0, SMB_SECURITY_LIST},
	};

	for (uint32_t mode = 0; mode <= 07777; mode++) {
		for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
			struct smb_security_change *change = &changes[(mode + i) % 3];
			static struct smb_security security;
			uint8_t bytes[1024];
			uint32_t found;

			change->mode = mode;
			fill(&security, meanings[i].aces, 4);
			assert_int_equal(smb_security_set(&security, change), 0);
			over_the_wire(&security, bytes, sizeof(bytes));
			assert_true(smb_sid_equal(&security.owner, &change->owner));
			assert_true(smb_security_mode(&security, change->how, &found));
			assert_int_equal(found,
					 change->how == SMB_SECURITY_EXACT ? mode : mode & 0777);
			assert_true(smb_security_mode(&security, SMB_SECURITY_LIST, &found));
			assert_int_equal(found, mode & 0777);
		}
	}
}

static const struct smb_ace *entry_of(const struct smb_security *security,
				      const struct smb_sid *sid, unsigned flags)
{
	for (unsigned i = 0; i < security->naces; i++)
		if (smb_sid_equal(&security->aces[i].sid, sid) && security->aces[i].flags == flags)
			return &security->aces[i];
	return NULL;
}

/* Denied before allowed, said here before said above. */
static void others_keep_what_they_have_in_order(void **state)
{
	static const struct smb_ace before[] = {
		ACE(SMB_ACE_ALLOW, SMB_ACE_INHERITED, R, BOB),
		ACE(SMB_ACE_ALLOW, 0, W, BOB),
		ACE(SMB_ACE_DENY, 0, X, BOB),
		ACE(SMB_ACE_ALLOW, 0, ALL, EVERYONE),
	};
	static struct smb_security security;
	struct smb_security_change change = {owner, group, 0640, SMB_SECURITY_EXACT};
	uint8_t bytes[1024];

	fill(&security, before, 4);
	assert_int_equal(smb_security_set(&security, &change), 0);
	over_the_wire(&security, bytes, sizeof(bytes));
	assert_int_equal(security.naces, 7);
	assert_true(smb_sid_equal(&security.aces[0].sid, &mode_0640));
	assert_true(smb_sid_equal(&security.aces[1].sid, &bob));
	assert_int_equal(security.aces[1].type, SMB_ACE_DENY);
	assert_int_equal(security.aces[1].access, X);
	assert_true(smb_sid_equal(&security.aces[2].sid, &owner));
	assert_true(smb_sid_equal(&security.aces[4].sid, &everyone));
	assert_int_equal(security.aces[5].flags, SMB_ACE_INHERITED);
	assert_int_equal(security.aces[6].access, W);
}

/* A second mode takes the place of the first: entries do not gather. */
static void modes_replace_each_other(void **state)
{
	static struct smb_security security;
	struct smb_security_change change = {owner, group, 0604, SMB_SECURITY_EXACT};
	uint8_t bytes[1024];

	fill(&security, meanings[1].aces, 4);
	for (unsigned i = 0; i < 100; i++) {
		change.mode = i & 1 ? 0604 : 0640;
		assert_int_equal(smb_security_set(&security, &change), 0);
		over_the_wire(&security, bytes, sizeof(bytes));
		assert_true(security.naces <= 6);
	}
}

/* chmod of a directory changes nothing for what will be made in it. */
static void what_is_inherited_stays(void **state)
{
	static const struct smb_ace before[] = {
		ACE(SMB_ACE_ALLOW, INHERITS, ALL, EVERYONE),
		ACE(SMB_ACE_ALLOW, INHERITS | SMB_ACE_INHERIT_ONLY, R, OWNER),
	};
	static struct smb_security security;
	struct smb_security_change change = {owner, group, 0700, SMB_SECURITY_LIST};
	uint8_t bytes[1024];
	uint32_t mode;

	fill(&security, before, 2);
	security.control = 0x0400; /* DACL Auto-Inherited */
	assert_int_equal(smb_security_set(&security, &change), 0);
	over_the_wire(&security, bytes, sizeof(bytes));
	assert_int_equal(security.control & 0x0500, 0x0500);
	assert_non_null(entry_of(&security, &everyone, INHERITS | SMB_ACE_INHERIT_ONLY));
	assert_non_null(entry_of(&security, &owner, INHERITS | SMB_ACE_INHERIT_ONLY));
	assert_true(smb_security_mode(&security, SMB_SECURITY_LIST, &mode));
	assert_int_equal(mode, 0700);
}

static void a_list_that_is_full_is_refused(void **state)
{
	static struct smb_security security;
	struct smb_security_change change = {owner, group, 0604, SMB_SECURITY_EXACT};

	fill(&security, NULL, 0);
	for (unsigned i = 0; i < SMB_ACES_MAX; i++)
		security.aces[security.naces++] = (struct smb_ace)ACE(SMB_ACE_ALLOW, 0, R, BOB);
	assert_int_equal(smb_security_set(&security, &change), -EMSGSIZE);
	assert_int_equal(security.naces, SMB_ACES_MAX);
	security.naces = SMB_ACES_MAX - 6;
	assert_int_equal(smb_security_set(&security, &change), 0);
}

/* MS-DTYP 2.4.6, 2.4.5, 2.4.4.2, 2.4.2.2 */
static void descriptors_are_these_bytes(void **state)
{
	static const uint8_t want[] = {
		1,  0, 0x04, 0x80, 20, 0, 0, 0,	 0, 0, 0, 0, 0,	   0, 0, 0,
		36, 0, 0,    0, /* header */
		1,  2, 0,    0,	   0,  0, 0, 22, 1, 0, 0, 0, 0xe8, 3, 0, 0, /* S-1-22-1-1000 */
		2,  0, 28,   0,	   1,  0, 0, 0, /* a list of one */
		0,  3, 20,   0,	   1,  0, 0, 0,	 1, 1, 0, 0, 0,	   0, 0, 1,
		0,  0, 0,    0, /* S-1-1-0: read */
	};
	static struct smb_security security;
	uint8_t bytes[128];

	fill(&security, NULL, 0);
	security.group = (struct smb_sid){0};
	security.aces[security.naces++] =
		(struct smb_ace)ACE(SMB_ACE_ALLOW, INHERITS, SMB_ACCESS_READ_DATA, EVERYONE);
	assert_int_equal(smb_security_encode(&security, bytes, sizeof(bytes)), sizeof(want));
	assert_memory_equal(bytes, want, sizeof(want));
	assert_int_equal(smb_security_encode(&security, bytes, sizeof(want) - 1), -EMSGSIZE);
}

/* A length of the descriptor above, made what it must not be. */
static void what_lies_about_its_lengths_is_refused(void **state)
{
	static const struct {
		unsigned at;
		uint8_t value;
	} lies[] = {
		{0, 2}, /* revision */
		{3, 0}, /* absolute */
		{4, 19}, /* owner inside the header */
		{4, 200}, /* owner behind the end */
		{16, 64}, /* list behind the end */
		{20, 2}, /* revision of an identifier */
		{21, 16}, /* parts of one */
		{38, 7}, /* list shorter than its header */
		{38, 29}, /* list longer than there is */
		{40, 2}, /* more entries than fit */
		{40, 65}, /* more than are looked at */
		{46, 3}, /* entry shorter than its header */
		{46, 21}, /* entry longer than the list */
		{46, 16}, /* entry that ends inside its identifier */
	};
	static struct smb_security security;
	uint8_t bytes[128];
	ssize_t len;

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		fill(&security, NULL, 0);
		security.group = (struct smb_sid){0};
		security.aces[security.naces++] =
			(struct smb_ace)ACE(SMB_ACE_ALLOW, 0, SMB_ACCESS_READ_DATA, EVERYONE);
		len = smb_security_encode(&security, bytes, sizeof(bytes));
		bytes[lies[i].at] = lies[i].value;
		assert_int_equal(smb_security_decode(bytes, (size_t)len, &security), -EPROTO);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_come_to_a_mode),
		cmocka_unit_test(without_a_list_there_is_no_mode),
		cmocka_unit_test(every_mode_comes_back),
		cmocka_unit_test(others_keep_what_they_have_in_order),
		cmocka_unit_test(modes_replace_each_other),
		cmocka_unit_test(what_is_inherited_stays),
		cmocka_unit_test(a_list_that_is_full_is_refused),
		cmocka_unit_test(descriptors_are_these_bytes),
		cmocka_unit_test(what_lies_about_its_lengths_is_refused),
	};

	return t_run(tests, NULL, NULL);
}
