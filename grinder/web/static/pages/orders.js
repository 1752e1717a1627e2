import { h, price, quantity, table, time, side, state, count, badge, ident } from "../dom.js";

// A list in parts with a filter; `what` says which columns.
export function listing(app, { title, path, columns, filters, none }) {
  return {
    title, path,
    query: () => ({ symbol: app.query.symbol, status: app.query.status, before: app.query.before, limit: 100 }),
    draw(told) {
      const go = (query) => app.go({ query: { ...app.query, before: "", ...query } });
      const pick = (label, name, options) => h("label", {}, label, h("select", { onchange: (event) => go({ [name]: event.target.value }) },
        options.map(([value, text]) => h("option", { value, selected: value === (app.query[name] || "") }, text))));
      return [
        h("div", { class: "title" }, h("h1", {}, title), badge(count(told.total))),
        h("section", { class: "card list" }, h("div", { class: "filters" }, pick("Symbol", "symbol", [["", "all"], ...told.symbols.map((one) => [one, one])]), ...(filters ? [pick(...filters)] : [])),
          table(title, columns, told.rows, { none, link: (one) => app.hash({ page: "ledger", parts: [one.position ?? one.requested_position] }) }),
          h("div", { class: "filters", style: { margin: "14px 0 0" } },
            app.query.before ? h("button", { onclick: () => go({ before: "" }) }, "Newest") : null,
            told.next ? h("button", { onclick: () => go({ before: told.next }) }, "Older") : null,
            h("span", { class: "muted" }, `${count(told.rows.length)} of ${count(told.total)} shown`))),
      ];
    },
  };
}

export const page = (app) => listing(app, {
  title: "Orders", path: "/api/pages/orders", none: "No such order at this record.",
  filters: ["State", "status", [["", "all"], ["working", "working"], ["ended", "ended"]]],
  columns: [
    ["Wanted", (one) => time(one.created_at_ns)], ["Symbol", (one) => one.symbol], ["Side", (one) => side(one.side)], ["Level", (one) => one.grid_level ?? "–", "num wide"],
    ["Price", (one) => price(one.price), "num"], ["Quantity", (one) => quantity(one.quantity), "num"], ["Filled", (one) => quantity(one.filled), "num"],
    ["State", (one) => state(one.status)], ["How", (one) => `${one.order_type}, ${String(one.time_in_force || "").replace("_", "-")}`, "dim wide"],
    ["Reason", (one) => one.reason || "", "dim"], ["Order id", (one) => ident(one.client_order_id, { tab: false, note: `on the exchange: ${one.exchange_order_id || "none"}` }), "dim wide"],
  ],
});
