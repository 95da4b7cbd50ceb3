import { transportContract, virtualEnv } from "../src/testing/mod.ts";
import { SimulatedBroker } from "../src/testing/simulation/simulated-broker.ts";

transportContract("the simulated broker", async () => {
  const env = virtualEnv("broker contract");
  const broker = new SimulatedBroker();
  let open = true;
  // The suite waits for promises, not for virtual time, so time is kept moving.
  const pump = (async () => {
    while (open) await env.advance(1);
  })();
  const destroy = async (): Promise<void> => {
    open = false;
    await pump;
  };
  return { publisher: broker.connect(env), subscriber: broker.connect(env), capacity: 64, destroy };
});
