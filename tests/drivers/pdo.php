<?php
// pdo.php: PHP's PDO; prepares at the server under names of its own.
const DRIVER = 'PDO';
$chosen = array_filter(explode(',', getenv('SCENARIOS') ?: ''));

function connect(): PDO
{
    return new PDO(sprintf('pgsql:host=%s;port=%s;dbname=%s;sslmode=%s;sslrootcert=%s', getenv('PGHOST'), getenv('PGPORT'),
        getenv('PGDATABASE'), getenv('PGSSLMODE'), getenv('PGSSLROOTCERT')), getenv('PGUSER'), getenv('PGPASSWORD'));
}
function same($got, $want): void
{
    if ($got != $want) throw new Exception("got $got, wanted $want");
}
function value(PDO $c, string $sql, ...$args)
{
    $s = $c->prepare($sql);
    $s->execute($args);
    return $s->columnCount() ? $s->fetchColumn() : null;
}
function fails(PDO $c, string $sql, ?string $state = null): void
{
    try {
        $c->query($sql);
    } catch (PDOException $e) {
        if ($state) same($e->getCode(), $state);
        return;
    }
    throw new Exception("$sql succeeded");
}

$scenarios = [
    'login' => fn($c) => same(value($c, 'select current_user'), getenv('PGUSER')),
    'simple' => fn($c) => same($c->query("select 'ü€😀'")->fetchColumn(), 'ü€😀'),
    'params' => function ($c) {
        same(value($c, 'select ?::int + 1', 41), 42);
        same(value($c, 'select ?::text', "it's"), "it's");
    },
    'prepared' => function ($c) {
        $s = $c->prepare('select ?::int * 2');
        for ($n = 0; $n < 7; $n++) {
            $s->execute([$n]);
            same($s->fetchColumn(), 2 * $n);
        }
    },
    'transaction' => function ($c) {
        value($c, 'delete from driver_rows where driver = ?', DRIVER);
        $c->beginTransaction();
        value($c, 'insert into driver_rows values (?, 1)', DRIVER);
        $c->rollBack();
        $c->beginTransaction();
        foreach ([1, 2] as $n) value($c, 'insert into driver_rows values (?, ?)', DRIVER, $n);
        $c->commit();
        same(value($c, 'select sum(n) from driver_rows where driver = ?', DRIVER), 3);
    },
    'cursor' => function ($c) {
        $total = 0;
        $c->beginTransaction();
        $s = $c->prepare('select n from generate_series(1, 1000) n', [PDO::ATTR_CURSOR => PDO::CURSOR_SCROLL]);
        $s->execute();
        while ($row = $s->fetch(PDO::FETCH_NUM)) $total += $row[0];
        $c->rollBack();
        same($total, 500500);
    },
    'big' => function ($c) {
        same(count($c->query("select n, repeat('x', 100) from generate_series(1, 50000) n")->fetchAll()), 50000);
        same(strlen(value($c, "select repeat('y', 3000000)")), 3000000);
    },
    'error' => function ($c) {
        foreach (['select 1/0', 'select nothing from nowhere', 'selekt'] as $sql) {
            fails($c, $sql);
            same(value($c, 'select 7'), 7);
        }
    },
    'refused' => function ($c) {
        fails($c, 'select * from driver_rows', '42501');
        value($c, "insert into driver_rows values ('refused', 1)");
    },
    'reconnect' => function () {
        for ($n = 0; $n < 10; $n++) same(value(connect(), "select $n"), $n);
    },
    'two' => function ($a) {
        $b = connect();
        for ($n = 0; $n < 20; $n++) {
            same(value($a, "select 'a' || ?::int", $n), "a$n");
            same(value($b, "select 'b' || ?::int", $n), "b$n");
        }
    },
];
$bad = 0;
foreach ($scenarios as $name => $run) {
    if ($chosen ? !in_array($name, $chosen) : $name == 'refused') continue;
    try {
        $run(connect());
        echo "ok $name\n";
    } catch (Throwable $e) {
        $bad = 1;
        echo "not ok $name - ", substr(preg_replace('/\s+/', ' ', $e->getMessage()), 0, 300), "\n";
    }
}
if (!$chosen) echo "ok cancel # SKIP the driver cannot\n";
exit($bad);
