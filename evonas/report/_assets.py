"""Style sheet and scripts of the page, inlined so that it needs no other file."""

from __future__ import annotations

STYLE = """
:root { --ink: #222; --soft: #5a5a5a; --line: #c9c9c9; --shade: #f4f4f2; --accent: #0072b2; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 2rem 4rem; max-width: 86rem; color: var(--ink); background: #fff;
  font: 15px/1.5 "Helvetica Neue", Helvetica, Arial, "Liberation Sans", sans-serif; }
h1 { font-size: 1.65rem; margin: 0 0 .2rem; line-height: 1.25; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .6rem; padding-bottom: .25rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1.02rem; margin: 1.6rem 0 .4rem; }
h1, h2, h3, li, dd, td, p { overflow-wrap: break-word; }
p, li { max-width: 62rem; margin: .4rem 0; }
ul { padding-left: 1.3rem; margin: .4rem 0; }
a { color: var(--accent); }
.lead, figcaption, .note, .unit { color: var(--soft); }
.note, figcaption { font-size: .87rem; line-height: 1.45; }
nav { margin: .8rem 0 0; font-size: .92rem; }
nav a { margin-right: 1.1rem; white-space: nowrap; display: inline-block; }
.warning { border-left: 4px solid #d55e00; background: #fdf3ec; padding: .5rem .8rem; }
dl.facts { margin: .8rem 0; }
dl.facts > div { display: grid; grid-template-columns: 13rem minmax(0, 1fr); gap: .8rem; padding: .28rem 0;
  border-bottom: 1px solid #ececec; }
dl.facts dt { color: var(--soft); }
dl.facts dd { margin: 0; }
figure { margin: 1rem 0 1.4rem; }
figcaption { max-width: 62rem; margin-top: .2rem; }
figure h3 { margin: 0 0 .2rem; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(25rem, 100%), 1fr)); gap: 0 1.6rem; }
.pair > * { min-width: 0; }
.parity > figure { max-width: 36rem; }
.plot { width: 100%; }
.scroll { overflow-x: auto; margin: .6rem 0 1rem; }
table { border-collapse: collapse; font-size: .84rem; line-height: 1.35; font-variant-numeric: tabular-nums; }
th, td { padding: .24rem .5rem; text-align: left; vertical-align: top; border-bottom: 1px solid #e4e4e4; }
td { max-width: 34rem; }
td.n, th.n { text-align: right; white-space: nowrap; }
tbody tr:hover { background: var(--shade); }
thead th { vertical-align: bottom; border-bottom: 1px solid #888; font-weight: 600; background: #fff; }
tr.groups th { font-weight: 400; color: var(--soft); text-align: center; border-bottom: 1px solid var(--line);
  border-left: 1px solid var(--line); border-right: 1px solid var(--line); padding: .15rem .3rem; }
.unit { font-weight: 400; font-size: .78rem; white-space: nowrap; }
th button .unit { display: block; }
th button { all: unset; cursor: pointer; white-space: nowrap; }
th button:hover { color: var(--accent); }
th button:focus-visible, .scroll:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
th[aria-sort=ascending] button::before { content: "\\25B4 "; }
th[aria-sort=descending] button::before { content: "\\25BE "; }
td.name { white-space: nowrap; }
details { margin: .6rem 0; }
summary { cursor: pointer; }
pre { background: var(--shade); padding: .8rem; overflow-x: auto; font-size: .8rem; line-height: 1.4;
  white-space: pre-wrap; overflow-wrap: anywhere; }
.digests td:last-child { overflow-wrap: anywhere; }
.digests td { font-family: Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: .78rem; }
footer { margin-top: 3rem; padding-top: .6rem; border-top: 1px solid var(--line); color: var(--soft);
  font-size: .85rem; }
@media screen and (max-width: 760px) {
  body { padding: 1rem 1rem 3rem; font-size: 14.5px; }
  dl.facts > div { grid-template-columns: minmax(0, 1fr); gap: 0; }
}
@media print {
  @page { size: A4 landscape; margin: 12mm; }
  body { padding: 0; max-width: none; font-size: 10pt; }
  nav, .modebar-container { display: none; }
  h2, h3 { break-after: avoid; }
  figure, tr, dl.facts > div { break-inside: avoid; }
  .scroll { overflow: visible; }
  .pair { grid-template-columns: 460px 460px; gap: 0 20px; }
  h2 { margin-top: 1.6rem; }
  table { font-size: 7.4pt; }
  table .unit { font-size: 6.6pt; }
  thead { display: table-row-group; }
  p, li { break-inside: avoid; }
  th, td { padding: .12rem .25rem; }
  a { color: inherit; text-decoration: none; }
}
"""

# Runs before everything else: whatever goes wrong in a script, or asks for the network, is written on the body.
COLLECT_ERRORS = """
(function () {
  var errors = [];
  function note(message) {
    errors.push(String(message));
    if (document.body) { document.body.dataset.errors = JSON.stringify(errors); }
  }
  window.addEventListener("error", function (event) { note(event.message || "a resource failed to load"); }, true);
  window.addEventListener("unhandledrejection", function (event) { note(event.reason); });
  document.addEventListener("securitypolicyviolation", function (event) {
    note("refused " + event.violatedDirective + " " + event.blockedURI);
  });
  document.addEventListener("DOMContentLoaded", function () { document.body.dataset.errors = JSON.stringify(errors); });
})();
"""

DRAW_FIGURES = """
(function () {
  var settings = { responsive: true, displaylogo: false, showTips: false, displayModeBar: "hover",
    modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]] };
  var plots = document.querySelectorAll("div.plot");
  var waiting = plots.length;
  document.body.dataset.figures = "0 of " + plots.length;
  plots.forEach(function (plot) {
    var figure = JSON.parse(document.getElementById(plot.id + "-data").textContent);
    Plotly.newPlot(plot, figure.data, figure.layout, settings).then(function () {
      waiting -= 1;
      document.body.dataset.figures = (plots.length - waiting) + " of " + plots.length;
    });
  });
  // On paper (A4 or Letter, landscape) a figure has the width of the page or half of it, whatever the window's is.
  window.addEventListener("beforeprint", function () {
    plots.forEach(function (plot) { Plotly.relayout(plot, { width: plot.closest(".pair") ? 460 : 940 }); });
  });
  window.addEventListener("afterprint", function () {
    plots.forEach(function (plot) { Plotly.relayout(plot, { width: null, autosize: true }); });
  });
})();
"""

SORT_TABLES = """
(function () {
  function key(row, column) {
    var cell = row.cells[column];
    if (cell.classList.contains("n")) {
      return cell.dataset.value === undefined ? null : parseFloat(cell.dataset.value);
    }
    return cell.textContent;
  }
  function compare(a, b) {
    return typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true });
  }
  document.querySelectorAll("table.sortable thead tr:last-child th").forEach(function (head) {
    head.querySelector("button").addEventListener("click", function () {
      var table = head.closest("table"), body = table.tBodies[0], column = head.cellIndex;
      var falling = head.getAttribute("aria-sort") === "ascending";
      var rows = Array.from(body.rows);
      rows.sort(function (first, second) {
        var a = key(first, column), b = key(second, column);
        if (a === null || b === null) { return (a === null) - (b === null); }
        return falling ? compare(b, a) : compare(a, b);
      });
      rows.forEach(function (row) { body.appendChild(row); });
      table.querySelectorAll("th[aria-sort]").forEach(function (other) { other.removeAttribute("aria-sort"); });
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
    });
  });
})();
"""
