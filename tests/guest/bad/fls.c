// FLS callbacks that Windows does not survive, or only just: told by name which.
#include "../guest.h"

static HMODULE g_dll;
static HANDLE g_ready, g_go;

static void (*export_of(const char* name))(void) { return (void (*)(void))GetProcAddress(g_dll, name); }

static DWORD WINAPI end_with_value(void* unused) {
  export_of("set_value")();
  SetEvent(g_ready);
  WaitForSingleObject(g_go, INFINITE);
  return 0;
}

// The DLL goes, and leaves its callback behind; then a thread ends that has a value.
static HANDLE unload_among_values(void) {
  g_dll = LoadLibraryA("forgetful.dll");
  HANDLE thread = start_thread(end_with_value, NULL);
  WaitForSingleObject(g_ready, INFINITE);
  FreeLibrary(g_dll);
  line("unloaded");
  return thread;
}
static void unloaded(void) {
  HANDLE thread = unload_among_values();
  SetEvent(g_go);
  join(thread);
}
static void unloaded_then_freed(void) {
  g_dll = LoadLibraryA("forgetful.dll");
  const DWORD index = ((DWORD (*)(void))export_of("index_of"))();
  export_of("set_value")();
  FreeLibrary(g_dll);
  line("unloaded");
  FlsFree(index);
}

// It comes back to where it was: the callback leads into it, as before.
static void reloaded(void) {
  HANDLE thread = unload_among_values();
  HMODULE before = g_dll;
  g_dll = LoadLibraryA("forgetful.dll");
  line("loaded again at the same address: %b", g_dll == before);
  SetEvent(g_go);
  join(thread);
}

// Nobody has a value: nothing is due.
static void unloaded_without_value(void) {
  g_dll = LoadLibraryA("forgetful.dll");
  const DWORD index = ((DWORD (*)(void))export_of("index_of"))();
  FreeLibrary(g_dll);
  line("unloaded");
  line("freed: %b", FlsFree(index));
}

// A callback that ends its thread is called again, since its value is still there: on Windows without end.
static volatile LONG g_calls;
static void NTAPI end_thread(void* value) {
  InterlockedIncrement(&g_calls);
  ExitThread(3);
}
static DWORD WINAPI set_and_end(void* index) {
  FlsSetValue((DWORD)(ULONG64)index, (void*)&g_calls);
  return 0;
}
static void ends_thread(void) {
  const DWORD code = run_in_thread(set_and_end, (void*)(ULONG64)FlsAlloc(end_thread));
  line("exit code %u, called more than once: %b", code, g_calls > 1);
}

// One that never returns keeps its thread, and nobody else: others end, and so does the process.
static void NTAPI never_return(void* value) {
  SetEvent(g_ready);
  Sleep(INFINITE);
}
static void NTAPI say(void* value) { line("another's callback is called"); }
static void never_returns(void) {
  start_thread(set_and_end, (void*)(ULONG64)FlsAlloc(never_return));
  WaitForSingleObject(g_ready, INFINITE);
  const DWORD other = FlsAlloc(say);
  line("another thread ends: %u", run_in_thread(set_and_end, (void*)(ULONG64)other));
  line("another index is freed: %b", FlsFree(other));
}

static const struct {
  const char* name;
  void (*run)(void);
} kAll[] = {{"unloaded", unloaded},       {"unloaded_then_freed", unloaded_then_freed},
            {"reloaded", reloaded},       {"unloaded_without_value", unloaded_without_value},
            {"ends_thread", ends_thread}, {"never_returns", never_returns}};

ENTRY() {
  const char* wanted = GetCommandLineA();
  for (const char* at = wanted; *at; ++at)
    if (*at == ' ') wanted = at + 1;
  g_ready = CreateEventA(NULL, FALSE, FALSE, NULL);
  g_go = CreateEventA(NULL, FALSE, FALSE, NULL);
  for (unsigned i = 0; i < sizeof kAll / sizeof *kAll; ++i) {
    if (!same_text(kAll[i].name, wanted)) continue;
    kAll[i].run();
    line("got by");
    return 0;
  }
  return 1;
}
