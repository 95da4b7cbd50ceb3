/** The bridge to JMS clients with a client that has no broker, and fails as none should. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { type JmsDefinition, reportOf, systemEnv } from "@millrace/engine";
import { jmsFeed, jmsSink } from "@millrace/streams/jms";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { activemqJars } from "../../bin/activemq.mjs";
import { jmsAddress, jmsMissing, jmsOptions } from "./jms-clients.ts";
import { ListeningFeed } from "./listening-feed.ts";
import { slice } from "./running-graph.ts";

const env = systemEnv();
const LIMIT_MS = 60_000;
const START_MS = 120_000;
const JAKARTA_API = join(activemqJars, "*");
const BRIDGE = join(import.meta.dirname, "../../../streams/jms-bridge/target");
const FACTORY = "faulty.FaultyClient";
const SOURCE = jmsAddress("127.0.0.1:1/queue/q", "source");
const SINK = jmsAddress("127.0.0.1:1/queue/q", "sink");

describe.skipIf(jmsMissing)(
  `the bridge to JMS clients${jmsMissing === undefined ? "" : ` (skipped: ${jmsMissing})`}`,
  { timeout: LIMIT_MS },
  () => {
    let folder: string;
    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), "millrace-jms-"));
      const source = join(import.meta.dirname, "judges", "FaultyClient.java");
      execFileSync("javac", ["-cp", JAKARTA_API, "-d", folder, source]);
    }, START_MS);
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    const missingAt = (at: string): JmsDefinition => ({
      classPath: [folder, JAKARTA_API],
      factory: FACTORY,
      set: { at },
    });

    test.each([
      ["when it listens", "createConsumer"],
      ["when a message is received", "receive"],
    ])("says which class is missing %s, and the feed ends", async (_when, at) => {
      const options = await jmsOptions("g/in", SOURCE, missingAt(at));
      const heard = new ListeningFeed(jmsFeed(SOURCE, env, options));
      await expect(heard.ended).rejects.toMatchObject({
        code: "JMS-CLASS",
        message: expect.stringContaining(`vendor/${at}`),
      });
    });

    test.each([
      ["when it makes ready to send", "createProducer"],
      ["when it sends", "send"],
    ])("says which class is missing %s", async (_when, at) => {
      const options = await jmsOptions("g/out", SINK, missingAt(at));
      const sink = jmsSink(SINK, env, options);
      onTestFinished(() => sink.close());
      await sink.open(undefined);
      expect(await sink.deliver([slice(0, [1])]).catch(reportOf)).toMatchObject({
        code: "JMS-CLASS",
        message: expect.stringContaining(`vendor/${at}`),
      });
    });

    test("says what goes wrong with the connection in words, without its secrets", async () => {
      const jndi = { "java.naming.factory.initial": `${FACTORY}$Directory`, "vendor.key": `\${env:KEY}` };
      const definition = { classPath: [folder, JAKARTA_API], lookup: "ConnectionFactory", jndi };
      const options = await jmsOptions("g/in", SOURCE, definition, { KEY: "s3cret" });
      const heard = new ListeningFeed(jmsFeed(SOURCE, env, options));
      await heard.shows(/no licence for \*\*\*.* \(JMS-FACTORY\)/);
      await heard.end();
    });

    test("is asked again after it could not open, and ends when its host talks nonsense, though a thread of the client does not", async () => {
      const path = join(folder, "socket");
      const server = createServer().listen(path);
      onTestFinished(() => void server.close());
      const classPath = [join(BRIDGE, "millrace-jms-bridge.jar"), join(BRIDGE, "lib", "*"), folder, JAKARTA_API];
      const child = spawn("java", ["-cp", classPath.join(delimiter), "dev.millrace.jms.Bridge"], {
        env: { ...process.env, MILLRACE_SOCKET: path },
        stdio: "ignore",
      });
      onTestFinished(() => void child.kill("SIGKILL"));
      const exited = once(child, "exit");
      const [socket] = await once(server, "connection");
      socket.on("error", () => undefined);
      const answers: Buffer[] = [];
      const opened = new Promise<void>((resolve) => {
        socket.on("data", (bytes: Buffer) => {
          answers.push(bytes);
          if (Buffer.concat(answers).includes("opened")) resolve();
        });
      });
      for (const factory of ["not.There", FACTORY])
        socket.write(
          frame(Buffer.concat([map(3), text("is"), text("open"), text("factory"), text(factory), text("dry"), TRUE])),
        );
      await opened;
      socket.write(frame(NONSENSE));
      expect(await exited).toEqual([1, null]);
    });
  },
);

/** Of MessagePack what is needed here. */
const TRUE = Buffer.from([0xc3]);
const NONSENSE = Buffer.from([0xc1]);
const map = (fields: number): Buffer => Buffer.from([0x80 + fields]);
const text = (value: string): Buffer => Buffer.concat([Buffer.from([0xd9, value.length]), Buffer.from(value)]);

function frame(body: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32LE(body.length);
  return Buffer.concat([head, body]);
}
