/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Named steps at which a test can stop the process dead or make a call fail.
 * Empty unless built with -Dfault_points=true.
 *
 * LAYERD_FAULT=NAME[:N] kills the process with SIGKILL when the step NAME is
 * reached for the Nth time (default 1). LAYERD_FAULT_ERRNO=E makes it fail with
 * errno E instead. LAYERD_FAULT_LOG=FILE appends the name of each step that is
 * reached as a line, so that a test knows which there are.
 */

#ifdef LAYERD_FAULT_POINTS
/* 0, or the negative errno that was asked for. */
int fault_point(const char *name);
#else
static inline int fault_point(const char *name)
{
	(void)name;
	return 0;
}
#endif
