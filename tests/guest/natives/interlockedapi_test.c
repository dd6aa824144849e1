// interlockedapi.h: singly linked lists, by their names in kernel32 and in ntdll.
#define _WIN32_WINNT 0x0A00
#include "check.h"

typedef PSLIST_ENTRY(WINAPI* PushList_t)(PSLIST_HEADER, PSLIST_ENTRY, PSLIST_ENTRY, ULONG);
typedef void(WINAPI* Initialize_t)(PSLIST_HEADER);
typedef PSLIST_ENTRY(WINAPI* Push_t)(PSLIST_HEADER, PSLIST_ENTRY);
typedef PSLIST_ENTRY(WINAPI* Take_t)(PSLIST_HEADER);
typedef WORD(WINAPI* Depth_t)(PSLIST_HEADER);

enum { ENTRIES = 64, THREADS = 4, ROUNDS = 20000 };

static SLIST_HEADER shared;
static DECLSPEC_ALIGN(16) SLIST_ENTRY entries[ENTRIES];

static void by_kernel32(void) {
  SLIST_HEADER list;
  const PushList_t push_list =
      (PushList_t)(void*)GetProcAddress(GetModuleHandleA("kernel32"), "InterlockedPushListSListEx");
  InitializeSListHead(&list);
  CHECK(QueryDepthSList(&list) == 0);
  CHECK(InterlockedPopEntrySList(&list) == NULL);
  CHECK(InterlockedPushEntrySList(&list, &entries[0]) == NULL);
  CHECK(InterlockedPushEntrySList(&list, &entries[1]) == &entries[0]);
  entries[2].Next = &entries[3];
  CHECK(push_list(&list, &entries[2], &entries[3], 2) == &entries[1]);
  CHECK(QueryDepthSList(&list) == 4);
  CHECK(InterlockedPopEntrySList(&list) == &entries[2]);
  CHECK(InterlockedFlushSList(&list) == &entries[3]);
  CHECK(entries[3].Next == &entries[1] && entries[1].Next == &entries[0] && entries[0].Next == NULL);
  CHECK(QueryDepthSList(&list) == 0);
  CHECK(InterlockedFlushSList(&list) == NULL);
}

static void by_ntdll(void) {
  const HMODULE ntdll = GetModuleHandleA("ntdll");
  const Initialize_t initialize = (Initialize_t)(void*)GetProcAddress(ntdll, "RtlInitializeSListHead");
  const Push_t push = (Push_t)(void*)GetProcAddress(ntdll, "RtlInterlockedPushEntrySList");
  const PushList_t push_list = (PushList_t)(void*)GetProcAddress(ntdll, "RtlInterlockedPushListSListEx");
  const Take_t pop = (Take_t)(void*)GetProcAddress(ntdll, "RtlInterlockedPopEntrySList");
  const Take_t flush = (Take_t)(void*)GetProcAddress(ntdll, "RtlInterlockedFlushSList");
  const Take_t first = (Take_t)(void*)GetProcAddress(ntdll, "RtlFirstEntrySList");
  const Depth_t depth = (Depth_t)(void*)GetProcAddress(ntdll, "RtlQueryDepthSList");
  SLIST_HEADER list;
  memset(&list, 0xCC, sizeof list);
  CHECK((initialize(&list), depth(&list)) == 0);
  CHECK(push(&list, &entries[5]) == NULL);
  entries[6].Next = &entries[7];
  CHECK(push_list(&list, &entries[6], &entries[7], 2) == &entries[5]);
  CHECK(first(&list) == &entries[6]);
  CHECK(pop(&list) == &entries[6]);
  CHECK(depth(&list) == 2);
  CHECK(flush(&list) == &entries[7]);
}

static DWORD WINAPI shuffle(void* unused) {
  (void)unused;
  for (int i = 0; i < ROUNDS; ++i) {
    PSLIST_ENTRY entry = InterlockedPopEntrySList(&shared);
    if (entry == NULL) return 1;
    InterlockedPushEntrySList(&shared, entry);
  }
  return 0;
}

static void by_many_threads(void) {
  HANDLE threads[THREADS];
  int count = 0;
  InitializeSListHead(&shared);
  for (int i = 0; i < ENTRIES; ++i) InterlockedPushEntrySList(&shared, &entries[i]);
  for (int i = 0; i < THREADS; ++i) threads[i] = CreateThread(NULL, 0, shuffle, NULL, 0, NULL);
  CHECK(WaitForMultipleObjects(THREADS, threads, TRUE, INFINITE) == WAIT_OBJECT_0);
  for (int i = 0; i < THREADS; ++i) {
    DWORD code = 99;
    CHECK(GetExitCodeThread(threads[i], &code) && code == 0);
    CloseHandle(threads[i]);
  }
  for (PSLIST_ENTRY entry = InterlockedFlushSList(&shared); entry != NULL; entry = entry->Next) ++count;
  CHECK(count == ENTRIES);
}

int main(void) {
  by_kernel32();
  by_ntdll();
  by_many_threads();
  return DONE();
}
