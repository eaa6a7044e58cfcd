// causes.js: one who looks at the dashboard and is told what he should see. Started by tests/drill/causes.sh.
// Reads lines "NAME<TAB>words, of the first line<TAB>words, anywhere on the page" from stdin; waits until they
// are there; takes the page's picture, on a desk, on a phone, and on a phone in the dark; answers a line:
// "seen" or "not seen: why". An empty third field: the first line is enough.
"use strict";
const { chromium } = require("playwright-core");
const fs = require("node:fs");
const readline = require("node:readline");
const { DASHBOARD, CHROMIUM, SHOTS } = process.env;
const PATIENCE = { timeout: 30000 };
const DESK = { width: 1280, height: 900 }, PHONE = { width: 390, height: 844 };

// What somebody sees without touching anything: the first line, its culprit and the advice, whole.
async function inSight(page) {
  return page.evaluate(() => {
    const late = ["culprit", "sentence", "advice"].filter((id) => {
      const e = document.getElementById(id), box = e.getBoundingClientRect();
      return e.textContent !== "" && (box.height === 0 || box.top < 0 || box.bottom > innerHeight || box.right > innerWidth);
    });
    if (document.documentElement.scrollWidth > innerWidth) late.push("it scrolls sideways");
    return late.join(", ");
  });
}

async function look(page, name, words, elsewhere) {
  await page.waitForFunction((w) => document.getElementById("sentence").textContent.includes(w), words, PATIENCE);
  if (elsewhere)
    await page.waitForFunction((w) => document.querySelector("main").textContent.includes(w), elsewhere, PATIENCE);
  await page.waitForTimeout(1200);
  const looks = [["desk", DESK, "light"], ["phone", PHONE, "light"], ["phone-dark", PHONE, "dark"]];
  let hidden = "";
  for (const [way, size, colorScheme] of looks) {
    await page.setViewportSize(size);
    await page.emulateMedia({ colorScheme });
    await page.waitForTimeout(400);
    await page.evaluate(() => scrollTo(0, 0));
    await page.screenshot({ path: `${SHOTS}/cause-${name}-${way}.png`, fullPage: way === "desk" });
    hidden = hidden || (await inSight(page));
  }
  await page.setViewportSize(DESK);
  await page.emulateMedia({ colorScheme: "light" });
  return hidden ? "not seen: out of sight: " + hidden : "seen";
}

(async () => {
  fs.mkdirSync(SHOTS, { recursive: true });
  const browser = await chromium.launch({ executablePath: CHROMIUM, headless: true, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  const page = await (await browser.newContext({ ignoreHTTPSErrors: true, viewport: DESK })).newPage();
  await page.goto(DASHBOARD + "/");
  await page.fill("[name=user]", "ops");
  await page.fill("[name=password]", "correct horse");
  await page.click("#login button");
  await page.waitForSelector("#board:not([hidden])", PATIENCE);
  console.log("ready");
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [name, words, elsewhere] = line.split("\t");
    const said = await look(page, name, words, elsewhere).catch(async (e) =>
      `not seen: ${String(e.message).split("\n")[0]}; it says: ${await page.textContent("#verdict")}`);
    console.log(said.replace(/\s+/g, " "));
  }
  await browser.close();
})().catch((e) => {
  console.log("not seen: " + String(e.stack || e).replace(/\s+/g, " "));
  process.exit(1);
});
