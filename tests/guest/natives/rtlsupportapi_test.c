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

int main(void) {
  check_capture();
  check_lookup();
  check_longjmp();
  return DONE();
}
