/** Encrypted connections with passwords to a real ActiveMQ, over STOMP and over AMQP 1.0. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type ActivemqServer, activemqMissing, startActivemq } from "../../services/activemq-server.ts";
import { opensslMissing, selfSigned } from "../../services/certificate.ts";
import { RunningGraph, WAIT } from "./running-graph.ts";

const START_MS = 120_000;
const PASSWORD = "changeit";
const missing = activemqMissing ?? opensslMissing;

describe.skipIf(missing)(
  `ActiveMQ that wants to know who is there${missing === undefined ? "" : ` (skipped: ${missing})`}`,
  () => {
    const directory = mkdtempSync(join(tmpdir(), "millrace-activemq-tls-"));
    let broker: ActivemqServer;
    let ca: string;

    beforeAll(async () => {
      const { cert, key } = selfSigned(directory);
      const path = join(directory, "store.p12");
      const from = ["-inkey", key, "-in", cert, "-out", path, "-passout", `pass:${PASSWORD}`];
      execFileSync("openssl", ["pkcs12", "-export", ...from], { stdio: "ignore" });
      ca = cert;
      broker = await startActivemq({
        keyStore: { path, password: PASSWORD },
        plugins: `<simpleAuthenticationPlugin><users>
          <authenticationUser username="ada" password="s3cret" groups="all"/></users></simpleAuthenticationPlugin>`,
      });
    }, START_MS);
    afterAll(async () => {
      await broker?.stomp.stop();
      rmSync(directory, { recursive: true, force: true });
    }, START_MS);

    for (const [scheme, refused] of [
      ["activemq", /User name \[ada\] or password is invalid/],
      ["amqp10", /amqp:unauthorized-access/],
    ] as const) {
      const port = (): number => (scheme === "amqp10" ? broker.amqp.port : broker.stomp.port);
      const graph = (name: string, hosts: string, login: string, options: string): string => {
        const address = `${scheme}://${login}@${hosts}/queue/${scheme}-${name}${options}`;
        return `name: ${scheme}-${name}
nodes:
  tick: { kind: source, from: "metronome:50ms" }
  send: { kind: sink, input: tick, to: "${address}" }
  hear: { kind: source, from: "${address}" }
  out:  { kind: sink, input: hear, to: "discard:" }
`;
      };
      const hearing = (running: RunningGraph) => running.status().nodes.find(({ node }) => node === "hear")?.connection;

      test(
        `a graph talks ${scheme}: to a broker that it trusts and that knows it, and to no other; hosts that are down are passed over`,
        async () => {
          const secure = `?tls=true&ca=${ca}`;
          const hosts = `localhost:1,localhost:${port()}`;
          const trusting = await RunningGraph.start(graph("trusting", hosts, "ada:s3cret", secure));
          const doubting = await RunningGraph.start(graph("doubting", hosts, "ada:s3cret", "?tls=true"));
          const unknown = await RunningGraph.start(graph("unknown", hosts, "ada:wr0ng", secure));
          try {
            await vi.waitFor(
              () => expect(trusting.status().nodes.find(({ node }) => node === "out")?.messagesIn).toBeGreaterThan(2),
              WAIT,
            );
            await vi.waitFor(() => expect(hearing(doubting)?.reason).toMatch(/self.signed certificate/i), WAIT);
            await vi.waitFor(() => expect(hearing(unknown)?.reason).toMatch(refused), WAIT);
            expect(hearing(unknown)?.reason).toMatch(/localhost:1: .*REFUSED.*; localhost:\d+: /);
            expect(JSON.stringify(unknown.status())).not.toContain("wr0ng");
          } finally {
            await trusting.stop();
            await doubting.stop();
            await unknown.stop();
          }
        },
        START_MS,
      );
    }
  },
);
