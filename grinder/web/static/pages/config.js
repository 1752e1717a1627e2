import { h, card, facts, badge, count, ident, copyButton, table, time } from "../dom.js";

export const page = (app) => ({
  title: "Configuration", path: "/api/pages/config",
  draw(told) {
    const { data = {}, ...rest } = told.manifest, args = data.arguments || [];
    const said = (value) => typeof value === "boolean" ? (value ? "yes" : "no") : typeof value === "object" && value !== null ? h("code", {}, JSON.stringify(value)) : String(value);
    const names = { kind: "Kind", program: "Program", ledger_id: "Ledger", seed: "Seed", finished: "Finished", records: "Records", head: "Chain head", mode: "Mode", feed: "Feed", rows: "Rows", until_end: "Ends with the feed" };
    return [
      h("div", { class: "title" }, h("h1", {}, "Configuration"), rest.kind ? badge(rest.kind) : null),
      h("div", { class: "wide-left" },
        card("", h("div", { class: "over" }, h("h2", {}, "As it was checked"), told.config ? copyButton(told.config, "Copy the configuration", null, "copy") : null),
          told.config ? h("pre", { tabindex: "0", role: "region", "aria-label": "Configuration" }, told.config) : h("p", { class: "empty" }, "There is no manifest, so the configuration is not known.")),
        card("Made from", facts([...Object.entries(rest).map(([name, value]) => [names[name] || name, name === "head" ? ident(value) : name === "records" ? count(value) : said(value)]),
          ...args.map((one) => ["Data", h("span", { class: "hash" }, String(one).split("/").pop())]), data.sha256 ? ["SHA-256 of the rows", ident(data.sha256)] : null]))),
      card("Changed since", table("Changed since", [
        ["Time", (one) => time(one.ts_ns)], ["Setting", (one) => h("span", { class: "hash" }, one.setting)],
        ["Was", (one) => one.old || "not given"], ["Is", (one) => one.new || "not given"], ["By", (one) => one.operator]],
      told.changes, { none: "The terms are those it began with.", link: (one) => app.hash({ page: "ledger", parts: [one.position] }) })),
    ];
  },
});
