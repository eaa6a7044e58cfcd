// postgres_js.js: postgres (porsager), which prepares everything and pipelines.
const postgres = require('postgres');
const { assert, settings, runAll, fails, sleep } = require('./scenarios.js');

const open = (more) => postgres({ ...settings, max: 1, fetch_types: false, onnotice: () => {}, ...more });
const using = (run) => async () => {
  const sql = open();
  try {
    await run(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
};

runAll({
  login: using(async (sql) => assert.equal((await sql`select current_user as u`)[0].u, settings.user)),
  simple: using(async (sql) => {
    assert.equal((await sql`select 'ü€😀' as x`)[0].x, 'ü€😀');
    const several = await sql`select 1 as a; select 2 as a`.simple();
    assert.deepEqual(several.map((r) => r[0].a), [1, 2]);
  }),
  params: using(async (sql) => {
    assert.equal((await sql`select ${41}::int + 1 as x`)[0].x, 42);
    assert.equal((await sql`select ${"it's ü"}::text as x`)[0].x, "it's ü");
    assert.equal((await sql`select ${null}::text as x`)[0].x, null);
  }),
  prepared: using(async (sql) => {
    for (let n = 0; n < 7; n++) assert.equal((await sql`select ${n}::int * 2 as x`)[0].x, 2 * n);
  }),
  transaction: using(async (sql) => {
    await sql`delete from driver_rows where driver = 'postgres.js'`;
    await fails(sql.begin(async (t) => {
      await t`insert into driver_rows values ('postgres.js', 1)`;
      throw new Error('enough');
    }), 'enough');
    assert.equal((await sql`select count(*)::int as n from driver_rows where driver = 'postgres.js'`)[0].n, 0);
    await sql.begin((t) => [1, 2].map((n) => t`insert into driver_rows values ('postgres.js', ${n})`));
    assert.equal((await sql`select sum(n)::int as n from driver_rows where driver = 'postgres.js'`)[0].n, 3);
  }),
  cursor: using(async (sql) => {
    let total = 0;
    await sql`select n from generate_series(1, 1000) n`.cursor(100, (rows) => { for (const r of rows) total += r.n; });
    assert.equal(total, 500500);
  }),
  big: using(async (sql) => {
    assert.equal((await sql`select n, repeat('x', 100) as x from generate_series(1, 50000) n`).length, 50000);
    assert.equal((await sql`select repeat('y', 3000000) as y`)[0].y.length, 3000000);
  }),
  error: using(async (sql) => {
    for (const text of ['select 1/0', 'select nothing from nowhere', 'selekt']) {
      await fails(sql.unsafe(text));
      await fails(sql.unsafe(text, [], { prepare: true }));
      assert.equal((await sql`select 7 as x`)[0].x, 7);
    }
  }),
  refused: using(async (sql) => {
    await fails(sql`select * from driver_rows`, 'denied');
    await sql`insert into driver_rows values (${'refused'}, 1)`;
  }),
  cancel: using(async (sql) => {
    const slow = sql`select pg_sleep(20)`;
    slow.execute();
    await sleep(500);
    slow.cancel();
    await fails(slow, 'cancel');
    assert.equal((await sql`select 8 as x`)[0].x, 8);
  }),
  reconnect: async () => {
    for (let n = 0; n < 10; n++) await using(async (sql) => assert.equal((await sql`select ${n}::int as x`)[0].x, n))();
  },
  two: async () => {
    const sql = open({ max: 2 });
    const one = async (tag) => {
      for (let n = 0; n < 20; n++) assert.equal((await sql`select ${tag}::text || ${n}::int as x`)[0].x, tag + n);
    };
    await Promise.all([one('a'), one('b')]);
    // a pipeline: all sent before the first answer
    const all = await Promise.all(Array.from({ length: 50 }, (_, n) => sql`select ${n}::int as x`));
    assert.deepEqual(all.map((r) => r[0].x), Array.from({ length: 50 }, (_, n) => n));
    await sql.end({ timeout: 5 });
  },
});
