/** A binary heap of things to run at a virtual time, in order of (time, sequence of scheduling). */

export interface Scheduled {
  readonly atMs: number;
  readonly seq: number;
  run: (() => void) | undefined;
}

export class EventQueue {
  readonly #heap: Scheduled[] = [];
  #seq = 0;

  push(atMs: number, run: () => void): Scheduled {
    const entry: Scheduled = { atMs, seq: this.#seq++, run };
    const heap = this.#heap;
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(entry, heap[parent] as Scheduled)) break;
      heap[at] = heap[parent] as Scheduled;
      at = parent;
    }
    heap[at] = entry;
    return entry;
  }

  /** The next entry that is not cancelled, left in place. */
  peek(): Scheduled | undefined {
    while (this.#heap.length > 0 && this.#heap[0]?.run === undefined) this.#removeFirst();
    return this.#heap[0];
  }

  pop(): Scheduled | undefined {
    const first = this.peek();
    if (first !== undefined) this.#removeFirst();
    return first;
  }

  #removeFirst(): void {
    const heap = this.#heap;
    const last = heap.pop() as Scheduled;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Scheduled, heap[child] as Scheduled)) child++;
      if (!before(heap[child] as Scheduled, last)) break;
      heap[at] = heap[child] as Scheduled;
      at = child;
    }
    heap[at] = last;
  }
}

function before(a: Scheduled, b: Scheduled): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.seq < b.seq);
}
