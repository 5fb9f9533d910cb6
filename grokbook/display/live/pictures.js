// What the pictures show of a run, in lines and in words.

import { powerOfTen } from "./live.js";
import { AXIS_NAMES } from "./page.js";
import { drawCircle, drawCurves, drawTable } from "./plots.js";
import { plane, strongest } from "./problem.js";

const STYLES = ["play-one", "play-two"];
const percent = (value) => `${(100 * value).toFixed(0)} %`;

/** find(name): the page's elements; run: { records, shown, kept, settings, problem }; axis: a name of AXIS_NAMES. */
export function drawRun(find, run, axis, frequency) {
  const now = run.records[run.shown] ?? null;
  drawBoth(find("accuracy"), run, now, axis, true, (record) => [record.test, record.train]);
  drawBoth(find("norms"), run, now, axis, false, (record) => record.norms);
  if (!now) {
    for (const name of ["table", "circle", "now"]) find(name).textContent = "";
    return;
  }
  const { p, motion } = run.settings, k = frequency === "strongest" ? strongest(now.E, p) : Number(frequency);
  drawTable(find("table"), { ...run.problem, right: now.right });
  drawCircle(find("circle"), { points: plane(now.E, p, k), k });
  find("now").textContent = inWords(now, motion);
  describe(find, now, p, k);
}

/** Two curves of a run, and those of the kept one below them. values(record) -> both at one moment */
function drawBoth(svg, { records, kept }, now, axis, share, values) {
  const curves = [];
  for (const [list, style] of [[kept ?? [], " play-kept"], [records, ""]]) {
    const x = list.map((record) => record[axis]);
    // The second first, so that the held-back pairs lie on top.
    for (const i of [1, 0]) curves.push({ x, y: list.map((record) => values(record)[i]), style: STYLES[i] + style });
  }
  drawCurves(svg, { curves, axis: AXIS_NAMES[axis], share, mark: now ? now[axis] : null });
}

function inWords({ time, clock, distance, test, train, norms, loss }, motion) {
  const parts = [
    `t = ${time.toFixed(2)}`, `τ = ${powerOfTen(clock)}`, `distance ${distance.toFixed(2)}`,
    `held-back pairs ${percent(test)}`, `training pairs ${percent(train)}`,
    `‖E‖² = ${norms[0].toPrecision(4)}`, `‖W‖² = ${norms[1].toPrecision(4)}`,
  ];
  return [...parts, ...(motion === "train" ? [`loss ${loss.toPrecision(2)}`] : [])].join(" · ");
}

/** The same for whoever does not see the pictures. */
function describe(find, { time, test, train, norms }, p, k) {
  const at = `at t = ${time.toFixed(2)}`, [e, w] = norms.map((value) => value.toPrecision(4));
  const texts = {
    accuracy: `Share of pairs answered rightly: held back ${percent(test)}, trained ${percent(train)}, ${at}`,
    norms: `Squared norms: E ${e} and W ${w}, ${at}`,
    table: `Table of all pairs modulo ${p}: ${percent(test)} of those held back are right`,
    circle: `The ${p} residues in the plane of frequency ${k}`,
  };
  for (const [name, text] of Object.entries(texts)) find(name).setAttribute("aria-label", text);
}
