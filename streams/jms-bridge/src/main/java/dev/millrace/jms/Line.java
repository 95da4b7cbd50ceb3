package dev.millrace.jms;

/** A connection to the broker. The two implementations are one, for the two names of the API. */
public interface Line {
  /**
   * Makes the connection.
   *
   * @throws BridgeException the broker cannot be reached or refuses
   */
  void open(Frame open) throws BridgeException;

  /** Hands over messages of a destination. Whether that succeeds is said through the outbox. */
  void listen(Frame listen);

  /** What the host has made durable. */
  void settle(Frame settle);

  /** Prepares to send to a destination. */
  void sender(Frame sender);

  /** Sends messages, all or none of which the broker has then. */
  void send(Frame send);

  /** Asks the broker for an answer, whatever it is. */
  void probe();

  /** Hands the broker what was settled, and ends. */
  void close();
}
