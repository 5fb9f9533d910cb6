// Two weights and a zero-loss set F(w) = y: loss, forces, nearest point, gradient descent and gradient flow. No page.

const LEAK = 0.1;
const MOST_TRIES = 6000; // steps of the flow's solver
export const MOST_STEPS = 20000; // steps of descent
const FAR = 1e6; // beyond, descent counts as lost
/** A force below which nothing moves that a reader could see: at the rate 2λ it leads 10⁻⁴/2 far. */
const rest = (decay) => (decay > 0 ? 1e-4 * decay : 1e-6);

const leaky = (z) => (z > 0 ? z : LEAK * z);
const slope = (z) => (z > 0 ? 1 : LEAK); // at the kink that of the left side, as in PyTorch
const straight = (from, towards) => ({ low: 0, high: 60, point: (t) => [from[0] + t * towards[0], from[1] + t * towards[1]] });
const graph = (low, high, point) => ({ low, high, point });
const product = (y) => ({ F: ([a, b]) => a * b, J: ([a, b]) => [b, a], H: () => [0, 1, 0], y });

/** F, y, J = ∇F, H = (F₁₁, F₁₂, F₂₂); pieces: smooth curves that make up the set; sheet: what is shown of the plane.
 *
 * side: on which side of the kinks a point is, where there are any.
 */
export const SETS = {
  line: {
    title: "line w₁ + w₂ = 2", names: ["w₁", "w₂"], sheet: { centre: [0.5, 0.5], half: 3 },
    F: ([a, b]) => a + b, J: () => [1, 1], H: () => [0, 0, 0], y: 2,
    pieces: [straight([1, 1], [1, -1]), straight([1, 1], [-1, 1])],
  },
  parabola: {
    title: "parabola y = x²", names: ["x", "y"], sheet: { centre: [0, 1], half: 2 },
    F: ([x, y]) => y - x * x, J: ([x]) => [-2 * x, 1], H: () => [-2, 0, 0], y: 0,
    pieces: [graph(-8, 8, (t) => [t, t * t])],
  },
  hyperbola: {
    title: "hyperbola w₁w₂ = 1", names: ["w₁", "w₂"], sheet: { centre: [0, 0], half: 3 }, ...product(1),
    pieces: [1, -1].map((sign) => graph(-5, 5, (t) => [sign * Math.exp(t), sign * Math.exp(-t)])),
  },
  crossing: {
    title: "crossing w₁w₂ = 0", names: ["w₁", "w₂"], sheet: { centre: [0, 0], half: 3 }, ...product(0),
    pieces: [[1, 0], [-1, 0], [0, 1], [0, -1]].map((towards) => straight([0, 0], towards)),
  },
  "shifted crossing": {
    title: "crossing (1 − w₁)(1 − w₂) = 0", names: ["w₁", "w₂"], sheet: { centre: [1, 1], half: 2.2 },
    F: ([a, b]) => (1 - a) * (1 - b), J: ([a, b]) => [b - 1, a - 1], H: () => [0, 1, 0], y: 0,
    pieces: [[1, 0], [-1, 0], [0, 1], [0, -1]].map((towards) => straight([1, 1], towards)),
  },
  corner: {
    title: "leaky corner σ(w₁) + σ(w₂) = 2", names: ["w₁", "w₂"], sheet: { centre: [0, 0], half: 3 },
    F: ([a, b]) => leaky(a) + leaky(b), J: ([a, b]) => [slope(a), slope(b)], H: () => [0, 0, 0], y: 2,
    side: ([a, b]) => (a > 0 ? 1 : 0) + (b > 0 ? 2 : 0),
    pieces: [graph(0, 2, (t) => [t, 2 - t]), straight([0, 2], [-1, LEAK]), straight([2, 0], [LEAK, -1])],
  },
  unit: {
    title: "one unit w tanh(e) = 1", names: ["e", "w"], sheet: { centre: [1.4, 1.4], half: 1.8 },
    F: ([e, w]) => w * Math.tanh(e), y: 1,
    J: ([e, w]) => [w * (1 - Math.tanh(e) ** 2), Math.tanh(e)],
    H: ([e, w]) => [-2 * w * Math.tanh(e) * (1 - Math.tanh(e) ** 2), 1 - Math.tanh(e) ** 2, 0],
    pieces: [1, -1].map((sign) => graph(-5, 3, (t) => [sign * Math.exp(t), sign / Math.tanh(Math.exp(t))])),
  },
};

export const norm = ([a, b]) => Math.hypot(a, b);
export const residual = (set, w) => set.F(w) - set.y;
export const loss = (set, w) => residual(set, w) ** 2;

/** −∇L and −2λw, and their sum. */
export function forces(set, w, decay) {
  const r = residual(set, w), [j1, j2] = set.J(w);
  const push = [-2 * r * j1, -2 * r * j2], pull = [-2 * decay * w[0], -2 * decay * w[1]];
  return { loss: push, decay: pull, sum: [push[0] + pull[0], push[1] + pull[1]] };
}

/** −∇L_λ, the second weight `ratio` times as fast as the first. */
function velocity({ set, decay, ratio = 1 }, w) {
  const { sum } = forces(set, w, decay);
  return [sum[0], ratio * sum[1]];
}

// --- the nearest point ---

const SAMPLES = 240;

/** The point of the set nearest to w. -> { point, distance, singular: no row of J there, corner: two pieces meet there } */
export function nearest(set, w) {
  let best = { distance: Infinity };
  for (const piece of set.pieces) {
    const at = (i) => piece.low + ((piece.high - piece.low) * i) / SAMPLES;
    const squares = Array.from({ length: SAMPLES + 1 }, (_, i) => apart(piece.point(at(i)), w));
    for (let i = 0; i <= SAMPLES; i++) {
      if (squares[i] > (squares[i - 1] ?? Infinity) || squares[i] > (squares[i + 1] ?? Infinity)) continue;
      const t = lowest(piece, w, at(Math.max(i - 1, 0)), at(Math.min(i + 1, SAMPLES)));
      const point = piece.point(t), distance = apart(point, w);
      if (distance < best.distance) best = { point, distance };
    }
  }
  const { point, distance } = best, [j1, j2] = set.J(point);
  const singular = Math.hypot(j1, j2) < 1e-9;
  return { point, distance, singular, corner: !singular && set.pieces.length > 1 && isCorner(set, point) };
}

const apart = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);

/** Where the distance from w is least between two parameters of a piece: bisection on the sign of its derivative. */
function lowest(piece, w, low, high) {
  const reach = 1e-6 * (piece.high - piece.low);
  const rises = (t) => {
    const [before, here, after] = [t - reach, t, t + reach].map(piece.point);
    return (here[0] - w[0]) * (after[0] - before[0]) + (here[1] - w[1]) * (after[1] - before[1]) > 0;
  };
  if (rises(low)) return low;
  if (!rises(high)) return high;
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (rises(middle)) high = middle;
    else low = middle;
  }
  return (low + high) / 2;
}

function isCorner(set, point) {
  const around = set.pieces.filter(({ low, high, point: at }) => [low, high].some((end) => apart(at(end), point) < 1e-9));
  const directions = around.map(({ low, high, point: at }) => {
    const inwards = apart(at(low), point) < 1e-9 ? at(low + 1e-3) : at(high - 1e-3);
    return [inwards[0] - point[0], inwards[1] - point[1]];
  });
  return directions.length > 1 && Math.abs(directions[0][0] * directions[1][1] - directions[0][1] * directions[1][0]) > 1e-9;
}

/** The parts of v along the set and across it, at a point of the set; at a singular point everything is along it. */
export function split(set, point, v) {
  const [j1, j2] = set.J(point), square = j1 * j1 + j2 * j2;
  const amount = square < 1e-18 ? 0 : (j1 * v[0] + j2 * v[1]) / square;
  const normal = [amount * j1, amount * j2];
  return { normal, tangent: [v[0] - normal[0], v[1] - normal[1]] };
}

/** μ = (JJᵀ)⁻¹Jw: with the residual −λμ, the loss cancels decay across the set. */
export function multiplier(set, w) {
  const [j1, j2] = set.J(w);
  return (j1 * w[0] + j2 * w[1]) / (j1 * j1 + j2 * j2 || 1);
}

// --- motion ---

/** Gradient descent on L_λ. run: { set, decay, ratio, step, sheet }; -> { points, end, left }
 *
 * end: "rest", "steps" (MOST_STEPS are over), "jumps" (over, and to and fro) or "lost"; left: the first step off the sheet.
 */
export function descend(run, start) {
  const { step, sheet } = run, points = [start];
  let left = null, last = null, end = "steps";
  for (let k = 1; k <= MOST_STEPS; k++) {
    const w = points[k - 1], v = velocity(run, w);
    if (Math.hypot(v[0], v[1]) < rest(run.decay)) {
      end = "rest";
      break;
    }
    const next = [w[0] + step * v[0], w[1] + step * v[1]];
    if (left === null && !inside(sheet, next)) left = k;
    if (!(norm(next) < FAR)) {
      end = "lost";
      break;
    }
    points.push(next);
    if (k === MOST_STEPS && last && v[0] * last[0] + v[1] * last[1] < 0) end = "jumps";
    last = v;
  }
  return { points, end, left };
}

export function inside({ centre, half }, w) {
  return Math.abs(w[0] - centre[0]) <= half && Math.abs(w[1] - centre[1]) <= half;
}

const COLUMNS = 6;
const TOLERANCE = 1e-9;

/** The flow w′ = −∇L_λ until it rests. run: { set, decay, ratio, sheet }; -> { times, points, end }
 *
 * end: "rest", "time" (it has become slow without being at rest) or "steps" (MOST_TRIES of the solver are over).
 * Extrapolated linearly implicit Euler: a large λ_max/λ costs nothing, which a stiff valley asks for.
 */
export function flow(run, start) {
  const slowest = run.decay > 0 ? run.decay * Math.min(1, run.ratio ?? 1) : 0.005, last = 8 / slowest;
  const times = [0], points = [start];
  let time = 0, w = start, h = 1e-3;
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const v = velocity(run, w), speed = norm(v);
    if (speed < rest(run.decay)) return { times, points, end: "rest" };
    if (time >= last) return { times, points, end: "time" };
    h = Math.min(h, last - time, (0.03 * run.sheet.half) / speed); // so that the line is smooth
    const { next, error } = extrapolated(run, w, h);
    const scaled = error / (TOLERANCE * (1 + norm(w)));
    // Beyond a kink no substep may have looked: the step across has to be next to nothing.
    if (run.set.side && run.set.side(next) !== run.set.side(w) && h * speed > TOLERANCE) {
      h /= 2;
      continue;
    }
    if (scaled <= 1) {
      time += h;
      w = next;
      times.push(time);
      points.push(w);
    }
    h *= Math.min(4, Math.max(0.2, 0.9 * (scaled || 1e-12) ** (-1 / COLUMNS)));
  }
  return { times, points, end: "steps" };
}

/** One step of length h: 1, 2, … substeps of linearly implicit Euler, extrapolated to none. */
function extrapolated(run, w, h) {
  const D = derivative(run, w);
  const rows = [];
  for (let n = 1; n <= COLUMNS; n++) {
    const s = h / n, a = 1 - s * D[0], b = -s * D[1], c = -s * D[2], d = 1 - s * D[3], determinant = a * d - b * c;
    let at = w;
    for (let i = 0; i < n; i++) {
      const [x, y] = velocity(run, at);
      at = [at[0] + (s * (d * x - b * y)) / determinant, at[1] + (s * (a * y - c * x)) / determinant];
    }
    const row = [at];
    for (let k = 1; k < n; k++) {
      const factor = n / (n - k) - 1, before = rows[n - 2][k - 1], here = row[k - 1];
      row.push([here[0] + (here[0] - before[0]) / factor, here[1] + (here[1] - before[1]) / factor]);
    }
    rows.push(row);
  }
  const best = rows[COLUMNS - 1], next = best[COLUMNS - 1];
  return { next, error: apart(next, best[COLUMNS - 2]) };
}

/** The derivative of the velocity, a 2 × 2 matrix row by row. */
function derivative({ set, decay, ratio = 1 }, w) {
  const r = residual(set, w), [j1, j2] = set.J(w), [h11, h12, h22] = set.H(w);
  const mixed = -2 * (j1 * j2 + r * h12);
  return [-2 * (j1 * j1 + r * h11 + decay), mixed, ratio * mixed, -2 * ratio * (j2 * j2 + r * h22 + decay)];
}

/** The place on a flow at a time, straight between its records. */
export function along({ times, points }, time) {
  let low = 0, high = times.length - 1;
  if (time >= times[high]) return points[high];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (times[middle] <= time) low = middle;
    else high = middle;
  }
  const part = (time - times[low]) / (times[high] - times[low]), [a, b] = [points[low], points[high]];
  return [a[0] + part * (b[0] - a[0]), a[1] + part * (b[1] - a[1])];
}

// --- lines to draw ---

/** The set within a window { centre, half }, as lists of points: pieces cut ever finer where the window is. */
export function trace(set, window) {
  const lines = [], near = { centre: window.centre, half: 1.5 * window.half };
  for (const piece of set.pieces) {
    let line = [];
    const close = () => {
      if (line.length > 1) lines.push(line);
      line = [];
    };
    const cut = (low, high, a, b, depth) => {
      const length = apart(a, b), middle = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
      if (!inside({ centre: near.centre, half: near.half + length }, middle)) return close();
      if (depth === 40 || length < window.half / 40) {
        if (!line.length) line.push(a);
        line.push(b);
        return;
      }
      const t = (low + high) / 2, point = piece.point(t);
      cut(low, t, a, point, depth + 1);
      cut(t, high, point, b, depth + 1);
    };
    for (let i = 0, step = (piece.high - piece.low) / 64; i < 64; i++) {
      const low = piece.low + i * step, high = low + step;
      cut(low, high, piece.point(low), piece.point(high), 0);
    }
    close();
  }
  return lines;
}

/** Level lines of f in a window, as pairs of points, one pair a triangle of a grid. */
export function contours(f, levels, { centre, half }, cells = 48) {
  const at = (i, j) => [centre[0] + half * ((2 * i) / cells - 1), centre[1] + half * ((2 * j) / cells - 1)];
  const corners = Array.from({ length: (cells + 1) ** 2 }, (_, k) => {
    const point = at(k % (cells + 1), Math.floor(k / (cells + 1)));
    return { point, value: f(point) };
  });
  const pairs = [];
  const triangle = (a, b, c) => {
    for (const level of levels) {
      const ends = [];
      for (const [p, q] of [[a, b], [b, c], [c, a]]) {
        if (p.value < level === q.value < level) continue;
        const part = (level - p.value) / (q.value - p.value);
        ends.push([p.point[0] + part * (q.point[0] - p.point[0]), p.point[1] + part * (q.point[1] - p.point[1])]);
      }
      if (ends.length === 2) pairs.push(ends);
    }
  };
  for (let j = 0; j < cells; j++) {
    for (let i = 0; i < cells; i++) {
      const k = j * (cells + 1) + i, up = k + cells + 1;
      triangle(corners[k], corners[k + 1], corners[up]);
      triangle(corners[k + 1], corners[up + 1], corners[up]);
    }
  }
  return pairs;
}
