package dev.millrace.jms;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;

/**
 * One connection to a JMS broker, made by the vendor's client, for a process that speaks no Java. It is told over a private socket what
 * to do, as often as it takes to connect, and ends with that or with its connection.
 */
public final class Bridge {
  private static final String SOCKET = "MILLRACE_SOCKET";

  private Bridge() {}

  public static void main(String[] args) {
    int code = 1;
    try {
      serve();
      code = 0;
    } catch (IOException | RuntimeException | Error error) {
      error.printStackTrace();
    } finally {
      // Threads of clients must not keep alive what nobody listens to.
      Runtime.getRuntime().halt(code);
    }
  }

  private static void serve() throws IOException {
    SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX);
    channel.connect(UnixDomainSocketAddress.of(System.getenv(SOCKET)));
    DataInputStream in = new DataInputStream(new BufferedInputStream(Channels.newInputStream(channel)));
    // Reading and writing through the channel itself would wait for each other.
    Outbox outbox = new Outbox(new BufferedOutputStream(new ChannelOutput(channel)));
    // Nothing is said to a process that has not connected yet.
    outbox.put(Frame.of("hello"));
    Line line = null;
    for (Frame frame = Frame.read(in); frame != null; frame = Frame.read(in)) {
      if (frame.is().equals("close")) {
        if (line != null) line.close();
        outbox.finish();
        break;
      }
      if (line != null) hear(frame, line);
      else if (frame.is().equals("open")) line = begin(frame, outbox);
    }
  }

  /** Null where it fails; it may be tried again. */
  private static Line begin(Frame open, Outbox outbox) {
    Line line = null;
    try {
      open.map("system").forEach((name, value) -> System.setProperty(name, String.valueOf(value)));
      Object factory = Factory.make(open);
      String api = apiOf(factory);
      if (open.flag("dry")) {
        outbox.put(Frame.of("opened"));
        return null;
      }
      line = lineOf(api, factory, outbox);
      line.open(open);
      return line;
    } catch (BridgeException error) {
      outbox.put(Frame.failed("open", error));
    } catch (LinkageError error) {
      outbox.put(Frame.failed("open", new BridgeException("JMS-CLASS", BridgeException.wordsOf(error), error)));
    } catch (RuntimeException error) {
      outbox.put(Frame.failed("open", new BridgeException("JMS-FACTORY", BridgeException.wordsOf(error), error)));
    }
    // Half a connection would be in the way of the next attempt.
    if (line != null) line.close();
    return null;
  }

  private static void hear(Frame frame, Line line) {
    switch (frame.is()) {
      case "listen" -> line.listen(frame);
      case "settle" -> line.settle(frame);
      case "sender" -> line.sender(frame);
      case "send" -> line.send(frame);
      case "probe" -> line.probe();
      default -> {}
    }
  }

  /** Under which of its two names a factory has the API. */
  private static String apiOf(Object factory) throws BridgeException {
    for (String api : new String[] {"jakarta", "javax"})
      if (implementsApi(factory, api + ".jms.ConnectionFactory")) return api;
    String text = factory.getClass().getName() + " is no ConnectionFactory of javax.jms or jakarta.jms";
    throw new BridgeException("JMS-FACTORY", text, null);
  }

  private static boolean implementsApi(Object factory, String name) {
    try {
      return Class.forName(name, false, factory.getClass().getClassLoader()).isInstance(factory);
    } catch (ClassNotFoundException absent) {
      return false;
    }
  }

  private static Line lineOf(String api, Object factory, Outbox outbox) throws BridgeException {
    try {
      Class<?> type = Class.forName("dev.millrace.jms." + api + "api.JmsLine");
      return (Line) type.getConstructor(Object.class, Outbox.class).newInstance(factory, outbox);
    } catch (ReflectiveOperationException | LinkageError error) {
      throw new BridgeException("JMS-CLASS", api + ".jms is not whole: " + BridgeException.wordsOf(error), error);
    }
  }
}
