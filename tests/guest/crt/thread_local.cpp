// Case 78: mingw's thread_local (emulated, its own keys, no .tls section): each thread's objects are
// destroyed at its end, the last one first, before its handle is signalled.
#include <windows.h>
#include <cstdio>

namespace {

struct Noted {
  explicit Noted(const char* n) : name(n) { std::printf("%s is made\n", name); }
  ~Noted() { std::printf("%s goes\n", name); }
  const char* name;
};

thread_local int g_counter = 40;

DWORD WINAPI work(void*) {
  static thread_local Noted first("first"), second("second"), third("third");
  ++g_counter;
  ++g_counter;
  std::printf("the thread ends, counter %d\n", g_counter);
  return 0;
}

}  // namespace

int main() {
  for (int round = 0; round < 2; ++round) {
    HANDLE thread = CreateThread(nullptr, 0, work, nullptr, 0, nullptr);
    WaitForSingleObject(thread, INFINITE);
    std::printf("case 78: joined, counter here %d\n", g_counter);
  }
  std::fflush(stdout);
}
