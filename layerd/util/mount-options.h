/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Mount options as of mount(8), from a command line or a line of fstab(5).
 * Those that the kernel applies to one mount, not to a whole file system,
 * become attributes for mount_setattr(2).
 */

#include "util/error.h"

#include <stdbool.h>
#include <stdint.h>

struct mount_options {
	bool readonly;
	uint64_t set;	/* MOUNT_ATTR_*, but for MOUNT_ATTR_RDONLY */
	uint64_t clear; /* what goes before set does: MOUNT_ATTR__ATIME */
};

#define MOUNT_OPTIONS_INIT                                                     \
	(struct mount_options)                                                 \
	{                                                                      \
		0                                                              \
	}

/*
 * Adds a list, separated by commas, to what options say already; of options
 * that contradict one another the last counts. What is addressed to mount(8),
 * systemd or a person (noauto, _netdev, user=ann, x-..., comment=...) has no
 * effect here, but that user, owner and their kin imply nosuid, nodev and the
 * like. -EINVAL with a sentence for an option that is not known, unless sloppy,
 * and for one that cannot be had of a volume; options are then half changed.
 */
int mount_options_parse(const char *list, bool sloppy,
			struct mount_options *options, struct err *err);
