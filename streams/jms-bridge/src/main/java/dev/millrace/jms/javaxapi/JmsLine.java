package dev.millrace.jms.javaxapi;

import dev.millrace.jms.BridgeException;
import dev.millrace.jms.Frame;
import dev.millrace.jms.Line;
import dev.millrace.jms.Outbox;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import javax.jms.Connection;
import javax.jms.ConnectionFactory;
import javax.jms.JMSException;
import javax.jms.Session;

/** A connection, with at most one feeder and one publisher, each of which has a session and a thread of its own. */
public final class JmsLine implements Line {
  private final ConnectionFactory factory;
  private final Outbox outbox;
  private final LineEnd end;
  private final ExecutorService sending = oneThread("sending");
  private final ExecutorService probing = oneThread("probing");
  private Connection connection;
  private Integer individual;
  private Feeder feeder;
  private Thread feeding;
  private Publisher publisher;
  private Session probes;

  public JmsLine(Object factory, Outbox outbox) {
    this.factory = (ConnectionFactory) factory;
    this.outbox = outbox;
    end = new LineEnd(outbox);
  }

  @Override
  public void open(Frame open) throws BridgeException {
    String user = open.text("user");
    String clientId = open.text("clientId");
    individual = Acknowledgement.individual(factory, open.text("acknowledge"));
    try {
      connection = user == null ? factory.createConnection() : factory.createConnection(user, open.text("password"));
      // An administrator may have given one.
      if (clientId != null && connection.getClientID() == null) connection.setClientID(clientId);
      connection.setExceptionListener(end::because);
      connection.start();
      outbox.put(Frame.of("opened"));
    } catch (JMSException | RuntimeException | LinkageError error) {
      throw Failures.of(error);
    }
  }

  @Override
  public void listen(Frame listen) {
    try {
      feeder = new Feeder(connection, listen, individual, outbox, end);
      feeding = new Thread(feeder, "feeding");
      feeding.start();
      outbox.put(Frame.of("listening"));
    } catch (JMSException | RuntimeException | LinkageError error) {
      outbox.put(Frame.failed("listen", Failures.of(error)));
    }
  }

  @Override
  public void settle(Frame settle) {
    if (feeder != null) feeder.settle(settle);
  }

  @Override
  public void sender(Frame sender) {
    sending.execute(
        () -> {
          try {
            if (publisher != null) publisher.close();
            publisher = new Publisher(connection, sender);
            outbox.put(Frame.of("ready"));
          } catch (JMSException | RuntimeException | LinkageError error) {
            outbox.put(Frame.failed("sender", Failures.of(error)));
          }
        });
  }

  @Override
  public void send(Frame send) {
    sending.execute(
        () -> {
          try {
            publisher.send(send);
            outbox.put(Frame.of("sent"));
          } catch (JMSException | RuntimeException | LinkageError error) {
            outbox.put(Frame.failed("send", Publisher.failure(error)));
          }
        });
  }

  /** There is no question that every broker answers; but to one for a temporary queue all do, be it by a refusal. */
  @Override
  public void probe() {
    probing.execute(
        () -> {
          try {
            if (probes == null) probes = connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
            probes.createTemporaryQueue().delete();
          } catch (JMSException | RuntimeException | LinkageError refused) {
            // Of a connection that is gone, the client says so by itself.
          }
          outbox.put(Frame.of("pong"));
        });
  }

  @Override
  public void close() {
    end.isMeant();
    try {
      if (feeder != null) {
        feeder.stop();
        feeding.join();
      }
      if (connection != null) connection.close();
    } catch (JMSException | InterruptedException | RuntimeException | LinkageError gone) {
      // What it was to be told is of no use to it any more.
    }
  }

  private static ExecutorService oneThread(String name) {
    return Executors.newSingleThreadExecutor(
        work -> {
          Thread thread = new Thread(work, name);
          thread.setDaemon(true);
          return thread;
        });
  }
}
