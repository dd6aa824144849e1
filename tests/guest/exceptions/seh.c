// Structured exceptions: frames' handlers, filters, __finally, vectored handlers, faults, and going on
// elsewhere. By clang only: GCC knows no __try.
#include "../check.h"

#include <malloc.h>
#include <setjmp.h>
#include <string.h>
#include <winternl.h>

#define NOINLINE __attribute__((noinline))
#define MINE 0xE0001234u

// What happened, one letter each.
static char g_log[256];
static void note(const char* what) { strncat(g_log, what, sizeof g_log - strlen(g_log) - 1); }
static int logged(const char* expected) {
  int same = strcmp(g_log, expected) == 0;
  if (!same) printf("log is \"%s\"\n", g_log);
  g_log[0] = 0;
  return same;
}
static int filter(const char* what, int verdict) {
  note(what);
  return verdict;
}

static NOINLINE void raise_code(DWORD code) { RaiseException(code, 0, 0, NULL); }
static NOINLINE void fails_in_frames(int depth) {
  __try {
    if (depth == 0)
      raise_code(MINE);
    else
      fails_in_frames(depth - 1);
  } __finally {
    note(AbnormalTermination() ? "f" : "n");
  }
}

static void check_frames(void) {
  __try {
    fails_in_frames(2);
    CHECK(!"reached");
  } __except (GetExceptionCode() == MINE ? filter("?", EXCEPTION_EXECUTE_HANDLER) : 0) {
    note("!");
  }
  CHECK(logged("?fff!"));  // filters first, then what is in between, then the block
  __try {
    __try {
      raise_code(MINE);
    } __except (filter("1", EXCEPTION_CONTINUE_SEARCH)) {
      note("wrong");
    }
  } __except (filter("2", EXCEPTION_EXECUTE_HANDLER)) {
    note("!");
  }
  CHECK(logged("12!"));
  __try {
    raise_code(MINE);
    note("on");
  } __except (filter("c", EXCEPTION_CONTINUE_EXECUTION)) {
    note("wrong");
  }
  CHECK(logged("con"));
  ULONG_PTR arguments[2] = {7, 8};
  EXCEPTION_RECORD seen;
  __try {
    RaiseException(MINE, 0, 2, arguments);
  } __except (seen = *((EXCEPTION_POINTERS*)GetExceptionInformation())->ExceptionRecord, 1) {
  }
  CHECK(seen.ExceptionCode == MINE && seen.NumberParameters == 2 && seen.ExceptionInformation[1] == 8);
}

static NOINLINE void raises_in_filter(void) {
  __try {
    raise_code(MINE);
  } __except (GetExceptionCode() == MINE ? (raise_code(MINE + 1), 1) : 0) {
    note("wrong");
  }
}
static NOINLINE void raises_in_finally(void) {
  __try {
    __try {
      raise_code(MINE);
    } __finally {
      note("a");
      raise_code(MINE + 1);
    }
  } __finally {
    note("b");
  }
}
static void check_nesting(void) {
  volatile DWORD code = 0;
  __try {
    raises_in_filter();
  } __except (code = GetExceptionCode(), code == MINE + 1) {
    note("!");
  }
  CHECK(logged("!") && code == MINE + 1);
  // The second exception goes on where the first one's unwind was: no frame is cleaned up twice.
  __try {
    raises_in_finally();
  } __except (1) {
    code = GetExceptionCode();
  }
  CHECK(logged("ab") && code == MINE + 1);
  __try {
    __try {
      raises_in_finally();
    } __except (GetExceptionCode() == MINE + 1) {
      note("inner");
    }
  } __except (1) {
    note("outer");
  }
  CHECK(logged("abinner"));
}

static void check_noncontinuable(void) {
  volatile DWORD code = 0;
  __try {
    __try {
      RaiseException(MINE, EXCEPTION_NONCONTINUABLE, 0, NULL);
    } __except (GetExceptionCode() == MINE ? EXCEPTION_CONTINUE_EXECUTION : EXCEPTION_CONTINUE_SEARCH) {
    }
  } __except (1) {
    code = GetExceptionCode();
  }
  CHECK(code == STATUS_NONCONTINUABLE_EXCEPTION);
}

static jmp_buf g_buffer;
static NOINLINE void jumps_out(void) {
  __try {
    longjmp(g_buffer, 3);
  } __finally {
    note("f");
  }
}
static void check_longjmp(void) {
  volatile int kept = 11;
  int value = setjmp(g_buffer);
  if (value == 0) jumps_out();
  CHECK(value == 3 && kept == 11);
  CHECK(logged("f"));
}

// ---- vectored handlers
// -----------------------------------------------------------------------------------------

static LONG g_verdict;
static ULONG_PTR g_stack_used;
static LONG CALLBACK first_handler(EXCEPTION_POINTERS* exception) {
  volatile char here = 0;
  g_stack_used = exception->ContextRecord->Rsp - (ULONG_PTR)&here;
  note("1");
  return g_verdict;
}
static LONG CALLBACK second_handler(EXCEPTION_POINTERS* exception) {
  note("2");
  return EXCEPTION_CONTINUE_SEARCH;
}
static LONG CALLBACK continue_handler(EXCEPTION_POINTERS* exception) {
  note("c");
  return EXCEPTION_CONTINUE_SEARCH;
}
static void check_vectored(void) {
  void* second = AddVectoredExceptionHandler(1, second_handler);
  void* first = AddVectoredExceptionHandler(1, first_handler);
  void* last = AddVectoredContinueHandler(0, continue_handler);
  CHECK(first != NULL && second != NULL && last != NULL);
  g_verdict = EXCEPTION_CONTINUE_SEARCH;
  __try {
    raise_code(MINE);
  } __except (filter("?", 1)) {
    note("!");
  }
  CHECK(logged("12?!"));
  CHECK(g_stack_used < 3072);  // Go leaves 4 KiB
  g_verdict = EXCEPTION_CONTINUE_EXECUTION;
  __try {
    raise_code(MINE);
    note("on");
  } __except (filter("?", 1)) {
  }
  CHECK(logged("1con"));
  CHECK(RemoveVectoredExceptionHandler(first) != 0 && RemoveVectoredExceptionHandler(first) == 0);
  CHECK(RemoveVectoredExceptionHandler(second) != 0 && RemoveVectoredContinueHandler(last) != 0);
}

static void* g_itself;
static LONG CALLBACK replaces_itself(EXCEPTION_POINTERS* exception) {
  note("1");
  RemoveVectoredExceptionHandler(g_itself);
  g_itself = AddVectoredExceptionHandler(0, second_handler);
  return EXCEPTION_CONTINUE_SEARCH;
}
/// A handler that is added at the end is called for this exception already.
static void check_vectored_changes(void) {
  g_itself = AddVectoredExceptionHandler(0, replaces_itself);
  __try {
    raise_code(MINE);
  } __except (1) {
  }
  CHECK(logged("12"));
  CHECK(RemoveVectoredExceptionHandler(g_itself) != 0);
}

// ---- TLS callbacks, whose exceptions are lost
// --------------------------------------------------------------------

static int g_tls_faults;
static void NTAPI tls_callback(void* module, DWORD why, void* reserved) {
  void (*volatile nowhere)(void) = NULL;
  if (!g_tls_faults || why != DLL_THREAD_ATTACH) return;
  __try {
    nowhere();
  } __finally {
    note("f");
  }
  note("wrong");
}
__attribute__((used, section(".CRT$XLB"))) static const PIMAGE_TLS_CALLBACK g_tls_callback = tls_callback;

static DWORD WINAPI returns(void* argument) { return argument == NULL; }
static void check_tls_callback(void) {
  g_tls_faults = 1;
  HANDLE thread = CreateThread(NULL, 0, returns, NULL, 0, NULL);
  CHECK(WaitForSingleObject(thread, INFINITE) == WAIT_OBJECT_0);
  g_tls_faults = 0;
  CloseHandle(thread);
  CHECK(logged("f"));
}

// ---- faults
// ----------------------------------------------------------------------------------------------------

static EXCEPTION_RECORD g_seen;
static volatile ULONG_PTR g_bad = 0x20;
static ULONG_PTR g_at;
static int seen(EXCEPTION_POINTERS* exception) {
  g_seen = *exception->ExceptionRecord;
  g_at = exception->ContextRecord->Rip;
  return EXCEPTION_EXECUTE_HANDLER;
}

static NOINLINE void write_to(volatile int* at) { *at = 1; }
static NOINLINE int read_from(volatile int* at) { return *at; }
static NOINLINE int divide(int a, int b) {
  int q;
  __asm__ volatile("cltd; idivl %2" : "=a"(q) : "0"(a), "r"(b) : "edx");
  return q;
}
static NOINLINE void misaligned(void* at) { __asm__ volatile("movaps (%0), %%xmm0" : : "r"(at) : "xmm0"); }
static NOINLINE void illegal(void) { __asm__ volatile("ud2"); }
static NOINLINE void privileged(void) { __asm__ volatile("hlt"); }
static NOINLINE void asserts(void) { __asm__ volatile("int $0x2C"); }
static NOINLINE void breakpoint(void) { __asm__ volatile("int3"); }
static NOINLINE void single_step(void) {
  __asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq; nop" : : : "cc", "memory");
}

#define FAULT(call)                              \
  __try {                                        \
    call;                                        \
    CHECK(!"no fault: " #call);                  \
  } __except (seen(GetExceptionInformation())) { \
  }

static void check_faults(void) {
  char bytes[32] __attribute__((aligned(16))) = {0};
  FAULT(write_to((int*)0x10));
  CHECK(g_seen.ExceptionCode == EXCEPTION_ACCESS_VIOLATION && g_seen.NumberParameters == 2);
  CHECK(g_seen.ExceptionInformation[0] == 1 && g_seen.ExceptionInformation[1] == 0x10);
  CHECK((ULONG_PTR)g_seen.ExceptionAddress == g_at && g_at >= (ULONG_PTR)write_to &&
        g_at < (ULONG_PTR)write_to + 32);
  FAULT(read_from((int*)0x20));
  CHECK(g_seen.ExceptionInformation[0] == 0 && g_seen.ExceptionInformation[1] == 0x20);
  void (*volatile nowhere)(void) = NULL;
  FAULT(nowhere());
  CHECK(g_seen.ExceptionInformation[0] == 8 && g_seen.ExceptionInformation[1] == 0 && g_at == 0);
  char* data = VirtualAlloc(NULL, 4096, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
  data[0] = (char)0xC3;
  FAULT(((void (*)(void))data)());
  CHECK(g_seen.ExceptionCode == EXCEPTION_ACCESS_VIOLATION && g_seen.ExceptionInformation[0] == 8);
  CHECK(g_seen.ExceptionInformation[1] == (ULONG_PTR)data && g_at == (ULONG_PTR)data);
  DWORD before;
  CHECK(VirtualProtect(data, 4096, PAGE_READWRITE | PAGE_GUARD, &before));
  FAULT(write_to((int*)data));
  CHECK(g_seen.ExceptionCode == STATUS_GUARD_PAGE_VIOLATION &&
        g_seen.ExceptionInformation[1] == (ULONG_PTR)data);
  write_to((int*)data);  // once
  CHECK(VirtualFree(data, 0, MEM_RELEASE));
  FAULT(divide(1, 0));
  CHECK(g_seen.ExceptionCode == EXCEPTION_INT_DIVIDE_BY_ZERO);
  FAULT(divide((int)0x80000000, -1));
  CHECK(g_seen.ExceptionCode == EXCEPTION_INT_OVERFLOW);
  FAULT(misaligned(bytes + 1));
  CHECK(g_seen.ExceptionCode == EXCEPTION_ACCESS_VIOLATION &&
        g_seen.ExceptionInformation[1] == ~(ULONG_PTR)0);
  FAULT(illegal());
  CHECK(g_seen.ExceptionCode == EXCEPTION_ILLEGAL_INSTRUCTION);
  FAULT(privileged());
  CHECK(g_seen.ExceptionCode == EXCEPTION_PRIV_INSTRUCTION);
  FAULT(breakpoint());
  CHECK(g_seen.ExceptionCode == EXCEPTION_BREAKPOINT && *(unsigned char*)g_at == 0xCC);
  FAULT(DebugBreak());
  CHECK(g_seen.ExceptionCode == EXCEPTION_BREAKPOINT);
  FAULT(single_step());
  CHECK(g_seen.ExceptionCode == EXCEPTION_SINGLE_STEP);
  FAULT(asserts());
  CHECK(g_seen.ExceptionCode == (DWORD)STATUS_ASSERTION_FAILURE && *(unsigned char*)g_at == 0xCD);
  FAULT(((void (*)(void))(ULONG_PTR)0x7FFE0000)());  // KUSER_SHARED_DATA
  CHECK(g_seen.ExceptionCode == EXCEPTION_ACCESS_VIOLATION && g_seen.ExceptionInformation[0] == 8);
}

// Floating-point exceptions, which are masked until a program unmasks them. Handlers run with all masked.
static NOINLINE void sse_divide(volatile double* by) {
  __asm__ volatile("movsd %0, %%xmm0; divsd %1, %%xmm0" : : "m"(by[0]), "m"(by[1]) : "xmm0");
}
static NOINLINE void sse_operation(volatile double* by, unsigned csr) {
  unsigned before;
  __asm__ volatile("stmxcsr %0" : "=m"(before));
  __asm__ volatile("ldmxcsr %0" : : "m"(csr));
  sse_divide(by);
  __asm__ volatile("ldmxcsr %0" : : "m"(before));
}
static NOINLINE void x87_divide(volatile double* by, unsigned short control) {
  __asm__ volatile("fninit; fldcw %0; fldl %1; fdivl %2; fstpl %1; fwait; fninit"
                   :
                   : "m"(control), "m"(by[0]), "m"(by[1])
                   : "memory");
}
static unsigned mxcsr(void) {
  unsigned value;
  __asm__ volatile("stmxcsr %0" : "=m"(value));
  return value;
}
static unsigned g_handlers_mxcsr;
static int seen_float(EXCEPTION_POINTERS* exception) {
  g_handlers_mxcsr = mxcsr();
  return seen(exception);
}
#define FLOAT_FAULT(call)                              \
  __try {                                              \
    call;                                              \
    CHECK(!"no fault: " #call);                        \
  } __except (seen_float(GetExceptionInformation())) { \
  }                                                    \
  __asm__ volatile("fninit; ldmxcsr %0" : : "m"(kMasked))

static void check_floating_point(void) {
  static const unsigned kMasked = 0x1F80;
  volatile double by_zero[2] = {1, 0}, invalid[2] = {0, 0}, large[2] = {1e300, 1e-300},
                  small[2] = {1e-300, 1e300}, third[2] = {1, 3};
  FLOAT_FAULT(sse_operation(by_zero, 0x1F80 & ~0x200));
  CHECK(g_seen.ExceptionCode == EXCEPTION_FLT_DIVIDE_BY_ZERO);
  CHECK((g_handlers_mxcsr & kMasked) == kMasked);
  CHECK(g_at >= (ULONG_PTR)sse_divide && g_at < (ULONG_PTR)sse_divide + 64);
  FLOAT_FAULT(sse_operation(invalid, 0x1F80 & ~0x80));
  CHECK(g_seen.ExceptionCode == EXCEPTION_FLT_INVALID_OPERATION);
  FLOAT_FAULT(sse_operation(large, 0x1F80 & ~0x400));
  CHECK(g_seen.ExceptionCode == EXCEPTION_FLT_OVERFLOW);
  FLOAT_FAULT(sse_operation(small, 0x1F80 & ~0x800));
  CHECK(g_seen.ExceptionCode == EXCEPTION_FLT_UNDERFLOW);
  FLOAT_FAULT(sse_operation(third, 0x1F80 & ~0x1000));
  CHECK(g_seen.ExceptionCode == EXCEPTION_FLT_INEXACT_RESULT);
  FLOAT_FAULT(x87_divide(by_zero, 0x37F & ~4));
  CHECK(g_seen.ExceptionCode == EXCEPTION_FLT_DIVIDE_BY_ZERO);
  FLOAT_FAULT(x87_divide(invalid, 0x37F & ~1));
  CHECK(g_seen.ExceptionCode == EXCEPTION_FLT_INVALID_OPERATION);
  FLOAT_FAULT(x87_divide(third, 0x37F & ~0x20));
  CHECK(g_seen.ExceptionCode == EXCEPTION_FLT_INEXACT_RESULT);
}

static LONG CALLBACK mending_handler(EXCEPTION_POINTERS* exception) {
  if (exception->ExceptionRecord->ExceptionCode != EXCEPTION_ACCESS_VIOLATION)
    return EXCEPTION_CONTINUE_SEARCH;
  static int mended = 42;
  exception->ContextRecord->Rax = (ULONG_PTR)&mended;
  return EXCEPTION_CONTINUE_EXECUTION;
}
static void check_mending(void) {
  void* handler = AddVectoredExceptionHandler(1, mending_handler);
  int value;
  __asm__ volatile("movl (%%rax), %0" : "=r"(value) : "a"(0x30));
  CHECK(value == 42);
  CHECK(RemoveVectoredExceptionHandler(handler) != 0);
}

// A handler may use the upper halves of vector registers; they are as they were when the code goes on.
static LONG CALLBACK clears_vectors(EXCEPTION_POINTERS* exception) {
  __asm__ volatile(
      ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\nvpcmpeqd %%ymm\\n,%%ymm\\n,%%ymm\\n\n.endr\nvzeroupper"
      :
      :
      : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
        "xmm12", "xmm13", "xmm14", "xmm15");
  return mending_handler(exception);
}
static void check_vectors(void) {
  unsigned char before[16 * 32], after[16 * 32];
  if (!IsProcessorFeaturePresent(39)) return;  // PF_AVX_INSTRUCTIONS_AVAILABLE
  for (unsigned i = 0; i < sizeof before; ++i) before[i] = (unsigned char)(i * 7 + 1);
  void* handler = AddVectoredExceptionHandler(1, clears_vectors);
  int value = 0;
  __asm__ volatile(
      ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\nvmovups 32*\\n(%1),%%ymm\\n\n.endr\n"
      "movl (%%rax),%%eax\n"
      ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\nvmovups %%ymm\\n,32*\\n(%2)\n.endr\nvzeroupper"
      : "=a"(value)
      : "r"(before), "r"(after), "0"(0x30)
      : "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
        "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
  CHECK(value == 42 && memcmp(before, after, sizeof before) == 0);
  CHECK(RemoveVectoredExceptionHandler(handler) != 0);
}

// A program that steps through itself, and calls natives on its way.
static volatile int g_steps, g_stepping;
static LONG CALLBACK steps(EXCEPTION_POINTERS* exception) {
  if (exception->ExceptionRecord->ExceptionCode != EXCEPTION_SINGLE_STEP) return EXCEPTION_CONTINUE_SEARCH;
  ++g_steps;
  if (g_stepping) exception->ContextRecord->EFlags |= 0x100;
  return EXCEPTION_CONTINUE_EXECUTION;
}
static NOINLINE void step_along(void) {
  __asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq; nop" : : : "cc", "memory");
  GetTickCount();
  CloseHandle(NULL);
  int before = g_steps;
  __asm__ volatile("nop; nop; nop; nop" : : : "memory");
  g_stepping = 0;
  CHECK(g_steps - before >= 4);
}
static void check_stepping(void) {
  void* handler = AddVectoredExceptionHandler(1, steps);
  g_stepping = 1;
  step_along();
  __asm__ volatile("nop");
  CHECK(g_steps >= 10);
  CHECK(RemoveVectoredExceptionHandler(handler) != 0);
}

// ---- stack overflow
// --------------------------------------------------------------------------------------------

static NOINLINE int endless(volatile int depth) {
  volatile char here[256];
  here[depth & 255] = 1;
  return endless(depth + 1) + here[0];
}
static NOINLINE DWORD overflow(void) {
  DWORD code = 0;
  __try {
    endless(0);
  } __except (seen(GetExceptionInformation())) {
    code = GetExceptionCode();
  }
  return code;
}
static DWORD WINAPI overflows(void* argument) {
  ULONG guarantee = 32 << 10;
  if (argument != NULL && !SetThreadStackGuarantee(&guarantee)) return 1;
  for (int i = 0; i < 3; ++i) {
    if (overflow() != EXCEPTION_STACK_OVERFLOW) return 2;
    if (!_resetstkoflw()) return 3;
  }
  return 42;
}
static DWORD in_thread(DWORD(WINAPI* routine)(void*), void* argument) {
  DWORD code = 0;
  HANDLE thread = CreateThread(NULL, 0, routine, argument, 0, NULL);
  WaitForSingleObject(thread, INFINITE);
  GetExitCodeThread(thread, &code);
  CloseHandle(thread);
  return code;
}

/// With so many bytes left, something happens that takes more than that.
static NOINLINE void happens_near_the_end(int raises, ULONG_PTR left) {
  ULONG_PTR here, to = (ULONG_PTR)((NT_TIB*)__readgsqword(0x30))->StackLimit + left;
  __asm__ volatile("movq %%rsp, %0" : "=r"(here));
  volatile char* rest = _alloca(here - to);
  rest[0] = 1;
  if (raises)
    raise_code(MINE);
  else
    write_to((int*)(ULONG_PTR)g_bad);
  rest[0] = 2;
}
static DWORD WINAPI ends_nearly(void* unused) {
  int overflows = 0;
  for (ULONG_PTR left = 64; left < 8192; left += 192) {
    for (int raises = 0; raises < 2; ++raises) {
      __try {
        happens_near_the_end(raises, left);
        return 1;
      } __except (seen(GetExceptionInformation())) {
      }
      if (g_seen.ExceptionCode != (raises ? MINE : EXCEPTION_ACCESS_VIOLATION)) {
        if (g_seen.ExceptionCode != EXCEPTION_STACK_OVERFLOW || !_resetstkoflw()) return 2;
        ++overflows;
      }
    }
  }
  return overflows > 20 && overflows < 80 && unused == NULL ? 42 : 3;
}
static void check_stack_overflow(void) {
  // Wine ends threads on whose stack it finds no room for the exception.
  if (!running_under_wine()) CHECK(in_thread(ends_nearly, NULL) == 42);
  CHECK(in_thread(overflows, NULL) == 42);
  CHECK(in_thread(overflows, &g_at) == 42);
  CHECK(overflows(NULL) == 42);
}

// ---- going on elsewhere
// ----------------------------------------------------------------------------------------

NTSYSAPI void NTAPI RtlRaiseException(EXCEPTION_RECORD*);
NTSYSAPI NTSTATUS NTAPI NtContinue(CONTEXT*, BOOLEAN);
NTSYSAPI NTSTATUS NTAPI NtRaiseException(EXCEPTION_RECORD*, CONTEXT*, BOOLEAN);

static void check_contexts(void) {
  volatile int rounds = 0;
  CONTEXT context;
  RtlCaptureContext(&context);
  if (++rounds == 1) NtContinue(&context, FALSE);
  CHECK(rounds == 2);
  EXCEPTION_RECORD record = {.ExceptionCode = MINE};
  __try {
    RtlCaptureContext(&context);
    NtRaiseException(&record, &context, TRUE);
  } __except (seen(GetExceptionInformation())) {
    note("!");
  }
  CHECK(logged("!") && g_seen.ExceptionCode == MINE);
  __try {
    RtlRaiseException(&record);
  } __except (seen(GetExceptionInformation())) {
    note("!");
  }
  CHECK(logged("!") && g_seen.ExceptionCode == MINE);
  CHECK(NtContinue((CONTEXT*)(ULONG_PTR)g_bad, FALSE) == STATUS_ACCESS_VIOLATION);
}

// ---- unwinding that cannot go on
// -------------------------------------------------------------------------------

static EXCEPTION_RECORD* g_record;
static int g_spoil;
static NOINLINE void unwinds(void* frame, EXCEPTION_RECORD* record) {
  CONTEXT context;
  RtlUnwindEx(frame, NULL, record, NULL, &context, NULL);
}
/// The record of an unwind goes, or is protected, while the unwind is on its way.
static NOINLINE void unwinds_and_spoils(void) {
  __try {
    unwinds((char*)((NT_TIB*)__readgsqword(0x30))->StackBase - 8, g_record);
  } __finally {
    DWORD before;
    note("f");
    if (g_spoil == 1) VirtualFree(g_record, 4096, MEM_DECOMMIT);
    if (g_spoil == 2) VirtualProtect(g_record, 4096, PAGE_READONLY, &before);
  }
}
static int __attribute__((ms_abi)) (*g_specific)(void*, void*, void*, void*);
static void check_unwinding(void) {
  g_record = VirtualAlloc(NULL, 4096, MEM_RESERVE, PAGE_READWRITE);
  for (g_spoil = 1; g_spoil <= 2; ++g_spoil) {
    VirtualAlloc(g_record, 4096, MEM_COMMIT, PAGE_READWRITE);
    g_record->ExceptionCode = MINE;
    FAULT(unwinds_and_spoils());
    CHECK(g_seen.ExceptionCode == EXCEPTION_ACCESS_VIOLATION && g_log[0] == 'f');
    CHECK(g_seen.ExceptionInformation[1] - (ULONG_PTR)g_record < sizeof *g_record);
    if (g_spoil == 2) CHECK(g_seen.ExceptionInformation[0] == 1);
    g_log[0] = 0;
  }
  CHECK(VirtualFree(g_record, 0, MEM_RELEASE));
  char here;  // a frame that is below
  FAULT(unwinds(&here - 0x8000, NULL));
  CHECK(g_seen.ExceptionCode == 0xC0000029 /* STATUS_INVALID_UNWIND_TARGET */ &&
        (g_seen.ExceptionFlags & EXCEPTION_NONCONTINUABLE) != 0);
  void** const nowhere = (void**)(ULONG_PTR)g_bad;
  FAULT(CaptureStackBackTrace(0, 4, nowhere, NULL));
  CHECK(g_seen.ExceptionCode == EXCEPTION_ACCESS_VIOLATION);
  *(FARPROC*)&g_specific = GetProcAddress(GetModuleHandleA("ntdll.dll"), "__C_specific_handler");
  EXCEPTION_RECORD record = {.ExceptionCode = MINE};
  DISPATCHER_CONTEXT dispatcher = {0};
  FAULT(g_specific(nowhere, NULL, NULL, &dispatcher));
  CHECK(g_seen.ExceptionCode == EXCEPTION_ACCESS_VIOLATION);
  FAULT(g_specific(&record, NULL, NULL, nowhere));
  CHECK(g_seen.ExceptionCode == EXCEPTION_ACCESS_VIOLATION);
}

static NOINLINE int trace(void** frames, int skip) { return CaptureStackBackTrace(skip, 16, frames, NULL); }
static void check_backtrace(void) {
  void* frames[16];
  void* base = NULL;
  int count = trace(frames, 0);
  CHECK(count >= 3);
  CHECK((ULONG_PTR)frames[0] > (ULONG_PTR)trace && (ULONG_PTR)frames[0] < (ULONG_PTR)trace + 0x100);
  CHECK((ULONG_PTR)frames[1] > (ULONG_PTR)check_backtrace &&
        (ULONG_PTR)frames[1] < (ULONG_PTR)check_backtrace + 0x100);
  CHECK(trace(frames, 1) == count - 1);
  CHECK(RtlPcToFileHeader(frames[0], &base) == base && base == GetModuleHandleA(NULL));
}

// ---- code that is made at run time
// -----------------------------------------------------------------------------

static NOINLINE void called_from_made_code(void) { raise_code(MINE); }

static RUNTIME_FUNCTION g_row;
static RUNTIME_FUNCTION* CALLBACK find_row(DWORD64 pc, void* context) { return (RUNTIME_FUNCTION*)context; }

static NOINLINE int through(void (*code)(void (*)(void))) {
  __try {
    code(called_from_made_code);
  } __except (GetExceptionCode() == MINE) {
    return 1;
  }
  return 0;
}
static void check_made_code(void) {
  static const unsigned char code[] = {0x53,                    // push rbx
                                       0x48, 0x83, 0xEC, 0x30,  // sub rsp, 0x30
                                       0xFF, 0xD1,              // call rcx
                                       0x48, 0x83, 0xC4, 0x30,  // add rsp, 0x30
                                       0x5B, 0xC3};             // pop rbx; ret
  static const unsigned char info[] = {1, 5, 2, 0, 5, 2 | 5 << 4, 1, 0 | 3 << 4};
  unsigned char* page = VirtualAlloc(NULL, 4096, MEM_RESERVE | MEM_COMMIT, PAGE_EXECUTE_READWRITE);
  memcpy(page, code, sizeof code);
  memcpy(page + 64, info, sizeof info);
  g_row = (RUNTIME_FUNCTION){0, sizeof code, 64};
  void (*function)(void (*)(void)) = (void (*)(void (*)(void)))(void*)page;
  CHECK(RtlAddFunctionTable(&g_row, 1, (DWORD64)(ULONG_PTR)page));
  CHECK(through(function));
  CHECK(RtlDeleteFunctionTable(&g_row));
  CHECK(!RtlDeleteFunctionTable(&g_row));
  DWORD64 id = (DWORD64)(ULONG_PTR)page | 3;
  CHECK(RtlInstallFunctionTableCallback(id, (DWORD64)(ULONG_PTR)page, 4096, find_row, &g_row, NULL));
  CHECK(through(function));
  CHECK(RtlDeleteFunctionTable((RUNTIME_FUNCTION*)(ULONG_PTR)id));
  CHECK(VirtualFree(page, 0, MEM_RELEASE));
}

// A native that is given a bad pointer: the exception is the caller's.
static void check_natives(void) {
  WCHAR wide[8];
  FAULT(GetSystemTime((SYSTEMTIME*)(ULONG_PTR)g_bad));
  CHECK(g_seen.ExceptionCode == EXCEPTION_ACCESS_VIOLATION && g_seen.ExceptionInformation[1] >= g_bad);
  FAULT(MultiByteToWideChar(CP_ACP, 0, (char*)(ULONG_PTR)g_bad, 5, wide, 8));
  CHECK(g_seen.ExceptionCode == EXCEPTION_ACCESS_VIOLATION && g_seen.ExceptionInformation[1] == g_bad);
  FAULT(EnterCriticalSection((CRITICAL_SECTION*)(ULONG_PTR)g_bad));
  CHECK(g_seen.ExceptionCode == EXCEPTION_ACCESS_VIOLATION);
  CHECK(MultiByteToWideChar(CP_ACP, 0, "abc", 4, wide, 8) == 4 && wide[2] == L'c');
}

// KUSER_SHARED_DATA, which Go reads: the time, in three parts, and the version.
static void check_shared_data(void) {
  volatile LONG* interrupt_time = (LONG*)0x7FFE0008;
  FILETIME now;
  GetSystemTimeAsFileTime(&now);
  LONG first = interrupt_time[0], high = ((volatile LONG*)0x7FFE0014)[1];
  CHECK(interrupt_time[1] == interrupt_time[2]);
  CHECK(high - (LONG)now.dwHighDateTime == 0 || high - (LONG)now.dwHighDateTime == 1);
  while (interrupt_time[0] == first) Sleep(1);
  CHECK(*(volatile DWORD*)0x7FFE026C != 0);
}

static DWORD WINAPI everything(void* argument) {
  check_frames();
  check_nesting();
  check_noncontinuable();
  check_longjmp();
  check_faults();
  check_floating_point();
  check_contexts();
  check_unwinding();
  check_backtrace();
  check_natives();
  check_shared_data();
  return 0;
}

int main(void) {
  everything(NULL);
  CHECK(in_thread(everything, NULL) == 0);
  check_vectored();
  check_vectored_changes();
  check_tls_callback();
  check_mending();
  check_vectors();
  check_stepping();
  check_made_code();
  check_stack_overflow();
  return DONE();
}
