/* SPDX-License-Identifier: MIT */
/* NBD's URIs: what they say, and what is none. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clean.h"
#include "nbd/address.h"

static void same(const char *text, const char *wanted)
{
	if (!text || !wanted)
		assert_true(!text && !wanted);
	else
		assert_string_equal(text, wanted);
}

static void reads_what_they_say(void **state)
{
	static const struct {
		const char *uri, *host, *port, *socket, *export;
		bool tls;
	} good[] = {
		{"nbd://localhost", "localhost", NULL, NULL, "", false},
		{"nbd://localhost/", "localhost", NULL, NULL, "", false},
		{"NBD://h:1/a", "h", "1", NULL, "a", false},
		{"nbd://192.0.2.1:10809/disk/0", "192.0.2.1", "10809", NULL, "disk/0", false},
		{"nbd://[2001:db8::1]/x", "2001:db8::1", NULL, NULL, "x", false},
		{"nbd://[::1]:7/%2e%2Ex%20y", "::1", "7", NULL, "..x y", false},
		{"nbd://h//a", "h", NULL, NULL, "/a", false},
		{"nbds://h/a?tls-certificates=/etc/x", "h", NULL, NULL, "a", true},
		{"nbd+unix:///?socket=/run/s", NULL, NULL, "/run/s", "", false},
		{"nbd+unix:///a%3Fb?socket=/run/a%26b", NULL, NULL, "/run/a&b", "a?b", false},
		{"nbds+unix:///?tls-psk-file=x&socket=s", NULL, NULL, "s", "", true},
	};

	(void)state;
	for (size_t i = 0; i < UB_ARRAY_SIZE(good); i++) {
		struct ub_nbd_address a = {0};
		struct ub_error err = {0};

		assert_int_equal(ub_nbd_parse_uri(good[i].uri, &a, &err), 0);
		same(a.host, good[i].host);
		same(a.port, good[i].port);
		same(a.socket, good[i].socket);
		same(a.export, good[i].export);
		assert_int_equal(a.tls, good[i].tls);
		ub_nbd_address_done(&a);
	}
}

static void reads_credentials(void **state)
{
	static const struct {
		const char *uri, *user, *certificates, *psk, *hostname;
	} good[] = {
		{"nbds://h/a?tls-certificates=/etc/x&tls-verify-peer=1", NULL, "/etc/x", NULL,
		 NULL},
		{"nbds://h/?tls-hostname=other", NULL, NULL, NULL, "other"},
		{"nbds://al%20ice@[::1]:7/?tls-psk-file=/k%26", "al ice", NULL, "/k&", NULL},
	};

	(void)state;
	for (size_t i = 0; i < UB_ARRAY_SIZE(good); i++) {
		struct ub_nbd_address a = {0};
		struct ub_error err = {0};

		assert_int_equal(ub_nbd_parse_uri(good[i].uri, &a, &err), 0);
		assert_true(a.tls);
		same(a.user, good[i].user);
		same(a.certificates, good[i].certificates);
		same(a.psk, good[i].psk);
		same(a.hostname, good[i].hostname);
		ub_nbd_address_done(&a);
	}
}

static void refuses_what_is_none(void **state)
{
	static const char *const bad[] = {
		"",
		"nbd:",
		"nbd:/",
		"nbd://",
		"nbd:///x",
		"nbd://:10809/",
		"nbd://h:/",
		"nbd://u@h/",
		"nbd://[::1",
		"nbd://[::1]x/",
		"nbd://h/%",
		"nbd://h/%2",
		"nbd://h/%2g",
		"nbd://h/%00",
		"nbd://h/a#b",
		"nbd://h/?socket=/s",
		"nbd://h/?what=1",
		"nbd://h/?tls-psk-file=/x",
		"nbds://h/?tls-priority=NONE",
		"nbds://h/?tls-verify-peer=0",
		"nbds://h/?tls-verify-peer=10",
		"nbds://h/?tls-verify-peer=",
		"nbds://h/?tls-psk-file",
		"nbds://@/",
		"nbd+unix:///",
		"nbd+unix:///?socket=",
		"nbd+unix://h/?socket=/s",
		"nbd+vsock://1/",
		"http://localhost/",
	};

	(void)state;
	for (size_t i = 0; i < UB_ARRAY_SIZE(bad); i++) {
		struct ub_nbd_address a = {0};
		struct ub_error err = {0};

		assert_int_equal(ub_nbd_parse_uri(bad[i], &a, &err), -EINVAL);
		assert_true(err.msg[0] != '\0');
		assert_null(a.host);
		assert_null(a.export);
	}
}

static void refuses_names_that_are_too_long(void **state)
{
	static char uri[2 * 4096 + 100];
	struct ub_nbd_address a = {0};
	struct ub_error err = {0};

	(void)state;
	strcpy(uri, "nbd://h/");
	memset(uri + 8, 'x', 4096);
	assert_int_equal(ub_nbd_parse_uri(uri, &a, &err), 0);
	ub_nbd_address_done(&a);
	uri[8 + 4096] = 'x';
	assert_int_equal(ub_nbd_parse_uri(uri, &a, &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_they_say),
		cmocka_unit_test(reads_credentials),
		cmocka_unit_test(refuses_what_is_none),
		cmocka_unit_test(refuses_names_that_are_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
