import { EventEmitter } from "node:events";
import type { ServerHttp2Session } from "node:http2";
import { systemEnv } from "@millrace/engine";
import { expect, it } from "vitest";
import { keepAlive } from "./keep-alive.ts";

class FakeSession extends EventEmitter {
  destroyed = false;
  answers: ((failure: Error | null) => void)[] = [];

  ping(answer: (failure: Error | null) => void): void {
    this.answers.push(answer);
  }

  destroy(): void {
    this.destroyed = true;
    this.emit("close");
  }
}

it("a connection that answers a ping stays, and one that does not is ended at the next", () => {
  const machine = systemEnv();
  let isCancelled = false;
  let half = (): void => {};
  const timers = {
    after: (_delayMs: number, fire: () => void) => {
      half = fire;
      const cancel = (): void => {
        isCancelled = true;
      };
      return { cancel };
    },
  };
  const session = new FakeSession();
  keepAlive(session as unknown as ServerHttp2Session, { ...machine, timers });
  half();
  session.answers[0]?.(null);
  half();
  expect([session.answers.length, session.destroyed]).toEqual([2, false]);
  half();
  expect([session.answers.length, session.destroyed, isCancelled]).toEqual([2, true, true]);
});
