# SPDX-License-Identifier: Apache-2.0
#
# Where functional tests run: each file in a mount namespace of its own, each
# test with a state and a runtime directory of its own in $T, a new directory on
# a disk file system. Afterwards the daemon is ended, its log searched for what
# the sanitizers say, and everything removed; when bats is killed a guard does
# that. Needs root and $BUILD, the build directory.

HELPER_DIR=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")

# Starts the process that runs a test file again, in a new mount namespace. Its
# output stands redirected while the file is read; descriptor 3 is the real one.
enter_namespace() {
	local argv
	[ "$(id -u)" = 0 ] && [ -z "${LAYERD_TEST_NAMESPACE:-}" ] || return 0
	mapfile -d '' -t argv <"/proc/$$/cmdline"
	[[ "${argv[*]}" == *bats-exec-file* ]] || return 0
	# It makes these anew and minds if they are there.
	rm -rf "$BATS_FILE_TMPDIR" "$BATS_FILE_TMPDIR"-*.source_file
	export LAYERD_TEST_NAMESPACE=1
	exec unshare --mount --propagation private "${argv[@]}" >&3 2>&3
}

[ -z "${BATS_TEST_FILENAME:-}" ] || enter_namespace

# Ends all processes that were started with this state directory. $1: signal.
signal_processes() {
	local p n=0
	# Before grep is there, which has it in its environment, too.
	local all=(/proc/[0-9]*/environ)
	for p in $(grep -lzxF "LAYERD_STATE_DIR=$T/state" "${all[@]}" \
		2>/dev/null); do
		p=${p#/proc/}
		kill "-$1" "${p%/environ}" 2>/dev/null && n=$((n + 1))
	done
	[ "$n" -gt 0 ]
}

mounts_below() {
	local line
	while read -r _ _ _ _ line _; do
		[[ $line == "$1"/* || $line == "$1" ]] && printf '%b\n' "$line"
	done </proc/self/mountinfo | tac
}

unmount_all() {
	local m
	mounts_below "$1" | while read -r m; do
		umount -l "$m" 2>/dev/null || true
	done
}

# All traces of the test in $T. Idempotent.
remove_everything() {
	local i
	unset LAYERD_STATE_DIR LAYERD_RUNTIME_DIR
	signal_processes TERM || true
	for ((i = 0; i < 100; i++)); do
		signal_processes 0 || break
		sleep 0.1
	done
	signal_processes KILL || true
	unmount_all "$T"
	[ ! -e "$T.img" ] || rm -f "$T.img"
	rm -rf --one-file-system "$T"
}

# The guard outlives bats: when the test's process is gone and the directory is
# still there, it cleans up.
start_guard() {
	setsid bash -c '
		exec 3>&- 4>&-
		tail --pid="$1" -f /dev/null
		T=$2
		[ -e "$T" ] || exit 0
		. "$3"
		remove_everything
	' guard "$$" "$T" "$HELPER_DIR/helper.bash" \
		</dev/null >/dev/null 2>&1 3>&- 4>&- &
	disown
}

# $T, on a file system that overlayfs can have an upper directory on.
make_directory() {
	local base=${LAYERD_TEST_DIR:-/var/tmp} type
	T=$(mktemp -d "$base/layerd-test.XXXXXX")
	export T
	type=$(findmnt -no FSTYPE -T "$T")
	case $type in
	ext4 | xfs | btrfs) return ;;
	esac
	# In a container that may well be overlayfs itself.
	truncate -s 40G "$T.img"
	mkfs.ext4 -q "$T.img" && mount -o loop "$T.img" "$T" || {
		rm -rf "$T" "$T.img"
		skip "$base is on $type, and no loop device could be mounted"
	}
}

need_root() {
	[ "$(id -u)" = 0 ] || skip "needs root: it mounts overlayfs"
}

setup() {
	need_root
	[ -x "${BUILD:?set BUILD to a build directory}/tools/layerctl" ]
	[ -n "${LAYERD_TEST_NAMESPACE:-}" ]
	make_directory
	start_guard
	export LAYERD_STATE_DIR=$T/state LAYERD_RUNTIME_DIR=$T/run
	export PATH=$BUILD/tools:$BUILD/layerd:$PATH
	export UBSAN_OPTIONS=print_stacktrace=1
	mkdir "$T/m" "$T/m2"
	umask 022
	cd "$T"
}

# What the sanitizers wrote. A runtime directory that a test removed has its log
# in $T/old-logs.
check_logs() {
	local log
	for log in "$T"/run/layerd.log "$T"/*.log "$T"/old-logs/*; do
		[ -e "$log" ] || continue
		if grep -E 'AddressSanitizer|LeakSanitizer|runtime error:' \
			"$log"; then
			cat "$log"
			return 1
		fi
	done
}

teardown() {
	local bad=0
	[ -n "${T:-}" ] || return 0
	cd /
	signal_processes TERM || true
	wait_for_end || bad=1
	check_logs || bad=1
	if [ -z "${BATS_TEST_COMPLETED:-}" ] && [ -e "$T/run/layerd.log" ]; then
		echo "layerd.log:"
		cat "$T/run/layerd.log"
	fi
	remove_everything
	return "$bad"
}

# Until no process of this test is left; those that ignore SIGTERM are a defect.
wait_for_end() {
	local i
	for ((i = 0; i < 1800; i++)); do
		signal_processes 0 || return 0
		sleep 0.1
	done
	echo "processes that would not end:"
	signal_processes KILL
	return 1
}

daemon_pid() {
	layerctl --no-autostart status --json | jq .pid
}

# Waits until a process is gone, however it was ended.
wait_gone() {
	local i
	for ((i = 0; i < 1800; i++)); do
		kill -0 "$1" 2>/dev/null || return 0
		# A zombie of this shell's is as good as gone.
		[[ $(cut -d' ' -f3 "/proc/$1/stat" 2>/dev/null) == Z ]] && return 0
		sleep 0.1
	done
	return 1
}

# $1: signal, TERM by default.
stop_daemon() {
	local pid
	pid=$(daemon_pid)
	kill "-${1:-TERM}" "$pid"
	wait_gone "$pid"
}

# What a reboot leaves of a test: the state directory.
reboot() {
	stop_daemon KILL
	unmount_all "$T/m"
	unmount_all "$T/m2"
	unmount_all "$T/run"
	mkdir -p "$T/old-logs"
	cp "$T/run/layerd.log" "$T/old-logs/$(date +%s%N)"
	rm -rf --one-file-system "$T/run"
}

# dump OPTIONS DIR: see dump.py.
dump() {
	python3 "$HELPER_DIR/dump.py" "$@"
}

make_tree() {
	python3 "$HELPER_DIR/make-tree.py" "$@"
}

# Dumps in two files are the same.
same_dump() {
	local found
	found=$(diff -U0 "$1" "$2") && return
	head -40 <<<"$found" | cut -c1-400
	echo "$(grep -c '^[-+][^-+]' <<<"$found") lines differ"
	return 1
}

# bats goes on after "! command", whatever that answers.
not() {
	if "$@"; then
		echo "did not fail: $*"
		return 1
	fi
}

# A command that fails with a status and says something. fails STATUS PATTERN
# COMMAND...
fails() {
	local want=$1 pattern=$2 got=0 text
	shift 2
	text=$("$@" 2>&1) || got=$?
	[ "$got" = "$want" ] || {
		echo "exit status $got instead of $want: $*"
		echo "$text"
		return 1
	}
	grep -qE -- "$pattern" <<<"$text" || {
		echo "does not match /$pattern/:"
		echo "$text"
		return 1
	}
}

# The value of a jq expression over a command's JSON is as expected.
# json_is EXPECTED EXPRESSION COMMAND...
json_is() {
	local want=$1 expression=$2 got
	shift 2
	got=$("$@" --json | jq -c "$expression")
	[ "$got" = "$want" ] || {
		echo "$* --json | jq '$expression':"
		echo "$got instead of $want"
		return 1
	}
}

# The cache has no files in the making: the daemon makes some for a moment when
# layers have become durable.
no_stages() {
	wait_for '[ -z "$(find "$T/state/cache" -name "stage-*")" ]'
}

# Until a condition, as a string, holds.
wait_for() {
	local i
	for ((i = 0; i < 1800; i++)); do
		eval "$1" 2>/dev/null && return
		sleep 0.1
	done
	echo "never: $1"
	return 1
}

layer_count() {
	layerctl show "$1" --json | jq '.version.layers | length'
}
