package dev.millrace.calculator;

import java.io.IOException;
import java.lang.reflect.Modifier;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.ServiceLoader;
import java.util.stream.Stream;
import javax.tools.Diagnostic;
import javax.tools.DiagnosticCollector;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileObject;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;

/** The file that a graph names: a source file, compiled here and now, or a jar. */
final class AuthorFile {
  private AuthorFile() {}

  /** The file does not compile or holds no calculator. */
  static final class Refused extends Exception {
    private static final long serialVersionUID = 1L;
    /** 1-based; 0: not known. */
    final long line;

    Refused(String message, long line) {
      super(message);
      this.line = line;
    }
  }

  /** The calculator's class: the one named, or the only one there is. Its loader stays open as long as the program runs. */
  @SuppressWarnings({"rawtypes", "resource"})
  static Class<?> calculatorIn(Path file, String name) throws Exception {
    if (file.toString().endsWith(".java")) return only(compiled(file), name);
    if (!Files.isReadable(file)) throw new Refused("there is no file " + file, 0);
    URLClassLoader loader = new URLClassLoader(new URL[] {file.toUri().toURL()}, AuthorFile.class.getClassLoader());
    if (name != null) return loader.loadClass(name);
    List<Class<?>> offered = new ArrayList<>();
    for (ServiceLoader.Provider<Calculator> provider : ServiceLoader.load(Calculator.class, loader).stream().toList())
      offered.add(provider.type());
    return only(offered, null);
  }

  private static Class<?> only(List<Class<?>> classes, String name) throws Refused {
    List<Class<?>> found =
        classes.stream()
            .filter(c -> Calculator.class.isAssignableFrom(c) && !Modifier.isAbstract(c.getModifiers()))
            .filter(c -> name == null || c.getName().equals(name) || c.getSimpleName().equals(name))
            .toList();
    if (found.size() == 1) return found.get(0);
    if (found.isEmpty() && name != null) throw new Refused("there is no calculator " + name + " in the file", 0);
    if (found.isEmpty())
      throw new Refused("the file has no subclass of Calculator; a jar names its own in META-INF/services", 0);
    throw new Refused("the file has several calculators, name one with `export`: " + found, 0);
  }

  /** Every class of a source file. */
  @SuppressWarnings("resource")
  private static List<Class<?>> compiled(Path file) throws Exception {
    JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
    if (compiler == null) throw new Refused("this Java has no compiler: use a JDK, or a .jar", 0);
    Path classes = Files.createTempDirectory("millrace-classes-");
    DiagnosticCollector<JavaFileObject> problems = new DiagnosticCollector<>();
    try (StandardJavaFileManager files = compiler.getStandardFileManager(problems, null, null)) {
      List<String> options = List.of("-d", classes.toString(), "-cp", System.getProperty("java.class.path"), "-proc:none");
      if (!compiler.getTask(null, files, problems, options, null, files.getJavaFileObjects(file)).call())
        throw refusal(problems.getDiagnostics());
      URLClassLoader loader = new URLClassLoader(new URL[] {classes.toUri().toURL()}, AuthorFile.class.getClassLoader());
      return loaded(classes, loader);
    } finally {
      removeAll(classes);
    }
  }

  private static Refused refusal(List<Diagnostic<? extends JavaFileObject>> problems) {
    Diagnostic<?> first =
        problems.stream().filter(p -> p.getKind() == Diagnostic.Kind.ERROR).findFirst().orElse(problems.get(0));
    return new Refused(first.getMessage(null), Math.max(0, first.getLineNumber()));
  }

  /** Classes are loaded while their files are there. */
  private static List<Class<?>> loaded(Path classes, ClassLoader loader) throws Exception {
    List<Class<?>> loaded = new ArrayList<>();
    try (Stream<Path> files = Files.walk(classes)) {
      for (Path path : files.filter(p -> p.toString().endsWith(".class")).sorted().toList()) {
        String name = classes.relativize(path).toString().replace('/', '.');
        loaded.add(Class.forName(name.substring(0, name.length() - ".class".length()), false, loader));
      }
    }
    return loaded;
  }

  private static void removeAll(Path folder) throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path path : files.sorted((a, b) -> b.compareTo(a)).toList()) Files.delete(path);
    }
  }
}
