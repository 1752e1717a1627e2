import { h, card } from "../dom.js";
import { gridCard, noGrid } from "./parts.js";
import { button } from "../controls.js";

export const page = (app) => ({
  title: "Grids", path: "/api/pages/grids",
  draw: (told) => [
    h("div", { class: "title" }, h("h1", {}, "Grids")),
    told.grids.length ? h("div", { class: "grids" }, told.grids.map((one) => gridCard(one, app,
      h("div", { class: "filters" }, ["start", "pauseSymbol", "resumeSymbol", "rebalance", "deploy", "stop"].map((name) => button(app, name, one.symbol))))))
      : card("", noGrid(app)),
  ],
});
