// What C programs do all day, through the C runtime that this is linked with: msvcrt or ucrtbase.
// The runtimes are guests as much as this program; what is tested is what they stand on.
#include <ctype.h>
#include <direct.h>
#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <process.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <wchar.h>
#include <windows.h>

static void integers(void) {
  printf("[%d] [%5d] [%-5d] [%05d] [%+d] [% d]\n", 42, 42, 42, 42, 42, 42);
  printf("[%d] [%u] [%x] [%X] [%#x] [%o] [%#o]\n", INT_MIN, UINT_MAX, 0xBEEF, 0xBEEF, 0xBEEF, 8, 8);
  printf("[%hd] [%ld] [%I64d] [%I64x]\n", (short)-7, -70000L, -9000000000LL, 0x123456789ABCDEFULL);
  printf("[%c] [%5c] [%-5c] [%%] [%*d] [%.3d]\n", 'x', 'y', 'z', 6, 123, 7);
}

static void floats(void) {
  printf("[%f] [%.2f] [%10.3f] [%-10.1f] [%+.0f]\n", 3.14159265, 2.005, -1.5, 0.25, 2.5);
  printf("[%e] [%.3E] [%g] [%g] [%G]\n", 12345.678, 0.00012, 0.0001, 1e20, 1e-10);
  printf("[%f] [%g] [%.17g] [%.15g]\n", 1e15, 100000.0, 0.1, 0.1);
  printf("[%g] [%g] [%.20f]\n", 1e308, 5e-324, 1.0 / 3);
}

static void strings(void) {
  char text[64];
  printf("[%s] [%8s] [%-8s] [%.2s] [%ls] [%S]\n", "text", "right", "left", "cut", L"wide", L"Wide");
  int length = _snprintf(text, sizeof text, "%s-%d", "formatted", 7);
  printf("%d %s %u\n", length, text, (unsigned)strlen(text));
  int first = 0, consumed = 0;
  char word[16] = "";
  float real = 0;
  int fields = sscanf("17 words 2.5 rest", "%d %15s %f%n", &first, word, &real, &consumed);
  printf("sscanf: %d fields: %d %s %g, %d consumed\n", fields, first, word, real, consumed);
  printf("%s %s %s\n", strrchr("a/b/c", '/'), strstr("haystack", "st"), strpbrk("key=value", "=:"));
  printf("%d %d %d\n", _stricmp("ABC", "abc") == 0, strcmp("a", "b") < 0, memcmp("ab", "ac", 2) < 0);
  char list[] = "one,two;three";
  for (char* part = strtok(list, ",;"); part; part = strtok(NULL, ",;")) printf("<%s>", part);
  printf(" %s\n", strerror(ENOENT));
}

static void numbers(void) {
  char* end;
  printf("%ld %ld %ld %lu\n", strtol("-123abc", &end, 10), strtol("0x7f", NULL, 0), strtol("z", NULL, 36),
         strtoul("4294967295", NULL, 10));
  printf("rest: %s\n", end);
  errno = 0;
  long most = strtol("99999999999", NULL, 10);
  printf("%ld, errno is ERANGE: %d\n", most, errno == ERANGE);
  printf("%g %g %g %g %g\n", strtod("2.5e3", NULL), strtod("-.5", NULL), strtod("1e-400", NULL),
         strtod("  17rest", &end), atof("0.1"));
  printf("rest: %s\n", end);
  printf("%.17g %.17g\n", strtod("0.1", NULL), strtod("123456789.123456789", NULL));
  printf("%d %I64d %s\n", atoi("77"), _atoi64("-5000000000"), _itoa(255, (char[20]){0}, 2));
  printf("%.6f %.6f %.6f %.6f %.6f\n", sqrt(2), sin(1), pow(2, 0.5), exp(1), log(10));
  printf("%.1f %.1f %.1f %.3f\n", floor(-1.5), ceil(-1.5), fabs(-2), fmod(7.5, 2));
}

static int compare_ints(const void* left, const void* right) {
  int a = *(const int*)left, b = *(const int*)right;
  return (a > b) - (a < b);
}

static void sorting(void) {
  int values[200];
  unsigned seed = 1;
  for (int i = 0; i < 200; ++i) values[i] = (int)((seed = seed * 1103515245u + 12345u) >> 16) % 1000;
  qsort(values, 200, sizeof values[0], compare_ints);
  int sorted = 1;
  for (int i = 1; i < 200; ++i) sorted &= values[i - 1] <= values[i];
  int key = values[150];
  int* found = bsearch(&key, values, 200, sizeof values[0], compare_ints);
  int missing = -1;
  printf("sorted: %d, found: %d, not found: %d\n", sorted, found && *found == key,
         !bsearch(&missing, values, 200, sizeof values[0], compare_ints));
}

static void write_file(void) {
  FILE* file = fopen("a file.txt", "w");
  fprintf(file, "line %d\nline %d\n", 1, 2);
  fputs("last line", file);
  printf("written, position %ld\n", ftell(file));
  printf("close: %d\n", fclose(file));
}

static void read_file(void) {
  char text[64];
  FILE* file = fopen("a file.txt", "r");
  while (fgets(text, sizeof text, file)) printf("read: %s%s", text, strchr(text, '\n') ? "" : "\n");
  printf("at the end: %d\n", feof(file) != 0);
  rewind(file);
  printf("first: %c, pushed back: ", fgetc(file));
  ungetc('?', file);
  printf("%c\n", fgetc(file));
  fclose(file);
}

static void binary_file(void) {
  unsigned char bytes[1000], back[1000];
  for (int i = 0; i < 1000; ++i) bytes[i] = (unsigned char)(i * 7);
  FILE* file = fopen("binary", "wb+");
  printf("fwrite: %u\n", (unsigned)fwrite(bytes, 1, sizeof bytes, file));
  fseek(file, 500, SEEK_SET);
  unsigned count = (unsigned)fread(back, 1, 1000, file);
  printf("fread: %u, same: %d\n", count, !memcmp(back, bytes + 500, 500));
  fseek(file, -10, SEEK_END);
  printf("position %ld, ", ftell(file));
  printf("byte %d\n", fgetc(file));
  fclose(file);
}

static void files(void) {
  struct _stat64 information;
  write_file();
  read_file();
  binary_file();
  int code = _stat64("a file.txt", &information);
  printf("stat: %d, size %d, a file: %d\n", code, (int)information.st_size,
         (information.st_mode & _S_IFREG) != 0);
  printf("rename: %d", rename("binary", "renamed"));
  printf(", old name: %d, new name: %d\n", _access("binary", 0), _access("renamed", 0));
  printf("mkdir: %d", _mkdir("folder"));
  printf(", again: %d", _mkdir("folder"));
  printf(", errno is EEXIST: %d", errno == EEXIST);
  printf(", rmdir: %d\n", _rmdir("folder"));
  printf("remove: %d", remove("a file.txt"));
  printf(" %d", remove("renamed"));
  printf(", again: %d", remove("renamed"));
  printf(", errno is ENOENT: %d\n", errno == ENOENT);
  code = fopen("nothing", "r") == NULL;
  printf("fopen of nothing: %d, errno is ENOENT: %d\n", code, errno == ENOENT);
}

static void descriptors(void) {
  char text[8] = "";
  int file = _open("low", _O_RDWR | _O_CREAT | _O_TRUNC | _O_BINARY, _S_IREAD | _S_IWRITE);
  printf("write: %d", _write(file, "low level", 9));
  printf(", seek: %ld", _lseek(file, 4, SEEK_SET));
  printf(", read: %d", _read(file, text, 5));
  printf(" <%s>", text);
  printf(", close: %d\n", _close(file));
  _unlink("low");
}

static void find_files(void) {
  struct _finddata_t found;
  int count = 0, size = 0;
  for (int i = 0; i < 5; ++i) {
    char name[16];
    sprintf(name, "file%d.dat", i);
    FILE* file = fopen(name, "wb");
    fwrite("12345", 1, (size_t)i, file);
    fclose(file);
  }
  intptr_t search = _findfirst("FILE*.DAT", &found);
  if (search != -1) do
      ++count, size += (int)found.size;
    while (!_findnext(search, &found));
  _findclose(search);
  printf("found %d files of %d bytes together\n", count, size);
  for (int i = 0; i < 5; ++i) {
    char name[16];
    sprintf(name, "file%d.dat", i);
    remove(name);
  }
}

static void locales(void) {
  printf("%s", setlocale(LC_ALL, NULL));
  printf(" %s", setlocale(LC_ALL, "C"));
  printf(" nonsense: %d", setlocale(LC_ALL, "nonsense") == NULL);
  printf(" %s\n", setlocale(LC_ALL, "English_United States.1252"));
  struct lconv* conventions = localeconv();
  printf("decimal point <%s>, thousands <%s>\n", conventions->decimal_point, conventions->thousands_sep);
  printf("%d %d %d\n", isalpha(0xE4) != 0, toupper(0xE4), strcoll("a", "B") < 0);
  setlocale(LC_ALL, "C");
  printf("%d %d %d\n", isalpha(0xE4) != 0, toupper(0xE4), strcoll("a", "B") < 0);
}

static void times(void) {
  char text[80];
  time_t then = 1000000000;
  struct tm* utc = gmtime(&then);
  strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S %a %A %b %B %j %w %p %I %y", utc);
  printf("%s\n", text);
  printf("asctime: %s", asctime(utc));
  struct tm date = {.tm_year = 124, .tm_mon = 1, .tm_mday = 30, .tm_hour = 25, .tm_isdst = 0};
  time_t made = mktime(&date);
  printf("mktime: %I64d, weekday %d, %d-%02d-%02d %02d\n", (long long)made, date.tm_wday, date.tm_year + 1900,
         date.tm_mon + 1, date.tm_mday, date.tm_hour);
  printf("difftime: %.0f\n", difftime(made, then));
  printf("time goes on: %d, clock: %d\n", time(NULL) > 1700000000, clock() >= 0);
}

static void environment(void) {
  printf("unset: %d, ", getenv("BOBBIN_TEST_VARIABLE") == NULL);
  _putenv("BOBBIN_TEST_VARIABLE=a value");
  char windows[32] = "";
  GetEnvironmentVariableA("BOBBIN_TEST_VARIABLE", windows, sizeof windows);
  printf("set: %s, seen by Windows: %s\n", getenv("BOBBIN_TEST_VARIABLE"), windows);
}

static void wide(void) {
  wchar_t text[64];
  swprintf(text, 64, L"%ls %d %s", L"wide", 5, L"text");
  printf("%ls %u\n", text, (unsigned)wcslen(text));
  printf("%d %ld %g\n", wcscmp(L"a", L"b") < 0, wcstol(L"-42", NULL, 10), wcstod(L"2.5", NULL));
  printf("%ls %d\n", wcsstr(L"haystack", L"st"), towupper(L'e') == L'E' && iswdigit(L'7'));
  char narrow[16];
  int converted = (int)wcstombs(narrow, L"ascii", sizeof narrow);
  printf("%d %s\n", converted, narrow);
  FILE* file = _wfopen(L"\u00e4\u4e16.txt", L"w");
  fwprintf(file, L"%ls\n", L"inside");
  fclose(file);
  file = _wfopen(L"\u00e4\u4e16.txt", L"r");
  printf("reopened: %d", file && fgetws(text, 64, file) != NULL);
  fclose(file);
  printf(", removed: %d\n", _wremove(L"\u00e4\u4e16.txt"));
}

static volatile LONG sum;

static unsigned __stdcall thread(void* argument) {
  errno = (int)(INT_PTR)argument;  // the runtime's own per-thread data
  strtok((char[]){"a b"}, " ");
  Sleep(5);
  InterlockedExchangeAdd(&sum, errno);
  free(malloc(1000));
  _endthreadex((unsigned)errno + 100);
  return 0;
}

static void threads(void) {
  HANDLE handles[8];
  DWORD codes = 0, code;
  errno = 77;
  for (int i = 0; i < 8; ++i)
    handles[i] = (HANDLE)_beginthreadex(NULL, 0, thread, (void*)(INT_PTR)(i + 1), 0, NULL);
  WaitForMultipleObjects(8, handles, TRUE, INFINITE);
  for (int i = 0; i < 8; ++i) {
    GetExitCodeThread(handles[i], &code);
    codes += code;
    CloseHandle(handles[i]);
  }
  printf("sum %ld, exit codes %lu, errno here %d\n", sum, codes, errno);
}

static void memory(void) {
  char* block = calloc(100, 10);
  int zero = 1;
  for (int i = 0; i < 1000; ++i) zero &= block[i] == 0;
  memset(block, 'x', 1000);
  block = realloc(block, 100000);
  printf("zeroed: %d, kept: %d", zero, block[0] == 'x' && block[999] == 'x');
  free(block);
  char* copy = _strdup("a copy");
  void* aligned = _aligned_malloc(100, 256);
  printf(", %s, aligned: %d\n", copy, (UINT_PTR)aligned % 256 == 0);
  _aligned_free(aligned);
  free(copy);
}

static void last(void) { printf("atexit: last\n"); }
static void first(void) { printf("atexit: first\n"); }

int main(int argc, char** argv) {
  printf("%d %s %s\n", argc, argc > 1 ? argv[1] : "-", argc > 2 ? argv[2] : "-");
  integers();
  floats();
  strings();
  numbers();
  sorting();
  files();
  descriptors();
  find_files();
  locales();
  times();
  environment();
  wide();
  threads();
  memory();
  atexit(last);
  atexit(first);
  fprintf(stderr, "on stderr\n");
  return 3;
}
