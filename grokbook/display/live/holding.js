// The motion at constant norms and zero training loss of grokbook/typical.py, and how to come to a norm.

import { ACTIVATIONS } from "./activations.js";
import { Motion, positive, squares } from "./eq20.js";
import { normal, randomNumbers } from "./problem.js";

/** Triples of E's entries move by x′ = x × y, with y the same entries of ∇‖W‖². -> a motion
 *
 * step: how far one step goes, as a part of ‖E‖; span: steps a stretch; triples(block, size): the triples of the block-th
 * hundred steps, as three lists one after another. The norms are those of the E it begins with.
 */
export class Holding extends Motion {
  constructor({ step = 0.01, span = 5, triplesEvery = 100, triples, ...start }) {
    super(start);
    Object.assign(this, { step, span, triplesEvery, draw: triples });
    this.taken = this.ownTime = this.putBack = 0;
    this.solve();
    this.goal = this.solver.readoutCost;
  }

  /** ∇‖W‖² at E, twice the negative of what Eq. 20 pulls back. */
  slope() {
    this.solve();
    this.evaluations++;
    return this.solver.pulled().map((value) => -2 * value);
  }

  *advance() {
    for (let k = 0; k < this.span; k++) {
      const slope = this.slope();
      yield null;
      this.restore(slope);
      if (this.taken % this.triplesEvery === 0) this.triples = this.draw(this.taken / this.triplesEvery, this.E.length);
      const start = this.E, size = Math.sqrt(squares(start));
      const span = positive((this.step * size) / crossed(start, slope, this.triples));
      this.moveTo(turned(start, slope, span / 2, this.triples));
      const middle = this.slope();
      yield null;
      this.moveTo(turned(start, middle, span, this.triples));
      this.ownTime += span;
      this.distance += this.step;
      this.taken++;
    }
  }

  moveTo(E) {
    this.E = E;
    this.solved = false;
  }

  /** Puts back what the last step lost of ‖W‖²: one Newton step on the sphere ‖E‖ = const, along the slope. */
  restore(slope) {
    const { E, goal } = this, found = this.solver.readoutCost, square = squares(E);
    this.putBack += Math.abs(Math.log(found / goal));
    let along = 0;
    for (let i = 0; i < E.length; i++) along += slope[i] * E[i];
    const tangent = slope.map((value, i) => value - (along / square) * E[i]);
    const factor = (goal - found) / squares(tangent);
    const moved = E.map((value, i) => value + factor * tangent[i]);
    const shrink = Math.sqrt(square / squares(moved));
    this.moveTo(moved.map((value) => shrink * value));
  }
}

/** |x × y| over all triples. */
function crossed(E, slope, triples) {
  const third = triples.length / 3;
  let sum = 0;
  for (let t = 0; t < third; t++) {
    const i = triples[t], j = triples[t + third], k = triples[t + 2 * third];
    sum += (E[j] * slope[k] - E[k] * slope[j]) ** 2;
    sum += (E[k] * slope[i] - E[i] * slope[k]) ** 2;
    sum += (E[i] * slope[j] - E[j] * slope[i]) ** 2;
  }
  return Math.sqrt(sum);
}

/** Each triple x turned about y = its slope by −span |y|: the solution of x′ = x × y with y held. */
function turned(E, slope, span, triples) {
  const moved = E.slice(), third = triples.length / 3;
  for (let t = 0; t < third; t++) {
    const i = triples[t], j = triples[t + third], k = triples[t + 2 * third];
    const size = Math.hypot(slope[i], slope[j], slope[k]);
    if (size === 0) continue;
    const u = slope[i] / size, v = slope[j] / size, w = slope[k] / size;
    const x = E[i], y = E[j], z = E[k];
    const along = u * x + v * y + w * z, cosine = Math.cos(span * size), sine = Math.sin(span * size);
    moved[i] = along * u + (x - along * u) * cosine - (v * z - w * y) * sine;
    moved[j] = along * v + (y - along * v) * cosine - (w * x - u * z) * sine;
    moved[k] = along * w + (z - along * w) * cosine - (u * y - v * x) * sine;
  }
  return moved;
}

/** Triples by the book page's own random numbers, for `Holding`. */
export function seededTriples(seed) {
  return (block, size) => {
    const order = randomNumbers(seed + 7919 * (block + 1)).shuffled(size);
    return order.subarray(0, size - (size % 3));
  };
}

/** E scaled so that ‖E‖² + ‖W‖² is smallest: where σ is homogeneous no answer changes by it. Else E as it is.
 *
 * solver: an Isolated for this task, here and below; one for many calls, since each has a memory of its own.
 */
export function balanced({ activation }, E, solver) {
  const degree = ACTIVATIONS[activation].degree;
  if (degree === null) return E;
  // ‖W‖ falls as the degree-th power of what E is multiplied by.
  const factor = ((degree * solver.solve(E).readoutCost) / squares(E)) ** (1 / (2 * degree + 2));
  return E.map((value) => factor * value);
}

/** R/λ of Eq. 19: ‖E‖² + ‖W‖². */
export function costOf(E, solver) {
  return squares(E) + solver.solve(E).readoutCost;
}

const HALVINGS = 20;

/** Where a path E(s), s from 0 to 1, has come to `norm` = ‖E‖² + ‖W‖², balanced; null if its end is on the same side. */
export function crossing(task, path, norm, solver) {
  const at = (s) => balanced(task, path(s), solver);
  const above = (E) => costOf(E, solver) > norm;
  const begins = above(at(0));
  if (above(at(1)) === begins) return null;
  let low = 0, high = 1;
  for (let k = 0; k < HALVINGS; k++) {
    const middle = (low + high) / 2;
    if (above(at(middle)) === begins) low = middle;
    else high = middle;
  }
  return at(high);
}

/** The arc from E to Gaussian noise of the same length. -> s ↦ E(s) */
export function towardsNoise(E, seed) {
  const noise = normal(E.length, randomNumbers(seed)), stretch = Math.sqrt(squares(E) / squares(noise));
  return (s) => {
    const cosine = Math.cos((Math.PI / 2) * s), sine = stretch * Math.sin((Math.PI / 2) * s);
    return E.map((value, i) => cosine * value + sine * noise[i]);
  };
}
