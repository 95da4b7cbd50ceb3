export { SeededRandom } from "./seeded-random.ts";
export { type VirtualEnv, type VirtualEnvOptions, type VirtualProcess, virtualEnv } from "./virtual-env.ts";
