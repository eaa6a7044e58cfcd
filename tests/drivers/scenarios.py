"""scenarios: runs a driver's scenarios one after the other and says `ok NAME`, `not ok NAME - why`,
or `ok NAME # SKIP why`. SCENARIOS=a,b chooses (`refused`
runs only when chosen: it needs a user that may insert and nothing else)."""
import os
import sys
import traceback

HOST = os.environ.get("PGHOST", "localhost")
PORT = int(os.environ.get("PGPORT", "5439"))
USER = os.environ.get("PGUSER", "postgres")
PASSWORD = os.environ.get("PGPASSWORD", "")
DATABASE = os.environ.get("PGDATABASE", "postgres")
SSLMODE = os.environ.get("PGSSLMODE", "disable")
SSLROOTCERT = os.environ.get("PGSSLROOTCERT", "")


class Skip(Exception):
    pass


def same(got, want):
    if got != want:
        raise AssertionError(f"got {str(got)[:200]}, wanted {str(want)[:200]}")


def verdict(name, run):
    """True when it held."""
    try:
        run()
        print(f"ok {name}", flush=True)
    except Skip as why:
        print(f"ok {name} # SKIP {why}", flush=True)
    except Exception as e:
        if os.environ.get("VERBOSE"):
            traceback.print_exc()
        print(f"not ok {name} - {type(e).__name__}: {' '.join(str(e).split())[:300]}", flush=True)
        return False
    return True


def run_all(scenarios):
    chosen = [w for w in os.environ.get("SCENARIOS", "").split(",") if w]
    results = [verdict(n, f) for n, f in scenarios.items() if (n in chosen if chosen else n != "refused")]
    sys.exit(0 if all(results) else 1)
