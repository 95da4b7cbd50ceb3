// Imports go downwards only, and through a workspace's public entry only.
const layers = {
  engine: [],
  actors: ["engine"],
  streams: ["engine"],
  native: ["engine"],
  projections: ["engine"],
  gateway: ["engine", "projections"],
  ops: ["engine", "actors", "streams", "native", "projections", "gateway"],
};
const workspaces = Object.keys(layers);
const anyOf = (names) => `^(?:node_modules/@millrace/)?(?:${names.join("|")})/`;

const downwards = workspaces
  .filter((name) => layers[name].length < workspaces.length - 1)
  .map((name) => ({
    name: `${name}-imports-only-${layers[name].join("-and-") || "itself"}`,
    comment: `${name} may import ${layers[name].join(", ") || "no other workspace"}.`,
    severity: "error",
    from: { path: `^${name}/` },
    to: { path: anyOf(workspaces.filter((other) => other !== name && !layers[name].includes(other))) },
  }));

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    ...downwards,
    {
      name: "public-entries-only",
      comment: "Another workspace is imported by its package name, which resolves to one of its entries.",
      severity: "error",
      from: { path: `^(${workspaces.join("|")})/` },
      to: {
        path: anyOf(workspaces),
        pathNot: [
          "^$1/",
          "^[^/]+/src/mod\\.ts$",
          "^engine/src/(?:msgpack|testing|worker)/mod\\.ts$",
          "^(?:streams|native|projections)/src/[^/]+/mod\\.ts$",
        ],
      },
    },
    {
      name: "by-package-name",
      comment: "A relative path into another workspace bypasses its exports map.",
      severity: "error",
      from: { path: `^(${workspaces.join("|")})/` },
      to: { path: anyOf(workspaces), pathNot: "^$1/", dependencyTypes: ["local"] },
    },
    {
      name: "no-cycles",
      comment: "A cycle of values has no order of initialisation; cycles of types alone are allowed.",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    {
      name: "resolvable",
      comment: "The import resolves to nothing, so no other rule could judge it.",
      severity: "error",
      from: { pathNot: "^ops/bench/[^/]+/" },
      to: { couldNotResolve: true },
    },
    {
      name: "actors-touch-nothing",
      comment: "A behavior reaches files and sockets through ports only.",
      severity: "error",
      from: {
        path: "^actors/src/",
        pathNot:
          "\\.test\\.ts$|^actors/src/calculator/(calculator-worker(-host)?|worker-payloads|process/node-worker)\\.ts$",
      },
      to: {
        dependencyTypes: ["core"],
        path: "^(?:node:)?(?:fs|fs/promises|net|tls|http|https|http2|dgram|child_process|worker_threads|cluster)$",
      },
    },
  ],
  options: {
    parser: "swc",
    tsPreCompilationDeps: true,
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^gateway/console/|/(?:dist|dist-cli|dist-console|target)/|^ops/bench/[^/]+/node_modules/" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["source", "import", "require", "node", "default", "types"],
      extensions: [".ts", ".tsx", ".mts", ".js", ".mjs", ".cjs", ".json", ".node"],
    },
  },
};
