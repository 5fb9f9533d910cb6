// What the theme leaves out for readers who use a screen reader or a keyboard.
document.addEventListener("DOMContentLoaded", () => {
  // The book's title and the search box stand outside every landmark.
  const sidebar = document.querySelector("#pst-primary-sidebar");
  sidebar?.setAttribute("role", "region");
  sidebar?.setAttribute("aria-label", "Book");
});
