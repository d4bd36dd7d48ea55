/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <stddef.h>

/* In the order in which help lists them, one a line. */
/* clang-format off */
const struct command *const commands[] = {
	&command_new,
	&command_mount,
	&command_unmount,
	&command_commit,
	&command_finalize,
	&command_seal,
	&command_fork,
	&command_tag,
	&command_label,
	&command_rename,
	&command_reset,
	&command_rm,
	&command_gc,
	&command_diff,
	&command_du,
	&command_cat,
	&command_ls,
	&command_restore,
	&command_export,
	&command_log,
	&command_find,
	&command_show,
	&command_sessions,
	&command_status,
	&command_layer_ls,
	&command_layer_cat,
	&command_layer_tar,
	&command_layer_verify,
	&command_version,
	&command_fsck,
	&command_rebuild,
	&command_doctor,
	&command_complete,
	NULL,
};
/* clang-format on */
