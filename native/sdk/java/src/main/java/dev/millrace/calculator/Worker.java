package dev.millrace.calculator;

import java.io.IOException;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The program that runs one calculator for a host: loads the author's file, then answers batches until the host is gone. */
public final class Worker {
  private static final String SDK = "java 0.1.0";
  private static final long CREDIT_ROWS = 4096;
  /** Results are gathered for as long, so that whoever waits knows how far the batch is. */
  private static final long GATHER_NS = 20_000_000;
  /** Or until their payloads are as large. */
  private static final long GATHER_BYTES = 1 << 20;

  private final Connection connection;
  private Path file = Path.of("");
  private Map<String, Object> welcome = Map.of();
  private Constructor<?> constructor;
  private Calculator<Object> calculator;

  private Worker(Connection connection) {
    this.connection = connection;
  }

  public static void main(String[] args) throws Exception {
    String path = System.getenv("MILLRACE_SOCKET");
    if (path == null) {
      System.err.println("MILLRACE_SOCKET is not set: this program is started by a Millrace host");
      System.exit(1);
    }
    try (SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX)) {
      channel.connect(UnixDomainSocketAddress.of(path));
      new Worker(new Connection(channel)).serve();
    } catch (IOException gone) {
      // The host is gone, and with it the work.
    }
    System.exit(0);
  }

  private void serve() throws Exception {
    send("hello", fields("proto", Frame.PROTOCOL, "lang", "java", "sdk", SDK));
    for (Frame frame = connection.receive(); frame != null; frame = connection.receive()) {
      Map<String, Object> body = frame.body();
      switch (frame.name()) {
        case "welcome" -> load(body);
        case "batch" -> batch(body);
        case "snapshot" -> send("state", fields("id", body.get("id"), "state", snapshot()));
        case "restore" -> restore(body.get("state"));
        case "ping" -> send("pong", fields("n", body.get("n")));
        case "drain" -> {
          send("bye", fields("reason", "drained"));
          return;
        }
        default -> {}
      }
    }
  }

  private void send(String name, Map<String, Object> body) throws IOException {
    connection.send(new Frame(name, body));
  }

  private void load(Map<String, Object> greeting) throws IOException {
    welcome = greeting;
    file = Path.of((String) greeting.get("file"));
    try {
      Class<?> type = AuthorFile.calculatorIn(file, (String) greeting.get("export"));
      constructor = type.getDeclaredConstructor();
      constructor.setAccessible(true);
      calculator = make();
      Object details = Results.stateOf(calculator.details());
      send(
          "ready",
          fields(
              "name", type.getSimpleName(), "stateful", calculator.isStateful(), "details", details, "credit", CREDIT_ROWS));
    } catch (Exception | LinkageError thrown) {
      Throwable error = thrown instanceof InvocationTargetException wrapped ? wrapped.getCause() : thrown;
      Map<String, Object> place =
          error instanceof AuthorFile.Refused refused && refused.line > 0
              ? fields("file", file.toString(), "line", refused.line)
              : placeOf(error);
      String message = error instanceof AuthorFile.Refused ? error.getMessage() : describe(error);
      send("refused", fields("code", "CALC-LOAD", "msg", message, "place", place));
    }
  }

  @SuppressWarnings("unchecked")
  private Calculator<Object> make() throws Exception {
    Calculator<Object> made = (Calculator<Object>) constructor.newInstance();
    made.init(welcome.get("config"));
    return made;
  }

  private void batch(Map<String, Object> batch) throws IOException {
    Object id = batch.get("id");
    List<?> rows = (List<?>) batch.get("rows");
    double at = ((Number) batch.get("at")).doubleValue();
    Payloads payloads = new Payloads(batch.get("payloads"));
    Context context = new Context(at, (String) welcome.get("graph"), (String) welcome.get("node"), payloads);
    List<Object> out = new ArrayList<>();
    long from = 0;
    long flushed = System.nanoTime();
    for (Object row : rows) {
      Object outcome = outcomeOf(row, context);
      out.add(outcome);
      if (calculator.isStateful() && outcome instanceof Map) break;
      if (System.nanoTime() - flushed < GATHER_NS && Results.draftBytes() < GATHER_BYTES) continue;
      sendResult(result(id, from, out, false, payloads));
      from += out.size();
      out = new ArrayList<>();
      flushed = System.nanoTime();
      if (isCancelled(id)) break;
    }
    sendResult(result(id, from, out, true, payloads));
    if (!rows.isEmpty()) send("credit", fields("rows", (long) rows.size()));
  }

  private static Map<String, Object> result(Object id, long from, List<Object> out, boolean end, Payloads payloads) {
    Map<String, Object> result = fields("id", id, "from", from, "out", out, "end", end);
    long opens = payloads.takeOpens();
    if (opens > 0) result.put("opens", opens);
    if (Results.takeHasDrafts()) result.put("drafts", true);
    return result;
  }

  /** In as many frames as it needs. What cannot be sent by itself is a failure of its row. */
  private void sendResult(Map<String, Object> result) throws IOException {
    byte[] frame = new Frame("result", result).encode();
    if (frame.length <= Frame.BYTES_MAX) {
      connection.send(frame);
      return;
    }
    List<?> out = (List<?>) result.get("out");
    Map<String, Object> part = new LinkedHashMap<>(result);
    if (out.size() == 1) {
      String why = "the result cannot be sent: it takes " + frame.length + " bytes, more than a frame holds";
      part.put("out", List.of(fields("code", "CALC-RESULT", "msg", why, "place", fields("file", file.toString()))));
      send("result", part);
      return;
    }
    int half = out.size() / 2;
    part.put("out", out.subList(0, half));
    part.put("end", false);
    sendResult(part);
    Map<String, Object> rest = new LinkedHashMap<>(result);
    rest.put("from", (Long) result.get("from") + half);
    rest.put("out", out.subList(half, out.size()));
    rest.remove("opens");
    sendResult(rest);
  }

  /** A list of messages, null for none, or a map that says why it failed. */
  private Object outcomeOf(Object row, Context context) {
    try {
      List<Object> messages = Results.messagesOf(calculator.calculate(row, context));
      return messages.isEmpty() ? null : messages;
    } catch (Results.NotJson error) {
      return fields("code", "CALC-RESULT", "msg", error.getMessage(), "place", fields("file", file.toString()));
    } catch (PayloadException error) {
      return fields("code", error.code(), "msg", error.getMessage(), "place", placeOf(error));
    } catch (OutOfMemoryError error) {
      return fields("code", "CALC-OOM", "msg", "the calculator ran out of memory", "place", placeOf(error));
    } catch (Exception | StackOverflowError | LinkageError | AssertionError error) {
      return fields("code", "CALC-THREW", "msg", describe(error), "place", placeOf(error));
    }
  }

  /** Looks at what has arrived meanwhile; what is not urgent is kept for later. */
  private boolean isCancelled(Object id) throws IOException {
    boolean cancelled = false;
    for (Frame frame = connection.poll(); frame != null; frame = connection.poll()) {
      if (frame.name().equals("cancel")) cancelled |= id.equals(frame.body().get("id"));
      else if (frame.name().equals("ping")) send("pong", fields("n", frame.body().get("n")));
      else connection.keep(frame);
    }
    return cancelled;
  }

  private Object snapshot() throws Exception {
    return calculator.isStateful() ? Results.stateOf(calculator.snapshot()) : null;
  }

  @SuppressWarnings("unchecked")
  private void restore(Object state) throws Exception {
    calculator = make();
    if (state != null) calculator.restore((Map<String, Object>) state);
    send("state", fields("id", 0L, "state", null));
  }

  /** The innermost line of the author's file. */
  private Map<String, Object> placeOf(Throwable error) {
    String name = file.getFileName().toString();
    boolean isSource = name.endsWith(".java");
    for (StackTraceElement frame : error.getStackTrace()) {
      if (frame.getLineNumber() < 1 || frame.getFileName() == null) continue;
      boolean isOwn = isSource ? name.equals(frame.getFileName()) : !isPlatform(frame.getClassName());
      if (isOwn) return fields("file", isSource ? file.toString() : frame.getFileName(), "line", (long) frame.getLineNumber());
    }
    return fields("file", file.toString());
  }

  private static boolean isPlatform(String type) {
    return type.startsWith("java.") || type.startsWith("jdk.") || type.startsWith("dev.millrace.calculator.");
  }

  private static String describe(Throwable error) {
    String name = error.getClass().getSimpleName();
    try {
      return error.getMessage() == null ? name : name + ": " + error.getMessage();
    } catch (RuntimeException theAuthorsCodeToo) {
      return name;
    }
  }

  private static Map<String, Object> fields(Object... namesAndValues) {
    Map<String, Object> map = new LinkedHashMap<>();
    for (int i = 0; i < namesAndValues.length; i += 2) map.put((String) namesAndValues[i], namesAndValues[i + 1]);
    return map;
  }
}
