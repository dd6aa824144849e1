// A Windows DLL in a Linux program: load it, take a function, call it.
#include <bobbin/bobbin.hpp>
#include <cstdio>
#include <string_view>

int main() {
  auto runtime = bobbin::Runtime::start({});
  if (!runtime) return std::fprintf(stderr, "%s\n", runtime.error().message().c_str()), 1;
  auto zlib = runtime->load("/usr/x86_64-w64-mingw32/lib/zlib1.dll");
  if (!zlib) return std::fprintf(stderr, "%s\n", zlib.error().message().c_str()), 1;
  auto crc32 = zlib->function<std::uint32_t(std::uint32_t, const void*, std::uint32_t)>("crc32");
  if (!crc32) return std::fprintf(stderr, "%s\n", crc32.error().message().c_str()), 1;
  constexpr std::string_view text = "123456789";
  auto sum = (*crc32)(0, text.data(), static_cast<std::uint32_t>(text.size()));
  if (!sum) return std::fprintf(stderr, "%s\n", sum.error().message().c_str()), 1;
  std::printf("crc32 of \"%s\": %08x\n", text.data(), *sum);
  return *sum == 0xCBF43926u ? 0 : 1;
}
