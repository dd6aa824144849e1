// What the guest benchmarks share. They import kernel32 and nothing else: no C runtime stands between the
// measurement and what is measured, and a program can be as small as start.c.
//
// Each program prints lines `name nanoseconds`; its twin in ../native prints the same names.
#pragma once

#include <windows.h>

static inline LONGLONG ticks(void) {
  LARGE_INTEGER now;
  QueryPerformanceCounter(&now);
  return now.QuadPart;
}

static inline char* append_number(char* end, unsigned long long value, int least_digits) {
  char digits[20];
  int count = 0;
  for (; value != 0 || count < least_digits; value /= 10) digits[count++] = (char)('0' + value % 10);
  while (count != 0) *end++ = digits[--count];
  return end;
}

static inline void report(const char* name, LONGLONG elapsed_ticks, unsigned long long iterations) {
  LARGE_INTEGER frequency;
  QueryPerformanceFrequency(&frequency);
  const unsigned long long ps =
      (unsigned long long)((double)elapsed_ticks * 1e12 / (double)frequency.QuadPart / (double)iterations);
  char line[128];
  char* end = line;
  while (*name != 0) *end++ = *name++;
  *end++ = ' ';
  end = append_number(end, ps / 1000, 1);
  *end++ = '.';
  end = append_number(end, ps % 1000, 3);
  *end++ = '\n';
  DWORD written;
  WriteFile(GetStdHandle(STD_OUTPUT_HANDLE), line, (DWORD)(end - line), &written, NULL);
}

/// The last `count` numbers on the command line, which may be in quotes, in order.
static inline void last_numbers(unsigned* numbers, int count) {
  BOOL inside = FALSE;
  for (const char* text = GetCommandLineA(); *text != 0; ++text) {
    const BOOL digit = *text >= '0' && *text <= '9';
    if (digit && !inside) {
      for (int i = 0; i + 1 < count; ++i) numbers[i] = numbers[i + 1];
      numbers[count - 1] = 0;
    }
    if (digit) numbers[count - 1] = numbers[count - 1] * 10 + (unsigned)(*text - '0');
    inside = digit;
  }
}

/// The last number on the command line.
static inline unsigned argument(void) {
  unsigned number = 0;
  last_numbers(&number, 1);
  return number;
}

/// Ends `name` with '.' and a number.
static inline char* append_part(char* end, unsigned number) {
  *end++ = '.';
  end = append_number(end, number, 1);
  *end = 0;
  return end;
}

/// A benchmark that cannot measure says so by its exit code.
static inline void require(BOOL condition) {
  if (!condition) ExitProcess(1);
}
