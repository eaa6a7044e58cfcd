// node_postgres.js: pg, with pg-cursor.
const { Client, Pool } = require('pg');
const Cursor = require('pg-cursor');
const { assert, settings, runAll, fails, sleep } = require('./scenarios.js');

const using = (run) => async () => {
  const c = new Client(settings);
  await c.connect();
  try {
    await run(c);
  } finally {
    await c.end();
  }
};
const value = async (c, ...query) => Object.values((await c.query(...query)).rows[0])[0];

runAll({
  login: using(async (c) => assert.equal(await value(c, 'select current_user'), settings.user)),
  simple: using(async (c) => {
    assert.equal(await value(c, "select 'ü€😀'"), 'ü€😀');
    const several = await c.query('select 1 as a; select 2 as a');
    assert.deepEqual(several.map((r) => r.rows[0].a), [1, 2]);
  }),
  params: using(async (c) => {
    assert.equal(await value(c, 'select $1::int + 1', [41]), 42);
    assert.equal(await value(c, 'select $1::text', ["it's ü"]), "it's ü");
    assert.equal(await value(c, 'select $1::text', [null]), null);
  }),
  prepared: using(async (c) => {
    for (let n = 0; n < 7; n++) assert.equal(await value(c, { name: 'double', text: 'select $1::int * 2', values: [n] }), 2 * n);
  }),
  transaction: using(async (c) => {
    await c.query("delete from driver_rows where driver = 'pg'");
    await c.query('BEGIN');
    await c.query("insert into driver_rows values ('pg', 1)");
    await c.query('ROLLBACK');
    assert.equal(await value(c, "select count(*)::int from driver_rows where driver = 'pg'"), 0);
    await c.query('BEGIN');
    await c.query("insert into driver_rows values ('pg', $1)", [1]);
    await c.query("insert into driver_rows values ('pg', $1)", [2]);
    await c.query('COMMIT');
    assert.equal(await value(c, "select sum(n)::int from driver_rows where driver = 'pg'"), 3);
  }),
  cursor: using(async (c) => {
    const k = c.query(new Cursor('select n from generate_series(1, 1000) n'));
    let total = 0;
    for (let rows; (rows = await k.read(100)).length;) total += rows.reduce((sum, r) => sum + r.n, 0);
    await k.close();
    assert.equal(total, 500500);
  }),
  big: using(async (c) => {
    const { rows } = await c.query("select n, repeat('x', 100) as x from generate_series(1, 50000) n");
    assert.equal(rows.length, 50000);
    assert.equal((await value(c, "select repeat('y', 3000000)")).length, 3000000);
  }),
  error: using(async (c) => {
    for (const sql of ['select 1/0', 'select nothing from nowhere', 'selekt']) {
      await fails(c.query(sql));
      await fails(c.query(sql.replace('1', '$1::int'), sql.includes('1') ? [1] : []));
      assert.equal(await value(c, 'select 7'), 7);
    }
  }),
  refused: using(async (c) => {
    await fails(c.query('select * from driver_rows'), 'denied');
    await fails(c.query('select n from driver_rows where n = $1', [1]), 'denied');
    await c.query('insert into driver_rows values ($1, 1)', ['refused']);
  }),
  cancel: using(async (c) => {
    const { Query } = require('pg');
    const slow = new Query('select pg_sleep(20)');
    const answer = new Promise((yes, no) => slow.on('error', no).on('end', yes));
    c.query(slow);
    await sleep(500);
    new Client(settings).cancel(c, slow);
    await fails(answer, 'cancel');
    assert.equal(await value(c, 'select 8'), 8);
  }),
  reconnect: async () => {
    for (let n = 0; n < 10; n++) await using(async (c) => assert.equal(await value(c, `select ${n}`), n))();
  },
  two: async () => {
    const pool = new Pool({ ...settings, max: 2 });
    const one = async (tag) => {
      for (let n = 0; n < 20; n++) assert.equal(await value(pool, { name: 'tag' + tag, text: `select '${tag}' || $1::int`, values: [n] }), tag + n);
    };
    await Promise.all([one('a'), one('b')]);
    await pool.end();
  },
});
