package dev.millrace.jms.javaxapi;

import dev.millrace.jms.BridgeException;
import dev.millrace.jms.Frame;
import dev.millrace.jms.Outbox;
import java.util.concurrent.atomic.AtomicBoolean;

/** Says once why a connection is of no use any more. */
final class LineEnd {
  private final Outbox outbox;
  private final AtomicBoolean isSaid = new AtomicBoolean();

  LineEnd(Outbox outbox) {
    this.outbox = outbox;
  }

  void because(Throwable error) {
    if (isSaid.getAndSet(true)) return;
    BridgeException failure = Failures.of(error);
    outbox.put(Frame.of("ended").with("code", failure.code()).with("message", failure.getMessage()));
  }

  /** What comes from now on is a consequence of the connection's being closed. */
  void isMeant() {
    isSaid.set(true);
  }
}
