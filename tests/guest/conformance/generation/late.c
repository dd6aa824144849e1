#define TLS_INDEX_BEFORE 0x12340000
#define TLS_ALIGNMENT_CODE 11  // 1024 bytes: more than any block has by chance
#include "journal.h"
#include "tls_directory.h"

__attribute__((aligned(1024))) PER_THREAD(int, value, 0x1a);  // what lld writes the bits for

static void NTAPI callback(void* module, DWORD reason, void* reserved) { journal_note("late.tls", reason); }
TLS_CALLBACK(callback, "C");

DLL_ENTRY() {
  journal_note("late.main", reason);
  return TRUE;
}

__declspec(dllexport) ULONG late_index(void) { return _tls_index; }
__declspec(dllexport) void* late_address(void) { return &MY(value); }
