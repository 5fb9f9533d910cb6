// Four pictures as the inside of an <svg>: curves, the table of pairs, the circle. Colours come from play.css by class.

import { caption, line, superscript } from "./live.js";

export const CURVES = { width: 340, height: 230 };
export const SQUARE_SIDE = 300;
const EDGE = { left: 50, right: 12, top: 10, bottom: 42 };

/** Curves over a common axis. curves: [{ x, y, style }]; share: y from 0 to 1, else logarithmic; mark: an x, or null. */
export function drawCurves(svg, { curves, axis, share, mark }) {
  const xs = curves.flatMap(({ x }) => x[x.length - 1] ?? 0), most = Math.max(...xs, mark ?? 0) || 1;
  const unit = most < 0.01 ? 10 ** Math.floor(Math.log10(most)) : 1;
  const { low, high, ticks } = share ? { low: 0, high: 1, ticks: [0, 0.25, 0.5, 0.75, 1] } : decades(curves);
  const right = CURVES.width - EDGE.right, bottom = CURVES.height - EDGE.bottom;
  const part = share ? (y) => y : (y) => Math.log(Math.max(y, low) / low) / Math.log(high / low);
  const X = (x) => EDGE.left + (x / most) * (right - EDGE.left);
  const Y = (y) => bottom - part(y) * (bottom - EDGE.top);
  let inside = `<path class="play-frame" d="M${EDGE.left} ${EDGE.top}V${bottom}H${right}"/>`;
  for (const tick of ticks) {
    inside += `<path class="play-grid" d="M${EDGE.left} ${Y(tick)}H${right}"/>`;
    inside += caption(EDGE.left - 6, Y(tick) + 4, share ? `${100 * tick} %` : tick, "end");
  }
  for (const tick of niceTicks(most / unit)) {
    inside += caption(X(tick * unit), bottom + 16, Number(tick.toPrecision(3)));
  }
  const label = unit < 1 ? `${axis} (× 10${superscript(Math.round(Math.log10(unit)))})` : axis;
  inside += caption((EDGE.left + right) / 2, CURVES.height - 6, label);
  if (mark !== null) inside += `<path class="play-mark" d="M${X(mark)} ${EDGE.top}V${bottom}"/>`;
  for (const { x, y, style } of curves) {
    const points = Array.from(x, (value, i) => [X(value), Y(y[i])]);
    if (points.length) inside += `<path class="play-curve ${style}" d="${line(points)}"/>`;
  }
  svg.innerHTML = inside;
}

/** A range round all values and up to six ticks of the form 1, 2, 5 times a power of ten. */
function decades(curves) {
  const values = curves.flatMap(({ y }) => Array.from(y)).filter((y) => y > 0);
  const low = values.length ? Math.min(...values) / 1.1 : 10, high = values.length ? Math.max(...values) * 1.1 : 100;
  const within = (factors) => {
    const ticks = [];
    for (let power = 10 ** Math.floor(Math.log10(low)); power <= high; power *= 10) {
      for (const factor of factors) {
        if (factor * power >= low && factor * power <= high) ticks.push(Number((factor * power).toPrecision(3)));
      }
    }
    return ticks;
  };
  const fine = within([1, 2, 5]), coarse = within([1]);
  return { low, high, ticks: fine.length > 6 ? coarse : fine.length > 1 ? fine : within([1, 1.5, 2, 3, 4, 5, 6, 7, 8]) };
}

function niceTicks(most) {
  const rough = most / 5, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough) * power;
  return Array.from({ length: Math.floor(most / step + 1e-9) + 1 }, (_, i) => i * step);
}

/** Every pair (a, b), in both orders: trained on, or held back and right or wrong; a cross on a training pair missed. */
export function drawTable(svg, { p, all, trained, right }) {
  const start = 26, side = (SQUARE_SIDE - start - 4) / p, gap = side > 9 ? 1 : 0.5;
  const paths = { "play-trained": "", "play-right": "", "play-wrong-pair": "", "play-missed": "" };
  all.forEach(([a, b], i) => {
    const kind = trained[i] ? "play-trained" : right[i] ? "play-right" : "play-wrong-pair";
    for (const [column, row] of a === b ? [[a, b]] : [[a, b], [b, a]]) {
      const x = start + column * side, y = start + row * side, s = (side - gap).toFixed(2);
      paths[kind] += `M${x.toFixed(2)} ${y.toFixed(2)}h${s}v${s}h-${s}z`;
      if (trained[i] && !right[i]) paths["play-missed"] += `M${x.toFixed(2)} ${y.toFixed(2)}l${s} ${s}`;
    }
  });
  let inside = Object.entries(paths).map(([style, d]) => `<path class="${style}" d="${d}"/>`).join("");
  for (const value of [0, Math.floor(p / 2), p - 1]) {
    const middle = start + (value + 0.5) * side;
    inside += caption(middle, start - 8, value) + caption(start - 6, middle + 4, value, "end");
  }
  svg.innerHTML = inside;
}

/** Residues in the plane of frequency k, joined in the order in which a circle has them. points: [[x, y], …] */
export function drawCircle(svg, { points, k }) {
  const p = points.length, middle = SQUARE_SIDE / 2;
  const scale = (middle - 18) / Math.max(...points.map(([x, y]) => Math.hypot(x, y)));
  const placed = points.map(([x, y]) => [middle + scale * x, middle - scale * y]);
  const step = inverse(k, p);
  let inside = `<path class="play-grid" d="M0 ${middle}H${SQUARE_SIDE}M${middle} 0V${SQUARE_SIDE}"/>`;
  if (step) {
    const round = Array.from({ length: p }, (_, j) => placed[(j * step) % p]);
    inside += `<path class="play-polygon" d="${line(round)}Z"/>`;
  }
  placed.forEach(([x, y], j) => {
    inside += `<circle class="play-residue" cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="10"/>`;
    inside += `<text class="play-number" x="${x.toFixed(1)}" y="${(y + 4).toFixed(1)}" text-anchor="middle">${j}</text>`;
  });
  svg.innerHTML = inside;
}

/** The s with k s = 1 mod p, or 0 where there is none. */
function inverse(k, p) {
  for (let s = 1; s < p; s++) if ((k * s) % p === 1) return s;
  return 0;
}
