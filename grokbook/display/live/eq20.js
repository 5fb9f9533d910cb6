// Eqs 18 to 20 in plain JavaScript, without any DOM: the readout, the velocity, and the flow in steps of its own.
// Every matrix is a Float64Array, row by row: E is (p, d), with d from its length. What stands here in formulas is
// grokbook/eq20.py and the method "adaptive" of grokbook/integrators.py; a test compares them.

import { ACTIVATIONS } from "./activations.js";
import { Products, transpose } from "./products.js";

const GROWTH = 2; // a step is at most this many times the one before
const MOST_STEPS = 100000; // in one stretch

/** The first layer on some pairs: H = σ(XE), where row i of X is e_a + e_b for pair i. */
export class Layer {
  constructor({ p, pairs, E, activation = "relu" }) {
    if (!(activation in ACTIVATIONS)) throw new Error(`activation ${activation} is none of relu, gelu, square`);
    Object.assign(this, { p, n: pairs.length, d: E.length / p, apply: ACTIVATIONS[activation].apply });
    if (!Number.isInteger(this.d)) throw new Error(`E has ${E.length} entries, which are no ${p} rows`);
    this.first = Int32Array.from(pairs, (pair) => pair[0]);
    this.second = Int32Array.from(pairs, (pair) => pair[1]);
    this.Z = new Float64Array(this.n * this.d);
    this.H = new Float64Array(this.n * this.d);
    this.slope = new Float64Array(this.n * this.d);
  }

  /** H and σ′(XE) at E. */
  forward(E) {
    const { d, Z } = this;
    for (let i = 0; i < this.n; i++) {
      const a = this.first[i] * d, b = this.second[i] * d;
      for (let h = 0; h < d; h++) Z[i * d + h] = E[a + h] + E[b + h];
    }
    this.apply(Z, this.H, this.slope);
    return this.H;
  }

  /** J_H applied to a change of E, (X V) ⊙ σ′(XE), written to `target`: (n, d). V: (p, d). */
  push(V, target) {
    const { d, slope } = this;
    for (let i = 0; i < this.n; i++) {
      const a = this.first[i] * d, b = this.second[i] * d;
      for (let h = 0; h < d; h++) target[i * d + h] = (V[a + h] + V[b + h]) * slope[i * d + h];
    }
    return target;
  }

  /** onto + Xᵀ(G ⊙ σ′(XE)), written over onto. G: (n, d). */
  pull(G, onto) {
    const { d, slope } = this;
    for (let i = 0; i < this.n; i++) {
      const a = this.first[i] * d, b = this.second[i] * d;
      for (let h = 0; h < d; h++) {
        const g = G[i * d + h] * slope[i * d + h];
        onto[a + h] += g;
        onto[b + h] += g;
      }
    }
    return onto;
  }
}

/** Eqs 18 to 20 on training pairs (n of them) with labels in 0..p−1, and everything that does not change prepared. */
export class Isolated {
  constructor({ native = true, ...task }) {
    const layer = new Layer(task), { n, d, p } = layer;
    if (d <= n) throw new Error(`d_h = ${d} must exceed the ${n} training pairs`);
    Object.assign(this, { layer, n, d, p, labels: task.labels, readoutCost: NaN });
    this.products = new Products(n * n + 2 * p * n + 2 * n * d + p * d + Math.max(n, p) * d, native);
    const floats = this.products.floats;
    this.K = floats(n * n);
    this.half = floats(p * n);
    this.multiplier = floats(n * p); // AY
    this.W = floats(p * d); // the transpose of Eq. 18's
    this.turned = floats(Math.max(n, p) * d);
    this.G = floats(n * d);
    layer.H = floats(n * d);
  }

  /** The optimal readout at E by one Cholesky factor and two solves: W, multiplier, and readoutCost = Tr YᵀAY. */
  solve(E) {
    const { n, d, p, K, half, turned, products } = this, H = this.layer.forward(E);
    products.gram(K, H, n, d);
    products.factorise(K, n);
    half.fill(0);
    for (let i = 0; i < n; i++) half[this.labels[i] * n + i] = 1;
    products.solveLower(K, n, half, p);
    this.readoutCost = squares(half);
    products.solveUpper(K, n, half, p);
    transpose(this.multiplier, half, p, n);
    transpose(turned, H, n, d);
    products.multiply(this.W, half, turned, p, d, n);
    return this;
  }

  /** Xᵀ((AY Wᵀ) ⊙ σ′(XE)) at the E last solved at: the velocity without −E, and −½∇‖W‖². -> (p, d) */
  pulled() {
    const { n, d, p, turned, G } = this;
    transpose(turned, this.W, p, d);
    this.products.multiply(G, this.multiplier, turned, n, d, p);
    return this.layer.pull(G, new Float64Array(p * d));
  }

  /** Eq. 20. E: (p, d) -> (p, d). */
  velocity(E, solved = false) {
    if (!solved) this.solve(E);
    const velocity = this.pulled();
    for (let i = 0; i < E.length; i++) velocity[i] -= E[i];
    return velocity;
  }
}

/** Eq. 20 at one E. -> (p, d) */
export function velocity({ p, pairs, labels, E, activation = "relu" }) {
  return new Isolated({ p, pairs, labels, E, activation }).velocity(E);
}

/** Some pairs and their labels, to be asked. */
export class Questions {
  constructor(task) {
    const layer = new Layer(task), { n, d, p } = layer;
    this.products = new Products(n * d + p * d + n * p);
    layer.H = this.products.floats(n * d);
    Object.assign(this, { layer, n, d, p, labels: task.labels });
    this.W = this.products.floats(p * d);
    this.outputs = this.products.floats(n * p);
  }

  /** Which are answered rightly: the largest output is the label. W: (p, d), the readout's transpose. -> (n) of 0, 1 */
  right(E, W) {
    const { n, d, p, outputs, labels } = this, found = new Uint8Array(n);
    this.W.set(W);
    this.products.multiply(outputs, this.layer.forward(E), this.W, n, p, d);
    for (let i = 0; i < n; i++) {
      let best = 0;
      for (let c = 1; c < p; c++) if (outputs[i * p + c] > outputs[i * p + best]) best = c;
      found[i] = Number(best === labels[i]);
    }
    return found;
  }
}

export function squares(values) {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] * values[i];
  return sum;
}

/** What moves: E with the optimal readout, how far they have come, and how many velocities that took. */
export class Motion {
  constructor({ time = 0, clock = 0, distance = 0, ...task }) {
    this.solver = new Isolated(task);
    Object.assign(this, { E: Float64Array.from(task.E), time, clock, distance, evaluations: 0 });
    this.solved = false; // whether the solver stands at E
  }

  get W() {
    return this.solver.W;
  }

  solve() {
    if (!this.solved) this.solver.solve(this.E);
    this.solved = true;
  }

  /** ‖E‖² and ‖W‖². */
  norms() {
    this.solve();
    return [squares(this.E), this.solver.readoutCost];
  }
}

/** Eq. 20 from E, in Euler steps as long as the change of the velocity allows: h² |v′| / 2 = tolerance |E|. */
export class Flow extends Motion {
  constructor({ tolerance = 1e-2, span = 0.05, ...start }) {
    super(start);
    Object.assign(this, { tolerance, span, memory: null });
  }

  /** One stretch of time `span`; yields after each velocity, so that whoever drives it can pause. */
  *advance() {
    let left = this.span;
    for (let taken = 0; left > 1e-9 * this.span; taken++) {
      if (taken === MOST_STEPS) throw new Error(`${MOST_STEPS} steps did not cover a time of ${this.span}`);
      this.solve();
      const velocity = this.solver.velocity(this.E, true), wanted = this.wantedStep(velocity);
      const step = left / Math.max(1, Math.ceil(left / wanted));
      this.move(velocity, step);
      this.memory = { velocity, step, wanted };
      left -= step;
      this.evaluations++;
      yield null;
    }
  }

  wantedStep(velocity) {
    const { memory, tolerance } = this, size = Math.sqrt(squares(this.E));
    if (!memory) return positive((0.01 * tolerance * size) / Math.sqrt(squares(velocity)));
    let change = 0;
    for (let i = 0; i < velocity.length; i++) change += (velocity[i] - memory.velocity[i]) ** 2;
    const wanted = positive(Math.sqrt((2 * tolerance * size * memory.step) / Math.sqrt(change)));
    return Math.min(wanted, GROWTH * memory.wanted);
  }

  /** E + step · velocity; the clock τ = ∫dt/‖E‖⁴ by the trapezoidal rule, the distance in lengths of E. */
  move(velocity, step) {
    const before = squares(this.E);
    for (let i = 0; i < velocity.length; i++) this.E[i] += step * velocity[i];
    const after = squares(this.E);
    this.time += step;
    this.clock += (step / 2) * (before ** -2 + after ** -2);
    this.distance += (step * Math.sqrt(squares(velocity))) / Math.sqrt(before);
    this.solved = false;
  }
}

export function positive(step) {
  if (!(step > 0)) throw new Error("the point or its velocity is zero or not finite");
  return step;
}

/** What is worth noting of a motion where it stands. questions: Questions or null. */
export function noted(motion, questions = null) {
  const norms = motion.norms();
  if (!norms.every(Number.isFinite)) throw new Error("the norms are not finite");
  const { time, clock, distance, evaluations } = motion;
  const found = { time, clock, distance, evaluations, norms, E: motion.E.slice(), W: motion.W.slice() };
  if (questions) found.right = questions.right(motion.E, motion.W);
  return found;
}

/** Any motion, noted at its start and after each of `stretches` stretches. Yields null in between. */
export function* follow(motion, stretches, questions = null) {
  yield noted(motion, questions);
  for (let k = 0; k < stretches; k++) {
    yield* motion.advance();
    yield noted(motion, questions);
  }
}

/** Eq. 20 from E, noted every `span` of time: p, pairs, labels, E, activation, tolerance, span, stretches. */
export function* simulate({ stretches = 100, questions = null, ...options }) {
  yield* follow(new Flow(options), stretches, questions);
}
