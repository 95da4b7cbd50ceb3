/*
 * Preloaded into a process, fails its disk calls on purpose, by file, as libfiu cannot:
 *   BLOCK_WRITE_FAILS_AT=n   the n-th synchronous write to a log segment fails with EIO, and every one after it
 *   BLOCK_WRITE_KILLS_AT=n   the process is killed within the n-th synchronous write to a log segment, which has done the first half of it
 *   SEGMENT_SYNC_FAILS=n     the first n syncs of a segment in preparation fail with EIO
 *   STORE_SYNC_FAILS_AT=n    the n-th sync of an LMDB file fails with EIO
 *   DATABASE_FULL_FROM=n     from the n-th write to a SQLite file or its journal on so many writes fail with ENOSPC:
 *   DATABASE_FULL_WRITES=n   how many; each is told on stderr
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECTOR_BYTES 512

static int isNamed(int fd, const char *suffix) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  size_t end = strlen(suffix);
  return length > (ssize_t)end && memcmp(path + length - end, suffix, end) == 0;
}

static int numberOf(const char *name) {
  const char *text = getenv(name);
  return text == NULL ? 0 : atoi(text);
}

static int isBlockWrite(int fd) { return (fcntl(fd, F_GETFL) & O_DSYNC) != 0 && isNamed(fd, ".seg"); }

static int isFailingWrite(int fd) {
  static int writes = 0;
  int failsAt = numberOf("BLOCK_WRITE_FAILS_AT");
  if (failsAt == 0 || !isBlockWrite(fd)) return 0;
  return __atomic_add_fetch(&writes, 1, __ATOMIC_SEQ_CST) >= failsAt;
}

static int isLastWrite(int fd) {
  static int writes = 0;
  int killsAt = numberOf("BLOCK_WRITE_KILLS_AT");
  if (killsAt == 0 || !isBlockWrite(fd)) return 0;
  return __atomic_add_fetch(&writes, 1, __ATOMIC_SEQ_CST) == killsAt;
}

static int isFailingSync(int fd) {
  static int syncs = 0;
  int fails = numberOf("SEGMENT_SYNC_FAILS");
  if (fails == 0 || !isNamed(fd, ".seg.tmp")) return 0;
  return __atomic_add_fetch(&syncs, 1, __ATOMIC_SEQ_CST) <= fails;
}

static int isFailingStore(int fd) {
  static int syncs = 0;
  int failsAt = numberOf("STORE_SYNC_FAILS_AT");
  if (failsAt == 0 || !isNamed(fd, ".mdb")) return 0;
  return __atomic_add_fetch(&syncs, 1, __ATOMIC_SEQ_CST) == failsAt;
}

static int isOutOfSpace(int fd) {
  static int writes = 0;
  int from = numberOf("DATABASE_FULL_FROM");
  if (from == 0 || !(isNamed(fd, ".db") || isNamed(fd, ".db-wal") || isNamed(fd, ".db-journal"))) return 0;
  int write = __atomic_add_fetch(&writes, 1, __ATOMIC_SEQ_CST);
  return write >= from && write < from + numberOf("DATABASE_FULL_WRITES");
}

static int failed(void) {
  errno = EIO;
  return -1;
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
  static ssize_t (*next)(int, const void *, size_t, off64_t);
  if (isFailingWrite(fd)) return failed();
  if (isOutOfSpace(fd)) {
    dprintf(2, "out of space\n");
    errno = ENOSPC;
    return -1;
  }
  if (next == NULL) next = dlsym(RTLD_NEXT, "pwrite64");
  if (isLastWrite(fd)) {
    next(fd, bytes, count / SECTOR_BYTES / 2 * SECTOR_BYTES, offset);
    kill(getpid(), SIGKILL);
  }
  return next(fd, bytes, count, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) { return pwrite64(fd, bytes, count, offset); }

int fsync(int fd) {
  static int (*next)(int);
  if (isFailingSync(fd)) return failed();
  if (next == NULL) next = dlsym(RTLD_NEXT, "fsync");
  return next(fd);
}

int fdatasync(int fd) {
  static int (*next)(int);
  if (isFailingStore(fd)) return failed();
  if (next == NULL) next = dlsym(RTLD_NEXT, "fdatasync");
  return next(fd);
}
