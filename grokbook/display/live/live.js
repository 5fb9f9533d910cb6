// What the explorables share: fields of a form, pieces of a drawing, a number in words.

const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** A control under its label. id: of the explorable; name: of the control. */
export function labelled(id, name, label, control) {
  return `<div class="live-field" data-field="${name}"><label for="${id}-${name}">${label}</label>${control}</div>`;
}

/** A slider with room beside it for its value. */
export function knob(id, name, attributes) {
  return `<span class="live-knob"><input id="${id}-${name}" name="${name}" type="range" ${attributes}>
    <output for="${id}-${name}"></output></span>`;
}

/** What a knob stands at, beside it and for whoever does not see it. */
export function tell(input, words) {
  input.setAttribute("aria-valuetext", words);
  input.parentElement.querySelector("output").textContent = words;
}

/** texts: what a reader sees, by the value that it stands for. */
export function options(texts, chosen) {
  return Object.entries(texts)
    .map(([value, text]) => `<option value="${value}"${value === chosen ? " selected" : ""}>${text}</option>`)
    .join("");
}

/** Whether the reader's system asks for less motion. */
export function isCalm() {
  return window.matchMedia("(prefers-reduced-motion: reduce)").matches;
}

/** Words in a drawing. anchor: what of them is at x. */
export function caption(x, y, words, anchor = "middle") {
  return `<text x="${x}" y="${y}" text-anchor="${anchor}">${words}</text>`;
}

/** A line through points, as an SVG path; "" where there are none. points: [[x, y], …] */
export function line(points) {
  return points.length ? `M${points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}` : "";
}

/** A number as 1.23 × 10⁻⁴. digits: after the point. */
export function powerOfTen(value, digits = 2) {
  if (value === 0) return "0";
  const [factor, power] = value.toExponential(digits).replace(/^-/, "−").split("e");
  return `${factor} × 10${superscript(Number(power))}`;
}

export function superscript(whole) {
  return (whole < 0 ? "⁻" : "") + Array.from(String(Math.abs(whole)), (digit) => SUPERSCRIPTS[digit]).join("");
}
