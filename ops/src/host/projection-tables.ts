/**
 * Projections as tables of enrich nodes. Graphs are compiled before projections run, so a node names its table first and looks
 * rows up later.
 */
import { fieldOf, type Json, type Place } from "@millrace/engine";
import type { ProjectionRunner } from "@millrace/projections";
import { opsError } from "../errors.ts";

export class ProjectionTables {
  readonly #named: { readonly name: string; readonly place: Place }[] = [];
  #runner: ProjectionRunner | undefined;

  /** Declares that a node will look rows up. */
  name(name: string, place: Place): void {
    this.#named.push({ name, place });
  }

  /** @throws HOST-PROJECTION a node named one that there is not */
  open(runner: ProjectionRunner): void {
    const known = new Set(runner.list().map(({ name }) => name));
    const missing = this.#named.find(({ name }) => !known.has(name));
    if (missing !== undefined)
      throw opsError("HOST-PROJECTION", `there is no projection ${missing.name}`, { place: missing.place });
    this.#runner = runner;
  }

  /** The first row whose field `on` equals `key`, as far as the projection has folded; cheap if `on` leads its key. */
  async find(name: string, on: string, key: Json): Promise<Json | undefined> {
    const page = await this.#runner?.query(name, { where: { [on]: key }, limit: 1 });
    return page?.rows.find((row) => fieldOf(row, on) === key);
  }
}
