/** Text to value, with the place of every key and value kept. YAML 1.2 (JSON is part of it), plus `<<` merge keys. */
import type { Alias, Document, Node, Scalar, YAMLMap } from "yaml";
import type { Json } from "../frame/json.ts";
import { BYTES_MAX, DEPTH_MAX, excessOf, firstInvalidByte, VALUES_MAX } from "./limits.ts";
import { type Locator, type Path, type PathPart, ProblemList, pointer, type TextPosition } from "./problem.ts";
import { type Environment, substitute } from "./substitution.ts";
import { offsetInside } from "./text-offset.ts";
import { yamlLibrary } from "./yaml-library.ts";

export interface GraphDocument {
  /** `undefined` when the text has syntax errors. */
  readonly value: Json | undefined;
  readonly problems: ProblemList;
  readonly locator: Locator;
}

export interface DocumentOptions {
  readonly file?: string | undefined;
  readonly env: Environment;
}

export function readDocument(input: string | Uint8Array, options: DocumentOptions): GraphDocument {
  const text = decoded(input);
  const places = new Places(text ?? "", options.file);
  const problems = new ProblemList(places);
  const value = text === undefined ? refused(input, problems) : parsedValue(text, places, problems, options.env);
  return { value: problems.size === 0 ? value : undefined, problems, locator: places };
}

/** `undefined` when it is too long or not UTF-8. A byte order mark is not part of the text. */
function decoded(input: string | Uint8Array): string | undefined {
  if (input.length > BYTES_MAX) return undefined;
  if (typeof input === "string") return Buffer.byteLength(input) > BYTES_MAX ? undefined : input.replace(/^\uFEFF/, "");
  return firstInvalidByte(input) === undefined ? new TextDecoder().decode(input) : undefined;
}

function refused(input: string | Uint8Array, problems: ProblemList): undefined {
  const at = typeof input === "string" || input.length > BYTES_MAX ? undefined : firstInvalidByte(input);
  if (at !== undefined) problems.put("GRAPH-SYNTAX", at, "the file is not UTF-8 text");
  else problems.put("GRAPH-LIMIT", { line: 1, column: 1 }, `the file is larger than ${BYTES_MAX / 1024} KiB`);
}

function parsedValue(text: string, places: Places, problems: ProblemList, env: Environment): Json | undefined {
  const excess = excessOf(text);
  if (excess !== undefined) {
    problems.put("GRAPH-LIMIT", places.at(excess.offset), excess.message);
    return undefined;
  }
  const document = yamlLibrary().parseDocument(text, { uniqueKeys: false, prettyErrors: false, version: "1.2" });
  for (const { message, code, pos } of [...document.errors, ...document.warnings])
    problems.put(
      "GRAPH-SYNTAX",
      places.at(pos[0]),
      `${firstLine(message)}${isTextWithColon(text, code, pos[0]) ? QUOTE : ""}`,
    );
  if (problems.size > 0) return undefined;
  return new Walk(document, places, problems, env).value();
}

const QUOTE = ": a text with `: ` in it, such as the expression `a ? b : c`, is written in quotes";

/** What the library takes for a map where none can be is mostly a text with a colon: people write expressions so. */
function isTextWithColon(text: string, code: string, at: number): boolean {
  return (code === "BLOCK_IN_FLOW" || code === "BLOCK_AS_IMPLICIT_KEY") && /^[^\n]*:\s/.test(text.slice(at));
}

function firstLine(message: string): string {
  return message.split("\n", 1)[0] as string;
}

interface Placed {
  readonly key: number | undefined;
  readonly value: number;
  /** For texts that stand in the file as they are. */
  readonly scalar: Scalar | undefined;
}

class Places implements Locator {
  readonly file: string | undefined;
  readonly #text: string;
  /** Offsets of line starts. */
  readonly #lines: readonly number[];
  readonly #byPointer = new Map<string, Placed>();

  constructor(text: string, file: string | undefined) {
    this.#text = text;
    this.file = file;
    const lines = [0];
    for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lines.push(at + 1);
    this.#lines = lines;
  }

  set(path: Path, placed: Placed): void {
    this.#byPointer.set(pointer(path), placed);
  }

  get(path: Path): Placed | undefined {
    return this.#byPointer.get(pointer(path));
  }

  locate(path: Path, part: PathPart): TextPosition {
    for (let length = path.length; length >= 0; length--) {
      const placed = this.get(path.slice(0, length));
      if (placed !== undefined) return this.at(this.#offset(placed, length === path.length ? part : "key"));
    }
    return { line: 1, column: 1 };
  }

  #offset({ key, value, scalar }: Placed, part: PathPart): number {
    if (part === "key") return key ?? value;
    return part === "value" || scalar === undefined ? value : offsetInside(this.#text, scalar, part.index);
  }

  at(offset: number): TextPosition {
    let low = 0;
    let high = this.#lines.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if ((this.#lines[middle] as number) <= offset) low = middle;
      else high = middle;
    }
    return { line: low + 1, column: offset - (this.#lines[low] as number) + 1 };
  }
}

const NO_MERGE = "`<<` merges a map, or a list of maps: write the alias of an anchor, as in `<<: *base`";

/** Thrown to end the walk; the problem has been noted. */
class LimitReached {}

class Walk {
  readonly #document: Document;
  readonly #places: Places;
  readonly #problems: ProblemList;
  readonly #env: Environment;
  readonly #anchors = new Map<Alias, Node | null>();
  #values = 0;

  constructor(document: Document, places: Places, problems: ProblemList, env: Environment) {
    this.#document = document;
    this.#places = places;
    this.#problems = problems;
    this.#env = env;
  }

  value(): Json | undefined {
    try {
      return this.#convert(this.#document.contents as Node | null, [], undefined);
    } catch (thrown) {
      if (!(thrown instanceof LimitReached)) throw thrown;
      return undefined;
    }
  }

  #convert(node: Node | null, path: Path, key: number | undefined): Json {
    const { isAlias, isMap, isScalar, isSeq } = yamlLibrary();
    const written = node?.range?.[0] ?? key ?? 0;
    const scalar = isScalar(node) ? node : undefined;
    this.#places.set(path, { key, value: written, scalar });
    this.#count(path, written);
    const resolved = isAlias(node) ? this.#anchored(node, path) : node;
    if (isMap(resolved)) return this.#convertMap(resolved, path);
    if (isSeq(resolved))
      return resolved.items.map((item, i) => this.#convert(item as Node | null, [...path, i], undefined));
    return isScalar(resolved) ? this.#convertScalar(resolved, path) : null;
  }

  /** Kept per alias: the library searches the whole document for each. */
  #anchored(alias: Alias, path: Path): Node | null {
    let node = this.#anchors.get(alias);
    if (node === undefined) {
      node = alias.resolve(this.#document) ?? null;
      if (node === null) this.#problems.add("GRAPH-SYNTAX", path, `there is no anchor \`${alias.source}\` before this`);
      this.#anchors.set(alias, node);
    }
    return node;
  }

  #count(path: Path, offset: number): void {
    this.#values++;
    if (path.length <= DEPTH_MAX && this.#values <= VALUES_MAX) return;
    const limit =
      path.length > DEPTH_MAX
        ? `values are nested more than ${DEPTH_MAX} deep`
        : `aliases expand to more than ${VALUES_MAX} values`;
    this.#problems.put("GRAPH-LIMIT", this.#places.at(offset), limit);
    throw new LimitReached();
  }

  #convertMap(map: YAMLMap, path: Path): Json {
    const result: Record<string, Json> = Object.create(null);
    this.#fill(result, map, path, path);
    return { ...result };
  }

  /** What is there already stays. `via`: the path, and the merges that led to this map, whose number is limited too. */
  #fill(result: Record<string, Json>, map: YAMLMap, path: Path, via: Path): void {
    const own = new Set<string>();
    const merged: (readonly [value: Node | null, offset: number])[] = [];
    const { isScalar } = yamlLibrary();
    for (const { key, value } of map.items) {
      const name = isScalar(key) ? String(key.value) : "";
      const offset = (key as Node | null)?.range?.[0] ?? 0;
      if (!isScalar(key))
        this.#problems.put("GRAPH-SYNTAX", this.#places.at(offset), "a key must be a plain text", path);
      else if (name === "<<") merged.push([value as Node | null, offset]);
      else if (own.has(name)) this.#duplicate(path, name, offset);
      else if (Object.hasOwn(result, name)) this.#count(via, offset);
      else result[name] = this.#convert(value as Node | null, [...path, name], offset);
      own.add(name);
    }
    for (const [value, offset] of merged) this.#merge(result, value, path, via, offset);
  }

  /** What is merged in has the path that it gets here, and the place where it is written. */
  #merge(result: Record<string, Json>, node: Node | null, path: Path, via: Path, key: number): void {
    const { isAlias, isMap, isSeq } = yamlLibrary();
    const value = node?.range?.[0] ?? key;
    const steps = [...via, "<<"];
    this.#places.set([...path, "<<"], { key, value, scalar: undefined });
    this.#count(steps, value);
    const resolved = isAlias(node) ? this.#anchored(node, [...path, "<<"]) : node;
    if (isMap(resolved)) this.#fill(result, resolved, path, steps);
    else if (isSeq(resolved))
      for (const item of resolved.items) this.#merge(result, item as Node | null, path, steps, key);
    else if (!isAlias(node) || resolved !== null)
      this.#problems.put("GRAPH-SYNTAX", this.#places.at(value), NO_MERGE, [...path, "<<"]);
  }

  #duplicate(path: Path, name: string, offset: number): void {
    const first = this.#places.at(this.#places.get([...path, name])?.key ?? 0);
    const isNode = path.length === 1 && path[0] === "nodes";
    const message = `${isNode ? "node" : "key"} \`${name}\` is defined twice, first at ${first.line}:${first.column}`;
    this.#problems.put(isNode ? "GRAPH-DUP" : "GRAPH-SYNTAX", this.#places.at(offset), message, [...path, name]);
  }

  #convertScalar({ value }: Scalar, path: Path): Json {
    if (value === null || typeof value === "boolean") return value;
    if (typeof value === "number" && Number.isFinite(value)) return value;
    if (typeof value === "string") return this.#substituted(value, path);
    this.#problems.add(
      "GRAPH-SYNTAX",
      path,
      "a graph file holds texts, numbers, true, false, null, lists and maps only",
    );
    return null;
  }

  #substituted(text: string, path: Path): Json {
    if (!text.includes("${")) return text;
    const { value, missing } = substitute(text, this.#env);
    for (const name of missing) this.#problems.add("GRAPH-REF", path, `\${${name}} is not set and has no default`);
    const placed = this.#places.get(path);
    if (placed !== undefined && value !== text) this.#places.set(path, { ...placed, scalar: undefined });
    return value;
  }
}
