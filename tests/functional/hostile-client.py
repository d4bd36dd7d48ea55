#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A client of the API that does what none should: hostile-client.py SOCKET WHAT.

Each WHAT checks how the daemon answers and fails with a traceback when that is
not as it must be. The caller checks that the daemon lives and serves others.
"""

import array
import fcntl
import json
import os
import random
import re
import select
import socket
import struct
import sys
import time

LIMIT = 4 << 20
PATIENCE = 60


class Connection:
    def __init__(self):
        self.s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.s.connect(sys.argv[1])
        self.s.settimeout(PATIENCE)
        self.rest = b""

    def send(self, data):
        self.s.sendall(data)

    def send_call(self, method, parameters=None, fds=(), **flags):
        message = {"method": method, **flags}
        if parameters is not None:
            message["parameters"] = parameters
        data = json.dumps(message).encode() + b"\0"
        if fds:
            control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                        array.array("i", fds))]
            n = self.s.sendmsg([data], control)
            data = data[n:]
        if data:
            self.send(data)

    def reply(self):
        """The next message; None at the end of the connection."""
        while b"\0" not in self.rest:
            try:
                data = self.s.recv(1 << 16)
            except ConnectionResetError:
                return None
            if not data:
                assert not self.rest, "cut off in a reply"
                return None
            self.rest += data
        message, _, self.rest = self.rest.partition(b"\0")
        return json.loads(message)

    def call(self, method, parameters=None, fds=(), **flags):
        self.send_call(method, parameters, fds, **flags)
        return self.reply()

    def close(self):
        self.s.close()


def error_of(reply):
    assert reply is not None, "disconnected"
    assert "error" in reply, reply
    return reply["error"]


def is_closed(data):
    """The daemon ends the connection on these bytes."""
    c = Connection()
    try:
        c.send(data)
        reply = c.reply()
    except (BrokenPipeError, ConnectionResetError):
        reply = None
    assert reply is None, reply
    c.close()


def noise():
    for seed in range(50):
        generator = random.Random(seed)
        data = generator.randbytes(generator.randrange(1, 1 << 16))
        is_closed(data + b"\0")
    # Valid to begin with, and then not.
    call = b'{"method":"io.layerd.List"}\0'
    for i in range(len(call) - 1):
        is_closed(call[:i] + b"\xff" + call[i + 1:])


def endless():
    c = Connection()
    sent = 0
    block = b"a" * (1 << 16)
    try:
        while sent < 100 << 20:
            sent += c.s.send(block)
    except (BrokenPipeError, ConnectionResetError):
        pass
    # What the socket itself holds comes on top.
    assert sent < 2 * LIMIT, sent
    c.close()


def endless_many():
    """Each as long as a message may be, none of them ended."""
    many = [Connection() for _ in range(40)]
    for c in many:
        try:
            c.send(b"{" + b" " * (LIMIT - (1 << 17)))
        except (BrokenPipeError, ConnectionResetError):
            pass
    time.sleep(1)
    for c in many:
        c.close()


def halves():
    call = b'{"method":"io.layerd.List"}\0'
    for i in range(len(call)):
        c = Connection()
        c.send(call[:i])
        c.close()
    # In two parts it is a call.
    for i in range(1, len(call)):
        c = Connection()
        c.send(call[:i])
        time.sleep(0.001)
        c.send(call[i:])
        assert "volumes" in c.reply()["parameters"]
        c.close()


def nesting():
    for opening in (b"[", b'{"a":', b'{"a":[', b"[" * 10 + b'{"a":'):
        is_closed(opening * 100000 + b"\0")
        is_closed(b'{"method":"io.layerd.List","parameters":' +
                  opening * 100000 + b"\0")
    is_closed(b'{"method":"io.layerd.List","parameters":{"a":[' +
              b"0," * 1500000 + b"0]}}\0")
    is_closed(b'{"method":"io.layerd.List","parameters":{' +
              b",".join(b'"%d":0' % i for i in range(300000)) + b"}}\0")
    is_closed(b'{"method":"io.layerd.List","parameters":{"a":1,"a":2}}\0')
    is_closed(b'{"method":"io.layerd.List","a":"' + b"\\u0000" + b'"}\0')
    is_closed(b'{"method":"io.layerd.List","parameters":{"a":1e999}}\0')
    is_closed(b'{"method":"io.layerd.List","parameters":{"a":' + b"9" * 5000 +
              b"}}\0")


def not_calls():
    for data in (b"", b"{}", b"[]", b"null", b"1", b'"text"', b"{", b"}",
                 b'{"method":1}', b'{"method":null}', b'{"method":""}',
                 b'{"method":"List"}', b'{"method":"a.b","parameters":[]}',
                 b'{"method":"a.b","parameters":"x"}',
                 b'{"method":"a.b","more":1}', b'{"method":"a.b","oneway":""}',
                 b'{"method":"a.b","more":true,"oneway":true}',
                 b'{"parameters":{}}', b'{"error":"a.b"}',
                 b"GET / HTTP/1.1\r\n\r\n"):
        is_closed(data + b"\0")


def unknown_methods():
    c = Connection()
    for method in ("io.layerd.", "io.layerd.Nothing", "io.layerd.list",
                   "io.layerd.List.List", "a.b", ".", "..", ".a", "a.",
                   "io.layerd.List ", "io.layerd.\u00e9",
                   "org.varlink.service.Nothing", "org.varlink.service.",
                   "a." + "b" * 100000):
        error = error_of(c.call(method))
        assert error == "org.varlink.service.MethodNotFound", (method, error)
    error = error_of(c.call("org.varlink.service.GetInterfaceDescription",
                            {"interface": "none"}))
    assert error == "org.varlink.service.InterfaceNotFound", error
    c.close()


def methods():
    """Names and parameters, as the daemon itself describes them."""
    c = Connection()
    text = c.call("org.varlink.service.GetInterfaceDescription",
                  {"interface": "io.layerd"})["parameters"]["description"]
    c.close()
    found = re.findall(r"^method (\w+)\(([^)]*)\)", text, re.M)
    assert len(found) > 10, found
    return {name: re.findall(r"(\w+): (\??[\[\]\w]+)", parameters)
            for name, parameters in found}


# Of each type one that is right where that can do no harm, to get behind it.
RIGHT = {"string": "no-such-volume", "bool": False, "int": 1}
WRONG = [None, True, 0, -1, 1 << 62, 1.5, "", "\x01", "a" * 100000, "\u0000",
         "../../etc", "/", "\\x00", "\\xzz", "\u202e", [], [[]], ["a"], {},
         {"a": 1}, {"volume": 1}, {"path": 1, "device": "x"},
         {"path": "relative", "device": 0}, {"path": "/", "device": -1},
         {"path": "/\\x00", "device": 1}, {"volume": "a", "path": "/"}]


def wrong_parameters():
    calls = 0
    for name, parameters in methods().items():
        method = "io.layerd." + name
        for wrong in [key for key, _ in parameters]:
            for value in WRONG:
                given = {key: "Not a name" if key == "name" else
                         RIGHT.get(kind, {})
                         for key, kind in parameters
                         if not kind.startswith("?")}
                given[wrong] = value
                c = Connection()
                reply = c.call(method, given)
                if value == "\u0000":
                    assert reply is None, reply
                else:
                    error = error_of(reply) if "error" in reply else "none"
                    assert error in (
                        "io.layerd.InvalidArgument", "io.layerd.NotFound",
                        "none"), (method, given, reply)
                    assert "message" in reply["parameters"] or \
                        error == "none"
                c.close()
                calls += 1
        c = Connection()
        if parameters and not parameters[0][1].startswith("?"):
            assert error_of(c.call(method)) == "io.layerd.InvalidArgument"
            assert error_of(c.call(method, {"unknown": 1})) == \
                "io.layerd.InvalidArgument"
        c.close()
    assert calls > 300, calls


def wrong_descriptors():
    # Nothing will come from these; where something may, layerd waits for it.
    ended, writer = os.pipe()
    os.close(writer)
    pipe = os.pipe()
    with open("/dev/null", "rb") as null, open(__file__, "rb") as script:
        path = os.open("/etc/passwd", os.O_PATH)
        whole = os.open("/", os.O_RDONLY)
        a, b = socket.socketpair()
        b.close()
        for fd in (ended, pipe[1], null.fileno(), script.fileno(), path,
                   a.fileno()):
            c = Connection()
            reply = c.call("io.layerd.New",
                           {"name": "of-a-descriptor", "from": "/"}, [fd])
            error_of(reply)
            # Those that nobody asked for do no harm.
            for method in ("List", "Status", "Sessions"):
                assert "error" not in c.call("io.layerd." + method, {}, [fd])
            c.close()
        c = Connection()
        assert error_of(c.call("io.layerd.New",
                               {"name": "without", "from": "/"})) == \
            "io.layerd.InvalidArgument"
        c.close()
        for n in (2, 4, 5, 100, 253):
            for _ in range(20):
                c = Connection()
                try:
                    c.call("io.layerd.List", {}, [whole] * n)
                except (BrokenPipeError, ConnectionResetError):
                    pass
                c.close()
        # Along with half a message, and nothing after it.
        for _ in range(50):
            c = Connection()
            c.s.sendmsg([b"{"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                  array.array("i", [whole] * 100))])
            c.close()
        # With every byte of a message.
        c = Connection()
        try:
            for byte in b'{"method":"io.layerd.List"}\0':
                c.s.sendmsg([bytes([byte])],
                            [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                              array.array("i", [whole]))])
            c.reply()
        except (BrokenPipeError, ConnectionResetError):
            pass
        c.close()
        os.close(path)
        os.close(whole)


def long_texts():
    c = Connection()
    target = {"volume": "v"}
    for size in (65537, 1 << 20):
        reply = c.call("io.layerd.Seal", {"target": target,
                                          "message": "m" * size})
        assert error_of(reply) == "io.layerd.InvalidArgument"
        assert "65536" in reply["parameters"]["message"], reply
    for labels in ({"a": "v" * (1 << 20)}, {"a" * (1 << 20): "v"},
                   {"k%d" % i: "v" for i in range(257)}, {"A": "v"},
                   {"a": 1}, {"": "v"}, {"a": None}, {"a": {}}):
        reply = c.call("io.layerd.Seal", {"target": target,
                                          "labels": labels})
        assert error_of(reply) == "io.layerd.InvalidArgument"
        message = reply["parameters"]["message"]
        assert "label" in message and len(message) < 1000, message
    c.close()


def cut_streams():
    """Goes away in the middle of a reply that comes in many messages."""
    for n in range(20):
        c = Connection()
        c.send_call("io.layerd.LayerEntries", {"layer": "v"}, more=True)
        for _ in range(n % 3):
            assert c.reply()["continues"]
        c.close()
    for _ in range(20):
        c = Connection()
        c.send_call("io.layerd.LayerVerify", {"layer": "v"}, more=True)
        c.close()
    c = Connection()
    names = 0
    c.send_call("io.layerd.LayerEntries", {"layer": "v"}, more=True)
    while True:
        reply = c.reply()
        names += len(reply["parameters"]["entries"])
        if not reply.get("continues"):
            break
    print(names)
    c.close()


def pipelined():
    """Many calls at once are answered one after the other."""
    c = Connection()
    call = b'{"method":"io.layerd.Show","parameters":{"reference":"v"}}\0'
    c.send(call * 500)
    for _ in range(500):
        assert c.reply()["parameters"]["version"]["reference"] == "v@1"
    for _ in range(100):
        c.send_call("io.layerd.List", oneway=True)
    assert "version" in c.call("io.layerd.Show",
                               {"reference": "v"})["parameters"]
    c.close()


def gone():
    """Asks for a tarball that nobody reads, without progress, and goes away."""
    def leave(**flags):
        reader, writer = os.pipe()
        c = Connection()
        c.send_call("io.layerd.ExportTar", {"reference": "large"}, [writer],
                    **flags)
        os.close(writer)
        assert select.select([reader], [], [], PATIENCE)[0]
        c.close()
        poll = select.poll()
        poll.register(reader, 0)
        return reader, poll

    for flags in ({}, {"more": True}):
        reader, poll = leave(**flags)
        # As nothing is read this is no end of the tarball.
        events = poll.poll(PATIENCE * 1000)
        assert events and events[0][1] & select.POLLHUP, flags
        os.close(reader)
    # Whoever wants no reply may go.
    reader, poll = leave(oneway=True)
    assert not poll.poll(1000), "the daemon gave up"
    size = 0
    while data := os.read(reader, 1 << 20):
        size += len(data)
    print(size)


def descriptions(pid, file):
    """The flags with which a process has a file open."""
    flags = []
    for fd in os.listdir("/proc/%d/fd" % pid):
        try:
            if os.readlink("/proc/%d/fd/%s" % (pid, fd)) == file:
                with open("/proc/%d/fdinfo/%s" % (pid, fd)) as f:
                    flags.append(int(re.search(r"flags:\s*(\d+)",
                                               f.read())[1], 8))
        except OSError:
            pass
    return flags


def shared_pipe():
    """Imports from a pipe that others may read, and goes away."""
    reader, writer = os.pipe()
    c = Connection()
    pid, _, _ = struct.unpack("3i", c.s.getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    c.send_call("io.layerd.New", {"name": "shared", "from": "pipe"}, [reader])
    file = os.readlink("/proc/self/fd/%d" % reader)
    # They may take what the daemon was woken for: it must not wait in read(2),
    # and O_NONBLOCK on their own description would be a surprise to them.
    deadline = time.monotonic() + PATIENCE
    while not any(f & os.O_NONBLOCK for f in descriptions(pid, file)):
        assert time.monotonic() < deadline, descriptions(pid, file)
        time.sleep(0.05)
    assert not fcntl.fcntl(reader, fcntl.F_GETFL) & os.O_NONBLOCK
    os.write(writer, b"x")
    os.close(reader)
    c.close()
    poll = select.poll()
    poll.register(writer, 0)
    assert poll.poll(PATIENCE * 1000), "the daemon still reads"


def idle():
    """Holds 200 connections until standard input ends."""
    many = [Connection() for _ in range(200)]
    print("connected", flush=True)
    sys.stdin.read()
    del many


def slow():
    """Sends a byte now and then on 100 connections until input ends."""
    many = [Connection() for _ in range(100)]
    text = b'{"method":"io.layerd.List","parameters":{' + b" " * 100000
    print("connected", flush=True)
    for i in range(len(text)):
        if select.select([sys.stdin], [], [], 0.1)[0]:
            return
        for c in many:
            try:
                c.s.send(text[i:i + 1])
            except (BrokenPipeError, ConnectionResetError):
                pass


def deaf():
    """Calls and never reads, on 50 connections until input ends."""
    many = [Connection() for _ in range(50)]
    for c in many:
        c.send_call("io.layerd.LayerEntries", {"layer": "v"}, more=True)
    print("connected", flush=True)
    sys.stdin.read()


globals()[sys.argv[2].replace("-", "_")]()
