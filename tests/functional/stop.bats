# SPDX-License-Identifier: Apache-2.0
#
# A daemon that is told to end in the middle of a seal.

load helper

@test "a seal of a large file ends when the daemon is to end, and says so" {
	layerctl new v
	layerctl mount v m
	head -c 600M /dev/urandom >m/f
	local commit pid status=0
	pid=$(daemon_pid)
	layerctl commit v >out 2>&1 &
	commit=$!
	until ls "$T"/state/cache/stage-*/tar >/dev/null 2>&1 &&
		[ "$(stat -c %s "$T"/state/cache/stage-*/tar)" -gt 30000000 ]; do
		kill -0 "$commit"
		sleep 0.02
	done
	kill "$pid"
	wait_gone "$pid"
	wait "$commit" || status=$?
	cat out
	[ "$status" != 0 ]
	grep -q 'the seal was stopped before it was published' out
	mountpoint -q m
	layerctl finalize v
}
