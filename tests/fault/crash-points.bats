#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# What the daemon is killed at, all together; see crash.bash.

load crash

@test "every fault point in the source is one of those steps" {
	local operation

	daemon_start
	make_base
	make_many
	for operation in commit discard empty fetch finalize fork fsck gc mount new \
		rebuild remove rename replace restore rm squash start; do
		list_steps "$operation"
	done
	daemon_stop
	diff <(steps_in_source) <(LC_ALL=C sort -u "$T/reached")
}
