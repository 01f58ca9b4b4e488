// Stands between a process and one of its files: makes a write or a sync fail, makes syncs slow, or records all of
// them. And between a process and its wall clock.
//
// For LD_PRELOAD, in tests. Environment:
//   STORAGE_FAULTS_FILE    files whose path ends so are meant
//   STORAGE_FAULTS_FAULT   kind:n:error, e.g. "sync:7:5" or "write:3:28": the n-th call of the kind, counted from 1
//                          and from the start of the process, fails with that error number; "write:3:0" writes half
//                          and says so
//   STORAGE_FAULTS_EACH    a file; while it holds such words ("write:7:5 sync:3:5"), every n-th call of the kind fails,
//                          counted from the start of the process
//   STORAGE_FAULTS_REPORT  gets one line whenever a fault has struck
//   STORAGE_FAULTS_DELAY   a file; while it holds a number of milliseconds, every sync takes so much longer
//   STORAGE_FAULTS_CLOCK   a file; while it holds a number of seconds, the wall clock is so far ahead
//   STORAGE_FAULTS_RECORD  gets every write and sync, in order: kind (1: 1 write, 2 write that is durable when it
//                          returns, 3 sync, 4 new length), inode of the file (7), offset or length (8), byte count
//                          (8), bytes; little-endian
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static ssize_t (*next_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*next_writev)(int, const struct iovec *, int);
static int (*next_fdatasync)(int);
static int (*next_fsync)(int);
static int (*next_ftruncate)(int, off_t);
static int (*next_clock_gettime)(clockid_t, struct timespec *);
static int (*next_gettimeofday)(struct timeval *, void *);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *meant;
static const char *report;
static const char *delay_file;
static const char *each_file;
static const char *clock_file;
static int record = -1;
static int fault_is_sync;
static long fault_at;
static int fault_error;
static long write_count;
static long sync_count;

__attribute__((constructor)) static void begin(void) {
    next_pwrite = dlsym(RTLD_NEXT, "pwrite");
    next_writev = dlsym(RTLD_NEXT, "writev");
    next_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    next_fsync = dlsym(RTLD_NEXT, "fsync");
    next_ftruncate = dlsym(RTLD_NEXT, "ftruncate");
    next_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    next_gettimeofday = dlsym(RTLD_NEXT, "gettimeofday");
    meant = getenv("STORAGE_FAULTS_FILE");
    delay_file = getenv("STORAGE_FAULTS_DELAY");
    each_file = getenv("STORAGE_FAULTS_EACH");
    clock_file = getenv("STORAGE_FAULTS_CLOCK");
    report = getenv("STORAGE_FAULTS_REPORT");
    const char *fault = getenv("STORAGE_FAULTS_FAULT");
    char kind[8];
    if (fault && sscanf(fault, "%7[a-z]:%ld:%d", kind, &fault_at, &fault_error) == 3) {
        fault_is_sync = strcmp(kind, "sync") == 0;
    } else {
        fault_at = 0;
    }
    const char *path = getenv("STORAGE_FAULTS_RECORD");
    if (path) record = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

// The number that a file holds; 0 without one.
static long number_in(const char *path) {
    if (!path) return 0;
    int saved = errno;
    char text[32] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        if (read(fd, text, sizeof text - 1) < 0) text[0] = 0;
        close(fd);
    }
    errno = saved;
    return atol(text);
}

// Looked at ten times a second: the clock is asked for all the time.
static long clock_shift(void) {
    static long shift, looked = -1;
    struct timespec now;
    next_clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    long tenth = now.tv_sec * 10 + now.tv_nsec / 100000000;
    if (__atomic_exchange_n(&looked, tenth, __ATOMIC_RELAXED) != tenth) {
        __atomic_store_n(&shift, number_in(clock_file), __ATOMIC_RELAXED);
    }
    return __atomic_load_n(&shift, __ATOMIC_RELAXED);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    // Before the constructor.
    if (!next_clock_gettime) next_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    int result = next_clock_gettime(clock, time);
    if (result == 0 && clock_file && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        time->tv_sec += clock_shift();
    }
    return result;
}

int gettimeofday(struct timeval *time, void *zone) {
    if (!next_gettimeofday) next_gettimeofday = dlsym(RTLD_NEXT, "gettimeofday");
    int result = next_gettimeofday(time, zone);
    if (result == 0 && clock_file) time->tv_sec += clock_shift();
    return result;
}

static int is_meant(int fd) {
    if (!meant) return 0;
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    size_t ending = strlen(meant);
    return length >= (ssize_t)ending && memcmp(path + length - ending, meant, ending) == 0;
}

// Whether this call of a kind is one of those that are to fail for now. The error number, 0 for a write of half, or -1.
static int error_of_each(int is_sync, long count) {
    if (!each_file) return -1;
    char text[128] = {0}, kind[8];
    int fd = open(each_file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    if (read(fd, text, sizeof text - 1) < 0) text[0] = 0;
    close(fd);
    char *rest = NULL;
    for (char *word = strtok_r(text, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest)) {
        long interval;
        int error;
        if (sscanf(word, "%7[a-z]:%ld:%d", kind, &interval, &error) == 3 && interval > 0
            && is_sync == (strcmp(kind, "sync") == 0) && count % interval == 0) return error;
    }
    return -1;
}

// Whether the call that is being made is to fail, and how: fault_error. Under the lock.
static int strikes(int is_sync) {
    long count = is_sync ? ++sync_count : ++write_count;
    int error = error_of_each(is_sync, count);
    if (error >= 0) {
        fault_error = error;
    } else if (fault_at == 0 || is_sync != fault_is_sync || count != fault_at) {
        return 0;
    }
    if (report) {
        int fd = open(report, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        if (fd >= 0) {
            dprintf(fd, "%s %ld\n", is_sync ? "sync" : "write", count);
            close(fd);
        }
    }
    return 1;
}

static void note(int fd, uint8_t kind, uint64_t offset, const struct iovec *parts, int count, size_t byte_count) {
    if (record < 0) return;
    struct stat status;
    uint64_t inode = fstat(fd, &status) == 0 ? status.st_ino : 0;
    uint8_t head[24] = {kind};
    memcpy(head + 1, &inode, 7);
    uint64_t length = byte_count;
    memcpy(head + 8, &offset, 8);
    memcpy(head + 16, &length, 8);
    struct iovec out[1 + 64] = {{head, sizeof head}};
    size_t left = byte_count;
    int used = 1;
    for (int part = 0; part < count && left > 0 && used < 65; part++) {
        out[used] = parts[part];
        if (out[used].iov_len > left) out[used].iov_len = left;
        left -= out[used++].iov_len;
    }
    // One call, so that what was recorded is whole whenever the process ends.
    if (left != 0 || next_writev(record, out, used) != (ssize_t)(sizeof head + byte_count)) abort();
}

static uint8_t write_kind(int fd) { return fcntl(fd, F_GETFL) & O_DSYNC ? 2 : 1; }

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
    if (!is_meant(fd)) return next_pwrite(fd, bytes, count, offset);
    pthread_mutex_lock(&lock);
    ssize_t result;
    if (strikes(0)) {
        if (fault_error) {
            errno = fault_error;
            result = -1;
        } else {
            result = next_pwrite(fd, bytes, count / 2, offset);
        }
    } else {
        result = next_pwrite(fd, bytes, count, offset);
    }
    if (result > 0) {
        struct iovec part = {(void *)bytes, (size_t)result};
        note(fd, write_kind(fd), (uint64_t)offset, &part, 1, (size_t)result);
    }
    int saved = errno;
    pthread_mutex_unlock(&lock);
    errno = saved;
    return result;
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off_t offset) { return pwrite(fd, bytes, count, offset); }

ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (!is_meant(fd)) return next_writev(fd, parts, count);
    pthread_mutex_lock(&lock);
    off_t offset = lseek(fd, 0, SEEK_CUR);
    ssize_t result;
    if (strikes(0)) {
        if (fault_error) {
            errno = fault_error;
            result = -1;
        } else {
            result = next_writev(fd, parts, count > 1 ? count / 2 : 1);
        }
    } else {
        result = next_writev(fd, parts, count);
    }
    if (result > 0) note(fd, write_kind(fd), (uint64_t)offset, parts, count, (size_t)result);
    int saved = errno;
    pthread_mutex_unlock(&lock);
    errno = saved;
    return result;
}

static int sync_file(int fd, int (*next)(int)) {
    if (!is_meant(fd)) return next(fd);
    long delay = number_in(delay_file);
    if (delay > 0) usleep((useconds_t)delay * 1000);
    pthread_mutex_lock(&lock);
    int result;
    if (strikes(1)) {
        errno = fault_error;
        result = -1;
    } else {
        result = next(fd);
    }
    if (result == 0) note(fd, 3, 0, NULL, 0, 0);
    int saved = errno;
    pthread_mutex_unlock(&lock);
    errno = saved;
    return result;
}

int fdatasync(int fd) { return sync_file(fd, next_fdatasync); }
int fsync(int fd) { return sync_file(fd, next_fsync); }

int ftruncate(int fd, off_t length) {
    int result = next_ftruncate(fd, length);
    if (result == 0 && is_meant(fd)) {
        pthread_mutex_lock(&lock);
        note(fd, 4, (uint64_t)length, NULL, 0, 0);
        pthread_mutex_unlock(&lock);
    }
    return result;
}
