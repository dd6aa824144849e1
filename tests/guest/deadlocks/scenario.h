// What the program has its DLL do under the loader lock.
#pragma once

struct Scenario {
  void (*step)(void);         // in DllMain, at PROCESS_DETACH
  unsigned at_thread_detach;  // not 0: instead in the TLS callback, at the THREAD_DETACH of that thread
};
