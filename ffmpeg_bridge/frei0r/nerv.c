/* frei0r 1.x plug-in that shows frames decoded by another process; docs/spec/frame-server.md is its wire protocol.
 *
 * One source, two libraries:   -DNERV_SOURCE=1  nerv.so     a source: frames of a neural video
 *                              -DNERV_SOURCE=0  nervcmp.so  a filter: the input against the neural video
 *
 * Needs libc only. The ABI is declared here, from the published description of frei0r 1.2: layouts and numbers.
 * Process model: parameter 0 names a .nerv file; a decoder is started on one end of a socket pair, or one that runs is
 * joined ("unix:SOCKET!FILE"). Pixels lie in memory that both have mapped; the socket carries 40-byte messages.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef NERV_SOURCE
#define NERV_SOURCE 1
#endif
#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* macOS has a socket option instead, set in own_socket() */
#endif
#define EXPORT __attribute__((visibility("default")))

extern char **environ;

/* ---- frei0r 1.2 ---- */
enum { TYPE_FILTER = 0, TYPE_SOURCE = 1, COLOUR_RGBA8888 = 1, PARAM_DOUBLE = 1, PARAM_STRING = 4 };
typedef struct {
    const char *name, *author;
    int plugin_type, color_model, frei0r_version, major_version, minor_version, num_params;
    const char *explanation;
} plugin_info;
typedef struct {
    const char *name;
    int type;
    const char *explanation;
} param_info;

/* ---- wire protocol ---- */
enum { HELLO = 1, READY, FAILED, GET, FRAME, OPTIONS };
typedef struct {
    uint32_t magic;
    uint16_t type, flags;
    uint32_t length, slot, width, height;
    int64_t time, number;
} message;
_Static_assert(sizeof(message) == 40, "messages have 40 bytes");
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the wire protocol is little-endian"
#endif
#define MAGIC 0x3156524eu /* "NRV1" */
#define TEXT 8192         /* longest body */
#define SHORT_WAIT 5000   /* ms; for what needs no decoding */

typedef struct {
    unsigned width, height, slots;
    int socket;
    pid_t child;
    uint8_t *frames;
    size_t stride, mapped;
    char *model, *options;
    double mode, split, last_time;
    int opened, failed, strict, told, seconds, unit_given;
    char error[512];
} instance;

/* FFmpeg calls set_param_value(0) and then get_param_info(1) in one thread. No function may fail, but a parameter whose
 * type does not fit what the user wrote makes FFmpeg stop, and it prints the parameter's name: there goes our error. */
static __thread char refusal[560];

static int fail(instance *self, const char *what, const char *why)
{
    snprintf(self->error, sizeof self->error, "%.340s%s%.150s", what, *why ? ": " : "", why);
    fprintf(stderr, "[nerv] %s\n", self->error);
    self->failed = 1;
    return -1;
}

static long answer_wait(void)
{
    const char *seconds = getenv("NERV_TIMEOUT");
    return seconds && atof(seconds) > 0 ? (long)(atof(seconds) * 1000) : 120000;
}

/* Send or receive exactly `size` bytes; a descriptor that comes along goes to *passed. */
static int transfer(int socket, void *data, size_t size, int sending, long wait, int *passed)
{
    for (char *at = data; size;) {
        struct pollfd ready = { socket, sending ? POLLOUT : POLLIN, 0 };
        int count = poll(&ready, 1, (int)wait);
        if (count < 0 && errno == EINTR) continue;
        if (count == 0) errno = ETIMEDOUT;
        if (count <= 0) return -1;
        union { char bytes[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } control;
        struct iovec part = { at, size };
        struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };
        if (passed) header.msg_control = control.bytes, header.msg_controllen = sizeof control.bytes;
        ssize_t done = sending ? send(socket, at, size, MSG_NOSIGNAL) : recvmsg(socket, &header, 0);
        if (done < 0 && errno == EINTR) continue;
        if (done == 0) errno = ECONNRESET;
        if (done <= 0) return -1;
        struct cmsghdr *extra = passed ? CMSG_FIRSTHDR(&header) : NULL;
        if (extra && extra->cmsg_type == SCM_RIGHTS) memcpy(passed, CMSG_DATA(extra), sizeof(int));
        at += done;
        size -= (size_t)done;
    }
    return 0;
}

/* Receive a message and its text. */
static int receive(int socket, message *got, char *text, int *passed)
{
    if (transfer(socket, got, sizeof *got, 0, answer_wait(), passed)) return -1;
    if (got->magic != MAGIC || got->length >= TEXT) { errno = EPROTO; return -1; }
    if (transfer(socket, text, got->length, 0, SHORT_WAIT, NULL)) return -1;
    text[got->length] = 0;
    return 0;
}

static int own_socket(int socket)
{
    fcntl(socket, F_SETFD, FD_CLOEXEC);
#ifdef SO_NOSIGPIPE
    int on = 1;
    setsockopt(socket, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
    return socket;
}

/* The Python that decodes: NERV_PYTHON, else what the installer wrote beside this library, else "python3". */
static void find_python(char *python, size_t size)
{
    const char *wanted = getenv("NERV_PYTHON");
    Dl_info library;
    char path[4096];
    snprintf(python, size, "%s", wanted && *wanted ? wanted : "python3");
    if ((wanted && *wanted) || !dladdr((void *)&find_python, &library) || !library.dli_fname) return;
    const char *slash = strrchr(library.dli_fname, '/');
    int folder = slash ? (int)(slash - library.dli_fname) : 0;
    snprintf(path, sizeof path, "%.*s/nerv.conf", slash ? folder : 1, slash ? library.dli_fname : ".");
    FILE *file = fopen(path, "re");
    if (!file) return;
    if (fgets(path, sizeof path, file) && !strncmp(path, "python=", 7)) {
        path[strcspn(path, "\r\n")] = 0;
        snprintf(python, size, "%s", path + 7);
    }
    fclose(file);
}

static int start_decoder(instance *self)
{
    char python[4096];
    int ends[2];
    find_python(python, sizeof python);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends)) return -1;
    own_socket(ends[0]);
    own_socket(ends[1]);
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t none;
    sigemptyset(&none);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, ends[1], 3);
    posix_spawn_file_actions_adddup2(&files, 2, 1); /* the host's stdout may be the video */
    posix_spawnattr_init(&how);
    posix_spawnattr_setpgroup(&how, 0); /* Ctrl-C is for the host, which then lets us go */
    posix_spawnattr_setsigmask(&how, &none);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    char *command[] = { python, "-P", "-m", "ffmpeg_bridge.frei0r.child", "3", NULL };
    int problem = posix_spawnp(&self->child, python, &files, &how, command, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&how);
    close(ends[1]);
    if (!problem) return ends[0];
    close(ends[0]);
    self->child = 0;
    errno = problem;
    return -1;
}

static int join_decoder(const char *path, size_t length)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (length >= sizeof address.sun_path) { errno = ENAMETOOLONG; return -1; }
    memcpy(address.sun_path, path, length);
    int joined = socket(AF_UNIX, SOCK_STREAM, 0);
    if (joined >= 0 && connect(own_socket(joined), (void *)&address, sizeof address)) {
        int problem = errno;
        close(joined);
        errno = problem;
        return -1;
    }
    return joined;
}

static void close_model(instance *self)
{
    if (self->frames) munmap(self->frames, self->mapped);
    if (self->socket >= 0) close(self->socket); /* the decoder's sign to go */
    self->frames = NULL;
    self->socket = -1;
    if (self->child > 0) {
        int tries = 300, status;
        while (waitpid(self->child, &status, WNOHANG) == 0 && tries--) usleep(10000);
        if (tries < 0) kill(self->child, SIGKILL), waitpid(self->child, &status, 0);
    }
    self->child = 0;
}

static int map_frames(instance *self, const message *ready, int memory)
{
    struct stat about;
    self->slots = ready->slot;
    self->stride = (size_t)ready->number;
    self->mapped = self->slots * self->stride;
    if (memory < 0 || fstat(memory, &about) || (size_t)about.st_size < self->mapped || !self->slots
        || self->stride < (size_t)self->width * self->height * 4) {
        if (memory >= 0) close(memory);
        return fail(self, "the decoder offers no memory for frames", "");
    }
    void *frames = mmap(NULL, self->mapped, PROT_READ, MAP_SHARED, memory, 0);
    close(memory);
    if (frames == MAP_FAILED) return fail(self, "the frames cannot be mapped", strerror(errno));
    self->frames = frames;
    return 0;
}

static int open_model(instance *self)
{
    char text[TEXT];
    const char *model = self->model, *name;
    message hello = { .magic = MAGIC, .type = HELLO, .width = self->width, .height = self->height };
    message ready;
    int memory = -1;
    self->opened = 1;
    self->failed = 0;
    if (!*model) return fail(self, "no .nerv file given", "");
    if (!strncmp(model, "unix:", 5) && (name = strchr(model, '!'))) {
        self->socket = join_decoder(model + 5, (size_t)(name - model - 5));
        model = name + 1;
    } else {
        self->socket = start_decoder(self);
    }
    if (self->socket < 0) return fail(self, "no decoder (run: nervplay frei0r install)", strerror(errno));
    size_t long_name = strlen(model) + 1, long_options = strlen(self->options);
    if (long_name + long_options >= TEXT) return fail(self, "the file's name is too long", "");
    hello.length = (uint32_t)(long_name + long_options);
    memcpy(text, model, long_name);
    memcpy(text + long_name, self->options, long_options);
    if (transfer(self->socket, &hello, sizeof hello, 1, SHORT_WAIT, NULL)
        || transfer(self->socket, text, hello.length, 1, SHORT_WAIT, NULL)
        || receive(self->socket, &ready, text, &memory))
        return fail(self, "the decoder does not answer (run: nervplay frei0r install)", strerror(errno));
    if (ready.type != READY) return fail(self, text, "");
    return map_frames(self, &ready, memory);
}

static const uint8_t *picture_at(instance *self, double seconds)
{
    char text[TEXT];
    message get = { .magic = MAGIC, .type = GET, .time = (int64_t)(seconds * 1e6 + 0.5) }, answer;
    if (!self->opened) open_model(self);
    if (self->failed) return NULL;
    if (transfer(self->socket, &get, sizeof get, 1, SHORT_WAIT, NULL) || receive(self->socket, &answer, text, NULL))
        fail(self, "the decoder went away", strerror(errno));
    else if (answer.type != FRAME || answer.slot >= self->slots)
        fail(self, text, "");
    else
        return self->frames + answer.slot * self->stride;
    if (self->strict && !self->told++) kill(getpid(), SIGTERM); /* update() cannot fail; the host finishes its file */
    return NULL;
}

/* ---- what hosts call ---- */
EXPORT int f0r_init(void) { return 1; }
EXPORT void f0r_deinit(void) { }

EXPORT void f0r_get_plugin_info(plugin_info *info)
{
    info->name = NERV_SOURCE ? "nerv" : "nervcmp";
    info->author = "nervplay";
    info->plugin_type = NERV_SOURCE ? TYPE_SOURCE : TYPE_FILTER;
    info->color_model = COLOUR_RGBA8888;
    info->frei0r_version = 1;
    info->major_version = 0;
    info->minor_version = 1;
    info->num_params = NERV_SOURCE ? 2 : 4;
    info->explanation = NERV_SOURCE ? "Frames of a neural video" : "The input against a neural video";
}

EXPORT void f0r_get_param_info(param_info *info, int index)
{
    static const param_info all[] = {
        { "model", PARAM_STRING, "a .nerv file" },
        { "options", PARAM_STRING, "strict, start=SECONDS, time=s or ms, device=, precision=; joined by +" },
        { "mode", PARAM_DOUBLE, "0: wipe, 0.5: difference times 4, 1: neural alone" },
        { "split", PARAM_DOUBLE, "where the wipe stands, 0 to 1" },
    };
    if (index < 0 || index > 3) return;
    *info = all[index];
    if (index == 1 && *refusal) {
        info->type = PARAM_DOUBLE;
        info->name = refusal;
    }
}

EXPORT void *f0r_construct(unsigned width, unsigned height)
{
    instance *self = calloc(1, sizeof *self);
    if (!self) return NULL;
    self->width = width;
    self->height = height;
    self->socket = -1;
    self->split = 0.5;
    self->model = strdup("");
    self->options = strdup("");
    /* frei0r's time is in seconds. FFmpeg passes milliseconds, at least to sources: it is our caller when its filter
     * library is, or when the program itself is (a static ffmpeg). in_seconds() corrects this guess. */
    Dl_info caller;
    const char *module = dladdr(__builtin_return_address(0), &caller) && caller.dli_fname ? caller.dli_fname : "";
    const char *slash = strrchr(module, '/');
    if (slash) module = slash + 1;
    self->seconds = !strstr(module, "avfilter") && (strstr(module, ".so") || strstr(module, ".dylib"));
    *refusal = 0;
    return self;
}

EXPORT void f0r_destruct(void *data)
{
    instance *self = data;
    close_model(self);
    free(self->model);
    free(self->options);
    free(self);
}

EXPORT void f0r_set_param_value(void *data, void *value, int index)
{
    instance *self = data;
    if (index == 2) self->mode = *(double *)value;
    if (index == 3) self->split = *(double *)value;
    if (index < 0 || index > 1) return;
    const char *text = *(char **)value;
    char **old = index ? &self->options : &self->model;
    if (!text || !strcmp(*old, text)) return;
    free(*old);
    *old = strdup(text);
    if (index == 1) {
        self->strict = strstr(text, "strict") != NULL;
        self->unit_given = strstr(text, "time=") != NULL;
        if (self->unit_given) self->seconds = strstr(text, "time=ms") == NULL;
        message change = { .magic = MAGIC, .type = OPTIONS, .length = (uint32_t)strlen(text) };
        if (self->frames && change.length < TEXT && !transfer(self->socket, &change, sizeof change, 1, SHORT_WAIT, NULL))
            transfer(self->socket, *old, change.length, 1, SHORT_WAIT, NULL); /* a failure shows with the next frame */
        return;
    }
    close_model(self);
    *refusal = 0;
    if (open_model(self)) snprintf(refusal, sizeof refusal, "nerv: %s", self->error);
}

EXPORT void f0r_get_param_value(void *data, void *value, int index)
{
    instance *self = data;
    if (index == 0) *(char **)value = self->model;
    if (index == 1) *(char **)value = self->options;
    if (index == 2) *(double *)value = self->mode;
    if (index == 3) *(double *)value = self->split;
}

#if NERV_SOURCE
static void show(instance *self, const uint8_t *neural, const uint32_t *input, uint32_t *output)
{
    size_t pixels = (size_t)self->width * self->height;
    (void)input;
    if (neural) memcpy(output, neural, pixels * 4);
    else /* a checkerboard nobody takes for a frame */
        for (size_t i = 0; i < pixels; i++)
            output[i] = (i % self->width / 16 + i / self->width / 16) % 2 ? 0xffff00ffu : 0xff000000u;
}
#else
static void show(instance *self, const uint8_t *neural, const uint32_t *input, uint32_t *output)
{
    size_t width = self->width, pixels = width * self->height;
    if (!neural || self->mode < 0.25) {
        size_t left = !neural || self->split >= 1 ? width : self->split <= 0 ? 0 : (size_t)(self->split * (double)width);
        for (size_t row = 0; row < pixels; row += width) {
            memcpy(output + row, input + row, left * 4);
            if (neural) memcpy(output + row + left, neural + (row + left) * 4, (width - left) * 4);
        }
    } else if (self->mode < 0.75) {
        const uint8_t *given = (const uint8_t *)input;
        uint8_t *shown = (uint8_t *)output;
        for (size_t i = 0; i < pixels * 4; i++) {
            int apart = abs(given[i] - neural[i]) * 4;
            shown[i] = i % 4 == 3 || apart > 255 ? 255 : (uint8_t)apart;
        }
    } else {
        memcpy(output, neural, pixels * 4);
    }
}
#endif

/* FFmpeg 9 passes seconds to filters. Frames less than a unit apart can only mean that: nobody has over 1000 a second. */
static double in_seconds(instance *self, double time)
{
    double step = time > self->last_time ? time - self->last_time : self->last_time - time;
    if (!self->unit_given && step > 0 && step < 0.9) self->seconds = 1;
    self->last_time = time;
    return self->seconds ? time : time / 1000;
}

EXPORT void f0r_update(void *data, double time, const uint32_t *input, uint32_t *output)
{
    instance *self = data;
    show(self, picture_at(self, in_seconds(self, time)), input, output);
}

EXPORT void f0r_update2(void *data, double time, const uint32_t *first, const uint32_t *second, const uint32_t *third,
                        uint32_t *output)
{
    (void)second;
    (void)third;
    f0r_update(data, time, first, output);
}
