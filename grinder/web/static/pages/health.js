import { h, card, facts, state, badge, time, count, bytes, ident, took } from "../dom.js";
import { session } from "../api.js";
import { button } from "../controls.js";

export const page = (app) => ({
  title: "Health", path: "/api/pages/health",
  draw(told) {
    const of = told.as_of, now = told.now, streams = Object.entries((now && now.streams) || {});
    const behind = now ? now.durable_position - of.head : 0;
    return [
      h("div", { class: "title" }, h("h1", {}, "Health"), now ? state(now.phase) : badge(told.run.finished ? "finished" : "no process")),
      h("div", { class: "columns" },
        card("Process", now ? facts([["Phase", now.phase], ["Mode", now.mode, now.feed], ["Exchange", now.exchange], ["Its time", time(now.now_ns)], ["Prices seen", count(now.prices_seen), `${count(now.prices_let_in)} acted on`],
          ["Fills", count(now.fills)], ["Orders of unknown outcome", now.unknown_orders.length ? badge(now.unknown_orders.length, "bad") : "none"], ["Dead man's switch", now.dead_man_seconds ? `${now.dead_man_seconds} s` : "off"],
          ["Disk", now.disk_low ? badge("low", "bad") : "enough"], ["Requests suspended until", now.requests_suspended_until_ns !== "0" ? time(now.requests_suspended_until_ns) : "not"], ["Last reconciliation", time(now.last_reconciliation_ns)]])
          : h("p", { class: "empty" }, told.run.finished ? "The run has finished; its ledger is complete." : "No process answers in this folder.")),
        card("Ledger and views", facts([["Records", count(of.head)], ["Views", of.fault ? badge(of.fault, "bad") : behind > 0 ? `${count(behind)} records behind` : badge("current", "good")], ["Checked", time(String(of.checked_ns))],
          ["Ledger", told.sizes.ledger ? bytes(told.sizes.ledger) : "–"], ["Views", told.sizes.views ? bytes(told.sizes.views) : "–"], told.sizes.log ? ["Write-ahead log", bytes(told.sizes.log)] : null, ["Head", now ? ident(now.head) : "see the ledger page"]])),
        card("Streams", streams.length ? facts(streams.map(([name, one]) => [name, state(one)])) : h("p", { class: "empty" }, "No stream.")),
        now && now.lease ? card("Standby", [facts([["Trades", now.lease.node, `epoch ${now.lease.epoch}`], ["For", took(`${now.lease.held_seconds}000000000`), now.lease.reason],
          ["Stands by", now.lease.standbys.length ? now.lease.standbys.map((one) => `${one.node}, ${one.behind ? `${count(one.behind)} records behind` : "up to date"}`).join("; ") : badge("nobody", "warning")]]),
          h("div", { class: "filters", style: { "margin-top": "12px" } }, button(app, "failover"))]) : null,
        card("This page", facts([["Updates", app.live.up ? badge("WebSocket", "good") : performance.now() < 5000 ? badge("connecting") : badge("asking every few seconds", "warning")], ["Told up to record", app.live.seq ? count(app.live.seq) : "–"], ["Cuts", count(app.live.cuts), app.live.caught ? `${count(app.live.caught)} events were told afterwards` : null], ["You are", session.me ? `${session.me.username}, ${session.me.role}` : "–"], ["Program", `grinder ${told.run.program || ""}`]]))),
    ];
  },
});
