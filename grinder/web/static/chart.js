// Charts: candles or lines, a ladder behind them, executions on them. Law: the charting library draws, this says
// what and listens to hands and keys; numbers here are places on a screen, the texts beside them are the API's own.

import { h, amountText, when } from "./dom.js";
import { figure, nearest, plotly, AXIS, FOOT, HEAD } from "./plot.js";

export class Chart {
  // onWindow(fromMs, toMs) is called when the reader has chosen another span; null for the whole.
  constructor(place, label, { onWindow = null } = {}) {
    Object.assign(this, { place, label, onWindow, data: null, at: null, window: null, closed: false });
    this.paper = h("div", { class: "plot", tabindex: "0", role: "application", "aria-roledescription": "chart", "aria-label": label });
    this.line = h("i", { class: "cross", "aria-hidden": "true", hidden: true });
    this.tip = h("div", { class: "tip", role: "status" });
    this.wait = h("div", { class: "wait" }, "Loading…");
    place.replaceChildren(this.paper, this.line, this.tip, this.wait);
    this.seen = new ResizeObserver(() => this.later());
    this.seen.observe(place);
    this.listen();
    plotly().catch(() => {});
  }

  // data: { candles: [{t,o,h,l,c,texts}] , lines: [{points:[[t,v,text]], colour, fill}], levels, bounds, marks, orders, now, summary }
  show(data) {
    this.data = data;
    this.paper.setAttribute("aria-label", `${this.label}. ${data.summary || ""}`);
    this.later();
  }

  later() {
    if (this.asked || this.closed) return;
    this.asked = requestAnimationFrame(() => { this.asked = 0; this.draw(); });
  }

  destroy() {
    this.closed = true;
    this.seen.disconnect(); cancelAnimationFrame(this.asked); clearTimeout(this.settle);
    if (this.drawn) window.Plotly.purge(this.paper);
  }

  whole() { return this.data && this.data.whole; }

  span() {
    const all = this.whole();
    if (this.window) return this.window;
    if (!all) return [0, 1];
    const room = Math.max(1000, (all[1] - all[0]) * 0.015);
    return [all[0] - room / 3, all[1] + room];
  }

  // --- hands and keys ----------------------------------------------------------------------------------

  listen() {
    const paper = this.paper, fingers = new Map();
    let pinch = null;
    const place = (event) => event.clientX - paper.getBoundingClientRect().left;
    paper.addEventListener("pointerdown", (event) => {
      if (event.pointerType !== "touch") return;
      fingers.set(event.pointerId, place(event));
      pinch = fingers.size === 2 ? { span: this.span(), gap: gap(fingers) } : null;
    });
    paper.addEventListener("pointermove", (event) => {
      if (fingers.has(event.pointerId)) fingers.set(event.pointerId, place(event));
      if (pinch && this.onWindow) {
        const [from, to] = pinch.span, middle = (from + to) / 2, scale = pinch.gap / Math.max(10, gap(fingers));
        this.look(middle - (middle - from) * scale, middle + (to - middle) * scale);
      }
      this.point(place(event));
    });
    const up = (event) => { fingers.delete(event.pointerId); pinch = null; };
    paper.addEventListener("pointerup", up);
    paper.addEventListener("pointercancel", up);
    paper.addEventListener("pointerleave", () => this.point(null));
    paper.addEventListener("dblclick", () => this.look(null));
    paper.addEventListener("wheel", (event) => {
      if (!this.onWindow || !(event.ctrlKey || event.metaKey || event.shiftKey || document.activeElement === paper)) return;
      event.preventDefault();
      this.zoom(event.deltaY + event.deltaX > 0 ? 1.25 : 0.8, this.moment(place(event)));
    }, { passive: false });
    paper.addEventListener("keydown", (event) => this.key(event));
    paper.addEventListener("blur", () => this.point(null));
  }

  key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step && event.shiftKey) this.shift(step);
    else if (step) this.point(Math.min(this.plot().w, Math.max(0, (this.at ?? this.plot().w / 2) + step * 6)));
    else if (event.key === "+" || event.key === "=") this.zoom(0.7);
    else if (event.key === "-") this.zoom(1.4);
    else if (event.key === "0" || event.key === "Escape") { this.look(null); this.point(null); }
    else return;
    event.preventDefault();
  }

  // A quarter of what is shown, on or back.
  shift(way) { const [from, to] = this.span(), by = way * (to - from) / 4; this.look(from + by, to + by); }

  zoom(by, around = null) {
    const [from, to] = this.span(), at = around ?? (from + to) / 2;
    this.look(at - (at - from) * by, at + (to - at) * by);
  }

  look(from, to) {
    if (!this.onWindow || !this.whole()) return;
    const all = this.whole();
    if (from === null) this.window = null;
    else {
      const most = (all[1] - all[0]) * 1.05 + 2000;
      const width = Math.min(most, Math.max(20000, to - from));
      const begin = Math.min(Math.max(from, all[0] - width * 0.2), all[1] - width * 0.8);
      this.window = width >= most * 0.98 ? null : [begin, begin + width];
    }
    this.later();
    clearTimeout(this.settle);
    this.settle = setTimeout(() => this.onWindow(this.window), 140);
  }

  // --- places ------------------------------------------------------------------------------------------

  plot() { return { w: Math.max(10, this.place.clientWidth - AXIS), h: Math.max(10, this.place.clientHeight - FOOT - HEAD) }; }
  x(t) { const [from, to] = this.span(); return (t - from) / (to - from) * this.plot().w; }
  moment(x) { const [from, to] = this.span(); return from + x / this.plot().w * (to - from); }

  // --- drawing -----------------------------------------------------------------------------------------

  async draw() {
    if (!this.data || !this.place.clientWidth || !this.place.clientHeight) return;
    if (this.busy) { this.again = true; return; }
    if (!(this.data.candles || []).length && !(this.data.lines || []).some((one) => one.points.length)) {
      this.wait.hidden = false; this.paper.hidden = true;
      this.wait.textContent = this.data.empty || "Nothing to draw yet.";
      this.place.dataset.drawn = "0";
      return;
    }
    this.busy = true;
    try {
      const library = await plotly();
      if (this.closed) return;
      this.paper.hidden = false;
      const { traces, layout } = figure(this.data, this.span(), this.plot());
      // With a finger the page scrolls; a mouse moves the chart.
      const hands = Boolean(this.onWindow) && !matchMedia("(pointer: coarse)").matches;
      layout.dragmode = hands ? "pan" : false;
      await library.react(this.paper, traces, layout, { displayModeBar: false, doubleClick: false, showTips: false, staticPlot: !hands });
      if (!this.drawn) this.paper.on("plotly_relayout", (change) => this.moved(change));
      this.drawn = true;
      this.wait.hidden = true;
      this.point(this.at);
      this.place.dataset.drawn = String(this.data.candles ? this.data.candles.length : this.data.lines.length);
    } catch (error) {
      this.wait.hidden = false;
      this.wait.textContent = error.message;
    } finally {
      this.busy = false;
      if (this.again) { this.again = false; this.later(); }
    }
  }

  // The library has moved the chart under a mouse.
  moved(change) {
    const range = change["xaxis.range"] || [change["xaxis.range[0]"], change["xaxis.range[1]"]];
    if (range[0] !== undefined) this.look(Number(range[0]), Number(range[1]));
  }

  // A cross-line at a place, and what is there in words.
  point(x) {
    this.at = x === null || x > this.plot().w ? null : x;
    this.line.hidden = this.at === null || !this.data;
    this.line.style.setProperty("left", `${this.at || 0}px`);
    const said = this.at === null || !this.data ? "" : this.said(this.moment(this.at));
    if (this.tip.textContent !== said) this.tip.textContent = said;
  }

  said(t) {
    const { candles = [], lines = [], marks = [], relative, width = 0 } = this.data;
    const ns = (at) => `${Math.round(at)}000000`;
    const near = nearest(marks, t, (one) => one.t);
    const close = near && Math.abs(this.x(near.t) - this.at) < 7 ? `   ·   ${near.text}` : "";
    if (candles.length) {
      const one = nearest(candles, t - width / 2, (each) => each.t);
      const [o, hi, lo, c] = one.texts.map((text) => amountText(text, 8));
      return `${when(ns(one.t), { seconds: width < 60000 })} UTC   O ${o}  H ${hi}  L ${lo}  C ${c}${close}`;
    }
    const parts = lines.map((line) => ({ line, one: nearest(line.points, t, (each) => each[0]) })).filter(({ one }) => one);
    const first = parts.length && (relative ? `+${(parts[0].one[0] / 36e5).toFixed(1)} h` : `${when(ns(parts[0].one[0]))} UTC`);
    return parts.length ? `${first}   ${parts.map(({ line, one }) => `${line.name ? line.name + " " : ""}${one[2]}`).join("   ")}` : "";
  }
}

function gap(fingers) { const [a, b] = [...fingers.values()]; return b === undefined ? 0 : Math.abs(a - b); }

// A line of prices without axes.
export function spark(points, label) {
  if (points.length < 2) return h("p", { class: "empty" }, "no prices yet");
  const values = points.map(([, v]) => Number(v)), times = points.map(([t]) => Number(t));
  const low = Math.min(...values), high = Math.max(...values), from = times[0], to = times.at(-1);
  const path = points.map((_, at) => `${at ? "L" : "M"}${((times[at] - from) / (to - from || 1) * 300).toFixed(1)} ${(43 - (values[at] - low) / (high - low || 1) * 40).toFixed(1)}`).join("");
  return h("svg", { class: "spark", viewBox: "0 0 300 46", preserveAspectRatio: "none", role: "img", "aria-label": label }, h("path", { d: path }));
}
