/* SPDX-License-Identifier: MIT */
/*
 * Finding a backing: by the path that the user named, and in a recovery, where that does not lead to
 * it any more, by where it lay and by its handle. Opens nothing for I/O.
 */
#pragma once

#include "base/error.h"
#include "base/notes.h"
#include "target/identity.h"

/*
 * @was: the backing has to be this one; NULL: what lies at @path is right.
 * Return: a descriptor (O_PATH), or a negative errno with a message (-ESTALE: another one lies there).
 */
int ub_backing_find(const char *path, const struct ub_backing *was, struct ub_notes *notes,
		    struct ub_error *err);
