# SPDX-License-Identifier: Apache-2.0
"""What a workload is given: where, with what, how large, how often."""

import os
import shutil

from benchlib.daemon import Daemon, unmount_below
from benchlib.machine import run


class Context:
    def __init__(self, directory, build, repeat, quick):
        self.directory = directory
        self.build = build
        self.repeat = repeat
        self.quick = quick
        self.daemons = []

    def size(self, full, quick):
        return quick if self.quick else full

    def path(self, *parts):
        """A path in the work directory; what is above it exists."""
        path = os.path.join(self.directory, *parts)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def make(self, *parts):
        """A directory in the work directory."""
        path = self.path(*parts)
        os.makedirs(path, exist_ok=True)
        return path

    def files(self, *arguments):
        """Runs the helper; the seconds it measured."""
        helper = os.path.join(self.build, "tests", "bench", "files")
        return float(run(helper, *arguments).split()[0])

    def daemon(self, name):
        daemon = Daemon(self.build, self.make(name))
        self.daemons.append(daemon)
        return daemon

    def overlay(self, name, lower):
        """A plain overlayfs over the directory lower; its mount point."""
        upper, work, merged = (self.make(name, part)
                               for part in ("upper", "work", "merged"))
        run("mount", "-t", "overlay", "overlay", "-o",
            f"lowerdir={lower},upperdir={upper},workdir={work}", merged)
        return merged

    def clear(self):
        """Ends and removes everything that a workload has left."""
        for daemon in self.daemons:
            daemon.stop()
        self.daemons = []
        unmount_below(self.directory)
        for name in os.listdir(self.directory):
            if name != "build":
                shutil.rmtree(os.path.join(self.directory, name),
                              ignore_errors=True)
