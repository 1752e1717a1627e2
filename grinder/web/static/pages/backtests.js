import { h, card, money, count, table, badge, percent, sum, minus, bytes, ms } from "../dom.js";
import { Chart } from "../chart.js";
import { get } from "../api.js";

export function page(app) {
  let chart = null, compared = null, asked = "";
  const [a, b] = app.parts;
  return {
    title: "Backtests", path: "/api/pages/runs",
    draw(told) {
      const change = (one) => one.figures && one.figures.equity_start ? sum(one.figures.equity_end, minus(one.figures.equity_start)) : null;
      const names = told.folders.map((one) => one.name);
      const first = a || (names.includes(told.as_of.run) ? told.as_of.run : names[0]), second = b || names.find((one) => one !== first) || "";
      const pick = (label, chosen, change) => h("label", {}, label, h("select", { onchange: (event) => change(event.target.value) }, names.map((one) => h("option", { value: one, selected: one === chosen }, one))));
      return [
        h("div", { class: "title" }, h("h1", {}, "Backtests and runs"), badge(count(told.folders.length))),
        card("Beside this run", table("Run folders", [
          ["Run", (one) => h("b", {}, one.name)], ["Kind", (one) => one.kind || "–", "wide"], ["Symbols", (one) => (one.symbols || []).join(", ")], ["State", (one) => one.problem ? badge(one.problem, "bad") : one.finished ? badge("finished", "good") : badge("not finished", "warning")],
          ["Records", (one) => one.records ? count(one.records) : bytes(one.size), "num wide"], ["Cycles", (one) => one.counts ? count(one.counts.cycles) : "–", "num"], ["Equity", (one) => one.figures ? money(one.figures.equity_end) : "–", "num"],
          ["Result", (one) => money(change(one), { signed: true }), "num"], ["Deepest drawdown", (one) => one.limits ? percent(one.limits.session_drawdown_max_ppm) : "–", "num"],
          ["", (one) => h("a", { href: `/api/pages/report?run=${encodeURIComponent(told.as_of.run)}&a=${encodeURIComponent(one.name)}`, target: "_blank", rel: "noopener" }, "report")],
          ["", (one) => one.name === first ? h("span", { class: "muted" }, "chosen") : h("a", { href: app.hash({ parts: [first, one.name] }) }, "compare")]], told.folders, { chosen: (one) => one.name === a || one.name === b })),
        names.length > 1 || b ? card("Compare", h("div", { class: "filters" }, pick("This", first, (name) => app.go({ parts: [name, second] })), pick("with", second, (name) => app.go({ parts: [first, name] })),
          a && b ? null : h("a", { class: "button", href: app.hash({ parts: [first, second] }) }, "Compare")),
        a && b ? [h("div", { class: "chart small", "data-keep": "compare", id: "compare-chart" }), h("div", { class: "legend" }, h("span", { class: "c-a" }, h("i", {}), a), h("span", { class: "c-b" }, h("i", {}), b), h("span", {}, "equity, change since the start in %")),
          compared ? comparison(compared) : h("p", { class: "muted" }, "Comparing…")] : null) : null,
      ];
    },
    async after() {
      if (!a || !b) return;
      const place = document.getElementById("compare-chart");
      if (!place) return;
      if (!chart) chart = new Chart(place, `Equity of ${a} and ${b}`);
      if (asked) { chart.later(); return; }
      asked = "yes";
      try { compared = await get("/api/pages/compare", { run: app.run, a, b }); } catch (error) { app.trouble(error); return; }
      if (!chart) return;
      const ends = (one) => one.points.length ? [ms(one.points[0].ts_ns), ms(one.points.at(-1).ts_ns)] : [0, 0];
      const [[a0, a1], [b0, b1]] = [ends(compared.a), ends(compared.b)];
      // Runs of different times are laid over each other by how long they have run.
      const relative = Math.min(a1, b1) - Math.max(a0, b0) < 0.3 * Math.max(a1 - a0, b1 - b0);
      const line = (one, colour, dash) => { const start = Number(one.figures.equity_start) || 1, t0 = relative ? ends(one)[0] : 0;
        return { name: one.name, colour, dash, points: one.points.map((each) => { const part = (Number(each.equity) / start - 1) * 100; return [ms(each.ts_ns) - t0, part, `${part.toFixed(3)} %`]; }) }; };
      const lines = [line(compared.a, "equity"), line(compared.b, "sell", "4px,3px")], all = lines.flatMap((one) => one.points.map(([t]) => t));
      chart.show({ lines, relative, unit: " %", whole: all.length ? [Math.min(...all), Math.max(...all)] : null, summary: "Change of equity of two runs" });
      app.draw();
      document.documentElement.dataset.compared = "true";
    },
    close() { if (chart) chart.destroy(); chart = null; },
  };
}

function comparison({ a, b, settings }) {
  const figure = (name, title, signed = true) => [title, a.figures && a.figures[name], b.figures && b.figures[name], signed];
  const rows = [figure("equity_start", "Equity at the start", false), figure("equity_end", "Equity at the end", false), figure("grid_profit", "Grid profit"), figure("unpaired_pnl", "Unpaired PnL"), figure("fees", "Fees"), figure("funding", "Funding"), figure("identity_residual", "Residual of the identity")];
  const counts = ["orders", "fills", "cycles", "halts"].map((name) => [name, a.counts[name], b.counts[name]]);
  return [
    h("div", { class: "columns", style: { "margin-top": "16px" } },
      h("div", {}, h("h2", {}, "Figures"), table("Figures of both", [["", ([title]) => title], [a.name, (row) => money(row[1], { signed: row[3] }), "num"], [b.name, (row) => money(row[2], { signed: row[3] }), "num"],
        ["Difference", (row) => row[1] && row[2] ? money(sum(row[2], minus(row[1])), { signed: true }) : "–", "num"]], rows),
      table("Counts of both", [["", ([title]) => title], [a.name, (row) => count(row[1]), "num"], [b.name, (row) => count(row[2]), "num"]], counts)),
      h("div", {}, h("h2", {}, `Settings that differ (${settings.length})`), table("Settings that differ", [["Setting", ([key]) => h("code", {}, key)], [a.name, (row) => row[1], "text"], [b.name, (row) => row[2], "text"]], settings, { none: "None." }))),
  ];
}
