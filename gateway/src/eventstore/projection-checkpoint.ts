/**
 * The checkpoints of a projection: events of a stream of its own, each with the states that changed since the one before; now and then
 * one has them all. A checkpoint and what the projection writes because of the same events are one append.
 */
import type { Json, StreamAppend } from "@millrace/engine";
import type { ScriptStates } from "@millrace/projections";
import type { EndpointContext } from "./endpoint-context.ts";
import { checkpointStream, type ProjectionDefinition } from "./projection-definition.ts";
import { type Author, dataOf, isClientEvent, jsonEvent, storedEvent } from "./stored-event.ts";

const CHECKPOINT_TYPE = "$ProjectionCheckpoint";
/** Checkpoints of changes only, at most, between two of everything. */
const CHANGES_MAX = 100;

interface Written extends ScriptStates {
  readonly epoch: number;
  /** The first position that was not handled. */
  readonly next: number;
  /** True when these are all states there are. */
  readonly isWhole: boolean;
  readonly handled: number;
}

export interface Recovered {
  readonly states: ScriptStates;
  readonly next: number;
  readonly handled: number;
}

export class ProjectionCheckpoint {
  readonly #context: EndpointContext;
  readonly #definition: ProjectionDefinition;
  readonly #author: Author;
  #revision = -1;
  #changes = 0;

  constructor(context: EndpointContext, definition: ProjectionDefinition, author: Author) {
    this.#context = context;
    this.#definition = definition;
    this.#author = author;
  }

  /** As it was last written in this epoch; nothing when it never was. */
  async recover(): Promise<Recovered | undefined> {
    const stream = checkpointStream(this.#definition.name);
    const written: Written[] = [];
    this.#revision = await this.#context.log.head(stream);
    reading: for await (const batch of this.#context.log.readStream(stream, { direction: "backward" })) {
      for (const event of batch) {
        if (!isClientEvent(event) || event.type !== CHECKPOINT_TYPE) continue;
        // Written by this class alone: clients may not write to streams of the system's own.
        const one = JSON.parse(dataOf(event).toString("utf8")) as Written;
        if (one.epoch !== this.#definition.epoch) break reading;
        written.push(one);
        if (one.isWhole) break reading;
      }
    }
    const [last] = written;
    if (last === undefined) return undefined;
    this.#changes = written.length - 1;
    const states = new Map<string, Json>();
    for (const one of written.reverse()) for (const [partition, state] of one.states) states.set(partition, state);
    return { states: { ...shared(last), states: [...states] }, next: last.next, handled: last.handled };
  }

  /** True when the next checkpoint must have all states. */
  get wantsWhole(): boolean {
    return this.#revision < 0 || this.#changes >= CHANGES_MAX;
  }

  /** One append with whatever else comes of the same events. @throws LOG-WRONG-REVISION somebody else runs the projection */
  async write(next: number, handled: number, states: ScriptStates, others: readonly StreamAppend[]): Promise<void> {
    const { epoch, name } = this.#definition;
    const isWhole = this.wantsWhole;
    const data: Written = { epoch, next, isWhole, handled, ...states };
    const event = jsonEvent(this.#context.env.random.bytes(16), CHECKPOINT_TYPE, JSON.stringify(data));
    const checkpoint: StreamAppend = {
      stream: checkpointStream(name),
      expected: this.#revision < 0 ? "none" : this.#revision,
      events: [storedEvent(event, this.#author)],
    };
    await this.#context.log.append([checkpoint, ...others]);
    this.#revision += 1;
    this.#changes = isWhole ? 0 : this.#changes + 1;
  }
}

function shared({ shared: value }: ScriptStates): Pick<ScriptStates, "shared"> {
  return value === undefined ? {} : { shared: value };
}
