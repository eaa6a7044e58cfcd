#!/usr/bin/env bash
# versions.sh: Amazon's drivers at each client_protocol_version, before a fake of Redshift that grants 3: from 1 on each field of
# a RowDescription names its schema and table and has flags, which must get through, text and binary, to who asked for them and
# to no other. All share one pool in transaction mode. Then a server that grants less than is asked. After `make test-drivers`,
# which brings the drivers. TAP.
set -euo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/../support/env.sh"
jars=$root/build/drivers/jars python=$root/build/drivers/venv/bin/python
if ! command -v javac >/dev/null || ! compgen -G "$jars/redshift-*.jar" >/dev/null || [ ! -x "$python" ]; then
    say 'ok 1 # SKIP versions.sh: no JDK or no drivers; run make test-drivers first'
    exit 0
fi
kit_begin versions
port='' to_old='' pg_port='' new='' old=''
free_port pg_port
free_port port
free_port to_old
free_port new
free_port old
start_postgres "$kit_dir/pg" "$pg_port"
"$pg_bin/psql" -qX -h "$kit_dir/pg" -p "$pg_port" -U postgres -c 'create schema sales' \
    -c "create table sales.rows (id int not null, name text not null, day date not null); insert into sales.rows values (7, 'sieben', '2026-12-01')"
table=$("$pg_bin/psql" -qXAt -h "$kit_dir/pg" -p "$pg_port" -U postgres -c "select 'sales.rows'::regclass::oid")
fake() { # PORT VERSION
    start "fake$2" "$build/tools/redshift" -l "$1" -s "$pg_port" -a trust -v "$2" -t "$table=sales.rows"
    wait_port "$1" "$started" || die 'the fake of Redshift did not start'
}
fake "$new" 3
fake "$old" 1
proxy() { # PORT FAKE_PORT
    mkdir -p "$kit_dir/sluice$1"
    cat >"$kit_dir/sluice$1/sluice.json" <<JSON
{ "workers": 1, "listen": [ { "address": "127.0.0.1:$1", "tls": { "mode": "disable" } } ],
  "clusters": { "w": { "endpoint": "127.0.0.1:$2", "tls": { "mode": "disable" },
                       "credentials": { "source": "static", "users": { "postgres": "env:HOME" } } } },
  "users": { "u": { "auth": ["trust"], "role": "all", "db_user": "postgres" } },
  "roles": { "all": { "grants": [ { "verbs": ["ALL"], "on": ["*"] } ] } },
  "access": [ { "from": ["127.0.0.1"] } ], "pool": { "mode": "transaction", "size": 1 } }
JSON
    start "sluice$1" "$support/sluice.sh" "$kit_dir/sluice$1" "$build/sluice" run --config sluice.json
    wait_port "$1" "$started" || die "Sluice did not start: $(cat "$kit_dir/sluice$1.log")"
}
proxy "$port" "$new"
proxy "$to_old" "$old"

# Opens a connection of each version, then asks on each in turn, so that they would take each other's servers.
cat >"$kit_dir/Versions.java" <<'JAVA'
import java.sql.*;
import java.util.*;
class Versions {
    public static void main(String[] a) throws Exception {
        Map<String, Connection> all = new LinkedHashMap<>();
        for (int n = 3; n < a.length; n++)
            all.put(a[n], DriverManager.getConnection("jdbc:redshift://127.0.0.1:" + a[0] + "/postgres?ssl=false&user=" + a[1] + "&password=x&binaryTransfer=" + a[2]
                + (a[n].equals("own") ? "" : "&client_protocol_version=" + a[n])));
        for (int turn = 0; turn < 3; turn++)
            for (String version : all.keySet())
                try (PreparedStatement s = all.get(version).prepareStatement("select id, name, day, 1 as one from sales.rows where id = ?")) {
                    s.setInt(1, 7);
                    try (ResultSet r = s.executeQuery()) {
                        ResultSetMetaData m = r.getMetaData();
                        r.next();
                        System.out.println("java " + version + ": " + r.getInt(1) + " " + r.getString(2) + " " + r.getDate(3) + " " + r.getInt(4) + " of " + m.getSchemaName(1) + "."
                            + m.getTableName(2) + " in " + m.getCatalogName(1) + " null " + m.isNullable(1) + m.isNullable(4) + " case " + m.isCaseSensitive(2));
                    }
                }
    }
}
JAVA
javac -d "$kit_dir" "$kit_dir/Versions.java"
cat >"$kit_dir/versions.py" <<'PY'
import sys
import warnings
import redshift_connector
warnings.simplefilter("ignore")
port, user, versions = int(sys.argv[1]), sys.argv[2], [int(v) for v in sys.argv[3:]]
all = {v: redshift_connector.connect(host="127.0.0.1", port=port, user=user, password="x", database="postgres", ssl=False,
                                     client_protocol_version=v) for v in versions}
for turn in range(3):
    for v, c in all.items():
        k = c.cursor()
        k.execute("select id, name, day, 1 as one from sales.rows where id = %s", (7,))
        row = k.fetchone()
        field = k.ps["row_desc"][0]
        print(f"python {v}: {row[0]} {row[1]} {row[2]} {row[3]} of {field.get('schema_name', b'').decode()}.{field.get('table_name', b'').decode()}"
              f" null {field.get('nullable')}{k.ps['row_desc'][3].get('nullable')} spoken {c._client_protocol_version}")
        c.commit()
PY

n=0 bad=0
verdict() { # NAME WANTED GOT
    n=$((n + 1))
    if [ "$2" = "$3" ]; then say "ok $n - $1"; else
        say "not ok $n - $1" "--- wanted" "$2" "--- got" "$3"
        bad=$((bad + 1))
    fi
}
thrice() { printf '%s\n%s\n%s' "$1" "$1" "$1"; }
# Which version says what: base has no names (the driver asks the catalog for the table), only 3 has a case.
row='7 sieben 2026-12-01 1 of'
base="$row .rows in  null 02 case true" wide="$row sales.rows in postgres null 01 case true" widest="$row sales.rows in postgres null 01 case false"
java_all=$(printf 'java 0: %s\njava 1: %s\njava 2: %s\njava 3: %s\njava own: %s' "$base" "$wide" "$wide" "$widest" "$widest")
python_all=$(printf 'python %s\n' "0: $row . null NoneNone spoken 0" "1: $row sales.rows null 10 spoken 1" "2: $row sales.rows null 10 spoken 2")
java_asks() { java -XX:TieredStopAtLevel=1 -cp "$kit_dir:$jars/*" Versions "$@" 2>&1; }
for binary in false true; do
    verdict "redshift-jdbc42 at 0, 1, 2, 3 and its own, binary $binary" "$(thrice "$java_all")" "$(java_asks "$port" u $binary 0 1 2 3 own)"
done
verdict 'redshift_connector at 0, 1, 2' "$(thrice "$python_all")" "$("$python" "$kit_dir/versions.py" "$port" u 0 1 2 2>&1)"
verdict 'both say the same without a proxy: redshift-jdbc42' "$(thrice "$java_all")" "$(java_asks "$new" postgres true 0 1 2 3 own)"
verdict 'and redshift_connector' "$(thrice "$python_all")" "$("$python" "$kit_dir/versions.py" "$new" postgres 0 1 2 2>&1)"
verdict 'a server that grants 1: redshift-jdbc42 asks for 0 and 3' "$(thrice "$(printf 'java 0: %s\njava 3: %s' "$base" "$wide")")" "$(java_asks "$to_old" u true 0 3)"
verdict 'and redshift_connector for 2' "$(thrice "python 2: $row sales.rows null 10 spoken 1")" "$("$python" "$kit_dir/versions.py" "$to_old" u 2 2>&1)"
say "1..$n" "$((n - bad)) passed, $bad failed"
[ "$bad" = 0 ]
