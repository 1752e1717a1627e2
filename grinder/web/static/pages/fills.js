import { h, price, quantity, money, time, side, amountText } from "../dom.js";
import { listing } from "./orders.js";

export const page = (app) => listing(app, {
  title: "Fills", path: "/api/pages/fills", none: "Nothing has been executed before this record.",
  columns: [
    ["Time", (one) => time(one.executed_at_ns)], ["Symbol", (one) => one.symbol], ["Side", (one) => side(one.side)], ["Level", (one) => one.grid_level ?? "–", "num"],
    ["Price", (one) => price(one.price), "num"], ["Quantity", (one) => quantity(one.quantity), "num"], ["Total", (one) => money(one.total), "num"],
    ["Fee", (one) => h("span", {}, amountText(one.fee, 8), " ", h("small", {}, one.fee_asset)), "num"], ["", (one) => one.liquidity + (one.late ? ", late" : ""), "dim"],
    ["Profit", (one) => one.role === "close" ? money(one.pnl, { signed: true, digits: 4 }) : "", "num"], ["Role", (one) => one.role, "dim"], ["Fill id", (one) => h("code", {}, one.exchange_trade_id), "dim"],
  ],
});
