#include <bobbin/doctor.hpp>

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include <fmt/format.h>

#include "image/image.hpp"
#include "loader/search.hpp"
#include "pe/file.hpp"
#include "runtime/native_dlls.hpp"
#include "win32/natives.hpp"

namespace bobbin {
namespace {

/// A file on the way, kept while its exports are asked for.
struct Examined {
  explicit Examined(image::FileBytes opened) : bytes(std::move(opened)) {}
  image::FileBytes bytes;
  pe::File file;
  pe::Exports exports;
};

class Doctor {
 public:
  explicit Doctor(const Options& options)
      : search_(detail::search_path(options)), natives_(win32::all_natives()) {}

  Result<Diagnosis> examine(const std::string& path) {
    search_.program = loader::folder_of(path);
    folders_ = search_.standard();
    auto examined = open(path);
    if (!examined) return propagate(examined);
    const std::string name(loader::base_of(path));
    if (auto followed = follow(**examined, name); !followed) return propagate(followed);
    return std::move(diagnosis_);
  }

 private:
  Result<Examined*> open(const std::string& path) {
    if (const auto known = files_.find(path); known != files_.end()) return known->second.get();
    auto bytes = image::FileBytes::open(path);
    if (!bytes) return propagate(bytes);
    auto examined = std::make_unique<Examined>(std::move(*bytes));
    auto file = pe::File::parse(examined->bytes.bytes(), path);
    if (!file) return propagate(file);
    examined->file = std::move(*file);
    auto exports = examined->file.exports();
    if (!exports) return propagate(exports);
    examined->exports = *exports;
    return (files_[path] = std::move(examined)).get();
  }

  /// The imports of one file, then those of the DLLs that it needs and nobody looked at yet.
  Result<void> follow(Examined& examined, const std::string& name) {
    if (!visited_.insert(&examined).second) return {};
    auto imports = examined.file.imports();
    if (!imports) return propagate(imports);
    auto delayed = examined.file.delay_imports();
    if (!delayed) return propagate(delayed);
    std::vector<std::pair<Examined*, std::string>> next;
    for (const auto* list : {&*imports, &*delayed}) {
      for (const pe::ImportedDll& dll : *list) look_at(name, dll, list == &*delayed, next);
    }
    for (const auto& [file, file_name] : next) {
      if (auto followed = follow(*file, file_name); !followed) return followed;
    }
    return {};
  }

  void look_at(const std::string& importer, const pe::ImportedDll& dll, bool delayed,
               std::vector<std::pair<Examined*, std::string>>& next) {
    DllStatus status{.importer = importer,
                     .dll = std::string(dll.name),
                     .found_at = {},
                     .delayed = delayed,
                     .imports = {}};
    const std::string key(loader::resolve_api_set(loader::lower(loader::with_extension(dll.name))));
    const auto native = std::ranges::find(detail::kNativeDlls, key, &loader::NativeDll::name);
    Examined* guest = nullptr;
    if (native != std::end(detail::kNativeDlls)) {
      status.found_at = "(native)";
    } else if (const auto path = loader::find_in_folders(folders_, key)) {
      status.found_at = *path;
      if (auto opened = open(*path)) next.emplace_back(guest = *opened, key);
    }
    for (const pe::ImportedSymbol& symbol : dll.symbols) {
      ImportStatus import{.function = symbol.by_ordinal() ? fmt::format("#{}", symbol.ordinal)
                                                          : std::string(symbol.name)};
      if (native != std::end(detail::kNativeDlls)) {
        if (const auto* found = symbol.by_ordinal() ? natives_.find(symbol.ordinal, native->dlls)
                                                    : natives_.find(symbol.name, native->dlls)) {
          import.provider = found->partial != nullptr ? Provider::partial : Provider::native;
          if (found->partial != nullptr) import.detail = found->partial;
        }
      } else if (guest != nullptr && (symbol.by_ordinal() ? guest->exports.find(std::uint32_t{symbol.ordinal})
                                                          : guest->exports.find(symbol.name))) {
        import.provider = Provider::guest;
      }
      if (import.provider == Provider::missing && !delayed) ++diagnosis_.missing;
      if (import.provider == Provider::partial) ++diagnosis_.partial;
      status.imports.push_back(std::move(import));
    }
    diagnosis_.dlls.push_back(std::move(status));
  }

  loader::SearchPath search_;
  loader::Folders folders_;
  loader::NativeTable natives_;
  std::map<std::string, std::unique_ptr<Examined>> files_;
  std::set<const Examined*> visited_;
  Diagnosis diagnosis_;
};

}  // namespace

Result<Diagnosis> diagnose(const std::string& path, const Options& options) {
  return without_throwing([&] { return Doctor(options).examine(path); });
}

std::vector<NativeFunction> native_functions() {
  std::vector<NativeFunction> all;
  const loader::NativeTable table(win32::all_natives());
  for (const auto* native : table.of(0xFFFF)) {
    NativeFunction function{
        .name = native->name, .dlls = {}, .partial = native->partial != nullptr ? native->partial : ""};
    for (const loader::NativeDll& dll : detail::kNativeDlls) {
      if ((dll.dlls & native->dlls) != 0) function.dlls.emplace_back(dll.name);
    }
    all.push_back(std::move(function));
  }
  return all;
}

}  // namespace bobbin
