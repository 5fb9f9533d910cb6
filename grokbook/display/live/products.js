// Dense linear algebra in float64 where everything is a dot product of rows: Gram matrix, Cholesky factor, two solves.
// A matrix is a Float64Array of rows, one after another; a block is a view of it, { data, stride, at }.

import { workspace } from "./tile.js";

const DEPTH = 256; // terms of a dot product in one go: seven rows of them fit the first cache
const ACROSS = 48; // right-hand rows in one go: they stay in the second cache while all left-hand rows pass
const PANEL = 12; // columns that the factor and the solves do one by one
const NOISE_PIVOT = 8; // as in grokbook.linalg: a squared pivot below this many rounding units is noise

export class SingularError extends Error {}

function block(data, stride, row, column) {
  return { data, stride, at: row * stride + column };
}

/** Products of matrices that all lie in one workspace, for `size` numbers; native: whether WebAssembly may be used. */
export class Products {
  constructor(size, native = true) {
    Object.assign(this, workspace(size, native));
  }

  /** target[i, j] += sign Σ_k left[i, k] right[j, k], blocks; `lower` leaves out tiles wholly above the diagonal. */
  add(sign, target, left, right, rows, columns, length, lower = false) {
    for (let k = 0; k < length; k += DEPTH) {
      for (let j = 0; j < columns; j += ACROSS) {
        const end = Math.min(j + ACROSS, columns);
        this.addStrip(sign, target, left, right, rows, j, end, k, Math.min(DEPTH, length - k), lower);
      }
    }
  }

  /** Columns first..last and terms from..from + length of `add`, in tiles of 4 × 3. */
  addStrip(sign, target, left, right, rows, first, last, from, length, lower) {
    const { tile, sums } = this, a = left.at + from, b = right.at + from;
    for (let i = 0; i < rows; i += 4) {
      // At the edge a tile repeats the last row, and stores it once.
      const i1 = Math.min(i + 1, rows - 1), i2 = Math.min(i + 2, rows - 1), i3 = Math.min(i + 3, rows - 1);
      const a0 = a + i * left.stride, a1 = a + i1 * left.stride, a2 = a + i2 * left.stride, a3 = a + i3 * left.stride;
      const end = lower ? Math.min(last, i3 + 1) : last;
      for (let j = first; j < end; j += 3) {
        const j1 = Math.min(j + 1, last - 1), j2 = Math.min(j + 2, last - 1);
        const b0 = b + j * right.stride, b1 = b + j1 * right.stride, b2 = b + j2 * right.stride;
        tile(left.data, a0, a1, a2, a3, right.data, b0, b1, b2, length);
        store(sign, target, i, i3, j, j2, sums);
      }
    }
  }

  /** target = left rightᵀ, or that added to it. left: (rows, length), right: (columns, length). */
  multiply(target, left, right, rows, columns, length, added = false) {
    if (!added) target.fill(0, 0, rows * columns);
    const blocks = [block(target, columns, 0, 0), block(left, length, 0, 0), block(right, length, 0, 0)];
    this.add(1, ...blocks, rows, columns, length);
  }

  /** target = rows rowsᵀ, its lower triangle. rows: (n, length). */
  gram(target, rows, n, length) {
    target.fill(0);
    const both = block(rows, length, 0, 0);
    this.add(1, block(target, n, 0, 0), both, both, n, n, length, true);
  }

  /** Writes over K, of which only the lower triangle is read, L with L Lᵀ = K, and Lᵀ above the diagonal. K: (n, n). */
  factorise(K, n) {
    let largest = 0;
    for (let i = 0; i < n; i++) largest = Math.max(largest, K[i * n + i]);
    const noise = NOISE_PIVOT * Number.EPSILON * largest;
    for (let first = 0; first < n; first += PANEL) {
      const last = Math.min(first + PANEL, n);
      const left = block(K, n, first, 0);
      this.add(-1, block(K, n, first, first), left, left, n - first, last - first, first);
      factorisePanel(K, n, first, last, noise);
    }
    mirror(K, n);
  }

  /** Writes over each row s of S: (m, n) the solution x of L x = s, with K as `factorise` leaves it. */
  solveLower(K, n, S, m) {
    for (let first = 0; first < n; first += PANEL) {
      const last = Math.min(first + PANEL, n);
      this.add(-1, block(S, n, 0, first), block(S, n, 0, 0), block(K, n, first, 0), m, last - first, first);
      for (let row = 0; row < m * n; row += n) {
        for (let i = first; i < last; i++) {
          let sum = S[row + i];
          for (let k = first; k < i; k++) sum -= K[i * n + k] * S[row + k];
          S[row + i] = sum / K[i * n + i];
        }
      }
    }
  }

  /** The same for Lᵀ x = s. */
  solveUpper(K, n, S, m) {
    for (let first = PANEL * Math.floor((n - 1) / PANEL); first >= 0; first -= PANEL) {
      const last = Math.min(first + PANEL, n), done = block(K, n, first, last);
      this.add(-1, block(S, n, 0, first), block(S, n, 0, last), done, m, last - first, n - last);
      for (let row = 0; row < m * n; row += n) {
        for (let i = last - 1; i >= first; i--) {
          let sum = S[row + i];
          for (let k = i + 1; k < last; k++) sum -= K[i * n + k] * S[row + k];
          S[row + i] = sum / K[i * n + i];
        }
      }
    }
  }
}

function store(sign, { data, at, stride }, firstRow, lastRow, firstColumn, lastColumn, sums) {
  for (let i = firstRow, t = 0; i <= lastRow; i++, t += 3) {
    const row = at + i * stride;
    for (let j = firstColumn, s = t; j <= lastColumn; j++, s++) data[row + j] += sign * sums[s];
  }
}

function factorisePanel(K, n, first, last, noise) {
  for (let i = first; i < n; i++) {
    for (let j = first; j < Math.min(i + 1, last); j++) {
      let sum = K[i * n + j];
      for (let k = first; k < j; k++) sum -= K[i * n + k] * K[j * n + k];
      // Written so that a NaN counts as singular, too.
      if (i === j && !(sum > noise)) throw new SingularError(`pivot ${i + 1} of ${n} is ${sum.toExponential(1)}`);
      K[i * n + j] = i === j ? Math.sqrt(sum) : sum / K[j * n + j];
    }
  }
}

const SQUARE = 16; // a square of this side is turned over inside the cache

/** Copies what stands below the diagonal to above it. */
function mirror(K, n) {
  for (let top = 0; top < n; top += SQUARE) {
    for (let side = 0; side <= top; side += SQUARE) {
      for (let i = top; i < Math.min(top + SQUARE, n); i++) {
        for (let j = side; j < Math.min(side + SQUARE, i); j++) K[j * n + i] = K[i * n + j];
      }
    }
  }
}

/** target = matrixᵀ. matrix: (rows, columns). */
export function transpose(target, matrix, rows, columns) {
  for (let top = 0; top < rows; top += SQUARE) {
    for (let side = 0; side < columns; side += SQUARE) {
      for (let i = top; i < Math.min(top + SQUARE, rows); i++) {
        for (let j = side; j < Math.min(side + SQUARE, columns); j++) target[j * rows + i] = matrix[i * columns + j];
      }
    }
  }
}
