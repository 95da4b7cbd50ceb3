/** The events of a bundle for people and their tools: payloads decoded, as JSON Lines and as Parquet. Nothing of it is proven. */
import { createHash } from "node:crypto";
import { createReadStream, statSync } from "node:fs";
import { pipeline } from "node:stream/promises";
import type { RecordedEvent } from "@millrace/engine";
import { fileWriter, ParquetWriter, schemaFromColumnData } from "hyparquet-writer";
import { describeEvent } from "../host/describe-event.ts";
import { BundleFile, type BundleFileFact } from "./bundle-file.ts";
import type { BundleFolder } from "./bundle-folder.ts";
import { eventFields } from "./bundled-event.ts";
import { columnsOf, type EventRow, rowOf } from "./event-columns.ts";

export const READABLE = ["readable.jsonl", "events.parquet"] as const;

const ROW_GROUP_ROWS = 10_000;

export class ReadableEvents {
  readonly #lines: BundleFile;
  readonly #parquetPath: string;
  readonly #parquet: ParquetWriter;
  #rows: EventRow[] = [];

  constructor(folder: BundleFolder) {
    const [lines, parquet] = READABLE;
    this.#lines = new BundleFile(folder, lines);
    this.#parquetPath = folder.file(parquet);
    const schema = schemaFromColumnData({ columnData: columnsOf([]) });
    this.#parquet = new ParquetWriter({ writer: fileWriter(this.#parquetPath), schema });
  }

  add(event: RecordedEvent): void {
    const fields = eventFields(event);
    const data = describeEvent(event);
    this.#lines.line({ ...fields, data });
    this.#rows.push(rowOf(event, data));
    if (this.#rows.length >= ROW_GROUP_ROWS) this.#writeGroup();
  }

  async close(): Promise<Readonly<Record<string, BundleFileFact>>> {
    if (this.#rows.length > 0) this.#writeGroup();
    await this.#parquet.finish();
    const hash = createHash("sha256");
    await pipeline(createReadStream(this.#parquetPath), hash);
    const parquet = { sha256: hash.digest("hex"), bytes: statSync(this.#parquetPath).size };
    return { [READABLE[0]]: this.#lines.close(), [READABLE[1]]: parquet };
  }

  /** The file's writer is synchronous, so there is nothing to wait for. */
  #writeGroup(): void {
    void this.#parquet.write({ columnData: columnsOf(this.#rows), rowGroupSize: ROW_GROUP_ROWS });
    this.#rows = [];
  }
}
