# SPDX-License-Identifier: Apache-2.0
#
# How far the kernel reads ahead in what a version is mounted from.

load helper

# The name in /sys/class/bdi of the file system at $1, which it tells since 6.9.
device_info() {
	python3 - "$1" <<'PYTHON'
import fcntl, os, sys

fd = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECTORY)
try:
    reply = fcntl.ioctl(fd, 0x80811501, bytes(129))
except OSError:
    sys.exit(1)
print(os.path.basename(reply[1:1 + reply[0]].decode()))
PYTHON
}

@test "the images of a version are read ahead by 4 MiB" {
	local name
	mkdir src
	echo hello >src/f
	layerctl new v --from src
	layerctl mount v@1 m
	name=$(device_info run/lower/*) || skip "this kernel does not name it"
	[ "$(cat "/sys/class/bdi/$name/read_ahead_kb")" = 4096 ]
}
