// SPDX-License-Identifier: MIT
/*
 * GSSAPI behind auth.h.
 *
 * Locks: none; GSSAPI has its own.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <gssapi/gssapi.h>
#include <gssapi/gssapi_ext.h>
#include <auth/auth.h>
#include <env/alloc.h>

static gss_OID_desc spnego = {6, (void *)"\x2b\x06\x01\x05\x05\x02"};
static gss_OID_desc krb5 = {9, (void *)"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02"};
static gss_OID_desc ntlmssp = {10, (void *)"\x2b\x06\x01\x04\x01\x82\x37\x02\x02\x0a"};
static gss_OID_desc session_key = {11, (void *)"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x05\x05"};

struct netfs_auth {
	gss_cred_id_t cred;
	gss_name_t target;
	gss_ctx_id_t context;
	gss_OID mech; /* what the context is made with */
	gss_buffer_desc out;
};

/* GSSAPI's own words for an error, in one line. */
static void explain(OM_uint32 major, OM_uint32 minor, const char *what, char *message, size_t size)
{
	gss_buffer_desc text[2] = {GSS_C_EMPTY_BUFFER, GSS_C_EMPTY_BUFFER};
	OM_uint32 ignored, more = 0;

	gss_display_status(&ignored, major, GSS_C_GSS_CODE, GSS_C_NO_OID, &more, &text[0]);
	more = 0;
	gss_display_status(&ignored, minor, GSS_C_MECH_CODE, GSS_C_NO_OID, &more, &text[1]);
	snprintf(message, size, "%s: %.*s%s%.*s", what, (int)text[0].length, (char *)text[0].value,
		 text[1].length ? ": " : "", (int)text[1].length,
		 text[1].length ? (char *)text[1].value : "");
	for (char *c = message; *c; c++)
		*c = *c == '\n' ? ' ' : *c;
	gss_release_buffer(&ignored, &text[0]);
	gss_release_buffer(&ignored, &text[1]);
}

static int error_of(OM_uint32 major)
{
	switch (GSS_ROUTINE_ERROR(major)) {
	case GSS_S_BAD_MECH:
	case GSS_S_UNAVAILABLE:
		return -EOPNOTSUPP;
	default:
		return -EACCES;
	}
}

static int import_name(const char *text, gss_OID type, gss_name_t *ret_name)
{
	gss_buffer_desc buffer = {strlen(text), (void *)(uintptr_t)text};
	OM_uint32 minor;

	return gss_import_name(&minor, &buffer, type, ret_name) == GSS_S_COMPLETE ? 0 : -EINVAL;
}

static gss_OID mech_of(const struct netfs_auth_who *who)
{
	if (who->mech == NETFS_AUTH_KERBEROS || (who->mech == NETFS_AUTH_ANY && !who->password))
		return &krb5;
	return &ntlmssp;
}

/* SPNEGO with the one mechanism that fits what we have. */
static int acquire(struct netfs_auth *auth, const struct netfs_auth_who *who, char *message,
		   size_t size)
{
	gss_OID_set_desc spnego_only = {1, &spnego}, inner = {1, mech_of(who)};
	gss_name_t name = GSS_C_NO_NAME;
	OM_uint32 major, minor, ignored;
	char user[512];

	snprintf(user, sizeof(user), "%s%s%s", who->domain, who->domain[0] ? "\\" : "", who->user);
	if (who->user[0] && import_name(user, GSS_C_NT_USER_NAME, &name))
		return -EINVAL;
	if (who->password) {
		gss_buffer_desc password = {strlen(who->password),
					    (void *)(uintptr_t)who->password};

		major = gss_acquire_cred_with_password(&minor, name, &password, GSS_C_INDEFINITE,
						       &spnego_only, GSS_C_INITIATE, &auth->cred,
						       NULL, NULL);
	} else {
		major = gss_acquire_cred(&minor, name, GSS_C_INDEFINITE, &spnego_only,
					 GSS_C_INITIATE, &auth->cred, NULL, NULL);
	}
	if (name)
		gss_release_name(&ignored, &name);
	if (major == GSS_S_COMPLETE)
		major = gss_set_neg_mechs(&minor, auth->cred, &inner);
	if (major == GSS_S_COMPLETE)
		return 0;
	explain(major, minor, "no credentials", message, size);
	return error_of(major);
}

int netfs_auth_new(const struct netfs_auth_who *who, struct netfs_auth **ret_auth, char *message,
		   size_t message_size)
{
	struct netfs_auth *auth = netfs_zalloc(sizeof(*auth));
	char target[512];
	int err;

	if (!auth)
		return -ENOMEM;
	auth->mech = &spnego;
	snprintf(target, sizeof(target), "%s@%s", who->service, who->host);
	err = import_name(target, GSS_C_NT_HOSTBASED_SERVICE, &auth->target);
	if (!err)
		err = acquire(auth, who, message, message_size);
	else
		snprintf(message, message_size, "bad host name '%s'", who->host);
	if (err)
		netfs_auth_free(auth);
	else
		*ret_auth = auth;
	return err;
}

int netfs_auth_step(struct netfs_auth *auth, const void *in, size_t len, const void **ret_out,
		    size_t *ret_len, bool *ret_done, char *message, size_t message_size)
{
	gss_buffer_desc input = {len, (void *)(uintptr_t)in};
	OM_uint32 major, minor, ignored;

	gss_release_buffer(&ignored, &auth->out);
	major = gss_init_sec_context(&minor, auth->cred, &auth->context, auth->target, auth->mech,
				     GSS_C_MUTUAL_FLAG | GSS_C_INTEG_FLAG | GSS_C_SEQUENCE_FLAG, 0,
				     GSS_C_NO_CHANNEL_BINDINGS,
				     auth->context && len ? &input : GSS_C_NO_BUFFER, NULL,
				     &auth->out, NULL, NULL);
	if (GSS_ERROR(major)) {
		explain(major, minor, "authentication", message, message_size);
		return error_of(major);
	}
	*ret_out = auth->out.value;
	*ret_len = auth->out.length;
	*ret_done = major == GSS_S_COMPLETE;
	return 0;
}

int netfs_auth_key(struct netfs_auth *auth, uint8_t *key, size_t *ret_len)
{
	gss_buffer_set_t set = GSS_C_NO_BUFFER_SET;
	OM_uint32 minor, major;
	int err = -EACCES;

	major = gss_inquire_sec_context_by_oid(&minor, auth->context, &session_key, &set);
	if (major == GSS_S_COMPLETE && set && set->count > 0 && set->elements[0].length > 0 &&
	    set->elements[0].length <= NETFS_AUTH_KEY_MAX) {
		memcpy(key, set->elements[0].value, set->elements[0].length);
		*ret_len = set->elements[0].length;
		err = 0;
	}
	if (set) {
		for (size_t i = 0; i < set->count; i++)
			explicit_bzero(set->elements[i].value, set->elements[i].length);
		gss_release_buffer_set(&minor, &set);
	}
	return err;
}

void netfs_auth_free(struct netfs_auth *auth)
{
	OM_uint32 ignored;

	if (!auth)
		return;
	gss_release_buffer(&ignored, &auth->out);
	if (auth->context)
		gss_delete_sec_context(&ignored, &auth->context, GSS_C_NO_BUFFER);
	if (auth->target)
		gss_release_name(&ignored, &auth->target);
	if (auth->cred)
		gss_release_cred(&ignored, &auth->cred);
	netfs_free(auth);
}
