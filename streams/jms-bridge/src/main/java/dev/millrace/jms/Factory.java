package dev.millrace.jms;

import java.io.IOException;
import java.io.Reader;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import javax.naming.InitialContext;
import javax.naming.NamingException;

/** Makes the vendor's connection factory: a class and its setters, or what a directory (JNDI) has under a name. */
final class Factory {
  private Factory() {}

  static Object make(Frame open) throws BridgeException {
    String name = open.text("factory");
    Object factory = name == null ? lookUp(open) : construct(name);
    for (Map.Entry<String, Object> setting : open.map("set").entrySet())
      set(factory, setting.getKey(), setting.getValue());
    return factory;
  }

  private static Object construct(String name) throws BridgeException {
    try {
      return Class.forName(name).getDeclaredConstructor().newInstance();
    } catch (ClassNotFoundException | LinkageError error) {
      String text = "class " + name + " is not on the class path, or needs one that is not: " + BridgeException.wordsOf(error);
      throw new BridgeException("JMS-CLASS", text, error);
    } catch (InvocationTargetException error) {
      throw new BridgeException("JMS-FACTORY", name + ": " + BridgeException.wordsOf(error.getCause()), error);
    } catch (ReflectiveOperationException error) {
      throw new BridgeException("JMS-FACTORY", name + " cannot be made without arguments", error);
    }
  }

  private static Object lookUp(Frame open) throws BridgeException {
    Properties environment = new Properties();
    String file = open.text("jndiFile");
    try {
      if (file != null) {
        try (Reader reader = Files.newBufferedReader(Path.of(file), StandardCharsets.UTF_8)) {
          environment.load(reader);
        }
      }
      open.map("jndi").forEach((key, value) -> environment.setProperty(key, String.valueOf(value)));
      return new InitialContext(environment).lookup(open.text("lookup"));
    } catch (IOException error) {
      throw new BridgeException("JMS-FACTORY", "the JNDI file cannot be read: " + BridgeException.wordsOf(error), error);
    } catch (javax.naming.NoInitialContextException error) {
      throw new BridgeException("JMS-CLASS", "JNDI has no initial context: " + BridgeException.wordsOf(error), error);
    } catch (NamingException | LinkageError error) {
      String text = "JNDI has no `" + open.text("lookup") + "`: " + BridgeException.wordsOf(error);
      throw new BridgeException("JMS-FACTORY", text, error);
    }
  }

  private static void set(Object factory, String name, Object value) throws BridgeException {
    String setter = "set" + Character.toUpperCase(name.charAt(0)) + name.substring(1);
    List<Method> named =
        Arrays.stream(factory.getClass().getMethods())
            .filter(method -> method.getName().equals(setter) && method.getParameterCount() == 1)
            .toList();
    for (Method method : named) {
      Object argument = argumentOf(value, method.getParameterTypes()[0]);
      if (argument != null) {
        call(factory, name, method, argument);
        return;
      }
    }
    if (named.isEmpty() && setNamed(factory, name, value)) return;
    String why = named.isEmpty() ? "has no setting `" + name + "`" : "takes another type for `" + name + "`";
    throw new BridgeException("JMS-FACTORY", factory.getClass().getName() + " " + why, null);
  }

  /** Settings that go by a name rather than a method of their own, as IBM's. */
  private static boolean setNamed(Object factory, String name, Object value) throws BridgeException {
    for (Class<?> type : List.of(boolean.class, int.class, String.class)) {
      Object argument = argumentOf(value, type);
      if (argument == null) continue;
      String kind = type == int.class ? "Int" : type == boolean.class ? "Boolean" : "String";
      try {
        Method method = factory.getClass().getMethod("set" + kind + "Property", String.class, type);
        call(factory, name, method, name, argument);
        return true;
      } catch (NoSuchMethodException none) {
        return false;
      }
    }
    return false;
  }

  private static void call(Object factory, String name, Method method, Object... arguments) throws BridgeException {
    try {
      method.invoke(factory, arguments);
    } catch (InvocationTargetException error) {
      String text = factory.getClass().getName() + " refuses `" + name + "`: " + BridgeException.wordsOf(error.getCause());
      throw new BridgeException("JMS-FACTORY", text, error);
    } catch (IllegalAccessException error) {
      throw new BridgeException("JMS-FACTORY", "`" + name + "` is no public setting", error);
    }
  }

  /** Null where the value is none of the type. Texts stand for numbers and truth values, too: an address is filled in as a text. */
  private static Object argumentOf(Object value, Class<?> type) {
    String text = String.valueOf(value);
    try {
      if (type == String.class) return text;
      if (type == boolean.class || type == Boolean.class)
        return text.equals("true") || text.equals("false") ? Boolean.valueOf(text) : null;
      if (type == int.class || type == Integer.class) return Integer.valueOf(text);
      if (type == long.class || type == Long.class) return Long.valueOf(text);
      if (type == short.class || type == Short.class) return Short.valueOf(text);
      if (type == double.class || type == Double.class) return Double.valueOf(text);
      return null;
    } catch (NumberFormatException none) {
      return null;
    }
  }
}
