# SPDX-License-Identifier: Apache-2.0
#
# A daemon that is killed at a named step (layerd/util/fault.h) and started
# again, and how to see what it left. Tests use $T/m for a session and $T/m2 for
# versions; the daemon logs to $T/daemon.log.

load ../functional/helper

# layerctl as it is used here: a daemon that died is not started again.
lc() {
	layerctl --no-autostart -q "$@"
}

# daemon_start [NAME=VALUE]...: starts layerd with these in its environment and
# returns once it answers; 1 when it ended before.
daemon_start() {
	local i

	env "$@" layerd --foreground </dev/null >/dev/null \
		2>>"$T/daemon.log" 3>&- &
	DAEMON=$!
	for ((i = 0; i < 6000; i++)); do
		if [ -S "$T/run/layerd.sock" ] && lc ls >/dev/null 2>&1; then
			return 0
		fi
		kill -0 "$DAEMON" 2>/dev/null || return 1
		sleep 0.02
	done
	return 1
}

# Returns when the daemon has ended, with its status; kills one that does not,
# which is a failure.
daemon_wait() {
	local i status=0

	for ((i = 0; i < 6000; i++)); do
		kill -0 "$DAEMON" 2>/dev/null || break
		sleep 0.02
	done
	if kill -KILL "$DAEMON" 2>/dev/null; then
		echo "the daemon did not end"
		return 1
	fi
	wait "$DAEMON" || status=$?
	return "$status"
}

daemon_stop() {
	kill "$DAEMON"
	daemon_wait
}

# All steps that there are in the source.
steps_in_source() {
	grep -rhoE 'fault_point\("[^"]+"\)' --include='*.c' \
		"$BATS_TEST_DIRNAME/../../layerd" |
		sed 's/.*"\(.*\)".*/\1/' | LC_ALL=C sort -u
}

# What calls that were cut short have left behind; nothing when all is well.
garbage() {
	find "$T/state/sessions" -maxdepth 1 -mindepth 1 ! -exec \
		test -e {}/session.json \; -print
	find "$T/state/sessions" -maxdepth 2 -name 'captured.*' |
		sed 's,/[^/]*$,,' | LC_ALL=C sort | uniq -d
	find "$T/state" -maxdepth 4 \( -name '*.tmp' -o -name 'stage-*' \
		-o -name '.tmp-*' \) ! -path '*/upper/*' ! -path '*/work/*'
}

# The daemon empties the trash and syncs layers in the background, which takes
# as long as the disk needs: what is garbage is what stays.
no_garbage() {
	local i left

	for ((i = 0; i < 1200; i++)); do
		left=$(garbage 2>/dev/null) || :
		[ -n "$left" ] || return 0
		sleep 0.05
	done
	echo "left behind:"
	echo "$left"
	return 1
}

is_mounted() {
	[ "$(stat -c %d "$1")" != "$(stat -c %d "$1/..")" ]
}

not_mounted() {
	! is_mounted "$1"
}

has_session() {
	lc sessions --json | jq -e --arg v "$1" \
		'any(.sessions[]; .volume == $v)' >/dev/null
}

# is_tree FILE DIR: the directory is what was dumped to the file.
is_tree() {
	dump "$2" >"$T/is" && same_dump "$1" "$T/is"
}

# is_version FILE REF: likewise, of a version.
is_version() {
	local same=0

	lc mount --ro "$2" "$T/m2"
	is_tree "$1" "$T/m2" || same=$?
	lc unmount "$T/m2"
	return "$same"
}

# The layers of all versions of a volume are whole in the store.
verify_volume() {
	local layer

	for layer in $(lc log "$1" --json |
		jq -r '.versions[].layers[].digest' | LC_ALL=C sort -u); do
		lc layer verify "$layer" || return
	done
}

head_sequence() {
	lc log "$1" -n 1 --json | jq -r '.versions[0].reference | split("@")[1]'
}

# The volume "base" with two versions, dumped to $T/base.1 and .2.
make_base() {
	mkdir -p "$T/src/dir/deep" "$T/src/gone"
	seq 100000 >"$T/src/dir/numbers"
	head -c 300000 /dev/urandom >"$T/src/dir/deep/random"
	echo gone >"$T/src/gone/file"
	echo old >"$T/src/file"
	ln "$T/src/file" "$T/src/dir/link"
	lc new base --from "$T/src" -m "as made"
	dump "$T/src" >"$T/base.1"
	lc mount base "$T/m"
	echo second >>"$T/m/file"
	dump "$T/m" >"$T/base.2"
	lc finalize base -m "the second"
}

# Everything that a seal has to tell apart from what is below.
change() {
	echo "$V" >"$1/file"
	# As many bytes as make one chunk, so that the steps stay as many.
	head -c 65536 /dev/urandom >"$1/new"
	mkdir "$1/made" && echo "$V" >"$1/made/file"
	ln "$1/made/file" "$1/made/again"
	[ ! -e "$1/gone" ] || rm -r "$1/gone"
	[ ! -e "$1/dir" ] || mv "$1/dir" "$1/moved"
	setfattr -n user.volume -v "$V" "$1/made"
}

# prepare_on REF: forks it to $V, mounts that at $T/m and changes it; what is
# there then is dumped to $T/new.
prepare_on() {
	lc fork "$1" "$V"
	lc mount "$V" "$T/m"
	change "$T/m"
	dump "$T/m" >"$T/new"
}

# The session of $V has what was not sealed, and seals it with what comes later.
check_session() {
	is_mounted "$T/m" || lc mount "$V" "$T/m"
	is_tree "$T/new" "$T/m"
	echo later >"$T/m/later"
	dump "$T/m" >"$T/later"
	lc commit "$V" -m "once more"
	is_version "$T/later" "$V"
	verify_volume "$V"
}
