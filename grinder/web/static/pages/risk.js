import { h, card, figures, money, percent, count, table, time, badge, state, meter, amountText, price } from "../dom.js";
import { button } from "../controls.js";

const KINDS = { trading_halted: ["kill switch", "bad"], symbol_halted: ["symbol halted", "bad"], halt_reset: ["reset", "good"], paused: ["paused", "warning"], resumed: ["resumed", "good"] };

export const page = (app) => ({
  title: "Risk and halts", path: "/api/pages/risk",
  draw(told) {
    const all = told.limits || {}, quote = (told.account || {}).quote || "", symbols = told.scopes.filter((one) => one.scope !== "*");
    const draw = (title, used, deepest, limit, high) => card(title,
      h("p", { style: { "font-size": "20px", margin: "0" } }, percent(used), h("small", {}, limit ? ` of ${percent(limit)}` : ", no limit set")),
      limit ? meter(used || 0, limit, `${title}: used`) : null, h("p", { class: "muted" }, `deepest ${percent(deepest)} below a high of `, money(high)));
    return [
      h("div", { class: "title" }, h("h1", {}, "Risk and halts"), state(all.state), all.halt_reason ? badge(all.halt_reason, "bad") : null, told.pauses.map((one) => badge(`paused${one.symbol ? " " + one.symbol : ""}: ${one.reason}`, "warning")),
        h("span", { class: "push" }), ["pause", "resume", "kill", "reset"].map((one) => button(app, one))),
      h("div", { class: "columns small" },
        draw("Drawdown of the session", all.session_drawdown_ppm, all.session_drawdown_max_ppm, all.session_drawdown_limit_ppm, all.session_high),
        draw("Drawdown of the day", all.daily_drawdown_ppm, all.daily_drawdown_max_ppm, all.daily_drawdown_limit_ppm, all.day_high),
        card("Orders", h("p", { style: { "font-size": "20px", margin: "0" } }, count(all.orders_allowed), h("small", {}, " allowed")),
          h("p", { class: "muted" }, h("span", { class: all.orders_blocked ? "loss" : "" }, `${count(all.orders_blocked)} kept back`), all.orders_per_minute_limit ? `, at most ${count(all.orders_per_minute_limit)} in a minute` : ", no limit of rate"))),
      card("Exposure by symbol", table("Exposure by symbol", [
        ["Symbol", (one) => one.scope], ["State", (one) => h("span", {}, state(one.state), one.halt_reason ? ` ${one.halt_reason}` : "")],
        ["Inventory used", (one) => money(one.inventory_used), "num"], ["Cap", (one) => all.inventory_limit ? money(all.inventory_limit) : "off", "num"],
        ["", (one) => all.inventory_limit ? h("div", { style: { width: "110px" } }, meter(one.inventory_used || 0, all.inventory_limit, `${one.scope}: inventory used`)) : ""],
        ["Peak", (one) => money(one.inventory_peak), "num"], ["Resting buys", (one) => money(one.resting_buys), "num wide"], ["Resting sells", (one) => money(one.resting_sells), "num wide"],
        ["Stop loss", (one) => one.stop_loss ? price(one.stop_loss) : "off", "num"], ["Take profit", (one) => one.take_profit ? price(one.take_profit) : "off", "num"], ["Kept back", (one) => count(one.orders_blocked), "num"]], symbols)),
      h("div", { class: "wide-left" },
        card("Halts, pauses, resets", table("Halts", [["Time", (one) => time(one.ts_ns)], ["What", (one) => badge(...(KINDS[one.kind] || [one.kind]))], ["Symbol", (one) => one.symbol || "all"], ["Reason", (one) => one.reason || ""], ["Equity", (one) => money(one.equity), "num"], ["By", (one) => one.operator || "", "dim"]],
          told.halts, { none: "Nothing was ever halted or paused.", link: (one) => app.hash({ page: "ledger", parts: [one.position] }) })),
        card("Orders kept back, by reason", table("Orders kept back", [["Symbol", (one) => one.symbol], ["Reason", (one) => one.reason], ["Orders", (one) => count(one.orders), "num"], ["Last", (one) => time(one.last_at_ns), "wide"]],
          told.blocks, { none: "No order was kept back by a limit.", link: (one) => app.hash({ page: "ledger", parts: [one.position] }) }))),
    ];
  },
});
