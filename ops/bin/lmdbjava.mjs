// lmdbjava for tests: LMDB as Java programs open it, with a native library of its own. Plain Node without dependencies.
import { fetchJars, hasJar, jarsOf, javaLacks } from "./maven.mjs";

const VERSION = "0.9.1";
const LIBRARY = `lmdbjava-${VERSION}`;
/** Machines that the jar has a native library for. */
const MACHINES = new Set(["linux-x64", "linux-arm64"]);

/** Where its jars are. */
export const lmdbJavaJars = jarsOf(LIBRARY);

/** Why it cannot be tested here; `undefined` when it can. */
export function lmdbJavaLacks() {
  const machine = `${process.platform}-${process.arch}`;
  if (!MACHINES.has(machine)) return `lmdbjava has no native library for ${machine}`;
  return javaLacks() ?? (hasJar(LIBRARY, LIBRARY) ? undefined : `the jars of lmdbjava ${VERSION} were not fetched`);
}

/** What went wrong, if anything did. */
export function fetchLmdbJava() {
  return fetchJars(LIBRARY, [`org.lmdbjava:lmdbjava:${VERSION}`]);
}
