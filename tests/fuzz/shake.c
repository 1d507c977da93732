/* SPDX-License-Identifier: MIT */
/* The handshake of the server. */
#include "fuzz.h"

#include <string.h>
#include <sys/socket.h>

/* Requests come whole; who takes his time for one is ours, and does not. */
static bool take(struct connection *c, void *to, size_t len)
{
	return recv(c->fd, to, len, MSG_WAITALL) == (ssize_t)len;
}

/* Of this message; counted. */
static bool lies_here(struct connection *c, enum lie which, uint32_t odds)
{
	return one_in(&c->rnd, odds) && lie(which);
}

static unsigned odds_of(const struct connection *c)
{
	return atomic_load(&c->slot->shake_lies);
}

static bool say(struct connection *c, const char *data, size_t len)
{
	unsigned odds = odds_of(c);

	enum lie which = (enum lie)below(&c->rnd, LIE_GARBAGE_BEHIND + 1);

	/* Each of these takes ten seconds. */
	if (which == LIE_CUT_MUTE && !one_in(&c->rnd, 10))
		which = LIE_CUT_CLOSE;
	return odds && lies_here(c, which, 4 * odds) ? send_spoiled(c, data, len, which)
						     : send_all(c, data, len);
}

static bool reply(struct connection *c, uint32_t option, uint32_t type, const void *data,
		  uint32_t len)
{
	char buf[NBD_OPTION_REPLY_SIZE + 8192];
	unsigned odds = odds_of(c);
	uint32_t said = len;

	if (odds && lies_here(c, LIE_OPTION_LENGTH, 8 * odds))
		said = one_in(&c->rnd, 2) ? below(&c->rnd, 20000) : (uint32_t)rnd_next(&c->rnd);
	if (odds && lies_here(c, LIE_OPTION_TYPE, 8 * odds))
		type = one_in(&c->rnd, 2) ? below(&c->rnd, 8) : (uint32_t)rnd_next(&c->rnd);
	nbd_put64(buf, NBD_OPTION_REPLY_MAGIC);
	nbd_put32(buf + 8, option);
	nbd_put32(buf + 12, type);
	nbd_put32(buf + 16, said);
	if (len)
		memcpy(buf + NBD_OPTION_REPLY_SIZE, data, len);
	return say(c, buf, NBD_OPTION_REPLY_SIZE + len);
}

static bool tell_export(struct connection *c, uint32_t option, uint64_t size, uint16_t flags)
{
	char info[12];

	nbd_put16(info, NBD_INFO_EXPORT);
	nbd_put64(info + 2, size);
	nbd_put16(info + 10, flags);
	return reply(c, option, NBD_REP_INFO, info, sizeof(info));
}

static bool tell_blocks(struct connection *c, uint32_t option, uint32_t min, uint32_t preferred,
			uint32_t most)
{
	char info[14];

	nbd_put16(info, NBD_INFO_BLOCK_SIZE);
	nbd_put32(info + 2, min);
	nbd_put32(info + 6, preferred);
	nbd_put32(info + 10, most);
	return reply(c, option, NBD_REP_INFO, info, sizeof(info));
}

static bool tell_more(struct connection *c, uint32_t option)
{
	uint32_t count = 1 + below(&c->rnd, one_in(&c->rnd, 8) ? 3000 : 4);
	char info[4096];

	for (; count > 0; count--) {
		uint32_t len = below(&c->rnd, one_in(&c->rnd, 4) ? sizeof(info) : 32);

		rnd_bytes(&c->rnd, info, len);
		/* What is none of these two is passed over. */
		if (len >= 2 && !one_in(&c->rnd, 64))
			info[1] = 9;
		if (!reply(c, option, NBD_REP_INFO, info, len))
			return false;
	}
	return true;
}

/* Numbers that are something else than they were. */
static uint32_t other(struct connection *c, uint32_t number)
{
	switch (below(&c->rnd, 4)) {
	case 0:
		return 0;
	case 1:
		return number / 2;
	case 2:
		return number * 2;
	default:
		return (uint32_t)rnd_next(&c->rnd);
	}
}

/* Return: whether requests follow. */
static bool tell(struct connection *c, uint32_t option)
{
	static const uint32_t errors[] = {
		NBD_REP_ERR_UNSUP,   NBD_REP_ERR_POLICY,   NBD_REP_ERR_INVALID,
		NBD_REP_ERR_UNKNOWN, NBD_REP_ERR_TLS_REQD, NBD_REP_ERR_BLOCK_SIZE_REQD,
		NBD_REP_ERR_TOO_BIG, NBD_REP_ERR_SHUTDOWN, NBD_REP_ERROR | 4711};
	struct slot *slot = c->slot;
	unsigned odds = odds_of(c);
	uint32_t min = slot->block_min, preferred = slot->block_preferred, most = slot->block_max;
	uint16_t flags = slot->flags;
	uint64_t size = SIZE;
	bool whole = true;

	if (odds && lies_here(c, LIE_OPTION_ERROR, 2 * odds)) {
		char text[300];

		rnd_bytes(&c->rnd, text, sizeof(text));
		(void)reply(c, option, errors[below(&c->rnd, sizeof(errors) / sizeof(*errors))],
			    text, below(&c->rnd, sizeof(text)));
		return false;
	}
	if (odds && lies_here(c, LIE_OTHER_EXPORT, odds)) {
		if (one_in(&c->rnd, 2))
			size = one_in(&c->rnd, 2) ? rnd_next(&c->rnd) : SIZE / 2;
		if (one_in(&c->rnd, 2))
			flags = (uint16_t)rnd_next(&c->rnd);
		if (one_in(&c->rnd, 3))
			min = other(c, min);
		if (one_in(&c->rnd, 3))
			preferred = other(c, preferred);
		if (one_in(&c->rnd, 3))
			most = other(c, most);
	}
	if (odds && lies_here(c, LIE_MORE_INFO, 2 * odds))
		whole = tell_more(c, option);
	if (whole && !(odds && lies_here(c, LIE_NO_INFO, 8 * odds)))
		whole = tell_export(c, option, size, flags);
	return whole && tell_blocks(c, option, min, preferred, most) &&
	       reply(c, option, NBD_REP_ACK, NULL, 0);
}

static bool greet(struct connection *c)
{
	char text[NBD_GREETING_SIZE], flags[4];

	nbd_put64(text, NBD_MAGIC);
	nbd_put64(text + 8, NBD_OPTION_MAGIC);
	nbd_put16(text + 16, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
	return say(c, text, sizeof(text)) && take(c, flags, sizeof(flags));
}

/* The newest connection is the one that counts, where there is one alone. */
static void begin(struct connection *c)
{
	pthread_mutex_lock(&c->slot->lock);
	c->epoch = c->slot->epoch;
	c->slot->owner = c->number;
	pthread_mutex_unlock(&c->slot->lock);
}

bool shake(struct connection *c)
{
	char head[NBD_OPTION_SIZE], data[8192];

	if (!greet(c))
		return false;
	while (take(c, head, sizeof(head))) {
		uint32_t option = nbd_get32(head + 8), len = nbd_get32(head + 12);

		if (nbd_get64(head) != NBD_OPTION_MAGIC || len > sizeof(data)) {
			fail(c->slot, "an option that is none of the protocol's");
			return false;
		}
		if (len && !take(c, data, len))
			return false;
		if (option == NBD_OPT_ABORT)
			return false;
		if (option != NBD_OPT_GO) {
			if (!reply(c, option, NBD_REP_ERR_UNSUP, NULL, 0))
				return false;
			continue;
		}
		/* So that it is known before it is used, whatever is behind. */
		begin(c);
		return tell(c, option);
	}
	return false;
}
