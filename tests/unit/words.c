/* SPDX-License-Identifier: MIT */
/* What is shown in place of harmful characters, and the word that was probably meant. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/escape.h"
#include "guess.h"

static const char *escaped(const char *text, size_t size)
{
	static char buf[256];

	assert_true(size <= sizeof(buf));
	memset(buf, 'x', sizeof(buf));
	ub_escape(text, buf, size);
	return buf;
}

static void what_a_terminal_obeys_is_shown_as_its_bytes(void **state)
{
	(void)state;
	assert_string_equal(escaped("a\033[31m\n\t\177b", 256), "a\\x1b[31m\\x0a\\x09\\x7fb");
	assert_string_equal(escaped("\xc2\x9b"
				    "31m",
				    256),
			    "\\xc2\\x9b31m");
	assert_string_equal(escaped("\xe2\x80\xae"
				    "a",
				    256),
			    "\\xe2\\x80\\xaea");
	assert_string_equal(escaped("\xff\xc3", 256), "\\xff\\xc3");
	assert_string_equal(escaped("\xc0\xaf\xed\xa0\x80", 256), "\\xc0\\xaf\\xed\\xa0\\x80");
}

static void other_characters_stay_as_they_are(void **state)
{
	(void)state;
	assert_string_equal(escaped("a\\x1b \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", 256),
			    "a\\x1b \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
	assert_string_equal(escaped("", 256), "");
}

static void a_text_without_room_ends_before_a_character_not_within_one(void **state)
{
	(void)state;
	assert_string_equal(escaped("abc", 3), "ab");
	assert_string_equal(escaped("a\xe2\x82\xac", 4), "a");
	assert_string_equal(escaped("a\xe2\x82\xac", 5), "a\xe2\x82\xac");
	assert_string_equal(escaped("a\033", 5), "a");
	assert_string_equal(escaped("a\033", 6), "a\\x1b");
	assert_string_equal(escaped("a", 1), "");
}

static const char *guessed(const char *word)
{
	static const char *const words[] = {"add", "list", "on", "off", "zero-copy", "SIZE", NULL};
	struct ub_guess guess;

	ub_guess_init(&guess, word);
	ub_guess_offer_all(&guess, words);
	return guess.best ? guess.best : "";
}

static void the_nearest_word_is_meant_and_an_abbreviation_before_all(void **state)
{
	(void)state;
	assert_string_equal(guessed("lsit"), "list");
	assert_string_equal(guessed("ad"), "add");
	assert_string_equal(guessed("of"), "off");
	assert_string_equal(guessed("zerocopy"), "zero-copy");
	assert_string_equal(guessed("zer"), "zero-copy");
	assert_string_equal(guessed("siez"), "SIZE");
	assert_string_equal(guessed("LIST"), "list");
	assert_string_equal(guessed("frobnicate"), "");
	assert_string_equal(guessed("x"), "");
	assert_string_equal(guessed(""), "");
}

static void an_unknown_word_is_a_usage_error(void **state)
{
	struct ub_error err = {0};
	struct ub_guess guess;

	(void)state;
	ub_guess_init(&guess, "jsn");
	assert_int_equal(ub_guess_fail(&guess, "option", "--", &err), -EINVAL);
	assert_string_equal(err.msg, "unknown option '--jsn'");
	assert_int_equal(err.stage, UB_STAGE_USAGE);
	ub_guess_offer(&guess, "json");
	assert_int_equal(ub_guess_fail(&guess, "option", "--", &err), -EINVAL);
	assert_string_equal(err.msg, "unknown option '--jsn': did you mean '--json'?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_terminal_obeys_is_shown_as_its_bytes),
		cmocka_unit_test(other_characters_stay_as_they_are),
		cmocka_unit_test(a_text_without_room_ends_before_a_character_not_within_one),
		cmocka_unit_test(the_nearest_word_is_meant_and_an_abbreviation_before_all),
		cmocka_unit_test(an_unknown_word_is_a_usage_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
