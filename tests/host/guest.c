// The DLL that the host tests call: plain C for Windows, no C runtime.
#define _WIN32_WINNT 0x0A00
#include <stdarg.h>
#include <windows.h>

#define EXPORT __declspec(dllexport)

typedef struct {
  signed char c;
} One;
typedef struct {
  short a;
} Two;
typedef struct {
  float x, y;
} Eight;
typedef struct {
  int a, b, c;
} Twelve;
typedef struct {
  double x, y;
} Sixteen;
typedef struct {
  char text[3];
} Three;

static LONG g_attached, g_detached;
static volatile DWORD g_leaked_index;
__thread int g_per_thread = 40;

BOOL WINAPI DllMain(HINSTANCE self, DWORD reason, void* reserved) {
  (void)self;
  (void)reserved;
  if (reason == DLL_THREAD_ATTACH) InterlockedIncrement(&g_attached);
  if (reason == DLL_THREAD_DETACH) InterlockedIncrement(&g_detached);
  return TRUE;
}

// Allocates what the DLL does not free when it is unloaded. No tail call: it is to be seen who calls.
EXPORT void leak_a_tls_index(void) { g_leaked_index = TlsAlloc(); }

EXPORT int attached(void) { return g_attached; }
EXPORT int detached(void) { return g_detached; }
EXPORT int add(int a, int b) { return a + b; }
EXPORT long long sum8(signed char a, unsigned char b, short c, unsigned short d, int e, unsigned f,
                      long long g, unsigned long long h) {
  return a + b + c + d + e + (long long)f + g + (long long)h;
}
EXPORT double mix(int a, double b, float c, int d, double e, float f) { return a + b + c + d + e + f; }
EXPORT float half(float x) { return x / 2; }
EXPORT BOOLEAN negate(BOOLEAN b) { return !b; }
EXPORT One one(One v) {
  v.c++;
  return v;
}
EXPORT Two two(Two v) {
  v.a++;
  return v;
}
EXPORT Eight eight(Eight v) {
  float t = v.x;
  v.x = v.y;
  v.y = t;
  return v;
}
EXPORT Twelve twelve(Twelve v, int n) {
  v.a += n;
  v.b += n;
  v.c += n;
  return v;
}
EXPORT Sixteen sixteen(Sixteen v) {
  v.x *= 2;
  v.y *= 3;
  return v;
}
EXPORT int three(Three v) { return v.text[0] + v.text[1] + v.text[2]; }
EXPORT int* per_thread(void) { return &g_per_thread; }
EXPORT int sum_ints(int count, ...) {
  int sum = 0;
  va_list list;
  va_start(list, count);
  while (count-- > 0) sum += va_arg(list, int);
  va_end(list);
  return sum;
}
EXPORT double sum_doubles(int count, ...) {
  double sum = 0;
  va_list list;
  va_start(list, count);
  while (count-- > 0) sum += va_arg(list, double);
  va_end(list);
  return sum;
}
EXPORT int call_back(int (*f)(int, void*), int value, void* context) { return f(value, context) + 1; }
EXPORT double call_back_mixed(double (*f)(int, double, float, Eight, Twelve, double)) {
  Eight e = {1.5f, 2.5f};
  Twelve t = {10, 20, 30};
  return f(1, 2.25, 3.5f, e, t, 4.75);
}
EXPORT int call_back_struct(Twelve (*f)(Twelve)) {
  Twelve t = {1, 2, 3};
  t = f(t);
  return t.a * 10000 + t.b * 100 + t.c;
}
EXPORT void exit_process(unsigned code) { ExitProcess(code); }
EXPORT void exit_thread(unsigned code) { ExitThread(code); }
static DWORD WINAPI spin(void* p) {
  for (;;) ++*(volatile long*)p;
}
static DWORD WINAPI add_one(void* p) {
  InterlockedIncrement((LONG*)p);
  return 5;
}
EXPORT int start_spinner(long* counter) {
  HANDLE thread = CreateThread(0, 0, spin, counter, 0, 0);
  CloseHandle(thread);
  return thread != 0;
}
EXPORT int run_threads(int count) {
  LONG n = 0;
  for (int i = 0; i < count; ++i) {
    DWORD code = 0;
    HANDLE thread = CreateThread(0, 0, add_one, &n, 0, 0);
    if (!thread || WaitForSingleObject(thread, INFINITE) != WAIT_OBJECT_0) return -1;
    GetExitCodeThread(thread, &code);
    CloseHandle(thread);
    if (code != 5) return -2;
  }
  return n;
}
static void CALLBACK never(PTP_CALLBACK_INSTANCE instance, void* context, PTP_WAIT wait,
                           TP_WAIT_RESULT result) {
  (void)instance, (void)context, (void)wait, (void)result;
}
// A pool of its own, which watches an event that nobody sets, and is never closed.
EXPORT int leave_a_pool(void) {
  TP_CALLBACK_ENVIRON environment;
  PTP_POOL pool = CreateThreadpool(NULL);
  TpInitializeCallbackEnviron(&environment);
  TpSetCallbackThreadpool(&environment, pool);
  PTP_WAIT wait = CreateThreadpoolWait(never, NULL, &environment);
  if (!pool || !wait) return 0;
  SetThreadpoolWait(wait, CreateEventA(NULL, FALSE, FALSE, NULL), NULL);
  return 1;
}
EXPORT int call_export(const char* dll, const char* name, int value) {
  int (*f)(int) = (int (*)(int))GetProcAddress(GetModuleHandleA(dll), name);
  return f ? f(value) : -1;
}
EXPORT int module_name(char* buffer, int size) { return (int)GetModuleFileNameA(NULL, buffer, (DWORD)size); }
EXPORT int variable = 1234;

// ---- faults that the guest mends
// ---------------------------------------------------------------------------

static int g_mended;

static LONG CALLBACK mend(EXCEPTION_POINTERS* exception) {
  static int good = 42;
  if (exception->ExceptionRecord->ExceptionCode != EXCEPTION_ACCESS_VIOLATION)
    return EXCEPTION_CONTINUE_SEARCH;
  ++g_mended;
  exception->ContextRecord->Rax = (ULONG_PTR)&good;
  return EXCEPTION_CONTINUE_EXECUTION;
}
/// 42, by an instruction that faults first.
EXPORT int mends_a_fault(void) {
  void* handler = AddVectoredExceptionHandler(1, mend);
  int value = 0;
  __asm__ volatile("movl (%%rax), %0" : "=r"(value) : "a"(0x10));
  RemoveVectoredExceptionHandler(handler);
  return value;
}
/// How often a native has raised to which a bad pointer was given.
EXPORT int gives_bad_pointers(void) {
  void* handler = AddVectoredExceptionHandler(1, mend);
  g_mended = 0;
  GetSystemTime((SYSTEMTIME*)0x10);
  FILETIME time;
  SystemTimeToFileTime((const SYSTEMTIME*)0x10, &time);
  QueryPerformanceCounter((LARGE_INTEGER*)0x10);
  RemoveVectoredExceptionHandler(handler);
  return g_mended;
}
/// What `function` answers, a function of the host's.
EXPORT int calls_back(int (*function)(void)) { return function(); }
