/**
 * How far receivers on other hosts said that they are, written down: a host that starts again goes on from there, also when a
 * receiver has ended meanwhile and says nothing any more. Written lazily, since what is not written is only sent again; whoever
 * told it keeps it until it is.
 */

import type { StateEvent } from "../behavior/committed-behavior.ts";
import { MillraceError } from "../errors.ts";
import type { Anchor } from "../frame/anchor.ts";
import { comparePoints, type Point } from "../frame/point.ts";
import type { EventContext, EventLog, RecordedEvent } from "../log/event-log.ts";
import { defineEventSchema, type EventSchema } from "../log/event-schema.ts";
import { newestFirst } from "../log/kept-events.ts";
import { packState } from "../log/packed-payload.ts";
import { type Env, sleep } from "../time/clock.ts";

export const LANES_HEARD = "LanesHeard";
/** In whose stream of the graph it stands; no node has this name. */
export const HEARD = "~lanes";

/** The path of all lanes of an origin: they are over. */
export const ALL_PATHS = -1;

/** Where one lane stands at its receiver. */
export interface HeardLane {
  /** Name of the lane's origin. */
  readonly origin: string;
  /** Of the lane at its receiver; {@link ALL_PATHS} of an origin on another host that is over. */
  readonly path: number;
  /** Name of the lane, which says the same without the plan's numbers; absent: of all paths, or not written down. */
  readonly lane?: string | undefined;
  readonly durable: Point;
  readonly durableAnchor: Anchor;
}

type Packed = readonly [
  origin: string,
  path: number,
  pos: number,
  ord: number,
  anchorPos: number,
  watermark: number,
  lane?: string,
];

const heardSchema: EventSchema<readonly HeardLane[]> = defineEventSchema({
  type: LANES_HEARD,
  version: 1,
  // Written by `#write` below.
  parse: (payload) =>
    (payload as unknown as readonly Packed[]).map(([origin, path, pos, ord, anchorPos, watermark, lane]) => {
      const where = { origin, path, ...(lane === undefined ? {} : { lane }) };
      return { ...where, durable: { pos, ord }, durableAnchor: { pos: anchorPos, watermark } };
    }),
});

/** What a `LanesHeard` event says of the lanes to other hosts. @throws EVENT-SCHEMA, EVENT-PAYLOAD */
export function heardLanesOf(event: RecordedEvent): readonly HeardLane[] {
  return heardSchema.decode(event);
}

/** What was written down last, under this revision of the graph. */
export async function heardLanes(log: EventLog, stream: string, graphRevision: number): Promise<readonly HeardLane[]> {
  for await (const newest of newestFirst(log, stream, { types: [LANES_HEARD] }))
    return newest.context.graphRevision === graphRevision ? heardLanesOf(newest) : [];
  return [];
}

export interface HeardCursorsOptions {
  readonly log: EventLog;
  readonly stream: string;
  readonly context: Omit<EventContext, "causationId" | "correlationId">;
  readonly env: Env;
}

/** Between two writes; what is heard meanwhile is joined. */
const PAUSE_MS = 100;
/** After one that the log did not take. */
const RETRY_MS = 1000;

export class HeardCursors {
  readonly #options: HeardCursorsOptions;
  readonly #lanes: Map<string, HeardLane>;
  #waiting: { readonly resolve: () => void; readonly reject: (reason: unknown) => void }[] = [];
  #isWriting = false;

  private constructor(options: HeardCursorsOptions, lanes: readonly HeardLane[]) {
    this.#options = options;
    this.#lanes = new Map(lanes.map((lane) => [keyOf(lane.origin, lane.path), lane]));
  }

  /** Reads what was written down under the same graph revision. */
  static async open(options: HeardCursorsOptions): Promise<HeardCursors> {
    const { log, stream, context } = options;
    return new HeardCursors(options, await heardLanes(log, stream, context.graphRevision));
  }

  lane(origin: string, path: number): HeardLane | undefined {
    return this.#lanes.get(keyOf(origin, path));
  }

  /**
   * Resolves when it is durable, which waits while the log takes nothing: whoever told it may say no more, and waits to be answered.
   *
   * @throws what the log throws that will not pass
   */
  note(heard: HeardLane): Promise<void> {
    const key = keyOf(heard.origin, heard.path);
    const known = this.#lanes.get(key);
    if (known === undefined || comparePoints(heard.durable, known.durable) >= 0) this.#lanes.set(key, heard);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      if (!this.#isWriting) void this.#writeAll();
    });
  }

  async #writeAll(): Promise<void> {
    this.#isWriting = true;
    while (this.#waiting.length > 0) {
      const noted = this.#waiting.splice(0);
      let pauseMs = PAUSE_MS;
      try {
        await this.#write();
        for (const { resolve } of noted) resolve();
      } catch (error) {
        if (error instanceof MillraceError && error.kind === "transient") {
          this.#waiting.unshift(...noted);
          pauseMs = error.retryAfterMs ?? RETRY_MS;
        } else for (const { reject } of noted) reject(error);
      }
      await sleep(this.#options.env, pauseMs);
    }
    this.#isWriting = false;
  }

  async #write(): Promise<void> {
    const { log, stream, context, env } = this.#options;
    const id = env.random.bytes(16);
    const lanes = [...this.#lanes.values()].map(({ origin, path, lane, durable, durableAnchor }): Packed => {
      const packed = [origin, path, durable.pos, durable.ord, durableAnchor.pos, durableAnchor.watermark] as const;
      return lane === undefined ? packed : [...packed, lane];
    });
    const event = {
      id,
      type: LANES_HEARD,
      schemaVersion: heardSchema.version,
      context: { ...context, causationId: id, correlationId: id },
      payload: packState(lanes as unknown as StateEvent),
    };
    await log.append([{ stream, expected: "any", events: [event] }]);
  }
}

const keyOf = (origin: string, path: number): string => `${path} ${origin}`;
