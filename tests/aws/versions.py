"""versions.py HOST PORT: client protocol versions 0 to 3 through Sluice; prints `ok NAME` or `not ok NAME - why`.

By hand on the wire, since no driver speaks all: what the ParameterStatus server_protocol_version says, and whether the
RowDescription is of that version's form (Redshift appends schema, table, column, catalog and flags from 1 on); then by
Amazon's own driver, which reads by that ParameterStatus. GRANTED: the highest version that the warehouse takes.
"""
import os
import socket
import struct

HOST, PORT, GRANTED = "127.0.0.1", int(os.environ["PORT"]), int(os.environ["GRANTED"])


def verdict(name, run):
    try:
        run()
        print(f"ok {name}", flush=True)
    except Exception as e:
        print(f"not ok {name} - {type(e).__name__}: {e}", flush=True)


def same(got, want):
    assert got == want, f"got {got}, wanted {want}"


class Wire:
    def __init__(self, version):
        self.socket = socket.create_connection((HOST, PORT), 20)
        self.file = self.socket.makefile("rb")
        pairs = {"user": "u", "database": "postgres", **({} if version is None else {"client_protocol_version": str(version)})}
        body = b"".join(k.encode() + b"\0" + v.encode() + b"\0" for k, v in pairs.items()) + b"\0"
        self.socket.sendall(struct.pack("!II", len(body) + 8, 196608) + body)
        self.parameters = dict(m.rstrip(b"\0").split(b"\0", 1) for kind, m in self.until_ready() if kind == b"S")

    def until_ready(self):
        found = []
        while True:
            head = self.file.read(5)
            assert len(head) == 5, "closed"
            body = self.file.read(struct.unpack("!I", head[1:])[0] - 4)
            assert head[:1] != b"E", body
            found.append((head[:1], body))
            if head[:1] == b"Z":
                return found

    def fields(self, sql):
        """(name, what was appended or None), and the rows; raises when the bytes do not come out even."""
        self.socket.sendall(b"Q" + struct.pack("!I", len(sql) + 5) + sql.encode() + b"\0")
        got, extended = self.until_ready(), self.version() >= 1
        (body,) = [m for kind, m in got if kind == b"T"]
        (count,), at, fields = struct.unpack_from("!H", body), 2, []

        def text():
            nonlocal at
            end = body.index(b"\0", at)
            at, value = end + 1, body[at:end]
            return value
        for _ in range(count):
            name = text()
            at += 18
            more = None
            if extended:
                more = [text() for _ in range(4)]
                at += 2
            fields.append((name, more))
        same(at, len(body))
        return fields, [m for kind, m in got if kind == b"D"]

    def version(self):
        return int(self.parameters.get(b"server_protocol_version", b"0"))


def on_the_wire(version):
    def run():
        wire = Wire(version)
        same(wire.version(), min(version or 0, GRANTED))
        fields, rows = wire.fields("select 1 as one, 'x'::text as two")
        same([f[0] for f in fields], [b"one", b"two"])
        same(all((f[1] is not None) == (wire.version() >= 1) for f in fields), True)
        same(len(rows), 1)
    return run


def taking_turns():
    """Clients of each version, in turn, on one server connection per version: none is given another's layout."""
    wires = [Wire(v) for v in (0, 3, 1, None, 2)]
    for _ in range(3):
        for wire in wires:
            fields, _ = wire.fields("select 7 as seven")
            same((fields[0][0], fields[0][1] is not None), (b"seven", wire.version() >= 1))


def by_the_driver(version):
    def run():
        import redshift_connector
        with redshift_connector.connect(host=HOST, port=PORT, user="u", password="x", database="postgres", ssl=False,
                                        client_protocol_version=version) as c:
            cursor = c.cursor()
            cursor.execute("select 1::int as one, 'x'::varchar as two, n from generate_series(1, 3) n")
            same([d[0] for d in cursor.description], ["one", "two", "n"])
            same([list(r) for r in cursor.fetchall()], [[1, "x", n] for n in (1, 2, 3)])
            same(c._client_protocol_version, min(version, GRANTED))
    return run


for v in (None, 0, 1, 2, 3):
    verdict(f"the warehouse takes {GRANTED}, the client asks for {v}: version and rows are of one kind", on_the_wire(v))
verdict(f"the warehouse takes {GRANTED}: clients of all versions take turns", taking_turns)
for v in (0, 1, 2):
    verdict(f"the warehouse takes {GRANTED}, redshift_connector asks for {v}", by_the_driver(v))
