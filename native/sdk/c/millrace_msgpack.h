/*
 * Reading and writing of messages for calculators in C: the part of msgpack that the protocol uses. Header only, C99.
 *
 * A reader that meets the end, or a value of another kind than asked for, fails and stays so; a writer that has no memory too.
 * Check `failed` once at the end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MILLRACE_MSGPACK_H
#define MILLRACE_MSGPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef enum ab_kind {
  AB_NOTHING, /* no value: the end, or no msgpack */
  AB_NIL,
  AB_BOOL,
  AB_INT,
  AB_FLOAT,
  AB_TEXT,
  AB_BYTES,
  AB_LIST,
  AB_MAP
} ab_kind;

/** A scalar, or the head of a list of `length` items or a map of `length` pairs, which follow. */
typedef struct ab_item {
  ab_kind kind;
  int64_t integer; /* AB_INT, AB_BOOL */
  double number;   /* AB_INT, AB_FLOAT */
  const char *text; /* AB_TEXT, AB_BYTES: not terminated */
  size_t length;
} ab_item;

typedef struct ab_reader {
  const uint8_t *at;
  const uint8_t *end;
  bool failed;
} ab_reader;

static inline ab_reader ab_read(const uint8_t *bytes, size_t length) {
  ab_reader reader = {bytes, bytes + length, false};
  return reader;
}

static inline uint64_t ab_take_uint(ab_reader *reader, size_t size) {
  if ((size_t)(reader->end - reader->at) < size) {
    reader->failed = true;
    reader->at = reader->end;
    return 0;
  }
  uint64_t n = 0;
  for (size_t i = 0; i < size; i++) n = n << 8 | *reader->at++;
  return n;
}

static inline ab_item ab_item_int(int64_t n) {
  ab_item item = {AB_INT, n, (double)n, NULL, 0};
  return item;
}

static inline ab_item ab_item_float(double n) {
  ab_item item = {AB_FLOAT, 0, n, NULL, 0};
  /* A message's number has no type of its own: one that is whole is an integer. */
  if (n >= -9007199254740992.0 && n <= 9007199254740992.0 && (double)(int64_t)n == n) return ab_item_int((int64_t)n);
  return item;
}

static inline ab_item ab_item_of(ab_reader *reader, ab_kind kind, uint64_t length) {
  ab_item item = {kind, 0, 0, NULL, (size_t)length};
  /* Every item takes a byte: a count that cannot be true is not believed. */
  if (length > (uint64_t)(reader->end - reader->at)) reader->failed = true;
  else if (kind == AB_TEXT || kind == AB_BYTES) {
    item.text = (const char *)reader->at;
    reader->at += length;
  }
  return item;
}

/** The next scalar, or the head of the next list or map. */
static inline ab_item ab_next(ab_reader *reader) {
  ab_item item = {AB_NOTHING, 0, 0, NULL, 0};
  uint8_t code = (uint8_t)ab_take_uint(reader, 1);
  if (reader->failed) return item;
  if (code < 0x80) item = ab_item_int(code);
  else if (code < 0x90) item = ab_item_of(reader, AB_MAP, code & 0x0f);
  else if (code < 0xa0) item = ab_item_of(reader, AB_LIST, code & 0x0f);
  else if (code < 0xc0) item = ab_item_of(reader, AB_TEXT, code & 0x1f);
  else if (code >= 0xe0) item = ab_item_int((int8_t)code);
  else if (code == 0xc0) item.kind = AB_NIL;
  else if (code == 0xc2 || code == 0xc3) {
    item = ab_item_int(code & 1);
    item.kind = AB_BOOL;
  } else if (code >= 0xc4 && code <= 0xc6)
    item = ab_item_of(reader, AB_BYTES, ab_take_uint(reader, (size_t)1 << (code - 0xc4)));
  else if (code == 0xca) {
    uint32_t bits = (uint32_t)ab_take_uint(reader, 4);
    float n;
    memcpy(&n, &bits, sizeof n);
    item = ab_item_float(n);
  } else if (code == 0xcb) {
    uint64_t bits = ab_take_uint(reader, 8);
    double n;
    memcpy(&n, &bits, sizeof n);
    item = ab_item_float(n);
  } else if (code >= 0xcc && code <= 0xcf) {
    uint64_t n = ab_take_uint(reader, (size_t)1 << (code - 0xcc));
    item = n > INT64_MAX ? ab_item_float((double)n) : ab_item_int((int64_t)n);
  } else if (code == 0xd0) item = ab_item_int((int8_t)ab_take_uint(reader, 1));
  else if (code == 0xd1) item = ab_item_int((int16_t)ab_take_uint(reader, 2));
  else if (code == 0xd2) item = ab_item_int((int32_t)ab_take_uint(reader, 4));
  else if (code == 0xd3) item = ab_item_int((int64_t)ab_take_uint(reader, 8));
  else if (code >= 0xd9 && code <= 0xdb)
    item = ab_item_of(reader, AB_TEXT, ab_take_uint(reader, (size_t)1 << (code - 0xd9)));
  else if (code == 0xdc || code == 0xdd) item = ab_item_of(reader, AB_LIST, ab_take_uint(reader, code == 0xdc ? 2 : 4));
  else if (code == 0xde || code == 0xdf) item = ab_item_of(reader, AB_MAP, ab_take_uint(reader, code == 0xde ? 2 : 4));
  else reader->failed = true;
  if (reader->failed) item.kind = AB_NOTHING;
  return item;
}

/** Passes one whole value; gives where it began. */
static inline const uint8_t *ab_skip(ab_reader *reader) {
  const uint8_t *start = reader->at;
  for (uint64_t left = 1; left > 0 && !reader->failed; left--) {
    ab_item item = ab_next(reader);
    if (item.kind == AB_LIST) left += item.length;
    else if (item.kind == AB_MAP) left += 2 * (uint64_t)item.length;
  }
  return start;
}

/** A reader at the value of a field; a failed one where there is none. `map` is not moved. */
static inline ab_reader ab_field(ab_reader map, const char *name) {
  ab_item head = ab_next(&map);
  size_t length = strlen(name);
  for (size_t i = 0; head.kind == AB_MAP && i < head.length && !map.failed; i++) {
    ab_item key = ab_next(&map);
    if (key.kind == AB_TEXT && key.length == length && memcmp(key.text, name, length) == 0) return map;
    ab_skip(&map);
  }
  map.failed = true;
  return map;
}

/** The field of a map, or AB_NOTHING. */
static inline ab_item ab_get(ab_reader map, const char *name) {
  ab_reader field = ab_field(map, name);
  if (!field.failed) return ab_next(&field);
  ab_item none = {AB_NOTHING, 0, 0, NULL, 0};
  return none;
}

static inline bool ab_is_number(ab_item item) { return item.kind == AB_INT || item.kind == AB_FLOAT; }

static inline bool ab_is_text(ab_item item, const char *text) {
  return item.kind == AB_TEXT && item.length == strlen(text) && memcmp(item.text, text, item.length) == 0;
}

typedef struct ab_writer {
  uint8_t *bytes;
  size_t length;
  size_t capacity;
  bool failed;
} ab_writer;

/** Bytes that are msgpack already, such as a value that was skipped. */
static inline void ab_put_packed(ab_writer *writer, const void *bytes, size_t length) {
  if (writer->failed) return;
  if (writer->capacity - writer->length < length) {
    size_t capacity = 2 * writer->capacity + length + 64;
    uint8_t *grown = (uint8_t *)realloc(writer->bytes, capacity);
    if (grown == NULL) {
      writer->failed = true;
      return;
    }
    writer->bytes = grown;
    writer->capacity = capacity;
  }
  if (length > 0) memcpy(writer->bytes + writer->length, bytes, length);
  writer->length += length;
}

static inline void ab_put_code(ab_writer *writer, uint8_t code, uint64_t n, size_t size) {
  uint8_t bytes[9] = {code};
  for (size_t i = 0; i < size; i++) bytes[i + 1] = (uint8_t)(n >> (8 * (size - 1 - i)));
  ab_put_packed(writer, bytes, size + 1);
}

static inline void ab_put_nil(ab_writer *writer) { ab_put_code(writer, 0xc0, 0, 0); }

static inline void ab_put_bool(ab_writer *writer, bool is) { ab_put_code(writer, is ? 0xc3 : 0xc2, 0, 0); }

static inline void ab_put_int(ab_writer *writer, int64_t n) {
  if (n >= -32 && n < 128) ab_put_code(writer, (uint8_t)n, 0, 0);
  else if (n >= 0) {
    int size = n < 0x100 ? 0 : n < 0x10000 ? 1 : n < INT64_C(0x100000000) ? 2 : 3;
    ab_put_code(writer, (uint8_t)(0xcc + size), (uint64_t)n, (size_t)1 << size);
  } else {
    int size = n >= -128 ? 0 : n >= -32768 ? 1 : n >= -INT64_C(0x80000000) ? 2 : 3;
    ab_put_code(writer, (uint8_t)(0xd0 + size), (uint64_t)n, (size_t)1 << size);
  }
}

static inline void ab_put_number(ab_writer *writer, double n) {
  uint64_t bits;
  memcpy(&bits, &n, sizeof bits);
  ab_put_code(writer, 0xcb, bits, 8);
}

static inline void ab_put_text_of(ab_writer *writer, const char *text, size_t length) {
  if (length < 32) ab_put_code(writer, (uint8_t)(0xa0 | length), 0, 0);
  else if (length < 0x100) ab_put_code(writer, 0xd9, length, 1);
  else if (length < 0x10000) ab_put_code(writer, 0xda, length, 2);
  else ab_put_code(writer, 0xdb, length, 4);
  ab_put_packed(writer, text, length);
}

static inline void ab_put_text(ab_writer *writer, const char *text) { ab_put_text_of(writer, text, strlen(text)); }

/** In states, and in payloads of results. */
static inline void ab_put_bytes(ab_writer *writer, const void *bytes, size_t length) {
  int size = length < 0x100 ? 0 : length < 0x10000 ? 1 : 2;
  ab_put_code(writer, (uint8_t)(0xc4 + size), length, (size_t)1 << size);
  ab_put_packed(writer, bytes, length);
}

/** The items follow. */
static inline void ab_put_list(ab_writer *writer, size_t items) {
  if (items < 16) ab_put_code(writer, (uint8_t)(0x90 | items), 0, 0);
  else if (items < 0x10000) ab_put_code(writer, 0xdc, items, 2);
  else ab_put_code(writer, 0xdd, items, 4);
}

/** Keys and values follow, in turn; keys are texts. */
static inline void ab_put_map(ab_writer *writer, size_t fields) {
  if (fields < 16) ab_put_code(writer, (uint8_t)(0x80 | fields), 0, 0);
  else if (fields < 0x10000) ab_put_code(writer, 0xde, fields, 2);
  else ab_put_code(writer, 0xdf, fields, 4);
}

/** The outcome of a row that failed, with the line that says so. */
#define ab_put_failure(writer, message) ab_put_failure_at(writer, message, __FILE__, __LINE__)

static inline void ab_put_failure_of(ab_writer *writer, const char *code, const char *message, const char *file, int line) {
  ab_put_map(writer, 3);
  ab_put_text(writer, "code");
  ab_put_text(writer, code);
  ab_put_text(writer, "msg");
  ab_put_text(writer, message);
  ab_put_text(writer, "place");
  ab_put_map(writer, 2);
  ab_put_text(writer, "file");
  ab_put_text(writer, file);
  ab_put_text(writer, "line");
  ab_put_int(writer, line);
}

static inline void ab_put_failure_at(ab_writer *writer, const char *message, const char *file, int line) {
  ab_put_failure_of(writer, "CALC-THREW", message, file, line);
}

#endif
