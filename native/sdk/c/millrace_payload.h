/*
 * Payloads for calculators in C: large values that a row names, read where the host has them. Header only, C99.
 *
 *   ab_payload frame;
 *   if (ab_payload_open(&frame, payloads, ab_field(row, "frame")) != AB_OK) ab_put_payload_failure(writer, &frame);
 *   else { ... frame.bytes, frame.length ...; ab_payload_close(&frame, payloads); }
 *
 * `payloads` is what ab_payloads_of said in ab_open. A payload is open until it is closed, at the latest until ab_batch returns:
 * use no byte of it later. Its bytes are read-only and begin at an address that 8 divides.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MILLRACE_PAYLOAD_H
#define MILLRACE_PAYLOAD_H

#include "millrace_calculator.h"
#include "millrace_msgpack.h"

static inline int32_t ab_payload_refused(ab_payload *payload, const char *code, const char *why) {
  payload->code = code;
  payload->why = why;
  return AB_FAILED;
}

/** The number of a format, or -1. */
static inline int ab_payload_format(ab_item name) {
  static const char *const names[] = {"raw", "msgpack", "json", "npy", "arrow"};
  for (int i = 0; i < 5; i++)
    if (ab_is_text(name, names[i])) return i;
  return -1;
}

static inline int ab_base64_sextet(char character) {
  if (character >= 'A' && character <= 'Z') return character - 'A';
  if (character >= 'a' && character <= 'z') return character - 'a' + 26;
  if (character >= '0' && character <= '9') return character - '0' + 52;
  return character == '+' ? 62 : character == '/' ? 63 : -1;
}

/** A payload that came inline gets memory of its own. */
static inline int32_t ab_payload_decode(ab_payload *payload, ab_item text) {
  size_t padding = 0, length = 0;
  uint32_t bits = 0;
  while (padding < 2 && padding < text.length && text.text[text.length - 1 - padding] == '=') padding++;
  uint8_t *bytes = (uint8_t *)malloc(text.length + 1);
  if (bytes == NULL) return ab_payload_refused(payload, "CALC-OOM", "no memory for a payload");
  bool failed = text.length % 4 != 0;
  for (size_t i = 0; i < text.length - padding && !failed; i++) {
    int sextet = ab_base64_sextet(text.text[i]);
    failed = sextet < 0;
    bits = bits << 6 | ((uint32_t)sextet & 63);
    if (i % 4 != 0) bytes[length++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
  }
  if (failed) {
    free(bytes);
    return ab_payload_refused(payload, "PAYLOAD-VALUE", "the bytes of a payload are no base64");
  }
  payload->bytes = bytes;
  payload->length = length;
  return AB_OK;
}

/** Opens the payload that `value` is. AB_FAILED: `payload->code` and `payload->why` say why, for the time of the batch. */
static inline int32_t ab_payload_open(ab_payload *payload, const ab_payloads *payloads, ab_reader value) {
  memset(payload, 0, sizeof *payload);
  payload->struct_size = sizeof *payload;
  ab_reader body = ab_field(value, "$payload");
  int format = body.failed ? -1 : ab_payload_format(ab_get(body, "format"));
  if (format < 0) return ab_payload_refused(payload, "PAYLOAD-VALUE", "the value that was to be opened is no payload");
  ab_item text = ab_get(body, "base64"), sha256 = ab_get(body, "sha256");
  payload->format = (uint32_t)format;
  if (text.kind == AB_TEXT) return ab_payload_decode(payload, text);
  if (payloads == NULL)
    return ab_payload_refused(payload, "PAYLOAD-UNREACHABLE",
                              "references to payloads cannot be opened where this calculator runs (WebAssembly, or inline)");
  if (sha256.kind != AB_TEXT)
    return ab_payload_refused(payload, "PAYLOAD-VALUE", "only payloads of the row can be opened");
  int32_t status = payloads->open(payloads->context, sha256.text, sha256.length, payload);
  if (status != AB_OK && (payload->code == NULL || payload->why == NULL))
    return ab_payload_refused(payload, "PAYLOAD-UNREACHABLE", "the host opens payloads in another way");
  return status;
}

/** Gives it back. One that failed to open may be closed too. */
static inline void ab_payload_close(ab_payload *payload, const ab_payloads *payloads) {
  if (payload->handle != 0) payloads->close(payloads->context, payload);
  else if (payload->bytes != NULL) free((void *)payload->bytes);
  memset(payload, 0, sizeof *payload);
}

/** The outcome of a row whose payload does not open, with the line that says so. */
#define ab_put_payload_failure(writer, payload) \
  ab_put_failure_of(writer, (payload)->code, (payload)->why, __FILE__, __LINE__)

/** Bytes for a result, with the number of their format. At most 15 MiB for a message. */
static inline void ab_put_payload(ab_writer *writer, const void *bytes, size_t length, uint32_t format) {
  static const char *const names[] = {"raw", "msgpack", "json", "npy", "arrow"};
  ab_put_map(writer, 1);
  ab_put_text(writer, "$payload");
  ab_put_map(writer, 2);
  ab_put_text(writer, "format");
  ab_put_text(writer, names[format <= AB_PAYLOAD_ARROW ? format : AB_PAYLOAD_RAW]);
  ab_put_text(writer, "bytes");
  ab_put_bytes(writer, bytes, length);
}

#define AB_NPY_DIMENSIONS_MAX 32

/** An array in NumPy's format (numpy.lib.format, versions 1 to 3), where it lies. */
typedef struct ab_npy {
  /** As NumPy says it, such as `<f8`: byte order (`<`, `>`, `|` for none), kind, bytes of an item. Not terminated. */
  const char *type;
  size_t type_length;
  /** Bytes of an item. */
  size_t item_bytes;
  bool is_fortran;
  size_t dimensions;
  size_t shape[AB_NPY_DIMENSIONS_MAX];
  /** Product of the shape. */
  size_t items;
  const void *data;
} ab_npy;

/** What follows a key of the header, a literal of Python; null where there is no such key. */
static inline const char *ab_npy_field(const char *header, const char *end, const char *key) {
  size_t length = strlen(key);
  for (; (size_t)(end - header) > length; header++)
    if (memcmp(header, key, length) == 0) {
      header += length;
      while (header < end && *header == ' ') header++;
      return header;
    }
  return NULL;
}

/** Whether all sizes were read and their product fits. */
static inline bool ab_npy_shape(ab_npy *array, const char *at, const char *end) {
  array->items = 1;
  if (at == NULL || at == end || *at++ != '(') return false;
  while (at < end && *at != ')') {
    if (*at == ',' || *at == ' ') {
      at++;
      continue;
    }
    size_t size = 0;
    if (*at < '0' || *at > '9' || array->dimensions == AB_NPY_DIMENSIONS_MAX) return false;
    for (; at < end && *at >= '0' && *at <= '9'; at++) {
      if (size > (SIZE_MAX - 9) / 10) return false;
      size = 10 * size + (size_t)(*at - '0');
    }
    array->shape[array->dimensions++] = size;
    if (size != 0 && array->items > SIZE_MAX / size) return false;
    array->items *= size;
  }
  return at < end;
}

/** Reads the header; false for what is no array of numbers, is longer than its bytes, or does not lie on its items' size. */
static inline bool ab_npy_read(ab_npy *array, const uint8_t *bytes, size_t length) {
  memset(array, 0, sizeof *array);
  if (length < 12 || memcmp(bytes, "\x93NUMPY", 6) != 0 || bytes[6] < 1 || bytes[6] > 3) return false;
  size_t start = bytes[6] == 1 ? 10 : 12, size = (size_t)bytes[8] | (size_t)bytes[9] << 8;
  if (start == 12) size |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
  if (size > length - start) return false;
  const char *header = (const char *)bytes + start, *end = header + size;
  const char *type = ab_npy_field(header, end, "'descr':"), *order = ab_npy_field(header, end, "'fortran_order':");
  if (type == NULL || end - type < 5 || *type++ != '\'' || strchr("biufc", type[1]) == NULL) return false;
  array->type = type;
  while (type + array->type_length < end && type[array->type_length] != '\'') array->type_length++;
  for (size_t i = 2; i < array->type_length && i < 5; i++) {
    if (type[i] < '0' || type[i] > '9') return false;
    array->item_bytes = 10 * array->item_bytes + (size_t)(type[i] - '0');
  }
  array->is_fortran = order != NULL && order < end && *order == 'T';
  array->data = bytes + start + size;
  if (array->item_bytes == 0 || !ab_npy_shape(array, ab_npy_field(header, end, "'shape':"), end)) return false;
  size_t alignment = array->item_bytes > 8 ? 8 : array->item_bytes;
  return array->items <= (length - start - size) / array->item_bytes && (uintptr_t)array->data % alignment == 0;
}

/** Whether its items are of a type, such as "<f8". */
static inline bool ab_npy_is(const ab_npy *array, const char *type) {
  return array->type_length == strlen(type) && memcmp(array->type, type, array->type_length) == 0;
}

#endif
