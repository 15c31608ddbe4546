// Sorting, searching, unfolding and copying; without it the page is whole, in its own order.
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
// All that is folded, or as much of it as the page unfolds by itself; of those with one name only one is open.
const folded = [...document.querySelectorAll("main details:not([name])")];
const atFirst = new Set(folded.filter((part) => part.open));
const fold = document.querySelector("#verdicts .fold");
let all = false;
fold.hidden = false;
fold.addEventListener("click", () => {
  all = !all;
  for (const part of folded) part.open = all || atFirst.has(part);
  fold.textContent = all ? "Fold what is as expected" : "Expand all";
});
// A page in a file may not reach the clipboard everywhere; what is selected can be copied by hand then.
const copy = async (code, button) => {
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(code);
    button.textContent = "Selected";
  }
  setTimeout(() => (button.textContent = "Copy"), 2000);
};
for (const code of document.querySelectorAll("pre > code")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.addEventListener("click", () => copy(code, button));
  code.parentElement.before(button);
}
// Who follows a link to an assertion wants to read it.
const open = () => document.querySelector(`${location.hash || "#none"} > details`)?.setAttribute("open", "");
addEventListener("hashchange", open);
open();
