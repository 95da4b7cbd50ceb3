/** What a stream's source makes of a broker that is slow. With real brokers: ops/test/connectors/rabbitmq.test.ts. */
import { EventEmitter } from "node:events";
import { virtualEnv } from "@millrace/engine/testing";
import { expect, test } from "vitest";
import type { RabbitLink } from "./rabbit-link.ts";
import { streamSource } from "./stream-source.ts";

const OPTIONS = { stream: "s", prefetch: 10, envelope: false, gap: "stop", untilNow: false } as const;

type Take = (message: object) => void;

/** A link to a broker that sends these offsets to who asks for a place, and nothing to who asks where the stream begins or ends. */
function slowLink(offsets: readonly number[], counted: number): RabbitLink {
  const createChannel = async (): Promise<object> =>
    Object.assign(new EventEmitter(), {
      checkQueue: async () => ({ messageCount: counted }),
      prefetch: async () => undefined,
      ack: () => undefined,
      close: async () => undefined,
      async consume(_: string, take: Take, { arguments: asked }: { arguments: Record<string, unknown> }) {
        if (asked["x-stream-offset"] === "first" || asked["x-stream-offset"] === "last") return;
        for (const offset of offsets)
          take({ content: Buffer.from("1"), properties: { headers: { "x-stream-offset": offset } } });
      },
    });
  // Of a link, a source uses only these.
  return { model: { createChannel }, ended: new Promise(() => undefined) } as unknown as RabbitLink;
}

test("a broker that is slow to show where a stream begins has removed nothing", async () => {
  const env = virtualEnv("slow");
  const reader = await streamSource(OPTIONS, env).open(slowLink([4, 5, 9], 0), "0", 4);
  expect(await reader.read(2)).toMatchObject({ messages: [{ offset: 5 }], through: 5 });
  const next = reader.read(2);
  await expect(env.until(next)).rejects.toThrow("does not show where it begins");
});

test("a broker that is slow to show where a stream ends does not make it empty", async () => {
  const env = virtualEnv("slow");
  const opening = streamSource({ ...OPTIONS, untilNow: true }, env).open(slowLink([0, 1], 2), "0", -1);
  await expect(env.until(opening)).rejects.toThrow("sends nothing, though it has 2 messages");
});
