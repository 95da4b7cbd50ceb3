// The calculator of conversations.json.
#include "../c/millrace_calculator.hpp"

class Counter : public millrace::Calculator {
 public:
  explicit Counter(millrace::Value config) : total_(config["base"].number()) {}

  void details(millrace::Writer &out) override { out.map(1).text("what").text("a counter"); }

  bool is_stateful() const override { return true; }
  void snapshot(millrace::Writer &out) override { out.map(1).text("total").number(total_); }
  void restore(millrace::Value state) override { total_ = state["total"].number(); }

  void calculate(millrace::Value row, const millrace::Context &context, millrace::Writer &out) override {
    const auto what = row["do"].text();
    if (what == "add") {
      total_ += row["n"].number();
      out.list(1);
      snapshot(out);
    } else if (what == "many") {
      out.list(static_cast<size_t>(row["n"].integer()));
      for (int64_t i = 0; i < row["n"].integer(); i++) out.integer(i);
    } else if (what == "fill") {
      out.list(1).text(std::string(static_cast<size_t>(row["n"].integer()), 'x'));
    } else if (what == "where") {
      out.list(1).map(3).text("at").number(context.at).text("graph").text(context.graph).text("node").text(context.node);
    } else if (what == "open") {
      open(context.open(row["payload"]), out);
    } else if (what == "make") {
      const auto text = row["text"].text();
      out.list(1).map(1).text("made").payload(text.data(), text.size(), AB_PAYLOAD_NPY);
    } else if (what == "fail") {
      total_ = -1;
      throw std::runtime_error("asked to fail");
    } else {
      out.nil();
    }
  }

 private:
  static void open(const millrace::Payload &payload, millrace::Writer &out) {
    static const char *const formats[] = {"raw", "msgpack", "json", "npy", "arrow"};
    int64_t sum = 0;
    for (size_t i = 0; i < payload.size(); i++) sum += payload.bytes()[i];
    out.list(1).map(3).text("format").text(formats[payload.format()]);
    out.text("length").integer(static_cast<int64_t>(payload.size())).text("sum").integer(sum);
  }

  double total_;
};

MILLRACE_CALCULATOR(Counter)
