# SPDX-License-Identifier: Apache-2.0
#
# Completion for bash. `layerctl complete` knows what can stand where; its first
# line says whether paths of this host can, too.

# The words up to the cursor in words, put together again where bash parts them
# at a ':', '@' or '='.
_layerctl_words() {
	local line=${COMP_LINE:0:COMP_POINT} i word
	words=()
	for ((i = 0; i <= COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		((i < COMP_CWORD)) || word=${word:0:${#line}}
		if [[ $i -gt 0 && $line != [[:space:]]* ]]; then
			words[${#words[@]} - 1]+=$word
		else
			words+=("$word")
		fi
		line=${line#"${line%%[![:space:]]*}"}
		line=${line:${#word}}
	done
}

_layerctl() {
	local words=() out=() word what other before
	_layerctl_words
	mapfile -t out < <("$1" complete -- "${words[@]:1}" 2>/dev/null)
	other=${out[0]-}
	word=${words[${#words[@]} - 1]}
	# What bash took for words of their own stands already, but for an '@',
	# which readline counts to the word behind it.
	before=${word%"${word##*[:@=]}"}
	before=${before%@}
	[[ $COMP_WORDBREAKS == *:* ]] || before=
	COMPREPLY=()
	for what in "${out[@]:1}"; do
		what=${what%%$'\t'*}
		COMPREPLY+=("${what#"$before"}")
	done
	word=${word#"$before"}
	case $other in
	files)
		compopt -o filenames
		mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$word")
		;;
	directories)
		compopt -o filenames
		mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -d -- "$word")
		;;
	esac
}

complete -F _layerctl layerctl
