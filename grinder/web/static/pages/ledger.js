import { h, card, table, time, badge, count, when, copyButton } from "../dom.js";
import { get, post, roleIs } from "../api.js";

export function page(app) {
  const chosen = /^\d+$/.test(app.parts[0] || "") ? Number(app.parts[0]) : null;
  let record = null, verdict = null, asked = false, placed = null;
  const name = (topic) => topic.split("/")[0];
  const middle = () => app.query.around ? Number(app.query.around) : chosen ?? app.at ?? null;
  const go = (around) => app.go({ query: { around } });
  const link = (position) => app.hash({ page: "ledger", parts: [position] });
  return {
    title: "Ledger", path: "/api/pages/ledger",
    query: () => ({ around: middle(), limit: 60 }),
    draw(told) {
      const first = told.first, last = told.rows.length ? told.rows.at(-1).position : 0;
      return [
        h("div", { class: "title" }, h("h1", {}, "Ledger"), badge(`${count(told.head)} records`), verdict || h("span", {}),
          h("span", { class: "push" }), h("button", { onclick: verify }, "Verify the chain")),
        h("div", { class: "records" },
          card("", h("div", { class: "filters" }, h("button", { disabled: first <= 1, onclick: () => go(Math.max(1, first - 30)) }, "Older"), h("button", { disabled: last >= told.head, onclick: () => go(Math.min(told.head, last + 30)) }, "Newer"),
            h("button", { onclick: () => app.go({ parts: [], query: {} }) }, "Latest"),
            h("form", { onsubmit: (event) => { event.preventDefault(); const value = new FormData(event.target).get("position").replace(/\D/g, ""); if (value) app.go({ parts: [value] }); } },
              h("label", {}, "Record", h("input", { type: "text", inputmode: "numeric", name: "position", size: "9", value: chosen ?? "" })))),
          table("Records", [
            ["Record", (one) => h("a", { href: link(one.position) }, count(one.position)), "num"], ["Time", (one) => time(one.ts_ns), "only-wide"],
            ["What happened", (one) => [h("small", { class: "only-narrow" }, when(one.ts_ns), h("br", {})), h("span", { class: one.cause === one.position ? "topic input-record" : "topic" }, name(one.topic)), " ", one.says], "text"],
            ["Cause", (one) => one.cause === one.position ? h("span", { class: "muted" }, "input") : h("a", { href: link(one.cause) }, count(one.cause)), "num"]],
          told.rows, { link: (one) => link(one.position), chosen: (one) => one.position === chosen })),
          record ? explained(record, link, app) : card("Why?", h("p", { class: "empty" }, "Choose a record to see what led to it and what it led to."))),
      ];
    },
    async after() {
      const row = document.querySelector("#page tr.chosen");
      if (row && placed !== chosen) { placed = chosen; const box = row.closest(".scroll"); box.scrollTop = row.offsetTop - box.clientHeight / 2; }
      if (chosen === null || asked) return;
      asked = true;
      try { record = await get(`/api/pages/ledger/${chosen}`, { run: app.run }); app.draw(); document.documentElement.dataset.explained = String(chosen); }
      catch (error) { app.trouble(error); }
    },
  };

  async function verify() {
    verdict = badge("verifying…"); app.draw();
    try {
      const told = await post("/api/ledger/verify", app.run);
      verdict = told.ok ? badge(`whole: ${count(told.records)} records, chain ${String(told.head).slice(0, 12)}…`, "good") : badge(`record ${told.first_bad}: ${told.reason}`, "bad");
    } catch (error) { verdict = badge(error.message, "bad"); }
    app.draw();
  }
}

function explained({ record, state, path, effects }, link, app) {
  const name = (topic) => topic.split("/")[0];
  const item = (one) => h("li", { class: one.position === record.position ? "subject" : null }, h("a", { href: link(one.position) }, `#${count(one.position)}`), " ", h("span", { class: "what" }, name(one.type)), " ", h("small", {}, one.stream),
    h("div", {}, one.says), one.rule ? h("div", { class: "rule" }, one.rule) : null);
  return h("div", {},
    card(`Record ${count(record.position)}: ${name(record.type)}`,
      h("p", { class: "muted" }, `${when(record.ts_ns)} UTC, ${record.stream}, version ${count(record.version)}`),
      h("p", {}, h("button", { onclick: () => app.scrubber.go(record.position) }, "Show every page at this record")),
      h("h2", {}, "Why"), h("ol", { class: "chain" }, path.map(item)),
      effects.length ? [h("h2", {}, "What it led to"), h("ol", { class: "chain" }, effects.map(item))] : null),
    card("As it is stored", h("pre", { tabindex: "0", role: "region", "aria-label": "The record as it is stored" }, state), h("p", { class: "muted", style: { margin: "10px 0 0" } }, "chain ", h("span", { class: "hash" }, record.chain), " ", copyButton(record.chain, "Copy the chain"))));
}
