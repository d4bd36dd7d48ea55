/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The methods of io.layerd, in the order of the interface file. */

#include "server/call.h"

int method_new(struct call *c);
int method_mount(struct call *c);
int method_unmount(struct call *c);
int method_seal(struct call *c);
int method_fork(struct call *c);
int method_tag(struct call *c);
int method_untag(struct call *c);
int method_tags(struct call *c);
int method_label(struct call *c);
int method_rename(struct call *c);
int method_reset(struct call *c);
int method_remove(struct call *c);
int method_collect(struct call *c);
int method_list(struct call *c);
int method_log(struct call *c);
int method_find(struct call *c);
int method_show(struct call *c);
int method_sessions(struct call *c);
int method_status(struct call *c);
int method_version_entries(struct call *c);
int method_version_file(struct call *c);
int method_diff(struct call *c);
int method_usage(struct call *c);
int method_restore(struct call *c);
int method_export_tar(struct call *c);
int method_export_oci(struct call *c);
int method_layer_entries(struct call *c);
int method_layer_open(struct call *c);
int method_layer_verify(struct call *c);
int method_fsck(struct call *c);
int method_rebuild(struct call *c);
