// Checks of a page as it is, run in the browser: the value of each is a list of faults. Law: a check reads the page
// and changes nothing. It is no proof that a page is good to use, only that these known ways of being bad are not there.

const checks = {
  // Names, roles, order, and tables that can be read cell by cell.
  audit() {
  const faults = [], fault = (what, one) => faults.push(`${what}: ${one.outerHTML.slice(0, 160)}`);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const seen = (one) => one.getClientRects().length > 0;
  const name = (one) => (one.getAttribute("aria-label") || [...(one.labels || [])].map((l) => l.textContent).join(" ")
    || one.textContent || one.title || one.alt || "").trim();
  const ROLES = new Set(["alert", "application", "cell", "columnheader", "dialog", "img", "meter", "region", "row",
    "rowgroup", "status", "table"]);
  for (const one of all("button, a, input, select, textarea, [tabindex='0'], [role=img], [role=meter], [role=region]"))
    if (seen(one) && !name(one)) fault("no name", one);
  for (const one of all("a")) if (!one.hasAttribute("href")) fault("a link to nowhere", one);
  for (const one of all("img")) if (!one.hasAttribute("alt")) fault("no alt", one);
  for (const one of all("[role]")) if (!ROLES.has(one.getAttribute("role"))) fault("unknown role", one);
  for (const one of all("[tabindex]")) if (Number(one.getAttribute("tabindex")) > 0) fault("out of order", one);
  for (const one of all("[aria-hidden=true] :is(a, button, input, select)")) fault("hidden but reachable", one);
  const ids = all("[id]").map((one) => one.id).filter((id) => id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) faults.push(`two of #${id}`);
  for (const name of ["aria-controls", "aria-labelledby", "aria-describedby"])
    for (const one of all(`[${name}]`))
      if (seen(one)) for (const id of one.getAttribute(name).split(" "))
        if (!document.getElementById(id)) fault(`${name} leads nowhere`, one);
  const heads = all("h1, h2, h3").filter((one) => !one.closest("dialog")).map((one) => Number(one.tagName[1]));
  if (heads[0] !== 1 || heads.filter((one) => one === 1).length !== 1) faults.push(`headings ${heads}`);
  heads.forEach((one, at) => { if (at && one > heads[at - 1] + 1) faults.push(`headings ${heads}`); });
  for (const one of all("table")) {
    if (!one.caption || !one.caption.textContent.trim()) fault("no caption", one);
    for (const head of one.querySelectorAll("thead th"))
      if (head.scope !== "col" || !head.textContent.trim()) fault("a head of nothing", head);
    for (const row of one.rows) if (row.cells.length !== one.rows[0].cells.length) fault("cells missing", row);
  }
  for (const one of all("dl")) for (const part of one.children)
    if (!part.querySelector("dt") || !part.querySelector("dd")) fault("half a pair", part);
  if (!document.documentElement.lang || !document.title.trim()) faults.push("no language or title");
  return faults;
},

  // Text against what is behind it: WCAG 2.2, AA.
  contrast() {
  const parts = (colour) => { const [r, g, b, a = 1] = colour.match(/[\d.]+/g).map(Number); return [r, g, b, a]; };
  const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
  const light = (colour) => { const [r, g, b] = colour.slice(0, 3).map((one) => { one /= 255;
    return one <= .04045 ? one / 12.92 : ((one + .055) / 1.055) ** 2.4; }); return .2126 * r + .7152 * g + .0722 * b; };
  const behind = (one) => { const layers = [];
    for (let at = one; at; at = at.parentElement) layers.push(parts(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((under, layer) => over(layer, under), [255, 255, 255, 1]); };
  const faults = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const text = node.data.trim(), one = node.parentElement;
    if (!text || !one.getClientRects().length || one.closest("[aria-disabled], :disabled, .hidden, noscript, option"))
      continue;
    const style = getComputedStyle(one), drawn = one.ownerSVGElement || one.tagName === "text";
    if (style.visibility === "hidden") continue;
    let opacity = 1;
    for (let at = one; at; at = at.parentElement) opacity *= Number(getComputedStyle(at).opacity);
    const tag = drawn && one.closest("g.annotation") && one.closest("g.annotation").querySelector("rect.bg");
    let under = behind(drawn ? one.closest(".card") || document.body : one);
    if (tag) under = over([...parts(getComputedStyle(tag).fill).slice(0, 3), Number(getComputedStyle(tag).fillOpacity)], under);
    const ink = parts(drawn ? style.fill : style.color);
    const front = over([...ink.slice(0, 3), ink[3] * opacity], under);
    const [low, high] = [light(front), light(under)].sort((a, b) => a - b), ratio = (high + .05) / (low + .05);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) faults.push({ text: text.slice(0, 40), ratio: Math.round(ratio * 100) / 100, of: one.className });
  }
  return faults;
},

  // What is smaller than a finger.
  fingers() { return [...document.querySelectorAll("button, select, input:not([type=range]), .side a, a.button")]
  .filter((one) => one.getClientRects().length && getComputedStyle(one).visibility !== "hidden"
    && !one.matches(".copy") && !one.closest("dialog"))
  .map((one) => [one, one.getBoundingClientRect()])
  .filter(([, box]) => box.height < 44 || box.width < 44)
  .map(([one, box]) => `${Math.round(box.width)} x ${Math.round(box.height)}: ${one.outerHTML.slice(0, 120)}`); },
};
