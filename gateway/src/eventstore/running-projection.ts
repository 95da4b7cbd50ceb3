/**
 * One projection at work: it follows the log, hands events to its script in batches and appends what comes of each batch together with
 * the checkpoint, so that after a crash every event has had its effect once. What fails stops it; it goes on from its checkpoint
 * when it is enabled again.
 */
import { type Json, MillraceError, messageOf, type RecordedEvent, sleep } from "@millrace/engine";
import { openProjectionScript, type ScriptBatch, type ScriptEvent, type ScriptThread } from "@millrace/projections";
import type { EndpointContext } from "./endpoint-context.ts";
import { eventStoreError } from "./errors.ts";
import { withKept } from "./kept-event.ts";
import { type LinkTarget, targetOf } from "./link-target.ts";
import { ProjectionCheckpoint } from "./projection-checkpoint.ts";
import { type ProjectionDefinition, projectionPrincipal } from "./projection-definition.ts";
import { scriptEvent, sourceFilter, sourceTest } from "./projection-events.ts";
import { ProjectionOutput } from "./projection-output.ts";
import { dataOf, isClientEvent, LINK_TYPE } from "./stored-event.ts";

export type ProjectionState = "Starting" | "Running" | "Stopped" | "Aborted" | "Completed" | "Faulted";

const BATCH_EVENTS_MAX = 64;
/** Positions after which a checkpoint says that nothing was there, so that a restart does not look again. */
const IDLE_POSITIONS_MAX = 10_000;
const RETRY_MS = 1000;
/** A script words its own errors. */
const REASON_CHARS_MAX = 2000;

/** An event that was taken out of its batch. */
interface Taken {
  readonly position: number;
  readonly event: ScriptEvent;
  /** What it points at, when links are followed and it is one. */
  readonly target: ReturnType<typeof targetOf>;
}

export class RunningProjection {
  definition: ProjectionDefinition;
  state: ProjectionState = "Starting";
  reason = "";
  /** The first position that was not handled. */
  next = 0;
  /** The same, as it was last written. */
  checkpoint = 0;
  handled = 0;
  readonly #context: EndpointContext;
  readonly #checkpoints: ProjectionCheckpoint;
  readonly #output: ProjectionOutput;
  readonly #ending = new AbortController();
  #script: ScriptThread | undefined;
  #isHandling = false;
  /** Who waits for the batch in hand to be durable. */
  #asking: (() => void)[] = [];
  #ended: Promise<void> = Promise.resolve();

  readonly #completed: () => void;

  /**
   * @param completed is called when a one-time projection has reached its end
   * @param script the definition's, when it is compiled already: it is the projection's from here on
   */
  constructor(
    context: EndpointContext,
    definition: ProjectionDefinition,
    completed: () => void,
    script?: ScriptThread,
  ) {
    this.#completed = completed;
    this.#script = script;
    const author = { principal: projectionPrincipal(definition.name), codeVersion: context.version };
    this.definition = definition;
    this.#context = context;
    this.#checkpoints = new ProjectionCheckpoint(context, definition, author);
    this.#output = new ProjectionOutput(context, definition, author);
  }

  /** Partitions that have a state, as far as events came since it was started. */
  partitions = 0;

  /** Resolves once it has its state and reads on. */
  async start(): Promise<void> {
    try {
      await this.#recover();
    } catch (thrown) {
      this.#fault(thrown);
      return;
    }
    this.state = "Running";
    this.#ended = this.#run().then(
      () => this.#end(this.state === "Running" ? "Stopped" : this.state),
      (thrown: unknown) => (this.#ending.signal.aborted ? this.#end("Stopped") : this.#fault(thrown)),
    );
  }

  /** Nothing is handled after this resolves. The state stays to be asked for. */
  async stop(state: "Stopped" | "Aborted" | "Completed" = "Stopped"): Promise<void> {
    const wasAtWork = this.state === "Running" || this.state === "Starting";
    this.#ending.abort();
    await this.#ended;
    if (wasAtWork && this.state !== "Faulted" && this.state !== "Completed") this.#end(state);
  }

  /** Frees what it holds; nothing can be asked afterwards. */
  async close(): Promise<void> {
    await this.stop();
    const script = this.#script;
    this.#script = undefined;
    await script?.close();
  }

  async stateOf(partition: string): Promise<Json> {
    return (await this.#asked(partition)).state ?? {};
  }

  async resultOf(partition: string): Promise<Json> {
    return (await this.#asked(partition)).result ?? {};
  }

  /** Streams to delete with it. */
  emitted(): Promise<readonly string[]> {
    return this.#output.tracked();
  }

  /** While a batch is in hand the script is ahead of what is durable, so the answer waits for its append. */
  async #asked(partition: string): Promise<{ readonly state?: Json; readonly result?: Json }> {
    if (this.#isHandling) await new Promise<void>((resolve) => this.#asking.push(resolve));
    return (await this.#script?.state(partition)) ?? {};
  }

  async #recover(): Promise<void> {
    const { query, mode } = this.definition;
    const recovered = mode === "Transient" ? undefined : await this.#checkpoints.recover();
    const { env, projectionLimits } = this.#context;
    this.#script ??= await openProjectionScript(query, { env, ...projectionLimits });
    const script = this.#script;
    if (recovered !== undefined) {
      await script.load(recovered.states);
      this.partitions = recovered.states.states.length;
      this.next = recovered.next;
      this.checkpoint = recovered.next;
      this.handled = recovered.handled;
    }
    await script.begin();
  }

  async #run(): Promise<void> {
    const { log } = this.#context;
    const { name, mode } = this.definition;
    const script = this.#mustHaveScript();
    const filter = sourceFilter(script.source);
    const passes = sourceTest(name, script.source);
    const end = mode === "OneTime" ? log.durableEnd : Number.POSITIVE_INFINITY;
    const { signal } = this.#ending;
    // One that has handled nothing yet begins with the first event that there is.
    if (this.next === 0) this.next = log.base ?? 0;
    if (this.next < end)
      for await (const batch of log.subscribe({ from: this.next, ...(filter && { filter }), signal })) {
        const taken = batch.events
          .filter((event) => event.position < end && passes(event))
          .map((event) => this.#take(event));
        for (let at = 0; at < taken.length && !signal.aborted; at += BATCH_EVENTS_MAX)
          await this.#inHand(this.#handle(script, taken.slice(at, at + BATCH_EVENTS_MAX)));
        if (signal.aborted) return;
        this.next = Math.max(this.next, Math.min(batch.end, end));
        if (this.next - this.checkpoint >= IDLE_POSITIONS_MAX) await this.#commit(script, NOTHING, []);
        if (this.next >= end) break;
      }
    if (signal.aborted || mode !== "OneTime") return;
    if (this.checkpoint < this.next) await this.#commit(script, NOTHING, []);
    this.state = "Completed";
    this.#completed();
  }

  /** Those who wait ask before the next batch begins. */
  async #inHand(handled: Promise<void>): Promise<void> {
    this.#isHandling = true;
    try {
      await handled;
    } finally {
      this.#isHandling = false;
      if (this.#asking.length > 0) {
        for (const ask of this.#asking.splice(0)) ask();
        await new Promise<void>((resolve) => this.#context.env.turns.soon(resolve));
      }
    }
  }

  #take(event: RecordedEvent): Taken {
    const { source } = this.#mustHaveScript();
    const isLink = !source.all && event.type === LINK_TYPE && isClientEvent(event);
    const link = isLink ? dataOf(event).toString("utf8") : undefined;
    return {
      position: event.position,
      event: scriptEvent(event, this.#context.describe, link),
      target: isLink ? targetOf(event) : undefined,
    };
  }

  async #handle(script: ScriptThread, taken: readonly Taken[]): Promise<void> {
    const events: ScriptEvent[] = [];
    for (const { event, target } of taken) {
      const one = target === undefined ? event : await this.#linked(target, event);
      if (one !== undefined) events.push(one);
    }
    const batch = await script.batch(events);
    this.partitions = batch.partitions;
    if (batch.failure !== null) {
      const failed = events[batch.handled];
      const where =
        failed === undefined
          ? "a result"
          : `event ${failed.sequenceNumber} of ${failed.streamId} (${failed.eventType})`;
      throw eventStoreError("EVENTSTORE-INVALID", `${where}: ${batch.failure}`);
    }
    const upTo = taken.at(-1)?.position ?? this.next;
    const others = await this.#output.appends(upTo, batch, script.source);
    this.next = upTo + 1;
    this.handled += events.length;
    if (batch.changed.length > 0 || others.length > 0) await this.#commit(script, batch, others);
  }

  /** Nothing when the event is not there, or was pruned. */
  #linked(target: LinkTarget, link: ScriptEvent): Promise<ScriptEvent | undefined> {
    const { log, describe } = this.#context;
    return withKept(log, target, (event) => scriptEvent(event, describe, link.metadataRaw));
  }

  /** What may pass is tried again: nothing of it was written, or its ids say that it was. */
  async #commit(
    script: ScriptThread,
    { changed, shared }: Pick<ScriptBatch, "changed" | "shared">,
    others: Parameters<ProjectionCheckpoint["write"]>[3],
  ): Promise<void> {
    if (this.definition.mode === "Transient") {
      if (others.length > 0) await this.#context.log.append(others);
      this.#output.wrote(others);
      this.checkpoint = this.next;
      return;
    }
    const changes = {
      states: changed.map(([partition, state]) => [partition, state] as const),
      ...(shared === undefined ? {} : { shared }),
    };
    const states = this.#checkpoints.wantsWhole ? await script.states() : changes;
    const { signal } = this.#ending;
    for (;;) {
      try {
        await this.#checkpoints.write(this.next, this.handled, states, others);
        this.#output.wrote(others);
        this.checkpoint = this.next;
        return;
      } catch (thrown) {
        const mayPass = thrown instanceof MillraceError && (thrown.code === "LOG-FULL" || thrown.code === "LOG-LAG");
        if (!mayPass) throw thrown;
        await sleep(this.#context.env, RETRY_MS, signal);
      }
    }
  }

  #mustHaveScript(): ScriptThread {
    if (this.#script !== undefined) return this.#script;
    throw eventStoreError("EVENTSTORE-INVALID", "the projection has no script that runs");
  }

  #fault(thrown: unknown): void {
    this.reason = messageOf(thrown).slice(0, REASON_CHARS_MAX);
    this.#end("Faulted");
  }

  /** A script that failed is let go of; any other keeps its state to be asked for. */
  #end(state: ProjectionState): void {
    this.state = state;
    if (state === "Faulted") this.#dispose();
  }

  #dispose(): void {
    void this.#script?.close();
    this.#script = undefined;
  }
}

const NOTHING: Pick<ScriptBatch, "changed"> = { changed: [] };
