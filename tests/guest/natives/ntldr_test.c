// The loader lock by hand, notices of modules that come and go, and a thread that shuts itself down.
#include "check.h"

#include <wchar.h>

#define NEAR_DLL "libloaderapi_near.dll"
#define NTDLL(type, name, arguments) \
  type(WINAPI* name) arguments =     \
      (type(WINAPI*) arguments)(void*)GetProcAddress(GetModuleHandleA("ntdll.dll"), #name)

typedef struct {
  USHORT Length, MaximumLength;
  WCHAR* Buffer;
} UnicodeString;
typedef struct {
  ULONG flags;
  const UnicodeString *full_name, *base_name;
  void* base;
  ULONG size;
} Notice;

enum { ACQUIRED = 1, NOT_ACQUIRED = 2 };
enum { INVALID_PARAMETER_1 = 0xC00000EF, INVALID_PARAMETER_2 = 0xC00000F0, INVALID_PARAMETER_3 = 0xC00000F1 };

/// PEB.LoaderLock.
static CRITICAL_SECTION* loader_lock(void) {
  ULONG64 peb;
  __asm__ volatile("movq %%gs:0x60, %0" : "=r"(peb));
  return *(CRITICAL_SECTION**)(peb + 0x110);
}
static DWORD owner(void) { return (DWORD)(ULONG_PTR)loader_lock()->OwningThread; }

static HANDLE g_ready, g_go;
static ULONG_PTR g_foreign_cookie;

static DWORD WINAPI try_the_lock(void* unused) {
  NTDLL(LONG, LdrLockLoaderLock, (ULONG, ULONG*, ULONG_PTR*));
  NTDLL(LONG, LdrUnlockLoaderLock, (ULONG, ULONG_PTR));
  ULONG disposition = 9;
  ULONG_PTR cookie = 9;
  SetEvent(g_ready);
  WaitForSingleObject(g_go, INFINITE);
  CHECK(LdrLockLoaderLock(2, &disposition, &cookie) == 0 && disposition == NOT_ACQUIRED && cookie == 0);
  CHECK(LdrUnlockLoaderLock(0, cookie) == 0);
  CHECK(LdrUnlockLoaderLock(0, g_foreign_cookie) == (LONG)INVALID_PARAMETER_2);
  SetEvent(g_ready);
  return 0;
}

static volatile LONG g_late;
static DWORD WINAPI be_late(void* unused) {
  g_late = 1;
  return 0;
}

static void check_lock(void) {
  NTDLL(LONG, LdrLockLoaderLock, (ULONG, ULONG*, ULONG_PTR*));
  NTDLL(LONG, LdrUnlockLoaderLock, (ULONG, ULONG_PTR));
  ULONG disposition = 9;
  ULONG_PTR cookie = 9, second = 9;
  CHECK(LdrLockLoaderLock(4, &disposition, &cookie) == (LONG)INVALID_PARAMETER_1);
  CHECK(LdrLockLoaderLock(2, NULL, &cookie) == (LONG)INVALID_PARAMETER_2);
  CHECK(LdrLockLoaderLock(0, &disposition, NULL) == (LONG)INVALID_PARAMETER_3);

  g_ready = CreateEventA(NULL, FALSE, FALSE, NULL);
  g_go = CreateEventA(NULL, TRUE, FALSE, NULL);
  HANDLE other = CreateThread(NULL, 0, try_the_lock, NULL, 0, NULL);
  WaitForSingleObject(g_ready, INFINITE);  // it has started, for which a thread needs the lock
  CHECK(LdrLockLoaderLock(0, &disposition, &cookie) == 0 && disposition == ACQUIRED && cookie != 0);
  CHECK(owner() == GetCurrentThreadId() && loader_lock()->RecursionCount == 1);
  CHECK(LdrLockLoaderLock(2, &disposition, &second) == 0 && disposition == ACQUIRED && second != 0);
  CHECK(owner() == GetCurrentThreadId() && loader_lock()->RecursionCount == 2);
  CHECK(LdrUnlockLoaderLock(2, second) == (LONG)INVALID_PARAMETER_1);
  CHECK(LdrUnlockLoaderLock(0, second) == 0 && loader_lock()->RecursionCount == 1);
  CHECK(LdrUnlockLoaderLock(0, 0) == 0 && owner() == GetCurrentThreadId());

  g_foreign_cookie = cookie;
  SetEvent(g_go);
  WaitForSingleObject(g_ready, INFINITE);
  HANDLE late = CreateThread(NULL, 0, be_late, NULL, 0, NULL);
  CHECK(WaitForSingleObject(late, 20) == WAIT_TIMEOUT && g_late == 0);
  CHECK(WaitForSingleObject(other, 20) == WAIT_TIMEOUT);  // nor can it end
  CHECK(owner() == GetCurrentThreadId());
  CHECK(LdrUnlockLoaderLock(1, cookie) == 0);
  CHECK(WaitForSingleObject(late, INFINITE) == WAIT_OBJECT_0 && g_late == 1);
  CHECK(WaitForSingleObject(other, INFINITE) == WAIT_OBJECT_0);
  CHECK(owner() == 0);
  CHECK(LdrUnlockLoaderLock(0, (ULONG_PTR)1 << 40) == (LONG)INVALID_PARAMETER_2);
  CHECK(LdrLockLoaderLock(0, NULL, &cookie) == 0 && LdrUnlockLoaderLock(0, cookie) == 0);
}

// ---- notices ---------------------------------------------------------------------------------------------

static struct {
  ULONG why;
  void* base;
  int named, findable;
  DWORD owner;
} g_notices[8];
static int g_count;

static void CALLBACK note(ULONG why, const Notice* notice, void* context) {
  if (context != &g_count || g_count == 8) return;
  g_notices[g_count].why = why;
  g_notices[g_count].base = notice->base;
  g_notices[g_count].named = !_wcsicmp(notice->base_name->Buffer, L"" NEAR_DLL) &&
                             notice->full_name->Length > notice->base_name->Length && notice->size != 0;
  g_notices[g_count].findable = GetModuleHandleA(NEAR_DLL) != NULL;
  g_notices[g_count++].owner = owner();
}

static int g_once;
static void* g_cookie_of_once;
static void CALLBACK note_once(ULONG why, const Notice* notice, void* context) {
  NTDLL(LONG, LdrUnregisterDllNotification, (void*));
  ++g_once;
  CHECK(LdrUnregisterDllNotification(g_cookie_of_once) == 0);
}

static void check_notices(void) {
  NTDLL(LONG, LdrRegisterDllNotification, (ULONG, void*, void*, void**));
  NTDLL(LONG, LdrUnregisterDllNotification, (void*));
  void *cookie = NULL, *other = NULL;
  CHECK(LdrRegisterDllNotification(0, NULL, NULL, &cookie) < 0);
  CHECK(LdrRegisterDllNotification(0, (void*)note, &g_count, &cookie) == 0 && cookie != NULL);
  CHECK(LdrRegisterDllNotification(0, (void*)note_once, NULL, &other) == 0 && other != cookie);
  g_cookie_of_once = other;

  HMODULE module = LoadLibraryA(NEAR_DLL);
  CHECK(g_count == 1 && g_notices[0].why == 1 && g_notices[0].base == module && g_notices[0].named);
  CHECK(g_notices[0].owner == GetCurrentThreadId());
  CHECK(LoadLibraryA(NEAR_DLL) == module && FreeLibrary(module) && g_count == 1);
  CHECK(FreeLibrary(module));
  CHECK(g_count == 2 && g_notices[1].why == 2 && g_notices[1].base == module && g_notices[1].named);
  CHECK(g_once == 1 && LdrUnregisterDllNotification(other) == (LONG)0xC0000135);

  CHECK(LdrUnregisterDllNotification(cookie) == 0);
  CHECK((module = LoadLibraryA(NEAR_DLL)) != NULL && FreeLibrary(module) && g_count == 2);
  CHECK(LdrUnregisterDllNotification(cookie) == (LONG)0xC0000135);
}

// ---- half an exit ----------------------------------------------------------------------------------------

static volatile LONG g_detached;
static void NTAPI on_thread(void* module, DWORD reason, void* reserved) {
  if (reason == DLL_THREAD_DETACH) InterlockedIncrement(&g_detached);
}
__attribute__((section(".CRT$XLD"), used)) static const PIMAGE_TLS_CALLBACK kCallback = on_thread;

static DWORD WINAPI shut_itself_down(void* unused) {
  NTDLL(void, LdrShutdownThread, (void));
  CHECK(g_detached == 0);
  LdrShutdownThread();
  CHECK(g_detached == 1);
  return 5;
}

static void check_shutdown(void) {
  DWORD code = 0;
  g_detached = 0;
  HANDLE thread = CreateThread(NULL, 0, shut_itself_down, NULL, 0, NULL);
  CHECK(WaitForSingleObject(thread, INFINITE) == WAIT_OBJECT_0);
  CHECK(GetExitCodeThread(thread, &code) && code == 5);
  CHECK(g_detached == 1 || running_under_wine());  // it is told once; Wine 8 tells it again
}

int main(void) {
  check_lock();
  check_notices();
  check_shutdown();
  return DONE();
}
