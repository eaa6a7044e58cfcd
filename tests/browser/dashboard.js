// dashboard.js: what somebody at three in the morning does. Started by run.sh. Prints TAP.
"use strict";
const { chromium } = require("playwright-core");
const { spawn } = require("node:child_process");
const fs = require("node:fs");
const { DASHBOARD, CHROMIUM, SHOTS, PSQL, SQL_PORT } = process.env;

let count = 0, failed = 0;
const children = new Set();
const PATIENCE = { timeout: 20000 };

function psql(user, sql) {
  const child = spawn(PSQL, ["-qXAt", "-h", "127.0.0.1", "-p", SQL_PORT, "-U", user, "-d", "postgres", "-c", sql],
    { stdio: ["ignore", "ignore", "pipe"], env: Object.assign({}, process.env, { PGAPPNAME: "nightly-" + user }) });
  child.words = "";
  child.stderr.on("data", (d) => { child.words += d; });
  child.ended = new Promise((resolve) => child.on("close", (code) => { children.delete(child); resolve(code); }));
  children.add(child);
  return child;
}

// Traffic of short statements, so that there is something to draw.
function traffic(user) {
  const child = spawn(PSQL, ["-qXAt", "-h", "127.0.0.1", "-p", SQL_PORT, "-U", user, "-d", "postgres"], { stdio: ["pipe", "ignore", "ignore"] });
  children.add(child);
  child.stdin.on("error", () => {});
  const timer = setInterval(() => child.stdin.write("select pg_sleep(0.004 + 0.01 * random());\n"), 25);
  child.on("close", () => { clearInterval(timer); children.delete(child); });
  return { end: () => { clearInterval(timer); child.kill(); } };
}

async function test(name, body) {
  count++;
  try {
    await body();
    console.log(`ok ${count} - ${name}`);
  } catch (e) {
    failed++;
    console.log(`not ok ${count} - ${name}\n# ${String(e.stack || e).split("\n").slice(0, 12).join("\n# ")}`);
  }
}

function expect(condition, what) {
  if (!condition) throw new Error(what);
}

(async () => {
  fs.mkdirSync(SHOTS, { recursive: true });
  // Its own sandbox needs rights that root in a container lacks; it sees nobody's page but ours.
  const browser = await chromium.launch({ executablePath: CHROMIUM, headless: true, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  const complaints = [], strangers = [];
  page.on("console", (m) => { if (m.type() === "error" && !/401|404/.test(m.text())) complaints.push(m.text()); });
  page.on("pageerror", (e) => complaints.push(String(e)));
  page.on("request", (r) => { if (!r.url().startsWith(DASHBOARD)) strangers.push(r.url()); });
  const shot = (name) => page.screenshot({ path: `${SHOTS}/${name}.png`, fullPage: true });
  const sentence = (words) => page.waitForFunction((w) => document.getElementById("sentence").textContent.includes(w), words, PATIENCE);

  await test("without a login there is the status, and nothing else", async () => {
    const response = await page.goto(DASHBOARD + "/");
    expect(response.headers()["content-security-policy"].includes("default-src 'none'"), "no strict CSP");
    await page.waitForSelector("#login:not([hidden])", PATIENCE);
    await sentence("All is well");
    expect(await page.isHidden("#board"), "the board is shown");
    const state = await page.request.get(DASHBOARD + "/api/state");
    expect(state.status() === 401, "the state is given to anybody: " + state.status());
    await shot("login");
  });

  await test("a wrong password is refused, in the same words as an unknown user", async () => {
    const words = [];
    for (const user of ["ops", "nobody"]) {
      await page.fill("[name=user]", user);
      await page.fill("[name=password]", "wrong");
      await page.click("#login button");
      await page.waitForFunction(() => document.getElementById("login-error").textContent !== "", null, PATIENCE);
      words.push(await page.textContent("#login-error"));
    }
    expect(words[0] === words[1], words.join(" / "));
  });

  await test("the login, by keyboard alone", async () => {
    await page.focus("[name=user]");
    await page.keyboard.press("Control+A");
    await page.keyboard.type("ops");
    await page.keyboard.press("Tab");
    await page.keyboard.type("correct horse");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#board:not([hidden])", PATIENCE);
    const cookies = await context.cookies();
    expect(cookies.length === 1 && cookies[0].httpOnly && cookies[0].secure && cookies[0].sameSite === "Strict" &&
      cookies[0].name === "__Host-sluice", JSON.stringify(cookies));
    expect(!(await page.evaluate(() => document.cookie)), "a script can read the cookie");
  });

  const busy = traffic("report");
  await test("traffic is seen, and where its time goes", async () => {
    await page.waitForFunction(() => parseFloat(document.getElementById("t-rate").textContent) > 5, null, PATIENCE);
    await page.waitForFunction(() => /ms/.test(document.querySelectorAll("#split-legend b")[1].textContent), null, PATIENCE);
    await page.waitForTimeout(5000);
    await sentence("All is well");
    await shot("desktop-well");
  });
  busy.end();

  const holders = [1, 2, 3].map(() => psql("report", "begin; select pg_sleep(120)"));
  await page.waitForTimeout(700);
  const waiters = [1, 2, 3, 4].map(() => psql("app", "select 1"));
  await test("clients that wait appear by themselves, and the top line names the pool", async () => {
    await sentence("The pool: 3 servers of warehouse/postgres/postgres/owner are all lent; 4 clients wait");
    await page.waitForFunction(() => document.querySelectorAll("[data-table=waiting] tbody tr").length === 4, null, PATIENCE);
    const row = await page.textContent("[data-table=waiting] tbody tr");
    expect(row.includes("app") && row.includes("the pool is full"), row);
    expect(await page.getAttribute("#verdict", "data-severity") === "critical", "not critical");
    await shot("desktop-waiting");
  });

  await test("one of them is killed, by its own button and a question", async () => {
    await page.click("[data-table=waiting] tbody tr >> text=Kill");
    await page.waitForSelector("dialog[open]", PATIENCE);
    await shot("dialog-kill");
    await page.click("#dialog-yes");
    await Promise.race(waiters.map((w) => w.ended));
    const gone = waiters.filter((w) => w.words.includes("an administrator closed"));
    expect(gone.length === 1, waiters.map((w) => w.words).join("|"));
    await page.waitForFunction(() => document.querySelectorAll("[data-table=waiting] tbody tr").length === 3, null, PATIENCE);
  });

  await test("a refusal appears, and is explained", async () => {
    const loader = psql("loader", "select name from salaries where id = 7");
    await loader.ended;
    const id = /decision (d-[0-9a-f]+-[0-9a-f]+)/.exec(loader.words);
    expect(id, loader.words);
    await page.waitForSelector(`[data-table=denied] tr:has-text("${id[1]}")`, PATIENCE);
    await page.click(`[data-table=denied] tr:has-text("${id[1]}") >> text=Explain`);
    await page.waitForSelector("dialog[open]", PATIENCE);
    const text = await page.textContent("#dialog-body");
    expect(text.includes("loader") && text.includes("public.events") && text.includes("id = ?"), text);
    expect(!text.includes("7 "), "a literal is shown");
    await shot("dialog-explain");
    await page.keyboard.press("Escape");
  });

  await test("the routes show what they did", async () => {
    await page.waitForFunction(() => [...document.querySelectorAll("[data-table=routes] tbody tr")].some((tr) =>
      tr.textContent.includes("reports") && tr.querySelector("[data-label=hits]").textContent !== "0"), null, PATIENCE);
  });

  await test("the sessions can be searched", async () => {
    await page.fill("#filter", "nightly-report");
    await page.waitForFunction(() => document.querySelectorAll("[data-table=clients] tbody tr").length === 3, null, PATIENCE);
    await page.fill("#filter", "");
  });

  await test("on a phone, and in the dark", async () => {
    await page.setViewportSize({ width: 390, height: 844 });
    await page.waitForTimeout(1500);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    expect(wide <= 390, "scrolls sideways: " + wide);
    await shot("phone");
    await page.emulateMedia({ colorScheme: "dark" });
    await page.waitForTimeout(1200);
    await shot("phone-dark");
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.waitForTimeout(1500);
    await shot("desktop-dark");
    await page.emulateMedia({ colorScheme: "light" });
  });

  await test("when the statements end, all is well again", async () => {
    for (const h of holders) h.kill();
    await sentence("Your rule: 1 refusal in the last minute");
    await page.waitForFunction(() => document.querySelectorAll("[data-table=waiting] tbody tr").length === 0, null, PATIENCE);
  });

  await test("a viewer sees all of it, and can steer nothing", async () => {
    const other = await browser.newContext({ ignoreHTTPSErrors: true });
    const eve = await other.newPage();
    await eve.goto(DASHBOARD + "/");
    await eve.fill("[name=user]", "eve");
    await eve.fill("[name=password]", "correct horse");
    await eve.click("#login button");
    await eve.waitForSelector("#board:not([hidden])", PATIENCE);
    await eve.waitForTimeout(1500);
    expect(await eve.isHidden("#acts"), "the acts are offered");
    expect(await eve.locator("[data-table=clients] button:visible").count() === 0, "a session can be killed");
    const status = await eve.evaluate(() => fetch("/api/command", { method: "POST", headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ command: "PAUSE" }) }).then((r) => r.status));
    expect(status === 403, "PAUSE by a viewer: " + status);
    await other.close();
  });

  await test("logging out ends the session, not only the page", async () => {
    const [cookie] = await context.cookies();
    await page.click("#logout");
    await page.waitForSelector("#login:not([hidden])", PATIENCE);
    await context.addCookies([cookie]);
    const state = await page.request.get(DASHBOARD + "/api/state");
    expect(state.status() === 401, "the old cookie is good: " + state.status());
  });

  await test("no complaint of the browser (CSP, errors), no request elsewhere", async () => {
    expect(complaints.length === 0, complaints.join("\n"));
    expect(strangers.length === 0, strangers.join("\n"));
  });

  for (const c of children) c.kill("SIGKILL");
  await browser.close();
  console.log(`1..${count}`);
  process.exit(failed ? 1 : 0);
})().catch((e) => {
  for (const c of children) c.kill("SIGKILL");
  console.log(`not ok ${count + 1} - ${e.stack || e}`.split("\n").join("\n# "));
  process.exit(1);
});
