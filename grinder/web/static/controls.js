// Commands, each behind a question. Law: what cannot be done is shown with the reason; a command is told as
// done with its place in the ledger, never before.

import { h, count } from "./dom.js";
import { post, login, roleIs, offers } from "./api.js";
import { deployForm } from "./deploy.js";

const dialog = () => document.getElementById("dialog");

// Opens a form and resolves with what came of it, or null when it is closed. `extra` is shown below the fields;
// `onchange` hears of every change of them.
export function ask({ title, text, fields = [], action, danger = false, perform, extra = null, onchange = null }) {
  const box = dialog(), before = document.activeElement;
  return new Promise((resolve) => {
    const problem = h("p", { class: "problem", role: "alert" });
    const send = h("button", { type: "submit", class: `main ${danger ? "danger" : ""}` }, action);
    const shown = fields.filter((one) => !one.check).map(({ name, label, type = "text", options, value = "", more = {} }) => h("label", {}, label, options
      ? h("select", { name }, options.map(([one, said]) => h("option", { value: one, selected: one === value }, said)))
      : h("input", { type, name, value, autocomplete: "off", ...more })));
    const pairs = shown.length > 5;
    let done = null;
    const form = h("form", { method: "dialog", onsubmit: async (event) => {
      event.preventDefault();
      const given = Object.fromEntries(new FormData(form));
      send.disabled = true; problem.textContent = "";
      try { done = await perform(given); box.close(); }
      catch (error) { problem.textContent = error.message + (error.fix ? ` – ${error.fix}` : ""); }
      send.disabled = false;
    }, oninput: onchange ? () => onchange(Object.fromEntries(new FormData(form))) : null }, h("h2", { id: "dialog-title" }, title), text ? h("p", {}, text) : null,
    pairs ? h("div", { style: { display: "grid", "grid-template-columns": "minmax(0, 1fr) minmax(0, 1fr)", gap: "12px" } }, shown) : shown,
    extra, fields.filter((one) => one.check).map(({ name, label }) => h("label", { class: "check" }, h("input", { type: "checkbox", name, required: true }), label)),
    problem, h("div", { class: "buttons" },
      h("button", { type: "button", value: "no", onclick: () => box.close() }, "Cancel"), send));
    box.replaceChildren(form);
    box.onclose = () => { box.replaceChildren(); if (before && before.isConnected) before.focus(); resolve(done); };
    box.showModal();
    (form.querySelector("input, select") || send).focus();
  });
}

export function askLogin(again) {
  return ask({ title: "Log in", text: again, action: "Log in", fields: [
    { name: "username", label: "Name", more: { autocomplete: "username", required: true } },
    { name: "password", label: "Password", type: "password", more: { autocomplete: "current-password", required: true } },
    { name: "totp", label: "One-time code, if you have them", more: { inputmode: "numeric", pattern: "[0-9]{6}", autocomplete: "one-time-code" } },
  ], perform: ({ username, password, totp }) => login(username, password, totp) });
}

const REASON = {
  past: "You look at the past. Go back to now to give commands.",
  ended: "Nothing runs in this folder.",
  role: "This takes the role operator. Log in, or start the dashboard with --no-login on this machine.",
  admin: "This takes the role admin and a one-time code. Elsewhere: grinder reset RUN.",
};

// Why a command cannot be given now; empty when it can.
export function reason(app, command) {
  if (app.at !== null) return REASON.past;
  if (!app.asOf || !app.asOf.running) return REASON.ended;
  if (command === "reset" || command === "accept") return roleIs("admin") ? "" : REASON.admin;
  return roleIs("operator", "admin") ? "" : REASON.role;
}

export function button(app, command, symbol = "", extra = {}) {
  const one = COMMANDS[command];
  const path = one.path.replace("{symbol}", symbol);
  let why = reason(app, command);
  if (!why && !offers(one.shape || (symbol ? one.path : path))) why = "This server does not offer it.";
  if (!why && one.unless) why = one.unless(app, symbol);
  const label = symbol ? `${one.name} ${symbol}` : one.long || one.name;
  return h("button", { class: `${one.danger ? "danger" : ""} ${extra.class || ""}`.trim() || null, "aria-label": label, "aria-disabled": why ? "true" : null, title: why || label,
    onclick: () => why ? app.say(why, true) : run(app, command, symbol, path) },
  one.icon ? h("b", { "aria-hidden": "true" }, one.icon) : null, h("span", {}, one.name));
}

const halted = (app) => app.now && app.now.halted;
const pausesOf = (app, symbol) => !app.now ? [] : symbol ? ((app.now.symbols || {})[symbol] || {}).pauses || [] : app.now.pauses || [];

const gridOf = (app, symbol) => ((app.now || {}).symbols || {})[symbol] || {};
const isPaused = (app, symbol) => pausesOf(app, "").length || pausesOf(app, symbol).length;
const LATCHED = "The kill switch is latched: reset it first.";
const BUSY = { running: "It is running.", initialized: "It waits for its first price.", stopping: "It is stopping.", rebalancing: "Its orders are being placed anew." };

export const CODE = { name: "code", label: "One-time code", more: { inputmode: "numeric", pattern: "[0-9]{6}", required: true, autocomplete: "one-time-code" } };
// Where real money is traded, what begins to trade takes a code.
const codeIfLive = (app) => (app.now || {}).mode === "live" ? [CODE] : [];

const COMMANDS = {
  start: { live: codeIfLive, name: "Start", path: "/api/grids/{symbol}/start", shape: "/api/grids/{symbol}/start",
    text: "The grid is laid out anew under the terms deployed last and takes over what it holds. Its orders are placed as far as the limits allow them.",
    unless: (app, symbol) => halted(app) ? LATCHED : BUSY[gridOf(app, symbol).status] || (isPaused(app, symbol) ? "It is paused: resume it first." : "") },
  deploy: { name: "Deploy", path: "/api/deploy", shape: "/api/deploy", form: deployForm, live: codeIfLive, unless: (app) => halted(app) ? LATCHED : "" },
  rebalance: { name: "Rebalance", path: "/api/rebalance", shape: "/api/rebalance", body: (symbol) => ({ symbol }),
    text: "Every order of its levels is cancelled and placed anew, as its levels stand. Its terms, its center and what it holds stay.",
    unless: (app, symbol) => halted(app) ? LATCHED : gridOf(app, symbol).status !== "running" ? "It does not run." : isPaused(app, symbol) ? "It is paused: resume it first." : "" },
  pause: { name: "Pause", icon: "❚❚", long: "Pause all trading", path: "/api/pause", shape: "/api/pause", text: "No new order leaves. Working orders stay on the exchange.",
    unless: (app) => pausesOf(app, "").length ? "It is paused." : "" },
  pauseSymbol: { name: "Pause", path: "/api/pause/{symbol}", shape: "/api/pause/{symbol}", text: "No new order of this symbol leaves. Working orders stay on the exchange.",
    unless: (app, symbol) => pausesOf(app, symbol).length ? "It is paused." : "" },
  resume: { name: "Resume", icon: "▶", long: "Resume trading", path: "/api/resume", shape: "/api/resume", text: "Orders may leave again, as far as the limits allow them.",
    unless: (app) => halted(app) ? "The kill switch is latched: reset it first." : pausesOf(app, "").length ? "" : "It is not paused." },
  resumeSymbol: { name: "Resume", path: "/api/resume/{symbol}", shape: "/api/resume/{symbol}", text: "Orders of this symbol may leave again.",
    unless: (app, symbol) => halted(app) ? "The kill switch is latched: reset it first." : pausesOf(app, symbol).length ? "" : "It is not paused." },
  stop: { name: "Stop", danger: true, path: "/api/grids/{symbol}/stop", shape: "/api/grids/{symbol}/stop", text: "The grid ends. Say what becomes of its orders and its holding.",
    fields: [{ name: "on_stop", label: "Orders and holding", value: "cancel", options: [["cancel", "cancel the orders, keep the holding"], ["keep", "leave orders and holding"], ["flatten", "cancel the orders, close the holding at the market"]] }],
    unless: (app, symbol) => { const one = ((app.now || {}).symbols || {})[symbol]; return one && one.status === "stopped" ? "It has stopped." : ""; } },
  kill: { name: "Kill", icon: "■", long: "Kill switch", danger: true, path: "/api/kill", shape: "/api/kill", text: "Every order is cancelled and nothing is sent until the kill switch is reset.",
    fields: [{ name: "reason", label: "Why (goes into the ledger)", more: { maxlength: "120" } }, { name: "sure", label: "Yes, cancel everything now", check: true }],
    unless: (app) => halted(app) ? "The kill switch is latched." : "" },
  reset: { name: "Reset kill switch", path: "/api/reset-kill", shape: "/api/reset-kill", text: "Trading may go on, and the high of the session is measured anew.",
    fields: [CODE],
    unless: (app) => halted(app) ? "" : "The kill switch is not latched." },
  failover: { name: "Hand over", long: "Hand the run over", path: "/api/ha/failover", shape: "/api/ha/failover", text: "The process that trades cancels its orders and ends; its standby takes over and places them anew. That takes a second or two.",
    fields: [{ name: "sure", label: "Yes, hand over now", check: true }],
    unless: (app) => { const lease = (app.now || {}).lease; return !lease ? "A run on paper has no standby." : lease.standbys.length ? "" : "No standby follows the run. Start one with: grinder standby RUN"; } },
  accept: { name: "Accept the exchange's figures", path: "/api/reconciliation/{symbol}/accept", shape: "/api/reconciliation/{symbol}/accept", text: "The books take over what the exchange says of this symbol, and its trading goes on." },
};

async function run(app, command, symbol, path) {
  const one = COMMANDS[command];
  const more = one.live ? one.live(app) : [];
  const done = one.form ? await one.form(app, symbol, ask, more)
    : await ask({ title: symbol ? `${one.name} ${symbol}?` : `${one.long || one.name}?`, text: one.text, action: one.name, danger: one.danger, fields: [...(one.fields || []), ...more],
      perform: ({ code = "", sure, ...body }) => post(path, app.run, { ...body, ...(one.body ? one.body(symbol) : {}) }, code) });
  if (done) {
    const after = done.waits ? " It starts as soon as the last order of the old grid has ended." : "";
    app.say(done.status === "blocked" ? `${one.name}: blocked by a limit, ${done.reason} ${done.detail || ""}` : `${one.name}: done, record ${count(done.position)} of the ledger.${after}`, done.status === "blocked");
    app.refresh();
  }
}
