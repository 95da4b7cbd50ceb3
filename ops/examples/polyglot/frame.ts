/** A frame of 2560 × 4096 bytes in NumPy's format: all at one level, but for one pixel. */
interface Shot {
  readonly shot: number;
  readonly level: number;
  readonly peak: number;
}

interface Context {
  payload(bytes: Uint8Array, format: "npy"): unknown;
}

const ROWS = 2560;
const COLUMNS = 4096;
const HEADER = 128;

export default ({ shot, level, peak }: Shot, context: Context) => {
  const bytes = new Uint8Array(HEADER + ROWS * COLUMNS).fill(level);
  const description = `{'descr': '|u1', 'fortran_order': False, 'shape': (${ROWS}, ${COLUMNS}), }`;
  bytes.set([0x93, ...Buffer.from("NUMPY"), 1, 0, HEADER - 10, 0]);
  bytes.set(Buffer.from(`${description.padEnd(HEADER - 11)}\n`), 10);
  bytes[HEADER + shot * 1000] = peak;
  return { shot, frame: context.payload(bytes, "npy") };
};
