/* SPDX-License-Identifier: MIT */
/* NBD's handshake, against a server that is played: what it answers, and whatever else it might. */
#include "nbd/handshake.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "random.h"

/* What the server is to say, one after the other. */
static char said[1 << 16];
static size_t said_len, said_at;

static void begin(void)
{
	said_len = said_at = 0;
}

static void say(const void *data, size_t len)
{
	if (len)
		memcpy(said + said_len, data, len);
	said_len += len;
}

static void greet(void)
{
	char text[NBD_GREETING_SIZE];

	nbd_put64(text, NBD_MAGIC);
	nbd_put64(text + 8, NBD_OPTION_MAGIC);
	nbd_put16(text + 16, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
	say(text, sizeof(text));
}

static void reply(uint32_t option, uint32_t type, const void *data, uint32_t len)
{
	char head[NBD_OPTION_REPLY_SIZE];

	nbd_put64(head, NBD_OPTION_REPLY_MAGIC);
	nbd_put32(head + 8, option);
	nbd_put32(head + 12, type);
	nbd_put32(head + 16, len);
	say(head, sizeof(head));
	say(data, len);
}

static void tell_export(uint64_t size, uint16_t flags)
{
	char info[12];

	nbd_put16(info, NBD_INFO_EXPORT);
	nbd_put64(info + 2, size);
	nbd_put16(info + 10, flags);
	reply(NBD_OPT_GO, NBD_REP_INFO, info, sizeof(info));
}

static void tell_blocks(uint32_t min, uint32_t preferred, uint32_t max)
{
	char info[14];

	nbd_put16(info, NBD_INFO_BLOCK_SIZE);
	nbd_put32(info + 2, min);
	nbd_put32(info + 6, preferred);
	nbd_put32(info + 10, max);
	reply(NBD_OPT_GO, NBD_REP_INFO, info, sizeof(info));
}

/* The last option that was sent: NBD_OPT_*. */
static uint32_t asked;

/* Up to a step that neither sends nor receives. Return: it, a negative errno, or -EPIPE: the server says no more. */
static int run(struct ub_nbd_handshake *h, struct ub_error *err)
{
	/* More steps than that no server can ask for that says a bounded number of bytes. */
	for (size_t steps = 0; steps < sizeof(said); steps++) {
		int step = ub_nbd_next(h, err);

		if (step != UB_NBD_SEND && step != UB_NBD_RECEIVE)
			return step;
		assert_true(h->data == h->buf && h->len <= sizeof(h->buf));
		if (step == UB_NBD_SEND && h->len >= NBD_OPTION_SIZE)
			asked = nbd_get32(h->buf + 8);
		if (step == UB_NBD_SEND)
			continue;
		if (h->len > said_len - said_at)
			return -EPIPE;
		memcpy(h->data, said + said_at, h->len);
		said_at += h->len;
	}
	fail();
	return 0;
}

static int go(struct ub_nbd_handshake *h, struct ub_error *err)
{
	assert_int_equal(ub_nbd_begin(h, UB_NBD_GO, "disk", UB_NBD_ANEW), 0);
	return run(h, err);
}

static void goes_into_an_export(void **state)
{
	static struct ub_nbd_handshake h;
	struct ub_error err = {0};

	(void)state;
	begin();
	greet();
	tell_export(1 << 20, NBD_EXPORT_FLUSH);
	/* What was not asked for is passed over. */
	reply(NBD_OPT_GO, NBD_REP_INFO, "\0\1disk", 6);
	tell_blocks(512, 4096, 1 << 25);
	reply(NBD_OPT_GO, NBD_REP_ACK, NULL, 0);
	assert_int_equal(go(&h, &err), UB_NBD_DONE);
	assert_int_equal(h.export.size, 1 << 20);
	assert_int_equal(h.export.flags, NBD_EXPORT_FLUSH);
	assert_int_equal(h.export.block_min, 512);
	assert_int_equal(h.export.block_max, 1 << 25);
	assert_int_equal(said_at, said_len);
}

static void has_sizes_where_nothing_is_said(void **state)
{
	static struct ub_nbd_handshake h;
	struct ub_error err = {0};

	(void)state;
	begin();
	greet();
	tell_export(7, 0);
	reply(NBD_OPT_GO, NBD_REP_ACK, NULL, 0);
	assert_int_equal(go(&h, &err), UB_NBD_DONE);
	assert_int_equal(h.export.block_min, 1);
	assert_int_equal(h.export.block_preferred, 4096);
	assert_int_equal(h.export.block_max, 32 << 20);
}

static void refuses(int code, const char *words)
{
	static struct ub_nbd_handshake h;
	struct ub_error err = {0};

	assert_int_equal(go(&h, &err), code);
	assert_non_null(strstr(err.msg, words));
}

static void tells_why_not(void **state)
{
	(void)state;
	begin();
	say("SSH-2.0-OpenSSH_9.2p1 Debian-2", 30);
	refuses(-EPROTO, "it is no NBD server");
	begin();
	greet();
	reply(NBD_OPT_GO, NBD_REP_ERR_UNKNOWN, "no\033[1m", 6);
	refuses(-ENOENT, "it has no export \"disk\"");
	begin();
	greet();
	reply(NBD_OPT_GO, NBD_REP_ERR_TLS_REQD, NULL, 0);
	refuses(-EPROTO, "it wants TLS: nbds://");
	begin();
	greet();
	reply(NBD_OPT_GO, NBD_REP_ERR_POLICY, "not \033you", 8);
	refuses(-EACCES, "it refuses: not ");
	begin();
	greet();
	reply(NBD_OPT_GO, NBD_REP_ACK, NULL, 0);
	refuses(-EPROTO, "it does not say how large the export is");
	begin();
	greet();
	tell_export(1, 0);
	tell_blocks(3, 4096, 4096);
	reply(NBD_OPT_GO, NBD_REP_ACK, NULL, 0);
	refuses(-EPROTO, "its block sizes make no sense");
	begin();
	greet();
	reply(NBD_OPT_GO, NBD_REP_SERVER, "\0\0\0\1x", 5);
	refuses(-EPROTO, "its answer was not asked for");
}

static int go_secure(struct ub_nbd_handshake *h, struct ub_error *err)
{
	asked = 0;
	assert_int_equal(ub_nbd_begin(h, UB_NBD_GO, "disk", UB_NBD_ANEW_TLS), 0);
	return run(h, err);
}

static void asks_for_nothing_before_tls(void **state)
{
	static struct ub_nbd_handshake h;
	struct ub_error err = {0};

	(void)state;
	begin();
	greet();
	reply(NBD_OPT_STARTTLS, NBD_REP_ACK, NULL, 0);
	assert_int_equal(go_secure(&h, &err), UB_NBD_SECURE);
	assert_int_equal(asked, NBD_OPT_STARTTLS);
	/* Nothing that comes behind the agreement was read. */
	assert_int_equal(said_at, said_len);
	tell_export(1 << 20, 0);
	reply(NBD_OPT_GO, NBD_REP_ACK, NULL, 0);
	assert_int_equal(run(&h, &err), UB_NBD_DONE);
	assert_int_equal(asked, NBD_OPT_GO);
}

/* Whatever a server says in place of an agreement: nothing more is asked of it. */
static void refuses_without_tls(void **state)
{
	static const struct {
		uint32_t type;
		const char *text, *words;
	} answers[] = {
		{NBD_REP_ERR_UNSUP, "", "it offers no TLS"},
		{NBD_REP_ERR_POLICY, "never", "it offers no TLS: never"},
		{NBD_REP_ERR_TLS_REQD, "", "it does not answer whether it has TLS"},
		{NBD_REP_ACK, "x", "it does not answer whether it has TLS"},
		{NBD_REP_INFO, "", "it does not answer whether it has TLS"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		static struct ub_nbd_handshake h;
		struct ub_error err = {0};

		begin();
		greet();
		reply(NBD_OPT_STARTTLS, answers[i].type, answers[i].text,
		      (uint32_t)strlen(answers[i].text));
		assert_int_equal(go_secure(&h, &err), -EPROTO);
		assert_non_null(strstr(err.msg, answers[i].words));
		assert_int_equal(asked, NBD_OPT_STARTTLS);
	}
}

static void lists(void **state)
{
	static struct ub_nbd_handshake h;
	struct ub_error err = {0};

	(void)state;
	begin();
	greet();
	reply(NBD_OPT_LIST, NBD_REP_SERVER, "\0\0\0\3onewhat it is", 17);
	reply(NBD_OPT_LIST, NBD_REP_SERVER, "\0\0\0\0", 4);
	reply(NBD_OPT_LIST, NBD_REP_ACK, NULL, 0);
	assert_int_equal(ub_nbd_begin(&h, UB_NBD_LIST, "", UB_NBD_ANEW), 0);
	assert_int_equal(run(&h, &err), UB_NBD_FOUND);
	assert_int_equal(h.name_len, 3);
	assert_memory_equal(h.name, "one", 3);
	assert_int_equal(h.description_len, 10);
	assert_int_equal(run(&h, &err), UB_NBD_FOUND);
	assert_int_equal(h.name_len, 0);
	assert_int_equal(h.description_len, 0);
	assert_int_equal(run(&h, &err), UB_NBD_DONE);
	begin();
	greet();
	reply(NBD_OPT_LIST, NBD_REP_SERVER, "\0\0\0\4one", 7);
	assert_int_equal(ub_nbd_begin(&h, UB_NBD_LIST, "", UB_NBD_ANEW), 0);
	assert_int_equal(run(&h, &err), -EPROTO);
}

/* What a server may say to this. */
static void converse(enum ub_nbd_wish wish, enum ub_nbd_start start)
{
	begin();
	if (start != UB_NBD_GREETED)
		greet();
	if (start == UB_NBD_ANEW_TLS)
		reply(NBD_OPT_STARTTLS, any(4) ? NBD_REP_ACK : NBD_REP_ERROR | any(8), "never",
		      any(8) ? 0 : any(6));
	for (uint32_t k = any(6); k > 0; k--) {
		if (wish == UB_NBD_LIST && any(8))
			reply(NBD_OPT_LIST, NBD_REP_SERVER, "\0\0\0\3onetext",
			      any(4) ? 11 : any(11));
		else if (any(2))
			tell_export(any(1 << 20), (uint16_t)any(1 << 16));
		else
			tell_blocks(1U << any(20), 1U << any(24), 1U << any(31));
	}
	reply(NBD_OPT_GO, any(2) ? NBD_REP_ACK : NBD_REP_ERROR | any(8), "why not", any(8));
}

/* Bytes of it are others, or a length is, or it is cut off. */
static void spoil(void)
{
	static const uint32_t lengths[] = {0, 1, 2, 19, 4096, 8220, 8221, 1U << 31, UINT32_MAX};

	for (uint32_t k = any(4); k > 0; k--)
		said[any((uint32_t)said_len)] = (char)any(256);
	if (any(8) == 0 && said_len > 4)
		nbd_put32(said + any((uint32_t)said_len - 4),
			  lengths[any(sizeof(lengths) / sizeof(*lengths))]);
	if (any(4) == 0)
		said_len = any((uint32_t)said_len);
}

/* Whatever a server says: it ends, and reads nothing beyond what is there. UBLK_FUZZ: so many of them. */
static void survives_anything(void **state)
{
	static struct ub_nbd_handshake h;
	const char *wanted = getenv("UBLK_FUZZ");
	unsigned long rounds = wanted ? strtoul(wanted, NULL, 10) : 200000;
	unsigned long done[3][3] = {{0}};

	(void)state;
	for (unsigned long i = 0; i < rounds; i++) {
		enum ub_nbd_wish wish = (enum ub_nbd_wish)any(3);
		enum ub_nbd_start start = (enum ub_nbd_start)any(3);
		struct ub_error err = {0};
		int step;

		converse(wish, start);
		spoil();
		assert_int_equal(ub_nbd_begin(&h, wish, "disk", start), 0);
		while ((step = run(&h, &err)) == UB_NBD_FOUND || step == UB_NBD_SECURE)
			assert_true(step == UB_NBD_SECURE ||
				    h.name_len + h.description_len <= sizeof(h.buf));
		assert_true(step == UB_NBD_DONE || (step < 0 && (step == -EPIPE || err.msg[0])));
		done[wish][start] += step == UB_NBD_DONE;
	}
	/* Of each kind some come to their end, or little was tried. */
	for (unsigned k = 0; k < 9; k++)
		assert_true(done[k / 3][k % 3] > rounds / 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(goes_into_an_export),
		cmocka_unit_test(has_sizes_where_nothing_is_said),
		cmocka_unit_test(tells_why_not),
		cmocka_unit_test(asks_for_nothing_before_tls),
		cmocka_unit_test(refuses_without_tls),
		cmocka_unit_test(lists),
		cmocka_unit_test(survives_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
