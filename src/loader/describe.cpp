// What people call an address: module, nearest symbol before it, and how far.
#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <optional>
#include <string_view>

#include "loader/loader.hpp"

namespace bobbin::loader {
namespace {

struct Nearest {
  std::string name;
  std::uint32_t rva = 0;
};

const pe::Section* section_of(const pe::File& file, std::uint32_t rva) {
  const auto holds = [rva](const pe::Section& s) { return rva - s.rva.value < s.virtual_size; };
  const auto at = std::ranges::find_if(file.sections(), holds);
  return at != file.sections().end() ? &*at : nullptr;
}

/// Of exports and symbols the last one that is not beyond `rva`, in the same section. Linkers' own names
/// (".text", ".refptr.x") are nobody's function.
std::optional<Nearest> nearest(const ImagePart& image, std::uint32_t rva) {
  const pe::Section* section = section_of(image.parsed, rva);
  if (section == nullptr) return std::nullopt;
  std::optional<Nearest> best;
  const auto offer = [&](std::string_view name, std::uint32_t at) {
    if (name.empty() || name.starts_with('.') || at > rva || at < section->rva.value) return;
    if (!best || at > best->rva) best = {std::string(name), at};
  };
  for (const pe::Export& exported : image.exports.all()) {
    if (exported.target.forwarder.empty()) offer(exported.name, exported.target.rva.value);
  }
  for (const pe::Symbol& symbol : image.parsed.symbols()) offer(symbol.name, symbol.rva.value);
  return best;
}

}  // namespace

Loader::Named Loader::name_address(const void* address) const {
  const std::scoped_lock lock(modules_mutex_);
  for (const auto& module : modules_) {
    if (!module->contains(address)) continue;
    const auto rva = static_cast<std::uint32_t>(static_cast<const std::byte*>(address) - module->base());
    const auto symbol = module->image ? nearest(*module->image, rva) : std::nullopt;
    if (!symbol) return {module->name, fmt::format("+{:#x}", rva)};
    if (symbol->rva == rva) return {module->name, symbol->name};
    return {module->name, fmt::format("{}+{:#x}", symbol->name, rva - symbol->rva)};
  }
  return {};
}

std::string Loader::describe_address(const void* address) const {
  const auto [module, function] = name_address(address);
  if (module.empty()) return fmt::format("{}", address);
  return module + (function.starts_with("+0x") ? "" : "!") + function;
}

std::string Loader::describe_notice() const {
  if (notice_.module == nullptr) return {};
  constexpr std::string_view kReasons[] = {"PROCESS_DETACH", "PROCESS_ATTACH", "THREAD_ATTACH",
                                           "THREAD_DETACH"};
  return fmt::format("{} of {} ({})", notice_.by_callback ? "a TLS callback" : "DllMain",
                     notice_.module->name, kReasons[static_cast<std::size_t>(notice_.reason)]);
}

}  // namespace bobbin::loader
