// σ and σ′, entry by entry: each fills H with σ(Z) and, unless it is null, slope with σ′(Z).

// The normal distribution Φ and its density by Taylor's polynomial about the nearest of many points, to 1e-15: the page
// needs half a million of them a velocity, and neither exp nor a series is fast enough.
const FARTHEST = 9; // beyond, Φ is 0 or 1 to rounding
const PER_UNIT = 32;
const TERMS = 9;
const TABLE = normalTable();

/** Φ(z) = ½ + φ(z) (z + z³/3 + z⁵/15 + …), a series without cancellation for z > 0. */
function normalDistribution(z) {
  if (z < 0) return 1 - normalDistribution(-z);
  let term = z, sum = 0;
  for (let k = 3; sum + term !== sum; k += 2) {
    sum += term;
    term *= (z * z) / k;
  }
  return 0.5 + normalDensity(z) * sum;
}

function normalDensity(z) {
  return Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
}

/** Row i: Taylor's coefficients of Φ about z = i / PER_UNIT − FARTHEST, from φ⁽ᵏ⁺¹⁾ = −z φ⁽ᵏ⁾ − k φ⁽ᵏ⁻¹⁾. */
function normalTable() {
  const table = new Float64Array((2 * FARTHEST * PER_UNIT + 1) * TERMS);
  for (let i = 0; i <= 2 * FARTHEST * PER_UNIT; i++) {
    const z = i / PER_UNIT - FARTHEST;
    let before = 0, derivative = normalDensity(z), factorial = 1;
    table[i * TERMS] = normalDistribution(z);
    for (let k = 1; k < TERMS; k++) {
      factorial *= k;
      table[i * TERMS + k] = derivative / factorial;
      [before, derivative] = [derivative, -z * derivative - (k - 1) * before];
    }
  }
  return table;
}

function gelu(Z, H, slope) {
  for (let i = 0; i < Z.length; i++) {
    const z = Z[i];
    let distribution = z > 0 ? 1 : 0, density = 0;
    if (Math.abs(z) < FARTHEST) {
      const nearest = Math.round((z + FARTHEST) * PER_UNIT);
      const away = z - (nearest / PER_UNIT - FARTHEST), row = nearest * TERMS;
      distribution = TABLE[row + TERMS - 1];
      for (let k = TERMS - 2; k >= 0; k--) {
        density = density * away + distribution; // Horner's rule, and by it the derivative
        distribution = distribution * away + TABLE[row + k];
      }
    }
    H[i] = z * distribution;
    if (slope) slope[i] = distribution + z * density;
  }
}

function relu(Z, H, slope) {
  for (let i = 0; i < Z.length; i++) H[i] = Z[i] > 0 ? Z[i] : 0;
  if (slope) for (let i = 0; i < Z.length; i++) slope[i] = Z[i] > 0 ? 1 : 0;
}

function square(Z, H, slope) {
  for (let i = 0; i < Z.length; i++) H[i] = Z[i] * Z[i];
  if (slope) for (let i = 0; i < Z.length; i++) slope[i] = 2 * Z[i];
}

/** By the names of grokbook.activations; degree: σ(c z) = c^degree σ(z) for c > 0, or null. */
export const ACTIVATIONS = {
  relu: { apply: relu, degree: 1 },
  gelu: { apply: gelu, degree: null },
  square: { apply: square, degree: 2 },
};
