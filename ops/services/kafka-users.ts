/**
 * Who may log in to a Kafka of tests by SCRAM: told to a running broker by requests that kafkajs does not have. Encoding:
 * kafka.apache.org/protocol, "UpdateFeatures" (57, version 1) and "AlterUserScramCredentials" (51, version 0).
 */
import { pbkdf2Sync } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";

/** Of the cluster's metadata: that which knows SCRAM, 3.5-IV2. A folder that no command formatted begins with an older one. */
const LEVEL = 11;
const IS_NEWER = 95;
const UPDATE_FEATURES = 57;
const ALTER_USERS = 51;
const NO_TAGS = Buffer.of(0);
const TIMEOUT_MS = 10_000;
const ITERATIONS = 4096;
const SALT = Buffer.from("millrace");
const MECHANISMS = [
  { id: 1, digest: "sha256", bytes: 32 },
  { id: 2, digest: "sha512", bytes: 64 },
] as const;

export async function allowUsers(port: number): Promise<void> {
  const update = [text("metadata.version"), int16(LEVEL), Buffer.of(1), NO_TAGS];
  await asked(port, UPDATE_FEATURES, 1, [int32(TIMEOUT_MS), list([update]), Buffer.of(0)]);
}

/** A broker changes no user twice in one request. */
export async function giveUser(port: number, name: string, password: string): Promise<void> {
  for (const { id, digest, bytes } of MECHANISMS) {
    const salted = pbkdf2Sync(password, SALT, ITERATIONS, bytes, digest);
    const user = [text(name), Buffer.of(id), int32(ITERATIONS), text(SALT), text(salted), NO_TAGS];
    await asked(port, ALTER_USERS, 0, [list([]), list([user])]);
  }
}

export async function takeUser(port: number, name: string): Promise<void> {
  for (const { id } of MECHANISMS)
    await asked(port, ALTER_USERS, 0, [list([[text(name), Buffer.of(id), NO_TAGS]]), list([])]);
}

/** @throws when the broker refuses, with its words */
async function asked(port: number, key: number, version: number, parts: readonly Buffer[]): Promise<void> {
  const head = Buffer.concat([int16(key), int16(version), int32(1), int16(-1), NO_TAGS]);
  const request = Buffer.concat([head, ...parts, NO_TAGS]);
  const socket = connect({ host: "127.0.0.1", port });
  try {
    socket.write(Buffer.concat([int32(request.length), request]));
    const [answer] = (await once(socket, "data")) as [Buffer];
    // Behind length, correlation, tags and throttling.
    const code = key === UPDATE_FEATURES ? answer.readInt16BE(13) : codeOfUser(answer);
    if (code !== 0 && code !== IS_NEWER)
      throw new Error(`the broker refuses with ${code}: ${answer.toString("latin1")}`);
  } finally {
    socket.destroy();
  }
}

/** The first user's: behind the number of users and the length of its name, both of them short. */
const codeOfUser = (answer: Buffer): number => answer.readInt16BE(14 + answer.readUInt8(14));

const int16 = (n: number): Buffer => Buffer.from([(n >> 8) & 0xff, n & 0xff]);

function int32(n: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(n);
  return bytes;
}

/** A short one: its length takes one byte. */
function text(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value as string);
  return Buffer.concat([Buffer.of(bytes.length + 1), bytes]);
}

const list = (rows: readonly (readonly Buffer[])[]): Buffer =>
  Buffer.concat([Buffer.of(rows.length + 1), ...rows.flat()]);
