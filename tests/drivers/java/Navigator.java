import java.sql.*;
import java.util.*;

/** Navigator: what DBeaver 24.2 asks as it connects and as its tree is opened, in its order, by the JDBC driver that it uses:
 *  of its plugin org.jkiss.dbeaver.ext.postgresql (PostgreDataSource, PostgreDatabase, PostgreSchema, PostgreServerRedshift), with
 *  the clauses that it takes for the server's version. Says a line for each, `NAME: ROWS` or `NAME: SQLSTATE`. */
public class Navigator {
    static final boolean REDSHIFT = System.getenv("DRIVER").startsWith("redshift");
    static Connection main, meta;

    static Connection connect(String purpose) throws SQLException {
        Properties p = new Properties();
        p.put("user", System.getenv("PGUSER"));
        p.put("password", System.getenv("PGPASSWORD"));
        p.put(REDSHIFT ? "ssl" : "sslmode", REDSHIFT ? "false" : "disable");
        p.put("ApplicationName", "DBeaver 24.2.3 - " + purpose);
        Connection c = DriverManager.getConnection("jdbc:" + (REDSHIFT ? "redshift" : "postgresql") + "://127.0.0.1:" + System.getenv("PGPORT") + "/postgres", p);
        c.setAutoCommit(true);
        return c;
    }

    /** The first column of the last row, and the lines that say how it went. */
    static String ask(Connection c, String name, String sql, Object... args) {
        String last = null;
        try (PreparedStatement s = c.prepareStatement(sql)) {
            for (int n = 0; n < args.length; n++)
                if (args[n] instanceof Long) s.setLong(n + 1, (Long) args[n]);
                else s.setString(n + 1, (String) args[n]);
            int rows = 0;
            if (s.execute())
                try (ResultSet r = s.getResultSet()) {
                    for (; r.next(); rows++) last = r.getString(1);
                    ResultSetMetaData m = r.getMetaData();
                    for (int i = 1; i <= m.getColumnCount(); i++) m.getTableName(i);
                }
            System.out.println(name + ": " + rows);
        } catch (SQLException e) {
            failed(name, e);
        }
        return last;
    }

    static void tell(String name, Object what) { System.out.println(name + ": " + what); }

    interface Call { Object of(DatabaseMetaData m) throws SQLException; }

    /** Of the driver's own, which DBeaver goes on without when they fail. */
    static void about(String name, Call call) {
        try {
            System.out.println(name + ": " + call.of(main.getMetaData()));
        } catch (SQLException e) {
            failed(name, e);
        }
    }

    static void failed(String name, SQLException e) {
        System.out.println(name + ": " + e.getSQLState() + (System.getenv("VERBOSE") != null ? " " + e.getMessage().replaceAll("\\s+", " ") : ""));
    }

    static int rows(ResultSet r) throws SQLException {
        int n = 0;
        while (r.next()) n++;
        r.close();
        return n;
    }

    static void driver() {
        about("product", m -> m.getDatabaseProductName() + " " + m.getDatabaseProductVersion());
        about("keywords", m -> m.getSQLKeywords().length() > 0);
        about("quote", m -> m.getIdentifierQuoteString() + m.getSearchStringEscape() + m.getCatalogSeparator());
        about("names", m -> m.getMaxColumnNameLength() + " " + m.storesLowerCaseIdentifiers() + m.supportsTransactions() + m.supportsBatchUpdates());
        about("getCatalogs", m -> rows(m.getCatalogs()));
        about("getSchemas", m -> rows(m.getSchemas()));
        about("getTables", m -> rows(m.getTables(null, "public", "driver%", null)));
        about("getColumns", m -> rows(m.getColumns(null, "public", "driver_rows", null)));
        about("getPrimaryKeys", m -> rows(m.getPrimaryKeys(null, "public", "driver_rows")));
        about("getImportedKeys", m -> rows(m.getImportedKeys(null, "public", "driver_rows")));
        about("getIndexInfo", m -> rows(m.getIndexInfo(null, "public", "driver_rows", false, true)));
        about("getTypeInfo", m -> rows(m.getTypeInfo()) > 0);
        about("getProcedures", m -> rows(m.getProcedures(null, "public", null)));
        about("getFunctions", m -> rows(m.getFunctions(null, "public", null)));
    }

    static void connecting() throws SQLException {
        main = connect("Main");
        driver();
        tell("isolation", main.getTransactionIsolation());
        ask(main, "databases", "SELECT db.oid,db.* FROM pg_catalog.pg_database db WHERE 1 = 1 AND datallowconn AND NOT datistemplate OR db.datname =?\nORDER BY db.datname", "postgres");
        meta = connect("Metadata");
        ask(meta, "version", "SELECT version()");
        if (!REDSHIFT) ask(meta, "enum", "SELECT * FROM pg_catalog.pg_enum WHERE 1<>1 LIMIT 1");
        ask(meta, "reltype", "SELECT reltype FROM pg_catalog.pg_class WHERE 1<>1 LIMIT 1");
        ask(meta, "database", "SELECT db.oid,db.* FROM pg_catalog.pg_database db WHERE datname=?", "postgres");
        String category = REDSHIFT ? "" : "\nLEFT OUTER JOIN pg_catalog.pg_type et ON et.oid=t.typelem ";
        ask(meta, "types", "SELECT t.oid,t.*,c.relkind,format_type(nullif(t.typbasetype, 0), t.typtypmod) as base_type_name, d.description\nFROM pg_catalog.pg_type t" + category
            + "\nLEFT OUTER JOIN pg_catalog.pg_class c ON c.oid=t.typrelid\nLEFT OUTER JOIN pg_catalog.pg_description d ON t.oid=d.objoid\nWHERE t.typname IS NOT NULL"
            + "\nAND (c.relkind IS NULL OR c.relkind = 'c')" + (REDSHIFT ? "" : " AND (et.typcategory IS NULL OR et.typcategory <> 'C')"));
        if (!REDSHIFT) ask(meta, "enums", "SELECT * FROM pg_catalog.pg_enum");
        ask(main, "context", "SELECT current_schema(),session_user");
        ask(main, "path", "SHOW search_path");
        ask(main, "set path", "SET search_path = public,\"$user\"");
        if (REDSHIFT) ask(meta, "external schemas", "SELECT * FROM \"postgres\".pg_catalog.svv_external_schemas");
        if (!REDSHIFT) ask(meta, "settings", "select * from pg_catalog.pg_settings where name=?", "standard_conforming_strings");
    }

    static void opening() {
        ask(meta, "schemas", "SELECT n.oid,n.*,d.description FROM pg_catalog.pg_namespace n\n"
            + "LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=n.oid AND d.objsubid=0 AND d.classoid='pg_namespace'::regclass\n ORDER BY nspname");
        long schema = Long.parseLong(Objects.toString(ask(meta, "schema", "SELECT n.oid,n.*,d.description FROM pg_catalog.pg_namespace n\n"
            + "LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=n.oid AND d.objsubid=0 AND d.classoid='pg_namespace'::regclass\nWHERE nspname=? ORDER BY nspname", "public"), "0"));
        String table = ask(meta, "tables", "SELECT c.oid,c.*,d.description" + (REDSHIFT ? "" : ",pg_catalog.pg_get_expr(c.relpartbound, c.oid) as partition_expr,  pg_catalog.pg_get_partkeydef(c.oid) as partition_key ")
            + "\nFROM pg_catalog.pg_class c\nLEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=c.oid AND d.objsubid=0 AND d.classoid='pg_class'::regclass\n"
            + "WHERE c.relnamespace=? AND c.relkind not in ('i','I','c') AND relname=?", schema, "driver_rows");
        long oid = Long.parseLong(Objects.toString(table, "0"));
        ask(meta, "columns", "SELECT c.relname,a.*,pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) as def_value,dsc.description" + (REDSHIFT ? "" : ",dep.objid")
            + "\nFROM pg_catalog.pg_attribute a\nINNER JOIN pg_catalog.pg_class c ON (a.attrelid=c.oid)"
            + "\nLEFT OUTER JOIN pg_catalog.pg_attrdef ad ON (a.attrelid=ad.adrelid AND a.attnum = ad.adnum)"
            + "\nLEFT OUTER JOIN pg_catalog.pg_description dsc ON (c.oid=dsc.objoid AND a.attnum = dsc.objsubid)"
            + (REDSHIFT ? "" : "\nLEFT OUTER JOIN pg_depend dep on dep.refobjid = a.attrelid AND dep.deptype = 'i' and dep.refobjsubid = a.attnum and dep.classid = dep.refclassid")
            + "\nWHERE NOT a.attisdropped AND c.relkind not in ('i','I','c') AND c.oid=?\nORDER BY a.attnum", oid);
        if (REDSHIFT) ask(meta, "encodings", "SELECT c.relname,a.*,format_encoding(a.attencodingtype::integer) AS \"encoding\" FROM pg_catalog.pg_attribute a INNER JOIN pg_catalog.pg_class c ON (a.attrelid=c.oid) WHERE c.oid=?", oid);
        ask(meta, "constraints", "SELECT c.oid,c.*,t.relname as tabrelname,rt.relnamespace as refnamespace,d.description"
            + (REDSHIFT ? ", null as consrc_copy" : ", case when c.contype='c' then \"substring\"(pg_get_constraintdef(c.oid), 7) else null end consrc_copy")
            + "\nFROM pg_catalog.pg_constraint c\nINNER JOIN pg_catalog.pg_class t ON t.oid=c.conrelid\nLEFT OUTER JOIN pg_catalog.pg_class rt ON rt.oid=c.confrelid"
            + "\nLEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=c.oid AND d.objsubid=0 AND d.classoid='pg_constraint'::regclass\nWHERE t.relnamespace=?\nORDER BY c.oid", schema);
        ask(meta, "procedures", REDSHIFT ? "SELECT p.prooid as poid,p.*,NULL as arg_defaults,d.description\nFROM pg_catalog.pg_proc_info p\n"
            + "LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=p.prooid and d.classoid='pg_proc'::regclass  AND d.objsubid = 0\nWHERE p.pronamespace=?\nORDER BY p.proname"
            : "SELECT p.oid as poid,p.*,pg_catalog.pg_get_expr(p.proargdefaults, 0) as arg_defaults,d.description\nFROM pg_catalog.pg_proc p\n"
            + "LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=p.oid and d.classoid='pg_proc'::regclass  AND d.objsubid = 0\nWHERE p.pronamespace=?\nORDER BY p.proname", schema);
        if (REDSHIFT) ask(meta, "sizes", "SELECT table_id, size, tbl_rows FROM SVV_TABLE_INFO WHERE \"schema\"=?", "public");
        else {
            ask(meta, "indexes", "SELECT i.*,i.indkey as keys,c.relname,c.relnamespace,c.relam,c.reltablespace,tc.relname as tabrelname,dsc.description,pg_catalog.pg_get_expr(i.indpred, i.indrelid) as pred_expr"
                + ",pg_catalog.pg_get_expr(i.indexprs, i.indrelid, true) as expr,pg_catalog.pg_relation_size(i.indexrelid) as index_rel_size,pg_catalog.pg_stat_get_numscans(i.indexrelid) as index_num_scans"
                + "\nFROM pg_catalog.pg_index i\nINNER JOIN pg_catalog.pg_class c ON c.oid=i.indexrelid\nINNER JOIN pg_catalog.pg_class tc ON tc.oid=i.indrelid"
                + "\nLEFT OUTER JOIN pg_catalog.pg_description dsc ON i.indexrelid=dsc.objoid\nWHERE  c.relnamespace=? ORDER BY c.relname", schema);
            ask(meta, "sizes", "SELECT c.oid,pg_catalog.pg_total_relation_size(c.oid) as total_rel_size,pg_catalog.pg_relation_size(c.oid) as rel_size\nFROM pg_class c\nWHERE c.relnamespace=?", schema);
            ask(meta, "roles", "SELECT a.oid,a.*,pd.description FROM pg_catalog.pg_roles a \nleft join pg_catalog.pg_shdescription pd on a.oid = pd.objoid\nORDER BY a.rolname");
            ask(meta, "children", "SELECT i.*,c.relnamespace FROM pg_catalog.pg_inherits i,pg_catalog.pg_class c WHERE i.inhparent=? AND c.oid=i.inhrelid", oid);
        }
        ask(meta, "view", "SELECT pg_get_viewdef(" + oid + ", true)");
        ask(meta, "privileges", "SELECT * FROM information_schema.table_privileges WHERE table_catalog=? AND grantee=?", "postgres", System.getenv("PGUSER"));
        ask(meta, "sessions", "SELECT sa.* FROM pg_catalog.pg_stat_activity sa WHERE sa.usename=?", "nobody");
    }

    public static void main(String[] args) throws Exception {
        connecting();
        opening();
        ask(main, "data", "SELECT x.* FROM public.driver_rows x");
        ask(main, "rows counted", "SELECT COUNT(*) FROM public.driver_rows x");
        ask(main, "insert", "INSERT INTO public.driver_rows (driver, n) VALUES ('navigator', 1)");
        tell("alive", main.isValid(5) && meta.isValid(5));
        main.close();
        meta.close();
    }
}
