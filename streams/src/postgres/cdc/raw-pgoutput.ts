/** The library's reader of pgoutput, told to leave values as the texts that they are, and to open the slot before it reads. */
import type { Client } from "pg";
import { type Pgoutput, PgoutputPlugin } from "pg-logical-replication";

/** A message that could not be read ends the stream in order, not the process. */
export type RawMessage = Pgoutput.Message | { readonly tag: "unreadable"; readonly cause: unknown };

const asIs = (text: string): string => text;

export class RawPgoutput extends PgoutputPlugin {
  readonly #open: (client: Client) => Promise<string>;
  /** Messages that have arrived. */
  received = 0;

  /** @param open is given the session that the stream will come over, and says where it begins */
  constructor(publication: string, open: (client: Client) => Promise<string>) {
    const quoted = `"${publication.replaceAll('"', '""')}"`.replaceAll("'", "''");
    super({ protoVersion: 1, publicationNames: [quoted] });
    this.#open = open;
  }

  override async start(client: Client, slot: string): Promise<unknown> {
    return super.start(client, slot, await this.#open(client));
  }

  override parse(buffer: Buffer): Pgoutput.Message {
    this.received++;
    try {
      const message = super.parse(buffer);
      if (message.tag === "relation") for (const column of message.columns) column.parser = asIs;
      return message;
    } catch (cause) {
      // What the library hands on it does not look at.
      return { tag: "unreadable", cause } as unknown as Pgoutput.Message;
    }
  }
}
