// A thread's own registers: taking them, going on with them, and the functions they point into.
#include "check.h"

#include <setjmp.h>

static void check_capture(void) {
  CONTEXT context;
  volatile int rounds = 0;
  RtlCaptureContext(&context);
  CHECK((context.ContextFlags & CONTEXT_FULL) == CONTEXT_FULL);
  CHECK(context.Rip > (ULONG_PTR)check_capture && context.Rip < (ULONG_PTR)check_capture + 0x200);
  CHECK(context.Rsp <= (ULONG_PTR)&rounds && context.Rsp + 0x2000 > (ULONG_PTR)&rounds);
  if (++rounds < 3) RtlRestoreContext(&context, NULL);
  CHECK(rounds == 3);
}

static void check_lookup(void) {
  DWORD64 base = 0, address = (DWORD64)(ULONG_PTR)check_lookup;
  RUNTIME_FUNCTION* function = RtlLookupFunctionEntry(address + 8, &base, NULL);
  CHECK(function != NULL && base == (DWORD64)(ULONG_PTR)GetModuleHandleA(NULL));
  CHECK(function != NULL && base + function->BeginAddress == address &&
        base + function->EndAddress > address + 8);
  CHECK(RtlLookupFunctionEntry((DWORD64)(ULONG_PTR)&base, &base, NULL) == NULL);
}

static jmp_buf g_buffer;

static volatile int g_returned;

static void __attribute__((noinline)) jump_from(volatile int* depth) {
  if (--*depth == 0) longjmp(g_buffer, 5);
  if (*depth > 0) jump_from(depth);
  ++g_returned;
}

static void check_longjmp(void) {
  volatile double kept = 2.5;
  volatile int jumps = 0, depth = 10;
  int value = setjmp(g_buffer);
  if (value == 0) jump_from(&depth);
  CHECK(value == 5 && kept == 2.5 && depth == 0 && g_returned == 0);
  if (++jumps < 100) longjmp(g_buffer, 5);
  CHECK(jumps == 100);
}

// ---- frames ----------------------------------------------------------------------------------------------

#define FROM_NTDLL(type, name) \
  type p##name = (type)(void*)GetProcAddress(GetModuleHandleA("ntdll.dll"), #name)

static int __attribute__((noinline)) caller_of(CONTEXT* context) {
  RtlCaptureContext(context);
  return context->Rip != 0;
}

static void check_frames(void) {
  CONTEXT context;
  volatile int captured = caller_of(&context);
  DWORD64 base = 0, establisher = 0;
  void* data = NULL;
  RUNTIME_FUNCTION* row = RtlLookupFunctionEntry(context.Rip, &base, NULL);
  CHECK(captured && row != NULL);
  CHECK(RtlVirtualUnwind(0, base, context.Rip, row, &context, &data, &establisher, NULL) == NULL);
  CHECK(context.Rip > (ULONG_PTR)check_frames && context.Rip < (ULONG_PTR)check_frames + 0x100);
  CHECK(establisher != 0 && establisher < context.Rsp);
  void* frames[4];
  DWORD hash = 0;
  WORD count = RtlCaptureStackBackTrace(0, 4, frames, &hash);
  CHECK(count >= 2 && hash != 0);
  CHECK((ULONG_PTR)frames[0] > (ULONG_PTR)check_frames &&
        (ULONG_PTR)frames[0] < (ULONG_PTR)check_frames + 0x400);
}

static int g_steps;

static void __attribute__((noinline)) go_back(CONTEXT* to, int how) {
  typedef LONG(NTAPI * Continue)(CONTEXT*, BOOLEAN);
  typedef void(NTAPI * Unwind)(void*, void*, EXCEPTION_RECORD*, void*);
  typedef void(NTAPI * UnwindEx)(void*, void*, EXCEPTION_RECORD*, void*, CONTEXT*, void*);
  FROM_NTDLL(Continue, NtContinue);
  FROM_NTDLL(Continue, ZwContinue);
  FROM_NTDLL(Unwind, RtlUnwind);
  FROM_NTDLL(UnwindEx, RtlUnwindEx);
  CONTEXT scratch;
  ++g_steps;
  if (how == 0) CHECK(pNtContinue(to, FALSE) == 0);
  if (how == 1) CHECK(pZwContinue(to, FALSE) == 0);
  if (how == 2) pRtlUnwind((void*)to->Rsp, (void*)to->Rip, NULL, (void*)7);
  if (how == 3) pRtlUnwindEx((void*)to->Rsp, (void*)to->Rip, NULL, (void*)7, &scratch, NULL);
  g_steps = -100;
}

static void __attribute__((noinline)) check_going_back(void) {
  static CONTEXT here;
  static volatile int how;
  how = 0;
  RtlCaptureContext(&here);
  if (how < 4) go_back(&here, how++);
  CHECK(g_steps == 4 && how == 4);
}

static volatile DWORD g_code;
static LONG CALLBACK go_on(EXCEPTION_POINTERS* exception) {
  g_code = exception->ExceptionRecord->ExceptionCode;
  return EXCEPTION_CONTINUE_EXECUTION;
}

static void check_raising(void) {
  typedef LONG(NTAPI * Raise)(EXCEPTION_RECORD*, CONTEXT*, BOOLEAN);
  FROM_NTDLL(Raise, NtRaiseException);
  FROM_NTDLL(Raise, ZwRaiseException);
  void* handler = AddVectoredExceptionHandler(1, go_on);
  static volatile int round;
  static CONTEXT context;
  static EXCEPTION_RECORD record;
  RaiseException(0xE0000007, 0, 0, NULL);
  CHECK(g_code == 0xE0000007);
  round = 0;
  RtlCaptureContext(&context);
  if (round < 2) {
    record.ExceptionCode = 0xE0000010 + round;
    if (round++ == 0) CHECK(pNtRaiseException(&record, &context, TRUE) == 0);
    CHECK(pZwRaiseException(&record, &context, TRUE) == 0);
  }
  CHECK(g_code == 0xE0000011);
  CHECK(RemoveVectoredExceptionHandler(handler) != 0);
}

static void check_growing_tables(void) {
  typedef DWORD(NTAPI * Add)(void**, RUNTIME_FUNCTION*, DWORD, DWORD, ULONG_PTR, ULONG_PTR);
  typedef void(NTAPI * Grow)(void*, DWORD);
  typedef void(NTAPI * Delete)(void*);
  FROM_NTDLL(Add, RtlAddGrowableFunctionTable);
  FROM_NTDLL(Grow, RtlGrowFunctionTable);
  FROM_NTDLL(Delete, RtlDeleteGrowableFunctionTable);
  static RUNTIME_FUNCTION rows[2] = {{0x10, 0x20, 0x100}, {0x20, 0x30, 0x100}};
  char* memory = VirtualAlloc(NULL, 4096, MEM_RESERVE | MEM_COMMIT, PAGE_EXECUTE_READWRITE);
  ULONG_PTR begin = (ULONG_PTR)memory;
  DWORD64 base = 0;
  void* table = NULL;
  CHECK(pRtlAddGrowableFunctionTable(&table, rows, 1, 2, begin, begin + 4096) == 0 && table != NULL);
  CHECK(RtlLookupFunctionEntry(begin + 0x18, &base, NULL) == &rows[0] && base == begin);
  CHECK(RtlLookupFunctionEntry(begin + 0x28, &base, NULL) == NULL);
  pRtlGrowFunctionTable(table, 2);
  CHECK(RtlLookupFunctionEntry(begin + 0x28, &base, NULL) == &rows[1]);
  pRtlDeleteGrowableFunctionTable(table);
  CHECK(RtlLookupFunctionEntry(begin + 0x18, &base, NULL) == NULL);
  CHECK(VirtualFree(memory, 0, MEM_RELEASE));
}

// Its table covers everything, with a filter: it is asked.
static int g_asked;
static LONG WINAPI accept_nothing(EXCEPTION_POINTERS* exception, void* frame) {
  ++g_asked;
  return EXCEPTION_CONTINUE_SEARCH;
}
static void check_scopes(void) {
  typedef LONG(NTAPI * Handler)(EXCEPTION_RECORD*, void*, CONTEXT*, DISPATCHER_CONTEXT*);
  FROM_NTDLL(Handler, __C_specific_handler);
  ULONG_PTR base = (ULONG_PTR)GetModuleHandleA(NULL);
  DWORD table[] = {1, 0x1000, 0x2000, (DWORD)((ULONG_PTR)accept_nothing - base), 1};
  EXCEPTION_RECORD record = {.ExceptionCode = 0xE0000001};
  CONTEXT context = {0};
  DISPATCHER_CONTEXT dispatcher = {.ImageBase = base, .ControlPc = base + 0x1800, .HandlerData = table};
  CHECK(p__C_specific_handler(&record, NULL, &context, &dispatcher) == 1 && g_asked == 1);
  dispatcher.ControlPc = base + 0x2000;
  CHECK(p__C_specific_handler(&record, NULL, &context, &dispatcher) == 1 && g_asked == 1);
}

int main(void) {
  check_capture();
  check_lookup();
  check_longjmp();
  check_frames();
  check_going_back();
  check_raising();
  check_growing_tables();
  check_scopes();
  return DONE();
}
