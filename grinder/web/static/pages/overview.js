import { h, figures, facts, card, money, amountText, sum, percent, count, table, time, side, quantity, price, badge, minus, when, ms, signOf } from "../dom.js";
import { gridCard, noGrid } from "./parts.js";
import { Chart } from "../chart.js";
import { get } from "../api.js";

export function page(app) {
  let chart = null, shown = "";
  return {
    title: "Overview", path: "/api/pages/overview",
    draw(told) {
      const { total = {}, account = {}, limits = {}, counts = {} } = told, quote = account.quote || "";
      const change = total.equity_end && total.equity_start ? sum(total.equity_end, minus(total.equity_start)) : null;
      return [
        h("div", { class: "title" }, h("h1", {}, "Overview"), account.exchange ? badge(account.exchange) : null,
          told.now ? badge(told.now.mode, told.now.mode === "live" ? "warning" : "") : null,
          limits.state === "halted" ? badge(`halted: ${limits.halt_reason}`, "bad") : null,
          told.pauses.map((one) => badge(`paused${one.symbol ? " " + one.symbol : ""}: ${one.reason}`, "warning"))),
        figures([
          [`Equity, ${quote}`, money(total.equity_end), change ? h("span", {}, money(change, { signed: true }), " since the start") : null],
          ["Grid profit", money(total.grid_profit, { signed: true }), `${count(counts.cycles)} cycles`],
          ["Unpaired PnL", money(total.unpaired_pnl, { signed: true }), "holdings at the mark"],
          ["Fees", money(total.fees, { signed: true }), total.funding && /[1-9]/.test(total.funding) ? h("span", {}, "funding ", money(total.funding, { signed: true })) : `${count(counts.fills)} fills`],
          ["Drawdown", percent(limits.session_drawdown_ppm), `deepest ${percent(limits.session_drawdown_max_ppm)}`],
          ["Working orders", count(counts.working), counts.unknown ? `${counts.unknown} with unknown outcome` : "none unknown"],
        ]),
        h("div", { class: "wide-left" },
          card("Equity", h("div", { class: "chart small", "data-keep": "equity", id: "equity-chart" })),
          card("Does it add up?", identity(total, quote))),
        h("h2", { class: "hidden" }, "Grids"),
        told.grids.length ? h("div", { class: "grids" }, told.grids.map((one) => gridCard(one, app))) : card("Grids", noGrid(app)),
        h("div", { class: "columns" },
          card("Last fills", table("Last fills", [
            ["Time", (one) => time(one.executed_at_ns)], ["Symbol", (one) => one.symbol], ["Side", (one) => side(one.side)],
            ["Price", (one) => price(one.price), "num"], ["Quantity", (one) => quantity(one.quantity), "num"],
            ["Profit", (one) => one.role === "close" ? money(one.pnl, { signed: true, digits: 4 }) : "", "num"]], told.fills,
          { link: (one) => app.hash({ page: "ledger", parts: [one.position] }) })),
          card("By day", table("Results by day", [
            ["Day", (one) => one.day], ["Symbol", (one) => one.symbol],
            ["Grid profit", (one) => money(one.grid_profit, { signed: true }), "num"], ["Unpaired", (one) => money(one.unpaired_pnl, { signed: true }), "num"],
            ["Fees", (one) => money(one.fees, { signed: true }), "num"]], told.days.filter((one) => [one.grid_profit, one.unpaired_pnl, one.fees].some(signOf)), { none: "No day has a result yet." }))),
      ];
    },
    async after(told) {
      const place = document.getElementById("equity-chart");
      if (!chart) chart = new Chart(place, "Equity over time");
      const key = `${app.run}/${app.at ?? "now"}/${app.at === null ? Math.floor(Date.now() / 8000) : ""}`;
      if (key === shown) { chart.later(); return; }
      shown = key;
      const curve = await get("/api/pages/equity", { run: app.run, at: app.at }).catch(() => null);
      if (!curve || !chart) return;
      const points = curve.points.map((one) => [ms(one.ts_ns), Number(one.equity), amountText(one.equity, 2)]);
      chart.show({ empty: "No equity yet: it is known once every holding has a price.", lines: [{ points, colour: "equity", fill: "equity-faint" }], whole: points.length ? [points[0][0], points.at(-1)[0]] : null,
        summary: points.length ? `From ${points[0][2]} to ${points.at(-1)[2]} between ${when(curve.points[0].ts_ns)} and ${when(curve.points.at(-1).ts_ns)} UTC` : "No point yet" });
    },
    close() { if (chart) chart.destroy(); chart = null; },
  };
}

function identity(total, quote) {
  if (!total || !total.equity_start) return h("p", { class: "empty" }, "Equity is not marked yet.");
  const rows = [["Equity at the start", money(total.equity_start)], ["Grid profit", money(total.grid_profit, { signed: true })], ["Unpaired PnL", money(total.unpaired_pnl, { signed: true })],
    ["Fees", money(total.fees, { signed: true })], ["Funding", money(total.funding, { signed: true })], ["Transfers", money(total.transfers, { signed: true })], ["Equity now", money(total.equity_end)]];
  const whole = !/[1-9]/.test(total.identity_residual || "0");
  return [h("div", { class: "sum" }, facts(rows)), h("p", { class: "muted", style: { margin: "12px 0 0" } }, whole ? badge("adds up exactly", "good") : badge(`off by ${total.identity_residual} ${quote}`, "bad"))];
}
