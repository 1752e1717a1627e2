// What several pages show in the same way.
import { h, money, amountText, state, count, badge } from "../dom.js";

export const modeText = (one) => `${one.mode}, ${count(one.grid_count)} levels${one.skipped_count ? `, ${one.skipped_count} skipped` : ""}`;

// Why there is no grid, and what to do about it.
export function noGrid(app) {
  const text = app.at !== null ? "No grid had begun at this record. Move the handle below on, or go back to now."
    : "No grid has begun. A run begins its grids once the exchange has told it the rules of their symbols; what is to begin stands in the configuration.";
  return h("div", {}, h("p", { class: "empty" }, text), h("a", { class: "button", href: app.hash({ page: "config", parts: [] }) }, "Configuration"));
}

export function gridCard(one, app, buttons = null) {
  const low = Number(one.lower_price), high = Number(one.upper_price), at = (Number(one.mark_price) - low) / (high - low || 1);
  const pauses = app.at === null && (((app.now || {}).symbols || {})[one.symbol] || {}).pauses || [];
  const status = one.risk_state === "halted" ? "halted" : one.status === "running" && pauses.length ? "paused" : one.status;
  return h("section", { class: "card" },
    h("div", { class: "head" }, h("a", { href: app.hash({ page: "grids", parts: [one.symbol] }) }, one.symbol), state(status), h("span", { class: "push" }), h("span", { class: "now" }, amountText(one.mark_price, 8))),
    h("div", {}, h("div", { class: "range", role: "img", "aria-label": `Price ${one.mark_price || "unknown"} in the range ${one.lower_price} to ${one.upper_price}` },
      one.mark_price ? h("i", { style: { left: `${Math.min(100, Math.max(0, at * 100)).toFixed(1)}%` } }) : null),
    h("div", { class: "range-ends" }, h("span", {}, amountText(one.lower_price, 8)), at < 0 || at > 1 ? badge(at < 0 ? "below the range" : "above the range", "warning") : h("span", {}, modeText(one)), h("span", {}, amountText(one.upper_price, 8)))),
    h("dl", { class: "three" },
      h("div", {}, h("dt", {}, "Grid profit"), h("dd", {}, money(one.grid_profit, { signed: true }))),
      h("div", {}, h("dt", {}, "Unpaired PnL"), h("dd", {}, money(one.unpaired_pnl, { signed: true }))),
      h("div", {}, h("dt", {}, "Fees"), h("dd", {}, money(one.fees, { signed: true }))),
      h("div", {}, h("dt", {}, "Cycles"), h("dd", {}, count(one.cycles_closed))),
      h("div", {}, h("dt", {}, "Orders"), h("dd", {}, h("span", { class: "side-buy" }, count(one.pending_buys)), " / ", h("span", { class: "side-sell" }, count(one.pending_sells)))),
      h("div", {}, h("dt", {}, "Holding"), h("dd", {}, amountText(one.inventory, 6), " ", h("small", {}, one.base || "")))),
    buttons);
}
