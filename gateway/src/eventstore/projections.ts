/** The projections of a log: made, changed and deleted by events of one stream, and at work whenever the endpoint is open. */

import { oldestFirst } from "@millrace/engine";
import { openProjectionScript, type ScriptThread } from "@millrace/projections";
import pLimit from "p-limit";
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
const COUNT_MAX = 100;
/** Threads at work on scripts that are not a projection's yet, whatever number of requests there is. */
const COMPILING_MAX = 4;
/** No projection has this name. */
const ADMISSION = "";

export class Projections {
  readonly #context: EndpointContext;
  readonly #running = new Map<string, RunningProjection>();
  readonly #turnstile = new Turnstile();
  readonly #compiling = pLimit(COMPILING_MAX);
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
    await this.#change(wanted.name, async (before) => {
      if (before !== undefined) throw exists(wanted.name);
      this.#mustHaveRoom();
      const projection = await this.#compiled(wanted.query, (script) => this.#admit(wanted, author, script));
      await this.#begin(projection);
    });
  }

  /** It goes on from its checkpoint, with the states it has. @throws EVENTSTORE-PROJECTION-MISSING, PROJECTION-SCRIPT */
  async update(
    name: string,
    changes: Partial<Pick<ProjectionDefinition, "query" | "emitEnabled">>,
    author: Author,
  ): Promise<void> {
    await this.#change(name, async (before) => {
      if (before === undefined) throw missing(name);
      const query = changes.query ?? before.definition.query;
      const projection = await this.#compiled(query, (script) =>
        this.#replace(before, { ...before.definition, ...changes }, author, script),
      );
      await this.#begin(projection);
    });
  }

  /** @throws EVENTSTORE-PROJECTION-MISSING */
  async enable(name: string, author: Author): Promise<void> {
    await this.#change(name, async (before) => {
      if (before === undefined) throw missing(name);
      if (before.state === "Running") return;
      await this.#begin(
        await this.#replace(before, { ...before.definition, isEnabled: true, isCompleted: false }, author),
      );
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
      await this.#begin(await this.#define({ ...before.definition, isCompleted: false, epoch }, author));
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
        if (before === undefined) return;
        await before.close();
        await this.#begin(this.#place(before.definition));
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

  /** The thread that compiled the script is the projection's from then on, or ends. */
  #compiled(query: string, use: (script: ScriptThread) => Promise<RunningProjection>): Promise<RunningProjection> {
    return this.#compiling(async () => {
      const { env, projectionLimits } = this.#context;
      const script = await openProjectionScript(query, { env, ...projectionLimits });
      try {
        return await use(script);
      } catch (thrown) {
        await script.close();
        throw thrown;
      }
    });
  }

  /** Between looking whether there is room and taking it no other may pass. */
  #admit(
    wanted: Parameters<Projections["create"]>[0],
    author: Author,
    script: ScriptThread,
  ): Promise<RunningProjection> {
    return this.#turnstile.pass(ADMISSION, async () => {
      this.#mustHaveRoom();
      // Streams of one that had the name before are not read: their epoch is another.
      const epoch = Math.max(0, this.#context.log.durableEnd);
      return await this.#define({ ...wanted, isEnabled: true, epoch, version: 1 }, author, script);
    });
  }

  #mustHaveRoom(): void {
    const { countMax = COUNT_MAX } = this.#context.projectionLimits;
    if (this.#running.size >= countMax)
      throw eventStoreError("EVENTSTORE-INVALID", `there are ${countMax} projections already`);
  }

  async #replace(
    before: RunningProjection,
    definition: ProjectionDefinition,
    author: Author,
    script?: ScriptThread,
  ): Promise<RunningProjection> {
    await before.close();
    return await this.#define({ ...definition, version: definition.version + 1 }, author, script);
  }

  async #define(definition: ProjectionDefinition, author: Author, script?: ScriptThread): Promise<RunningProjection> {
    if (definition.mode !== "Transient") await this.#record(DEFINED, definition, author);
    return this.#place(definition, script);
  }

  #place(definition: ProjectionDefinition, script?: ScriptThread): RunningProjection {
    const completed = (): void => {
      // What is not recorded because everything is closing is found out again: nothing is left to handle.
      void this.#completed(definition.name).catch(() => undefined);
    };
    const projection = new RunningProjection(this.#context, definition, completed, script);
    this.#running.set(definition.name, projection);
    return projection;
  }

  async #begin(projection: RunningProjection): Promise<void> {
    const { isEnabled, isCompleted } = projection.definition;
    await projection.start();
    if (!isEnabled) await projection.stop();
    else if (isCompleted === true) await projection.stop("Completed");
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
    for await (const event of oldestFirst(this.#context.log, CONFIG_STREAM)) {
      if (!isClientEvent(event)) continue;
      // Written by this class alone: clients may not write to streams of the system's own.
      const definition = JSON.parse(dataOf(event).toString("utf8")) as ProjectionDefinition;
      if (event.type === DEFINED) definitions.set(definition.name, definition);
      else if (event.type === DELETED) definitions.delete(definition.name);
    }
    for (const definition of definitions.values()) await this.#begin(this.#place(definition));
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
