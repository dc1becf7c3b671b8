/* Preloaded into a process: counts the calls that change files below one folder, and stops the process, or lets the
   disk be full, at a call with a given number. Python, torch and safetensors all write through these functions. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum { COUNT, KILL_BEFORE, KILL_AFTER, KILL_HALFWAY, FULL_DISK };

static char root[4096]; /* empty: nothing is watched */
static int mode;
static long chosen, calls;
static char watched[65536]; /* by descriptor: open for writing below the folder */
static char last[64];       /* name of the chosen call */

void faults_arm(const char *folder, int what, long number) {
    snprintf(root, sizeof root, "%s", folder);
    mode = what, chosen = number, calls = 0;
}

long faults_calls(void) { return calls; }

const char *faults_last(void) { return last; }

/* Whether a path is below the folder. A relative one begins at a descriptor, or at the working folder. */
static int below(int at, const char *path) {
    char whole[8192], link[64];
    if (!root[0] || !path) return 0;
    if (path[0] == '/') snprintf(whole, sizeof whole, "%s", path);
    else {
        char base[4096];
        if (at == AT_FDCWD) snprintf(link, sizeof link, "/proc/self/cwd");
        else snprintf(link, sizeof link, "/proc/self/fd/%d", at);
        ssize_t size = readlink(link, base, sizeof base - 1);
        if (size < 0) return 0;
        base[size] = 0;
        snprintf(whole, sizeof whole, "%s/%s", base, path);
    }
    size_t size = strlen(root);
    return !strncmp(whole, root, size) && (whole[size] == '/' || !whole[size]);
}

/* Count a call. Returns 1 if it is the one to be stopped at, or the disk is full from there on. */
static int counted(const char *name) {
    long number = __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
    if (number == chosen) snprintf(last, sizeof last, "%s", name);
    int met = mode == FULL_DISK ? number >= chosen : number == chosen;
    if (met && mode == KILL_BEFORE) raise(SIGKILL);
    return met && mode != COUNT;
}

#define REAL(name) ((typeof(&name))dlsym(RTLD_NEXT, #name))
#define FULL(met) if ((met) && mode == FULL_DISK) { errno = ENOSPC; return -1; }
#define DONE(met, result) do { typeof(result) done = (result); if ((met) && mode == KILL_AFTER) raise(SIGKILL); return done; } while (0)

static int opened(int file, int writing, int met) {
    if (file >= 0 && file < (int)sizeof watched) watched[file] = writing;
    if (met && mode == KILL_AFTER) raise(SIGKILL);
    return file;
}

#define OPEN(name, at, ...) \
    int met = 0, writing = (flags & O_ACCMODE) != O_RDONLY && below(at, path); \
    mode_t rights = 0; \
    if (flags & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); rights = va_arg(rest, mode_t); va_end(rest); } \
    if (writing) { met = counted("open"); FULL(met) } \
    return opened(REAL(name)(__VA_ARGS__, flags, rights), writing, met)

int open(const char *path, int flags, ...) { OPEN(open, AT_FDCWD, path); }
int open64(const char *path, int flags, ...) { OPEN(open64, AT_FDCWD, path); }
int openat(int at, const char *path, int flags, ...) { OPEN(openat, at, at, path); }
int openat64(int at, const char *path, int flags, ...) { OPEN(openat64, at, at, path); }

#define IS_WATCHED(file) (root[0] && (file) >= 0 && (file) < (int)sizeof watched && watched[file])

ssize_t write(int file, const void *bytes, size_t size) {
    if (!IS_WATCHED(file)) return REAL(write)(file, bytes, size);
    int met = counted("write");
    FULL(met)
    if (met && mode == KILL_HALFWAY) { REAL(write)(file, bytes, size / 2); raise(SIGKILL); }
    DONE(met, REAL(write)(file, bytes, size));
}

ssize_t pwrite64(int file, const void *bytes, size_t size, off64_t where) {
    if (!IS_WATCHED(file)) return REAL(pwrite64)(file, bytes, size, where);
    int met = counted("write");
    FULL(met)
    DONE(met, REAL(pwrite64)(file, bytes, size, where));
}

ssize_t sendfile64(int file, int from, off64_t *where, size_t size);
ssize_t sendfile64(int file, int from, off64_t *where, size_t size) {
    if (!IS_WATCHED(file)) return REAL(sendfile64)(file, from, where, size);
    int met = counted("write");
    FULL(met)
    if (met && mode == KILL_HALFWAY) { REAL(sendfile64)(file, from, where, size / 2); raise(SIGKILL); }
    DONE(met, REAL(sendfile64)(file, from, where, size));
}

int fsync(int file) {
    if (!IS_WATCHED(file)) return REAL(fsync)(file);
    int met = counted("fsync");
    FULL(met)
    DONE(met, REAL(fsync)(file));
}

int rename(const char *from, const char *to) {
    if (!below(AT_FDCWD, to)) return REAL(rename)(from, to);
    int met = counted("rename");
    FULL(met)
    DONE(met, REAL(rename)(from, to));
}

int mkdir(const char *path, mode_t rights) {
    if (!below(AT_FDCWD, path)) return REAL(mkdir)(path, rights);
    int met = counted("mkdir");
    FULL(met)
    DONE(met, REAL(mkdir)(path, rights));
}

int symlink(const char *target, const char *path) {
    if (!below(AT_FDCWD, path)) return REAL(symlink)(target, path);
    int met = counted("symlink");
    FULL(met)
    DONE(met, REAL(symlink)(target, path));
}

/* A full disk can remove. */
int unlink(const char *path) {
    if (!below(AT_FDCWD, path)) return REAL(unlink)(path);
    DONE(counted("unlink"), REAL(unlink)(path));
}

int unlinkat(int at, const char *path, int flags) {
    if (!below(at, path)) return REAL(unlinkat)(at, path, flags);
    DONE(counted("unlink"), REAL(unlinkat)(at, path, flags));
}

int rmdir(const char *path) {
    if (!below(AT_FDCWD, path)) return REAL(rmdir)(path);
    DONE(counted("rmdir"), REAL(rmdir)(path));
}
