#!/usr/bin/env python3
"""Sluice beside the distribution's pgbouncer, a bare relay and no proxy at all.

    make bench                          everything, in about ten minutes
    BENCH_TESTS=simple,connect-tls      only these tests (^ and $ are thought around each)
    BENCH_MODES=session                 or transaction (default: both)
    BENCH_SECS=2 BENCH_REPS=5           how long and how often each is measured
    BENCH_RESULTS=FILE                  what is in this file counts as well, and all is put into it: so a
                                        long bench can be made in parts
    BENCH_GATES=1                       exit status 1 when a gate is missed

All contenders run at the same time and are measured in turns (A B C D, D C B A, ...), so that drift of
the machine hits all alike; the proxies on core 0, load and server on core 1. The server answers at once
(nullpg.c), so that the proxy is what is measured. CPU time is the proxy's own, all threads, from
/proc/PID/task/*/schedstat. The number to compare is the ratio of two contenders in the same repetition:
its median is what a gate is held against, the quartiles are its spread. What is printed: proxy CPU per
request, throughput, and the gates of the project.
"""
import json, os, pwd, re, shutil, signal, socket, statistics, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("SLUICE_BUILD", os.path.join(ROOT, "build"))
SECS = float(os.environ.get("BENCH_SECS", "1"))
REPS = int(os.environ.get("BENCH_REPS", "5"))
ONLY = [w for w in os.environ.get("BENCH_TESTS", "").split(",") if w]
MODES = [w for w in os.environ.get("BENCH_MODES", "session,transaction").split(",") if w]
FIRST_PORT, LAST_PORT = map(int, os.environ.get("SLUICE_TEST_PORTS", "27000-31999").split("-"))
BULK = "SELECT repeat('x', 1000) FROM generate_series(1, %d)"
ROW = "INSERT INTO public.events (id, name, at) VALUES (17, 'click', '2026-11-21 08:30:00')"
USER = "postgres"
ONCE = ("bytes/client", "calls/request", "MiB")

# name, load's arguments, unit; `needs`: what a contender must be able to do; `who`: only these; `pairs`: so
# many times as many repetitions, where the difference to be seen is small
TESTS = [
    dict(name="simple", args="-m simple -c 100", unit="us/request"),
    dict(name="extended", args="-m extended -c 100", unit="us/request"),
    dict(name="prepared", args="-m prepared -c 100", unit="us/request", needs="prepared"),
    dict(name="pipelined", args="-m extended -c 10 -d 10", unit="us/request"),
    dict(name="simple-2-workers", args="-m simple -c 100", unit="us/request", modes=["transaction"],
         who=["sluice", "sluice-2-workers"], pairs=2),
    dict(name="insert-row", args=["-m", "simple", "-c", "100", "-q", ROW], unit="us/request", modes=["transaction"],
         who=["sluice", "sluice-insert-only"], pairs=3),
    dict(name="result-1GB", args=["-m", "simple", "-n", "1", "-q", BULK % 1000000], unit="MB/s", of="received"),
    dict(name="insert-1MB", args="-m insert -n 1000", unit="MB/s", of="sent",
         who=["direct", "relay", "pgbouncer", "sluice", "sluice-insert-only"]),
    dict(name="connect", args="-m connect -c 20", unit="us/connect", modes=["session"]),
    dict(name="connect-tls", args="-m connect -c 20 -s", unit="us/connect", needs="tls", modes=["session"], pairs=2),
    dict(name="connect-tls-resumed", args="-m connect -c 20 -r", unit="us/connect", needs="tls", modes=["session"],
         pairs=2),
    dict(name="idle", args="-m hold", unit="bytes/client", modes=["transaction"], clients=dict(transaction=10000)),
    dict(name="idle-with-server", args="-m simple", unit="bytes/client", modes=["session"], who=["pgbouncer", "sluice"],
         clients=dict(session=4000)),
    dict(name="idle-tls", args="-m hold -s", unit="bytes/client", needs="tls", modes=["transaction"],
         clients=dict(transaction=10000)),
    dict(name="stalled-200", args=["-m", "stall", "-c", "200", "-q", BULK % 300000], unit="MiB", modes=["session"],
         who=["pgbouncer", "sluice"]),
    dict(name="syscalls", args="-m simple -c 100 -n 20000", unit="calls/request"),
]

# mode, test, measure, "at most" or "at least", factor, of whom (None: the number itself), who (None: sluice)
GATES = [
    ("session", "simple", "cpu", "<=", 1.25, "relay", None),
    ("session", "simple", "cpu", "<=", 0.85, "pgbouncer", None),
    ("session", "extended", "cpu", "<=", 1.35, "relay", None),
    ("session", "syscalls", "calls", "<=", 4.3, None, None),
    ("session", "result-1GB", "rate", ">=", 0.85, "relay", None),
    ("session", "insert-1MB", "rate", ">=", 0.85, "relay", None),
    ("session", "connect", "cpu", "<=", 1.0, "pgbouncer", None),
    ("session", "connect-tls", "cpu", "<=", 1.0, "pgbouncer", None),
    ("session", "connect-tls-resumed", "cpu", "<=", 1.0, "pgbouncer", None),
    ("session", "stalled-200", "mib", "<=", 64, None, None),
    ("transaction", "simple", "cpu", "<=", 1.25, "relay", None),
    ("transaction", "extended", "cpu", "<=", 1.35, "relay", None),
    ("transaction", "prepared", "cpu", "<=", 1.45, "relay", None),
    ("transaction", "pipelined", "cpu", "<=", 1.25, "relay", None),
    ("transaction", "syscalls", "calls", "<=", 4.3, None, None),
    ("transaction", "simple-2-workers", "cpu", "<=", 1.1, "sluice", "sluice-2-workers"),
    ("transaction", "insert-1MB", "rate", ">=", 0.4, "relay", "sluice-insert-only"),
    ("transaction", "idle", "bytes", "<=", 1200, None, None),
    ("transaction", "idle-tls", "bytes", "<=", 18000, None, None),
]


# ---- processes ------------------------------------------------------------------------------------
CORES = sorted(os.sched_getaffinity(0))
PROXY_CORE, OTHER_CORE = (CORES[0], CORES[1]) if len(CORES) > 1 else (None, None)


class Place:
    """A directory and the processes started in it; all gone at the end."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="sluice-bench.")
        os.chmod(self.dir, 0o755)
        self.processes = []
        self.port = FIRST_PORT + os.getpid() % max(1, LAST_PORT - FIRST_PORT - 40)

    def free_port(self):
        while True:
            self.port += 1
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", self.port)):
                    return self.port

    def start(self, name, argv, core, unprivileged=False, **more):
        def before_exec():
            os.setpgid(0, 0)
            if core is not None:
                os.sched_setaffinity(0, {core})
            if unprivileged and os.geteuid() == 0:
                who = pwd.getpwnam(USER)
                os.initgroups(USER, who.pw_gid)
                os.setgid(who.pw_gid)
                os.setuid(who.pw_uid)
        log = open(os.path.join(self.dir, name + ".log"), "ab")
        more.setdefault("stdin", subprocess.DEVNULL)
        more.setdefault("stdout", log)
        p = subprocess.Popen(argv, preexec_fn=before_exec, cwd=self.dir, stderr=log, **more)
        self.processes.append(p)
        return p

    def stop(self, p):
        for how, wait in ((signal.SIGTERM, 2), (signal.SIGKILL, 5)):
            if p.poll() is None:
                p.send_signal(how)
                try:
                    p.wait(wait)
                except subprocess.TimeoutExpired:
                    pass
        self.processes.remove(p)

    def wait_port(self, port, p, name):
        for _ in range(500):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", port)) == 0:
                    return
            if p.poll() is not None:
                break
            time.sleep(0.02)
        raise RuntimeError(f"{name} did not start:\n{self.log_end(name)}")

    def log_end(self, name):
        with open(os.path.join(self.dir, name + ".log"), errors="replace") as f:
            return f.read()[-2000:]

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w") as f:
            f.write(text)
        return path

    def hand_over(self):
        if os.geteuid() == 0:
            who = pwd.getpwnam(USER)
            for base, _, names in os.walk(self.dir):
                for n in [base] + [os.path.join(base, n) for n in names]:
                    os.chown(n, who.pw_uid, who.pw_gid)

    def close(self):
        for p in reversed(list(self.processes)):
            self.stop(p)
        shutil.rmtree(self.dir, ignore_errors=True)


def cpu_seconds(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat") as f:
            total += int(f.read().split()[0])
    return total / 1e9


def user_seconds(pid):
    """Of all threads, also past ones; the kernel counts in ticks, and scales them to the exact sum."""
    with open(f"/proc/{pid}/stat") as f:
        return int(f.read().rsplit(")", 1)[1].split()[11]) / os.sysconf("SC_CLK_TCK")


def pss_bytes(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M).group(1)) * 1024


# ---- contenders -------------------------------------------------------------------------------------
class Contender:
    can = {"prepared"}
    process = None
    more_args = []

    def __init__(self, place, server_port):
        self.place, self.server_port = place, server_port

    def has(self, test, mode):
        return test.get("needs", "prepared") in self.can and self.name in test.get("who", ORDINARY)

    def start(self, mode):
        self.port = self.place.free_port()
        argv = self.command(mode)
        self.place.hand_over()
        self.process = self.place.start(self.name, argv, PROXY_CORE, unprivileged=True)
        self.place.wait_port(self.port, self.process, self.name)

    def stop(self):
        if self.process:
            self.place.stop(self.process)
            self.process = None

    def cpu(self):
        return cpu_seconds(self.process.pid) if self.process else 0.0

    def user_cpu(self):
        return user_seconds(self.process.pid) if self.process else 0.0


class Direct(Contender):
    name = "direct"

    def has(self, test, mode):
        return super().has(test, mode) and test.get("needs") != "tls" and test["unit"] not in ONCE

    def start(self, mode):
        self.port = self.server_port


class Relay(Contender):
    name = "relay"

    def has(self, test, mode):
        # one server per client: ten thousand do not fit into a machine's descriptors
        return super().has(test, mode) and test["name"] not in ("idle", "idle-tls")

    def command(self, mode):
        return [os.path.join(BUILD, "bench/relay"), str(self.port), str(self.server_port)]


class PgBouncer(Contender):
    name, can = "pgbouncer", {"prepared", "tls"}
    path = shutil.which("pgbouncer", path=os.environ["PATH"] + ":/usr/sbin")

    def has(self, test, mode):
        # In session mode an idle client has no server yet; Debian's 1.18 has no prepared statements across servers.
        if (mode, test["name"]) == ("transaction", "prepared"):
            return False
        return super().has(test, mode)

    def command(self, mode):
        self.place.write("users.txt", '"postgres" ""\n')
        d = self.place.dir
        return [self.path, "-q", self.place.write(f"pgbouncer-{mode}.ini", f"""
[databases]
* = host=127.0.0.1 port={self.server_port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = trust
auth_file = {d}/users.txt
pool_mode = {mode}
default_pool_size = {POOL[mode]}
max_client_conn = 12000
client_tls_sslmode = allow
client_tls_cert_file = {d}/certs/server.crt
client_tls_key_file = {d}/certs/server.key
log_connections = 0
log_disconnections = 0
log_stats = 0
""")]


class Sluice(Contender):
    name, can, workers = "sluice", {"prepared", "tls"}, 1

    def command(self, mode):
        binary = os.path.join(self.place.dir, "sluice")
        if not os.path.exists(binary):
            shutil.copy(os.path.join(BUILD, "sluice"), binary)
        config = {
            "server_id": "bench",
            "workers": self.workers,
            "listen": [{"address": f"127.0.0.1:{self.port}",
                        "tls": {"mode": "prefer", "certificate": "certs/server.crt", "key": "file:certs/server.key"}}],
            "clusters": {"null": {"endpoint": f"127.0.0.1:{self.server_port}", "tls": {"mode": "disable"},
                                  "credentials": {"source": "static", "users": {"postgres": "env:BENCH_PASSWORD"}},
                                  "max_connections": POOL[mode] + 100}},
            "users": {"postgres": {"auth": ["trust"], "role": "owner", "db_user": "postgres"},
                      "loader": {"auth": ["trust"], "role": "loader", "db_user": "postgres"}},
            "roles": {"owner": {"grants": [{"verbs": ["ALL"], "on": ["*"]}]},
                      # (the null server cannot say what its user may do)
                      "loader": {"insert_only": ["public.events", "public.bulk"], "excess_privilege": "warn"}},
            "access": [{"from": "127.0.0.1/32", "users": ["*"]}],
            "limits": {"clients": 12000},
            "pool": {"mode": mode, "size": POOL[mode]},
            "routes": {"source": "file:routes.json"},
            "log": {"level": "error"},
        }
        self.place.write("routes.json", json.dumps({"version": 1, "rules": [{"id": "all", "to": "null"}]}))
        os.environ["BENCH_PASSWORD"] = "none"
        return [binary, "run", "--config",
                self.place.write(f"{self.name}-{mode}.json", json.dumps(config, indent=2))]


class SluiceTwo(Sluice):
    name, workers = "sluice-2-workers", 2


class SluiceInsertOnly(Contender):
    """The same process, and a user who may only INSERT."""
    name, more_args = "sluice-insert-only", ["-U", "loader"]
    other = None

    def start(self, mode):
        self.port, self.process = self.other.port, self.other.process

    def stop(self):
        self.process = None


ORDINARY = ["direct", "relay", "pgbouncer", "sluice"]
POOL = {"session": 4100, "transaction": 20}


# ---- measuring --------------------------------------------------------------------------------------
class Load:
    """The load generator: it stops where the clocks are to be read."""

    def __init__(self, place, port, args):
        argv = [os.path.join(BUILD, "bench/load"), "-p", str(port)]
        argv += args if isinstance(args, list) else args.split()
        self.place = place
        self.p = place.start("load", argv, OTHER_CORE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.p.stdout.readline()
        if line.strip() != "READY":
            self.end()
            raise RuntimeError("load: " + (line.strip() or "nothing said"))

    def go(self):
        self.p.stdin.write("go\n")
        self.p.stdin.flush()
        answer = json.loads(self.p.stdout.readline() or '{"errors": 1, "error": "died"}')
        if answer["errors"]:
            self.end()
            raise RuntimeError(f"load: {answer['errors']} errors: {answer['error']}")
        return answer

    def end(self):
        self.p.stdin.close()
        try:
            self.p.wait(20)
        except subprocess.TimeoutExpired:
            pass
        self.place.stop(self.p)


def arguments(test, contender):
    return (test["args"] if isinstance(test["args"], list) else test["args"].split()) + contender.more_args


def measure_load(place, contender, test):
    timed = [] if "-n" in test["args"] else ["-t", str(SECS)]
    load = Load(place, contender.port, arguments(test, contender) + timed)
    before, user_before = contender.cpu(), contender.user_cpu()
    r = load.go()
    cpu, user = contender.cpu() - before, contender.user_cpu() - user_before
    load.end()
    row = {"p50": r["p50_us"], "p99": r["p99_us"]}
    if test.get("of"):
        row["rate"] = r[test["of"]] / 1e6 / r["seconds"]
        row["cpu"] = cpu / (r[test["of"]] / 1e9)  # seconds per GB
    else:
        row["rate"] = r["requests"] / r["seconds"]
        row["cpu"] = cpu / r["requests"] * 1e6
        row["user"] = user / r["requests"] * 1e6
    if test["name"].endswith("resumed"):
        row["resumed"] = r["resumed"] / r["requests"]
    return row


def measure_stalled(place, contender, test, mode):
    contender.stop()
    contender.start(mode)
    warm = Load(place, contender.port, "-m simple -c 200 -n 400")
    warm.go()
    warm.end()
    time.sleep(0.3)
    before = pss_bytes(contender.process.pid)
    load = Load(place, contender.port, arguments(test, contender))
    load.go()
    after = pss_bytes(contender.process.pid)
    load.end()
    contender.stop()
    contender.start(mode)
    return {"mib": (after - before) / 2**20}


def measure_idle(place, contender, test, mode):
    clients = test["clients"][mode]
    contender.stop()  # memory is measured on a fresh process
    contender.start(mode)
    warm = Load(place, contender.port, test["args"].replace("hold", "simple") + " -c 20 -n 200")
    warm.go()
    warm.end()
    time.sleep(0.3)
    before = pss_bytes(contender.process.pid)
    load = Load(place, contender.port, f"{test['args']} -c {clients} -n {clients}")
    load.go()  # (each asks once, where it is to have a server)
    time.sleep(0.5)
    after = pss_bytes(contender.process.pid)
    load.end()
    contender.stop()
    contender.start(mode)
    return {"bytes": (after - before) / clients}


def measure_syscalls(place, contender, test):
    load = Load(place, contender.port, test["args"])
    out = os.path.join(place.dir, "strace.out")
    log = os.path.join(place.dir, f"strace-{contender.name}.log")
    open(log, "w").close()
    tracer = place.start(f"strace-{contender.name}", ["strace", "-c", "-f", "-o", out, "-p", str(contender.process.pid)], None)
    for _ in range(200):
        with open(log) as f:
            if "attached" in f.read():
                break
        time.sleep(0.02)
    time.sleep(0.2)
    r = load.go()
    tracer.send_signal(signal.SIGINT)
    tracer.wait(10)
    place.processes.remove(tracer)
    load.end()
    with open(out) as f:
        text = f.read()
    total = re.search(r"^\s*100\.00\s+\S+\s+\S+\s+(\d+).*total\s*$", text, re.M)
    if not total:
        raise RuntimeError("strace: " + text[-200:])
    return {"calls": int(total.group(1)) / r["requests"]}


def measure(place, contender, test, mode):
    if test["unit"] == "MiB":
        return measure_stalled(place, contender, test, mode)
    if test["unit"] == "bytes/client":
        return measure_idle(place, contender, test, mode)
    if test["unit"] == "calls/request":
        return measure_syscalls(place, contender, test)
    return measure_load(place, contender, test)


def is_wanted(test, mode):
    return mode in test.get("modes", [mode]) and (not ONLY or any(re.fullmatch(w, test["name"]) for w in ONLY))


def repeat(place, contenders, mode, test, results):
    reps = 1 if test["unit"] in ONCE else REPS * test.get("pairs", 1)
    for rep in range(reps):
        for c in contenders if rep % 2 == 0 else reversed(contenders):
            rows = results.setdefault("/".join((mode, test["name"], c.name)), [])
            try:
                rows.append(measure(place, c, test, mode))
            except (RuntimeError, OSError, ValueError) as e:
                rows.append({"error": str(e)})
                print(f"{mode} {test['name']} {c.name}: {e}", file=sys.stderr)
                if c.process and c.process.poll() is not None:
                    print(f"{c.name} ended with {c.process.returncode}:\n{place.log_end(c.name)}", file=sys.stderr)
                    place.processes.remove(c.process)
                    c.start(mode)


def run(place, results):
    """Adds to {mode/test/contender: [row, ...]}."""
    server_port = place.free_port()
    server = place.start("nullpg", [os.path.join(BUILD, "bench/nullpg"), str(server_port)], OTHER_CORE)
    place.wait_port(server_port, server, "nullpg")
    subprocess.run([os.path.join(ROOT, "tests/support/certs.sh"), os.path.join(place.dir, "certs")], check=True)
    kinds = [Direct, Relay]
    if PgBouncer.path:
        kinds.append(PgBouncer)
    if os.path.exists(os.path.join(BUILD, "sluice")):
        kinds += [Sluice, SluiceTwo, SluiceInsertOnly]
    for mode in MODES:
        tests = [t for t in TESTS if is_wanted(t, mode)]
        contenders = [k(place, server_port) for k in kinds]
        contenders = [c for c in contenders if any(c.has(t, mode) for t in tests)]
        for c in contenders:
            if isinstance(c, SluiceInsertOnly):
                c.other = next(o for o in contenders if o.name == "sluice")
            c.start(mode)
        for test in tests:
            repeat(place, [c for c in contenders if c.has(test, mode)], mode, test, results)
            for c in contenders:
                if isinstance(c, SluiceInsertOnly):
                    c.start(mode)  # the other may have been started anew
            show_row(results, mode, test)
        for c in contenders:
            c.stop()


# ---- telling ----------------------------------------------------------------------------------------
def rows_of(results, mode, test, contender):
    return results.get("/".join((mode, test, contender)), [])


def median(results, mode, test, contender, what):
    rows = [r[what] for r in rows_of(results, mode, test, contender) if what in r]
    return statistics.median(rows) if rows else None


def in_pairs(results, mode, test, what, who, of, how):
    """how(who's, of's) of each repetition."""
    pairs = zip(rows_of(results, mode, test, who), rows_of(results, mode, test, of))
    return [how(a[what], b[what]) for a, b in pairs if what in a and what in b]


def ratios(results, mode, test, what, who, of):
    if of is None:
        return [r[what] for r in rows_of(results, mode, test, who) if what in r]
    return in_pairs(results, mode, test, what, who, of, lambda a, b: a / b)


def quartiles(values):
    if len(values) < 3:
        return min(values), max(values)
    q = statistics.quantiles(values, n=4, method="inclusive")
    return q[0], q[2]


def names(results):
    order = ["direct", "relay", "pgbouncer", "sluice", "sluice-insert-only", "sluice-2-workers"]
    return [n for n in order if any(k.endswith("/" + n) for k in results)]


def cell(results, mode, test, contender):
    rows = rows_of(results, mode, test["name"], contender)
    if not rows:
        return ""
    get = lambda what: median(results, mode, test["name"], contender, what)
    if all("error" in r for r in rows):
        return "failed"
    if get("mib") is not None:
        return f"{get('mib'):.0f}"
    if get("bytes") is not None:
        return f"{get('bytes'):,.0f}"
    if get("calls") is not None:
        return f"{get('calls'):.2f}"
    rate = get("rate")
    rate = f"{rate / 1000:.1f} k/s" if test["unit"] != "MB/s" else f"{rate:,.0f} MB/s"
    if contender == "direct":
        return rate
    note = f" ({get('resumed'):.0%} resumed)" if get("resumed") is not None else ""
    digits = 2 if test["name"] == "pipelined" else 1
    cpu = f"{get('cpu'):.2f} s/GB" if test["unit"] == "MB/s" else f"{get('cpu'):.{digits}f} µs"
    by = ratios(results, mode, test["name"], "cpu", contender, "relay")
    ratio = f" ×{statistics.median(by):.2f}" if by and contender != "relay" else ""
    return f"{cpu}{ratio} ({rate}){note}"


def show_row(results, mode, test):
    cells = [f"{n} {cell(results, mode, test, n)}" for n in names(results) if cell(results, mode, test, n)]
    print(f"{mode:12s}{test['name']:20s}" + "; ".join(cells), flush=True)


class Gates:
    """A line each: what is asked, what was measured, how often and how widely it was spread."""

    def __init__(self):
        self.missed, self.lines = 0, []

    def add(self, label, sign, goal, values, unit=""):
        if not values:
            return
        value, (low, high) = statistics.median(values), quartiles(values)
        ok = value <= goal if sign == "<=" else value >= goal
        self.missed += not ok
        form = ",.0f" if goal >= 50 else ".2f"
        spread = f"{low:{form}} to {high:{form}}" if len(values) > 1 else ""
        self.lines.append(f"| {label} | {'≤' if sign == '<=' else '≥'} {goal:{',g' if goal >= 50 else 'g'}}{unit} | "
                          f"{value:{form}} | {spread} | {len(values)} | {'PASS' if ok else '**miss**'} |")

    def show(self):
        print("\n| gate | asked | median | quartiles | of | |\n|---|---|---|---|---|---|")
        print("\n".join(self.lines))


def judging(gates):
    """The gates of judge.c, which is in the program's own process and measures itself."""
    path = os.path.join(BUILD, "bench/judge")
    if not os.path.exists(path) or (ONLY and "judge" not in ONLY):
        return
    text = subprocess.run([path], capture_output=True, text=True).stdout
    print("\n" + text, end="")
    one = re.search(r"INSERT, one row .*?([\d.]+) ns", text)
    bulk = re.search(r"INSERT, 1 MB of rows .*?([\d.]+) MB/s", text)
    if one and bulk:
        gates.add("judging a one-row INSERT, µs", "<=", 0.5, [float(one.group(1)) / 1000])
        gates.add("judging a 1 MB INSERT of many rows, MB/s", ">=", 700, [float(bulk.group(1))])


def gates(results):
    g = Gates()
    for mode, test, what, sign, factor, of, who in GATES:
        who = who or "sluice"
        label = f"{mode} {test}: {who}'s {dict(cpu='CPU', rate='MB/s', calls='system calls per request', bytes='bytes per client', mib='MiB').get(what)}"
        g.add(label, sign, factor, ratios(results, mode, test, what, who, of), f" × {of}'s" if of else "")
    # The issue's own words: user-space CPU of a one-row INSERT, restricted less unrestricted.
    g.add("transaction insert-row: user CPU of insert_only less an unrestricted role's, µs", "<=", 1.0,
          in_pairs(results, "transaction", "insert-row", "user", "sluice-insert-only", "sluice", lambda a, b: a - b))
    judging(g)
    g.show()
    bare = ratios(results, "session", "simple", "cpu", "relay", "pgbouncer")
    if bare:
        low, high = quartiles(bare)
        print(f"\nFor comparison: the bare relay's CPU per simple request in session mode is {statistics.median(bare):.2f} "
              f"({low:.2f} to {high:.2f}) × pgbouncer's; whoever is to stay below 0.85 × must cost less than the relay.")
    return g.missed


def markdown(results):
    columns = [n for n in names(results) if n != "sluice-2-workers"]
    for mode in ("session", "transaction"):
        rows = [t for t in TESTS if any(rows_of(results, mode, t["name"], n) for n in columns)]
        if not rows:
            continue
        pool = "a server per client" if mode == "session" else f"{POOL[mode]} servers"
        print(f"\n**{mode} mode** ({pool}; proxy CPU, × relay's, throughput)\n")
        print("| | " + " | ".join(columns) + " |")
        print("|---" * (len(columns) + 1) + "|")
        for t in rows:
            unit = {"bytes/client": ", bytes each", "calls/request": ", system calls per request",
                    "MiB": ", MiB together"}.get(t["unit"], "")
            print(f"| {t['name']}{unit} | " + " | ".join(cell(results, mode, t, n) for n in columns) + " |")


def load_results():
    path = os.environ.get("BENCH_RESULTS", "")
    if path and os.path.exists(path):
        with open(path) as f:
            return json.load(f)
    return {}


def save_results(results):
    path = os.environ.get("BENCH_RESULTS", "")
    if path:
        with open(path, "w") as f:
            json.dump(results, f)


def main():
    place = Place()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    since, results = time.time(), load_results()
    try:
        run(place, results)
    finally:
        place.close()
    save_results(results)
    markdown(results)
    missed = gates(results)
    print(f"\n{len(CORES)} cores; {REPS} x {SECS:g} s each; {time.time() - since:.0f} s in all")
    if not PgBouncer.path:
        print("pgbouncer is not installed: not compared")
    sys.exit(1 if missed and os.environ.get("BENCH_GATES") else 0)


if __name__ == "__main__":
    main()
