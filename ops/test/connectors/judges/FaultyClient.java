package faulty;

import jakarta.jms.Connection;
import jakarta.jms.ConnectionFactory;
import jakarta.jms.JMSContext;
import jakarta.jms.MessageConsumer;
import jakarta.jms.MessageProducer;
import jakarta.jms.Queue;
import jakarta.jms.Session;
import jakarta.jms.TextMessage;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Proxy;
import java.util.Hashtable;
import javax.naming.Context;
import javax.naming.spi.InitialContextFactory;

/** A JMS client without a broker, of which a class is missing at the method that it is told, and whose threads never end. */
public final class FaultyClient implements ConnectionFactory {
  private String at = "";

  public FaultyClient() {
    new Thread(FaultyClient::sleep, "vendor").start();
  }

  public void setAt(String at) {
    this.at = at;
  }

  @Override
  public Connection createConnection() {
    return of(Connection.class);
  }

  @Override
  public Connection createConnection(String user, String password) {
    return createConnection();
  }

  @Override
  public JMSContext createContext() {
    throw new UnsupportedOperationException();
  }

  @Override
  public JMSContext createContext(String user, String password) {
    throw new UnsupportedOperationException();
  }

  @Override
  public JMSContext createContext(String user, String password, int mode) {
    throw new UnsupportedOperationException();
  }

  @Override
  public JMSContext createContext(int mode) {
    throw new UnsupportedOperationException();
  }

  private <T> T of(Class<T> type) {
    return type.cast(Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, handler()));
  }

  private InvocationHandler handler() {
    return (self, method, arguments) -> {
      if (method.getName().equals(at)) throw new NoClassDefFoundError("vendor/" + at);
      if (method.getName().equals("receive")) Thread.sleep((Long) arguments[0]);
      Class<?> type = method.getReturnType();
      boolean isMade = type == Session.class || type == MessageConsumer.class || type == MessageProducer.class || type == TextMessage.class || Queue.class.isAssignableFrom(type);
      return isMade ? of(type) : null;
    };
  }

  private static void sleep() {
    while (true) {
      try {
        Thread.sleep(Long.MAX_VALUE);
      } catch (InterruptedException never) {
        return;
      }
    }
  }

  /** A directory that fails as the API does not foresee it. */
  public static final class Directory implements InitialContextFactory {
    @Override
    public Context getInitialContext(Hashtable<?, ?> environment) {
      throw new IllegalStateException("no licence for " + environment.get("vendor.key"));
    }
  }
}
