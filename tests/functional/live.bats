# SPDX-License-Identifier: Apache-2.0
#
# Commits while somebody writes: what one commit catches in the middle, the next
# one has.

load helper

# Stores a counter through a mapping of $1, for a second and a half.
store_mapped() {
	python3 - "$1" <<'PYTHON'
import mmap, sys, time

with open(sys.argv[1], "r+b") as f, mmap.mmap(f.fileno(), 4096) as m:
    end = time.monotonic() + 1.5
    n = 0
    while time.monotonic() < end:
        n += 1
        m[0:8] = b"%08d" % n
        time.sleep(0.0005)
PYTHON
}

@test "stores into a mapping that go on after a commit are in the next one" {
	local i writer
	layerctl new v
	layerctl mount v m
	for i in 1 2 3 4; do
		head -c 4096 /dev/zero >"m/f$i"
		store_mapped "m/f$i" &
		writer=$!
		sleep 0.5
		layerctl commit v
		wait "$writer"
		layerctl commit v
		layerctl mount --ro v m2
		cmp "m/f$i" "m2/f$i"
		layerctl unmount m2
	done
}
