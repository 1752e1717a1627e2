import { h, figures, card, money, price, quantity, amountText, count, table, time, side, state, badge, facts, sum, ms, when, took } from "../dom.js";
import { modeText } from "./parts.js";
import { button } from "../controls.js";
import { Chart } from "../chart.js";
import { get } from "../api.js";

const PHASES = { INITIAL: "idle", BUY_PLACED: "buy works", SELL_PLACED: "sell works", HOLDING: "holds" };

export function page(app) {
  const symbol = app.parts[0];
  let chart = null, asked = "", held = null, drawn = null;
  const live = (app) => app.at === null && app.now && ((app.now.symbols || {})[symbol] || {}).price;
  const fetched = async (force) => {
    if (!chart) return;
    const window = chart.window, room = Math.round(Math.max(60, chart.plot().w / 3.6));
    const key = JSON.stringify([app.run, app.at ?? `now${Math.floor(Date.now() / 5000)}`, window, room]);
    if (key === asked && !force) { chart.later(); return; }
    asked = key;
    if (held) held.abort();
    held = new AbortController();
    const ns = (t) => t === null ? null : `${Math.round(t)}000000`;
    const bounds = window ? { from_ns: ns(window[0]), to_ns: ns(window[1]) } : {};
    try { drawn = await get(`/api/pages/chart/${encodeURIComponent(symbol)}`, { run: app.run, at: app.at, candles: room, ...bounds }, held.signal); }
    catch (error) { if (error.name !== "AbortError") app.trouble(error); return; }
    if (chart) show(chart, drawn, live(app));
    document.documentElement.dataset.chart = String(drawn.candles.length);
  };
  return {
    title: symbol, path: `/api/pages/grids/${encodeURIComponent(symbol)}`,
    draw(told) {
      const one = told.grid, status = one.risk_state === "halted" ? "halted" : one.status;
      const result = one.grid_profit ? sum(one.grid_profit, one.unpaired_pnl, one.fees, one.funding) : null;
      return [
        h("div", { class: "title" }, h("h1", {}, symbol), state(status), h("span", { class: "muted" }, modeText(one)), one.halt_reason ? badge(one.halt_reason, "bad") : null,
          h("span", { class: "push" }), ["start", "pauseSymbol", "resumeSymbol", "rebalance", "deploy", "stop"].map((name) => button(app, name, symbol))),
        figures([
          [live(app) ? "Price" : "Mark price", price(live(app) || one.mark_price), `range ${amountText(one.lower_price, 8)} – ${amountText(one.upper_price, 8)}`],
          [`Result, ${one.quote}`, money(result, { signed: true }), "after fees"],
          ["Grid profit", money(one.grid_profit, { signed: true }), `${count(one.cycles_closed)} cycles`],
          ["Unpaired PnL", money(one.unpaired_pnl, { signed: true }), "holding at the mark"],
          ["Fees and funding", money(one.fees ? sum(one.fees, one.funding) : null, { signed: true }), `${count(one.fills)} fills`],
          ["Holding", quantity(one.inventory), one.base],
        ]),
        card("", h("div", { class: "chart", "data-keep": "chart", id: "grid-chart" }),
          h("div", { class: "legend" }, h("span", { class: "c-ladder" }, h("i", {}), "ladder"), h("span", { class: "c-buy" }, "▲ buys, and working buys at the edge"), h("span", { class: "c-sell" }, "▼ sells"),
            h("span", { class: "push" }), h("button", { "aria-label": "Earlier", title: "Earlier", onclick: () => chart && chart.shift(-1) }, "‹"), h("button", { "aria-label": "Later", title: "Later", onclick: () => chart && chart.shift(1) }, "›"),
            h("button", { "aria-label": "Zoom in", title: "Zoom in", onclick: () => chart && chart.zoom(.6) }, "+"), h("button", { "aria-label": "Zoom out", title: "Zoom out", onclick: () => chart && chart.zoom(1.7) }, "−"),
            h("button", { onclick: () => chart && chart.look(null) }, "Whole run"))),
        h("div", { class: "wide-left" },
          card("Cycles", table("Cycles, newest first", [
            ["Level", (row) => row.grid_level, "num"], ["Cycle", (row) => row.cycle + 1, "num wide"], ["State", (row) => state(row.status)],
            ["Opened", (row) => time(row.opened_at_ns)], ["Took", (row) => row.closed_at_ns ? took(BigInt(row.closed_at_ns) - BigInt(row.opened_at_ns)) : "–", "num"],
            ["Open at", (row) => price(row.open_price_avg), "num"], ["Close at", (row) => /[1-9]/.test(row.close_price_avg) ? price(row.close_price_avg) : "–", "num"],
            ["Profit", (row) => row.status === "closed" ? money(row.profit, { signed: true, digits: 4 }) : "–", "num"], ["Fees", (row) => money(row.fees, { signed: true, digits: 4 }), "num wide"]],
          told.cycles, { none: "No level has been filled yet.", link: (row) => app.hash({ page: "ledger", parts: [row.last_position] }) })),
          card("Ladder", ladder(told))),
        h("div", { class: "wide-left" },
          card("Fills", table("Fills, newest first", [
            ["Time", (row) => time(row.executed_at_ns)], ["Side", (row) => side(row.side)], ["Level", (row) => row.grid_level ?? "–", "num wide"], ["Price", (row) => price(row.price), "num"],
            ["Quantity", (row) => quantity(row.quantity), "num"], ["Fee", (row) => h("span", {}, quantity(row.fee, 6), " ", h("small", {}, row.fee_asset)), "num wide"],
            ["Profit", (row) => row.role === "close" ? money(row.pnl, { signed: true, digits: 4 }) : "", "num"]],
          told.fills, { link: (row) => app.hash({ page: "ledger", parts: [row.position] }) })),
          card("Grid", facts([["Mode", one.mode], ["Levels", count(one.grid_count), one.skipped_count ? `${one.skipped_count} skipped` : null], ["Range", `${amountText(one.lower_price, 8)} – ${amountText(one.upper_price, 8)}`],
            ["Started at", price(one.start_price)], ["Started", time(one.started_at_ns)], one.hole_price ? ["Hole at", price(one.hole_price)] : null,
            ["Stop loss", one.stop_loss ? price(one.stop_loss) : "off"], ["Take profit", one.take_profit ? price(one.take_profit) : "off"], ["When stopped", one.on_stop], one.stopped_at_ns ? ["Stopped", time(one.stopped_at_ns), one.stop_reason] : null,
            ["First inventory", one.initial_inventory], ["Post-only", one.post_only ? "yes" : "no"], ["Tick, lot", `${one.tick}, ${one.lot}`]]),
          told.skipped.length ? h("p", { class: "muted" }, `Skipped: ${told.skipped.map((row) => `${row.ladder_index} (${row.reason})`).join(", ")}`) : null)),
      ];
    },
    after() {
      if (!chart) chart = new Chart(document.getElementById("grid-chart"), `Price of ${symbol} with ladder and fills`, { onWindow: () => fetched() });
      fetched(false);
    },
    close() { if (chart) chart.destroy(); chart = null; if (held) held.abort(); },
  };
}

function show(chart, told, price) {
  const candles = told.candles.map(([ns, ...texts]) => { const [o, hi, l, c] = texts.map(Number); return { t: ms(ns), o, h: hi, l, c, texts }; });
  const levels = [...new Set(told.levels.flatMap((one) => [Number(one.buy_price), Number(one.sell_price)]))].sort((a, b) => a - b);
  const grid = told.grid || {}, last = told.candles.at(-1);
  const bounds = [["stop_loss", "loss", "stop loss"], ["take_profit", "gain", "take profit"]].filter(([name]) => grid[name]).map(([name, colour, text]) => ({ value: Number(grid[name]), colour, text }));
  chart.show({ empty: "No price yet: candles come with the first one the run acts on.", candles, levels, bounds, width: ms(told.width_ns), whole: told.whole.length ? told.whole.map(ms) : null, ladderFrom: grid.started_at_ns ? ms(grid.started_at_ns) : 0,
    marks: told.fills.map((one) => ({ t: ms(one.executed_at_ns), v: Number(one.price), side: one.side, text: `${one.side} ${amountText(one.quantity, 8)} at ${amountText(one.price, 8)}` })),
    orders: told.orders.map((one) => ({ v: Number(one.price), side: one.side })),
    now: last && !chart.window ? { v: Number(price || last[4]), text: amountText(price || last[4], 8) } : null,
    summary: last ? `${candles.length} candles until ${when(last[0])} UTC, last price ${last[4]}, ${told.fills.length} fills drawn, ${told.orders.length} working orders, ladder of ${told.levels.length} levels` : "No price yet" });
}

function ladder(told) {
  const held = (one) => /[1-9]/.test(one.held || "");
  const digits = Math.max(...told.levels.flatMap((one) => [one.buy_price, one.sell_price]).map((one) => (String(one).split(".")[1] || "").length), 0);
  const even = (text) => amountText(text, digits, { pad: true });
  return h("div", { class: "ladder", tabindex: "0", role: "region", "aria-label": "Levels, highest first" },
    h("div", { class: "head" }, h("span", {}, "#"), h("span", {}, "buy"), h("span", {}, "sell"), h("span", {}, "now"), h("span", {}, "done")),
    [...told.levels].reverse().map((one) => h("div", { class: held(one) ? "held" : null, title: one.last_reason || null }, h("span", { class: "muted" }, one.grid_level),
      h("span", { class: one.phase === "BUY_PLACED" ? "side-buy" : null }, even(one.buy_price)), h("span", { class: one.phase === "SELL_PLACED" ? "side-sell" : null }, even(one.sell_price)),
      h("span", { class: "phase" }, one.waiting ? "waits" : PHASES[one.phase] || one.phase), h("span", {}, one.cycles_done))));
}
