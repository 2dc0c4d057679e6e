/* Kills the process it is loaded into (LD_PRELOAD) at a chosen point.
 *
 * A point is the moment just before or just after the process does something
 * that the world can see: it asks for its files to be made durable, it sends
 * to the gateway, it has read from the gateway or from a register, it tells a
 * register. Points are counted from one; the KILL_ATth is answered by SIGKILL.
 *
 *   KILL_AT      which point ends the process; none if absent
 *   KILL_STALL   nobody is killed: the point, or with -1 each point just before a
 *                sync, takes so many milliseconds
 *   KILL_LOG     a file that gets one line a point: number, kind, phase, what
 *   KILL_FOLDER  syncs of files below this folder are points, and so is the first
 *                write to a file named *-wal since the last sync: not one byte of
 *                the entry is in the kernel yet
 *   KILL_SLOW    that first write takes so many milliseconds longer, as on a slow
 *                disk: what does not wait for its entry comes before it
 *   KILL_FROM    "start" counts from the start; else counting begins when a
 *                register's request has been read that has this text in it
 *
 * Nothing else is changed and nothing else is written.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

static long kill_at;
static long slow, stall;
static atomic_int unsynced;
static int log_fd = -1;
static const char *folder, *from;
static atomic_long count;
static atomic_int counting;

/* What a file descriptor is to this test. */
enum side { OTHER, GATEWAY, REGISTER };

__attribute__((constructor)) static void start(void) {
    const char *at = getenv("KILL_AT"), *log = getenv("KILL_LOG");
    from = getenv("KILL_FROM");
    const char *slowness = getenv("KILL_SLOW");
    folder = getenv("KILL_FOLDER");
    const char *hangs = getenv("KILL_STALL");
    slow = slowness ? atol(slowness) : 0;
    stall = hangs ? atol(hangs) : 0;
    kill_at = at ? atol(at) : 0;
    if (log) log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (from && strcmp(from, "start") == 0) counting = 1;
}

static void point(const char *kind, const char *phase, const char *what) {
    if (!counting) return;
    int saved = errno;
    long number = atomic_fetch_add(&count, 1) + 1;
    if (log_fd >= 0) {
        char line[160];
        int length = snprintf(line, sizeof line, "%ld %s %s %s\n", number, kind, phase, what);
        /* By number, because write() below is ours. */
        if (length > 0 && length < (int)sizeof line) syscall(SYS_write, log_fd, line, length);
    }
    int is_sync = strcmp(kind, "journal") == 0 && strcmp(phase, "before") == 0;
    if (stall && (number == kill_at || (kill_at == -1 && is_sync))) {
        usleep(stall * 1000);
    } else if (number == kill_at) {
        kill(getpid(), SIGKILL);
        for (;;) pause();
    }
    errno = saved;
}

static enum side side_of(int fd) {
    int saved = errno, family = 0, type = 0;
    socklen_t size = sizeof family;
    enum side side = OTHER;
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) == 0) {
        size = sizeof type;
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
        if (type == SOCK_STREAM && family == AF_INET) side = GATEWAY;
        if (type == SOCK_STREAM && family == AF_UNIX) {
            /* A register's connection has the name of the socket; a pair that
             * the process made for itself has none. */
            struct sockaddr_un name;
            size = sizeof name;
            if (getsockname(fd, (struct sockaddr *)&name, &size) == 0 &&
                size > sizeof(sa_family_t) && name.sun_path[0] != 0)
                side = REGISTER;
        }
    }
    errno = saved;
    return side;
}

/* The gateway's method that is named in a buffer, if it can be read. */
static const char *method_in(const void *data, size_t size) {
    static const char *const methods[] = {"alipay.trade.pay", "alipay.trade.query",
                                          "alipay.trade.cancel", "alipay.trade.refund",
                                          "alipay.trade.fastpay.refund.query"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (memmem(data, size, methods[i], strlen(methods[i]))) return methods[i] + 13;
    return "-";
}

static int in_folder(int fd, char *path, size_t size) {
    char link[32];
    int saved = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, size - 1);
    path[length < 0 ? 0 : length] = 0;
    errno = saved;
    return folder && length > 0 && strncmp(path, folder, strlen(folder)) == 0;
}

#define REAL(name)                                                     \
    static __typeof__(&name) real;                                     \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

/* --- made durable ------------------------------------------------------- */

#define SYNC(name)                                                     \
    int name(int fd) {                                                 \
        REAL(name);                                                    \
        char path[512];                                                \
        if (!in_folder(fd, path, sizeof path)) return real(fd);        \
        const char *slash = strrchr(path, '/');                        \
        const char *file = slash ? slash + 1 : path;                   \
        point("journal", "before", file);                              \
        int result = real(fd);                                         \
        atomic_store(&unsynced, 0);                                    \
        point("journal", "after", file);                               \
        return result;                                                 \
    }

SYNC(fsync)
SYNC(fdatasync)

static void before_log(int fd) {
    char path[512];
    if (atomic_load(&unsynced) || !counting || !in_folder(fd, path, sizeof path)) return;
    size_t length = strlen(path);
    if (length < 4 || strcmp(path + length - 4, "-wal") != 0) return;
    atomic_store(&unsynced, 1);
    point("journal", "begin", strrchr(path, '/') + 1);
    usleep(slow * 1000);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
    REAL(pwrite);
    before_log(fd);
    return real(fd, data, size, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
    REAL(pwrite64);
    before_log(fd);
    return real(fd, data, size, offset);
}

/* --- sent and told ------------------------------------------------------ */

static enum side before_out(int fd, const void *data, size_t size, const char **what) {
    enum side side = side_of(fd);
    *what = side == GATEWAY ? method_in(data, size) : "-";
    if (side == GATEWAY) point("call", "before", *what);
    if (side == REGISTER) point("tell", "before", *what);
    if (side == OTHER) before_log(fd);
    return side;
}

static void after_out(enum side side, const char *what) {
    if (side == GATEWAY) point("call", "after", what);
    if (side == REGISTER) point("tell", "after", what);
}

static ssize_t first(const struct iovec *parts, int count) {
    return count > 0 && parts ? (ssize_t)parts[0].iov_len : 0;
}

#define OUT(data, size, call)                                          \
    do {                                                               \
        const char *what;                                              \
        enum side side = before_out(fd, data, size, &what);            \
        ssize_t result = call;                                         \
        after_out(side, what);                                         \
        return result;                                                 \
    } while (0)

ssize_t write(int fd, const void *data, size_t size) {
    REAL(write);
    OUT(data, size, real(fd, data, size));
}

ssize_t send(int fd, const void *data, size_t size, int flags) {
    REAL(send);
    OUT(data, size, real(fd, data, size, flags));
}

ssize_t sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *to,
               socklen_t to_size) {
    REAL(sendto);
    OUT(data, size, real(fd, data, size, flags, to, to_size));
}

ssize_t writev(int fd, const struct iovec *parts, int number) {
    REAL(writev);
    OUT(number > 0 ? parts[0].iov_base : "", first(parts, number), real(fd, parts, number));
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    REAL(sendmsg);
    const struct iovec *parts = message->msg_iov;
    int number = (int)message->msg_iovlen;
    OUT(number > 0 ? parts[0].iov_base : "", first(parts, number), real(fd, message, flags));
}

/* --- read --------------------------------------------------------------- */

/* Only what has come is a point: a read that finds nothing changes nothing. */
static void after_in(int fd, const void *data, ssize_t size) {
    if (size <= 0) return;
    enum side side = side_of(fd);
    if (side == REGISTER && from && memmem(data, size, from, strlen(from))) counting = 1;
    if (side == GATEWAY) point("answer", "after", "-");
    if (side == REGISTER) point("asked", "after", "-");
}

#define IN(data, call)                                                 \
    do {                                                               \
        ssize_t result = call;                                         \
        after_in(fd, data, result);                                    \
        return result;                                                 \
    } while (0)

ssize_t read(int fd, void *data, size_t size) {
    REAL(read);
    IN(data, real(fd, data, size));
}

ssize_t recv(int fd, void *data, size_t size, int flags) {
    REAL(recv);
    IN(data, real(fd, data, size, flags));
}

ssize_t recvfrom(int fd, void *data, size_t size, int flags, struct sockaddr *from,
                 socklen_t *from_size) {
    REAL(recvfrom);
    IN(data, real(fd, data, size, flags, from, from_size));
}

ssize_t readv(int fd, const struct iovec *parts, int number) {
    REAL(readv);
    IN(number > 0 ? parts[0].iov_base : "", real(fd, parts, number));
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
    REAL(recvmsg);
    IN(message->msg_iovlen > 0 ? message->msg_iov[0].iov_base : "", real(fd, message, flags));
}
