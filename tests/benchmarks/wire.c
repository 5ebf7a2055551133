// A long or narrow wire on the loopback interface: a TCP proxy that delays every byte and the handshake, and sends no
// more than a rate. Thousands of connections cost one thread, and nothing while they are silent.
//
//     wire LISTENING_FD TARGET_PORT ONE_WAY_MS BITS_PER_SECOND      (a rate of 0 is no limit)

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CLIENT, SERVER };                     // the ends of a connection, and the directions: towards which end
enum { READ_BYTES = 1 << 16, EVENTS = 512 };
static const size_t MOST_QUEUED = 8u << 20;  // bytes under way in one direction of a connection
static const double QUEUE_SECONDS = 0.02;    // how far the wire may be booked ahead, as a router's queue

typedef struct connection connection;

typedef struct chunk {  // bytes on the wire; of length 0 it is the end of the stream
    struct chunk *next;
    connection *of;
    double due;
    size_t length, written;
    char bytes[];
} chunk;

typedef struct { chunk *first, *last; } queue;

typedef struct end {
    int fd;
    connection *of;
    queue stuck;       // due, but the socket takes no more
    size_t queued;     // bytes on their way to this end
    bool waiting;      // in the list of ends to read from
    bool starved;      // readable, but too much of it is under way already
    bool ended;        // the end of the stream has been read from it
    bool finished;     // the end of the stream has been passed on to it
    struct end *next, *before;
} end;

struct connection {
    end ends[2];
    double opens;
    int chunks;        // on the wire, which refer to it
    bool closed;
    connection *next;  // in the list of those to be opened or freed
};

static int epoll, port;
static double delay, seconds_a_byte;
static queue wire[2];                        // by direction; due times ascend
static double booked[2];                     // until when the wire is taken
static end readable[2];                      // heads of the rings of ends to read from, by direction
static connection *opening, *last_opening, *graves;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static int side_of(const end *one) { return one == &one->of->ends[CLIENT] ? CLIENT : SERVER; }

static end *other(end *one) { return &one->of->ends[!side_of(one)]; }

static void append(queue *to, chunk *one) {
    one->next = NULL;
    if (to->last) to->last->next = one; else to->first = one;
    to->last = one;
}

static chunk *take(queue *from) {
    chunk *one = from->first;
    if (!(from->first = one->next)) from->last = NULL;
    return one;
}

static void wait_for_turn(end *one) {
    if (one->waiting || one->ended || one->of->closed) return;
    end *head = &readable[!side_of(one)];
    one->waiting = true;
    one->before = head->before;
    one->next = head;
    head->before->next = one;
    head->before = one;
}

static void leave(end *one) {
    if (!one->waiting) return;
    one->waiting = false;
    one->before->next = one->next;
    one->next->before = one->before;
}

static void bury_if_dead(connection *one) {
    if (!one->closed || one->chunks) return;
    one->next = graves;  // events of this round may still point to it
    graves = one;
}

static void release(chunk *one) {
    connection *of = one->of;
    free(one);
    of->chunks--;
    bury_if_dead(of);
}

static void close_both(connection *one) {
    if (one->closed) return;
    one->closed = true;
    one->chunks++;  // keeps it until this function is through
    for (int side = 0; side < 2; side++) {
        if (one->ends[side].fd >= 0) close(one->ends[side].fd);
        leave(&one->ends[side]);
        while (one->ends[side].stuck.first) release(take(&one->ends[side].stuck));
    }
    one->chunks--;
    bury_if_dead(one);
}

// Write a due chunk; false if the socket takes no more for now.
static bool deliver(end *to, chunk *one) {
    while (one->written < one->length) {
        ssize_t count = write(to->fd, one->bytes + one->written, one->length - one->written);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 && errno == EAGAIN) return false;
        if (count < 0) { close_both(to->of); return true; }
        one->written += (size_t)count;
    }
    if (!one->length) {
        shutdown(to->fd, SHUT_WR);
        to->finished = true;
        if (other(to)->finished) {
            close_both(to->of);
            return true;
        }
    }
    to->queued -= one->length;
    if (other(to)->starved && to->queued < MOST_QUEUED) {
        other(to)->starved = false;
        wait_for_turn(other(to));
    }
    return true;
}

static void deliver_stuck(end *to) {
    while (to->stuck.first && !to->of->closed && deliver(to, to->stuck.first)) {
        if (to->of->closed) return;
        release(take(&to->stuck));
    }
}

static void deliver_due(int towards, double time) {
    while (wire[towards].first && wire[towards].first->due <= time) {
        chunk *one = take(&wire[towards]);
        end *to = &one->of->ends[towards];
        if (!one->of->closed && (to->stuck.first || !deliver(to, one))) append(&to->stuck, one);
        else release(one);
    }
}

// Read once from an end that has its turn, and put what came onto the wire.
static void read_once(end *from, double time) {
    static char buffer[READ_BYTES];
    int towards = !side_of(from);
    if (other(from)->queued >= MOST_QUEUED) {
        from->starved = true;
        leave(from);
        return;
    }
    ssize_t count = read(from->fd, buffer, READ_BYTES);
    if (count < 0 && errno == EINTR) return;
    if (count <= 0) leave(from);
    if (count < 0 && errno == EAGAIN) return;
    size_t length = count > 0 ? (size_t)count : 0;  // a broken connection ends like a finished one
    from->ended = !length;
    chunk *one = malloc(sizeof *one + length);
    if (booked[towards] < time) booked[towards] = time;
    booked[towards] += (double)length * seconds_a_byte;
    *one = (chunk){.of = from->of, .due = booked[towards] + delay, .length = length};
    memcpy(one->bytes, buffer, length);
    from->of->chunks++;
    other(from)->queued += length;
    append(&wire[towards], one);
}

static bool is_free(int towards, double time) { return booked[towards] <= time + QUEUE_SECONDS; }

static void read_in_turn(int towards, double time) {
    end *head = &readable[towards], last = {.next = NULL};
    // Once around: a mark at the end of the ring, so that those which are read go behind it.
    last.before = head->before, last.next = head;
    head->before->next = &last, head->before = &last;
    while (head->next != &last && is_free(towards, time)) {
        end *from = head->next;
        leave(from);
        wait_for_turn(from);
        read_once(from, time);
    }
    last.before->next = last.next, last.next->before = last.before;
}

static void watch(end *one) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = one};
    int on = 1;
    fcntl(one->fd, F_SETFL, O_NONBLOCK);
    setsockopt(one->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    epoll_ctl(epoll, EPOLL_CTL_ADD, one->fd, &event);
}

static void accept_all(int listening, double time) {
    for (int fd; (fd = accept(listening, NULL, NULL)) >= 0;) {
        connection *one = calloc(1, sizeof *one);
        one->ends[CLIENT] = (end){.fd = fd, .of = one};
        one->ends[SERVER] = (end){.fd = -1, .of = one};
        one->opens = time + 2 * delay;  // the handshake takes a round trip
        if (opening) last_opening->next = one; else opening = one;
        last_opening = one;
    }
}

static void open_due(double time) {
    while (opening && opening->opens <= time) {
        connection *one = opening;
        opening = one->next;
        struct sockaddr_in target = {
            .sin_family = AF_INET, .sin_port = htons((unsigned short)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        one->ends[SERVER].fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(one->ends[SERVER].fd, (struct sockaddr *)&target, sizeof target)) {
            close_both(one);
            continue;
        }
        watch(&one->ends[CLIENT]);
        watch(&one->ends[SERVER]);
    }
}

static int milliseconds_until_next(double time) {
    double next = opening ? opening->opens : time + 3600;
    for (int towards = 0; towards < 2; towards++) {
        if (wire[towards].first && wire[towards].first->due < next) next = wire[towards].first->due;
        if (readable[towards].next != &readable[towards]) {
            double turn = booked[towards] - QUEUE_SECONDS;
            if (turn < next) next = turn;
        }
    }
    return next <= time ? 0 : (int)((next - time) * 1000) + 1;
}

int main(int count, char **arguments) {
    if (count != 5) return 2;
    int listening = atoi(arguments[1]);
    port = atoi(arguments[2]);
    delay = atof(arguments[3]) / 1000;
    seconds_a_byte = atof(arguments[4]) > 0 ? 8 / atof(arguments[4]) : 0;
    signal(SIGPIPE, SIG_IGN);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    for (int towards = 0; towards < 2; towards++) readable[towards].next = readable[towards].before = &readable[towards];
    epoll = epoll_create1(0);
    fcntl(listening, F_SETFL, O_NONBLOCK);
    struct epoll_event incoming = {.events = EPOLLIN};
    epoll_ctl(epoll, EPOLL_CTL_ADD, listening, &incoming);
    for (;;) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(epoll, events, EVENTS, milliseconds_until_next(now()));
        double time = now();
        for (int index = 0; index < ready; index++) {
            end *one = events[index].data.ptr;
            if (!one) accept_all(listening, time);
            else if (!one->of->closed) {
                if (events[index].events & EPOLLOUT) deliver_stuck(one);
                if (events[index].events & ~(unsigned)EPOLLOUT) wait_for_turn(one);
            }
        }
        open_due(time);
        for (int towards = 0; towards < 2; towards++) {
            read_in_turn(towards, time);
            deliver_due(towards, now());
        }
        for (connection *next; graves; graves = next) {
            next = graves->next;
            free(graves);
        }
    }
}
