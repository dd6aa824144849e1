// Case 29: DONT_RESOLVE_DLL_REFERENCES gives no index and no callbacks, and a later LoadLibrary repairs
// nothing.
#include "journal.h"

enum { kPeb = 0x60, kLdr = 0x18, kInLoadOrder = 0x10, kDllBase = 0x30, kTlsIndex = 0x6E };

static unsigned ldr_flag(HMODULE base) {
  LIST_ENTRY* head = (LIST_ENTRY*)(*(ULONG64*)(teb_read(kPeb) + kLdr) + kInLoadOrder);
  for (LIST_ENTRY* link = head->Flink; link != head; link = link->Flink)
    if (*(HMODULE*)((char*)link + kDllBase) == base) return *(USHORT*)((char*)link + kTlsIndex);
  return 0xDEAD;
}

static void show(const char* when, HMODULE dll) {
  volatile ULONG* index = (void*)GetProcAddress(dll, "index_word");
  case_line(29, "%s: loaded: %b, index word %x, TlsIndex %x", when, dll != NULL, *index, ldr_flag(dll));
}

ENTRY() {
  journal_keep(1);
  HMODULE unresolved = LoadLibraryExA("late.dll", NULL, DONT_RESOLVE_DLL_REFERENCES);
  show("not resolved", unresolved);
  HMODULE again = LoadLibraryA("late.dll");
  show("plainly after that", again);
  case_line(29, "the same module: %b, notifications: %u", again == unresolved, journal_length());
  FreeLibrary(again);
  FreeLibrary(unresolved);
  case_line(29, "freed twice, the DLL is gone: %b, notifications: %u", GetModuleHandleA("late.dll") == NULL,
            journal_length());
  return 0;
}
