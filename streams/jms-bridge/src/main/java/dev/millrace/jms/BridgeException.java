package dev.millrace.jms;

/** What could not be done, with a code that Millrace knows. */
public final class BridgeException extends Exception {
  private static final long serialVersionUID = 1L;
  private final String code;

  public BridgeException(String code, String message, Throwable cause) {
    super(message, cause);
    this.code = code;
  }

  public String code() {
    return code;
  }

  /** The words of an error, and of what caused it where that says more. */
  public static String wordsOf(Throwable error) {
    StringBuilder words = new StringBuilder();
    Throwable one = error;
    for (int depth = 0; one != null && depth < 4; depth++, one = one.getCause()) {
      String own = one.getMessage() == null ? one.getClass().getSimpleName() : one.getMessage();
      if (words.indexOf(own) >= 0) continue;
      words.append(words.isEmpty() ? "" : ": ").append(own);
    }
    return words.toString();
  }
}
