// What the stress programs share: block.c's DLLs, and counted failures. A program's last line is "ok", or
// says how much went wrong.
#pragma once

#include "tls_directory.h"

typedef struct {
  HMODULE dll;
  int (*is_fresh)(void);
  void (*mark)(unsigned);
  int (*holds)(unsigned);
} Module;

static volatile LONG g_wrong;

// Says what is wrong, the first few times.
static int right(int condition, const char* what, unsigned detail) {
  if (!condition && InterlockedIncrement(&g_wrong) <= 20) line("WRONG: %s (%u)", what, detail);
  return condition;
}

static int find_exports(Module* module) {
  module->is_fresh = (int (*)(void))GetProcAddress(module->dll, "block_is_fresh");
  module->mark = (void (*)(unsigned))GetProcAddress(module->dll, "block_mark");
  module->holds = (int (*)(unsigned))GetProcAddress(module->dll, "block_holds");
  return module->is_fresh && module->mark && module->holds;
}

static int load(Module* module, const char* name) {
  module->dll = LoadLibraryA(name);
  if (!right(module->dll != NULL, name, GetLastError())) return 0;
  return right(find_exports(module), "GetProcAddress", GetLastError());
}

// The command line's last word as a number, if it is one.
static unsigned number_argument(unsigned otherwise) {
  const char* word = GetCommandLineA();
  for (const char* at = word; *at; ++at)
    if (*at == ' ' && at[1] && at[1] != ' ') word = at + 1;
  unsigned value = 0;
  if (*word < '0' || *word > '9') return otherwise;
  for (; *word >= '0' && *word <= '9'; ++word) value = value * 10 + (unsigned)(*word - '0');
  return value;
}

static unsigned verdict(void) {
  if (g_wrong)
    line("%u WRONG", (unsigned)g_wrong);
  else
    line("ok");
  return g_wrong != 0;
}
