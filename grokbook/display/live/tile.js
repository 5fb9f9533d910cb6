// Twelve dot products at once, of four rows with three: the one kernel that everything dense is made of.
// In WebAssembly with two numbers an instruction, assembled here from its few opcodes, for want of a build step; where a
// browser has no such instructions, the same in JavaScript. The twelve sums go to the start of the memory.

const I32 = 0x7f, V128 = 0x7b;
const LOAD = [0xfd, 0x00, 3, 0], ADD = [0xfd, 0xf0, 0x01], MULTIPLY = [0xfd, 0xf2, 0x01];
const SUM_OF_LANES = (sum) => [...get(sum), 0xfd, 0x21, 0, ...get(sum), 0xfd, 0x21, 1, 0xa0];

const get = (local) => [0x20, local];
const set = (local) => [0x21, local];
const section = (id, bytes) => [id, ...length(bytes), ...bytes];
const text = (name) => [name.length, ...new TextEncoder().encode(name)];

/** The number of bytes as an unsigned LEB128. */
function length(bytes) {
  const low = bytes.length & 0x7f, high = bytes.length >> 7;
  return high ? [low | 0x80, ...length({ length: high })] : [low];
}

/** tile(a0, a1, a2, a3, b0, b1, b2, end): byte addresses of the rows, and where row a0 ends, an even number of terms on. */
function assembled() {
  const ROWS = [0, 1, 2, 3], COLUMNS = [4, 5, 6], END = 7;
  const sum = (i, j) => 8 + 3 * i + j, X = 20, Y = (j) => 21 + j;
  const body = [2, 12, V128, 4, V128, 0x03, 0x40]; // locals: the sums, then x and y; loop
  COLUMNS.forEach((row, j) => body.push(...get(row), ...LOAD, ...set(Y(j))));
  ROWS.forEach((row, i) => {
    body.push(...get(row), ...LOAD, ...set(X));
    COLUMNS.forEach((_, j) => body.push(...get(sum(i, j)), ...get(X), ...get(Y(j)), ...MULTIPLY, ...ADD, ...set(sum(i, j))));
  });
  for (const row of [...ROWS, ...COLUMNS]) body.push(...get(row), 0x41, 16, 0x6a, ...set(row)); // row += 16
  body.push(...get(0), ...get(END), 0x49, 0x0d, 0, 0x0b); // again while a0 < end
  ROWS.forEach((_, i) => {
    COLUMNS.forEach((_, j) => body.push(0x41, 0, ...SUM_OF_LANES(sum(i, j)), 0x39, 3, ...address(8 * (3 * i + j))));
  });
  body.push(0x0b);
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 8, ...Array(8).fill(I32), 0]), // one type: eight addresses, no result
    ...section(2, [1, ...text("js"), ...text("memory"), 2, 0, 1]),
    ...section(3, [1, 0]),
    ...section(7, [1, ...text("tile"), 0, 0]),
    ...section(10, [1, ...length(body), ...body]),
  ]);
}

const address = (offset) => length({ length: offset });

/** Memory for `size` numbers and the kernel on it. -> { floats(length), sums: (12), tile(left, a, right, b, length) }
 *
 * floats: a Float64Array of this memory; tile: rows of `left` begin at a = [four indices], of `right` at b = [three].
 */
export function workspace(size, native = true) {
  const room = 16; // the sums, padded
  let buffer = null, compiled = null;
  if (native) {
    try {
      const memory = new WebAssembly.Memory({ initial: Math.ceil((8 * (size + room)) / 65536) });
      compiled = new WebAssembly.Instance(new WebAssembly.Module(assembled()), { js: { memory } }).exports.tile;
      buffer = memory.buffer;
    } catch {
      compiled = null; // no WebAssembly here, or none with these instructions
    }
  }
  buffer ??= new ArrayBuffer(8 * (size + room));
  let used = room;
  const sums = new Float64Array(buffer, 0, 12);
  const floats = (count) => new Float64Array(buffer, 8 * (used += count) - 8 * count, count);
  return { floats, sums, tile: compiled ? compiledTile(compiled, sums) : plainTile(sums) };
}

function compiledTile(compiled, sums) {
  return (left, a0, a1, a2, a3, right, b0, b1, b2, count) => {
    const even = count & ~1, from = left.byteOffset, to = right.byteOffset;
    if (even) {
      compiled(from + 8 * a0, from + 8 * a1, from + 8 * a2, from + 8 * a3,
        to + 8 * b0, to + 8 * b1, to + 8 * b2, from + 8 * (a0 + even));
    } else sums.fill(0);
    if (even < count) addTerm(sums, left, a0 + even, a1 + even, a2 + even, a3 + even, right, b0 + even, b1 + even, b2 + even);
  };
}

function addTerm(sums, left, a0, a1, a2, a3, right, b0, b1, b2) {
  const y0 = right[b0], y1 = right[b1], y2 = right[b2];
  let x = left[a0];
  sums[0] += x * y0; sums[1] += x * y1; sums[2] += x * y2;
  x = left[a1];
  sums[3] += x * y0; sums[4] += x * y1; sums[5] += x * y2;
  x = left[a2];
  sums[6] += x * y0; sums[7] += x * y1; sums[8] += x * y2;
  x = left[a3];
  sums[9] += x * y0; sums[10] += x * y1; sums[11] += x * y2;
}

function plainTile(sums) {
  return (left, a0, a1, a2, a3, right, b0, b1, b2, count) => {
    sums.fill(0);
    for (let k = 0; k < count; k++) addTerm(sums, left, a0 + k, a1 + k, a2 + k, a3 + k, right, b0 + k, b1 + k, b2 + k);
  };
}
