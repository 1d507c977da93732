/* SPDX-License-Identifier: MIT */
/* Answers to requests. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#define STRUCTURED_MAGIC 0x668e33efU
#define SHUTDOWN 108U
#define NOT_SUPPORTED 95U

static bool may_fail(const struct slot *slot, uint16_t command)
{
	switch (slot->profile) {
	case PROFILE_CRASHES:
		return false;
	case PROFILE_CRASHES_AND_ERRORS:
		return command == NBD_CMD_READ || command == NBD_CMD_FLUSH;
	default:
		return true;
	}
}

static void make_head(char *head, uint32_t magic, uint32_t error, uint64_t cookie)
{
	nbd_put32(head, magic);
	nbd_put32(head + 4, error);
	nbd_put64(head + 8, cookie);
}

static bool say_error(struct connection *c, const struct request *r, uint32_t error, bool with_data)
{
	size_t len = NBD_REPLY_SIZE + (with_data ? r->len : 0);
	char *text = calloc(1, len);
	bool ret = execute(c, r, one_in(&c->rnd, 2), with_data ? text + NBD_REPLY_SIZE : NULL);

	make_head(text, NBD_REPLY_MAGIC, error, r->cookie);
	ret = ret && send_all(c, text, len);
	free(text);
	return ret;
}

static uint32_t any_error(struct connection *c, uint16_t command)
{
	static const uint32_t errors[] = {1, 5, 12, 22, 28, 75, NOT_SUPPORTED, 11, 4, 0x80000001U};
	uint32_t error = one_in(&c->rnd, 8)
				 ? 1 + (uint32_t)rnd_next(&c->rnd) / 2
				 : errors[below(&c->rnd, sizeof(errors) / sizeof(*errors))];

	/* Of a discard the block layer tells nobody that (blk_ioctl_discard()): it seems to be done. */
	return error == NOT_SUPPORTED && command == NBD_CMD_TRIM ? 5 : error;
}

/* A cookie that nobody has, nor will have soon. */
static uint64_t wrong_cookie(struct connection *c, uint64_t cookie)
{
	switch (below(&c->rnd, 5)) {
	case 0:
		return rnd_next(&c->rnd);
	case 1:
		return cookie ^ 1ULL << (24 + below(&c->rnd, 8));
	case 2:
		return cookie ^ 1ULL << (56 + below(&c->rnd, 8));
	case 3:
		return (cookie & ~0xffffffffULL) | 0x7fffffff;
	default:
		return 0;
	}
}

/* @text: a reply, of @len bytes, whose head is spoiled: never into one that could be another's. */
static void flip(struct connection *c, const struct request *r, char *text)
{
	for (unsigned n = 1 + below(&c->rnd, 3); n > 0; n--) {
		static const uint8_t places[] = {0, 1, 2, 3, 8, 12, 4, 5, 6, 7};
		uint32_t place = places[below(&c->rnd, may_fail(c->slot, r->command) ? 10 : 6)];

		text[place] ^= (char)(1 << below(&c->rnd, 8));
	}
	/* Two that make none. */
	if (nbd_get32(text) == NBD_REPLY_MAGIC && nbd_get64(text + 8) == r->cookie &&
	    !nbd_get32(text + 4))
		text[0] ^= 1;
}

static bool say_structured(struct connection *c, const struct request *r, const char *data)
{
	static const uint16_t types[] = {0, 1, 2, 5, 0x8001, 0x8002, 0x1234};
	uint16_t type = types[below(&c->rnd, sizeof(types) / sizeof(*types))];
	bool has_data = type == 1 && r->command == NBD_CMD_READ;
	uint32_t len = has_data ? 8 + r->len : below(&c->rnd, 20);
	char head[20 + 20] = {0};

	nbd_put32(head, STRUCTURED_MAGIC);
	nbd_put16(head + 4, (uint16_t)below(&c->rnd, 2));
	nbd_put16(head + 6, type);
	nbd_put64(head + 8, r->cookie);
	nbd_put32(head + 16, len);
	nbd_put64(head + 20, r->offset);
	if (!has_data)
		return send_all(c, head, 20 + len);
	send_later(c, head, 20 + 8);
	return send_all(c, data, r->len);
}

/* @text: the right reply, with room for as much again. */
static bool say_wrong(struct connection *c, const struct request *r, enum lie which, char *text,
		      size_t len)
{
	uint32_t keep;

	switch (which) {
	case LIE_FLIP:
		flip(c, r, text);
		break;
	case LIE_MAGIC:
		nbd_put32(text, one_in(&c->rnd, 2) ? NBD_REQUEST_MAGIC : 0x6e8a278cU);
		break;
	case LIE_COOKIE:
		nbd_put64(text + 8, wrong_cookie(c, r->cookie));
		break;
	case LIE_STRUCTURED:
		return say_structured(c, r, text + NBD_REPLY_SIZE);
	case LIE_TWICE:
		send_later(c, text, len);
		break;
	case LIE_OLD:
		send_later(c, c->old, sizeof(c->old));
		break;
	case LIE_SHORT_HEAD:
		keep = 1 + below(&c->rnd, NBD_REPLY_SIZE - 1);
		return send_all(c, text, keep);
	case LIE_MORE_DATA:
		send_later(c, text, len);
		memset(text, 0, len);
		len = 1 + below(&c->rnd, (uint32_t)len);
		break;
	default:
		return send_spoiled(c, text, len, which);
	}
	return send_all(c, text, len);
}

/* Those that cost a connection are rarer. */
static enum lie choose(struct connection *c)
{
	static const enum lie harmless[] = {LIE_TRICKLE, LIE_TOGETHER, LIE_ERROR, LIE_LATE};
	static const enum lie others[] = {
		LIE_FLIP,       LIE_ERROR_AND_DATA, LIE_SHUTDOWN,       LIE_MAGIC,
		LIE_COOKIE,     LIE_STRUCTURED,     LIE_TWICE,          LIE_OLD,
		LIE_SHORT_HEAD, LIE_MORE_DATA,      LIE_NEVER,          LIE_CUT_CLOSE,
		LIE_CUT_MUTE,   LIE_CLOSE_BEHIND,   LIE_GARBAGE_BEFORE, LIE_GARBAGE_BEHIND};

	if (!one_in(&c->rnd, 4))
		return harmless[below(&c->rnd, sizeof(harmless) / sizeof(*harmless))];
	return others[below(&c->rnd, sizeof(others) / sizeof(*others))];
}

/* Return: the lie, or LIES: none, also if it can't be had here. */
static enum lie choose_possible(struct connection *c, const struct request *r)
{
	unsigned odds = atomic_load(&c->slot->reply_lies);
	enum lie which = odds && one_in(&c->rnd, odds) ? choose(c) : LIES;

	/* One that takes a while, or seconds. */
	if (which == LIE_NEVER || which == LIE_CUT_MUTE)
		which = one_in(&c->rnd, 8) ? which : LIE_CLOSE_BEHIND;
	if ((which == LIE_ERROR || which == LIE_ERROR_AND_DATA) && !may_fail(c->slot, r->command))
		which = LIE_TOGETHER;
	if (which == LIE_OLD && !c->has_old)
		which = LIE_MAGIC;
	return which;
}

static bool answer_as(struct connection *c, const struct request *r, enum lie which)
{
	size_t len = NBD_REPLY_SIZE + (r->command == NBD_CMD_READ ? r->len : 0);
	char *text;
	bool ret;

	switch (which) {
	case LIE_ERROR:
	case LIE_ERROR_AND_DATA:
		return say_error(c, r, any_error(c, r->command),
				 which != LIE_ERROR && r->command == NBD_CMD_READ);
	case LIE_SHUTDOWN:
		return say_error(c, r, SHUTDOWN, false);
	case LIE_NEVER:
		return execute(c, r, one_in(&c->rnd, 2), NULL);
	default:
		break;
	}
	text = malloc(len);
	make_head(text, NBD_REPLY_MAGIC, 0, r->cookie);
	ret = execute(c, r, true, text + NBD_REPLY_SIZE);
	if (ret && which == LIE_TOGETHER)
		send_later(c, text, len);
	else if (ret)
		ret = which == LIES ? send_all(c, text, len) : say_wrong(c, r, which, text, len);
	/* Of one that has been answered, whatever became of that. */
	if (!c->has_old || one_in(&c->rnd, 2))
		make_head(c->old, NBD_REPLY_MAGIC, 0, r->cookie);
	c->has_old = true;
	free(text);
	return ret;
}

bool answer(struct connection *c, const struct request *r)
{
	enum lie which = choose_possible(c, r);

	if (which < LIES)
		(void)lie(which);
	return answer_as(c, r, which);
}

bool say_unasked(struct connection *c)
{
	unsigned odds = atomic_load(&c->slot->reply_lies);
	char head[NBD_REPLY_SIZE];

	if (!odds || !one_in(&c->rnd, odds))
		return true;
	(void)lie(LIE_UNASKED);
	if (one_in(&c->rnd, 4))
		return false;
	make_head(head, NBD_REPLY_MAGIC, 0, rnd_next(&c->rnd));
	return send_all(c, head, one_in(&c->rnd, 3) ? below(&c->rnd, sizeof(head)) : sizeof(head));
}
