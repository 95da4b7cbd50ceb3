/*
 * Calculators in C++17 over the C ABI: a base class, a view of messages, a writer, and a macro that exports the functions. What
 * is thrown while a row is calculated fails that row; nothing is thrown into the host.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MILLRACE_CALCULATOR_HPP
#define MILLRACE_CALCULATOR_HPP

#include "millrace_calculator.h"
#include "millrace_msgpack.h"
#include "millrace_payload.h"

#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace millrace {

/** A value of a message, read where it lies: valid for the time of the call. */
class Value {
 public:
  explicit Value(ab_reader at) : at_(at) {}

  /** A field of a map; one that `is_nil` where there is none. */
  Value operator[](const char *name) const { return Value(ab_field(at_, name)); }

  bool is_nil() const { return kind() == AB_NIL || kind() == AB_NOTHING; }
  bool is_number() const { return ab_is_number(item()); }

  double number() const {
    const ab_item found = item();
    if (!ab_is_number(found)) throw std::invalid_argument("a number is missing");
    return found.number;
  }
  double number_or(double otherwise) const { return is_number() ? item().number : otherwise; }

  int64_t integer() const {
    const ab_item found = item();
    if (found.kind != AB_INT) throw std::invalid_argument("a whole number is missing");
    return found.integer;
  }

  std::string_view text() const {
    const ab_item found = item();
    if (found.kind != AB_TEXT) throw std::invalid_argument("a text is missing");
    return {found.text, found.length};
  }

  /** Items of a list, fields of a map. */
  size_t size() const {
    const ab_item found = item();
    return found.kind == AB_LIST || found.kind == AB_MAP ? found.length : 0;
  }

  ab_reader reader() const { return at_; }

 private:
  ab_kind kind() const { return item().kind; }

  ab_item item() const {
    if (at_.failed) return {AB_NOTHING, 0, 0, nullptr, 0};
    ab_reader copy = at_;
    return ab_next(&copy);
  }

  ab_reader at_;
};

/** Writes values one after the other; the items of a list and the keys and values of a map follow their head. */
class Writer {
 public:
  Writer() = default;
  Writer(const Writer &) = delete;
  Writer &operator=(const Writer &) = delete;
  ~Writer() { free(raw_.bytes); }

  Writer &nil() { return ab_put_nil(&raw_), *this; }
  Writer &boolean(bool is) { return ab_put_bool(&raw_, is), *this; }
  Writer &integer(int64_t n) { return ab_put_int(&raw_, n), *this; }
  Writer &number(double n) { return ab_put_number(&raw_, n), *this; }
  Writer &text(std::string_view text) { return ab_put_text_of(&raw_, text.data(), text.size()), *this; }
  Writer &list(size_t items) { return ab_put_list(&raw_, items), *this; }
  Writer &map(size_t fields) { return ab_put_map(&raw_, fields), *this; }

  /** A whole value as it is. */
  Writer &value(const Value &value) {
    ab_reader reader = value.reader();
    const uint8_t *start = ab_skip(&reader);
    return ab_put_packed(&raw_, start, static_cast<size_t>(reader.at - start)), *this;
  }

  /** Keys and values of a map, without its head. */
  Writer &fields(const Value &map) {
    ab_reader reader = map.reader();
    const size_t n = ab_next(&reader).length;
    const uint8_t *start = reader.at;
    for (size_t i = 0; i < 2 * n; i++) ab_skip(&reader);
    return ab_put_packed(&raw_, start, static_cast<size_t>(reader.at - start)), *this;
  }

  /** Bytes with the number of their format, AB_PAYLOAD_...: the host keeps them once, and hands them on by reference. */
  Writer &payload(const void *bytes, size_t length, uint32_t format) {
    return ab_put_payload(&raw_, bytes, length, format), *this;
  }

  ab_writer &raw() { return raw_; }

 private:
  ab_writer raw_{nullptr, 0, 0, false};
};

/** Thrown for a payload that does not open: the code of the dead letter. */
class PayloadError : public std::runtime_error {
 public:
  PayloadError(const char *code, const char *why) : std::runtime_error(why), code_(code) {}
  const char *code() const { return code_.c_str(); }

 private:
  std::string code_;
};

/** Numbers of an array where they lie. */
template <typename Type>
struct Array {
  const Type *data;
  size_t size;
  std::vector<size_t> shape;
  bool is_fortran;
};

/** An opened payload, until it is destroyed, at the latest until its message is done: copy what must outlive that. */
class Payload {
 public:
  Payload(const ab_payloads *payloads, const Value &value) : payloads_(payloads) {
    if (ab_payload_open(&opened_, payloads, value.reader()) != AB_OK) throw PayloadError(opened_.code, opened_.why);
  }
  Payload(Payload &&other) noexcept : payloads_(other.payloads_), opened_(std::exchange(other.opened_, ab_payload())) {}
  Payload(const Payload &) = delete;
  Payload &operator=(const Payload &) = delete;
  Payload &operator=(Payload &&) = delete;
  ~Payload() { ab_payload_close(&opened_, payloads_); }

  /** Read-only, in place, from an address that 8 divides. */
  const uint8_t *bytes() const { return opened_.bytes; }
  size_t size() const { return opened_.length; }
  /** AB_PAYLOAD_... */
  uint32_t format() const { return opened_.format; }

  /** The array of a payload in NumPy's format; nothing is converted. `type` as NumPy says it, such as "<f8". */
  template <typename Type>
  Array<Type> array(const char *type) const {
    ab_npy read;
    if (format() != AB_PAYLOAD_NPY || !ab_npy_read(&read, bytes(), size()))
      throw std::invalid_argument("the payload is no array in NumPy's format");
    if (!ab_npy_is(&read, type) || read.item_bytes != sizeof(Type))
      throw std::invalid_argument("the array is of type " + std::string(read.type, read.type_length) + ", not " + type);
    return {static_cast<const Type *>(read.data), read.items, {read.shape, read.shape + read.dimensions}, read.is_fortran};
  }

 private:
  const ab_payloads *payloads_;
  ab_payload opened_{};
};

/** What a calculation may know beside its message. */
struct Context {
  /** Time of the step in ms since 1970: the same again in a replay. */
  double at;
  const char *graph;
  const char *node;
  const ab_payloads *payloads = nullptr;

  /** Opens the payload that a field of the row is. @throws PayloadError */
  Payload open(const Value &value) const { return Payload(payloads, value); }
};

/** Base class. A constructor takes the node's config as a `Value`. */
class Calculator {
 public:
  virtual ~Calculator() = default;

  /** Writes nil for no message, or a list of messages. What it throws makes the row a failure. */
  virtual void calculate(Value row, const Context &context, Writer &out) = 0;

  /** What people see of it beside its node. */
  virtual void details(Writer &out) { out.nil(); }

  /** One that keeps state says so, and has the other two. */
  virtual bool is_stateful() const { return false; }
  virtual void snapshot(Writer &out) { out.nil(); }
  virtual void restore(Value state) { (void)state; }
};

namespace detail {

inline std::string &last_error() {
  thread_local std::string text;
  return text;
}

inline std::string &last_code() {
  thread_local std::string text;
  return text;
}

struct Instance {
  std::unique_ptr<Calculator> calculator;
  Context context;
  Writer out;
};

/** Without memory for what happened, it is said that there is none: that is short enough to need none. */
inline void note(const char *code, const char *why) noexcept {
  try {
    last_code() = code;
    last_error() = why;
  } catch (...) {
    last_code() = "CALC-OOM";
    last_error() = "out of memory";
  }
}

template <typename Work>
int32_t guarded(Work work) {
  try {
    work();
    return AB_OK;
  } catch (const PayloadError &error) {
    note(error.code(), error.what());
  } catch (const std::bad_alloc &) {
    note("CALC-OOM", "out of memory");
  } catch (const std::exception &error) {
    note("CALC-THREW", error.what());
  } catch (...) {
    note("CALC-THREW", "something was thrown that is no std::exception");
  }
  return AB_FAILED;
}

template <typename Work>
int32_t answer(void *state, ab_out *out, Work work) {
  auto &instance = *static_cast<Instance *>(state);
  ab_writer &raw = instance.out.raw();
  raw.length = 0;
  const int32_t status = guarded([&] {
    work(instance);
    if (raw.failed) throw std::bad_alloc();
  });
  out->bytes = raw.bytes;
  out->length = raw.length;
  return status;
}

template <typename Type>
int32_t open(const ab_view *config, const ab_host *host, void **state) {
  return guarded([&] {
    auto instance = std::make_unique<Instance>();
    instance->context = {0, host->graph, host->node, ab_payloads_of(host)};
    instance->calculator = std::make_unique<Type>(Value(ab_read(config->bytes, config->length)));
    *state = instance.release();
  });
}

inline int32_t describe(void *state, ab_out *out) {
  return answer(state, out, [](Instance &instance) {
    instance.out.map(2).text("stateful").boolean(instance.calculator->is_stateful()).text("details");
    instance.calculator->details(instance.out);
  });
}

/** Whether the row passed. */
inline bool outcome(Instance &instance, ab_reader row, const Context &context, Writer &out) {
  const size_t before = out.raw().length;
  if (guarded([&] { instance.calculator->calculate(Value(row), context, out); }) == AB_OK) return true;
  out.raw().length = before;
  out.map(2).text("code").text(last_code()).text("msg").text(last_error());
  return false;
}

inline int32_t batch(void *state, const ab_view *rows, ab_out *out) {
  return answer(state, out, [&](Instance &instance) {
    ab_reader reader = ab_read(rows->bytes, rows->length);
    const size_t n = ab_next(&reader).length;
    Context context = instance.context;
    context.at = rows->at_ms;
    Writer outcomes;
    size_t done = 0;
    for (bool goes_on = true; done < n && goes_on; done++) {
      // What a row that failed left behind in a state is unknown.
      goes_on = outcome(instance, reader, context, outcomes) || !instance.calculator->is_stateful();
      ab_skip(&reader);
    }
    if (outcomes.raw().failed) throw std::bad_alloc();
    instance.out.list(done);
    ab_put_packed(&instance.out.raw(), outcomes.raw().bytes, outcomes.raw().length);
  });
}

inline int32_t snapshot(void *state, ab_out *out) {
  return answer(state, out, [](Instance &instance) { instance.calculator->snapshot(instance.out); });
}

inline int32_t restore(void *state, const ab_view *snapshot) {
  auto &instance = *static_cast<Instance *>(state);
  return guarded([&] { instance.calculator->restore(Value(ab_read(snapshot->bytes, snapshot->length))); });
}

}  // namespace detail
}  // namespace millrace

/** Exports a calculator: the only one of its library. */
#define MILLRACE_CALCULATOR(Type)                                                                          \
  extern "C" {                                                                                             \
  uint32_t ab_abi_version(void) { return AB_ABI_VERSION; }                                                 \
  int32_t ab_open(const ab_view *config, const ab_host *host, void **state) {                              \
    return millrace::detail::open<Type>(config, host, state);                                              \
  }                                                                                                        \
  int32_t ab_describe(void *state, ab_out *out) { return millrace::detail::describe(state, out); }         \
  int32_t ab_batch(void *state, const ab_view *rows, ab_out *out) {                                        \
    return millrace::detail::batch(state, rows, out);                                                      \
  }                                                                                                        \
  int32_t ab_snapshot(void *state, ab_out *out) { return millrace::detail::snapshot(state, out); }         \
  int32_t ab_restore(void *state, const ab_view *from) { return millrace::detail::restore(state, from); }  \
  void ab_close(void *state) { delete static_cast<millrace::detail::Instance *>(state); }                  \
  const char *ab_last_error(void) { return millrace::detail::last_error().c_str(); }                       \
  }

#endif
