#!/usr/bin/env python3
"""flood.py KIND ADMIN_PORT HEALTH_PORT SECONDS: one kind of nuisance on loopback; says at the end how much it did."""
import base64
import socket
import ssl
import sys
import threading
import time

KIND, ADMIN, HEALTH, END = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), time.time() + float(sys.argv[4])
MANY = 200
THREADS = 32
trusting = ssl.create_default_context()
trusting.check_hostname = False
trusting.verify_mode = ssl.CERT_NONE


def connect(port, tls, at=0):
    s = socket.socket()
    s.settimeout(2)
    s.bind((f"127.0.{at // 200}.{at % 200 + 2}", 0))  # from many addresses
    s.connect(("127.0.0.1", port))
    return trusting.wrap_socket(s) if tls else s


def swarm(step, port, tls):
    """Keeps MANY connections, each fed by `step`; whoever is closed comes again."""
    open_ones, opened, closed, n = [], 0, 0, 0
    while time.time() < END:
        while len(open_ones) < MANY and time.time() < END:
            try:
                open_ones.append([connect(port, tls, opened), 0])
            except OSError:
                closed += 1
                time.sleep(0.002)
            opened += 1
            if opened % 20 == 0:
                break
        for one in list(open_ones):
            try:
                step(one)
                n += 1
            except OSError:
                one[0].close()
                open_ones.remove(one)
                closed += 1
        time.sleep(0.02)
    print(f"{opened} connections, {closed} refused or closed, {n} pieces")


def silent(one):
    one[0].setblocking(False)
    try:
        if one[0].recv(1) == b"":
            raise OSError
    except (BlockingIOError, ssl.SSLWantReadError):
        pass


def slow_heads(one):
    head = b"GET /livez HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100000
    one[0].sendall(head[one[1]:one[1] + 1])
    one[1] += 1


def huge_bodies(one):
    if one[1] == 0:
        one[0].sendall(b"POST /api/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 100000000\r\n\r\n")
    one[0].sendall(b"x" * 16384)
    one[1] += 1


def once(request, port, tls):
    done = []  # of each thread: requests, and those without an answer

    def ask(first):
        n, bad = first, 0
        while time.time() < END:
            try:
                with connect(port, tls, n) as s:
                    s.sendall(request(n))
                    while s.recv(65536):
                        pass
            except OSError:
                bad += 1
            n += THREADS
        done.append(((n - first) // THREADS, bad))

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(THREADS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print(f"{sum(d[0] for d in done)} requests, {sum(d[1] for d in done)} not answered")


def login(n):
    who = base64.b64encode(b"ops:wrong%d" % n).decode()
    return f"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAuthorization: Basic {who}\r\n\r\n".encode()


{"silent": lambda: swarm(silent, ADMIN, False),
 "slow-heads": lambda: swarm(slow_heads, HEALTH, False),
 "huge-bodies": lambda: swarm(huge_bodies, ADMIN, True),
 "wrong-logins": lambda: once(login, ADMIN, True),
 "floods-of-health": lambda: once(lambda n: b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", HEALTH, False)}[KIND]()
