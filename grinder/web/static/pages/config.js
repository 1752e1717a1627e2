import { h, card, facts, badge, count } from "../dom.js";

export const page = () => ({
  title: "Configuration", path: "/api/pages/config",
  draw(told) {
    const { data = {}, ...rest } = told.manifest, args = data.arguments || [];
    const said = (value) => typeof value === "boolean" ? (value ? "yes" : "no") : typeof value === "object" && value !== null ? h("code", {}, JSON.stringify(value)) : String(value);
    const names = { kind: "Kind", program: "Program", ledger_id: "Ledger", seed: "Seed", finished: "Finished", records: "Records", head: "Chain head", mode: "Mode", feed: "Feed", rows: "Rows", until_end: "Ends with the feed" };
    return [
      h("div", { class: "title" }, h("h1", {}, "Configuration"), rest.kind ? badge(rest.kind) : null),
      h("div", { class: "wide-left" },
        card("As it was checked", told.config ? h("pre", { tabindex: "0" }, told.config) : h("p", { class: "empty" }, "There is no manifest, so the configuration is not known.")),
        card("Made from", facts([...Object.entries(rest).map(([name, value]) => [names[name] || name, name === "head" ? h("span", { class: "hash" }, value) : name === "records" ? count(value) : said(value)]),
          ...args.map((one) => ["Data", h("span", { class: "hash" }, String(one).split("/").pop())]), data.sha256 ? ["SHA-256 of the rows", h("span", { class: "hash" }, data.sha256)] : null]))),
    ];
  },
});
