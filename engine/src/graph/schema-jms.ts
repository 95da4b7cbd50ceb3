/** Of the format of graph files: the JMS client that a broker's vendor gives, and how it is set up. */
import Type, { type Static } from "typebox";
import { closed, text } from "./schema-parts.ts";

const settings = (description: string) =>
  Type.Unsafe<Readonly<Record<string, string | number | boolean>>>({
    type: "object",
    additionalProperties: { type: ["string", "number", "boolean"] },
    description: `${description} {endpoint}, {host} and {port} in a text are those of the address; secrets are references.`,
  });

export const jms = closed(
  {
    classPath: Type.Array(
      text("A jar, a folder of classes, or <folder>/* for all jars in it; a path from the graph file."),
      { minItems: 1, description: "The vendor's client and what it needs." },
    ),
    factory: Type.Optional(text("Class of the connection factory, as com.ibm.mq.jms.MQConnectionFactory.")),
    set: Type.Optional(settings("Settings of the factory by their names, `hostName` for setHostName.")),
    lookup: Type.Optional(text("Name of the connection factory in JNDI, instead of `factory`.")),
    jndi: Type.Optional(settings("Environment of JNDI, as java.naming.factory.initial.")),
    jndiFile: Type.Optional(text("File with the environment of JNDI, as Java writes properties.")),
    system: Type.Optional(settings("System properties, as javax.net.ssl.trustStore.")),
    acknowledge: Type.Optional(
      Type.String({
        pattern: "^(?:session|[A-Za-z_$][\\w$]*(?:\\.[A-Za-z_$][\\w$]*)+)$",
        description:
          "How a source acknowledges: `session` for all messages of a transaction together, or the constant of the client's mode for single messages. Default: the mode of a client that is known to have one, else session.",
      }),
    ),
    java: Type.Optional(text("Program that runs it, a path from the graph file or a name on PATH. Default java.")),
    memoryMib: Type.Optional(
      Type.Integer({ minimum: 32, maximum: 65_536, description: "Heap of its process, in MiB. Default 256." }),
    ),
    bytesMax: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 67_108_864,
        description: "Longest body of a message, in bytes; one that is longer is a dead letter. Default 16777216.",
      }),
    ),
  },
  { description: "The JMS client of a jms: address." },
);

/** How a JMS client is set up. */
export type JmsDefinition = Static<typeof jms>;
