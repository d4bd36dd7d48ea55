# SPDX-License-Identifier: Apache-2.0
"""A large mixed tree sealed, opened, restored and sealed again, against restic,
borg and casync.

Each repetition begins with an empty repository, as one that has the chunks
already would win without work, and with the tree in the page cache as far as it
fits there. The second seal of ours is the commit of a session, theirs a second
backup of the tree: each finds out for itself what has changed.
"""

import os
import shutil
import statistics

from benchlib.backup_tools import Borg, Casync, Layerd, Restic, Tar
from benchlib.machine import random_file, run as command, sync, timed, \
    tree_size
from benchlib.measure import duration, say_samples, size_ratio

SOURCES = ("/usr/lib", "/usr/share/doc", "/usr/share/man",
           "/usr/share/zoneinfo", "/usr/share/perl")
PEERS = (Restic, Borg, Casync)


def make_tree(context):
    tree = context.make("tree")
    for source in context.size(SOURCES, ("/usr/lib/python3",)):
        if os.path.exists(source):
            command("cp", "-a", source,
                    os.path.join(tree, source.replace("/", "-")[1:]))
    random_file(os.path.join(tree, "random"),
                context.size(256 << 20, 16 << 20))
    return tree


def files_of(tree):
    """Regular files in a fixed order, links aside."""
    found = []
    for directory, _, names in os.walk(tree):
        for name in names:
            path = os.path.join(directory, name)
            if os.path.isfile(path) and not os.path.islink(path):
                found.append(os.path.relpath(path, tree))
    return sorted(found)


def change(tree, files):
    """Appends to every hundredth file."""
    for name in files[::100]:
        with open(os.path.join(tree, name), "ab") as f:
            f.write(b"changed\n")


def restore(tool, context, tree, size):
    to = context.make("restored")
    sync()
    seconds = tool.restore(tree, to)
    if tree_size(to) < size * 0.99:
        raise RuntimeError(f"{tool.name} restored less than there was")
    shutil.rmtree(to)
    return seconds


def second_seal(tool, context, master, tree, files):
    """Seconds of a second seal with 1% of the files changed."""
    if isinstance(tool, Layerd):
        mount = tool.daemon.mount("tree", context.make("work"))
        change(mount, files)
        sync()
        seconds = tool.daemon.timed("commit", "tree")[0]
        tool.daemon.ctl("unmount", mount, "--discard")
        return seconds
    change(tree, files)
    sync()
    seconds = tool.seal(tree)
    for name in files[::100]:
        shutil.copy2(os.path.join(master, name), os.path.join(tree, name))
    return seconds


def measure(kind, context, master, tree, files, size):
    """One repetition of one tool: {what: seconds or bytes}."""
    result = {}
    sync()
    with kind(context, "tool") as tool:
        result["seal"] = tool.seal(tree)
        result["stored"] = tool.stored()
        result["restore"] = restore(tool, context, tree, size)
        if hasattr(tool, "open"):
            result["open"] = statistics.median(
                tool.open(tree, files[i * len(files) // 5]) for i in range(5))
            # What a command takes that does nothing.
            result["process"] = statistics.median(
                timed(["true"])[0] for _ in range(5))
        if kind is not Tar:
            result["second"] = second_seal(tool, context, master, tree, files)
    return result


def run(context):
    master = make_tree(context)
    tree = context.path("copy")
    command("cp", "-a", master, tree)
    files, size = files_of(tree), tree_size(tree)
    kinds = (Layerd, Tar) + PEERS
    samples = {kind: [] for kind in kinds}
    for i in range(min(context.repeat, 3)):
        turn = i % len(kinds)
        for kind in kinds[turn:] + kinds[:turn]:
            samples[kind].append(
                measure(kind, context, master, tree, files, size))
    for kind in kinds:
        for what in samples[kind][0]:
            say_samples(f"{kind.name}, {what}",
                        [s[what] for s in samples[kind]])
    return rows(samples, len(files), size)


def rows(samples, count, size):
    def of(kind, what):
        return [s[what] for s in samples[kind]]

    def against(title, what, kind, must, aim):
        return duration(title, of(Layerd, what), kind.name, of(kind, what),
                        must, aim)

    tree = f"{size / 1e9:.1f} GB in {count:,} files"
    result = []
    for kind in PEERS:
        result.append(against(f"seal {tree}", "seal", kind, 1.0,
                              2.0 if kind is Restic else None))
    for kind in PEERS:
        result.append(size_ratio(f"seal {tree}: stored",
                                 of(Layerd, "stored")[0], kind.name,
                                 of(kind, "stored")[0]))
    for kind in PEERS:
        result.append(against(f"restore {tree}", "restore", kind, 1.0, None))
    result.append(against(f"restore {tree}", "restore", Tar, 1.0, 1.0))
    opening = f"open {tree} to the first file read"
    for kind in (Restic, Casync):
        result.append(against(opening, "open", kind, 10.0, 100.0))
    result.append(duration(opening, of(Layerd, "open"), "true, a process",
                           of(Layerd, "process"), None, None))
    for kind in PEERS:
        result.append(against(f"seal {tree} again, 1% changed", "second",
                              kind, 1.0, 10.0))
    return result
