// Takes a step of the program's under the loader lock.
#include "../guest.h"
#include "../tls_directory.h"
#include "scenario.h"

static struct Scenario* g_scenario;

__declspec(dllexport) void take_scenario(struct Scenario* scenario) { g_scenario = scenario; }

static void NTAPI on_thread(void* module, DWORD reason, void* reserved) {
  if (reason == DLL_THREAD_DETACH && g_scenario != NULL &&
      g_scenario->at_thread_detach == GetCurrentThreadId())
    g_scenario->step();
}
TLS_CALLBACK(on_thread, "C");

DLL_ENTRY() {
  if (reason == DLL_PROCESS_DETACH && reserved == NULL && g_scenario != NULL) g_scenario->step();
  return TRUE;
}
