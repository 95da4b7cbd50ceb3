/** Which program runs the JMS client of a node, with which jars, and how the client is set up. */
import { existsSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type JmsAddress, type JmsDefinition, MillraceError, type Place } from "@millrace/engine";
import type { JmsClient, JmsOptions } from "@millrace/streams/jms";
import { unixWorkers } from "@millrace/streams/process";
import { hostAndPort } from "@millrace/streams/resilience";
import { opsError } from "../errors.ts";
import { passedEnv } from "./calculator-process.ts";
import type { CompileContext } from "./compile-context.ts";
import { secretValues, withSecrets } from "./secrets.ts";

type PlaceOf = (...keys: readonly string[]) => Place;
type Settings = NonNullable<JmsDefinition["set"]>;

const MEMORY_MIB = 256;
const SETTINGS = ["set", "jndi", "system"] as const;

/** What a node's connector is given. The client's classes and settings are tried, without a connection. @throws HOST-CONNECTOR, JMS-CLASS, JMS-FACTORY */
export async function jmsOptionsOf(
  id: string,
  address: JmsAddress,
  definition: JmsDefinition | undefined,
  context: CompileContext,
  placeOf: PlaceOf,
): Promise<JmsOptions> {
  const { env, resilience: policy } = context.options;
  if (definition === undefined)
    throw opsError("HOST-CONNECTOR", "a jms: address needs `jms` with the vendor's client", { place: placeOf() });
  const program = { command: commandOf(definition, context, placeOf), launcher: unixWorkers(env) };
  const clients = new Map(
    address.endpoints.map((endpoint) => [endpoint, clientOf(definition, endpoint, context, placeOf)] as const),
  );
  const clientAt = (endpoint: string): JmsClient => {
    const client = clients.get(endpoint);
    if (client === undefined) throw new Error(`${endpoint} is none of the endpoints of the address`);
    return client;
  };
  const secrets = secretsOf(definition, context, placeOf);
  // What JNDI knows may lie on a server that is not there yet.
  if (definition.factory !== undefined) await checked(address, { program, clientAt, secrets }, context, placeOf);
  return { id, program, clientAt, secrets, policy, bytesMax: definition.bytesMax };
}

async function checked(
  address: JmsAddress,
  options: Pick<JmsOptions, "program" | "clientAt" | "secrets">,
  context: CompileContext,
  placeOf: PlaceOf,
): Promise<void> {
  const { checkJmsClient } = await import("@millrace/streams/jms");
  try {
    await checkJmsClient(address, context.options.env, options);
  } catch (cause) {
    if (!(cause instanceof MillraceError)) throw cause;
    const key = cause.code === "JMS-CLASS" ? "classPath" : cause.code === "JMS-BRIDGE" ? "java" : "factory";
    const { code, kind, message } = cause;
    throw new MillraceError(code, kind, message, { place: placeOf("jms", key), cause });
  }
}

function commandOf(
  definition: JmsDefinition,
  context: CompileContext,
  placeOf: PlaceOf,
): JmsOptions["program"]["command"] {
  const { classPath, java = "java", memoryMib = MEMORY_MIB } = definition;
  const own = bridgeJars(placeOf("jms"));
  const jars = classPath.map((entry, i) => jarOf(entry, context, () => placeOf("jms", "classPath", String(i))));
  return {
    command: java.includes("/") ? context.path(java) : java,
    args: [
      `-Xmx${memoryMib}m`,
      "-XX:+UseSerialGC",
      "-XX:TieredStopAtLevel=1",
      "-Xshare:auto",
      "-XX:+ExitOnOutOfMemoryError",
      "-cp",
      [...own, ...jars].join(delimiter),
      "dev.millrace.jms.Bridge",
    ],
    env: passedEnv(),
  };
}

/** Java itself says nothing of a jar that is missing. @throws HOST-CONNECTOR */
function jarOf(entry: string, context: CompileContext, place: () => Place): string {
  const path = context.path(entry);
  if (!existsSync(path.replace(/\/\*$/, "")))
    throw opsError("HOST-CONNECTOR", `there is no \`${entry}\` for the class path`, { place: place() });
  return path;
}

/** What `npm run java`, or Maven in that folder, builds. @throws HOST-CONNECTOR it is not built */
function bridgeJars(place: Place): readonly string[] {
  const streams = dirname(dirname(dirname(fileURLToPath(import.meta.resolve("@millrace/streams/jms")))));
  const target = join(streams, "jms-bridge", "target");
  const jar = join(target, "millrace-jms-bridge.jar");
  if (existsSync(jar)) return [jar, join(target, "lib", "*")];
  const message = "the bridge to JMS clients is not built: run `npm run java`";
  throw opsError("HOST-CONNECTOR", message, { place });
}

function clientOf(definition: JmsDefinition, endpoint: string, context: CompileContext, placeOf: PlaceOf): JmsClient {
  const { factory, set, lookup, jndi, jndiFile, system, acknowledge } = definition;
  const put = (part: string, settings: Settings = {}): Settings =>
    Object.fromEntries(
      Object.entries(settings).map(([name, value]) => [
        name,
        typeof value === "string" ? withSecrets(at(value, endpoint), context, placeOf("jms", part, name)) : value,
      ]),
    );
  return {
    ...(factory === undefined ? {} : { factory }),
    ...(lookup === undefined ? {} : { lookup }),
    ...(jndiFile === undefined ? {} : { jndiFile: context.path(jndiFile) }),
    ...(acknowledge === undefined ? {} : { acknowledge }),
    set: put("set", set),
    jndi: put("jndi", jndi),
    system: put("system", system),
  };
}

/** The text with the endpoint where it says so. */
function at(text: string, endpoint: string): string {
  const { host, port } = hostAndPort(endpoint);
  const known: Readonly<Record<string, string>> = { endpoint, host, port: String(port) };
  return text.replace(/\{(endpoint|host|port)\}/g, (all, name: string) => known[name] ?? all);
}

function secretsOf(definition: JmsDefinition, context: CompileContext, placeOf: PlaceOf): readonly string[] {
  return SETTINGS.flatMap((part) =>
    Object.entries(definition[part] ?? {}).flatMap(([name, value]) =>
      typeof value === "string" ? secretValues(value, context, placeOf("jms", part, name)) : [],
    ),
  );
}
