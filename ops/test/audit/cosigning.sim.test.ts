import { type HttpAnswer, type HttpClient, type HttpRequest, httpClientError, sleep } from "@millrace/engine";
import { SimulatedMount } from "@millrace/engine/testing";
import {
  type AskedWitness,
  type AuditReport,
  type Cosigning,
  cosignersOf,
  openCosignedProofs,
  parseWitnessKey,
  startCosigning,
  verifyAudit,
  type WantedWitnesses,
  type WitnessStatus,
} from "@millrace/projections";
import { openStoredLog } from "@millrace/streams/embedded";
import { describe, expect, it } from "vitest";
import { AUDIT, AuditMachine, type AuditProcess, LOG } from "./audit-machine.ts";
import { TestWitness, text, type WitnessAnswer } from "./test-witness.ts";

/** The network between the log and its witnesses. */
class Network implements HttpClient {
  readonly #machine: AuditMachine;
  readonly #witnesses: readonly TestWitness[];
  /** Names of those that never answer, and of those that cannot be reached. */
  readonly hanging = new Set<string>();
  readonly away = new Set<string>();

  constructor(machine: AuditMachine, witnesses: readonly TestWitness[]) {
    this.#machine = machine;
    this.#witnesses = witnesses;
  }

  async request({ url, body, deadlineMs, method }: HttpRequest): Promise<HttpAnswer> {
    expect(method).toBe("POST");
    const witness = this.#witnesses.find(({ name }) => url === `https://${name}/prefix/add-checkpoint`);
    if (witness === undefined) throw new Error(`nobody is at ${url}`);
    if (this.away.has(witness.name)) throw httpClientError("HTTP-UNREACHABLE", "nobody is there");
    await sleep(this.#machine.env, this.hanging.has(witness.name) ? deadlineMs : 20);
    if (this.hanging.has(witness.name)) throw httpClientError("HTTP-DEADLINE", "no answer in time");
    const answer = witness.answer(Buffer.from(body ?? []).toString("utf8"));
    return { ...answer, body: Buffer.from(answer.body) };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

const keyOf = (witness: TestWitness): AskedWitness["key"] => {
  const key = parseWitnessKey(witness.verifierKey);
  if (key === undefined) throw new Error(`no key: ${witness.verifierKey}`);
  return key;
};

class Scene {
  readonly machine: AuditMachine;
  readonly one = new TestWitness("one.example/w");
  readonly two = new TestWitness("two.example/w");
  readonly network: Network;
  readonly changes: WitnessStatus[] = [];
  cosigning: Cosigning | undefined;
  process: AuditProcess | undefined;

  constructor(seed: string) {
    this.machine = new AuditMachine(seed);
    this.network = new Network(this.machine, [this.one, this.two]);
  }

  async open(witnesses: readonly TestWitness[] = [this.one, this.two]): Promise<AuditProcess> {
    const { machine, network } = this;
    this.process = await machine.open();
    const { log, tree, mount } = this.process;
    this.cosigning = await machine.env.until(
      startCosigning({
        tree,
        logId: log.id,
        disk: mount,
        directory: AUDIT,
        env: machine.env,
        http: network,
        witnesses: witnesses.map((witness) => ({ key: keyOf(witness), url: `https://${witness.name}/prefix/` })),
        onChange: (status) => void this.changes.push(status),
      }),
    );
    return this.process;
  }

  /** Appends, and lets as much time pass as witnesses need. */
  async work(events: number, ms = 5000): Promise<void> {
    if (this.process === undefined) throw new Error("nothing is open");
    await this.machine.env.until(this.machine.work(this.process, events));
    await this.machine.env.advance(ms);
  }

  async close(): Promise<void> {
    if (this.process === undefined) throw new Error("nothing is open");
    const { log, tree, kill } = this.process;
    await this.machine.env.until(tree.stop());
    await this.machine.env.until(this.cosigning?.stop() ?? Promise.resolve());
    await this.machine.env.until(log.close());
    kill();
  }

  /** `one live 20`, with the code of the failure if there is one. */
  status(): readonly string[] {
    return (this.cosigning?.status() ?? []).map(({ name, state, size, failure }) =>
      [name.split(".")[0], state, size, failure?.code].join(" ").trim(),
    );
  }

  verify(wanted: Partial<WantedWitnesses> = {}, keys = [this.one, this.two]): Promise<AuditReport> {
    const mount = new SimulatedMount(this.machine.disk);
    const verifying = async (): Promise<AuditReport> => {
      const log = await openStoredLog(mount, LOG);
      const witnesses = { keys: keys.map(keyOf), quorum: keys.length, ...wanted };
      return verifyAudit({ log, disk: mount, directory: AUDIT, witnesses });
    };
    return this.machine.env.until(verifying());
  }

  /** Lines of signatures of the published checkpoint, and its size. */
  published(): { readonly size: number; readonly names: readonly string[] } | undefined {
    const note = this.machine.text("checkpoint-cosigned");
    if (note === undefined) return undefined;
    const [, size, , , ...lines] = note.trimEnd().split("\n");
    return { size: Number(size), names: lines.map((line) => line.split(" ")[1] ?? "").slice(1) };
  }
}

describe("witnesses", () => {
  it("cosign what is signed, with proofs from what they have seen, and the log is vouched for", async () => {
    const scene = new Scene("cosigned");
    await scene.open();
    await scene.work(300);
    await scene.work(40);
    await scene.work(1);
    expect(scene.status()).toEqual(["one live 341", "two live 341"]);
    expect(scene.published()).toEqual({ size: 341, names: [scene.one.name, scene.two.name] });
    const olds = scene.one.requests.map((request) => request.split("\n")[0]);
    expect([olds[0], olds.at(-1)]).toEqual(["old 0", "old 340"]);
    expect(scene.one.requests.at(-1)).toContain("\n\nmillrace/log/");
    await scene.close();
    const report = await scene.verify();
    expect(report).toMatchObject({ findings: [], witnessed: 341, verified: 341 });
    expect(report.witnesses.map(({ name, size }) => [name, size])).toEqual([
      ["one.example/w", 341],
      ["two.example/w", 341],
    ]);
  });

  it("cosign the last checkpoint of a host that stops, and are asked again by the next", async () => {
    const scene = new Scene("stop");
    await scene.open();
    await scene.work(10, 0);
    await scene.close();
    expect(scene.published()?.size).toBe(10);
    const asked = scene.one.requests.length;
    await scene.open();
    await scene.machine.env.advance(1000);
    expect(scene.one.requests.slice(asked).map((request) => request.split("\n")[0])).toEqual(["old 10"]);
    await scene.close();
  });

  it("that are away or hang hold nothing back: neither the checkpoint, nor the others, nor the stop", async () => {
    const scene = new Scene("away");
    scene.network.hanging.add(scene.one.name);
    await scene.open();
    await scene.work(50, 60_000);
    expect(scene.status()).toEqual(["one failing 0 WITNESS-UNAVAILABLE", "two live 50"]);
    expect(scene.process?.tree.status()).toMatchObject({ state: "live", size: 50, lag: 0 });
    expect(scene.published()).toEqual({ size: 50, names: [scene.two.name] });
    const before = scene.machine.env.clock.monotonic();
    await scene.close();
    expect(scene.machine.env.clock.monotonic() - before).toBeLessThan(15_000);
    const report = await scene.verify();
    expect(report.findings).toEqual([
      {
        code: "WITNESS-MISSING",
        message: "1 of 2 witnesses have cosigned the log, 2 are wanted; missing: one.example/w",
      },
    ]);
    expect(report.witnessed).toBe(0);
    expect(await scene.verify({ quorum: 1 })).toMatchObject({ findings: [], witnessed: 50 });
  });

  it("that come back cosign what they missed, and that is told", async () => {
    const scene = new Scene("back");
    await scene.open();
    await scene.work(10);
    scene.network.away.add(scene.two.name);
    await scene.work(10);
    expect(scene.status()).toEqual(["one live 20", "two failing 10 WITNESS-UNAVAILABLE"]);
    expect(scene.published()).toEqual({ size: 20, names: [scene.one.name] });
    scene.network.away.clear();
    await scene.work(1, 30_000);
    expect(scene.published()).toEqual({ size: 21, names: [scene.one.name, scene.two.name] });
    expect(scene.changes.map(({ name, state }) => [name, state])).toEqual([
      [scene.two.name, "failing"],
      [scene.two.name, "live"],
    ]);
    await scene.close();
  });

  it("keep a published checkpoint until all who cosigned it have cosigned a newer one", async () => {
    const scene = new Scene("published");
    await scene.open();
    await scene.work(10);
    scene.network.hanging.add(scene.two.name);
    await scene.work(10, 5000);
    expect(scene.published()).toEqual({ size: 10, names: [scene.one.name, scene.two.name] });
    await scene.machine.env.advance(60_000);
    expect(scene.published()).toEqual({ size: 20, names: [scene.one.name] });
    await scene.close();
  });

  it("that remember more or less than we do of what they cosigned are asked from there", async () => {
    const scene = new Scene("remember");
    await scene.open();
    await scene.work(10);
    await scene.close();
    // The files of a crash before the answer came, and a witness that was put back.
    for (const path of scene.machine.paths()) if (path.includes("/cosigned/")) scene.machine.disk.remove(path);
    scene.two.size = 0;
    await scene.open();
    await scene.work(10);
    expect(scene.status()).toEqual(["one live 20", "two live 20"]);
    await scene.close();
    expect((await scene.verify()).findings).toEqual([]);
  });

  it("that a monitor told of a newer checkpoint are no alarm", async () => {
    const scene = new Scene("monitor");
    await scene.open([scene.one]);
    await scene.work(10);
    scene.network.hanging.add(scene.one.name);
    await scene.work(10, 20_000);
    const [, size = "", root = ""] = scene.machine.text("checkpoint")?.split("\n") ?? [];
    scene.one.remember(Number(size), root);
    scene.network.hanging.clear();
    await scene.machine.env.advance(60_000);
    expect(scene.status()).toEqual(["one live 20"]);
    await scene.close();
  });
});

describe("an answer", () => {
  const stranger = new TestWitness("one.example/w");
  const ofStranger = (answer: WitnessAnswer): WitnessAnswer => ({ ...answer, body: stranger.cosignature("x\n\n") });

  it.each<[what: string, fault: (answer: WitnessAnswer) => WitnessAnswer, code: string]>([
    ["of another key", ofStranger, "WITNESS-ANSWER"],
    ["that is garbage", () => text(200, "\u0000\u0001garbage"), "WITNESS-ANSWER"],
    ["that is empty", () => text(200, ""), "WITNESS-ANSWER"],
    ["with a changed signature", (a) => ({ ...a, body: a.body.replace(/.{6}\n$/, "AAAA==\n") }), "WITNESS-ANSWER"],
    ["with another time", (a) => ({ ...a, body: withTime(a.body) }), "WITNESS-ANSWER"],
    ["of a conflict without a size", () => text(409, "17\n"), "WITNESS-ANSWER"],
    ["of a conflict with a size that is none", () => conflict("017\n"), "WITNESS-ANSWER"],
    ["that names a smaller size each time", () => conflict(`${shrinking--}\n`), "WITNESS-ANSWER"],
    ["that it does not know the log", () => text(404, "unknown log\n"), "WITNESS-REFUSED"],
    ["that it does not know the key", () => text(403, "unknown key\n"), "WITNESS-REFUSED"],
    ["that it is overloaded", () => text(503, "later\n"), "WITNESS-UNAVAILABLE"],
    ["that the proof does not hold", () => text(422, "bad proof\n"), "WITNESS-FORK"],
    ["that it has cosigned more records", () => conflict("1000\n"), "WITNESS-AHEAD"],
  ])("%s is told by its code, and nothing of it is stored", async (_what, fault, code) => {
    const scene = new Scene("answers");
    scene.one.fault = fault;
    const process = await scene.open();
    await scene.work(20, 2000);
    expect(scene.status()).toEqual([`one ${code.match(/AHEAD|FORK/) ? "alarm" : "failing"} 0 ${code}`, "two live 20"]);
    expect(process.tree.status()).toMatchObject({ state: "live", size: 20 });
    expect(scene.published()?.names).toEqual([scene.two.name]);
    scene.one.fault = undefined;
    scene.one.size = 0;
    await scene.work(1, 60_000);
    expect(scene.status()).toEqual(["one live 21", "two live 21"]);
    await scene.close();
  });
  let shrinking = 15;

  it("to come later is waited for as long as it asks", async () => {
    const scene = new Scene("retry-after");
    scene.one.fault = () => ({ status: 429, headers: { "retry-after": "100" }, body: "" });
    await scene.open();
    await scene.work(5, 90_000);
    expect(scene.one.requests).toHaveLength(1);
    scene.one.fault = undefined;
    await scene.machine.env.advance(20_000);
    expect(scene.status()).toEqual(["one live 5", "two live 5"]);
    await scene.close();
  });
});

function conflict(body: string): WitnessAnswer {
  return { status: 409, headers: { "content-type": "text/x.tlog.size" }, body };
}

function withTime(line: string): string {
  const [dash, name, encoded = ""] = line.trimEnd().split(" ");
  const bytes = Buffer.from(encoded, "base64");
  bytes[11] = (bytes[11] as number) ^ 1;
  return `${dash} ${name} ${bytes.toString("base64")}\n`;
}

describe("a log that was put back", () => {
  /** Log and audit directory of a host that had 30 records as they were when it had 20; the witnesses have cosigned 30. */
  async function putBack(seed: string): Promise<Scene> {
    const scene = new Scene(seed);
    await scene.open();
    await scene.work(20);
    await scene.close();
    const image = scene.machine.disk.image();
    await scene.open();
    await scene.work(10);
    await scene.close();
    for (const path of scene.machine.disk.paths()) scene.machine.disk.remove(path);
    for (const [path, bytes] of image) scene.machine.disk.put(path, bytes);
    return scene;
  }

  it("opens, since nothing on the disk contradicts it; the witnesses do", async () => {
    const scene = await putBack("put back");
    const process = await scene.open();
    await scene.machine.env.advance(3000);
    expect(scene.status()).toEqual(["one alarm 20 WITNESS-AHEAD", "two alarm 20 WITNESS-AHEAD"]);
    expect(process.tree.status().state).toBe("live");
    expect(scene.cosigning?.status()[0]?.failure).toMatchObject({
      message: "one.example/w has cosigned 30 records, this log has signed 20",
      place: { position: 20 },
      details: { seen: 30, end: 20 },
    });
    await scene.close();
  });

  it("is still contradicted when it has grown beyond what they cosigned", async () => {
    const scene = await putBack("grown");
    await scene.open();
    // The in-test witness believes proofs; one that checks them answers 422.
    for (const witness of [scene.one, scene.two])
      witness.fault = (answer) => (answer.status === 200 ? text(422, "bad proof\n") : answer);
    await scene.work(50, 600_000);
    expect(scene.status()).toEqual(["one alarm 20 WITNESS-FORK", "two alarm 20 WITNESS-FORK"]);
    await scene.close();
  });

  it("is found offline where the cosignatures were kept", async () => {
    const scene = new Scene("kept");
    await scene.open();
    await scene.work(20);
    await scene.close();
    const image = scene.machine.disk.image();
    await scene.open();
    await scene.work(10);
    await scene.close();
    for (const path of scene.machine.disk.paths()) if (!path.includes("cosigned")) scene.machine.disk.remove(path);
    for (const [path, bytes] of image) if (!path.includes("cosigned")) scene.machine.disk.put(path, bytes);
    const { findings } = await scene.verify();
    expect(findings.map(({ code }) => code)).toEqual(["WITNESS-AHEAD", "WITNESS-AHEAD"]);
  });
});

describe("verification with witnesses", () => {
  it("says how far they vouch, and wants no more than is allowed to be missing", async () => {
    const scene = new Scene("lag");
    await scene.open();
    await scene.work(20);
    scene.network.away.add(scene.two.name);
    await scene.work(30);
    await scene.close();
    expect(await scene.verify()).toMatchObject({ findings: [], witnessed: 20 });
    expect(await scene.verify({ quorum: 1 })).toMatchObject({ findings: [], witnessed: 50 });
    expect(await scene.verify({ lagMax: 30 })).toMatchObject({ findings: [] });
    const { findings } = await scene.verify({ lagMax: 29 });
    expect(findings).toEqual([
      {
        code: "WITNESS-MISSING",
        message:
          "1 of 2 witnesses have cosigned all but the newest 29 records, 2 are wanted; missing: two.example/w (only the first 20 records)",
      },
    ]);
  });

  it("has proofs that lead to the newest cosigned checkpoint, also when newer ones have taken its tiles", async () => {
    const scene = new Scene("proofs");
    const { log } = await scene.open([scene.one]);
    await scene.work(300);
    scene.network.away.add(scene.one.name);
    await scene.work(400);
    await scene.close();
    const { env, disk } = scene.machine;
    const proofs = await env.until(openCosignedProofs(new SimulatedMount(disk), AUDIT, log.id));
    expect(proofs?.checkpoint.size).toBe(300);
    expect(proofs && cosignersOf(proofs.checkpoint)).toEqual([scene.one.name]);
    const prove = async (position: number): Promise<number | undefined> =>
      (await proofs?.inclusion(position, await proofs.leaf(position)))?.length;
    // A path of a tree of 300 leaves: 8 hashes within the first 256, then one for the other 44.
    for (const position of [0, 255]) expect(await env.until(prove(position))).toBe(9);
    for (const position of [256, 299]) expect(await env.until(prove(position))).toBeLessThan(8);
    await expect(env.until(prove(300))).rejects.toMatchObject({ code: "AUDIT-RANGE" });
  });

  it("believes no cosignature with a changed byte, and none of another key", async () => {
    const scene = new Scene("changed");
    await scene.open([scene.one]);
    await scene.work(20);
    await scene.close();
    const other = new TestWitness(scene.one.name);
    expect((await scene.verify({}, [other])).findings).toMatchObject([{ code: "WITNESS-MISSING" }]);
    const id = scene.one.verifierKey.split("+")[1];
    for (const name of [`cosigned/${id}`, "checkpoint-cosigned"]) {
      const path = scene.machine.path(name);
      scene.machine.disk.flipBit(path, scene.machine.disk.bytesOf(path).length - 20, 0);
    }
    expect((await scene.verify({}, [scene.one])).findings).toMatchObject([{ code: "WITNESS-MISSING" }]);
  });
});
