/** Where everything of one host lies. The log is the truth; `index` and `projections` may be deleted and are built again. */
import { join, resolve } from "node:path";

export interface DataDirectory {
  readonly root: string;
  /** Segments and manifest of the event log. */
  readonly log: string;
  /** Indexes of the log; one thread writes them. */
  readonly index: string;
  /** Rows and checkpoints of projections, snapshots of nodes. */
  readonly projections: string;
  /** Merkle tree and signed checkpoints of the log, in a folder by the log's id. */
  readonly audit: string;
  /** Payloads that events of the log name by their hash. */
  readonly payloads: string;
  /** Keys of subjects. Not part of backups of the log, or an erased key comes back with them. */
  readonly keys: string;
  /** Where the running host takes requests of `log` and `erase`; only its owner may enter. */
  readonly care: string;
  /** Files that sinks write; relative addresses start here. */
  readonly out: string;
}

export function dataDirectory(path: string): DataDirectory {
  const root = resolve(path);
  return {
    root,
    log: join(root, "log"),
    index: join(root, "index"),
    projections: join(root, "projections"),
    audit: join(root, "audit"),
    payloads: join(root, "payloads"),
    keys: join(root, "keys"),
    care: join(root, "care"),
    out: join(root, "out"),
  };
}
