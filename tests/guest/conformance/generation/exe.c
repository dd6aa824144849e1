// What depends on the generation of Windows (specification, section 9): whether a DLL that comes late gets
// thread-local storage, whether its alignment is honoured, how many entries a vector has to spare, and what
// DisableThreadLibraryCalls says. Only for Bobbin, which can be any of them; with vectors that are swapped,
// since others have no length to show.
#include "journal.h"
#include "tls_directory.h"

enum { kVector = 0x58, kThreads = 16, kAlignment = 1024 };
enum { kPeb = 0x60, kLdr = 0x18, kInLoadOrder = 0x10, kDllBase = 0x30, kLoadCount = 0x6C };

PER_THREAD(int, of_the_exe, 1);

__declspec(dllimport) int early_touch(void);

static void* (*late_address)(void);

// Waits, so that all blocks exist at once.
static HANDLE go;
static DWORD WINAPI is_misaligned(void* unused) {
  WaitForSingleObject(go, INFINITE);
  return (ULONG64)late_address() % kAlignment != 0;
}

// What the module's entry says of how often it was loaded: FFFF if it is pinned.
static unsigned load_count(HMODULE base) {
  LIST_ENTRY* head = (LIST_ENTRY*)(*(ULONG64*)(teb_read(kPeb) + kLdr) + kInLoadOrder);
  for (LIST_ENTRY* link = head->Flink; link != head; link = link->Flink) {
    if (*(HMODULE*)((char*)link + kDllBase) == base) return *(USHORT*)((char*)link + kLoadCount);
  }
  return 0;
}

ENTRY() {
  line("at the start: EXE's index %u, %u entries for two modules", _tls_index,
       (unsigned)((ULONG64*)teb_read(kVector))[-2]);
  HMODULE early = GetModuleHandleA("early.dll");
  FreeLibrary(early);
  FreeLibrary(early);
  line("a DLL of the start is pinned: %b, and stays: %b, its variable is %x", load_count(early) == 0xFFFF,
       GetModuleHandleA("early.dll") == early, early_touch());

  line("DisableThreadLibraryCalls of a DLL with TLS: %b", DisableThreadLibraryCalls(early));

  journal_keep(1);
  HMODULE late = LoadLibraryA("late.dll");
  line("a late DLL is pinned: %b", load_count(late) == 0xFFFF);
  ULONG (*late_index)(void) = (void*)GetProcAddress(late, "late_index");
  late_address = (void*)GetProcAddress(late, "late_address");
  line("late DLL: index word %x, its TLS callback called: %b, its DllMain: %b", late_index(),
       journal_position("late.tls", DLL_PROCESS_ATTACH) != 0,
       journal_position("late.main", DLL_PROCESS_ATTACH) != 0);
  if (late_index() > 100) return 0;  // it has no block to look at
  HANDLE threads[kThreads];
  DWORD away = 0;
  go = CreateEventA(NULL, TRUE, FALSE, NULL);
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(is_misaligned, NULL);
  SetEvent(go);
  for (int i = 0; i < kThreads; ++i) away += join(threads[i]);
  line("its alignment of 1024 is honoured in all threads: %b", away == 0);
  return 0;
}
