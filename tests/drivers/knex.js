// knex.js: knex on pg, with its pool.
const knex = require('knex');
const { assert, settings, runAll, fails } = require('./scenarios.js');

const open = (max = 1) => knex({ client: 'pg', connection: settings, pool: { min: 0, max } });
const using = (run) => async () => {
  const db = open();
  try {
    await run(db);
  } finally {
    await db.destroy();
  }
};
const value = async (db, ...query) => Object.values((await db.raw(...query)).rows[0])[0];

runAll({
  login: using(async (db) => assert.equal(await value(db, 'select current_user'), settings.user)),
  simple: using(async (db) => assert.equal(await value(db, "select 'ü€😀'"), 'ü€😀')),
  params: using(async (db) => assert.equal(await value(db, 'select ?::int + 1', [41]), 42)),
  prepared: using(async (db) => {
    for (let n = 0; n < 7; n++) assert.equal(await value(db, 'select ?::int * 2', [n]), 2 * n);
  }),
  transaction: using(async (db) => {
    const rows = () => db('driver_rows').where({ driver: 'knex' });
    await rows().delete();
    await fails(db.transaction(async (t) => {
      await t('driver_rows').insert({ driver: 'knex', n: 1 });
      throw new Error('enough');
    }), 'enough');
    await db.transaction((t) => t('driver_rows').insert([{ driver: 'knex', n: 1 }, { driver: 'knex', n: 2 }]));
    assert.equal(Number((await rows().sum('n as n'))[0].n), 3);
  }),
  big: using(async (db) => {
    const { rows } = await db.raw("select n, repeat('x', 100) as x from generate_series(1, 50000) n");
    assert.equal(rows.length, 50000);
  }),
  error: using(async (db) => {
    for (const sql of ['select 1/0', 'select nothing from nowhere', 'selekt']) {
      await fails(db.raw(sql));
      assert.equal(await value(db, 'select 7'), 7);
    }
  }),
  refused: using(async (db) => {
    await fails(db('driver_rows').select(), 'denied');
    await db('driver_rows').insert({ driver: 'refused', n: 1 });
  }),
  cancel: using(async (db) => {
    await fails(db.raw('select pg_sleep(20)').timeout(500, { cancel: true }));
    assert.equal(await value(db, 'select 8'), 8);
  }),
  reconnect: async () => {
    for (let n = 0; n < 10; n++) await using(async (db) => assert.equal(await value(db, `select ${n}`), n))();
  },
  two: async () => {
    const db = open(2);
    const one = async (tag) => {
      for (let n = 0; n < 20; n++) assert.equal(await value(db, `select '${tag}' || ?::int`, [n]), tag + n);
    };
    await Promise.all([one('a'), one('b')]);
    await db.destroy();
  },
});
