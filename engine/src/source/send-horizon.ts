/**
 * How far a source partition may have sent, in any incarnation, written down before it is sent. A new revision takes effect at
 * that point (R22): nothing beyond it was ever delivered under the old one, not even by a host that died before it could commit.
 */

import type { StateEvent } from "../behavior/committed-behavior.ts";
import { engineError } from "../errors.ts";
import type { Json } from "../frame/json.ts";
import type { EventContext, EventLog, RecordedEvent } from "../log/event-log.ts";
import { defineEventSchema, type EventSchema } from "../log/event-schema.ts";
import { newestFirst } from "../log/kept-events.ts";
import { packState } from "../log/packed-payload.ts";
import type { Random } from "../time/clock.ts";
import type { SourceMark } from "./source-connector.ts";

export const HORIZON = "Horizon";
export const SOURCE_IDENTIFIED = "SourceIdentified";
export const SOURCE_MARKED = "SourceMarked";

const horizonSchema: EventSchema<{ readonly partition: string; readonly through: number }> = defineEventSchema({
  type: HORIZON,
  version: 1,
  parse: (payload) => {
    // Written by `#append` below.
    const [partition, through] = payload as [string, number];
    return { partition, through };
  },
});

const identitySchema: EventSchema<{ readonly partition: string; readonly identity: string }> = defineEventSchema({
  type: SOURCE_IDENTIFIED,
  version: 1,
  parse: (payload) => {
    const [partition, identity] = payload as [string, string];
    return { partition, identity };
  },
});

const markSchema: EventSchema<SourceMark & { readonly partition: string }> = defineEventSchema({
  type: SOURCE_MARKED,
  version: 1,
  parse: (payload) => {
    const [partition, [from, place]] = payload as [string, [number, Json]];
    return { partition, from, place };
  },
});

/** How far a `Horizon` event says that a partition may have sent. @throws EVENT-SCHEMA, EVENT-PAYLOAD */
export function horizonOf(event: RecordedEvent): { readonly partition: string; readonly through: number } {
  return horizonSchema.decode(event);
}

/** What a `SourceIdentified` event says that a partition is. @throws EVENT-SCHEMA, EVENT-PAYLOAD */
export function sourceIdentityOf(event: RecordedEvent): { readonly partition: string; readonly identity: string } {
  return identitySchema.decode(event);
}

/** Where a `SourceMarked` event says that positions of a partition lie. @throws EVENT-SCHEMA, EVENT-PAYLOAD */
export function sourceMarkOf(event: RecordedEvent): SourceMark & { readonly partition: string } {
  return markSchema.decode(event);
}

export interface SendHorizonOptions {
  readonly log: EventLog;
  /** Stream of the source node. */
  readonly stream: string;
  readonly partition: string;
  readonly context: Omit<EventContext, "causationId" | "correlationId">;
  readonly random: Random;
}

export class SendHorizon {
  readonly #options: SendHorizonOptions;
  /** What earlier incarnations may have sent. */
  readonly inherited: number;
  #reached: number;
  #extending: Promise<void> | undefined;
  #identity: string | undefined;
  /** Most sources have no marks, and their streams are not searched for some again and again. */
  #isUnmarked = false;

  private constructor(options: SendHorizonOptions, reached: number) {
    this.#options = options;
    this.inherited = reached;
    this.#reached = reached;
  }

  /** Reads where earlier incarnations were allowed to send to. */
  static async open(options: SendHorizonOptions): Promise<SendHorizon> {
    return new SendHorizon(options, (await newest(options, horizonSchema))?.through ?? -1);
  }

  /**
   * Makes sure that the partition still counts the same messages as when it was first read.
   *
   * @throws SOURCE-RECREATED
   */
  async identify(identity: string): Promise<void> {
    if (this.#identity === undefined) {
      const known = (await newest(this.#options, identitySchema))?.identity;
      if (known === undefined) await this.#append(identitySchema, identity);
      this.#identity = known ?? identity;
    }
    if (this.#identity === identity) return;
    const { stream, partition, context } = this.#options;
    throw engineError("SOURCE-RECREATED", `it was ${this.#identity}, and is ${identity} now`, {
      place: { stream, node: context.node },
      details: { partition, before: this.#identity, now: identity },
    });
  }

  /** Logs where positions lie, before any of them is sent. */
  async mark(marks: readonly SourceMark[]): Promise<void> {
    if (marks.length > 0) this.#isUnmarked = false;
    for (const { from, place } of marks) await this.#append(markSchema, [from, place]);
  }

  /** The marks of the place of the position behind `after` and of all above it, ascending. */
  async marksBehind(after: number): Promise<readonly SourceMark[]> {
    const found: SourceMark[] = [];
    if (this.#isUnmarked) return found;
    for await (const { from, place } of recorded(this.#options, markSchema)) {
      if (found.at(-1)?.from !== from) found.push({ from, place });
      if (from <= after + 1) break;
    }
    this.#isUnmarked = found.length === 0;
    return found.reverse();
  }

  /**
   * Makes sure that positions up to `through` may be sent. The log is asked for `ahead` positions more, and before they are used
   * up, so that a running source hardly ever waits.
   */
  async cover(through: number, ahead: number): Promise<void> {
    if (through + ahead / 2 > this.#reached) void this.#start(through + ahead);
    while (through > this.#reached) await this.#start(through + ahead);
  }

  /** The incarnation ends in order, having sent up to `sent`: what the log was asked for ahead was not used. */
  async settle(sent: number): Promise<void> {
    await this.#extending?.catch(() => undefined);
    const used = Math.max(this.inherited, sent);
    if (used < this.#reached) await this.#log(used);
  }

  #start(to: number): Promise<void> {
    this.#extending ??= this.#extend(to);
    // One that fails ahead of need is tried again when it is needed, and fails there.
    this.#extending.catch(() => undefined);
    return this.#extending;
  }

  async #extend(to: number): Promise<void> {
    try {
      await this.#log(to);
      this.#reached = Math.max(this.#reached, to);
    } finally {
      this.#extending = undefined;
    }
  }

  #log(to: number): Promise<void> {
    return this.#append(horizonSchema, to);
  }

  async #append({ type, version }: EventSchema<unknown>, value: StateEvent): Promise<void> {
    const { log, stream, partition, context, random } = this.#options;
    const id = random.bytes(16);
    const event = {
      id,
      type,
      schemaVersion: version,
      context: { ...context, causationId: id, correlationId: id },
      payload: packState([partition, value]),
    };
    await log.append([{ stream, expected: "any", events: [event] }]);
  }
}

/** What was last written down of a type for the partition. */
async function newest<T extends { readonly partition: string }>(
  options: SendHorizonOptions,
  schema: EventSchema<T>,
): Promise<T | undefined> {
  for await (const found of recorded(options, schema)) return found;
  return undefined;
}

/** What was written down of a type for the partition, the newest first. */
async function* recorded<T extends { readonly partition: string }>(
  { log, stream, partition }: SendHorizonOptions,
  schema: EventSchema<T>,
): AsyncGenerator<T> {
  for await (const event of newestFirst(log, stream, { types: [schema.type] })) {
    const found = schema.decode(event);
    if (found.partition === partition) yield found;
  }
}
