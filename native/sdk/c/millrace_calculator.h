/*
 * The C ABI of Millrace's calculators, version 1: what a shared library exports so that it can be used as
 * `{ kind: calculator, use: ./score.so }`. C, C++ and Rust calculators are all of this form; the same functions compiled to
 * WebAssembly are a `.wasm` calculator. The frames around it are described in PROTOCOL.md.
 *
 * Rules. Calls for one state come one at a time, of any thread. Nothing unwinds or jumps out of a function. What is handed
 * in is the host's memory, valid for the time of the call; what is handed out is the calculator's memory, valid until the
 * next call with the same state. Nobody frees the other's memory. Structures begin with their size and may grow at the end.
 * Functions return AB_OK, or AB_FAILED, and then ab_last_error() says why.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MILLRACE_CALCULATOR_H
#define MILLRACE_CALCULATOR_H

#include <stddef.h>
#include <stdint.h>

#define AB_ABI_VERSION 1u

/** Return values. */
#define AB_OK 0
#define AB_FAILED 1

/** Formats of views. One msgpack value is the only one yet. */
#define AB_MSGPACK 1u

#if defined(__wasm__)
#define AB_EXPORT(name) __attribute__((export_name(#name)))
#else
#define AB_EXPORT(name) __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** Formats of payloads. */
#define AB_PAYLOAD_RAW 0u
#define AB_PAYLOAD_MSGPACK 1u
#define AB_PAYLOAD_JSON 2u
#define AB_PAYLOAD_NPY 3u
#define AB_PAYLOAD_ARROW 4u

/** An opened payload, or why it is none. `struct_size` is set by whoever asks. */
typedef struct ab_payload {
  uint32_t struct_size;
  uint32_t format;
  /** Read-only, where the host has them: pages of its file, not a copy. */
  const uint8_t *bytes;
  size_t length;
  /** The host's; 0: there is nothing to give back. */
  uintptr_t handle;
  /** Of one that does not open: PAYLOAD-VALUE, PAYLOAD-MISSING, PAYLOAD-UNREACHABLE, CALC-THREW. */
  const char *code;
  const char *why;
} ab_payload;

/**
 * Opens the payloads that the rows of a batch name (`{"$payload": {"format", "length", "sha256"}}`), on any thread, while ab_batch
 * runs. What is open is closed by `close`, at the latest when ab_batch returns. millrace_payload.h uses it.
 */
typedef struct ab_payloads {
  uint32_t struct_size;
  uint32_t reserved;
  void *context;
  /** `sha256`: `length` hex digits. AB_OK, or AB_FAILED and then `code` and `why`, texts of the host's for the time of the batch. */
  int32_t (*open)(void *context, const char *sha256, size_t length, ab_payload *payload);
  void (*close)(void *context, ab_payload *payload);
} ab_payloads;

/** Where a calculator runs. The texts live as long as its state. */
typedef struct ab_host {
  uint32_t struct_size;
  uint32_t reserved;
  const char *graph;
  const char *node;
  /** Null where no payload by reference can be opened; lives as the texts do. Older hosts end before it: ask ab_payloads_of. */
  const ab_payloads *payloads;
} ab_host;

/** What opens payloads, or null. */
static inline const ab_payloads *ab_payloads_of(const ab_host *host) {
  return host->struct_size >= offsetof(ab_host, payloads) + sizeof host->payloads ? host->payloads : NULL;
}

/** What the host hands in. */
typedef struct ab_view {
  uint32_t struct_size;
  uint32_t format;
  const uint8_t *bytes;
  size_t length;
  /** For a batch the time of the step in ms since 1970: the same again in a replay, unlike the machine's clock. */
  double at_ms;
} ab_view;

/** What the calculator hands out. */
typedef struct ab_out {
  uint32_t struct_size;
  uint32_t format;
  const uint8_t *bytes;
  size_t length;
} ab_out;

/** AB_ABI_VERSION as the library was compiled with it; a host that knows another one does not load it. */
AB_EXPORT(ab_abi_version) uint32_t ab_abi_version(void);

/** A new instance; `config` is the node's, or nil. Several may live at a time. */
AB_EXPORT(ab_open) int32_t ab_open(const ab_view *config, const ab_host *host, void **state);

/** A map `{ stateful: boolean, details: what people see beside the node }`. */
AB_EXPORT(ab_describe) int32_t ab_describe(void *state, ab_out *out);

/**
 * `rows` is a list of messages; `out` becomes a list with one item per message: nil (it is dropped), a list of messages, or a
 * map `{ code: "CALC-THREW", msg: text, place?: { file, line } }` for one that failed, where the code may be that of a payload too.
 * A message may have `{"$payload": {"format", "bytes"}}` in it, with bytes of msgpack: a payload that the host puts into its store.
 * A calculator that keeps state ends its list with the first failure. AB_FAILED says that the batch as a whole has no answer: its rows come again one at a time, of
 * a calculator that keeps state in another process, with the state from before the batch.
 */
AB_EXPORT(ab_batch) int32_t ab_batch(void *state, const ab_view *rows, ab_out *out);

/** The state, for a calculator that says `stateful`; others need not have it. Bytes are allowed in it. */
AB_EXPORT(ab_snapshot) int32_t ab_snapshot(void *state, ab_out *out);

/** Takes over what a snapshot gave; called on a new instance. */
AB_EXPORT(ab_restore) int32_t ab_restore(void *state, const ab_view *snapshot);

AB_EXPORT(ab_close) void ab_close(void *state);

/** Why the last call on this thread failed, as UTF-8. Never null. */
AB_EXPORT(ab_last_error) const char *ab_last_error(void);

#if defined(__wasm__)
/** A module has a memory of its own, into which its host writes. */
AB_EXPORT(ab_alloc) void *ab_alloc(size_t length);
AB_EXPORT(ab_free) void ab_free(void *bytes, size_t length);
#endif

#ifdef __cplusplus
}
#endif

#endif
