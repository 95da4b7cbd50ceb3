package dev.millrace.calculator;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.util.ArrayDeque;

/** Frames over a connected socket. */
final class Connection {
  private final SocketChannel channel;
  private final ArrayDeque<Frame> kept = new ArrayDeque<>();
  /** Bytes that have arrived, from the position to the limit. */
  private ByteBuffer arrived = ByteBuffer.allocate(1 << 16).limit(0);

  Connection(SocketChannel channel) {
    this.channel = channel;
  }

  void send(Frame frame) throws IOException {
    send(frame.encode());
  }

  void send(byte[] frame) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(frame);
    while (bytes.hasRemaining()) channel.write(bytes);
  }

  /** For later, before anything that has not arrived yet. */
  void keep(Frame frame) {
    kept.add(frame);
  }

  /** Waits for a frame; null when the host is gone. */
  Frame receive() throws IOException {
    if (!kept.isEmpty()) return kept.poll();
    Frame frame = Frame.take(arrived);
    while (frame == null) {
      if (fill() < 0) return null;
      frame = Frame.take(arrived);
    }
    return frame;
  }

  /** A frame that is here already, or null. */
  Frame poll() throws IOException {
    Frame frame = Frame.take(arrived);
    if (frame != null) return frame;
    channel.configureBlocking(false);
    try {
      fill();
    } finally {
      channel.configureBlocking(true);
    }
    return Frame.take(arrived);
  }

  private int fill() throws IOException {
    if (arrived.capacity() - arrived.remaining() < 1 << 15) {
      arrived = ByteBuffer.allocate(arrived.capacity() * 2).put(arrived).flip();
    }
    arrived.compact();
    int n = channel.read(arrived);
    arrived.flip();
    return n;
  }
}
