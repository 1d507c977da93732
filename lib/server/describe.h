/* SPDX-License-Identifier: MIT */
/*
 * What udev is told of a disk (59-ublk.rules): the name by which it is linked, and whether root may
 * look at what is on it.
 */
#pragma once

/*
 * Prints UBLK_PROBE=yes, no (an ordinary user's device, or one with --no-partition-scan: what is on it
 * is not to be read), or other (root's, but another program's: its affair), and for a device of root's
 * that has one, UBLK_NAME=NAME. Takes a moment, whatever the driver does, and waits for no server.
 * @path: /dev/ublkbN. @seq: the disk's sequence number, as the event that is being handled has it.
 * Return: the exit status; 1, with nothing printed, also if the number is another disk's by now.
 */
int server_describe_main(const char *path, const char *seq);
