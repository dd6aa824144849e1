// What command-line programs and libraries ask of DLLs beyond kernel32: advapi32 (tokens, registry), bcrypt,
// dnsapi, iphlpapi, ole32, oleaut32, shell32, shlwapi, user32, userenv; and of kernel32 what goes with it.
#define _WIN32_WINNT 0x0A00
#define INITGUID
#include <winsock2.h>
#include <ws2tcpip.h>

#include "check.h"

#include <bcrypt.h>
#include <iphlpapi.h>
#include <knownfolders.h>
#include <objbase.h>
#include <oleauto.h>
#include <sddl.h>
#include <shlobj.h>
#include <shlwapi.h>
#include <tlhelp32.h>
#include <userenv.h>
#include <windns.h>

static void random(void) {
  unsigned char first[32] = {0}, second[32] = {0};
  CHECK(BCryptGenRandom(NULL, first, 32, BCRYPT_USE_SYSTEM_PREFERRED_RNG) == 0);
  CHECK(BCryptGenRandom(NULL, second, 32, BCRYPT_USE_SYSTEM_PREFERRED_RNG) == 0 &&
        memcmp(first, second, 32) != 0);
  BCRYPT_ALG_HANDLE algorithm = NULL;
  CHECK(BCryptOpenAlgorithmProvider(&algorithm, L"NO-SUCH", NULL, 0) != 0 && algorithm == NULL);
  BCRYPT_HASH_HANDLE hash = NULL;
  BCRYPT_KEY_HANDLE key = NULL;
  ULONG size = 0;
  const NTSTATUS none = 0xC0000008;  // STATUS_INVALID_HANDLE
  if (!running_under_wine()) {       // which has algorithms, and looks at other arguments first
    CHECK(BCryptCloseAlgorithmProvider(algorithm, 0) == none);
    CHECK(BCryptCreateHash(algorithm, &hash, NULL, 0, NULL, 0, 0) == none);
    CHECK(BCryptHashData(hash, first, 32, 0) == none);
    CHECK(BCryptFinishHash(hash, first, 32, 0) == none);
    CHECK(BCryptDestroyHash(hash) == none);
    CHECK(BCryptGenerateSymmetricKey(algorithm, &key, NULL, 0, first, 32, 0) == none);
    CHECK(BCryptEncrypt(key, first, 32, NULL, NULL, 0, second, 32, &size, 0) == none);
    CHECK(BCryptDestroyKey(key) == none);
    CHECK(BCryptDeriveKeyPBKDF2(algorithm, first, 4, second, 4, 1000, second, 32, 0) == none);
    CHECK(BCryptGetProperty(algorithm, BCRYPT_OBJECT_LENGTH, (PUCHAR)&size, sizeof size, &size, 0) == none);
    CHECK(BCryptSetProperty(algorithm, BCRYPT_CHAINING_MODE, first, 4, 0) == none);
  }
  HMODULE primitives = LoadLibraryA("bcryptprimitives.dll");
  if (primitives == NULL && running_under_wine()) return;  // Wine 8 does not have it
  BOOL(WINAPI * ProcessPrng)(unsigned char*, size_t) = (void*)GetProcAddress(primitives, "ProcessPrng");
  CHECK(ProcessPrng(second, 32) && memcmp(first, second, 32) != 0);
}

// S-1-5-32-544, in the layout of winnt.h.
static SID_IDENTIFIER_AUTHORITY g_nt = {SECURITY_NT_AUTHORITY};
static struct {
  BYTE revision, count, authority[6];
  DWORD sub[2];
} g_administrators = {1, 2, {0, 0, 0, 0, 0, 5}, {32, 544}};

static void sids(void) {
  PSID sid = &g_administrators;
  unsigned char copy[64];
  WCHAR* text = NULL;
  CHECK(IsValidSid(sid) && GetLengthSid(sid) == 16 && memcmp(g_administrators.authority, &g_nt, 6) == 0);
  CHECK(!CopySid(15, copy, sid));
  CHECK(CopySid(sizeof copy, copy, sid) && memcmp(copy, sid, 16) == 0);
  CHECK(ConvertSidToStringSidW(sid, &text) && wcscmp(text, L"S-1-5-32-544") == 0 && LocalFree(text) == NULL);
  g_administrators.count = 16;
  CHECK(!IsValidSid(sid));
  CHECK(!ConvertSidToStringSidW(sid, &text) && GetLastError() == ERROR_INVALID_SID);
  g_administrators.count = 2;

  PSID found = NULL;
  BOOL defaulted = TRUE;
  SECURITY_DESCRIPTOR apart = {.Revision = SECURITY_DESCRIPTOR_REVISION, .Owner = sid};
  CHECK(GetSecurityDescriptorOwner(&apart, &found, &defaulted) && found == sid && !defaulted);
  CHECK(GetSecurityDescriptorGroup(&apart, &found, &defaulted) && found == NULL);
  struct {
    SECURITY_DESCRIPTOR_RELATIVE head;
    unsigned char group[16];
  } whole = {.head = {.Revision = SECURITY_DESCRIPTOR_REVISION,
                      .Control = SE_SELF_RELATIVE | SE_GROUP_DEFAULTED,
                      .Group = sizeof(SECURITY_DESCRIPTOR_RELATIVE)}};
  memcpy(whole.group, sid, 16);
  CHECK(GetSecurityDescriptorGroup(&whole.head, &found, &defaulted) && found == whole.group && defaulted);
  CHECK(GetSecurityDescriptorOwner(&whole.head, &found, &defaulted) && found == NULL && !defaulted);
  if (running_under_wine()) return;  // which knows accounts, and has a registry
  WCHAR name[64], domain[64];
  DWORD name_size = 64, domain_size = 64;
  SID_NAME_USE use;
  HW_PROFILE_INFOW profile;
  CHECK(!LookupAccountSidW(NULL, sid, name, &name_size, domain, &domain_size, &use) &&
        GetLastError() == ERROR_NONE_MAPPED);
  CHECK(!GetCurrentHwProfileW(&profile) && GetLastError() == ERROR_FILE_NOT_FOUND);
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
  CHECK(RegOpenKeyExA(HKEY_LOCAL_MACHINE, "Software\\Bobbin\\None", 0, KEY_READ, &key) ==
        ERROR_FILE_NOT_FOUND);
  CHECK(RegQueryValueExA(HKEY_CURRENT_USER, "bobbin-none", NULL, NULL, NULL, NULL) == ERROR_FILE_NOT_FOUND);
  CHECK(RegDeleteValueW(HKEY_CURRENT_USER, L"bobbin-none") == ERROR_FILE_NOT_FOUND);
  WCHAR text[64];
  DWORD size = 64;
  CHECK(RegEnumValueW(HKEY_CURRENT_USER, 0, text, &size, NULL, NULL, NULL, NULL) == ERROR_NO_MORE_ITEMS);
  if (running_under_wine()) return;  // whose registry has content, and can be written
  HANDLE changed = CreateEventW(NULL, TRUE, FALSE, NULL);
  CHECK(RegNotifyChangeKeyValue(HKEY_CURRENT_USER, TRUE, REG_NOTIFY_CHANGE_NAME, changed, TRUE) == 0 &&
        WaitForSingleObject(changed, 0) == WAIT_TIMEOUT);
  CHECK(RegNotifyChangeKeyValue(HKEY_CURRENT_USER, TRUE, REG_NOTIFY_CHANGE_NAME, NULL, TRUE) != 0);
  CHECK(CloseHandle(changed));
  CHECK(RegLoadMUIStringW(HKEY_CURRENT_USER, L"bobbin-none", text, sizeof text, NULL, 0, NULL) ==
        ERROR_FILE_NOT_FOUND);
  CHECK(RegEnumKeyExW(HKEY_CURRENT_USER, 0, text, &size, NULL, NULL, NULL, NULL) == ERROR_NO_MORE_ITEMS);
  CHECK(RegCreateKeyExW(HKEY_CURRENT_USER, L"Bobbin", 0, NULL, 0, KEY_READ, NULL, &key, NULL) ==
        ERROR_ACCESS_DENIED);
  CHECK(RegSetValueExW(HKEY_CURRENT_USER, L"Bobbin", 0, REG_SZ, (BYTE*)L"x", 4) == ERROR_ACCESS_DENIED);
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

static void shell_names(void) {
  STRRET name = {.uType = STRRET_CSTR, .cStr = "a b"};
  WCHAR* out = NULL;
  CHECK(StrRetToStrW(&name, NULL, &out) == S_OK && wcscmp(out, L"a b") == 0);
  name.uType = STRRET_WSTR;
  name.pOleStr = out;
  WCHAR* handed = NULL;
  CHECK(StrRetToStrW(&name, NULL, &handed) == S_OK && wcscmp(handed, L"a b") == 0);
  CoTaskMemFree(handed);
  name.uType = STRRET_OFFSET;
  name.uOffset = 4;
  CHECK(StrRetToStrW(&name, (void*)"1234offset", &out) == S_OK && wcscmp(out, L"offset") == 0);
  CoTaskMemFree(out);
  if (running_under_wine()) return;  // which has a shell
  IShellFolder* folder = (void*)1;
  LPCITEMIDLIST last = NULL;
  CHECK(SHGetDesktopFolder(&folder) == E_NOTIMPL && folder == NULL);
  CHECK(SHBindToParent(NULL, &IID_IUnknown, (void**)&folder, &last) == E_NOTIMPL && folder == NULL);
  SHFILEOPSTRUCTW remove = {.wFunc = FO_DELETE, .pFrom = L"C:\\none\0"};
  CHECK(SHFileOperationW(&remove) == 0x78 && remove.fAnyOperationsAborted);
  NOTIFYICONDATAW icon = {.cbSize = sizeof icon};
  CHECK(!Shell_NotifyIconW(NIM_ADD, &icon) && GetLastError() == ERROR_NOT_SUPPORTED);
}

static void messages(void) {
  UINT number = RegisterWindowMessageW(L"bobbin's own");
  CHECK(number >= 0xC000 && number <= 0xFFFF && RegisterWindowMessageW(L"BOBBIN'S OWN") == number);
  CHECK(RegisterWindowMessageW(L"another") != number);
  HANDLE event = CreateEventW(NULL, FALSE, TRUE, NULL);
  CHECK(MsgWaitForMultipleObjectsEx(1, &event, INFINITE, QS_ALLINPUT, 0) == WAIT_OBJECT_0);
  CHECK(MsgWaitForMultipleObjectsEx(1, &event, 1, QS_ALLINPUT, MWMO_ALERTABLE) == WAIT_TIMEOUT);
  CHECK(MsgWaitForMultipleObjectsEx(0, NULL, 1, QS_ALLINPUT, 0) == WAIT_TIMEOUT);
  CHECK(SetEvent(event) &&
        MsgWaitForMultipleObjectsEx(1, &event, 1, QS_ALLINPUT, MWMO_WAITALL) == WAIT_TIMEOUT);
  CHECK(CloseHandle(event));
  CHECK(MsgWaitForMultipleObjectsEx(1, &event, 0, QS_ALLINPUT, 0) == WAIT_FAILED &&
        GetLastError() == ERROR_INVALID_HANDLE);
  MSG message = {.message = WM_NULL};
  CHECK(!PeekMessageW(&message, NULL, WM_APP, WM_APP + 1, PM_REMOVE) && DispatchMessageW(&message) == 0 &&
        !TranslateMessage(&message));
  if (running_under_wine()) return;  // which has queues, and may have a desktop
  CHECK(GetQueueStatus(QS_ALLINPUT) == 0 && !GetInputState() && GetMessagePos() == 0 &&
        GetMessageTime() == 0);
  CHECK(!PostMessageW((HWND)1, WM_APP, 0, 0) && GetLastError() == ERROR_INVALID_WINDOW_HANDLE);
}

static void windows(void) {
  DWORD id = 0;
  BYTE keys[256] = {0};
  WCHAR out[8];
  if (running_under_wine()) return;  // which may have a desktop
  CHECK(GetForegroundWindow() == NULL && GetActiveWindow() == NULL && GetCapture() == NULL);
  CHECK(GetClipboardOwner() == NULL && GetClipboardViewer() == NULL && GetOpenClipboardWindow() == NULL);
  CHECK(GetDesktopWindow() == NULL && GetFocus() == NULL);
  CHECK(GetProcessWindowStation() == NULL && GetLastError() == ERROR_NOT_SUPPORTED);
  POINT point;
  CHECK(!GetCursorPos(&point) && GetLastError() == ERROR_ACCESS_DENIED && !GetCaretPos(&point));
  CHECK(!AllowSetForegroundWindow(1) && GetLastError() == ERROR_ACCESS_DENIED);
  WNDCLASSW class = {.lpfnWndProc = DefWindowProcW, .lpszClassName = L"bobbin"};
  CHECK(RegisterClassW(&class) == 0 && GetLastError() == ERROR_NOT_SUPPORTED);
  CHECK(CreateWindowExW(0, L"bobbin", L"", 0, 0, 0, 0, 0, HWND_MESSAGE, NULL, NULL, NULL) == NULL &&
        GetLastError() == ERROR_CANNOT_FIND_WND_CLASS);
  CHECK(!UnregisterClassW(L"bobbin", NULL) && GetLastError() == ERROR_CLASS_DOES_NOT_EXIST);
  HWND none = (HWND)1;
  CHECK(!IsWindow(none) && !DestroyWindow(none) && GetLastError() == ERROR_INVALID_WINDOW_HANDLE);
  CHECK(DefWindowProcW(none, WM_NULL, 0, 0) == 0 && GetWindowLongPtrW(none, GWLP_USERDATA) == 0);
  CHECK(SetWindowLongPtrW(none, GWLP_USERDATA, 1) == 0 && GetLastError() == ERROR_INVALID_WINDOW_HANDLE);
  CHECK(LoadIconW(NULL, L"none") == NULL && GetLastError() == ERROR_RESOURCE_NAME_NOT_FOUND);
  CHECK(MessageBoxW(NULL, L"text", L"title", MB_OK) == 0 && GetLastError() == ERROR_NOT_SUPPORTED);
  CHECK(GetWindowThreadProcessId(NULL, &id) == 0 && GetLastError() == ERROR_INVALID_WINDOW_HANDLE);
  CHECK(GetKeyboardLayout(0) == (HKL)0x04090409 && ToUnicodeEx('A', 0, keys, out, 8, 0, NULL) == 0);
}

static void network(void) {
  if (running_under_wine()) return;  // which asks the host
  MIB_IPFORWARD_TABLE2* table = (void*)1;
  HANDLE notice = (HANDLE)1;
  CHECK(GetIpForwardTable2(AF_UNSPEC, &table) == ERROR_NOT_SUPPORTED && table == NULL);
  CHECK(NotifyRouteChange2(AF_UNSPEC, NULL, NULL, FALSE, &notice) == ERROR_NOT_SUPPORTED && notice == NULL);
  CHECK(CancelMibChangeNotify2(notice) == ERROR_INVALID_PARAMETER);
  DNS_RECORDA* records = (void*)1;
  CHECK(DnsQuery_UTF8("bobbin.invalid", DNS_TYPE_SRV, 0, NULL, (void*)&records, NULL) ==
            DNS_ERROR_NO_DNS_SERVERS &&
        records == NULL);
  DnsFree(records, DnsFreeRecordList);
}

static void machine(void) {
  HANDLE snapshot = CreateToolhelp32Snapshot(TH32CS_SNAPMODULE, 0);
  MODULEENTRY32W module = {.dwSize = sizeof module};
  BOOL kernel32 = FALSE;
  CHECK(snapshot != INVALID_HANDLE_VALUE);
  CHECK(Module32FirstW(snapshot, &module) && module.hModule == GetModuleHandleW(NULL) &&
        module.th32ProcessID == GetCurrentProcessId() && module.modBaseSize != 0);
  while (Module32NextW(snapshot, &module)) {
    if (lstrcmpiW(module.szModule, L"kernel32.dll") != 0) continue;
    kernel32 = module.hModule == GetModuleHandleA("kernel32") && wcsstr(module.szExePath, module.szModule);
  }
  CHECK(GetLastError() == ERROR_NO_MORE_FILES && kernel32);
  module.dwSize = 4;
  CHECK(!Module32FirstW(snapshot, &module) && CloseHandle(snapshot));

  WCHAR text[512];
  CHECK(GetVolumePathNameW(L"Z:\\tmp\\x", text, 512) && lstrcmpiW(text, L"Z:\\") == 0);
  DWORD length = QueryDosDeviceW(L"z:", text, 512);
  CHECK(length >= 2 && text[0] == L'\\' && text[length - 1] == 0 && text[length - 2] == 0);
  CHECK(QueryDosDeviceW(L"no such", text, 512) == 0 && GetLastError() == ERROR_FILE_NOT_FOUND);
  CHECK(QueryDosDeviceW(L"z:", text, 2) == 0 && GetLastError() == ERROR_INSUFFICIENT_BUFFER);

  MEMORYSTATUS memory = {0};
  GlobalMemoryStatus(&memory);
  CHECK(memory.dwLength == sizeof memory && memory.dwTotalPhys != 0 &&
        memory.dwAvailPhys < memory.dwTotalPhys);
  HANDLE mapping = CreateFileMappingA(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE, 0, 4096, "bobbin mapping");
  HANDLE again = OpenFileMappingA(FILE_MAP_READ, FALSE, "bobbin mapping");
  CHECK(mapping != NULL && again != NULL && CloseHandle(mapping) && CloseHandle(again));
  CHECK(OpenFileMappingA(FILE_MAP_READ, FALSE, "bobbin mapping") == NULL &&
        GetLastError() == ERROR_FILE_NOT_FOUND);
  BOOL low = FALSE;
  SIZE_T least = 0, most = 0;
  // Wine does not look at the buffer's size and at dead snapshots, tells no working set, and has
  // notifications.
  if (running_under_wine()) return;
  CHECK(!GetVolumePathNameW(L"Z:\\tmp", text, 3) && GetLastError() == ERROR_FILENAME_EXCED_RANGE);
  CHECK(!Module32FirstW(snapshot, &module) && GetLastError() == ERROR_INVALID_HANDLE);
  CHECK(GetProcessWorkingSetSize(GetCurrentProcess(), &least, &most) && least < most);
  CHECK(CreateMemoryResourceNotification(LowMemoryResourceNotification) == NULL &&
        GetLastError() == ERROR_NOT_SUPPORTED);
  CHECK(!QueryMemoryResourceNotification(NULL, &low) && GetLastError() == ERROR_INVALID_HANDLE);
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
  sids();
  security();
  registry();
  strings();
  shell();
  shell_names();
  messages();
  windows();
  network();
  machine();
  process();
  return DONE();
}
