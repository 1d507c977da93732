/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/users.h"

/* The end of a name that was longer. */
#define CUT "..."

int ub_users_add(struct ub_users *users, enum ub_user_kind kind, const char *device,
		 const char *what, int32_t pid)
{
	struct ub_user *list = reallocarray(users->list, users->count + 1, sizeof(*list));
	struct ub_user *user;

	if (!list)
		return -ENOMEM;
	users->list = list;
	user = &list[users->count++];
	*user = (struct ub_user){.kind = kind, .pid = pid};
	(void)snprintf(user->device, sizeof(user->device), "%s", device);
	if (snprintf(user->what, sizeof(user->what), "%s", what) >= (int)sizeof(user->what))
		(void)strcpy(user->what + sizeof(user->what) - sizeof(CUT), CUT);
	return 0;
}

bool ub_user_is_whole(const struct ub_user *user)
{
	return strlen(user->what) + 1 < sizeof(user->what);
}

void ub_users_done(struct ub_users *users)
{
	free(users->list);
	*users = (struct ub_users){0};
}

const char *ub_user_describe(const struct ub_user *user, char *buf, size_t size)
{
	switch (user->kind) {
	case UB_USER_MOUNT:
		(void)snprintf(buf, size, "mounted on %s (%s)", user->what, user->device);
		break;
	case UB_USER_SWAP:
		(void)snprintf(buf, size, "used as swap (%s)", user->device);
		break;
	case UB_USER_HOLDER:
		(void)snprintf(buf, size, "used by %s (%s)", user->what, user->device);
		break;
	case UB_USER_OPENER:
		(void)snprintf(buf, size, "open by %s (%d)", user->what, user->pid);
		break;
	case UB_USER_CLAIM:
		(void)snprintf(buf, size,
			       "claimed by somebody who cannot be seen from here, perhaps mounted "
			       "in another mount namespace (%s)",
			       user->device);
		break;
	case UB_USER_UNSEEN:
		(void)snprintf(buf, size,
			       "perhaps open by processes that cannot be seen from here (%s)",
			       user->device);
		break;
	}
	return buf;
}
