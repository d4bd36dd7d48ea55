#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Does the same random operations in a mounted volume and in a plain directory.

Now and then it commits, finalizes, unmounts or restarts the daemon. At each
version both trees are dumped: they must be equal then (times of the run itself
aside), and at the end each version, mounted by its number, must be what the
mount was when it was sealed, to the nanosecond and the hole. Operations that
fail must fail alike. The seed decides everything; it is printed on failure.
"""

import argparse
import ctypes
import errno
import json
import mmap
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import time

import diff_model

HERE = os.path.dirname(os.path.abspath(__file__))
LIBC = ctypes.CDLL(None, use_errno=True)
RENAME_EXCHANGE = 2
FALLOC_FL_KEEP_SIZE = 1
FALLOC_FL_PUNCH_HOLE = 2
AT_FDCWD = -100

# Few names, so that they meet again and again.
NAMES = [b"a", b"b", b"c", b"d", b"e", b".wh.a", b"\xff\n", b"x" * 255]
SIZES = [0, 1, 100, 4096, 5000, 70000, 140000, 300000]


class Mismatch(Exception):
    pass


def check_libc(result):
    if result < 0:
        e = ctypes.get_errno()
        raise OSError(e, os.strerror(e))


def write_at(path, flags, offset, data):
    fd = os.open(path, os.O_WRONLY | flags, 0o644)
    try:
        if offset is None:
            os.write(fd, data)
        else:
            os.pwrite(fd, data, offset)
    finally:
        os.close(fd)


def punch(path, offset, length):
    fd = os.open(path, os.O_WRONLY)
    try:
        mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
        check_libc(LIBC.fallocate(fd, mode, ctypes.c_int64(offset),
                                  ctypes.c_int64(length)))
    finally:
        os.close(fd)


def store(path, offset, data):
    """Through a mapping: no call tells of the write."""
    fd = os.open(path, os.O_RDWR)
    try:
        size = os.fstat(fd).st_size
        if size >= offset + len(data):
            with mmap.mmap(fd, 0) as m:
                m[offset:offset + len(data)] = data
    finally:
        os.close(fd)


def link_unnamed(directory, path, data):
    fd = os.open(directory, os.O_TMPFILE | os.O_WRONLY, 0o644)
    try:
        os.write(fd, data)
        os.link("/proc/self/fd/%d" % fd, path, follow_symlinks=True)
    finally:
        os.close(fd)


def exchange(old, new):
    check_libc(LIBC.renameat2(AT_FDCWD, old, AT_FDCWD, new, RENAME_EXCHANGE))


class Run:
    def __init__(self, options):
        self.o = options
        self.random = random.Random(options.seed)
        self.forms = random.Random(options.seed)
        self.volume = "random-%d" % options.seed
        self.since = time.time_ns() - 10**9
        self.mount = os.fsencode(os.path.join(options.work, "m"))
        self.plain = os.fsencode(os.path.join(options.work, "plain"))
        self.versions = {}
        self.log = []
        self.open = []

    # What there is, as the plain directory has it.

    def scan(self):
        self.files, self.dirs, self.all = [], [b""], []
        stack = [b""]
        while stack:
            base = stack.pop()
            for name in sorted(os.listdir(self.plain + b"/" + base)):
                path = base + b"/" + name if base else name
                st = os.lstat(self.plain + b"/" + path)
                self.all.append(path)
                if stat.S_ISDIR(st.st_mode):
                    self.dirs.append(path)
                    stack.append(path)
                elif stat.S_ISREG(st.st_mode):
                    self.files.append(path)

    def new_path(self):
        base = self.random.choice(
            [d for d in self.dirs if d.count(b"/") < 3] or [b""])
        name = self.random.choice(NAMES)
        return base + b"/" + name if base else name

    def file(self):
        return self.random.choice(self.files) if self.files else b"none"

    def any(self):
        return self.random.choice(self.all) if self.all else b"none"

    # Each picks its arguments and returns what to do with a root.

    def op_create(self):
        path, size = self.new_path(), self.random.choice(SIZES)
        data = self.random.randbytes(size)
        return lambda r: write_at(r + path, os.O_CREAT | os.O_EXCL, 0, data), (
            path, size)

    def op_write(self):
        path = self.file()
        offset = self.random.randrange(0, 200000)
        # Not nothing: to open a file for writing whose attributes alone are
        # copied up changes its time in an overlay (Linux 6.18).
        data = self.random.randbytes(self.random.choice(SIZES[1:5]))
        return lambda r: write_at(r + path, 0, offset, data), (path, offset)

    def op_append(self):
        path = self.file()
        data = self.random.randbytes(self.random.randrange(1, 5000))
        return lambda r: write_at(r + path, os.O_APPEND, None, data), (path,)

    def op_truncate(self):
        path, size = self.file(), self.random.randrange(0, 300000)
        return lambda r: os.truncate(r + path, size), (path, size)

    def op_replace(self):
        """As an editor saves."""
        path = self.file()
        data = self.random.randbytes(self.random.choice(SIZES))

        def do(r):
            write_at(r + b"tmp", os.O_CREAT | os.O_EXCL, 0, data)
            os.rename(r + b"tmp", r + path)
        return do, (path,)

    def op_punch(self):
        path = self.file()
        offset = self.random.randrange(0, 40) * 4096
        length = self.random.randrange(1, 20) * 4096
        return lambda r: punch(r + path, offset, length), (path, offset, length)

    def op_rename(self):
        old, new = self.any(), self.new_path()
        return lambda r: os.rename(r + old, r + new), (old, new)

    def op_rename_directory(self):
        old = self.random.choice(self.dirs[1:] or [b"none"])
        new = self.new_path()
        return lambda r: os.rename(r + old, r + new), (old, new)

    def op_exchange(self):
        old, new = self.any(), self.any()
        return lambda r: exchange(r + old, r + new), (old, new)

    def op_link(self):
        old, new = self.file(), self.new_path()
        return lambda r: os.link(r + old, r + new, follow_symlinks=False), (
            old, new)

    def op_append_and_unlink(self):
        """The change remains only under the file's other names."""
        path = self.file()
        data = self.random.randbytes(100)

        def do(r):
            write_at(r + path, os.O_APPEND, None, data)
            os.unlink(r + path)
        return do, (path,)

    def op_open(self):
        """Kept open, for appending, whatever becomes of the name."""
        path, fds = self.file(), []
        self.open.append(fds)
        return lambda r: fds.append(
            os.open(r + path, os.O_WRONLY | os.O_APPEND)), (path,)

    def op_write_open(self):
        fds = self.random.choice(self.open or [[]])
        data = self.random.randbytes(self.random.randrange(1, 3000))

        def do(r):
            for fd in fds[1:] if r.startswith(self.mount) else fds[:1]:
                os.write(fd, data)
        return do, ()

    def op_store(self):
        path, offset = self.file(), self.random.randrange(0, 100000)
        data = self.random.randbytes(self.random.randrange(1, 9000))
        return lambda r: store(r + path, offset, data), (path, offset)

    def op_link_unnamed(self):
        path = self.new_path()
        data = self.random.randbytes(self.random.choice(SIZES[1:]))
        return lambda r: link_unnamed(r + os.path.dirname(path), r + path,
                                      data), (path,)

    def op_symlink(self):
        path = self.new_path()
        # Now and then it leads somewhere, in particular to a directory.
        target = self.random.choice(
            NAMES + [b"t" * self.random.randrange(1, 300)])
        return lambda r: os.symlink(target, r + path), (path,)

    def op_fifo(self):
        path = self.new_path()
        return lambda r: os.mkfifo(r + path), (path,)

    def op_unlink(self):
        path = self.any()
        return lambda r: os.unlink(r + path), (path,)

    def op_mkdir(self):
        path = self.new_path()
        return lambda r: os.mkdir(r + path), (path,)

    def op_rmdir(self):
        path = self.random.choice(self.dirs[1:] or [b"none"])
        return lambda r: os.rmdir(r + path), (path,)

    def op_remove_tree(self):
        path = self.random.choice(self.dirs[1:] or [b"none"])
        return lambda r: shutil.rmtree(r + path), (path,)

    def op_recreate(self):
        path = self.random.choice(self.dirs[1:] or [b"none"])
        name = self.random.choice(NAMES)

        def do(r):
            shutil.rmtree(r + path)
            os.mkdir(r + path)
            write_at(r + path + b"/" + name, os.O_CREAT, 0, b"new")
        return do, (path,)

    def op_swap_type(self):
        """A file becomes a directory, or the reverse."""
        path = self.any()

        def do(r):
            if os.path.isdir(r + path) and not os.path.islink(r + path):
                shutil.rmtree(r + path)
                write_at(r + path, os.O_CREAT, 0, b"was a directory")
            else:
                os.unlink(r + path)
                os.mkdir(r + path)
        return do, (path,)

    def op_chmod(self):
        path, mode = self.any(), self.random.randrange(0, 0o10000)

        def do(r):
            if not os.path.islink(r + path):
                os.chmod(r + path, mode)
        return do, (path, mode)

    def op_chown(self):
        path = self.any()
        uid, gid = self.random.randrange(2**32 - 1), self.random.randrange(9)
        return lambda r: os.chown(r + path, uid, gid, follow_symlinks=False), (
            path, uid)

    def op_utime(self):
        path = self.any()
        ns = self.random.randrange(-10**18, 10**18)
        return lambda r: os.utime(r + path, ns=(ns, ns),
                                  follow_symlinks=False), (path, ns)

    def op_setxattr(self):
        path = self.any()
        name = "trusted.%d" % self.random.randrange(4)
        value = self.random.randbytes(self.random.randrange(200))
        return lambda r: os.setxattr(r + path, name, value,
                                     follow_symlinks=False), (path, name)

    def op_removexattr(self):
        path, name = self.any(), "trusted.%d" % self.random.randrange(4)
        return lambda r: os.removexattr(r + path, name,
                                        follow_symlinks=False), (path, name)

    WEIGHTS = {
        "create": 20, "write": 8, "append": 8, "truncate": 4, "replace": 4,
        "punch": 4, "rename": 8, "rename_directory": 10, "exchange": 4,
        "link": 12, "append_and_unlink": 3, "open": 3,
        "write_open": 8, "store": 4, "link_unnamed": 2, "symlink": 3, "fifo": 1,
        "unlink": 5, "mkdir": 14, "rmdir": 3, "remove_tree": 2, "recreate": 3,
        "swap_type": 3, "chmod": 4, "chown": 3, "utime": 3, "setxattr": 3,
        "removexattr": 2
    }

    def operate(self):
        kinds = list(self.WEIGHTS)
        kind = self.random.choices(kinds, list(self.WEIGHTS.values()))[0]
        self.scan()
        do, arguments = getattr(self, "op_" + kind)()
        results = []
        for root in (self.plain, self.mount):
            try:
                do(root + b"/")
                results.append(0)
            except OSError as e:
                results.append(e.errno)
        self.note(kind, *arguments,
                  *([errno.errorcode[results[0]]] if results[0] else []))
        if results[0] != results[1]:
            raise Mismatch("%s: %s in the directory, %s in the mount" % (
                kind, *(errno.errorcode.get(x, "done") for x in results)))

    # The volume's side.

    def note(self, *words):
        text = " ".join(
            repr(w)[1:] if isinstance(w, bytes) else str(w) for w in words)
        self.log.append("%3d %s" %
                        (len(self.log), text.replace("x" * 255, "LONG")))

    def layerctl(self, *words):
        done = subprocess.run(["layerctl", *words, "--json"],
                              capture_output=True, check=False)
        if done.returncode:
            raise Mismatch("layerctl %s: %s" %
                           (" ".join(words), done.stderr.decode()))
        return json.loads(done.stdout)

    def dump(self, root, *options):
        done = subprocess.run(
            [sys.executable, os.path.join(HERE, "dump.py"), "--no-sockets",
             *options, root], stdout=subprocess.PIPE, check=True)
        return done.stdout.decode()

    def rough(self, root):
        """What a mount and a plain directory must agree on."""
        return self.dump(root, "--no-holes", "--mask-since", str(self.since))

    def compare(self, what, want, got):
        if want == got:
            return
        want, got = want.splitlines(), got.splitlines()
        lines = ["-" + x for x in want if x not in set(got)]
        lines += ["+" + x for x in got if x not in set(want)]
        raise Mismatch("%s:\n%s" % (what, "\n".join(
            x.replace("x" * 255, "LONG")[:400]
            for x in sorted(lines, key=lambda x: x[1:])[:30])))

    def close(self):
        for fd in sum(self.open, []):
            os.close(fd)
        self.open = []

    def seal(self, how):
        if how == "finalize":
            self.close()
        self.compare("the mount is not the directory before %s" % how,
                     self.rough(self.plain), self.rough(self.mount))
        exact = self.dump(self.mount)
        rough = self.rough(self.plain)
        live = self.live_diffs()
        reply = self.layerctl(how, self.volume)
        sequence = reply["version"]["sequence"]
        self.note("----", how, sequence)
        self.versions[sequence] = (exact, rough)
        self.compare_live(live, sequence)
        if how == "finalize":
            self.attach()
        self.compare("the mount changed with %s %d" % (how, sequence), exact,
                     self.dump(self.mount))

    def live_diffs(self):
        """What the mount is said to differ in before it is sealed: from what
        was sealed last, and in one of the other forms."""
        forms = [["LIVE"], ["LIVE", "--no-renames"]]
        if self.versions:
            other = "%s@%d" % (self.volume,
                               self.forms.choice(sorted(self.versions)))
            forms += [[other, "LIVE"], ["LIVE", other]]
        live = os.fsdecode(self.mount)
        return [(form, self.layerctl(
            "diff", *[live if x == "LIVE" else x for x in form]))
                for form in (forms[0], self.forms.choice(forms[1:]))]

    def compare_live(self, live, sequence):
        """It is what the versions are said to differ in afterwards."""
        new = "%s@%d" % (self.volume, sequence)
        last = max([x for x in self.versions if x < sequence] or [0])
        for form, got in live:
            words = [new if x == "LIVE" else x for x in form]
            if not any("@" in x for x in form):
                if not last:
                    self.compare_first(got)
                    continue
                words.insert(0, "%s@%d" % (self.volume, last))
            want = self.layerctl("diff", *words)
            self.compare("the live diff before %s" % " ".join(words),
                         *("\n".join(map(json.dumps, x["differences"]))
                           for x in (want, got)))

    def compare_first(self, got):
        """Before the first version there was nothing but a root."""
        after = diff_model.parse(self.versions[1][0])
        want = {x for x in diff_model.expected({}, after) if x[1]}
        has = {x for x in diff_model.reported(got["differences"]) if x[1]}
        self.compare("the live diff before the first version",
                     "\n".join(map(repr, sorted(want))),
                     "\n".join(map(repr, sorted(has))))

    def attach(self):
        self.layerctl("mount", self.volume, os.fsdecode(self.mount))

    def resume(self):
        self.note("---- unmount and mount")
        self.close()
        exact = self.dump(self.mount)
        live = self.layerctl("diff", os.fsdecode(self.mount))
        subprocess.run(["umount", self.mount], check=True)
        self.compare("the session is not the mount", json.dumps(live),
                     json.dumps(self.layerctl("diff", self.volume)))
        self.attach()
        self.compare("the mount changed with unmount and mount", exact,
                     self.dump(self.mount))

    def end_daemon(self, number):
        pid = self.layerctl("status")["pid"]
        os.kill(pid, number)
        for _ in range(300):
            if not os.path.exists("/proc/%d" % pid):
                return
            time.sleep(0.1)
        raise Mismatch("the daemon does not end")

    def restart(self):
        number = self.random.choice([signal.SIGTERM, signal.SIGKILL])
        self.note("---- restart of the daemon,", number.name)
        self.end_daemon(number)

    def reboot(self):
        """What is left of a host is its state directory."""
        self.note("---- reboot")
        self.close()
        exact = self.dump(self.mount)
        self.end_daemon(signal.SIGKILL)
        run = os.environ["LAYERD_RUNTIME_DIR"]
        with open("/proc/self/mountinfo", encoding="utf-8") as f:
            paths = [line.split()[4] for line in f]
        for path in reversed(paths):
            if path == os.fsdecode(self.mount) or path.startswith(run):
                subprocess.run(["umount", path], check=True)
        logs = os.path.join(self.o.work, "..", "old-logs")
        os.makedirs(logs, exist_ok=True)
        shutil.copy(os.path.join(run, "layerd.log"),
                    os.path.join(logs, str(time.time_ns())))
        shutil.rmtree(run)
        self.attach()
        self.compare("the mount changed with a reboot", exact,
                     self.dump(self.mount))

    def step(self):
        dice = self.random.randrange(240)
        if dice < 16:
            self.seal("commit")
        elif dice < 19:
            self.seal("finalize")
        elif dice < 21:
            self.resume()
        elif dice < 23:
            self.restart()
        elif dice < 24:
            self.reboot()
        else:
            self.operate()

    def check_versions(self):
        for sequence, (exact, rough) in self.versions.items():
            reference = "%s@%d" % (self.volume, sequence)
            root = os.path.join(self.o.work, "m2")
            self.layerctl("mount", reference, root)
            try:
                self.compare("%s is not what was sealed" % reference, exact,
                             self.dump(root))
                self.compare("%s is not the directory" % reference, rough,
                             self.rough(root))
            finally:
                subprocess.run(["umount", root], check=True)

    def check_diffs(self):
        """Of versions one after the other, and of the first and the last."""
        names = sorted(self.versions)
        for one, two in [*zip(names, names[1:]), (names[0], names[-1]),
                         (names[-1], names[0])]:
            before = diff_model.parse(self.versions[one][0])
            after = diff_model.parse(self.versions[two][0])
            want = diff_model.expected(before, after)
            words = ["diff", "%s@%d" % (self.volume, one),
                     "%s@%d" % (self.volume, two)]
            got = diff_model.reported(
                self.layerctl(*words, "--no-renames")["differences"])
            joined = diff_model.without_renames(
                self.layerctl(*words)["differences"], before, after)
            for has in (got, joined):
                self.compare("the diff of %d and %d" % (one, two),
                             "\n".join(map(repr, sorted(want))),
                             "\n".join(map(repr, sorted(has))))

    def check_layers(self):
        version = self.layerctl("show", self.volume)["version"]
        for layer in version["layers"]:
            self.layerctl("layer", "verify", layer["digest"])

    def run(self):
        os.mkdir(self.plain)
        os.chmod(self.plain, 0o755)
        self.layerctl("new", self.volume)
        self.attach()
        for _ in range(self.o.operations):
            self.step()
        self.seal("commit")
        self.seal("finalize")
        self.check_versions()
        self.check_diffs()
        self.check_layers()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", help="a directory with m and m2 in it")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--operations", type=int, default=400)
    options = parser.parse_args()
    os.umask(0o022)
    run = Run(options)
    print("seed %d" % options.seed, flush=True)
    try:
        run.run()
    except Mismatch as e:
        print("\n".join(run.log[-150:]))
        print("seed %d, after %d operations: %s" %
              (options.seed, len(run.log), e))
        sys.exit(1)
    print("%d operations, %d versions" % (len(run.log), len(run.versions)))


main()
