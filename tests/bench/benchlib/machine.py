# SPDX-License-Identifier: Apache-2.0
"""What the numbers were measured on, and commands that are timed.

A timed command is started with posix_spawn and its wait is all that is added:
half a millisecond, where subprocess takes several.
"""

import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time


class Failed(Exception):
    """A command of the benchmark did not do what it should."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def run(*argv, **options):
    """Runs a command to its end and gives back what it printed."""
    done = subprocess.run([str(a) for a in argv], text=True,
                          capture_output=True, check=False, **options)
    if done.returncode:
        raise Failed(f"{' '.join(map(str, argv))}: exit {done.returncode}: "
                     f"{done.stderr.strip()}")
    return done.stdout


def timed(argv, env=None):
    """Runs a command; (seconds, what it printed)."""
    argv = [str(a) for a in argv]
    with tempfile.TemporaryFile() as out:
        actions = [(os.POSIX_SPAWN_DUP2, out.fileno(), 1)]
        start = time.perf_counter()
        pid = os.posix_spawnp(argv[0], argv, env or os.environ,
                              file_actions=actions)
        try:
            status = os.waitpid(pid, 0)[1]
        except BaseException:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
        seconds = time.perf_counter() - start
        out.seek(0)
        text = out.read().decode()
    if status:
        raise Failed(f"{' '.join(argv)}: status {status}")
    return seconds, text


def sync():
    """Nothing that was written before is to be paid for in a sample."""
    os.sync()


def drop_caches():
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as f:
        f.write("3")


def read_through(*paths):
    """Brings files into the page cache."""
    for path in paths:
        with open(path, "rb", buffering=0) as f:
            while f.read(1 << 20):
                pass


def random_file(path, size):
    with open(path, "wb") as f:
        while size:
            n = min(size, 1 << 20)
            f.write(os.urandom(n))
            size -= n


def disk_usage(path):
    """Bytes that a tree takes on its disk."""
    return int(run("du", "-s", "-B1", path).split()[0])


def tree_size(path):
    """Bytes in the files of a tree; each inode once."""
    return int(run("du", "-s", "-b", path).split()[0])


def fio(path, pattern, piece, runtime=None):
    """Bytes a second of reads through the page cache, which stays.

    With a runtime (seconds) the file is read over and over. Without it is
    read once, which takes fio's clock of milliseconds too short a time: the
    latencies are summed up then."""
    argv = ["fio", "--name=read", f"--filename={path}", f"--rw={pattern}",
            f"--bs={piece}", "--ioengine=psync", "--invalidate=0",
            "--readonly", "--output-format=json", "--thread"]
    if runtime:
        argv += ["--time_based", f"--runtime={runtime}", "--norandommap"]
    read = json.loads(run(*argv))["jobs"][0]["read"]
    if runtime:
        return read["bw_bytes"]
    return read["io_bytes"] / (read["lat_ns"]["mean"] * read["total_ios"] / 1e9)


def describe(directory):
    """The machine, for the head of the table."""
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        models = [line.split(":", 1)[1].strip() for line in f
                  if line.startswith("model name")]
    with open("/proc/meminfo", encoding="utf-8") as f:
        kib = int(f.readline().split()[1])
    source, kind = run("findmnt", "-nro", "SOURCE,FSTYPE", "-T",
                       directory).split()[:2]
    with open("/proc/loadavg", encoding="ascii") as f:
        load = f.read().split()[0]
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(kib / (1 << 20)),
        "kernel": platform.release(),
        "file_system": kind,
        "device": source,
        "load_at_start": float(load),
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }
