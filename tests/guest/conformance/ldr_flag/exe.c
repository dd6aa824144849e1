// Case 7: LDR_DATA_TABLE_ENTRY.TlsIndex is a flag, found by walking the list as guests do.
#include "tls_directory.h"

enum { kPeb = 0x60, kLdr = 0x18, kInLoadOrder = 0x10, kDllBase = 0x30, kTlsIndex = 0x6E };

PER_THREAD(int, variable, 1);

__declspec(dllimport) int with_tls(void);
__declspec(dllimport) int without_tls(void);

// The entry of the module at `base`; every link is also checked to lead back.
static const char* find_entry(HMODULE base, int* links_hold) {
  LIST_ENTRY* head = (LIST_ENTRY*)(*(ULONG64*)(teb_read(kPeb) + kLdr) + kInLoadOrder);
  const char* found = NULL;
  for (LIST_ENTRY* link = head->Flink; link != head; link = link->Flink) {
    if (link->Flink->Blink != link || link->Blink->Flink != link) *links_hold = 0;
    if (*(HMODULE*)((char*)link + kDllBase) == base) found = (const char*)link;
  }
  return found;
}

static void show(const char* name, const char* file) {
  int links_hold = 1;
  const char* entry = find_entry(GetModuleHandleA(file), &links_hold);
  if (!entry)
    case_line(7, "%s: not in InLoadOrder", name);
  else
    case_line(7, "%s: TlsIndex %x, links hold: %b", name, *(USHORT*)(entry + kTlsIndex), links_hold);
}

ENTRY() {
  case_line(7, "all three answer: %b", MY(variable) == 1 && with_tls() == 2 && without_tls() == 3);
  show("EXE with TLS", NULL);
  show("DLL with TLS", "tls.dll");
  show("DLL without TLS", "plain.dll");
  show("ntdll", "ntdll.dll");
  return 0;
}
