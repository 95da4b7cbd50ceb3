/** What a projection writes: events it emits, links, results. Everything of one batch becomes part of one append. */
import { createHash } from "node:crypto";
import type { Json, StreamAppend } from "@millrace/engine";
import type { ScriptBatch, ScriptEffect, ScriptSource } from "@millrace/projections";
import type { EndpointContext } from "./endpoint-context.ts";
import { eventStoreError } from "./errors.ts";
import { emittedStream, isProjectionState, type ProjectionDefinition, resultStream } from "./projection-definition.ts";
import {
  type Author,
  type ClientEvent,
  dataOf,
  JSON_TYPE,
  jsonEvent,
  LINK_TYPE,
  METADATA_TYPE,
  mustBeWritableType,
  storedEvent,
} from "./stored-event.ts";
import { isMetastream, isSoftDeleted, metastreamOf, revivedMetadata, subjectOf } from "./stream-metadata.ts";

const REFERENCE_TYPE = "$@";
const RESULT_TYPE = "Result";
/** Streams that are known to be tracked, at most; tracked again, a stream is still there once. */
const TRACKED_KEPT = 65_536;

export class ProjectionOutput {
  readonly #context: EndpointContext;
  readonly #definition: ProjectionDefinition;
  readonly #author: Author;
  readonly #tracked = new Set<string>();

  constructor(context: EndpointContext, definition: ProjectionDefinition, author: Author) {
    this.#context = context;
    this.#definition = definition;
    this.#author = author;
  }

  /**
   * @param upTo position of the last event of the batch; with the projection's name and epoch it makes the ids, so that a batch that
   *   is handled again writes the same events
   * @throws EVENTSTORE-DENIED, EVENTSTORE-DELETED, EVENTSTORE-INVALID what a script may not write
   */
  async appends(upTo: number, batch: ScriptBatch, source: ScriptSource): Promise<readonly StreamAppend[]> {
    const { effects, changed } = batch;
    if (effects.length > 0 && !this.#definition.emitEnabled)
      throw eventStoreError("EVENTSTORE-INVALID", "the projection emits events, which its definition does not allow");
    const streams = new Map<string, ClientEvent[]>();
    let drawn = 0;
    const add = (stream: string, event: Omit<ClientEvent, "id">): void => {
      const events = streams.get(stream) ?? [];
      streams.set(stream, events);
      events.push({ ...event, id: this.#id(upTo, drawn++) });
    };
    for (const effect of effects) {
      if (isProjectionState(effect.stream)) throw ofTheSystem(effect.stream);
      add(effect.stream, emitted(effect));
    }
    if (source.outputs && this.#definition.mode !== "Transient")
      for (const [partition, , result] of changed) {
        const stream = this.#resultStream(partition, source);
        if (isProjectionState(stream) && stream !== resultStream(this.#definition.name, partition))
          throw ofTheSystem(stream);
        add(stream, jsonEvent(new Uint8Array(), RESULT_TYPE, JSON.stringify(result)));
      }
    const appends: StreamAppend[] = [];
    for (const [stream, events] of streams) appends.push(...(await this.#append(stream, events)));
    return [...appends, ...this.#tracking([...streams.keys()])];
  }

  /** To be called once these appends are durable: what is known of their streams may be of before. */
  wrote(appends: readonly StreamAppend[]): void {
    for (const { stream } of appends) if (isMetastream(stream)) this.#context.states.forget(subjectOf(stream));
  }

  /** Streams that it has written to, as far as they were tracked. */
  async tracked(): Promise<readonly string[]> {
    const streams = new Set<string>();
    for await (const batch of this.#context.log.readStream(emittedStream(this.#definition.name)))
      for (const event of batch) streams.add(JSON.parse(dataOf(event).toString("utf8")) as string);
    return [...streams];
  }

  async #append(stream: string, events: readonly ClientEvent[]): Promise<readonly StreamAppend[]> {
    const { writer, states, log, env } = this.#context;
    const state = isProjectionState(stream) ? await states.of(stream) : await writer.mustBeWritable(stream);
    const append: StreamAppend = {
      stream,
      expected: "any",
      events: events.map((one) => storedEvent(one, this.#author)),
    };
    if (!isSoftDeleted(state.metadata)) return [append];
    const json = revivedMetadata(state.metadata, (await log.head(stream)) + 1);
    const metadata = storedEvent(jsonEvent(env.random.bytes(16), METADATA_TYPE, json), this.#author);
    return [{ stream: metastreamOf(stream), expected: state.metadataHead, events: [metadata] }, append];
  }

  #tracking(streams: readonly string[]): readonly StreamAppend[] {
    const fresh = streams.filter((stream) => !isProjectionState(stream) && !this.#tracked.has(stream));
    if (!this.#definition.trackEmittedStreams || fresh.length === 0) return [];
    if (this.#tracked.size + fresh.length > TRACKED_KEPT) this.#tracked.clear();
    for (const stream of fresh) this.#tracked.add(stream);
    const events = fresh.map((stream) => {
      const event = jsonEvent(this.#context.env.random.bytes(16), "$StreamTracked", JSON.stringify(stream));
      return storedEvent(event, this.#author);
    });
    return [{ stream: emittedStream(this.#definition.name), expected: "any", events }];
  }

  #resultStream(partition: string, { options }: ScriptSource): string {
    const { resultStreamName, partitionResultStreamNamePattern } = options;
    if (partition === "") return resultStreamName ?? resultStream(this.#definition.name, "");
    if (partitionResultStreamNamePattern !== undefined)
      return partitionResultStreamNamePattern.replaceAll("{0}", partition);
    return resultStreamName === undefined
      ? resultStream(this.#definition.name, partition)
      : `${resultStreamName}-${partition}`;
  }

  #id(upTo: number, index: number): Uint8Array {
    const { name, epoch } = this.#definition;
    return createHash("sha256").update(`${name}\n${epoch}\n${upTo}\n${index}`).digest().subarray(0, 16);
  }
}

function ofTheSystem(stream: string): Error {
  const options = { details: { stream }, place: { stream } };
  return eventStoreError("EVENTSTORE-DENIED", `Access denied: stream ${stream} is the system's own.`, options);
}

function emitted({ type, body, link, reference, metadata }: ScriptEffect): Omit<ClientEvent, "id"> {
  const bytes = metadata === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(metadata), "utf8");
  const pointer = link ?? reference;
  if (pointer !== undefined) {
    const data = Buffer.from(pointer, "utf8");
    return { type: link === undefined ? REFERENCE_TYPE : LINK_TYPE, contentType: JSON_TYPE, metadata: bytes, data };
  }
  mustBeWritableType(type ?? "");
  const data = Buffer.from(JSON.stringify(body ?? (null satisfies Json)), "utf8");
  return { type: type ?? "", contentType: JSON_TYPE, metadata: bytes, data };
}
