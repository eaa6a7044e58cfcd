"""sqlalchemy_core.py: SQLAlchemy with sqlalchemy-redshift; before a Redshift on Amazon's driver, else on psycopg2."""
import os

import sqlalchemy as sa
from scenarios import DATABASE, HOST, PASSWORD, PORT, SSLMODE, SSLROOTCERT, USER, run_all, same

ON = os.environ.get("DIALECT", "psycopg2")
arguments = {"sslmode": SSLMODE, "sslrootcert": SSLROOTCERT} if ON == "psycopg2" else {"ssl": True, "sslmode": "verify-full"}
url = sa.URL.create(f"redshift+{ON}", USER, PASSWORD, HOST, PORT, DATABASE)
ROWS = sa.Table("driver_rows", sa.MetaData(), sa.Column("driver", sa.Text), sa.Column("n", sa.Integer))


def engine(size=1):
    return sa.create_engine(url, connect_args=arguments, pool_size=size)


def using(f):
    def run():
        e = engine()
        try:
            with e.connect() as c:
                f(c)
        finally:
            e.dispose()
    return run


def value(c, sql, **args):
    return c.execute(sa.text(sql), args).scalar()


def login(c):
    same(value(c, "select current_user"), USER)


def simple(c):
    same(value(c, "select 'ü€😀'"), "ü€😀")


def params(c):
    same(value(c, "select cast(:n as int) + 1", n=41), 42)
    same(value(c, "select cast(:t as text)", t="it's"), "it's")


def prepared(c):
    for n in range(7):
        same(value(c, "select cast(:n as int) * 2", n=n), 2 * n)


def transaction(c):
    c.execute(ROWS.delete().where(ROWS.c.driver == "sqlalchemy"))
    c.commit()
    c.execute(ROWS.insert(), [{"driver": "sqlalchemy", "n": 1}])
    c.rollback()
    c.execute(ROWS.insert(), [{"driver": "sqlalchemy", "n": n} for n in (1, 2)])
    c.commit()
    same(c.execute(sa.select(sa.func.sum(ROWS.c.n)).where(ROWS.c.driver == "sqlalchemy")).scalar(), 3)


def big(c):
    same(len(c.execute(sa.text("select n, repeat('x', 100) from generate_series(1, 50000) n")).all()), 50000)


def error(c):
    for sql in ("select 1/0", "select nothing from nowhere", "selekt"):
        try:
            value(c, sql)
        except sa.exc.DBAPIError:
            c.rollback()
        else:
            raise AssertionError(f"{sql} succeeded")
        same(value(c, "select 7"), 7)


def refused(c):
    try:
        c.execute(ROWS.select())
    except sa.exc.DBAPIError as e:
        same("denied" in str(e), True)
        c.rollback()
    else:
        raise AssertionError("was not refused")
    c.execute(ROWS.insert(), [{"driver": "refused", "n": 1}])
    c.commit()


def reconnect():
    for n in range(10):
        using(lambda c, n=n: same(value(c, f"select {n}"), n))()


def two():
    e = engine(2)
    with e.connect() as a, e.connect() as b:
        for n in range(20):
            same(value(a, "select 'a' || cast(:n as int)", n=n), f"a{n}")
            a.commit()
            same(value(b, "select 'b' || cast(:n as int)", n=n), f"b{n}")
            b.commit()
    e.dispose()


run_all({f.__name__: using(f) for f in (login, simple, params, prepared, transaction, big, error, refused)}
        | {"reconnect": reconnect, "two": two})
