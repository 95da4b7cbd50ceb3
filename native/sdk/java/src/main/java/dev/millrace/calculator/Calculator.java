package dev.millrace.calculator;

import java.util.Map;

/**
 * Base class of calculators. A message is a {@code Map<String, Object>}, a {@code List<Object>}, a {@code String}, a {@code Long}
 * or {@code Double}, a {@code Boolean} or null; {@code In} is what the author expects of it.
 *
 * <pre>{@code
 * public class Score extends Calculator<Map<String, Object>> {
 *   public Object calculate(Map<String, Object> row, Context context) {
 *     return Map.of("late", (Long) row.get("delay") > 15);
 *   }
 * }
 * }</pre>
 *
 * <p>{@code null} gives no message, a {@code List} or an array several, anything else one. Results are maps with text keys, lists,
 * records, texts, numbers, booleans and null. Whatever is thrown makes the message a dead letter, with the line in this file.
 */
public abstract class Calculator<In> {
  /** Called once for every instance, with the node's {@code config}. */
  public void init(Object config) throws Exception {}

  /** The message's result. When it throws, a stateful calculator is set back to before the message. */
  public abstract Object calculate(In row, Context context) throws Exception;

  /** What people see of it beside its node. */
  public Object details() throws Exception {
    return null;
  }

  /** Whether it keeps state between messages; then {@link #snapshot} and {@link #restore} are called. */
  public boolean isStateful() {
    return false;
  }

  /** The state as JSON; byte arrays are allowed too. A map is logged field by field, only what changed. */
  public Object snapshot() throws Exception {
    return null;
  }

  /** Takes a state over. Called on a new instance, after {@link #init}. */
  public void restore(Map<String, Object> state) throws Exception {}
}
