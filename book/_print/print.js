// Makes a page ready for paper. places: the ids in it that links lead to; height: of a sheet, in pixels.
async ({ places, height }) => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  document.documentElement.dataset.theme = "light";
  all("details").forEach((fold) => (fold.open = true));

  // Chromium keeps no other places in a PDF than those to which a link on the same page leads.
  const links = document.createElement("div");
  links.className = "places";
  for (const id of places) if (document.getElementById(id)) {
    links.appendChild(Object.assign(document.createElement("a"), { href: `#${id}`, textContent: "." }));
  }
  document.querySelector("article").appendChild(links);

  // What runs in the page is shown when it has run, or after a minute.
  for (const button of all(".play-run")) {
    button.click();
    for (let tenths = 0; tenths < 600 && button.textContent === "Pause"; tenths++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    if (button.textContent === "Pause") button.click();
  }

  // Paper does not scroll: a formula that is too wide is set smaller. Slanted letters stick out a little of any box.
  await window.MathJax?.startup?.promise;
  await Promise.all([...document.fonts].map((font) => font.load()));
  for (const formula of all("mjx-container[display=true], span.math")) {
    const whole = parseFloat(formula.style.fontSize) || 100; // in per cent, as MathJax gives it
    const over = () => formula.clientWidth && formula.scrollWidth > formula.clientWidth + 8;
    for (let size = whole; over() && size > whole / 2; ) formula.style.fontSize = `${(size -= 2)}%`;
  }

  // A large box may be torn, or it would leave as much of the sheet before it empty; a picture may not.
  for (const box of all(".admonition, details, table, .cell_input, .cell_output > *")) {
    const picture = box.matches(".cell_output > *") && box.querySelector("img, svg, canvas");
    const part = picture ? 1 : box.matches("details .cell_input") ? 1 / 8 : 1 / 4;
    if (box.offsetHeight > part * height) box.classList.add("torn");
  }
};
