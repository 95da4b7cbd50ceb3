/** The key file against a map, on a disk with power cuts at any moment. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type DiskOperation, SimulatedDisk } from "../testing/simulated-disk.ts";
import { SimulatedMount } from "../testing/simulated-mount.ts";
import { virtualEnv } from "../testing/virtual-env.ts";
import { SubjectKeys } from "./subject-keys.ts";

const DIRECTORY = "/data/keys";
const FILE = `${DIRECTORY}/subjects.keys`;
const DRAFT = /draft$/;
const SUBJECTS = ["ann", "bob", "cy", "dee", "eve"];

interface Act {
  readonly kind: "ensure" | "erase" | "reopen" | "cut";
  readonly subjects: readonly string[];
  /** Virtual ms after which the power goes. */
  readonly afterMs: number;
}

const act = fc.record<Act>({
  kind: fc.constantFrom("ensure", "erase", "reopen", "cut"),
  subjects: fc.uniqueArray(fc.constantFrom(...SUBJECTS), { minLength: 1 }),
  afterMs: fc.integer({ min: 0, max: 20 }),
});

describe("SubjectKeys", () => {
  it("keeps every key that it acknowledged, and none that it destroyed, through power cuts", async () => {
    const seen = { cutEnsures: 0, cutErasures: 0, kept: 0, erased: 0 };
    await fc.assert(
      fc.asyncProperty(fc.integer(), fc.array(act, { maxLength: 12 }), async (seed, acts) => {
        const m = new Machine(seed);
        await m.open();
        for (const { kind, subjects, afterMs } of acts) {
          if (kind === "ensure") await m.ensure(subjects);
          if (kind === "erase") await m.erase(subjects[0] ?? "");
          if (kind === "reopen") await m.open();
          if (kind === "cut") await m.cut(subjects, afterMs, seen);
          m.check(seen);
        }
      }),
      { numRuns: 200 },
    );
    for (const [what, count] of Object.entries(seen)) expect(count, what).toBeGreaterThan(0);
  });

  it("refuses a file in which a byte is another, and never takes the key for an erased one", async () => {
    const m = new Machine(1);
    await m.open();
    await m.ensure(SUBJECTS);
    for (const at of [0, 10, 4096, 4096 + 30, 4096 + 60, 4096 + 120]) {
      m.flip(at);
      await expect(m.open()).rejects.toMatchObject({ code: "PERSONAL-KEYS" });
      m.flip(at);
    }
    await m.open();
    expect(m.keys.keyOf("ann")).toMatchObject({ bytes: expect.anything() });
  });

  it("reads a key as it was until the file without it is durable, and as erased from then on", async () => {
    for (const seed of [1, 2, 3]) {
      const m = new Machine(seed);
      await m.open();
      await m.ensure(SUBJECTS);
      const states = await m.statesWhileErasing("ann");
      expect(new Set(states)).toEqual(new Set([m.known.get("ann"), "erased"]));
      expect(states.at(-1)).toBe("erased");
      expect(m.has("ann")).toBe(false);
    }
  });

  it.each<[DiskOperation, string, RegExp]>([
    ["open", "EMFILE", DRAFT],
    ["write", "ENOSPC", DRAFT],
    ["sync", "EIO", DRAFT],
    ["rename", "EACCES", DRAFT],
  ])(
    "still has a key that it could not destroy because %s fails with %s, and destroys it when asked again",
    async (...fault) => {
      const m = new Machine(1);
      await m.open();
      await m.ensure(SUBJECTS);
      await m.failToErase("ann", ...fault);
      expect(m.has("ann")).toBe(true);
      m.check({ kept: 0, erased: 0 });
      await m.ensure(["fay"]);
      await m.erase("ann");
      expect(m.has("ann")).toBe(false);
      await m.open();
      m.check({ kept: 0, erased: 0 });
    },
  );

  it("makes no further change when nobody knows which file a power cut would leave, and goes on when it is opened again", async () => {
    const m = new Machine(1);
    await m.open();
    await m.ensure(SUBJECTS);
    await m.failToErase("ann", "syncDirectory", "EIO", /keys/);
    await expect(m.ensure(["fay"])).rejects.toMatchObject({ code: "PERSONAL-KEYS" });
    await expect(m.erase("bob")).rejects.toMatchObject({ code: "PERSONAL-KEYS" });
    await m.open();
    await m.erase("ann");
    await m.ensure(["fay"]);
    m.check({ kept: 0, erased: 0 });
  });

  it("reads a key as erased when it is gone from the file and only the wiping of the one before failed", async () => {
    const m = new Machine(1);
    await m.open();
    await m.ensure(SUBJECTS);
    await m.open();
    m.disk.failNext("sync", "EIO", { path: /keys$/ });
    await expect(m.erase("ann")).rejects.toMatchObject({ code: "PERSONAL-KEYS" });
    expect(m.keys.keyOf("ann")).toBe("erased");
    expect(m.has("ann")).toBe(false);
  });
});

class Machine {
  readonly env: ReturnType<typeof virtualEnv>;
  readonly disk: SimulatedDisk;
  keys!: SubjectKeys;
  /** What was acknowledged: key bytes as hex, or erased. */
  readonly known = new Map<string, string>();
  readonly #first = new Map<string, string>();

  constructor(seed: number) {
    this.env = virtualEnv(seed);
    this.disk = new SimulatedDisk({ env: this.env, random: this.env.random.fork("disk") });
    this.disk.makeDirectory("/data");
  }

  async open(): Promise<void> {
    const disk = new SimulatedMount(this.disk);
    const randomBytes = (length: number): Uint8Array => this.env.random.bytes(length);
    this.keys = await this.env.until(SubjectKeys.open({ disk, directory: DIRECTORY, randomBytes }));
  }

  async ensure(subjects: readonly string[]): Promise<void> {
    await this.env.until(this.keys.ensure(subjects));
    for (const subject of subjects) {
      const now = this.#now(subject) ?? "missing";
      this.known.set(subject, now);
      if (now !== "erased" && !this.#first.has(subject)) this.#first.set(subject, now);
    }
  }

  async erase(subject: string): Promise<void> {
    const state = this.keys.find(subject);
    if (state === undefined) return;
    await this.env.until(this.keys.destroy(state.key));
    this.known.set(subject, "erased");
  }

  /** What readers see of a key, moment by moment, while it is destroyed; once it is erased for them, it is in no file. */
  async statesWhileErasing(subject: string): Promise<(string | undefined)[]> {
    let isDone = false;
    const erasing = this.keys.destroy(this.keys.find(subject)?.key ?? "").then(() => {
      isDone = true;
    });
    const states: (string | undefined)[] = [];
    for (let i = 0; i < 1000 && !isDone; i++) {
      states.push(this.#now(subject));
      if (states.at(-1) === "erased") expect(this.has(subject)).toBe(false);
      await this.env.advance(0.1);
    }
    await erasing;
    return [...states, this.#now(subject)];
  }

  async failToErase(subject: string, operation: DiskOperation, code: string, path: RegExp): Promise<void> {
    this.disk.failNext(operation, code, { path });
    const state = this.keys.find(subject);
    await expect(this.erase(subject)).rejects.toMatchObject({ code: "PERSONAL-KEYS" });
    expect(this.keys.find(subject)).toEqual({ ...state, isErased: false });
    expect(this.#now(subject)).toBe(this.known.get(subject));
  }

  /** True if the file has the key that a subject was first given. */
  has(subject: string): boolean {
    const first = this.#first.get(subject) ?? "missing";
    return Buffer.from(this.disk.bytesOf(FILE)).includes(Buffer.from(first, "hex"));
  }

  /** Power goes while keys are made or one is destroyed. */
  async cut(
    subjects: readonly string[],
    afterMs: number,
    seen: { cutEnsures: number; cutErasures: number },
  ): Promise<void> {
    const state = this.keys.find(subjects[0] ?? "");
    const erases = state !== undefined && !state.isErased;
    if (erases) seen.cutErasures++;
    else seen.cutEnsures++;
    const work = erases ? this.keys.destroy(state.key) : this.keys.ensure(subjects);
    work.catch(() => undefined);
    await this.env.advance(afterMs);
    this.disk.powerCut();
    await this.open();
    for (const subject of erases ? subjects.slice(0, 1) : subjects) {
      const before = this.known.get(subject);
      const now = this.#now(subject);
      // Not acknowledged: the old or the new, never a third.
      if (before !== undefined && before !== now) expect(now).toBe("erased");
      if (now !== undefined) this.known.set(subject, now);
    }
  }

  check(seen: { kept: number; erased: number }): void {
    const bytes = Buffer.from(this.disk.has(FILE) ? this.disk.bytesOf(FILE) : []);
    for (const [subject, known] of this.known) {
      expect(this.#now(subject), subject).toBe(known);
      if (known === "erased") seen.erased++;
      else {
        seen.kept++;
        expect(bytes.includes(Buffer.from(known, "hex"))).toBe(true);
      }
    }
  }

  flip(at: number): void {
    this.disk.flipBit(FILE, at);
  }

  #now(subject: string): string | undefined {
    const key = this.keys.keyOf(subject);
    return typeof key === "object" ? Buffer.from(key.bytes).toString("hex") : key;
  }
}
