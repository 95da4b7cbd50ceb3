/*
 * Lets an addon that was linked on a newer glibc load on 2.28. Rust's standard library refers to these functions without a
 * version, so the linker takes the newest: dl* and pthread_* moved into libc with 2.34, stat64 and fstat64 became functions
 * with 2.33, gettid came with 2.30. The definitions here are hidden, serve this addon alone and lead to the old versions.
 */
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#if defined(__x86_64__)
#define BASE "GLIBC_2.2.5"
#define ROBUST "GLIBC_2.12"
#define STAT_AT "GLIBC_2.4"
#define STAT_VERSION 1
#elif defined(__aarch64__)
#define BASE "GLIBC_2.17"
#define ROBUST "GLIBC_2.17"
#define STAT_AT "GLIBC_2.17"
#define STAT_VERSION 0
#endif

#ifdef BASE
#define OLD_AT(name, version) __asm__(".symver old_" #name "," #name "@" version)
#define OLD(name) OLD_AT(name, BASE)
#define HIDDEN __attribute__((visibility("hidden")))

void *old_dlopen(const char *path, int flags);
OLD(dlopen);
HIDDEN void *dlopen(const char *path, int flags) { return old_dlopen(path, flags); }

void *old_dlsym(void *handle, const char *name);
OLD(dlsym);
HIDDEN void *dlsym(void *handle, const char *name) { return old_dlsym(handle, name); }

char *old_dlerror(void);
OLD(dlerror);
HIDDEN char *dlerror(void) { return old_dlerror(); }

int old_dlclose(void *handle);
OLD(dlclose);
HIDDEN int dlclose(void *handle) { return old_dlclose(handle); }

int old_pthread_key_create(unsigned *key, void (*destructor)(void *));
OLD(pthread_key_create);
HIDDEN int pthread_key_create(unsigned *key, void (*destructor)(void *)) {
  return old_pthread_key_create(key, destructor);
}

int old_pthread_key_delete(unsigned key);
OLD(pthread_key_delete);
HIDDEN int pthread_key_delete(unsigned key) { return old_pthread_key_delete(key); }

int old_pthread_setspecific(unsigned key, const void *value);
OLD(pthread_setspecific);
HIDDEN int pthread_setspecific(unsigned key, const void *value) { return old_pthread_setspecific(key, value); }

void *old_pthread_getspecific(unsigned key);
OLD(pthread_getspecific);
HIDDEN void *pthread_getspecific(unsigned key) { return old_pthread_getspecific(key); }

int old_dladdr(const void *address, void *info);
OLD(dladdr);
HIDDEN int dladdr(const void *address, void *info) { return old_dladdr(address, info); }

int old_pthread_create(unsigned long *thread, const void *attr, void *(*start)(void *), void *argument);
OLD(pthread_create);
HIDDEN int pthread_create(unsigned long *thread, const void *attr, void *(*start)(void *), void *argument) {
  return old_pthread_create(thread, attr, start, argument);
}

int old_pthread_join(unsigned long thread, void **result);
OLD(pthread_join);
HIDDEN int pthread_join(unsigned long thread, void **result) { return old_pthread_join(thread, result); }

int old_pthread_detach(unsigned long thread);
OLD(pthread_detach);
HIDDEN int pthread_detach(unsigned long thread) { return old_pthread_detach(thread); }

int old_pthread_attr_setstacksize(void *attr, size_t bytes);
OLD(pthread_attr_setstacksize);
HIDDEN int pthread_attr_setstacksize(void *attr, size_t bytes) { return old_pthread_attr_setstacksize(attr, bytes); }

int old_pthread_setname_np(unsigned long thread, const char *name);
OLD_AT(pthread_setname_np, ROBUST);
HIDDEN int pthread_setname_np(unsigned long thread, const char *name) { return old_pthread_setname_np(thread, name); }

int old_pthread_mutex_consistent(void *mutex);
OLD_AT(pthread_mutex_consistent, ROBUST);
HIDDEN int pthread_mutex_consistent(void *mutex) { return old_pthread_mutex_consistent(mutex); }

int old_pthread_mutexattr_init(void *attr);
OLD(pthread_mutexattr_init);
HIDDEN int pthread_mutexattr_init(void *attr) { return old_pthread_mutexattr_init(attr); }

int old_pthread_mutexattr_destroy(void *attr);
OLD(pthread_mutexattr_destroy);
HIDDEN int pthread_mutexattr_destroy(void *attr) { return old_pthread_mutexattr_destroy(attr); }

int old_pthread_mutexattr_setpshared(void *attr, int shared);
OLD(pthread_mutexattr_setpshared);
HIDDEN int pthread_mutexattr_setpshared(void *attr, int shared) { return old_pthread_mutexattr_setpshared(attr, shared); }

int old_pthread_mutexattr_setrobust(void *attr, int robust);
OLD_AT(pthread_mutexattr_setrobust, ROBUST);
HIDDEN int pthread_mutexattr_setrobust(void *attr, int robust) { return old_pthread_mutexattr_setrobust(attr, robust); }

int old___xstat64(int version, const char *path, void *into);
OLD(__xstat64);
HIDDEN int stat64(const char *path, void *into) { return old___xstat64(STAT_VERSION, path, into); }

int old___lxstat64(int version, const char *path, void *into);
OLD(__lxstat64);
HIDDEN int lstat64(const char *path, void *into) { return old___lxstat64(STAT_VERSION, path, into); }

int old___fxstat64(int version, int fd, void *into);
OLD(__fxstat64);
HIDDEN int fstat64(int fd, void *into) { return old___fxstat64(STAT_VERSION, fd, into); }

int old___fxstatat64(int version, int dir, const char *path, void *into, int flags);
OLD_AT(__fxstatat64, STAT_AT);
HIDDEN int fstatat64(int dir, const char *path, void *into, int flags) {
  return old___fxstatat64(STAT_VERSION, dir, path, into, flags);
}

HIDDEN pid_t gettid(void) { return (pid_t)syscall(SYS_gettid); }
#endif
