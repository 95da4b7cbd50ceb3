import type { Msg, MsgHdrs, NatsConnection, NatsError } from "nats";
import { describe, expect, test } from "vitest";
import { pullNow } from "./pull-consumer.ts";

type Answer = NatsError | { readonly sequence: number } | { readonly code: number; readonly description: string };

/** A server that answers a request with these. */
function server(answers: readonly Answer[]): NatsConnection {
  let tell: (error: NatsError | null, message: Msg) => void = () => undefined;
  return {
    closed: () => new Promise(() => undefined),
    subscribe(_inbox: string, { callback }: { callback: typeof tell }) {
      tell = callback;
      return { unsubscribe: () => undefined };
    },
    publish() {
      for (const answer of answers)
        if (answer instanceof Error) tell(answer, {} as Msg);
        else if ("code" in answer) tell(null, { headers: answer as unknown as MsgHdrs } as Msg);
        else tell(null, { reply: `$JS.ACK.s.c.1.${answer.sequence}.1.0.0`, data: new Uint8Array() } as Msg);
    },
  } as unknown as NatsConnection;
}

const pulled = async (...answers: readonly Answer[]) =>
  (await pullNow(server(answers), "s", "c", 2)).map(({ sequence }) => sequence);

describe("what a consumer has now", () => {
  test("is as many as were asked for, or fewer and that there are no more", async () => {
    expect(await pulled({ sequence: 1 }, { sequence: 2 })).toEqual([1, 2]);
    expect(
      await pulled({ code: 100, description: "heartbeat" }, { sequence: 1 }, { code: 404, description: "" }),
    ).toEqual([1]);
    expect(await pulled({ code: 408, description: "Request Timeout" })).toEqual([]);
  });

  test("is not nothing where the server does not say", async () => {
    await expect(pulled({ code: 503, description: "No Responders" })).rejects.toThrow("503");
    await expect(pulled({ sequence: 1 }, { code: 409, description: "Leadership Change" })).rejects.toThrow(
      "409 Leadership Change",
    );
    await expect(pulled(new Error("PERMISSIONS_VIOLATION") as NatsError)).rejects.toThrow("PERMISSIONS_VIOLATION");
  });
});
