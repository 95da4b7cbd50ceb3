/**
 * Memory that a worker thread takes beside its heap. The limits of a thread count its heap only: one that fills buffers would take the
 * whole process with it. So it is looked at while the thread is at work, and by the thread itself after each batch.
 */
import type { Env, Timer } from "@millrace/engine";

/** Most batches are done before the first look. A thread that writes at the speed of memory gets this far in the meantime. */
const LOOK_MS = 25;
/** What a thread takes besides: its engine, its code, a heap of as much as it may have in buffers is on top. */
const THREAD_BYTES = 128 * 1024 * 1024;

/** Node has it from 22.16 on; the types of Node 20 do not. */
interface MeasuredWorker {
  getHeapStatistics?(): Promise<{ readonly external_memory: number }>;
}

/** Of one batch, from its start until {@link stop}. */
export class BufferWatch {
  readonly #worker: MeasuredWorker;
  readonly #env: Env;
  readonly #bytesMax: number;
  readonly #onTooMuch: () => void;
  #timer: Timer;
  /** Of the process, where a thread cannot be asked: what comes on top of it while one is at work for long is taken to be its doing. */
  #residentBefore: number | undefined;
  #isOver = false;

  constructor(worker: object, env: Env, bytesMax: number, onTooMuch: () => void) {
    this.#worker = worker;
    this.#env = env;
    this.#bytesMax = bytesMax;
    this.#onTooMuch = onTooMuch;
    this.#timer = this.#lookLater();
  }

  stop(): void {
    this.#isOver = true;
    this.#timer.cancel();
  }

  #lookLater(): Timer {
    return this.#env.timers.after(LOOK_MS, () => void this.#look());
  }

  async #look(): Promise<void> {
    const bytes = await this.#bytes();
    if (this.#isOver) return;
    if (bytes > this.#bytesMax) this.#onTooMuch();
    else this.#timer = this.#lookLater();
  }

  async #bytes(): Promise<number> {
    if (this.#worker.getHeapStatistics !== undefined)
      // A thread that has ended since answers nothing, and holds nothing.
      return this.#worker.getHeapStatistics().then(
        ({ external_memory }) => external_memory,
        () => 0,
      );
    const resident = process.memoryUsage.rss();
    this.#residentBefore ??= resident;
    return resident - this.#residentBefore - this.#bytesMax - THREAD_BYTES;
  }
}
