/** Where a node's payloads enter: decides for each whether it travels inline or by reference, and can say why. */
import { fieldOf, setField } from "../frame/field.ts";
import { isJsonObject, type Json } from "../frame/json.ts";
import type { PayloadExchange } from "./payload-exchange.ts";
import type { PayloadScope } from "./payload-scope.ts";
import type { PayloadFormat } from "./payload-store.ts";
import { inlineValue, mapPayloads, PAYLOAD_KEY, referenceValue } from "./payload-value.ts";

/** From here on a reference costs less than a copy to another process (native.md §0.4). */
export const REFERENCE_ABOVE_BYTES = 32 * 1024;
/** With several readers it is already less from here on. */
export const REFERENCE_ABOVE_BYTES_SHARED = 8 * 1024;
/** No payload of this size or more travels inline, whatever a graph says: it would fill steps. */
export const INLINE_BYTES_MAX = 1024 * 1024;

export interface PayloadTerms {
  /** Payloads of this many bytes and more are put into the store. Absent: by the number of readers. */
  readonly above?: number | undefined;
  /** Nodes that read what the node sends. */
  readonly readers: number;
}

export interface PayloadDecision {
  readonly by: "inline" | "reference";
  readonly why: string;
}

export function payloadDecision(bytes: number, { above, readers }: PayloadTerms): PayloadDecision {
  const shared = above === undefined && readers > 1;
  const least = Math.min(above ?? (shared ? REFERENCE_ABOVE_BYTES_SHARED : REFERENCE_ABOVE_BYTES), INLINE_BYTES_MAX);
  const reason = above !== undefined ? "as the graph says" : shared ? `${readers} nodes read it` : "by default";
  return bytes >= least
    ? { by: "reference", why: `${least} bytes or more (${reason})` }
    : { by: "inline", why: `less than ${least} bytes (${reason})` };
}

interface Way {
  payloads: number;
  bytes: number;
  /** By reason. */
  readonly why: Map<string, number>;
}

export class PayloadIntake {
  readonly #exchange: () => PayloadExchange;
  readonly #terms: PayloadTerms;
  readonly #ways: Readonly<Record<PayloadDecision["by"], Way>> = { inline: newWay(), reference: newWay() };

  /** `exchange` is asked for when the first payload comes: a graph is compiled before its host opens. */
  constructor(exchange: () => PayloadExchange, terms: PayloadTerms) {
    this.#exchange = exchange;
    this.#terms = terms;
  }

  /** The value that stands for a payload in a message. @throws PAYLOAD-FAILED (transient) */
  async take(bytes: Uint8Array, format: PayloadFormat, scope: PayloadScope): Promise<Json> {
    const { by, why } = payloadDecision(bytes.length, this.#terms);
    const value =
      by === "inline"
        ? inlineValue({ format, bytes })
        : referenceValue(await this.#exchange().intern(bytes, format, scope));
    const way = this.#ways[by];
    way.payloads++;
    way.bytes += bytes.length;
    way.why.set(why, (way.why.get(why) ?? 0) + 1);
    return value;
  }

  /** A message from outside, with its inline payloads as this node sends them. @throws PAYLOAD-VALUE, PAYLOAD-FAILED */
  message(value: Json, scope: PayloadScope): Promise<Json> {
    return mapPayloads(value, async (payload, whole) => {
      if ("sha256" in payload) return whole;
      return this.take(payload.bytes, payload.format, scope);
    });
  }

  /** The same for fields whose text is base64. @throws PAYLOAD-VALUE, PAYLOAD-FAILED */
  async fields(value: Json, formats: Readonly<Record<string, PayloadFormat>>, scope: PayloadScope): Promise<Json> {
    if (!isJsonObject(value)) return value;
    const taken: Record<string, Json> = { ...value };
    for (const [name, format] of Object.entries(formats)) {
      const base64 = fieldOf(value, name);
      if (typeof base64 !== "string") continue;
      setField(taken, name, await this.message({ [PAYLOAD_KEY]: { format, base64 } }, scope));
    }
    return taken;
  }

  /** What was decided so far, for people; `undefined` before the first payload. */
  describe(): Json | undefined {
    const { inline, reference } = this.#ways;
    if (inline.payloads + reference.payloads === 0) return undefined;
    return { inline: described(inline), reference: described(reference) };
  }
}

function newWay(): Way {
  return { payloads: 0, bytes: 0, why: new Map() };
}

function described({ payloads, bytes, why }: Way): Json {
  return { payloads, bytes, why: Object.fromEntries(why) };
}
