"""fleet_client.py: a client that sends cancel requests wherever it is told to; libpq sends them home only.

  cancel HOME ASK N             N times: a statement through HOME, its cancel to ASK, which must close
                                that connection; prints how many were cancelled. Each is a PORT, or
                                PORT@PID: in the network namespace of that process
  wrong ASK_PORT N              N cancels with keys that are nobody's; prints how many were closed
"""
import ctypes
import os
import socket
import struct
import sys


CLONE_NEWNET = 0x40000000


def enter(namespace):
    if ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def connect(where):
    port, _, process = where.partition("@")
    here = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        if process:  # a socket stays in the namespace that it was made in
            there = os.open("/proc/%s/ns/net" % process, os.O_RDONLY)
            enter(there)
            os.close(there)
        return socket.create_connection(("127.0.0.1", int(port)), timeout=20)
    finally:
        if process:
            enter(here)
        os.close(here)


def message(stream):
    kind = stream.read(1)
    if not kind:
        return None, b""
    return kind, stream.read(struct.unpack("!i", stream.read(4))[0] - 4)


def log_in(port):
    s = connect(port)
    body = struct.pack("!i", 196608) + b"user\0app\0database\0x\0\0"
    s.sendall(struct.pack("!i", len(body) + 4) + body)
    stream, key = s.makefile("rb"), None
    while True:
        kind, body = message(stream)
        if kind == b"K":
            key = body
        if kind == b"E" or kind is None:
            sys.exit("no login: %r" % body)
        if kind == b"Z":
            return s, stream, key


def ask(port, key):
    """Returns when the proxy has closed the connection."""
    with connect(port) as s:
        s.sendall(struct.pack("!ii", 16, 80877102) + key)
        return s.recv(1) == b""


def cancelled(session, port):
    s, stream, key = session
    text = b"select pg_sleep(20)\0"
    s.sendall(b"Q" + struct.pack("!i", len(text) + 4) + text)
    # The statement may still be on its way to its server; then there is nothing to be cancelled.
    s.settimeout(0.2)
    for _ in range(50):
        ask(port, key)
        try:
            if s.recv(1, socket.MSG_PEEK):
                break
        except TimeoutError:
            continue
    s.settimeout(20)
    said = b""
    while True:
        kind, body = message(stream)
        if kind is None:
            sys.exit("the session was lost")
        if kind == b"E":
            said = body
        if kind == b"Z":
            return b"C57014\0" in said


if sys.argv[1] == "cancel":
    session = log_in(sys.argv[2])
    print(sum(cancelled(session, sys.argv[3]) for _ in range(int(sys.argv[4]))))
else:
    keys = [b"\x12\x34" + os.urandom(6) for _ in range(int(sys.argv[3]))]
    # At once: each waits for the others to say that it is theirs.
    open_ = []
    for key in keys:
        s = connect(sys.argv[2])
        s.sendall(struct.pack("!ii", 16, 80877102) + key)
        open_.append(s)
    print(sum(s.recv(1) == b"" for s in open_))
