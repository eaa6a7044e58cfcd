#!/usr/bin/env bash
# truststore.sh: the recipes of deploy/SECURITY.md for clients that trust by other means than the driver's own setting:
# a Java truststore (pgjdbc, redshift-jdbc42). After `make test-drivers`, which brings the drivers.
set -euo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/../support/env.sh"
jars=$root/build/drivers/jars
if ! command -v keytool >/dev/null || ! compgen -G "$jars/*.jar" >/dev/null; then
    say 'ok 1 # SKIP truststore.sh: no keytool or no drivers; run make test-drivers first'
    exit 0
fi
kit_begin truststore
port='' pg_port=''
free_port pg_port
free_port port
"$support/certs.sh" "$kit_dir/certs"
"$support/certs.sh" "$kit_dir/other"
start_postgres "$kit_dir/pg" "$pg_port"
mkdir -p "$kit_dir/sluice"
cat >"$kit_dir/sluice/sluice.json" <<JSON
{ "workers": 1, "listen": [ { "address": "127.0.0.1:$port", "tls": { "certificate": "$kit_dir/certs/server.crt", "key": "file:$kit_dir/certs/server.key" } } ],
  "clusters": { "w": { "endpoint": "127.0.0.1:$pg_port", "tls": { "mode": "disable" },
                       "credentials": { "source": "static", "users": { "postgres": "env:HOME" } } } },
  "users": { "u": { "auth": ["trust"], "role": "all", "db_user": "postgres" } },
  "roles": { "all": { "grants": [ { "verbs": ["ALL"], "on": ["*"] } ] } },
  "access": [ { "from": ["127.0.0.1"] } ] }
JSON
hand_over "$kit_dir/certs"
start sluice "$support/sluice.sh" "$kit_dir/sluice" "$build/sluice" run --config sluice.json
wait_port "$port" "$started" || die "Sluice did not start: $(cat "$kit_dir/sluice.log")"
cat >"$kit_dir/Ask.java" <<'JAVA'
import java.sql.*;
class Ask {
    public static void main(String[] a) throws Exception {
        try (Connection c = DriverManager.getConnection(a[0], "u", "x"); ResultSet r = c.createStatement().executeQuery("select 42")) {
            r.next();
            System.out.println(r.getInt(1));
        } catch (SQLException e) {
            for (Throwable t = e; t != null; t = t.getCause()) System.out.println(t.getMessage());
        }
    }
}
JAVA
javac -d "$kit_dir" "$kit_dir/Ask.java"
for of in certs other; do
    keytool -importcert -noprompt -alias sluice -file "$kit_dir/$of/ca.crt" -keystore "$kit_dir/$of.jks" -storepass changeit >/dev/null 2>&1
done
steps=0 bad=0
ask() { # NAME WANTED STORE URL
    local said
    steps=$((steps + 1))
    said=$(java -Djavax.net.ssl.trustStore="$kit_dir/$3.jks" -Djavax.net.ssl.trustStorePassword=changeit -cp "$kit_dir:$jars/*" Ask "$4" 2>&1)
    if [[ $said == *$2* ]]; then say "ok $steps - $1"; else
        say "not ok $steps - $1" "$said"
        bad=1
    fi
}
at=localhost:$port/postgres
pgjdbc="jdbc:postgresql://$at?ssl=true&sslmode=verify-full&sslfactory=org.postgresql.ssl.DefaultJavaSSLFactory"
redshift="jdbc:redshift://$at?ssl=true&sslmode=verify-full&ssltruststore="
ask 'pgjdbc believes the truststore' 42 certs "$pgjdbc"
ask 'and no other' 'PKIX path' other "$pgjdbc"
ask 'redshift-jdbc42 believes ssltruststore' 42 certs "$redshift$kit_dir/certs.jks&ssltruststorepassword=changeit"
ask 'and no other' 'PKIX path' other "$redshift$kit_dir/other.jks&ssltruststorepassword=changeit"
say "1..$steps"
exit $bad
