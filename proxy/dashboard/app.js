// The dashboard: asks /api/state every second and the console's tables (/api/command) a little less
// often, and shows them. It never writes markup, only text: what clients choose stays text.
"use strict";

const $ = (id) => document.getElementById(id);
const KEPT = 600; // samples; the server keeps as many
const state = { level: "none", samples: [], since: 0, columns: [], busy: false, timer: 0, turn: 0, lost: 0, filter: "" };

// ---- small things -------------------------------------------------------------------------------

function el(tag, text, cls) {
  const e = document.createElement(tag);
  if (text !== undefined && text !== null) e.textContent = text;
  if (cls) e.className = cls;
  return e;
}

function setText(e, text) {
  text = String(text);
  if (e.textContent !== text) e.textContent = text;
}

function duration(ms) {
  if (ms < 1000) return Math.round(ms) + " ms";
  if (ms < 60000) return (ms / 1000).toFixed(1) + " s";
  if (ms < 3600000) return Math.floor(ms / 60000) + " min " + Math.floor((ms % 60000) / 1000) + " s";
  const h = Math.floor(ms / 3600000);
  return h < 48 ? h + " h " + Math.floor((ms % 3600000) / 60000) + " min" : Math.floor(h / 24) + " days";
}

function milliseconds(ms) {
  if (ms >= 1000) return duration(ms);
  return (ms >= 10 ? ms.toFixed(0) : ms >= 1 ? ms.toFixed(1) : ms.toFixed(2)) + " ms";
}

// "2026-11-30 23:52:44 UTC", as the console writes it.
const local = (at) => new Date(at.replace(" ", "T").replace(" UTC", "Z"));

const number = new Intl.NumberFormat("en");

let toastTimer = 0;
function toast(text) {
  const t = $("toast");
  t.textContent = text;
  t.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { t.hidden = true; }, 6000);
}

// ---- talking to the proxy -----------------------------------------------------------------------

class Unauthorized extends Error {}

async function ask(path, options) {
  const r = await fetch(path, Object.assign({ credentials: "same-origin", cache: "no-store" }, options));
  if (r.status === 401) throw new Unauthorized();
  return r;
}

async function post(path, body) {
  return ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

// A console statement: {columns, rows as objects}, {done}, or an Error with the proxy's own words.
async function command(text) {
  const r = await post("/api/command", { command: text });
  const answer = await r.json().catch(() => null);
  if (!answer) throw new Error("the proxy answered " + r.status);
  if (answer.error) {
    const e = new Error([answer.error.message, answer.error.hint].filter(Boolean).join("; "));
    e.sqlstate = answer.error.sqlstate;
    throw e;
  }
  if (answer.rows)
    answer.rows = answer.rows.map((row) => Object.fromEntries(answer.columns.map((c, i) => [c, row[i]])));
  return answer;
}

// ---- tables -------------------------------------------------------------------------------------

// A table keeps its rows by key, so that focus and scrolling survive a refresh.
class Table {
  constructor(host, columns, key, empty) {
    this.columns = columns;
    this.key = key;
    this.rows = new Map();
    this.empty = el("p", empty, "empty");
    this.table = el("table");
    const head = el("tr");
    for (const c of columns) {
      const th = el("th", c.title, c.number ? "n" : "");
      th.scope = "col";
      head.append(th);
    }
    const thead = el("thead");
    thead.append(head);
    this.body = el("tbody");
    this.table.append(thead, this.body);
    host.replaceChildren(this.table, this.empty);
    this.show([]);
  }

  show(items) {
    const seen = new Set();
    let before = null;
    for (const item of items) {
      const key = String(this.key(item));
      if (seen.has(key)) continue;
      seen.add(key);
      let row = this.rows.get(key);
      if (!row) {
        row = this.make();
        this.rows.set(key, row);
      }
      row.item = item;
      this.fill(row, item);
      const wanted = before ? before.nextSibling : this.body.firstChild;
      if (wanted !== row.tr) this.body.insertBefore(row.tr, wanted);
      before = row.tr;
    }
    for (const [key, row] of this.rows) {
      if (seen.has(key)) continue;
      row.tr.remove();
      this.rows.delete(key);
    }
    this.table.hidden = items.length === 0;
    this.empty.hidden = items.length !== 0;
  }

  make() {
    const row = { tr: el("tr"), item: null };
    row.cells = this.columns.map((c) => {
      const td = el("td", null, [c.number ? "n" : "", c.wide ? "wide" : "", c.act ? "act" : ""].join(" ").trim());
      if (c.title) td.dataset.label = c.title;
      if (c.act) {
        const b = el("button", c.act, c.danger ? "danger" : "");
        b.type = "button";
        b.addEventListener("click", () => c.run(row.item));
        td.append(b);
      }
      row.tr.append(td);
      return td;
    });
    return row;
  }

  fill(row, item) {
    this.columns.forEach((c, i) => {
      const td = row.cells[i];
      if (c.act) {
        td.firstChild.setAttribute("aria-label", c.label(item));
        td.hidden = c.when ? !c.when(item) : false;
      } else if (c.draw) {
        c.draw(td, item);
      } else {
        const value = c.value(item);
        setText(td, value === null || value === undefined ? "" : value);
        td.classList.toggle("blank", td.textContent === "");
      }
    });
  }
}

function chip(td, text, kind) {
  let c = td.firstChild;
  if (!c) {
    c = el("span", "", "chip");
    td.append(c);
  }
  setText(c, text);
  c.className = "chip " + kind;
  td.classList.toggle("blank", text === "");
  c.hidden = text === "";
}

function meter(td, parts, size, label) {
  let m = td.querySelector(".meter");
  if (!m) {
    m = el("div", null, "meter");
    m.setAttribute("role", "img");
    for (const p of parts) m.append(el("i", null, "m-" + p[0]));
    td.append(m);
  }
  const all = Math.max(size, parts.reduce((n, p) => n + p[1], 0), 1);
  parts.forEach((p, i) => { m.children[i].style.width = (100 * p[1]) / all + "%"; });
  m.setAttribute("aria-label", label);
}

const mayAct = () => state.level === "operator" || state.level === "router";
const host = (name) => document.querySelector(`[data-table="${name}"]`);

const tables = {
  waiting: new Table(host("waiting"), [
    { title: "Client", value: (r) => r.client },
    { title: "User", value: (r) => r.user },
    { title: "Pool", value: (r) => r.pool },
    { title: "Waits for", draw: (td, r) => chip(td, duration(r.wait_ms), r.wait_ms > 1000 ? "warn" : "") },
    { title: "Because", value: (r) => r.why },
    { act: "Kill", danger: true, when: mayAct, run: (r) => kill(r.client, r.user), label: (r) => "Kill client " + r.client },
  ], (r) => r.client, "Nobody waits."),

  pools: new Table(host("pools"), [
    { title: "Pool", value: (p) => p.pool, wide: true },
    { title: "Servers", wide: true, draw: drawServers },
    { title: "Busy", value: (p) => p.active + " of " + p.size, number: true },
    { title: "Clients", value: (p) => number.format(p.clients + p.waiting), number: true },
    { title: "Waiting", value: (p) => p.waiting ? p.waiting + ", " + duration(p.max_wait_ms) : "", number: true },
    { title: "Longest statement", value: (p) => p.longest_ms >= 1000 ? duration(p.longest_ms) : "", number: true },
    { title: "State", draw: (td, p) => chip(td, poolState(p), p.failures || (p.waiting && p.max_wait_ms > 1000) ? "bad" : p.paused ? "warn" : "") },
  ], (p) => p.pool, "No pool yet: nobody has logged in."),

  denied: new Table(host("denied"), [
    { title: "When", value: (r) => local(r.at).toLocaleTimeString() },
    { title: "User", value: (r) => r.user },
    { title: "Role", value: (r) => r.role },
    { title: "Wanted", value: (r) => [r.verb || r.statement, r.object].filter(Boolean).join(" ") },
    { title: "Reason", draw: (td, r) => chip(td, r.outcome === "observed" ? r.reason + ", let through" : r.reason, r.outcome === "observed" ? "" : "warn") },
    { title: "Decision", value: (r) => r.decision },
    { act: "Explain", run: (r) => explain(r.decision), label: (r) => "Explain decision " + r.decision },
  ], (r) => r.decision, "Nothing was refused since the proxy began."),

  clients: new Table(host("clients"), [
    { title: "Id", value: (r) => r.id },
    { title: "User", value: (r) => r.user },
    { title: "Database", value: (r) => r.database },
    { title: "From", value: (r) => r.addr + (r.port ? ":" + r.port : "") },
    { title: "Application", value: (r) => r.application_name },
    { title: "State", draw: (td, r) => chip(td, r.state, r.state === "waiting" ? "warn" : r.state === "active" ? "good" : "") },
    { title: "Pinned", value: (r) => r.pinned },
    { act: "Cancel", when: (r) => mayAct() && r.state !== "idle" && r.pool, run: (r) => cancel(r.id, r.user), label: (r) => "Cancel what client " + r.id + " asks" },
    { act: "Kill", danger: true, when: mayAct, run: (r) => kill(r.id, r.user), label: (r) => "Kill client " + r.id },
  ], (r) => r.id, "No sessions."),

  credentials: new Table(host("credentials"), [
    { title: "Cluster", value: (r) => r.cluster },
    { title: "Login", value: (r) => r.login || r.db_user },
    { title: "State", draw: (td, r) => chip(td, r.state, r.state === "good" ? "good" : r.state === "fetching" ? "" : "bad") },
    { title: "Good for", value: (r) => r.seconds_left === null ? "" : duration(r.seconds_left * 1000), number: true },
    { title: "What went wrong", value: (r) => r.last_failure, wide: true },
  ], (r) => [r.cluster, r.database, r.db_user].join("/"), "No cluster takes its logins from AWS, or nobody has asked yet."),

  history: new Table(host("history"), [
    { title: "When", value: (r) => local(r.at).toLocaleString() },
    { title: "No.", value: (r) => r.generation, number: true },
    { title: "Who", value: (r) => r.who },
    { title: "Result", draw: (td, r) => chip(td, r.result === "loaded" ? "loaded" : "failed", r.result === "loaded" ? "good" : "bad") },
    { title: "What", value: (r) => r.result === "loaded" ? r.changes : r.result, wide: true },
  ], (r) => r.at + r.who + r.generation + r.result, "Nothing yet."),
};
let routes = null; // made when the proxy knows the command

function poolState(p) {
  if (p.failures && p.failure) return p.why || "failing";
  if (p.paused) return "paused";
  return p.waiting ? p.why : "";
}

function drawServers(td, p) {
  const plain = Math.max(0, p.active - p.pinned);
  meter(td, [["pinned", p.pinned], ["active", plain], ["login", p.login], ["idle", p.idle]], p.size,
    `${p.active} active, of these ${p.pinned} pinned; ${p.login} opening; ${p.idle} idle; limit ${p.size}`);
}

// ---- the board ----------------------------------------------------------------------------------

// Which part of the page shows what a cause is about.
const EVIDENCE = {
  credentials: "h-credentials", rule: "h-denied", trial: "h-denied", "redshift-slow": "h-latency", "reload-failed": "h-history",
  routes: "h-routes", "pool-full": "h-clients", "long-statements": "h-clients", paused: "h-acts",
  unreachable: "h-pools", "login-refused": "h-pools", "cluster-full": "h-pools", limit: "h-pools", dialling: "h-pools",
};

function showEvidence(cause) {
  const heading = $(EVIDENCE[cause]);
  const has = heading && heading.offsetParent !== null;
  const link = $("evidence").querySelector("a");
  $("evidence").hidden = !has;
  if (!has) return;
  setText(link, heading.firstChild.textContent.trim());
  link.setAttribute("href", "#" + heading.id);
}

function showVerdict(d) {
  const first = d[0];
  const v = $("verdict");
  v.dataset.severity = first.severity;
  setText($("culprit"), first.cause === "healthy" ? "ok" : first.severity + " · " + first.cause);
  setText($("sentence"), first.sentence);
  setText($("advice"), first.advice ? "Try: " + first.advice : "");
  showEvidence(first.cause);
  const rest = d.slice(1).map((f) => f.sentence);
  const list = $("findings");
  if (list.childElementCount !== rest.length || rest.some((t, i) => list.children[i].textContent !== t))
    list.replaceChildren(...rest.map((t) => el("li", t)));
  document.title = (first.severity === "ok" ? "" : "(" + first.cause + ") ") + "Sluice";
}

const sampleOf = (row) => Object.fromEntries(state.columns.map((c, i) => [c, row[i]]));

function addSamples(s) {
  if (s.sample_count < state.since) { // the proxy was restarted
    state.samples = [];
    drawn = 0;
  }
  state.columns = s.sample_columns;
  state.samples.push(...s.samples.map(sampleOf));
  if (state.samples.length > KEPT) state.samples.splice(0, state.samples.length - KEPT);
  state.since = s.sample_count;
}

function shares(from, to) {
  const queries = to.queries - from.queries;
  const per = (sum) => (queries > 0 ? Math.max(0, sum) / queries : 0);
  return {
    queries,
    queue: per(to.wait_ms - from.wait_ms),
    warehouse: per(to.query_ms - from.query_ms),
    proxy: per((to.busy_us - from.busy_us) / 1000),
  };
}

function showSplit(from, to) {
  const s = shares(from, to);
  const names = [["queue", "in the line"], ["warehouse", "in Redshift"], ["proxy", "in the proxy (CPU)"]];
  const all = s.queue + s.warehouse + s.proxy;
  const bar = $("split");
  const legend = $("split-legend");
  if (!bar.childElementCount) {
    for (const [key, text] of names) {
      bar.append(el("i", null, "s-" + key));
      const li = el("li", text + " ", "s-" + key);
      li.append(el("b"));
      legend.append(li);
    }
  }
  names.forEach(([key], i) => {
    bar.children[i].style.width = all ? (100 * s[key]) / all + "%" : "0";
    bar.children[i].hidden = !all;
    setText(legend.children[i].querySelector("b"), s.queries ? milliseconds(s[key]) : "–");
  });
  bar.setAttribute("aria-label", s.queries
    ? names.map(([key, text]) => milliseconds(s[key]) + " " + text).join(", ")
    : "nothing was asked in the last minute");
}

function showTiles() {
  const n = state.samples.length;
  if (!n) return;
  const now = state.samples[n - 1];
  const minute = state.samples[Math.max(0, n - 61)];
  const moment = state.samples[Math.max(0, n - 6)];
  const seconds = Math.max(1, now.at - moment.at);
  setText($("t-clients"), number.format(now.clients));
  setText($("t-waiting"), number.format(now.waiting));
  setText($("t-busy"), number.format(Math.max(0, now.servers - now.idle)));
  setText($("t-idle"), number.format(now.idle));
  const rate = (now.requests - moment.requests) / seconds;
  setText($("t-rate"), rate > 0 && rate < 10 ? rate.toFixed(1) : number.format(Math.round(rate)));
  setText($("t-denied"), number.format(now.denied - minute.denied));
  $("tile-waiting").classList.toggle("alarm", now.waiting > 0);
  $("tile-denied").classList.toggle("alarm", now.denied > minute.denied);
  showSplit(minute, now);
}

function showState(s) {
  state.level = s.level;
  showVerdict(s.diagnosis);
  setText($("server"), s.server_id + " · " + s.version + " · up " + duration(s.uptime_s * 1000));
  setText($("who"), s.user + " (" + s.level + ")");
  $("acts").hidden = !mayAct();
  addSamples(s);
  showTiles();
  tables.pools.show(s.pools);
  setText($("n-pools"), s.pools.length || "");
  setText($("clusters"), s.clusters.map((c) => `${c.name}: ${c.connections} of ${c.max} connections`).join(" · "));
  setText($("aws"), s.aws_calls ? `${number.format(s.aws_calls)} calls to AWS, ${number.format(s.aws_calls_failed)} failed` : "");
  drawCharts();
}

// ---- charts -------------------------------------------------------------------------------------

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
let charts = null;
let drawn = 0;

function chart(id, series, unit) {
  const box = $(id);
  const axis = { stroke: color("--quiet"), grid: { stroke: color("--line"), width: 1 }, ticks: { stroke: color("--line"), width: 1 } };
  const options = {
    width: Math.max(200, box.clientWidth), height: 190,
    padding: [8, 8, 0, 0],
    cursor: { drag: { x: false, y: false }, points: { size: 6 } },
    scales: { x: { time: true }, y: { range: (u, low, high) => [0, Math.max(1, high * 1.1)] } },
    axes: [axis, Object.assign({ size: 52, values: (u, v) => v.map((n) => (n >= 1000 ? n / 1000 + "k" : n)) }, axis)],
    series: [{ value: (u, v) => (v ? new Date(v * 1000).toLocaleTimeString() : "–") }].concat(series.map((s) => ({
      label: s.label, stroke: color(s.color), width: 1.75, fill: s.fill ? color(s.color) + "26" : undefined,
      points: { show: false }, value: (u, v) => (v === null || v === undefined ? "–" : unit(v)),
    }))),
    legend: { live: true },
  };
  box.replaceChildren();
  return new uPlot(options, [[], ...series.map(() => [])], box);
}

function makeCharts() {
  if (typeof uPlot === "undefined") return;
  charts = {
    latency: chart("chart-latency", [
      { label: "line", color: "--queue" }, { label: "Redshift", color: "--warehouse" }, { label: "proxy", color: "--proxy" },
    ], milliseconds),
    load: chart("chart-load", [
      { label: "waiting", color: "--queue", fill: true }, { label: "busy", color: "--warehouse" },
    ], (v) => String(v)),
  };
  drawn = 0;
}

// Means over three seconds: one second of few statements jumps about.
function drawCharts() {
  if (!charts) makeCharts();
  if (!charts || drawn === state.since) return;
  drawn = state.since;
  const at = [], queue = [], warehouse = [], proxy = [], waiting = [], busy = [];
  state.samples.forEach((s, i) => {
    const before = state.samples[Math.max(0, i - 3)];
    const share = shares(before, s);
    at.push(s.at);
    queue.push(share.queries ? share.queue : null);
    warehouse.push(share.queries ? share.warehouse : null);
    proxy.push(share.queries ? share.proxy : null);
    waiting.push(s.waiting);
    busy.push(Math.max(0, s.servers - s.idle));
  });
  charts.latency.setData([at, queue, warehouse, proxy]);
  charts.load.setData([at, waiting, busy]);
}

function resizeCharts() {
  if (!charts) return;
  for (const [name, c] of Object.entries(charts))
    c.setSize({ width: Math.max(200, $("chart-" + name).clientWidth), height: 190 });
}
let resizeTimer = 0;
addEventListener("resize", () => {
  clearTimeout(resizeTimer);
  resizeTimer = setTimeout(resizeCharts, 150);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  if (!charts) return;
  for (const c of Object.values(charts)) c.destroy();
  makeCharts();
  drawCharts();
});

// ---- what one can do ----------------------------------------------------------------------------

const dialog = $("dialog");

function open(title, body, yes) {
  setText($("dialog-title"), title);
  $("dialog-body").replaceChildren(body);
  $("dialog-yes").hidden = !yes;
  if (yes) setText($("dialog-yes"), yes);
  setText($("dialog-no"), yes ? "No" : "Close");
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

async function act(text, question, yes) {
  if (!(await open(question, el("p", text, "quiet"), yes))) return;
  try {
    const answer = await command(text);
    toast(answer.done + ": done");
  } catch (e) {
    if (e instanceof Unauthorized) needLogin(); else toast(e.message);
  }
  poll();
}

const kill = (id, user) => act("KILL_CLIENT " + id, "Close the connection of client " + id + " (" + user + ")?", "Kill");

const cancel = (id, user) => act("CANCEL " + id, "Cancel what client " + id + " (" + user + ") is asking?", "Cancel it");

async function explain(id) {
  let answer;
  try {
    answer = await command("EXPLAIN DECISION " + id);
  } catch (e) {
    if (e instanceof Unauthorized) needLogin(); else toast(e.message);
    return;
  }
  const list = el("dl");
  for (const r of answer.rows)
    list.append(el("dt", r.key), el("dd", r.value, r.key === "message" || r.key === "what to do" ? "strong" : ""));
  open("Decision " + id, list);
}

for (const b of document.querySelectorAll("[data-act]"))
  b.addEventListener("click", () => act(b.dataset.act, b.textContent + "?", b.textContent));
$("filter").addEventListener("input", (e) => {
  state.filter = e.target.value.toLowerCase();
  showClients();
});

// ---- refreshing ---------------------------------------------------------------------------------

let clients = [];
const CLIENTS_SHOWN = 200;

function showClients() {
  const wanted = clients.filter((r) => !state.filter ||
    [r.id, r.user, r.database, r.addr, r.application_name, r.state, r.pool, r.pinned].join(" ").toLowerCase().includes(state.filter));
  const order = { waiting: 0, active: 1, idle: 2 };
  wanted.sort((a, b) => (order[a.state] ?? 3) - (order[b.state] ?? 3) || a.id - b.id);
  tables.clients.show(wanted.slice(0, CLIENTS_SHOWN));
  const shown = Math.min(wanted.length, CLIENTS_SHOWN);
  setText($("n-clients"), shown === clients.length ? shown || "" : shown + " of " + clients.length);
}

function showRoutes(answer) {
  if (!routes) {
    const named = (c) => c.replaceAll("_", " ");
    const isNumber = (c) => answer.rows.some((r) => typeof r[c] === "number");
    routes = new Table(host("routes"), answer.columns.map((c) => ({ title: named(c), value: (r) => r[c], number: isNumber(c) && c !== "position" })),
      (r) => answer.columns.map((c) => r[c]).slice(0, 2).join("/"), "No rules: every session goes to the first cluster.");
  }
  $("routes").hidden = false;
  routes.show(answer.rows);
  setText($("n-routes"), answer.rows.length || "");
}

async function fill(name, text, show) {
  const answer = await command(text);
  if (show) return show(answer);
  tables[name].show(answer.rows);
  setText($("n-" + name), answer.rows.length || "");
}

let commands = null; // the proxy's own, by SHOW HELP
async function fillRoutes() {
  if (!commands) commands = new Set((await command("SHOW HELP")).rows.map((r) => r.command));
  if (commands.has("SHOW ROUTES")) await fill("routes", "SHOW ROUTES", showRoutes);
}

async function poll() {
  if (state.busy || document.hidden) return;
  state.busy = true;
  clearTimeout(state.timer);
  try {
    const r = await ask("/api/state?since=" + state.since);
    if (r.status === 403) throw new Unauthorized();
    if (!r.ok) throw new Error("the proxy answered " + r.status);
    const s = await r.json();
    showBoard();
    showState(s);
    const turn = state.turn++;
    // What a new cause points at must not tell of the time before it.
    const news = s.diagnosis.map((d) => d.cause).join();
    const isNews = news !== state.news;
    state.news = news;
    const wanted = [fill("waiting", "SHOW WAITING")];
    if (isNews || turn % 2 === 0) wanted.push(fill("denied", "SHOW DENIED"));
    // A list of thousands keeps each worker for some milliseconds: the longer it is, the more rarely it is asked for.
    if (turn % Math.min(60, 2 * Math.ceil((clients.length || 1) / 500)) === 0)
      wanted.push(fill("clients", "SHOW EXTENDED CLIENTS", (a) => { clients = a.rows; showClients(); }));
    if (isNews || turn % 5 === 0) wanted.push(fill("credentials", "SHOW CREDENTIALS"), fill("history", "SHOW HISTORY"), fillRoutes());
    await Promise.all(wanted);
    state.lost = 0;
    pulse("live", "live");
  } catch (e) {
    if (e instanceof Unauthorized) needLogin();
    else if (++state.lost > 1) pulse("lost", "no answer for " + state.lost + " s");
  } finally {
    state.busy = false;
    if (!$("board").hidden) state.timer = setTimeout(poll, 1000);
  }
}

function pulse(kind, text) {
  const p = $("pulse");
  p.dataset.state = kind;
  setText(p, text);
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && !$("board").hidden) poll();
});

// ---- logging in ---------------------------------------------------------------------------------

function showBoard() {
  if (!$("board").hidden) return;
  $("login").hidden = true;
  $("board").hidden = false;
  $("logout").hidden = $("who").hidden = false;
}

// Without a login there is the status, and that alone.
async function showStatus() {
  try {
    const r = await fetch("/readyz", { cache: "no-store" });
    const text = await r.text();
    const line = text.split("\n").find((l) => l.startsWith("diagnosis: "));
    setText($("sentence"), line ? line.slice(11) : text.split("\n")[0]);
    $("verdict").dataset.severity = r.ok ? (line && line.includes("All is well") ? "ok" : "note") : "critical";
    setText($("culprit"), r.ok ? "Ready" : "Not ready");
    pulse("live", "live");
  } catch (e) {
    pulse("lost", "no answer");
  }
  if (!$("login").hidden) setTimeout(showStatus, 2000);
}

function needLogin() {
  clearTimeout(state.timer);
  const first = $("login").hidden;
  $("board").hidden = $("logout").hidden = $("who").hidden = true;
  $("login").hidden = false;
  $("findings").replaceChildren();
  setText($("advice"), "");
  state.samples = [];
  state.since = state.turn = 0;
  if (dialog.open) dialog.close();
  if (first) {
    $("login").elements.user.focus();
    showStatus();
  }
}

$("login").addEventListener("submit", async (e) => {
  e.preventDefault();
  const form = e.target;
  const button = form.querySelector("button");
  setText($("login-error"), "");
  button.disabled = true;
  try {
    const r = await fetch("/api/login", {
      method: "POST", credentials: "same-origin", headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ user: form.elements.user.value, password: form.elements.password.value }),
    });
    const answer = await r.json().catch(() => ({}));
    form.elements.password.value = "";
    if (r.ok) await poll();
    else setText($("login-error"), answer.error ? answer.error.message : "the proxy answered " + r.status);
  } catch (err) {
    setText($("login-error"), "no answer from the proxy");
  } finally {
    button.disabled = false;
  }
});

$("logout").addEventListener("click", async () => {
  await post("/api/logout", {}).catch(() => {});
  needLogin();
});

poll();
