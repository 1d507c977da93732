/* SPDX-License-Identifier: MIT */
/*
 * An ordinary user's device is his by the driver, but its nodes are root's as the kernel makes them:
 * udev has this program open them to him (60-ublk.rules).
 */
#pragma once

/* @path: /dev/ublkbN or /dev/ublkcN. A device that is root's is left alone. Return: the exit status. */
int server_own_main(const char *path);
