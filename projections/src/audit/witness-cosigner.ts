/**
 * One witness and what it has cosigned of this log. It is asked with a proof from there to a newer checkpoint; if it remembers
 * another size, that is where the proof begins. A size that this log has never signed is evidence that the log was put back.
 */
import type { HttpClient } from "@millrace/engine";
import type { AuditDirectory, SignedCheckpoint } from "./audit-directory.ts";
import { auditError } from "./audit-errors.ts";
import { treeConsistency } from "./audit-proofs.ts";
import { openCheckpoint } from "./checkpoint.ts";
import { cosignedAtS } from "./cosignature.ts";
import { sameHash } from "./merkle.ts";
import type { VerifierKey } from "./signed-note.ts";
import { TreeReader } from "./tree-reader.ts";
import { type AskedWitness, addCheckpoint } from "./witness-call.ts";

/** What a witness has cosigned. */
export interface Cosigned {
  readonly size: number;
  readonly atS: number;
  /** Its signature, a line of the checkpoint's note. */
  readonly line: string;
}

export interface WitnessCosignerOptions {
  readonly witness: AskedWitness;
  readonly directory: AuditDirectory;
  readonly logKey: VerifierKey;
  readonly http: HttpClient;
  readonly deadlineMs: number;
  /** The newest checkpoint, at any time. */
  readonly newest: () => SignedCheckpoint;
}

/** A witness that names another size each time is not followed for ever. */
const CONFLICTS_MAX = 3;

/** A size that the witness has cosigned, and the root if its cosignature is here. */
interface Known {
  readonly size: number;
  readonly root?: Uint8Array;
}

const NOTHING: Known = { size: 0 };

export class WitnessCosigner {
  readonly witness: AskedWitness;
  /** Of the witness's key, as files are named by it. */
  readonly id: string;
  readonly #options: WitnessCosignerOptions;
  #stored: Known = NOTHING;
  #cosigned: Cosigned | undefined;

  constructor(options: WitnessCosignerOptions) {
    this.#options = options;
    this.witness = options.witness;
    this.id = options.witness.key.id.toString("hex");
  }

  /** The newest that it has cosigned and that is stored. */
  get cosigned(): Cosigned | undefined {
    return this.#cosigned;
  }

  /** Takes up what is stored. What does not verify counts for nothing: the witness is asked what it knows. */
  async restore(): Promise<void> {
    const { directory, logKey, witness } = this.#options;
    const note = await directory.cosignedBy(this.id);
    if (note === undefined) return;
    const checkpoint = openCheckpoint(note, logKey);
    const atS = cosignedAtS(note, witness.key);
    if (checkpoint === undefined || atS === undefined) return;
    this.#take(checkpoint, atS, note.trimEnd().split("\n").at(-1) ?? "");
  }

  /**
   * Asks for a cosignature of `checkpoint`, or of a newer one where the witness has seen that already.
   *
   * @throws WITNESS-AHEAD, WITNESS-FORK this log is not what the witness has cosigned
   * @throws WITNESS-UNAVAILABLE, WITNESS-REFUSED, WITNESS-ANSWER
   */
  async ask(checkpoint: SignedCheckpoint, signal: AbortSignal): Promise<Cosigned> {
    let known = this.#stored;
    for (let conflicts = 0; conflicts < CONFLICTS_MAX; conflicts++) {
      signal.throwIfAborted();
      const asked = known.size > checkpoint.size ? this.#newest(known.size) : checkpoint;
      const answer = await this.#send(asked, known);
      if ("note" in answer) {
        await this.#options.directory.putCosignedBy(this.id, answer.note);
        return this.#take(asked, answer.atS, answer.line);
      }
      if (answer.size === known.size && answer.size === asked.size) throw this.#otherRoot(answer.size);
      known = answer;
    }
    throw auditError("WITNESS-ANSWER", `${this.witness.key.name} answers each time that it has cosigned another size`);
  }

  /** @throws WITNESS-AHEAD there is none of that size */
  #newest(size: number): SignedCheckpoint {
    const newest = this.#options.newest();
    if (size <= newest.size) return newest;
    const message = `${this.witness.key.name} has cosigned ${size} records, this log has signed ${newest.size}`;
    const details = { witness: this.witness.key.name, seen: size, end: newest.size };
    throw auditError("WITNESS-AHEAD", message, { place: { position: newest.size }, details });
  }

  async #send(checkpoint: SignedCheckpoint, old: Known): ReturnType<typeof addCheckpoint> {
    const { directory, http, deadlineMs } = this.#options;
    const tree = new TreeReader(directory.tiles, checkpoint.size);
    const { root, hashes } = await treeConsistency(tree, checkpoint, old.size);
    if (old.root !== undefined && !sameHash(root, old.root)) throw this.#otherRoot(old.size);
    return addCheckpoint(http, this.witness, { old: old.size, proof: hashes, note: checkpoint.note, deadlineMs });
  }

  #otherRoot(size: number): Error {
    const message = `${this.witness.key.name} has cosigned other records than the first ${size} of this log`;
    return auditError("WITNESS-FORK", message, { place: { position: size } });
  }

  #take({ size, root }: { readonly size: number; readonly root: Uint8Array }, atS: number, line: string): Cosigned {
    this.#stored = { size, root };
    this.#cosigned = { size, atS, line };
    return this.#cosigned;
  }
}
