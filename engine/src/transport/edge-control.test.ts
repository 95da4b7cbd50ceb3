import { afterEach, beforeEach, expect, it } from "vitest";
import type { OriginControl } from "../actor/link.ts";
import { START_ANCHOR } from "../frame/anchor.ts";
import { packState, unpackState } from "../log/packed-payload.ts";
import { virtualEnv } from "../testing/virtual-env.ts";
import { HeardControl, HeardOver, type OriginLedger, ToldControl } from "./edge-control.ts";
import { IncomingLane } from "./incoming-lane.ts";
import type { Delivery, Transport } from "./transport.ts";
import { transportError } from "./transport-errors.ts";

const unhandled: unknown[] = [];
const note = (error: unknown): void => void unhandled.push(error);

beforeEach(() => {
  unhandled.length = 0;
  process.on("unhandledRejection", note);
});
afterEach(() => {
  process.off("unhandledRejection", note);
});

/** Node tells of rejections that nobody handled after the microtasks of a turn, so before this. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const CLOSED: Transport = {
  bodyBytesMax: 1,
  publish: () => Promise.reject(transportError("TRANSPORT-CLOSED", "it was closed")),
  subscribe: () => Promise.reject(transportError("TRANSPORT-CLOSED", "it was closed")),
  close: async () => undefined,
};
const LEDGER: OriginLedger = { isOver: false, write: async () => undefined };
const DEAF: OriginControl = { acknowledge: () => undefined, resume: () => undefined };

it("what subscribes to a transport that closes meanwhile just ends", async () => {
  const local = { hasCredit: () => true, whenCredit: () => undefined, send: () => undefined };
  const env = virtualEnv("closed");
  const all = [
    new HeardControl(CLOSED, "s", DEAF, LEDGER),
    new HeardOver(CLOSED, "s", LEDGER),
    new IncomingLane({ transport: CLOSED, env, subject: "s", path: 0, local, isEnd: false, payloads: undefined }),
  ];
  await turn();
  await Promise.all(all.map((one) => one.close()));
  expect(unhandled).toEqual([]);
});

it("what is said in the moment in which the transport took everything before is told as well", async () => {
  const bodies: unknown[] = [];
  const taken: (() => void)[] = [];
  let publishing = Promise.resolve();
  const publish: Transport["publish"] = (_subject, { body }) => {
    bodies.push(unpackState(body));
    publishing = new Promise((resolve) => taken.push(resolve));
    return publishing;
  };
  const control = new ToldControl({ ...CLOSED, publish }, "s", virtualEnv("told"));
  const say = (path: number): void => control.acknowledge(path, { pos: path, ord: 0 }, START_ANCHOR);
  // One of them is between the end of what tells and the news of it, however many turns those take.
  say(0);
  for (let path = 1; path <= 6; path++) {
    let later: Promise<void> = publishing;
    for (let i = 1; i < path; i++) later = later.then(() => undefined);
    void later.then(() => say(path));
    taken.at(-1)?.();
    await turn();
    expect(JSON.stringify(bodies)).toContain(`["acknowledge",${path},`);
  }
  taken.at(-1)?.();
  await turn();
  expect(control.isTold).toBe(true);
});

it("what was said in another way than this is lost, and harms nobody", async () => {
  const heard: unknown[] = [];
  const acknowledged: unknown[] = [];
  let deliver: (delivery: Delivery) => void = () => undefined;
  const transport: Transport = {
    ...CLOSED,
    subscribe: async (_subject, receive) => {
      deliver = receive;
      return { grant: () => undefined, close: async () => undefined };
    },
  };
  const local: OriginControl = { ...DEAF, acknowledge: (path) => heard.push(path) };
  const control = new HeardControl(transport, "s", local, LEDGER);
  const said = [{ verb: "acknowledge" }, 5, null, ["x"], [["close", 1, 2, 3, 4, 5]], [["acknowledge", 7]]];
  for (const body of [...said, [["acknowledge", 1, 2, 3, 4, 5]]].map((one) => packState(one as never)))
    deliver({ headers: {}, body, subject: "s", attempt: 1, ack: () => acknowledged.push(1), nack: () => undefined });
  await turn();
  await control.close();
  expect([heard, acknowledged.length, unhandled]).toEqual([[1], said.length + 1, []]);
});
