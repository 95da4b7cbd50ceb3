/** Three brokers that keep every partition three times, each behind a wire of its own. */

import { freePort } from "./free-port.ts";
import { type KafkaKind, KafkaServer } from "./kafka-server.ts";

const IDS = [1, 2, 3];

export class KafkaCluster {
  readonly brokers: readonly KafkaServer[];

  private constructor(brokers: readonly KafkaServer[]) {
    this.brokers = brokers;
  }

  static async start(kind: KafkaKind): Promise<KafkaCluster> {
    const controllers = [await freePort(), await freePort(), await freePort()];
    const started = IDS.map((id) => KafkaServer.start(kind, { member: { id, controllers } }));
    return new KafkaCluster(await Promise.all(started));
  }

  /** By its id. */
  broker(id: number): KafkaServer {
    return this.brokers[id - 1] as KafkaServer;
  }

  get addresses(): readonly string[] {
    return this.brokers.map(({ address }) => address);
  }

  /** Those that lead to the brokers through their wires. */
  get wired(): readonly string[] {
    return this.brokers.map(({ wire }) => wire.address);
  }

  async stop(): Promise<void> {
    await Promise.all(this.brokers.map((broker) => broker.stop()));
  }
}
