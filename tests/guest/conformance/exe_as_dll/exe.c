// Case 30: LoadLibrary of an image that is no DLL gives it no index and leaves its imports unresolved.
#include "guest.h"

// The first import slot's word, as the file has it (the address of a name) or as the loader wrote it.
static ULONG64 first_import(const char* image) {
  const IMAGE_NT_HEADERS64* headers = (const void*)(image + ((const IMAGE_DOS_HEADER*)image)->e_lfanew);
  const IMAGE_IMPORT_DESCRIPTOR* import =
      (const void*)(image +
                    headers->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_IMPORT].VirtualAddress);
  return *(const ULONG64*)(image + import->FirstThunk);
}

static ULONG tls_index_word(const char* image) {
  const IMAGE_NT_HEADERS64* headers = (const void*)(image + ((const IMAGE_DOS_HEADER*)image)->e_lfanew);
  const IMAGE_TLS_DIRECTORY64* directory =
      (const void*)(image + headers->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_TLS].VirtualAddress);
  return *(const ULONG*)directory->AddressOfIndex;
}

ENTRY() {
  const char* other = (const char*)LoadLibraryA("other.exe");
  case_line(30, "loaded: %b", other != NULL);
  if (!other) return 1;
  case_line(30, "index word %x", tls_index_word(other));
  case_line(30, "the first import is still the address of a name: %b",
            first_import(other) < 0x1000000 && first_import(other) != 0);
  case_line(30, "FreeLibrary: %u", FreeLibrary((HMODULE)other));
  return 0;
}
