// What the theme leaves out for readers who use a keyboard or a screen reader.
document.addEventListener("DOMContentLoaded", () => {
  // The book's title and the search box stand outside every landmark.
  const sidebar = document.querySelector("#pst-primary-sidebar");
  sidebar?.setAttribute("role", "region");
  sidebar?.setAttribute("aria-label", "Book");

  // A box that scrolls can be reached by the keyboard; also one that begins to when a solution is unfolded.
  const judge = (box) => (box.tabIndex = box.scrollWidth > box.clientWidth ? 0 : -1);
  const reach = new ResizeObserver((entries) => entries.forEach(({ target }) => judge(target)));
  const watch = (boxes) => document.querySelectorAll(boxes).forEach((box) => reach.observe(box));
  watch(".bd-article :is(pre, .cell_output > .output, .pst-scrollable-table-container, span.math)");
  window.MathJax?.startup?.promise?.then(() => watch(".bd-article mjx-container[display]"));
  // The font of the formulas comes after them, and what it changes inside a box need not resize it.
  document.fonts.addEventListener("loadingdone", () => {
    document.querySelectorAll(".bd-article :is(span.math, mjx-container[display])").forEach(judge);
  });

  foldCode();
  joinSolutions();
  if (document.querySelector(".bd-article section#every-claim-measured")) findClaims();
});

// One switch opens all folded code of a page, and is remembered from page to page.
function foldCode() {
  const folds = document.querySelectorAll(".bd-article .cell:not(.tag_hide-cell) details.hide.above-input");
  const title = document.querySelector(".bd-article h1");
  if (!folds.length || !title) return;
  const key = "show-all-code";
  const button = document.createElement("button");
  button.className = "code-switch";
  button.type = "button";
  const show = (all) => {
    folds.forEach((fold) => (fold.open = all));
    button.setAttribute("aria-pressed", all);
    button.textContent = all ? "Fold the code" : "Show all code";
  };
  button.addEventListener("click", () => {
    const all = button.getAttribute("aria-pressed") !== "true";
    show(all);
    try {
      localStorage.setItem(key, all);
    } catch {} // a browser may keep nothing for pages that are opened as files
  });
  title.before(button);
  let all = false;
  try {
    all = localStorage.getItem(key) === "true";
  } catch {}
  show(all);
}

// The text of a solution and the cell that follows it unfold together.
function joinSolutions() {
  for (const fold of document.querySelectorAll(".bd-article details:not(.hide)")) {
    while (fold.nextElementSibling?.matches(".cell.tag_hide-cell")) {
      const cell = fold.nextElementSibling;
      cell.querySelectorAll("details.hide").forEach((inner) => (inner.open = true));
      cell.classList.add("in-solution");
      fold.append(cell);
    }
  }
}

// On the page of all claims: a field that keeps the rows with all of its words, and cells that say what they are, which
// a narrow screen needs to show rows as cards.
function findClaims() {
  const page = document.querySelector("section#every-claim-measured");
  page.classList.add("claims");
  for (const table of page.querySelectorAll("table")) {
    const names = [...table.querySelectorAll("th")].map((cell) => cell.textContent);
    for (const row of table.tBodies[0].rows) [...row.cells].forEach((cell, i) => (cell.dataset.name = names[i]));
  }
  const rows = [...page.querySelectorAll("tbody tr")];
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const field = document.createElement("p");
  field.className = "find-claims";
  field.innerHTML = '<label>Find a claim: <input type="search" size="24"></label> <output></output>';
  const [input, count] = [field.querySelector("input"), field.querySelector("output")];
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    rows.forEach((row, i) => (row.hidden = !words.every((word) => texts[i].includes(word))));
    for (const part of page.querySelectorAll("section")) {
      part.hidden = words.length > 0 && !part.querySelector("tbody tr:not([hidden])");
    }
    const found = rows.filter((row) => !row.hidden).length;
    count.textContent = words.length ? `${found} of ${rows.length} rows` : "";
  });
  window.addEventListener("hashchange", () => {
    input.value = "";
    input.dispatchEvent(new Event("input"));
  });
  page.querySelector("section").before(field);
}
