/**
 * House rules that no linter knows, after TigerBeetle's tidy.zig. Each rule is a function of one file, so that a test
 * can plant a violation and see it found.
 */
import { type Module, parseSync } from "@swc/core";

export type SourceFile = { readonly path: string; readonly text: string };

export const isCode = (path: string): boolean => /\.(?:[cm]?ts|tsx|[cm]?js|jsx)$/.test(path);
const isSource = (path: string): boolean => isCode(path) || /\.(?:rs|py|java|c|h|cpp)$/.test(path);

/** A name made of these hides the noun that the file is about. */
const BANNED_WORDS = new Set(
  "manager managers helper helpers util utils service services common misc stuff".split(" "),
);

/** `exists` tells whether another file is in the repository: `x-impl.ts` is allowed beside its interface file `x.ts`. */
export function badName(path: string, exists: (path: string) => boolean): string | undefined {
  if (!isSource(path)) return undefined;
  const base = path.slice(path.lastIndexOf("/") + 1);
  const [stem = "", extension = ""] = base.split(/\.(.*)/s);
  if (stem === "index") return "an index file; an entry is called mod.ts and lists its exports by name";
  const words = stem
    .replace(/([a-z0-9])([A-Z])/g, "$1-$2")
    .toLowerCase()
    .split(/[-_]/);
  const banned = words.find((word) => BANNED_WORDS.has(word));
  if (banned) return `"${banned}" in a file name; name the noun`;
  if (words.at(-1) === "impl" && !exists(path.replace(/[-_]?impl(?=\.)/i, "")))
    return '"impl" without an interface file beside it';
  if (/\.tsx?$/.test(path) && /[A-Z_]/.test(stem)) return `not kebab-case: ${stem}.${extension}`;
  return undefined;
}

export const FILE_BYTES_MAX = 512 * 1024;

/** Written so that the patterns don't match themselves. */
const MACHINE_PATH = /(?:^|[^.\w])\/(?:w[o]rk|f[a]rm|r[o]ot)\//;
const PACKAGE_HOST = /https?:\/\/[a-z0-9.-]*(?:registry|npm|crates|maven|pypi|goproxy|proxy[.]golang)/;

/** Lines that are true only on one machine or behind one package proxy. Lockfiles may name packages but not hosts. */
export function machineTraces({ path, text }: SourceFile): string[] {
  if (path.endsWith("package-lock.json")) return /"resolved": "https?:/.test(text) ? ["`resolved` names a host"] : [];
  if (path.endsWith("Cargo.lock")) return [];
  return text
    .split("\n")
    .flatMap((line, index) =>
      MACHINE_PATH.test(line) || PACKAGE_HOST.test(line) ? [`${index + 1}: ${line.trim().slice(0, 120)}`] : [],
    );
}

/** Where time, timers and randomness may be taken from the machine instead of from a port. */
export function mayUseGlobals(path: string): boolean {
  return (
    !/^(?:engine|actors|streams|native|projections|gateway)\//.test(path) ||
    path.startsWith("engine/src/time/") ||
    path.startsWith("gateway/console/") ||
    /^[^/]+\/(?:test|bench)\//.test(path) ||
    /\.(?:test|bench)\.tsx?$/.test(path)
  );
}

type Node = { readonly type: string } & Record<string, unknown>;

const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && typeof (value as { type?: unknown }).type === "string";

const isNamed = (value: unknown, name: string): boolean =>
  isNode(value) && value.type === "Identifier" && value.value === name;

/** Visits every node below, the parent first. Names of members and keys are no references and are not visited. */
function* nodes(value: unknown): Generator<Node> {
  if (Array.isArray(value)) for (const item of value) yield* nodes(item);
  else if (typeof value === "object" && value !== null) {
    if (isNode(value)) yield value;
    for (const [key, child] of Object.entries(value)) {
      if ((key === "property" || key === "key") && isNode(child) && child.type === "Identifier") continue;
      yield* nodes(child);
    }
  }
}

function parse({ path, text }: SourceFile): Module {
  return parseSync(text, { syntax: "typescript", tsx: /\.[jt]sx$/.test(path), target: "es2022" });
}

const BANNED_FUNCTIONS = new Set(["setTimeout", "setInterval", "setImmediate"]);
const BANNED_MEMBERS: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ["Date", new Set(["now"])],
  ["Math", new Set(["random"])],
  ["performance", new Set(["now", "timeOrigin"])],
  ["process", new Set(["hrtime"])],
  ["globalThis", BANNED_FUNCTIONS],
  ["global", BANNED_FUNCTIONS],
]);
const BANNED_MODULES: ReadonlyMap<string, ReadonlySet<string> | "all"> = new Map<string, ReadonlySet<string> | "all">([
  ["timers", "all"],
  ["timers/promises", "all"],
  ["perf_hooks", new Set(["performance", "default"])],
  ["process", new Set(["hrtime"])],
]);

/** Globals that bypass the ports for time and chance, by the way they are written in the source. */
export function bypassedPorts(file: SourceFile): string[] {
  const found: string[] = [];
  for (const node of nodes(parse(file).body)) {
    if (node.type === "Identifier" && BANNED_FUNCTIONS.has(String(node.value))) found.push(String(node.value));
    else if (node.type === "MemberExpression") found.push(...memberBypass(node.object, memberName(node.property)));
    else if (node.type === "VariableDeclarator") found.push(...destructuredBypass(node));
    else if (node.type === "NewExpression" && isNamed(node.callee, "Date")) {
      if (!(node.arguments as unknown[] | null)?.length) found.push("new Date()");
    } else if (node.type === "CallExpression" && isNamed(node.callee, "Date")) found.push("Date()");
    else if (node.type === "ImportDeclaration") found.push(...importBypass(node));
  }
  return found;
}

function memberName(property: unknown): string {
  if (!isNode(property)) return "";
  if (property.type === "Identifier") return String(property.value);
  const computed = property.expression;
  return isNode(computed) && computed.type === "StringLiteral" ? String(computed.value) : "";
}

/** `object.name`, also when the object is itself reached through globalThis. */
function memberBypass(object: unknown, name: string): string[] {
  if (!isNode(object)) return [];
  const isGlobal = (value: unknown): boolean => isNamed(value, "globalThis") || isNamed(value, "global");
  const throughGlobal = object.type === "MemberExpression" && isGlobal(object.object);
  const owner = throughGlobal ? memberName(object.property) : String(object.value);
  return BANNED_MEMBERS.get(owner)?.has(name) ? [`${owner}.${name}`] : [];
}

/** `const { now } = Date` */
function destructuredBypass({ id, init }: Node): string[] {
  if (!isNode(id) || id.type !== "ObjectPattern" || !isNode(init) || init.type !== "Identifier") return [];
  const properties = id.properties as Node[];
  return properties.flatMap((property) => memberBypass(init, memberName(property.key)));
}

function importBypass({ source, specifiers, typeOnly }: Node): string[] {
  const module = String((source as Node).value).replace(/^node:/, "");
  const banned = BANNED_MODULES.get(module);
  if (!banned || typeOnly === true) return [];
  if (banned === "all") return [`import of ${module}`];
  return (specifiers as Node[]).flatMap((specifier) => {
    if (specifier.type === "ImportNamespaceSpecifier") return [`import * of ${module}`];
    const imported = specifier.imported ?? specifier.local;
    const name = specifier.type === "ImportDefaultSpecifier" ? "default" : String((imported as Node).value);
    return banned.has(name) ? [`import of ${name} from ${module}`] : [];
  });
}

/** `export * from` hides what an entry offers. */
export function starExports(file: SourceFile): string[] {
  return parse(file).body.flatMap((item) => (item.type === "ExportAllDeclaration" ? [item.source.value] : []));
}

const TEST_FUNCTIONS = new Set(["describe", "suite", "it", "test", "bench"]);

/** `.only` keeps the other tests of a file from running. */
export function focusedTests(file: SourceFile): string[] {
  return [...nodes(parse(file).body)].flatMap((node) => {
    const object = node.object;
    if (node.type !== "MemberExpression" || memberName(node.property) !== "only" || !isNode(object)) return [];
    const root = [...nodes(object)].find((part) => part.type === "Identifier");
    const name = String(root?.value);
    return TEST_FUNCTIONS.has(name) ? [`${name}.only`] : [];
  });
}

/**
 * The console runs in a browser and talks to the gateway over HTTP; it imports its own files and npm packages only. Types of what the
 * gateway sends are taken from where it makes them: nothing is left of such an import in what is built.
 */
export function importsOutsideConsole(file: SourceFile): string[] {
  const depth = file.path.split("/").length - "gateway/console/".split("/").length;
  const climbsOut = (source: string): boolean => (source.match(/\.\.\//g)?.length ?? 0) > depth;
  const gateway = `${"../".repeat(depth + 1)}src/`;
  return [...nodes(parse(file).body)].flatMap((node) => {
    const source = importSource(node);
    if (source === undefined || (node.typeOnly === true && source.startsWith(gateway))) return [];
    return source.startsWith("@millrace/") || climbsOut(source) ? [source] : [];
  });
}

function importSource(node: Node): string | undefined {
  const source = node.source;
  if (/^(?:Import|Export\w*)Declaration$/.test(node.type) && isNode(source)) return String(source.value);
  if (node.type !== "CallExpression" || !isNode(node.callee) || node.callee.type !== "Import") return undefined;
  const argument = (node.arguments as { expression: Node }[])[0]?.expression;
  return argument?.type === "StringLiteral" ? String(argument.value) : undefined;
}
