// Kafka for tests. Plain Node without dependencies.
import { fetchJars, hasJar, jarsOf, javaLacks } from "./maven.mjs";

/** The last of the line that ZooKeeper ended with, and a current one. */
export const KAFKA_VERSIONS = ["3.9.2", "4.4.0"];
const SCALA = "2.13";

const serverOf = (version) => `kafka-${version}`;
const isHere = (version) => hasJar(serverOf(version), "kafka_");

/** `{ version, jars }` of the brokers that tests run against, oldest first; none where Kafka is skipped. */
export function kafkaServers() {
  if (process.env.MILLRACE_SKIP_KAFKA) return [];
  return KAFKA_VERSIONS.filter(isHere).map((version) => ({ version, jars: jarsOf(serverOf(version)) }));
}

/** Why a version cannot be tested here; `undefined` when it can. */
export function kafkaLacks(version) {
  return javaLacks() ?? (isHere(version) ? undefined : `the jars of Kafka ${version} were not fetched`);
}

/** What went wrong, if anything did. */
export function fetchKafka(version) {
  return fetchJars(serverOf(version), [`org.apache.kafka:kafka_${SCALA}:${version}`, "org.slf4j:slf4j-nop:1.7.36"]);
}
