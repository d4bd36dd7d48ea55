# SPDX-License-Identifier: Apache-2.0
#
# Mounts that show in more than one mount namespace.

load helper

# Mounts volume v at shared/m, where another namespace has it too. $1: how that
# one's mounts are related to ours.
mount_in_two_namespaces() {
	mkdir shared
	mount --bind shared shared
	mount --make-shared shared
	mkdir shared/m
	unshare --mount --propagation "$1" sleep 1000 3>&- &
	other=$!
	until [ "$(readlink /proc/$other/ns/mnt)" != \
		"$(readlink /proc/self/ns/mnt)" ]; do
		sleep 0.05
	done
	layerctl new v
	layerctl mount v shared/m
	echo data >shared/m/f
}

places() {
	grep -c "$T/shared/m" "/proc/$1/mountinfo" || true
}

@test "a finalize ends a mount that another namespace received" {
	local kind other
	for kind in slave shared; do
		mount_in_two_namespaces "$kind"
		[ "$(places "$other")" = 1 ]
		layerctl finalize v
		[ "$(places self) $(places "$other")" = "0 0" ]
		layerctl mount --ro v m
		[ "$(cat m/f)" = data ]
		layerctl unmount m
		kill "$other"
		umount shared
		rm -r shared
		stop_daemon
		rm -rf --one-file-system state
	done
}

@test "a mount that cannot be unmounted is put back where it was, once" {
	local other
	mount_in_two_namespaces slave
	exec 4<shared/m/f
	fails 5 'in use' layerctl finalize v
	exec 4<&-
	[ "$(places self) $(places "$other")" = "1 1" ]
	[ "$(cat shared/m/f)" = data ]
	layerctl finalize v
	kill "$other"
}

@test "bind mounts of parts of a mount are put back as they were" {
	layerctl new v
	layerctl mount v m
	mkdir -p "m/a b/c" bind
	echo data >"m/a b/c/f"
	echo file >m/f
	touch file
	mount --bind "m/a b/c" bind
	mount -o remount,bind,ro,nosuid bind
	mount --bind m/f file
	exec 4<m/f
	fails 5 'in use' layerctl finalize v
	exec 4<&-
	[ "$(ls bind)" = f ]
	[ "$(cat bind/f file)" = $'data\nfile' ]
	[[ $(findmnt -no VFS-OPTIONS bind) = ro,nosuid* ]]
	not touch bind/f
	touch m/f
	layerctl finalize v
	not mountpoint -q bind
	not mountpoint -q file
}

@test "a finalize leaves nobody writing to a mount that is gone" {
	layerctl new v
	layerctl mount v m
	exec 4>>m/f
	umount --lazy m
	fails 5 'still in use' layerctl finalize v
	echo late >&4
	exec 4>&-
	layerctl finalize v
	layerctl mount --ro v m
	[ "$(cat m/f)" = late ]
	layerctl unmount m
}

# Calls Unmount for path $1 with the device of $2.
call_unmount() {
	python3 - "$T/run/layerd.sock" "$@" <<'PYTHON'
import json, os, socket, sys

target = {"path": sys.argv[2], "device": os.stat(sys.argv[3]).st_dev}
call = {"method": "io.layerd.Unmount", "parameters": {"target": target}}
with socket.socket(socket.AF_UNIX) as s:
    s.connect(sys.argv[1])
    s.sendall(json.dumps(call).encode() + b"\0")
    print(s.recv(65536).rstrip(b"\0").decode())
PYTHON
}

@test "the path of a call unmounts nothing that layerd did not mount" {
	mkdir src other
	touch src/f
	layerctl new v --from src
	layerctl mount v@1 m
	mount -t tmpfs none other
	call_unmount "$T/other" m | grep -q '"io.layerd'
	mountpoint -q other
	ln -s "$T/other" "$T/link"
	call_unmount "$T/link" m | grep -q '"io.layerd'
	mountpoint -q other
	umount other
	layerctl unmount m
}

@test "--discard ends a session everywhere or nowhere" {
	layerctl new v
	layerctl mount v m
	echo data >m/f
	mkdir other
	mount --bind m other
	exec 4<other/f
	fails 5 'in use' layerctl unmount m --discard
	exec 4<&-
	[ "$(cat m/f other/f)" = $'data\ndata' ]
	layerctl unmount m --discard
	not mountpoint -q m
	not mountpoint -q other
	json_is '[]' .sessions layerctl sessions
}

@test "a mount that only a thread of an ended process has is found" {
	layerctl new v
	layerctl mount v m
	echo data >m/f
	# Its main thread ends, another one goes on in a namespace of its own.
	unshare --mount --propagation private python3 -c '
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(1000,)).start()
ctypes.CDLL(None).syscall(60, 0)' 3>&- &
	wait_for 'grep -q "^State:.Z" /proc/$!/status'
	layerctl finalize v
	not grep -q "$T/m " /proc/$!/task/[0-9]*/mountinfo
	kill -9 $!
}
