// The markup of the explorable and the words in it.

import { knob, labelled, options } from "./live.js";
import { CURVES, SQUARE_SIDE } from "./plots.js";
import { LIMITS } from "./problem.js";

const NUMBERS = {
  p: "modulus p",
  share: "training pairs, %",
  width: "width d_h",
  size: "initial size",
  seed: "seed",
};
export const ACTIVATION_NAMES = { relu: "ReLU", gelu: "GELU", square: "z²" };
export const MOTION_NAMES = {
  flow: "Eq. 20: the norm falls",
  hold: "constant norm",
  train: "gradient descent",
};
export const AXIS_NAMES = { time: "time t", clock: "clock τ", distance: "distance, in lengths of E" };

function field(id, name, label, control) {
  return labelled(id, name, label, `${control}
    <p class="play-wrong" id="${id}-${name}-wrong" aria-live="polite"></p>`);
}

function numberField(id, name, value) {
  const { low, high, whole } = LIMITS[name];
  return field(id, name, NUMBERS[name], `<input id="${id}-${name}" name="${name}" type="number" min="${low}" max="${high}"
    step="${whole ? 1 : "any"}" value="${value}" inputmode="decimal" aria-describedby="${id}-${name}-wrong">`);
}

function choice(id, name, label, names, chosen) {
  return field(id, name, label, `<select id="${id}-${name}" name="${name}"
    aria-describedby="${id}-${name}-wrong">${options(names, chosen)}</select>`);
}

/** A slider over the logarithm of a number. */
function logarithmic(id, name, label, low, high) {
  return field(id, name, label, knob(id, name, `min="${Math.log(low)}" max="${Math.log(high)}" step="any"
    aria-describedby="${id}-${name}-wrong"`));
}

function picture(name, title, { width, height }, legend) {
  return `<figure class="play-picture"><figcaption>${title}</figcaption>
    <svg class="play-${name}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${title}: press Run"></svg>
    <p class="live-legend">${legend.map(([style, text]) => `<span><i class="${style}"></i>${text}</span>`).join(" ")}
    </p></figure>`;
}

const SQUARE = { width: SQUARE_SIDE, height: SQUARE_SIDE };

/** The whole explorable. id: unique in the page; settings: what the controls show. */
export function markup(id, settings) {
  return `<form class="play-controls" novalidate>
  <fieldset><legend>The network and its pairs</legend>
    ${["p", "share", "width", "size"].map((name) => numberField(id, name, settings[name])).join("")}
    ${choice(id, "activation", "activation σ", ACTIVATION_NAMES, settings.activation)}
    ${numberField(id, "seed", settings.seed)}
  </fieldset>
  <fieldset><legend>The motion</legend>
    ${choice(id, "motion", "how it moves", MOTION_NAMES, settings.motion)}
    ${logarithmic(id, "norm", "norm ‖E‖² + ‖W‖² to hold", LIMITS.norm.low, LIMITS.norm.high / 10)}
    ${logarithmic(id, "decay", "weight decay λ", LIMITS.decay.low, LIMITS.decay.high)}
  </fieldset>
  <p class="live-buttons"><button type="submit" class="live-run play-run">Run</button>
    <button type="button" class="play-back">Step back</button>
    <button type="button" class="play-forward">Step on</button>
    <button type="button" class="play-fresh">New start</button>
    <button type="button" class="play-keep">Keep to compare</button>
    <a class="play-link" href="#">link to this run</a></p>
  <p class="play-status" role="status">Press Run.</p>
  <p class="play-now"></p>
  </form>
  <div class="play-view">
    ${labelled(id, "moment", "moment shown", `<input id="${id}-moment" class="play-range" type="range" min="0" max="0"
      step="1" value="0" disabled>`)}
    ${choice(id, "axis", "horizontal axis", AXIS_NAMES, "time")}
    ${field(id, "frequency", "circle of frequency", `<select id="${id}-frequency" name="frequency"></select>`)}
  </div>
  <div class="play-pictures">
    ${picture("accuracy", "Pairs answered rightly", CURVES, [["play-one", "held-back pairs"], ["play-two", "training pairs"]])}
    ${picture("norms", "Squared norms", CURVES, [["play-one", "‖E‖²"], ["play-two", "‖W‖²"]])}
    ${picture("table", "Table of pairs (a, b)", SQUARE, [["play-trained", "trained on"], ["play-right", "held back, right"],
      ["play-wrong-pair", "held back, wrong"]])}
    ${picture("circle", "The residues in one plane of E", SQUARE, [["play-residue", "residue, drawn to fill the frame"]])}
  </div>`;
}
