// Cases 70 to 72: when the process exits, the other threads are stopped before the first PROCESS_DETACH,
// which finds them ended with the process's exit code and what they owned abandoned; no thread can be
// created; freeing a DLL does nothing.
#include "guest.h"
#include "shared.h"

static struct Shared g_shared;
static HANDLE g_ready;

static DWORD WINAPI count(void* number) {
  volatile LONG64* counter = &g_shared.counters[(ULONG_PTR)number];
  for (;;)
    if (++*counter == 1) SetEvent(g_ready);
  return 0;
}

static DWORD WINAPI own_mutex(void* unused) {
  WaitForSingleObject(g_shared.mutex, INFINITE);
  SetEvent(g_ready);
  Sleep(INFINITE);
  return 0;
}

ENTRY() {
  void (*watch)(struct Shared*) = (void*)GetProcAddress(LoadLibraryA("watcher.dll"), "watch");
  g_ready = CreateEventA(NULL, FALSE, FALSE, NULL);
  g_shared.mutex = CreateMutexA(NULL, FALSE, NULL);
  g_shared.plain = LoadLibraryA("plain.dll");
  LPTHREAD_START_ROUTINE routines[] = {count, count, own_mutex};
  for (ULONG_PTR i = 0; i < 3; ++i) {
    g_shared.threads[i] = start_thread(routines[i], (void*)i);
    WaitForSingleObject(g_ready, INFINITE);
  }
  watch(&g_shared);
  ExitProcess(7);
}
