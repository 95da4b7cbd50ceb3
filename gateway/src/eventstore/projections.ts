/** The projections of a log: made, changed and deleted by events of one stream, and at work whenever the endpoint is open. */

import { openProjectionScript } from "@millrace/projections";
import type { EndpointContext } from "./endpoint-context.ts";
import { eventStoreError } from "./errors.ts";
import {
  checkpointStream,
  emittedStream,
  PROJECTION_STREAMS,
  type ProjectionDefinition,
  projectionPrincipal,
  resultStream,
} from "./projection-definition.ts";
import { RunningProjection } from "./running-projection.ts";
import { type Author, dataOf, isClientEvent, jsonEvent } from "./stored-event.ts";
import { Turnstile } from "./turnstile.ts";

const CONFIG_STREAM = `${PROJECTION_STREAMS}$all`;
const DEFINED = "$ProjectionDefined";
const DELETED = "$ProjectionDeleted";
const PROJECTIONS_MAX = 100;
/** No projection has this name. */
const ANY_SCRIPT = "";

export class Projections {
  readonly #context: EndpointContext;
  readonly #running = new Map<string, RunningProjection>();
  readonly #turnstile = new Turnstile();
  #loaded: Promise<void> | undefined;

  constructor(context: EndpointContext) {
    this.#context = context;
  }

  /** Those that are enabled begin to work. A failure is told to whoever asks next. */
  open(): Promise<void> {
    this.#loaded ??= this.#load().catch((thrown: unknown) => {
      this.#loaded = undefined;
      throw thrown;
    });
    return this.#loaded;
  }

  async list(): Promise<readonly RunningProjection[]> {
    await this.open();
    return [...this.#running.values()];
  }

  /** @throws EVENTSTORE-PROJECTION-MISSING */
  async get(name: string): Promise<RunningProjection> {
    await this.open();
    const found = this.#running.get(name);
    if (found === undefined) throw missing(name);
    return found;
  }

  /** @throws EVENTSTORE-PROJECTION-EXISTS, PROJECTION-SCRIPT */
  async create(
    wanted: Pick<ProjectionDefinition, "name" | "query" | "mode" | "emitEnabled" | "trackEmittedStreams">,
    author: Author,
  ): Promise<void> {
    await this.#compiling(wanted.name, async (before) => {
      if (before !== undefined) throw exists(wanted.name);
      if (this.#running.size >= PROJECTIONS_MAX)
        throw eventStoreError("EVENTSTORE-INVALID", `there are ${PROJECTIONS_MAX} projections already`);
      await this.#mustCompile(wanted.query);
      // Streams of one that had the name before are not read: their epoch is another.
      const epoch = Math.max(0, this.#context.log.durableEnd);
      await this.#define({ ...wanted, isEnabled: true, epoch, version: 1 }, author);
    });
  }

  /** It goes on from its checkpoint, with the states it has. @throws EVENTSTORE-PROJECTION-MISSING, PROJECTION-SCRIPT */
  async update(
    name: string,
    changes: Partial<Pick<ProjectionDefinition, "query" | "emitEnabled">>,
    author: Author,
  ): Promise<void> {
    await this.#compiling(name, async (before) => {
      if (before === undefined) throw missing(name);
      if (changes.query !== undefined) await this.#mustCompile(changes.query);
      await this.#replace(before, { ...before.definition, ...changes }, author);
    });
  }

  /** @throws EVENTSTORE-PROJECTION-MISSING */
  async enable(name: string, author: Author): Promise<void> {
    await this.#change(name, async (before) => {
      if (before === undefined) throw missing(name);
      if (before.state === "Running") return;
      await this.#replace(before, { ...before.definition, isEnabled: true, isCompleted: false }, author);
    });
  }

  /** @throws EVENTSTORE-PROJECTION-MISSING */
  async disable(name: string, state: "Stopped" | "Aborted", author: Author): Promise<void> {
    await this.#change(name, async (before) => {
      if (before === undefined) throw missing(name);
      await before.stop(state);
      if (!before.definition.isEnabled) return;
      const definition = { ...before.definition, isEnabled: false };
      await this.#record(DEFINED, definition, author);
      before.definition = definition;
    });
  }

  /** Everything begins anew; what it emitted stays. @throws EVENTSTORE-PROJECTION-MISSING */
  async reset(name: string, author: Author): Promise<void> {
    await this.#change(name, async (before) => {
      if (before === undefined) throw missing(name);
      await before.close();
      const epoch = before.definition.epoch + 1;
      await this.#define({ ...before.definition, isCompleted: false, epoch }, author);
    });
  }

  /** @throws EVENTSTORE-PROJECTION-MISSING; EVENTSTORE-INVALID it is at work */
  async delete(
    name: string,
    streams: { readonly state: boolean; readonly checkpoint: boolean; readonly emitted: boolean },
    author: Author,
  ): Promise<void> {
    await this.#change(name, async (before) => {
      if (before === undefined) throw missing(name);
      if (before.state === "Running")
        throw eventStoreError("EVENTSTORE-INVALID", `the projection ${name} is running: disable it first`);
      const emitted = streams.emitted ? await before.emitted() : [];
      await before.close();
      if (before.definition.mode !== "Transient") await this.#record(DELETED, { name }, author);
      this.#running.delete(name);
      const gone = [
        ...(streams.state ? [resultStream(name, "")] : []),
        ...(streams.checkpoint ? [checkpointStream(name)] : []),
        ...(streams.emitted ? [...emitted, emittedStream(name)] : []),
      ];
      for (const stream of gone)
        if ((await this.#context.log.head(stream)) >= 0) await this.#context.stateWriter.delete(stream, "any", author);
    });
  }

  /** Stops all and starts those that are enabled again, from their checkpoints; transient ones keep only their definition. */
  async restart(): Promise<void> {
    await this.open();
    for (const name of [...this.#running.keys()])
      await this.#change(name, async (before) => {
        if (before !== undefined) await this.#start(before.definition, before);
      });
  }

  async close(): Promise<void> {
    await this.#loaded?.catch(() => undefined);
    for (const projection of this.#running.values()) await projection.close();
  }

  async #change(name: string, change: (before: RunningProjection | undefined) => Promise<void>): Promise<void> {
    await this.open();
    await this.#turnstile.pass(name, () => change(this.#running.get(name)));
  }

  /** One script after another is tried, so that no number of requests makes more than one thread. */
  #compiling(name: string, change: (before: RunningProjection | undefined) => Promise<void>): Promise<void> {
    return this.#turnstile.pass(ANY_SCRIPT, () => this.#change(name, change));
  }

  async #mustCompile(query: string): Promise<void> {
    const script = await openProjectionScript(query, { env: this.#context.env });
    await script.close();
  }

  async #replace(before: RunningProjection, definition: ProjectionDefinition, author: Author): Promise<void> {
    await before.close();
    await this.#define({ ...definition, version: definition.version + 1 }, author);
  }

  async #define(definition: ProjectionDefinition, author: Author): Promise<void> {
    if (definition.mode !== "Transient") await this.#record(DEFINED, definition, author);
    await this.#start(definition, undefined);
  }

  async #start(definition: ProjectionDefinition, before: RunningProjection | undefined): Promise<void> {
    await before?.close();
    const projection = new RunningProjection(this.#context, definition, () => {
      // What is not recorded because everything is closing is found out again: nothing is left to handle.
      void this.#completed(definition.name).catch(() => undefined);
    });
    this.#running.set(definition.name, projection);
    await projection.start();
    if (!definition.isEnabled) await projection.stop();
    else if (definition.isCompleted === true) await projection.stop("Completed");
  }

  async #completed(name: string): Promise<void> {
    await this.#change(name, async (before) => {
      if (before?.state !== "Completed") return;
      const definition = { ...before.definition, isCompleted: true };
      const author = { principal: projectionPrincipal(name), codeVersion: this.#context.version };
      await this.#record(DEFINED, definition, author);
      before.definition = definition;
    });
  }

  async #record(type: string, data: object, author: Author): Promise<void> {
    const event = jsonEvent(this.#context.env.random.bytes(16), type, JSON.stringify(data));
    await this.#context.stateWriter.append(CONFIG_STREAM, "any", [event], author);
  }

  async #load(): Promise<void> {
    const definitions = new Map<string, ProjectionDefinition>();
    for await (const batch of this.#context.log.readStream(CONFIG_STREAM)) {
      for (const event of batch.filter(isClientEvent)) {
        // Written by this class alone: clients may not write to streams of the system's own.
        const definition = JSON.parse(dataOf(event).toString("utf8")) as ProjectionDefinition;
        if (event.type === DEFINED) definitions.set(definition.name, definition);
        else if (event.type === DELETED) definitions.delete(definition.name);
      }
    }
    for (const definition of definitions.values()) await this.#start(definition, undefined);
  }
}

function missing(name: string): Error {
  return eventStoreError("EVENTSTORE-PROJECTION-MISSING", `Projection ${name} not found: NotFound`, {
    details: { name },
  });
}

function exists(name: string): Error {
  return eventStoreError("EVENTSTORE-PROJECTION-EXISTS", `Projection ${name} exists: Conflict`, { details: { name } });
}
