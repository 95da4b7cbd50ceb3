/**
 * A graph that nothing is wrong with, on a host beside graphs that much is wrong with, and on one of its own. What the machine costs it, which
 * may be busy, it costs both; the difference is what the others on its host cost it.
 */
import { expect } from "vitest";
import { eventually, GraphFolder, type Server } from "./graph-folder.ts";

export const BYSTANDER = `name: bystander
nodes:
  in:  { kind: source, from: "metronome:250ms" }
  out: { kind: sink, input: in, to: "discard:" }
`;

/** One tick more or less counts for little among so many. */
const TICKS_MIN = 10;

const ticksOf = async (server: Server): Promise<number> => (await server.status("bystander")).messagesOut;

export class Bystanders {
  readonly #folder: GraphFolder;
  readonly #alone: Server;
  #beside: Server;
  #before: readonly [beside: number, alone: number] = [0, 0];

  private constructor(folder: GraphFolder, alone: Server) {
    this.#folder = folder;
    this.#alone = alone;
    this.#beside = alone;
  }

  /** The one of its own: before the other, so that what that begins with is seen. */
  static async start(): Promise<Bystanders> {
    const folder = new GraphFolder({ "bystander.yaml": BYSTANDER });
    return new Bystanders(folder, await folder.serve(["bystander.yaml"]));
  }

  async watch(beside: Server): Promise<void> {
    this.#beside = beside;
    this.#before = await this.#ticks();
  }

  /** Ticks beside the others since they are watched, of each of the one that is alone. */
  async share(): Promise<number> {
    return eventually(async () => {
      const [beside, alone] = await this.#ticks();
      expect(alone - this.#before[1]).toBeGreaterThanOrEqual(TICKS_MIN);
      return (beside - this.#before[0]) / (alone - this.#before[1]);
    });
  }

  async stop(): Promise<void> {
    await this.#alone.stop();
    this.#folder.remove();
  }

  #ticks(): Promise<[number, number]> {
    return Promise.all([ticksOf(this.#beside), ticksOf(this.#alone)]);
  }
}
