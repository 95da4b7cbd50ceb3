/**
 * What a prune will carry of nodes, until it is written: states stand in a file, so that no more than one of them is in memory however
 * many there are. The name ends as those do that opening the log clears away after a crash.
 */
import { createHash } from "node:crypto";
import type { Disk, DiskFile, StreamCarry } from "@millrace/engine";
import { opsError } from "../errors.ts";

const NAME = "carried-states.tmp";

interface Spooled extends Omit<StreamCarry, "state"> {
  /** `undefined`: without a state. */
  readonly state: { readonly offset: number; readonly length: number; readonly hash: string } | undefined;
}

export class CarrySpool {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #spooled: Spooled[] = [];
  #file: DiskFile | undefined;
  #end = 0;

  /** @param directory of the log */
  constructor(disk: Disk, directory: string) {
    this.#disk = disk;
    this.#path = `${directory}/${NAME}`;
  }

  async add({ stream, revision, positions, state }: StreamCarry): Promise<void> {
    const place = state === undefined ? undefined : { offset: this.#end, length: state.length, hash: hashOf(state) };
    if (state !== undefined) await this.#write(state);
    this.#spooled.push({ stream, revision, positions, state: place });
  }

  /** In the order in which they were added. @throws HOST-CARRY a state is not what was written */
  async *all(): AsyncGenerator<StreamCarry> {
    for (const { state, ...carry } of this.#spooled)
      yield { ...carry, state: state === undefined ? undefined : await this.#read(state) };
  }

  async close(): Promise<void> {
    if (this.#file === undefined) return;
    await this.#file.close();
    await this.#disk.unlink(this.#path);
    this.#file = undefined;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    this.#file ??= await this.#disk.open(this.#path, { mode: "create" });
    if ((await this.#file.write(bytes, this.#end)) < bytes.length)
      throw opsError("HOST-CARRY", `${this.#path} took only a part of a state`);
    this.#end += bytes.length;
  }

  async #read({ offset, length, hash }: NonNullable<Spooled["state"]>): Promise<Uint8Array> {
    const bytes = Buffer.allocUnsafeSlow(length);
    await this.#file?.read(bytes, offset);
    if (hashOf(bytes) !== hash) throw opsError("HOST-CARRY", `${this.#path} is not what was written to it`);
    return bytes;
  }
}

function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("base64");
}
