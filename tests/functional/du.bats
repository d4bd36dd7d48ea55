# SPDX-License-Identifier: Apache-2.0
#
# What volumes and versions take: du.

load helper

# Two volumes with a common past and one of its own.
make_volumes() {
	mkdir -p src/dir
	head -c 3M /dev/urandom >src/large
	head -c 300K /dev/urandom >src/dir/small
	layerctl new v --from src
	layerctl fork v w
	layerctl mount v m
	head -c 1M /dev/urandom >m/second
	layerctl commit v
	rm m/large
	head -c 200K /dev/urandom >>m/dir/small
	layerctl commit v
	layerctl mount w m2
	head -c 2M /dev/urandom >m2/of-w
	layerctl finalize w
	mkdir other
	head -c 500K /dev/urandom >other/file
	layerctl new x --from other
}

# The numbers of a du add up, whatever it was asked for.
adds_up() {
	json_is true '.stored == .shared + ([.usage[].unique] | add // 0)
		and .stored <= .total
		and all(.usage[]; .unique <= .stored and .stored <= .layers)' \
		layerctl du "$@"
}

@test "unique and shared bytes add up to what the store holds" {
	make_volumes
	adds_up
	adds_up v
	adds_up v w x
	adds_up v@1 w
	json_is true '.stored == .total' layerctl du
	layerctl du v w x --json | jq -e \
		--argjson all "$(layerctl du --json)" \
		'.total == $all.total and .stored == $all.stored'
	# An independent count.
	json_is "$(python3 "$HELPER_DIR/pack-frames.py" \
		state/store/packs/*/*)" .total layerctl du
}

@test "what only one volume needs is its own" {
	make_volumes
	layerctl du --json >all
	jq -e '[.usage[].reference] == ["v", "w", "x"]' all
	jq -e '[.usage[].versions] == [3, 2, 1]' all
	# Random bytes are stored as they are, and some hundred for the tar.
	jq -e '.shared > 3300*1024 and .shared < 3400*1024' all
	jq -e '.usage[0].unique | . > 1224*1024 and . < 1800*1024' all
	jq -e '.usage[1].unique | . > 2048*1024 and . < 2100*1024' all
	# The zeros at its end are those of every tarball.
	jq -e '.usage[2] | .unique < .stored and .stored - .unique < 100' all
	layerctl fork x y
	json_is '[0,0]' '[.usage[2,3].unique]' layerctl du
	json_is "$(jq .total all)" .total layerctl du
}

@test "what only one version needs is its own" {
	make_volumes
	json_is '["v@1","v@2","v@3"]' '[.usage[].reference]' layerctl du v
	# v@1 is w@1 as well, and v@2 is below v@3.
	json_is '[0,0]' '[.usage[0,1].unique]' layerctl du v
	layerctl du v@3 --json |
		jq -e '.usage[0].unique | . > 200*1024 and . < 800*1024'
	layerctl du x@1 --json | jq -e '.usage[0] | .stored - .unique < 100'
	layerctl unmount --discard v
	layerctl reset v v@1
	json_is 0 '.usage[0].unique' layerctl du v@4
	json_is '[4,true]' '[(.usage | length), .usage[0].stored ==
		.usage[3].stored]' layerctl du v
}

@test "sizes are those of the files that a mount shows" {
	local n want
	make_volumes
	ln m/second m/again
	truncate -s 10M m/sparse
	mkdir m/new
	mv m/second m/new/second
	layerctl commit v
	for n in 1 2 3 4; do
		layerctl mount "v@$n" m2
		want=$(find m2 -type f -printf '%s\n' |
			awk '{n++; s += $1} END {printf "[%d,%d]", n, s}')
		layerctl unmount m2
		json_is "$want" '.usage[0] | [.files, .size]' \
			layerctl du "v@$n"
		json_is "$want" ".usage[$((n - 1))] | [.files, .size]" \
			layerctl du v
	done
	json_is "$want" '.usage[0] | [.files, .size]' layerctl du
	json_is "$(layerctl show v@4 --json | jq .version.size)" \
		'.usage[0].layers' layerctl du v@4
	# And when no index is in the cache.
	layerctl unmount v
	stop_daemon
	rm -rf state/cache
	json_is "$want" '.usage[3] | [.files, .size]' layerctl du v
	adds_up v
}

@test "du prints a table, and takes any reference" {
	make_volumes
	layerctl tag v@2 two
	layerctl du >got
	head -1 got | grep -qE \
		'^NAME +VERSIONS +FILES +SIZE +LAYERS +STORED +UNIQUE$'
	grep -qE '^w +2 +3 +5\.3 MiB +5\.3 MiB +5\.3 MiB +2\.0 MiB$' got
	tail -1 got | grep -qE \
		'^[0-9.]+ MiB stored, 3\.3 MiB of it shared; all volumes together need [0-9.]+ MiB$'
	digest=$(layerctl show v@2 --json | jq -r .version.digest)
	for reference in v:two "$digest" "${digest:0:19}"; do
		json_is "$(layerctl du v@2 --json |
			jq -c '.usage[0] | [.files, .size, .stored, .unique]')" \
			'.usage[0] | [.files, .size, .stored, .unique]' \
			layerctl du "$reference"
	done
	json_is '["v@2","x@1","v:two"]' '[.usage[].reference]' \
		layerctl du v@2 x v:two
}

@test "du of nothing, and of what is not there" {
	[ "$(layerctl du)" = \
		"0 B stored, 0 B of it shared; all volumes together need 0 B" ]
	layerctl new empty
	json_is '[0,0,0,0,null]' '.usage[0] |
		[.versions, .files, .stored, .unique, .version]' layerctl du
	json_is '[]' .usage layerctl du empty
	fails 3 'no volume v' layerctl du v
	fails 3 'no volume v' layerctl du empty v
	fails 3 'has no version 7' layerctl du empty@7
	fails 2 'BAD' layerctl du BAD
}

@test "du says which places are damaged" {
	make_volumes
	layerctl unmount v
	for places in state/store/layers/*/places; do
		head -c 40 "$places" >short
		cat short >"$places"
		break
	done
	fails 9 'places of layer .* are damaged' layerctl du
}
