/* SPDX-License-Identifier: MIT */
#include "config_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean.h"
#include "target/path.h"

#define BLANKS " \t\r"

/* Characters that are written as a backslash and a letter. */
static const char escaped[] = "\"\\\n\t\r", letters[] = "\"\\ntr";

int ub_config_bad(const struct ub_config_file *file, unsigned line, struct ub_error *err,
		  const char *fmt, ...)
{
	char what[400];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	return ub_fail_text(err, UB_STAGE_CONFIG, -EINVAL, "cannot read %s: line %u: %s",
			    file->path, line, what);
}

int ub_config_check_owner(const char *path, int fd, struct ub_error *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return ub_fail(err, UB_STAGE_CONFIG, -errno, "cannot read %s", path);
	/* Who writes there makes root's devices of whatever he likes. */
	if (geteuid() != 0)
		return 0;
	if (st.st_uid != 0)
		return ub_fail_text(err, UB_STAGE_CONFIG, -EPERM,
				    "cannot read %s: it is not root's, but that of user %u", path,
				    st.st_uid);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return ub_fail_text(err, UB_STAGE_CONFIG, -EPERM,
				    "cannot read %s: others than root may write it (mode %04o)",
				    path, st.st_mode & 07777);
	return 0;
}

/* Reads it whole. Return: its length, or a negative errno with a message. */
static ssize_t read_text(struct ub_config_file *file, int fd, struct ub_error *err)
{
	size_t len = 0;
	ssize_t n;

	/* One byte more than there may be, and one for the end. */
	file->text = malloc(UB_CONFIG_SIZE_MAX + 2);
	if (!file->text)
		return ub_fail(err, UB_STAGE_CONFIG, -ENOMEM, "cannot read %s", file->path);
	while (len <= UB_CONFIG_SIZE_MAX) {
		n = read(fd, file->text + len, UB_CONFIG_SIZE_MAX + 1 - len);
		if (n < 0 && errno != EINTR)
			return ub_fail(err, UB_STAGE_CONFIG, -errno, "cannot read %s", file->path);
		if (n == 0)
			break;
		len += n > 0 ? (size_t)n : 0;
	}
	if (len > UB_CONFIG_SIZE_MAX)
		return ub_fail_text(err, UB_STAGE_CONFIG, -EINVAL,
				    "cannot read %s: it has more than %zu bytes", file->path,
				    UB_CONFIG_SIZE_MAX);
	file->text[len] = '\0';
	return (ssize_t)len;
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c | 0x20) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* What stands behind a backslash. Return: how many characters of @text it takes, or 0. */
static size_t read_escape(const char *text, char *ret_byte)
{
	const char *letter = *text ? strchr(letters, *text) : NULL;
	int high, low;

	if (letter) {
		*ret_byte = escaped[letter - letters];
		return 1;
	}
	if (*text != 'x')
		return 0;
	high = hex_digit(text[1]);
	low = high < 0 ? -1 : hex_digit(text[2]);
	*ret_byte = (char)(high * 16 + low);
	return low < 0 || *ret_byte == '\0' ? 0 : 3;
}

/* Takes the quotes off, in place. @value begins with one. */
static int unquote(const struct ub_config_file *file, unsigned number, char *value,
		   struct ub_error *err)
{
	const char *from = value + 1;
	char *to = value;

	while (*from && *from != '"') {
		size_t used;

		if (*from != '\\') {
			*to++ = *from++;
			continue;
		}
		used = read_escape(from + 1, to);
		if (!used)
			return ub_config_bad(file, number, err,
					     "a backslash in quotes takes \", \\, n, t, r or xNN "
					     "behind it");
		to++;
		from += used + 1;
	}
	if (!*from)
		return ub_config_bad(file, number, err, "the quote does not end");
	from += 1 + strspn(from + 1, BLANKS);
	if (*from && *from != '#')
		return ub_config_bad(file, number, err, "there is more behind the quote");
	*to = '\0';
	return 0;
}

static void trim_end(char *text)
{
	size_t len = strlen(text);

	while (len && strchr(BLANKS, text[len - 1]))
		text[--len] = '\0';
}

/* Cuts off a comment: a # that is the first, or behind a blank. */
static void cut_comment(char *text)
{
	for (char *at = strchr(text, '#'); at; at = strchr(at + 1, '#')) {
		if (at == text || strchr(BLANKS, at[-1])) {
			*at = '\0';
			break;
		}
	}
	trim_end(text);
}

/* Return: 1 with a key and a value, 0: there is nothing in the line, or -EINVAL. */
static int parse_line(const struct ub_config_file *file, char *text, struct ub_config_line *line,
		      struct ub_error *err)
{
	char *key = text + strspn(text, BLANKS), *value;
	int ret = 0;

	if (!*key || *key == '#')
		return 0;
	value = strchr(key, '=');
	if (!value)
		return ub_config_bad(file, line->number, err, "it is no 'key = value': '%.60s'",
				     key);
	*value++ = '\0';
	trim_end(key);
	value += strspn(value, BLANKS);
	if (!*key)
		return ub_config_bad(file, line->number, err, "there is no key before the '='");
	if (*value == '"')
		ret = unquote(file, line->number, value, err);
	else
		cut_comment(value);
	if (ret == 0 && !*value)
		ret = ub_config_bad(file, line->number, err, "key '%.60s' has no value", key);
	line->key = key;
	line->value = value;
	return ret < 0 ? ret : 1;
}

static unsigned count_lines(const char *text, size_t len)
{
	unsigned count = 1;

	for (size_t i = 0; i < len; i++)
		count += text[i] == '\n';
	return count;
}

static int parse(struct ub_config_file *file, size_t len, struct ub_error *err)
{
	const char *nul = memchr(file->text, '\0', len);
	char *rest = file->text, *text;
	unsigned number = 0;

	if (nul)
		return ub_config_bad(file, count_lines(file->text, (size_t)(nul - file->text)), err,
				     "there is a NUL in it");
	file->lines = calloc(count_lines(file->text, len), sizeof(*file->lines));
	if (!file->lines)
		return ub_fail(err, UB_STAGE_CONFIG, -ENOMEM, "cannot read %s", file->path);
	while ((text = strsep(&rest, "\n"))) {
		struct ub_config_line *line = &file->lines[file->count];
		int ret;

		line->number = ++number;
		ret = parse_line(file, text, line, err);
		if (ret < 0)
			return ret;
		file->count += (size_t)ret;
	}
	return 0;
}

static char *name_of(const char *path)
{
	const char *last = strrchr(path, '/'), *name = last ? last + 1 : path;
	size_t len = strlen(name), suffix = strlen(UB_CONFIG_SUFFIX);

	if (len > suffix && strcmp(name + len - suffix, UB_CONFIG_SUFFIX) == 0)
		len -= suffix;
	return strndup(name, len);
}

static int read_file(struct ub_config_file *file, struct ub_error *err)
{
	/* A FIFO is not waited for. */
	_cleanup_close_ int fd = ub_path_open(file->path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	struct stat st;
	ssize_t len;
	int ret;

	if (fd < 0 || fstat(fd, &st) != 0)
		return ub_fail(err, UB_STAGE_CONFIG, fd < 0 ? fd : -errno, "cannot read %s",
			       file->path);
	if (!S_ISREG(st.st_mode))
		return ub_fail_text(err, UB_STAGE_CONFIG, -EINVAL,
				    "cannot read %s: it is no regular file", file->path);
	ret = ub_config_check_owner(file->path, fd, err);
	if (ret)
		return ret;
	len = read_text(file, fd, err);
	return len < 0 ? (int)len : parse(file, (size_t)len, err);
}

int ub_config_file_read(const char *path, struct ub_config_file *ret_file, struct ub_error *err)
{
	struct ub_config_file file = {.path = strdup(path), .name = name_of(path)};
	int ret;

	if (file.path && file.name)
		ret = read_file(&file, err);
	else
		ret = ub_fail(err, UB_STAGE_CONFIG, -ENOMEM, "cannot read %s", path);
	if (ret)
		ub_config_file_done(&file);
	else
		*ret_file = file;
	return ret;
}

void ub_config_file_done(struct ub_config_file *file)
{
	free(file->path);
	free(file->name);
	free(file->text);
	free(file->lines);
	*file = (struct ub_config_file){0};
}

static bool is_control(char c)
{
	return (unsigned char)c < ' ' || c == 0x7f;
}

/* Would it be read as something else, if it stood as it is? */
static bool needs_quotes(const char *value)
{
	size_t len = strlen(value);

	if (!len || value[0] == '"' || strchr(BLANKS, value[0]) || strchr(BLANKS, value[len - 1]))
		return true;
	for (const char *at = value; *at; at++) {
		if (is_control(*at) || (*at == '#' && (at == value || strchr(BLANKS, at[-1]))))
			return true;
	}
	return false;
}

char *ub_config_quote(const char *value)
{
	char *text = NULL;
	size_t size;
	FILE *file;

	if (!needs_quotes(value))
		return strdup(value);
	file = open_memstream(&text, &size);
	if (!file)
		return NULL;
	(void)fputc('"', file);
	for (; *value; value++) {
		const char *at = strchr(escaped, *value);

		if (at)
			(void)fprintf(file, "\\%c", letters[at - escaped]);
		else if (is_control(*value))
			(void)fprintf(file, "\\x%02x", (unsigned char)*value);
		else
			(void)fputc(*value, file);
	}
	(void)fputc('"', file);
	if (fclose(file) == 0)
		return text;
	free(text);
	return NULL;
}
