// C++ exceptions of mingw (libgcc_s_seh): in a module, out of a DLL, in threads, and between them.
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <thread>

__declspec(dllimport) void dll_throws(int depth);
__declspec(dllimport) int dll_catches(void (*function)());

namespace {

struct Noted {
  explicit Noted(int n) : n(n) {}
  ~Noted() { std::printf(" ~%d", n); }
  int n;
};

[[gnu::noinline]] void throws(int depth) {
  const Noted noted(depth);
  if (depth == 0) throw std::runtime_error("deep");
  throws(depth - 1);
  std::printf("not reached\n");
}

[[gnu::noinline]] void wrong_handler() {
  try {
    throws(2);
  } catch (const std::logic_error&) {
    std::printf("wrong\n");
  }
}

[[gnu::noinline]] void rethrows() {
  try {
    throws(1);
  } catch (...) {
    std::printf(" again");
    throw;
  }
}

[[gnu::noinline]] void throws_in_handler() {
  const Noted a(7);
  try {
    const Noted b(8);
    throw 1;
  } catch (int) {
    const Noted c(9);
    throw std::string("inner");
  }
}

[[gnu::noinline]] void nested() {
  try {
    throw 1;
  } catch (int outer) {
    try {
      throw 2L;
    } catch (long inner) {
      std::printf(" %d %ld", outer, inner);
    }
    throw;
  }
}

void throws_int() { throw 5; }

template <class Function>
void expect(const char* what, Function function) {
  std::printf("%s:", what);
  try {
    function();
    std::printf(" nothing\n");
  } catch (const std::exception& e) {
    std::printf(" %s\n", e.what());
  } catch (const std::string& text) {
    std::printf(" \"%s\"\n", text.c_str());
  } catch (int number) {
    std::printf(" %d\n", number);
  }
}

}  // namespace

int main() {
  expect("frames", wrong_handler);
  expect("rethrow", rethrows);
  expect("in a handler", throws_in_handler);
  expect("nested", nested);
  expect("out of a DLL", [] { dll_throws(2); });
  std::printf("into a DLL: %d\n", dll_catches(throws_int));
  std::exception_ptr kept;
  std::thread thread([&] {
    try {
      throws(1);
    } catch (...) {
      kept = std::current_exception();
    }
  });
  thread.join();
  expect("from a thread", [&] { std::rethrow_exception(kept); });
  int sum = 0;
  for (int i = 0; i < 10000; ++i) {
    try {
      throw i;
    } catch (int n) {
      sum += n;
    }
  }
  std::printf("many: %d\n", sum);
  return 0;
}
