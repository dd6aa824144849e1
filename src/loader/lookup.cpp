// Finding modules and functions.
#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "abi/status.hpp"
#include "loader/guard.hpp"
#include "loader/loader.hpp"
#include "loader/transaction.hpp"
#include "nls/utf.hpp"
#include "trace/trace.hpp"

namespace bobbin::loader {
namespace {

/// A chain of forwarders longer than this is a circle.
constexpr int kMaximumForwards = 16;

}  // namespace

std::string Loader::Wanted::describe() const {
  return name.empty() ? fmt::format("ordinal {}", ordinal) : std::string(name);
}

Module* Loader::loaded(std::string_view key, const Transaction* load) const {
  for (const auto& module : modules_) {
    if (module->key == key && !module->leaving) return module.get();
  }
  if (load != nullptr) {
    for (const auto& module : load->fresh) {
      if (module->key == key) return module.get();
    }
  }
  return nullptr;
}

Module* Loader::loaded_from(const std::string& path, const Transaction* load) const {
  for (const auto& module : modules_) {
    if (module->path == path && !module->leaving) return module.get();
  }
  if (load != nullptr) {
    for (const auto& module : load->fresh) {
      if (module->path == path) return module.get();
    }
  }
  return nullptr;
}

Module* Loader::look_for(const std::string& name) const {
  if (name.empty()) return program_;
  const std::string key = lower(with_extension(base_of(name)));
  Module* module = loaded(resolve_api_set(key), nullptr);
  if (module == nullptr && program_ != nullptr && program_->key == lower(name)) module = program_;
  if (module == nullptr || !is_path(name) || is_native_path(name)) return module;
  // With a path, the module must be that very file.
  const auto host = options_.host_path(nls::to_utf16(with_extension(name)));
  return host ? loaded_from(absolute(*host), nullptr) : nullptr;
}

Loader::Found Loader::find(const std::string& name) {
  return {*this, [&] { return look_for(name); }};
}

Loader::Found Loader::find_by_base(const void* base) {
  return {*this, [&]() -> Module* {
            const auto at = std::ranges::find(modules_, base, [](const auto& one) { return one->base(); });
            return at != modules_.end() ? at->get() : nullptr;
          }};
}

Loader::Found Loader::find_by_address(const void* address) {
  return {*this, [&]() -> Module* {
            const auto holds = [address](const auto& module) { return module->contains(address); };
            const auto at = std::ranges::find_if(modules_, holds);
            return at != modules_.end() ? at->get() : nullptr;
          }};
}

std::size_t Loader::module_count() {
  const Guard guard(*this);
  return guard.held() ? modules_.size() : 0;
}

Result<void*> Loader::procedure(const Found& module, std::string_view name) {
  return resolve(nullptr, *module, {.name = name});
}

Result<void*> Loader::procedure(const Found& module, std::uint32_t ordinal) {
  return resolve(nullptr, *module, {.name = {}, .ordinal = ordinal});
}

void Loader::note_missing(const Found& module, std::string_view function) const {
  trace::emit(trace::Category::native,
              [&] { return fmt::format("asked for in vain: {}!{}", module->name, function); });
  if (options_.on_missing) options_.on_missing(fmt::format("{}!{}", module->name, function));
}

/// Keeps a module while a load goes on that it asked for: a DllMain of that load may free it.
struct Loader::Kept {
  Kept(Loader& by, Module& kept) : loader(by), module(kept) { ++module.references; }
  ~Kept() {
    if (--module.references == 0) loader.unload_unreachable();
  }
  Kept(const Kept&) = delete;
  Kept& operator=(const Kept&) = delete;
  Loader& loader;
  Module& module;
};

Result<void*> Loader::resolve(Transaction* load, Module& module, const Wanted& wanted, int depth) {
  if (module.native) {
    const std::uint16_t dlls = module.native->dlls;
    const bool by_ordinal = wanted.name.empty();
    const NativeExport* native =
        by_ordinal ? natives_.find(wanted.ordinal, dlls) : natives_.find(wanted.name, dlls);
    const auto& instead = module.native->instead;
    if (const auto at = instead.find(by_ordinal && native != nullptr ? native->name : wanted.name);
        at != instead.end()) {
      return at->second;
    }
    if (native != nullptr) return native->address;
  } else if (module.image) {
    const pe::Exports& exports = module.image->exports;
    const auto target = wanted.name.empty() ? exports.find(wanted.ordinal) : exports.find(wanted.name);
    if (target && !target->forwarder.empty()) return forwarded(load, module, target->forwarder, depth + 1);
    if (target) return static_cast<void*>(module.image->mapped.at(target->rva));
  }
  return fail(
      {.kind = ErrorKind::missing_export,
       .status = wanted.name.empty() ? abi::STATUS_ORDINAL_NOT_FOUND : abi::STATUS_ENTRYPOINT_NOT_FOUND,
       .what = "does not export " + wanted.describe(),
       .file = module.name,
       .advice = module.native
                     ? "Bobbin does not provide this function; `bobbin doctor` lists all that are missing"
                     : "check that the DLL's version is the one that is expected"});
}

Result<void*> Loader::forwarded(Transaction* load, Module& module, std::string_view forwarder, int depth) {
  const auto broken = [&](std::string why) {
    return fail({.kind = ErrorKind::malformed,
                 .status = abi::STATUS_INVALID_IMAGE_FORMAT,
                 .what = fmt::format("forwards to '{}', {}", forwarder, why),
                 .file = module.name});
  };
  const std::size_t dot = forwarder.find_last_of('.');
  if (dot == std::string_view::npos) return broken("which names no function");
  if (depth > kMaximumForwards) return broken("which comes back to where it started");
  const std::string dll = std::string(forwarder.substr(0, dot)) + ".dll";
  Wanted wanted{.name = forwarder.substr(dot + 1)};
  if (wanted.name.starts_with('#')) {
    const std::string_view digits = wanted.name.substr(1);
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), wanted.ordinal);
    if (parsed.ec != std::errc{}) return broken("whose ordinal is no number");
    wanted.name = {};
  }
  Module* target = nullptr;
  if (load != nullptr) {
    auto mapped = map_tree(*load, dll, &module);
    if (!mapped) return propagate(mapped);
    target = *mapped;
  } else {
    target = loaded(resolve_api_set(lower(dll)), nullptr);
    if (target == nullptr) {
      const Kept kept(*this, module);
      auto late = load_module(dll);
      if (!late) return propagate(late);
      target = *late;
      const Kept arriving(*this, *target);
      --target->references;  // to be held by the dependency, not by a caller
      module.depend_on(*target);
    }
  }
  if (load != nullptr) load->forwarding.push_back(&module);  // a load that fails takes the dependency back
  module.depend_on(*target);
  return resolve(load, *target, wanted, depth);
}

Result<void*> Loader::resolve_delay_import(const Found& found, Rva descriptor, std::uint64_t* slot,
                                           DelayImport& wanted) {
  Module& module = *found;
  if (!module.image) {
    return fail({.kind = ErrorKind::invalid,
                 .status = abi::STATUS_INVALID_PARAMETER,
                 .what = "no such import",
                 .file = module.name});
  }
  auto imports = module.image->in_memory.delay_imports();
  if (!imports) return propagate(imports);
  for (const pe::ImportedDll& dll : *imports) {
    if (dll.descriptor != descriptor) continue;
    for (const pe::ImportedSymbol& symbol : dll.symbols) {
      if (reinterpret_cast<std::uint64_t*>(module.image->mapped.at(symbol.slot)) != slot) continue;
      // NOLINTNEXTLINE(bugprone-suspicious-stringview-data-usage): names in an image end with a NUL.
      wanted = {.dll = dll.name.data(),
                .name = symbol.by_ordinal() ? nullptr : symbol.name.data(),
                .ordinal = symbol.ordinal};
      const Kept kept(*this, module);
      auto target = load_module(std::string(dll.name));
      if (!target) return propagate(target);
      const Kept arriving(*this, **target);
      --(*target)->references;  // to be held by the dependency, not by a caller
      module.depend_on(**target);
      wanted.target = (*target)->base();
      auto address = resolve(nullptr, **target, {.name = symbol.name, .ordinal = symbol.ordinal});
      if (address) *slot = reinterpret_cast<std::uint64_t>(*address);
      return address;
    }
  }
  return fail({.kind = ErrorKind::invalid,
               .status = abi::STATUS_INVALID_PARAMETER,
               .what = "the slot belongs to none of its delay imports",
               .file = module.name});
}

}  // namespace bobbin::loader
