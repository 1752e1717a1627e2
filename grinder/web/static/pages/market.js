import { h, card, amountText, table, badge, time, ms, signOf } from "../dom.js";
import { spark } from "../chart.js";
import { get } from "../api.js";

export function page(app) {
  let outside = null, asked = 0;
  const change = (bps) => h("span", { class: bps > 0 ? "gain" : bps < 0 ? "loss" : "" }, `${bps > 0 ? "+" : bps < 0 ? "−" : ""}${(Math.abs(bps) / 100).toFixed(2)} %`);
  return {
    title: "Market", path: "/api/pages/market",
    draw(told) {
      const grids = Object.fromEntries(told.grids.map((one) => [one.symbol, one]));
      return [
        h("div", { class: "title" }, h("h1", {}, "Market")),
        h("div", { class: "grids" }, told.symbols.map((one) => {
          const { symbol, base, quote, kind } = one.instrument, grid = grids[symbol];
          return h("section", { class: "card" },
            h("div", { class: "head" }, h("a", { href: app.hash(grid ? { page: "grids", parts: [symbol] } : { page: "market" }) }, symbol), badge(kind), h("span", { class: "push" }), h("span", { class: "now" }, amountText(one.price, 8))),
            spark(one.line.map(([ns, text]) => [ms(ns), text]), `Price of ${symbol} over the run, last ${one.price || "unknown"}`),
            h("dl", { class: "three" },
              h("div", {}, h("dt", {}, "24 h"), h("dd", {}, one.price ? change(one.day_change_bps) : "–")),
              h("div", {}, h("dt", {}, "24 h low"), h("dd", {}, amountText(one.day_low, 8))), h("div", {}, h("dt", {}, "24 h high"), h("dd", {}, amountText(one.day_high, 8))),
              h("div", {}, h("dt", {}, "First of the run"), h("dd", {}, amountText(one.run_first, 8))), h("div", {}, h("dt", {}, "Run low"), h("dd", {}, amountText(one.run_low, 8))), h("div", {}, h("dt", {}, "Run high"), h("dd", {}, amountText(one.run_high, 8)))),
            quoted(told.now, symbol),
            h("small", {}, `${base} in ${quote}; `, one.price_ns ? h("span", {}, "last price ", time(one.price_ns)) : "no price yet"));
        })),
        told.symbols.length ? null : card("", h("p", { class: "empty" }, "No symbol is known yet: the exchange has not told its rules.")),
        card("The wider market", overview(outside)),
      ];
    },
    async after() {
      if (Date.now() - asked < 60000) return;
      asked = Date.now();
      try { outside = await get("/api/market"); } catch (error) { outside = { problem: error.message }; }
      if (app.page && app.page.told && app.name === "market") app.draw();
    },
  };
}

// Best quotes: the feed's, so of a running bot only.
function quoted(now, symbol) {
  const { bid, ask } = ((now || {}).symbols || {})[symbol] || {};
  return bid ? h("p", { class: "quotes" }, h("span", { class: "side-buy" }, "bid ", amountText(bid, 8)), h("span", { class: "side-sell" }, "ask ", amountText(ask, 8))) : null;
}

function overview(outside) {
  if (!outside) return h("p", { class: "empty" }, "Asking…");
  const list = outside.markets || [];
  const why = outside.problem || outside.fault;
  if (!list.length) return h("p", { class: "empty" }, why ? `Not shown: ${why}.` : "The source lists nothing.");
  const quote = String(outside.currency || "").toUpperCase();
  const columns = [["Coin", (one) => h("span", {}, one.name || one.id, " ", h("small", {}, String(one.symbol || "").toUpperCase()))], [`Price, ${quote}`, (one) => amountText(one.current_price, 8), "num"],
    ["24 h", (one) => one.price_change_percentage_24h ? h("span", { class: ["loss", "", "gain"][signOf(one.price_change_percentage_24h) + 1] }, amountText(one.price_change_percentage_24h, 2, { plus: true, pad: true }), " %") : "–", "num"],
    ["24 h low", (one) => amountText(one.low_24h, 8), "num wide"], ["24 h high", (one) => amountText(one.high_24h, 8), "num wide"],
    [`Volume, ${quote}`, (one) => amountText(one.total_volume, 0), "num"], [`Market cap, ${quote}`, (one) => amountText(one.market_cap, 0), "num"]];
  return [table("The wider market", columns, list),
    (outside.trending || []).length ? h("p", { class: "muted", style: { margin: "12px 0 0" } }, `Trending: ${outside.trending.map((one) => one.name || one.id).join(", ")}`) : null,
    h("p", { class: "muted", style: { margin: "6px 0 0" } }, "CoinGecko, for information only; asked ", time(String(outside.asked_ns)), " ", outside.stale ? badge(`stale: ${outside.fault}`, "bad") : null)];
}
