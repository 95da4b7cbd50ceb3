#!/usr/bin/env node
// Checks an audit bundle of Millrace offline, with nothing but Node:
// `node verify.mjs [--key VERIFIER_KEY] [--witness VERIFIER_KEY ... [--quorum N]] [--pruned-names] [BUNDLE]`.
// Shown is that every event of `events.jsonl` stands, byte for byte, at its position in the log that the key has signed; that none
// between the first and the last is missing; and that every field says what the stored bytes say. Formats: RFC 6962 (tree),
// C2SP signed-note, tlog-checkpoint and tlog-cosignature (signatures); the record's layout is in streams/src/embedded/FORMAT.md of Millrace.
// Exit code 0: all holds. 1: something does not, and the first thing that does not is named.
import { createHash, createPublicKey, verify } from "node:crypto";
import { createReadStream, existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const HEADER_BYTES = 128;
const KINDS = ["stream", "type", "principal", "tenant", "codeVersion", "graph", "node"];
const PLACES = { stream: 24, type: 36, principal: 92, tenant: 96, codeVersion: 100, graph: 108, node: 116 };
const PRUNED = "pruned-names.jsonl";
const SPKI_PREFIX = Buffer.from("302a300506032b6570032100", "hex");
class Refusal extends Error {}
const must = (condition, what) => {
  if (!condition) throw new Refusal(what);
};
const sha256 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest();
const bytesOf = (text) => Buffer.from(text, "base64");

/** `<name>+<id>+<base64 of the type and the Ed25519 key>`; type 1 signs notes, 4 cosigns checkpoints */
function parseKey(text, type) {
  const [name, id, encoded] = text.trim().split(/\+([0-9a-f]{8})\+/);
  const bytes = bytesOf(encoded ?? "");
  const isKey = bytes.length === 33 && sha256(`${name}\n`, bytes).subarray(0, 4).toString("hex") === id;
  must(isKey && bytes[0] === type, `this is no Ed25519 verifier key of type ${type}: ${text}`);
  const der = Buffer.concat([SPKI_PREFIX, bytes.subarray(1)]);
  return { name, id, key: createPublicKey({ key: der, format: "der", type: "spki" }) };
}

/** True if the note has signatures by the key and all of them verify. A witness signs the time and the text. */
function isSigned(note, { name, id, key }, isWitness) {
  const split = note.lastIndexOf("\n\n") + 1;
  const named = note.slice(split).split(`\n\u2014 ${name} `).slice(1);
  const own = named.map((rest) => bytesOf(rest.split("\n")[0])).filter((bytes) => bytes.toString("hex", 0, 4) === id);
  const time = (bytes) => (isWitness ? `cosignature/v1\ntime ${bytes.readBigUInt64BE(4)}\n` : "");
  const text = (bytes) => Buffer.from(time(bytes) + note.slice(0, split));
  const holds = (bytes) => bytes.length >= 68 && verify(null, text(bytes), key, bytes.subarray(isWitness ? 12 : 4));
  return own.length > 0 && own.every(holds);
}

function openCheckpoint(note, logKey, witnesses, quorum) {
  must(isSigned(note, logKey, false), "the checkpoint is not signed by the key, or its signature is wrong");
  const [origin, size, root] = note.split("\n");
  must(origin === logKey.name && /^(0|[1-9]\d*)$/.test(size ?? ""), "the checkpoint is of another log than the key");
  const missing = witnesses.filter((witness) => !isSigned(note, witness, true)).map(({ name }) => name);
  const cosigned = witnesses.length - missing.length;
  must(cosigned >= quorum, `${cosigned} of ${quorum} wanted witnesses have cosigned; missing: ${missing.join(", ")}`);
  return { origin, size: Number(size), root: bytesOf(root ?? ""), cosigned };
}

/** RFC 9162, section 2.1.3.2. */
function rootByInclusion(leaf, position, size, hashes) {
  let hash = leaf;
  let at = position;
  let last = size - 1;
  let used = 0;
  for (; last > 0; at = Math.floor(at / 2), last = Math.floor(last / 2)) {
    const isRight = at % 2 === 1;
    if (!isRight && at === last) continue;
    const other = hashes[used++];
    must(other !== undefined, `the proof of position ${position} is too short`);
    hash = isRight ? sha256("\x01", other, hash) : sha256("\x01", hash, other);
  }
  must(used === hashes.length, `the proof of position ${position} is too long`);
  return hash;
}

const decodeRecord = ({ header, payload, payloadHash }) => {
  const bytes = payload === undefined ? undefined : bytesOf(payload);
  return { header: bytesOf(header), payload: bytes, hash: bytes === undefined ? bytesOf(payloadHash) : sha256(bytes) };
};

/** That these records are what is at the position, and belong to it. */
function mustBeInLog(position, records, hashes, checkpoint) {
  const where = `position ${position}`;
  must(Number.isSafeInteger(position) && position >= 0 && position < checkpoint.size, `${where} is not signed`);
  for (const [i, { header, payload, hash }] of records.entries()) {
    must(header.length === HEADER_BYTES && hash.length === 32, `a record at ${where} is incomplete`);
    must(header.readBigUInt64LE(8) === BigInt(position), `a record at ${where} is of another position`);
    must(!payload || header.readUInt32LE(0) === HEADER_BYTES + payload.length, `a payload at ${where} is cut`);
    const isControl = (header.readUInt16LE(106) & 1) === 1;
    must(isControl === i < records.length - 1, `the records at ${where} are not those of one event`);
  }
  const leaf = sha256("\x00", ...records.flatMap(({ header, hash }) => [header, hash]));
  const root = rootByInclusion(leaf, position, checkpoint.size, hashes.map(bytesOf));
  must(root.equals(checkpoint.root), `the event at ${where} is not the one that was signed`);
}

/** Names stand as numbers in events; control records that are in the log too say which. Of `pruned` ones nothing but the bundle does. */
function learn(names, pruned, records) {
  for (const { header, payload } of records.slice(0, -1)) {
    if (header.readUInt32LE(36) !== 0 || payload === undefined) continue;
    for (let at = 0; at < payload.length; ) {
      const end = at + 8 + payload.readUInt16LE(at + 2);
      const key = `${KINDS[payload.readUInt8(at)]} ${payload.readUInt32LE(at + 4)}`;
      must(!pruned.has(key), `the name of ${key} is said to be pruned, and is not`);
      names.set(key, payload.toString("utf8", at + 8, end));
      at = end;
    }
  }
}

/** Every field of the line against the stored header. */
function mustSayWhatIsStored(event, header, names) {
  const hex = (from, to) => header.subarray(from, to).toString("hex");
  const stored = {
    time: new Date(Math.round(Number(header.readBigUInt64LE(16)) / 1e6)).toISOString(),
    revision: Number(header.readBigUInt64LE(28)),
    id: hex(44, 60),
    correlationId: hex(60, 76),
    causationId: hex(76, 92),
    schemaVersion: header.readUInt16LE(104),
    graphRevision: header.readUInt32LE(112),
    epoch: header.readUInt32LE(120),
    ...Object.fromEntries(KINDS.map((kind) => [kind, names.get(`${kind} ${header.readUInt32LE(PLACES[kind])}`)])),
  };
  for (const [field, value] of Object.entries(stored)) {
    must(event[field] === value, `position ${event.position} says ${field} ${event[field]}, stored is ${value}`);
  }
  const known = new Set([...Object.keys(stored), "position", "records"]);
  for (const field of Object.keys(event))
    must(known.has(field), `position ${event.position} has a field ${field} that is not stored`);
}

async function* linesOf(path) {
  let rest = "";
  for await (const chunk of createReadStream(path, "utf8")) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop();
    yield* lines.map((line) => JSON.parse(line));
  }
  must(rest === "", `${path} is cut`);
}

async function hashOfFile(path) {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return hash.digest("hex");
}

async function verifyBundle(directory, { key, witness, quorum = String(witness.length), "pruned-names": trusts }) {
  const manifest = JSON.parse(readFileSync(join(directory, "manifest.json"), "utf8"));
  must(manifest.format === "millrace-audit-bundle@1", `the bundle's format ${manifest.format} is not known`);
  for (const [name, { sha256: expected }] of Object.entries(manifest.files)) {
    const path = join(directory, name);
    must(/^[\w.-]+$/.test(name) && existsSync(path), `${name} is missing`);
    must((await hashOfFile(path)) === expected, `${name} is not the file that was exported`);
  }
  const keys = [parseKey(key ?? manifest.verifierKey, 1), [...new Set(witness)].map((text) => parseKey(text, 4))];
  const checkpoint = openCheckpoint(readFileSync(join(directory, "checkpoint"), "utf8"), ...keys, Number(quorum));
  const pruned = new Map();
  if (manifest.files[PRUNED] !== undefined) {
    must(trusts, `names that pruned events gave are not proven: see ${PRUNED}; --pruned-names takes them as they are`);
    for await (const { kind, number, name } of linesOf(join(directory, PRUNED))) pruned.set(`${kind} ${number}`, name);
  }
  const names = new Map([...pruned, ...KINDS.map((kind) => [`${kind} 0`, kind === "stream" ? "$log" : ""])]);
  for await (const { position, records, hashes } of linesOf(join(directory, "names.jsonl"))) {
    const decoded = records.map(decodeRecord);
    mustBeInLog(position, decoded, hashes, checkpoint);
    learn(names, pruned, decoded);
  }
  const proofs = linesOf(join(directory, "proofs.jsonl"));
  let next = manifest.from;
  for await (const event of linesOf(join(directory, "events.jsonl"))) {
    must(event.position === next, `position ${next} is missing`);
    const { value: proof } = await proofs.next();
    must(proof?.position === next, `the proof of position ${next} is missing`);
    const isComplete = event.records.every(({ payload }) => typeof payload === "string");
    must(isComplete, `a payload at position ${next} is missing`);
    const records = event.records.map(decodeRecord);
    mustBeInLog(next, records, proof.hashes, checkpoint);
    learn(names, pruned, records);
    mustSayWhatIsStored(event, records.at(-1).header, names);
    next++;
  }
  must(next === manifest.to, `position ${next} is missing`);
  return { ...checkpoint, from: manifest.from, to: manifest.to, views: manifest.views, pruned };
}

try {
  const [text, flag] = ["string", "boolean"].map((type) => ({ type }));
  const options = { key: text, witness: { ...text, multiple: true, default: [] }, quorum: text, "pruned-names": flag };
  const { values, positionals } = parseArgs({ allowPositionals: true, options });
  const [directory = dirname(fileURLToPath(import.meta.url))] = positionals;
  const { from, to, origin, size, root, views, cosigned, pruned } = await verifyBundle(directory, values);
  console.log(`verified: ${to - from} events, positions ${from} to ${to - 1}, of ${origin}`);
  console.log(`signed: ${size} records, root ${root.toString("base64")}; cosigned by ${cosigned} witnesses asked for`);
  if (values.key === undefined) console.log("key: the bundle's own; give the one you were told with --key");
  if (pruned.size > 0) console.log(`not proven, given by events that were pruned: the names in ${PRUNED}`);
  console.log(`not proven, made from events.jsonl for reading: ${views.join(", ")}`);
} catch (error) {
  console.error(`refused: ${error instanceof Refusal ? "" : "the bundle cannot be read: "}${error.message}`);
  process.exitCode = 1;
}
