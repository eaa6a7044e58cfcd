"""dbapi.py DRIVER: psycopg2, psycopg3, redshift_connector or psqlodbc, by Python's common interface."""
import sys
import threading
import time

from scenarios import DATABASE, HOST, PASSWORD, PORT, SSLMODE, SSLROOTCERT, USER, Skip, run_all, same

driver = sys.argv[1]
P = "%s"

if driver == "psycopg2":
    import psycopg2 as api

    def connect():
        return api.connect("")  # libpq reads the environment

elif driver == "psycopg3":
    import psycopg as api

    def connect():
        return api.connect("")

elif driver == "redshift_connector":
    import redshift_connector as api

    def connect():
        return api.connect(host=HOST, port=PORT, user=USER, password=PASSWORD, database=DATABASE,
                           ssl=SSLMODE != "disable",
                           sslmode=SSLMODE if SSLMODE == "verify-full" else "verify-ca")

else:
    import pyodbc as api

    P = "?"

    def connect():
        return api.connect(f"Driver=PostgreSQL Unicode;Server={HOST};Port={PORT};Uid={USER};Pwd={PASSWORD};"
                           f"Database={DATABASE};SSLmode={SSLMODE};Pqopt={{sslrootcert={SSLROOTCERT}}};"
                           "Protocol=7.4-0;UseDeclareFetch=0;UseServerSidePrepare=1")


def ask(c, sql, *args):
    k = c.cursor()
    if driver == "psqlodbc":
        k.execute(sql, *args)
    elif args:
        k.execute(sql, args)
    else:
        k.execute(sql)
    rows = [tuple(r) for r in k.fetchall()] if k.description else None
    k.close()
    return rows


def with_connection(f):
    def run():
        c = connect()
        try:
            f(c)
        finally:
            c.close()
    return run


def login(c):
    same(ask(c, "select current_user")[0][0], USER.split(":")[-1])


def simple(c):
    same(ask(c, "select 1, 'zwei', null"), [(1, "zwei", None)])
    same(ask(c, "select 'ü€😀'"), [("ü€😀",)])


def params(c):
    text = "it's \\ \"quoted\" %s ? $1 ü"
    same(ask(c, f"select cast({P} as int) + 1, cast({P} as text)", 41, text), [(42, text)])
    same(ask(c, f"select cast({P} as text)", None), [(None,)])


def prepared(c):
    for n in range(7):
        same(ask(c, f"select cast({P} as int) * 2", n), [(2 * n,)])


def transaction(c):
    ask(c, f"delete from driver_rows where driver = {P}", driver)
    c.commit()
    ask(c, f"insert into driver_rows values ({P}, 1)", driver)
    c.rollback()
    same(ask(c, f"select count(*) from driver_rows where driver = {P}", driver), [(0,)])
    ask(c, f"insert into driver_rows values ({P}, 1)", driver)
    ask(c, f"insert into driver_rows values ({P}, 2)", driver)
    c.commit()
    same(ask(c, f"select sum(n) from driver_rows where driver = {P}", driver), [(3,)])
    c.commit()


def cursor(c):
    if driver == "psycopg2" or driver == "psycopg3":
        k = c.cursor("rows")
        k.execute("select n from generate_series(1, 1000) n")
    else:
        ask(c, "declare rows cursor for select n from generate_series(1, 1000) n")
        k = c.cursor()
    total = 0
    while True:
        if driver in ("psycopg2", "psycopg3"):
            some = k.fetchmany(100)
        else:
            k.execute("fetch 100 from rows")
            some = k.fetchall()
        if not some:
            break
        total += sum(r[0] for r in some)
    same(total, 500500)
    k.close()
    c.rollback()


def big(c):
    rows = ask(c, "select n, repeat('x', 100) from generate_series(1, 50000) n")
    same((len(rows), rows[-1][0], len(rows[-1][1])), (50000, 50000, 100))
    same(len(ask(c, "select repeat('y', 3000000)")[0][0]), 3000000)


def error(c):
    for sql in ("select 1/0", "select nothing from nowhere", "selekt"):
        try:
            ask(c, sql)
        except api.Error:
            c.rollback()
        else:
            raise AssertionError(f"{sql} succeeded")
        same(ask(c, "select 7"), [(7,)])
        c.rollback()


def refused(c):
    try:
        ask(c, "select * from driver_rows")
    except api.Error as e:
        same("denied" in str(e), True)
        c.rollback()
    else:
        raise AssertionError("was not refused")
    ask(c, f"insert into driver_rows values ({P}, 1)", "refused")
    c.commit()


def cancel(c):
    if driver == "redshift_connector":
        raise Skip("the driver cannot")
    k = c.cursor()
    threading.Timer(0.5, k.cancel if driver == "psqlodbc" else c.cancel).start()
    since = time.monotonic()
    try:
        k.execute("select pg_sleep(20)")
    except api.Error as e:
        if "cancel" not in str(e):
            raise
    else:
        raise AssertionError("was not cancelled")
    same(time.monotonic() - since < 10, True)
    c.rollback()
    same(ask(c, "select 8"), [(8,)])


def reconnect():
    for n in range(10):
        c = connect()
        same(ask(c, f"select {n}"), [(n,)])
        c.close()


def two():
    a, b = connect(), connect()
    a.autocommit = b.autocommit = True
    for n in range(20):
        same(ask(a, f"select 'a', cast({P} as int)", n), [("a", n)])
        same(ask(b, f"select 'b', cast({P} as text)", str(n)), [("b", str(n))])
    a.close()
    same(ask(b, f"select 'b', cast({P} as text)", "after"), [("b", "after")])
    b.close()


run_all({f.__name__: with_connection(f)
         for f in (login, simple, params, prepared, transaction, cursor, big, error, refused, cancel)}
        | {"reconnect": reconnect, "two": two})
