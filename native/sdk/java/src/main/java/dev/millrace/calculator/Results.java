package dev.millrace.calculator;

import java.lang.reflect.Array;
import java.lang.reflect.RecordComponent;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Checks that what a calculator returned is JSON, and makes it so where there is one obvious form for it. */
final class Results {
  private static final int DEPTH_MAX = 200;
  /** A result since it was last asked has bytes in it. The program calculates in one thread. */
  private static boolean hasDrafts;
  /** And so many. */
  private static long draftBytes;

  private Results() {}

  /** The result is not JSON; the message has the path of the bad value. */
  static final class NotJson extends Exception {
    private static final long serialVersionUID = 1L;

    NotJson(String what, String path) {
      super("the result is not JSON: " + what + " at " + (path.isEmpty() ? "its root" : path));
    }
  }

  /** The messages that a result stands for: none for null, each item of a list or an array, else one. */
  static List<Object> messagesOf(Object result) throws Exception {
    if (result == null) return List.of();
    Object json = jsonOf(result, "", 0, false);
    if (json instanceof List<?> list) return new ArrayList<>(list);
    return List.of(json);
  }

  static boolean takeHasDrafts() {
    boolean taken = hasDrafts;
    hasDrafts = false;
    draftBytes = 0;
    return taken;
  }

  static long draftBytes() {
    return draftBytes;
  }

  private static Map<String, Object> draftOf(PayloadResult payload) {
    hasDrafts = true;
    draftBytes += payload.bytes().length;
    return Map.of(Payloads.KEY, Map.of("format", payload.format(), "bytes", payload.bytes()));
  }

  static Object stateOf(Object state) throws Exception {
    return jsonOf(state, "", 0, true);
  }

  private static Object jsonOf(Object value, String path, int depth, boolean allowBytes) throws Exception {
    if (value == null || value instanceof String || value instanceof Boolean) return value;
    if (value instanceof Number number) return numberOf(number, path);
    if (depth > DEPTH_MAX) throw new NotJson("a cycle, or a value nested too deeply", path.substring(0, 80));
    if (value instanceof Map<?, ?> map) return mapOf(map, path, depth, allowBytes);
    if (value instanceof Iterable<?> items) return listOf(items, path, depth, allowBytes);
    if (allowBytes && value instanceof byte[]) return value;
    if (value instanceof byte[] bytes) return draftOf(new PayloadResult(bytes, "raw"));
    if (value instanceof PayloadResult payload) return draftOf(payload);
    if (value.getClass().isArray()) {
      List<Object> items = new ArrayList<>();
      for (int i = 0; i < Array.getLength(value); i++) items.add(Array.get(value, i));
      return listOf(items, path, depth, allowBytes);
    }
    if (value instanceof Record fields) return recordOf(fields, path, depth, allowBytes);
    if (value instanceof Enum<?> constant) return constant.name();
    throw new NotJson("a " + value.getClass().getName(), path);
  }

  /** Numbers that are not finite become null, as everywhere in Millrace. */
  private static Object numberOf(Number number, String path) throws NotJson {
    if (number instanceof Double || number instanceof Float || number instanceof java.math.BigDecimal)
      return Double.isFinite(number.doubleValue()) ? (Object) number.doubleValue() : null;
    boolean fits = !(number instanceof BigInteger big) || big.bitLength() < 63;
    long whole = number.longValue();
    if (fits && -MessagePack.WHOLE_MAX <= whole && whole <= MessagePack.WHOLE_MAX) return whole;
    throw new NotJson("an integer beyond 2^53", path);
  }

  private static Map<String, Object> mapOf(Map<?, ?> map, String path, int depth, boolean allowBytes) throws Exception {
    Map<String, Object> json = new LinkedHashMap<>();
    for (Map.Entry<?, ?> entry : map.entrySet()) {
      if (!(entry.getKey() instanceof String name)) throw new NotJson("a key that is no text", path);
      json.put(name, jsonOf(entry.getValue(), path + "/" + name, depth + 1, allowBytes));
    }
    return json;
  }

  private static List<Object> listOf(Iterable<?> items, String path, int depth, boolean allowBytes) throws Exception {
    List<Object> json = new ArrayList<>();
    for (Object item : items) json.add(jsonOf(item, path + "/" + json.size(), depth + 1, allowBytes));
    return json;
  }

  private static Map<String, Object> recordOf(Record fields, String path, int depth, boolean allowBytes) throws Exception {
    Map<String, Object> json = new LinkedHashMap<>();
    for (RecordComponent component : fields.getClass().getRecordComponents()) {
      component.getAccessor().setAccessible(true);
      Object value = component.getAccessor().invoke(fields);
      json.put(component.getName(), jsonOf(value, path + "/" + component.getName(), depth + 1, allowBytes));
    }
    return json;
  }
}
