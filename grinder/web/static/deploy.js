// Other terms for a grid. Law: what is shown before is what the run itself says would follow, under the terms in
// the fields; sent is only what was changed, and a field that is emptied takes its setting out.

import { h, facts, table, price, quantity, amountText, count } from "./dom.js";
import { post } from "./api.js";

const FIELDS = [
  ["lower_price", "Lowest price"], ["upper_price", "Highest price"], ["grid_number", "Levels"],
  ["center_price", "Center"], ["spacing_bps", "Distance, bps"], ["levels_per_side", "Levels a side"],
  ["quantity", "Size of each order"], ["quote_investment", "Size of the grid"],
  ["stop_loss_price", "Stop loss"], ["take_profit_price", "Take profit"],
];
const ALWAYS = ["stop_loss_price", "take_profit_price"];
const ON_STOP = [["cancel", "cancel the orders, keep the holding"], ["keep", "leave orders and holding"], ["flatten", "cancel the orders, close the holding"]];

// The fields of the terms as they are: those of its form and size, and what every grid may have.
export function fieldsOf(terms) {
  const shown = FIELDS.filter(([name]) => terms[name] || ALWAYS.includes(name))
    .map(([name, label]) => ({ name, label, value: terms[name] || "", more: { inputmode: "decimal", maxlength: "40" } }));
  return [...shown, { name: "on_stop", label: "When it stops", value: terms.on_stop, options: ON_STOP },
    { name: "sure", label: "Yes, cancel its orders and start it under these terms", check: true }];
}

// The settings that are other than they were.
export function changed(terms, given) {
  const entries = Object.entries(given).map(([name, value]) => [name, value.trim()]);
  return Object.fromEntries(entries.filter(([name, value]) => name !== "sure" && name !== "code" && value !== (terms[name] || ""))
    .map(([name, value]) => [name, value === "" ? null : value]));
}

function drawn(told) {
  const { plan, changes } = told;
  return [
    facts([
      ["Changes", changes.length ? changes.map((one) => h("div", {}, `${one.setting.split(".").pop()} ${one.old || "none"} → ${one.new || "none"}`)) : "none yet"],
      ["Levels", `${count(plan.orders)}${plan.skipped.length ? `, ${plan.skipped.length} skipped` : ""}`],
      ["Profit of a cycle", `${plan.profit_per_grid_min_pct} to ${plan.profit_per_grid_max_pct} % after fees`],
      ["It can tie up", amountText(plan.investment, 2)],
      ["Price now", price(told.price)]]),
    h("div", { style: { "max-height": "190px", overflow: "auto" } }, table("Ladder", [["Level", (one) => count(one.index)],
      ["Buy", (one) => price(one.buy_price), "num"], ["Sell", (one) => price(one.sell_price), "num"], ["Quantity", (one) => quantity(one.quantity), "num"]],
    [...plan.levels].reverse())),
  ];
}

const asked = (app, symbol, settings) => post("/api/deploy/preview", app.run, { symbol, settings });

// Opens the form; resolves with what the run answered, or null.
export async function deployForm(app, symbol, ask, more) {
  let now;
  try { now = await asked(app, symbol, {}); } catch (error) { app.say(error.message, true); return null; }
  const plan = h("div", { id: "deploy-plan", "aria-live": "polite" }, drawn(now));
  let turn = 0;
  const look = async (given, mine) => {
    try {
      const told = await asked(app, symbol, changed(now.terms, given));
      if (mine === turn) plan.replaceChildren(...drawn(told));
    } catch (error) {
      if (mine === turn) plan.replaceChildren(h("p", { class: "problem" }, error.message + (error.fix ? ` – ${error.fix}` : "")));
    }
  };
  return ask({
    title: `Deploy ${symbol}?`, action: "Deploy", danger: true, fields: [...fieldsOf(now.terms), ...more], extra: plan,
    text: "The grid stops, its orders are cancelled, and it starts anew under these terms. What it holds it keeps.",
    onchange: (given) => { const mine = ++turn; setTimeout(() => { if (mine === turn) look(given, mine); }, 250); },
    perform: (given) => post("/api/deploy", app.run, { symbol, settings: changed(now.terms, given) }, given.code || ""),
  });
}
