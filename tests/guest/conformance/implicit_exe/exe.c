// Cases 19 and 20: implicit TLS of the EXE itself.
#include "tls_directory.h"

enum { kVector = 0x58 };

PER_THREAD(int, initialised, 0x1234);
PER_THREAD(int, zero, 0);
PER_THREAD(int, other, 0x5678);

static ULONG64 address_of_main_copy;

static DWORD WINAPI in_new_thread(void* unused) {
  (void)unused;
  case_line(20, "a new thread sees %x %x %x", MY(initialised), MY(zero), MY(other));
  case_line(20, "at an address of its own: %b", (ULONG64)&MY(initialised) != address_of_main_copy);
  MY(initialised) = 0x22;
  return 0;
}

ENTRY() {
  ULONG64 block = *(ULONG64*)teb_read(kVector), size = (ULONG64)(_tls_end - _tls_start);
  ULONG64 address = address_of_main_copy = (ULONG64)&MY(initialised);
  case_line(19, "_tls_index of the EXE: %u", _tls_index);
  case_line(19, "vector[0] holds the block with the variable: %b",
            block <= address && address < block + size);
  case_line(20, "main sees %x %x %x", MY(initialised), MY(zero), MY(other));
  MY(initialised) = 0x11;
  MY(zero) = 0x11;
  run_in_thread(in_new_thread, NULL);
  run_in_thread(in_new_thread, NULL);
  case_line(20, "main still sees its own: %x %x %x", MY(initialised), MY(zero), MY(other));
  return 0;
}
