"""The page's script: draws the charts one after the other and follows the colours of the system.

Law: it computes nothing and fetches nothing.  What went wrong is noted on the page's root element, where
tests and people can see it.
"""

from __future__ import annotations

SCRIPT = r"""
"use strict";
(() => {
  const root = document.documentElement;
  addEventListener("error", (e) => { root.dataset.errors = (root.dataset.errors || "") + e.message + "\n"; });
  const variable = /^var\((--[a-z-]+)\)$/;
  // On a phone a finger scrolls the page, and there is no room for buttons.
  const narrow = innerWidth < 700;
  const config = {
    responsive: true, displayModeBar: narrow ? false : "hover", displaylogo: false,
    showTips: false, scrollZoom: false, doubleClick: "reset",
    // An explicit list: plotly's own would bring a button that sends the chart to its maker's server.
    modeBarButtons: [["toImage", "zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]],
    plotlyServerURL: "",
  };
  const coloured = (node, style) => {
    if (typeof node === "string") {
      const name = node.length < 40 && variable.exec(node);
      return name ? style.getPropertyValue(name[1]).trim() : node;
    }
    if (Array.isArray(node)) {
      return typeof node[0] === "number" ? node : node.map((one) => coloured(one, style));
    }
    if (node && typeof node === "object") {
      return Object.fromEntries(Object.entries(node).map(([key, one]) => [key, coloured(one, style)]));
    }
    return node;
  };
  const layoutOf = (figure) => {
    const axis = {
      gridcolor: "var(--line)", linecolor: "var(--line)", zerolinecolor: "var(--line-strong)",
      automargin: true, exponentformat: "none", separatethousands: true,
      spikecolor: "var(--muted)", spikethickness: 1, spikedash: "dot", spikemode: "across",
    };
    const layout = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", separators: ".,",
      font: { family: "system-ui, -apple-system, 'Segoe UI', sans-serif", size: 12, color: "var(--muted)" },
      dragmode: narrow ? false : "zoom",
      margin: { l: 8, r: 12, t: 30, b: 8 }, bargap: 0.15,
      legend: { itemsizing: "constant", orientation: "h", x: 0, xanchor: "left", y: 1.01, yanchor: "bottom" },
      hoverlabel: {
        bgcolor: "var(--card)", bordercolor: "var(--line-strong)", font: { color: "var(--text)" },
      },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: "var(--muted)", activecolor: "var(--text)" },
      ...figure.layout,
    };
    for (const name of ["xaxis", "yaxis", "yaxis2"]) {
      if (name === "yaxis2" && !layout[name]) continue;
      layout[name] = { ...axis, ...layout[name] };
    }
    return layout;
  };
  const places = [...document.querySelectorAll("[data-chart]")];
  const figures = new Map();
  const draw = (place) => {
    const figure = figures.get(place), style = getComputedStyle(root);
    return Plotly.react(place, coloured(figure.data, style), coloured(layoutOf(figure), style), config);
  };
  // Charts over time show the same span: zooming one zooms all.
  let following = false;
  const follow = (from, change) => {
    const [first, last] = [change["xaxis.range[0]"], change["xaxis.range[1]"]];
    const update = change["xaxis.autorange"] ? { "xaxis.autorange": true }
      : first === undefined ? null : { "xaxis.range": [first, last] };
    if (following || !update) return;
    following = true;
    const others = [...figures].filter(([place, figure]) => figure.time && place !== from && place.data);
    Promise.all(others.map(([place]) => Plotly.relayout(place, update)))
      .finally(() => { following = false; });
  };
  const next = () => {
    const place = places.shift();
    if (!place) { root.dataset.drawn = figures.size; return; }
    const figure = JSON.parse(document.getElementById(place.dataset.chart).textContent);
    figures.set(place, figure);
    Promise.resolve(draw(place)).then(() => {
      if (figure.time) place.on("plotly_relayout", (change) => follow(place, change));
      setTimeout(next);
    });
  };
  next();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const place of figures.keys()) draw(place);
  });
})();
"""
