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
#define STAT_VERSION 1
#elif defined(__aarch64__)
#define BASE "GLIBC_2.17"
#define STAT_VERSION 0
#endif

#ifdef BASE
#define OLD(name) __asm__(".symver old_" #name "," #name "@" BASE)
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

int old___xstat64(int version, const char *path, void *into);
__asm__(".symver old___xstat64,__xstat64@" BASE);
HIDDEN int stat64(const char *path, void *into) { return old___xstat64(STAT_VERSION, path, into); }

int old___fxstat64(int version, int fd, void *into);
__asm__(".symver old___fxstat64,__fxstat64@" BASE);
HIDDEN int fstat64(int fd, void *into) { return old___fxstat64(STAT_VERSION, fd, into); }

HIDDEN pid_t gettid(void) { return (pid_t)syscall(SYS_gettid); }
#endif
