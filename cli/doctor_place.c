/* SPDX-License-Identifier: MIT */
/* Where a server would live: programs, udev, rights, namespaces, systemd. */
#include "doctor.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/caps.h"
#include "base/clean.h"
#include "device/links.h"
#include "device/namespace.h"
#include "device/quota.h"
#include "device/udev.h"
#include "machine.h"
#include "process/process.h"
#include "process/program.h"

#define RULES "60-ublk.rules"
#define IDENTITY_RULES "59-ublk.rules"
#define SYSTEMD "/run/systemd/system"

void ub_check_program(struct ub_doctor *doctor)
{
	struct ub_error err = {0};
	char path[PATH_MAX];
	int ret = ub_program_check_proc(&err);

	if (!ret) {
		ret = ub_program_find(NULL, path);
		if (ret)
			(void)ub_fail(&err, UB_STAGE_SPAWN, ret,
				      "cannot find the server program %.400s", path);
	}
	if (ret)
		ub_doctor_bad(doctor, &err);
	else
		ub_doctor_good(doctor, "devices are served by %.500s", path);
}

/* An ordinary user's device is no use until udev has opened its nodes to him. */
static void check_user_udev(struct ub_doctor *doctor, bool runs, enum ub_udev_rules rules)
{
	struct ub_error err = {0};

	if (!runs)
		(void)ub_fail_text(&err, UB_STAGE_CHAR, -EACCES,
				   "cannot add a device: udev, which would open its node to user "
				   "%u, does not run",
				   geteuid());
	else
		(void)ub_fail_text(&err, UB_STAGE_CHAR, -EACCES,
				   "cannot use a device: udev has %s " RULES
				   ", by which it would open its node to user %u",
				   rules == UB_UDEV_RULES_EMPTY ? "an empty" : "no", geteuid());
	ub_doctor_bad(doctor, &err);
}

static bool has_link_rules(void)
{
	const char *folder;

	return ub_udev_find_rules(IDENTITY_RULES, &folder) == UB_UDEV_RULES_THERE &&
	       ub_udev_find_rules(UB_LINKS_RULES, &folder) == UB_UDEV_RULES_THERE;
}

void ub_check_udev(struct ub_doctor *doctor)
{
	const char *folder;
	enum ub_udev_rules rules = ub_udev_find_rules(RULES, &folder);
	bool runs = ub_udev_runs();

	if (ub_ctrl_is_unprivileged() && (!runs || rules != UB_UDEV_RULES_THERE))
		check_user_udev(doctor, runs, rules);
	else if (!runs)
		ub_doctor_note(doctor,
			       access(SYSTEMD, F_OK) == 0
				       ? "systemctl start systemd-udevd"
				       : "start udev, as by: /lib/systemd/systemd-udevd --daemon",
			       "does not run: only root can have devices, and there are no links "
			       "to them in /dev/disk");
	else if (rules == UB_UDEV_RULES_NONE)
		ub_doctor_note(doctor,
			       "install ublk's " RULES
			       " in /etc/udev/rules.d, then: udevadm control --reload",
			       "runs without ublk's rules: only root can have devices");
	else if (!ub_ctrl_is_unprivileged() && !has_link_rules())
		ub_doctor_note(doctor,
			       "install ublk's " IDENTITY_RULES " and " UB_LINKS_RULES
			       " beside it, then: udevadm control --reload",
			       "runs, with %s/" RULES
			       " alone: there are no links to devices in /dev/disk",
			       folder);
	else if (rules == UB_UDEV_RULES_EMPTY)
		ub_doctor_good(doctor, "runs, and %s/" RULES " keeps ordinary users from devices",
			       folder);
	else
		ub_doctor_good(doctor, "runs, with %s/" RULES, folder);
}

void ub_check_privileges(struct ub_doctor *doctor)
{
	struct ub_error err = {0};

	if (ub_has_cap(CAP_SYS_ADMIN) && ub_process_in_user_namespace()) {
		(void)ub_fail_text(
			&err, UB_STAGE_ADD, -EPERM,
			"cannot add a device: CAP_SYS_ADMIN is this namespace's of users, "
			"and the driver asks for the machine's");
		ub_doctor_bad(doctor, &err);
	} else if (ub_has_cap(CAP_SYS_ADMIN)) {
		ub_doctor_good(doctor, "CAP_SYS_ADMIN: devices of every kind");
		if (doctor->ctrl && ub_quota_check(doctor->ctrl, &err) < 0)
			ub_doctor_note(doctor, UB_QUOTA_MORE, "an ordinary user %s", err.msg);
	} else if (ub_ctrl_is_unprivileged() && doctor->ctrl &&
		   ub_quota_check(doctor->ctrl, &err) < 0) {
		ub_doctor_bad(doctor, &err);
	} else if (ub_ctrl_is_unprivileged()) {
		ub_doctor_good(doctor, "an ordinary user's: devices without recovery and "
				       "partitions, and not for swap");
	} else {
		ub_doctor_note(doctor, NULL, "no CAP_SYS_ADMIN, and the node is not for all");
	}
}

static bool has_own_mounts(void)
{
	struct stat own, first;

	return stat("/proc/self/ns/mnt", &own) == 0 && stat("/proc/1/ns/mnt", &first) == 0 &&
	       own.st_ino != first.st_ino;
}

void ub_check_namespaces(struct ub_doctor *doctor)
{
	bool processes = ub_process_in_namespace();
	struct ub_error err = {0};

	if (ub_namespace_is_in_the_way()) {
		(void)ub_fail_text(&err, UB_STAGE_START, -EOPNOTSUPP,
				   "cannot start a device: on Linux 6.16 and 6.17 the driver wants "
				   "the server's number outside of its process namespace");
		ub_doctor_bad(doctor, &err);
	} else if (processes) {
		ub_doctor_note(doctor, "ublk del --force DEV, of a device that nobody uses",
			       "in a namespace of processes: who outside has a device open can't "
			       "be seen, so `ublk del` may refuse it");
	}
	if (!ub_machine_makes_nodes()) {
		(void)ub_fail_text(&err, UB_STAGE_NODE, -ETIMEDOUT,
				   "cannot open a device: its node will not come, as /dev is not "
				   "the kernel's");
		ub_doctor_bad(doctor, &err);
	}
	if (has_own_mounts())
		ub_doctor_note(doctor, NULL,
			       "in a mount namespace of its own: what is mounted here is not seen "
			       "outside");
	else if (!processes)
		ub_doctor_good(doctor, "the machine's own");
}

void ub_check_systemd(struct ub_doctor *doctor)
{
	if (access(SYSTEMD, F_OK) == 0)
		ub_doctor_good(doctor, "runs");
	else
		ub_doctor_note(doctor, NULL,
			       "does not run: something else has to bring devices back at boot");
}
