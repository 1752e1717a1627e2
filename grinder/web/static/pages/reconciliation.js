import { h, card, table, time, badge, state, count, bytes, percent, ident } from "../dom.js";
import { button } from "../controls.js";

export const page = (app) => ({
  title: "Reconciliation", path: "/api/pages/reconciliation",
  draw(told) {
    const waiting = told.pauses.filter((one) => one.reason === "difference" && one.symbol);
    const last = told.comparisons[0];
    return [
      h("div", { class: "title" }, h("h1", {}, "Reconciliation"), last ? badge(last.differences ? `${count(last.differences)} differences at the last comparison` : "books and exchange agree", last.differences ? "bad" : "good") : null),
      waiting.length ? h("div", { class: "notice bad" }, h("b", {}, "A difference waits for you"), waiting.map((one) => h("span", {}, one.symbol, " ", button(app, "accept", one.symbol)))) : null,
      h("div", { class: "columns" },
        card("Comparisons", told.compared > told.comparisons.length ? h("p", { class: "muted" }, `the last ${count(told.comparisons.length)} of ${count(told.compared)}`) : null, table("Comparisons, newest first", [
          ["Time", (one) => time(one.ts_ns)], ["Cause", (one) => one.cause], ["Open orders", (one) => count(one.open_orders), "num"],
          ["Differences", (one) => one.differences ? badge(one.differences, "bad") : "none", "num"], ["Orders not ours", (one) => one.foreign_orders || "none", "dim"]], told.comparisons,
        { none: "Never compared: a backtest has nothing outside to compare with.", link: (one) => app.hash({ page: "ledger", parts: [one.position] }) })),
        card("Differences", table("Differences, newest first", [
          ["Time", (one) => time(one.ts_ns)], ["What", (one) => `${one.kind}: ${one.subject}`], ["Books", (one) => one.books, "num"], ["Exchange", (one) => one.exchange, "num"], ["Drift", (one) => percent(one.drift_ppm, 4), "num"]],
        told.differences, { none: "None was ever found.", link: (one) => app.hash({ page: "ledger", parts: [one.position] }) }))),
      h("div", { class: "columns" },
        card("Streams", table("Streams", [["Stream", (one) => one.stream], ["State", (one) => state(one.state)], ["Since", (one) => time(one.ts_ns)], ["Changes", (one) => count(one.changes), "num"], ["", (one) => one.detail, "dim"]], told.streams, { none: "No stream: prices come from a file." })),
        card("Tape", table("Segments of the tape", [["Segment", (one) => one.name], ["Frames", (one) => count(one.frames), "num"], ["Size", (one) => bytes(one.bytes), "num"], ["From", (one) => time(one.first_ns)], ["SHA-256", (one) => ident(one.sha256, { ends: 6, tab: false }), "dim wide"]], told.tape, { none: "No segment is complete yet." }))),
    ];
  },
});
