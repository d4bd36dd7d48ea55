# SPDX-License-Identifier: Apache-2.0
#
# The daemon under a service manager, played by a script, and what it logs.

load helper

# Starts layerd as systemd would: with the API's socket, a socket for
# notifications, and standard error to a stream that is the journal's. What it
# notifies of goes to "told", what it logs to "journal". Arguments: layerd's.
start_service() {
	mkdir -p run
	rm -f run/layerd.sock notify told
	python3 - "$T" "$@" <<'PYTHON' 3>&- &
import os, select, socket, subprocess, sys

T, arguments = sys.argv[1], sys.argv[2:]
api = socket.socket(socket.AF_UNIX)
api.set_inheritable(True)
api.bind(T + "/run/layerd.sock")
api.listen(8)
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.bind(T + "/notify")
journal, stream = socket.socketpair()
st = os.fstat(stream.fileno())


env = {**os.environ, "NOTIFY_SOCKET": T + "/notify", "LISTEN_FDS": "1",
       "JOURNAL_STREAM": f"{st.st_dev}:{st.st_ino}"}
# LISTEN_PID is the process's own, which only a shell between can tell it.
layerd = subprocess.Popen(
    ["sh", "-c", 'LISTEN_PID=$$ exec layerd "$@"', "sh", *arguments],
    env=env, stderr=stream, close_fds=False,
    preexec_fn=lambda: os.dup2(api.fileno(), 3))
stream.close()
open(T + "/pid", "w").write(str(layerd.pid))
with open(T + "/told", "wb", 0) as told, open(T + "/journal", "wb", 0) as log:
    while True:
        ready = select.select([notify, journal], [], [])[0]
        if notify in ready:
            told.write(notify.recv(4096) + b"\n")
        if journal in ready:
            data = journal.recv(65536)
            if not data:
                break
            log.write(data)
    notify.setblocking(False)
    try:
        while True:
            told.write(notify.recv(4096) + b"\n")
    except BlockingIOError:
        pass
sys.exit(layerd.wait())
PYTHON
	manager=$!
}

end_service() {
	kill -TERM "$(cat pid)"
	wait "$manager"
}

# It comes a moment after what it tells of.
logged() {
	LINE=$1
	wait_for 'grep -qE -- "$LINE" journal'
}

@test "a service manager is told when calls are served and when that ends" {
	start_service --foreground
	wait_for 'grep -qx READY=1 told'
	layerctl --no-autostart status >/dev/null
	[ "$(daemon_pid)" = "$(cat pid)" ]
	end_service
	[ "$(cat told)" = $'READY=1\nSTOPPING=1' ]
	# The socket is the manager's.
	[ -S run/layerd.sock ]
}

@test "the journal gets a line for what was done, with its level" {
	start_service --foreground
	wait_for 'grep -qx READY=1 told'
	logged "^<6>layerd [0-9.]+ \(.*\) serves $T/state at $T/run"
	layerctl new v
	layerctl mount v m
	logged "^<6>volume v is mounted at $T/m, session [0-9a-f]{16}$"
	echo 1 >m/f
	layerctl commit v
	logged '^<6>v@1 is sealed: 1 changed, [0-9]+ bytes'
	layerctl unmount m
	logged '^<6>volume v is unmounted, session [0-9a-f]{16} kept$'
	layerctl mount v m
	logged '^<6>volume v is mounted at .*, resumed$'
	layerctl finalize v
	logged '^<6>volume v is unmounted, its session has ended$'
	layerctl mount v@1 m
	logged "^<6>version v@1 is mounted at $T/m$"
	layerctl unmount m
	logged "^<6>the version at $T/m is unmounted$"
	fails 3 'no volume w' layerctl mount w m
	end_service
	logged '^<6>layerd ends'
	not grep -vE '^<[0-7]>' journal
	# What only its caller can help is not the host's trouble.
	not grep -q 'no volume w' journal
}

@test "levels are chosen by an option or the environment" {
	start_service --log-level warning
	wait_for 'grep -qx READY=1 told'
	layerctl new v
	end_service
	[ ! -s journal ]
	LAYERD_LOG_LEVEL=debug start_service
	wait_for 'grep -qx READY=1 told'
	fails 3 'no volume w' layerctl mount w m
	logged '^<7>io.layerd.Mount: .*no volume'
	end_service
	fails 2 'log-level is debug, info, notice, warning or error' \
		layerd --log-level loud
	LAYERD_LOG_LEVEL=loud fails 2 'LAYERD_LOG_LEVEL is debug' layerd
}

@test "a daemon that layerctl started logs to a file, with the time" {
	# A client may itself be a service.
	NOTIFY_SOCKET=$T/notify JOURNAL_STREAM=1:2 layerctl new v
	layerctl mount v m
	grep -qE '^20[0-9-]+T[0-9:.]+Z layerd: volume v is mounted at' \
		run/layerd.log
	not grep -q 'service manager' run/layerd.log
	layerctl finalize v
}
