/** Makes the personal values of a subject unreadable everywhere. */

import { text } from "node:stream/consumers";
import { opsError } from "../../errors.ts";
import { EXIT } from "../failure.ts";
import { writeJson, writeLine } from "../output.ts";
import { asked, withCare } from "../with-care.ts";

export interface EraseOptions {
  readonly data: string;
  readonly reason: string;
  readonly yes?: boolean;
  readonly json?: boolean;
}

/** Of `-`: what stdin says, so that neither the shell's history nor the list of processes names the subject. */
async function subjectOf(given: string): Promise<string> {
  const subject = given === "-" ? (await text(process.stdin)).replace(/\r?\n$/, "") : given;
  if (subject === "") throw opsError("CLI-USAGE", "a subject has at least one character");
  return subject;
}

/** Without `yes` it says what would be done. */
export async function erase(
  given: string,
  { data: path, reason, yes = false, json = false }: EraseOptions,
): Promise<void> {
  const subject = await subjectOf(given);
  await withCare(path, async (care) => {
    const { key, subjectHash, ...done } = await care.erase({ subject, yes, by: asked(reason) });
    if (done.position === undefined) {
      process.exitCode = EXIT.findings;
      if (json) writeJson({ erased: false, key, subjectHash });
      else writeLine(`nothing was done: key ${key} would be destroyed for good; say so with --yes`);
    } else if (json) writeJson({ erased: true, key, subjectHash, ...done });
    else if (done.repeated === true) writeLine(`erased before, at position ${done.position}: key ${key}`);
    else writeLine(`key ${key} is destroyed; the log says so at position ${done.position}`);
  });
}
