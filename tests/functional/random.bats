# SPDX-License-Identifier: Apache-2.0
#
# The same random operations in a mount and in a plain directory. More seeds:
# LAYERD_TEST_SEEDS="4 5 6" bats tests/functional/random.bats; more operations
# a seed: LAYERD_TEST_OPERATIONS.

load helper

@test "versions of a random history are what they were sealed from" {
	local seed
	for seed in ${LAYERD_TEST_SEEDS:-1 2 3}; do
		mkdir -p "$T/$seed/m" "$T/$seed/m2"
		LAYERD_STATE_DIR=$T/state python3 "$HELPER_DIR/random-ops.py" \
			--seed "$seed" \
			--operations "${LAYERD_TEST_OPERATIONS:-400}" "$T/$seed"
		layerctl unmount "random-$seed"
	done
}
