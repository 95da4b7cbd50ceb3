// ActiveMQ for tests: the broker with STOMP, AMQP 1.0 and its store on disk. Plain Node without dependencies.
import { fetchJars, hasJar, jarsOf, javaLacks } from "./maven.mjs";

export const ACTIVEMQ_VERSION = "6.1.8";
const SERVER = `activemq-${ACTIVEMQ_VERSION}`;
const PARTS = ["amqp", "console", "jaas", "kahadb-store", "spring", "stomp"];
/** Reads the broker's settings. */
const SPRING = "org.springframework:spring-context:6.1.21";

const isHere = () => PARTS.every((part) => hasJar(SERVER, `activemq-${part}-`));

/** Where the broker's jars are. */
export const activemqJars = jarsOf(SERVER);

/** Why it cannot be tested here; `undefined` when it can. */
export function activemqLacks() {
  return javaLacks() ?? (isHere() ? undefined : `the jars of ActiveMQ ${ACTIVEMQ_VERSION} were not fetched`);
}

/** What went wrong, if anything did. */
export function fetchActivemq() {
  const own = PARTS.map((part) => `org.apache.activemq:activemq-${part}:${ACTIVEMQ_VERSION}`);
  return fetchJars(SERVER, [...own, SPRING, "org.slf4j:slf4j-nop:2.0.17"]);
}
