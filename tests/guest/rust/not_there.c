// What Rust's standard library refers to for the backtrace of a panic, and Bobbin does not have: here it
// fails. (The library is compiled as one; without these a program that never panics could not be loaded.)
#include <windows.h>

static INT_PTR fail(void) {
  SetLastError(ERROR_CALL_NOT_IMPLEMENTED);
  return 0;
}
#define NOT_THERE(name, result)                                   \
  __attribute__((used)) INT_PTR fail_##name(void) __asm__(#name); \
  INT_PTR fail_##name(void) { return fail(), result; }            \
  __attribute__((used)) void* imp_##name __asm__("__imp_" #name) = fail_##name

NOT_THERE(CreateFileMappingA, 0);
NOT_THERE(MapViewOfFile, 0);
NOT_THERE(UnmapViewOfFile, 0);
NOT_THERE(DeviceIoControl, 0);
NOT_THERE(CreateToolhelp32Snapshot, -1);
NOT_THERE(Module32FirstW, 0);
NOT_THERE(Module32NextW, 0);
