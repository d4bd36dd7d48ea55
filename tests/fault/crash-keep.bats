#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# Operations that make, name and remove volumes, killed at every step; see crash.bash.

load crash

@test "new makes a volume or none when it is killed at any step" {
	kill_everywhere empty
}

@test "fork loses nothing when it is killed at any step" {
	kill_everywhere fork
}

@test "rename is done or not when it is killed at any step" {
	kill_everywhere rename
}

@test "rm of a version is done or not when it is killed at any step" {
	kill_everywhere rm
}

@test "rm of a volume is done or not when it is killed at any step" {
	kill_everywhere remove
}
