/**
 * What of persistent subscriptions outlives a prune, so that each goes on where it was: their definitions, how far they are done, the
 * links to what they have parked, and the parked events themselves. What a group has yet to read is not carried: it must not go.
 */
import { carryEvents, type Env, type EventLog, oldestFirst, type StreamCarry } from "@millrace/engine";
import { settledUpTo } from "./group-checkpoint.ts";
import { type GroupDefinition, type GroupName, groupKey, groupStreams } from "./group-settings.ts";
import { linkOf } from "./group-source.ts";
import { CONFIG_STREAM, groupChange, groupDefinitions } from "./groups.ts";
import { keptEventName, withKept } from "./kept-event.ts";
import { type LinkTarget, targetOf } from "./link-target.ts";
import { firstVisible } from "./stream-metadata.ts";
import { StreamStates } from "./stream-states.ts";
import { firstUnread, type UnreadContext } from "./unread-events.ts";
import { ServedStreams } from "./virtual-streams.ts";

export interface CarriedGroups {
  readonly carries: readonly StreamCarry[];
  /** Groups that have not read everything, with the position of the oldest event that they need. */
  readonly unread: readonly (GroupName & { readonly position: number })[];
}

/** For a prune of everything below `end`. */
export async function carryGroups(log: EventLog, env: Env, end: number): Promise<CarriedGroups> {
  const context = { log, env, states: new StreamStates(log), streams: new ServedStreams(log) };
  const carries = new Map<string, StreamCarry>();
  const unread: (GroupName & { readonly position: number })[] = [];
  for (const definition of (await groupDefinitions(log)).values()) {
    // Before what is parked: an event is settled once its link is there.
    const place = await settledUpTo(context, definition);
    for (const carry of await new CarriedGroup(context, definition, end).carries()) carries.set(carry.stream, carry);
    const position = await firstUnread(context, definition, place);
    const { stream, group } = definition;
    if (position !== undefined) unread.push({ stream, group, position });
  }
  const definitions = await carryDefinitions(log, end);
  return { carries: [...carries.values(), ...(definitions === undefined ? [] : [definitions])], unread };
}

/** Of a group that is deleted nothing is. */
async function carryDefinitions(log: EventLog, end: number): Promise<StreamCarry | undefined> {
  const deletions = new Set<number>();
  const carry = await carryEvents({ log, stream: CONFIG_STREAM }, end, (event) => {
    const change = groupChange(event);
    if (change?.isDeleted === true) deletions.add(event.position);
    return change && groupKey(change.definition);
  });
  return carry && { ...carry, positions: carry.positions.filter((position) => !deletions.has(position)) };
}

class CarriedGroup {
  readonly #context: UnreadContext;
  readonly #definition: GroupDefinition;
  readonly #end: number;

  constructor(context: UnreadContext, definition: GroupDefinition, end: number) {
    this.#context = context;
    this.#definition = definition;
    this.#end = end;
  }

  async carries(): Promise<readonly StreamCarry[]> {
    const { checkpoint, parked } = groupStreams(this.#definition);
    const carried = [
      await this.#stream(checkpoint, () => "newest"),
      await this.#stream(parked, ({ revision }) => String(revision)),
    ].flatMap((carry) => carry ?? []);
    return [...carried, ...(await this.#parkedEvents(parked))];
  }

  async #stream(
    stream: string,
    key: (event: { readonly revision: number }) => string,
  ): Promise<StreamCarry | undefined> {
    const from = await this.#firstOf(stream);
    const keyOf = (event: { readonly revision: number }): string | undefined =>
      event.revision < from ? undefined : key(event);
    return carryEvents({ log: this.#context.log, stream }, this.#end, keyOf, undefined, from);
  }

  /** Below it is what a group of the same name has left that was deleted, and links that were replayed. */
  async #firstOf(stream: string): Promise<number> {
    const { states, log } = this.#context;
    const head = await log.head(stream);
    return Math.min(head + 1, firstVisible((await states.of(stream)).metadata, head));
  }

  async #parkedEvents(stream: string): Promise<readonly StreamCarry[]> {
    const { log } = this.#context;
    const targets: LinkTarget[] = [];
    for await (const link of oldestFirst(log, stream, await this.#firstOf(stream))) {
      const target = targetOf(link);
      if (target !== undefined) targets.push(target);
    }
    const carries: StreamCarry[] = [];
    const { resolveLinks } = this.#definition.settings;
    for (let target = targets.pop(); target !== undefined; target = targets.pop()) {
      const found = await withKept(log, target, (event) => {
        return { position: event.position, link: linkOf(event, resolveLinks) };
      });
      if (found?.link !== undefined) targets.push(found.link);
      if (found !== undefined && found.position < this.#end)
        carries.push({ stream: keptEventName(target), revision: 0, positions: [found.position], state: undefined });
    }
    return carries;
  }
}
