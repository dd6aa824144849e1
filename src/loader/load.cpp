// How a module comes in. See loader.hpp for the steps; each function below is one of them.
#include <algorithm>
#include <cstring>
#include <mutex>
#include <new>

#include <fmt/format.h>

#include "abi/status.hpp"
#include "loader/guard.hpp"
#include "loader/lists.hpp"
#include "loader/loader.hpp"
#include "loader/transaction.hpp"
#include "nls/utf.hpp"
#include "trace/trace.hpp"

namespace bobbin::loader {
// ---- finding and mapping ---------------------------------------------------------------------------------

Folders Loader::folders_for(const std::string& name, const LoadFlags& flags) const {
  const SearchPath& path = options_.search;
  std::string own;
  if ((flags.own_folder_first || flags.places.own) && is_path(name)) {
    if (const auto host = options_.host_path(nls::to_utf16(name))) own = folder_of(absolute(*host));
  }
  if (flags.places.any()) return path.of(flags.places, own);
  return flags.own_folder_first ? path.standard(own) : path.by_default();
}

Result<std::string> Loader::locate(const std::string& name, const Folders& folders,
                                   const Module* importer) const {
  if (is_path(name)) {
    const auto host = options_.host_path(nls::to_utf16(name));
    if (host) return absolute(*host);
  } else if (auto found = find_in_folders(folders, name)) {
    return absolute(*found);
  }
  return fail({.kind = ErrorKind::not_found,
               .status = abi::STATUS_DLL_NOT_FOUND,
               .what = importer != nullptr ? fmt::format("was not found; {} needs it", importer->name)
                                           : "was not found",
               .file = name,
               .advice = is_path(name)
                             ? "check the path"
                             : "put it into one of the folders that are searched: " + describe(folders)});
}

Result<std::unique_ptr<Module>> Loader::map_file(const std::string& path) {
  auto file = image::FileBytes::open(path);
  if (!file) return propagate(file);
  auto parsed = pe::File::parse(file->bytes(), path);
  if (!parsed) return propagate(parsed);
  auto mapped = image::map_image(*file, *parsed, space_, options_.map);
  if (!mapped) return propagate(mapped);

  auto module = std::make_unique<Module>();
  module->path = path;
  set_names(*module, options_.windows_path(path));
  module->image = std::make_unique<ImagePart>(std::move(*file), std::move(*parsed), std::move(*mapped));
  ImagePart& image = *module->image;
  const std::span<const std::byte> memory(image.mapped.base(), image.mapped.size());
  auto in_memory = pe::File::parse(memory, module->name, pe::Layout::mapped);
  if (!in_memory) return propagate(in_memory);
  image.in_memory = std::move(*in_memory);
  auto exports = image.in_memory.exports();
  if (!exports) return propagate(exports);
  image.exports = *exports;

  const pe::Header& header = image.parsed.header();
  abi::LDR_DATA_TABLE_ENTRY& entry = module->entry;
  entry.DllBase = image.mapped.base();
  entry.SizeOfImage = image.mapped.size();
  if (header.entry_point) entry.EntryPoint = image.mapped.at(header.entry_point);
  if (header.is_dll()) entry.Flags = abi::LDRP_IMAGE_DLL;
  entry.TimeDateStamp = header.timestamp;
  entry.CheckSum = header.checksum;
  entry.OriginalBase = header.image_base;
  return module;
}

Result<Module*> Loader::map_tree(Transaction& load, const std::string& name, const Module* importer) {
  const bool path = is_path(name) && !is_native_path(name);
  const std::string key = path ? std::string() : lower(with_extension(base_of(name)));
  if (!path) {
    if (Module* module = loaded(resolve_api_set(key), &load)) return module;
  }
  auto located = locate(path ? name : std::string(resolve_api_set(key)), load.folders, importer);
  if (!located) return propagate(located);
  if (Module* module = loaded_from(*located, &load)) return module;

  auto mapped = map_file(*located);
  if (!mapped) return propagate(mapped);
  Module* module = mapped->get();
  module->static_load = load.static_load;
  load.fresh.push_back(std::move(*mapped));
  // A program that is loaded as a library is data with code in it: Windows resolves nothing for it
  // (spec 3.2).
  module->resolved_ = load.resolve && (module->is_dll() || load.static_load);
  if (module->resolved_) {
    if (auto bound = bind_imports(load, *module); !bound) return propagate(bound);
  }
  load.order.push_back(module);
  return module;
}

Result<void> Loader::bind_imports(Transaction& load, Module& module) {
  ImagePart& image = *module.image;
  auto imports = image.parsed.imports();
  if (!imports) return propagate(imports);
  for (const pe::ImportedDll& dll : *imports) {
    auto target = map_tree(load, std::string(dll.name), &module);
    if (!target) return propagate(target);
    module.depend_on(**target);
    if (dll.symbols.empty()) continue;
    const auto [first, last] = std::ranges::minmax(dll.symbols, {}, &pe::ImportedSymbol::slot);
    auto writable = image.mapped.make_writable(first.slot, last.slot - first.slot + 8);
    if (!writable) return propagate(writable);
    for (const pe::ImportedSymbol& symbol : dll.symbols) {
      auto address = resolve(&load, **target, {.name = symbol.name, .ordinal = symbol.ordinal});
      if (!address) {
        Error error = std::move(address).error();
        error.what += fmt::format("; {} imports it", module.name);
        return fail(std::move(error));
      }
      void* const found = *address;
      std::memcpy(image.mapped.at(symbol.slot), &found, sizeof found);  // wherever the image has the slot
    }
  }
  return {};
}

// ---- the rest of the way ---------------------------------------------------------------------------------

namespace {
/// The index is written when the pages have their final protection. Windows' loader would fault there.
std::unexpected<Error> read_only_index(const Module& module, const pe::TlsDirectory& tls) {
  return fail({.kind = ErrorKind::malformed,
               .status = abi::STATUS_INVALID_IMAGE_FORMAT,
               .what = "the TLS index (AddressOfIndex) lies in a section that is not writable",
               .file = module.name,
               .rva = tls.index.value});
}
}  // namespace

Result<void> Loader::prepare(Transaction& load) {
  for (const auto& fresh : load.fresh) {
    Module& module = *fresh;
    ImagePart& image = *module.image;
    Result<std::optional<pe::TlsDirectory>> tls = std::nullopt;
    if (module.resolved() && (load.static_load || options_.generation.tls_for_late_dlls)) {
      tls = image.parsed.tls();
      if (!tls) return propagate(tls);
    }
    if (*tls) {
      const pe::TlsDirectory& directory = **tls;
      if (directory.index_read_only) return read_only_index(module, directory);
      if (auto callbacks = image.in_memory.tls_callbacks(directory); !callbacks) return propagate(callbacks);
      const std::span<const std::byte> bytes(
          directory.template_size != 0 ? image.mapped.at(directory.template_begin) : nullptr,
          directory.template_size);
      auto reservation = engine_.prepare_module(
          {.bytes = bytes,
           .alignment = std::max<std::size_t>(directory.alignment, 16),
           .index_address = reinterpret_cast<std::uint32_t*>(image.mapped.at(directory.index))});
      if (!reservation) return fail(std::move(reservation).error().in(module.name));
      load.reservations.push_back(std::move(*reservation));
      load.tls_modules.push_back(&module);
      module.tls = TlsPart{.directory = directory, .index = std::nullopt};
    }
    if (auto done = image.mapped.protect(); !done) return fail(std::move(done).error().in(module.name));
  }
  {
    const std::scoped_lock changing(modules_mutex_);
    modules_.reserve(modules_.size() + load.fresh.size());
  }
  unwind::function_tables().reserve_modules(load.fresh.size());
  initialised_.reserve(modules_.size() + load.fresh.size());  // attach() may come after loads that it caused
  return {};
}

/// What unwinding is told of a module.
unwind::Module Loader::rows_of(const Module& module) noexcept {
  unwind::Module told{
      .base = reinterpret_cast<std::uint64_t>(module.base()), .size = module.size(), .rows = {}};
  if (!module.image) return told;
  const pe::File& file = module.image->in_memory;
  constexpr std::uint32_t kRow = sizeof(abi::RUNTIME_FUNCTION);
  const pe::DirectoryRange range = file.directory(pe::Directory::exceptions);
  if (range.size >= kRow && file.covers(range.rva, range.size / kRow * kRow)) {
    told.rows = {reinterpret_cast<abi::RUNTIME_FUNCTION*>(module.base() + range.rva.value),
                 range.size / kRow};
  }
  // What Wine's linker puts where others have a DOS program.
  constexpr std::string_view kWine = "Wine builtin DLL";
  constexpr Rva kStub{0x40};
  told.wine_builtin = file.covers(kStub, kWine.size()) &&
                      std::memcmp(module.base() + kStub.value, kWine.data(), kWine.size()) == 0;
  return told;
}

void Loader::publish(Transaction& load) noexcept {
  for (std::size_t i = 0; i < load.tls_modules.size(); ++i) {
    Module& module = *load.tls_modules[i];
    module.tls->index = engine_.commit_module(std::move(load.reservations[i]));
    module.entry.TlsIndex = 0xFFFF;
  }
  load.reservations.clear();
  for (auto& module : load.fresh) {
    trace::emit(trace::Category::loader, [&] {
      return fmt::format("load {} at {}", module->path, static_cast<const void*>(module->base()));
    });
    module->arriving = true;
    if (module->resolved()) module->attach = Attach::waiting;
    link(ldr_, module->entry);
    if (module->image) engine_.fls().image_comes(module->base(), module->size());
    unwind::function_tables().add_module(rows_of(*module));
    const std::scoped_lock changing(modules_mutex_);
    modules_.push_back(std::move(module));
  }
  load.fresh.clear();
  ++generation_of_lists_;
}

// A DllMain may load what this load has mapped already and will only attach later. It gets it attached, with
// all that it needs, as on Windows; the load goes on with what is left. What is being attached right now (a
// circle) is handed out as it is. Nothing here allocates: the modules are published.

std::unexpected<Error> Loader::error_of(const Obstacle& obstacle) {
  const Module& module = *obstacle.module;
  if (obstacle.answer == Answer::guest_ended) {
    return fail({.kind = ErrorKind::guest_ended,
                 .status = abi::STATUS_THREAD_IS_TERMINATING,
                 .what = "ended the guest while it was being initialised",
                 .file = module.name});
  }
  return fail({.kind = ErrorKind::refused,
               .status = abi::STATUS_DLL_INIT_FAILED,
               .what = "its entry point (DllMain) refused to be attached",
               .file = module.name,
               .rva = module.image->parsed.header().entry_point.value,
               .advice = "the DLL itself decided so; look for what it expects to find"});
}

Loader::Obstacle Loader::attach(Transaction& load, Module& wanted) noexcept {
  const std::uint32_t walk = ++walks_;
  for (Module* module : load.order) {
    if (const Obstacle obstacle = attach(*module, walk)) return obstacle;
  }
  return attach(wanted, walk);  // an older one, of a load that is still under way
}

/// Attaches what `module` needs, then itself.
Loader::Obstacle Loader::attach(Module& module, std::uint32_t walk) noexcept {
  if (module.attach == Attach::waiting && module.walk != walk) {
    module.walk = walk;
    // NOLINTNEXTLINE(modernize-loop-convert): a DllMain may add some.
    for (std::size_t i = 0; i < module.dependencies.size(); ++i) {
      if (const Obstacle obstacle = attach(*module.dependencies[i], walk)) return obstacle;
    }
    if (module.attach == Attach::waiting) return attach_now(module);
  }
  if (module.attach == Attach::refused) return {&module, Answer::refused};
  return {};
}

Loader::Obstacle Loader::attach_now(Module& module) noexcept {
  if (!module.is_dll()) {  // a program has no DllMain; load_program() calls its TLS callbacks
    module.attach = Attach::done;
    return {};
  }
  link_initialised(ldr_, module.entry);
  initialised_.push_back(&module);
  ++generation_of_lists_;
  module.attach = Attach::running;
  module.entry.Flags |= abi::LDRP_LOAD_IN_PROGRESS;
  void* reserved = module.static_load ? reinterpret_cast<void*>(1) : nullptr;
  const Answer answer = notify(module, Reason::process_attach, reserved);
  module.entry.Flags &= ~std::uint32_t{abi::LDRP_LOAD_IN_PROGRESS};
  module.entry.Flags |= abi::LDRP_ENTRY_PROCESSED;
  module.attach = answer == Answer::refused ? Attach::refused : Attach::done;
  if (answer == Answer::accepted) return {};
  if (answer == Answer::refused) module.entry.Flags |= abi::LDRP_PROCESS_ATTACH_FAILED;
  return {&module, answer};
}

Result<Module*> Loader::finish(Transaction& load, Module* wanted) {
  if (auto ready = prepare(load); !ready) return propagate(ready);
  ++wanted->references;
  publish(load);
  for (Module* module : load.order) tell_watchers(*module, Change::came);
  const Obstacle obstacle = attach(load, *wanted);
  for (Module* module : load.order) module->arriving = false;
  if (!obstacle && wanted->references != 0) return wanted;
  if (wanted->references != 0) --wanted->references;
  struct Unload {  // also when there is no memory to say why
    Loader& loader;
    ~Unload() { loader.unload_unreachable(); }
  } const at_end{*this};
  if (obstacle) return error_of(obstacle);
  return fail({.kind = ErrorKind::refused,
               .status = abi::STATUS_DLL_INIT_FAILED,
               .what = "freed itself while it was being attached",
               .file = wanted->name});
}

Result<std::byte*> Loader::load(const std::string& name, const LoadFlags& flags) {
  const Guard guard(*this);
  if (!guard.held()) return interrupted();
  auto module = load_module(name, flags);
  if (!module) return propagate(module);
  return (*module)->base();
}

Result<Module*> Loader::load_module(const std::string& name, const LoadFlags& flags) try {
  Transaction load;
  load.resolve = flags.resolve;
  const std::string full = is_path(name) ? with_extension(name) : name;
  load.folders = folders_for(full, flags);
  auto module = map_tree(load, full, nullptr);
  if (!module) return module;
  if (lint_ && !load.fresh.empty()) lint_->loads(**module);
  return finish(load, *module);
} catch (const std::bad_alloc&) {
  return no_memory();
}

Result<Module*> Loader::load_program(const std::string& path) try {
  const Guard guard(*this);
  if (!guard.held()) return interrupted();
  const std::string full = absolute(path);
  if (options_.search.program.empty()) options_.search.program = folder_of(full);
  Transaction load;
  load.static_load = true;
  load.folders = options_.search.standard();
  auto mapped = map_file(full);
  if (!mapped) return propagate(mapped);
  Module* program = mapped->get();
  program->resolved_ = true;
  program->static_load = true;
  load.fresh.push_back(std::move(*mapped));  // first in load order: TLS index 0 if it has TLS
  if (auto bound = bind_imports(load, *program); !bound) return propagate(bound);
  load.order.push_back(program);
  if (auto ready = prepare(load); !ready) return propagate(ready);

  // The host gives its place as the program to the real one: first in the lists, at PEB.ImageBaseAddress.
  if (program_ != nullptr && program_->native) {
    unlink(program_->entry);
    const std::scoped_lock changing(modules_mutex_);
    std::erase_if(modules_, [this](const auto& module) { return module.get() == program_; });
  }
  program_ = program;
  peb_.ImageBaseAddress = program->base();
  publish(load);
  move_to_front(ldr_, program->entry);
  {
    const std::scoped_lock changing(modules_mutex_);
    std::ranges::rotate(modules_, std::ranges::find(modules_, program, &std::unique_ptr<Module>::get));
  }
  for (const auto& module : modules_) {
    if (module->static_load) module->pin();
  }
  const Obstacle obstacle = attach(load, *program);
  for (Module* module : load.order) module->arriving = false;
  if (obstacle) return error_of(obstacle);
  if (!notify_program(Reason::process_attach)) {
    return fail({.kind = ErrorKind::guest_ended,
                 .status = abi::STATUS_THREAD_IS_TERMINATING,
                 .what = "ended in a TLS callback",
                 .file = program->name});
  }
  program->entry.Flags |= abi::LDRP_ENTRY_PROCESSED;
  return program;
} catch (const std::bad_alloc&) {
  return no_memory();
}

}  // namespace bobbin::loader
