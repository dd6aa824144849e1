// How a guest ends that nobody saves: the exit code, and what is said of it.
#include <windows.h>

static volatile int* volatile g_nowhere = (int*)0x10;

static void __attribute__((noinline)) writes_nowhere(void) { *g_nowhere = 1; }

static DWORD WINAPI thread_main(void* argument) {
  writes_nowhere();
  return 0;
}

static LONG WINAPI knows_better(EXCEPTION_POINTERS* exception) {
  return exception->ExceptionRecord->ExceptionCode == 0xE0000042 ? EXCEPTION_EXECUTE_HANDLER
                                                                 : EXCEPTION_CONTINUE_SEARCH;
}

static void NTAPI fls_callback(void* value) { writes_nowhere(); }

static DWORD WINAPI leaves_a_value(void* index) {
  FlsSetValue(*(DWORD*)index, "value");
  return 0;
}

static void WINAPI fiber_main(void* argument) { writes_nowhere(); }

static LONG CALLBACK faults_itself(EXCEPTION_POINTERS* exception) {
  writes_nowhere();
  return EXCEPTION_CONTINUE_SEARCH;
}

static LONG WINAPI goes_on(EXCEPTION_POINTERS* exception) { return EXCEPTION_CONTINUE_EXECUTION; }

/// Of what dispatches the exception, the handler itself stands on the page below.
static LONG CALLBACK hides_the_stack(EXCEPTION_POINTERS* exception) {
  DWORD before;
  VirtualProtect(exception->ContextRecord, 1, PAGE_NOACCESS, &before);
  return EXCEPTION_CONTINUE_SEARCH;
}

/// Code that calls what it is given, and whose row has gone.
static void raises_in_lost_code(void) {
  static const unsigned char kCode[] = {0xFF, 0xD1};  // call rcx
  unsigned char* code = VirtualAlloc(NULL, 4096, MEM_RESERVE | MEM_COMMIT, PAGE_EXECUTE_READWRITE);
  RUNTIME_FUNCTION* row = VirtualAlloc(NULL, 4096, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
  for (unsigned i = 0; i < sizeof kCode; ++i) code[i] = kCode[i];
  *row = (RUNTIME_FUNCTION){0, 4096, 0};
  RtlAddFunctionTable(row, 1, (DWORD64)(ULONG_PTR)code);
  VirtualFree(row, 0, MEM_RELEASE);
  ((void (*)(void (*)(void)))(void*)code)(writes_nowhere);
}

int main(int count, char** arguments) {
  DWORD index = 0;
  switch (arguments[1][0]) {
    case 'a':  // access violation
      writes_nowhere();
      break;
    case 't':  // the same in a thread
      WaitForSingleObject(CreateThread(NULL, 0, thread_main, NULL, 0, NULL), INFINITE);
      break;
    case 'c':  // an FLS callback, of an index that is freed
      index = FlsAlloc(fls_callback);
      FlsSetValue(index, "value");
      FlsFree(index);
      break;
    case 'e':  // the same at the end of a thread
      index = FlsAlloc(fls_callback);
      WaitForSingleObject(CreateThread(NULL, 0, leaves_a_value, &index, 0, NULL), INFINITE);
      break;
    case 'b':  // a fiber
      ConvertThreadToFiber(NULL);
      SwitchToFiber(CreateFiber(0, fiber_main, NULL));
      break;
    case 'r':  // raised
      RaiseException(0xE0000042, EXCEPTION_NONCONTINUABLE, 0, NULL);
      break;
    case 'f':  // a filter that ends the process, without a word
      SetUnhandledExceptionFilter(knows_better);
      RaiseException(0xE0000042, 0, 0, NULL);
      break;
    case 'h':  // a handler that faults each time
      AddVectoredExceptionHandler(1, faults_itself);
      writes_nowhere();
      break;
    case 's':  // a stack pointer that is none
      __asm__ volatile("movq $0x1000, %rsp; movl $1, 0x10");
      break;
    case 'q':  // __fastfail
      __asm__ volatile("movl $7, %ecx; int $0x29");
      break;
    case 'n':  // a filter goes on where that cannot be
      SetUnhandledExceptionFilter(goes_on);
      RaiseException(0xE0000042, EXCEPTION_NONCONTINUABLE, 0, NULL);
      break;
    case 'p':  // a handler takes away what the dispatch stands on, which is made to begin with a page
      AddVectoredExceptionHandler(1, hides_the_stack);
      __asm__ volatile(
          "leaq -0x20000(%%rsp), %%rax; andq $-4096, %%rax; leaq 0x6C0(%%rax), %%rsp\n"
          "movl $0xE0000042, %%ecx; xorl %%edx, %%edx; xorl %%r8d, %%r8d; xorl %%r9d, %%r9d; callq *%0"
          :
          : "b"(RaiseException));
      break;
    case 'u':
      raises_in_lost_code();
      break;
    case 'd':  // a native is given a bad pointer
      lstrlenW((WCHAR*)0x20);
      SetFilePointerEx(NULL, (LARGE_INTEGER){{0}}, NULL, 0);
      GetSystemTimeAsFileTime((FILETIME*)0x20);
      break;
  }
  return 99;
}
