/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The commands, one a file: cmd-NAME.c. Whatever has to know all of them (help,
 * man pages, completion) goes by the table. */

#include "args.h"

/* Ended by NULL. */
extern const struct command *const commands[];

extern const struct command command_new;
extern const struct command command_mount;
extern const struct command command_unmount;
extern const struct command command_commit;
extern const struct command command_finalize;
extern const struct command command_seal;
extern const struct command command_fork;
extern const struct command command_tag;
extern const struct command command_label;
extern const struct command command_rename;
extern const struct command command_reset;
extern const struct command command_rm;
extern const struct command command_gc;
extern const struct command command_diff;
extern const struct command command_du;
extern const struct command command_cat;
extern const struct command command_ls;
extern const struct command command_restore;
extern const struct command command_export;
extern const struct command command_log;
extern const struct command command_find;
extern const struct command command_show;
extern const struct command command_sessions;
extern const struct command command_status;
extern const struct command command_layer_ls;
extern const struct command command_layer_cat;
extern const struct command command_layer_tar;
extern const struct command command_layer_verify;
extern const struct command command_fsck;
extern const struct command command_rebuild;
extern const struct command command_version;
extern const struct command command_doctor;
extern const struct command command_complete;
