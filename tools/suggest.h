/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "args.h"

/* The command that name was most likely meant to be; NULL if none is near. */
const char *suggest_command(const struct command *const *commands,
			    const char *name);
