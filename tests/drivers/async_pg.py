"""async_pg.py: asyncpg, binary both ways, with its pool."""
import asyncio
import ssl

import asyncpg
from scenarios import DATABASE, HOST, PASSWORD, PORT, SSLMODE, SSLROOTCERT, USER, run_all, same

tls = False if SSLMODE == "disable" else ssl.create_default_context(cafile=SSLROOTCERT or None)
words = dict(host=HOST, port=PORT, user=USER, password=PASSWORD, database=DATABASE, ssl=tls)


def with_connection(f):
    async def run():
        c = await asyncpg.connect(**words)
        try:
            await f(c)
        finally:
            await c.close()
    return lambda: asyncio.run(run())


async def login(c):
    same(await c.fetchval("select current_user::text"), USER)


async def simple(c):
    same(tuple((await c.fetch("select 1, 'zwei', null"))[0]), (1, "zwei", None))
    same(await c.execute("select 1; select 2"), "SELECT 1")


async def params(c):
    same(await c.fetchval("select $1::int + 1", 41), 42)
    same(await c.fetchval("select $1::text", "it's ü"), "it's ü")
    same(await c.fetchval("select $1::text", None), None)


async def prepared(c):
    s = await c.prepare("select $1::int * 2")
    for n in range(7):
        same(await s.fetchval(n), 2 * n)


async def transaction(c):
    await c.execute("delete from driver_rows where driver = 'asyncpg'")
    try:
        async with c.transaction():
            await c.execute("insert into driver_rows values ('asyncpg', 1)")
            raise KeyError
    except KeyError:
        pass
    same(await c.fetchval("select count(*) from driver_rows where driver = 'asyncpg'"), 0)
    async with c.transaction():
        await c.executemany("insert into driver_rows values ('asyncpg', $1)", [(1,), (2,)])
    same(await c.fetchval("select sum(n) from driver_rows where driver = 'asyncpg'"), 3)


async def cursor(c):
    total = 0
    async with c.transaction():
        async for row in c.cursor("select n from generate_series(1, 1000) n", prefetch=100):
            total += row[0]
    same(total, 500500)


async def big(c):
    rows = await c.fetch("select n, repeat('x', 100) from generate_series(1, 50000) n")
    same((len(rows), rows[-1][0]), (50000, 50000))
    same(len(await c.fetchval("select repeat('y', 3000000)")), 3000000)


async def error(c):
    for sql in ("select 1/0", "select nothing from nowhere", "selekt"):
        try:
            await c.fetch(sql)
        except asyncpg.PostgresError:
            pass
        else:
            raise AssertionError(f"{sql} succeeded")
        same(await c.fetchval("select 7"), 7)


async def refused(c):
    try:
        await c.fetch("select * from driver_rows")
    except asyncpg.InsufficientPrivilegeError:
        pass
    else:
        raise AssertionError("was not refused")
    await c.execute("insert into driver_rows values ($1, 1)", "refused")


async def cancel(c):
    try:
        await c.fetch("select pg_sleep(20)", timeout=0.5)
    except asyncio.TimeoutError:
        pass
    else:
        raise AssertionError("was not cancelled")
    same(await c.fetchval("select 8"), 8)


def reconnect():
    async def run():
        for n in range(10):
            c = await asyncpg.connect(**words)
            same(await c.fetchval("select $1::int", n), n)
            await c.close()
    asyncio.run(run())


def two():
    async def run():
        async with asyncpg.create_pool(min_size=2, max_size=2, **words) as pool:
            async def one(tag):
                for n in range(20):
                    async with pool.acquire() as c:
                        same(await c.fetchval(f"select '{tag}' || $1::int", n), f"{tag}{n}")
            await asyncio.gather(one("a"), one("b"))
    asyncio.run(run())


run_all({f.__name__: with_connection(f)
         for f in (login, simple, params, prepared, transaction, cursor, big, error, refused, cancel)}
        | {"reconnect": reconnect, "two": two})
