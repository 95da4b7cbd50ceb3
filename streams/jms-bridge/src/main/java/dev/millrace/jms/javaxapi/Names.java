package dev.millrace.jms.javaxapi;

import dev.millrace.jms.Frame;
import javax.jms.Destination;
import javax.jms.JMSException;
import javax.jms.MessageConsumer;
import javax.jms.Session;
import javax.jms.Topic;

/** Destinations by their names at the broker. */
final class Names {
  private Names() {}

  static Destination destination(Session session, Frame frame) throws JMSException {
    String name = frame.text("name");
    return frame.text("kind").equals("topic") ? session.createTopic(name) : session.createQueue(name);
  }

  static MessageConsumer consumer(Session session, Frame listen) throws JMSException {
    Destination destination = destination(session, listen);
    String selector = listen.text("selector");
    String subscription = listen.text("subscription");
    if (subscription == null) return session.createConsumer(destination, selector);
    return session.createDurableSubscriber((Topic) destination, subscription, selector, false);
  }
}
