#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# What cannot be done is refused with a status and a sentence that names the
# object, and leaves everything as it was.

load helper

make_volume() {
	layerctl -q new v --from /etc/apt
	dump /etc/apt >"$T/v.1"
}

is_version() {
	layerctl -q mount --ro "$2" "$T/m2"
	dump "$T/m2" >"$T/is"
	layerctl -q unmount "$T/m2"
	same_dump "$1" "$T/is"
}

nothing_happened() {
	json_is '[]' .sessions layerctl sessions
	json_is '[]' .mounts layerctl sessions
	! findmnt -n "$T/m" >/dev/null
	[ "$(layerctl ls)" = v ]
	json_is 1 '.versions | length' layerctl log v
}

long_name() {
	head -c "$1" /dev/zero | tr '\0' a
}

@test "names that are none are refused" {
	local name

	make_volume
	while IFS= read -r name; do
		echo "'$name'"
		fails 2 'name' layerctl new -- "$name"
		fails 2 'name' layerctl new --from /etc/apt -- "$name"
		fails 2 'name' layerctl fork -- v "$name"
	done <<-EOF

		.
		..
		-v
		v-
		.v
		v.
		_v
		V
		vOLUME
		two words
		a/b
		../v
		/v
		v@1
		v:tag
		v*
		v\\n
		é
		$(printf 'a\x1b[31m')
		$(long_name 129)
		$(long_name 5000)
		sha256
		sha256:00
		$(printf '0%.0s' {1..64})
	EOF
	fails 2 'name' layerctl new $'a\nb'
	fails 2 'NAME is not valid UTF-8' layerctl new $'a\x80'
	layerctl new "$(long_name 128)"
	[ "$(layerctl ls)" = "$(long_name 128)"$'\nv' ]
}

@test "the rule that a name breaks is in the sentence, and the name quoted" {
	fails 2 '"Data" is not a volume name: only a-z' layerctl new Data
	fails 2 '"a/b" is not a volume name: only a-z' layerctl new a/b
	fails 2 '"a-" is not a volume name: .*(begin|end)' layerctl new a-
	fails 2 'is not a volume name: .*128' layerctl new "$(long_name 129)"
	fails 2 'is not a volume name' layerctl new $'a\e[31m'
	run layerctl new $'a\e[31m'
	[[ $output != *$'\e'* ]]
}

@test "references that are none are refused" {
	local reference pattern

	make_volume
	pattern='".*" is not a (volume name|tag|version number|digest): '
	while IFS= read -r reference; do
		echo "'$reference'"
		fails 2 "$pattern" layerctl show "$reference"
		fails 2 "$pattern" layerctl log "$reference"
		fails 2 "$pattern" layerctl fork "$reference" new
		fails 2 "$pattern" layerctl mount "$reference" "$T/m"
		fails 2 "$pattern" layerctl mount --ro "$reference" "$T/m"
	done <<-EOF

		@
		@1
		:
		:tag
		v@
		v@0
		v@-1
		v@01
		v@1.5
		v@x
		v@1@1
		v@1:tag
		v@9007199254740992
		v@18446744073709551617
		v:
		v:-tag
		v:two words
		v:$(long_name 129)
		V@1
		../v@1
		sha256:
		sha256:1234567
		sha256:12345678g
		sha256:ABCDEF0123
		sha256:$(printf '0%.0s' {1..65})
	EOF
	fails 2 'REF is not valid UTF-8' layerctl show $'v@1\x80'
	nothing_happened
}

@test "what is not there is said to be not there" {
	make_volume
	for command in show log 'mount --ro' mount 'layer ls' 'layer tar'; do
		fails 3 'no volume none.*layerctl ls' layerctl $command none
	done
	fails 3 'no volume none' layerctl fork none new
	for command in commit finalize unmount; do
		fails 3 'no volume none' layerctl $command none
		fails 3 'v is not mounted for writing' layerctl $command v
	done
	for reference in v@2 v@9007199254740991; do
		for command in show log mount; do
			fails 3 'volume v has no version [0-9]+, its newest is 1' \
				layerctl $command $reference
		done
	done
	fails 3 'volume v has no tag none' layerctl show v:none
	fails 3 'begins with 0123456789' layerctl show sha256:0123456789
	fails 3 'no version with that digest' \
		layerctl show "sha256:$(printf '0%.0s' {1..64})"
	fails 3 'begins with 0123456789' layerctl layer tar sha256:0123456789
	layerctl new empty
	fails 3 'empty has no version yet' layerctl show empty
	fails 3 'empty has no version yet' layerctl mount --ro empty "$T/m"
	fails 3 'does not exist' layerctl new other --from "$T/none"
	fails 3 'no volume other' layerctl show other
	fails 3 "$T/none does not exist" layerctl commit "$T/none"
	fails 3 "$T/m is not in a writable mount" layerctl commit "$T/m"
	fails 3 "$T/m is not a mount of layerd" layerctl unmount "$T/m"
	fails 3 'has no "none"' layerctl layer ls v none
}

@test "what is there already is not made again" {
	make_volume
	fails 4 'there is a volume v already' layerctl new v
	fails 4 'there is a volume v already' layerctl new v --from /etc/apt
	fails 4 'there is a volume v already' layerctl fork v v
	nothing_happened
	is_version "$T/v.1" v
}

@test "what nothing can be mounted on is refused before a session is made" {
	local reference

	make_volume
	for reference in v v@1; do
		fails 3 "$T/none does not exist.*mkdir -p" \
			layerctl mount $reference "$T/none"
		touch "$T/file"
		fails 2 "$T/file is not a directory" \
			layerctl mount $reference "$T/file"
		mount -t tmpfs some-source "$T/m2"
		fails 5 "$T/m2 is a mount point already \(some-source\)" \
			layerctl mount $reference "$T/m2"
		umount "$T/m2"
	done
	nothing_happened
	layerctl mount v@1 "$T/m2"
	fails 5 "$T/m2 is a mount point already \(v@1\)" \
		layerctl mount v "$T/m2"
	json_is '[]' .sessions layerctl sessions
	layerctl unmount "$T/m2"
	fails 2 'no archive' layerctl new other --from /etc/passwd
	nothing_happened
}

@test "who may not is told so" {
	local nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)
	local bounded=(setpriv --bounding-set=-sys_admin)

	make_volume
	chmod 755 "$T" "$T/run"
	"${nobody[@]}" test -x "$BUILD/tools/layerctl" ||
		skip "nobody cannot reach $BUILD"
	fails 6 'you may not connect to .*layerd.sock.*root' \
		"${nobody[@]}" "$BUILD/tools/layerctl" ls
	fails 6 "you may not mount on $T/m.*CAP_SYS_ADMIN" \
		"${bounded[@]}" layerctl mount v "$T/m"
	fails 6 "you may not mount on $T/m.*CAP_SYS_ADMIN" \
		"${bounded[@]}" layerctl mount v@1 "$T/m"
	nothing_happened
	stop_daemon
	fails 1 'CAP_SYS_ADMIN' "${bounded[@]}" layerd --foreground
}

@test "a state directory that cannot be one is refused with the reason" {
	mkdir "$T/lower" "$T/upper" "$T/work" "$T/overlay"
	mount -t overlay -o \
		"lowerdir=$T/lower,upperdir=$T/upper,workdir=$T/work" \
		overlay "$T/overlay"
	fails 1 "$T/overlay/state is on overlayfs.*LAYERD_STATE_DIR" \
		env LAYERD_STATE_DIR="$T/overlay/state" layerd --foreground
	fails 12 'is on overlayfs' \
		env LAYERD_STATE_DIR="$T/overlay/state" layerctl ls
	umount "$T/overlay"

	mkdir "$T/read-only"
	mount --bind "$T/read-only" "$T/read-only"
	mount -o remount,bind,ro "$T/read-only"
	fails 1 "$T/read-only/state: Read-only file system" \
		env LAYERD_STATE_DIR="$T/read-only/state" layerd --foreground
	umount "$T/read-only"

	fails 1 "$T/file/state: Not a directory" sh -c '
		touch "$T/file"
		LAYERD_STATE_DIR=$T/file/state layerd --foreground'
}

# One argument has room for 128 KiB; the API's limits are in hostile-client.bats.
@test "a message or label that is too long is refused with its limit" {
	make_volume
	layerctl mount v "$T/m"
	echo new >"$T/m/new"
	head -c 65537 /dev/zero | tr '\0' m >"$T/message"
	fails 2 'message.*65537.*65536' \
		layerctl commit v -m "$(cat "$T/message")"
	fails 2 '4096' layerctl commit v --label "a=$(head -c 4097 "$T/message")"
	fails 2 '128' layerctl commit v --label "$(head -c 129 "$T/message")=v"
	fails 2 '256' layerctl commit v $(printf -- '--label=k%d=v ' {1..257})
	fails 2 'UTF-8' layerctl commit v -m $'\xff'
	fails 2 'UTF-8' layerctl commit v --label $'a=\xff'
	json_is 1 '.versions | length' layerctl log v
	[ "$(cat "$T/m/new")" = new ]
	layerctl commit v -m "$(head -c 65536 "$T/message")" \
		--label "$(head -c 128 "$T/message")=$(head -c 4096 "$T/message")"
	json_is 65536 '.version.message | length' layerctl show v
	layerctl finalize v
}

@test "labels that are none are refused" {
	local label

	make_volume
	layerctl mount v "$T/m"
	for label in '' a = =b 'A=b' 'a b=c' 'é=b' $'a\nb=c' 'a:b=c'; do
		echo "'$label'"
		fails 2 'label' layerctl commit v --label "$label"
	done
	fails 2 "label 'a' is given twice" \
		layerctl commit v --label a=1 --label a=2
	fails 2 'without --from' layerctl new other -m message
	fails 2 'without --from' layerctl new other --label a=b
	json_is 1 '.versions | length' layerctl log v
	layerctl commit v --label a= --label b=c=d
	json_is '{"a":"","b":"c=d"}' .version.labels layerctl show v
	layerctl finalize v
}

@test "wrong usage is refused with what would be right" {
	fails 2 'layerctl --help' layerctl nonsense
	fails 2 'usage: layerctl mount REF' layerctl mount
	fails 2 'usage: layerctl mount REF' layerctl mount a b c
	fails 2 'nonsense' layerctl mount --nonsense v
	fails 2 '.' layerctl log v -n x
	fails 2 '.' layerctl log v -n -1
	fails 2 '.' layerctl
	[ ! -e "$T/state/store" ]
}
