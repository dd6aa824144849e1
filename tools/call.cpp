// bobbin call: one function of a DLL, with integer and string arguments.
#include <charconv>
#include <cinttypes>
#include <cstdio>

#include "command.hpp"

namespace bobbin::tools {
namespace {

constexpr std::size_t kMostArguments = 12;

/// A number in decimal, hexadecimal (0x) or with a sign; nothing if the word is none (then it is a string).
std::optional<std::uint64_t> number(std::string_view word) {
  const bool negative = word.starts_with('-');
  std::string_view digits = negative ? word.substr(1) : word;
  int base = 10;
  if (digits.starts_with("0x") || digits.starts_with("0X")) {
    digits.remove_prefix(2);
    base = 16;
  }
  std::uint64_t value = 0;
  const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (digits.empty() || problem != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return negative ? 0 - value : value;
}

/// What a word is passed as. A word in double quotes is a string whatever it looks like ('"123"').
UInt64 cell(std::string& word) {
  if (word.size() >= 2 && word.starts_with('"') && word.ends_with('"')) {
    word = word.substr(1, word.size() - 2);
  } else if (const auto value = number(word)) {
    return *value;
  }
  return reinterpret_cast<UInt64>(word.c_str());
}

void print_result(const std::string& how, UInt64 value) {
  if (how == "int")
    std::printf("%" PRId32 "\n", static_cast<std::int32_t>(value));
  else if (how == "uint")
    std::printf("%" PRIu32 "\n", static_cast<std::uint32_t>(value));
  else if (how == "int64")
    std::printf("%lld\n", static_cast<Int64>(value));
  else if (how == "hex")
    std::printf("0x%llx\n", value);
  else if (how == "string")
    std::printf("%s\n", value != 0 ? reinterpret_cast<const char*>(value) : "(null)");
}

}  // namespace

int call_function(Settings& settings) {
  if (settings.arguments.size() > kMostArguments) {
    std::fprintf(stderr, "bobbin: at most %zu arguments can be passed\n", kMostArguments);
    return 125;
  }
  auto runtime = Runtime::start(settings.options);
  if (!runtime) return report(runtime.error());
  auto module = runtime->load(settings.file);
  if (!module) return report(module.error());
  if (settings.name.empty()) return 0;
  auto address = settings.name.starts_with('#')
                     ? module->symbol(static_cast<std::uint16_t>(number(settings.name.substr(1)).value_or(0)))
                     : module->symbol(settings.name);
  if (!address) return report(address.error());

  // Integer arguments beyond those that a function takes do it no harm in this convention.
  UInt64 cells[kMostArguments] = {};
  for (std::size_t i = 0; i < settings.arguments.size(); ++i) cells[i] = cell(settings.arguments[i]);
  using Any =
      UInt64(UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64);
  auto result =
      runtime->function_at<Any>(*address)(cells[0], cells[1], cells[2], cells[3], cells[4], cells[5],
                                          cells[6], cells[7], cells[8], cells[9], cells[10], cells[11]);
  if (!result) {
    if (result.error().kind == ErrorKind::guest_ended) return static_cast<int>(result.error().status & 0xFF);
    return report(result.error());
  }
  print_result(settings.returns, *result);
  return 0;
}

}  // namespace bobbin::tools
