/** Who is asked to cosign, as the command line says it. */
import { isIP } from "node:net";
import {
  type AskedWitness,
  parseWitnessKey,
  type WantedWitnesses,
  type WitnessKey,
  type WitnessStatus,
} from "@millrace/projections";
import { opsError } from "../errors.ts";

export interface WitnessOptions {
  readonly witnesses: readonly AskedWitness[];
  /** Networks that a witness may be in although they are not public. */
  readonly allow: readonly string[];
  readonly onChange: (status: WitnessStatus) => void;
}

/** What `run` and `serve` take. */
export interface WitnessFlags {
  /** `<verifier key>@<url>` each. */
  readonly witness?: readonly string[];
  readonly witnessAllow?: readonly string[];
}

/** What `audit verify` takes. */
export interface WantedFlags {
  /** Verifier keys. */
  readonly witness?: readonly string[];
  readonly quorum?: number;
  readonly unwitnessed?: number;
}

/** @throws CLI-USAGE */
export function witnessOptions({ witness = [], witnessAllow = [] }: WitnessFlags): WitnessOptions | undefined {
  if (witness.length === 0) return undefined;
  const witnesses = witness.map(askedWitness);
  mustDiffer(witnesses.map(({ key }) => key));
  for (const network of witnessAllow) mustBeNetwork(network);
  return { witnesses, allow: witnessAllow, onChange: tell };
}

/** @throws CLI-USAGE */
export function wantedWitnesses({ witness = [], quorum, unwitnessed }: WantedFlags): WantedWitnesses | undefined {
  if (witness.length === 0) {
    if (quorum === undefined && unwitnessed === undefined) return undefined;
    throw opsError("CLI-USAGE", "--quorum and --unwitnessed are about witnesses: name them with --witness");
  }
  const keys = witness.map(witnessKey);
  mustDiffer(keys);
  if (quorum !== undefined && quorum > keys.length)
    throw opsError("CLI-USAGE", `--quorum ${quorum}: there are only ${keys.length} witnesses`);
  return { keys, quorum: quorum ?? keys.length, ...(unwitnessed === undefined ? {} : { lagMax: unwitnessed }) };
}

function askedWitness(text: string): AskedWitness {
  const split = text.search(/@https?:/);
  const url = split < 0 ? "" : text.slice(split + 1);
  if (!URL.canParse(url))
    throw opsError("CLI-USAGE", `--witness ${text}: expected <verifier key>@<url>, the url beginning with http`);
  return { key: witnessKey(text.slice(0, split)), url };
}

function mustBeNetwork(text: string): void {
  const [address = "", bits = "", more] = text.split("/");
  const bitsMax = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
  if (more === undefined && /^\d{1,3}$/.test(bits) && Number(bits) <= bitsMax) return;
  throw opsError("CLI-USAGE", `--witness-allow ${text}: expected a network such as 10.1.0.0/16`);
}

function witnessKey(text: string): WitnessKey {
  const key = parseWitnessKey(text);
  if (key === undefined) throw opsError("CLI-USAGE", `this is no verifier key of a witness: ${text}`);
  return key;
}

function mustDiffer(keys: readonly WitnessKey[]): void {
  const raw = keys.map(({ key }) => key.export({ format: "der", type: "spki" }).toString("hex"));
  const twice = keys.find((_key, i) => raw.indexOf(raw[i] ?? "") !== i);
  if (twice !== undefined) throw opsError("CLI-USAGE", `--witness: the key of ${twice.name} is there twice`);
}

function tell({ name, state, failure }: WitnessStatus): void {
  const what = failure === undefined ? "cosigns again" : `${state}: ${failure.code} ${failure.message}`;
  process.stderr.write(`${new Date().toISOString()} witness ${name}: ${what}\n`);
}
