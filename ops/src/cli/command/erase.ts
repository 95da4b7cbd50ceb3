/** Makes the personal values of a subject unreadable everywhere. */

import { userInfo } from "node:os";
import { text } from "node:stream/consumers";
import { MillraceError, systemEnv } from "@millrace/engine";
import { opsError } from "../../errors.ts";
import { openStoppedData } from "../../host/open-data.ts";
import { exitOnFatal } from "../../host/open-host.ts";
import { eraseSubject, requireErasable } from "../../personal/erase-subject.ts";
import { EXIT } from "../failure.ts";
import { writeJson, writeLine } from "../output.ts";

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
  const env = systemEnv();
  const data = await openStoppedData({ path, env, onFatal: exitOnFatal }).catch((thrown: unknown) => {
    if (!(thrown instanceof MillraceError && thrown.code === "LOG-LOCKED")) throw thrown;
    throw opsError("HOST-RUNNING", `a running server has ${path}: stop it, erase, and start it again`, {
      cause: thrown,
    });
  });
  try {
    const { key, hash: subjectHash, isErased } = await requireErasable(data.log, data.keys, subject);
    if (!yes && !isErased) {
      process.exitCode = EXIT.findings;
      if (json) writeJson({ erased: false, key, subjectHash });
      else writeLine(`nothing was done: key ${key} would be destroyed for good; say so with --yes`);
      return;
    }
    const by = { principal: userInfo().username, reason };
    const erasure = await eraseSubject(data.log, data.keys, env, subject, by);
    if (json) writeJson({ erased: true, ...erasure });
    else if (erasure.repeated) writeLine(`erased before, at position ${erasure.position}: key ${key}`);
    else writeLine(`key ${key} is destroyed; the log says so at position ${erasure.position}`);
  } finally {
    await data.close();
  }
}
