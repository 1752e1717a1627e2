// The frame: which page, which run, which record; asks, shows, follows. Law: nothing is shown without saying
// how old it is.

import { h, morph, money, percent, badge, when, count } from "./dom.js";
import { get, whoami, renew, logout, routes, session } from "./api.js";
import { Live } from "./live.js";
import { Scrubber } from "./scrubber.js";
import { askLogin, button } from "./controls.js";

const PAGES = [
  ["Trading", [["overview", "Overview"], ["grids", "Grids"], ["orders", "Orders"], ["fills", "Fills"], ["decisions", "Decisions"], ["balances", "Balances"], ["market", "Market"]]],
  ["Safety", [["risk", "Risk and halts"], ["reconciliation", "Reconciliation"], ["health", "Health"]]],
  ["Record", [["ledger", "Ledger"], ["backtests", "Backtests"], ["config", "Configuration"]]],
];
const NAMES = new Set(PAGES.flatMap(([, list]) => list.map(([name]) => name)));
const STALE_MS = 10000, REFRESH_MS = 2000;
const $ = (id) => document.getElementById(id);

class App {
  constructor() {
    this.run = ""; this.at = null; this.name = ""; this.parts = []; this.query = {};
    this.asOf = null; this.now = null; this.page = null; this.answered = 0; this.asking = null; this.wanted = false;
    this.scrubber = new Scrubber($("time"), (at, settled) => this.travel(at, settled));
    this.live = new Live({ moved: () => this.later(), state: () => this.connected(), where: () => this.run });
  }

  async begin() {
    theme();
    $("menu").onclick = () => this.menu(!$("nav").classList.contains("open"));
    $("theme").onclick = () => theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
    $("runs").onchange = () => this.go({ run: $("runs").value, at: null });
    $("who").onclick = () => this.person();
    addEventListener("hashchange", () => this.follow());
    addEventListener("keydown", (event) => { if (event.key === "Escape") this.menu(false); });
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.refresh(); });
    this.nav();
    this.follow(true);
    await this.known();
    await Promise.all([this.refresh(), this.timeline(), this.listed(), routes().catch(() => {})]);
    this.frame();
    this.live.begin();
    setInterval(() => this.tick(), 1000);
    document.documentElement.dataset.ready = "true";
  }

  async known() {
    for (;;) {
      try { await whoami(); break; }
      catch (error) {
        if (error.status !== 401) { this.trouble(error); return; }
        try { await renew(); break; } catch { await askLogin(""); if (session.me) break; }
      }
    }
    const me = session.me;
    $("who").hidden = false;
    $("who").textContent = `${me.username} · ${me.role}`;
    $("who").title = me.login ? "Log out" : "Log in";
    $("who").className = "";
    $("who-2").textContent = `${$("who").textContent}: ${$("who").title.toLowerCase()}`;
  }

  async person() {
    if (session.me && session.me.login) await logout().catch(() => {});
    await askLogin("").then(() => this.known());
    this.refresh();
  }

  async listed() {
    try {
      const told = await get("/api/pages/runs", { run: this.run });
      this.served = told.served;
      if (!this.asOf) { this.asOf = told.as_of; this.frame(); }
      $("runs").replaceChildren(...told.served.map((name) => h("option", { value: name }, name)));
      $("runs-2").replaceChildren(...told.served.map((name) => h("option", { value: name }, name)));
      $("runs-label").hidden = told.served.length < 2;
      $("run-name").hidden = told.served.length > 1;
      if (this.asOf) $("runs").value = this.asOf.run;
    } catch (error) { this.trouble(error); }
  }

  async timeline() {
    try {
      const told = await get("/api/pages/equity", { run: this.run });
      this.scrubber.learn(told.as_of.head, told.places, told.points);
      this.lined = Date.now();
      if (!this.money || this.money.run !== this.run) this.money = { ...told, run: this.run };
      this.frame();
    } catch (error) { this.trouble(error); }
  }

  // --- where -------------------------------------------------------------------------------------------

  follow(first = false) {
    if (location.hash === "#content") return;
    const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
    const [name, ...parts] = path.split("/").map(decodeURIComponent);
    const given = Object.fromEntries(new URLSearchParams(query));
    const run = given.run || "", at = /^\d+$/.test(given.at || "") ? Number(given.at) : null;
    const other = run !== this.run;
    const turned = (NAMES.has(name) ? name : "overview") !== this.name || parts.join() !== this.parts.join();
    this.name = NAMES.has(name) ? name : "overview"; this.parts = parts; this.run = run; this.at = at;
    delete given.run; delete given.at;
    this.query = given;
    if (other || first) this.scrubber.at = at; else if (at !== this.scrubber.at) this.scrubber.set(at);
    this.menu(false); this.marked();
    if (first) return;
    if (other) { this.asOf = this.now = this.money = null; this.timeline(); this.live.again(); }
    this.refresh();
    if (turned && !document.querySelector("dialog[open]")) { $("content").focus({ preventScroll: true }); scrollTo(0, 0); }
  }

  hash({ page = this.name, parts = page === this.name ? this.parts : [], run = this.run, at = this.at, query = {} } = {}) {
    const given = new URLSearchParams({ ...query, ...(run ? { run } : {}), ...(at !== null ? { at } : {}) }).toString();
    return `#/${[page, ...parts].map(encodeURIComponent).join("/")}${given ? "?" + given : ""}`;
  }

  go(where) { location.hash = this.hash(where); }

  travel(at, settled) {
    this.at = at;
    history.replaceState(null, "", this.hash({ query: this.query }));
    this.marked(); this.frame();
    this.settled = settled;
    this.refresh(settled);
  }

  nav() {
    $("nav").replaceChildren(h("ul", {}, PAGES.flatMap(([group, list]) => [h("li", { class: "of" }, group),
      ...list.map(([name, title]) => h("li", {}, h("a", { href: `#/${name}`, "data-page": name }, h("span", {}, title))))]),
      h("li", { class: "phone" }, h("label", {}, h("span", { class: "hidden" }, "Run"), h("select", { id: "runs-2", onchange: (event) => this.go({ run: event.target.value, at: null }) })), h("button", { id: "who-2", onclick: () => this.person() }))));
  }

  marked() {
    for (const link of $("nav").querySelectorAll("a")) {
      link.href = this.hash({ page: link.dataset.page, parts: [] });
      if (link.dataset.page === this.name) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
    }
  }

  menu(open) {
    $("nav").classList.toggle("open", open);
    $("menu").setAttribute("aria-expanded", String(open));
    if (open) $("nav").querySelector("a").focus();
  }

  // --- what --------------------------------------------------------------------------------------------

  later() {
    if (this.at !== null || document.hidden) { this.frame(); return; }
    if (this.waiting) return;
    this.waiting = setTimeout(() => { this.waiting = 0; this.refresh(); }, Math.max(0, REFRESH_MS - (Date.now() - this.answered)));
  }

  // One question at a time; while one is on its way the latest wish waits.
  async refresh() {
    if (this.asking) { this.wanted = true; return; }
    this.asking = true;
    const slow = setTimeout(() => { this.slow = true; this.frame(); }, 350);
    const key = [this.name, ...this.parts].join("/"), began = performance.now();
    try {
      if (!this.page || this.page.key !== key) {
        const made = await import(`./pages/${this.name === "grids" && this.parts.length ? "grid" : this.name}.js`);
        if (this.page && this.page.close) this.page.close();
        this.page = { key, ...made.page(this) };
        document.title = `${this.page.title} – grinder`;
        $("page").replaceChildren(h("p", { class: "muted" }, "Loading…"));
        delete document.documentElement.dataset.shown;
      }
      const page = this.page, asked = { run: this.run, at: this.at };
      const told = await get(page.path, { ...asked, ...(page.query ? page.query() : {}) });
      if (page === this.page) {
        this.asOf = told.as_of; this.answered = Date.now(); this.failure = null;
        if (told.account) this.money = { ...told, run: this.run };
        if (this.at === null && told.now !== undefined) this.now = told.now;
        else if (this.at === null && told.as_of.running) this.process();
        page.told = told;
        this.draw();
        if (page.after) page.after(told);
        document.documentElement.dataset.shown = key;
        document.documentElement.dataset.took = String(Math.round(performance.now() - began));
        document.documentElement.dataset.at = String(this.at ?? told.as_of.position);
      }
    } catch (error) { if (error.status === 404 && this.page) this.absent(error, key); else await this.trouble(error); }
    clearTimeout(slow); this.asking = null; this.slow = false;
    this.frame();
    if (this.wanted) { this.wanted = false; this.refresh(); }
  }

  // Whether it is paused or halted is to be seen on every page, also where the page itself does not ask.
  async process() {
    try { this.now = (await get("/api/pages/health", { run: this.run })).now; this.frame(); } catch { /* the page's own question tells */ }
  }

  draw() {
    const fresh = h("div", { id: "page" });
    const made = this.page.draw(this.page.told, this);
    fresh.append(...(Array.isArray(made) ? made.flat().filter(Boolean) : [made]));
    morph($("page"), fresh);
  }

  // The page asks for something that is not there at this record: that is an answer, too.
  absent(error, key) {
    const page = this.page;
    if (page.close) page.close();
    this.page = null; this.failure = null; this.answered = Date.now();
    const said = error.message.charAt(0).toUpperCase() + error.message.slice(1);
    morph($("page"), h("div", {}, h("div", { class: "title" }, h("h1", {}, page.title)),
      h("section", { class: "card" }, h("p", { class: "empty" }, `${said}. `, this.at !== null ? "It may not have begun yet: move the handle below on, or go back to now." : "It may begin later, or be part of another run."),
        h("p", {}, h("a", { class: "button", href: this.hash({ page: "overview", parts: [] }) }, "Overview"), " ",
          this.at !== null ? h("button", { onclick: () => this.scrubber.go(null) }, "Back to now") : null))));
    document.documentElement.dataset.shown = key;
    document.documentElement.dataset.at = String(this.at ?? this.scrubber.head);
  }

  async trouble(error) {
    if (error.status === 401) {
      await renew().catch(() => askLogin("Your session has ended."));
      if (session.me) { this.known(); this.wanted = true; }
      return;
    }
    this.failure = error;
    if (error.status === undefined) document.documentElement.dataset.error = String(error.stack || error);
    if (this.page && !this.page.told) $("page").replaceChildren(h("p", { class: "empty" }, error.message));
    this.frame();
  }

  tick() {
    if (this.asOf && this.asOf.running && this.at === null && Date.now() - this.answered > 4 * REFRESH_MS) this.refresh();
    else if (this.asOf && this.asOf.preparing && Date.now() - this.answered > REFRESH_MS) { this.refresh(); this.timeline(); }
    else if (this.failure && Date.now() - session.lastHeard > 3000) this.refresh();
    if (this.asOf && this.asOf.running && !document.hidden && Date.now() - (this.lined || 0) > 30000) this.timeline();
    this.frame();
  }

  // --- the frame ---------------------------------------------------------------------------------------

  // What is shown of the connection is on one page only.
  connected() {
    this.frame();
    if (this.name === "health" && this.page && this.page.told) this.draw();
  }

  stale() {
    if (!this.asOf || this.at !== null) return "";
    if (this.asOf.preparing) return `The views are being made from the ledger: these are the figures of record ${count(this.asOf.head)} of ${count(this.asOf.end)}.`;
    const age = Math.round((Date.now() - this.answered) / 1000);
    if (this.asOf.running && Date.now() - this.answered > STALE_MS) return `The figures are ${age} s old: the server does not answer.`;
    return this.asOf.stale ? "The run does not answer: these are the last figures known." : "";
  }

  frame() {
    const stale = this.stale(), of = this.asOf, money = this.money;
    document.body.classList.toggle("stale", Boolean(stale) || Boolean(this.slow && this.at !== null));
    $("run-name").textContent = of ? of.run : "";
    for (const list of [$("runs"), $("runs-2")]) if (of && list.value !== of.run) list.value = of.run;
    const [text, kind] = this.slow && this.at !== null ? ["going there…", "past"] : this.at !== null ? ["past", "past"] : !of ? ["connecting", ""] : stale ? [of.preparing ? "preparing" : "stale", "bad"] : !of.running ? ["ended", ""]
      : this.now && this.now.halted ? ["halted", "bad"] : this.now && paused(this.now) ? ["paused", "warning"] : [this.live.up || performance.now() < 5000 ? "live" : "live, polling", "good"];
    if ($("state").textContent !== text) $("state").textContent = text;
    $("state").className = `badge ${kind}`;
    if (money) morph($("head-figures"), h("span", {}, ...headFigures(money)));
    const notes = [];
    if (this.at !== null && of) notes.push(h("div", { class: "notice past" }, h("b", {}, `You look at record ${count(this.at)}`),
      `${this.scrubber.time(this.at) ? when(this.scrubber.time(this.at)) + " UTC" : ""}: every figure is as it was then.`, h("button", { onclick: () => this.scrubber.go(null) }, "Back to now")));
    if (stale) notes.push(h("div", { class: "notice bad" }, h("b", {}, of.preparing ? "Preparing" : "Stale"), stale));
    if (this.failure) notes.push(h("div", { class: "notice bad" }, h("b", {}, "No answer"), this.failure.message, this.failure.fix || ""));
    if (this.now && this.now.halted && this.at === null) notes.push(h("div", { class: "notice bad" }, h("b", {}, "Trading is halted"), this.now.halted, button(this, "reset")));
    morph($("notice"), h("div", {}, ...notes));
    morph($("controls"), h("span", {}, ...["resume", "pause", "kill"].map((one) => button(this, one))));
    if (of && (of.head !== this.scrubber.head)) this.scrubber.learn(of.head);
    document.documentElement.dataset.live = this.live.up ? String(this.live.seq) : "";
  }

  say(text, bad = false) {
    $("said").textContent = text;
    const note = h("div", { class: `notice toast ${bad ? "" : "past"}` }, text);
    document.body.querySelectorAll(".toast").forEach((one) => one.remove());
    document.body.append(note);
    setTimeout(() => note.remove(), 6000);
  }
}

function paused(now) {
  const symbols = Object.values(now.symbols || {});
  return (now.pauses || []).length > 0 || (symbols.length > 0 && symbols.every((one) => (one.pauses || []).length));
}

function headFigures({ account, total, limits }) {
  const quote = (account || {}).quote || "";
  if (!total || total.equity_end === undefined || total.equity_end === null) return [];
  const one = (name, value) => h("span", {}, h("small", {}, name), h("b", {}, value));
  return [one(`Equity ${quote}`, money(total.equity_end)), one("Grid profit", money(total.grid_profit, { signed: true })),
    one("Drawdown", percent((limits || {}).session_drawdown_ppm))];
}

function theme(wanted) {
  if (wanted) localStorage.setItem("theme", wanted);
  const system = matchMedia("(prefers-color-scheme: dark)");
  const chosen = wanted || localStorage.getItem("theme");
  document.documentElement.dataset.theme = chosen || (system.matches ? "dark" : "light");
  system.onchange = () => theme();
  dispatchEvent(new Event("resize"));
  window.dispatchEvent(new CustomEvent("theme"));
}

addEventListener("error", (event) => { document.documentElement.dataset.error = event.message; });
const app = new App();
addEventListener("theme", () => { if (app.page && app.page.after && app.page.told) app.page.after(app.page.told); app.scrubber.draw(); });
app.begin();
