/** A simulated machine with one log directory: opens, kills, power cuts, and an index store that survives them. */
import type { Env, MillraceError, OrderedStore } from "@millrace/engine";
import {
  SimulatedDisk,
  SimulatedMount,
  type VirtualEnv,
  type VirtualProcess,
  virtualEnv,
} from "@millrace/engine/testing";
import { memoryOrderedStore } from "@millrace/streams/memory";
import type { EmbeddedLog } from "../../src/embedded/embedded-log.ts";
import { type EmbeddedLogOptions, openEmbeddedLog } from "../../src/embedded/open-embedded-log.ts";
import type { Rule } from "../../src/embedded/rules.ts";

export const DIRECTORY = "/log";
export const SEGMENT_BYTES: number = 64 * 1024;

export interface LogProcess {
  readonly process: VirtualProcess;
  readonly mount: SimulatedMount;
  readonly log: EmbeddedLog;
  /** Set when the log stopped by itself. */
  fatal: MillraceError | undefined;
}

export interface LogMachineOptions {
  readonly rulesOff?: readonly Rule[];
  readonly open?: Partial<EmbeddedLogOptions>;
}

export class LogMachine {
  readonly env: VirtualEnv;
  readonly disk: SimulatedDisk;
  readonly options: LogMachineOptions;
  indexStore: OrderedStore = memoryOrderedStore();
  #incarnations = 0;

  constructor(seed: string | number, options: LogMachineOptions = {}) {
    this.env = virtualEnv(seed);
    this.disk = new SimulatedDisk({ env: this.env, random: this.env.random.fork("disk") });
    this.options = options;
  }

  segment(serial: number): string {
    return `${DIRECTORY}/${String(serial).padStart(10, "0")}.seg`;
  }

  /** Starts an opening without waiting for it. */
  start(overrides: Partial<EmbeddedLogOptions> = {}): {
    readonly process: VirtualProcess;
    readonly mount: SimulatedMount;
    readonly opening: Promise<LogProcess>;
  } {
    const process = this.env.process(`process-${this.#incarnations++}`);
    const mount = new SimulatedMount(this.disk);
    const fatals: MillraceError[] = [];
    const open = async (): Promise<LogProcess> => {
      const log = await openEmbeddedLog(this.#optionsFor(process.env, mount, (error) => fatals.push(error), overrides));
      return {
        process,
        mount,
        log,
        get fatal() {
          return fatals[0];
        },
      };
    };
    const opening = open();
    opening.catch(() => undefined);
    return { process, mount, opening };
  }

  /** Opens the log and waits for it in virtual time. */
  open(overrides: Partial<EmbeddedLogOptions> = {}): Promise<LogProcess> {
    return this.env.until(this.start(overrides).opening);
  }

  /** The code with which opening is refused, or `opened`. */
  async outcomeOfOpening(overrides: Partial<EmbeddedLogOptions> = {}): Promise<string> {
    const { process, mount, opening } = this.start(overrides);
    const outcome = await this.env.until(
      opening.then(
        () => "opened",
        (thrown: { readonly code?: string }) => thrown.code ?? String(thrown),
      ),
    );
    process.kill();
    mount.kill();
    return outcome;
  }

  kill({ process, mount }: Pick<LogProcess, "process" | "mount">): void {
    process.kill();
    mount.kill();
  }

  powerCut({ process }: Pick<LogProcess, "process">): void {
    process.kill();
    this.disk.powerCut();
  }

  async close({ log, process, mount }: LogProcess): Promise<void> {
    await this.env.until(log.close());
    process.kill();
    mount.kill();
  }

  /** Deletes the index, which has seen the end of the log. */
  forgetWitnesses(): void {
    this.indexStore = memoryOrderedStore();
  }

  #optionsFor(
    env: Env,
    mount: SimulatedMount,
    onFatal: (error: MillraceError) => void,
    overrides: Partial<EmbeddedLogOptions>,
  ): EmbeddedLogOptions {
    return {
      directory: DIRECTORY,
      disk: mount,
      env,
      indexStore: this.indexStore,
      segmentBytes: SEGMENT_BYTES,
      bufferBytes: SEGMENT_BYTES,
      recentAppends: 8192,
      // Fewer than the streams of most tests, so that streams come and go.
      streamsKept: 4,
      indexLingerMs: 5,
      onFatal,
      rulesOff: new Set(this.options.rulesOff ?? []),
      ...this.options.open,
      ...overrides,
    };
  }
}
