import { h, percent, time, badge } from "../dom.js";
import { listing } from "./orders.js";

// What is to be done, in a word and a sign; colour only repeats it.
const ACTIONS = {
  LONG: ["▲ long", "past"], SHORT: ["▼ short", "past"], HOLD: ["hold", ""], BLOCKED: ["✕ blocked", "warning"],
  REDUCE: ["◐ reduce", "warning"], FLATTEN: ["○ flatten", "warning"], EMERGENCY_STOP: ["emergency stop", "bad"],
};
const action = (name) => badge(...(ACTIONS[name] || [name, ""]));
const lines = (found) => h("span", {}, found.map((one) => h("span", { class: "line" }, one)));

const votes = (one) => lines(one.votes.map(([agent, proposed, direction, sure]) => h("span", { title: `${agent} proposed: ${proposed}` }, `${agent} ${direction} ${percent(sure, 0)}`)));

// The first reason decided; what does not fit is with the record.
function reasons(one) {
  const said = one.reasons.slice(0, 2).map(([, text]) => text), more = one.reasons.length - said.length;
  return lines(more ? [...said, h("small", {}, `${more} more with the record`)] : said);
}

export const page = (app) => listing(app, {
  title: "Decisions", path: "/api/pages/decisions",
  none: "No decision at this record. One is made when a program or a person asks for it with POST /decide (role operator) while the run is under way; it is recorded and trades nothing. To see one without recording it: grinder decide.",
  filters: ["Action", "status", [["", "all"], ...Object.entries(ACTIONS).map(([name, [text]]) => [name, text])]],
  columns: [
    ["Time", (one) => time(one.ts_ns)], ["Symbol", (one) => one.symbol], ["Action", (one) => action(one.action)],
    ["Size, stop, target", (one) => one.size_ppm ? lines([percent(one.size_ppm, 1), h("small", {}, `${percent(one.stop_share_ppm)}, ${percent(one.target_share_ppm)}`)]) : "none"],
    ["Confidence", (one) => percent(one.confidence_ppm, 0), "num"],
    ["Votes", votes, "text votes"], ["Why", reasons, "text"],
    ["Asked, decided by", (one) => lines([one.operator, h("small", {}, one.policy + (one.fallback ? ` (${one.fallback})` : ""))]), "dim"],
  ],
});
