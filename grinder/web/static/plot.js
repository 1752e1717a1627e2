// What a chart is made of, as the charting library takes it. Law: the library comes from this server and only
// when a page has a chart; nothing here knows a page.

import { amountText } from "./dom.js";

export const AXIS = 78, FOOT = 24, HEAD = 8;
const DAY = 86400000;
const STEPS = [1e3, 5e3, 15e3, 3e4, 6e4, 3e5, 9e5, 18e5, 36e5, 72e5, 144e5, 216e5, 432e5, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 28 * DAY, 91 * DAY];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const LADDER_MOST = 400;

// Where the library looks whether its map styles are in the page already: with them there it writes none, which
// the policy would refuse.
const MAP_STYLES = "9f215cf04c5486422605d13261cb87401f4e7763b6296af81e98efbc0130da53";

let library = null;

// Its script, once; a page without a chart never asks for it.
export function plotly() {
  library ||= new Promise((resolve, reject) => {
    const script = document.createElement("script"), styles = document.createElement("meta");
    styles.id = MAP_STYLES;
    if (!document.getElementById(MAP_STYLES)) document.head.append(styles);
    script.src = "/ui/static/lib/plotly.js";
    script.async = true;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => { library = null; script.remove(); reject(new Error("The charting library is not there: install grinder[web].")); };
    document.head.append(script);
  });
  return library;
}

export function nearest(list, t, place) {
  if (!list.length) return null;
  let low = 0, high = list.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (place(list[middle]) < t) low = middle + 1; else high = middle;
  }
  return low && t - place(list[low - 1]) < place(list[low]) - t ? list[low - 1] : list[low];
}

function colours() {
  const style = getComputedStyle(document.documentElement);
  return (name) => style.getPropertyValue(`--${name}`).trim();
}

// The traces and the layout of a chart's data over a span of time, on a plot of so many pixels.
export function figure(data, span, plot) {
  const colour = colours(), [low, high] = range(data, span);
  const shapes = [], annotations = [];
  ladder(data, span, low, high, shapes, colour);
  bounds(data, low, high, shapes, annotations, colour);
  orders(data, low, high, plot, shapes, colour);
  price(data, low, high, shapes, annotations, colour);
  if (!data.relative) annotations.push({ xref: "paper", yref: "paper", x: 1, y: 0, xanchor: "left", yanchor: "top", xshift: 6, yshift: -4, text: "UTC", showarrow: false, font: { color: colour("muted"), size: 11 } });
  const axis = { gridcolor: colour("line"), zeroline: false, showline: false, tickcolor: "transparent", ticklen: 4, tickmode: "array", tickfont: { color: colour("muted"), size: 11.5 }, hoverformat: "" };
  return {
    traces: [...candles(data, colour), ...lines(data, colour), ...marks(data, span, plot, colour)],
    layout: {
      width: plot.w + AXIS, height: plot.h + HEAD + FOOT, margin: { l: 0, r: AXIS, t: HEAD, b: FOOT }, autosize: false,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { family: "system-ui, -apple-system, Segoe UI, Roboto, sans-serif", size: 11.5, color: colour("muted") },
      showlegend: false, hovermode: false, shapes, annotations,
      xaxis: { ...axis, type: "linear", range: span, ...times(data, span, plot.w), rangeslider: { visible: false } },
      yaxis: { ...axis, type: "linear", side: "right", range: [low, high], fixedrange: true, ...amounts(data, low, high, plot.h) },
    },
  };
}

// What the price axis shows: what is drawn, and of a wide ladder what is near; all of it would flatten the price.
function range({ candles = [], lines = [], levels = [], now, width = 0 }, [from, to]) {
  let low = Infinity, high = -Infinity;
  const take = (a, b) => { if (a < low) low = a; if (b > high) high = b; };
  for (const one of candles) if (one.t >= from - width && one.t <= to) take(one.l, one.h);
  for (const line of lines) for (const [t, v] of line.points) if (t >= from && t <= to) take(v, v);
  if (low > high) for (const line of lines) for (const [, v] of line.points) take(v, v);
  if (low > high) for (const one of levels) take(one, one);
  if (low > high) return [0, 1];
  if (now) take(now.v, now.v);
  const reach = Math.max((high - low) * 0.9, Math.abs(high) * 1e-4, 1e-9);
  const near = levels.filter((one) => one >= low - reach * .5 && one <= high + reach * .5);
  if (near.length) take(near[0], near.at(-1));
  const margin = (high - low || reach) * 0.06;
  return [low - margin, high + margin];
}

// --- axes ------------------------------------------------------------------------------------------------

function amounts({ now, unit }, low, high, tall) {
  const count = Math.max(2, Math.min(8, Math.floor(tall / 48)));
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((one) => one * power).find((one) => one >= rough * .999);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9) + (step / 10 ** Math.floor(Math.log10(step) + 1e-9) === 2.5 ? 1 : 0));
  const tickvals = [];
  for (let value = Math.ceil(low / step) * step; value < high; value += step) tickvals.push(value);
  // Where the tag of the price stands there is room for nothing else.
  const hidden = (value) => now && Math.abs(value - now.v) / (high - low) * tall < 16;
  return { tickvals, ticktext: tickvals.map((value) => hidden(value) ? "" : amountText(value.toFixed(digits), digits, { pad: true }) + (unit || "")) };
}

function times({ relative }, [from, to], wide) {
  const every = STEPS.find((one) => (to - from) / one <= Math.max(2, wide / 92)) || STEPS.at(-1);
  const tickvals = [], room = to - from;
  // One width more on each side: the chart can be dragged before it is asked for anew.
  for (let t = Math.ceil((from - room) / every) * every; t < to + room; t += every) tickvals.push(t);
  return { tickvals, ticktext: tickvals.map((t) => t <= to && to - t < room * 30 / wide ? "" : relative ? since(t, every) : moment(t, every)) };
}

const since = (t, every) => every >= DAY ? `+${Math.round(t / DAY)} d` : `+${+(t / 36e5).toFixed(2)} h`;

function moment(t, every) {
  const iso = new Date(t).toISOString();
  return every >= DAY || t % DAY === 0 ? `${+iso.slice(8, 10)} ${MONTHS[+iso.slice(5, 7) - 1]}` : iso.slice(11, every < 6e4 ? 19 : 16);
}

// --- layers, from the back ---------------------------------------------------------------------------------

function ladder({ levels = [], ladderFrom, whole }, [from, to], low, high, shapes, colour) {
  const shown = levels.filter((one) => one >= low && one <= high).slice(0, LADDER_MOST);
  if (!shown.length) return;
  const room = to - from, begin = Math.max(ladderFrom || from - room, from - room), end = Math.max(to, whole ? whole[1] : to) + room;
  shapes.push({ type: "path", layer: "below", xref: "x", yref: "y", path: shown.map((one) => `M${begin},${one}L${end},${one}`).join(""),
    line: { color: colour("ladder"), width: shown.length > 120 ? .5 : 1 } });
}

function bounds({ bounds: given = [] }, low, high, shapes, annotations, colour) {
  for (const { value, colour: name, text } of given) {
    if (value < low || value > high) continue;
    shapes.push({ type: "line", xref: "paper", x0: 0, x1: 1, yref: "y", y0: value, y1: value, line: { color: colour(name), width: 1.2, dash: "dash" } });
    annotations.push({ xref: "paper", x: 0, xanchor: "left", xshift: 6, yref: "y", y: value, yanchor: "bottom", text, showarrow: false, font: { color: colour(name), size: 11 } });
  }
}

// Working orders are ticks at the right edge.
function orders({ orders: given = [] }, low, high, plot, shapes, colour) {
  const begin = 1 - 14 / plot.w;
  for (const side of ["buy", "sell"]) {
    const path = given.filter((one) => one.side === side && one.v >= low && one.v <= high).map((one) => `M${begin},${one.v}L1,${one.v}`).join("");
    if (path) shapes.push({ type: "path", xref: "paper", yref: "y", path, line: { color: colour(side), width: 2 } });
  }
}

function price({ now }, low, high, shapes, annotations, colour) {
  if (!now) return;
  const y = Math.min(high, Math.max(low, now.v));
  shapes.push({ type: "line", xref: "paper", x0: 0, x1: 1, yref: "y", y0: y, y1: y, line: { color: colour("accent"), width: 1, dash: "dot" } });
  annotations.push({ xref: "paper", x: 1, xanchor: "left", xshift: 2, yref: "y", y, text: now.text, showarrow: false, bgcolor: colour("accent"), borderpad: 3, font: { color: colour("card"), size: 11.5 } });
}

function candles({ candles: list, width = 0 }, colour) {
  if (!list || !list.length) return [];
  const column = (name) => list.map((one) => one[name]), x = list.map((one) => one.t + width / 2), found = [];
  const within = width ? (list.at(-1).t - list[0].t) / width + 1 : 1;
  // Few prices: a thin line leads the eye from one candle to the next.
  if (list.length < within * .6) found.push({ type: "scatter", mode: "lines", x, y: column("c"), line: { color: colour("line-strong"), width: 1 }, hoverinfo: "skip" });
  const look = (name) => ({ line: { color: colour(name), width: 1 }, fillcolor: colour(name) });
  found.push({ type: "candlestick", x, open: column("o"), high: column("h"), low: column("l"), close: column("c"), increasing: look("up"), decreasing: look("down"), whiskerwidth: 0, hoverinfo: "none" });
  return found;
}

const lines = ({ lines: list = [] }, colour) => list.filter((one) => one.points.length).map((one) => ({
  type: "scatter", mode: "lines", x: one.points.map(([t]) => t), y: one.points.map(([, v]) => v), line: { color: colour(one.colour), width: 1.7, dash: one.dash || "solid" },
  ...(one.fill ? { fill: "tozeroy", fillcolor: colour(one.fill) } : {}), hoverinfo: "none" }));

function marks({ marks: list = [] }, [from, to], plot, colour) {
  const room = to - from, shown = list.filter((one) => one.t >= from - room && one.t <= to + room);
  const crowd = shown.filter((one) => one.t >= from && one.t <= to).length / plot.w, size = crowd > .55 ? 5 : crowd > .25 ? 7 : 10;
  return ["buy", "sell"].map((side) => [side, shown.filter((one) => one.side === side)]).filter(([, some]) => some.length).map(([side, some]) => ({
    type: "scatter", mode: "markers", x: some.map((one) => one.t), y: some.map((one) => one.v), hoverinfo: "none",
    marker: { symbol: side === "buy" ? "triangle-up" : "triangle-down", size, color: colour(side), opacity: size < 6 ? .75 : .95, line: { color: colour("card"), width: size > 8 ? 1 : 0 } } }));
}
