/** The outputs of a committed node: numbers what a step emits, and sends it when its step may leave. */
import type { OutputProgress } from "../behavior/committed-behavior.ts";
import type { Batch } from "../frame/batch.ts";
import { encodeBatch } from "../frame/batch-codec.ts";
import type { LateMark, Trace } from "../frame/frame.ts";
import type { Outbox } from "./outbox.ts";
import type { StepDraft } from "./step-draft.ts";
import type { Emitted } from "./step-record.ts";

/** What a step emits on one port, with its place in the port's sequence. */
export interface NumberedEmit {
  readonly port: string;
  readonly firstSeq: number;
  readonly batch: Batch;
  readonly late: readonly LateMark[];
}

export type PortFilter = (port: string) => boolean;

const allPorts: PortFilter = () => true;

export class StepOutputs {
  readonly #outboxes: ReadonlyMap<string, Outbox>;

  /** @param outboxes by port of the behavior */
  constructor(outboxes: ReadonlyMap<string, Outbox>) {
    this.#outboxes = outboxes;
  }

  /** False when an output is backed up: then nothing more comes in from outside. */
  get hasRoom(): boolean {
    for (const outbox of this.#outboxes.values()) if (!outbox.hasRoom) return false;
    return true;
  }

  start(): void {
    for (const outbox of this.#outboxes.values()) outbox.start();
  }

  stop(): void {
    for (const outbox of this.#outboxes.values()) outbox.stop();
  }

  /** Gives each emit of a draft its sequence numbers, `nextSeq` on; what goes to a port without receivers is a declared drop. */
  number(draft: StepDraft, nextSeq: ReadonlyMap<string, number>): NumberedEmit[] {
    const next = new Map(nextSeq);
    const numbered: NumberedEmit[] = [];
    for (const { port, batch, late } of draft.emits) {
      if (this.#outboxes.get(port)?.isConnected !== true) {
        draft.drop(batch.n, `port ${port} is not connected`);
        continue;
      }
      const firstSeq = next.get(port) ?? 0;
      next.set(port, firstSeq + batch.n);
      const marks = late.map(({ index, watermark }) => ({ pos: firstSeq + index, watermark }));
      numbered.push({ port, firstSeq, batch, late: marks });
    }
    return numbered;
  }

  /** Sends what a step emits on the ports that `leaves` names. Only the last of a port carries the exact watermark. */
  release(emits: readonly NumberedEmit[], trace: Trace, progress: OutputProgress, leaves: PortFilter = allPorts): void {
    emits.forEach(({ port, firstSeq, batch, late }, i) => {
      if (!leaves(port)) return;
      const exact = !emits.some((later, k) => k > i && later.port === port);
      this.#outboxes.get(port)?.emit({ firstSeq, batch, late, ...progress, exact }, trace);
    });
    this.progress(progress, leaves);
  }

  progress({ watermark, idle }: OutputProgress, leaves: PortFilter = allPorts): void {
    for (const [port, outbox] of this.#outboxes) if (leaves(port)) outbox.progress(watermark, idle);
  }
}

/** As the step record keeps it. */
export function emittedOf({ port, firstSeq, batch, late }: NumberedEmit): Emitted {
  return { port, firstSeq, count: batch.n, batch: encodeBatch(batch), late };
}
