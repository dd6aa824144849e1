// Modules: loading and freeing, references, folders that are searched, delayed imports, and ntdll's view of
// it. libloaderapi_near.dll and libloaderapi_delay.dll stand beside us, libloaderapi_far.dll in the folder
// far.
#include "check.h"
#include "dlls/libloaderapi_delay.h"

#include <string.h>
#include <wchar.h>

#define NEAR_DLL "libloaderapi_near.dll"
#define FAR_DLL "libloaderapi_far.dll"
#define NTDLL(type, name, arguments) \
  type(WINAPI* name) arguments =     \
      (type(WINAPI*) arguments)(void*)GetProcAddress(GetModuleHandleA("ntdll.dll"), #name)
#define KERNEL32(type, name, arguments) \
  type(WINAPI* p##name) arguments =     \
      (type(WINAPI*) arguments)(void*)GetProcAddress(GetModuleHandleA("kernel32.dll"), #name)

typedef int (*Answer)(void);
typedef struct {
  USHORT Length, MaximumLength;
  WCHAR* Buffer;
} UnicodeString;
typedef struct {
  USHORT Length, MaximumLength;
  char* Buffer;
} AnsiString;

static char g_folder[MAX_PATH];   // ours, with a backslash at its end
static char g_far[MAX_PATH + 8];  // the far DLL's
static WCHAR g_far_w[MAX_PATH + 8];

static int loaded(const char* name) { return GetModuleHandleA(name) != NULL; }

static int call(HMODULE module, const char* function) {
  Answer answer = (Answer)GetProcAddress(module, function);
  return answer != NULL ? answer() : -1;
}

static void check_file_names(void) {
  WCHAR wide[MAX_PATH], shorter[8];
  DWORD length = GetModuleFileNameW(NULL, wide, MAX_PATH);
  CHECK(length == wcslen(wide) && wide[1] == ':');
  CHECK(length > 21 && !_wcsicmp(wide + length - 21, L"libloaderapi_test.exe"));
  CHECK(GetModuleFileNameW(NULL, shorter, 8) == 8 && GetLastError() == ERROR_INSUFFICIENT_BUFFER);
  CHECK(!memcmp(shorter, wide, 7 * sizeof *wide) && (shorter[7] == 0 || running_under_wine()));
  CHECK(GetModuleFileNameW((HMODULE)0x12340000, shorter, 8) == 0 && GetLastError() == ERROR_MOD_NOT_FOUND);
  CHECK(GetModuleFileNameA(NULL, g_folder, MAX_PATH) == length);
  strrchr(g_folder, '\\')[1] = 0;
  strcat(strcpy(g_far, g_folder), "far");
  wcscpy(wcsrchr(wcscpy(g_far_w, wide), '\\'), L"\\far");
}

static void check_loading(void) {
  char path[MAX_PATH + 32];
  HMODULE a = LoadLibraryW(L"libloaderapi_near.dll");
  HMODULE b = LoadLibraryW(L"LIBLOADERAPI_NEAR");
  CHECK(a != NULL && a == b && call(a, "answer") == 42);
  CHECK(FreeLibrary(b) && loaded(NEAR_DLL));
  CHECK(FreeLibrary(a) && !loaded(NEAR_DLL));
  CHECK(LoadLibraryW(L"no-such-library") == NULL && GetLastError() == ERROR_MOD_NOT_FOUND);
  strcat(strcpy(path, g_folder), NEAR_DLL);
  a = LoadLibraryExA(path, NULL, LOAD_WITH_ALTERED_SEARCH_PATH);
  CHECK(a != NULL && call(a, "answer") == 42 && FreeLibrary(a));
  a = LoadLibraryExW(L"libloaderapi_near.dll", NULL, 0);
  CHECK(a != NULL && FreeLibrary(a) && !loaded(NEAR_DLL));
  a = LoadLibraryExW(L"libloaderapi_near.dll", NULL, LOAD_LIBRARY_AS_DATAFILE);
  CHECK(a != NULL && ((ULONG_PTR)a & 3) != 0 && !loaded(NEAR_DLL));
  CHECK(FreeLibrary(a));
}

static void check_references(void) {
  HMODULE module = LoadLibraryA(NEAR_DLL), found = NULL;
  CHECK(GetModuleHandleExA(0, NEAR_DLL, &found) && found == module);
  CHECK(FreeLibrary(module) && loaded(NEAR_DLL));  // the call above took a reference
  found = NULL;
  CHECK(GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT, L"libloaderapi_near", &found));
  CHECK(found == module);
  LPCSTR inside = (LPCSTR)GetProcAddress(module, "answer");
  found = NULL;
  CHECK(GetModuleHandleExA(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, inside, &found) && found == module);
  CHECK(FreeLibrary(module) && loaded(NEAR_DLL));
  CHECK(FreeLibrary(module) && !loaded(NEAR_DLL));
  found = module;
  CHECK(!GetModuleHandleExW(0, L"libloaderapi_near.dll", &found) && GetLastError() == ERROR_MOD_NOT_FOUND);
  CHECK(found == NULL);
  CHECK(!GetModuleHandleExA(GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
                            NULL, &found));
  CHECK(GetLastError() == ERROR_INVALID_PARAMETER);
  CHECK(GetModuleHandleExA(0, NULL, &found) && found == GetModuleHandleA(NULL));
  CHECK(!GetModuleHandleExW(0, NULL, NULL) && GetLastError() == ERROR_INVALID_PARAMETER);
}

static DWORD WINAPI free_and_exit(void* module) {
  FreeLibraryAndExitThread(module, 51);
  return 1;
}

static void check_free_and_exit(void) {
  DWORD code = 0;
  HANDLE thread = CreateThread(NULL, 0, free_and_exit, LoadLibraryA(NEAR_DLL), 0, NULL);
  CHECK(WaitForSingleObject(thread, INFINITE) == WAIT_OBJECT_0);
  CHECK(GetExitCodeThread(thread, &code) && code == 51);
  CHECK(!loaded(NEAR_DLL));
  CloseHandle(thread);
}

static int loads(const char* name, DWORD flags) {
  HMODULE module = LoadLibraryExA(name, NULL, flags);
  return module != NULL && FreeLibrary(module);
}
static int loads_far(DWORD flags) { return loads(FAR_DLL, flags); }

static void check_folders(void) {
  KERNEL32(PVOID, AddDllDirectory, (PCWSTR));
  KERNEL32(BOOL, RemoveDllDirectory, (PVOID));
  KERNEL32(BOOL, SetDefaultDllDirectories, (DWORD));
  const DWORD load_dir = 0x100, program_dir = 0x200, user_dirs = 0x400, system32 = 0x800,
              default_dirs = 0x1000;
  char path[MAX_PATH + 32];
  strcat(strcat(strcpy(path, g_far), "\\"), FAR_DLL);
  CHECK(!loads_far(0) && GetLastError() == ERROR_MOD_NOT_FOUND);
  CHECK(SetDllDirectoryA(g_far) && loads_far(0));
  CHECK(SetDllDirectoryA(NULL) && !loads_far(0));
  CHECK(SetDllDirectoryW(g_far_w) && loads_far(0));
  CHECK(SetDllDirectoryW(NULL) && !loads_far(0));

  PVOID cookie = pAddDllDirectory(g_far_w);
  CHECK(cookie != NULL);
  CHECK(!loads_far(0));  // who does not ask for the user's folders does not search them
  CHECK(pAddDllDirectory(L"far") == NULL && GetLastError() == ERROR_INVALID_PARAMETER);
  CHECK(loads_far(user_dirs) && loads_far(default_dirs));
  CHECK(!loads_far(program_dir) && !loads_far(system32));
  CHECK(loads(NEAR_DLL, program_dir) && loads(NEAR_DLL, default_dirs) && !loads(NEAR_DLL, user_dirs));
  CHECK(!loads(NEAR_DLL, system32) && GetLastError() == ERROR_MOD_NOT_FOUND);
  CHECK(loads("kernel32.dll", program_dir));  // what is loaded is not looked for
  CHECK(loads(path, load_dir) && loads(path, system32));
  CHECK(!loads(FAR_DLL, load_dir) && GetLastError() == ERROR_INVALID_PARAMETER);
  CHECK(!loads(path, system32 | LOAD_WITH_ALTERED_SEARCH_PATH) && GetLastError() == ERROR_INVALID_PARAMETER);
  CHECK(pSetDefaultDllDirectories(default_dirs) && loads_far(0));  // now everybody does
  CHECK(pRemoveDllDirectory(cookie) && !loads_far(0) && !loads_far(default_dirs));
  if (!running_under_wine()) {  // which takes any pointer for a cookie
    CHECK(!pRemoveDllDirectory(cookie) && GetLastError() == ERROR_INVALID_PARAMETER);
    CHECK(!pRemoveDllDirectory(NULL) && !pRemoveDllDirectory((PVOID)0x12345678));
  }
  CHECK(pSetDefaultDllDirectories(system32) && !loads(NEAR_DLL, 0) && loads(NEAR_DLL, program_dir));
  CHECK(!pSetDefaultDllDirectories(0) && GetLastError() == ERROR_INVALID_PARAMETER);
  CHECK(!pSetDefaultDllDirectories(load_dir) && GetLastError() == ERROR_INVALID_PARAMETER);
  CHECK(pSetDefaultDllDirectories(default_dirs) && loads(NEAR_DLL, 0));
  CHECK(pAddDllDirectory(L"C:\\no-such-folder") == NULL && GetLastError() == ERROR_FILE_NOT_FOUND);
}

static void check_failure_hooks(HMODULE module) {
  Seen* seen = (Seen*)GetProcAddress(module, "seen");
  int* hooks = (int*)GetProcAddress(module, "hooks");
  *hooks = 1 | 2;
  CHECK(call(module, "delayed_missing") == 7);
  CHECK(seen->reason == 4 && seen->info.Size == sizeof(DelayLoadInfo));
  CHECK(!strcmp(seen->info.TargetDllName, NEAR_DLL));
  CHECK(seen->info.TargetApiDescriptor.ImportDescribedByName);
  CHECK(seen->info.DelayloadDescriptor != NULL && seen->info.ThunkAddress != NULL);
  CHECK(seen->system_dll == NULL);
  if (!running_under_wine()) {  // the name is an RVA there, the other two are not filled in
    CHECK(!strcmp(seen->info.TargetApiDescriptor.Description.Name, "missing"));
    CHECK(seen->info.TargetModuleBase == GetModuleHandleA(NEAR_DLL));
    CHECK(seen->info.LastError == ERROR_PROC_NOT_FOUND && seen->last_error == ERROR_PROC_NOT_FOUND);
  }
  CHECK(call(module, "delayed_gone") == 7 && !strcmp(seen->info.TargetDllName, "libloaderapi_gone.dll"));
  CHECK(seen->reason == 4 && seen->info.TargetModuleBase == NULL);
  if (!running_under_wine()) CHECK(seen->info.LastError == ERROR_MOD_NOT_FOUND);

  *hooks = 4;
  CHECK(call(module, "delayed_missing") == 8);
  CHECK(!strcmp(seen->system_dll, NEAR_DLL) && !strcmp(seen->system_function, "missing"));
  CHECK(call(module, "delayed_gone") == 8 && !strcmp(seen->system_function, "gone"));
  if (!running_under_wine()) {  // asks the system's hook only if the DLL has none, and calls it even then
    *hooks = 1 | 4;
    CHECK(call(module, "delayed_gone") == 8);
    *hooks = 1;
    CHECK(call(module, "delayed_gone") == 9);
    *hooks = 0;
    CHECK(call(module, "delayed_gone") == 9);
  }
}

static void check_delayed(void) {
  HMODULE module = LoadLibraryA("libloaderapi_delay.dll");
  CHECK(module != NULL && !loaded(NEAR_DLL) && call(module, "resolved") == 0);
  CHECK(call(module, "delayed_answer") == 42);
  CHECK(loaded(NEAR_DLL) && call(module, "resolved") == 1);
  CHECK(call(module, "delayed_answer") == 42 && call(module, "resolved") == 1);
  if (!running_under_wine())
    check_failure_hooks(module);  // Wine reads the DLL's name at its RVA: a page fault
  CHECK(FreeLibrary(module) && !loaded("libloaderapi_delay.dll"));
  if (!running_under_wine()) {  // raises an exception there
    KERNEL32(PVOID, DelayLoadFailureHook, (LPCSTR, LPCSTR));
    CHECK(pDelayLoadFailureHook(NEAR_DLL, "no_such_function") == NULL &&
          GetLastError() == ERROR_PROC_NOT_FOUND);
  }
}

// The ordinal that a module's export directory has for a name.
static DWORD ordinal_of(HMODULE module, const char* wanted) {
  NTDLL(IMAGE_EXPORT_DIRECTORY*, RtlImageDirectoryEntryToData, (HMODULE, BOOLEAN, USHORT, ULONG*));
  ULONG size = 0;
  const IMAGE_EXPORT_DIRECTORY* exports =
      RtlImageDirectoryEntryToData(module, TRUE, IMAGE_DIRECTORY_ENTRY_EXPORT, &size);
  const DWORD* names = (const DWORD*)((char*)module + exports->AddressOfNames);
  const WORD* ordinals = (const WORD*)((char*)module + exports->AddressOfNameOrdinals);
  for (DWORD i = 0; i < exports->NumberOfNames; ++i)
    if (!strcmp((char*)module + names[i], wanted)) return exports->Base + ordinals[i];
  return 0;
}

static void check_ordinals(void) {
  static const char* const kDlls[] = {"kernel32.dll", "kernelbase.dll", "ntdll.dll"};
  static const char* const kNames[] = {"Sleep", "GetLastError", "TlsGetValue", "NtClose",
                                       "RtlGetLastWin32Error"};
  int checked = 0;
  for (int i = 0; i < 3; ++i) {
    HMODULE dll = GetModuleHandleA(kDlls[i]);
    for (int j = 0; j < 5; ++j) {
      const DWORD ordinal = ordinal_of(dll, kNames[j]);
      if (ordinal == 0) continue;
      void* by_name = (void*)GetProcAddress(dll, kNames[j]);
      CHECK(by_name != NULL && (void*)GetProcAddress(dll, (LPCSTR)(ULONG_PTR)ordinal) == by_name);
      ++checked;
    }
    CHECK(GetProcAddress(dll, (LPCSTR)0xFFFF) == NULL);
  }
  CHECK(checked >= 7);
}

static volatile LONG g_rounds;

static DWORD WINAPI load_and_free(void* unused) {
  for (; g_rounds < 500; InterlockedIncrement(&g_rounds)) FreeLibrary(LoadLibraryA(NEAR_DLL));
  return 0;
}

// Whatever another thread frees meanwhile, an answer is about the module or says that it is not there.
static void check_concurrent_free(void) {
  HANDLE thread = CreateThread(NULL, 0, load_and_free, NULL, 0, NULL);
  while (g_rounds < 500) {
    char name[MAX_PATH];
    HMODULE module = GetModuleHandleA(NEAR_DLL), again = NULL;
    if (module == NULL) continue;
    DWORD length = GetModuleFileNameA(module, name, MAX_PATH);
    CHECK(length == 0 || !_stricmp(strrchr(name, '\\') + 1, NEAR_DLL));
    GetProcAddress(module, "answer");
    if (GetModuleHandleExA(0, NEAR_DLL, &again)) CHECK(call(again, "answer") == 42 && FreeLibrary(again));
  }
  CHECK(WaitForSingleObject(thread, INFINITE) == WAIT_OBJECT_0);
  CloseHandle(thread);
  CHECK(!loaded(NEAR_DLL));
}

static DWORD WINAPI nothing(void* unused) { return 0; }

static void run_a_thread(void) {
  HANDLE thread = CreateThread(NULL, 0, nothing, NULL, 0, NULL);
  CHECK(WaitForSingleObject(thread, INFINITE) == WAIT_OBJECT_0);
  CloseHandle(thread);
}

static void check_ldr(void) {
  NTDLL(LONG, LdrLoadDll, (LPCWSTR, ULONG*, const UnicodeString*, HMODULE*));
  NTDLL(LONG, LdrUnloadDll, (HMODULE));
  NTDLL(LONG, LdrAddRefDll, (ULONG, HMODULE));
  NTDLL(LONG, LdrGetDllHandle, (LPCWSTR, ULONG*, const UnicodeString*, HMODULE*));
  NTDLL(LONG, LdrGetProcedureAddress, (HMODULE, const AnsiString*, ULONG, void**));
  NTDLL(LONG, LdrDisableThreadCalloutsForDll, (HMODULE));
  UnicodeString name = {42, 44, L"libloaderapi_near.dll"}, missing = {28, 30, L"no-such-dll.dl"};
  AnsiString function = {6, 7, "answer"}, no_function = {6, 7, "mising"};
  HMODULE module = NULL, found = NULL;
  void* address = NULL;
  CHECK(LdrGetDllHandle(NULL, NULL, &name, &found) == (LONG)0xC0000135);
  CHECK(LdrLoadDll(NULL, NULL, &missing, &module) == (LONG)0xC0000135);
  CHECK(LdrLoadDll(NULL, NULL, &name, &module) == 0 && module == GetModuleHandleA(NEAR_DLL));
  CHECK(LdrGetDllHandle(NULL, NULL, &name, &found) == 0 && found == module);
  CHECK(LdrGetProcedureAddress(module, &function, 0, &address) == 0 && ((Answer)address)() == 42);
  CHECK(LdrGetProcedureAddress(module, &no_function, 0, &address) < 0);
  address = NULL;
  CHECK(LdrGetProcedureAddress(module, NULL, 1, &address) == 0 && address != NULL);
  CHECK(LdrGetProcedureAddress(module, NULL, 99, &address) < 0);

  run_a_thread();
  CHECK(call(module, "threads_seen") == 1);
  CHECK(LdrDisableThreadCalloutsForDll(module) == 0);
  run_a_thread();
  CHECK(call(module, "threads_seen") == 1);

  CHECK(LdrAddRefDll(0, module) == 0);
  CHECK(LdrUnloadDll(module) == 0 && loaded(NEAR_DLL));
  CHECK(LdrUnloadDll(module) == 0 && !loaded(NEAR_DLL));
  CHECK(LdrUnloadDll(module) < 0);
}

static void check_headers(void) {
  NTDLL(IMAGE_NT_HEADERS*, RtlImageNtHeader, (HMODULE));
  NTDLL(void*, RtlImageDirectoryEntryToData, (HMODULE, BOOLEAN, USHORT, ULONG*));
  NTDLL(BOOLEAN, RtlDllShutdownInProgress, (void));
  NTDLL(void*, RtlPcToFileHeader, (void*, void**));
  HMODULE self = GetModuleHandleA(NULL);
  IMAGE_NT_HEADERS* headers = RtlImageNtHeader(self);
  IMAGE_DATA_DIRECTORY* imports = &headers->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_IMPORT];
  ULONG size = 0;
  void* base = NULL;
  CHECK(headers->Signature == IMAGE_NT_SIGNATURE && headers->FileHeader.Machine == IMAGE_FILE_MACHINE_AMD64);
  CHECK(RtlImageDirectoryEntryToData(self, TRUE, IMAGE_DIRECTORY_ENTRY_IMPORT, &size) ==
        (char*)self + imports->VirtualAddress);
  CHECK(size == imports->Size);
  CHECK(RtlImageDirectoryEntryToData(self, TRUE, 16, &size) == NULL);
  CHECK(RtlPcToFileHeader((void*)check_headers, &base) == self && base == self);
  CHECK(RtlPcToFileHeader(&size, &base) == NULL && base == NULL);
  CHECK(!RtlDllShutdownInProgress());
}

int main(void) {
  check_file_names();
  check_loading();
  check_references();
  check_free_and_exit();
  check_ldr();
  check_headers();
  check_ordinals();
  check_concurrent_free();
  check_folders();
  check_delayed();
  return DONE();
}
