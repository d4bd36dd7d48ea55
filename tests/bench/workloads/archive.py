# SPDX-License-Identifier: Apache-2.0
"""A tarball brought in, against podman import."""

import os
import shutil

from benchlib.machine import run as command, sync, timed
from benchlib.measure import duration, rounds

SOURCES = ("/usr/lib", "/usr/share")


def make_tar(context):
    """Real files as far as they reach, the whole of about the size wanted."""
    path = context.path("tree.tar")
    size = context.size(2 << 30, 128 << 20)
    command("bash", "-c", 'tar c -C / "${@#/}" 2>/dev/null | '
            f'head -c {size} >"$0" || :', path, *SOURCES)
    # The last member may be cut off; what is whole becomes the archive.
    tree = context.make("tree")
    command("bash", "-c", 'tar x -C "$1" -f "$0" 2>/dev/null || :', path, tree)
    os.unlink(path)
    command("tar", "c", "-C", tree, "-f", path, ".")
    shutil.rmtree(tree)
    return path


def run(context):
    tar = make_tar(context)

    def layerd(_):
        with context.daemon("layerd") as daemon:
            return daemon.timed("new", "image", "--from", tar)[0]

    def podman(_):
        store = context.make("podman")
        argv = ["podman", "--root", store, "--runroot",
                context.make("podman-run"), "--storage-driver", "overlay"]
        seconds = timed([*argv, "import", "-q", tar, "image"])[0]
        command(*argv, "rmi", "-a", "-f")
        shutil.rmtree(store, ignore_errors=True)
        return seconds

    sync()
    samples = rounds({"layerd": layerd, "podman": podman},
                     min(context.repeat, 3))
    size = os.path.getsize(tar) / 1e9
    return [duration(f"new --from a tarball of {size:.1f} GB",
                     samples["layerd"], "podman import", samples["podman"],
                     1.0, 3.0)]
