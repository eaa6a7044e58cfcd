"""awswrangler_redshift.py: AWS SDK for pandas, on redshift_connector."""
import awswrangler as wr
import redshift_connector
from scenarios import DATABASE, HOST, PASSWORD, PORT, USER, run_all, same


def using(f):
    def run():
        with redshift_connector.connect(host=HOST, port=PORT, user=USER, password=PASSWORD, database=DATABASE,
                                        ssl=True, sslmode="verify-full") as c:
            f(c)
    return run


def login(c):
    same(wr.redshift.read_sql_query("select current_user as u", con=c)["u"][0], USER)


def params(c):
    same(int(wr.redshift.read_sql_query("select cast(%s as int) + 1 as n", con=c, params=[41])["n"][0]), 42)


def prepared(c):
    for n in range(7):
        same(int(wr.redshift.read_sql_query("select cast(%s as int) * 2 as n", con=c, params=[n])["n"][0]), 2 * n)


def big(c):
    same(len(wr.redshift.read_sql_query("select n, repeat('x', 100) as x from generate_series(1, 50000) n", con=c)), 50000)


run_all({f.__name__: using(f) for f in (login, params, prepared, big)})
