/* SPDX-License-Identifier: MIT */
/* A handshake as gnutls does it, over a connection that it never waits on for longer than it may. */
#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/x509.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "tls/helper/helper.h"

/* Until the connection has something, or takes something. Return: 0 or a negative errno. */
static int await(const struct attempt *a, short events)
{
	struct pollfd p[2] = {{.fd = a->fd, .events = events}, {.fd = a->reply}};
	int ret;

	do
		ret = poll(p, UB_ARRAY_SIZE(p), ub_left_ms(a->deadline_ms));
	while (ret < 0 && errno == EINTR);
	/* Nobody is to be told of it any more. */
	if (p[1].revents)
		_exit(0);
	return ret < 0 ? -errno : ret ? 0 : -ETIMEDOUT;
}

static ssize_t move(struct attempt *a, void *in, const void *out, size_t len)
{
	for (;;) {
		/* One that never stops talking is as bad as one that does not begin. */
		bool late = ub_left_ms(a->deadline_ms) == 0;
		ssize_t n = late ? -1
			    : in ? recv(a->fd, in, len, MSG_DONTWAIT)
				 : send(a->fd, out, len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n >= 0)
			return n;
		if (late)
			a->error = -ETIMEDOUT;
		else if (errno != EINTR)
			a->error = errno == EAGAIN ? await(a, in ? POLLIN : POLLOUT) : -errno;
		if (a->error) {
			errno = -a->error;
			return -1;
		}
	}
}

static ssize_t pull(gnutls_transport_ptr_t ptr, void *to, size_t len)
{
	return move(ptr, to, NULL, len);
}

static ssize_t push(gnutls_transport_ptr_t ptr, const void *from, size_t len)
{
	return move(ptr, NULL, from, len);
}

static bool is_address(const char *host)
{
	struct in6_addr addr;

	return inet_pton(AF_INET, host, &addr) == 1 || inet_pton(AF_INET6, host, &addr) == 1;
}

static int set_up(gnutls_session_t session, const struct credentials *c, struct attempt *a)
{
	int ret = gnutls_priority_set(session, c->priority);

	if (!ret)
		ret = c->psk ? gnutls_credentials_set(session, GNUTLS_CRD_PSK, c->psk)
			     : gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, c->x509);
	/* An address is no name that a server could choose its certificate by: RFC 6066, 3. */
	if (!ret && c->x509 && !is_address(c->host))
		ret = gnutls_server_name_set(session, GNUTLS_NAME_DNS, c->host, strlen(c->host));
	if (!ret && c->x509) {
		/* Kept by the session; of this process there is one. */
		static gnutls_typed_vdata_st wanted[2];

		wanted[0] = (gnutls_typed_vdata_st){.type = GNUTLS_DT_DNS_HOSTNAME,
						    .data = (void *)(uintptr_t)c->host};
		wanted[1] = (gnutls_typed_vdata_st){
			.type = GNUTLS_DT_KEY_PURPOSE_OID,
			.data = (unsigned char *)(uintptr_t)GNUTLS_KP_TLS_WWW_SERVER};
		gnutls_session_set_verify_cert2(session, wanted, UB_ARRAY_SIZE(wanted), 0);
	}
	gnutls_transport_set_ptr(session, a);
	gnutls_transport_set_pull_function(session, pull);
	gnutls_transport_set_push_function(session, push);
	return ret;
}

/* Why a certificate is not believed: the first that holds. */
static const struct {
	unsigned status;
	int code;
	const char *text;
} doubts[] = {
	{GNUTLS_CERT_REVOKED, -EKEYREVOKED, "the server's certificate is revoked"},
	{GNUTLS_CERT_SIGNER_NOT_FOUND, -EKEYREJECTED,
	 "the server's certificate is signed by nobody whom we trust"},
	{GNUTLS_CERT_SIGNER_NOT_CA, -EKEYREJECTED,
	 "the server's certificate is signed by one that is no CA"},
	{GNUTLS_CERT_EXPIRED, -EKEYEXPIRED, "the server's certificate has expired"},
	{GNUTLS_CERT_NOT_ACTIVATED, -EKEYREJECTED, "the server's certificate is not valid yet"},
	{GNUTLS_CERT_PURPOSE_MISMATCH, -EKEYREJECTED, "the server's certificate is of no server"},
	{GNUTLS_CERT_INSECURE_ALGORITHM, -EKEYREJECTED,
	 "the server's certificate is signed in a way that is not secure"},
};

static int tell_doubt(gnutls_session_t session, const struct credentials *c,
		      struct ub_tls_answer *answer)
{
	unsigned status = gnutls_session_get_verify_cert_status(session);

	for (size_t i = 0; i < UB_ARRAY_SIZE(doubts); i++)
		if (status & doubts[i].status)
			return helper_fail(answer, doubts[i].code, "%s", doubts[i].text);
	if (status & GNUTLS_CERT_UNEXPECTED_OWNER)
		return helper_fail(answer, -EKEYREJECTED, "the server's certificate is not for %s",
				   c->host);
	return helper_fail(answer, -EKEYREJECTED, "the server's certificate is not to be trusted");
}

static int tell_failure(gnutls_session_t session, const struct credentials *c,
			const struct attempt *a, int code, struct ub_tls_answer *answer)
{
	if (a->error == -ETIMEDOUT)
		return helper_fail(answer, a->error, "it does not answer");
	if (a->error)
		return helper_fail(answer, a->error, "%s", strerror(-a->error));
	switch (code) {
	case GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR:
		return tell_doubt(session, c, answer);
	case GNUTLS_E_FATAL_ALERT_RECEIVED:
		return helper_fail(answer, -EKEYREJECTED, "the server refuses: %s",
				   gnutls_alert_get_name(gnutls_alert_get(session)));
	case GNUTLS_E_PREMATURE_TERMINATION:
		return helper_fail(answer, -ECONNRESET, "it hangs up; %s",
				   c->psk ? "does it have this user and key?"
					  : "does it have a certificate?");
	case GNUTLS_E_INSUFFICIENT_CREDENTIALS:
		return helper_fail(answer, -EKEYREJECTED, "the server wants %s",
				   c->psk ? "certificates, and no key"
					  : "a key, and no certificates");
	case GNUTLS_E_NO_CERTIFICATE_FOUND:
	case GNUTLS_E_UNEXPECTED_PACKET_LENGTH:
	case GNUTLS_E_UNSUPPORTED_VERSION_PACKET:
	case GNUTLS_E_UNEXPECTED_PACKET:
		return helper_fail(answer, -EPROTO,
				   "what it says is no TLS, or not what we want: %s",
				   gnutls_strerror(code));
	default:
		return helper_fail(answer, -EPROTO, "%s", gnutls_strerror(code));
	}
}

/* What was asked for, and nothing that was not: whoever answers must have proved who it is. */
static bool is_proved(gnutls_session_t session, const struct credentials *c)
{
	return gnutls_auth_server_get_type(session) ==
		       (c->psk ? GNUTLS_CRD_PSK : GNUTLS_CRD_CERTIFICATE) &&
	       (c->psk || gnutls_session_get_verify_cert_status(session) == 0);
}

int helper_shake(const struct credentials *credentials, struct attempt *attempt,
		 struct ub_tls_answer *answer)
{
	gnutls_session_t session;
	/* A ticket would be of no use, and is no data. */
	int ret = gnutls_init(&session, GNUTLS_CLIENT | GNUTLS_NO_TICKETS);

	if (ret)
		return helper_fail(answer, -ENOMEM, "%s", gnutls_strerror(ret));
	ret = set_up(session, credentials, attempt);
	while (!ret && (ret = gnutls_handshake(session)) < 0 && !gnutls_error_is_fatal(ret))
		ret = 0;
	if (ret)
		ret = tell_failure(session, credentials, attempt, ret, answer);
	else if (!is_proved(session, credentials))
		ret = helper_fail(answer, -EKEYREJECTED, "the server has not proved who it is");
	else
		ret = helper_hand_over(session, attempt->fd, answer);
	gnutls_deinit(session);
	return ret;
}
