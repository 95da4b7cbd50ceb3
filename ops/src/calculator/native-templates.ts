/** First calculators in the languages behind the C ABI. They do what those in the other languages do. */

/** `sdk` is the folder of the Rust SDK. */
export function rustManifest(name: string, sdk: string): string {
  return `[package]
name = "${name}"
version = "0.1.0"
edition = "2024"

[lib]
crate-type = ["cdylib"]

[dependencies]
millrace-calculator = { path = ${JSON.stringify(sdk)} }

[workspace]
`;
}

export function rust(): string {
  return `//! Scores a row. Nil would drop it, a list give several messages.

use millrace_calculator::{Calculator, Context, Failure, Value, export};

struct Score {
    factor: f64,
}

impl Calculator for Score {
    fn new(config: &Value) -> Result<Self, Failure> {
        Ok(Self { factor: config.get("factor").as_f64().unwrap_or(2.0) })
    }

    fn calculate(&mut self, row: &Value, _: &Context) -> Result<Value, Failure> {
        let n = row.get("n").as_f64().ok_or("a row needs a number n")?;
        Ok(row.with("score", n * self.factor))
    }

    fn details(&self) -> Value {
        Value::map([("factor", self.factor.into())])
    }
}

export!(Score);
`;
}

export function cpp(): string {
  return `// Scores a row. Writing nil would drop it, a list of several give several messages.
#include <millrace_calculator.hpp>

class Score : public millrace::Calculator {
 public:
  explicit Score(millrace::Value config) : factor_(config["factor"].number_or(2)) {}

  void calculate(millrace::Value row, const millrace::Context &, millrace::Writer &out) override {
    const double score = row["n"].number() * factor_;
    out.list(1).map(row.size() + 1).fields(row).text("score").number(score);
  }

  void details(millrace::Writer &out) override { out.map(1).text("factor").number(factor_); }

 private:
  double factor_;
};

MILLRACE_CALCULATOR(Score)
`;
}

export function c(): string {
  return `/* Scores a row. Writing nil would drop it, a list of several give several messages. */
#include <millrace_calculator.h>
#include <millrace_msgpack.h>

typedef struct score {
  double factor;
  ab_writer out;
} score;

static const char *last_error = "";

static int32_t answer(ab_writer *writer, ab_out *out) {
  out->bytes = writer->bytes;
  out->length = writer->length;
  if (writer->failed) last_error = "no memory";
  return writer->failed ? AB_FAILED : AB_OK;
}

uint32_t ab_abi_version(void) { return AB_ABI_VERSION; }

const char *ab_last_error(void) { return last_error; }

int32_t ab_open(const ab_view *config, const ab_host *host, void **state) {
  ab_item factor = ab_get(ab_read(config->bytes, config->length), "factor");
  score *self = calloc(1, sizeof *self);
  (void)host;
  if (self == NULL) {
    last_error = "no memory";
    return AB_FAILED;
  }
  self->factor = ab_is_number(factor) ? factor.number : 2;
  *state = self;
  return AB_OK;
}

int32_t ab_describe(void *state, ab_out *out) {
  score *self = state;
  self->out.length = 0;
  ab_put_map(&self->out, 1);
  ab_put_text(&self->out, "details");
  ab_put_map(&self->out, 1);
  ab_put_text(&self->out, "factor");
  ab_put_number(&self->out, self->factor);
  return answer(&self->out, out);
}

/** One message: the row's fields and one more. */
static void calculate(score *self, ab_reader row) {
  ab_item n = ab_get(row, "n");
  if (!ab_is_number(n)) {
    ab_put_failure(&self->out, "a row needs a number n");
    return;
  }
  ab_reader fields = row;
  size_t count = ab_next(&fields).length;
  ab_put_list(&self->out, 1);
  ab_put_map(&self->out, count + 1);
  const uint8_t *start = fields.at;
  for (size_t i = 0; i < 2 * count; i++) ab_skip(&fields);
  ab_put_packed(&self->out, start, (size_t)(fields.at - start));
  ab_put_text(&self->out, "score");
  ab_put_number(&self->out, n.number * self->factor);
}

int32_t ab_batch(void *state, const ab_view *rows, ab_out *out) {
  score *self = state;
  ab_reader reader = ab_read(rows->bytes, rows->length);
  size_t n = ab_next(&reader).length;
  self->out.length = 0;
  ab_put_list(&self->out, n);
  for (size_t i = 0; i < n; i++) {
    calculate(self, reader);
    ab_skip(&reader);
  }
  return answer(&self->out, out);
}

void ab_close(void *state) {
  free(((score *)state)->out.bytes);
  free(state);
}
`;
}
