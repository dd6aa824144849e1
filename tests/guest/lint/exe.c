// What `bobbin run --lint` finds: one mistake, told by name (reports/<name>.txt); and "correct", which comes
// close to each of them and makes none. The DLL reads the name too.
#include "../guest.h"
#include "case.h"

static HANDLE g_go;

static DWORD WINAPI wait_for_go(void* unused) { return WaitForSingleObject(g_go, INFINITE); }
static DWORD WINAPI do_nothing(void* unused) { return 0; }

static void* export_of(HMODULE dll, const char* name) { return (void*)GetProcAddress(dll, name); }

// In PROCESS_DETACH the DLL waits for a thread of ours.
static void unload_with(HMODULE dll, HANDLE thread) {
  ((void (*)(HANDLE, HANDLE))export_of(dll, "take_thread"))(thread, g_go);
  FreeLibrary(dll);
  SetEvent(g_go);
  join(thread);
}

ENTRY() {
  g_go = CreateEventA(NULL, TRUE, FALSE, NULL);
  HMODULE dll = LoadLibraryA("dll.dll");
  if (dll == NULL) return 1;
  if (is_case("wait")) {
    unload_with(dll, start_thread(wait_for_go, NULL));
  } else if (is_case("thread")) {
    join(((HANDLE (*)(void))export_of(dll, "its_thread"))());
    FreeLibrary(dll);
  } else if (is_case("thread_unloaded")) {
    ((HANDLE (*)(HANDLE))export_of(dll, "start_waiting"))(g_go);
    FreeLibrary(dll);
  } else if (is_case("fls_late")) {
    run_in_thread(do_nothing, NULL);
    FreeLibrary(dll);
  } else if (is_case("correct")) {
    // A thread of the DLL's that goes by FreeLibraryAndExitThread, one that is over, and one that is
    // terminated.
    HMODULE reference = LoadLibraryA("dll.dll");
    join(((HANDLE (*)(HMODULE))export_of(dll, "start_leaving"))(reference));
    SetEvent(g_go);
    join(((HANDLE (*)(HANDLE))export_of(dll, "start_waiting"))(g_go));
    ResetEvent(g_go);
    run_in_thread(do_nothing, NULL);
    HANDLE terminated = start_thread(wait_for_go, NULL);
    TerminateThread(terminated, 0);
    ((void (*)(HANDLE))export_of(dll, "take_terminated"))(terminated);
    unload_with(dll, start_thread(wait_for_go, NULL));
  } else {
    FreeLibrary(dll);
  }
  line("got by");
  return 0;
}
