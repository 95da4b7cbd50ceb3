/** The brokers that AMQP 1.0 is tested against. */
import { connect } from "amqplib";
import { ACTIVEMQ_VERSION } from "../../bin/activemq.mjs";
import { activemqMissing, startActivemq } from "../../services/activemq-server.ts";
import { rabbitmqMissing, startRabbit } from "../../services/rabbitmq-server.ts";
import type { ServerProcess } from "../../services/server-process.ts";

export interface Amqp10Broker {
  /** Of AMQP 1.0. */
  readonly port: number;
  readonly server: ServerProcess;
  /** A durable queue, where the broker does not make it by itself. */
  makeQueue(name: string): Promise<void>;
  /** One that gives messages of higher priorities first. */
  makePriorityQueue(name: string): Promise<void>;
  /** Resolves when the queues that were made survive the broker's end. */
  sync(): Promise<void>;
  /** Paths of addresses that the broker refuses, and what it says. */
  readonly refusals: readonly (readonly [string, RegExp])[];
  /** The same of what may not be sent to. RabbitMQ accepts what is sent to `/amq/queue/X` without a queue X, and throws it away. */
  readonly sinkRefusals: readonly (readonly [string, RegExp])[];
  stop(): Promise<void>;
}

export interface QueueScheme {
  readonly scheme: string;
  /** Processes are killed over it, too: once for each scheme is enough. */
  readonly killsProcess: boolean;
  server(broker: Amqp10Broker): number;
}

export interface Amqp10Kind {
  readonly name: string;
  readonly missing: string | undefined;
  start(): Promise<Amqp10Broker>;
  /** Over which schemes its queues can be used, and on which port. */
  readonly schemes: readonly QueueScheme[];
  /** It tells how often it has delivered a message. */
  readonly counts: boolean;
  /** It sends more than it has credit for where messages are under way when it is given more. */
  readonly overruns: boolean;
  /** The address of a queue, and of a topic where a subscription of it can be durable. */
  node(queue: string): string;
  topic?(name: string): string;
}

export const RABBITMQ_VERSION = "3.10.8";
/** Nobody may use a queue whose name begins otherwise. */
const OPEN = "open";

const activemq: Amqp10Kind = {
  name: `ActiveMQ ${ACTIVEMQ_VERSION}`,
  missing: activemqMissing,
  node: (queue) => `${OPEN}.${queue}`,
  counts: true,
  overruns: false,
  schemes: [
    { scheme: "activemq", killsProcess: true, server: ({ server }) => server.port },
    { scheme: "amqp10", killsProcess: false, server: ({ port }) => port },
  ],
  topic: (name) => `topic://${name}`,
  async start() {
    const rights = (of: string): string => `<authorizationEntry ${of} read="all" write="all" admin="all"/>`;
    const { stomp, amqp } = await startActivemq({
      policies: '<policyEntry queue="&gt;" prioritizedMessages="true"/>',
      // Other protocols see what is in a message, not its bytes.
      amqpOptions: "transport.transformer=jms",
      plugins: `<simpleAuthenticationPlugin anonymousAccessAllowed="true" anonymousUser="nobody" anonymousGroup="all"><users/></simpleAuthenticationPlugin>
        <authorizationPlugin><map><authorizationMap><authorizationEntries>${rights('topic="&gt;"')}${rights(`queue="${OPEN}.&gt;"`)}</authorizationEntries></authorizationMap></map></authorizationPlugin>`,
    });
    return {
      port: amqp.port,
      server: stomp,
      makeQueue: async () => undefined,
      makePriorityQueue: async () => undefined,
      sync: async () => undefined,
      sinkRefusals: [["/queue/other.x", /amqp:unauthorized-access: User nobody is not authorized/]],
      refusals: [["/queue/other.x", /amqp:unauthorized-access: User nobody is not authorized/]],
      stop: () => stomp.stop(),
    };
  },
};

const rabbitmq: Amqp10Kind = {
  name: `RabbitMQ ${RABBITMQ_VERSION}`,
  missing: rabbitmqMissing,
  node: (queue) => `/amq/queue/${queue}`,
  counts: false,
  overruns: true,
  schemes: [{ scheme: "amqp10", killsProcess: true, server: ({ port }) => port }],
  async start() {
    const { server, stop, control } = await startRabbit([], ["rabbitmq_amqp1_0"]);
    const make = async (name: string, maxPriority?: number): Promise<void> => {
      const model = await connect(`amqp://${server.address}`);
      const priorities = maxPriority === undefined ? {} : { maxPriority };
      await (await model.createChannel()).assertQueue(name, { durable: true, ...priorities });
      await model.close();
    };
    return {
      port: server.port,
      server,
      makeQueue: (name) => make(name),
      makePriorityQueue: (name) => make(name, 9),
      // For about 2 s the broker has a new queue's name in memory only, durable or not: a kill takes the queue away.
      sync: async () => void (await control("eval", "mnesia:sync_log().")),
      sinkRefusals: [["/queue/x?hostname=vhost:nowhere", /cannot (?:connect|deliver) to/]],
      refusals: [
        ["/queue/%2Famq%2Fqueue%2Fnone", /not.found/i],
        ["/queue/x?hostname=vhost:nowhere", /amqp:unauthorized-access/],
      ],
      stop,
    };
  },
};

export const AMQP10_KINDS: readonly Amqp10Kind[] = [activemq, rabbitmq];
