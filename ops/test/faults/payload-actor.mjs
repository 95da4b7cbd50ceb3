/**
 * A process that puts payloads, tells its parent of them, and reads those that its parent tells it of, until it is told to end
 * or killed. A payload is one word over and over: wrong bytes and torn ones differ from it somewhere.
 */
import { setTimeout as wait } from "node:timers/promises";
import { openMappedPayloadStore } from "@millrace/native";

const [dir, seed, leaseMs] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const HELD = 100;
const READING_MAX = 24;
const WORDS_MAX = 20_000;

let state = seed;
const random = (limit) => {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return (state >>> 8) % limit;
};

const store = openMappedPayloadStore({ dir, bytesMax: 32 * 1024 * 1024, leaseMs });
const held = [];
const reading = [];
let ends = false;

process.on("disconnect", () => process.exit(0));
process.on("message", (message) => {
  if (message === "end") ends = true;
  else void read(message);
});

async function read({ token, word }) {
  const lease = await store.acquire(token);
  if (lease === undefined) return process.send({ read: "missed" });
  reading.push({ lease, word });
  if (reading.length > random(READING_MAX)) finish(reading.splice(random(reading.length), 1)[0]);
}

/** Looks at every byte, and only then asks whether they were the payload's. */
function finish({ lease, word }) {
  const { length } = lease.token;
  const { buffer, byteOffset } = lease.bytes;
  const words = new Uint32Array(buffer, byteOffset, length / 4);
  const isRight = words.every((found) => found === word);
  if (random(3) === 0) words.fill(0xdead_beef);
  const wasValid = lease.release();
  process.send({ read: wasValid ? (isRight ? "right" : "WRONG") : "lost" });
}

async function put() {
  const word = (seed * 65_536 + random(65_536)) >>> 0;
  const words = new Uint32Array(1 + random(WORDS_MAX)).fill(word);
  const bytes = new Uint8Array(words.buffer);
  const token = random(2) === 0 ? await store.put(bytes, "raw") : inPlace(bytes);
  if (token === undefined) return;
  held.push(token);
  process.send({ put: { token, word } });
  if (held.length > HELD) await store.discard(held.splice(random(held.length), 1)[0]);
}

function inPlace(bytes) {
  const reservation = store.reserve(bytes.length, "raw");
  reservation?.bytes.set(bytes);
  return reservation?.publish();
}

while (!ends) {
  await put();
  await wait(1);
}
for (const last of reading) finish(last);
await store.close();
process.disconnect();
