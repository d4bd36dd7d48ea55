#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a command in a terminal of its own, types, and waits for what it says.

terminal.py [--columns N] [STEP...] -- COMMAND...

A step is "type:TEXT" (with \\t, \\n, \\x03 and the like) or "see:REGEX", which
waits until what came since the step before matches. Everything that came is
written to standard output; the exit status is the command's, 128 + N for a
signal, 99 when a step did not come true.
"""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

DEADLINE = 60


class Terminal:
    def __init__(self, columns, command):
        self.seen = b""
        self.at = 0
        self.open = True
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            # As at a prompt, whatever started the tests ignores.
            for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
                signal.signal(number, signal.SIG_DFL)
            os.execvp(command[0], command)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ,
                    struct.pack("HHHH", 24, columns, 0, 0))

    def read(self, deadline):
        """Takes what comes next; False at the end or the deadline."""
        left = deadline - time.monotonic()
        if not self.open or left <= 0:
            return False
        if not select.select([self.fd], [], [], left)[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # a terminal that nobody has open any more
            data = b""
        self.open = bool(data)
        self.seen += data
        return self.open

    def see(self, pattern):
        pattern = re.compile(pattern.encode(), re.S)
        deadline = time.monotonic() + DEADLINE
        while True:
            found = pattern.search(self.seen, self.at)
            if found:
                self.at = found.end()
                return True
            if not self.read(deadline):
                return False

    def type(self, text):
        os.write(self.fd, text.encode().decode("unicode_escape").encode())

    def end(self):
        deadline = time.monotonic() + DEADLINE
        while self.read(deadline):
            pass
        if self.open:
            os.kill(self.pid, 9)
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)


def main():
    argv = sys.argv[1:]
    columns = 80
    if argv[0] == "--columns":
        columns = int(argv[1])
        argv = argv[2:]
    split = argv.index("--")
    terminal = Terminal(columns, argv[split + 1:])
    good = True
    for step in argv[:split]:
        kind, _, text = step.partition(":")
        if kind == "type":
            terminal.type(text)
        elif not terminal.see(text):
            print(f"never seen: {text}", file=sys.stderr)
            os.kill(terminal.pid, 9)
            good = False
            break
    status = terminal.end()
    sys.stdout.buffer.write(terminal.seen)
    sys.stdout.flush()
    if not good:
        sys.exit(99)
    sys.exit(status if status >= 0 else 128 - status)


main()
