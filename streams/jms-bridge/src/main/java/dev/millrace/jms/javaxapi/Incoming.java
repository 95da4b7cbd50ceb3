package dev.millrace.jms.javaxapi;

import dev.millrace.jms.BridgeException;
import dev.millrace.jms.Frame;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.Enumeration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import javax.jms.BytesMessage;
import javax.jms.Destination;
import javax.jms.JMSException;
import javax.jms.MapMessage;
import javax.jms.Message;
import javax.jms.ObjectMessage;
import javax.jms.Queue;
import javax.jms.StreamMessage;
import javax.jms.TextMessage;
import javax.jms.Topic;

/** What a message says, as a frame. */
final class Incoming {
  private static final String DELIVERIES = "JMSXDeliveryCount";
  private final String idProperty;
  private final boolean isEnvelope;
  private final long bytesMax;

  Incoming(Frame listen) {
    idProperty = listen.text("ids");
    isEnvelope = listen.flag("envelope");
    bytesMax = listen.number("bytesMax");
  }

  /** A message, or one that is unfit, with the reason. */
  Frame frame(long n, Message message) {
    Frame frame = Frame.of("message").with("n", n);
    try {
      return read(frame, message);
    } catch (JMSException | RuntimeException error) {
      // It would come again and again if it ended the connection.
      return unfit(frame, BridgeException.wordsOf(error));
    }
  }

  private Frame read(Frame frame, Message message) throws JMSException {
    frame.with("id", idOf(message));
    if (message.propertyExists(DELIVERIES)) frame.with("deliveries", message.getIntProperty(DELIVERIES));
    if (isEnvelope) frame.with("about", about(message));
    if (message instanceof TextMessage text) {
      String body = text.getText();
      return body == null ? unfit(frame, "it has no body") : bytes(frame, body.getBytes(StandardCharsets.UTF_8));
    }
    if (message instanceof BytesMessage bytes) {
      if (bytes.getBodyLength() > bytesMax) return large(frame, bytes.getBodyLength());
      byte[] body = new byte[(int) bytes.getBodyLength()];
      bytes.readBytes(body);
      return bytes(frame, body);
    }
    if (message instanceof MapMessage map) return entries(frame, map);
    return unfit(frame, "its type is " + typeOf(message));
  }

  private Frame bytes(Frame frame, byte[] body) {
    return body.length > bytesMax ? large(frame, body.length) : frame.with("bytes", body);
  }

  private Frame entries(Frame frame, MapMessage message) throws JMSException {
    Map<String, Object> entries = new LinkedHashMap<>();
    long size = 0;
    for (String name : namesOf(message.getMapNames())) {
      Object value = message.getObject(name);
      size += name.length() + (value instanceof byte[] bytes ? bytes.length : String.valueOf(value).length());
      entries.put(name, value);
    }
    return size > bytesMax ? large(frame, size) : frame.with("entries", entries);
  }

  private Frame large(Frame frame, long length) {
    return frame.with("large", length);
  }

  private static Frame unfit(Frame frame, String why) {
    return frame.with("unfit", why);
  }

  private static String typeOf(Message message) {
    if (message instanceof ObjectMessage) return "ObjectMessage";
    return message instanceof StreamMessage ? "StreamMessage" : "Message, which has no body";
  }

  private String idOf(Message message) throws JMSException {
    String own = idProperty == null ? null : message.getStringProperty(idProperty);
    return own == null || own.isEmpty() ? message.getJMSMessageID() : own;
  }

  private static Map<String, Object> about(Message message) throws JMSException {
    Map<String, Object> about = new LinkedHashMap<>();
    about.put("destination", nameOf(message.getJMSDestination()));
    about.put("id", message.getJMSMessageID());
    about.put("correlation", message.getJMSCorrelationID());
    about.put("type", message.getJMSType());
    about.put("priority", message.getJMSPriority());
    about.put("time", message.getJMSTimestamp());
    about.put("expires", message.getJMSExpiration());
    about.put("replyTo", nameOf(message.getJMSReplyTo()));
    about.put("redelivered", message.getJMSRedelivered());
    Map<String, Object> properties = new LinkedHashMap<>();
    for (String name : namesOf(message.getPropertyNames()))
      if (!DELIVERIES.equals(name)) properties.put(name, message.getObjectProperty(name));
    about.put("properties", properties);
    return about;
  }

  /** The API gives no type. */
  private static List<String> namesOf(Enumeration<?> names) {
    return Collections.list(names).stream().map(String::valueOf).toList();
  }

  private static String nameOf(Destination destination) throws JMSException {
    if (destination instanceof Queue queue) return queue.getQueueName();
    if (destination instanceof Topic topic) return topic.getTopicName();
    return destination == null ? null : destination.toString();
  }
}
