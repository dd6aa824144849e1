// One module of the guest: a PE image, a native DLL, or the host itself standing in for a program.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "abi/teb.hpp"
#include "base/error.hpp"
#include "image/image.hpp"
#include "loader/native_modules.hpp"
#include "pe/file.hpp"

namespace bobbin::loader {

/// DllMain's reasons; TLS callbacks get the same.
enum class Reason : std::uint32_t {
  process_detach = 0,
  process_attach = 1,
  thread_attach = 2,
  thread_detach = 3
};

/// How far a module is with its PROCESS_ATTACH.
enum class Attach : std::uint8_t {
  none,     ///< gets none: natives, and what was mapped without being resolved
  waiting,  ///< its turn is to come, or that of what it needs
  running,  ///< its callbacks or its DllMain are on some stack of the thread that holds the lock
  done,
  refused,
};

/// A PE image as a module holds it: the file, where it stands, and a second parse of what stands there.
struct ImagePart {
  ImagePart(image::FileBytes bytes, pe::File on_disk, image::Mapped image)
      : file(std::move(bytes)), parsed(std::move(on_disk)), mapped(std::move(image)) {}
  image::FileBytes file;
  pe::File parsed;  ///< views into `file`
  image::Mapped mapped;
  pe::File in_memory;   ///< views into `mapped`
  pe::Exports exports;  ///< of in_memory
};

/// A native DLL: a set of bits in the native table, and what goes before it.
struct NativePart {
  explicit NativePart(SyntheticImage synthetic) : image(std::move(synthetic)) {}
  std::uint16_t dlls = 0;
  std::map<std::string, void*, std::less<>> instead;  ///< fast paths, and what the host provides
  SyntheticImage image;
};

/// Implicit TLS of a module that has some.
struct TlsPart {
  pe::TlsDirectory directory;
  std::optional<std::uint32_t> index;  ///< none if the module was mapped without being resolved
};

/// A module. Its address is stable; all fields are guarded by the loader lock.
class Module {
 public:
  Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  [[nodiscard]] std::byte* base() const { return static_cast<std::byte*>(entry.DllBase); }
  [[nodiscard]] std::size_t size() const { return entry.SizeOfImage; }
  [[nodiscard]] bool contains(const void* address) const {
    const auto* byte = static_cast<const std::byte*>(address);
    return byte >= base() && byte < base() + size();
  }
  [[nodiscard]] bool has(std::uint32_t flag) const { return (entry.Flags & flag) != 0; }
  [[nodiscard]] bool is_dll() const { return has(abi::LDRP_IMAGE_DLL); }
  /// Whether its imports are bound and its initialisers are run (not for DONT_RESOLVE_DLL_REFERENCES, or for
  /// a program that LoadLibrary was given).
  [[nodiscard]] bool resolved() const { return resolved_; }

  std::string name;                     ///< file name as it is, UTF-8
  std::string key;                      ///< lower case of it: what lookups compare
  std::string path;                     ///< host path; empty for natives
  std::u16string full_name, base_name;  ///< what LDR entries point to
  abi::LDR_DATA_TABLE_ENTRY entry{};    ///< as guests walk it

  std::unique_ptr<ImagePart> image;
  std::unique_ptr<NativePart> native;
  std::optional<TlsPart> tls;

  std::vector<Module*> dependencies;  ///< whose exports it was bound to
  std::uint32_t references = 0;       ///< LoadLibrary calls not yet freed
  bool pinned =
      false;  ///< never unloaded: what came with the program, natives, GET_MODULE_HANDLE_EX_FLAG_PIN
  bool resolved_ = false;
  bool static_load = false;  ///< lpReserved of PROCESS_ATTACH is not NULL
  Attach attach = Attach::none;
  std::uint32_t walk = 0;          ///< the last Loader::attach() that came by
  std::uint32_t reached = 0;       ///< the last Loader::unload_unreachable() that found it needed
  bool leaving = false;            ///< being unloaded
  Module* leaves_after = nullptr;  ///< the next one of those that are unloaded together
  bool arriving = false;           ///< being loaded: stays until its load is complete, whatever frees it

  void pin() {
    pinned = true;
    entry.ObsoleteLoadCount = 0xFFFF;
  }
  void depend_on(Module& needed) {
    if (&needed != this && std::ranges::find(dependencies, &needed) == dependencies.end()) {
      dependencies.push_back(&needed);
    }
  }
};

}  // namespace bobbin::loader
