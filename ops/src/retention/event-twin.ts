/** The twin of an archived segment: its events as a Parquet file, payloads decoded, for DuckDB, Spark, pandas. Not proven. */
import { type RecordedEvent, reportOf } from "@millrace/engine";
import type { TwinWriter } from "@millrace/streams/embedded";
import { parquetMetadata } from "hyparquet";
import { ByteWriter, ParquetWriter, schemaFromColumnData } from "hyparquet-writer";
import { columnsOf, type EventRow, rowOf } from "../audit/event-columns.ts";
import { opsError } from "../errors.ts";
import { describeEvent } from "../host/describe-event.ts";

/** As many rows as are written in one turn: a host archives beside its graphs. */
const ROW_GROUP_ROWS = 2_000;

export class EventTwin implements TwinWriter {
  readonly #bytes: ByteWriter = new ByteWriter();
  readonly #parquet: ParquetWriter;
  #rows: EventRow[] = [];
  #count = 0;

  constructor() {
    const schema = schemaFromColumnData({ columnData: columnsOf([]) });
    this.#parquet = new ParquetWriter({ writer: this.#bytes, schema });
  }

  add(event: RecordedEvent): void {
    this.#rows.push(rowOf(event, described(event)));
    this.#count++;
    if (this.#rows.length >= ROW_GROUP_ROWS) this.#writeGroup();
  }

  /** @throws HOST-DATA the file does not have a row an event */
  async finish(): Promise<Uint8Array> {
    if (this.#rows.length > 0) this.#writeGroup();
    await this.#parquet.finish();
    const bytes = this.#bytes.getBytes();
    const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
    const rows = Number(parquetMetadata(file).num_rows);
    if (rows !== this.#count) throw opsError("HOST-DATA", `the Parquet twin has ${rows} rows, not ${this.#count}`);
    return bytes;
  }

  /** The file's writer is synchronous, so there is nothing to wait for. */
  #writeGroup(): void {
    void this.#parquet.write({ columnData: columnsOf(this.#rows), rowGroupSize: ROW_GROUP_ROWS });
    this.#rows = [];
  }
}

/** A payload that no schema decodes must not keep a segment out of the archive: the twin says why, the archive has the bytes. */
function described(event: RecordedEvent): unknown {
  try {
    return describeEvent(event);
  } catch (thrown) {
    const { code, message } = reportOf(thrown);
    return { undecoded: { code, message } };
  }
}
