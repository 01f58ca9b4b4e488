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
//   STORAGE_FAULTS_STREAMS when set, writes without an offset, such as those of copies and of files that are written
//                          whole, are calls of a kind of their own: "stream"
//   STORAGE_FAULTS_REPORT  gets one line whenever a fault has struck, and whenever a sync was delayed
//   STORAGE_FAULTS_DELAY   a file; while it holds a number of milliseconds, every sync takes so much longer; reads and
//                          writes take as long as ever
//   STORAGE_FAULTS_CLOCK   a file; while it holds a number of seconds, the wall clock is so far ahead
//   STORAGE_FAULTS_RECORD  gets every write and sync, in order: kind (1: 1 write, 2 write that is durable when it
//                          returns, 3 sync, 4 new length), inode of the file (7), offset or length (8), byte count
//                          (8), bytes; little-endian. Several processes may have the same one
//   STORAGE_FAULTS_ROOT    a folder; everything below it is recorded, and what becomes of names with it: 5 a file made,
//                          6 a folder made, 7 a name removed, 8 renamed. The inode is that of what has the name, the
//                          offset the folder's inode, the bytes the name; of what is renamed the other folder's inode
//                          (8), the old name, a zero, the new name. What is written through a mapping is not seen.
//                          While a call is made and recorded its process holds the record locked (flock)
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static int (*next_openat)(int, const char *, int, ...);
static ssize_t (*next_write)(int, const void *, size_t);
static ssize_t (*next_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*next_writev)(int, const struct iovec *, int);
static int (*next_fdatasync)(int);
static int (*next_fsync)(int);
static int (*next_ftruncate)(int, off_t);
static int (*next_posix_fallocate)(int, off_t, off_t);
static int (*next_mkdir)(const char *, mode_t);
static int (*next_rename)(const char *, const char *);
static int (*next_unlinkat)(int, const char *, int);
static int (*next_clock_gettime)(clockid_t, struct timespec *);
static int (*next_gettimeofday)(struct timeval *, void *);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *meant;
static const char *report;
static const char *delay_file;
static const char *each_file;
static const char *clock_file;
static int record = -1;
static char root[4096];
enum kind { WRITE, SYNC, STREAM };
static const char *const kind_names[] = {"write", "sync", "stream"};
static int has_streams;
static const char *fault_kind = "";
static long fault_at;
static int fault_error;
static long counts[3];

__attribute__((constructor)) static void begin(void) {
    next_openat = dlsym(RTLD_NEXT, "openat");
    next_write = dlsym(RTLD_NEXT, "write");
    next_pwrite = dlsym(RTLD_NEXT, "pwrite");
    next_writev = dlsym(RTLD_NEXT, "writev");
    next_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    next_fsync = dlsym(RTLD_NEXT, "fsync");
    next_ftruncate = dlsym(RTLD_NEXT, "ftruncate");
    next_posix_fallocate = dlsym(RTLD_NEXT, "posix_fallocate");
    next_mkdir = dlsym(RTLD_NEXT, "mkdir");
    next_rename = dlsym(RTLD_NEXT, "rename");
    next_unlinkat = dlsym(RTLD_NEXT, "unlinkat");
    next_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    next_gettimeofday = dlsym(RTLD_NEXT, "gettimeofday");
    meant = getenv("STORAGE_FAULTS_FILE");
    delay_file = getenv("STORAGE_FAULTS_DELAY");
    each_file = getenv("STORAGE_FAULTS_EACH");
    clock_file = getenv("STORAGE_FAULTS_CLOCK");
    report = getenv("STORAGE_FAULTS_REPORT");
    has_streams = getenv("STORAGE_FAULTS_STREAMS") != NULL;
    const char *fault = getenv("STORAGE_FAULTS_FAULT");
    static char kind[8];
    if (fault && sscanf(fault, "%7[a-z]:%ld:%d", kind, &fault_at, &fault_error) == 3) {
        fault_kind = kind;
    } else {
        fault_at = 0;
    }
    const char *path = getenv("STORAGE_FAULTS_RECORD");
    if (path) record = next_openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    const char *folder = getenv("STORAGE_FAULTS_ROOT");
    if (folder && !realpath(folder, root)) abort();
}

// One call at a time, with what is recorded of it. Of a whole folder the calls of all processes: then they are in the
// record in the order in which they were made, and whoever has locked the record knows that no call is half recorded.
static void begin_call(void) {
    pthread_mutex_lock(&lock);
    while (root[0] && record >= 0 && flock(record, LOCK_EX) != 0) if (errno != EINTR) abort();
}

static void end_call(void) {
    if (root[0] && record >= 0 && flock(record, LOCK_UN) != 0) abort();
    pthread_mutex_unlock(&lock);
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

// The length of the path of what is open; -1 when there is none. It does not end in a zero.
static ssize_t path_of(int fd, char *path, size_t room) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    return readlink(link, path, room);
}

static int is_meant(int fd) {
    if (!meant) return 0;
    char path[4096];
    ssize_t length = path_of(fd, path, sizeof path);
    size_t ending = strlen(meant);
    return length >= (ssize_t)ending && memcmp(path + length - ending, meant, ending) == 0;
}

// Whether what is open is the root, or below it.
static int is_below_root(int fd) {
    if (!root[0]) return 0;
    char path[4096];
    ssize_t length = path_of(fd, path, sizeof path);
    size_t start = strlen(root);
    return length >= (ssize_t)start && memcmp(path, root, start) == 0
        && (length == (ssize_t)start || path[start] == '/');
}

static int is_recorded(int fd) { return is_meant(fd) || is_below_root(fd); }

// Whether this call of a kind is one of those that are to fail for now. The error number, 0 for a write of half, or -1.
static int error_of_each(enum kind kind, long count) {
    if (!each_file) return -1;
    char text[128] = {0}, name[8];
    int fd = open(each_file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    if (read(fd, text, sizeof text - 1) < 0) text[0] = 0;
    close(fd);
    char *rest = NULL;
    for (char *word = strtok_r(text, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest)) {
        long interval;
        int error;
        if (sscanf(word, "%7[a-z]:%ld:%d", name, &interval, &error) == 3 && interval > 0
            && strcmp(name, kind_names[kind]) == 0 && count % interval == 0) return error;
    }
    return -1;
}

// Adds a line to the report.
static void tell(const char *what, long number) {
    if (!report) return;
    int fd = open(report, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0) return;
    dprintf(fd, "%s %ld\n", what, number);
    close(fd);
}

// Whether the call that is being made is to fail, and how: fault_error. Under the lock.
static int strikes(enum kind kind) {
    long count = ++counts[kind];
    int error = error_of_each(kind, count);
    if (error >= 0) {
        fault_error = error;
    } else if (fault_at == 0 || strcmp(fault_kind, kind_names[kind]) != 0 || count != fault_at) {
        return 0;
    }
    tell(kind_names[kind], count);
    return 1;
}

static void note_of(
    uint64_t inode, uint8_t kind, uint64_t offset, const struct iovec *parts, int count, size_t byte_count
) {
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

static void note(int fd, uint8_t kind, uint64_t offset, const struct iovec *parts, int count, size_t byte_count) {
    if (record < 0) return;
    struct stat status;
    note_of(fstat(fd, &status) == 0 ? status.st_ino : 0, kind, offset, parts, count, byte_count);
}

// A name, and the folder that it is in.
struct place {
    uint64_t folder;
    char name[256];
};

// Finds the place of a path; 0 when it is not below the root, or when nobody records.
static int find_place(int at, const char *path, struct place *place) {
    if (record < 0 || !root[0]) return 0;
    char parent[4096];
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') length--;
    size_t start = length;
    while (start > 0 && path[start - 1] != '/') start--;
    if (length == start || length - start >= sizeof place->name || start + 2 > sizeof parent) return 0;
    memcpy(place->name, path + start, length - start);
    place->name[length - start] = 0;
    memcpy(parent, path, start);
    strcpy(parent + start, ".");
    int saved = errno;
    int folder = next_openat(at, parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct stat status;
    int is_found = folder >= 0 && is_below_root(folder) && fstat(folder, &status) == 0;
    if (is_found) place->folder = status.st_ino;
    if (folder >= 0) close(folder);
    errno = saved;
    return is_found;
}

// The inode of what has a name; 0 when nothing has it.
static uint64_t inode_at(int at, const char *path) {
    struct stat status;
    int saved = errno;
    uint64_t inode = fstatat(at, path, &status, AT_SYMLINK_NOFOLLOW) == 0 ? status.st_ino : 0;
    errno = saved;
    return inode;
}

static void note_name(uint64_t inode, uint8_t kind, const struct place *place) {
    struct iovec part = {(void *)place->name, strlen(place->name)};
    note_of(inode, kind, place->folder, &part, 1, part.iov_len);
}

static uint8_t write_kind(int fd) { return fcntl(fd, F_GETFL) & O_DSYNC ? 2 : 1; }

static int open_at(int at, const char *path, int flags, mode_t mode) {
    // Before the constructor.
    if (!next_openat) next_openat = dlsym(RTLD_NEXT, "openat");
    struct place place;
    if (!(flags & (O_CREAT | O_TRUNC)) || !find_place(at, path, &place)) return next_openat(at, path, flags, mode);
    begin_call();
    int is_new = inode_at(at, path) == 0;
    int fd = next_openat(at, path, flags, mode);
    int saved = errno;
    if (fd >= 0 && is_new) note_name(inode_at(at, path), 5, &place);
    if (fd >= 0 && !is_new && flags & O_TRUNC) note(fd, 4, 0, NULL, 0, 0);
    end_call();
    errno = saved;
    return fd;
}

// The mode that comes with the flags, when one does.
#define MODE_AFTER(flags) \
    mode_t mode = 0; \
    if ((flags) & O_CREAT || ((flags) & O_TMPFILE) == O_TMPFILE) { \
        va_list rest; \
        va_start(rest, flags); \
        mode = va_arg(rest, mode_t); \
        va_end(rest); \
    }

int open(const char *path, int flags, ...) {
    MODE_AFTER(flags)
    return open_at(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    MODE_AFTER(flags)
    return open_at(AT_FDCWD, path, flags, mode);
}

int openat(int at, const char *path, int flags, ...) {
    MODE_AFTER(flags)
    return open_at(at, path, flags, mode);
}

int openat64(int at, const char *path, int flags, ...) {
    MODE_AFTER(flags)
    return open_at(at, path, flags, mode);
}

int mkdir(const char *path, mode_t mode) {
    struct place place;
    if (!find_place(AT_FDCWD, path, &place)) return next_mkdir(path, mode);
    begin_call();
    int result = next_mkdir(path, mode);
    int saved = errno;
    if (result == 0) note_name(inode_at(AT_FDCWD, path), 6, &place);
    end_call();
    errno = saved;
    return result;
}

int unlinkat(int at, const char *path, int flags) {
    struct place place;
    if (!find_place(at, path, &place)) return next_unlinkat(at, path, flags);
    begin_call();
    uint64_t inode = inode_at(at, path);
    int result = next_unlinkat(at, path, flags);
    int saved = errno;
    if (result == 0) note_name(inode, 7, &place);
    end_call();
    errno = saved;
    return result;
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int rename(const char *from, const char *to) {
    struct place old, new;
    int was_below = find_place(AT_FDCWD, from, &old), is_below = find_place(AT_FDCWD, to, &new);
    if (!was_below && !is_below) return next_rename(from, to);
    // Half of it cannot be recorded.
    if (!was_below || !is_below) abort();
    begin_call();
    int result = next_rename(from, to);
    int saved = errno;
    if (result == 0) {
        struct iovec parts[3] = {
            {&new.folder, 8}, {old.name, strlen(old.name) + 1}, {new.name, strlen(new.name)},
        };
        size_t byte_count = parts[0].iov_len + parts[1].iov_len + parts[2].iov_len;
        note_of(inode_at(AT_FDCWD, to), 8, old.folder, parts, 3, byte_count);
    }
    end_call();
    errno = saved;
    return result;
}

ssize_t write(int fd, const void *bytes, size_t count) {
    // Before the constructor.
    if (!next_write) next_write = dlsym(RTLD_NEXT, "write");
    int is_victim = has_streams && is_meant(fd), is_below = is_below_root(fd);
    if (!is_victim && !is_below) return next_write(fd, bytes, count);
    begin_call();
    off_t offset = lseek(fd, 0, fcntl(fd, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR);
    ssize_t result;
    if (is_victim && strikes(STREAM)) {
        if (fault_error) {
            errno = fault_error;
            result = -1;
        } else {
            result = next_write(fd, bytes, count / 2);
        }
    } else {
        result = next_write(fd, bytes, count);
    }
    int saved = errno;
    if (result > 0 && is_below) {
        struct iovec part = {(void *)bytes, (size_t)result};
        note(fd, write_kind(fd), (uint64_t)offset, &part, 1, (size_t)result);
    }
    end_call();
    errno = saved;
    return result;
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
    int is_victim = is_meant(fd);
    if (!is_victim && !is_below_root(fd)) return next_pwrite(fd, bytes, count, offset);
    begin_call();
    ssize_t result;
    if (is_victim && strikes(WRITE)) {
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
    end_call();
    errno = saved;
    return result;
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off_t offset) { return pwrite(fd, bytes, count, offset); }

ssize_t writev(int fd, const struct iovec *parts, int count) {
    int is_victim = is_meant(fd);
    if (!is_victim && !is_below_root(fd)) return next_writev(fd, parts, count);
    begin_call();
    off_t offset = lseek(fd, 0, SEEK_CUR);
    ssize_t result;
    if (is_victim && strikes(WRITE)) {
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
    end_call();
    errno = saved;
    return result;
}

static int sync_file(int fd, int (*next)(int)) {
    int is_victim = is_meant(fd);
    if (!is_victim && !is_below_root(fd)) return next(fd);
    long delay = is_victim ? number_in(delay_file) : 0;
    if (delay > 0) {
        usleep((useconds_t)delay * 1000);
        tell("delay", delay);
    }
    begin_call();
    int result;
    if (is_victim && strikes(SYNC)) {
        errno = fault_error;
        result = -1;
    } else {
        result = next(fd);
    }
    if (result == 0) note(fd, 3, 0, NULL, 0, 0);
    int saved = errno;
    end_call();
    errno = saved;
    return result;
}

int fdatasync(int fd) { return sync_file(fd, next_fdatasync); }
int fsync(int fd) { return sync_file(fd, next_fsync); }

// A call that changes a file's length, which is what it is afterwards; its result.
static int change_length(int fd, int (*next)(int, off_t, off_t), off_t first, off_t second) {
    if (!is_recorded(fd)) return next(fd, first, second);
    begin_call();
    int result = next(fd, first, second);
    int saved = errno;
    struct stat status;
    if (result == 0 && fstat(fd, &status) == 0) note(fd, 4, (uint64_t)status.st_size, NULL, 0, 0);
    end_call();
    errno = saved;
    return result;
}

static int truncate_file(int fd, off_t length, off_t unused) {
    (void)unused;
    return next_ftruncate(fd, length);
}

int ftruncate(int fd, off_t length) { return change_length(fd, truncate_file, length, 0); }
int ftruncate64(int fd, off_t length) { return change_length(fd, truncate_file, length, 0); }

int posix_fallocate(int fd, off_t offset, off_t length) {
    return change_length(fd, next_posix_fallocate, offset, length);
}

int posix_fallocate64(int fd, off_t offset, off_t length) {
    return change_length(fd, next_posix_fallocate, offset, length);
}
