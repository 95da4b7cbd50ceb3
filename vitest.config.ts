import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { skips } from "./ops/bin/setup.mjs";

const propertySeed = fileURLToPath(import.meta.resolve("./ops/test/property-seed.ts"));
const workspaces = ["engine", "actors", "streams", "native", "projections", "gateway", "ops"];

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
