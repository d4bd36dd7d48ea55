#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# Operations that seal, killed at every step; see crash.bash.

load crash

@test "commit loses nothing when it is killed at any step" {
	kill_everywhere commit
}

@test "finalize loses nothing when it is killed at any step" {
	kill_everywhere finalize
}

@test "the commit that squashes loses nothing when it is killed at any step" {
	kill_everywhere squash
}

@test "new --from loses nothing when it is killed at any step" {
	kill_everywhere new
}
