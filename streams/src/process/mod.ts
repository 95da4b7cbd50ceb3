/** Programs in processes of their own. Every export is listed by name. */
export { unixWorkers } from "./unix-workers.ts";
