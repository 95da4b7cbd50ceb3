import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { KafkaServer, kafkaKinds } from "../../services/kafka-server.ts";
import { natsServers, startNats } from "../../services/nats-server.ts";
import { DEMO, sliceDemo } from "./demo-run.mjs";
import { edgeKillLine, killEdges } from "./edge-kill.mjs";
import { isFull, limitMs, tell, times } from "./form.ts";

/** Flights of the short form: a run takes about as long as its processes take to start. */
const ROWS = 60_000;
const nats = natsServers().at(-1);
const kafka = kafkaKinds().at(-1);

describe("kill -9 of two hosts and the broker between them at random moments", () => {
  const killed = async (context: Parameters<typeof tell>[0], via: "nats" | "kafka", server: Server): Promise<void> => {
    const slice = mkdtempSync(join(tmpdir(), "millrace-slice-"));
    try {
      const broker = { via, address: server.address, kill: () => server.kill(), start: () => server.start() };
      const graph = isFull ? DEMO : await sliceDemo(slice, ROWS);
      const result = await killEdges({ broker, kills: times(2, 50), graph });
      tell(context, edgeKillLine(result));
      expect(result.differences).toEqual([]);
      expect(result.kills).toBe(times(2, 50));
      expect(result.rows).toBeGreaterThan(1000);
    } finally {
      await server.stop();
      rmSync(slice, { recursive: true });
    }
  };

  it.skipIf(nats === undefined)(
    "leaves the demo with the bytes of one process over NATS",
    async (context) => {
      if (nats !== undefined) await killed(context, "nats", await startNats(nats));
    },
    limitMs(300_000),
  );

  it.skipIf(kafka === undefined)(
    "leaves the demo with the bytes of one process over Kafka",
    async (context) => {
      if (kafka !== undefined) await killed(context, "kafka", await KafkaServer.start(kafka, { restarts: true }));
    },
    limitMs(300_000),
  );
});

interface Server {
  readonly address: string;
  kill(): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
}
