// Ten thousand threads (or as many as the argument says) are alive at once, with twenty TLS DLLs; then one
// more DLL comes. Each thread finds its own variables of all of them. What a thread costs is printed, read
// from /proc.
#include "stress.h"

enum { kDlls = 20, kLast = kDlls };

PER_THREAD(unsigned, own, 0x600D);

static Module g_modules[kDlls + 1];
static volatile LONG g_alive;
static HANDLE g_go;

static DWORD WINAPI live(void* parameter) {
  const unsigned mark = (unsigned)(ULONG64)parameter;
  right(MY(own) == 0x600D, "the program's variable is not fresh", mark);
  MY(own) = mark;
  for (int i = 0; i < kDlls; ++i) {
    right(g_modules[i].is_fresh(), "a variable is not fresh", mark);
    if (i != kDlls - 1) g_modules[i].mark(mark);  // the last one is large, and not written to
  }
  InterlockedIncrement(&g_alive);
  WaitForSingleObject(g_go, INFINITE);
  right(MY(own) == mark, "the program's variable was lost", mark);
  for (int i = 0; i < kDlls - 1; ++i) right(g_modules[i].holds(mark), "a variable was lost", mark);
  right(g_modules[kDlls - 1].is_fresh(), "a variable was written by somebody else", mark);
  right(g_modules[kLast].is_fresh(), "a late DLL's variable is not fresh", mark);
  return mark;
}

// How often `what` occurs in a file of /proc.
static unsigned count_in(const char* path, char what) {
  static char text[65536];
  unsigned count = 0;
  DWORD got;
  HANDLE file = CreateFileA(path, GENERIC_READ, FILE_SHARE_READ, NULL, OPEN_EXISTING, 0, NULL);
  while (ReadFile(file, text, sizeof text, &got, NULL) && got != 0) {
    for (DWORD i = 0; i < got; ++i) count += text[i] == what;
  }
  CloseHandle(file);
  return count;
}

static unsigned count_files(const char* pattern) {
  WIN32_FIND_DATAA found;
  unsigned count = 0;
  HANDLE search = FindFirstFileA(pattern, &found);
  if (search == INVALID_HANDLE_VALUE) return 0;
  do ++count;
  while (FindNextFileA(search, &found));
  FindClose(search);
  return count;
}

// The number after `name` in /proc/self/status.
static unsigned status(const char* name) {
  static char text[8192];
  DWORD got = 0;
  HANDLE file =
      CreateFileA("Z:\\proc\\self\\status", GENERIC_READ, FILE_SHARE_READ, NULL, OPEN_EXISTING, 0, NULL);
  ReadFile(file, text, sizeof text - 1, &got, NULL);
  CloseHandle(file);
  text[got] = 0;
  for (const char* at = text; *at; ++at) {
    const char *here = at, *wanted = name;
    while (*wanted && *here == *wanted) ++here, ++wanted;
    if (*wanted) continue;
    unsigned value = 0;
    while (*here == ':' || *here == ' ' || *here == '\t') ++here;
    for (; *here >= '0' && *here <= '9'; ++here) value = value * 10 + (unsigned)(*here - '0');
    return value;
  }
  return 0;
}

typedef struct {
  unsigned own, mappings, descriptors;
} Cost;

static Cost look(void) {
  return (Cost){status("RssAnon"), count_in("Z:\\proc\\self\\maps", '\n'),
                count_files("Z:\\proc\\self\\fd\\*")};
}

ENTRY() {
  const unsigned count = number_argument(10000);
  char name[] = "many00.dll";
  for (unsigned i = 0; i < kDlls; ++i) {
    name[4] = (char)('0' + i / 10);
    name[5] = (char)('0' + i % 10);
    if (!load(&g_modules[i], name)) return 1;
  }
  g_go = CreateEventA(NULL, TRUE, FALSE, NULL);
  HANDLE* threads = HeapAlloc(GetProcessHeap(), 0, count * sizeof *threads);
  const Cost before = look();
  unsigned started = 0;
  for (; started < count; ++started) {
    threads[started] = CreateThread(NULL, 65536, live, (void*)(ULONG64)(started + 1),
                                    STACK_SIZE_PARAM_IS_A_RESERVATION, NULL);
    if (!right(threads[started] != NULL, "CreateThread", GetLastError())) break;
  }
  while ((unsigned)g_alive < started) Sleep(1);
  const Cost at_peak = look();
  line("%u threads alive at once: %u bytes of memory for each; %u mappings and %u descriptors for all",
       started, (unsigned)((at_peak.own - before.own) * 1024ull / (started ? started : 1)),
       at_peak.mappings - before.mappings, at_peak.descriptors - before.descriptors);
  load(&g_modules[kLast], "many_late.dll");
  SetEvent(g_go);
  for (unsigned i = 0; i < started; ++i)
    right(join(threads[i]) == i + 1, "a thread did not end as it should", i + 1);
  return verdict();
}
