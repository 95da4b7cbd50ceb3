import type { Draft, StateEvent } from "../../behavior/committed-behavior.ts";
import type { Json } from "../../frame/json.ts";

/** State of a simulated behavior: values by key, logged as `[name, key, value]`, with an undo for discarded drafts. */
export class DraftMap<V extends Json> {
  readonly #name: string;
  readonly #values = new Map<string, V>();
  readonly #before = new Map<string, V | undefined>();

  constructor(name: string) {
    this.#name = name;
  }

  get(key: string): V | undefined {
    return this.#values.get(key);
  }

  get keys(): readonly string[] {
    return [...this.#values.keys()].sort();
  }

  get size(): number {
    return this.#values.size;
  }

  /** Changes a value; `undefined` removes it. */
  set(draft: Draft, key: string, value: V | undefined): void {
    this.#change(key, value);
    draft.change([this.#name, key, (value ?? null) as StateEvent]);
  }

  /** Changes a value that follows from the watermark and is not logged. */
  forget(key: string): void {
    this.#change(key, undefined);
  }

  /** True when the event was one of this map's. */
  fold(event: StateEvent): boolean {
    const [name, key, value] = event as [string, string, V | null];
    if (name !== this.#name) return false;
    if (value === null) this.#values.delete(key);
    else this.#values.set(key, value);
    return true;
  }

  seal(): void {
    this.#before.clear();
  }

  discard(): void {
    for (const [key, value] of this.#before) {
      if (value === undefined) this.#values.delete(key);
      else this.#values.set(key, value);
    }
    this.#before.clear();
  }

  get snapshot(): StateEvent {
    return this.keys.map((key) => [key, this.#values.get(key) as StateEvent]);
  }

  restore(snapshot: StateEvent): void {
    this.#values.clear();
    for (const [key, value] of snapshot as [string, V][]) this.#values.set(key, value);
  }

  #change(key: string, value: V | undefined): void {
    if (!this.#before.has(key)) this.#before.set(key, this.#values.get(key));
    if (value === undefined) this.#values.delete(key);
    else this.#values.set(key, value);
  }
}
