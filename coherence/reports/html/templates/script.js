// Sorting and searching; without it the page is whole, in its own order.
"use strict";
const table = document.querySelector("#verdicts table");
const body = table.tBodies[0];
const key = (row, column) => {
  const cell = row.cells[column];
  if (!cell) return "";
  const written = cell.dataset.sort ?? cell.textContent.trim();
  return written === "" || Number.isNaN(Number(written)) ? written : Number(written);
};
const compare = (a, b) =>
  typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
[...table.tHead.rows[0].cells].forEach((head, column) => {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...head.childNodes);
  head.append(button);
  button.addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const rows = [...body.rows].sort((a, b) => compare(key(a, column), key(b, column)));
    body.append(...(up ? rows : rows.reverse()));
  });
});
const search = document.querySelector("#verdicts .search");
search.hidden = false;
search.addEventListener("input", (event) => {
  const wanted = event.target.value.toLowerCase();
  for (const row of body.rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
});
// Who follows a link to an assertion wants to read it.
const open = () => document.querySelector(`${location.hash || "#none"} > details`)?.setAttribute("open", "");
addEventListener("hashchange", open);
open();
