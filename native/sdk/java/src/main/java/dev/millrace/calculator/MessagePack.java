package dev.millrace.calculator;

import java.io.ByteArrayOutputStream;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The part of msgpack that the protocol uses: nil, booleans, integers, float 64, text, bytes, lists, maps with text keys.
 *
 * <p>Written in the shortest form. A number has no type of its own in a message, so a float 64 that is a whole number is read as a
 * {@code Long}, as it was meant by whoever wrote it in a language with one kind of number.
 */
final class MessagePack {
  static final long WHOLE_MAX = 1L << 53;

  private MessagePack() {}

  static byte[] pack(Object value) {
    ByteArrayOutputStream out = new ByteArrayOutputStream(256);
    write(out, value);
    return out.toByteArray();
  }

  private static void write(ByteArrayOutputStream out, Object value) {
    if (value == null) out.write(0xc0);
    else if (value instanceof Boolean b) out.write(b ? 0xc3 : 0xc2);
    else if (value instanceof String text) writeText(out, text);
    else if (value instanceof Double || value instanceof Float) {
      out.write(0xcb);
      big(out, Double.doubleToRawLongBits(((Number) value).doubleValue()), 8);
    } else if (value instanceof Number n) writeInteger(out, n.longValue());
    else if (value instanceof Map<?, ?> map) {
      head(out, map.size(), 0x80, 16, -1, 0xde);
      map.forEach(
          (key, item) -> {
            writeText(out, (String) key);
            write(out, item);
          });
    } else if (value instanceof List<?> list) {
      head(out, list.size(), 0x90, 16, -1, 0xdc);
      for (Object item : list) write(out, item);
    } else if (value instanceof byte[] bytes) {
      head(out, bytes.length, 0, 0, 0xc4, 0xc5);
      out.writeBytes(bytes);
    } else throw new IllegalArgumentException("a " + value.getClass().getName() + " cannot be packed");
  }

  private static void writeText(ByteArrayOutputStream out, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    head(out, bytes.length, 0xa0, 32, 0xd9, 0xda);
    out.writeBytes(bytes);
  }

  /** {@code one}: code for a length of one byte, or -1; {@code two}: for two bytes, and the next code for four. */
  private static void head(ByteArrayOutputStream out, int n, int fix, int fixBelow, int one, int two) {
    if (n < fixBelow) out.write(fix | n);
    else if (one >= 0 && n < 0x100) {
      out.write(one);
      out.write(n);
    } else if (n < 0x10000) {
      out.write(two);
      big(out, n, 2);
    } else {
      out.write(two + 1);
      big(out, n, 4);
    }
  }

  private static void writeInteger(ByteArrayOutputStream out, long n) {
    if (n >= -0x20 && n < 0x80) out.write((int) n);
    else if (n >= 0) {
      int power = n < 1L << 8 ? 0 : n < 1L << 16 ? 1 : n < 1L << 32 ? 2 : 3;
      out.write(0xcc + power);
      big(out, n, 1 << power);
    } else {
      int power = n >= -(1L << 7) ? 0 : n >= -(1L << 15) ? 1 : n >= -(1L << 31) ? 2 : 3;
      out.write(0xd0 + power);
      big(out, n, 1 << power);
    }
  }

  private static void big(ByteArrayOutputStream out, long value, int bytes) {
    for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) out.write((int) (value >>> shift));
  }

  /** @throws IllegalArgumentException the bytes are not exactly one value */
  static Object unpack(byte[] bytes) {
    ByteBuffer in = ByteBuffer.wrap(bytes);
    try {
      Object value = read(in);
      if (in.hasRemaining()) throw new IllegalArgumentException("not msgpack: " + in.remaining() + " bytes too many");
      return value;
    } catch (BufferUnderflowException | CharacterCodingException | ClassCastException | StackOverflowError error) {
      throw new IllegalArgumentException("not msgpack", error);
    }
  }

  private static Object read(ByteBuffer in) throws CharacterCodingException {
    int code = in.get() & 0xff;
    if (code < 0x80) return (long) code;
    if (code >= 0xe0) return (long) (byte) code;
    if (code < 0x90) return readMap(in, code & 0x0f);
    if (code < 0xa0) return readList(in, code & 0x0f);
    if (code < 0xc0) return readText(in, code & 0x1f);
    return switch (code) {
      case 0xc0 -> null;
      case 0xc2 -> false;
      case 0xc3 -> true;
      case 0xc4 -> readBytes(in, length(in, 1));
      case 0xc5 -> readBytes(in, length(in, 2));
      case 0xc6 -> readBytes(in, length(in, 4));
      case 0xca -> number(in.getFloat());
      case 0xcb -> number(in.getDouble());
      case 0xcc -> (long) (in.get() & 0xff);
      case 0xcd -> (long) (in.getShort() & 0xffff);
      case 0xce -> in.getInt() & 0xffff_ffffL;
      case 0xcf, 0xd3 -> in.getLong();
      case 0xd0 -> (long) in.get();
      case 0xd1 -> (long) in.getShort();
      case 0xd2 -> (long) in.getInt();
      case 0xd9 -> readText(in, length(in, 1));
      case 0xda -> readText(in, length(in, 2));
      case 0xdb -> readText(in, length(in, 4));
      case 0xdc -> readList(in, length(in, 2));
      case 0xdd -> readList(in, length(in, 4));
      case 0xde -> readMap(in, length(in, 2));
      case 0xdf -> readMap(in, length(in, 4));
      default -> throw new IllegalArgumentException("not msgpack: code " + Integer.toHexString(code));
    };
  }

  private static int length(ByteBuffer in, int bytes) {
    long n = 0;
    for (int i = 0; i < bytes; i++) n = n << 8 | in.get() & 0xff;
    // Each item takes a byte at least.
    if (n > in.remaining()) throw new BufferUnderflowException();
    return (int) n;
  }

  private static Object number(double n) {
    boolean isWhole = n == Math.rint(n) && Math.abs(n) <= WHOLE_MAX;
    return isWhole ? (Object) (long) n : (Object) n;
  }

  private static String readText(ByteBuffer in, int n) throws CharacterCodingException {
    return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(readBytes(in, n))).toString();
  }

  private static byte[] readBytes(ByteBuffer in, int n) {
    if (n > in.remaining()) throw new BufferUnderflowException();
    byte[] bytes = new byte[n];
    in.get(bytes);
    return bytes;
  }

  private static List<Object> readList(ByteBuffer in, int n) throws CharacterCodingException {
    List<Object> list = new ArrayList<>(n);
    for (int i = 0; i < n; i++) list.add(read(in));
    return list;
  }

  private static Map<String, Object> readMap(ByteBuffer in, int n) throws CharacterCodingException {
    Map<String, Object> map = new LinkedHashMap<>(n * 2);
    for (int i = 0; i < n; i++) map.put((String) read(in), read(in));
    return map;
  }
}
