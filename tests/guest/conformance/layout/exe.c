// Cases 1-6 and 8: the TEB and the PEB, read by offset.
#include "guest.h"

enum {
  kStackBase = 0x08,
  kStackLimit = 0x10,
  kSelf = 0x30,
  kProcessId = 0x40,
  kThreadId = 0x48,
  kPeb = 0x60,
  kLastError = 0x68,
  kDeallocationStack = 0x1478,
  kTlsSlots = 0x1480,
  kTlsLinks = 0x1680,
};

static void teb_self(void) {
  ULONG64 self = teb_read(kSelf);
  case_line(1, "gs:[30h] is NtCurrentTeb: %b", self == (ULONG64)NtCurrentTeb());
  case_line(1, "the TEB says so itself at +30h: %b", *(ULONG64*)(self + kSelf) == self);
  case_line(1, "PEB.ImageBaseAddress is the EXE: %b",
            *(HMODULE*)(teb_read(kPeb) + 0x10) == GetModuleHandleA(NULL));
}

static DWORD WINAPI stack_fields(void* who) {
  ULONG64 local = (ULONG64)&local, lowest = teb_read(kDeallocationStack);
  MEMORY_BASIC_INFORMATION memory;
  case_line(2, "%s: a local lies in [StackLimit, StackBase): %b", who,
            teb_read(kStackLimit) <= local && local < teb_read(kStackBase));
  case_line(2, "%s: DeallocationStack is at or below StackLimit: %b", who, lowest <= teb_read(kStackLimit));
  case_line(2, "%s: VirtualQuery's AllocationBase is DeallocationStack: %b", who,
            VirtualQuery(&local, &memory, sizeof memory) && (ULONG64)memory.AllocationBase == lowest);
  return 0;
}

static void last_error_cell(void) {
  SetLastError(0x12345678);
  ULONG64 seen = teb_read(kLastError);
  case_line(3, "SetLastError is seen at gs:[68h]: %x", (DWORD)seen);
  teb_write(kLastError, (seen & ~0xFFFFFFFFull) | 4321);
  case_line(3, "gs:[68h] is seen by GetLastError: %u", GetLastError());
}

static void slot_cell(void) {
  DWORD index = TlsAlloc();
  case_line(4, "an index below 64: %b", index < 64);
  TlsSetValue(index, (void*)0x1111222233334444);
  case_line(4, "TlsSetValue is seen at gs:[1480h+8i]: %p", teb_read(kTlsSlots + 8 * index));
  teb_write(kTlsSlots + 8 * index, 0x5555666677778888);
  case_line(4, "gs:[1480h+8i] is seen by TlsGetValue: %p", TlsGetValue(index));
  TlsFree(index);
}

static DWORD WINAPI client_id(void* who) {
  case_line(5, "%s: gs:[40h] is the process id: %b", who, teb_read(kProcessId) == GetCurrentProcessId());
  case_line(5, "%s: gs:[48h] is the thread id: %b", who, teb_read(kThreadId) == GetCurrentThreadId());
  return 0;
}

static DWORD WINAPI tls_links(void* who) {
  case_line(6, "%s: TlsLinks: %p %p", who, teb_read(kTlsLinks), teb_read(kTlsLinks + 8));
  return 0;
}

static void fls_words(void) {
  DWORD index = FlsAlloc(NULL);
  case_line(8, "FlsAlloc gives an index: %b", index != FLS_OUT_OF_INDEXES && index != 0);
  case_line(8, "PEB+320h after FlsAlloc: %p", *(ULONG64*)(teb_read(kPeb) + 0x320));
  FlsFree(index);
}

ENTRY() {
  teb_self();
  stack_fields("main");
  run_in_thread(stack_fields, "worker");
  last_error_cell();
  slot_cell();
  client_id("main");
  run_in_thread(client_id, "worker");
  tls_links("main");
  run_in_thread(tls_links, "worker");
  fls_words();
  return 0;
}
