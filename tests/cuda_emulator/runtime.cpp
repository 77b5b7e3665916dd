// Runs the blocks of one launch on the CPU: a fiber per thread, barriers, guarded memory, reports.
//
// A block's threads take turns on one OS thread: each runs until it meets the others or ends, so a
// run depends on nothing but the order asked for. Whatever goes wrong ends the launch with one
// sentence that names block, thread, array and fault.
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <vector>

#include "emulator.h"

#undef threadIdx
#undef blockIdx
#undef blockDim
#undef gridDim

// ThreadSanitizer's calls; absent (null) unless its library is loaded.
extern "C" {
__attribute__((weak)) void* __tsan_create_fiber(unsigned flags);
__attribute__((weak)) void __tsan_destroy_fiber(void* fiber);
__attribute__((weak)) void __tsan_switch_to_fiber(void* fiber, unsigned flags);
__attribute__((weak)) void* __tsan_get_current_fiber();
__attribute__((weak)) void __tsan_set_fiber_name(void* fiber, const char* name);
__attribute__((weak)) void __tsan_acquire(void* address);
__attribute__((weak)) void __tsan_release(void* address);
}

namespace emu {

constexpr size_t PAGE = 4096;
constexpr size_t GUARD = 1 << 20;  // on either side of an array: addresses, not memory
constexpr size_t STACK = 64 * 1024 + PAGE;  // the lowest page of each is the guard
constexpr size_t SHARED_LIMIT = 64 * 1024;  // sm_75, dynamic and static together
constexpr int SHARED_SLOTS = 32;
constexpr size_t SLOT = SHARED_LIMIT + 2 * PAGE;
constexpr unsigned char POISON = 0xff;  // a NaN, or −1
constexpr uint64_t POISON_WORD = ~0ull;
constexpr unsigned NO_SYNC = 1;         // of __tsan_switch_to_fiber

// ---- what Python passes: keep in step with driver.py ------------------------------------------

struct Region {
    char* host;
    size_t bytes;
    size_t phase;  // its address modulo 256 on a device
    size_t item;
    int writable;
    int unused;
    const char* name;
    char* map;  // the rest is filled in here
    size_t map_bytes;
    char* data;
};

struct Patch {  // a pointer among the arguments
    void** where;
    int region;
    int unused;
    size_t offset;
};

struct Launch {
    const Kernel* kernel;
    const char* name;
    unsigned grid[3], block[3];
    size_t dynamic_bytes;
    void** arguments;
    Region* regions;
    Patch* patches;
    int n_regions, n_patches;
    int order;  // 0 ascending, 1 descending, 2 random
    unsigned seed;
    int workers;
    int watched;  // ThreadSanitizer looks on
    double patience;
    char* report;
    size_t report_bytes;
    void* fault;  // program counter of a memory fault, for its line
};

// ---- fibers -----------------------------------------------------------------------------------

#if defined(__x86_64__) && !defined(EMU_UCONTEXT)
struct Context {
    void* stack_pointer;
};
extern "C" void emu_swap(void** save, void* load);
asm(R"(
.text
.globl emu_swap
.type emu_swap, @function
emu_swap:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size emu_swap, .-emu_swap
)");
static void swap(Context& from, Context& to) { emu_swap(&from.stack_pointer, to.stack_pointer); }
static void prepare(Context& context, char* stack, size_t bytes, void (*entry)()) {
    void** top = reinterpret_cast<void**>(stack + bytes) - 2;
    top[0] = reinterpret_cast<void*>(entry);
    top[1] = nullptr;
    context.stack_pointer = top - 6;  // six registers of any value
}
#else
struct Context {
    ucontext_t saved;
};
static void swap(Context& from, Context& to) { swapcontext(&from.saved, &to.saved); }
static void prepare(Context& context, char* stack, size_t bytes, void (*entry)()) {
    getcontext(&context.saved);
    context.saved.uc_stack.ss_sp = stack;
    context.saved.uc_stack.ss_size = bytes;
    context.saved.uc_link = nullptr;
    makecontext(&context.saved, entry, 0);
}
#endif

// ---- blocks -----------------------------------------------------------------------------------

enum State { READY, IN_WARP, IN_BARRIER, DONE };

struct Thread {
    View view;
    Context context;
    State state;
    int number, lane;
    Op op;  // of the warp operation it waits in
    unsigned mask;
    unsigned long long value, result;
    int source;
    Site site;
    void* fiber;
};

struct Warp {
    unsigned live, waiting;
    int order[32];
    char meeting[2][32];  // addresses that stand for a meeting: by turn, by lowest lane
    unsigned char turn[32];
};

struct Slot {
    const void* key;
    const char* name;
    size_t bytes, room;
    char* start;  // of the pages between the guards
    char* data;
};

struct Worker {
    Launch* launch;
    Context context;
    void* fiber;
    pthread_t os_thread;
    bool running;
    char *stacks, *arena, *signal_stack;
    int n_stacks;
    unsigned long long random;
    unsigned block[3];
    int n_threads, live, arrived, head, queued, turn;
    int barrier_result;
    char barriers[2];
    std::vector<Thread> threads;
    std::vector<Warp> warps;
    std::vector<int> order, queue;
    Slot slots[SHARED_SLOTS];
    int n_slots;
};

thread_local View* view __attribute__((tls_model("initial-exec")));
static thread_local Worker* worker;

static pthread_mutex_t report_lock = PTHREAD_MUTEX_INITIALIZER;
static int stopped;
static unsigned long long next_block, n_blocks;
static char block_start, launch_end;  // stand for what is before a block, and after all of them

// ThreadSanitizer's fibers of earlier launches: making one takes most of a millisecond. A launch
// takes each at most once, so that no two of its threads are one; more than these die with their
// block, as each of them makes every later barrier a little slower.
constexpr size_t SPARE_FIBERS = 4096;
static std::vector<void*> spare_fibers, used_fibers;

static Thread& self() { return *reinterpret_cast<Thread*>(view); }
static bool watched() { return worker->launch->watched; }

static void go(Context& from, Context& to, void* fiber) {
    if (fiber) __tsan_switch_to_fiber(fiber, NO_SYNC);
    swap(from, to);
}

static void say(const char* format, va_list arguments) {
    Launch& launch = *worker->launch;
    pthread_mutex_lock(&report_lock);
    if (!__atomic_exchange_n(&stopped, 1, __ATOMIC_SEQ_CST)) {
        int n = snprintf(launch.report, launch.report_bytes, "%s, block (%u, %u, %u)", launch.name,
                         worker->block[0], worker->block[1], worker->block[2]);
        if (view) {
            const uint3& t = view->thread;
            n += snprintf(launch.report + n, launch.report_bytes - n, ", thread (%u, %u, %u)", t.x,
                          t.y, t.z);
        }
        n += snprintf(launch.report + n, launch.report_bytes - n, ": ");
        vsnprintf(launch.report + n, launch.report_bytes - n, format, arguments);
    }
    pthread_mutex_unlock(&report_lock);
}

static void tell(const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
}

// Leaves the fiber for good; nothing on its stack needs to be undone.
[[noreturn]] static void leave() {
    Context dead;
    if (view == nullptr) {  // the worker itself is at fault: nowhere to go
        dprintf(2, "emulator: %s\n", worker->launch->report);
        _exit(70);
    }
    view = nullptr;
    go(dead, worker->context, worker->fiber);
    __builtin_unreachable();
}

void fail(const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
    leave();
}

static void enqueue(int thread) {
    Worker& w = *worker;
    w.threads[thread].state = READY;
    w.queue[(w.head + w.queued++) % w.n_threads] = thread;
}

static const char* base(const char* path) {
    const char* slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

[[noreturn]] static void deadlock() {
    Worker& w = *worker;
    for (int first = 0; first < w.n_threads; first += 32)
        for (int i = first; i < first + 32 && i < w.n_threads; ++i)
            for (int j = i + 1; j < first + 32 && j < w.n_threads; ++j) {
                const Thread &a = w.threads[i], &b = w.threads[j];
                if (a.state != IN_WARP || b.state != IN_WARP) continue;
                if (!(a.mask >> b.lane & 1) && !(b.mask >> a.lane & 1)) continue;
                if (a.mask != b.mask || a.op != b.op)
                    fail("deadlock: lane %d of warp %d waits at %s:%d for mask 0x%08x, lane %d at "
                         "%s:%d for mask 0x%08x; lanes that meet must name the same mask",
                         a.lane, first / 32, base(a.site.file), a.site.line, a.mask, b.lane,
                         base(b.site.file), b.site.line, b.mask);
            }
    int in_warp = 0, in_barrier = 0;
    const Thread *warp_one = nullptr, *barrier_one = nullptr;
    for (const Thread& t : w.threads) {
        if (t.state == IN_WARP) ++in_warp, warp_one = &t;
        if (t.state == IN_BARRIER) ++in_barrier, barrier_one = &t;
    }
    char text[2][160] = {"", ""};
    if (warp_one)
        snprintf(text[0], sizeof text[0], "; %d wait in a warp operation, as thread %d at %s:%d "
                 "for mask 0x%08x", in_warp, warp_one->number, base(warp_one->site.file),
                 warp_one->site.line, warp_one->mask);
    if (barrier_one)
        snprintf(text[1], sizeof text[1], "; %d wait in __syncthreads, as thread %d at %s:%d",
                 in_barrier, barrier_one->number, base(barrier_one->site.file),
                 barrier_one->site.line);
    fail("deadlock: no thread can go on%s%s", text[0], text[1]);
}

// The next thread in the queue, or the worker when there is none left.
static void pass_on(Context& from) {
    Worker& w = *worker;
    if (__atomic_load_n(&stopped, __ATOMIC_RELAXED)) leave();
    if (!w.queued) {
        if (w.live) deadlock();
        view = nullptr;
        go(from, w.context, w.fiber);
        return;
    }
    const int next = w.queue[w.head];
    w.head = (w.head + 1) % w.n_threads;
    --w.queued;
    Thread& thread = w.threads[next];
    if (&thread.context == &from) return;
    view = &thread.view;
    go(from, thread.context, thread.fiber);
}

static void wait_for_others() {
    Thread& own = self();
    pass_on(own.context);
}

static void finish_barrier() {
    Worker& w = *worker;
    const Thread* first = nullptr;
    int total = 0;
    for (const Thread& t : w.threads)
        if (t.state == IN_BARRIER) {
            if (!first) first = &t;
            if (t.site.line != first->site.line || t.source != first->source ||
                strcmp(t.site.file, first->site.file))
                fail("barrier in a divergent branch: thread %d waits in __syncthreads at %s:%d, "
                     "thread %d at %s:%d", first->number, base(first->site.file),
                     first->site.line, t.number, base(t.site.file), t.site.line);
            total += int(t.value);
        }
    const int kind = first->source;
    w.barrier_result = kind == 2 ? total > 0 : kind == 3 ? total == w.live : total;
    w.arrived = 0;
    for (int i : w.order)
        if (w.threads[i].state == IN_BARRIER) w.threads[i].result = w.barrier_result, enqueue(i);
    w.turn ^= 1;
}

int barrier(int kind, int predicate, Site site) {
    Worker& w = *worker;
    Thread& own = self();
    char* address = &w.barriers[w.turn];
    own.site = site, own.source = kind, own.value = predicate, own.state = IN_BARRIER;
    if (watched()) __tsan_release(address);
    if (++w.arrived == w.live) finish_barrier();
    wait_for_others();
    if (watched()) __tsan_acquire(address);
    return int(own.result);
}

int lane() { return self().lane; }

static unsigned long long combine(Op op, unsigned long long a, unsigned long long b) {
    const unsigned x = unsigned(a), y = unsigned(b);
    switch (op) {
        case Op::add: return x + y;
        case Op::min: return unsigned(int(x) < int(y) ? x : y);
        case Op::max: return unsigned(int(x) > int(y) ? x : y);
        case Op::umin: return x < y ? x : y;
        case Op::umax: return x > y ? x : y;
        case Op::band: return x & y;
        case Op::bor: return x | y;
        default: return x ^ y;
    }
}

// Ends a meeting once every lane that is named and has not left is there; false if not yet.
static bool finish_meeting(Warp& warp, int first, Thread& any) {
    const unsigned present = any.mask & warp.live;
    if ((warp.waiting & present) != present) return false;
    Worker& w = *worker;
    unsigned ballot = 0;
    bool started = false;
    unsigned long long total = 0;
    for (int i = 0; i < 32; ++i) {
        if (!(present >> i & 1)) continue;
        const Thread& t = w.threads[first + i];
        if (t.mask != any.mask || t.op != any.op) return false;
        if (t.value & 1) ballot |= 1u << i;
        if (any.op >= Op::add) total = started ? combine(any.op, total, t.value) : t.value;
        started = true;
    }
    for (int i = 0; i < 32; ++i) {
        if (!(present >> i & 1)) continue;
        Thread& t = w.threads[first + i];
        switch (any.op) {
            case Op::sync: break;
            case Op::shuffle:
                if (!(present >> (t.source & 31) & 1))
                    fail("%s:%d: lane %d shuffles from lane %d, which does not take part (mask "
                         "0x%08x)", base(t.site.file), t.site.line, i, t.source, t.mask);
                t.result = w.threads[first + (t.source & 31)].value;
                break;
            case Op::ballot: t.result = ballot; break;
            case Op::all: t.result = ballot == present; break;
            case Op::any: t.result = ballot != 0; break;
            case Op::match:
                t.result = 0;
                for (int j = 0; j < 32; ++j)
                    if (present >> j & 1 && w.threads[first + j].value == t.value)
                        t.result |= 1u << j;
                break;
            default: t.result = total;
        }
    }
    warp.waiting &= ~present;
    warp.turn[__builtin_ctz(any.mask)] ^= 1;
    for (int i : warp.order)
        if (i >= 0 && present >> i & 1) enqueue(first + i);
    return true;
}

unsigned long long meet(Op op, unsigned mask, unsigned long long value, int source, Site site) {
    Worker& w = *worker;
    Thread& own = self();
    Warp& warp = w.warps[own.number / 32];
    const int first = own.number - own.lane;
    if (!(mask >> own.lane & 1))
        fail("%s:%d: lane %d is not in the mask 0x%08x that it names", base(site.file), site.line,
             own.lane, mask);
    own.op = op, own.mask = mask, own.value = value, own.source = source, own.site = site;
    own.state = IN_WARP;
    for (unsigned left = warp.waiting; left; left &= left - 1) {
        const Thread& t = w.threads[first + __builtin_ctz(left)];
        const bool related = (mask >> t.lane & 1) || (t.mask >> own.lane & 1);
        if (!related || (t.mask == mask && t.op == op)) {
            if (!related || op == Op::sync) continue;
            if (t.site.line == site.line && !strcmp(t.site.file, site.file)) continue;
            fail("warp operation in a divergent branch: lane %d is at %s:%d, lane %d at %s:%d",
                 own.lane, base(site.file), site.line, t.lane, base(t.site.file), t.site.line);
        }
        if (t.site.line == site.line && t.op == op && !strcmp(t.site.file, site.file))
            fail("%s:%d: mismatched masks: lane %d names 0x%08x, lane %d 0x%08x", base(site.file),
                 site.line, own.lane, mask, t.lane, t.mask);
    }
    warp.waiting |= 1u << own.lane;
    const int low = __builtin_ctz(mask);
    char* address = &warp.meeting[warp.turn[low]][low];
    // Of all warp operations only __syncwarp orders memory.
    if (watched() && op == Op::sync) __tsan_release(address);
    finish_meeting(warp, first, own);
    wait_for_others();
    if (watched() && op == Op::sync) __tsan_acquire(address);
    return own.result;
}

static char fences;
void fence() {
    if (!watched()) return;
    __tsan_acquire(&fences);
    __tsan_release(&fences);
}

static void thread_main() {
    Worker& w = *worker;
    Thread& own = self();
    if (watched()) __tsan_acquire(&block_start);  // a spare fiber knows only its last launch
    w.launch->kernel->run(w.launch->arguments);
    own.state = DONE;
    Warp& warp = w.warps[own.number / 32];
    warp.live &= ~(1u << own.lane);
    --w.live;
    for (unsigned left = warp.waiting; left; left &= left - 1) {
        Thread& t = w.threads[own.number - own.lane + __builtin_ctz(left)];
        if (t.mask >> own.lane & 1 && finish_meeting(warp, own.number - own.lane, t)) break;
    }
    if (w.live && w.arrived == w.live) finish_barrier();
    if (watched()) __tsan_release(&launch_end);
    Context dead;
    pass_on(dead);
    __builtin_unreachable();
}

// ---- shared memory ----------------------------------------------------------------------------

// A plain loop over whole pages: ThreadSanitizer watches memset and would take it for an access of
// the thread that happens to open the array.
static void fill(char* page, size_t bytes) {
    volatile uint64_t* word = reinterpret_cast<uint64_t*>(page);
    for (size_t i = 0; i < bytes / sizeof *word; ++i) word[i] = POISON_WORD;
}

static void open_slot(Slot& slot) {
    slot.room = (slot.bytes + PAGE - 1) / PAGE * PAGE;
    slot.start = worker->arena + size_t(&slot - worker->slots) * SLOT + PAGE;
    slot.data = slot.start + (slot.room - (slot.bytes + 15) / 16 * 16);
    mprotect(slot.start, slot.room, PROT_READ | PROT_WRITE);
    fill(slot.start, slot.room);
}

static void close_slots() {
    Worker& w = *worker;
    for (int i = 0; i < w.n_slots; ++i) {
        const Slot& slot = w.slots[i];
        for (const char* p = slot.start; p != slot.start + slot.room; ++p) {
            if (p == slot.data) p += slot.bytes;
            if (p == slot.start + slot.room) break;
            if (static_cast<unsigned char>(*p) != POISON) {
                tell("write outside of shared array %s, %td bytes from its start", slot.name,
                     p - slot.data);
                break;
            }
        }
    }
}

static Slot& new_slot(const void* key, size_t bytes, const char* name) {
    Worker& w = *worker;
    size_t total = bytes;
    for (int i = 0; i < w.n_slots; ++i) total += w.slots[i].bytes;
    if (total > SHARED_LIMIT) fail("%zu bytes of shared memory; every GPU has %zu", total,
                                   SHARED_LIMIT);
    if (w.n_slots == SHARED_SLOTS) fail("more than %d shared arrays", SHARED_SLOTS);
    Slot& slot = w.slots[w.n_slots++];
    slot.key = key, slot.bytes = bytes, slot.name = name;
    open_slot(slot);
    return slot;
}

void* shared(const void* key, size_t bytes, const char* name) {
    Worker& w = *worker;
    for (int i = 0; i < w.n_slots; ++i)
        if (w.slots[i].key == key) return w.slots[i].data;
    return new_slot(key, bytes, name).data;
}

void* dynamic_shared() {
    if (!worker->launch->dynamic_bytes) fail("dynamic shared memory is used; the launch has none");
    return shared(&launch_end, worker->launch->dynamic_bytes, "(dynamic)");
}

// ---- running blocks ---------------------------------------------------------------------------

static unsigned long long draw(Worker& w, unsigned long long n) {
    w.random ^= w.random << 13, w.random ^= w.random >> 7, w.random ^= w.random << 17;
    return w.random % n;
}

static void make_order(Worker& w) {
    const int n = w.n_threads, kind = w.launch->order;
    for (int i = 0; i < n; ++i) w.order[i] = kind == 1 ? n - 1 - i : i;
    if (kind == 2)
        for (int i = n - 1; i > 0; --i) {
            const int j = int(draw(w, i + 1)), t = w.order[i];
            w.order[i] = w.order[j], w.order[j] = t;
        }
    std::vector<int> filled(w.warps.size(), 0);
    for (Warp& warp : w.warps)
        for (int& lane : warp.order) lane = -1;
    for (int i : w.order) w.warps[i / 32].order[filled[i / 32]++] = i % 32;
}

static void* map(size_t bytes, int protection) {
    void* p = mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        dprintf(2, "emulator: no memory for %zu bytes: %s\n", bytes, strerror(errno));
        _exit(70);
    }
    return p;
}

// Guarded stacks of earlier launches: setting up hundreds takes longer than most launches.
struct Stacks {
    char* start;
    int count;
};
static std::vector<Stacks> spare_stacks;
static pthread_mutex_t spare_lock = PTHREAD_MUTEX_INITIALIZER;

static Stacks take_stacks(int count) {
    Stacks found = {nullptr, count};
    pthread_mutex_lock(&spare_lock);
    for (size_t i = 0; i < spare_stacks.size() && !found.start; ++i)
        if (spare_stacks[i].count >= count) {
            found = spare_stacks[i];
            spare_stacks.erase(spare_stacks.begin() + long(i));
        }
    pthread_mutex_unlock(&spare_lock);
    if (!found.start) {
        found.start = static_cast<char*>(map(STACK * count, PROT_READ | PROT_WRITE));
        for (int i = 0; i < count; ++i) mprotect(found.start + i * STACK, PAGE, PROT_NONE);
    }
    return found;
}

static void leave_stacks(const Stacks& stacks) {
    pthread_mutex_lock(&spare_lock);
    spare_stacks.push_back(stacks);
    pthread_mutex_unlock(&spare_lock);
}

static void open_memory(Worker& w) {
    const Stacks stacks = take_stacks(w.n_threads);
    w.stacks = stacks.start, w.n_stacks = stacks.count;
    w.arena = static_cast<char*>(map(SLOT * SHARED_SLOTS, PROT_NONE));
    w.n_slots = 0;
}

static void close_memory(Worker& w) {
    if (w.launch->watched)
        munmap(w.stacks, STACK * w.n_stacks);
    else
        leave_stacks({w.stacks, w.n_stacks});
    munmap(w.arena, SLOT * SHARED_SLOTS);
}

static void* take_fiber() {  // a watched launch has one worker: no lock
    if (spare_fibers.empty()) return __tsan_create_fiber(0);
    void* fiber = spare_fibers.back();
    spare_fibers.pop_back();
    return fiber;
}

static void leave_fiber(const Thread& t) {
    // One that was stopped midway still has calls on ThreadSanitizer's record of its stack.
    if (t.state == DONE && used_fibers.size() + spare_fibers.size() < SPARE_FIBERS)
        used_fibers.push_back(t.fiber);
    else
        __tsan_destroy_fiber(t.fiber);
}

static void run_block(Worker& w, unsigned long long number) {
    const Launch& launch = *w.launch;
    const unsigned* g = launch.grid;
    w.block[0] = unsigned(number % g[0]);
    w.block[1] = unsigned(number / g[0] % g[1]);
    w.block[2] = unsigned(number / g[0] / g[1]);
    // New memory for each block, or ThreadSanitizer takes one block's use of it for a race with
    // another's.
    if (launch.watched && w.stacks) close_memory(w), w.stacks = nullptr;
    if (!w.stacks) open_memory(w);
    for (int i = 0; i < w.n_slots; ++i) fill(w.slots[i].start, w.slots[i].room);
    for (size_t i = 0; i < w.warps.size(); ++i) {
        const int lanes = w.n_threads - int(i) * 32;
        w.warps[i].live = lanes >= 32 ? 0xffffffffu : (1u << lanes) - 1;
        w.warps[i].waiting = 0;
    }
    make_order(w);
    w.live = w.n_threads, w.arrived = w.head = w.queued = 0;
    const unsigned* b = launch.block;
    for (int i = 0; i < w.n_threads; ++i) {
        Thread& t = w.threads[i];
        t.number = i, t.lane = i % 32;
        t.view.thread = {i % b[0], i / b[0] % b[1], i / b[0] / b[1]};
        t.view.block = {w.block[0], w.block[1], w.block[2]};
        t.view.block_size = {b[0], b[1], b[2]};
        t.view.grid_size = {g[0], g[1], g[2]};
        prepare(t.context, w.stacks + i * STACK + PAGE, STACK - PAGE, thread_main);
        t.fiber = nullptr;
        if (launch.watched) {
            char name[96];
            snprintf(name, sizeof name, "block (%u,%u,%u) thread %d", w.block[0], w.block[1],
                     w.block[2], i);
            t.fiber = take_fiber();
            __tsan_set_fiber_name(t.fiber, name);
        }
    }
    if (launch.watched) __tsan_release(&block_start);
    for (int i : w.order) enqueue(i);
    pass_on(w.context);
    if (launch.watched)
        for (Thread& t : w.threads) leave_fiber(t);
    if (!__atomic_load_n(&stopped, __ATOMIC_RELAXED)) close_slots();
}

static unsigned long long block_number(const Launch& launch, unsigned long long turn) {
    if (launch.order == 0) return turn;
    if (launch.order == 1) return n_blocks - 1 - turn;
    // A random order without memory: steps of a stride that shares no factor with the count.
    unsigned long long stride = (launch.seed * 2654435761ull + 1) % n_blocks | 1;
    for (;; stride += 2) {
        unsigned long long a = n_blocks, b = stride;
        while (b) {
            const unsigned long long rest = a % b;
            a = b, b = rest;
        }
        if (a == 1) break;
    }
    return (turn * (stride % n_blocks) + launch.seed) % n_blocks;
}

static void* worker_main(void* argument) {
    Worker& w = *static_cast<Worker*>(argument);
    worker = &w;
    view = nullptr;
    stack_t stack = {};
    stack.ss_sp = w.signal_stack;
    stack.ss_size = 64 * 1024;
    sigaltstack(&stack, nullptr);
    w.fiber = w.launch->watched ? __tsan_get_current_fiber() : nullptr;
    while (!__atomic_load_n(&stopped, __ATOMIC_RELAXED)) {
        const unsigned long long turn = __atomic_fetch_add(&next_block, 1, __ATOMIC_RELAXED);
        if (turn >= n_blocks) break;
        run_block(w, block_number(*w.launch, turn));
    }
    if (w.stacks) close_memory(w), w.stacks = nullptr;
    stack.ss_flags = SS_DISABLE;
    sigaltstack(&stack, nullptr);
    worker = nullptr;
    __atomic_store_n(&w.running, false, __ATOMIC_RELEASE);
    return nullptr;
}

// ---- faults -----------------------------------------------------------------------------------

static struct sigaction before_segv, before_bus;

static void describe(char* address, const char* what) {
    Worker& w = *worker;
    const Launch& launch = *w.launch;
    for (int i = 0; i < launch.n_regions; ++i) {
        const Region& r = launch.regions[i];
        if (address < r.map || address >= r.map + r.map_bytes) continue;
        const ptrdiff_t offset = address - r.data, item = ptrdiff_t(r.item);
        const ptrdiff_t index = (offset - (offset < 0 ? item - 1 : 0)) / item;
        if (offset >= 0 && size_t(offset) < r.bytes)
            tell("write to %s, which is const (element %td)", r.name, index);
        else
            tell("%s out of bounds of %s: element %td of %zu", what, r.name, index,
                 r.bytes / r.item);
        return;
    }
    for (int i = 0; i < w.n_slots; ++i) {
        const Slot& slot = w.slots[i];
        if (address < slot.start - PAGE || address >= slot.start - PAGE + SLOT) continue;
        tell("%s out of bounds of shared array %s: byte %td of %zu", what, slot.name,
             address - slot.data, slot.bytes);
        return;
    }
    for (const Thread& t : w.threads) {
        const char* low = w.stacks + size_t(t.number) * STACK;
        if (address >= low && address < low + PAGE) return tell("stack overflow");
    }
    tell("%s at %p, which is no argument's memory (a wild or null pointer)", what,
         static_cast<void*>(address));
}

static void on_fault(int signal, siginfo_t* info, void* raw) {
    if (!worker || !view) {  // not a kernel's: what was there before decides
        sigaction(signal, signal == SIGSEGV ? &before_segv : &before_bus, nullptr);
        return;
    }
    const ucontext_t& context = *static_cast<ucontext_t*>(raw);
    const char* what = "access";
#if defined(__x86_64__)
    what = context.uc_mcontext.gregs[REG_ERR] & 2 ? "write" : "read";
    worker->launch->fault = reinterpret_cast<void*>(context.uc_mcontext.gregs[REG_RIP]);
#elif defined(__aarch64__)
    worker->launch->fault = reinterpret_cast<void*>(context.uc_mcontext.pc);
#endif
    char* address = static_cast<char*>(info->si_addr);
    if (info->si_code == SI_KERNEL || signal == SIGBUS)
        tell("access at an address that is misaligned or impossible");
    else
        describe(address, what);
    leave();
}

static void on_impatience(int, siginfo_t*, void*) {
    if (!worker) return;
    tell("does not end: a loop waits for what never comes");
    if (view) leave();
}

// ---- one launch -------------------------------------------------------------------------------

// An array lies between guards: flush with the upper one, so that a read past the end faults, or
// (in the descending order) with the lower one, so that a read before the start does; as near as
// its alignment lets it: 16 bytes, and the phase of a slice.
static void open_region(Region& r, bool low) {
    const size_t room = (r.bytes + 32 + PAGE - 1) / PAGE * PAGE, phase = r.phase % 16;
    r.map_bytes = room + 2 * GUARD;
    r.map = static_cast<char*>(map(r.map_bytes, PROT_NONE));
    char *start = r.map + GUARD, *end = start + room;
    mprotect(start, room, PROT_READ | PROT_WRITE);
    fill(start, room);
    r.data = low ? start + phase : end - (r.bytes + phase + 15) / 16 * 16 + phase;
    memcpy(r.data, r.host, r.bytes);
    if (!r.writable) mprotect(start, room, PROT_READ);
}

static void check_region(const Region& r, Launch& launch) {
    const char *start = r.map + GUARD, *end = r.map + r.map_bytes - GUARD;
    for (const char* p = start; p < end; ++p) {
        if (p == r.data) p += r.bytes;
        if (p >= end) break;
        if (static_cast<unsigned char>(*p) == POISON) continue;
        const ptrdiff_t offset = p - r.data, item = ptrdiff_t(r.item);
        snprintf(launch.report, launch.report_bytes,
                 "%s: write out of bounds of %s: element %td of %zu", launch.name, r.name,
                 (offset - (offset < 0 ? item - 1 : 0)) / item, r.bytes / r.item);
        return;
    }
}

}  // namespace emu

using namespace emu;

extern "C" void emu_launch(Launch* launch) {
    launch->report[0] = 0;
    launch->fault = nullptr;
    if (launch->watched && !__tsan_create_fiber) {
        snprintf(launch->report, launch->report_bytes, "ThreadSanitizer is not loaded");
        return;
    }
    stopped = 0;
    spare_fibers.insert(spare_fibers.end(), used_fibers.begin(), used_fibers.end());
    used_fibers.clear();
    next_block = 0;
    n_blocks = 1ull * launch->grid[0] * launch->grid[1] * launch->grid[2];
    for (int i = 0; i < launch->n_regions; ++i) open_region(launch->regions[i], launch->order == 1);
    for (int i = 0; i < launch->n_patches; ++i) {
        const Patch& patch = launch->patches[i];
        *patch.where = launch->regions[patch.region].data + patch.offset;
    }
    // For the time of the launch only: the process's own handlers, and another runtime's, stay.
    struct sigaction action = {}, before_urgent;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    action.sa_sigaction = on_fault;
    sigaction(SIGSEGV, &action, &before_segv);
    sigaction(SIGBUS, &action, &before_bus);
    action.sa_sigaction = on_impatience;
    sigaction(SIGURG, &action, &before_urgent);
    std::vector<Worker> workers(launch->workers);
    const int n_threads = int(launch->block[0] * launch->block[1] * launch->block[2]);
    for (Worker& w : workers) {
        w.launch = launch;
        w.n_threads = n_threads;
        w.stacks = nullptr;
        w.n_slots = w.turn = 0;
        w.random = 88172645463325252ull ^ (launch->seed * 0x9E3779B97F4A7C15ull);
        w.threads.resize(n_threads);
        w.warps.resize((n_threads + 31) / 32);
        w.order.resize(n_threads);
        w.queue.resize(n_threads);
        memset(static_cast<void*>(w.warps.data()), 0, w.warps.size() * sizeof(Warp));
        w.signal_stack = static_cast<char*>(map(64 * 1024, PROT_READ | PROT_WRITE));
        w.running = true;
        pthread_create(&w.os_thread, nullptr, worker_main, &w);
    }
    timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += time_t(launch->patience);
    until.tv_nsec += long((launch->patience - double(time_t(launch->patience))) * 1e9);
    if (until.tv_nsec >= 1000000000) ++until.tv_sec, until.tv_nsec -= 1000000000;
    for (Worker& w : workers) {
        while (pthread_timedjoin_np(w.os_thread, nullptr, &until) == ETIMEDOUT) {
            pthread_kill(w.os_thread, SIGURG);
            until.tv_sec += 1;
        }
        munmap(w.signal_stack, 64 * 1024);
    }
    sigaction(SIGSEGV, &before_segv, nullptr);
    sigaction(SIGBUS, &before_bus, nullptr);
    sigaction(SIGURG, &before_urgent, nullptr);
    if (launch->watched) __tsan_acquire(&launch_end);
    for (int i = 0; i < launch->n_regions; ++i) {
        Region& r = launch->regions[i];
        if (!launch->report[0] && r.writable) check_region(r, *launch);
    }
    for (int i = 0; i < launch->n_regions; ++i) {
        Region& r = launch->regions[i];
        if (!launch->report[0] && r.writable) memcpy(r.host, r.data, r.bytes);
        munmap(r.map, r.map_bytes);
    }
}

// ---- UndefinedBehaviorSanitizer's calls, so that its findings name block and thread -------------

namespace {
struct Location {
    const char* file;
    unsigned line, column;
};

[[noreturn]] void undefined(const void* data, const char* what) {
    const Location& at = *static_cast<const Location*>(data);
    fail("%s:%u: undefined behaviour: %s", base(at.file), at.line, what);
}

struct Mismatch {
    Location at;
    const void* type;
    unsigned char log_alignment, kind;
};
}  // namespace

extern "C" {
void __ubsan_handle_type_mismatch_v1_abort(Mismatch* data, uintptr_t pointer) {
    const size_t alignment = size_t(1) << data->log_alignment;
    if (pointer && pointer % alignment)
        fail("%s:%u: misaligned access: the address is %zu bytes off a multiple of %zu",
             base(data->at.file), data->at.line, size_t(pointer % alignment), alignment);
    undefined(data, pointer ? "access to an object of too little room" : "null pointer");
}
#define EMU_UBSAN(name, what)                                                                   \
    void __ubsan_handle_##name##_abort(void* data) { undefined(data, what); }
EMU_UBSAN(add_overflow, "signed sum overflows")
EMU_UBSAN(sub_overflow, "signed difference overflows")
EMU_UBSAN(mul_overflow, "signed product overflows")
EMU_UBSAN(negate_overflow, "negation overflows")
EMU_UBSAN(divrem_overflow, "division by zero or overflow")
EMU_UBSAN(shift_out_of_bounds, "shift by a negative count or by all bits")
EMU_UBSAN(out_of_bounds, "index out of an array's bounds")
EMU_UBSAN(vla_bound_not_positive, "array of no elements")
EMU_UBSAN(load_invalid_value, "a bool that is neither true nor false")
EMU_UBSAN(pointer_overflow, "pointer arithmetic overflows")
EMU_UBSAN(float_cast_overflow, "number too large for the integer")
EMU_UBSAN(nonnull_arg, "null argument")
EMU_UBSAN(nonnull_return_v1, "null result")
EMU_UBSAN(invalid_builtin, "zero passed to a bit-counting builtin")
void __ubsan_handle_builtin_unreachable(void* data) { undefined(data, "unreachable code reached"); }
void __ubsan_handle_missing_return(void* data) { undefined(data, "function returns nothing"); }
}
