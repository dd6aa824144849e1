// Case 38: a thread that has not run yet has no vector; a DLL loaded meanwhile is complete in it all the
// same.
#include "tls_directory.h"

enum { kVector = 0x58, kThreadBasicInformation = 0 };

struct BasicInformation {  // THREAD_BASIC_INFORMATION
  LONG exit_status;
  char* teb;
  ULONG64 process_id, thread_id, affinity;
  LONG priority, base_priority;
};

PER_THREAD(int, of_the_exe, 0x83);

static int (*late_value)(void);

static DWORD WINAPI worker(void* unused) { return (DWORD)(MY(of_the_exe) << 8 | late_value()); }

static char* teb_of(HANDLE thread) {
  LONG(NTAPI * query)(HANDLE, int, void*, ULONG, ULONG*) =
      (void*)GetProcAddress(GetModuleHandleA("ntdll.dll"), "NtQueryInformationThread");
  struct BasicInformation information = {0};
  if (!query || query(thread, kThreadBasicInformation, &information, sizeof information, NULL)) return NULL;
  return information.teb;
}

ENTRY() {
  DWORD id;
  HANDLE thread = CreateThread(NULL, 0, worker, NULL, CREATE_SUSPENDED, &id);
  char* teb = teb_of(thread);
  case_line(38, "its TEB is found: %b, and is its own: %b", teb != NULL,
            teb && *(ULONG64*)(teb + 0x48) == id);
  if (teb) case_line(38, "ThreadLocalStoragePointer: %p", *(ULONG64*)(teb + kVector));
  HMODULE late = LoadLibraryA("late.dll");
  late_value = (void*)GetProcAddress(late, "late_value");
  case_line(38, "suspend count before ResumeThread: %u", ResumeThread(thread));
  case_line(38, "it reads %x", join(thread));
  return 0;
}
