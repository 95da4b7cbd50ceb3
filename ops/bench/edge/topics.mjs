/** A broker with the topics of the bench, and what loads and reads them. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { STREAMS_CLASSPATH } from "./peers.mjs";

const { Kafka, logLevel } = createRequire(import.meta.resolve("@millrace/streams/kafka"))("kafkajs");
const LOOK_MS = 100;

export class Topics {
  #kafka;
  #admin;
  #address;
  #count = 0;

  static async connect(address) {
    const topics = new Topics();
    topics.#address = address;
    topics.#kafka = new Kafka({ brokers: [address], logLevel: logLevel.NOTHING });
    topics.#admin = topics.#kafka.admin();
    await topics.#admin.connect();
    return topics;
  }

  get address() {
    return this.#address;
  }

  close() {
    return this.#admin.disconnect();
  }

  /** A topic of one partition; `isStamped`: the broker says when each message came. */
  async make(isStamped) {
    const topic = `t${++this.#count}`;
    const configEntries = isStamped ? [{ name: "message.timestamp.type", value: "LogAppendTime" }] : [];
    await this.#admin.createTopics({ topics: [{ topic, numPartitions: 1, configEntries }] });
    return topic;
  }

  /** Calls back with every committed message of a topic; returns how to stop that. */
  async read(topic, take) {
    const consumer = this.#kafka.consumer({ groupId: `read-${topic}`, maxWaitTimeInMs: LOOK_MS });
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({
      eachBatch: async ({ batch }) => {
        for (const { value, timestamp } of batch.messages) take(JSON.parse(String(value)), Number(timestamp));
      },
    });
    return () => consumer.disconnect();
  }

  /** Sends a file of trades; when which of them left, by index, in steps. */
  async send(topic, file, rate) {
    const args = [
      "-Xmx512m",
      "-XX:+UseSerialGC",
      "-cp",
      STREAMS_CLASSPATH,
      "millrace.bench.Load",
      this.#address,
      topic,
      file,
    ];
    const child = spawn("java", [...args, String(rate)], { stdio: ["ignore", "pipe", "inherit"] });
    let said = "";
    child.stdout.on("data", (text) => {
      said += text;
    });
    const [code] = await once(child, "close");
    if (code !== 0) throw new Error(`the load ended with ${code}`);
    const steps = said
      .trim()
      .split("\n")
      .map((line) => line.split(" ").map(Number));
    const each = steps.length > 1 ? steps[1][0] : 1;
    const msEach = rate > 0 ? 1000 / rate : 0;
    return (index) => (steps[Math.floor(index / each)]?.[1] ?? Number.NaN) + (index % each) * msEach;
  }
}
