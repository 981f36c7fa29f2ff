/* Counts what a process does to the files below one folder, and makes one call of them fail, or stops before it.
 *
 * Loaded by LD_PRELOAD. fault_arm(root, at, how, log) arms it: the call number `at` (from 1; 0 for none) returns the
 * error number `how`, or the process is killed before it where `how` is -1. A line each goes to `log`:
 * "w INODE SIZE" before a write, with the size that the file has; "s INODE" after a sync; "r INODE" after a rename, of
 * the folder that it went to. From them follows what a power cut would have taken. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static char root[PATH_MAX];
static long at, how, count;
static int log_fd = -1;

void fault_arm(const char *folder, long number, long what, int fd) {
    snprintf(root, sizeof root, "%s", folder);
    at = number;
    how = what;
    count = 0;
    log_fd = fd;
}

static int below(const char *path) { return root[0] && !strncmp(path, root, strlen(root)); }

static int of_fd(int fd) {
    char link[64], path[PATH_MAX];
    ssize_t length;
    if (!root[0] || fd < 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return below(path);
}

static void note(const char *text) {
    if (log_fd >= 0) syscall(SYS_write, log_fd, text, strlen(text));
}

static void note_inode(char what, struct stat *found) {
    char line[96];
    snprintf(line, sizeof line, "%c %lu %lld\n", what, (unsigned long)found->st_ino, (long long)found->st_size);
    note(line);
}

/* Returns 1 where the call shall fail. */
static int step(void) {
    if (++count != at) return 0;
    if (how == -1) raise(SIGKILL);
    errno = (int)how;
    return 1;
}

static int before_write(int fd) {
    struct stat found;
    if (!of_fd(fd)) return 0;
    if (step()) return 1;
    if (!fstat(fd, &found)) note_inode('w', &found);
    return 0;
}

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *data, size_t size) { REAL(write); return before_write(fd) ? -1 : real(fd, data, size); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t off) { REAL(pwrite); return before_write(fd) ? -1 : real(fd, data, size, off); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t off) { REAL(pwrite64); return before_write(fd) ? -1 : real(fd, data, size, off); }
ssize_t writev(int fd, const struct iovec *parts, int number) { REAL(writev); return before_write(fd) ? -1 : real(fd, parts, number); }
ssize_t sendfile(int to, int from, off_t *off, size_t size);
ssize_t sendfile(int to, int from, off_t *off, size_t size) { REAL(sendfile); return before_write(to) ? -1 : real(to, from, off, size); }
ssize_t sendfile64(int to, int from, off64_t *off, size_t size);
ssize_t sendfile64(int to, int from, off64_t *off, size_t size) { REAL(sendfile64); return before_write(to) ? -1 : real(to, from, off, size); }
ssize_t copy_file_range(int from, off64_t *a, int to, off64_t *b, size_t size, unsigned flags) { REAL(copy_file_range); return before_write(to) ? -1 : real(from, a, to, b, size, flags); }

static int synced(int fd, int (*real)(int)) {
    struct stat found;
    int done, ours = of_fd(fd);
    if (ours && step()) return -1;
    done = real(fd);
    if (ours && !done && !fstat(fd, &found)) note_inode('s', &found);
    return done;
}

int fsync(int fd) { REAL(fsync); return synced(fd, real); }
int fdatasync(int fd) { REAL(fdatasync); return synced(fd, real); }

static void note_rename(const char *to) {
    char path[PATH_MAX];
    struct stat found;
    snprintf(path, sizeof path, "%s", to);
    if (!stat(dirname(path), &found)) note_inode('r', &found);
}

int rename(const char *from, const char *to) {
    int done, ours = below(to);
    REAL(rename);
    if (ours && step()) return -1;
    done = real(from, to);
    if (ours && !done) note_rename(to);
    return done;
}
