/**
 * What goes wrong in a script's thread, until it becomes an error of the catalogue outside. The thread loads nothing of the engine:
 * that alone would take several times as long as compiling a script.
 */
export class ScriptFailure extends Error {
  override readonly name = "ScriptFailure";
  readonly code: "PROJECTION-SCRIPT" | "PROJECTION-LIMIT";

  constructor(code: ScriptFailure["code"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
