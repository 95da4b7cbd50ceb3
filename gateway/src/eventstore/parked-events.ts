/** Events that subscribers could not handle: links to them in a stream of their group, until somebody asks for a replay. */
import { oldestFirst } from "@millrace/engine";
import type { EndpointContext } from "./endpoint-context.ts";
import { type GroupName, groupStreams } from "./group-settings.ts";
import { type LinkTarget, targetOf } from "./link-target.ts";
import { type Author, JSON_TYPE, jsonEvent, LINK_TYPE, METADATA_TYPE } from "./stored-event.ts";
import { firstVisible, metastreamOf } from "./stream-metadata.ts";

/** A parked event that is to be tried again. */
export interface ParkedEvent {
  /** Of the link, in the stream of parked events. */
  readonly revision: number;
  readonly target: LinkTarget;
}

const REPLAY_MAX = 100_000;

export class ParkedEvents {
  readonly #context: EndpointContext;
  readonly #stream: string;

  constructor(context: EndpointContext, name: GroupName) {
    this.#context = context;
    this.#stream = groupStreams(name).parked;
  }

  async park(target: LinkTarget, reason: string, author: Author): Promise<void> {
    const { stateWriter, env } = this.#context;
    const metadata = JSON.stringify({ added: new Date(env.clock.now()).toISOString(), reason });
    const link = {
      id: env.random.bytes(16),
      type: LINK_TYPE,
      contentType: JSON_TYPE,
      metadata: Buffer.from(metadata),
      data: Buffer.from(`${target.revision}@${target.stream}`),
    };
    await stateWriter.append(this.#stream, "any", [link], author);
  }

  async count(): Promise<number> {
    const head = await this.#context.log.head(this.#stream);
    return head + 1 - Math.min(head + 1, await this.#first(head));
  }

  /** Those parked now, oldest first, at most `limit`. */
  async list(limit: number): Promise<readonly ParkedEvent[]> {
    const { log } = this.#context;
    const from = await this.#first(await log.head(this.#stream));
    const parked: ParkedEvent[] = [];
    let left = Math.min(limit, REPLAY_MAX);
    for await (const event of oldestFirst(log, this.#stream, from)) {
      if (left-- <= 0) break;
      const target = targetOf(event);
      if (target !== undefined) parked.push({ revision: event.revision, target });
    }
    return parked;
  }

  /** Nobody needs the links below this revision any more. */
  async truncate(before: number, author: Author): Promise<void> {
    const { stateWriter, env } = this.#context;
    const metadata = jsonEvent(env.random.bytes(16), METADATA_TYPE, JSON.stringify({ $tb: before }));
    await stateWriter.append(metastreamOf(this.#stream), "any", [metadata], author);
  }

  async #first(head: number): Promise<number> {
    return firstVisible((await this.#context.states.of(this.#stream)).metadata, head);
  }
}
