import { h, card, figures, money, quantity, price, table, time } from "../dom.js";

export const page = (app) => ({
  title: "Balances", path: "/api/pages/balances",
  draw(told) {
    const quote = (told.account || {}).quote || "", total = told.total || {}, real = told.now && told.now.balances;
    return [
      h("div", { class: "title" }, h("h1", {}, "Balances")),
      figures([[`Equity, ${quote}`, money(total.equity_end)], [`Cash, ${quote}`, money(total.cash)], ["Holdings at the mark", money(total.held_value)], ["Unrealised", money(total.unrealised, { signed: true }), "against the average price"], ["Transfers", money(total.transfers, { signed: true })]]),
      card("Holdings by symbol", table("Holdings", [
        ["Symbol", (one) => one.symbol], ["Holding", (one) => h("span", {}, quantity(one.quantity), " ", h("small", {}, one.base)), "num"], ["At the start", (one) => quantity(one.opening_quantity), "num wide"],
        ["Average price", (one) => price(one.avg_entry_price), "num"], ["Mark", (one) => price(one.mark_price), "num"], ["Value", (one) => money(one.held_value), "num"],
        ["Realised", (one) => money(one.realized_pnl, { signed: true }), "num"], ["Unrealised", (one) => money(one.unrealized_pnl, { signed: true }), "num"], ["Fees", (one) => money(one.fees, { signed: true }), "num"], ["Updated", (one) => time(one.updated_at_ns), "dim wide"]],
      told.holdings, { none: "No instrument is listed yet." })),
      card("Balances of the account", app.at !== null ? h("p", { class: "empty" }, "Balances by asset are known for now only; the holdings above are those of the record.")
        : real ? table("Balances by asset", [["Asset", (one) => one[0]], ["In the books", (one) => quantity(one[1], 12), "num"]], Object.entries(real))
          : h("p", { class: "empty" }, "No process runs: balances by asset come from a running bot.")),
    ];
  },
});
