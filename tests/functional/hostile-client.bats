#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# Whatever a client sends, or does not, costs itself the connection at most: the
# daemon lives, serves others meanwhile, holds no descriptor more than before,
# and its memory stays bounded.

load helper

# The daemon, with a volume v of many names.
make_daemon() {
	# The sanitizer's own memory is not what is measured.
	export ASAN_OPTIONS=quarantine_size_mb=1:malloc_context_size=2
	mkdir "$T/src"
	(cd "$T/src" && seq -f 'a-name-of-some-length-%g' 5000 | xargs touch)
	layerctl -q new v --from "$T/src"
	PID=$(daemon_pid)
	FDS=$(ls "/proc/$PID/fd" | wc -l)
	MEMORY=$(memory)
}

# Of the daemon, at its most, in KiB.
memory() {
	awk '/^VmHWM/ { print $2 }' "/proc/$PID/status"
}

hostile() {
	python3 "$HELPER_DIR/hostile-client.py" "$T/run/layerd.sock" "$1"
}

# All is as it was, with at most $1 MiB of memory used meanwhile.
daemon_is_well() {
	local i now

	[ "$(daemon_pid)" = "$PID" ]
	json_is 1 '.versions | length' layerctl log v
	[ "$(layerctl ls)" = v ]
	for ((i = 0; i < 100; i++)); do
		now=$(ls "/proc/$PID/fd" | wc -l)
		[ "$now" -gt "$FDS" ] || break
		sleep 0.1
	done
	[ "$now" -le "$FDS" ]
	now=$(memory)
	echo "memory was $MEMORY KiB and $now at its most"
	[ $((now - MEMORY)) -lt $(($1 * 1024)) ]
}

# Others are served while the client does what it does until its input ends.
served_beside() {
	local client i

	mkfifo "$T/input"
	hostile "$1" <"$T/input" >"$T/output" 3>&- &
	client=$!
	exec 4>"$T/input"
	for ((i = 0; i < 600; i++)); do
		grep -q connected "$T/output" && break
		sleep 0.1
	done
	grep -q connected "$T/output"
	for i in {1..5}; do
		timeout 120 layerctl show v >/dev/null
	done
	timeout 120 layerctl mount v "$T/m"
	echo new >"$T/m/new"
	timeout 120 layerctl unmount v --discard
	exec 4>&-
	wait "$client"
}

@test "random bytes" {
	make_daemon
	hostile noise
	daemon_is_well 32
}

@test "what is no call" {
	make_daemon
	hostile not-calls
	daemon_is_well 32
}

@test "a message without an end" {
	make_daemon
	hostile endless
	daemon_is_well 32
}

@test "many messages without an end" {
	make_daemon
	hostile endless-many
	daemon_is_well 512
}

@test "messages cut off anywhere, and in two parts" {
	make_daemon
	hostile halves
	daemon_is_well 32
}

@test "values that are nested too deep, too many, too large" {
	make_daemon
	hostile nesting
	daemon_is_well 128
}

@test "methods that there are not" {
	make_daemon
	hostile unknown-methods
	daemon_is_well 32
}

@test "parameters of all the wrong types, of all methods" {
	make_daemon
	hostile wrong-parameters
	json_is '[]' .sessions layerctl sessions
	daemon_is_well 64
}

@test "wrong descriptors, and too many" {
	make_daemon
	hostile wrong-descriptors
	daemon_is_well 64
}

@test "messages and labels of 1 MiB" {
	make_daemon
	layerctl mount v "$T/m"
	echo new >"$T/m/new"
	hostile long-texts
	[ "$(cat "$T/m/new")" = new ]
	json_is '[1,1]' '[(.versions | length), .versions[0].sequence]' \
		layerctl log v
	layerctl unmount v --discard
	daemon_is_well 64
}

@test "a client that goes away in the middle of a reply" {
	make_daemon
	# The root is one of them.
	[ "$(hostile cut-streams)" = 5001 ]
	daemon_is_well 64
}

@test "a client that goes away in the middle of a call" {
	make_daemon
	mkdir large
	head -c 5M /dev/urandom >large/file
	layerctl -q new large --from large
	[ "$(hostile gone)" = "$(layerctl export large | wc -c)" ]
	layerctl -q rm large
	daemon_is_well 64
}

@test "a client that goes away from a pipe which others read, too" {
	make_daemon
	hostile shared-pipe
	daemon_is_well 64
}

@test "many calls at once on one connection" {
	make_daemon
	hostile pipelined
	daemon_is_well 64
}

@test "200 idle connections do not keep others from being served" {
	make_daemon
	served_beside idle
	daemon_is_well 128
}

@test "clients that send a byte now and then" {
	make_daemon
	served_beside slow
	daemon_is_well 128
}

@test "clients that do not read what they asked for" {
	make_daemon
	served_beside deaf
	daemon_is_well 256
	stop_daemon
}
