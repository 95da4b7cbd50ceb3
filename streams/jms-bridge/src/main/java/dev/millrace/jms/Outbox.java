package dev.millrace.jms;

import java.io.IOException;
import java.io.OutputStream;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;

/** Frames on their way to the host, written by a thread of its own; who puts more than it takes waits. */
public final class Outbox {
  private static final int FRAMES_MAX = 256;
  private static final Frame END = Frame.of("end");
  private final BlockingQueue<Frame> frames = new ArrayBlockingQueue<>(FRAMES_MAX);
  private final OutputStream out;
  private final Thread writer = new Thread(this::write, "outbox");

  Outbox(OutputStream out) {
    this.out = out;
    writer.setDaemon(true);
    writer.start();
  }

  public void put(Frame frame) {
    try {
      frames.put(frame);
    } catch (InterruptedException end) {
      Thread.currentThread().interrupt();
    }
  }

  /** Returns when everything is written, or in a second if the host does not read. */
  void finish() {
    put(END);
    try {
      writer.join(1000);
    } catch (InterruptedException end) {
      Thread.currentThread().interrupt();
    }
  }

  private void write() {
    try {
      for (Frame frame = frames.take(); frame != END; frame = frames.take()) {
        byte[] bytes = frame.encode();
        int n = bytes.length;
        out.write(new byte[] {(byte) n, (byte) (n >> 8), (byte) (n >> 16), (byte) (n >> 24)});
        out.write(bytes);
        if (frames.isEmpty()) out.flush();
      }
      out.flush();
    } catch (IOException | InterruptedException gone) {
      // Without the host there is nothing to be done here.
      Runtime.getRuntime().halt(0);
    }
  }
}
