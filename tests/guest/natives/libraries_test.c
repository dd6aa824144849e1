// What command-line programs ask of DLLs beyond kernel32: advapi32 (tokens, registry), bcrypt, ole32,
// oleaut32, shell32, user32, userenv; and of kernel32 what goes with it.
#define _WIN32_WINNT 0x0A00
#define INITGUID
#include "check.h"

#include <bcrypt.h>
#include <knownfolders.h>
#include <objbase.h>
#include <oleauto.h>
#include <shlobj.h>
#include <userenv.h>

static void random(void) {
  unsigned char first[32] = {0}, second[32] = {0};
  CHECK(BCryptGenRandom(NULL, first, 32, BCRYPT_USE_SYSTEM_PREFERRED_RNG) == 0);
  CHECK(BCryptGenRandom(NULL, second, 32, BCRYPT_USE_SYSTEM_PREFERRED_RNG) == 0 &&
        memcmp(first, second, 32) != 0);
  BCRYPT_ALG_HANDLE algorithm = NULL;
  CHECK(BCryptOpenAlgorithmProvider(&algorithm, L"NO-SUCH", NULL, 0) != 0 && algorithm == NULL);
  HMODULE primitives = LoadLibraryA("bcryptprimitives.dll");
  if (primitives == NULL && running_under_wine()) return;  // Wine 8 does not have it
  BOOL(WINAPI * ProcessPrng)(unsigned char*, size_t) = (void*)GetProcAddress(primitives, "ProcessPrng");
  CHECK(ProcessPrng(second, 32) && memcmp(first, second, 32) != 0);
}

static void security(void) {
  HANDLE token = NULL;
  DWORD size = 0;
  LUID privilege;
  if (running_under_wine()) return;  // which has tokens
  CHECK(!OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token) && GetLastError() == ERROR_ACCESS_DENIED);
  CHECK(!GetTokenInformation(token, TokenUser, NULL, 0, &size) && GetLastError() == ERROR_INVALID_HANDLE);
  CHECK(!AdjustTokenPrivileges(token, FALSE, NULL, 0, NULL, NULL) && GetLastError() == ERROR_INVALID_HANDLE);
  CHECK(!LookupPrivilegeValueA(NULL, "SeBobbin", &privilege) && GetLastError() == ERROR_NO_SUCH_PRIVILEGE);
  CHECK(!LookupPrivilegeValueW(NULL, L"SeBobbin", &privilege) && GetLastError() == ERROR_NO_SUCH_PRIVILEGE);
  CHECK(!GetFileSecurityW(L".", OWNER_SECURITY_INFORMATION, NULL, 0, &size) &&
        GetLastError() == ERROR_NOT_SUPPORTED);
  CHECK(!SetFileSecurityW(L"no such", OWNER_SECURITY_INFORMATION, NULL) &&
        GetLastError() == ERROR_FILE_NOT_FOUND);
}

static void registry(void) {
  HKEY key = NULL;
  CHECK(RegOpenKeyExW(HKEY_LOCAL_MACHINE, L"Software\\Bobbin\\None", 0, KEY_READ, &key) ==
        ERROR_FILE_NOT_FOUND);
  CHECK(RegQueryValueExW(HKEY_CURRENT_USER, L"bobbin-none", NULL, NULL, NULL, NULL) == ERROR_FILE_NOT_FOUND);
  CHECK(RegOpenKeyExW(HKEY_CURRENT_USER, NULL, 0, KEY_READ, &key) == ERROR_SUCCESS && RegCloseKey(key) == 0);
  CHECK(RegCloseKey((HKEY)0x1234) == ERROR_INVALID_HANDLE);
}

static void strings(void) {
  BSTR made = SysAllocString(L"bobbin"), counted = SysAllocStringLen(L"a\0b", 3);
  CHECK(made != NULL && SysStringLen(made) == 6 && made[6] == 0 && SysStringLen(counted) == 3 &&
        counted[2] == L'b');
  CHECK(SysStringLen(NULL) == 0);
  VARIANT from = {.vt = VT_BSTR, .bstrVal = made}, to = {.vt = VT_I4, .lVal = 5};
  CHECK(VariantCopy(&to, &from) == S_OK && to.vt == VT_BSTR && to.bstrVal != made && to.bstrVal[5] == L'n');
  CHECK(VariantClear(&to) == S_OK && to.vt == VT_EMPTY && VariantClear(&from) == S_OK);
  SysFreeString(counted);
  WCHAR text[] = L"stra\u00dfe \u00e4";
  CHECK(CharUpperW(text) == text && text[0] == L'S' && text[7] == 0xC4 &&
        CharUpperW((WCHAR*)L'x') == (WCHAR*)L'X');
  const char* plain = "abc";
  CHECK(CharPrevExA(1252, plain, plain + 2, 0) == plain + 1 && CharPrevExA(1252, plain, plain, 0) == plain);
  char* block = CoTaskMemAlloc(100);
  CHECK(block != NULL);
  memset(block, 1, 100);
  CoTaskMemFree(block);
  CHECK(HeapValidate(GetProcessHeap(), 0, NULL));
}

static void shell(void) {
  int count = 0;
  WCHAR** words = CommandLineToArgvW(L"\"a program\" one \"two \\\"three\"", &count);
  CHECK(words != NULL && count == 3 && wcscmp(words[0], L"a program") == 0 &&
        wcscmp(words[2], L"two \"three") == 0);
  CHECK(LocalFree(words) == NULL);
  WCHAR *profile = NULL, own[MAX_PATH], buffer[MAX_PATH];
  CHECK(SHGetKnownFolderPath(&FOLDERID_Profile, 0, NULL, &profile) == S_OK && profile != NULL);
  CHECK(GetEnvironmentVariableW(L"USERPROFILE", own, MAX_PATH) != 0 && lstrcmpiW(own, profile) == 0);
  CoTaskMemFree(profile);
  GUID nobody = {1, 2, 3, {4}};
  CHECK(SHGetKnownFolderPath(&nobody, 0, NULL, &profile) != S_OK && profile == NULL);
  DWORD size = 1;
  if (!running_under_wine()) {  // Wine 8 does not know the pseudo handles of tokens here
    CHECK(!GetUserProfileDirectoryW((HANDLE)-4, buffer, &size) &&
          GetLastError() == ERROR_INSUFFICIENT_BUFFER);
    CHECK(GetUserProfileDirectoryW((HANDLE)-4, buffer, &size) && lstrcmpiW(own, buffer) == 0);
  }
}

static void windows(void) {
  DWORD id = 0;
  BYTE keys[256] = {0};
  WCHAR out[8];
  if (running_under_wine()) return;  // which may have a desktop
  CHECK(GetForegroundWindow() == NULL);
  CHECK(GetWindowThreadProcessId(NULL, &id) == 0 && GetLastError() == ERROR_INVALID_WINDOW_HANDLE);
  CHECK(GetKeyboardLayout(0) == (HKL)0x04090409 && ToUnicodeEx('A', 0, keys, out, 8, 0, NULL) == 0);
}

static void process(void) {
  HRESULT(WINAPI * WerSetFlags_)(DWORD) = (void*)GetProcAddress(GetModuleHandleA("kernel32"), "WerSetFlags");
  HRESULT(WINAPI * WerGetFlags_)(HANDLE, DWORD*) =
      (void*)GetProcAddress(GetModuleHandleA("kernel32"), "WerGetFlags");
  DWORD flags = 0;
  CHECK(WerSetFlags_(4) == S_OK);
  if (!running_under_wine()) CHECK(WerGetFlags_(GetCurrentProcess(), &flags) == S_OK && flags == 4);
  BOOL disabled = FALSE;
  CHECK(SetProcessPriorityBoost(GetCurrentProcess(), TRUE));
  CHECK(GetProcessPriorityBoost(GetCurrentProcess(), &disabled) && (running_under_wine() || disabled));
  DWORD_PTR before = SetThreadAffinityMask(GetCurrentThread(), 1);
  CHECK((before & 1) != 0 && SetThreadAffinityMask(GetCurrentThread(), before) == 1);
}

int main(int argc, char** argv) {
  if (argc > 1) {  // the process ends in it
    EXCEPTION_RECORD record = {.ExceptionCode = 0x67};
    (void)DONE();
    RaiseFailFastException(&record, NULL, 0);
  }
  random();
  security();
  registry();
  strings();
  shell();
  windows();
  process();
  return DONE();
}
