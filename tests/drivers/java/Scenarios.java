import java.sql.*;
import java.util.*;

/** Scenarios DRIVER: pgjdbc or redshift-jdbc42, by JDBC. Says `ok NAME` or `not ok NAME - why`. */
public class Scenarios {
    interface Run { void with(Connection c) throws Exception; }

    static final boolean REDSHIFT = System.getenv("DRIVER").startsWith("redshift");
    static final String NAME = REDSHIFT ? "redshift-jdbc42" : "pgjdbc";
    static int bad;

    static String env(String name, String other) {
        String value = System.getenv(name);
        return value == null || value.isEmpty() ? other : value;
    }

    static Connection connect() throws SQLException {
        Properties p = new Properties();
        p.put("user", env("PGUSER", "postgres"));
        p.put("password", env("PGPASSWORD", "none"));
        String mode = env("PGSSLMODE", "disable");
        boolean tls = !mode.equals("disable");
        p.put("ssl", tls ? "true" : "false");
        p.put("sslmode", mode);
        if (tls) p.put("sslrootcert", env("PGSSLROOTCERT", ""));
        return DriverManager.getConnection("jdbc:" + (REDSHIFT ? "redshift" : "postgresql") + "://" + env("PGHOST", "localhost") + ":"
            + env("PGPORT", "5439") + "/" + env("PGDATABASE", "postgres"), p);
    }

    static void same(Object got, Object want) {
        if (!Objects.equals(got, want)) throw new AssertionError("got " + got + ", wanted " + want);
    }

    static Object ask(Connection c, String sql, Object... args) throws SQLException {
        try (PreparedStatement s = c.prepareStatement(sql)) {
            for (int n = 0; n < args.length; n++) s.setObject(n + 1, args[n]);
            if (!s.execute()) return null;
            try (ResultSet r = s.getResultSet()) {
                r.next();
                return r.getObject(1);
            }
        }
    }

    static void run(String name, Run scenario) {
        String chosen = env("SCENARIOS", "");
        if (chosen.isEmpty() ? name.equals("refused") : !Arrays.asList(chosen.split(",")).contains(name)) return;
        try (Connection c = connect()) {
            scenario.with(c);
            System.out.println("ok " + name);
        } catch (Throwable e) {
            bad++;
            String why = e.getClass().getSimpleName() + ": " + e.getMessage();
            System.out.println("not ok " + name + " - " + why.replaceAll("\\s+", " ").substring(0, Math.min(why.length(), 300)));
            if (System.getenv("VERBOSE") != null) e.printStackTrace();
        }
    }

    static void refused(Connection c, String sql) throws SQLException {
        try (Statement s = c.createStatement()) {
            s.execute(sql);
        } catch (SQLException e) {
            return;
        }
        throw new AssertionError(sql + " succeeded");
    }

    static void transaction(Connection c) throws SQLException {
        ask(c, "delete from driver_rows where driver = ?", NAME);
        c.setAutoCommit(false);
        ask(c, "insert into driver_rows values (?, 1)", NAME);
        c.rollback();
        same(ask(c, "select count(*) from driver_rows where driver = ?", NAME), 0L);
        ask(c, "insert into driver_rows values (?, 1)", NAME);
        ask(c, "insert into driver_rows values (?, 2)", NAME);
        c.commit();
        same(ask(c, "select sum(n) from driver_rows where driver = ?", NAME), 3L);
        c.commit();
        c.setAutoCommit(true);
        same(c.isValid(5), true);
    }

    static void cursor(Connection c) throws SQLException {
        c.setAutoCommit(false);
        long total = 0;
        try (PreparedStatement s = c.prepareStatement("select n from generate_series(1, ?) n")) {
            s.setFetchSize(100);
            s.setInt(1, 1000);
            try (ResultSet r = s.executeQuery()) {
                while (r.next()) total += r.getInt(1);
            }
        }
        same(total, 500500L);
        c.commit();
    }

    static void big(Connection c) throws SQLException {
        int rows = 0;
        try (Statement s = c.createStatement(); ResultSet r = s.executeQuery("select n, repeat('x', 100) from generate_series(1, 50000) n")) {
            while (r.next()) rows++;
        }
        same(rows, 50000);
        same(((String) ask(c, "select repeat('y', 3000000)")).length(), 3000000);
    }

    static void cancel(Connection c) throws Exception {
        try (Statement s = c.createStatement()) {
            new Thread(() -> {
                try {
                    Thread.sleep(500);
                    s.cancel();
                } catch (Exception e) {
                    e.printStackTrace();
                }
            }).start();
            long since = System.currentTimeMillis();
            refused(s, "select pg_sleep(20)");
            same(System.currentTimeMillis() - since < 10000, true);
        }
        try (Statement s = c.createStatement()) { // and by the driver's own timer
            s.setQueryTimeout(1);
            refused(s, "select pg_sleep(20)");
        }
        same(ask(c, "select 8"), 8);
    }

    static void refused(Statement s, String sql) {
        try {
            s.execute(sql);
        } catch (SQLException e) {
            if (e.getMessage().contains("cancel")) return;
            throw new AssertionError(e.getMessage());
        }
        throw new AssertionError("was not cancelled");
    }

    static void two(Connection a) throws SQLException {
        try (Connection b = connect(); PreparedStatement x = a.prepareStatement("select 'a' || ?::int");
             PreparedStatement y = b.prepareStatement("select 'b' || ?::text")) {
            for (int n = 0; n < 20; n++) {
                x.setInt(1, n);
                y.setString(1, "" + n);
                try (ResultSet r = x.executeQuery(); ResultSet q = y.executeQuery()) {
                    r.next();
                    q.next();
                    same(r.getString(1), "a" + n);
                    same(q.getString(1), "b" + n);
                }
            }
        }
    }

    public static void main(String[] args) throws Exception {
        run("login", c -> same(ask(c, "select current_user::text"), env("PGUSER", "postgres").replaceAll("^IAM[AR]?:", "")));
        run("simple", c -> {
            try (Statement s = c.createStatement(); ResultSet r = s.executeQuery("select 1, 'ü€😀', null")) {
                r.next();
                same(r.getInt(1), 1);
                same(r.getString(2), "ü€😀");
                same(r.getObject(3), null);
            }
        });
        run("params", c -> {
            same(ask(c, "select ?::int + 1", 41), 42);
            same(ask(c, "select ?::text", "it's \\ ü"), "it's \\ ü");
        });
        run("prepared", c -> {
            try (PreparedStatement s = c.prepareStatement("select ?::int * 2")) {
                for (int n = 0; n < 7; n++) {
                    s.setInt(1, n);
                    try (ResultSet r = s.executeQuery()) {
                        r.next();
                        same(r.getInt(1), 2 * n);
                    }
                }
            }
        });
        run("transaction", Scenarios::transaction);
        run("cursor", Scenarios::cursor);
        run("big", Scenarios::big);
        run("error", c -> {
            for (String sql : new String[] { "select 1/0", "select nothing from nowhere", "selekt" }) {
                refused(c, sql);
                same(ask(c, "select 7"), 7);
            }
        });
        run("refused", c -> {
            try {
                ask(c, "select * from driver_rows");
                throw new AssertionError("was not refused");
            } catch (SQLException e) {
                same(e.getSQLState(), "42501");
            }
            ask(c, "insert into driver_rows values (?, 1)", "refused");
        });
        run("cancel", Scenarios::cancel);
        run("reconnect", c -> {
            for (int n = 0; n < 10; n++)
                try (Connection again = connect()) {
                    same(ask(again, "select " + n), n);
                }
        });
        run("two", Scenarios::two);
        System.exit(bad == 0 ? 0 : 1);
    }
}
