// What fiber-local storage differs in between generations (section 9): how many indices, where they are kept,
// and whether callbacks come before or after THREAD_DETACH.
#include "journal.h"
#include "tls_directory.h"

static DWORD index;

static void NTAPI exe_callback(void* module, DWORD reason, void* reserved) {
  journal_note("EXE.tls", reason);
}
TLS_CALLBACK(exe_callback, "C");

static void WINAPI on_end(void* value) { line("FLS callback for %p", (ULONG64)value); }

static DWORD WINAPI set(void* value) {
  FlsSetValue(index, value);
  journal_keep(0);
  return 0;
}

ENTRY() {
  static DWORD indices[5000];
  ULONG64 peb = teb_read(0x60);
  unsigned count = 0, held = 0;
  while ((indices[count] = FlsAlloc(on_end)) != FLS_OUT_OF_INDEXES) ++count;
  for (unsigned i = 0; i < count; ++i) FlsSetValue(indices[i], &indices[i]);
  for (unsigned i = 0; i < count; ++i) held += FlsGetValue(indices[i]) == &indices[i];
  line("%u indices, each with its value: %b", count, held == count);
  SetLastError(0);
  BOOL beyond = FlsSetValue(128, NULL);
  line("index 128: %u (%u)", beyond, GetLastError());
  // FlsCallback, FlsListHead, FlsBitmapBits, FlsHighIndex
  void** callbacks = *(void***)(peb + 0x320);
  ULONG64* list = (ULONG64*)(peb + 0x328);
  line("in the PEB: callbacks %b, blocks %b, bits %x, highest %u", callbacks && callbacks[1] == (void*)on_end,
       list[0] == teb_read(0x17C8), *(ULONG*)(peb + 0x340), *(ULONG*)(peb + 0x350));
  for (unsigned i = 0; i < count; ++i) FlsSetValue(indices[i], NULL), FlsFree(indices[i]);
  index = FlsAlloc(on_end);
  journal_keep(1);
  line("a thread ends:");
  run_in_thread(set, (void*)0x50);
  journal_keep(1);
  line("FlsFree: %u", FlsFree(index));
  return 0;
}
