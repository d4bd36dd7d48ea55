# SPDX-License-Identifier: Apache-2.0
"""What people use to keep versions of a tree, behind one interface.

Each has a repository of its own in a directory that is removed with it. Calls
give seconds. What a tool does once before its first backup is not counted.
"""

import os
import shutil
import subprocess
import time

from benchlib.machine import Failed, disk_usage, run, timed

POLL = 0.0005
PATIENCE = 120


def read_file(path):
    with open(path, "rb") as f:
        while f.read(1 << 20):
            pass


class Tool:
    """A repository; inside "with" it exists."""

    def __init__(self, context, name):
        self.directory = context.make(name)
        self.mount_point = context.make(name + "-mount")

    def __enter__(self):
        self.create()
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.directory)
        os.rmdir(self.mount_point)

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def stored(self):
        return disk_usage(self.path("repository"))

    def open_first(self, argv, env, path):
        """Seconds until a file in a version that is mounted has been read."""
        with open(self.path("mount.log"), "ab") as log:
            start = time.perf_counter()
            with subprocess.Popen(argv, env=env, stdout=log,
                                  stderr=log) as process:
                try:
                    return self.wait_for(process, path, start)
                finally:
                    subprocess.run(["umount", self.mount_point], check=False)
                    process.terminate()

    def wait_for(self, process, path, start):
        while time.perf_counter() - start < PATIENCE:
            try:
                read_file(os.path.join(self.mount_point, path))
                return time.perf_counter() - start
            except FileNotFoundError:
                if process.poll() is not None:
                    break
                time.sleep(POLL)
        raise Failed(f"{process.args[0]}: {path} does not appear in the mount")


class Restic(Tool):
    name = "restic"

    def create(self):
        self.env = dict(os.environ, RESTIC_PASSWORD="benchmark",
                        RESTIC_REPOSITORY=self.path("repository"),
                        RESTIC_CACHE_DIR=self.path("cache"))
        run("restic", "init", env=self.env)

    def seal(self, tree):
        return timed(["restic", "backup", "-q", tree], self.env)[0]

    def restore(self, tree, to):
        return timed(["restic", "restore", "-q", "latest", "--target", to],
                     self.env)[0]

    def open(self, tree, file):
        return self.open_first(
            ["restic", "mount", "-q", self.mount_point], self.env,
            os.path.join("snapshots", "latest", tree.lstrip("/"), file))


class Borg(Tool):
    name = "borg"

    def create(self):
        self.count = 0
        self.env = dict(os.environ, BORG_REPO=self.path("repository"),
                        BORG_BASE_DIR=self.path("base"))
        run("borg", "init", "--encryption", "none", env=self.env)

    def seal(self, tree):
        self.count += 1
        return timed(["borg", "create", f"::{self.count}", tree], self.env)[0]

    def restore(self, tree, to):
        # It has no option for where to.
        return timed(["env", "-C", to, "borg", "extract", f"::{self.count}"],
                     self.env)[0]


class Casync(Tool):
    name = "casync"

    def create(self):
        os.makedirs(self.path("repository"))
        self.index = self.path("repository", "tree.caidx")
        self.store = "--store=" + self.path("repository", "store")
        # It makes a directory in $TMPDIR and leaves it behind when killed.
        os.makedirs(self.path("tmp"))
        self.env = dict(os.environ, TMPDIR=self.path("tmp"))

    def seal(self, tree):
        return timed(["casync", "make", self.store, self.index, tree],
                     self.env)[0]

    def restore(self, tree, to):
        return timed(["casync", "extract", self.store, self.index, to],
                     self.env)[0]

    def open(self, tree, file):
        return self.open_first(["casync", "mount", self.store, self.index,
                                self.mount_point], self.env, file)


class Tar(Tool):
    """tar and zstd, as far as restoring goes."""
    name = "zstd -d, tar x"

    def create(self):
        os.makedirs(self.path("repository"))
        self.file = self.path("repository", "tree.tar.zst")

    def seal(self, tree):
        return timed(["bash", "-c", 'set -o pipefail; tar c -C "$1" . | '
                      'zstd -q -3 -T0 -o "$2"', "tar", tree, self.file])[0]

    def restore(self, tree, to):
        return timed(["bash", "-c", 'set -o pipefail; zstd -dc "$2" | '
                      'tar x -C "$1"', "tar", to, self.file])[0]


class Layerd(Tool):
    name = "layerd"

    def __init__(self, context, name):
        super().__init__(context, name)
        self.daemon = context.daemon(name)

    def create(self):
        self.daemon.start()

    def __exit__(self, *_):
        self.daemon.stop()
        os.rmdir(self.mount_point)

    def stored(self):
        return disk_usage(os.path.join(self.daemon.state, "store"))

    def seal(self, tree):
        return self.daemon.timed("new", "tree", "--from", tree)[0]

    def restore(self, tree, to):
        return self.daemon.timed("restore", "tree", to)[0]

    def open(self, tree, file):
        self.daemon.drop_images()
        seconds = self.daemon.timed("mount", "tree@1", self.mount_point)[0]
        start = time.perf_counter()
        read_file(os.path.join(self.mount_point, file))
        seconds += time.perf_counter() - start
        self.daemon.ctl("unmount", self.mount_point)
        return seconds
