#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# Operations on the whole store, killed at every step; see crash.bash.

load crash

@test "fsck --repair can be killed at any step and repeated" {
	kill_everywhere fsck
}

@test "rebuild can be killed at any step" {
	kill_everywhere rebuild
}

@test "gc loses nothing that is needed when it is killed at any step" {
	kill_everywhere gc
}
