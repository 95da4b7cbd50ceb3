package dev.millrace.jms.javaxapi;

import dev.millrace.jms.BridgeException;
import java.util.Map;
import javax.jms.ConnectionFactory;

/** Modes in which a message is acknowledged by itself, which the API does not have and some clients do, under constants of their own. */
final class Acknowledgement {
  /** By how the name of a factory's class begins. */
  private static final Map<String, String> KNOWN =
      Map.of(
          "org.apache.activemq.artemis.", "org.apache.activemq.artemis.api.jms.ActiveMQJMSConstants.INDIVIDUAL_ACKNOWLEDGE",
          "org.apache.activemq.ActiveMQ", "org.apache.activemq.ActiveMQSession.INDIVIDUAL_ACKNOWLEDGE",
          "com.tibco.tibjms.", "com.tibco.tibjms.Tibjms.EXPLICIT_CLIENT_ACKNOWLEDGE");

  private Acknowledgement() {}

  /** Null: by transactions. */
  static Integer individual(ConnectionFactory factory, String asked) throws BridgeException {
    if (asked != null && asked.equals("session")) return null;
    if (asked != null) return valueOf(asked);
    String name = factory.getClass().getName();
    for (Map.Entry<String, String> known : KNOWN.entrySet())
      if (name.startsWith(known.getKey())) return valueOf(known.getValue());
    return null;
  }

  private static Integer valueOf(String constant) throws BridgeException {
    int dot = constant.lastIndexOf('.');
    try {
      return Class.forName(constant.substring(0, dot)).getField(constant.substring(dot + 1)).getInt(null);
    } catch (ReflectiveOperationException | LinkageError | RuntimeException error) {
      throw new BridgeException("JMS-FACTORY", "there is no mode of acknowledgement `" + constant + "`", error);
    }
  }
}
