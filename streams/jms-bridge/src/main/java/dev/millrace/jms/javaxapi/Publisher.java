package dev.millrace.jms.javaxapi;

import dev.millrace.jms.BridgeException;
import dev.millrace.jms.Frame;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import javax.jms.BytesMessage;
import javax.jms.Connection;
import javax.jms.DeliveryMode;
import javax.jms.JMSException;
import javax.jms.MapMessage;
import javax.jms.Message;
import javax.jms.MessageProducer;
import javax.jms.Session;

/** Sends persistent messages to one destination, as many as it is given in one transaction. For one thread. */
final class Publisher {
  private final Session session;
  private final MessageProducer producer;
  private final String body;
  private final String type;
  private final long expiryMs;

  Publisher(Connection connection, Frame sender) throws JMSException {
    session = connection.createSession(true, Session.SESSION_TRANSACTED);
    producer = session.createProducer(Names.destination(session, sender));
    body = sender.text("body");
    type = sender.text("type");
    expiryMs = sender.number("expiryMs");
  }

  /** Returns when the broker has all of them. */
  void send(Frame send) throws JMSException {
    boolean isDone = false;
    try {
      for (Object item : send.list("messages")) send(Frame.mapOf(item));
      session.commit();
      isDone = true;
    } finally {
      if (!isDone) rollBack();
    }
  }

  void close() throws JMSException {
    session.close();
  }

  private void send(Map<String, Object> said) throws JMSException {
    Message message = messageOf(said);
    if (type != null) message.setJMSType(type);
    if (said.get("correlation") != null) message.setJMSCorrelationID((String) said.get("correlation"));
    for (Map.Entry<String, Object> property : Frame.mapOf(said.get("properties")).entrySet())
      message.setObjectProperty(property.getKey(), plain(property.getValue()));
    int priority = said.get("priority") instanceof Number number ? number.intValue() : Message.DEFAULT_PRIORITY;
    producer.send(message, DeliveryMode.PERSISTENT, priority, expiryMs);
  }

  private Message messageOf(Map<String, Object> said) throws JMSException {
    if (body.equals("map")) {
      MapMessage message = session.createMapMessage();
      for (Map.Entry<String, Object> entry : Frame.mapOf(said.get("entries")).entrySet())
        message.setObject(entry.getKey(), plain(entry.getValue()));
      return message;
    }
    byte[] bytes = (byte[]) said.get("bytes");
    if (body.equals("text")) return session.createTextMessage(new String(bytes, StandardCharsets.UTF_8));
    BytesMessage message = session.createBytesMessage();
    message.writeBytes(bytes);
    return message;
  }

  /** JSON has one kind of number: what is whole is meant so. */
  private static Object plain(Object value) {
    if (!(value instanceof Double number)) return value;
    return number == Math.rint(number) && Math.abs(number) <= 1L << 53 ? (Object) number.longValue() : number;
  }

  private void rollBack() {
    try {
      session.rollback();
    } catch (JMSException gone) {
      // Its connection is gone, and with it what was not committed.
    }
  }

  /** The code of what failed; what a client says of a row is that of a row. */
  static BridgeException failure(Throwable error) {
    BridgeException failure = Failures.of(error);
    boolean isRow = error instanceof javax.jms.MessageFormatException || error instanceof IllegalArgumentException;
    return isRow ? new BridgeException("JMS-ROW", failure.getMessage(), error) : failure;
  }
}
