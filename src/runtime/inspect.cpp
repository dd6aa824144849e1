// The public inspect(): what pe/ parsed, as plain data, and what it means for threads.
#include <bobbin/inspect.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <unordered_map>
#include <utility>

#include "image/file_bytes.hpp"
#include "pe/file.hpp"

namespace bobbin {
namespace {

using Mechanism = ThreadExitMechanism;

/// A function that gives a mechanism away when a file imports it or, linked in statically, has its symbol.
struct Clue {
  std::string_view function;
  Mechanism mechanism;
};
constexpr Clue kClues[] = {
    {"__dyn_tls_init", Mechanism::tls_callbacks},  // MSVC's and mingw's: constructors of thread_local objects
    {"__dyn_tls_dtor", Mechanism::tls_callbacks},  // their destructors
    {"__mingw_TLScallback", Mechanism::tls_callbacks},
    {"FlsAlloc", Mechanism::fls},
    {"__cxa_thread_atexit", Mechanism::thread_atexit},
    {"__tlregdtor", Mechanism::thread_atexit},
    {"_register_thread_local_exe_atexit_callback", Mechanism::thread_atexit},
    {"__emutls_get_address", Mechanism::emulated_tls},
    {"pthread_key_create", Mechanism::pthread_keys},
    {"TlsAlloc", Mechanism::tls_slots},
};

const Clue* clue(std::string_view function) {
  const auto* found = std::ranges::find(kClues, function, &Clue::function);
  return found != std::end(kClues) ? found : nullptr;
}

class Inspector {
 public:
  Inspector(const image::FileBytes& bytes, const pe::File& file) : bytes_(bytes), file_(file) {}

  Result<Inspection> run() {
    out_.path = bytes_.path();
    out_.file_size = bytes_.bytes().size();
    symbols_ = file_.symbols();
    out_.symbol_count = symbols_.size();
    add_header();
    add_sections();
    for (const auto step : {&Inspector::add_imports, &Inspector::add_exports, &Inspector::add_relocations,
                            &Inspector::add_tls}) {
      if (auto ok = (this->*step)(); !ok) return propagate(ok);
    }
    add_thread_exit();
    return std::move(out_);
  }

 private:
  void add_header() {
    const pe::Header& h = file_.header();
    out_.header = {.is_dll = h.is_dll(),
                   .image_base = h.image_base,
                   .image_size = h.image_size,
                   .entry_point = h.entry_point.value,
                   .subsystem = h.subsystem,
                   .subsystem_major = h.major_subsystem_version,
                   .subsystem_minor = h.minor_subsystem_version,
                   .characteristics = h.characteristics,
                   .dll_characteristics = h.dll_characteristics,
                   .section_alignment = h.section_alignment,
                   .file_alignment = h.file_alignment,
                   .timestamp = h.timestamp,
                   .stack_reserve = h.stack_reserve};
    out_.relocations_stripped = h.relocations_stripped();
  }

  void add_sections() {
    for (const pe::Section& s : file_.sections()) {
      out_.sections.push_back({.name = std::string(s.name),
                               .rva = s.rva.value,
                               .virtual_size = s.virtual_size,
                               .file_offset = s.offset.value,
                               .raw_size = s.raw_size,
                               .characteristics = s.characteristics,
                               .readable = s.readable(),
                               .writable = s.writable(),
                               .executable = s.executable()});
    }
  }

  void add_dlls(const std::vector<pe::ImportedDll>& dlls, bool delayed) {
    for (const pe::ImportedDll& dll : dlls) {
      Inspection::ImportedDll& added = out_.imports.emplace_back();
      added.name = dll.name;
      added.delayed = delayed;
      for (const pe::ImportedSymbol& s : dll.symbols) {
        added.functions.push_back({.name = std::string(s.name), .ordinal = s.ordinal, .slot = s.slot.value});
      }
    }
  }

  Result<void> add_imports() {
    const auto imports = file_.imports();
    if (!imports) return fail(imports.error());
    const auto delayed = file_.delay_imports();
    if (!delayed) return fail(delayed.error());
    add_dlls(*imports, false);
    add_dlls(*delayed, true);
    return {};
  }

  Result<void> add_exports() {
    const auto exports = file_.exports();
    if (!exports) return fail(exports.error());
    out_.export_name = exports->dll_name();
    for (const pe::Export& e : exports->all()) {
      out_.exports.push_back({.name = std::string(e.name),
                              .ordinal = e.ordinal,
                              .rva = e.target.rva.value,
                              .forwarder = std::string(e.target.forwarder)});
    }
    return {};
  }

  Result<void> add_relocations() {
    const auto relocations = file_.relocations();
    if (!relocations) return fail(relocations.error());
    out_.relocation_count = relocations->size();
    return {};
  }

  [[nodiscard]] const pe::Section* section_of(Rva rva) const {
    const auto after = std::ranges::upper_bound(file_.sections(), rva, {}, &pe::Section::rva);
    return after == file_.sections().begin() ? nullptr : &*(after - 1);
  }
  [[nodiscard]] Inspection::Place place(Rva rva) const {
    const pe::Section* section = section_of(rva);
    if (section == nullptr) return {.rva = rva.value, .section = {}, .offset = rva.value};
    return {.rva = rva.value, .section = std::string(section->name), .offset = rva - section->rva};
  }

  /// Of several symbols at one place the first that is not a section's own (".text").
  [[nodiscard]] std::string name_of(Rva rva) const {
    for (const pe::Symbol& symbol : symbols_) {
      if (symbol.rva == rva && !symbol.name.starts_with('.')) return std::string(symbol.name);
    }
    const auto found = std::ranges::find_if(
        out_.exports, [&](const Inspection::Export& e) { return e.rva == rva.value && !e.name.empty(); });
    return found != out_.exports.end() ? found->name : std::string();
  }

  Result<void> add_tls() {
    const auto tls = file_.tls();
    if (!tls) return fail(tls.error());
    if (!*tls) return {};
    const pe::TlsDirectory& t = **tls;
    const auto callbacks = file_.tls_callbacks(t);
    if (!callbacks) return fail(callbacks.error());
    out_.tls = {.directory = place(t.directory),
                .block_template = t.template_size != 0 ? place(t.template_begin) : Inspection::Place{},
                .template_size = t.template_size,
                .block_size = t.template_size,
                .zero_fill = t.zero_fill,
                .alignment = t.alignment,
                .index = place(t.index),
                .index_read_only = t.index_read_only,
                .callbacks = {}};
    for (const Rva callback : *callbacks) {
      out_.tls->callbacks.push_back({.place = place(callback), .name = name_of(callback)});
    }
    return {};
  }

  void note(Mechanism mechanism, std::string evidence) {
    auto found = std::ranges::find(out_.thread_exit, mechanism, &Inspection::ThreadExit::mechanism);
    if (found == out_.thread_exit.end()) {
      found = out_.thread_exit.insert(found, {.mechanism = mechanism, .evidence = {}});
    }
    if (std::ranges::find(found->evidence, evidence) == found->evidence.end())
      found->evidence.push_back(std::move(evidence));
  }

  [[nodiscard]] bool imports(std::string_view function) const {
    return std::ranges::any_of(out_.imports, [&](const Inspection::ImportedDll& dll) {
      return std::ranges::find(dll.functions, function, &Inspection::Import::name) != dll.functions.end();
    });
  }

  void add_thread_exit() {
    if (out_.tls && !out_.tls->callbacks.empty()) {
      const std::size_t count = out_.tls->callbacks.size();
      note(Mechanism::tls_callbacks, fmt::format("{} in the TLS directory", count));
    }
    for (const Inspection::ImportedDll& dll : out_.imports) {
      for (const Inspection::Import& function : dll.functions) {
        const Clue* found = clue(function.name);
        if (found != nullptr) note(found->mechanism, fmt::format("{} from {}", function.name, dll.name));
      }
    }
    for (const pe::Symbol& symbol : symbols_) {
      const Clue* found = clue(symbol.name);
      // The linker's stub for an imported function has that function's name, and tells nothing new.
      if (found != nullptr && !imports(symbol.name))
        note(found->mechanism, fmt::format("symbol {}", symbol.name));
    }
    std::ranges::sort(out_.thread_exit, {}, &Inspection::ThreadExit::mechanism);
  }

  const image::FileBytes& bytes_;
  const pe::File& file_;
  std::vector<pe::Symbol> symbols_;
  Inspection out_;
};

}  // namespace

const char* to_string(ThreadExitMechanism mechanism) {
  switch (mechanism) {
    case Mechanism::tls_callbacks:
      return "tls_callbacks";
    case Mechanism::fls:
      return "fls";
    case Mechanism::thread_atexit:
      return "thread_atexit";
    case Mechanism::emulated_tls:
      return "emulated_tls";
    case Mechanism::pthread_keys:
      return "pthread_keys";
    case Mechanism::tls_slots:
      return "tls_slots";
  }
  return "unknown";
}

Result<Inspection> inspect(const std::string& path) {
  return without_throwing([&]() -> Result<Inspection> {
    auto bytes = image::FileBytes::open(path);
    if (!bytes) return propagate(bytes);
    auto file = pe::File::parse(bytes->bytes(), path);
    if (!file) return propagate(file);
    return Inspector(*bytes, *file).run();
  });
}

}  // namespace bobbin
