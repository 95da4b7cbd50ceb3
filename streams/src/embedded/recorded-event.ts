/** An event over the bytes of its block: fields decode when they are read, strings through the dictionary. */
import type { EventContext, RecordedEvent } from "@millrace/engine";
import type { Dictionary } from "./dictionary.ts";
import {
  CAUSATION,
  CORRELATION,
  EVENT_ID,
  graphAt,
  ID_BYTES,
  nodeAt,
  positionAt,
  RECORD_HEADER_BYTES,
  revisionAt,
  schemaVersionAt,
  streamAt,
  timeMsAt,
  typeAt,
} from "./record.ts";

export class LogRecord implements RecordedEvent {
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly at: number;
  private readonly names: Dictionary;
  private lazyContext: LogRecordContext | undefined = undefined;

  constructor(bytes: Uint8Array, view: DataView, at: number, names: Dictionary) {
    this.bytes = bytes;
    this.view = view;
    this.at = at;
    this.names = names;
  }

  get position(): number {
    return positionAt(this.view, this.at);
  }

  get timeMs(): number {
    return timeMsAt(this.view, this.at);
  }

  get stream(): string {
    return this.names.nameOf("stream", streamAt(this.view, this.at));
  }

  get revision(): number {
    return revisionAt(this.view, this.at);
  }

  get type(): string {
    return this.names.nameOf("type", typeAt(this.view, this.at));
  }

  get id(): Uint8Array {
    return new Uint8Array(this.bytes.subarray(this.at + EVENT_ID, this.at + EVENT_ID + ID_BYTES));
  }

  get schemaVersion(): number {
    return schemaVersionAt(this.view, this.at);
  }

  get context(): EventContext {
    this.lazyContext ??= new LogRecordContext(this.bytes, this.view, this.at, this.names);
    return this.lazyContext;
  }

  get payload(): Uint8Array {
    return this.bytes.subarray(this.at + RECORD_HEADER_BYTES, this.at + this.view.getUint32(this.at, true));
  }
}

class LogRecordContext implements EventContext {
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly at: number;
  private readonly names: Dictionary;

  constructor(bytes: Uint8Array, view: DataView, at: number, names: Dictionary) {
    this.bytes = bytes;
    this.view = view;
    this.at = at;
    this.names = names;
  }

  get correlationId(): Uint8Array {
    return new Uint8Array(this.bytes.subarray(this.at + CORRELATION, this.at + CORRELATION + ID_BYTES));
  }

  get causationId(): Uint8Array {
    return new Uint8Array(this.bytes.subarray(this.at + CAUSATION, this.at + CAUSATION + ID_BYTES));
  }

  get principal(): string {
    return this.names.nameOf("principal", this.view.getUint32(this.at + 92, true));
  }

  get tenant(): string {
    return this.names.nameOf("tenant", this.view.getUint32(this.at + 96, true));
  }

  get codeVersion(): string {
    return this.names.nameOf("codeVersion", this.view.getUint32(this.at + 100, true));
  }

  get graph(): string {
    return this.names.nameOf("graph", graphAt(this.view, this.at));
  }

  get graphRevision(): number {
    return this.view.getUint32(this.at + 112, true);
  }

  get node(): string {
    return this.names.nameOf("node", nodeAt(this.view, this.at));
  }

  get epoch(): number {
    return this.view.getUint32(this.at + 120, true);
  }
}
