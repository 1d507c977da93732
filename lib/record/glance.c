/* SPDX-License-Identifier: MIT */
#include "record/glance.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "base/clean.h"
#include "base/parse.h"
#include "record/dir.h"
#include "record/file.h"

/* A string as it stands in the text, without its quotes. */
struct word {
	const char *text;
	size_t len;
};

/* What is looked for, and the object that it stands in. */
enum { TOKEN, NAME, TARGET, BACKING, BACKINGS, WORDS };
static const struct {
	const char *object, *key;
} wanted[WORDS] = {
	[TOKEN] = {"", "token"},           [NAME] = {"spec", "name"},
	[TARGET] = {"target", "type"},     [BACKING] = {"backing", "path"},
	[BACKINGS] = {"backings", "path"},
};

static bool is(const struct word *word, const char *text)
{
	return strlen(text) == word->len && memcmp(word->text, text, word->len) == 0;
}

/* Where a string ends that begins at @p: its quote, or @end. */
static const char *find_quote(const char *p, const char *end)
{
	while (p < end && *p != '"')
		p += *p == '\\' && p + 1 < end ? 2 : 1;
	return p;
}

static bool is_key(const char *quote, const char *end)
{
	while (++quote < end && strchr(" \t\r\n", *quote))
		if (!*quote)
			return false;
	return quote < end && *quote == ':';
}

static void take(const struct word *object, const struct word *key, const struct word *value,
		 struct word found[static WORDS])
{
	for (int i = 0; i < WORDS; i++)
		if (is(object, wanted[i].object) && is(key, wanted[i].key))
			found[i] = *value;
}

/* Strings of the first two levels of objects. Of a list of them the first one stands under the list's key, and
 * the others under nothing that is looked for. */
static void find_words(const char *text, size_t len, struct word found[static WORDS])
{
	const char *end = text + len;
	struct word object = {"", 0}, key = {"", 0};
	int depth = 0;

	for (const char *p = text; p < end; p++) {
		if (*p == '{') {
			object = depth == 1 ? key : object;
			depth++;
		} else if (*p == '}') {
			depth--;
			if (depth == 1)
				object = (struct word){"", 0};
		} else if (*p == '"') {
			const char *quote = find_quote(p + 1, end);
			struct word word = {p + 1, (size_t)(quote - p - 1)};

			if (quote < end && is_key(quote, end))
				key = word;
			else if (quote < end && depth <= 2)
				take(&object, &key, &word, found);
			p = quote;
		}
	}
}

/* Hexadecimal digits of "\u00XX": all that a writer of ours escapes so. Return: a byte, or -1. */
static int read_escape(const char *text, size_t len)
{
	char hex[] = "0x??";
	uint64_t byte;

	if (len < 6 || strncmp(text, "\\u00", 4) != 0)
		return -1;
	memcpy(hex + 2, text + 4, 2);
	return ub_parse_u64(hex, 0x7f, &byte) == 0 ? (int)byte : -1;
}

/* Return: the string that is meant, to be freed, or NULL without memory. */
static char *unescape(const struct word *word)
{
	static const char letters[] = "bfnrt", meant[] = "\b\f\n\r\t";
	char *copy = malloc(word->len + 1), *to = copy;

	for (size_t i = 0; copy && i < word->len; i++) {
		const char *letter;
		int byte;

		if (word->text[i] != '\\' || i + 1 == word->len) {
			*to++ = word->text[i];
			continue;
		}
		byte = read_escape(word->text + i, word->len - i);
		i++;
		letter = strchr(letters, word->text[i]);
		*to++ = byte > 0            ? (char)byte
			: letter && *letter ? meant[letter - letters]
					    : word->text[i];
		i += byte > 0 ? 4 : 0;
	}
	if (copy)
		*to = '\0';
	return copy;
}

static bool has_token(const struct word *word, uint64_t token)
{
	uint64_t its;
	char text[24];

	(void)snprintf(text, sizeof(text), "%.*s", (int)word->len, word->text ? word->text : "");
	return ub_parse_u64(text, UINT64_MAX, &its) == 0 && its == token;
}

static int copy(const struct word *word, char **ret_text)
{
	if (word->text)
		*ret_text = unescape(word);
	return word->text && !*ret_text ? -ENOMEM : 0;
}

int ub_record_glance_at(const char *text, size_t len, uint64_t token,
			struct ub_record_glance *ret_glance)
{
	struct ub_record_glance glance = {0};
	struct word found[WORDS] = {0};
	int ret;

	find_words(text, len, found);
	if (!has_token(&found[TOKEN], token))
		return -ENOENT;
	if ((ret = copy(&found[NAME], &glance.name)) ||
	    (ret = copy(&found[TARGET], &glance.target)) ||
	    (ret = copy(&found[found[BACKING].text ? BACKING : BACKINGS], &glance.backing))) {
		ub_record_glance_done(&glance);
		return ret;
	}
	*ret_glance = glance;
	return 0;
}

int ub_record_glance(uint32_t id, uint64_t token, struct ub_record_glance *ret_glance)
{
	int ret = -ENOENT;

	for (unsigned place = 0; place < UB_RECORD_PLACES && ret; place++) {
		_cleanup_close_ int dirfd = ub_record_dir_open_place(place, NULL);
		_cleanup_free_ char *text = NULL;
		ssize_t len = dirfd < 0 ? dirfd : ub_record_file_read(dirfd, id, &text, NULL);

		ret = len < 0 ? (int)len
			      : ub_record_glance_at(text, (size_t)len, token, ret_glance);
	}
	return ret;
}

void ub_record_glance_done(struct ub_record_glance *glance)
{
	free(glance->name);
	free(glance->target);
	free(glance->backing);
	*glance = (struct ub_record_glance){0};
}
