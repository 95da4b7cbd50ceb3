/** Which program runs a calculator's file in a process of its own, where its SDK is, and what it is allowed. */
import { existsSync } from "node:fs";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { nodeWorkerArgs } from "@millrace/actors";
import type { Place } from "@millrace/engine";
import { opsError } from "../errors.ts";

export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly dataBytesMax?: number;
  /** Memory of the interpreter itself, in MiB. */
  readonly overheadMib: number;
}

const MIB = 1024 * 1024;
/** What the host of a library has itself: buffers of its socket, a frame that comes and one that goes. */
const LIBRARY_HOST_MIB = 64;

const PASSED = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "JAVA_HOME"];

/** What a program may know of this process's environment: enough to start, no secrets. */
export function passedEnv(): Readonly<Record<string, string>> {
  return Object.fromEntries(PASSED.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
}

/** Languages by the file's name; all but Node's run in a process only. */
export function languageOf(use: string): "node" | "python" | "java" | "library" | "wasm" | undefined {
  switch (extname(use)) {
    case ".ts":
    case ".mts":
    case ".js":
    case ".mjs":
      return "node";
    case ".py":
      return "python";
    case ".java":
    case ".jar":
      return "java";
    case ".so":
      return "library";
    case ".wasm":
      return "wasm";
    default:
      return undefined;
  }
}

/** @throws HOST-CALCULATOR no program of this host runs such a file, or its SDK is not built */
export function programFor(file: string, interpreter: string | undefined, memoryMib: number, place: Place): Program {
  const env = passedEnv();
  switch (languageOf(file)) {
    case "python":
      return {
        command: interpreter ?? "python3",
        // The file is named for those who look at processes; the worker is told by its host.
        args: ["-m", "millrace", file],
        env: { ...env, PYTHONPATH: sdk("python"), PYTHONDONTWRITEBYTECODE: "1", PYTHONUNBUFFERED: "1" },
        dataBytesMax: (memoryMib + 16) * MIB,
        overheadMib: 64,
      };
    case "java": {
      const heap = [`-Xmx${memoryMib}m`, "-XX:+UseSerialGC", "-Xshare:auto"];
      const args = [...heap, "-cp", javaSdk(place), "dev.millrace.calculator.Worker", file];
      return { command: interpreter ?? "java", args, env, overheadMib: 256 };
    }
    case "library": {
      const command = interpreter ?? libraryHost(place);
      return {
        command,
        args: [file],
        env,
        dataBytesMax: (memoryMib + LIBRARY_HOST_MIB) * MIB,
        overheadMib: LIBRARY_HOST_MIB,
      };
    }
    case "wasm":
    case "node": {
      const args = [`--max-old-space-size=${memoryMib}`, ...nodeWorkerArgs(), file];
      return { command: interpreter ?? process.execPath, args, env, overheadMib: 128 };
    }
    default:
      throw opsError("HOST-CALCULATOR", `nothing here runs \`${file}\`: use .ts, .js, .py, .java, .jar, .so or .wasm`, {
        place,
      });
  }
}

/** The program that `npm run native` builds. @throws HOST-CALCULATOR it is not built */
function libraryHost(place: Place): string {
  const host = join(dirname(dirname(sdk("c"))), "millrace-calculator-host");
  if (existsSync(host)) return host;
  const message = "the host of calculators in C, C++ and Rust is not built: run `npm run native`";
  throw opsError("HOST-CALCULATOR", message, { place });
}

export function sdk(language: string): string {
  return join(dirname(dirname(fileURLToPath(import.meta.resolve("@millrace/native")))), "sdk", language);
}

/** The jar that `npm test`, or Maven in that folder, builds. @throws HOST-CALCULATOR it is not built */
export function javaSdk(place: Place = {}): string {
  const jar = join(sdk("java"), "target", "millrace-calculator.jar");
  if (existsSync(jar)) return jar;
  const message = `the Java SDK is not built: run \`mvn package\` in ${sdk("java")}`;
  throw opsError("HOST-CALCULATOR", message, { place });
}
