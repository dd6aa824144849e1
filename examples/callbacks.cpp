// The other direction: guests that call the host. A lambda is handed to a Windows function as a callback, and
// a module made of host functions stands in the place of a DLL.
#include <algorithm>
#include <bobbin/bobbin.hpp>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace {

template <class T>
T must(bobbin::Result<T> result) {
  if (!result) {
    std::fprintf(stderr, "callbacks: %s\n", result.error().message().c_str());
    std::exit(1);
  }
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

// msvcrt's qsort, a function compiled for Windows, compares through a lambda of ours.
bool sort_in_guest(bobbin::Runtime& runtime) {
  using Compare = std::int32_t(const void*, const void*);
  std::vector<std::int32_t> numbers = {5, 3, 8, 1, 9, 2, 7, 4, 6, 0};
  unsigned calls = 0;
  auto descending = must(runtime.callback<Compare>([&](const void* left, const void* right) -> std::int32_t {
    ++calls;
    return *static_cast<const std::int32_t*>(right) - *static_cast<const std::int32_t*>(left);
  }));
  auto msvcrt = must(runtime.load("msvcrt.dll"));
  // size_t has 64 bits there too, but is `unsigned long` here, which does not cross: hence bobbin::Size.
  auto qsort = must(msvcrt.function<void(void*, bobbin::Size, bobbin::Size, void*)>("qsort"));
  must(qsort(numbers.data(), numbers.size(), sizeof numbers[0], descending.address()));
  std::printf("msvcrt's qsort called back %u times:", calls);
  for (auto number : numbers) std::printf(" %d", number);
  std::printf("\n");
  return calls > 0 && std::ranges::is_sorted(numbers, std::ranges::greater{});
}

// A guest that asks for host.dll's `twice` finds a function of this program.
bool provide_to_guest(bobbin::Runtime& runtime) {
  using Twice = std::int32_t(std::int32_t);
  must(runtime.provide<Twice>("host.dll", "twice", [](std::int32_t number) { return 2 * number; }));
  auto host = must(runtime.load("host.dll"));
  auto twice = must(host.function<Twice>("twice"));
  auto result = must(twice(21));
  std::printf("host.dll's twice(21), by the guests' name for it: %d\n", result);
  return result == 42;
}

}  // namespace

int main() {
  auto runtime = must(bobbin::Runtime::start({}));
  bool sorted = sort_in_guest(runtime);
  bool provided = provide_to_guest(runtime);
  return sorted && provided ? 0 : 1;
}
