/** JMS connectors, by clients of both names of the API, against a real broker. The test's own end speaks AMQP 1.0 with it. */
import { readFileSync } from "node:fs";
import { type Feed, type JmsDefinition, type Json, reportOf, type SinkConnector, systemEnv } from "@millrace/engine";
import { feedContract, sinkContract } from "@millrace/engine/testing";
import type { MessageDecoder, MessageEncoder } from "@millrace/streams/format";
import { type JmsOptions, jmsFeed, jmsSink } from "@millrace/streams/jms";
import rhea from "rhea";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type ActivemqServer, startActivemq } from "../../services/activemq-server.ts";
import { TcpProxy } from "../../services/tcp-proxy.ts";
import { isFull, limitMs, times } from "../faults/form.ts";
import { Amqp10Client, bytesEnds } from "./amqp10-client.ts";
import { JAKARTA, JAVAX, jmsAddress, jmsMissing, jmsOptions, jmsYaml, ownBridges } from "./jms-clients.ts";
import { ListeningFeed } from "./listening-feed.ts";
import { expectRegistered } from "./registered-messages.ts";
import { slice, WAIT } from "./running-graph.ts";

const env = systemEnv();
/** What the broker makes an object of Java of. */
const JAVA_OBJECT = "application/x-java-serialized-object";
const PASSWORD = "s3cret-of-ada";
const rights = (of: string, who: string): string =>
  `<authorizationEntry ${of} read="${who}" write="${who}" admin="${who}"/>`;
const START_MS = 120_000;
/** Each connection starts a JVM. */
const HISTORIES = { runs: times(2, 15), stepsMax: times(3, 12) };
const LIMIT_MS = limitMs(60_000);
const JAVAX_SESSION = { ...JAVAX.definition, acknowledge: "session" };

describe.skipIf(jmsMissing)(
  `JMS${jmsMissing === undefined ? "" : ` (skipped: ${jmsMissing})`}`,
  { timeout: LIMIT_MS },
  () => {
    let broker: ActivemqServer;
    let wire: TcpProxy;
    let client: Amqp10Client;
    let options: JmsOptions;
    let count = 0;
    const next = (name: string): string => `${name}${++count}`;

    beforeAll(async () => {
      broker = await startActivemq({
        openwireOptions: "wireFormat.maxFrameSize=8000000",
        policies: '<policyEntry queue="&gt;" prioritizedMessages="true"/>',
        plugins: `<simpleAuthenticationPlugin anonymousAccessAllowed="true" anonymousUser="nobody" anonymousGroup="all">
          <users><authenticationUser username="ada" password="${PASSWORD}" groups="all,inner"/></users></simpleAuthenticationPlugin>
        <authorizationPlugin><map><authorizationMap><authorizationEntries>
          ${rights('queue="*"', "all")}${rights('topic="&gt;"', "all")}${rights('queue="inner.&gt;"', "inner")}
          </authorizationEntries></authorizationMap></map></authorizationPlugin>`,
        // Other protocols see what is in a message, not its bytes.
        amqpOptions: "transport.transformer=jms",
      });
      wire = await TcpProxy.to(broker.openwire);
      client = new Amqp10Client(broker.amqp.port);
      options = await knownOptions(JAKARTA.definition);
    }, START_MS);
    afterAll(async () => {
      await client?.close();
      await wire?.close();
      await broker?.stomp.stop();
    }, START_MS);

    const at = (path: string): string => `${wire.address}${path}`;
    const optionsOf = (definition: JmsDefinition): Promise<JmsOptions> =>
      jmsOptions("g/out", jmsAddress(at("/queue/x"), "source"), definition);
    const known = new Map<JmsDefinition, Promise<JmsOptions>>();
    /** The same, tried once: that starts a JVM. */
    const knownOptions = (definition: JmsDefinition): Promise<JmsOptions> => {
      const options = known.get(definition) ?? optionsOf(definition);
      known.set(definition, options);
      return options;
    };
    const feed = (path: string, by = options, id = next("node")): Feed =>
      jmsFeed(jmsAddress(at(path), "source"), env, { ...by, id });
    const sink = (path: string, by = options): SinkConnector => jmsSink(jmsAddress(at(path), "sink"), env, by);
    const publish = (node: string, bodies: readonly string[]): Promise<void> =>
      client.publish(
        node,
        bodies.map((body) => ({ body })),
      );

    /** Each connection starts a JVM: the short form leaves out what shows nothing more of this connector than other cases do. */
    const elsewhere = (cases: readonly number[]) => (isFull ? {} : { elsewhere: { cases, where: "the full form" } });
    const queueContract = (name: string, definition: JmsDefinition, settlesAlone: boolean): void =>
      feedContract(
        name,
        async () => {
          const queue = next("q");
          const by = await knownOptions(definition);
          return {
            connect: (most) => feed(`/queue/${queue}?prefetch=${most}`, by),
            send: (bodies) => publish(queue, bodies),
            breakConnections: () => wire.snap(),
            close: async () => undefined,
          };
        },
        { settlesAlone, ...elsewhere([2, 14, 16]) },
      );
    const topicContract = (name: string, definition: JmsDefinition, settlesAlone: boolean): void =>
      feedContract(
        name,
        async () => {
          const topic = next("t");
          const id = next("g/in");
          const by = await knownOptions(definition);
          // A subscription gets what is sent after it was made.
          await ListeningFeed.made(feed(`/topic/${topic}`, by, id), (body) => publish(`topic://${topic}`, [body]));
          return {
            connect: (most) => feed(`/topic/${topic}?prefetch=${most}`, by, id),
            send: (bodies) => publish(`topic://${topic}`, bodies),
            breakConnections: () => wire.snap(),
            close: async () => undefined,
          };
        },
        { settlesAlone, ...elsewhere([2, 7, 14, 16, 18, 21]) },
      );
    const queueSinkContract = (name: string, definition: JmsDefinition): void =>
      sinkContract(
        name,
        async () => {
          const queue = next("q");
          const seen: Json[] = [];
          const by = await knownOptions(definition);
          return {
            connect: () => sink(`/queue/${queue}`, by),
            breakConnections: () => wire.snap(),
            async content() {
              seen.push(...(await client.drain(queue)).map(({ data }) => JSON.parse(data) as Json));
              return seen;
            },
            close: async () => undefined,
          };
        },
        { ...HISTORIES, ...elsewhere([3, 4, 9, 18]) },
      );

    // Each connection starts a JVM: the short form has every part once.
    queueContract(`a queue by ${JAKARTA.name}`, JAKARTA.definition, true);
    topicContract(`a topic with a durable subscription by ${JAVAX.name}, by transactions,`, JAVAX_SESSION, false);
    queueSinkContract(`a queue by ${JAKARTA.name}`, JAKARTA.definition);
    if (isFull) {
      queueContract(`a queue by ${JAVAX.name}, by transactions,`, JAVAX_SESSION, false);
      topicContract(`a topic with a durable subscription by ${JAKARTA.name}`, JAKARTA.definition, true);
      queueSinkContract(`a queue by ${JAVAX.name}`, JAVAX.definition);
    }

    test("an envelope says what the sender said, a selector chooses, and rows become properties, priorities and correlations", async () => {
      const queue = next("q");
      const to = sink(
        `/queue/${queue}?priority=urgency&correlation=order&properties=region,total,isNew&type=order&expiry=1h`,
      );
      await to.open(undefined);
      const row = (region: string, urgency: number): Json => ({ region, urgency, order: 7, total: 1.5, isNew: true });
      await to.deliver([slice(5, [row("us", 1), row("eu", 9), row("eu", 4)])]);
      await to.close();
      const some = new ListeningFeed(feed(`/queue/${queue}?envelope=true&ids=millrace_id&selector=region = 'eu'`));
      await some.has(2);
      await some.settles();
      await some.end();
      const about = (id: string, urgency: number): Json => ({
        destination: queue,
        id: expect.stringMatching(/^ID:/) as string,
        correlation: "7",
        type: "order",
        priority: urgency,
        time: expect.stringMatching(/^20\d\d-.*Z$/) as string,
        expires: expect.stringMatching(/^20\d\d-.*Z$/) as string,
        replyTo: null,
        redelivered: false,
        deliveries: 1,
        properties: { region: "eu", total: 1.5, isNew: true, millrace_id: id },
        data: row("eu", urgency),
      });
      // The queue has priorities.
      expect(some.taken).toEqual([about("g/out/l/6/0", 9), about("g/out/l/7/0", 4)]);
      expect(some.receipts.map(({ id }) => id)).toEqual(["g/out/l/6/0", "g/out/l/7/0"]);
      const rest = new ListeningFeed(feed(`/queue/${queue}`));
      await rest.has(1);
      expect(rest.taken).toEqual([row("us", 1)]);
      await rest.end();
    });

    test("bodies are texts, bytes or maps; what is none of them is a dead letter, and so is what is too long", async () => {
      const queue = next("q");
      const row = { text: "é\n", n: 3, half: 0.5, is: false, none: null };
      const nul = { text: "a\0b" };
      for (const [i, body] of ["text", "bytes", "map"].entries()) {
        const to = sink(`/queue/${queue}?body=${body}`);
        await to.open(undefined);
        await to.deliver([slice(2 * i, [row, nul])]);
        await to.close();
      }
      await client.publish(queue, [
        { body: rhea.message.data_section(Buffer.from([1])), type: JAVA_OBJECT },
        { body: JSON.stringify("x".repeat(2000)) },
        { body: "4" },
      ]);
      const back = new ListeningFeed(feed(`/queue/${queue}`, { ...options, bytesMax: 1000 }));
      await back.has(7);
      // What the documentation says of maps.
      const without = { text: expect.not.stringContaining("\0") };
      expect(back.taken).toEqual([row, nul, row, nul, row, without, 4]);
      expect(back.errors).toMatchObject([
        [{ code: "JMS-TYPE", message: expect.stringContaining("ObjectMessage"), place: { stream: queue } }, null],
        [{ code: "JMS-TOO-LARGE", message: expect.stringContaining("has 2002 bytes"), place: { stream: queue } }, null],
      ]);
      await back.end();
    });

    test("bodies of a format that is no text are bytes, and a map is a dead letter then", async () => {
      const queue = next("q");
      const MASK = 0xff;
      const turned = (bytes: Uint8Array): Buffer => Buffer.from(bytes.map((byte) => byte ^ MASK));
      const encoder: MessageEncoder = {
        isBinary: true,
        prepared: async () => (row) => ({
          body: turned(Buffer.from(JSON.stringify(row))),
          contentType: undefined,
          attributes: {},
          event: undefined,
        }),
      };
      const decode = (bytes: Uint8Array): Json => JSON.parse(turned(bytes).toString()) as Json;
      const decoder: MessageDecoder = { ready: () => decode, prepared: async () => decode };
      const to = jmsSink(jmsAddress(at(`/queue/${queue}`), "sink"), env, { ...options, format: encoder });
      await to.open(undefined);
      await to.deliver([slice(0, [{ n: 1 }])]);
      await to.close();
      const [written] = await client.drain(queue);
      const body = written?.bytes ?? Buffer.alloc(0);
      expect(turned(body).toString()).toBe('{"n":1}');
      const maps = sink(`/queue/${queue}?body=map`);
      await maps.open(undefined);
      await maps.deliver([slice(1, [{ n: 2 }])]);
      await maps.close();
      await client.publish(queue, [{ body: rhea.message.data_section(body) }]);
      const by = { ...options, id: next("node"), format: decoder };
      const back = new ListeningFeed(jmsFeed(jmsAddress(at(`/queue/${queue}`), "source"), env, by));
      await back.has(1);
      expect(back.taken).toEqual([{ n: 1 }]);
      const error = { code: "JMS-TYPE", message: expect.stringContaining("it is a map"), place: { stream: queue } };
      expect(back.errors).toMatchObject([[error, { n: 2 }]]);
      await back.end();
    });

    test.skipIf(!isFull)("messages are those of a schema registry", async () => {
      const [from, to] = [next("q"), next("q")];
      await expectRegistered({
        source: `jms://${at(`/queue/${from}`)}`,
        sink: `jms://${at(`/queue/${to}`)}`,
        also: `, jms: ${jmsYaml(JAKARTA.definition)}`,
        stream: from,
        subject: to,
        ...bytesEnds(client, from, to, ({ properties }) => properties.millrace_id),
      });
    });

    test("a row that cannot be a message is told by its code, and so is one that is too long for us or for the broker; the sink goes on", async () => {
      const queue = next("q");
      const to = sink(`/queue/${queue}?priority=urgency&properties=tags`, { ...options, bytesMax: 9_000_000 });
      await to.open(undefined);
      const refused = (row: Json): Promise<unknown> => to.deliver([slice(0, [row])]).catch(reportOf);
      expect(await refused({ urgency: 10 })).toMatchObject({ code: "JMS-ROW", details: { field: "urgency" } });
      expect(await refused({ urgency: 1, tags: [] })).toMatchObject({ code: "JMS-ROW", details: { field: "tags" } });
      const long = (length: number): Json => ({ urgency: 1, text: "x".repeat(length) });
      const tooLong = { code: "JMS-TOO-LARGE", kind: "rejected" };
      expect(await refused(long(9_000_000))).toMatchObject({
        ...tooLong,
        message: expect.stringContaining("bytesMax"),
      });
      expect(await refused(long(8_500_000))).toMatchObject(tooLong);
      await to.deliver([slice(1, [long(5_000_000)])]);
      await to.close();
      const back = new ListeningFeed(feed(`/queue/${queue}`));
      await back.has(1);
      expect(back.taken).toEqual([long(5_000_000)]);
      await back.end();
    });

    test("a message that was delivered too often is a dead letter", async () => {
      const queue = next("q");
      await publish(queue, ["1"]);
      const first = new ListeningFeed(feed(`/queue/${queue}`));
      await first.has(1);
      await first.end();
      const second = new ListeningFeed(feed(`/queue/${queue}?deliveries=1`));
      await vi.waitFor(() => expect(second.errors).toMatchObject([[{ code: "JMS-DELIVERIES" }, 1]]), WAIT);
      await second.end();
    });

    test("the factory comes from JNDI, too", async () => {
      const queue = next("q");
      const jndi = {
        "java.naming.factory.initial": "org.apache.activemq.jndi.ActiveMQInitialContextFactory",
        "java.naming.provider.url": "tcp://{endpoint}",
      };
      const { classPath } = JAVAX.definition;
      const by = await optionsOf({ classPath, lookup: "ConnectionFactory", jndi });
      await publish(queue, ["1"]);
      const heard = new ListeningFeed(feed(`/queue/${queue}`, by));
      await heard.has(1);
      await heard.end();
      const none = new ListeningFeed(feed(`/queue/${queue}`, await optionsOf({ classPath, lookup: "Nothing", jndi })));
      await none.shows(/JNDI has no `Nothing`.* \(JMS-FACTORY\)/);
      await none.end();
    });

    test("who may not is told so, at the login and at the queue; who may sends the password by no command line and no environment", async () => {
      const as = (login: string, queue: string): string => `${login}@${wire.address}/queue/${queue}`;
      const wrong = jmsSink(jmsAddress(as("ada:wrong", "inner.x"), "sink"), env, options);
      expect(await wrong.deliver([slice(0, [1])]).catch(reportOf)).toMatchObject({
        code: "CONNECTION-FAILED",
        message: expect.stringMatching(/User name \[ada\] or password is invalid.* \(JMS-AUTH\)/),
      });
      await wrong.close();
      const nobody = sink("/queue/inner.x");
      expect(await nobody.deliver([slice(0, [1])]).catch(reportOf)).toMatchObject({
        code: "JMS-AUTH",
        kind: "transient",
      });
      await nobody.close();
      const ada = jmsSink(jmsAddress(as(`ada:${PASSWORD}`, "inner.x"), "sink"), env, options);
      await ada.deliver([slice(0, [1])]);
      const bridges = ownBridges();
      expect(bridges.length).toBe(1);
      for (const file of ["cmdline", "environ"])
        expect(readFileSync(`/proc/${bridges[0]}/${file}`, "utf8")).not.toContain(PASSWORD);
      await ada.close();
      expect(ownBridges()).toEqual([]);
    });

    test("a destination that is not there and a client id that somebody has are told by their codes", async () => {
      // What the client takes for the temporary queue of another connection.
      const none = new ListeningFeed(feed("/queue/ID:gone"));
      await none.shows(/Cannot use a Temporary destination.* \(JMS-DESTINATION\)/);
      await none.end();
      const path = `/topic/${next("t")}`;
      const first = new ListeningFeed(feed(path, options, "g/same"));
      await first.isUp();
      const second = new ListeningFeed(feed(path, options, "g/same"));
      await second.shows(/already connected.* \(JMS-CLIENT-ID\)/);
      await second.end();
      const toAll = sink(path);
      await toAll.deliver([slice(0, [1])]);
      await toAll.close();
      await first.has(1);
      await first.end();
    });

    test("a client whose memory runs out ends, and says so", async () => {
      const queue = next("q");
      const to = sink(`/queue/${queue}`);
      for (let i = 0; i < 8; i++) await to.deliver([slice(i, [{ text: "x".repeat(5_000_000) }])]);
      await to.close();
      const by = await optionsOf({ ...JAKARTA.definition, memoryMib: 32 });
      const small = new ListeningFeed(feed(`/queue/${queue}`, by));
      await small.shows(/the process of the JMS client ended with code 3: its memory ran out/);
      await small.end();
    });

    test("a selector that is none ends the feed", async () => {
      const heard = new ListeningFeed(feed(`/queue/${next("q")}?selector=region = = 'eu'`));
      await expect(heard.ended).rejects.toMatchObject({ code: "JMS-SELECTOR", kind: "terminal" });
    });

    test.each<readonly [string, string, string, Partial<JmsDefinition>, RegExp]>([
      [
        "a class that is not there",
        "JMS-CLASS",
        "/jms/classPath",
        { factory: "com.x.Factory" },
        /class com\.x\.Factory is not on/,
      ],
      [
        "a class of something else",
        "JMS-FACTORY",
        "/jms/factory",
        { factory: "java.lang.String", set: {} },
        /no ConnectionFactory/,
      ],
      [
        "a setting that it does not have",
        "JMS-FACTORY",
        "/jms/factory",
        { set: { brokerUrl: "x" } },
        /has no setting `brokerUrl`/,
      ],
      [
        "a setting of another type",
        "JMS-FACTORY",
        "/jms/factory",
        { set: { useAsyncSend: "x" } },
        /another type for `useAsyncSend`/,
      ],
      [
        "a setting that it refuses",
        "JMS-FACTORY",
        "/jms/factory",
        { set: { brokerURL: "tcp://[" } },
        /refuses `brokerURL`/,
      ],
      ["a Java that ends at once", "JMS-BRIDGE", "/jms/java", { java: "false" }, /ended with code 1/],
      ["no Java", "JMS-BRIDGE", "/jms/java", { java: "./no-java" }, /ended with code 12[67]/],
      ["a jar that is not there", "HOST-CONNECTOR", "/jms/classPath/0", { classPath: ["./x.jar"] }, /no `\.\/x\.jar`/],
    ])("%s is told when the graph is started, with its place", async (_title, code, path, wrong, message) => {
      expect(await optionsOf({ ...JAKARTA.definition, ...wrong }).catch(reportOf)).toMatchObject({
        code,
        message: expect.stringMatching(message) as string,
        place: { path },
      });
    });
  },
);
