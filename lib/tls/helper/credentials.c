/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clean.h"
#include "tls/helper/helper.h"

/* Versions and ciphers that the kernel has as well; anonymous servers are none of it. */
#define BASE                                                                                   \
	"NORMAL:%PROFILE_MEDIUM:-RSA:-SIGN-RSA-SHA1:-SIGN-ECDSA-SHA1:-VERS-ALL:+VERS-TLS1.3:+" \
	"VERS-TLS1.2:-CIPHER-ALL:+AES-256-GCM:+AES-128-GCM:+CHA"                               \
	"CHA20-POLY1305"
#define WITH_PSK BASE ":-KX-ALL:+ECDHE-PSK:+DHE-PSK"

/* There is none with more than that in earnest. */
#define LINE_LENGTH 4096

/* Return: 0, or a negative errno with a text: that it can't be read has better words than gnutls'. */
static int check_file(const char *path, struct ub_tls_answer *answer)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return helper_fail(answer, -errno, "cannot open %.300s: %s", path, strerror(errno));
	(void)close(fd);
	return 0;
}

static int load_trust(const struct ub_tls_task *task, gnutls_certificate_credentials_t x509,
		      struct ub_tls_answer *answer)
{
	int ret;

	if (!*task->ca) {
		ret = gnutls_certificate_set_x509_system_trust(x509);
		return ret > 0 ? 0
			       : helper_fail(answer, -ENOENT,
					     "this system trusts no CA: name one, or install "
					     "ca-certificates");
	}
	ret = check_file(task->ca, answer);
	if (ret)
		return ret;
	ret = gnutls_certificate_set_x509_trust_file(x509, task->ca, GNUTLS_X509_FMT_PEM);
	return ret > 0 ? 0
		       : helper_fail(answer, -EINVAL, "%.300s has no certificate of a CA: %s",
				     task->ca, ret ? gnutls_strerror(ret) : "none in it");
}

static int load_own(const struct ub_tls_task *task, gnutls_certificate_credentials_t x509,
		    struct ub_tls_answer *answer)
{
	int ret = *task->cert ? check_file(task->cert, answer) : 0;

	if (ret || !*task->cert)
		return ret;
	ret = check_file(task->key, answer);
	if (ret)
		return ret;
	ret = gnutls_certificate_set_x509_key_file(x509, task->cert, task->key,
						   GNUTLS_X509_FMT_PEM);
	return ret >= 0 ? 0
			: helper_fail(answer, -EINVAL, "cannot use %.150s with the key %.150s: %s",
				      task->cert, task->key, gnutls_strerror(ret));
}

/* @line: USER:HEXKEY. Return: whether it is one, cut in two. */
static bool cut(char *line, char **ret_key)
{
	char *colon = strrchr(line, ':');

	line[strcspn(line, "\r\n")] = '\0';
	if (!colon || colon == line || !colon[1] || *line == '#')
		return false;
	*colon = '\0';
	*ret_key = colon + 1;
	return true;
}

/* Finds the user's line, or the only one. Return: 0 with the line and where its key is, or a negative errno with a
 * text. */
static int find_key(const struct ub_tls_task *task, char line[static LINE_LENGTH], char **ret_key,
		    struct ub_tls_answer *answer)
{
	_cleanup_fclose_ FILE *file = fopen(task->psk, "re");
	char other[LINE_LENGTH], *key;
	size_t found = 0;

	if (!file)
		return helper_fail(answer, -errno, "cannot open %.300s: %s", task->psk,
				   strerror(errno));
	while (fgets(other, sizeof(other), file)) {
		if (!cut(other, &key) || (*task->user && strcmp(other, task->user) != 0))
			continue;
		if (!found++) {
			memcpy(line, other, sizeof(other));
			*ret_key = line + (key - other);
		}
	}
	explicit_bzero(other, sizeof(other));
	if (found == 1)
		return 0;
	if (*task->user)
		return helper_fail(answer, found ? -EINVAL : -ENOENT,
				   "%.200s has %s of user %.100s", task->psk,
				   found ? "several keys" : "no key", task->user);
	return helper_fail(answer, -EINVAL, "%.300s has %s", task->psk,
			   found ? "several users: say which one" : "no line USER:KEY");
}

static int load_psk(const struct ub_tls_task *task, struct credentials *c,
		    struct ub_tls_answer *answer)
{
	char line[LINE_LENGTH] = "", *key = line;
	int ret = find_key(task, line, &key, answer);

	if (!ret && gnutls_psk_allocate_client_credentials(&c->psk) != 0)
		ret = helper_fail(answer, -ENOMEM, "there is no memory for a key");
	if (!ret) {
		gnutls_datum_t datum = {(unsigned char *)key, (unsigned)strlen(key)};

		if (gnutls_psk_set_client_credentials(c->psk, line, &datum, GNUTLS_PSK_KEY_HEX) !=
		    0)
			ret = helper_fail(answer, -EINVAL,
					  "the key in %.200s of user %.100s is no hexadecimal one",
					  task->psk, line);
	}
	explicit_bzero(line, sizeof(line));
	return ret;
}

int helper_load(const struct ub_tls_task *task, struct credentials *ret_credentials,
		struct ub_tls_answer *answer)
{
	struct credentials c = {.locks = task->lock};
	int ret = gnutls_priority_init(&c.priority, *task->psk ? WITH_PSK : BASE, NULL);

	if (ret)
		return helper_fail(answer, -EOPNOTSUPP,
				   "gnutls has none of the versions and ciphers: %s",
				   gnutls_strerror(ret));
	if (*task->psk) {
		ret = load_psk(task, &c, answer);
	} else if (gnutls_certificate_allocate_credentials(&c.x509) != 0) {
		ret = helper_fail(answer, -ENOMEM, "there is no memory for certificates");
	} else {
		ret = load_trust(task, c.x509, answer);
		if (!ret)
			ret = load_own(task, c.x509, answer);
		c.host = strdup(task->host);
		if (!ret && (!c.host || !*c.host))
			ret = helper_fail(answer, -EINVAL, "the server has no name");
	}
	if (!ret)
		*ret_credentials = c;
	return ret;
}
