#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# Each step of a seal fails once, as if the disk were full. The daemon goes on,
# the mount stays writable, and the next seal has everything.

load helper

# Names of the steps that a command reaches.
steps_of() {
	V=all-$1
	rm -f "$T/steps"
	prepare_on base@2
	daemon_stop
	daemon_start LAYERD_FAULT_LOG="$T/steps"
	lc "$@" "$V"
	daemon_stop
	daemon_start
	! has_session "$V" || lc finalize "$V"
	awk '!seen[$1]++ { print $1 }' "$T/steps"
}

# fail_at STEP COMMAND...: the command fails by the step. Where that is in the
# background, or no harm to the result, it succeeds.
fail_at() {
	local step=$1 status=0

	shift
	prepare_on base@2
	daemon_stop
	daemon_start LAYERD_FAULT="$step" LAYERD_FAULT_ERRNO=28 \
		LAYERD_FAULT_LOG="$T/steps"
	: >"$T/steps"
	lc "$@" "$V" >"$T/output" 2>&1 || status=$?
	cat "$T/output"
	case $status in
	0 | 1 | 7) ;;
	*) return 1 ;;
	esac
	# What the daemon does in the background may come a little later.
	wait_for "grep -qx '$step' '$T/steps'"
}

@test "a commit that fails at any step is made up for by the next one" {
	local step n=0

	daemon_start
	make_base
	steps_of commit >"$T/list"
	[ -s "$T/list" ]
	while read -r step; do
		echo "commit fails at $step"
		V=commit-$((++n))
		fail_at "$step" commit
		is_mounted "$T/m"
		check_session
		lc finalize "$V"
		no_garbage
		daemon_stop
		daemon_start
	done <"$T/list"
	daemon_stop
}

@test "a finalize that fails at any step leaves the mount or has ended it" {
	local step n=0

	daemon_start
	make_base
	# Those of the seal itself are the test above.
	steps_of commit >"$T/of-commit"
	steps_of finalize >"$T/of-finalize"
	grep -vxFf "$T/of-commit" "$T/of-finalize" >"$T/list"
	[ -s "$T/list" ]
	while read -r step; do
		echo "finalize fails at $step"
		V=finalize-$((++n))
		fail_at "$step" finalize
		if is_mounted "$T/m"; then
			check_session
		fi
		if has_session "$V"; then
			lc mount "$V" "$T/m" || is_mounted "$T/m"
			dump "$T/m" >"$T/new"
			lc finalize "$V"
		fi
		not_mounted "$T/m"
		is_version "$T/new" "$V"
		verify_volume "$V"
		lc mount "$V" "$T/m"
		lc finalize "$V"
		no_garbage
		daemon_stop
		daemon_start
	done <"$T/list"
	daemon_stop
}

# A volume that has data of its own and some of base's, removed.
make_dead() {
	rm -rf "$T/tree" && mkdir "$T/tree"
	V=$1
	change "$T/tree"
	cp -r "$T/src/dir/deep" "$T/tree"
	dump "$T/tree" >"$T/new"
	lc new "$V" --from "$T/tree"
	lc rm "$V"
}

@test "a gc that fails at any step can be run again and loses nothing" {
	local step n=0 status

	daemon_start
	make_base
	make_dead all
	daemon_stop
	daemon_start LAYERD_FAULT_LOG="$T/steps"
	lc gc
	daemon_stop
	awk '!seen[$1]++ { print $1 }' "$T/steps" | grep -E '^(gc|store)' \
		>"$T/list"
	[ "$(wc -l <"$T/list")" -gt 10 ]
	while read -r step; do
		echo "gc fails at $step"
		daemon_start
		make_dead "gc-$((++n))"
		daemon_stop
		: >"$T/steps"
		daemon_start LAYERD_FAULT="$step" LAYERD_FAULT_ERRNO=5 \
			LAYERD_FAULT_LOG="$T/steps"
		status=0
		lc gc >"$T/output" 2>&1 || status=$?
		cat "$T/output"
		[ "$status" = 1 ]
		grep -qx "$step" "$T/steps"
		verify_volume base
		# What was to go is stored anew, in the same daemon.
		lc new "$V" --from "$T/tree"
		is_version "$T/new" "$V"
		verify_volume "$V"
		lc rm "$V"
		lc gc
		[ "$(lc gc --dry-run --json | jq '.bytes + .cached')" = 0 ]
		is_version "$T/base.1" base@1
		is_version "$T/base.2" base@2
		daemon_stop
	done <"$T/list"
}
