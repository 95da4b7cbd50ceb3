// A JMS client for tests that has the API's older name, javax.jms: ActiveMQ's 5.18, which speaks with the newer broker. That one's own client
// has the newer name. Plain Node without dependencies.
import { bridgeLacks } from "./java.mjs";
import { fetchJars, hasJar, jarsOf, javaLacks } from "./maven.mjs";

export const JAVAX_CLIENT_VERSION = "5.18.6";
const CLIENT = `activemq-client-${JAVAX_CLIENT_VERSION}`;

/** Where the client's jars are. */
export const javaxClientJars = jarsOf(CLIENT);

/** Why JMS cannot be tested here; `undefined` when it can. */
export function jmsLacks() {
  return (
    javaLacks() ?? bridgeLacks() ?? (hasJar(CLIENT, CLIENT) ? undefined : `the jars of ${CLIENT} were not fetched`)
  );
}

/** What went wrong, if anything did. */
export function fetchJmsClient() {
  return fetchJars(CLIENT, [
    `org.apache.activemq:activemq-client:${JAVAX_CLIENT_VERSION}`,
    "org.slf4j:slf4j-nop:2.0.17",
  ]);
}
