/**
 * Schemas of payloads change, the log does not: an event keeps the version that it was written with, and is brought to the
 * present one when it is read, one version at a time. An event of a version that this code does not know is never guessed at.
 *
 * ```ts
 * const orderPlaced = defineEventSchema({
 *   type: "OrderPlaced",
 *   version: 3,
 *   upcasters: [
 *     (order) => ({ ...order, currency: "EUR" }),                       // 1 → 2
 *     ({ amount, currency, ...rest }) => ({ ...rest, total: { amount, currency } }), // 2 → 3
 *   ],
 *   parse: (payload) => payload as OrderPlaced,
 * });
 * ```
 */
import type { StateEvent } from "../behavior/committed-behavior.ts";
import { engineError, invariant } from "../errors.ts";
import type { RecordedEvent } from "./event-log.ts";
import { packState, unpackState } from "./packed-payload.ts";

/** From a payload of one version to the same payload of the next. Depends on nothing but its argument. */
export type Upcaster = (payload: StateEvent) => StateEvent;

export interface EventSchemaDefinition<T> {
  readonly type: string;
  /** The version that this code writes, `1..65535`. */
  readonly version: number;
  /** How payloads are bytes, in every version. Default `msgpack`, as {@link packState} writes it. */
  readonly format?: "msgpack" | "json";
  /** From each earlier version to the one after it, beginning with that from 1 to 2: one less than `version`. */
  readonly upcasters?: readonly Upcaster[];
  /** A payload of the present version as what it means. Default: as it is. */
  readonly parse?: (payload: StateEvent) => T;
}

interface PayloadFormat {
  readonly read: (bytes: Uint8Array) => StateEvent;
  readonly write: (payload: StateEvent) => Uint8Array;
}

const FORMATS: Readonly<Record<"msgpack" | "json", PayloadFormat>> = {
  msgpack: { read: unpackState, write: packState },
  json: {
    read: (bytes) => JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as StateEvent,
    write: (payload) => new TextEncoder().encode(JSON.stringify(payload)),
  },
};

export class EventSchema<T> {
  readonly type: string;
  readonly version: number;
  readonly #upcasters: readonly Upcaster[];
  readonly #parse: (payload: StateEvent) => T;
  readonly #format: PayloadFormat;

  constructor({ type, version, upcasters = [], parse, format = "msgpack" }: EventSchemaDefinition<T>) {
    invariant(Number.isSafeInteger(version) && version >= 1 && version <= 0xffff, `version ${version} of ${type}`);
    invariant(upcasters.length === version - 1, `${type} is at version ${version} with ${upcasters.length} upcasters`);
    this.type = type;
    this.version = version;
    this.#upcasters = upcasters;
    this.#format = FORMATS[format];
    // Without `parse` a payload is what it is, and `T` is StateEvent by the default of `defineEventSchema`.
    this.#parse = parse ?? ((payload) => payload as T);
  }

  /**
   * What the event says, in terms of the present version.
   *
   * @throws EVENT-SCHEMA its version is not known here
   * @throws EVENT-PAYLOAD its bytes are no payload
   */
  decode(event: RecordedEvent): T {
    return this.#read(event, this.#parse);
  }

  /** The same event with its payload in the present version. @throws EVENT-SCHEMA, EVENT-PAYLOAD */
  upcast(event: RecordedEvent): RecordedEvent {
    if (event.schemaVersion === this.version) return event;
    const payload = this.#read(event, this.#format.write);
    const { id, type, context, position, stream, revision, timeMs } = event;
    return { id, type, context, position, stream, revision, timeMs, schemaVersion: this.version, payload };
  }

  #read<R>(event: RecordedEvent, as: (payload: StateEvent) => R): R {
    this.#require(event);
    try {
      let payload = this.#format.read(event.payload);
      for (const upcaster of this.#upcasters.slice(event.schemaVersion - 1)) payload = upcaster(payload);
      return as(payload);
    } catch (cause) {
      const place = placeOf(event);
      throw engineError("EVENT-PAYLOAD", `the payload of ${nameOf(event)} cannot be read`, { cause, place });
    }
  }

  #require(event: RecordedEvent): void {
    const { type, schemaVersion } = event;
    invariant(type === this.type, `a ${type} is read as a ${this.type}`);
    if (schemaVersion >= 1 && schemaVersion <= this.version) return;
    const message = `${nameOf(event)} has schema version ${schemaVersion}; this code knows 1 to ${this.version}`;
    throw engineError("EVENT-SCHEMA", message, {
      place: placeOf(event),
      details: { type, schemaVersion, known: this.version },
    });
  }
}

const nameOf = ({ type, position }: RecordedEvent): string => `${type} at position ${position}`;
const placeOf = ({ stream, position }: RecordedEvent): { stream: string; position: number } => ({ stream, position });

/** @throws INVARIANT an upcaster is missing, or one too many */
export function defineEventSchema<T = StateEvent>(definition: EventSchemaDefinition<T>): EventSchema<T> {
  return new EventSchema(definition);
}
