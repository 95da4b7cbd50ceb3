/*
 * Reads a payload environment through the system's LMDB, as a tool would, until standard input ends: every record in a read
 * transaction of its own round, and a dot for each round. Prints "records N wrong M", and the number of the last round's records.
 */
#include <lmdb.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static uint64_t word_at(const unsigned char *bytes) {
  uint64_t word;
  memcpy(&word, bytes, sizeof word);
  return word;
}

/* The key is the id, big endian; the header says it again; a payload is one byte over and over. */
static int is_right(const MDB_val *key, const MDB_val *value) {
  const unsigned char *record = value->mv_data;
  uint64_t id = __builtin_bswap64(word_at(key->mv_data));
  uint64_t length = word_at(record + 16);
  if (memcmp(record, "LODG", 4) != 0 || word_at(record + 8) != id || length + 48 > value->mv_size) return 0;
  for (uint64_t at = 48; at < 48 + length; at++) {
    if (record[at] != record[48]) return 0;
  }
  return 1;
}

static int check(int code, const char *what) {
  if (code != 0) fprintf(stderr, "%s: %s\n", what, mdb_strerror(code));
  return code;
}

int main(int argc, char **argv) {
  MDB_env *env;
  MDB_dbi dbi;
  unsigned long records = 0, wrong = 0, last = 0;
  if (argc != 2 || check(mdb_env_create(&env), "create")) return 1;
  if (check(mdb_env_open(env, argv[1], MDB_NOSUBDIR | MDB_RDONLY, 0600), "open")) return 1;
  printf("%s\n", mdb_version(NULL, NULL, NULL));
  fflush(stdout);
  for (int ends = 0; !ends;) {
    struct pollfd input = {0, POLLIN, 0};
    ends = poll(&input, 1, 0) > 0;
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val key, value;
    int code = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
    if (code == MDB_MAP_RESIZED) code = mdb_env_set_mapsize(env, 0) || mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
    if (check(code, "begin") || check(mdb_dbi_open(txn, NULL, 0, &dbi), "dbi")) return 1;
    if (check(mdb_cursor_open(txn, dbi, &cursor), "cursor")) return 1;
    for (last = 0; mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0; last++) wrong += !is_right(&key, &value);
    records += last;
    putchar('.');
    fflush(stdout);
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
  }
  printf("records %lu wrong %lu last %lu\n", records, wrong, last);
  return 0;
}
