/**
 * Graphs between two topics of a real Kafka, with an edge over it, whose link or storage turns bad without breaking: half-open, a
 * byte a second, slow, credentials taken away, no room. What was lost and what came twice is counted at the broker; what the graph
 * shows meanwhile is its state.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { KafkaServer, kafkaKinds } from "../../services/kafka-server.ts";
import { isFull, times } from "../faults/form.ts";
import { KafkaCopy } from "./kafka-copy.ts";
import { tellOutcome, UNHARMED } from "./kafka-outcome.ts";
import { KafkaTopics } from "./kafka-topics.ts";
import { QUICK, WAIT } from "./running-graph.ts";

/** The short form runs on the newest brokers. */
const kinds = kafkaKinds().slice(isFull ? 0 : -1);
const LIMIT_MS = times(120_000, 240_000);
/** One way, in ms. */
const LATENCY_MS = times(100, 500);
const POLICY = { ...QUICK, backoffMs: 50, probeTimeoutMs: times(1000, 4000), connectTimeoutMs: 10_000 };
const noMount = process.env.MILLRACE_SKIP_LOOP;
const DISK_MIB = 64;
const LOGIN = { user: "graph", password: "pw", loginMs: 2000 };

describe.skipIf(kinds.length === 0)("a graph over a weak link to Kafka", () => {
  for (const kind of kinds) {
    describe(kind.version, () => {
      let server: KafkaServer;
      let topics: KafkaTopics;

      let disk: string;

      beforeAll(async () => {
        disk = mkdtempSync(join(tmpdir(), "millrace-kafka-disk-"));
        if (!noMount) execFileSync("mount", ["-t", "tmpfs", "-o", `size=${DISK_MIB}m`, "tmpfs", disk]);
        server = await KafkaServer.start(kind, { security: LOGIN, log: disk, restarts: true });
        topics = await KafkaTopics.connect(server.address);
      }, LIMIT_MS);
      afterAll(async () => {
        topics?.close();
        await server?.stop();
        if (!noMount) execFileSync("umount", ["--lazy", disk]);
        rmSync(disk, { recursive: true });
      });

      test(
        "gives up what is half-open, goes on over another connection, and loses nothing at a byte a second or over a slow way",
        async () => {
          const { wire } = server;
          const copy = await KafkaCopy.start(topics, { endpoints: [wire.address], policy: POLICY });
          await copy.send(100);
          await copy.hasAll();
          const shown = new Set<string>();
          for (const worsen of [() => wire.hold(), () => wire.trickle(1000)]) {
            const before = copy.connections();
            worsen();
            await copy.send(100);
            // It is seen by what is asked of it, and not before.
            await vi.waitFor(() => {
              for (const [at, { reason, connects }] of Object.entries(copy.connections())) {
                shown.add(reason);
                expect(connects, at).toBeGreaterThan(before[at]?.connects ?? 0);
              }
            }, WAIT);
            await copy.hasAll();
          }
          wire.delay(LATENCY_MS);
          wire.snap();
          await copy.send(100);
          await copy.hasAll();
          wire.delay(0);
          const outcome = await copy.outcome();
          tellOutcome(server.version, `a link that is held, then at 1 byte/s, then ${LATENCY_MS} ms away`, outcome);
          expect([...shown].join()).toContain("no answer to a probe in");
          expect(outcome).toMatchObject(UNHARMED);
          await copy.stop();
        },
        LIMIT_MS,
      );

      test(
        "waits while its credentials are taken away, says so without the password, and goes on when it has them again",
        async () => {
          const copy = await KafkaCopy.start(topics, {
            endpoints: [server.secureAddress],
            policy: POLICY,
            login: LOGIN,
          });
          await copy.send(100);
          await copy.hasAll();
          await server.take(LOGIN);
          await vi.waitFor(() => {
            const { in: source, edge, out } = copy.connections();
            for (const connection of [source, edge])
              expect(connection?.reason).toMatch(/invalid credentials with SASL mechanism SCRAM-SHA-512/);
            // It has nothing to deliver, and does not try again before it has.
            expect(out?.state).not.toBe("up");
          }, WAIT);
          await copy.send(100);
          const waiting = { state: "waiting", reason: expect.stringMatching(/^CONNECTION-/) };
          await vi.waitFor(() => expect(copy.node("in")).toMatchObject(waiting), WAIT);
          expect(JSON.stringify(copy.status())).not.toContain(`${LOGIN.password}@`);
          await server.give(LOGIN);
          await copy.hasAll();
          const outcome = await copy.outcome();
          tellOutcome(server.version, "credentials revoked and given back", outcome);
          expect(outcome).toMatchObject(UNHARMED);
          await copy.stop();
        },
        LIMIT_MS,
      );

      // A broker ends itself when it cannot write: this comes last.
      test.skipIf(noMount)(
        "waits when the broker's disk is full and it ends itself, reads no further, and goes on when there is room",
        async () => {
          const copy = await KafkaCopy.start(topics, { endpoints: [server.address], policy: POLICY });
          await copy.send(100);
          await copy.hasAll();
          const ballast = join(disk, "ballast");
          const { bavail, bsize } = statfsSync(disk);
          execFileSync("fallocate", ["-l", String(bavail * bsize - ROOM_BYTES), ballast]);
          const ended = server.whenEnded;
          const sending = copy.send(2000, 1000);
          await ended;
          await vi.waitFor(() => {
            const { in: source, edge, out } = copy.connections();
            for (const connection of [source, edge])
              expect(connection).toMatchObject({ state: "suspended", reason: expect.stringContaining("ECONNREFUSED") });
            expect(out?.state).not.toBe("up");
            expect(copy.node("in").state).toBe("waiting");
          }, WAIT);
          rmSync(ballast);
          await server.start();
          await sending;
          await copy.hasAll();
          const outcome = await copy.outcome();
          tellOutcome(server.version, "the broker's disk full, then room again", outcome);
          expect(outcome).toMatchObject(UNHARMED);
          await copy.stop();
        },
        LIMIT_MS,
      );
    });
  }
});

/** What is left of a disk that is filled. */
const ROOM_BYTES = 1024 * 1024;
