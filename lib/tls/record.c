/* SPDX-License-Identifier: MIT */
/* What comes and goes on an encrypted connection beside data: RFC 8446 and RFC 5246. */
#include <errno.h>
#include <linux/tls.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clean.h"
#include "tls/tls.h"

enum { RECORD_ALERT = 21, RECORD_HANDSHAKE = 22 };
enum { MESSAGE_TICKET = 4, MESSAGE_KEY_UPDATE = 24 };
#define ALERT_WARNING 1
#define ALERT_CLOSE 0

/* The longest record has so many pieces; all behind the first are of no interest. */
#define PIECE 1024U
#define PIECES 18U

/* Those that are about whom one is. */
static const struct {
	uint8_t number;
	const char *text;
} alerts[] = {
	{42, "it cannot use our certificate"},
	{43, "it takes no certificates of this kind"},
	{44, "our certificate is revoked"},
	{45, "our certificate has expired"},
	{46, "it does not accept our certificate"},
	{48, "it does not know who has signed our certificate"},
	{49, "it does not let us in"},
	{51, "our key is not the one that it has"},
	{115, "it does not know our user"},
	{116, "it wants a certificate of ours"},
};

static int take_alert(const uint8_t *data, size_t len, struct ub_error *err)
{
	if (len < 2)
		return ub_fail_text(err, UB_STAGE_CONNECT, -EPROTO,
				    "its TLS ends with what is no alert");
	if (data[1] == ALERT_CLOSE)
		return ub_fail_text(err, UB_STAGE_CONNECT, -ECONNRESET, "it hangs up");
	for (size_t i = 0; i < UB_ARRAY_SIZE(alerts); i++)
		if (alerts[i].number == data[1])
			return ub_fail_text(err, UB_STAGE_CONNECT, -EKEYREJECTED, "it ends TLS: %s",
					    alerts[i].text);
	return ub_fail_text(err, UB_STAGE_CONNECT, -EPROTO, "it ends TLS: alert %u", data[1]);
}

static int take_message(const uint8_t *data, size_t len, struct ub_error *err)
{
	if (len && data[0] == MESSAGE_TICKET)
		return 0;
	if (len && data[0] == MESSAGE_KEY_UPDATE)
		return ub_fail_text(err, UB_STAGE_CONNECT, -EKEYEXPIRED, "it changes its keys");
	return ub_fail_text(err, UB_STAGE_CONNECT, -EPROTO, "its TLS begins anew");
}

int ub_tls_take_record(int fd, struct ub_error *err)
{
	char control[CMSG_SPACE(sizeof(uint8_t))];
	uint8_t first[PIECE] = {0}, others[PIECE] = {0};
	struct iovec iov[PIECES] = {{first, sizeof(first)}};
	struct msghdr msg = {.msg_iov = iov,
			     .msg_iovlen = PIECES,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	const struct cmsghdr *head;
	ssize_t n;

	for (size_t i = 1; i < PIECES; i++)
		iov[i] = (struct iovec){others, sizeof(others)};
	n = recvmsg(fd, &msg, MSG_DONTWAIT);
	head = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;
	if (head && head->cmsg_level == SOL_TLS && head->cmsg_type == TLS_GET_RECORD_TYPE) {
		size_t len = n < (ssize_t)sizeof(first) ? (size_t)n : sizeof(first);

		if (*CMSG_DATA(head) == RECORD_ALERT)
			return take_alert(first, len, err);
		if (*CMSG_DATA(head) == RECORD_HANDSHAKE)
			return take_message(first, len, err);
	}
	return ub_fail(err, UB_STAGE_CONNECT, -EIO, "its TLS is of no use");
}

/* Without keys the kernel says -EBUSY. */
static bool has_keys(int fd, int direction)
{
	struct tls_crypto_info info = {0};
	socklen_t len = sizeof(info);

	return getsockopt(fd, SOL_TLS, direction, &info, &len) == 0 && info.cipher_type != 0;
}

bool ub_tls_is_on(int fd)
{
	return has_keys(fd, TLS_TX) && has_keys(fd, TLS_RX);
}

void ub_tls_bye(int fd)
{
	uint8_t alert[2] = {ALERT_WARNING, ALERT_CLOSE};
	char control[CMSG_SPACE(sizeof(uint8_t))] = {0};
	struct iovec iov = {alert, sizeof(alert)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	struct cmsghdr *head = CMSG_FIRSTHDR(&msg);

	/* Else it would go as it is. */
	if (!ub_tls_is_on(fd))
		return;
	head->cmsg_level = SOL_TLS;
	head->cmsg_type = TLS_SET_RECORD_TYPE;
	head->cmsg_len = CMSG_LEN(sizeof(uint8_t));
	*CMSG_DATA(head) = RECORD_ALERT;
	(void)sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}
