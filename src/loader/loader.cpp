// Beginnings: the native DLLs, the host as program, and the lock.
#include "loader/loader.hpp"

#include <mutex>

#include "abi/status.hpp"
#include "loader/data_file.hpp"
#include "loader/guard.hpp"
#include "loader/lists.hpp"
#include "nls/utf.hpp"

namespace bobbin::loader {

Loader::Loader(Options options, memory::AddressSpace& space, tls::Engine& engine, thread::Threads& threads,
               abi::PEB& peb, abi::RTL_CRITICAL_SECTION& lock)
    : options_(std::move(options)),
      space_(space),
      engine_(engine),
      threads_(threads),
      peb_(peb),
      lock_(lock),
      natives_(options_.native_tables),
      lint_(options_.on_finding ? std::make_unique<Lint>(*this, options_.on_finding) : nullptr) {
  ldr_.Length = sizeof ldr_;
  ldr_.Initialized = 1;
  make_empty(ldr_.InLoadOrderModuleList);
  make_empty(ldr_.InMemoryOrderModuleList);
  make_empty(ldr_.InInitializationOrderModuleList);
  peb_.Ldr = &ldr_;
}

Loader::~Loader() { peb_.Ldr = nullptr; }

bool Loader::shutting_down() const { return ldr_.ShutdownInProgress != 0; }

Result<void> Loader::start(const std::string& host_path) {
  // The program comes first in load order, as on Windows; load_program() replaces it by a real one.
  auto image = SyntheticImage::make(space_, "", {}, false);
  if (!image) return propagate(image);
  auto program = std::make_unique<Module>();
  program->native = std::make_unique<NativePart>(std::move(*image));
  program->entry.DllBase = program->native->image.base();
  program->entry.SizeOfImage = static_cast<abi::ULONG>(program->native->image.size());
  program->entry.Flags = abi::LDRP_ENTRY_PROCESSED;
  program->path = host_path;
  program->pinned = true;
  set_names(*program, options_.windows_path(host_path));
  program_ = program.get();
  modules_.push_back(std::move(program));  // nobody else is there yet
  link(ldr_, program_->entry);
  peb_.ImageBaseAddress = program_->entry.DllBase;
  for (const NativeDll& dll : options_.natives) {
    if (auto added = add_native(dll.name, dll.dlls); !added) return propagate(added);
  }
  return {};
}

void Loader::set_names(Module& module, std::u16string full_name) {
  module.full_name = std::move(full_name);
  const std::size_t slash = module.full_name.find_last_of(u'\\');
  module.base_name = slash == std::u16string::npos ? module.full_name : module.full_name.substr(slash + 1);
  module.name = nls::to_utf8(module.base_name);
  module.key = lower(module.name);
  const auto counted = [](std::u16string& text) {
    const auto bytes = static_cast<abi::USHORT>(text.size() * 2);
    return abi::UNICODE_STRING{bytes, static_cast<abi::USHORT>(bytes + 2), text.data()};
  };
  module.entry.FullDllName = counted(module.full_name);
  module.entry.BaseDllName = counted(module.base_name);
}

Result<void> Loader::add_native(std::string_view name, std::uint16_t dlls) {
  std::vector<SyntheticImage::Symbol> symbols;
  for (const NativeExport* native : natives_.of(dlls)) {
    symbols.push_back({native->name, native->address, native->fast});
  }
  auto image = SyntheticImage::make(space_, name, symbols, true);
  if (!image) return propagate(image);
  auto module = std::make_unique<Module>();
  module->native = std::make_unique<NativePart>(std::move(*image));
  module->native->dlls = dlls;
  for (std::size_t i = 0; i < symbols.size(); ++i) {
    if (symbols[i].fast != nullptr) {
      module->native->instead.emplace(symbols[i].name, module->native->image.entry(i));
    }
  }
  module->entry.DllBase = module->native->image.base();
  module->entry.SizeOfImage = static_cast<abi::ULONG>(module->native->image.size());
  module->entry.Flags = abi::LDRP_IMAGE_DLL | abi::LDRP_ENTRY_PROCESSED | abi::LDRP_PROCESS_ATTACH_CALLED;
  module->pin();
  module->resolved_ = true;
  set_names(*module, u"C:\\Windows\\System32\\" + nls::to_utf16(name));
  unwind::function_tables().reserve_modules(1);
  {
    const std::scoped_lock changing(modules_mutex_);
    modules_.push_back(std::move(module));
  }
  Module& added = *modules_.back();
  link(ldr_, added.entry);
  link_initialised(ldr_, added.entry);
  unwind::function_tables().add_module(rows_of(added));
  ++generation_of_lists_;
  return {};
}

Result<void> Loader::provide(const std::string& dll, const std::string& name, void* address) {
  const Guard guard(*this);
  if (!guard.held()) return interrupted();
  const std::string key = lower(with_extension(dll));
  decltype(NativePart::instead) provided{{name, address}};
  Module* module = loaded(key, nullptr);
  if (module == nullptr) {
    if (auto added = add_native(with_extension(dll), 0); !added) return propagate(added);
    module = modules_.back().get();
  }
  if (!module->native) {
    return fail({.kind = ErrorKind::invalid,
                 .status = abi::STATUS_OBJECT_NAME_COLLISION,
                 .what = "a file of that name is already loaded",
                 .file = dll,
                 .advice = "provide() exports before loading the modules that import them"});
  }
  module->native->instead.erase(name);
  module->native->instead.merge(provided);
  return {};
}

void Loader::change_search(const std::function<void(SearchPath&)>& change) {
  const Guard guard(*this);
  if (guard.held()) change(options_.search);
}

std::optional<std::string> Loader::host_path(std::string_view windows_path) const {
  return options_.host_path(nls::to_utf16(windows_path));
}

}  // namespace bobbin::loader
