package dev.millrace.jms.javaxapi;

import dev.millrace.jms.BridgeException;
import java.util.regex.Pattern;
import javax.jms.InvalidClientIDException;
import javax.jms.InvalidDestinationException;
import javax.jms.InvalidSelectorException;
import javax.jms.JMSException;
import javax.jms.JMSSecurityException;

/** What an error of a client means, as far as the API says it, and the one thing that it has no class for. */
final class Failures {
  /** The last is how the reasons of IBM MQ begin. */
  private static final Pattern TOO_LARGE =
      Pattern.compile("MaxFrameSize|larger than max|too (?:large|big)|exceeds? .*(?:max|size|limit)|MQRC_MSG_TOO_BIG", Pattern.CASE_INSENSITIVE);

  private Failures() {}

  static BridgeException of(Throwable error) {
    return new BridgeException(codeOf(error), wordsOf(error), error);
  }

  private static String codeOf(Throwable error) {
    if (error instanceof JMSSecurityException) return "JMS-AUTH";
    if (error instanceof InvalidDestinationException) return "JMS-DESTINATION";
    if (error instanceof InvalidSelectorException) return "JMS-SELECTOR";
    if (error instanceof InvalidClientIDException) return "JMS-CLIENT-ID";
    if (error instanceof JMSException && TOO_LARGE.matcher(wordsOf(error)).find()) return "JMS-TOO-LARGE";
    return error instanceof LinkageError ? "JMS-CLASS" : "JMS-FAILED";
  }

  /** With the vendor's own number, and what is linked where it is not the cause. */
  private static String wordsOf(Throwable error) {
    String words = BridgeException.wordsOf(error);
    if (!(error instanceof JMSException failure)) return words;
    String number = failure.getErrorCode() == null ? "" : " (" + failure.getErrorCode() + ")";
    Exception linked = failure.getLinkedException();
    String more = linked == null ? "" : BridgeException.wordsOf(linked);
    return words + number + (more.isEmpty() || words.contains(more) ? "" : ": " + more);
  }
}
