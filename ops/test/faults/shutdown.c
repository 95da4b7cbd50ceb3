/* Cuts the power of a file system: EXT4_IOC_SHUTDOWN without flushing its log, the method of xfstests. */
#include <fcntl.h>
#include <linux/types.h>
#include <stdio.h>
#include <sys/ioctl.h>

#define SHUTDOWN _IOR('X', 125, __u32)
#define NO_LOG_FLUSH 2

int main(int argc, char **argv) {
  __u32 how = NO_LOG_FLUSH;
  int fd = argc == 2 ? open(argv[1], O_RDONLY | O_DIRECTORY) : -1;
  if (fd < 0 || ioctl(fd, SHUTDOWN, &how) != 0) {
    perror("shutdown");
    return 1;
  }
  return 0;
}
