/** The engine's public entry for values as msgpack: an entry of its own, as commands and threads that pack nothing would load the library. */
export { Msgpack } from "./msgpack.ts";
