// Makes the mistake that the program was told, or what a correct DLL does in its place.
#include "case.h"

static HANDLE g_thread, g_event, g_terminated, g_ready;
static HMODULE g_other;
static DWORD g_tls, g_fls, g_plain_fls;
static char g_value;

static void NTAPI value_goes(void* value) {}

static DWORD WINAPI do_nothing(void* unused) { return 0; }
static DWORD WINAPI wait_for_event(void* event) {
  return SignalObjectAndWait(g_ready, event, INFINITE, FALSE);
}
static DWORD WINAPI leave(void* module) { FreeLibraryAndExitThread(module, 0); }

__declspec(dllexport) void take_thread(HANDLE thread, HANDLE event) { g_thread = thread, g_event = event; }
__declspec(dllexport) void take_terminated(HANDLE thread) { g_terminated = thread; }
__declspec(dllexport) HANDLE its_thread(void) { return g_thread; }
// The thread has begun when this returns.
__declspec(dllexport) HANDLE start_waiting(HANDLE event) {
  g_ready = CreateEventA(NULL, FALSE, FALSE, NULL);
  HANDLE thread = start_thread(wait_for_event, event);
  WaitForSingleObject(g_ready, INFINITE);
  return thread;
}
__declspec(dllexport) HANDLE start_leaving(HMODULE reference) { return start_thread(leave, reference); }

static void attach(void) {
  if (is_case("load")) g_other = LoadLibraryA("other.dll");
  if (is_case("thread")) g_thread = start_thread(do_nothing, NULL);
  if (is_case("tls_leak")) g_tls = TlsAlloc();
  if (is_case("fls_leak")) g_fls = FlsAlloc(NULL);
  if (is_case("fls_callback") || is_case("fls_late")) g_fls = FlsAlloc(value_goes);
  if (is_case("correct")) {
    g_tls = TlsAlloc();
    g_fls = FlsAlloc(value_goes);
    g_plain_fls = FlsAlloc(NULL);
    g_other = LoadLibraryA("kernel32.dll");  // is there
  }
}

static void thread_attach(void) {
  if (is_case("fls_late") || is_case("correct")) FlsSetValue(g_fls, &g_value);
}

static void thread_detach(void) {
  if (is_case("fls_late")) FlsSetValue(g_fls, &g_value);
  if (is_case("correct")) {
    FlsGetValue(g_fls);
    FlsSetValue(g_fls, &g_value);
    FlsSetValue(g_fls, NULL);
    FlsSetValue(g_plain_fls, &g_value);
  }
}

static void detach(void) {
  if (is_case("wait")) WaitForSingleObject(g_thread, 1);
  if (is_case("load")) FreeLibrary(g_other);
  if (is_case("fls_late")) FlsFree(g_fls);
  if (is_case("correct")) {
    WaitForSingleObject(g_thread, 0);
    WaitForSingleObject(g_terminated, INFINITE);
    // The event can come: the thread would set it on its way out.
    const HANDLE either[] = {g_event, g_thread};
    SetEvent(g_event);
    WaitForMultipleObjects(2, either, FALSE, INFINITE);
    TlsFree(g_tls);
    FlsFree(g_fls);
    FlsFree(g_plain_fls);
    FreeLibrary(g_other);
  }
}

DLL_ENTRY() {
  if (reason == DLL_PROCESS_ATTACH) attach();
  if (reason == DLL_THREAD_ATTACH) thread_attach();
  if (reason == DLL_THREAD_DETACH) thread_detach();
  if (reason == DLL_PROCESS_DETACH && reserved == NULL) detach();
  return TRUE;
}
