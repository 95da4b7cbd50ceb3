import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { skips } from "./ops/bin/setup.mjs";

const propertySeed = fileURLToPath(import.meta.resolve("./ops/test/property-seed.ts"));
const workspaces = ["engine", "actors", "streams", "native", "projections", "gateway", "ops"];
/**
 * Their tests replace modules, change the environment or count on a process of their own. The files of the others share what a worker
 * has imported, which takes longer than most of their tests.
 */
const isolated: ReadonlySet<string> = new Set(["native", "gateway", "ops"]);
/** Two files at a time, as most wait for a server or a process. The tests of ops come after all others. */
const order = (name: string): { readonly maxWorkers: number; readonly sequence: { readonly groupOrder: number } } => ({
  maxWorkers: 2,
  sequence: { groupOrder: name === "ops" ? 1 : 0 },
});

export default defineConfig({
  test: {
    projects: workspaces.map((name) => ({
      // The `source` condition makes workspaces import each other's sources, so tests need no build.
      resolve: { conditions: ["source", "node"] },
      ssr: {
        resolve: { conditions: ["source", "node"], externalConditions: ["source"] },
      },
      test: {
        name,
        root: name,
        environment: "node",
        include: ["src/**/*.test.ts", "test/**/*.test.ts"],
        benchmark: { include: ["bench/**/*.bench.ts"] },
        setupFiles: [propertySeed],
        testTimeout: 20_000,
        // Below the limit of a test, so that what did not come is named.
        expect: { poll: { timeout: 15_000 } },
        ...order(name),
        isolate: isolated.has(name),
        env: skips(),
      },
    })),
    coverage: {
      provider: "v8",
      include: ["*/src/**/*.ts"],
      exclude: ["**/*.test.ts", "**/testing/**"],
      reporter: ["text-summary", "html"],
    },
  },
});
