// Charts on a canvas: candles or lines, a ladder behind them, executions on them. Law: it draws what it is
// given; numbers here are places on a screen, the texts beside them are the API's own.

import { h, amountText, when } from "./dom.js";

const AXIS = 74, FOOT = 22, HEAD = 8;
const DAY = 86400000;
const STEPS = [1e3, 5e3, 15e3, 3e4, 6e4, 3e5, 9e5, 18e5, 36e5, 72e5, 144e5, 216e5, 432e5, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 28 * DAY, 91 * DAY];

export class Chart {
  // onWindow(fromMs, toMs) is called when the reader has chosen another span; null for the whole.
  constructor(place, label, { onWindow = null } = {}) {
    this.place = place; this.onWindow = onWindow; this.data = null; this.at = null; this.window = null;
    this.canvas = h("canvas", { tabindex: "0", role: "img", "aria-label": label });
    this.label = label;
    this.tip = h("div", { class: "tip" });
    this.wait = h("div", { class: "wait" }, "Loading…");
    place.replaceChildren(this.canvas, this.tip, this.wait);
    this.seen = new ResizeObserver(() => this.later());
    this.seen.observe(place);
    this.listen();
  }

  // data: { candles: [{t,o,h,l,c,texts}] , lines: [{points:[[t,v,text]], colour, fill, step}], levels, marks, tags, now, summary }
  show(data) {
    this.data = data;
    this.wait.hidden = true;
    this.canvas.setAttribute("aria-label", `${this.label}. ${data.summary || ""}`);
    this.later();
  }

  later() {
    if (this.asked) return;
    this.asked = requestAnimationFrame(() => { this.asked = 0; this.draw(); });
  }

  destroy() { this.seen.disconnect(); cancelAnimationFrame(this.asked); clearTimeout(this.settle); }

  whole() { return this.data && this.data.whole; }

  span() {
    const all = this.whole();
    if (this.window) return this.window;
    if (!all) return [0, 1];
    const room = Math.max(1000, (all[1] - all[0]) * 0.015);
    return [all[0] - room / 3, all[1] + room];
  }

  // --- hands -------------------------------------------------------------------------------------------

  listen() {
    const canvas = this.canvas, fingers = new Map();
    let drag = null;
    const place = (event) => event.clientX - canvas.getBoundingClientRect().left;
    canvas.addEventListener("pointerdown", (event) => {
      fingers.set(event.pointerId, place(event));
      if (event.pointerType !== "touch" || fingers.size === 2) canvas.setPointerCapture(event.pointerId);
      drag = { x: place(event), span: this.span(), gap: this.gap(fingers) };
    });
    canvas.addEventListener("pointermove", (event) => {
      if (fingers.has(event.pointerId)) fingers.set(event.pointerId, place(event));
      if (drag && this.onWindow && fingers.size === 2 && drag.gap) {
        const [from, to] = drag.span, middle = (from + to) / 2, scale = drag.gap / Math.max(10, this.gap(fingers));
        this.look(middle - (middle - from) * scale, middle + (to - middle) * scale);
      } else if (drag && this.onWindow && event.pointerType === "mouse" && event.buttons) {
        const moved = (drag.x - place(event)) / this.plot().w * (drag.span[1] - drag.span[0]);
        if (Math.abs(drag.x - place(event)) > 3) this.look(drag.span[0] + moved, drag.span[1] + moved);
      }
      this.at = place(event); this.later();
    });
    const up = (event) => { fingers.delete(event.pointerId); drag = null; };
    canvas.addEventListener("pointerup", up);
    canvas.addEventListener("pointercancel", up);
    canvas.addEventListener("pointerleave", () => { this.at = null; this.later(); });
    canvas.addEventListener("dblclick", () => this.look(null));
    canvas.addEventListener("wheel", (event) => {
      if (!this.onWindow || !(event.ctrlKey || event.metaKey || event.shiftKey || document.activeElement === canvas)) return;
      event.preventDefault();
      this.zoom(event.deltaY + event.deltaX > 0 ? 1.25 : 0.8, this.moment(place(event)));
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (step) this.at = Math.min(this.plot().w, Math.max(0, (this.at ?? this.plot().w / 2) + step * (event.shiftKey ? 40 : 6)));
      else if (event.key === "+" || event.key === "=") this.zoom(0.7);
      else if (event.key === "-") this.zoom(1.4);
      else if (event.key === "0" || event.key === "Escape") { this.look(null); this.at = null; }
      else return;
      event.preventDefault(); this.later();
    });
    canvas.addEventListener("blur", () => { this.at = null; this.later(); });
  }

  gap(fingers) { const [a, b] = [...fingers.values()]; return b === undefined ? 0 : Math.abs(a - b); }

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
      let width = Math.min(most, Math.max(20000, to - from));
      let begin = Math.min(Math.max(from, all[0] - width * 0.2), all[1] - width * 0.8);
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
  y(value) { return HEAD + (1 - (value - this.low) / (this.high - this.low)) * this.plot().h; }

  range() {
    const [from, to] = this.span(), { candles = [], lines = [], levels = [] } = this.data;
    let low = Infinity, high = -Infinity;
    const take = (a, b) => { if (a < low) low = a; if (b > high) high = b; };
    for (const one of candles) if (one.t >= from - this.width() && one.t <= to) take(one.l, one.h);
    for (const line of lines) for (const [t, v] of line.points) if (t >= from && t <= to) take(v, v);
    if (low > high) for (const line of lines) for (const [, v] of line.points) take(v, v);
    if (low > high) for (const one of levels) take(one, one);
    if (low > high) [low, high] = [0, 1];
    const reach = Math.max((high - low) * 0.9, Math.abs(high) * 1e-4, 1e-9);
    // What of a wide ladder is near the price is shown; all of it would flatten the price.
    const near = levels.filter((one) => one >= low - reach * .5 && one <= high + reach * .5);
    if (near.length) take(near[0], near.at(-1));
    const margin = (high - low || reach) * 0.06;
    this.low = low - margin; this.high = high + margin;
  }

  width() { return (this.data && this.data.width) || 0; }

  // --- drawing -----------------------------------------------------------------------------------------

  draw() {
    const { clientWidth: w, clientHeight: height } = this.place;
    if (!this.data || !w || !height) return;
    const dense = window.devicePixelRatio || 1, canvas = this.canvas;
    if (canvas.width !== Math.round(w * dense) || canvas.height !== Math.round(height * dense)) {
      canvas.width = Math.round(w * dense); canvas.height = Math.round(height * dense);
    }
    const style = getComputedStyle(document.documentElement);
    this.colour = (name) => style.getPropertyValue(`--${name}`).trim();
    const pen = this.pen = canvas.getContext("2d");
    pen.setTransform(dense, 0, 0, dense, 0, 0);
    pen.clearRect(0, 0, w, height);
    pen.font = "11.5px system-ui, sans-serif";
    pen.textBaseline = "middle";
    this.range();
    this.axes();
    pen.save();
    pen.beginPath(); pen.rect(0, 0, this.plot().w, height - FOOT); pen.clip();
    this.ladder(); this.lines(); this.candles(); this.marks();
    pen.restore();
    this.tags();
    this.cross();
  }

  axes() {
    const { pen } = this, { w, h: tall } = this.plot(), [from, to] = this.span();
    const count = Math.max(2, Math.min(8, Math.floor(tall / 48)));
    const rough = (this.high - this.low) / count, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 2.5, 5, 10].map((one) => one * power).find((one) => one >= rough);
    this.digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9) + (step / 10 ** Math.floor(Math.log10(step)) === 2.5 ? 1 : 0));
    pen.strokeStyle = this.colour("line"); pen.fillStyle = this.colour("muted"); pen.lineWidth = 1;
    pen.textAlign = "left";
    for (let value = Math.ceil(this.low / step) * step; value < this.high; value += step) {
      const y = Math.round(this.y(value)) + .5;
      pen.beginPath(); pen.moveTo(0, y); pen.lineTo(w, y); pen.stroke();
      pen.fillText(amountText(value.toFixed(this.digits), this.digits), w + 8, y);
    }
    const every = STEPS.find((one) => (to - from) / one <= Math.max(2, w / 92)) || STEPS.at(-1);
    pen.textAlign = "center";
    for (let t = Math.ceil(from / every) * every; t < to; t += every) {
      const x = Math.round(this.x(t)) + .5;
      if (x < 20 || x > w - 16) continue;
      const iso = new Date(t).toISOString();
      const text = this.data.relative ? `+${every >= DAY ? `${Math.round(t / DAY)} d` : `${+(t / 36e5).toFixed(2)} h`}` : every >= DAY || t % DAY === 0 ? `${+iso.slice(8, 10)} ${MONTHS[+iso.slice(5, 7) - 1]}` : iso.slice(11, every < 6e4 ? 19 : 16);
      pen.beginPath(); pen.moveTo(x, HEAD); pen.lineTo(x, HEAD + tall); pen.stroke();
      pen.fillText(text, x, HEAD + tall + FOOT / 2 + 1);
    }
  }

  ladder() {
    const { pen, data } = this, { w } = this.plot();
    if (!data.levels) return;
    const from = data.ladderFrom ? Math.max(0, this.x(data.ladderFrom)) : 0;
    const gap = data.levels.length > 1 ? Math.abs(this.y(data.levels[0]) - this.y(data.levels[1])) : 9;
    pen.strokeStyle = this.colour("ladder"); pen.lineWidth = Math.min(1, Math.max(.35, gap / 7));
    pen.beginPath();
    for (const one of data.levels) { const y = Math.round(this.y(one)) + .5; pen.moveTo(from, y); pen.lineTo(w, y); }
    pen.stroke();
    for (const { value, colour } of data.bounds || []) {
      const y = this.y(value);
      pen.strokeStyle = this.colour(colour); pen.lineWidth = 1.2; pen.setLineDash([5, 4]);
      pen.beginPath(); pen.moveTo(0, y); pen.lineTo(w, y); pen.stroke(); pen.setLineDash([]);
    }
  }

  candles() {
    const { pen, data } = this, list = data.candles || [];
    if (!list.length) return;
    const within = this.width() ? (list.at(-1).t - list[0].t) / this.width() + 1 : 1;
    if (list.length < within * .6) {
      // Few prices: a thin line leads the eye from one candle to the next.
      pen.beginPath();
      list.forEach((one, at) => { const x = this.x(one.t + this.width() / 2), y = this.y(one.c); if (at) pen.lineTo(x, y); else pen.moveTo(x, y); });
      pen.strokeStyle = this.colour("line-strong"); pen.lineWidth = 1; pen.stroke();
    }
    const body = Math.max(1, Math.min(24, this.x(list[0].t + this.width()) - this.x(list[0].t)) * .68);
    for (const kind of ["up", "down"]) {
      pen.strokeStyle = pen.fillStyle = this.colour(kind);
      pen.lineWidth = 1;
      pen.beginPath();
      const boxes = [];
      for (const one of list) {
        if ((one.c >= one.o) !== (kind === "up")) continue;
        const x = Math.round(this.x(one.t + this.width() / 2)) + .5;
        if (x < -12 || x > this.plot().w + 12) continue;
        pen.moveTo(x, this.y(one.h)); pen.lineTo(x, this.y(one.l));
        const top = this.y(Math.max(one.o, one.c)), low = this.y(Math.min(one.o, one.c));
        if (body > 1.4) boxes.push([x - body / 2, top, body, Math.max(1, low - top)]);
      }
      pen.stroke();
      for (const box of boxes) pen.fillRect(...box);
    }
  }

  lines() {
    const { pen } = this;
    for (const line of this.data.lines || []) {
      if (!line.points.length) continue;
      pen.beginPath();
      let last = null;
      for (const [t, v] of line.points) {
        const x = this.x(t), y = this.y(v);
        if (last === null) pen.moveTo(x, y);
        else { if (line.step) pen.lineTo(x, last); pen.lineTo(x, y); }
        last = y;
      }
      pen.strokeStyle = this.colour(line.colour); pen.lineWidth = 1.7; pen.lineJoin = "round"; pen.stroke();
      if (line.fill) {
        const foot = HEAD + this.plot().h;
        pen.lineTo(this.x(line.points.at(-1)[0]), foot); pen.lineTo(this.x(line.points[0][0]), foot);
        pen.fillStyle = this.colour(line.fill); pen.fill();
      }
    }
  }

  marks() {
    const { pen } = this, list = this.data.marks || [];
    const [from, to] = this.span(), shown = list.filter((one) => one.t >= from && one.t <= to);
    const crowd = shown.length / this.plot().w, size = crowd > .55 ? 2.2 : crowd > .25 ? 3.2 : 5;
    for (const one of shown) {
      const x = this.x(one.t), y = this.y(one.v), way = one.side === "buy" ? 1 : -1;
      pen.beginPath();
      pen.moveTo(x, y - way * size * .2); pen.lineTo(x + size, y + way * size * 1.5); pen.lineTo(x - size, y + way * size * 1.5); pen.closePath();
      pen.fillStyle = this.colour(one.side); pen.globalAlpha = size < 3 ? .6 : .95; pen.fill(); pen.globalAlpha = 1;
      if (size > 4) { pen.strokeStyle = this.colour("card"); pen.lineWidth = .8; pen.stroke(); }
    }
  }

  // Working orders are ticks at the right edge; the price has its tag there.
  tags() {
    const { pen, data } = this, { w, h: tall } = this.plot();
    for (const one of data.orders || []) {
      const y = this.y(one.v);
      if (y < HEAD || y > HEAD + tall) continue;
      pen.strokeStyle = this.colour(one.side); pen.lineWidth = 2;
      pen.beginPath(); pen.moveTo(w - 12, y); pen.lineTo(w + 3, y); pen.stroke();
    }
    if (!data.now) return;
    const y = Math.min(HEAD + tall - 8, Math.max(HEAD + 8, this.y(data.now.v)));
    pen.setLineDash([2, 3]); pen.strokeStyle = this.colour("accent"); pen.lineWidth = 1;
    pen.beginPath(); pen.moveTo(0, y); pen.lineTo(w, y); pen.stroke(); pen.setLineDash([]);
    this.tag(data.now.text, y, "accent");
  }

  tag(text, y, colour) {
    const { pen } = this, { w } = this.plot();
    pen.fillStyle = this.colour(colour);
    pen.fillRect(w + 3, y - 9, AXIS - 4, 18);
    pen.fillStyle = this.colour("card"); pen.textAlign = "left";
    pen.fillText(text, w + 8, y + .5);
  }

  cross() {
    const { pen, data } = this, { w, h: tall } = this.plot();
    if (this.at === null || this.at > w) { this.tip.textContent = ""; return; }
    const t = this.moment(this.at);
    pen.strokeStyle = this.colour("muted"); pen.lineWidth = 1; pen.setLineDash([3, 3]);
    pen.beginPath(); pen.moveTo(Math.round(this.at) + .5, HEAD); pen.lineTo(Math.round(this.at) + .5, HEAD + tall); pen.stroke(); pen.setLineDash([]);
    this.tip.textContent = this.said(t);
  }

  said(t) {
    const { candles = [], lines = [], marks = [] } = this.data;
    const ns = (at) => `${Math.round(at)}000000`;
    const near = nearest(marks, t, (one) => one.t);
    const close = near && Math.abs(this.x(near.t) - this.at) < 7 ? `   ·   ${near.text}` : "";
    if (candles.length) {
      const one = nearest(candles, t - this.width() / 2, (each) => each.t);
      const [o, hi, lo, c] = one.texts.map((text) => amountText(text, 8));
      return `${when(ns(one.t), { seconds: this.width() < 60000 })}   O ${o}  H ${hi}  L ${lo}  C ${c}${close}`;
    }
    const parts = lines.map((line) => ({ line, one: nearest(line.points, t, (each) => each[0]) })).filter(({ one }) => one);
    const first = parts.length && (this.data.relative ? `+${(parts[0].one[0] / 36e5).toFixed(1)} h` : when(ns(parts[0].one[0])));
    return parts.length ? `${first}   ${parts.map(({ line, one }) => `${line.name ? line.name + " " : ""}${one[2]}`).join("   ")}` : "";
  }
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

function nearest(list, t, place) {
  if (!list.length) return null;
  let low = 0, high = list.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (place(list[middle]) < t) low = middle + 1; else high = middle;
  }
  return low && t - place(list[low - 1]) < place(list[low]) - t ? list[low - 1] : list[low];
}

// A line of prices without axes.
export function spark(points, label) {
  if (points.length < 2) return h("p", { class: "empty" }, "no prices yet");
  const values = points.map(([, v]) => Number(v)), times = points.map(([t]) => Number(t));
  const low = Math.min(...values), high = Math.max(...values), from = times[0], to = times.at(-1);
  const path = points.map((_, at) => `${at ? "L" : "M"}${((times[at] - from) / (to - from || 1) * 300).toFixed(1)} ${(43 - (values[at] - low) / (high - low || 1) * 40).toFixed(1)}`).join("");
  return h("svg", { class: "spark", viewBox: "0 0 300 46", preserveAspectRatio: "none", role: "img", "aria-label": label }, h("path", { d: path }));
}
