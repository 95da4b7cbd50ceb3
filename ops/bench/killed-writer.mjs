/** Appends to a log and kills itself as soon as all of it is on disk, while the index is behind: `node killed-writer.mjs <directory> <events>` */
import { grow } from "./log-size.bench.mjs";
import { openLog } from "./open-log.mjs";

const [directory, events] = process.argv.slice(2);
const { log } = await openLog(directory);
await grow(log, log.durableEnd + Number(events), () => process.kill(process.pid, "SIGKILL"));
