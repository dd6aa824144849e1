// MSVC's C++ exceptions: __CxxFrameHandler3 tables as clang writes them for *-windows-msvc, handled by the
// guest's vcruntime140.dll; and the same program with __CxxFrameHandler4's, made of them by fh4.py.
extern "C" {
__declspec(dllimport) void* __stdcall GetStdHandle(unsigned long);
__declspec(dllimport) int __stdcall WriteFile(void*, const void*, unsigned long, unsigned long*, void*);
__declspec(dllimport) __declspec(noreturn) void __stdcall ExitProcess(unsigned);
__declspec(dllimport) void* __stdcall CreateThread(void*, unsigned long long, unsigned long (*)(void*), void*,
                                                   unsigned long, unsigned long*);
__declspec(dllimport) unsigned long __stdcall WaitForSingleObject(void*, unsigned long);
int _fltused = 1;
}
extern "C" void* vtable_of_type_info[] asm("?\?_7type_info@@6B@");
void* vtable_of_type_info[2];
static void say(const char* t) {
  unsigned n = 0;
  while (t[n]) ++n;
  unsigned long w;
  WriteFile(GetStdHandle(-11), t, n, &w, nullptr);
}
static void number(const char* t, int v) {
  say(t);
  char b[12];
  int i = 11;
  b[i] = 0;
  bool neg = v < 0;
  if (neg) v = -v;
  do b[--i] = '0' + v % 10;
  while (v /= 10);
  if (neg) b[--i] = '-';
  say(" ");
  say(b + i);
  say("\n");
}
struct Loud {
  int n;
  Loud(int v) : n(v) {}
  Loud(const Loud& o) : n(o.n + 100) { number("copy", n); }
  ~Loud() { number("~", n); }
};
struct Base {
  virtual int what() const { return 1; }
};
struct Derived : Base {
  int x = 7;
  int what() const override { return x; }
};
__declspec(noinline) void deep(int n) {
  Loud here(n);
  if (n == 0) throw Derived();
  deep(n - 1);
  number("not reached", n);
}
__declspec(noinline) void rethrow() {
  try {
    deep(2);
  } catch (const Base& b) {
    number("rethrowing", b.what());
    throw;
  }
}
__declspec(noinline) void nested() {
  try {
    throw 1;
  } catch (int i) {
    number("outer", i);
    try {
      throw 2L;
    } catch (long l) {
      number("inner", (int)l);
    }
    try {
      throw Loud(5);
    } catch (Loud l) {
      number("by value", l.n);
    }
    number("still", i);
  }
}
__declspec(noinline) void from_catch() {
  Loud a(20);
  try {
    Loud b(21);
    throw 3;
  } catch (int) {
    Loud c(22);
    throw 4u;
  }
}
__declspec(noinline) void everything() {
  try {
    throw "text";
  } catch (int) {
    say("wrong\n");
  } catch (...) {
    say("...\n");
  }
}
unsigned long thread_main(void*) {
  try {
    deep(1);
  } catch (Derived& d) {
    number("in thread", d.x);
  }
  return 0;
}
__declspec(noinline) int loop() {
  int sum = 0;
  for (int i = 0; i < 1000; ++i) try {
      throw i;
    } catch (int v) {
      sum += v;
    }
  return sum;
}
extern "C" int mainCRTStartup() {
  try {
    rethrow();
  } catch (const Base& b) {
    number("caught", b.what());
  }
  nested();
  try {
    from_catch();
  } catch (unsigned u) {
    number("unsigned", (int)u);
  }
  everything();
  WaitForSingleObject(CreateThread(nullptr, 0, thread_main, nullptr, 0, nullptr), -1);
  number("sum", loop());
  ExitProcess(0);
}
