/** A simulated machine with a log and its Merkle tree: opened as a host opens them, killed and cut off at any moment. */
import { SimulatedDisk, SimulatedMount, sampleEvent, to, type VirtualEnv, virtualEnv } from "@millrace/engine/testing";
import { type AuditReport, type AuditTree, auditWitnesses, openAuditTree, verifyAudit } from "@millrace/projections";
import { type EmbeddedLog, openEmbeddedLog, openStoredLog } from "@millrace/streams/embedded";
import { memoryOrderedStore } from "@millrace/streams/memory";

export const LOG = "/data/log";
export const AUDIT = "/data/audit";
const SEGMENT_BYTES = 128 * 1024;

export interface AuditProcess {
  readonly log: EmbeddedLog;
  readonly tree: AuditTree;
  readonly mount: SimulatedMount;
  kill(): void;
}

export class AuditMachine {
  readonly env: VirtualEnv;
  readonly disk: SimulatedDisk;
  lingerMs = 5;
  stopMsMax = 2000;
  #incarnations = 0;

  constructor(seed: string | number) {
    this.env = virtualEnv(seed);
    this.disk = new SimulatedDisk({ env: this.env, random: this.env.random.fork("disk") });
  }

  /** Opens log and tree; the index is always made again, so that the tree is the only witness. */
  open(): Promise<AuditProcess> {
    const process = this.env.process(`process-${this.#incarnations++}`);
    const mount = new SimulatedMount(this.disk);
    const kill = (): void => {
      process.kill();
      mount.kill();
    };
    const opening = async (): Promise<AuditProcess> => {
      const frontiers = await auditWitnesses(mount, AUDIT);
      const log = await openEmbeddedLog({
        directory: LOG,
        disk: mount,
        env: process.env,
        indexStore: memoryOrderedStore(),
        segmentBytes: SEGMENT_BYTES,
        bufferBytes: SEGMENT_BYTES,
        witnesses: frontiers.map(({ path, logId, size, chain }) => ({ name: path, logId, pos: size, chain })),
      });
      const tree = await openAuditTree({
        log,
        disk: mount,
        directory: AUDIT,
        env: process.env,
        lingerMs: this.lingerMs,
        stopMsMax: this.stopMsMax,
      });
      tree.start();
      return { log, tree, mount, kill };
    };
    return this.env.until(
      opening().catch((thrown: unknown) => {
        kill();
        throw thrown;
      }),
    );
  }

  /** Appends one event after the other until the process dies; `eventsMax` in all. */
  async work({ log }: AuditProcess, eventsMax: number, random = this.env.random.fork("work")): Promise<void> {
    for (let i = 0; i < eventsMax; i++) {
      const payload = random.bytes(random.below(200));
      await log.append(to(`stream-${random.below(4)}`, sampleEvent({ payload })));
    }
  }

  async close({ log, tree, kill }: AuditProcess): Promise<void> {
    await this.env.until(tree.stop());
    await this.env.until(log.close());
    kill();
  }

  /** As `millrace audit verify` does: from the files alone. */
  verify(since?: string): Promise<AuditReport> {
    const mount = new SimulatedMount(this.disk);
    const verifying = async (): Promise<AuditReport> => {
      const log = await openStoredLog(mount, LOG);
      return verifyAudit({ log, disk: mount, directory: AUDIT, ...(since === undefined ? {} : { since }) });
    };
    return this.env.until(verifying());
  }

  /** Paths below the log's own directory. */
  paths(): string[] {
    return this.disk.paths().filter((path) => path.startsWith(`${AUDIT}/`));
  }

  path(name: string): string {
    const found = this.paths().find((path) => path.endsWith(`/${name}`));
    if (found === undefined) throw new Error(`there is no ${name} in ${this.paths().join(", ")}`);
    return found;
  }

  text(name: string): string | undefined {
    const found = this.paths().find((path) => path.endsWith(`/${name}`));
    return found === undefined ? undefined : Buffer.from(this.disk.bytesOf(found)).toString("utf8");
  }

  /** What the checkpoint file says, whoever signed it. */
  signed(): { readonly size: number; readonly root: string } | undefined {
    const lines = this.text("checkpoint")?.split("\n");
    return lines === undefined ? undefined : { size: Number(lines[1]), root: lines[2] ?? "" };
  }

  /** Of the full tiles of a level, and of what a crash has left behind them. */
  levelBytes(level: number): number {
    const found = this.paths().find((path) => path.endsWith(`/level-${level}`));
    return found === undefined ? 0 : this.disk.bytesOf(found).length;
  }

  frontierSize(): number {
    const json = this.text("frontier")?.split("\n")[1];
    return json === undefined ? 0 : (JSON.parse(json) as { readonly size: number }).size;
  }
}
