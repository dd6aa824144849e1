// Every runtime DLL that Windows programs on Linux come with: loaded, called, unloaded. This program has no C
// runtime itself, so that each DLL is the first to bring in what it needs, and the last to let it go.
#include "guest.h"

typedef FARPROC Function;

static ULONG64 call0(Function f) { return ((ULONG64 (*)(void))f)(); }
static ULONG64 call1(Function f, const void* a) { return ((ULONG64 (*)(const void*))f)(a); }

// ---- Microsoft's
// -------------------------------------------------------------------------------------------

static int atoi_works(Function f) { return (int)call1(f, "42") == 42; }

static int strtol_works(Function f) {
  return ((LONG (*)(const char*, char**, int))f)("-2a", NULL, 16) == -42;
}

static int strchr_works(Function f) {
  const char* text = "haystack";
  return ((char* (*)(const char*, int))f)(text, 's') == text + 3;
}

static int is_there(Function f) { return f != NULL; }

static int returns_false(Function f) { return (call0(f) & 0xFF) == 0; }

// ---- mingw's
// -----------------------------------------------------------------------------------------------

static int demangles(Function f) {
  char text[64];
  size_t size = sizeof text;
  int status = -1;
  char* name = ((char* (*)(const char*, char*, size_t*, int*))f)("_ZN3foo3barEi", text, &size, &status);
  return name == text && status == 0 && same_text(name, "foo::bar(int)");
}

static int counts_bits(Function f) { return ((int (*)(ULONG64))f)(0xFF00FF00FF00FF00ull) == 32; }

static int is_a_thread(Function f) { return call0(f) != 0; }

static int is_lock_free(Function f) { return ((int (*)(size_t, void*))f)(4, NULL) & 1; }

static int is_one_thread(Function f) { return (int)call0(f) == 1; }

static int is_not_infinite(Function f) {
  __attribute__((aligned(16))) ULONG64 zero[2] = {0, 0};
  __attribute__((aligned(16))) ULONG64 infinity[2] = {0, 0x7FFF000000000000ull};
  return !(int)call1(f, zero) && (int)call1(f, infinity);
}

static int copies_checked(Function f) {
  char to[8];
  return ((char* (*)(char*, const char*, size_t, size_t))f)(to, "safely", 7, sizeof to) == to &&
         same_text(to, "safely");
}

static int crc_is_right(Function f) {
  return ((ULONG (*)(ULONG, const char*, ULONG))f)(0, "123456789", 9) == 0xCBF43926;
}

static int trims(Function f) { return ((size_t (*)(size_t, const char*))f)(8, "ada     ") == 3; }

static int knows_no_class(Function f) { return call1(f, "NoSuchClass") == 0; }

static const struct {
  const char *dll, *function;
  int (*works)(Function);
} kRuntimes[] = {
    {"msvcrt.dll", "atoi", atoi_works},
    {"ucrtbase.dll", "strtol", strtol_works},
    {"vcruntime140.dll", "strchr", strchr_works},
    {"vcruntime140_1.dll", "__CxxFrameHandler4", is_there},
    {"msvcp140.dll", "?uncaught_exception@std@@YA_NXZ", returns_false},
    {"libgcc_s_seh-1.dll", "__popcountdi2", counts_bits},
    {"libstdc++-6.dll", "__cxa_demangle", demangles},
    {"libwinpthread-1.dll", "pthread_self", is_a_thread},
    {"libatomic-1.dll", "__atomic_is_lock_free", is_lock_free},
    {"libgomp-1.dll", "omp_get_num_threads", is_one_thread},
    {"libquadmath-0.dll", "isinfq", is_not_infinite},
    {"libssp-0.dll", "__memcpy_chk", copies_checked},
    {"zlib1.dll", "crc32", crc_is_right},
    {"libgfortran-5.dll", "_gfortran_string_len_trim", trims},
    {"libobjc-4.dll", "objc_lookUpClass", knows_no_class},
};

enum { kCount = sizeof kRuntimes / sizeof *kRuntimes };

static void one_after_another(void) {
  for (int i = 0; i < kCount; ++i) {
    HMODULE dll = LoadLibraryA(kRuntimes[i].dll);
    if (!dll) {
      line("%s: not loaded, error %u", kRuntimes[i].dll, GetLastError());
      continue;
    }
    Function function = GetProcAddress(dll, kRuntimes[i].function);
    int works = function && kRuntimes[i].works(function);
    BOOL freed = FreeLibrary(dll);
    line("%s: %s works: %b, unloaded: %b", kRuntimes[i].dll, kRuntimes[i].function, works,
         freed && !GetModuleHandleA(kRuntimes[i].dll));
  }
}

static HMODULE dlls[kCount];

static DWORD WINAPI use_all(void* unused) {
  DWORD works = 0;
  for (int i = 0; i < kCount; ++i) {
    Function function = GetProcAddress(dlls[i], kRuntimes[i].function);
    works += function && kRuntimes[i].works(function);
  }
  return works;
}

static void all_together(void) {
  unsigned loaded = 0, gone = 0;
  for (int i = 0; i < kCount; ++i) loaded += (dlls[i] = LoadLibraryA(kRuntimes[i].dll)) != NULL;
  line("together: %u loaded", loaded);
  line("main: %u work", use_all(NULL));
  line("a thread: %u work", run_in_thread(use_all, NULL));
  for (int i = kCount; i-- > 0;) FreeLibrary(dlls[i]);
  for (int i = 0; i < kCount; ++i) gone += GetModuleHandleA(kRuntimes[i].dll) == NULL;
  line("unloaded: %u", gone);
}

ENTRY() {
  one_after_another();
  all_together();
  return 0;
}
