// What a deck does beside reveal.js: it sets the mathematics slide by slide, and sees that all of it fits.
(() => {
  const LARGEST = 1.2, SMALLEST = 0.5, STEP = 0.02; // of a slide's words, beside their usual size
  // Letters that MathML names by a variant, which browsers leave alone.
  const VARIANTS = {
    script: [..."𝒜ℬ𝒞𝒟ℰℱ𝒢ℋℐ𝒥𝒦ℒℳ𝒩𝒪𝒫𝒬ℛ𝒮𝒯𝒰𝒱𝒲𝒳𝒴𝒵"],
    "double-struck": [..."𝔸𝔹ℂ𝔻𝔼𝔽𝔾ℍ𝕀𝕁𝕂𝕃𝕄ℕ𝕆ℙℚℝ𝕊𝕋𝕌𝕍𝕎𝕏𝕐ℤ"],
  };
  const done = new WeakSet();
  let queue = new Promise((resolve) => addEventListener("DOMContentLoaded", resolve)).then(() => MathJax.startup.promise);

  // The notes are shown in another window, without MathJax's style sheet and fonts. Browsers draw MathML by themselves.
  function setNotes(slide) {
    for (const formula of slide.querySelectorAll("aside.notes .math:not(:has(math))")) {
      const tex = formula.textContent.trim().replace(/^\\[([]|\\[)\]]$/g, "");
      const display = formula.matches("div");
      formula.innerHTML = MathJax.tex2mml(tex.replace(/\\tag\{([^}]*)\}/g, "\\qquad($1)"), { display });
      for (const letter of formula.querySelectorAll("mi[mathvariant]")) {
        const letters = VARIANTS[letter.getAttribute("mathvariant")];
        letter.textContent = letters?.[letter.textContent.charCodeAt(0) - 65] ?? letter.textContent;
      }
    }
  }

  const tooLarge = (box) => box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight;

  function fit(slide) {
    let size = slide.querySelector(".tag_figure, .tag_live") ? 1 : LARGEST;
    do slide.style.setProperty("--fit", size);
    while (tooLarge(slide) && (size -= STEP) > SMALLEST);
  }

  // Keys move an explorable that has the focus, not the slides; but whoever used the mouse goes on with the next slide.
  function enliven(box) {
    box.dataset.preventSwipe = "";
    box.addEventListener("keydown", (event) => event.key.startsWith("Page") || event.stopPropagation());
    box.addEventListener("pointerup", () => {
      if (document.activeElement.matches("[type=range], button, svg *")) document.activeElement.blur();
    });
  }

  async function prepare(slide) {
    if (done.has(slide) || !slide.clientHeight) return;
    done.add(slide);
    setNotes(slide);
    slide.querySelectorAll(".tag_live").forEach(enliven);
    await MathJax.typesetPromise([slide]);
    await document.fonts.ready;
    fit(slide);
  }

  // The slide in sight, then those that reveal.js has laid out beside it.
  async function prepareAll() {
    await prepare(Reveal.getCurrentSlide());
    for (const slide of Reveal.getSlides()) await prepare(slide);
  }

  Reveal.on("ready", () => (queue = queue.then(prepareAll)));
  Reveal.on("slidechanged", ({ currentSlide }) => {
    if (window.MathJax?.tex2mml) setNotes(currentSlide); // before reveal.js hands them to the other window
    queue = queue.then(prepareAll);
  });
})();
