// Case 78: mingw's thread_local (emulated, its own keys, no .tls section): each thread's objects are
// destroyed at its end, the last one first, before its handle is signalled. A destructor looks at nothing in
// its object: mingw gives emulated variables back before that (a mistake of its own, which Wine's heap
// shows).
#include <windows.h>
#include <cstdio>

namespace {

constexpr const char* kNames[] = {"first", "second", "third"};

template <int Index>
struct Noted {
  Noted() { std::printf("%s is made\n", kNames[Index]); }
  ~Noted() { std::printf("%s goes\n", kNames[Index]); }
};

thread_local int g_counter = 40;

DWORD WINAPI work(void*) {
  static thread_local Noted<0> first;
  static thread_local Noted<1> second;
  static thread_local Noted<2> third;
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
