/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Sealing, for the commands that do. */

#include "tool.h"

/* What a command that seals takes. */
#define SEAL_OPTION_MESSAGE                                                    \
	{                                                                      \
		'm', "message", "MESSAGE", "what the version is"               \
	}
#define SEAL_OPTION_LABEL                                                      \
	{                                                                      \
		0, "label", "K=V", "a label of the version", .repeat = true    \
	}

/* Seals a Target, which is taken over, with the message and the labels of t's
 * command line, and prints the result. */
int seal_target(struct tool *t, json_t *target, bool finalize, bool lazy,
		struct err *err);
