// A host under the address sanitizer: what the guest does wrong is the guest's, and what the host does wrong
// is still reported. asan_host faults | overflow | crash.
#include <cstdint>
#include <cstdio>
#include <string_view>

#include <bobbin/bobbin.hpp>

int main(int, char** arguments) {
  const std::string_view how = arguments[1];
  auto runtime = bobbin::Runtime::start({.dll_path = {HOST_TEST_DLLS}});
  if (!runtime) return std::puts(runtime.error().message().c_str()), 2;
  auto dll = runtime->load("guest.dll");
  if (!dll) return std::puts(dll.error().message().c_str()), 2;
  auto mends = dll->function<int()>("mends_a_fault");
  auto gives = dll->function<int()>("gives_bad_pointers");
  if (!mends || !gives || (*mends)().value_or(0) != 42 || (*gives)().value_or(0) != 3)
    return std::puts("the guest's faults are not seen to"), 3;
  if (how == "overflow") {
    auto* const block = new char[16];
    volatile std::size_t beyond = 16;
    block[beyond] = 1;
  }
  volatile std::uintptr_t nowhere = 0x20;
  if (how == "crash") *reinterpret_cast<volatile int*>(nowhere) = 1;
  return std::puts("ok"), 0;
}
