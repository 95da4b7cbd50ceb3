package dev.millrace.jms.javaxapi;

import dev.millrace.jms.Frame;
import dev.millrace.jms.Outbox;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import javax.jms.Connection;
import javax.jms.JMSException;
import javax.jms.Message;
import javax.jms.MessageConsumer;
import javax.jms.Session;

/**
 * Hands over messages and acknowledges those that were settled. Where the client can acknowledge single messages, each is when it was
 * settled; where it cannot, all that the session has handed over are, in one transaction, as soon as every one of them was settled.
 *
 * <p>A session belongs to one thread: this one receives, acknowledges and closes.
 */
final class Feeder implements Runnable {
  /** How long what was settled may wait while nothing comes. */
  private static final long RECEIVE_MS = 50;

  private static final long STOP = -1;
  private final Session session;
  private final boolean isIndividual;
  private final MessageConsumer consumer;
  private final Incoming incoming;
  private final long credit;
  private final Outbox outbox;
  private final LineEnd end;
  /** At most as many as the credit. */
  private final LinkedBlockingQueue<Long> settled = new LinkedBlockingQueue<>();

  private final Map<Long, Message> unsettled = new LinkedHashMap<>();
  /** Handed over since the last commit, settled or not. */
  private long open;

  private long count;

  /** @param individual the client's mode of acknowledgement of single messages; null: it has none */
  Feeder(Connection connection, Frame listen, Integer individual, Outbox outbox, LineEnd end) throws JMSException {
    this.isIndividual = individual != null;
    this.outbox = outbox;
    this.end = end;
    session = isIndividual ? connection.createSession(false, individual) : connection.createSession(true, Session.SESSION_TRANSACTED);
    credit = listen.number("credit");
    incoming = new Incoming(listen);
    consumer = Names.consumer(session, listen);
  }

  /** From any thread. */
  void settle(Frame settle) {
    for (Object n : settle.list("ns")) settled.add(((Number) n).longValue());
  }

  /** From any thread: the thread ends soon, with everything acknowledged that was settled before. */
  void stop() {
    settled.add(STOP);
  }

  @Override
  public void run() {
    try {
      while (settleAll()) {
        Message message = consumer.receive(RECEIVE_MS);
        if (message != null) handOver(message);
      }
      session.close();
    } catch (JMSException | RuntimeException | LinkageError error) {
      end.because(error);
    }
  }

  private void handOver(Message message) {
    long n = ++count;
    Frame frame = incoming.frame(n, message);
    unsettled.put(n, message);
    open++;
    outbox.put(frame);
  }

  /** Waits while all credit is used. False when it is time to stop. */
  private boolean settleAll() throws JMSException {
    while (true) {
      Long n = next();
      if (n == null) return true;
      if (n == STOP) return false;
      Message message = unsettled.remove(n);
      if (message == null) continue;
      if (isIndividual) {
        message.acknowledge();
        open--;
      } else if (unsettled.isEmpty()) {
        session.commit();
        open = 0;
      }
    }
  }

  private Long next() {
    try {
      return open < credit ? settled.poll() : settled.poll(1, TimeUnit.DAYS);
    } catch (InterruptedException stop) {
      return STOP;
    }
  }
}
