#include <cstdio>
#include <stdexcept>

namespace {
struct Noted {
  ~Noted() { std::printf(" ~dll"); }
};
}  // namespace

__declspec(dllexport) void dll_throws(int depth) {
  const Noted noted;
  if (depth == 0) throw std::out_of_range("dll");
  dll_throws(depth - 1);
}

__declspec(dllexport) int dll_catches(void (*function)()) {
  try {
    function();
  } catch (int number) {
    return number;
  }
  return -1;
}
