/* SPDX-License-Identifier: MIT */
#include "nbd/handshake.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/escape.h"

enum {
	STATE_BEGIN,     /* the greeting is to be received */
	STATE_GREETED,   /* it is there */
	STATE_TLS_ASK,   /* flags are sent; TLS is to be asked for */
	STATE_TLS_ASKED, /* the reply's head is to be received */
	STATE_TLS_HEAD,  /* it is there */
	STATE_TLS_TEXT,  /* why it refuses is there */
	STATE_ASK,       /* all that comes first is done; the option is next */
	STATE_ASKED,     /* a reply's head is to be received */
	STATE_HEAD,      /* it is there */
	STATE_PAYLOAD,   /* all of it is there */
	STATE_FOUND      /* one was told of; the next reply's head */
};

/* Of a server that says nothing of its blocks. */
#define BLOCK_MIN 1U
#define BLOCK_PREFERRED 4096U
#define BLOCK_MAX (32U << 20)

__attribute__((format(printf, 3, 4))) static int bad(struct ub_error *err, int code,
						     const char *fmt, ...)
{
	char why[300];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	return ub_fail_text(err, UB_STAGE_CONNECT, code, "%s", why);
}

int ub_nbd_begin(struct ub_nbd_handshake *h, enum ub_nbd_wish wish, const char *name,
		 enum ub_nbd_start start)
{
	size_t len = strlen(name);

	if (len > NBD_NAME_MAX)
		return -ENAMETOOLONG;
	h->wish = wish;
	h->state = start == UB_NBD_GREETED ? STATE_ASK : STATE_BEGIN;
	h->tls = start == UB_NBD_ANEW_TLS;
	h->has_export = false;
	h->export = (struct ub_nbd_export){
		.block_min = BLOCK_MIN, .block_preferred = BLOCK_PREFERRED, .block_max = BLOCK_MAX};
	h->asked_len = len;
	memcpy(h->asked, name, len + 1);
	return 0;
}

static int want(struct ub_nbd_handshake *h, enum ub_nbd_step step, size_t len, int state)
{
	h->data = h->buf;
	h->len = len;
	h->state = state;
	return (int)step;
}

static int read_greeting(struct ub_nbd_handshake *h, struct ub_error *err)
{
	uint16_t flags = nbd_get16(h->buf + 16);

	if (nbd_get64(h->buf) != NBD_MAGIC)
		return bad(err, -EPROTO, "it is no NBD server");
	if (nbd_get64(h->buf + 8) != NBD_OPTION_MAGIC || !(flags & NBD_FLAG_FIXED_NEWSTYLE))
		return bad(err, -EPROTO,
			   "it is an NBD server of an old kind, which can't be asked for an "
			   "export by name");
	nbd_put32(h->buf, flags & (NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES));
	return want(h, UB_NBD_SEND, 4, h->tls ? STATE_TLS_ASK : STATE_ASK);
}

/* @len: bytes of its data, which are there. */
static int send_option(struct ub_nbd_handshake *h, uint32_t option, uint32_t len, int state)
{
	nbd_put64(h->buf, NBD_OPTION_MAGIC);
	nbd_put32(h->buf + 8, option);
	nbd_put32(h->buf + 12, len);
	return want(h, UB_NBD_SEND, NBD_OPTION_SIZE + len, state);
}

static int ask(struct ub_nbd_handshake *h)
{
	static const uint32_t options[] = {[UB_NBD_GO] = NBD_OPT_GO,
					   [UB_NBD_INFO] = NBD_OPT_INFO,
					   [UB_NBD_LIST] = NBD_OPT_LIST};
	char *p = h->buf + NBD_OPTION_SIZE;
	uint32_t len = 0;

	if (h->wish != UB_NBD_LIST) {
		nbd_put32(p, (uint32_t)h->asked_len);
		memcpy(p + 4, h->asked, h->asked_len);
		nbd_put16(p + 4 + h->asked_len, 1);
		nbd_put16(p + 6 + h->asked_len, NBD_INFO_BLOCK_SIZE);
		len = 8 + (uint32_t)h->asked_len;
	}
	return send_option(h, options[h->wish], len, STATE_ASKED);
}

static int read_head(struct ub_nbd_handshake *h, int state, struct ub_error *err)
{
	if (nbd_get64(h->buf) != NBD_OPTION_REPLY_MAGIC)
		return bad(err, -EPROTO, "its answer is none of the protocol's");
	h->type = nbd_get32(h->buf + 12);
	h->payload = nbd_get32(h->buf + 16);
	if (h->payload > sizeof(h->buf))
		return bad(err, -EPROTO, "its answer is too long: %u bytes", h->payload);
	return want(h, UB_NBD_RECEIVE, h->payload, state);
}

static int read_info(struct ub_nbd_handshake *h, struct ub_error *err)
{
	uint16_t what = h->payload >= 2 ? nbd_get16(h->buf) : UINT16_MAX;
	struct ub_nbd_export *e = &h->export;

	if (what == NBD_INFO_EXPORT && h->payload == 12) {
		e->size = nbd_get64(h->buf + 2);
		e->flags = nbd_get16(h->buf + 10);
		h->has_export = true;
	} else if (what == NBD_INFO_BLOCK_SIZE && h->payload == 14) {
		e->block_min = nbd_get32(h->buf + 2);
		e->block_preferred = nbd_get32(h->buf + 6);
		e->block_max = nbd_get32(h->buf + 10);
	} else if (what == NBD_INFO_EXPORT || what == NBD_INFO_BLOCK_SIZE || h->payload < 2) {
		return bad(err, -EPROTO, "what it says of the export has the wrong length");
	}
	return want(h, UB_NBD_RECEIVE, NBD_OPTION_REPLY_SIZE, STATE_HEAD);
}

static int read_found(struct ub_nbd_handshake *h, struct ub_error *err)
{
	uint32_t len = h->payload >= 4 ? nbd_get32(h->buf) : UINT32_MAX;

	if (len > h->payload - 4 || h->payload < 4)
		return bad(err, -EPROTO, "its list of exports makes no sense");
	h->name = h->buf + 4;
	h->name_len = len;
	h->description = h->name + len;
	h->description_len = h->payload - 4 - len;
	h->state = STATE_FOUND;
	return UB_NBD_FOUND;
}

static bool is_power_of_two(uint32_t value)
{
	return value && !(value & (value - 1));
}

static int finish(struct ub_nbd_handshake *h, struct ub_error *err)
{
	const struct ub_nbd_export *e = &h->export;

	if (h->wish == UB_NBD_LIST)
		return UB_NBD_DONE;
	if (!h->has_export)
		return bad(err, -EPROTO, "it does not say how large the export is");
	if (!is_power_of_two(e->block_min) || e->block_min > 65536 ||
	    e->block_preferred < e->block_min || e->block_max < e->block_min ||
	    (e->block_max != UINT32_MAX && e->block_max % e->block_min))
		return bad(err, -EPROTO, "its block sizes make no sense: %u, %u, %u", e->block_min,
			   e->block_preferred, e->block_max);
	return UB_NBD_DONE;
}

#define WHY_MAX 200

/* What it says of its refusal, which may be nothing. */
static void read_why(const struct ub_nbd_handshake *h, char ret_why[static WHY_MAX])
{
	size_t len = h->payload < WHY_MAX - 1 ? h->payload : WHY_MAX - 1;
	char text[WHY_MAX];

	memcpy(text, h->buf, len);
	text[len] = '\0';
	ub_escape(text, ret_why, WHY_MAX);
}

/* In plain text as yet: nothing but an agreement is believed. */
static int read_tls(struct ub_nbd_handshake *h, struct ub_error *err)
{
	char why[WHY_MAX];

	if (h->type == NBD_REP_ACK && !h->payload) {
		h->state = STATE_ASK;
		return UB_NBD_SECURE;
	}
	read_why(h, why);
	switch (h->type) {
	case NBD_REP_ERR_UNSUP:
	case NBD_REP_ERR_POLICY:
	case NBD_REP_ERR_INVALID:
	case NBD_REP_ERR_PLATFORM:
		return bad(err, -EPROTO, "it offers no TLS%s%s", *why ? ": " : "", why);
	default:
		return bad(err, -EPROTO, "it does not answer whether it has TLS");
	}
}

static int refused(struct ub_nbd_handshake *h, struct ub_error *err)
{
	char why[WHY_MAX];

	read_why(h, why);
	switch (h->type) {
	case NBD_REP_ERR_UNKNOWN:
		return bad(err, -ENOENT, "it has no export \"%.100s\"", h->asked);
	case NBD_REP_ERR_TLS_REQD:
		return bad(err, -EPROTO, "it wants TLS: nbds:// or --tls");
	case NBD_REP_ERR_POLICY:
		return bad(err, -EACCES, "it refuses%s%s", *why ? ": " : "", why);
	case NBD_REP_ERR_UNSUP:
		return bad(err, -EPROTO,
			   h->wish == UB_NBD_LIST ? "it does not list its exports"
						  : "it does not know NBD_OPT_GO: it is too old");
	case NBD_REP_ERR_SHUTDOWN:
		return bad(err, -ESHUTDOWN, "it is shutting down");
	default:
		return bad(err, -EPROTO, "it answers with error %u%s%s", h->type & ~NBD_REP_ERROR,
			   *why ? ": " : "", why);
	}
}

static int read_payload(struct ub_nbd_handshake *h, struct ub_error *err)
{
	if (h->type & NBD_REP_ERROR)
		return refused(h, err);
	switch (h->type) {
	case NBD_REP_ACK:
		return finish(h, err);
	case NBD_REP_INFO:
		if (h->wish != UB_NBD_LIST)
			return read_info(h, err);
		break;
	case NBD_REP_SERVER:
		if (h->wish == UB_NBD_LIST)
			return read_found(h, err);
		break;
	default:
		break;
	}
	return bad(err, -EPROTO, "its answer was not asked for (%u)", h->type);
}

int ub_nbd_next(struct ub_nbd_handshake *h, struct ub_error *err)
{
	switch (h->state) {
	case STATE_BEGIN:
		return want(h, UB_NBD_RECEIVE, NBD_GREETING_SIZE, STATE_GREETED);
	case STATE_GREETED:
		return read_greeting(h, err);
	case STATE_TLS_ASK:
		return send_option(h, NBD_OPT_STARTTLS, 0, STATE_TLS_ASKED);
	case STATE_TLS_ASKED:
		return want(h, UB_NBD_RECEIVE, NBD_OPTION_REPLY_SIZE, STATE_TLS_HEAD);
	case STATE_TLS_HEAD:
		return read_head(h, STATE_TLS_TEXT, err);
	case STATE_TLS_TEXT:
		return read_tls(h, err);
	case STATE_ASK:
		return ask(h);
	case STATE_ASKED:
	case STATE_FOUND:
		return want(h, UB_NBD_RECEIVE, NBD_OPTION_REPLY_SIZE, STATE_HEAD);
	case STATE_HEAD:
		return read_head(h, STATE_PAYLOAD, err);
	default:
		return read_payload(h, err);
	}
}
