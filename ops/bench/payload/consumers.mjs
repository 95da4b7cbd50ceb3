/**
 * Processes that are all given the same payload, as its bytes through a Unix socket or as a reference, and say when they have looked
 * at it: at its first byte, or at every byte. A message is a header of 8 bytes, how far to look and how many bytes follow, and these.
 */
import { fork } from "node:child_process";
import { createConnection, createServer } from "node:net";
import { join } from "node:path";
import { openMappedPayloadStore } from "@millrace/native";

const HEADER_BYTES = 8;
const READER_BYTES_MAX = 1_000_000;
const FILLED_WITH = 7;
const [SENT, HANDED] = [0, 1];
const [FIRST, ALL] = [0, 1];
const FAR = { first: FIRST, all: ALL };

/** `count` processes with a store on `dir`. Both calls resolve when every one of them has answered. */
export async function startConsumers(dir, count) {
  const all = await Promise.all(Array.from({ length: count }, (_, i) => startConsumer(dir, join(dir, `${i}.sock`))));
  const ask = (kind, bytes, far) => Promise.all(all.map((consumer) => consumer.ask(headerOf(kind, far, bytes), bytes)));
  return {
    /** @param {"first" | "all"} far how much of it is looked at */
    send: (bytes, far) => ask(SENT, bytes, far),
    /** @param {"first" | "all"} far how much of it is looked at */
    hand: (token, far) => ask(HANDED, Buffer.from(JSON.stringify(token)), far),
    close() {
      for (const consumer of all) consumer.close();
    },
  };
}

function headerOf(kind, far, bytes) {
  const header = Buffer.alloc(HEADER_BYTES);
  header[0] = kind;
  header[1] = FAR[far];
  header.writeUInt32LE(bytes.length, 4);
  return header;
}

async function startConsumer(dir, path) {
  const child = fork(import.meta.filename, [dir, path]);
  await new Promise((ready, failed) => {
    child.once("message", ready);
    child.once("exit", () => failed(new Error("a consumer ended")));
  });
  const socket = createConnection(path);
  let answered;
  socket.on("data", () => answered());
  return {
    ask(header, bytes) {
      socket.write(header);
      socket.write(bytes);
      return new Promise((resolve) => {
        answered = resolve;
      });
    },
    close() {
      socket.destroy();
      child.kill();
    },
  };
}

/** Calls `consume` with each message that has arrived whole. */
function consuming(consume) {
  let parts = [];
  let length = 0;
  let needed = HEADER_BYTES;
  return (part) => {
    parts.push(part);
    length += part.length;
    while (length >= needed) {
      const header = parts[0].length >= HEADER_BYTES ? parts[0] : Buffer.concat(parts);
      needed = HEADER_BYTES + header.readUInt32LE(4);
      if (length < needed) return;
      const message = parts.length === 1 ? parts[0] : Buffer.concat(parts);
      consume(message[0], message[1], message.subarray(HEADER_BYTES, needed));
      parts = [message.subarray(needed)];
      length = parts[0].length;
      needed = HEADER_BYTES;
    }
  };
}

/** What is looked for is not there, so that all is looked at, at the speed of memory. */
function look(bytes, far) {
  const isRight = far === ALL ? bytes.indexOf(FILLED_WITH + 1) === -1 : bytes[0] === FILLED_WITH;
  if (!isRight) throw new Error("a consumer got other bytes");
}

function serve(dir, path) {
  const store = openMappedPayloadStore({ dir, bytesMax: READER_BYTES_MAX });
  const answer = Buffer.from("1");
  const server = createServer((socket) => {
    const consume = async (kind, far, bytes) => {
      if (kind === SENT) look(bytes, far);
      else {
        const lease = await store.acquire(JSON.parse(bytes.toString("latin1")));
        look(Buffer.from(lease.bytes.buffer), far);
        if (!lease.isValid() || !lease.release()) throw new Error("a lease was lost");
      }
      socket.write(answer);
    };
    socket.on("data", consuming(consume));
  });
  server.listen(path, () => process.send("ready"));
}

if (process.argv[1] === import.meta.filename) serve(process.argv[2], process.argv[3]);
