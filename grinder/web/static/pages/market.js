import { h, card, price, amountText, table, badge, time, ms } from "../dom.js";
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
            h("small", {}, `${base} in ${quote}; `, one.price_ns ? h("span", {}, "last price ", time(one.price_ns)) : "no price yet"));
        })),
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

function overview(outside) {
  if (!outside) return h("p", { class: "empty" }, "Asking…");
  const list = outside.markets || outside.coins || [];
  const why = outside.problem || outside.fault;
  if (!list.length) return h("p", { class: "empty" }, why ? `Not shown: ${why}.` : "The source lists nothing.");
  const columns = [["Coin", (one) => one.name || one.id], ["Price", (one) => amountText(String(one.current_price ?? one.price ?? ""), 8), "num"], ["24 h", (one) => `${one.price_change_percentage_24h ?? "–"} %`, "num"], ["Market cap", (one) => amountText(String(one.market_cap ?? ""), 0), "num"]];
  return [outside.stale ? badge("stale", "bad") : null, table("Markets", columns, list),
    (outside.trending || []).length ? h("p", { class: "muted" }, `Trending: ${outside.trending.map((one) => one.name || one.item?.name || one).join(", ")}`) : null];
}
