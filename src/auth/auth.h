/* SPDX-License-Identifier: MIT */
/*
 * The door of the folder: who we are, told to a server in SPNEGO tokens
 * (RFC 4178) through GSSAPI.  Kerberos where there is a ticket, NTLM where there is
 * a password and Debian's gss-ntlmssp; GSSAPI decides.
 *
 * Everything here may block (files, a KDC): from a netfs_job only.  One
 * struct netfs_auth serves one thread at a time.
 */
#ifndef AUTH_AUTH_H
#define AUTH_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NETFS_AUTH_KEY_MAX 64u

enum netfs_auth_mech {
	NETFS_AUTH_ANY, /* Kerberos, then NTLM */
	NETFS_AUTH_KERBEROS,
	NETFS_AUTH_NTLM,
};

/* Strings are the caller's for the life of the context. */
struct netfs_auth_who {
	enum netfs_auth_mech mech;
	const char *host; /* the server's name, without port */
	const char *service; /* "cifs" */
	const char *user; /* "" with Kerberos: whoever the ticket is for */
	const char *domain; /* "": the server's */
	const char *password; /* NULL: none */
};

struct netfs_auth;

/* Why it failed goes to message as one line without secrets.  -EACCES: no
 * credentials; -EOPNOTSUPP: the mechanism is not installed; -ENOMEM. */
int netfs_auth_new(const struct netfs_auth_who *who, struct netfs_auth **ret_auth, char *message,
		   size_t message_size);
/*
 * The next token for the server, in answer to in (len 0: the first, or a hint of
 * the server's that is not looked at).  *ret_out belongs to auth until the next
 * call; *ret_done: nothing more is expected.  Errors as above.
 */
int netfs_auth_step(struct netfs_auth *auth, const void *in, size_t len, const void **ret_out,
		    size_t *ret_len, bool *ret_done, char *message, size_t message_size);
/* The session key, once done; at most NETFS_AUTH_KEY_MAX bytes.  -EACCES: none. */
int netfs_auth_key(struct netfs_auth *auth, uint8_t *key, size_t *ret_len);
/* NULL is allowed. */
void netfs_auth_free(struct netfs_auth *auth);

#endif
