/* SPDX-License-Identifier: MIT */
/* Who uses the devices that are looked at. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "device/sight.h"
#include "device/users.h"
#include "process/process.h"

/* Ours: what looks at a device, or is about to remove it; and a server's helper. */
static bool is_passing(const struct ub_seen *seen, const struct ub_user *user)
{
	int32_t parent;

	if (user->kind != UB_USER_OPENER)
		return false;
	return user->is_udev || strcmp(user->what, "ublk") == 0 ||
	       (seen->pid && ub_process_parent(user->pid, &parent) == 0 && parent == seen->pid);
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A mount that is both here and where process 1 is, is one. */
static void drop_doubles(struct ub_seen *seen)
{
	size_t kept = 0;

	for (size_t i = 0; i < seen->nr_users; i++) {
		if (kept && strcmp(seen->users[kept - 1], seen->users[i]) == 0)
			free(seen->users[i]);
		else
			seen->users[kept++] = seen->users[i];
	}
	seen->nr_users = kept;
}

/* Return: 0, or -ENOMEM with nothing changed. */
static int name_users(const struct ub_users *users, struct ub_seen *seen)
{
	struct ub_seen made = {0};
	char text[UB_USER_TEXT_SIZE];

	made.users = calloc(users->count + 1, sizeof(*made.users));
	for (size_t i = 0; made.users && i < users->count; i++) {
		if (is_passing(seen, &users->list[i]))
			continue;
		made.users[made.nr_users] =
			strdup(ub_user_describe(&users->list[i], text, sizeof(text)));
		if (!made.users[made.nr_users]) {
			ub_seen_drop_users(&made);
			break;
		}
		made.nr_users++;
	}
	if (!made.users)
		return -ENOMEM;
	qsort(made.users, made.nr_users, sizeof(*made.users), compare_texts);
	drop_doubles(&made);
	ub_seen_drop_users(seen);
	seen->users = made.users;
	seen->nr_users = made.nr_users;
	return 0;
}

int ub_sight_find_users(struct ub_sight *sight)
{
	_cleanup_free_ struct ub_users_query *queries = calloc(sight->count + 1, sizeof(*queries));
	int ret;

	if (!queries)
		return -ENOMEM;
	for (size_t i = 0; i < sight->count; i++)
		queries[i] = (struct ub_users_query){.id = sight->list[i].id,
						     .except = {sight->list[i].pid}};
	ret = ub_users_find_some(queries, sight->count);
	for (size_t i = 0; i < sight->count; i++) {
		if (!ret)
			ret = name_users(&queries[i].users, &sight->list[i]);
		ub_users_done(&queries[i].users);
	}
	return ret;
}
