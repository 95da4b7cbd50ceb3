/** Checks how a service is called over HTTP: its address, credentials, headers, and the networks that may be called. */
import { isJsonObject, type Json, type JsonObject } from "../frame/json.ts";
import type { DraftNode } from "./draft.ts";
import type { Path, ProblemList } from "./problem.ts";
import { secretsOf } from "./substitution.ts";

type Section = "rest" | "http";

/** Fields of `auth` by type; those with `true` must be there. */
const AUTH: Readonly<Record<string, Readonly<Record<string, boolean>>>> = {
  bearer: { token: true },
  basic: { user: true, password: true },
  "api-key": { key: true, header: false },
  oauth2: { tokenUrl: true, clientId: true, clientSecret: true, scope: false },
};
const SECRETS = new Set(["token", "password", "key", "clientSecret"]);
const SECRET_HEADER = /authorization|cookie|key|token|secret|password/i;
/** Written by whoever makes the request. */
const OWN_HEADER = /^(?:host|content-length|content-type|accept|connection|transfer-encoding|expect|upgrade)$/i;

/** What a section of a node says of how a service is called: `auth`, `headers` and `allow`. */
export function checkCall(node: DraftNode, section: Section, problems: ProblemList): void {
  const path = ["nodes", node.name, section];
  const { auth, headers, allow } = node.map(section);
  if (isJsonObject(auth)) checkAuth(auth, [...path, "auth"], problems);
  if (isJsonObject(headers)) checkHeaders(headers, [...path, "headers"], problems);
  checkNetworks(allow, [...path, "allow"], problems);
}

/** `allow`: networks that may be called. */
export function checkNetworks(allow: Json | undefined, path: Path, problems: ProblemList): void {
  if (!Array.isArray(allow)) return;
  for (const [i, network] of allow.entries())
    if (typeof network === "string" && !isNetwork(network))
      problems.add("GRAPH-SCHEMA", [...path, i], `\`${network}\` is no network; write 127.0.0.0/8 or ::1/128`);
}

interface AddressPlace {
  readonly path: Path;
  /** The key that credentials belong under. */
  readonly credentials: string;
  /** Default http and https. */
  readonly schemes?: readonly string[];
}

/** The address of a service, in which there may be references to secrets, but no user and password. */
export function checkServiceAddress(
  address: string,
  { path, credentials, schemes = ["http", "https"] }: AddressPlace,
  problems: ProblemList,
): void {
  const url = parsed(plain(address));
  if (url === null || !schemes.includes(url.protocol.slice(0, -1)))
    problems.add("GRAPH-SCHEMA", path, `\`${address}\` is no ${schemes[0]}(s) address`);
  else if (url.username !== "" || url.password !== "")
    problems.add("GRAPH-SCHEMA", path, `credentials belong under \`${credentials}\`, not into the address`);
}

function parsed(text: string): URL | null {
  try {
    return new URL(text);
  } catch {
    return null;
  }
}

/** Credentials: what each type needs, and that secrets are references. */
export function checkAuth(auth: JsonObject, path: Path, problems: ProblemList): void {
  const known = AUTH[String(auth.type)];
  if (known === undefined) return;
  for (const [field, isNeeded] of Object.entries(known))
    if (isNeeded && auth[field] === undefined)
      problems.add("GRAPH-SCHEMA", path, `auth of type \`${String(auth.type)}\` needs \`${field}\``, "key");
  for (const [field, value] of Object.entries(auth)) {
    if (field === "type" || typeof value !== "string") continue;
    if (known[field] === undefined)
      problems.add("GRAPH-SCHEMA", [...path, field], `\`${field}\` is not for type \`${String(auth.type)}\``, "key");
    else if (SECRETS.has(field) && secretsOf(value).length === 0)
      problems.add("GRAPH-SCHEMA", [...path, field], IS_SECRET);
  }
  if (typeof auth.tokenUrl === "string")
    checkServiceAddress(
      auth.tokenUrl,
      { path: [...path, "tokenUrl"], credentials: path.slice(-2).join(".") },
      problems,
    );
}

export const IS_SECRET = `a secret is never written into a graph: refer to it, \${env:NAME} or \${file:PATH}`;

function checkHeaders(headers: JsonObject, path: Path, problems: ProblemList): void {
  for (const [name, value] of Object.entries(headers)) {
    if (OWN_HEADER.test(name) || !/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name))
      problems.add("GRAPH-SCHEMA", [...path, name], `\`${name}\` is no header that can be given`, "key");
    else if (SECRET_HEADER.test(name) && typeof value === "string" && secretsOf(value).length === 0)
      problems.add("GRAPH-SCHEMA", [...path, name], IS_SECRET);
  }
}

/** An address and the length of its prefix. What the numbers may be is checked by whoever opens connections. */
function isNetwork(text: string): boolean {
  const [, address = "", bits = ""] = /^([0-9a-fA-F:.]+)\/(\d{1,3})$/.exec(text) ?? [];
  if (address === "") return false;
  const isV6 = address.includes(":");
  if (Number(bits) > (isV6 ? 128 : 32)) return false;
  const url = parsed(`http://${isV6 ? `[${address}]` : address}/`);
  return url !== null && (isV6 || url.hostname === address);
}

const plain = (text: string): string => text.replace(/\$\{(?:env|file):[^}]*\}/g, "secret");
