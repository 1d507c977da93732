/* SPDX-License-Identifier: MIT */
/* What getent says of a name. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clean.h"
#include "nbd/names.h"

static void is_next(char **rest, const char *wanted)
{
	struct sockaddr_storage addr = {0};
	socklen_t len = ub_nbd_take_address(rest, 7, &addr);
	const struct sockaddr_in *in = (const struct sockaddr_in *)&addr;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&addr;
	char text[INET6_ADDRSTRLEN];

	if (!wanted) {
		assert_int_equal(len, 0);
		return;
	}
	assert_int_equal(len, addr.ss_family == AF_INET ? sizeof(*in) : sizeof(*in6));
	assert_int_equal(ntohs(addr.ss_family == AF_INET ? in->sin_port : in6->sin6_port), 7);
	assert_non_null(inet_ntop(addr.ss_family,
				  addr.ss_family == AF_INET ? (const void *)&in->sin_addr
							    : (const void *)&in6->sin6_addr,
				  text, sizeof(text)));
	assert_string_equal(text, wanted);
}

static void addresses_are_taken_in_their_order(void **state)
{
	char text[] = "2001:db8::1     STREAM disk.example\n2001:db8::1     DGRAM  \n"
		      "2001:db8::1     RAW    \n192.0.2.1       STREAM \n192.0.2.1       DGRAM  \n";
	char *rest = text;

	(void)state;
	is_next(&rest, "2001:db8::1");
	is_next(&rest, "192.0.2.1");
	is_next(&rest, NULL);
}

static void what_is_no_whole_line_of_an_address_is_none(void **state)
{
	static const char *const bad[] = {
		"",
		"\n",
		"192.0.2.1",
		"192.0.2.1 STREAM",
		"192.0.2.1\n",
		" STREAM x\n",
		"x STREAM x\n",
		"192.0.2 STREAM \n",
	};

	(void)state;
	for (size_t i = 0; i < UB_ARRAY_SIZE(bad); i++) {
		char text[32], *rest = text;

		(void)strcpy(text, bad[i]);
		is_next(&rest, NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_taken_in_their_order),
		cmocka_unit_test(what_is_no_whole_line_of_an_address_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
