"""How the page looks.

Law: one style for a wide screen, a phone, paper, light and dark; it names no font, image or sheet that would
have to be fetched.
"""

from __future__ import annotations

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f6f6f3; --card: #ffffff; --text: #1d2127; --muted: #6a707a; --line: #e8e8e3;
  --line-strong: #c9cac4; --ladder: #d2d6dd; --price: #4a5361; --equity: #2f66c9;
  --equity-faint: rgba(47, 102, 201, .12); --buy: #0b7f6e; --sell: #c9581b; --gain: #0b8a6c;
  --loss: #c0352f; --loss-faint: rgba(192, 53, 47, .14); --warn: #fff4d6; --warn-text: #6b4e00;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171b; --card: #1b1f25; --text: #e4e7eb; --muted: #949ca8; --line: #2a3038;
    --line-strong: #4a525d; --ladder: #323943; --price: #b3bcc9; --equity: #78a6ff;
    --equity-faint: rgba(120, 166, 255, .14); --buy: #35c7ae; --sell: #f39152; --gain: #35b893;
    --loss: #f0716a; --loss-faint: rgba(240, 113, 106, .18); --warn: #3a2f12; --warn-text: #f2d58b;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); line-height: 1.5;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main, header, footer { max-width: 1200px; margin: 0 auto; padding: 0 20px; }
header { padding-top: 36px; }
h1 { font-size: 26px; line-height: 1.2; margin: 0; letter-spacing: -.01em; overflow-wrap: anywhere; }
h2 { font-size: 19px; margin: 40px 0 10px; letter-spacing: -.01em; overflow-wrap: anywhere; }
h3 { font-size: 15px; margin: 0 0 4px; }
p { margin: 0 0 8px; }
.muted, .note, figcaption { color: var(--muted); font-size: 13.5px; }
.facts { margin: 6px 0 0; color: var(--muted); }
.facts span + span::before { content: "·"; margin: 0 8px; }
.badge { display: inline-block; border: 1px solid var(--line-strong); border-radius: 99px; padding: 0 9px;
  font-size: 12.5px; vertical-align: middle; margin-left: 8px; font-weight: 500; letter-spacing: 0; }
.warn { background: var(--warn); color: var(--warn-text); border-radius: 8px; padding: 10px 14px;
  margin: 16px 0 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 16px 18px;
  margin: 0 0 14px; }
.keys { display: grid; grid-template-columns: repeat(auto-fill, minmax(172px, 1fr)); padding: 0;
  margin: 22px 0 14px; overflow: hidden; }
.keys.card { padding: 0; }
.keys div { padding: 12px 16px; box-shadow: 0 0 0 1px var(--line); }
.keys dt { color: var(--muted); font-size: 13px; }
.keys dd { margin: 1px 0 0; font-size: 18px; font-weight: 550; font-variant-numeric: tabular-nums;
  overflow-wrap: anywhere; }
.keys dd small { display: block; font-size: 12.5px; font-weight: 400; color: var(--muted); }
.keys .rest { font-size: .7em; }
.gain { color: var(--gain); } .loss { color: var(--loss); }
.rest { opacity: .55; font-size: .8em; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 14px; }
.pair > * { min-width: 0; }
figure { margin: 0; } figcaption { margin: 6px 0 0; }
.chart { width: 100%; }
.scroll { overflow: auto; max-height: 460px; margin: 0 -18px; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; }
th, td { padding: 5px 9px; text-align: left; white-space: nowrap; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { padding-left: 18px; }
th:last-child, td:last-child { padding-right: 18px; }
thead th { position: sticky; top: 0; background: var(--card); color: var(--muted); font-weight: 500;
  box-shadow: inset 0 -1px var(--line-strong); border: 0; }
tbody tr:hover { background: var(--page); }
tbody tr:last-child td { border: 0; }
.num { text-align: right; font-variant-numeric: tabular-nums; }
td.num { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: 12.5px; }
td.text { white-space: normal; min-width: 220px; overflow-wrap: anywhere; }
details > summary { cursor: pointer; font-weight: 600; font-size: 15px; }
details > summary .muted { font-weight: 400; }
details[open] > summary { margin-bottom: 8px; }
pre { margin: 0; overflow-x: auto; font-size: 12.5px; line-height: 1.45; }
code, .hash { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; font-size: .9em;
  overflow-wrap: anywhere; }
.plain { display: grid; grid-template-columns: max-content 1fr; gap: 4px 20px; margin: 0; }
.plain dt { color: var(--muted); } .plain dd { margin: 0; overflow-wrap: anywhere; min-width: 0; }
footer { padding: 20px 20px 50px; color: var(--muted); font-size: 13px; }
@media (max-width: 600px) {
  main, header, footer { padding-left: 12px; padding-right: 12px; }
  .keys { grid-template-columns: 1fr 1fr; } .keys.card { padding: 0; }
.keys div { padding: 10px 12px; } .keys dd { font-size: 16px; }
  .card { padding: 14px 12px; } .scroll { margin: 0 -12px; }
  .plain { grid-template-columns: 1fr; gap: 0; } .plain dd { margin-bottom: 8px; }
}
@media print { .scroll { max-height: none; overflow: visible; } .card { break-inside: avoid; } }
"""
