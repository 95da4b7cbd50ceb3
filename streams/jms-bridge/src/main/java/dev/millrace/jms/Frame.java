package dev.millrace.jms;

import java.io.DataInputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.msgpack.core.MessageBufferPacker;
import org.msgpack.core.MessagePack;
import org.msgpack.core.MessageUnpacker;

/**
 * One thing said: {@code u32} length (little-endian) and a msgpack map, whose {@code is} tells what it is.
 *
 * <p>Values are texts, numbers, truth values, bytes, lists and maps. Whole numbers that JavaScript cannot hold, and numbers that are
 * none, are written as texts.
 */
public final class Frame {
  private static final long WHOLE_MAX = (1L << 53) - 1;
  private final Map<String, Object> fields;

  private Frame(Map<String, Object> fields) {
    this.fields = fields;
  }

  public static Frame of(String is) {
    return new Frame(new LinkedHashMap<>()).with("is", is);
  }

  public static Frame failed(String of, BridgeException error) {
    return of("failed").with("of", of).with("code", error.code()).with("message", error.getMessage());
  }

  public Frame with(String name, Object value) {
    fields.put(name, value);
    return this;
  }

  public String is() {
    return text("is");
  }

  /** Null where it is absent. */
  public String text(String name) {
    Object value = fields.get(name);
    return value == null ? null : value.toString();
  }

  public long number(String name) {
    return fields.get(name) instanceof Number number ? number.longValue() : 0;
  }

  public boolean flag(String name) {
    return Boolean.TRUE.equals(fields.get(name));
  }

  /** Empty where it is absent. */
  public Map<String, Object> map(String name) {
    return mapOf(fields.get(name));
  }

  /** Empty where it is absent. */
  public List<?> list(String name) {
    return fields.get(name) instanceof List<?> list ? list : List.of();
  }

  public static Map<String, Object> mapOf(Object value) {
    Map<String, Object> map = new LinkedHashMap<>();
    if (value instanceof Map<?, ?> found) found.forEach((key, item) -> map.put(String.valueOf(key), item));
    return map;
  }

  byte[] encode() throws IOException {
    try (MessageBufferPacker packer = MessagePack.newDefaultBufferPacker()) {
      pack(packer, fields);
      return packer.toByteArray();
    }
  }

  /** Null at the end. */
  static Frame read(DataInputStream in) throws IOException {
    int first = in.read();
    if (first < 0) return null;
    int length = first | in.readUnsignedByte() << 8 | in.readUnsignedByte() << 16 | in.readUnsignedByte() << 24;
    byte[] bytes = in.readNBytes(length);
    if (bytes.length < length) return null;
    try (MessageUnpacker unpacker = MessagePack.newDefaultUnpacker(bytes)) {
      return new Frame(mapOf(unpack(unpacker)));
    }
  }

  private static void pack(MessageBufferPacker packer, Object value) throws IOException {
    if (value == null) packer.packNil();
    else if (value instanceof Boolean flag) packer.packBoolean(flag);
    else if (value instanceof Float || value instanceof Double) packDouble(packer, ((Number) value).doubleValue());
    else if (value instanceof Number number) packWhole(packer, number.longValue());
    else if (value instanceof byte[] bytes) packer.packBinaryHeader(bytes.length).writePayload(bytes);
    else if (value instanceof List<?> list) {
      packer.packArrayHeader(list.size());
      for (Object item : list) pack(packer, item);
    } else if (value instanceof Map<?, ?> map) {
      packer.packMapHeader(map.size());
      for (Map.Entry<?, ?> entry : map.entrySet()) {
        packer.packString(String.valueOf(entry.getKey()));
        pack(packer, entry.getValue());
      }
    } else packer.packString(value.toString());
  }

  private static void packWhole(MessageBufferPacker packer, long value) throws IOException {
    if (Math.abs(value) <= WHOLE_MAX) packer.packLong(value);
    else packer.packString(Long.toString(value));
  }

  private static void packDouble(MessageBufferPacker packer, double value) throws IOException {
    if (Double.isFinite(value)) packer.packDouble(value);
    else packer.packString(Double.toString(value));
  }

  private static Object unpack(MessageUnpacker unpacker) throws IOException {
    return switch (unpacker.getNextFormat().getValueType()) {
      case NIL -> {
        unpacker.unpackNil();
        yield null;
      }
      case BOOLEAN -> unpacker.unpackBoolean();
      case INTEGER -> unpacker.unpackLong();
      case FLOAT -> unpacker.unpackDouble();
      case STRING -> unpacker.unpackString();
      case BINARY -> unpacker.readPayload(unpacker.unpackBinaryHeader());
      case ARRAY -> {
        int length = unpacker.unpackArrayHeader();
        List<Object> list = new ArrayList<>();
        for (int i = 0; i < length; i++) list.add(unpack(unpacker));
        yield list;
      }
      case MAP -> {
        int length = unpacker.unpackMapHeader();
        Map<String, Object> map = new LinkedHashMap<>();
        for (int i = 0; i < length; i++) map.put(unpacker.unpackString(), unpack(unpacker));
        yield map;
      }
      default -> throw new IOException("the host sent a value of a type that is not known here");
    };
  }
}
