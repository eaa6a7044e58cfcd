// scenarios: runs a driver's scenarios and says `ok NAME` or `not ok NAME - why`. SCENARIOS=a,b chooses.
const assert = require('assert');
const fs = require('fs');

const env = process.env;
const settings = {
  host: env.PGHOST || 'localhost',
  port: Number(env.PGPORT || 5439),
  user: env.PGUSER || 'postgres',
  password: env.PGPASSWORD || '',
  database: env.PGDATABASE || 'postgres',
  ssl: (env.PGSSLMODE || 'disable') === 'disable' ? false : { ca: env.PGSSLROOTCERT && fs.readFileSync(env.PGSSLROOTCERT) },
};
if (env.PGSSLROOTCERT) delete process.env.PGSSLROOTCERT; // only what is said above counts
delete process.env.PGSSLMODE;

async function runAll(scenarios) {
  const chosen = (env.SCENARIOS || '').split(',').filter(Boolean);
  let bad = 0;
  for (const [name, run] of Object.entries(scenarios)) {
    if (chosen.length ? !chosen.includes(name) : name === 'refused') continue; // that one needs a user of its own
    try {
      await Promise.race([run(), new Promise((_, no) => setTimeout(() => no(new Error('took more than 60 s')), 60000).unref())]);
      console.log(`ok ${name}`);
    } catch (e) {
      bad++;
      console.log(`not ok ${name} - ${String(e.message || e).replace(/\s+/g, ' ').slice(0, 300)}`);
    }
  }
  process.exit(bad ? 1 : 0);
}

async function fails(promise, text) {
  try {
    await promise;
  } catch (e) {
    if (text) assert.ok(String(e.message).includes(text), e.message);
    return;
  }
  throw new Error('was not refused');
}

const sleep = (ms) => new Promise((yes) => setTimeout(yes, ms));

module.exports = { assert, settings, runAll, fails, sleep };
