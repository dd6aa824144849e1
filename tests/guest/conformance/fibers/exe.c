// Cases 61-65: what fibers are to one thread, what belongs to each of them, and what stays with the thread.
#include "tls_directory.h"

PER_THREAD(int, of_the_thread, 1);

static void* main_fiber;

// ---- 61, 62: becoming one, and making them

static void WINAPI never(void* unused) { case_line(62, "a fiber that nobody switched to has run"); }

static void states(void) {
  case_line(61, "a fiber at first: %b", IsThreadAFiber());
  SetLastError(0);
  BOOL back = ConvertFiberToThread();
  case_line(61, "ConvertFiberToThread of a plain thread: %u (%u)", back, GetLastError());
  SetLastError(0);
  void* refused = ConvertThreadToFiberEx(NULL, 2);
  case_line(61, "with an unknown flag: %p (%u)", (ULONG64)refused, GetLastError());
  SetLastError(0);
  refused = CreateFiberEx(0, 0, 4, never, NULL);
  case_line(61, "CreateFiberEx with an unknown flag: %p (%u)", (ULONG64)refused, GetLastError());
  void* made_before = CreateFiber(0, never, NULL);
  case_line(62, "CreateFiber of a plain thread: %b", made_before != NULL);
  void* fiber = ConvertThreadToFiber((void*)0x61);
  case_line(61, "converted: %b, a fiber: %b, the current one: %b, its data: %p", fiber != NULL,
            IsThreadAFiber(), GetCurrentFiber() == fiber, (ULONG64)GetFiberData());
  SetLastError(0);
  refused = ConvertThreadToFiber(NULL);
  case_line(61, "once more: %p (%u)", (ULONG64)refused, GetLastError());
  back = ConvertFiberToThread();
  case_line(61, "and back: %u, a fiber: %b", back, IsThreadAFiber());
  DeleteFiber(made_before);
  case_line(62, "deleted");
}

// ---- 63: fiber-local values

static DWORD index;
static int calls;

static void WINAPI count(void* value) { ++calls; }

static void WINAPI set_value(void* value) {
  SetLastError(0);
  void* before = FlsGetValue(index);
  case_line(63, "a new fiber reads %p (%u)", (ULONG64)before, GetLastError());
  FlsSetValue(index, value);
  SwitchToFiber(main_fiber);
  case_line(63, "later it reads %p", (ULONG64)FlsGetValue(index));
  SwitchToFiber(main_fiber);
}

static void fiber_values(void) {
  index = FlsAlloc(count);
  main_fiber = ConvertThreadToFiber(NULL);
  FlsSetValue(index, (void*)0x630);
  void* first = CreateFiber(0, set_value, (void*)0x631);
  void* second = CreateFiber(0, set_value, (void*)0x632);
  SwitchToFiber(first);
  SwitchToFiber(second);
  SwitchToFiber(first);
  case_line(63, "the thread's own fiber reads %p", (ULONG64)FlsGetValue(index));
  DeleteFiber(first);
  case_line(63, "callbacks after the first is deleted: %u", calls);
  FlsFree(index);
  case_line(63, "after FlsFree: %u", calls);
  DeleteFiber(second);
  case_line(63, "after the second is deleted: %u", calls);
}

// ---- 64, 65: what switches and what does not

static DWORD slot;
static ULONG64 stack_base, stack_limit, deallocation_stack;

static void WINAPI look(void* unused) {
  int local;
  SwitchToFiber(main_fiber);
  DWORD error = GetLastError();
  case_line(64, "in the other fiber: slot %p, variable %x, last error %u", (ULONG64)TlsGetValue(slot),
            MY(of_the_thread), error);
  TlsSetValue(slot, (void*)0x642);
  MY(of_the_thread) = 0x643;
  case_line(65, "a stack of its own: %b, %b, %b; a local lies on it: %b", teb_read(0x08) != stack_base,
            teb_read(0x10) != stack_limit, teb_read(0x1478) != deallocation_stack,
            (ULONG64)&local >= teb_read(0x10) && (ULONG64)&local < teb_read(0x08));
  case_line(65, "no exception handler: %b, no FLS values: %b, the fiber's data: %p", teb_read(0) == ~0ull,
            teb_read(0x17C8) == 0, (ULONG64)GetFiberData());
  SetLastError(77);
  SwitchToFiber(main_fiber);
}

static void what_switches(void) {
  slot = TlsAlloc();
  void* fiber = CreateFiberEx(0x1000, 0x20000, 0, look, (void*)0x65);
  SwitchToFiber(fiber);
  stack_base = teb_read(0x08), stack_limit = teb_read(0x10), deallocation_stack = teb_read(0x1478);
  ULONG64 values = teb_read(0x17C8), vector = teb_read(0x58);
  TlsSetValue(slot, (void*)0x640);
  MY(of_the_thread) = 0x641;
  SetLastError(64);
  SwitchToFiber(fiber);
  DWORD error = GetLastError();
  case_line(64, "back: slot %p, variable %x, last error %u", (ULONG64)TlsGetValue(slot), MY(of_the_thread),
            error);
  case_line(65, "all as before: %b, %b",
            teb_read(0x08) == stack_base && teb_read(0x10) == stack_limit &&
                teb_read(0x1478) == deallocation_stack && teb_read(0x20) == (ULONG64)main_fiber,
            teb_read(0x17C8) == values && teb_read(0x58) == vector);
  DeleteFiber(fiber);
}

// ---- the registers that a call preserves, with the control words

static unsigned get_mxcsr(void) {
  unsigned value;
  __asm__ volatile("stmxcsr %0" : "=m"(value));
  return value & 0xFFC0;
}
static void set_mxcsr(unsigned value) { __asm__ volatile("ldmxcsr %0" : : "m"(value)); }
static unsigned get_x87(void) {
  unsigned short value;
  __asm__ volatile("fnstcw %0" : "=m"(value));
  return value;
}
static void set_x87(unsigned short value) { __asm__ volatile("fldcw %0" : : "m"(value)); }

static void WINAPI change_control(void* unused) {
  case_line(65, "a new fiber's control words: %x, %x", get_mxcsr(), get_x87());
  set_mxcsr(0x7F80);
  set_x87(0x0F7F);
  SwitchToFiber(main_fiber);
  case_line(65, "still its own: %x, %x", get_mxcsr(), get_x87());
  SwitchToFiber(main_fiber);
}

static void WINAPI destroy_registers(void* unused) {
  for (;;) {
    __asm__ volatile(
        "pcmpeqd %%xmm6, %%xmm6\n\tpcmpeqd %%xmm10, %%xmm10\n\tpcmpeqd %%xmm15, %%xmm15\n\tmovq $-1, "
        "%%rbx\n\t"
        "movq $-1, %%rsi\n\tmovq $-1, %%rdi\n\tmovq $-1, %%r12\n\tmovq $-1, %%r15"
        :
        :
        : "xmm6", "xmm10", "xmm15", "rbx", "rsi", "rdi", "r12", "r15");
    SwitchToFiber(main_fiber);
  }
}

static void control_words(void) {
  void* fiber = CreateFiber(0, change_control, NULL);
  unsigned mxcsr = get_mxcsr(), x87 = get_x87();
  SwitchToFiber(fiber);
  case_line(65, "the thread's own are as they were: %b", get_mxcsr() == mxcsr && get_x87() == x87);
  SwitchToFiber(fiber);
  case_line(65, "and again: %b", get_mxcsr() == mxcsr && get_x87() == x87);
  DeleteFiber(fiber);
}

static void registers(void) {
  struct {
    ULONG64 given[8], seen[8];
    void *fiber, *switch_to;
  } all = {{1, 2, 3, 4, 5, 6, 7, 8}, {0}, CreateFiber(0, destroy_registers, NULL), (void*)SwitchToFiber};
  void* at = &all;
  __asm__ volatile(
      "movq %%rax, %%r13\n\tmovq %%rsp, %%r14\n\tandq $-16, %%rsp\n\tsubq $32, %%rsp\n\t"
      "movq (%%r13), %%xmm6\n\tmovq 8(%%r13), %%xmm10\n\tmovq 16(%%r13), %%xmm15\n\t"
      "movq 24(%%r13), %%rbx\n\tmovq 32(%%r13), %%rsi\n\tmovq 40(%%r13), %%rdi\n\t"
      "movq 48(%%r13), %%r12\n\tmovq 56(%%r13), %%r15\n\t"
      "movq 128(%%r13), %%rcx\n\tcallq *136(%%r13)\n\tmovq %%r14, %%rsp\n\t"
      "movq %%xmm6, 64(%%r13)\n\tmovq %%xmm10, 72(%%r13)\n\tmovq %%xmm15, 80(%%r13)\n\t"
      "movq %%rbx, 88(%%r13)\n\tmovq %%rsi, 96(%%r13)\n\tmovq %%rdi, 104(%%r13)\n\t"
      "movq %%r12, 112(%%r13)\n\tmovq %%r15, 120(%%r13)"
      : "+a"(at)
      :
      : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm10", "xmm15", "rbx", "rsi", "rdi", "rcx",
        "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
  case_line(65, "registers that a call preserves: %b", memcmp(all.seen, all.given, sizeof all.seen) == 0);
  DeleteFiber(all.fiber);
}

ENTRY() {
  states();
  fiber_values();
  what_switches();
  control_words();
  registers();
  return 0;
}
