// ntdll's bitmaps and memory functions, and the debug hooks of Wine's C runtimes (where ntdll has them).
#include "check.h"

// Macros for C's own functions; here the exports are meant.
#undef RtlFillMemory
#undef RtlMoveMemory
#undef RtlZeroMemory

typedef struct {
  ULONG size;
  ULONG* buffer;
} Bitmap;

static FARPROC ntdll(const char* name) {
  FARPROC function = GetProcAddress(GetModuleHandleA("ntdll.dll"), name);
  if (!function) printf("ntdll has no %s\n", name), ++g_failures;
  return function;
}
#define IMPORT(result, name, ...) result(WINAPI* name)(__VA_ARGS__) = (void*)ntdll(#name)

static void bitmaps(void) {
  IMPORT(void, RtlInitializeBitMap, Bitmap*, ULONG*, ULONG);
  IMPORT(void, RtlSetBits, Bitmap*, ULONG, ULONG);
  IMPORT(void, RtlClearBits, Bitmap*, ULONG, ULONG);
  IMPORT(BOOLEAN, RtlAreBitsClear, Bitmap*, ULONG, ULONG);
  IMPORT(BOOLEAN, RtlAreBitsSet, Bitmap*, ULONG, ULONG);
  IMPORT(ULONG, RtlFindClearBits, Bitmap*, ULONG, ULONG);
  IMPORT(ULONG, RtlFindClearBitsAndSet, Bitmap*, ULONG, ULONG);
  IMPORT(void, RtlSetAllBits, Bitmap*);
  IMPORT(void, RtlClearAllBits, Bitmap*);
  IMPORT(ULONG, RtlNumberOfSetBits, Bitmap*);
  ULONG words[4] = {0, 0, 0, 0x12345678};
  Bitmap map;
  RtlInitializeBitMap(&map, words, 96);
  CHECK(map.size == 96 && map.buffer == words);
  RtlSetBits(&map, 30, 40);
  CHECK(words[0] == 0xC0000000 && words[1] == 0xFFFFFFFF && words[2] == 0x3F);
  CHECK(RtlAreBitsSet(&map, 30, 40) && !RtlAreBitsSet(&map, 29, 2) && !RtlAreBitsSet(&map, 30, 41));
  CHECK(RtlAreBitsClear(&map, 0, 30) && !RtlAreBitsClear(&map, 0, 31) && RtlAreBitsClear(&map, 70, 26));
  CHECK(!RtlAreBitsClear(&map, 70, 27) && !RtlAreBitsClear(&map, 0, 0) && !RtlAreBitsSet(&map, 30, 0));
  CHECK(RtlNumberOfSetBits(&map) == 40);
  CHECK(RtlFindClearBits(&map, 30, 0) == 0 && RtlFindClearBits(&map, 31, 0) == ~0u);
  CHECK(RtlFindClearBits(&map, 26, 40) == 70 && RtlFindClearBits(&map, 28, 40) == 0);
  CHECK(RtlFindClearBits(&map, 97, 0) == ~0u);
  CHECK(RtlFindClearBitsAndSet(&map, 10, 64) == 70 && RtlAreBitsSet(&map, 70, 10));
  RtlClearBits(&map, 31, 2);
  CHECK(RtlAreBitsClear(&map, 31, 2) && RtlNumberOfSetBits(&map) == 48);
  RtlSetAllBits(&map);
  CHECK(RtlNumberOfSetBits(&map) == 96 && RtlFindClearBits(&map, 1, 0) == ~0u);
  RtlClearAllBits(&map);
  CHECK(RtlNumberOfSetBits(&map) == 0 && words[3] == 0x12345678);
}

static void memory(void) {
  IMPORT(void, RtlMoveMemory, void*, const void*, SIZE_T);
  IMPORT(void, RtlFillMemory, void*, SIZE_T, int);
  IMPORT(void, RtlZeroMemory, void*, SIZE_T);
  IMPORT(SIZE_T, RtlCompareMemory, const void*, const void*, SIZE_T);
  char text[] = "0123456789";
  RtlMoveMemory(text + 2, text, 5);
  CHECK(!strcmp(text, "0101234789"));
  RtlFillMemory(text, 3, 'x');
  CHECK(!strcmp(text, "xxx1234789"));
  RtlZeroMemory(text + 1, 1);
  CHECK(text[0] == 'x' && text[1] == 0 && text[2] == 'x');
  CHECK(RtlCompareMemory("abcdef", "abcxef", 6) == 3 && RtlCompareMemory("abc", "abc", 3) == 3);
  void(WINAPI * copy)(void*, const void*, SIZE_T) =
      (void*)GetProcAddress(GetModuleHandleA("ntdll.dll"), "RtlCopyMemory");
  if (copy) {
    copy(text, "abc", 4);
    CHECK(!strcmp(text, "abc"));
  }
}

static void wine_hooks(void) {
  HMODULE module = GetModuleHandleA("ntdll.dll");
  unsigned char (*flags)(void*) = (void*)GetProcAddress(module, "__wine_dbg_get_channel_flags");
  int (*header)(int, void*, const char*) = (void*)GetProcAddress(module, "__wine_dbg_header");
  int (*output)(const char*) = (void*)GetProcAddress(module, "__wine_dbg_output");
  const char* (*duplicate)(const char*) = (void*)GetProcAddress(module, "__wine_dbg_strdup");
  if (!flags || !header || !output || !duplicate) return;  // Windows
  struct {
    unsigned char flags;
    char name[15];
  } channel = {0xFF, "bobbin"};
  CHECK((flags(&channel) & 1) == 0);  // tracing is off
  CHECK(header(3, &channel, "wine_hooks") == -1);
  CHECK(output("") == 0);
  char text[] = "once";
  const char* copy = duplicate(text);
  text[0] = 'O';
  CHECK(copy != text && !strcmp(copy, "once"));
  for (int i = 0; i < 1000; ++i) CHECK(!strcmp(duplicate("again and again"), "again and again"));
}

int main(void) {
  void* (*RtlGetCurrentPeb_)(void) = (void*)GetProcAddress(GetModuleHandleA("ntdll.dll"), "RtlGetCurrentPeb");
  CHECK(RtlGetCurrentPeb_() == *(void**)((char*)NtCurrentTeb() + 0x60));
  bitmaps();
  memory();
  wine_hooks();
  return DONE();
}
