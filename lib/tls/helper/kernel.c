/* SPDX-License-Identifier: MIT */
/* The keys, as the kernel wants them (Documentation/networking/tls.rst). */
#include <errno.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clean.h"
#include "tls/helper/helper.h"

/* A nonce of TLS with GCM: what is fixed, and what is counted or xored with the count. */
_Static_assert(TLS_CIPHER_AES_GCM_128_SALT_SIZE == TLS_CIPHER_AES_GCM_256_SALT_SIZE &&
		       TLS_CIPHER_AES_GCM_128_IV_SIZE == TLS_CIPHER_AES_GCM_256_IV_SIZE,
	       "both have the same nonce");
#define SALT_SIZE TLS_CIPHER_AES_GCM_128_SALT_SIZE
#define IV_SIZE TLS_CIPHER_AES_GCM_128_IV_SIZE
#define SEQUENCE_SIZE 8U
/* Bytes of data in a record, as the kernel fills them: RFC 8446, 5.1. */
#define TLS_RECORD_MAX 16384U

struct direction {
	gnutls_datum_t iv, key;
	unsigned char sequence[SEQUENCE_SIZE];
	bool is_13;
};

union crypto {
	struct tls_crypto_info info;
	struct tls12_crypto_info_aes_gcm_128 aes_128;
	struct tls12_crypto_info_aes_gcm_256 aes_256;
	struct tls12_crypto_info_chacha20_poly1305 chacha;
};

int helper_prepare(int fd, struct ub_tls_answer *answer)
{
	if (setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) == 0)
		return 0;
	if (errno == ENOENT)
		return helper_fail(answer, -EOPNOTSUPP,
				   "the kernel's TLS is not there: is its module `tls` loaded?");
	return helper_fail(answer, -errno, "the kernel does not encrypt this connection: %s",
			   strerror(errno));
}

/* In TLS 1.2 the counted half starts anywhere and is sent along; it must not come twice with the same key, so it
 * goes on from the number of the record, which gnutls has counted by. */
static bool fill_gcm(const struct direction *d, unsigned char *salt, unsigned char *iv)
{
	if (d->iv.size < SALT_SIZE + (d->is_13 ? IV_SIZE : 0))
		return false;
	memcpy(salt, d->iv.data, SALT_SIZE);
	memcpy(iv, d->is_13 ? d->iv.data + SALT_SIZE : d->sequence, IV_SIZE);
	return true;
}

/* Return: bytes of it, or 0: the kernel has no such cipher. */
static socklen_t fill(gnutls_cipher_algorithm_t cipher, const struct direction *d, union crypto *c)
{
	switch (cipher) {
	case GNUTLS_CIPHER_AES_128_GCM:
		c->info.cipher_type = TLS_CIPHER_AES_GCM_128;
		memcpy(c->aes_128.rec_seq, d->sequence, SEQUENCE_SIZE);
		if (d->key.size != sizeof(c->aes_128.key) ||
		    !fill_gcm(d, c->aes_128.salt, c->aes_128.iv))
			return 0;
		memcpy(c->aes_128.key, d->key.data, sizeof(c->aes_128.key));
		return sizeof(c->aes_128);
	case GNUTLS_CIPHER_AES_256_GCM:
		c->info.cipher_type = TLS_CIPHER_AES_GCM_256;
		memcpy(c->aes_256.rec_seq, d->sequence, SEQUENCE_SIZE);
		if (d->key.size != sizeof(c->aes_256.key) ||
		    !fill_gcm(d, c->aes_256.salt, c->aes_256.iv))
			return 0;
		memcpy(c->aes_256.key, d->key.data, sizeof(c->aes_256.key));
		return sizeof(c->aes_256);
	case GNUTLS_CIPHER_CHACHA20_POLY1305:
		c->info.cipher_type = TLS_CIPHER_CHACHA20_POLY1305;
		memcpy(c->chacha.rec_seq, d->sequence, SEQUENCE_SIZE);
		if (d->key.size != sizeof(c->chacha.key) || d->iv.size != sizeof(c->chacha.iv))
			return 0;
		memcpy(c->chacha.iv, d->iv.data, sizeof(c->chacha.iv));
		memcpy(c->chacha.key, d->key.data, sizeof(c->chacha.key));
		return sizeof(c->chacha);
	default:
		return 0;
	}
}

static int hand_over(gnutls_session_t session, int fd, bool reads, struct ub_tls_answer *answer)
{
	struct direction d = {.is_13 = gnutls_protocol_get_version(session) == GNUTLS_TLS1_3};
	union crypto c = {.info.version = d.is_13 ? TLS_1_3_VERSION : TLS_1_2_VERSION};
	gnutls_datum_t mac;
	socklen_t len;
	int ret = gnutls_record_get_state(session, reads, &mac, &d.iv, &d.key, d.sequence);

	if (ret)
		return helper_fail(answer, -EOPNOTSUPP, "gnutls gives no keys: %s",
				   gnutls_strerror(ret));
	len = fill(gnutls_cipher_get(session), &d, &c);
	if (!len)
		return helper_fail(answer, -EOPNOTSUPP, "the kernel has no such cipher: %s",
				   gnutls_cipher_get_name(gnutls_cipher_get(session)));
	ret = setsockopt(fd, SOL_TLS, reads ? TLS_RX : TLS_TX, &c, len) == 0 ? 0 : -errno;
	explicit_bzero(&c, sizeof(c));
	return ret ? helper_fail(answer, ret == -ENOENT ? -EOPNOTSUPP : ret,
				 "the kernel does not take the keys of %s: %s",
				 gnutls_cipher_get_name(gnutls_cipher_get(session)), strerror(-ret))
		   : 0;
}

int helper_hand_over(gnutls_session_t session, int fd, struct ub_tls_answer *answer)
{
	/* It tells how much of what is to be sent one record may have; gnutls_record_get_max_size() is about what is
	 * received. */
	const gnutls_range_st much = {2 * TLS_RECORD_MAX, 2 * TLS_RECORD_MAX};
	gnutls_range_st first = {0}, rest;
	int ret;

	/* What gnutls has taken off the connection the kernel would miss. */
	if (gnutls_record_check_pending(session) != 0)
		return helper_fail(answer, -EPROTO, "the server speaks before it is asked");
	if (gnutls_range_split(session, &much, &first, &rest) != 0 || first.high < TLS_RECORD_MAX)
		return helper_fail(answer, -EOPNOTSUPP,
				   "the server wants shorter records than the kernel sends");
	ret = hand_over(session, fd, false, answer);
	return ret ? ret : hand_over(session, fd, true, answer);
}
