/** A witness as https://c2sp.org/tlog-witness has it, that can be told to fail. It believes proofs: litewitness checks them. */
import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";

export interface WitnessAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const KEY_BYTES = 32;

export class TestWitness {
  readonly name: string;
  readonly verifierKey: string;
  /** What it says instead of what is right. */
  fault: ((answer: WitnessAnswer) => WitnessAnswer) | undefined;
  /** Size that it has cosigned last. */
  size = 0;
  /** Bodies of the requests that it got. */
  readonly requests: string[] = [];
  atS = 1_700_000_000;
  readonly #roots = new Map<number, string>();
  readonly #privateKey: KeyObject;
  readonly #id: Buffer;

  constructor(name: string) {
    const { publicKey, privateKey } = generateKeyPairSync("ed25519");
    const key = Buffer.concat([Buffer.of(4), publicKey.export({ format: "der", type: "spki" }).subarray(-KEY_BYTES)]);
    this.name = name;
    this.#privateKey = privateKey;
    this.#id = createHash("sha256").update(`${name}\n`).update(key).digest().subarray(0, 4);
    this.verifierKey = `${name}+${this.#id.toString("hex")}+${key.toString("base64")}`;
  }

  answer(body: string): WitnessAnswer {
    this.requests.push(body);
    const right = this.#rightAnswer(body);
    return this.fault?.(right) ?? right;
  }

  /** Size and root of what it has cosigned become others. */
  remember(size: number, root: string): void {
    this.size = size;
    this.#roots.set(size, root);
  }

  #rightAnswer(body: string): WitnessAnswer {
    const [head = "", note = ""] = [body.slice(0, body.indexOf("\n\n")), body.slice(body.indexOf("\n\n") + 2)];
    const old = Number(/^old (\d+)(?:\n|$)/.exec(head)?.[1] ?? Number.NaN);
    const [, size = "", root = ""] = note.split("\n");
    const proof = head.split("\n").slice(1);
    if (!(old <= Number(size)) || proof.some((line) => Buffer.from(line, "base64").length !== KEY_BYTES))
      return text(400, "bad request\n");
    const isOther = old === Number(size) && old > 0 && this.#roots.get(old) !== root;
    if (old !== this.size || isOther)
      return { status: 409, headers: { "content-type": "text/x.tlog.size" }, body: `${this.size}\n` };
    this.remember(Number(size), root);
    return text(200, this.cosignature(note));
  }

  cosignature(note: string): string {
    const time = Buffer.alloc(8);
    time.writeBigUInt64BE(BigInt(this.atS));
    const signed = `cosignature/v1\ntime ${this.atS}\n${note.slice(0, note.lastIndexOf("\n\n") + 1)}`;
    const signature = sign(null, Buffer.from(signed), this.#privateKey);
    return `\u2014 ${this.name} ${Buffer.concat([this.#id, time, signature]).toString("base64")}\n`;
  }
}

export function text(status: number, body: string): WitnessAnswer {
  return { status, headers: { "content-type": "text/plain" }, body };
}
