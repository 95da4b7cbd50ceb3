/* The calculator of conversations.json. */
#include "../c/millrace_calculator.h"
#include "../c/millrace_msgpack.h"
#include "../c/millrace_payload.h"

typedef struct counter {
  double total;
  const char *graph, *node;
  const ab_payloads *payloads;
  ab_writer out;
} counter;

static const char *last_error = "";

static int32_t failed(const char *why) {
  last_error = why;
  return AB_FAILED;
}

static int32_t answer(ab_writer *writer, ab_out *out) {
  out->bytes = writer->bytes;
  out->length = writer->length;
  return writer->failed ? failed("no memory") : AB_OK;
}

uint32_t ab_abi_version(void) { return AB_ABI_VERSION; }

int32_t ab_open(const ab_view *config, const ab_host *host, void **state) {
  ab_item base = ab_get(ab_read(config->bytes, config->length), "base");
  if (!ab_is_number(base)) return failed("a counter needs a base");
  counter *self = calloc(1, sizeof *self);
  if (self == NULL) return failed("no memory");
  self->total = base.number;
  self->graph = host->graph;
  self->node = host->node;
  self->payloads = ab_payloads_of(host);
  *state = self;
  return AB_OK;
}

int32_t ab_describe(void *state, ab_out *out) {
  ab_writer *writer = &((counter *)state)->out;
  writer->length = 0;
  ab_put_map(writer, 2);
  ab_put_text(writer, "stateful");
  ab_put_bool(writer, true);
  ab_put_text(writer, "details");
  ab_put_map(writer, 1);
  ab_put_text(writer, "what");
  ab_put_text(writer, "a counter");
  return answer(writer, out);
}

static void put_total(counter *self) {
  ab_put_map(&self->out, 1);
  ab_put_text(&self->out, "total");
  ab_put_number(&self->out, self->total);
}

static void put_filled(counter *self, size_t length) {
  char *text = malloc(length + 1);
  if (text == NULL) self->out.failed = true;
  else memset(text, 'x', length);
  ab_put_list(&self->out, 1);
  ab_put_text_of(&self->out, text, length);
  free(text);
}

static void put_where(counter *self, double at) {
  ab_put_list(&self->out, 1);
  ab_put_map(&self->out, 3);
  ab_put_text(&self->out, "at");
  ab_put_number(&self->out, at);
  ab_put_text(&self->out, "graph");
  ab_put_text(&self->out, self->graph);
  ab_put_text(&self->out, "node");
  ab_put_text(&self->out, self->node);
}

/* Whether it opened. */
static bool put_opened(counter *self, ab_reader value) {
  static const char *const formats[] = {"raw", "msgpack", "json", "npy", "arrow"};
  ab_payload payload;
  if (ab_payload_open(&payload, self->payloads, value) != AB_OK) {
    ab_put_payload_failure(&self->out, &payload);
    return false;
  }
  int64_t sum = 0;
  for (size_t i = 0; i < payload.length; i++) sum += payload.bytes[i];
  ab_put_list(&self->out, 1);
  ab_put_map(&self->out, 3);
  ab_put_text(&self->out, "format");
  ab_put_text(&self->out, formats[payload.format]);
  ab_put_text(&self->out, "length");
  ab_put_int(&self->out, (int64_t)payload.length);
  ab_put_text(&self->out, "sum");
  ab_put_int(&self->out, sum);
  ab_payload_close(&payload, self->payloads);
  return true;
}

static void put_made(counter *self, ab_item text) {
  ab_put_list(&self->out, 1);
  ab_put_map(&self->out, 1);
  ab_put_text(&self->out, "made");
  ab_put_payload(&self->out, text.text, text.length, AB_PAYLOAD_NPY);
}

/* Whether the row passed. */
static bool calculate(counter *self, ab_reader row, double at) {
  ab_item what = ab_get(row, "do"), n = ab_get(row, "n");
  if (ab_is_text(what, "add")) {
    self->total += n.number;
    ab_put_list(&self->out, 1);
    put_total(self);
  } else if (ab_is_text(what, "many")) {
    ab_put_list(&self->out, (size_t)n.integer);
    for (int64_t i = 0; i < n.integer; i++) ab_put_int(&self->out, i);
  } else if (ab_is_text(what, "fill")) put_filled(self, (size_t)n.integer);
  else if (ab_is_text(what, "where")) put_where(self, at);
  else if (ab_is_text(what, "open")) return put_opened(self, ab_field(row, "payload"));
  else if (ab_is_text(what, "make")) put_made(self, ab_get(row, "text"));
  else if (ab_is_text(what, "fail")) {
    self->total = -1;
    ab_put_failure(&self->out, "asked to fail");
    return false;
  } else ab_put_nil(&self->out);
  return true;
}

int32_t ab_batch(void *state, const ab_view *rows, ab_out *out) {
  counter *self = state;
  ab_reader reader = ab_read(rows->bytes, rows->length);
  size_t n = ab_next(&reader).length, done = 0;
  /* The head of the list is written last: only then is it known how many outcomes there are. */
  self->out.length = 0;
  for (bool passes = true; done < n && passes; done++) {
    passes = calculate(self, reader, rows->at_ms);
    ab_skip(&reader);
  }
  ab_writer whole = {NULL, 0, 0, false};
  ab_put_list(&whole, done);
  ab_put_packed(&whole, self->out.bytes, self->out.length);
  free(self->out.bytes);
  self->out = whole;
  return reader.failed ? failed("a batch is a list of rows") : answer(&self->out, out);
}

int32_t ab_snapshot(void *state, ab_out *out) {
  counter *self = state;
  self->out.length = 0;
  put_total(self);
  return answer(&self->out, out);
}

int32_t ab_restore(void *state, const ab_view *snapshot) {
  ab_item total = ab_get(ab_read(snapshot->bytes, snapshot->length), "total");
  if (!ab_is_number(total)) return failed("a state has a total");
  ((counter *)state)->total = total.number;
  return AB_OK;
}

void ab_close(void *state) {
  free(((counter *)state)->out.bytes);
  free(state);
}

const char *ab_last_error(void) { return last_error; }
