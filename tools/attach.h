/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A detached mount and the directory that it goes to. */

#include "util/error.h"

#define ATTACH_DEFAULT "/workspace"

/*
 * Checks that the caller may mount and that path can be mounted on: a directory
 * that is no mount point. NULL stands for ATTACH_DEFAULT, which is created when
 * it is missing. *ret is the absolute path; free() it.
 */
int attach_check(const char *path, char **ret, struct err *err);

/* Attaches the mount fd to path. */
int attach(int fd, const char *path, struct err *err);
