/** The public entry for worker threads that read the host's payload store: what their first payload waits for must be little. */
export { openPayloadReader } from "../payload-store/mapped-payload-store.ts";
