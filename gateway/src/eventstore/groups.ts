/** The persistent subscriptions of a log: made, changed and deleted by events of one stream, which is read once. */
import { type EventLog, oldestFirst, type RecordedEvent } from "@millrace/engine";
import type { EndpointContext } from "./endpoint-context.ts";
import { eventStoreError } from "./errors.ts";
import { Group } from "./group.ts";
import {
  ALL,
  type GroupDefinition,
  type GroupName,
  groupKey,
  groupStreams,
  type WantedGroup,
} from "./group-settings.ts";
import type { Place } from "./read-request.ts";
import { type Author, dataOf, isClientEvent, jsonEvent } from "./stored-event.ts";
import { Turnstile } from "./turnstile.ts";

/** Of the system's own: clients read them and do not write to them. */
export function isGroupState(stream: string): boolean {
  return stream === CONFIG_STREAM || stream.startsWith("$persistentsubscription-");
}

export const CONFIG_STREAM = "$persistentSubscriptionConfig";
const DEFINED = "$GroupDefined";
const DELETED = "$GroupDeleted";
const GROUPS_MAX = 1000;

export class Groups {
  readonly #context: EndpointContext;
  readonly #definitions = new Map<string, GroupDefinition>();
  readonly #open = new Map<string, Promise<Group>>();
  readonly #turnstile = new Turnstile();
  #loaded: Promise<void> | undefined;

  constructor(context: EndpointContext) {
    this.#context = context;
  }

  async list(): Promise<readonly GroupDefinition[]> {
    await this.#load();
    return [...this.#definitions.values()];
  }

  /** @throws EVENTSTORE-GROUP-MISSING */
  async get(name: GroupName): Promise<Group> {
    await this.#load();
    const key = groupKey(name);
    const definition = this.#definitions.get(key);
    if (definition === undefined) throw missing(name);
    let group = this.#open.get(key);
    if (group === undefined) {
      group = Group.open(this.#context, definition);
      this.#open.set(key, group);
      group.catch(() => this.#open.delete(key));
    }
    return group;
  }

  /** @throws EVENTSTORE-GROUP-EXISTS */
  async create(wanted: WantedGroup, author: Author): Promise<void> {
    await this.#change(wanted, async (before) => {
      if (before !== undefined) throw exists(wanted);
      if (this.#definitions.size >= GROUPS_MAX)
        throw eventStoreError("EVENTSTORE-INVALID", `there are ${GROUPS_MAX} persistent subscriptions already`);
      await this.#define({ ...wanted, ...(await this.#beginOf(wanted)) }, author);
    });
  }

  /** Subscribers are ended, and come back to the new settings. @throws EVENTSTORE-GROUP-MISSING */
  async update(wanted: WantedGroup, author: Author): Promise<void> {
    await this.#change(wanted, async (before) => {
      if (before === undefined) throw missing(wanted);
      await this.#close(wanted, "its settings were changed");
      const begin = before.settings.from === wanted.settings.from ? beginIn(before) : await this.#beginOf(wanted);
      await this.#define({ ...wanted, filter: wanted.filter ?? before.filter, ...begin }, author);
    });
  }

  /** @throws EVENTSTORE-GROUP-MISSING */
  async delete(name: GroupName, author: Author): Promise<void> {
    await this.#change(name, async (before) => {
      if (before === undefined) throw missing(name);
      await this.#close(name, "it was deleted");
      await this.#record(DELETED, { stream: name.stream, group: name.group }, author);
      this.#definitions.delete(groupKey(name));
      // A group of the same name begins anew.
      for (const stream of Object.values(groupStreams(name))) await this.#forget(stream, author);
    });
  }

  /** Ends all subscribers; groups open again when somebody comes. */
  async close(reason: string): Promise<void> {
    for (const key of [...this.#open.keys()]) {
      const group = await this.#open.get(key)?.catch(() => undefined);
      this.#open.delete(key);
      await group?.close(reason);
    }
  }

  async #change(name: GroupName, change: (before: GroupDefinition | undefined) => Promise<void>): Promise<void> {
    await this.#load();
    await this.#turnstile.pass("", () => change(this.#definitions.get(groupKey(name))));
  }

  async #define(definition: GroupDefinition, author: Author): Promise<void> {
    await this.#record(DEFINED, definition, author);
    this.#definitions.set(groupKey(definition), definition);
  }

  async #record(type: string, data: object, author: Author): Promise<void> {
    const event = jsonEvent(this.#context.env.random.bytes(16), type, JSON.stringify(data));
    await this.#context.stateWriter.append(CONFIG_STREAM, "any", [event], author);
  }

  async #close(name: GroupName, reason: string): Promise<void> {
    const key = groupKey(name);
    const group = await this.#open.get(key)?.catch(() => undefined);
    this.#open.delete(key);
    await group?.close(reason);
  }

  async #forget(stream: string, author: Author): Promise<void> {
    if ((await this.#context.log.head(stream)) < 0) return;
    await this.#context.stateWriter.delete(stream, "any", author);
  }

  async #beginOf({ stream, settings }: WantedGroup): Promise<Begin> {
    const { streams } = this.#context;
    const begin = await this.#numberOf(stream, settings.from);
    const beginPosition = await streams.positionBehind(stream, begin);
    return beginPosition === undefined ? { begin } : { begin, beginPosition };
  }

  async #numberOf(stream: string, from: Place): Promise<number> {
    if (from === "start") return 0;
    if (from !== "end") return from;
    const { log, streams } = this.#context;
    return stream === ALL ? log.durableEnd : (await streams.head(stream)) + 1;
  }

  #load(): Promise<void> {
    this.#loaded ??= this.#fold().catch((thrown: unknown) => {
      this.#loaded = undefined;
      throw thrown;
    });
    return this.#loaded;
  }

  async #fold(): Promise<void> {
    for (const [key, definition] of await groupDefinitions(this.#context.log)) this.#definitions.set(key, definition);
  }
}

type Begin = Pick<GroupDefinition, "begin" | "beginPosition">;

function beginIn({ begin, beginPosition }: GroupDefinition): Begin {
  return beginPosition === undefined ? { begin } : { begin, beginPosition };
}

/** The groups that there are, by key. */
export async function groupDefinitions(log: EventLog): Promise<Map<string, GroupDefinition>> {
  const definitions = new Map<string, GroupDefinition>();
  for await (const event of oldestFirst(log, CONFIG_STREAM)) {
    const change = groupChange(event);
    if (change?.isDeleted === false) definitions.set(groupKey(change.definition), change.definition);
    else if (change !== undefined) definitions.delete(groupKey(change.definition));
  }
  return definitions;
}

/** What an event of {@link CONFIG_STREAM} says; of a group that is deleted the name only. */
export function groupChange(
  event: RecordedEvent,
): { readonly definition: GroupDefinition; readonly isDeleted: boolean } | undefined {
  if (!isClientEvent(event) || (event.type !== DEFINED && event.type !== DELETED)) return undefined;
  // Written by `Groups` alone: clients may not write to streams of the system's own.
  const definition = JSON.parse(dataOf(event).toString("utf8")) as GroupDefinition;
  return { definition, isDeleted: event.type === DELETED };
}

function missing({ stream, group }: GroupName): Error {
  const details = { stream, group };
  return eventStoreError(
    "EVENTSTORE-GROUP-MISSING",
    `Subscription group ${group} on stream ${stream} does not exist.`,
    {
      details,
    },
  );
}

function exists({ stream, group }: GroupName): Error {
  const details = { stream, group };
  return eventStoreError("EVENTSTORE-GROUP-EXISTS", `Subscription group ${group} on stream ${stream} exists.`, {
    details,
  });
}
