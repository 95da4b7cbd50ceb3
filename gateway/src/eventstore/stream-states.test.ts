import { expect, it } from "vitest";
import { ArrayLog } from "../../test/array-log.ts";
import { jsonEvent, storedEvent, TOMBSTONE_TYPE } from "./stored-event.ts";
import { StreamStates } from "./stream-states.ts";

/** Calls back once a stream was read, before its reader goes on. */
class WatchedLog extends ArrayLog {
  onRead: (stream: string) => void = () => {};

  override async *readStream(...[stream, options]: Parameters<ArrayLog["readStream"]>) {
    for await (const batch of super.readStream(stream, options)) {
      this.onRead(stream);
      yield batch;
    }
  }
}

it("what was read of a stream while it changed is not kept", async () => {
  const log = new WatchedLog();
  const write = (type: string): void => {
    log.add({ stream: "s", type });
    const event = jsonEvent(new Uint8Array(16), type, "{}");
    Object.assign(log.events.at(-1) as object, storedEvent(event, { principal: "local", codeVersion: "test" }));
  };
  write("Counted");
  const states = new StreamStates(log);
  log.onRead = (stream) => {
    log.onRead = () => {};
    write(TOMBSTONE_TYPE);
    states.forget(stream);
  };
  await states.of("s");
  expect(await states.of("s")).toMatchObject({ isTombstoned: true });
});
