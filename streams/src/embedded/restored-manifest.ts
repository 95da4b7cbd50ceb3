/**
 * Puts a lost manifest back, with the log's own id: only when segments and archive are whole up to what anybody has seen, so that
 * nothing is lost with it. Otherwise it is a loss, which somebody has to accept (L-R20).
 */

import { crc32c } from "./crc32c.ts";
import { embeddedLogError } from "./errors.ts";
import { assessLoss, type LossOptions } from "./loss.ts";
import { MANIFEST_NAME, ManifestFile } from "./manifest.ts";
import { withCarry } from "./rebuilt-manifest.ts";
import { ALL_RULES_HOLD } from "./rules.ts";

/** Resolves with the file. @throws LOG-MANIFEST it says what is missing; LOG-ARCHIVE, LOG-FORK */
export async function restoreManifest(options: LossOptions): Promise<string> {
  const { disk, directory } = options;
  const path = `${directory}/${MANIFEST_NAME}`;
  const assessed = await assessLoss(options);
  if (assessed === undefined) return path;
  const { kept, loss, epoch } = assessed;
  const why =
    kept.fault?.message ?? (loss.to > loss.from ? `positions ${loss.from} to ${loss.to - 1} are missing` : undefined);
  if (why !== undefined) {
    const place = { file: kept.fault?.file ?? path, position: loss.from };
    throw embeddedLogError("LOG-MANIFEST", `the manifest is lost, and ${why}`, { place });
  }
  if ((await disk.stat(path)) !== undefined) await disk.rename(path, `${path}.damaged`);
  const known = await withCarry(disk, directory, assessed);
  const openEnd = { pos: kept.expected.position, chain: kept.expected.prev };
  const file = new ManifestFile(disk, directory, known, crc32c, ALL_RULES_HOLD);
  await file.update((made) => ({ ...made, epoch, segments: { ...made.segments, ...kept.seals }, openEnd }));
  return path;
}
