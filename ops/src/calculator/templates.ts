/** First files of a calculator, in each language: typed, running, with vectors that pass. */
import { shellWord } from "../cli/shell-word.ts";
import { c, cpp, rust, rustManifest } from "./native-templates.ts";

export const LANGUAGES = ["ts", "python", "java", "rust", "cpp", "c"] as const;
export type Language = (typeof LANGUAGES)[number];

export interface Template {
  readonly file: string;
  readonly text: string;
}

/** What an author begins with. */
export interface FirstFiles {
  readonly files: readonly Template[];
  /** How the file that graphs use is made of them, and its name; absent where it is used as it is. */
  readonly built?: { readonly command: string; readonly file: string };
}

/** `sdk` has the folders of the languages' SDKs. */
export function firstFilesOf(language: Language, name: string, sdk: (language: string) => string): FirstFiles {
  const snake = name.replaceAll("-", "_");
  const file = `${snake}.so`;
  switch (language) {
    case "rust": {
      const library = `target/release/lib${snake}.so`;
      const command = "cargo build --release";
      return {
        files: [
          { file: "src/lib.rs", text: rust() },
          { file: "Cargo.toml", text: rustManifest(name, sdk("rust")) },
        ],
        built: { command, file: library },
      };
    }
    case "c":
      return {
        files: [{ file: `${snake}.c`, text: c() }],
        built: { command: `cc -O2 -shared -fPIC -I ${shellWord(sdk("c"))} -o ${file} ${snake}.c`, file },
      };
    case "cpp":
      return {
        files: [{ file: `${snake}.cpp`, text: cpp() }],
        built: { command: `c++ -std=c++17 -O2 -shared -fPIC -I ${shellWord(sdk("c"))} -o ${file} ${snake}.cpp`, file },
      };
    default:
      return { files: [templateOf(language, name)] };
  }
}

/** `name` in kebab-case; files and classes are named as the language has it. */
function templateOf(language: "ts" | "python" | "java", name: string): Template {
  switch (language) {
    case "ts":
      return { file: `${name}.ts`, text: TYPESCRIPT };
    case "python":
      return { file: `${name.replaceAll("-", "_")}.py`, text: PYTHON };
    case "java": {
      const type = name.replaceAll(/(?:^|-)([a-z])/g, (_, letter: string) => letter.toUpperCase());
      return { file: `${type}.java`, text: JAVA.replaceAll("Score", type) };
    }
  }
}

const TYPESCRIPT = `/** Scores a row. \`undefined\` would drop it, an array give several messages. */
interface Row {
  readonly n: number;
}

interface Config {
  readonly factor?: number;
}

let factor = 2;

export default {
  init(config: Config | null) {
    factor = config?.factor ?? 2;
  },
  calculate(row: Row) {
    if (typeof row.n !== "number") throw new TypeError("a row needs a number n");
    return { ...row, score: row.n * factor };
  },
  details: () => ({ factor }),
};
`;

const PYTHON = `"""Scores a row. None would drop it, a list give several messages."""

from typing import Any, TypedDict

from millrace import Calculator, Context


class Row(TypedDict):
    n: float


class Score(Calculator[Row, dict[str, Any]]):
    def init(self, config: Any) -> None:
        self.factor = (config or {}).get("factor", 2)

    def calculate(self, row: Row, context: Context) -> dict[str, Any]:
        return {**row, "score": row["n"] * self.factor}

    def details(self) -> Any:
        return {"factor": self.factor}
`;

const JAVA = `import dev.millrace.calculator.Calculator;
import dev.millrace.calculator.Context;
import java.util.LinkedHashMap;
import java.util.Map;

/** Scores a row. null would drop it, a List give several messages. */
public class Score extends Calculator<Map<String, Object>> {
  private double factor = 2;

  @Override
  public void init(Object config) {
    if (config instanceof Map<?, ?> map && map.get("factor") instanceof Number number) factor = number.doubleValue();
  }

  @Override
  public Object calculate(Map<String, Object> row, Context context) {
    Map<String, Object> scored = new LinkedHashMap<>(row);
    scored.put("score", ((Number) row.get("n")).doubleValue() * factor);
    return scored;
  }

  @Override
  public Object details() {
    return Map.of("factor", factor);
  }
}
`;

export function vectorsTemplate(name: string): Template {
  const vectors = {
    config: { factor: 3 },
    cases: [
      {
        name: "a row is scored",
        given: [{ n: 2 }, { n: 0.5 }],
        expect: [
          { n: 2, score: 6 },
          { n: 0.5, score: 1.5 },
        ],
      },
      { name: "a row without n fails", given: [{}, { n: 1 }], expect: [{ error: "CALC-THREW" }, { n: 1, score: 3 }] },
    ],
  };
  return { file: `${name}.vectors.json`, text: `${JSON.stringify(vectors, undefined, 2)}\n` };
}
