/* SPDX-License-Identifier: MIT */
#include "record/survey.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/parse.h"
#include "record/dir.h"
#include "record/file.h"
#include "record/index.h"

struct place {
	const struct ub_survey *survey;
	int dirfd;
	char path[PATH_MAX];
};

static void visit_entry(void *arg, const char *key, uint32_t id)
{
	const struct place *place = arg;
	char path[PATH_MAX + UB_INDEX_KEY_SIZE + 32];

	if (ub_record_file_is_there(place->dirfd, id))
		return;
	(void)snprintf(path, sizeof(path), "%s/.index/%s/%u", place->path, key, id);
	place->survey->entry(place->survey->arg, id, path);
}

/* Is it "3.json", say: exactly as @make_name names what belongs to a number? */
static bool is_named(const char *name, const char *(*make_name)(uint32_t id, char *buf),
		     uint32_t *ret_id)
{
	char number[16], same[UB_RECORD_NAME_SIZE];
	size_t len = strcspn(name, ".");
	uint64_t id;

	if (len >= sizeof(number))
		return false;
	memcpy(number, name, len);
	number[len] = '\0';
	if (ub_parse_u64(number, UINT32_MAX, &id) != 0)
		return false;
	*ret_id = (uint32_t)id;
	return strcmp(make_name(*ret_id, same), name) == 0;
}

static int visit_files(const struct place *place)
{
	_cleanup_close_ int fd = openat(place->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	char path[PATH_MAX + UB_RECORD_NAME_SIZE];
	struct dirent *entry;
	uint32_t id;

	if (!dir)
		return -errno;
	UB_TAKE_FD(fd);
	while ((entry = readdir(dir))) {
		(void)snprintf(path, sizeof(path), "%s/%.31s", place->path, entry->d_name);
		if (is_named(entry->d_name, ub_record_name, &id))
			place->survey->record(place->survey->arg, id, path);
		else if (is_named(entry->d_name, ub_record_socket_name, &id))
			place->survey->socket(place->survey->arg, id, path);
		else if (is_named(entry->d_name, ub_record_stats_name, &id))
			place->survey->stats(place->survey->arg, id, path);
	}
	(void)closedir(dir);
	return 0;
}

static int visit_place(struct place *place)
{
	char link[40];
	ssize_t len;
	int ret;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", place->dirfd);
	len = readlink(link, place->path, sizeof(place->path) - 1);
	place->path[len < 0 ? 0 : len] = '\0';
	ret = visit_files(place);
	return ret ? ret : ub_index_visit_all(place->dirfd, visit_entry, place);
}

int ub_record_survey(const struct ub_survey *survey)
{
	int ret = 0;

	for (unsigned i = 0; i < UB_RECORD_PLACES && !ret; i++) {
		struct place place = {.survey = survey, .dirfd = ub_record_dir_open_place(i, NULL)};

		if (place.dirfd >= 0)
			ret = visit_place(&place);
		else if (place.dirfd != -ENOENT)
			ret = place.dirfd;
		ub_close(&place.dirfd);
	}
	return ret;
}
