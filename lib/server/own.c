/* SPDX-License-Identifier: MIT */
#include "server/own.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/escape.h"
#include "kernel/ctrl.h"
#include "kernel/node.h"

#define READ_WRITE (ACL_READ | ACL_WRITE)
#define ACL_NAME "system.posix_acl_access"

/* What the node's group may do: with a list, the node's mode shows the list's mask in its place. */
static uint16_t group_of(const char *path, mode_t mode)
{
	struct {
		struct posix_acl_xattr_header head;
		struct posix_acl_xattr_entry entries[16];
	} acl;
	ssize_t size = getxattr(path, ACL_NAME, &acl, sizeof(acl));
	size_t count = size < (ssize_t)sizeof(acl.head)
			       ? 0
			       : ((size_t)size - sizeof(acl.head)) / sizeof(acl.entries[0]);

	for (size_t i = 0; i < count; i++)
		if (acl.entries[i].e_tag == htole16(ACL_GROUP_OBJ))
			return le16toh(acl.entries[i].e_perm);
	/* Of a list that can't be read, nothing. */
	return size < 0 && errno == ENODATA ? (mode >> 3) & (ACL_READ | ACL_WRITE) : 0;
}

/* In the byte order of the list. */
static struct posix_acl_xattr_entry entry(uint16_t tag, uint16_t perm, uint32_t id)
{
	return (struct posix_acl_xattr_entry){
		.e_tag = htole16(tag),
		.e_perm = htole16(perm),
		.e_id = htole32(id),
	};
}

/* The owner beside root, and the group with what it has; ordered as the kernel wants it
 * (posix_acl_valid()). An entry of a list, not the node's owner: that one udev sets again at every
 * change of the device, and the user would have no access for a while. */
static int let_in(int node, mode_t mode, uint32_t uid)
{
	struct {
		struct posix_acl_xattr_header head;
		struct posix_acl_xattr_entry entries[5];
	} acl = {
		.head = {.a_version = htole32(POSIX_ACL_XATTR_VERSION)},
	};
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", node);
	acl.entries[0] = entry(ACL_USER_OBJ, READ_WRITE, ACL_UNDEFINED_ID);
	acl.entries[1] = entry(ACL_USER, READ_WRITE, uid);
	acl.entries[2] = entry(ACL_GROUP_OBJ, group_of(path, mode), ACL_UNDEFINED_ID);
	acl.entries[3] = entry(ACL_MASK, READ_WRITE, ACL_UNDEFINED_ID);
	acl.entries[4] = entry(ACL_OTHER, 0, ACL_UNDEFINED_ID);
	return setxattr(path, ACL_NAME, &acl, sizeof(acl), 0) == 0 ? 0 : -errno;
}

static int own(const char *path)
{
	_cleanup_(ub_ctrl_closep)
	struct ub_ctrl *ctrl = NULL;
	_cleanup_close_ int node = -1;
	struct ublksrv_ctrl_dev_info info;
	struct stat st;
	uint32_t id;
	int ret;

	if (ub_parse_dev_id(path, &id) != 0)
		return -EINVAL;
	/*
	 * The node first, then whose device it is: if another device takes the number in between, it
	 * is a node that nobody can reach any more that is opened to somebody, never another user's.
	 */
	node = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (node < 0 || fstat(node, &st) != 0)
		return -errno;
	if (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode))
		return -ENOTBLK;
	ret = ub_ctrl_open(&ctrl, NULL);
	if (!ret)
		ret = ub_ctrl_get_info(ctrl, id, &info);
	if (ret < 0)
		return ret;
	return info.flags & UBLK_F_UNPRIVILEGED_DEV ? let_in(node, st.st_mode, info.owner_uid) : 0;
}

int server_own_main(const char *path)
{
	int ret = own(path);
	char shown[PATH_MAX];

	/* One that has gone in the meantime is nobody's. */
	if (ret == 0 || ret == -ENOENT || ret == -ENODEV)
		return 0;
	ub_escape(path, shown, sizeof(shown));
	(void)fprintf(stderr, "ublk-server: error: cannot open %s to its owner: %s\n", shown,
		      strerror(-ret));
	return 1;
}
