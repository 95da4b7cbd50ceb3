/**
 * The look for damage in a store that is too large to be read before it is opened: all of it is read beside the store's users, a little
 * at a time and with the lowest priority, in short transactions, because pages are not used again while an old one may read them.
 */
import { type Examination, examine } from "./examination.ts";

const PIECE_MS = 10;
const REST_MS = 30;
/** Address space of the child: the store may grow under it. */
const MAP_BYTES_MIN = 2 ** 36;

const LOOK = `
try {
  require("node:os").setPriority(19);
} catch {}
const [low, high] = [Buffer.from([0]), Buffer.from([255])];
let root;
let last;
const look = () => {
  const until = performance.now() + given.pieceMs;
  let seen = 0;
  for (const { key, value } of root.getRange({ start: last ?? low, exclusiveStart: last !== undefined })) {
    if (value === undefined) throw new Error("a key without a value");
    last = key;
    if ((++seen & 63) === 0 && performance.now() > until) return false;
  }
  // LMDB takes some damaged pages for the end of the keys.
  for (const { key } of root.getRange({ start: high, reverse: true, limit: 1 }))
    if (last === undefined || Buffer.compare(last, key) < 0) throw missing();
  return true;
};
const piece = () => {
  try {
    root ??= open();
    if (look()) return end(true);
    root.resetReadTxn();
    setTimeout(piece, given.restMs);
  } catch (error) {
    refuse(error);
  }
};
setTimeout(piece, given.restMs);`;

/** Of the store at `options.path`, which is open here. */
export function lookThrough(options: { readonly path: string; readonly mapSize: number }): Examination {
  const roomy = { ...options, mapSize: Math.max(options.mapSize, MAP_BYTES_MIN) };
  return examine(LOOK, { options: roomy, pieceMs: PIECE_MS, restMs: REST_MS });
}
