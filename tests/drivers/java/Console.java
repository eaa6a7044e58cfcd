import java.sql.*;
import java.util.*;

/** Console: pgjdbc at the admin console, as tools use it: always the extended protocol, and prepared on the server
 *  after a few runs. Says `ok NAME` or `not ok NAME - why`, a line each. */
public class Console {
    static int bad;

    interface Run { void with() throws Exception; }

    static void test(String name, Run run) {
        try {
            run.with();
            System.out.println("ok " + name);
        } catch (Throwable e) {
            bad++;
            System.out.println("not ok " + name + " - " + String.valueOf(e.getMessage()).replace('\n', ' '));
        }
    }

    static void hold(boolean condition, String what) {
        if (!condition) throw new AssertionError(what);
    }

    static Connection connect(String user, String more) throws SQLException {
        return DriverManager.getConnection("jdbc:postgresql://127.0.0.1:" + System.getenv("PGPORT") + "/sluice?user=" + user + "&sslmode=disable" + more);
    }

    static List<String> columns(ResultSet r) throws SQLException {
        List<String> names = new ArrayList<>();
        for (int i = 1; i <= r.getMetaData().getColumnCount(); i++) names.add(r.getMetaData().getColumnName(i));
        return names;
    }

    public static void main(String[] args) throws Exception {
        String[] shows = { "CLIENTS", "SERVERS", "POOLS", "DATABASES", "USERS", "STATS", "STATS_TOTALS", "STATS_AVERAGES", "LISTS", "CONFIG",
            "MEM", "SOCKETS", "STATE", "VERSION", "HELP", "DIAGNOSIS", "WAITING", "PINS", "DENIED", "ROUTES", "CREDENTIALS", "HISTORY", "FLEET" };
        try (Connection c = connect("ops", ""); Connection simple = connect("ops", "&preferQueryMode=simple");
             Connection cursor = connect("ops", "&prepareThreshold=1&defaultRowFetchSize=2")) {
            cursor.setAutoCommit(false); // then pgjdbc fetches by portal, two rows at a time
            for (String show : shows)
                test("SHOW " + show + ": the same by Statement, by PreparedStatement, by portal and by simple query", () -> {
                    List<String> wanted;
                    int rows = 0;
                    try (Statement s = simple.createStatement(); ResultSet r = s.executeQuery("SHOW " + show)) {
                        wanted = columns(r);
                        while (r.next()) rows++;
                    }
                    for (Connection way : new Connection[] { c, cursor })
                        try (Statement s = way.createStatement(); ResultSet r = s.executeQuery("SHOW " + show)) {
                            int n = 0;
                            hold(columns(r).equals(wanted), columns(r) + " is not " + wanted);
                            while (r.next()) n++;
                            hold(n == rows, n + " rows, not " + rows);
                        }
                    try (PreparedStatement p = c.prepareStatement("SHOW " + show)) {
                        for (int i = 0; i < 8; i++) // past prepareThreshold: by name, and in binary where it can be
                            try (ResultSet r = p.executeQuery()) {
                                int n = 0;
                                hold(columns(r).equals(wanted), columns(r) + " is not " + wanted);
                                while (r.next()) {
                                    n++;
                                    for (int k = 1; k <= wanted.size(); k++) r.getObject(k);
                                }
                                hold(n == rows, n + " rows, not " + rows);
                            }
                    }
                });
            test("numbers are numbers", () -> {
                try (PreparedStatement p = c.prepareStatement("SHOW CLIENTS")) {
                    for (int i = 0; i < 8; i++)
                        try (ResultSet r = p.executeQuery()) {
                            hold(r.next() && r.getLong("id") > 0 && r.getInt("wait") >= 0, "no id");
                        }
                }
            });
            test("acts", () -> {
                try (Statement s = c.createStatement()) {
                    for (String act : new String[] { "PAUSE", "RESUME", "RECONNECT", "RELOAD", "SET log_level = info" }) s.execute(act);
                }
            });
            test("an error is an error, and the connection goes on", () -> {
                for (String wrong : new String[] { "SHOW NONSENSE", "KILL_CLIENT 1", "SELECT * FROM pg_class" })
                    try (Statement s = c.createStatement()) {
                        s.execute(wrong);
                        hold(false, wrong + " is accepted");
                    } catch (SQLException e) {
                        hold(e.getSQLState().matches("42601|22023|0A000"), e.getSQLState());
                    }
                try (Statement s = c.createStatement(); ResultSet r = s.executeQuery("SHOW VERSION")) {
                    hold(r.next() && r.getString(1).contains("Sluice"), "no version");
                }
            });
            test("isValid, as pools of connections ask", () -> hold(c.isValid(5), "not valid"));
        }
        test("a viewer is refused an act", () -> {
            try (Connection eve = connect("eve", ""); Statement s = eve.createStatement()) {
                s.execute("RELOAD");
                hold(false, "accepted");
            } catch (SQLException e) {
                hold(e.getSQLState().equals("42501"), e.getSQLState());
            }
        });
        System.exit(bad == 0 ? 0 : 1);
    }
}
