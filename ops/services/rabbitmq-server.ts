/**
 * A real RabbitMQ broker for tests, Debian's. Erlang's nodes find each other by a name server, `epmd`; each broker here has one of its own,
 * so that nothing on the machine knows of it and nothing is left behind.
 */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePort } from "./free-port.ts";
import { type ServerKind, ServerProcess } from "./server-process.ts";

/** The reason why there is none; `undefined` where there is one. */
export const rabbitmqMissing: string | undefined = process.env.MILLRACE_SKIP_RABBITMQ || undefined;

const SCRIPT = "/usr/lib/rabbitmq/bin/rabbitmq-server";
const CONTROL = "/usr/lib/rabbitmq/bin/rabbitmqctl";
const COOKIE = "millrace";
/** Erlang takes its time, on a busy machine most of all. */
const READY_MS = 120_000;

export interface RabbitServer {
  readonly server: ServerProcess;
  /** Runs a command of `rabbitmqctl`, and resolves with what it prints. */
  control(...command: readonly string[]): Promise<string>;
  /** Ends the broker and its name server. */
  stop(): Promise<void>;
}

/** `extra`: more lines of its configuration. */
export async function startRabbit(
  extra: readonly string[] = [],
  plugins: readonly string[] = [],
): Promise<RabbitServer> {
  const names = await ServerProcess.start(nameServer);
  try {
    const server = await ServerProcess.start(rabbitmq(names.port, await freePort(), extra, plugins));
    return {
      server,
      async control(...command) {
        const variables = { ...process.env, HOME: tmpdir(), ERL_EPMD_PORT: String(names.port) };
        const options = ["-n", nodeName(server.port), "--erlang-cookie", COOKIE, "--quiet"];
        return (await promisify(execFile)(CONTROL, [...options, ...command], { env: variables })).stdout;
      },
      async stop() {
        // Nothing of it is needed any more, and its orderly end takes seconds.
        await server.kill();
        await server.stop();
        await names.stop();
      },
    };
  } catch (error) {
    await names.stop();
    throw error;
  }
}

const nodeName = (port: number): string => `r${port}@localhost`;

const nameServer: ServerKind = {
  name: "epmd",
  binary: "epmd",
  args: (port) => ["-port", String(port), "-address", "127.0.0.1"],
  // It was connected to; that is all there is to know.
  greet: async () => "",
};

function rabbitmq(
  namesPort: number,
  nodePort: number,
  extra: readonly string[],
  plugins: readonly string[],
): ServerKind {
  return {
    name: "rabbitmq",
    // Replaces itself by the script, and that by Erlang: the pid is the broker's.
    binary: "env",
    readyMs: READY_MS,
    args(port, directory) {
      const config = join(directory, "rabbitmq.conf");
      const isSecure = extra.some((line) => line.startsWith("ssl_options."));
      const listener = isSecure
        ? ["listeners.tcp = none", `listeners.ssl.1 = 127.0.0.1:${port}`]
        : [`listeners.tcp.1 = 127.0.0.1:${port}`];
      writeFileSync(config, `${[...listener, "disk_free_limit.absolute = 1MB", ...extra].join("\n")}\n`);
      const variables = {
        HOME: directory,
        ERL_EPMD_PORT: namesPort,
        ERL_EPMD_ADDRESS: "127.0.0.1",
        RABBITMQ_NODENAME: nodeName(port),
        RABBITMQ_DIST_PORT: nodePort,
        RABBITMQ_CONFIG_FILE: config,
        RABBITMQ_CONF_ENV_FILE: "/dev/null",
        RABBITMQ_MNESIA_BASE: join(directory, "mnesia"),
        RABBITMQ_LOG_BASE: join(directory, "log"),
        RABBITMQ_PID_FILE: join(directory, "pid"),
        RABBITMQ_ENABLED_PLUGINS_FILE: join(directory, "plugins"),
        RABBITMQ_FEATURE_FLAGS_FILE: join(directory, "flags"),
        // Otherwise a shell stays in front of the broker.
        RABBITMQ_ALLOW_INPUT: 1,
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: `-noinput -setcookie ${COOKIE} -start_epmd false -kernel inet_dist_use_interface {127,0,0,1}`,
        RABBITMQ_SCHEDULER_BIND_TYPE: "u",
      };
      writeFileSync(join(directory, "plugins"), `[${plugins.join(",")}].\n`);
      return [...Object.entries(variables).map(([name, value]) => `${name}=${value}`), SCRIPT];
    },
    greet: extra.some((line) => line.startsWith("ssl_options.")) ? async () => "" : greet,
  };
}

/** What a client of AMQP 0.9.1 says first; the answer holds the version as a field of a table. */
const HELLO = Buffer.from("AMQP\0\0\x09\x01", "latin1");

async function greet(socket: Socket): Promise<string> {
  socket.write(HELLO);
  const [chunk] = (await once(socket, "data")) as [Buffer];
  const version = /versionS\0{3}.([\d.]+)/s.exec(chunk.toString("latin1"))?.[1];
  if (version === undefined) throw new Error("this is no RabbitMQ broker");
  return version;
}
