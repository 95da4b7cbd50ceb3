/**
 * Witnesses: anything durable outside the segments that has seen a position of the log. One that has seen more than the log
 * has, or something else at its position, is evidence of loss and refuses the log before any byte is cut (L-R15).
 */
import { embeddedLogError } from "./errors.ts";

export interface Witness {
  /** What it is, for the refusal: `index`, `snapshot of …`. */
  readonly name: string;
  /** A witness of another log says nothing about this one. */
  readonly logId: string;
  readonly pos: number;
  /** Header checksum of the block that ends at `pos`. */
  readonly chain: number;
}

/** What the log itself knows about a position. */
export interface Testimony {
  readonly logId: string;
  /** Position that the log begins with, and the chain value there. */
  readonly base: { readonly pos: number; readonly chain: number };
  readonly end: number;
  /**
   * Header checksums of the blocks that end at `pos`: a data block and, at the end of a segment, its seal. `undefined` when the data block
   * was pruned, so that nobody can say.
   */
  chainsAt(pos: number): Promise<readonly number[] | undefined>;
}

/** @throws LOG-TAIL-LOST naming the witness */
export async function compareWitnesses(witnesses: readonly Witness[], log: Testimony): Promise<void> {
  for (const witness of witnesses) {
    if (witness.logId !== log.logId || witness.pos < log.base.pos) continue;
    const details = { witness: witness.name, seen: witness.pos, end: log.end };
    const place = { position: Math.min(witness.pos, log.end) };
    if (witness.pos > log.end) {
      const message = `${witness.name} has seen position ${witness.pos}, the log ends at ${log.end}`;
      throw embeddedLogError("LOG-TAIL-LOST", message, { place, details });
    }
    if (witness.pos === log.base.pos && witness.chain === log.base.chain) continue;
    const chains = await log.chainsAt(witness.pos);
    if (chains?.includes(witness.chain) === false) {
      const message = `${witness.name} has seen another log before position ${witness.pos}`;
      throw embeddedLogError("LOG-TAIL-LOST", message, { place, details });
    }
  }
}
