// What the conformance programs share: output, waiting and thread-local variables without any C runtime.
//
// A conformance program imports kernel32 alone, so that what it shows is the loader's and nobody else's
// doing: no CRT start-up, no CRT TLS callback, no buffering. Its transcript goes straight to standard output
// by WriteFile, one call per line, which also works in the last PROCESS_DETACH.
//
//     ENTRY() {                          // the entry point: no main, no CRT
//       case_line(19, "index %u", _tls_index);
//       return 0;                        // becomes ExitProcess(0)
//     }
#pragma once

#include <stdarg.h>
#include <windows.h>

// Compilers call these three by themselves, whatever they are told about built-ins.
void* memset(void* to, int byte, size_t count) {
  void* start = to;
  __asm__ volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(byte) : "memory");
  return start;
}
void* memcpy(void* to, const void* from, size_t count) {
  void* start = to;
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
  return start;
}
int memcmp(const void* left, const void* right, size_t count) {
  const unsigned char *a = left, *b = right;
  for (; count; --count, ++a, ++b)
    if (*a != *b) return *a - *b;
  return 0;
}

static int same_text(const char* left, const char* right) {
  while (*left && *left == *right) ++left, ++right;
  return *left == *right;
}

// ---- output
// ------------------------------------------------------------------------------------------------

static char* put_number(char* at, unsigned long long value, unsigned base) {
  char digits[24];
  int count = 0;
  do digits[count++] = "0123456789abcdef"[value % base];
  while (value /= base);
  while (count) *at++ = digits[--count];
  return at;
}

// %s text, %u decimal, %x hexadecimal (both 32 bits), %p hexadecimal (64 bits), %b yes or no.
static char* put_format(char* at, const char* format, va_list arguments) {
  for (; *format; ++format) {
    if (*format != '%') {
      *at++ = *format;
      continue;
    }
    switch (*++format) {
      case 's':
        for (const char* text = va_arg(arguments, const char*); *text;) *at++ = *text++;
        break;
      case 'b':
        for (const char* text = va_arg(arguments, int) ? "yes" : "no"; *text;) *at++ = *text++;
        break;
      case 'u':
        at = put_number(at, va_arg(arguments, unsigned), 10);
        break;
      case 'x':
        at = put_number(at, va_arg(arguments, unsigned), 16);
        break;
      case 'p':
        at = put_number(at, va_arg(arguments, unsigned long long), 16);
        break;
      default:
        *at++ = *format;
    }
  }
  return at;
}

static void write_text(const char* text, const char* end) {
  DWORD written;
  WriteFile(GetStdHandle(STD_OUTPUT_HANDLE), text, (DWORD)(end - text), &written, NULL);
}

// One whole line of the transcript.
static void line(const char* format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  char* end = put_format(text, format, arguments);
  va_end(arguments);
  *end++ = '\n';
  write_text(text, end);
}

// One line that belongs to a conformance case of the specification: "case 07: ...".
static void case_line(unsigned number, const char* format, ...) {
  char text[512] = "case 00: ";
  text[5] = (char)('0' + number / 10);
  text[6] = (char)('0' + number % 10);
  va_list arguments;
  va_start(arguments, format);
  char* end = put_format(text + 9, format, arguments);
  va_end(arguments);
  *end++ = '\n';
  write_text(text, end);
}

// ---- the TEB, read by offset as compilers do
// ---------------------------------------------------------------

static inline ULONG64 teb_read(ULONG64 offset) {
  ULONG64 value;
  __asm__ volatile("movq %%gs:(%1), %0" : "=r"(value) : "r"(offset));
  return value;
}

static inline void teb_write(ULONG64 offset, ULONG64 value) {
  __asm__ volatile("movq %0, %%gs:(%1)" : : "r"(value), "r"(offset) : "memory");
}

// ---- threads
// -----------------------------------------------------------------------------------------------

static HANDLE start_thread(LPTHREAD_START_ROUTINE routine, void* argument) {
  return CreateThread(NULL, 0, routine, argument, 0, NULL);
}

// Waits until the thread has ended, and gives its exit code.
static DWORD join(HANDLE thread) {
  DWORD code = 0xDEAD;
  WaitForSingleObject(thread, INFINITE);
  GetExitCodeThread(thread, &code);
  CloseHandle(thread);
  return code;
}

static DWORD run_in_thread(LPTHREAD_START_ROUTINE routine, void* argument) {
  return join(start_thread(routine, argument));
}

// ---- the entry point
// ---------------------------------------------------------------------------------------

// On entry rsp is 8 below a multiple of 16, as after any call; the thread ends in ExitProcess, not in a
// return.
#define ENTRY()                                \
  static unsigned program(void);               \
  void entry(void) { ExitProcess(program()); } \
  static unsigned program(void)

#define DLL_ENTRY() BOOL WINAPI entry(HINSTANCE module, DWORD reason, void* reserved)

static const char* reason_name(DWORD reason) {
  static const char* const kNames[] = {"PROCESS_DETACH", "PROCESS_ATTACH", "THREAD_ATTACH", "THREAD_DETACH"};
  return reason < 4 ? kNames[reason] : "an unknown reason";
}
