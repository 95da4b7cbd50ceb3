import dev.millrace.calculator.Calculator;
import dev.millrace.calculator.Context;
import dev.millrace.calculator.Payload;
import java.util.Map;
import java.util.stream.LongStream;

/** The calculator of conversations.json. */
public class Counter extends Calculator<Map<String, Object>> {
  private double total;

  @Override
  public void init(Object config) {
    total = number(((Map<?, ?>) config).get("base"));
  }

  @Override
  public Object calculate(Map<String, Object> row, Context context) throws Exception {
    switch ((String) row.get("do")) {
      case "add":
        total += number(row.get("n"));
        return Map.of("total", total);
      case "drop":
        return null;
      case "many":
        return LongStream.range(0, (Long) row.get("n")).toArray();
      case "fill":
        return "x".repeat(((Long) row.get("n")).intValue());
      case "where":
        return Map.of("at", context.at(), "graph", context.graph(), "node", context.node());
      case "open":
        Payload payload = context.open(row.get("payload"));
        long sum = 0;
        for (int at = 0; at < payload.bytes().limit(); at++) sum += payload.bytes().get(at) & 0xff;
        return Map.of("format", payload.format(), "length", payload.bytes().limit(), "sum", sum);
      case "make":
        return Map.of("made", context.payload(((String) row.get("text")).getBytes(), "npy"));
      default:
        total = -1;
        throw new IllegalArgumentException("asked to fail");
    }
  }

  @Override
  public Object details() {
    return Map.of("what", "a counter");
  }

  @Override
  public boolean isStateful() {
    return true;
  }

  @Override
  public Object snapshot() {
    return Map.of("total", total);
  }

  @Override
  public void restore(Map<String, Object> state) {
    total = number(state.get("total"));
  }

  private static double number(Object value) {
    return ((Number) value).doubleValue();
  }
}
