/** Runs one variant of a bench in a process of its own and tells the parent its figure. */
import { runOnce } from "./measure.mjs";

const [url, name] = process.argv.slice(2);
const { variants } = await import(url);
const variant = (await variants()).find((v) => v.name === name);
const figure = await runOnce(variant);
process.send(figure, () => process.exit(0));
