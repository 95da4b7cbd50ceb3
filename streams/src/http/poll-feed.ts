/**
 * A web address that is asked now and then for what is new, as a feed with a cursor: where to ask next is committed in one step with what
 * was read, so a crash neither loses nor repeats a message of a service that pages or takes a cursor. Connecting is asking: a service that
 * fails is asked again as the resilience layer says, and not before it wants to be. The next page is asked for once the last one is
 * durable, so one answer at a time is in memory.
 */
import { type Env, type Feed, type FeedIntake, type FeedItem, isJsonObject, type Json } from "@millrace/engine";
import { Connection } from "../resilience/connection.ts";
import type { ResiliencePolicy } from "../resilience/policy.ts";
import { resilientFeed } from "../resilience/resilient-feed.ts";
import { type DocumentOptions, readDocument } from "./poll-document.ts";
import {
  addressAt,
  conditionsAt,
  isKnown,
  type PlaceOptions,
  type PollPlace,
  placeAfter,
  placeOf,
} from "./poll-place.ts";
import { type PollSchedule, waitForPoll } from "./poll-schedule.ts";
import { DEADLINE_MS, WebCaller, type WebCallOptions } from "./web-caller.ts";

export interface PollOptions
  extends WebCallOptions,
    Omit<DocumentOptions, "name">,
    Omit<PlaceOptions, "name" | "url" | "secrets"> {
  readonly schedule: PollSchedule;
  readonly policy?: Partial<ResiliencePolicy> | undefined;
}

/** The client's own time is up before that of the layer, and says more. */
const MARGIN_MS = 1000;

export function pollFeed(options: PollOptions, env: Env): Feed {
  const caller = new WebCaller(options, env);
  const poll = new Poll(options, caller, env);
  const connection = new Connection<PollLink>({
    name: caller.name,
    endpoints: [caller.name],
    env,
    policy: { ...options.policy, connectTimeoutMs: (options.deadlineMs ?? DEADLINE_MS) + MARGIN_MS },
    driver: {
      connect: async (_, signal) => {
        signal.addEventListener("abort", () => void caller.close(), { once: true });
        return new PollLink(await poll.ask());
      },
      // It was there when it was asked last; asking oftener is not what the graph says.
      probe: () => Promise.resolve(),
      ended: (link) => link.ended,
      async disconnect(link) {
        link.end(undefined);
        await caller.close();
      },
    },
  });
  const feed = resilientFeed(
    connection,
    { ready: (signal) => poll.due(signal), listen: (link, intake) => poll.follow(link, intake) },
    env,
  );
  return {
    capabilities: { resume: true, ordered: true, pause: true },
    connection: () => feed.connection(),
    run(intake, signal) {
      poll.startAt(intake.cursor);
      return feed.run(intake, signal);
    },
  };
}

/** A service that answered, until it fails to. */
class PollLink {
  readonly ended: Promise<unknown>;
  readonly #ending = new AbortController();
  #first: Page | undefined;
  #end: (reason: unknown) => void = () => undefined;

  constructor(first: Page) {
    this.#first = first;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  /** The answer to the question that made it, once. */
  takeFirst(): Page | undefined {
    const first = this.#first;
    this.#first = undefined;
    return first;
  }

  end(reason: unknown): void {
    this.#end(reason);
    this.#ending.abort();
  }
}

/** What was read at a place, and where that leads. */
interface Page {
  readonly items: readonly FeedItem[];
  readonly place: PollPlace;
  /** Whether there may be more now. */
  readonly hasMore: boolean;
}

class Poll {
  readonly #options: PollOptions;
  readonly #caller: WebCaller;
  readonly #env: Env;
  readonly #known: PlaceOptions & DocumentOptions;
  #place: PollPlace = {};
  #isFirst = true;
  /** It is time, and nothing was had for it yet. */
  #isDue = false;

  constructor(options: PollOptions, caller: WebCaller, env: Env) {
    this.#options = options;
    this.#caller = caller;
    this.#env = env;
    this.#known = { ...options, name: caller.name };
  }

  startAt(cursor: Json | undefined): void {
    this.#place = placeOf(cursor);
    this.#isFirst = true;
    this.#isDue = false;
  }

  async due(signal: AbortSignal): Promise<void> {
    if (!this.#isDue) await waitForPoll(this.#options.schedule, this.#isFirst, this.#env, signal);
    this.#isFirst = false;
    this.#isDue = true;
  }

  /** What is new; nothing if the service says that nothing is. @throws what asking, and going on from the answer, throw */
  async ask(): Promise<Page> {
    const before = this.#place;
    const address = addressAt(before, this.#known);
    const accept =
      this.#options.format === "ndjson" ? "application/x-ndjson" : "application/json, application/x-ndjson";
    const answer = await this.#caller.get(address, { accept, ...conditionsAt(before, address) });
    if (answer.status === 304 || isKnown(before, address, answer)) return { items: [], place: before, hasMore: false };
    const document = readDocument(answer, this.#known);
    const place = placeAfter(before, { address, answer, document }, this.#known);
    const items = document.items.slice(document.hasNoList === true ? 0 : before.taken);
    const hasMore = items.length > 0 && (place.url !== before.url || place.value !== before.value);
    return { items, place, hasMore };
  }

  /** Takes what is new until the service fails or the connection is given up. */
  async follow(link: PollLink, intake: FeedIntake): Promise<void> {
    try {
      while (!link.signal.aborted) {
        const page = link.takeFirst() ?? (await this.#next(link));
        await this.#take(page, intake, link);
        this.#isDue = page.hasMore;
      }
    } catch (reason) {
      link.end(reason);
    }
  }

  async #next(link: PollLink): Promise<Page> {
    await this.due(link.signal);
    return this.ask();
  }

  async #take({ items, place }: Page, intake: FeedIntake, link: PollLink): Promise<void> {
    const { signal } = link;
    if (signal.aborted) return;
    const before = this.#place;
    this.#place = place;
    const hasMoved = place.url !== before.url || place.value !== before.value;
    if (items.length === 0 && !hasMoved) return;
    await new Promise<void>((resolve) => {
      const settle = (): void => {
        signal.removeEventListener("abort", settle);
        resolve();
      };
      signal.addEventListener("abort", settle);
      intake.takeGroup({ items, cursor: cursorOf(place), settle });
    });
  }
}

/** Plain data, without what is absent. */
function cursorOf(place: PollPlace): Json {
  const cursor: Json = { ...place };
  if (!isJsonObject(cursor)) throw new Error("a place is an object");
  return cursor;
}
