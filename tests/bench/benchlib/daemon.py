# SPDX-License-Identifier: Apache-2.0
"""A layerd of our own, with its state in the benchmark's directory."""

import json
import os
import shutil
import signal
import subprocess
import time

from benchlib.machine import Failed, run, timed

# Seconds.
PATIENCE = 60


def mounts_below(directory):
    """Mount points in a directory, the innermost last."""
    with open("/proc/self/mountinfo", encoding="utf-8",
              errors="surrogateescape") as f:
        points = [line.split()[4] for line in f]
    return [p for p in points if p.startswith(str(directory) + "/")]


def unmount_below(directory):
    for point in reversed(mounts_below(directory)):
        subprocess.run(["umount", "-l", point], check=False,
                       stderr=subprocess.DEVNULL)


class Daemon:
    """Runs from start() to stop(); stop() leaves nothing behind."""

    def __init__(self, build, directory):
        self.directory = directory
        self.state = os.path.join(directory, "state")
        self.runtime = os.path.join(directory, "runtime")
        self.program = os.path.join(build, "layerd", "layerd")
        self.tool = os.path.join(build, "tools", "layerctl")
        self.env = dict(os.environ, LAYERD_STATE_DIR=self.state,
                        LAYERD_RUNTIME_DIR=self.runtime)
        self.process = None

    def start(self):
        os.makedirs(self.state)
        os.makedirs(self.runtime)
        with open(os.path.join(self.directory, "layerd.log"), "ab") as log:
            # The daemon goes, too, should we be killed.
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", self.program,
                 "--foreground"], env=self.env, stdout=log, stderr=log)
        for _ in range(500):
            if self.process.poll() is not None:
                break
            if subprocess.run([self.tool, "--no-autostart", "status"],
                              env=self.env, check=False,
                              capture_output=True).returncode == 0:
                return self
            time.sleep(0.02)
        with open(os.path.join(self.directory, "layerd.log"),
                  encoding="utf-8") as log:
            raise Failed(f"layerd does not start: {log.read()}")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        unmount_below(self.directory)
        # ignore_errors would hide that an end of ours left something.
        if os.path.exists(self.directory):
            shutil.rmtree(self.directory)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def _argv(self, arguments):
        return [self.tool, "--no-autostart", "--json", *map(str, arguments)]

    def ctl(self, *arguments):
        """layerctl; its reply."""
        text = run(*self._argv(arguments), env=self.env)
        return json.loads(text) if text else None

    def timed(self, *arguments):
        """layerctl; (seconds, its reply)."""
        seconds, text = timed(self._argv(arguments), env=self.env)
        return seconds, json.loads(text) if text else None

    def typed(self, *arguments, memory=None):
        """Seconds of layerctl as people call it, which fails when it needs
        more memory than that."""
        limit = ["prlimit", f"--as={memory}"] if memory else []
        return timed([*limit, self.tool, *arguments], env=self.env)[0]

    def mount(self, reference, path):
        os.makedirs(path, exist_ok=True)
        self.ctl("mount", reference, path)
        return path

    def layer_tar(self, reference):
        """The cached tarball of a version's topmost layer."""
        layer = self.ctl("show", reference)["version"]["layers"][-1]["digest"]
        return os.path.join(self.state, "cache",
                            layer.removeprefix("sha256:"), "tar")

    def images(self):
        """EROFS images that are mounted."""
        lower = os.path.join(self.runtime, "lower")
        return [p for p in mounts_below(self.runtime)
                if p.startswith(lower + "/")]

    def drop_images(self):
        """Unmounts those of versions that were mounted a moment ago, when what
        still copies files in them is done."""
        end = time.monotonic() + PATIENCE
        for path in self.images():
            while subprocess.run(["umount", path], check=False,
                                 stderr=subprocess.DEVNULL).returncode:
                if time.monotonic() > end:
                    raise Failed(f"{path} stays busy")
                time.sleep(0.01)

    def reset_peak(self):
        with open(f"/proc/{self.process.pid}/clear_refs", "w",
                  encoding="ascii") as f:
            f.write("5")

    def peak(self):
        """The largest resident size since reset_peak(), bytes."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            for line in f:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        raise Failed("this kernel does not show VmHWM")
