// tokio-postgres, with native-tls. Says `ok NAME` or `not ok NAME - why`; SCENARIOS=a,b chooses.
use native_tls::{Certificate, TlsConnector};
use postgres_native_tls::MakeTlsConnector;
use std::{env, fmt::Debug, time::Duration};
use tokio_postgres::{error::SqlState, Client, Config};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn var(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

fn tls() -> MakeTlsConnector {
    let mut builder = TlsConnector::builder();
    if let Ok(pem) = std::fs::read(var("PGSSLROOTCERT")) {
        builder.disable_built_in_roots(true).add_root_certificate(Certificate::from_pem(&pem).expect("a certificate"));
    }
    MakeTlsConnector::new(builder.build().expect("TLS"))
}

async fn connect() -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = Config::new()
        .host(var("PGHOST"))
        .port(var("PGPORT").parse().expect("a port"))
        .user(var("PGUSER"))
        .password(var("PGPASSWORD"))
        .dbname(var("PGDATABASE"))
        .ssl_mode(if var("PGSSLMODE") == "disable" { tokio_postgres::config::SslMode::Disable } else { tokio_postgres::config::SslMode::Require })
        .connect(tls())
        .await?;
    tokio::spawn(connection);
    Ok(client)
}

fn same<T: PartialEq + Debug>(got: T, want: T) -> Outcome {
    if got == want { Ok(()) } else { Err(format!("got {got:?}, wanted {want:?}").into()) }
}

async fn number(c: &Client, sql: &str) -> Result<i32, tokio_postgres::Error> {
    Ok(c.query_one(sql, &[]).await?.get(0))
}

async fn run(name: &str, c: &mut Client) -> Outcome {
    match name {
        "login" => same(c.query_one("select current_user::text", &[]).await?.get::<_, String>(0), var("PGUSER")),
        "simple" => same(c.simple_query("select 1; select 'ü€😀'").await?.len() >= 4, true),
        "params" => {
            same(c.query_one("select $1::int + 1", &[&41]).await?.get::<_, i32>(0), 42)?;
            same(c.query_one("select $1::text", &[&"it's"]).await?.get::<_, String>(0), "it's".to_string())
        }
        "prepared" => {
            let statement = c.prepare("select $1::int * 2").await?;
            for n in 0..7 {
                same(c.query_one(&statement, &[&n]).await?.get::<_, i32>(0), 2 * n)?;
            }
            Ok(())
        }
        "transaction" => {
            c.execute("delete from driver_rows where driver = 'tokio'", &[]).await?;
            let t = c.transaction().await?;
            t.execute("insert into driver_rows values ('tokio', 1)", &[]).await?;
            t.rollback().await?;
            let t = c.transaction().await?;
            for n in [1, 2] {
                t.execute("insert into driver_rows values ('tokio', $1)", &[&n]).await?;
            }
            t.commit().await?;
            same(number(c, "select sum(n)::int from driver_rows where driver = 'tokio'").await?, 3)
        }
        "cursor" => {
            let t = c.transaction().await?;
            let portal = t.bind("select n from generate_series(1, 1000) n", &[]).await?;
            let mut total = 0;
            loop {
                let rows = t.query_portal(&portal, 100).await?;
                if rows.is_empty() {
                    return same(total, 500500);
                }
                total += rows.iter().map(|r| r.get::<_, i32>(0)).sum::<i32>();
            }
        }
        "big" => {
            let rows = c.query("select n, repeat('x', 100) from generate_series(1, 50000) n", &[]).await?;
            same(rows.len(), 50000)?;
            same(c.query_one("select repeat('y', 3000000)", &[]).await?.get::<_, String>(0).len(), 3000000)
        }
        "error" => {
            for sql in ["select 1/0", "select nothing from nowhere", "selekt"] {
                same(c.query(sql, &[]).await.is_err(), true)?;
                same(c.simple_query(sql).await.is_err(), true)?;
                same(number(c, "select 7").await?, 7)?;
            }
            Ok(())
        }
        "refused" => {
            let e = c.query("select * from driver_rows", &[]).await.err().ok_or("was not refused")?;
            same(e.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE))?;
            c.execute("insert into driver_rows values ('refused', 1)", &[]).await?;
            Ok(())
        }
        "cancel" => {
            let token = c.cancel_token();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(500)).await;
                token.cancel_query(tls()).await
            });
            let e = c.query("select pg_sleep(20)", &[]).await.err().ok_or("was not cancelled")?;
            same(e.code(), Some(&SqlState::QUERY_CANCELED))?;
            same(number(c, "select 8").await?, 8)
        }
        "reconnect" => {
            for n in 0..10 {
                same(number(&connect().await?, &format!("select {n}")).await?, n)?;
            }
            Ok(())
        }
        _ => {
            let other = connect().await?;
            for n in 0..20 {
                same(c.query_one("select 'a' || $1::int", &[&n]).await?.get::<_, String>(0), format!("a{n}"))?;
                same(other.query_one("select 'b' || $1::int", &[&n]).await?.get::<_, String>(0), format!("b{n}"))?;
            }
            Ok(())
        }
    }
}

async fn attempt(name: &str) -> Outcome {
    let mut client = connect().await?;
    tokio::time::timeout(Duration::from_secs(60), run(name, &mut client)).await?
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let all = "login,simple,params,prepared,transaction,cursor,big,error,cancel,reconnect,two";
    let chosen = var("SCENARIOS");
    let mut bad = 0;
    for name in if chosen.is_empty() { all } else { &chosen }.split(',') {
        match attempt(name).await {
            Ok(()) => println!("ok {name}"),
            Err(e) => {
                bad = 1;
                println!("not ok {name} - {e}")
            }
        }
    }
    std::process::exit(bad);
}
