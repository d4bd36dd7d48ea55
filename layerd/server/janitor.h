/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Work that no caller waits for: making sealed layers durable in the cache and
 * deleting what ended sessions have left, and forgetting mounts that somebody
 * else unmounted.
 */

#include "volume/host.h"

struct janitor;

int janitor_new(struct janitor **ret, struct host *h, struct err *err);
/* Waits for the task at hand; what is still to do is done after the next
 * start. */
struct janitor *janitor_free(struct janitor *j);
void janitor_freep(struct janitor **j);

/* A session has ended. */
void janitor_wake(struct janitor *j);
/* A layer is in the cache but not synced. */
void janitor_sync_layer(struct janitor *j, const struct digest *tar);
