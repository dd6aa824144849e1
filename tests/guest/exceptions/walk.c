// Unwinds every function of the DLLs that are named, from several places in each: the beginning, each step of
// the prologue, the body and its last epilogue; over a stack and registers that are always the same. What
// comes out depends on the DLL and on RtlVirtualUnwind alone, so it is the same here and under Wine. Prints a
// line for each DLL; with "-v" before the names, one for each place.
#include <windows.h>

#include <stdio.h>
#include <string.h>

typedef struct {
  BYTE version_and_flags, prologue, count, frame;
  struct {
    BYTE offset, operation;
  } codes[];
} UNWIND;

#define MEMORY 0x30000000ull
#define MEMORY_SIZE (32u << 20)
#define STACK (MEMORY + (1u << 20))

static int g_verbose;
static unsigned g_places;
static ULONG64 g_hash;

static void add(ULONG64 value) {
  g_hash = (g_hash ^ value) * 0x9E3779B97F4A7C15ull;
  g_hash ^= g_hash >> 29;
}

/// Addresses in the DLL count from where it stands.
static ULONG64 relative(ULONG64 value, ULONG64 base) {
  return value - base < (1u << 30) ? value - base : value;
}

/// Whether an epilogue that ends in a jump is at `code`: Wine 8 does not know it for one.
static int jumps_out(const BYTE* code) {
  if (code[0] == 0x48 && code[1] == 0x83 && code[2] == 0xC4) code += 4;
  if (code[0] == 0x48 && code[1] == 0x81 && code[2] == 0xC4) code += 7;
  while ((code[0] & 0xF8) == 0x58 || (code[0] == 0x41 && (code[1] & 0xF8) == 0x58))
    code += code[0] == 0x41 ? 2 : 1;
  return code[0] == 0xE9 || code[0] == 0xEB || code[0] == 0xFF ||
         ((code[0] & 0xF8) == 0x48 && code[1] == 0xFF);
}

static void unwind_at(ULONG64 base, RUNTIME_FUNCTION* row, DWORD offset) {
  if (jumps_out((const BYTE*)base + row->BeginAddress + offset)) return;
  CONTEXT context;
  memset(&context, 0, sizeof context);
  for (int i = 0; i < 16; ++i) (&context.Rax)[i] = MEMORY + (2u << 20) + 0x10000 * i;
  for (int i = 0; i < 16; ++i) (&context.Xmm0)[i].Low = 1000 + i;
  context.Rsp = STACK;
  context.Rip = base + row->BeginAddress + offset;
  void* data = NULL;
  ULONG64 establisher = 0;
  void* handler = RtlVirtualUnwind(UNW_FLAG_EHANDLER | UNW_FLAG_UHANDLER, base, context.Rip, row, &context,
                                   &data, &establisher, NULL);
  ULONG64 before = g_hash;
  g_hash = 0;
  for (int i = 0; i < 16; ++i) add((&context.Rax)[i]);
  for (int i = 6; i < 16; ++i) add((&context.Xmm0)[i].Low), add((&context.Xmm0)[i].High);
  add(context.Rip);
  add(establisher);
  add(relative((ULONG64)handler, base));
  if (handler != NULL) add(relative((ULONG64)data, base));
  if (g_verbose)
    printf("%lx+%lx: %016llx rsp+%llx rip %llx frame %llx handler %llx\n", row->BeginAddress, offset, g_hash,
           context.Rsp - STACK, context.Rip, establisher - STACK, relative((ULONG64)handler, base));
  ULONG64 here = g_hash;
  g_hash = before;
  add(here);
  ++g_places;
}

static void unwind_function(ULONG64 base, RUNTIME_FUNCTION* row) {
  DWORD size = row->EndAddress - row->BeginAddress;
  UNWIND* info = (UNWIND*)(base + row->UnwindData);
  if (row->UnwindData & 1) return;
  unwind_at(base, row, 0);
  for (int i = 0; i < info->count; ++i) {
    int operation = info->codes[i].operation & 15, operand = info->codes[i].operation >> 4;
    int of_epilogue = operation == 6;
    if (!of_epilogue && info->codes[i].offset < size) unwind_at(base, row, info->codes[i].offset);
    i += operation == 1                     ? 1 + (operand != 0)
         : operation == 4 || operation == 8 ? 1
         : operation == 5 || operation == 9 ? 2
                                            : 0;
  }
  if (info->prologue < size) unwind_at(base, row, info->prologue);
  // The last return, and what is before it: pops, and the deallocation. (Wine 8 takes no jump for an
  // epilogue's end.)
  const BYTE* code = (const BYTE*)base + row->BeginAddress;
  DWORD at = size - 1, first = info->prologue;
  if (at <= first || code[at] != 0xC3) return;
  for (;;) {
    unwind_at(base, row, at);
    if (at >= first + 2 && code[at - 2] == 0x41 && (code[at - 1] & 0xFC) == 0x5C)
      at -= 2;
    else if (at >= first + 1 && memchr("\x5B\x5D\x5E\x5F", code[at - 1], 4) != NULL)
      at -= 1;
    else
      break;
  }
  if (at >= first + 4 && code[at - 4] == 0x48 && code[at - 3] == 0x83 && code[at - 2] == 0xC4)
    unwind_at(base, row, at - 4);
  if (at >= first + 7 && code[at - 7] == 0x48 && code[at - 6] == 0x81 && code[at - 5] == 0xC4)
    unwind_at(base, row, at - 7);
}

static int walk(const char* name) {
  HMODULE module = LoadLibraryExA(name, NULL, DONT_RESOLVE_DLL_REFERENCES);
  if (module == NULL) return printf("%s: not loaded, error %lu\n", name, GetLastError()), 1;
  ULONG64 base = (ULONG64)module;
  IMAGE_NT_HEADERS* headers = (IMAGE_NT_HEADERS*)(base + ((IMAGE_DOS_HEADER*)module)->e_lfanew);
  IMAGE_DATA_DIRECTORY* directory = &headers->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_EXCEPTION];
  RUNTIME_FUNCTION* rows = (RUNTIME_FUNCTION*)(base + directory->VirtualAddress);
  DWORD count = directory->Size / sizeof *rows;
  g_hash = g_places = 0;
  DWORD missing = 0;
  for (DWORD i = 0; i < count; ++i) {
    DWORD64 found = 0;
    missing += RtlLookupFunctionEntry(base + rows[i].BeginAddress, &found, NULL) != &rows[i] || found != base;
    unwind_function(base, &rows[i]);
  }
  const char* slash = strrchr(name, '\\');
  printf("%s: %lu functions, %lu not found, %u places, %016llx\n", slash != NULL ? slash + 1 : name, count,
         missing, g_places, g_hash);
  return 0;
}

int main(int count, char** arguments) {
  ULONG64* memory = VirtualAlloc((void*)MEMORY, MEMORY_SIZE, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
  if ((ULONG64)memory != MEMORY) return printf("no memory at %llx\n", MEMORY), 1;
  for (ULONG64 i = 0; i < MEMORY_SIZE / 8; ++i)
    memory[i] = MEMORY + (8u << 20) + (i * 0x9E3779B1u & 0x7FFFF0);
  int failures = 0;
  for (int i = 1; i < count; ++i) {
    if (strcmp(arguments[i], "-v") == 0)
      g_verbose = 1;
    else
      failures += walk(arguments[i]);
  }
  return failures;
}
