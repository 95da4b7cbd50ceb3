/** MQTT connectors against a real broker. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Feed, type Json, type MqttAddress, parseMqttAddress, systemEnv } from "@millrace/engine";
import { feedContract, sinkContract } from "@millrace/engine/testing";
import { mqttFeed, mqttSink } from "@millrace/streams/mqtt";
import { type CloudEvent, MQTT, type MQTTMessage } from "cloudevents";
import { connectAsync, type MqttClient } from "mqtt";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { mosquittoMissing, opensslMissing, startMosquitto } from "../../services/mosquitto-server.ts";
import type { ServerProcess } from "../../services/server-process.ts";
import { TcpProxy } from "../../services/tcp-proxy.ts";
import { times } from "../faults/form.ts";
import { EVENTS_LIMIT_MS, expectEvents, type WireMessage } from "./broker-events.ts";
import { expectRegistered, REGISTERED_LIMIT_MS } from "./registered-messages.ts";
import { numbers, QUICK, RunningGraph, slice, WAIT } from "./running-graph.ts";

const env = systemEnv();

describe.skipIf(mosquittoMissing)(
  `MQTT${mosquittoMissing === undefined ? "" : ` (skipped: ${mosquittoMissing})`}`,
  () => {
    let server: ServerProcess;
    let client: MqttClient;
    let wire: TcpProxy;
    let count = 0;
    const next = (name: string): string => `${name}${++count}`;
    const connect = (): Promise<MqttClient> =>
      connectAsync(`mqtt://${server.address}`, { protocolVersion: 5, reconnectPeriod: 50, clientId: next("test") });

    beforeAll(async () => {
      server = await startMosquitto();
      wire = await TcpProxy.to(server);
      client = await connect();
    });
    afterAll(async () => {
      await client?.endAsync(true);
      await wire?.close();
      await server?.stop();
    });

    const address = (path: string, side: "source" | "sink" = "source", at = server.address): MqttAddress => {
      const parsed = parseMqttAddress(`//${at}${path}`, side);
      if ("fault" in parsed) throw new Error(parsed.fault);
      return parsed;
    };
    const feed = (path: string, id = next("node"), at = server.address): Feed =>
      mqttFeed(address(path, "source", at), env, { id, policy: QUICK });
    const publish = async (topic: string, bodies: readonly string[], qos: 1 | 2 = 1): Promise<void> => {
      for (let from = 0; from < bodies.length; from += 10)
        await Promise.all(bodies.slice(from, from + 10).map((body) => client.publishAsync(topic, body, { qos })));
    };
    /** All messages of a topic, as somebody else sees them. */
    const watch = async (topic: string) => {
      const seen: Json[] = [];
      const watcher = await connect();
      const marks: (() => void)[] = [];
      watcher.on("message", (at, body) => {
        if (at === `${topic}/mark`) marks.shift()?.();
        else seen.push(JSON.parse(body.toString()) as Json);
      });
      // Of one quality, so that a mark cannot overtake what it marks.
      await watcher.subscribeAsync(`${topic}/#`, { qos: 1 });
      const content = async (): Promise<readonly Json[]> => {
        const marked = new Promise<void>((resolve) => marks.push(resolve));
        await watcher.publishAsync(`${topic}/mark`, "", { qos: 1 });
        await marked;
        return seen;
      };
      return { seen, content, close: () => watcher.endAsync(true) };
    };

    for (const qos of [1, 2] as const) {
      feedContract(
        `an MQTT topic with quality of service ${qos}`,
        async () => {
          const topic = next("t");
          const id = next("g/in");
          // A session gets what is sent after its subscription.
          const first = feed(`/topic/${topic}?qos=${qos}`, id);
          const stop = new AbortController();
          const running = first.run(
            {
              cursor: undefined,
              take: () => undefined,
              takeGroup: () => undefined,
              reject: () => undefined,
              lose: () => undefined,
            },
            stop.signal,
          );
          await vi.waitFor(() => expect(first.connection().state).toBe("up"), WAIT);
          stop.abort();
          await running;
          return {
            connect: (most) => feed(`/topic/${topic}?qos=${qos}&prefetch=${most}`, id, wire.address),
            send: (bodies) => publish(topic, bodies, qos),
            breakConnections: () => wire.snap(),
            close: async () => undefined,
          };
        },
        { overruns: true },
      );
    }

    sinkContract(
      "an MQTT topic",
      async () => {
        const topic = next("t");
        const { content, close } = await watch(topic);
        const to = address(`/topic/${topic}`, "sink", wire.address);
        const connect = () => mqttSink(to, env, { id: "g/out", policy: QUICK });
        return { connect, content, breakConnections: () => wire.snap(), close };
      },
      { runs: times(5, 15) },
    );

    feedContract(
      "an MQTT topic with quality of service 0",
      async () => {
        const topic = next("t");
        return {
          connect: () => feed(`/topic/${topic}?qos=0`, next("g/in"), wire.address),
          send: (bodies) => publish(topic, bodies),
          breakConnections: () => wire.snap(),
          close: async () => undefined,
        };
      },
      { isLossy: true },
    );

    test("an envelope says topic and more, retained messages come to who subscribes later, and quality 0 sends nothing again", async () => {
      const topic = next("t");
      const sink = mqttSink(address(`/topic/${topic}/a?retain=true`, "sink"), env, { id: "g/out", policy: QUICK });
      await sink.open(undefined);
      await sink.deliver([slice(0, [{ n: 1 }, { n: 2 }])]);
      await sink.close();
      const taken: Json[] = [];
      const live = feed(`/topic/${topic}/+?qos=0&envelope=true`);
      const stop = new AbortController();
      const intake = {
        cursor: undefined,
        takeGroup: () => undefined,
        take: (message: Json, receipt?: object) => taken.push([message, receipt?.constructor === Object]),
        reject: () => undefined,
        lose: () => undefined,
      };
      const running = live.run(intake, stop.signal);
      await vi.waitFor(
        () =>
          expect(taken).toEqual([
            [{ topic: `${topic}/a`, qos: 0, retain: true, contentType: null, properties: {}, data: { n: 2 } }, false],
          ]),
        WAIT,
      );
      stop.abort();
      await running;
    });

    test(
      "events are in messages and properties as the reference library has them, both ways",
      async () => {
        const names = numbers(0, 4).map(() => next("e"));
        const seen = new Map<string, WireMessage[]>(names.map((name) => [name, []]));
        const watcher = await connect();
        watcher.on("message", (topic, body, { properties: { contentType, userProperties = {} } = {} }) => {
          seen
            .get(topic)
            ?.push({ body: body.toString(), headers: { ...userProperties } as Record<string, string>, contentType });
        });
        await watcher.subscribeAsync(names, { qos: 1 });
        const places = names.map((name) => {
          const path = `mqtt://${server.address}/topic/${name}?qos=1`;
          return { name, source: path, sink: path };
        });
        await expectEvents({
          places,
          async send(topic, messages) {
            for (const { body, headers, contentType } of messages) {
              const type = contentType === undefined ? {} : { contentType };
              // The client writes no properties at all in a way that the broker does not understand.
              const user = Object.keys(headers).length === 0 ? {} : { userProperties: { ...headers } };
              await client.publishAsync(topic, body, { qos: 1, properties: { ...type, ...user } });
            }
          },
          read: async (topic) => seen.get(topic) ?? [],
          toBinary(event) {
            const { body, headers, PUBLISH } = MQTT.binary(event) as MQTTMessage<unknown>;
            const said = Object.entries(headers).filter(([, value]) => typeof value === "string");
            const { datacontenttype: _, ...others } = Object.fromEntries(said) as Record<string, string>;
            return { body: JSON.stringify(body), headers: others, contentType: PUBLISH?.["Content Type"] };
          },
          ofBinary({ body, headers, contentType }) {
            const data = JSON.parse(body) as unknown;
            const message = { body: data, payload: data, headers, PUBLISH: { "Content Type": contentType } };
            const event = MQTT.toEvent<unknown>(message as unknown as MQTTMessage<unknown>) as CloudEvent<unknown>;
            return event.cloneWith({ datacontenttype: contentType ?? "" });
          },
        });
        await watcher.endAsync(true);
      },
      EVENTS_LIMIT_MS,
    );

    test("a password is used, and never shown; hosts that are down are passed over", async () => {
      const closed = await startMosquitto(["allow_anonymous false"]).catch((error: unknown) => error as Error);
      if (closed instanceof Error) throw closed;
      try {
        const at = address("/topic/x", "source", `ada:wr0ng@127.0.0.1:1,${closed.address}`);
        const refused = mqttFeed(at, env, { id: next("n"), policy: QUICK });
        const stop = new AbortController();
        const running = refused.run(
          {
            cursor: undefined,
            take: () => undefined,
            takeGroup: () => undefined,
            reject: () => undefined,
            lose: () => undefined,
          },
          stop.signal,
        );
        await vi.waitFor(() => {
          expect(refused.connection().reason).toMatch(
            /127\.0\.0\.1:1: .*REFUSED.*; 127\.0\.0\.1:\d+: .*(authori|password)/i,
          );
        }, WAIT);
        expect(JSON.stringify(refused.connection())).not.toContain("wr0ng");
        stop.abort();
        await running;
      } finally {
        await closed.stop();
      }
    });

    test.skipIf(opensslMissing)(
      "a graph talks to a broker with a password over an encrypted connection that it trusts, and to no other",
      async () => {
        const directory = mkdtempSync(join(tmpdir(), "millrace-mqtt-tls-"));
        const [key, ca, passwords] = ["key.pem", "ca.pem", "passwords"].map((name) => join(directory, name)) as [
          string,
          string,
          string,
        ];
        const certificate = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=millrace test"];
        const names = ["-addext", "subjectAltName=IP:127.0.0.1"];
        execFileSync("openssl", ["req", ...certificate, ...names, "-keyout", key, "-out", ca], { stdio: "ignore" });
        execFileSync("mosquitto_passwd", ["-c", "-b", passwords, "ada", "s3cret"], { stdio: "ignore" });
        const secure = await startMosquitto([
          `certfile ${ca}`,
          `keyfile ${key}`,
          "allow_anonymous false",
          `password_file ${passwords}`,
        ]);
        const at = (options: string): string => `name: secure
nodes:
  tick: { kind: source, from: "metronome:50ms" }
  send: { kind: sink, input: tick, to: "mqtt://ada:s3cret@${secure.address}/topic/t${options}" }
  hear: { kind: source, from: "mqtt://ada:s3cret@${secure.address}/topic/t${options}" }
  out:  { kind: sink, input: hear, to: "discard:" }
`;
        const trusting = await RunningGraph.start(at(`?tls=true&ca=${ca}`));
        const doubting = await RunningGraph.start(at("?tls=true"));
        const reason = (): string | undefined =>
          doubting.status().nodes.find(({ node }) => node === "hear")?.connection?.reason;
        try {
          const heard = (): number | undefined =>
            trusting.status().nodes.find(({ node }) => node === "out")?.messagesIn;
          await vi.waitFor(() => expect(heard()).toBeGreaterThan(2), WAIT);
          await vi.waitFor(() => expect(reason()).toMatch(/self.signed certificate/i), WAIT);
        } finally {
          await trusting.stop();
          await doubting.stop();
          await secure.stop();
          rmSync(directory, { recursive: true, force: true });
        }
      },
      60_000,
    );

    const graph = (from: string, topic: string, qos: 1 | 2): string => `name: ${topic}
nodes:
  in:  { kind: source, from: "mqtt://${from}/topic/${topic}/in?qos=${qos}" }
  out: { kind: sink, input: in, to: "mqtt://${from}/topic/${topic}/out?qos=${qos}" }
`;

    test(
      "messages are those of a schema registry",
      async () => {
        const [from, to] = [`${next("r")}/in`, `${next("r")}/out`];
        const seen: Uint8Array[] = [];
        const watcher = await connect();
        watcher.on("message", (_topic, body) => seen.push(body));
        await watcher.subscribeAsync(to, { qos: 2 });
        const at = (topic: string): string => `mqtt://${server.address}/topic/${topic}?qos=2`;
        await expectRegistered({
          source: at(from),
          sink: at(to),
          stream: from,
          subject: to,
          async send(bodies) {
            for (const body of bodies) await client.publishAsync(from, body, { qos: 2 });
          },
          received: async () => seen,
        });
        await watcher.endAsync(true);
      },
      REGISTERED_LIMIT_MS,
    );

    for (const qos of [1, 2] as const) {
      test(`a graph with quality ${qos} loses nothing while its link is cut under load, while it is down, and when the broker was killed`, async () => {
        const topic = next("copy");
        const proxy = await TcpProxy.to(server);
        const watcher = await watch(`${topic}/out`);
        const text = graph(proxy.address, topic, qos);
        let running = await RunningGraph.start(text);
        try {
          /** What is sent from now on comes to the graph, and from there to the watcher. */
          const subscribed = (mark: number): Promise<void> =>
            vi.waitFor(async () => {
              await client.publishAsync(`${topic}/in`, String(mark), { qos });
              expect(watcher.seen).toContain(mark);
            }, WAIT);
          await subscribed(-1);
          let sent = 0;
          const send = async (n: number): Promise<void> => {
            await publish(`${topic}/in`, numbers(sent, n).map(String), qos);
            sent += n;
          };
          for (let cut = 0; cut < 3; cut++) {
            await send(100);
            const sending = send(100);
            proxy.cut();
            await sending;
            await vi.waitFor(() => expect(running.connection("in")).not.toBe("up"), WAIT);
            proxy.mend();
          }
          const { log } = running;
          await running.stop();
          await send(100);
          running = await RunningGraph.start(text, log);
          const arrived = (): Promise<void> =>
            vi.waitFor(() => {
              expect(new Set(watcher.seen.map(Number).filter((row) => row >= 0)).size).toBe(sent);
            }, WAIT);
          await arrived();
          // The broker writes its sessions down some time after it has taken a message; it is killed when all was passed on.
          await server.kill();
          await vi.waitFor(() => expect(running.connection("in")).not.toBe("up"), WAIT);
          await server.start();
          await vi.waitFor(() => expect(client.connected).toBe(true), WAIT);
          await subscribed(-2);
          await send(100);
          await arrived();
          const rows = watcher.seen.map(Number).filter((row) => row >= 0);
          const lost = sent - new Set(rows).size;
          console.log(
            `mosquitto ${server.greeting}, quality ${qos}: ${sent} messages, 3 cuts, 1 restart, 1 kill -9: ${lost} lost, ${rows.length - new Set(rows).size} twice`,
          );
          expect([...new Set(rows)].sort((a, b) => a - b)).toEqual(numbers(0, sent));
        } finally {
          await running.stop();
          await watcher.close();
          await proxy.close();
        }
      }, 60_000);
    }
  },
);
