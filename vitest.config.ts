import { fileURLToPath } from "node:url";
import { configDefaults, defineConfig } from "vitest/config";
import { skips } from "./ops/bin/setup.mjs";

const propertySeed = fileURLToPath(import.meta.resolve("./ops/test/property-seed.ts"));
const flakyReporter = fileURLToPath(import.meta.resolve("./ops/test/flaky-reporter.ts"));
const moduleCache = fileURLToPath(new URL("node_modules/.cache/vitest", import.meta.url));
/** Files that replace modules, change the environment or count on a process of their own, which each of them gets. */
const alone = [
  "native/src/**/*.test.ts",
  "ops/src/cli/session.test.ts",
  "ops/src/fast-exit.test.ts",
  "ops/test/bounds.test.ts",
  "ops/test/eventstore/hostile.test.ts",
  // They load what is built, too.
  "ops/test/faults/{clock,edge-kills,kills}.e2e.test.ts",
];
/** Folders of ops that take minutes each. */
const LONG = "test/{audit,connectors,eventstore,faults,native,personal,retention}/**";
/**
 * The others share what a worker has imported, and the workspaces below `ops` what was transformed for it: both take longer than most
 * of their tests. Three files at a time on two processors, as most wait for a server, a process or a disk. The tests of ops come after
 * all others.
 */
const projects = [
  { name: "alone", root: ".", include: alone, isolate: true, groupOrder: 0 },
  {
    name: "units",
    root: ".",
    include: ["engine", "actors", "streams", "projections", "gateway"].map((name) => `${name}/{src,test}/**/*.test.ts`),
    isolate: false,
    groupOrder: 0,
  },
  { name: "ops", root: "ops", include: ["{src,test}/**/*.test.ts"], exclude: [LONG], isolate: false, groupOrder: 1 },
  { name: "long", root: "ops", include: [`${LONG}/*.test.ts`], isolate: false, groupOrder: 1 },
];
const inOps = alone.filter((path) => path.startsWith("ops/")).map((path) => path.slice("ops/".length));

export default defineConfig({
  test: {
    reporters: ["default", flakyReporter],
    projects: projects.map(({ name, root, include, exclude = [], isolate, groupOrder }) => ({
      // The `source` condition makes workspaces import each other's sources, so tests need no build.
      resolve: { conditions: ["source", "node"] },
      ssr: {
        resolve: { conditions: ["source", "node"], externalConditions: ["source"] },
      },
      test: {
        name,
        root,
        environment: "node",
        include,
        exclude: [...configDefaults.exclude, ...exclude, ...(root === "ops" ? inOps : [])],
        benchmark: { include: name === "units" ? ["*/bench/**/*.bench.ts"] : [] },
        setupFiles: [propertySeed],
        // The projects, and the runs of a gate, share what was transformed.
        experimental: { fsModuleCache: true, fsModuleCachePath: moduleCache },
        // For what hangs, not for what is slow: machines are, and several tests at a time make them so.
        testTimeout: 60_000,
        hookTimeout: 60_000,
        retry: process.env.CI === "true" ? 1 : 0,
        // Below the limit of a test, so that what did not come is named.
        expect: { poll: { timeout: 45_000 } },
        maxWorkers: 3,
        sequence: { groupOrder },
        isolate,
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
