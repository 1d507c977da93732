/* SPDX-License-Identifier: MIT */
/*
 * Paths of any length: the kernel takes no more than PATH_MAX bytes at once, so longer ones are
 * walked in pieces. Knows nobody.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* Absolute, by the working directory; links and dots stay as the user wrote them.
 * Return: a path to be freed, or NULL with errno. */
char *ub_path_absolute(const char *path);

/* openat() of any path; O_CLOEXEC is added. Return: a descriptor or a negative errno. */
int ub_path_open(const char *path, int flags, mode_t mode);

/* What the kernel calls what is open; "(deleted)" follows what has lost its name. Return: a path to be
 * freed, or NULL with errno. */
char *ub_path_of(int fd);

/* Opens the directory that the path's last component lies in, with @access (O_PATH or O_RDONLY); that
 * one's name is in @ret_name, which points into @path. Return: a descriptor or a negative errno. */
int ub_path_open_parent(const char *path, int access, const char **ret_name);

/* Removes @name in @dir if it still is the file of this device and inode. */
void ub_path_remove(int dir, const char *name, uint64_t dev, uint64_t ino);
