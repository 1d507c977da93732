/* SPDX-License-Identifier: MIT */
/*
 * Where a server lives: in a mount namespace with an empty root, which nothing is propagated into.
 * A mount that it kept or was given would stay there when everybody else has unmounted it, and its
 * disk busy; if that is the server's own device, a server that is killed waits for ever for itself
 * to unmount it. So nothing of its caller's is there but the directories that the record and the log
 * lie in, each mounted alone. What the server asks the kernel for comes from new mounts of the
 * kernel's own file systems, which have no disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/fault.h"
#include "device/group.h"
#include "record/dir.h"
#include "server/server.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
/* A test build: its reports' file is opened while that can be reached, and errands are started by the
 * dynamic loader. */
#define SANITIZED
extern const char *__sanitizer_get_report_path(void);
#endif

/* A mount that is in no namespace yet, and where it is to be. */
struct part {
	const char *at;
	const char *type;    /* of a new file system, or NULL: */
	const char *from;    /* a directory of the caller's; NULL: there is none */
	unsigned attributes; /* of a new one */
	int mount;
};

enum {
	PART_ROOT,
	PART_DEV,
	PART_PROC,
	PART_SYS,
	PART_RECORDS,
	PART_LOG,
#ifdef SANITIZED
	PART_LIB,
	PART_LIB64,
#endif
	PART_COUNT
};

#define HARMLESS (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC)

static int make_file_system(const char *type, unsigned attributes)
{
	_cleanup_close_ int fs = fsopen(type, FSOPEN_CLOEXEC);
	int fd;

	if (fs < 0 || (strcmp(type, "tmpfs") == 0 &&
		       fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0755", 0) != 0))
		return -errno;
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) != 0)
		return -errno;
	fd = fsmount(fs, FSMOUNT_CLOEXEC, attributes);
	return fd < 0 ? -errno : fd;
}

static int make_parts(struct part parts[static PART_COUNT])
{
	for (unsigned i = 0; i < PART_COUNT; i++) {
		struct part *p = &parts[i];

		if (p->type)
			p->mount = make_file_system(p->type, p->attributes);
		else if (!p->from)
			continue;
		else if ((p->mount = open_tree(AT_FDCWD, p->from,
					       OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)) < 0)
			p->mount = -errno;
		if (p->mount < 0)
			return p->mount;
	}
	return 0;
}

int server_make_path(const char *path)
{
	_cleanup_free_ char *part = strdup(path);

	if (!part)
		return -ENOMEM;
	for (char *end = part; end;) {
		end = strchr(end + 1, '/');
		if (end)
			*end = '\0';
		if (mkdir(part, 0755) != 0 && errno != EEXIST)
			return -errno;
		if (end)
			*end = '/';
	}
	return 0;
}

static int attach(const struct part *p)
{
	int ret = p->mount < 0 ? 0 : server_make_path(p->at);

	if (!ret && p->mount >= 0 &&
	    move_mount(p->mount, "", AT_FDCWD, p->at, MOVE_MOUNT_F_EMPTY_PATH) != 0)
		ret = -errno;
	return ret;
}

/* A namespace's own root may be another than that of a process which was confined to a part of it,
 * and only that one can be taken away: setns() goes there. */
static int enter_new_namespace(void)
{
	_cleanup_close_ int self = (int)syscall(SYS_pidfd_open, getpid(), 0);

	if (self < 0 || unshare(CLONE_NEWNS) != 0 || setns(self, CLONE_NEWNS) != 0)
		return -errno;
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 ? 0 : -errno;
}

/* The new root over the old one, then below it, and the old one away. */
static int change_root(int root)
{
	if (move_mount(root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) != 0 ||
	    fchdir(root) != 0 || syscall(SYS_pivot_root, ".", ".") != 0 ||
	    umount2(".", MNT_DETACH) != 0 || chdir("/") != 0)
		return -errno;
	return 0;
}

static int move_in(const struct part parts[static PART_COUNT])
{
	int ret = enter_new_namespace();

	if (!ret)
		ret = change_root(parts[PART_ROOT].mount);
	for (unsigned i = PART_ROOT + 1; i < PART_COUNT && !ret; i++)
		ret = attach(&parts[i]);
#ifdef SANITIZED
	if (!ret && (symlink("usr/lib", "/lib") != 0 || symlink("usr/lib64", "/lib64") != 0))
		ret = -errno;
#endif
	/* What is a copy of a shared mount is shared itself. */
	if (!ret && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		ret = -errno;
	return ret;
}

/* Back to where the caller is. */
static void move_back(int namespace, int root)
{
	if (setns(namespace, CLONE_NEWNS) == 0 && fchdir(root) == 0 && chroot(".") == 0)
		(void)chdir("/");
}

static int leave(struct server *s, const char *records)
{
	_cleanup_free_ char *log_dir = ub_log_dir(&s->log);
	_cleanup_close_ int old = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool journal = s->log.kind == UB_LOG_JOURNAL;
	struct part parts[PART_COUNT] = {
		[PART_ROOT] = {"/", "tmpfs", .attributes = HARMLESS | MOUNT_ATTR_NODEV},
		[PART_DEV] = {"/dev", "devtmpfs", .attributes = HARMLESS},
		[PART_PROC] = {"/proc", "proc", .attributes = HARMLESS | MOUNT_ATTR_NODEV},
		[PART_SYS] = {"/sys", "sysfs", .attributes = HARMLESS | MOUNT_ATTR_NODEV},
		[PART_RECORDS] = {.at = records, .from = records},
		/* A link in /dev leads to the journal's socket, by its path. */
		[PART_LOG] = {.at = journal ? log_dir : SERVER_LOG_DIR, .from = log_dir},
#ifdef SANITIZED
		[PART_LIB] = {.at = "/usr/lib", .from = "/usr/lib"},
		[PART_LIB64] = {.at = "/usr/lib64", .from = "/usr/lib64"},
#endif
	};
	int ret;

	for (unsigned i = 0; i < PART_COUNT; i++)
		parts[i].mount = -1;
	ret = old < 0 || root < 0 ? -errno : make_parts(parts);
	if (!ret) {
		ret = move_in(parts);
		if (ret)
			move_back(old, root);
		else if (!journal && log_dir)
			ub_log_move(&s->log, strrchr(s->log.path, '/'), SERVER_LOG_DIR);
	}
	if (!ret) {
		s->alone = true;
		s->log_at = log_dir ? strdup(parts[PART_LOG].at) : NULL;
	}
	if (!ret && s->recovers) {
		s->caller_ns = UB_TAKE_FD(old);
		s->caller_root = UB_TAKE_FD(root);
	}
	for (unsigned i = 0; i < PART_COUNT; i++)
		ub_close(&parts[i].mount);
	return ret;
}

/* systemd's readiness protocol: the socket that it names. */
static int connect_supervisor(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = -1;
	size_t len = path ? strlen(path) : 0;

	if (len < 2 || len >= sizeof(addr.sun_path) || (path[0] != '/' && path[0] != '@'))
		return -1;
	memcpy(addr.sun_path, path, len);
	if (path[0] == '@')
		addr.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) != 0)
		return -1;
	return UB_TAKE_FD(fd);
}

void server_look_around(struct server *s)
{
#ifdef SANITIZED
	(void)__sanitizer_get_report_path();
#endif
	if (!s->foreground && !s->record.spec.stay)
		ub_group_leave();
	s->cgroup_max = ub_group_memory_max(true);
	s->dev_fd = open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->foreground)
		s->notify_fd = connect_supervisor();
}

int server_leave_namespace(struct server *s, struct ub_error *err)
{
	_cleanup_close_ int records = -1;
	char path[PATH_MAX];
	int ret = s->left ? 0 : ub_fault("namespace");

	if (s->left)
		return 0;
	s->left = true;
	if (s->handover->why_callers[0])
		ub_note(&s->record.notes,
			"the server is in its caller's control group, and may end with it: %s",
			s->handover->why_callers);
	(void)chdir("/");
	/* While it can be reached, and the right error told. */
	records = ub_record_dir_open(true, err);
	if (records < 0)
		return records;
	if (s->record.spec.unprivileged)
		return 0;
	if (!ret)
		ret = ub_record_dir(path, sizeof(path)) ? leave(s, path) : -ENAMETOOLONG;
	if (ret)
		ub_note(&s->record.notes,
			"the server may keep mounts of the process that started it busy: %s",
			strerror(-ret));
	return 0;
}
