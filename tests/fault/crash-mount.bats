#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# Operations that mount and read, killed at every step; see crash.bash.

load crash

@test "mount loses nothing when it is killed at any step" {
	kill_everywhere mount
}

@test "unmount --discard is done or not when it is killed at any step" {
	kill_everywhere discard
}

@test "fetching layers can be killed at any step" {
	kill_everywhere fetch
}

@test "starting without a catalog can be killed at any step" {
	kill_everywhere start
}

@test "restore can be killed at any step and completed" {
	kill_everywhere restore
}

@test "restore --overwrite can be killed at any step and completed" {
	kill_everywhere replace
}
