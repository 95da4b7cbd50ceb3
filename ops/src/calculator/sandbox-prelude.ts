/**
 * What a sandboxed script is called through, in the interpreter. It takes what it needs of the language before the script runs and is
 * reachable by nobody but the host. Whatever a script makes of it, it answers with text, and text is all that the host believes.
 */
export const SANDBOX_PRELUDE = `(() => {
  "use strict";
  const { parse, stringify } = JSON;
  const { isArray } = Array;
  const { getPrototypeOf, keys } = Object;
  const { isFinite } = Number;
  const objects = Object.prototype;
  const Promises = Promise;
  const text = String;
  const DEPTH_MAX = 200;
  const parts = { __proto__: null };

  class Refused {
    constructor(what, path) {
      this.what = what;
      this.path = path;
    }
  }
  function plain(value, path, depth) {
    if (value === null || typeof value === "string" || typeof value === "boolean") return value;
    if (typeof value === "number") return isFinite(value) ? value : null;
    if (typeof value !== "object") throw new Refused(value === undefined ? "undefined" : "a " + typeof value, path);
    if (depth > DEPTH_MAX) throw new Refused("a cycle, or a value nested too deeply", path);
    if (isArray(value)) {
      const list = [];
      for (let i = 0; i < value.length; i++) list[i] = plain(value[i], path + "/" + i, depth + 1);
      return list;
    }
    const prototype = getPrototypeOf(value);
    if (prototype !== objects && prototype !== null) {
      if (typeof value.toJSON === "function") return plain(value.toJSON(), path, depth + 1);
      throw new Refused(value instanceof Promises ? "a promise" : "an instance of " + text(value.constructor?.name), path);
    }
    const fields = { __proto__: null };
    for (const name of keys(value))
      if (value[name] !== undefined) fields[name] = plain(value[name], path + "/" + name, depth + 1);
    return fields;
  }
  // Without memory not even an error can be made: null is thrown.
  const failed = (thrown) =>
    thrown === null
      ? { code: "CALC-OOM", message: "out of memory, or null was thrown" }
      : thrown instanceof Refused
      ? { code: "CALC-RESULT", message: "the result is not JSON: " + thrown.what + " at " + (thrown.path || "its root"), path: thrown.path }
      : { code: "CALC-THREW", ...(typeof thrown === "object" && thrown !== null && "message" in thrown
          ? { message: text(thrown.name) + ": " + text(thrown.message), stack: text(thrown.stack) }
          : { message: "threw " + (typeof thrown === "string" ? thrown : text(thrown)) + ", which is not an Error" }) };
  const answer = (make) => {
    let said;
    try {
      const value = make();
      said = value === undefined ? {} : { value: plain(value, "", 0) };
    } catch (thrown) {
      said = failed(thrown);
    }
    return stringify({ __proto__: null, ...said });
  };

  return {
    /** Finds the parts of a calculator in what the module exports. */
    adopt(exported, name) {
      const main = name === "" ? exported.default : exported[name];
      const from = typeof main === "object" && main !== null ? main : name === "" ? exported : {};
      for (const part of ["calculate", "init", "details", "snapshot", "restore"])
        if (typeof from[part] === "function") parts[part] = (...given) => from[part](...given);
      if (typeof main === "function") parts.calculate = main;
      return keys(parts).join();
    },
    /** JSON of the arguments in, JSON of what came of it out; a promise of it, if the part is asynchronous. */
    call(part, given) {
      let result;
      try {
        result = parts[part](...parse(given));
      } catch (thrown) {
        return answer(() => { throw thrown; });
      }
      if (!(result instanceof Promises)) return answer(() => result);
      return (async () => {
        try {
          const value = await result;
          return answer(() => value);
        } catch (thrown) {
          return answer(() => { throw thrown; });
        }
      })();
    },
  };
})()`;
