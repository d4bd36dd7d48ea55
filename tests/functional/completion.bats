# SPDX-License-Identifier: Apache-2.0
#
# What a tab offers, asked directly and typed into real shells.

load helper

COMPLETIONS=$(readlink -f "$BATS_TEST_DIRNAME/../../tools/completion")

# The candidates for words, the last being completed; without the first line.
candidates() {
	layerctl complete -- "$@" | tail -n +2 | cut -f1
}

# What the shell adds: words, files or directories.
others() {
	layerctl complete -- "$@" | head -1
}

make_volumes() {
	# However busy the machine is.
	export LAYERD_COMPLETE_MS=30000
	mkdir src
	echo 1 >src/f
	layerctl new my-data --from src -m 'the first'
	layerctl new my-other
	layerctl mount my-data m
	echo 2 >m/f
	layerctl commit my-data -m 'two
lines'
	layerctl finalize my-data
	layerctl tag my-data@1 good
	layerctl tag my-data@2 latest
}

# Without what a terminal could do, so that what is seen is what is typed.
typed() {
	TERM=dumb \
	python3 "$HELPER_DIR/terminal.py" --columns 120 "$@"
}

@test "commands, options and their values come from the tables" {
	local command
	[ "$(candidates mou)" = mount ]
	[ "$(candidates layer v)" = verify ]
	[ "$(candidates mount --r)" = --ro ]
	[ "$(candidates --col)" = --color ]
	[ "$(candidates ls --color al)" = always ]
	[ "$(candidates --color=ne)" = --color=never ]
	[ "$(candidates help lo)" = log ]
	[ -z "$(candidates nonsense '')" ]
	[ -z "$(candidates mount a b c)" ]
	# Every command that help lists, and no other.
	candidates '' | sort >got
	{
		echo help
		layerctl --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\).*/\1/p'
	} | sort -u >want
	diff got want
	not grep -q complete want
}

@test "a tab offers volumes, versions and tags of a daemon that runs" {
	make_volumes
	[ "$(candidates show my)" = $'my-data\nmy-other' ]
	[ "$(candidates show my-data@)" = $'my-data@3\nmy-data@2\nmy-data@1' ]
	[ "$(candidates show my-data@2)" = my-data@2 ]
	[ "$(candidates show my-data:)" = $'my-data:good\nmy-data:latest' ]
	[ "$(candidates mount my-data:g)" = my-data:good ]
	[ "$(candidates unmount my-o)" = my-other ]
	[ -z "$(candidates new my)" ]
	[ -z "$(candidates show none@)" ]
	# What a message has in it cannot be taken for a candidate.
	[ "$(layerctl complete -- show my-data@2)" = \
		"words
my-data@2	two\\x0alines" ]
}

@test "a tab offers paths where an operand is one" {
	[ "$(others mount v '')" = directories ]
	[ "$(others new v --from '')" = files ]
	[ "$(others new v --from=x)" = files ]
	[ "$(others unmount '')" = files ]
	[ "$(others show '')" = words ]
	[ "$(others layer cat v '')" = words ]
}

@test "a tab starts no daemon and says nothing of failures" {
	local out
	out=$(layerctl complete -- show '' 2>&1)
	[ "$out" = words ]
	[ ! -e run ] && [ ! -e state ]
	mkdir run
	: >run/layerd.sock
	out=$(layerctl complete -- show '' 2>&1)
	[ "$out" = words ]
	rm run/layerd.sock
	mkdir other
	layerctl new v
	chmod 700 run
	out=$(setpriv --reuid=65534 --clear-groups "$(command -v layerctl)" \
		complete -- show '' 2>&1)
	[ "$out" = words ]
}

@test "a tab does not wait for a daemon that hangs" {
	local pid start end
	layerctl new v
	pid=$(daemon_pid)
	kill -STOP "$pid"
	start=$(date +%s%N)
	[ "$(layerctl complete -- show '')" = words ]
	[ "$(layerctl complete -- sho)" = \
		$'words\nshow\tShow all about a version' ]
	end=$(date +%s%N)
	kill -CONT "$pid"
	# Two calls of at most 200 ms, and what a busy machine adds.
	[ $(((end - start) / 1000000)) -lt 5000 ]
}

@test "bash completes what is typed" {
	make_volumes
	touch src/some-file
	cat >rc <<-EOF
		PS1='> '
		bind 'set enable-bracketed-paste off' 'set bell-style none'
		. $COMPLETIONS/layerctl.bash
	EOF
	typed 'see:> ' 'type:layerctl mou\t' 'see:mount ' \
		'type:my-data:g\t' 'see:good ' 'type:sr\t' 'see:src/' \
		'type:\x15layerctl show my-data@1\t' 'see:@1 ' 'type:\n' \
		'see:my-data@1.*the first' \
		'type:layerctl --color=nev\tlog my-data@1\n' 'see:the first' \
		'type:exit\n' -- bash --noprofile --rcfile rc -i
}

@test "zsh completes what is typed" {
	make_volumes
	cat >.zshrc <<-EOF
		PS1='> '
		unset zle_bracketed_paste
		fpath=($COMPLETIONS \$fpath)
		autoload -Uz compinit && compinit -u -D
	EOF
	export ZDOTDIR=$T
	typed 'see:> ' 'type:layerctl mou\t' 'see:mount ' \
		'type:my-data:g\t' 'see:good ' 'type:sr\t' 'see:src/' \
		'type:\x15layerctl show my-d\t\x08@1\n' \
		'see:my-data@1' 'type:layerctl tag --\t' \
		'see:--delete.*take the tag NAME:TAG away' \
		'type:\x15' 'type:exit\n' -- zsh -i
}

@test "fish completes what is typed" {
	make_volumes
	ask() {
		HOME=$T fish --no-config -c \
			"source $COMPLETIONS/layerctl.fish; complete -C '$1'"
	}
	[ "$(ask 'layerctl mou' | cut -f1)" = mount ]
	[ "$(ask 'layerctl show my-data@')" = $'my-data@1\tthe first
my-data@2\ttwo\\x0alines\nmy-data@3' ]
	[ "$(ask 'layerctl show my-data:g' | cut -f1)" = my-data:good ]
	ask 'layerctl mount my-data sr' | grep -q '^src/'
	ask 'layerctl new x --from sr' | grep -q '^src/'
	[ "$(ask 'layerctl mount --r')" = \
		$'--ro\tread-only, also of a bare volume name' ]
}
