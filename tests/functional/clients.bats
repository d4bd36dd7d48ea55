# SPDX-License-Identifier: Apache-2.0
#
# Clients that do not do their part.

load helper

@test "a client that does not read keeps the daemon from nothing" {
	local client
	mkdir src
	(cd src && seq -f 'a-name-of-some-length-%g' 20000 | xargs touch)
	layerctl new v --from src
	python3 - "$T" <<'PYTHON' 3>&- &
import json, socket, sys, time

call = {"method": "io.layerd.LayerEntries", "more": True,
        "parameters": {"layer": "v"}}
with socket.socket(socket.AF_UNIX) as s:
    s.connect(sys.argv[1] + "/run/layerd.sock")
    s.sendall(json.dumps(call).encode() + b"\0")
    s.recv(1)
    open(sys.argv[1] + "/called", "w").close()
    time.sleep(1000)
PYTHON
	client=$!
	until [ -e called ]; do
		sleep 0.1
	done
	layerctl mount v m
	layerctl finalize v
	stop_daemon
	kill "$client"
}
