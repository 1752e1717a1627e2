import { h, price, quantity, money, time, side, ident } from "../dom.js";
import { listing } from "./orders.js";

export const page = (app) => listing(app, {
  title: "Fills", path: "/api/pages/fills", none: "Nothing has been executed before this record.",
  columns: [
    ["Time", (one) => time(one.executed_at_ns)], ["Symbol", (one) => one.symbol], ["Side", (one) => side(one.side)], ["Level", (one) => one.grid_level ?? "–", "num wide"],
    ["Price", (one) => price(one.price), "num"], ["Quantity", (one) => quantity(one.quantity), "num"], ["Total", (one) => money(one.total), "num wide"],
    ["Fee", (one) => h("span", {}, quantity(one.fee), " ", h("small", {}, one.fee_asset)), "num wide"], ["Taken as", (one) => one.liquidity + (one.late ? ", late" : ""), "dim wide"],
    ["Profit", (one) => one.role === "close" ? money(one.pnl, { signed: true, digits: 4 }) : "", "num"], ["Role", (one) => one.role, "dim wide"], ["Fill id", (one) => ident(one.exchange_trade_id, { tab: false }), "dim wide"],
  ],
});
