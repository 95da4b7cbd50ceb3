/**
 * Personal values on their way out: whoever hands opened values to the outside says when it is done, so that an erasure can wait for
 * what had begun before the key went.
 */
import type { Json } from "../frame/json.ts";
import { type KnownKey, revealValues } from "./sealed-value.ts";

/** Values that are opened for one delivery. */
export interface Revelation {
  /** Opens what can be opened and marks the rest. */
  readonly reveal: (value: Json) => Json;
  /** The delivery has ended, well or badly: it hands nothing on any more. */
  end(): void;
}

interface OpenRevelation {
  readonly keys: Set<string>;
  readonly ended: Promise<void>;
}

export class Revelations {
  readonly #open = new Set<OpenRevelation>();
  readonly #keyOf: (id: string) => KnownKey;

  constructor(keyOf: (id: string) => KnownKey) {
    this.#keyOf = keyOf;
  }

  begin(): Revelation {
    const keys = new Set<string>();
    let told = (): void => undefined;
    const ended = new Promise<void>((resolve) => {
      told = resolve;
    });
    const open = { keys, ended };
    this.#open.add(open);
    const keyOf = (id: string): KnownKey => {
      const key = this.#keyOf(id);
      if (typeof key === "object") keys.add(id);
      return key;
    };
    return {
      reveal: (value) => revealValues(value, keyOf),
      end: () => {
        this.#open.delete(open);
        told();
      },
    };
  }

  /** Resolves when every delivery that has opened a value under the key has ended. With the key gone no further one does. */
  async ended(key: string): Promise<void> {
    await Promise.all(Array.from(this.#open, ({ keys, ended }) => (keys.has(key) ? ended : undefined)));
  }
}
