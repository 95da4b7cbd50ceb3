/** What is looked up of a source, and of lanes to other hosts, is the same when the events that say it were pruned. */
import { expect, it } from "vitest";
import type { CommittedBehavior } from "../behavior/committed-behavior.ts";
import { wholly } from "../frame/point.ts";
import type { EventLog } from "../log/event-log.ts";
import { SendHorizon } from "../source/send-horizon.ts";
import { HeardCursors } from "../step/heard-cursors.ts";
import { sampleEvent } from "../testing/sample-events.ts";
import { SimulatedLog } from "../testing/simulation/simulated-log.ts";
import { type VirtualEnv, virtualEnv } from "../testing/virtual-env.ts";
import { carryNode } from "./carry-stream.ts";

const NOTHING: CommittedBehavior = { kind: "committed", ports: [], take() {}, seal() {}, discard() {}, fold() {} };

class Pruning {
  readonly env: VirtualEnv = virtualEnv("carry");
  readonly #storage = new SimulatedLog({ env: this.env, random: this.env.random.fork("log") });
  readonly log: EventLog = this.#storage.open(this.env);
  readonly context = { ...sampleEvent().context, graph: "g", node: "in", graphRevision: 2, epoch: 3 };

  until<T>(promise: Promise<T>): Promise<T> {
    return this.env.until(promise);
  }

  horizon(partition: string): Promise<SendHorizon> {
    const { log, context, env } = this;
    return this.until(SendHorizon.open({ log, stream: "g/in", partition, context, random: env.random }));
  }

  heard(): Promise<HeardCursors> {
    const { log, context, env } = this;
    return this.until(HeardCursors.open({ log, stream: "g/~lanes", context, env }));
  }

  /** Prunes everything; resolves with how many events were carried. */
  async prune(): Promise<number> {
    const { durableEnd: end } = this.log;
    const options = { log: this.log, behavior: NOTHING, stateSince: 0, graphRevision: 2, end };
    const carries = [];
    for (const stream of ["g/in", "g/~lanes"]) {
      const carry = await this.until(carryNode({ ...options, stream }));
      if (carry !== undefined) carries.push(carry);
    }
    this.#storage.prune(end, carries);
    return carries.flatMap(({ positions }) => positions).length;
  }
}

it("a source goes on from where it may have sent to, is the same source, and finds its marks", async () => {
  const pruning = new Pruning();
  for (const partition of ["a", "b"]) {
    const horizon = await pruning.horizon(partition);
    await pruning.until(horizon.identify(`source ${partition}`));
    for (const from of [1, 50, 90]) await pruning.until(horizon.mark([{ from, place: `${partition}${from}` }]));
    await pruning.until(horizon.cover(100, 10));
    await pruning.until(horizon.settle(partition === "a" ? 70 : 110));
  }
  for (let prunes = 0; prunes < 2; prunes++) {
    // The newest horizon, the identity and three marks of each partition, whatever was written of them.
    expect(await pruning.prune()).toBe(10);
    const a = await pruning.horizon("a");
    expect([a.inherited, (await pruning.horizon("b")).inherited]).toEqual([70, 110]);
    await pruning.until(a.identify("source a"));
    await expect(pruning.until((await pruning.horizon("b")).identify("other"))).rejects.toMatchObject({
      code: "SOURCE-RECREATED",
    });
    expect(await pruning.until(a.marksBehind(60))).toEqual([
      { from: 50, place: "a50" },
      { from: 90, place: "a90" },
    ]);
  }
});

it("lanes to other hosts stand where they were heard of last", async () => {
  const pruning = new Pruning();
  const heard = await pruning.heard();
  for (const pos of [4, 9]) {
    const durableAnchor = { pos, watermark: 5 };
    await pruning.until(heard.note({ origin: "in.out", path: 2, durable: wholly(pos), durableAnchor }));
  }
  expect(await pruning.prune()).toBe(1);
  expect((await pruning.heard()).lane("in.out", 2)).toMatchObject({ durable: wholly(9), durableAnchor: { pos: 9 } });
});
