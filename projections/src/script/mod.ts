/** The interpreter of scripts by itself, for threads that load nothing else of this package. */
export { loadInterpreter } from "./interpreter.ts";
