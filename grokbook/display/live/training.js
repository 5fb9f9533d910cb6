// Gradient descent with weight decay: `train_to` of grokbook/training.py.

import { Layer, positive, squares } from "./eq20.js";
import { Products, transpose } from "./products.js";

const STABLE = 0.8; // the step, as a share of the longest with which gradient descent is stable
const ITERATIONS = 30; // of the power method, which finds that longest step

/** Gradient descent on Σ|f(x) − y|² + decay ‖θ‖², from E and W (the readout's transpose). -> a motion
 *
 * span: of time in 1/(2 decay) a stretch; step: or found anew each stretch from the largest eigenvalue of JJᵀ.
 */
export class Training {
  constructor({ decay = 0.1, span = 0.05, step = null, W, labels, time = 0, clock = 0, distance = 0, ...task }) {
    const layer = new Layer(task), { n, d, p } = layer;
    Object.assign(this, { layer, n, d, p, decay, span, fixed: step, labels, time, clock, distance, evaluations: 0 });
    this.products = new Products(3 * n * d + 3 * p * d + 2 * n * p);
    const floats = this.products.floats;
    [layer.H, this.turned, this.G] = [floats(n * d), floats(n * d), floats(n * d)];
    [this.W, this.Wturned, this.dW] = [floats(p * d), floats(p * d), floats(p * d)];
    [this.outputs, this.outputsTurned] = [floats(n * p), floats(n * p)];
    this.E = Float64Array.from(task.E);
    this.W.set(W);
  }

  norms() {
    return [squares(this.E), squares(this.W)];
  }

  /** outputs = HW at E; the residual for the targets. */
  forward() {
    this.products.multiply(this.outputs, this.layer.forward(this.E), this.W, this.n, this.p, this.d);
  }

  /** Jᵀ of what stands in `outputs`: the part of E, and dW beside it. Needs H and σ′ of `forward`. */
  pulled() {
    const { n, d, p, products, layer, outputs, outputsTurned, turned, Wturned } = this;
    transpose(outputsTurned, outputs, n, p);
    transpose(turned, layer.H, n, d);
    products.multiply(this.dW, outputsTurned, turned, p, d, n);
    transpose(Wturned, this.W, p, d);
    products.multiply(this.G, outputs, Wturned, n, d, p);
    return layer.pull(this.G, new Float64Array(p * d));
  }

  /** θ ← θ − step (∇L + 2 decay θ). */
  descend(step) {
    this.forward();
    for (let i = 0; i < this.n; i++) this.outputs[i * this.p + this.labels[i]] -= 1;
    this.loss = squares(this.outputs);
    if (!Number.isFinite(this.loss)) throw new Error("the loss is not finite");
    const dE = this.pulled(), { E, W, dW, decay } = this, keep = 1 - 2 * step * decay;
    const before = squares(E);
    let moved = 0;
    for (let i = 0; i < E.length; i++) {
      const next = keep * E[i] - 2 * step * dE[i];
      moved += (next - E[i]) ** 2;
      E[i] = next;
    }
    for (let i = 0; i < W.length; i++) W[i] = keep * W[i] - 2 * step * dW[i];
    this.time += 2 * step * decay;
    this.clock += step * decay * (before ** -2 + squares(E) ** -2);
    this.distance += Math.sqrt(moved / before);
    this.evaluations++;
  }

  *advance() {
    const longest = this.fixed ?? STABLE / (yield* this.sharpness());
    const count = Math.ceil(this.span / (2 * this.decay * longest));
    for (let k = 0; k < count; k++) {
      this.descend(this.span / (2 * this.decay * count));
      yield null;
    }
  }

  /** The largest eigenvalue of JJᵀ by the power method, from below, as in grokbook/measure.py. */
  *sharpness() {
    const { n, d, p, layer, products, outputs, turned, dW } = this;
    let vE = new Float64Array(p * d).fill(1), size = Math.sqrt(2 * p * d);
    dW.fill(1);
    this.layer.forward(this.E);
    for (let k = 0; k < ITERATIONS; k++) {
      // J v = ((X vE) ⊙ σ′) W + H vW, with vW in dW
      products.multiply(outputs, layer.push(vE, turned), this.W, n, p, d);
      products.multiply(outputs, layer.H, dW, n, p, d, true);
      for (let i = 0; i < outputs.length; i++) outputs[i] /= size;
      vE = this.pulled();
      size = Math.sqrt(squares(vE) + squares(dW));
      yield null;
    }
    return positive(size);
  }
}
