// Calls on an attached thread, through the public interface: host to guest, and guest to host.
#include <bobbin/bobbin.hpp>

#include "../native/bench.hpp"

constexpr int kIterations = 10'000'000;

/// The value, or the end of the benchmark with its error.
template <class T>
static T value(bobbin::Result<T> result) {
  if (!result) std::fprintf(stderr, "%s\n", result.error().message().c_str());
  require(result.has_value());
  return std::move(*result);
}

int main() {
  auto runtime = value(bobbin::Runtime::start({}));
  auto callee = value(runtime.load("./callee.dll"));
  const auto add = value(callee.function<int(int, int)>("add"));
  const auto repeat = value(callee.function<int(void*, int)>("repeat"));
  const auto odd = value(runtime.callback<int(int)>([](int i) { return i & 1; }));

  unsigned sum = static_cast<unsigned>(value(add(1, 2)));  // attaches this thread
  auto from = Clock::now();
  for (int i = 0; i < kIterations; ++i) sum += static_cast<unsigned>(*add(i, 1));
  report("call.into_guest", from, kIterations);
  from = Clock::now();
  sum += static_cast<unsigned>(value(repeat(odd.address(), kIterations)));
  report("call.into_host", from, kIterations);
  require(sum != 0);
}
