#!/usr/bin/env python3
"""storm.py PORT USER DATABASE CLIENTS [SECONDS]: that many clients log in at once, and ask one thing.

With SECONDS each goes on asking, and leaves and comes back, for so long. Says "N answers, M failures", and
the first failure. Plain, trusted: loopback only.
"""
import asyncio
import collections
import resource
import struct
import sys
import time

PORT, USER, DATABASE, CLIENTS = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
SECONDS = float(sys.argv[5]) if len(sys.argv) > 5 else 0
answers, failures = 0, collections.Counter()


async def message(reader):
    kind, length = struct.unpack("!cI", await reader.readexactly(5))
    return kind, await reader.readexactly(length - 4)


async def until_ready(reader):
    rows = 0
    while True:
        kind, body = await message(reader)
        if kind == b"E":
            fields = {f[:1]: f[1:].decode() for f in body.split(b"\0") if f}
            raise RuntimeError(f"{fields.get(b'C')} {fields.get(b'M')}")
        rows += kind == b"D"
        if kind == b"Z":
            return rows


async def session(until):
    global answers
    body = struct.pack("!I", 196608) + b"user\0" + USER.encode() + b"\0database\0" + DATABASE.encode() + b"\0\0"
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    writer.write(struct.pack("!I", len(body) + 4) + body)
    await until_ready(reader)
    for _ in range(20):
        sql = b"select current_user\0"
        writer.write(b"Q" + struct.pack("!I", len(sql) + 4) + sql)
        rows = await until_ready(reader)
        answers += rows
        if time.monotonic() > until:
            break
        await asyncio.sleep(0.02)
    writer.write(b"X\0\0\0\4")
    writer.close()


async def client(until):
    while True:
        try:
            await session(until)
        except (OSError, RuntimeError, asyncio.IncompleteReadError) as why:
            failures[str(why) or type(why).__name__] += 1
        if time.monotonic() > until:
            return


async def storm():
    until = time.monotonic() + SECONDS
    await asyncio.gather(*(client(until) for _ in range(CLIENTS)))


resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
asyncio.run(storm())
print(f"{answers} answers, {sum(failures.values())} failures {dict(failures.most_common(1)) or ''}")
sys.exit(bool(failures))
