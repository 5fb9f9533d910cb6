// What the theme leaves out for readers who use a keyboard or a screen reader.
document.addEventListener("DOMContentLoaded", () => {
  // The book's title and the search box stand outside every landmark.
  const sidebar = document.querySelector("#pst-primary-sidebar");
  sidebar?.setAttribute("role", "region");
  sidebar?.setAttribute("aria-label", "Book");

  // A box that scrolls can be reached by the keyboard; also one that begins to when a solution is unfolded.
  const reach = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      target.tabIndex = target.scrollWidth > target.clientWidth ? 0 : -1;
    }
  });
  const boxes = ".bd-article pre, .bd-article .cell_output > .output, .bd-article .pst-scrollable-table-container";
  document.querySelectorAll(boxes).forEach((box) => reach.observe(box));
});
