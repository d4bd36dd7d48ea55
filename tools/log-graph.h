/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "tool.h"

/* Draws the versions of all volumes, or of one and of those that share versions
 * with it, see graph.h. */
int log_graph(struct tool *t, struct err *err);
