/** Noise as a NumPy array of 1,250,000 float 64: whole numbers from -32768 to 32767, so that sums over them are exact. */
interface Request {
  readonly id: number;
  readonly seed: number;
}

interface Context {
  payload(bytes: Uint8Array, format: "npy"): unknown;
}

const SAMPLES = 1_250_000;
const HEADER = 128;

export default ({ id, seed }: Request, context: Context) => {
  const bytes = new Uint8Array(HEADER + SAMPLES * Float64Array.BYTES_PER_ELEMENT);
  const description = `{'descr': '<f8', 'fortran_order': False, 'shape': (${SAMPLES},), }`;
  bytes.set([0x93, ...Buffer.from("NUMPY"), 1, 0, HEADER - 10, 0]);
  bytes.set(Buffer.from(`${description.padEnd(HEADER - 11)}\n`), 10);
  const samples = new Float64Array(bytes.buffer, HEADER);
  // A linear congruential generator (Numerical Recipes, "quick and dirty"), of which the upper half is used.
  let state = seed >>> 0;
  for (let i = 0; i < SAMPLES; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    samples[i] = (state >>> 16) - 32768;
  }
  return { id, samples: SAMPLES, signal: context.payload(bytes, "npy") };
};
