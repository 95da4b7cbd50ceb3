/** One connected subscriber of a group: how many events it takes before it acknowledges, and how they are sent to it. */
import type { GroupEvent, RecordBytes } from "./group-source.ts";
import type { GrpcCall } from "./grpc-call.ts";
import type { Author } from "./stored-event.ts";
import { writeUuid } from "./uuid.ts";
import { WireWriter } from "./wire-writer.ts";

const SLOTS_MAX = 10_000;

export interface Delivery {
  readonly event: GroupEvent;
  /** What its link points at, when links are resolved. */
  readonly target: RecordBytes | undefined;
  retryCount: number;
  /** Of a parked event that is replayed: the revision of its link. */
  readonly parked: number | undefined;
}

export class GroupSubscriber {
  readonly call: GrpcCall;
  readonly author: Author;
  readonly slots: number;
  readonly #structuredIds: boolean;
  readonly #onRoom: () => void;
  /** Counted by whoever keeps what is in flight. */
  inFlight = 0;
  delivered = 0;
  /** True while the connection takes no more. */
  #isBlocked = false;

  constructor(call: GrpcCall, author: Author, slots: number, structuredIds: boolean, onRoom: () => void) {
    this.call = call;
    this.author = author;
    this.slots = Math.min(SLOTS_MAX, Math.max(1, slots));
    this.#structuredIds = structuredIds;
    this.#onRoom = onRoom;
  }

  get hasRoom(): boolean {
    return !this.#isBlocked && this.inFlight < this.slots && !this.call.signal.aborted;
  }

  /** `ReadResp.subscription_confirmation`. */
  confirm(id: string): Promise<boolean> {
    return this.call.send(new WireWriter().message(2, (it) => it.text(1, id)).finish());
  }

  /** `ReadResp.event`. */
  send({ event, target, retryCount }: Delivery): void {
    const { record, position } = event;
    const writer = new WireWriter(record.body.length + (target?.body.length ?? 0) + 256);
    writer.message(1, (read) => {
      if (event.target === undefined) this.#write(read, 1, record);
      else {
        if (target !== undefined) this.#write(read, 1, target);
        this.#write(read, 2, record);
      }
      read.uint(3, position).uint(5, retryCount);
    });
    this.delivered += 1;
    this.#isBlocked = true;
    // It never fails: a call that is over is left by its own reader.
    void this.call.send(writer.finish()).then(() => {
      this.#isBlocked = false;
      this.#onRoom();
    });
  }

  #write(writer: WireWriter, field: number, { id, body }: RecordBytes): void {
    writer.message(field, (recorded) => {
      writeUuid(recorded, 1, id, this.#structuredIds);
      recorded.raw(body);
    });
  }
}
