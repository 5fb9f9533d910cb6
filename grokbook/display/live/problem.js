// What a run begins with: its settings and their limits, the pairs, the random numbers, the start, and the circle.

/** What can be chosen: the name in a link, the limits, and what a reader is told who leaves them. */
export const LIMITS = {
  p: { low: 7, high: 37, whole: true, says: "p is a whole number from 7 to 37" },
  share: { low: 30, high: 95, whole: false, says: "the share of training pairs lies between 30 and 95 %" },
  width: { low: 8, high: 720, whole: true, says: "the width is a whole number from 8 to 720" },
  size: { low: 0.2, high: 10, whole: false, says: "the initial size lies between 0.2 and 10" },
  seed: { low: 0, high: 99999, whole: true, says: "the seed is a whole number from 0 to 99999" },
  decay: { low: 0.003, high: 3, whole: false, says: "λ lies between 0.003 and 3" },
  norm: { low: 20, high: 20000, whole: false, says: "the norm to hold lies between 20 and 20000" },
};
export const CHOICES = { activation: ["relu", "gelu", "square"], motion: ["flow", "hold", "train"] };

/** Numbers from texts or numbers. -> { settings, wrong }, wrong: a sentence for each name that was refused. */
export function checked(given) {
  const settings = {}, wrong = {};
  for (const [name, { low, high, whole, says }] of Object.entries(LIMITS)) {
    const text = String(given[name]).trim(), value = Number(text);
    settings[name] = value;
    if (text === "" || !(value >= low && value <= high) || (whole && !Number.isInteger(value))) {
      wrong[name] = `${text || "Nothing"}: ${says}.`;
    }
  }
  for (const [name, known] of Object.entries(CHOICES)) {
    settings[name] = given[name];
    if (!known.includes(given[name])) wrong[name] = `${given[name]}: this is one of ${known.join(", ")}.`;
  }
  if (!wrong.p && !wrong.share && !wrong.width) {
    const n = trainingSize(settings);
    if (settings.width <= n) {
      wrong.width = `${settings.width} units for ${n} training pairs: the readout can fit every pair only if the width ` +
        `exceeds ${n}. Raise it, or lower the share.`;
    }
  }
  return { settings, wrong };
}

export function trainingSize({ p, share }) {
  return Math.floor((share / 100) * ((p * (p + 1)) / 2) + 1e-9);
}

/** A width with some room above the training pairs, a multiple of 64, as far as widths go. */
export function fittingWidth(setting) {
  return Math.min(64 * Math.ceil((1.03 * trainingSize(setting)) / 64), LIMITS.width.high);
}

const MODULUS = 2 ** 31 - 1, FACTOR = 48271; // Lehmer's generator; each product is below 2⁵³ and thus exact

/** Random numbers that depend on a whole seed alone. -> { uniform(), shuffled(size) } */
export function randomNumbers(seed) {
  let state = ((seed % (MODULUS - 1)) + 1) % MODULUS;
  const uniform = () => (state = (state * FACTOR) % MODULUS) / MODULUS;
  for (let k = 0; k < 20; k++) uniform(); // neighbouring seeds begin alike
  const shuffled = (size) => {
    const order = Int32Array.from({ length: size }, (_, i) => i);
    for (let i = size - 1; i > 0; i--) {
      const j = Math.floor(uniform() * (i + 1));
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  };
  return { uniform, shuffled };
}

/** Independent normal numbers with variance 1, two at a time (Box and Muller). */
export function normal(count, { uniform }) {
  const found = new Float64Array(count);
  for (let i = 0; i < count; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(uniform())), angle = 2 * Math.PI * uniform();
    found[i] = radius * Math.cos(angle);
    if (i + 1 < count) found[i + 1] = radius * Math.sin(angle);
  }
  return found;
}

/** All pairs a <= b with their sum mod p, which of them are trained on, and E ~ N(0, size²/p). */
export function problem({ p, share, width, size, seed }) {
  const all = [];
  for (let a = 0; a < p; a++) for (let b = a; b < p; b++) all.push([a, b]);
  const random = randomNumbers(seed), n = trainingSize({ p, share });
  const trained = new Uint8Array(all.length);
  for (const i of random.shuffled(all.length).subarray(0, n)) trained[i] = 1;
  const allLabels = all.map(([a, b]) => (a + b) % p);
  const E = normal(p * width, random).map((value) => (value * size) / Math.sqrt(p));
  const chosen = (_, i) => trained[i] === 1;
  return { p, all, allLabels, trained, pairs: all.filter(chosen), labels: allLabels.filter(chosen), E };
}

/** Re and Im of Σ_j exp(−2πi jk/p) E_j / p. E: (p, d) -> [(d), (d)] */
function feature(E, p, k) {
  const d = E.length / p, real = new Float64Array(d), imaginary = new Float64Array(d);
  for (let j = 0; j < p; j++) {
    const angle = (2 * Math.PI * j * k) / p, cosine = Math.cos(angle) / p, sine = Math.sin(angle) / p;
    for (let h = 0; h < d; h++) {
      real[h] += cosine * E[j * d + h];
      imaginary[h] -= sine * E[j * d + h];
    }
  }
  return [real, imaginary];
}

/** The frequency whose feature has the largest power. */
export function strongest(E, p) {
  let best = 1, most = -1;
  for (let k = 1; k <= (p - 1) / 2; k++) {
    const power = feature(E, p, k).reduce((sum, part) => sum + dot(part, part), 0);
    if (power > most) [best, most] = [k, power];
  }
  return best;
}

/** The rows of E in the plane of frequency k, the first axis along Re F_k. -> [[x, y], …], one a residue */
export function plane(E, p, k) {
  const d = E.length / p, [first, second] = feature(E, p, k);
  const along = dot(second, first) / dot(first, first);
  const across = second.map((value, h) => value - along * first[h]);
  const axes = [first, across].map((axis) => axis.map((value) => value / Math.sqrt(dot(axis, axis))));
  return Array.from({ length: p }, (_, j) => axes.map((axis) => dot(E.subarray(j * d, (j + 1) * d), axis)));
}

function dot(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
