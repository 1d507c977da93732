/* SPDX-License-Identifier: MIT */
/* Where records are kept, and what earlier devices have left there and in the driver. */
#include "doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/caps.h"
#include "base/clean.h"
#include "device/device.h"
#include "device/driver.h"
#include "device_fields.h"
#include "record/dir.h"
#include "record/survey.h"

/* Part of a file system is kept for root. A file system without a fixed number of files says 0 of 0. */
static bool is_full(const struct statvfs *fs)
{
	bool has_all = geteuid() == 0 || ub_has_cap(CAP_SYS_RESOURCE);

	return !(has_all ? fs->f_bfree : fs->f_bavail) ||
	       (fs->f_files && !(has_all ? fs->f_ffree : fs->f_favail));
}

static int check_folder(int dirfd, const char *name, const char *what, const char *path,
			struct ub_error *err)
{
	_cleanup_close_ int fd = openat(dirfd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct statvfs fs;

	if (fd < 0 || faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) != 0)
		return ub_fail(err, UB_STAGE_RECORD, -errno, "cannot %s %s", what, path);
	if (fstatvfs(fd, &fs) == 0 && is_full(&fs))
		return ub_fail(err, UB_STAGE_RECORD, -ENOSPC, "cannot %s %s", what, path);
	return 0;
}

/* It is missing: can it be made, with a record in it? */
static int check_parent(const char *path, struct ub_error *err)
{
	_cleanup_free_ char *parent = strdup(path);
	char *slash = parent ? strrchr(parent, '/') : NULL;

	if (!slash)
		return ub_fail(err, UB_STAGE_RECORD, -ENOMEM, "cannot make %s", path);
	slash[slash == parent] = '\0';
	return check_folder(AT_FDCWD, parent, "make", path, err);
}

void ub_check_records(struct ub_doctor *doctor)
{
	_cleanup_close_ int dirfd = -1;
	struct ub_error err = {0};
	char path[PATH_MAX];
	int ret;

	if (!ub_record_dir(path, sizeof(path)))
		path[0] = '\0';
	dirfd = ub_record_dir_open(false, &err);
	ret = dirfd >= 0         ? check_folder(dirfd, ".", "write to", path, &err)
	      : dirfd == -ENOENT ? check_parent(path, &err)
				 : dirfd;
	if (ret < 0)
		ub_doctor_bad(doctor, &err);
	else
		ub_doctor_good(doctor, dirfd >= 0 ? "kept in %.500s" : "to be kept in %.500s",
			       path);
}

static bool is_gone(const struct ub_doctor *doctor, uint32_t id)
{
	struct ublksrv_ctrl_dev_info info;

	return doctor->ctrl ? ub_ctrl_get_info(doctor->ctrl, id, &info) == -ENODEV
			    : !ub_driver_is_loaded();
}

static void tell_stray(struct ub_doctor *doctor, const char *what, const char *path)
{
	char mend[PATH_MAX];

	(void)snprintf(mend, sizeof(mend), "rm %.4000s", path);
	ub_doctor_note(doctor, mend, "%s of a device that is no more: %.400s", what, path);
}

static void found_record(void *arg, uint32_t id, const char *path)
{
	if (is_gone(arg, id) && access(path, F_OK) == 0)
		tell_stray(arg, "the record", path);
}

static void found_socket(void *arg, uint32_t id, const char *path)
{
	if (is_gone(arg, id) && access(path, F_OK) == 0)
		tell_stray(arg, "the control socket", path);
}

static void found_stats(void *arg, uint32_t id, const char *path)
{
	if (is_gone(arg, id) && access(path, F_OK) == 0)
		tell_stray(arg, "the statistics", path);
}

static void found_entry(void *arg, uint32_t id, const char *path)
{
	if (is_gone(arg, id) && access(path, F_OK) == 0)
		tell_stray(arg, "an entry of the index", path);
}

/* Return: is it another program's, and nothing is wrong with it? */
static bool tell_device(struct ub_doctor *doctor, const struct ub_dev *dev)
{
	char status[sizeof(doctor->findings->text)], action[UB_HINT_SIZE];

	ub_device_health(dev, status, sizeof(status), action, sizeof(action));
	if (!status[0])
		return !dev->managed;
	ub_doctor_note(doctor, action, "ublkb%u: %.500s", dev->id, status);
	return false;
}

static void check_devices(struct ub_doctor *doctor)
{
	struct ub_dev *devs = NULL;
	struct ub_error err = {0};
	size_t count = 0, others = 0, before = doctor->count;

	if (ub_dev_list(doctor->ctrl, &devs, &count, &err) < 0) {
		ub_doctor_note(doctor, NULL, "%s", err.msg);
		return;
	}
	for (size_t i = 0; i < count; i++)
		others += tell_device(doctor, &devs[i]);
	ub_dev_list_free(devs, count);
	if (others)
		ub_doctor_good(doctor, "%zu of %zu devices are another program's", others, count);
	else if (doctor->count == before)
		ub_doctor_good(doctor, "of %zu devices each has what it needs", count);
}

void ub_check_leftovers(struct ub_doctor *doctor)
{
	const struct ub_survey survey = {
		.record = found_record,
		.socket = found_socket,
		.stats = found_stats,
		.entry = found_entry,
		.arg = doctor,
	};
	size_t before = doctor->count;
	int ret = ub_record_survey(&survey);

	if (ret < 0)
		ub_doctor_note(doctor, NULL, "the records cannot be read: %s", strerror(-ret));
	if (doctor->ctrl)
		check_devices(doctor);
	else if (doctor->count == before)
		ub_doctor_good(doctor, ub_driver_is_loaded() ? "no record without a device; the "
							       "driver can't be asked for devices"
							     : "no record, and no device");
}
