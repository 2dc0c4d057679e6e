/* Another world for the process it is loaded into (LD_PRELOAD): its clocks run as
 * a test sets them, and its disk hangs while a test wants that.
 *
 * WORLD_FILE is a file of three 64-bit numbers, which may change at any time:
 *
 *   what to add to the wall clock, in milliseconds
 *   what to add to CLOCK_BOOTTIME, in milliseconds
 *   not zero: fsync and fdatasync do not come back
 *
 * CLOCK_MONOTONIC is as it is, so a box that "slept" has a larger CLOCK_BOOTTIME.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *world;

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("WORLD_FILE");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *seen = mmap(NULL, 3 * sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
    if (seen != MAP_FAILED) world = seen;
    close(fd);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (__typeof__(real))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, time);
    int64_t add = 0;
    if (world && clock == CLOCK_REALTIME) add = world[0];
    if (world && clock == CLOCK_BOOTTIME) add = world[1];
    if (result == 0 && add != 0) {
        int64_t nanos = time->tv_nsec + (add % 1000) * 1000000;
        time->tv_sec += add / 1000 + (nanos < 0 ? -1 : nanos >= 1000000000 ? 1 : 0);
        time->tv_nsec = nanos < 0 ? nanos + 1000000000 : nanos % 1000000000;
    }
    return result;
}

#define SYNC(name)                                                     \
    int name(int fd) {                                                 \
        static int (*real)(int);                                       \
        if (!real) real = (__typeof__(real))dlsym(RTLD_NEXT, #name);   \
        while (world && world[2]) usleep(10000);                       \
        return real(fd);                                               \
    }

SYNC(fsync)
SYNC(fdatasync)
