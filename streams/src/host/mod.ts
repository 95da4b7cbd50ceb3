/** The machine that the process runs on. Every export is listed by name. */
export { machineProbe } from "./machine-probe.ts";
