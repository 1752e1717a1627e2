// Elements, texts and times. Law: an amount is decimal text from the API and is only grouped and rounded as
// text; a number type never holds money.

export function h(tag, props, ...children) {
  const svg = tag === "svg" || tag === "path";
  const el = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  el.__on = {};
  for (const [name, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) { el[name] = value; el.__on[name] = value; }
    else if (name === "style") for (const [key, one] of Object.entries(value)) el.style.setProperty(key, one);
    else el.setAttribute(name, value === true ? "" : value);
  }
  add(el, children);
  return el;
}

function add(el, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) add(el, child);
    else el.append(child.nodeType ? child : document.createTextNode(String(child)));
  }
}

// Makes `old` look like `fresh` and keeps every element that can stay: focus, scroll and selection survive.
export function morph(old, fresh) {
  const before = [...old.childNodes], after = [...fresh.childNodes];
  after.forEach((node, at) => {
    const one = before[at];
    if (!one) old.append(node);
    else if (one.nodeType !== node.nodeType || one.nodeName !== node.nodeName
      || (one.dataset && one.dataset.key !== node.dataset.key)) one.replaceWith(node);
    else if (one.nodeType === 3) { if (one.data !== node.data) one.data = node.data; }
    else {
      attributes(one, node);
      if (!one.dataset || !one.dataset.keep) morph(one, node);
    }
  });
  before.slice(after.length).forEach((node) => node.remove());
}

function attributes(old, fresh) {
  const kept = old.dataset && old.dataset.keep;
  if (!kept) for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !(name === "open" && old.tagName === "DETAILS")) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    // As an attribute a style would be an inline one, which the policy refuses.
    if (name === "style") { if (old.style.cssText !== fresh.style.cssText) old.style.cssText = fresh.style.cssText; }
    else if (old.getAttribute(name) !== value && !(name === "value" && old === document.activeElement)) {
      old.setAttribute(name, value);
    }
  }
  for (const name of Object.keys(old.__on || {})) if (!(fresh.__on || {})[name]) old[name] = null;
  for (const [name, value] of Object.entries(fresh.__on || {})) old[name] = value;
  old.__on = fresh.__on || {};
}

// --- amounts ---------------------------------------------------------------------------------------------

const group = (digits) => digits.replace(/\B(?=(\d{3})+$)/g, ",");

export function rounded(text, digits) {
  const [, sign, whole, rest = ""] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text) || [];
  if (whole === undefined) return null;
  if (rest.length <= digits) return { sign, whole, rest };
  let units = BigInt(whole + rest.slice(0, digits));
  if (rest[digits] >= "5") units += 1n;
  const all = units.toString().padStart(digits + 1, "0");
  const cut = all.length - digits;
  return { sign: units === 0n ? "" : sign, whole: all.slice(0, cut), rest: all.slice(cut) };
}

export function amountText(text, digits = 2, { plus = false, pad = false } = {}) {
  if (text === null || text === undefined || text === "") return "–";
  const one = rounded(String(text), digits);
  if (!one) return String(text);
  const rest = pad ? one.rest.padEnd(digits, "0") : one.rest;
  const positive = plus && !one.sign && /[1-9]/.test(one.whole + one.rest);
  return (one.sign ? "−" : positive ? "+" : "") + group(one.whole) + (rest ? "." + rest : "");
}

export const signOf = (text) => !/[1-9]/.test(text || "") ? 0 : String(text).startsWith("-") ? -1 : 1;

// Money with its sign, coloured where a sign means gain or loss; the exact figure is in the title.
export function money(text, { digits = 2, signed = false, plain = false } = {}) {
  const said = amountText(text, digits, { plus: signed, pad: true });
  const way = signOf(text);
  const kind = signed && way ? (way > 0 ? "gain" : "loss") : "";
  return h("span", { class: ("amount " + kind).trim(), title: plain ? null : text }, said);
}

// Prices and quantities: in a column all of a symbol get the same number of decimals, so that they line up.
export const quantity = (text, digits = 8) => h("span", { class: "amount scaled", title: text }, amountText(text, digits));
export const price = (text, digits = 8) => h("span", { class: "amount scaled" }, amountText(text, digits));

const decimals = (text) => (/\.(\d+)$/.exec(text) || ["", ""])[1].length;

function lineUp(cells, rows) {
  const most = new Map(), of = (at) => rows[at].symbol || "";
  const each = (perform) => cells.forEach((made, at) => made.forEach((cell, column) => {
    const span = cell.nodeType === 1 && (cell.matches(".scaled") ? cell : cell.querySelector(".scaled"));
    if (span && /\d/.test(span.textContent)) perform(`${column} ${of(at)}`, span);
  }));
  each((key, span) => most.set(key, Math.max(most.get(key) || 0, decimals(span.textContent))));
  each((key, span) => {
    const missing = most.get(key) - decimals(span.textContent);
    if (missing > 0) span.textContent += (decimals(span.textContent) ? "" : ".") + "0".repeat(missing);
  });
}

export function percent(ppm, digits = 2) {
  return ppm === null || ppm === undefined ? "–" : (Number(ppm) / 10000).toFixed(digits) + " %";
}

// Exact sum of decimal texts.
export function sum(...texts) {
  const parts = texts.filter((one) => one !== null && one !== undefined && one !== "").map((one) => {
    const [, sign, whole, rest = ""] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(String(one));
    return { sign, whole, rest };
  });
  const digits = Math.max(0, ...parts.map((one) => one.rest.length));
  const total = parts.reduce((all, one) => {
    const units = BigInt(one.whole + one.rest.padEnd(digits, "0"));
    return one.sign ? all - units : all + units;
  }, 0n);
  const text = (total < 0n ? -total : total).toString().padStart(digits + 1, "0");
  const cut = text.length - digits;
  return (total < 0n ? "-" : "") + text.slice(0, cut) + (digits ? "." + text.slice(cut) : "");
}
export const minus = (text) => !text ? text : text.startsWith("-") ? text.slice(1) : signOf(text) ? "-" + text : text;

// --- times -----------------------------------------------------------------------------------------------

export const ms = (ns) => Number(BigInt(ns) / 1000000n);
const pad = (n) => String(n).padStart(2, "0");

export function when(ns, { date = true, seconds = true } = {}) {
  if (ns === null || ns === undefined || ns === "") return "–";
  const at = new Date(ms(ns));
  const day = `${at.getUTCFullYear()}-${pad(at.getUTCMonth() + 1)}-${pad(at.getUTCDate())}`;
  const clock = `${pad(at.getUTCHours())}:${pad(at.getUTCMinutes())}` + (seconds ? `:${pad(at.getUTCSeconds())}` : "");
  return date ? `${day} ${clock}` : clock;
}

export const time = (ns) => ns === null || ns === undefined || ns === "" ? "–"
  : h("time", { datetime: new Date(ms(ns)).toISOString(), title: `${when(ns)} UTC` }, h("span", { class: "only-wide" }, when(ns).slice(0, 5)), when(ns).slice(5));

export function took(ns) {
  let s = Math.round(Number(BigInt(ns) / 1000000n) / 1000);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

export function bytes(text) {
  let value = Number(text);
  for (const unit of ["B", "KB", "MB", "GB"]) {
    if (value < 1000 || unit === "GB") return `${value < 10 && unit !== "B" ? value.toFixed(1) : Math.round(value)} ${unit}`;
    value /= 1000;
  }
}

export const count = (n) => n === null || n === undefined ? "–" : group(String(n));

// --- parts -----------------------------------------------------------------------------------------------

export const card = (title, ...inside) => h("section", { class: "card" }, title ? h("h2", {}, title) : null, inside);
export const badge = (text, kind = "") => h("span", { class: `badge ${kind}` }, text);
export const side = (name) => h("span", { class: `side-${name}` }, name === "buy" ? "▲ buy" : "▼ sell");
export const empty = (text) => h("p", { class: "empty" }, text);

const STATES = { running: "good", trading: "good", up: "good", paused: "warning", halted: "bad", stopped: "", down: "bad",
  unknown: "bad", open: "past", closed: "", filled: "good" };
export const state = (name) => badge(name || "–", STATES[name] || "");

export function facts(entries) {
  return h("dl", { class: "facts" }, entries.filter(Boolean).map(([name, value, note]) =>
    h("div", {}, h("dt", {}, name), h("dd", {}, value, note ? h("small", {}, note) : null))));
}

export function figures(entries) {
  return h("dl", { class: "figures" }, entries.filter(Boolean).map(([name, value, note]) =>
    h("div", {}, h("dt", {}, name), h("dd", {}, value, note ? h("small", {}, note) : null))));
}

// A long id: its ends, the whole of it in the title and on the clipboard.
export function ident(text, { ends = 8, tab = true, note = "" } = {}) {
  if (!text) return "–";
  const all = String(text), short = all.length > 2 * ends + 3 ? `${all.slice(0, ends)}…${all.slice(-ends)}` : all;
  return h("span", { class: "ident" }, h("code", { title: note ? `${all}; ${note}` : all }, short), copyButton(all, `Copy ${short}`, tab ? null : "-1"));
}

export function copyButton(text, label, tabindex = null, said = "") {
  return h("button", { class: "copy", type: "button", "aria-label": label, title: label, tabindex, onclick: async (event) => {
    const button = event.currentTarget;
    event.stopPropagation();
    await copy(text);
    button.classList.add("done"); button.title = "Copied";
    document.getElementById("said").textContent = "Copied";
    setTimeout(() => { button.classList.remove("done"); button.title = label; }, 1500);
  } }, h("svg", { viewBox: "0 0 16 16", width: "14", height: "14", "aria-hidden": "true" },
    h("path", { d: "M5.5 5.5h7v8h-7zM3.5 10.5v-8h7", fill: "none", stroke: "currentColor", "stroke-width": "1.4" })), said);
}

async function copy(text) {
  // Without TLS a browser offers its clipboard on this machine only.
  if (navigator.clipboard) { try { await navigator.clipboard.writeText(text); return; } catch { /* the way below */ } }
  const field = h("textarea", { class: "hidden" });
  field.value = text;
  document.body.append(field); field.select(); document.execCommand("copy"); field.remove();
}

// columns: [title, cell(row), kind]; kind "num" is right-aligned, "wide" is left out on a phone, where rows with
// many columns become blocks. With `link` the first cell leads there; the whole row does under a mouse.
export function table(caption, columns, rows, { none = "Nothing yet.", link, chosen } = {}) {
  if (!rows.length) return empty(none);
  const cells = rows.map((row) => columns.map(([, cell]) => { const made = cell(row); return made && made.nodeType ? made : h("span", {}, made); }));
  lineUp(cells, rows);
  if (link) cells.forEach((made, at) => { if (!made[0].matches("a") && !made[0].querySelector("a")) made[0] = h("a", { class: "row", href: link(rows[at]) }, made[0]); });
  const narrow = columns.filter(([, , kind]) => !/wide/.test(kind || "")).length > 3;
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h("table", { class: narrow ? "blocks" : null, role: "table" }, h("caption", { class: "hidden" }, caption),
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, columns.map(([title, , kind]) => h("th", { scope: "col", role: "columnheader", class: kind }, title || h("span", { class: "hidden" }, "more"))))),
      h("tbody", { role: "rowgroup" }, rows.map((row, at) => h("tr", { role: "row", class: [link ? "link" : "", chosen && chosen(row) ? "chosen" : ""].join(" ").trim() || null,
        onclick: link ? (event) => { if (!event.target.closest("a,button")) location.hash = link(row); } : null },
      cells[at].map((cell, column) => h("td", { role: "cell", class: columns[column][2], "data-label": columns[column][0] || null }, cell)))))));
}

// A bar of how much of a limit is used, in parts per million of it.
export function meter(used, limit, label) {
  const part = limit ? Math.min(1, Number(used) / Number(limit)) : 0;
  return h("div", { class: `meter ${part >= 0.8 ? "bad" : part >= 0.5 ? "warning" : ""}`, role: "meter", "aria-label": label,
    "aria-valuemin": "0", "aria-valuemax": "100", "aria-valuenow": String(Math.round(part * 100)) },
  h("i", { style: { width: `${(part * 100).toFixed(1)}%` } }));
}
