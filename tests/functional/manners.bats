# SPDX-License-Identifier: Apache-2.0
#
# How the tool behaves: help and manual pages, colours, the progress bar, quiet,
# interruption, exit statuses.

load helper

PAGES=$BUILD/tools/man

typed() {
	python3 "$HELPER_DIR/terminal.py" "$@"
}

# Control sequences of a terminal.
escapes() {
	grep -q $'\033'
}

commands() {
	layerctl --help |
		sed -n '/^Commands:/,/^$/s/^  \([a-z]*\( [a-z]\+\)\?\)  .*/\1/p'
}

make_data() {
	mkdir src
	head -c "${1:-1000}" /dev/urandom >src/random
}

@test "every command has a manual page and help that say the same" {
	local command page
	[ "$(commands | wc -l)" -gt 20 ]
	while read -r command; do
		page=$PAGES/man1/layerctl-${command// /-}.1
		[ -s "$page" ] || { echo "no page: $command"; return 1; }
		layerctl help $command >help
		layerctl $command --help | diff help -
		man -l "$page" 2>/dev/null | col -b >text
		grep -q "^ *layerctl $command" text
		sed -n '/^Options:/,/^$/s/.* --\([a-z-]*\).*/\1/p' help |
			while read -r option; do
				grep -q -- "--$option" text
			done
	done < <(commands)
	[ "$(ls "$PAGES/man1" | wc -l)" = $(($(commands | wc -l) + 1)) ]
}

@test "manual pages are clean for groff and mandoc" {
	local page bad=0
	for page in "$PAGES"/man1/*.1 "$PAGES"/*.[578]; do
		groff -man -ww -z "$page" >>found 2>&1
		mandoc -T lint -W warning "$page" >>found 2>&1 || true
	done
	cat found
	[ ! -s found ]
}

@test "layerctl(1) has the statuses, variables and commands of the help" {
	man -l "$PAGES/man1/layerctl.1" 2>/dev/null | col -b >text
	commands | while read -r command; do
		grep -q "layerctl-${command// /-}(1)" text
	done
	grep -q LAYERD_STATE_DIR text
	layerctl --help | sed -n '/^Exit status:/,/^$/s/^ *\([0-9]\+\) .*/\1/p' |
		while read -r status; do
			grep -qE "^ +$status( |$)" text
		done
}

@test "pages of formats and of the daemon come from their sources" {
	man -l "$PAGES/layer-pack.5" 2>/dev/null | col -b |
		grep -q '"LYRPACK1"'
	man -l "$PAGES/layerd-store.5" 2>/dev/null | col -b |
		grep -q 'volumes/NAME/head.json'
	man -l "$PAGES/layer-reference.7" 2>/dev/null | col -b |
		grep -q 'NAME@7'
	man -l "$PAGES/layerd.8" 2>/dev/null | col -b >text
	layerd --help | grep -o -- '--[a-z]\+' | while read -r option; do
		grep -q -- "$option" text
	done
	grep -q '^SIGNALS' text
}

@test "install puts pages and completions where they are looked for" {
	DESTDIR=$T/root meson install -C "$BUILD" --no-rebuild --quiet
	find root -name 'layerctl-mount.1' -path '*/man/man1/*' | grep -q .
	find root -name 'layer-pack.5' -path '*/man/man5/*' | grep -q .
	find root -name 'layerd.8' -path '*/man/man8/*' | grep -q .
	find root -path '*/bash-completion/completions/layerctl' | grep -q .
	find root -path '*/zsh/site-functions/_layerctl' | grep -q .
	find root -path '*/fish/vendor_completions.d/layerctl.fish' | grep -q .
}

@test "colours are for terminals, unless one says otherwise" {
	make_data
	layerctl new v --from src
	export TERM=xterm
	not escapes < <(layerctl ls -l)
	escapes < <(layerctl ls -l --color=always)
	escapes < <(NO_COLOR=1 layerctl --color always ls -l)
	escapes < <(typed -- layerctl ls -l)
	not escapes < <(typed -- layerctl ls -l --color never)
	not escapes < <(NO_COLOR=1 typed -- layerctl ls -l)
	not escapes < <(TERM=dumb typed -- layerctl ls -l)
	fails 2 '--color is auto, always or never' layerctl ls --color=blue
}

@test "a bar is drawn on terminals only" {
	make_data 30000000
	export TERM=xterm
	typed --columns 100 'see:\[#* *\] +[0-9]+% .*MiB' 'see:sealed' -- \
		layerctl new a --from src
	not grep -q '%' < <(typed -- layerctl new b --from src --quiet)
	not grep -q '%' < <(TERM=dumb typed -- layerctl new c --from src)
	not grep -q '%' < <(layerctl new d --from src 2>&1)
	not grep -q '%' < <(typed -- layerctl new e --from src --json)
}

@test "a bar fits the terminal and leaves a clean line" {
	local line
	make_data 30000000
	export TERM=xterm
	typed --columns 30 'see:%' -- layerctl new a --from src >out
	# Each line that was drawn began with a return and a cleared line.
	tr '\r\n' '\n\n' <out | sed 's/\x1b\[K//g' | grep '%' >lines
	while IFS= read -r line; do
		[ "${#line}" -le 29 ]
	done <lines
	grep -q $'\r\033\[Ka@1 sealed' out
}

@test "Ctrl-C leaves a clean line and status 130" {
	# Much longer than it takes to type.
	make_data 500000000
	export TERM=xterm
	typed 'see:%' 'type:\x03' 'see:status 130' -- \
		bash -c 'trap : INT; layerctl new a --from src; echo "status $?"' \
		>out
	grep -q $'\033\[Kstatus 130' out
	# And the next command works.
	layerctl new b
	layerctl ls
}

@test "quiet prints results and errors, no more" {
	make_data
	[ -z "$(layerctl -q new v --from src 2>&1)" ]
	[ -z "$(layerctl mount v m --quiet 2>&1)" ]
	[ -z "$(layerctl -q commit v 2>&1)" ]
	[ -z "$(layerctl -q tag v good 2>&1)" ]
	[ -z "$(layerctl -q finalize v 2>&1)" ]
	[ "$(layerctl -q ls)" = v ]
	[ -n "$(layerctl -q log v)" ]
	fails 3 'no volume w' layerctl -q show w
}

@test "exit statuses are those of the help" {
	make_data
	layerctl new v
	fails 2 'not a command' layerctl nonsense
	fails 2 'usage: layerctl show REF' layerctl show
	fails 3 'no volume' layerctl show w
	fails 4 'already' layerctl new v
	layerctl mount v m
	fails 5 'session' layerctl reset v v
	layerctl unmount m
	stop_daemon
	fails 12 'no daemon' layerctl --no-autostart ls
	layerctl --help | grep -q '^ *12  the daemon cannot be reached'
}
