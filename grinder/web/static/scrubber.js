// Time travel: a handle over the whole ledger with the equity under it. Law: it chooses a record; every page
// then asks for that record. Dragging asks no more often than answers come.

import { h, when, count } from "./dom.js";

export class Scrubber {
  constructor(place, onMove) {
    this.place = place; this.onMove = onMove; this.places = []; this.points = []; this.head = 0; this.at = null;
    this.canvas = h("canvas", { "aria-hidden": "true" });
    this.input = h("input", { type: "range", min: "1", max: "1", value: "1", step: "1", "aria-label": "Record the pages are shown at",
      oninput: () => this.moved(false), onchange: () => this.moved(true) });
    this.told = h("output", {});
    this.now = h("button", { onclick: () => this.go(null), title: "Back to the latest record" }, "Now");
    const step = (by, text, label) => h("button", { class: "step", "aria-label": label, title: label, onclick: () => this.step(by) }, text);
    place.replaceChildren(h("div", { class: "scrub" },
      h("div", { class: "steps" }, step(-1, "‹", "One record back"), step(1, "›", "One record on"), this.now),
      h("div", { class: "track" }, this.canvas, this.input), this.told));
    new ResizeObserver(() => this.draw()).observe(place);
  }

  learn(head, places, points) {
    if (places) { this.places = places.map(([position, ns]) => [Number(position), ns]); this.points = points; }
    this.head = head;
    this.input.max = String(Math.max(1, head));
    this.set(this.at);
  }

  set(at) {
    this.at = at === null || at >= this.head && this.head === 0 ? at : Math.min(at, this.head || at);
    this.input.value = String(this.at ?? this.head);
    this.now.disabled = this.at === null;
    this.say(); this.draw();
  }

  go(at) { this.set(at); this.onMove(this.at, true); }
  step(by) { const next = (this.at ?? this.head) + by; this.go(next >= this.head ? null : Math.max(1, next)); }

  moved(settled) {
    const value = Number(this.input.value);
    this.at = value >= this.head ? null : value;
    this.now.disabled = this.at === null;
    this.say(); this.draw();
    this.onMove(this.at, settled);
  }

  time(position) {
    const list = this.places;
    if (!list.length) return null;
    let low = 0, high = list.length - 1;
    while (low < high) { const middle = (low + high) >> 1; if (list[middle][0] < position) low = middle + 1; else high = middle; }
    const [p1, t1] = list[low], [p0, t0] = list[Math.max(0, low - 1)];
    if (p1 <= p0 || position >= p1) return t1;
    return String(BigInt(t0) + (BigInt(t1) - BigInt(t0)) * BigInt(position - p0) / BigInt(p1 - p0));
  }

  say() {
    const position = this.at ?? this.head, ns = this.time(position);
    const text = `record ${count(position)} of ${count(this.head)}`;
    this.told.replaceChildren(h("b", {}, ns ? `${when(ns)} UTC` : "–"), h("br", {}), this.at === null ? `latest, ${text}` : text);
    this.input.setAttribute("aria-valuetext", `${ns ? when(ns) : ""}, ${text}`);
  }

  draw() {
    const { clientWidth: w, clientHeight: tall } = this.canvas, dense = window.devicePixelRatio || 1;
    if (!w) return;
    this.canvas.width = w * dense; this.canvas.height = tall * dense;
    const pen = this.canvas.getContext("2d"), style = getComputedStyle(document.documentElement);
    pen.scale(dense, dense);
    const x = (position) => 6 + (position - 1) / Math.max(1, this.head - 1) * (w - 12);
    pen.fillStyle = style.getPropertyValue("--line").trim();
    pen.fillRect(6, tall - 5, w - 12, 2);
    const values = this.points.map((one) => Number(one.equity));
    const low = Math.min(...values), high = Math.max(...values);
    const path = (until, stroke, fill) => {
      pen.beginPath();
      let last = 6, any = false;
      this.points.forEach((one, at) => {
        if (one.position > until) return;
        last = x(one.position);
        const y = tall - 6 - (values[at] - low) / (high - low || 1) * (tall - 11);
        if (any) pen.lineTo(last, y); else pen.moveTo(last, y);
        any = true;
      });
      pen.strokeStyle = style.getPropertyValue(stroke).trim(); pen.lineWidth = 1.4; pen.stroke();
      if (fill && any) { pen.lineTo(last, tall - 5); pen.lineTo(x(this.points[0].position), tall - 5); pen.fillStyle = style.getPropertyValue(fill).trim(); pen.fill(); }
    };
    path(Infinity, "--line-strong");
    path(this.at ?? Infinity, "--equity", "--equity-faint");
  }
}
