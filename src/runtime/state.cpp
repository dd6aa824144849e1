#include "runtime/state.hpp"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <mutex>
#include <new>
#include <utility>

#include <fmt/format.h>

#include "abi/status.hpp"
#include "loader/guard.hpp"
#include "nls/utf.hpp"
#include "runtime/native_dlls.hpp"
#include "seh/dispatch.hpp"
#include "thread/guest_call.hpp"
#include "trace/trace.hpp"
#include "win32/natives.hpp"
#include "win32/pool.hpp"

namespace bobbin::detail {
namespace {

constinit std::atomic<State*> g_running{nullptr};
std::mutex g_starting;

/// The version matrix of the specification (section 9), as far as rooms ask for it. The one place where the
/// generation is looked at.
struct Matrix {
  loader::Generation loader;
  bool honour_alignment;
  std::uint32_t growth_step;  ///< of TLS vectors, and what they have to spare at first
  bool fls_in_peb;            ///< 127 indices, and where they are kept
  bool fls_last;              ///< FLS callbacks of a thread that exits come after THREAD_DETACH
  std::uint32_t major, minor, build;
};
Matrix matrix(Generation generation) {
  Matrix of{.loader = {.tls_for_late_dlls = true, .disable_calls_reports_tls = true},
            .honour_alignment = true,
            .growth_step = 8,
            .fls_in_peb = false,
            .fls_last = false,
            .major = 10,
            .minor = 0,
            .build = 19045};
  switch (generation) {
    case Generation::nt52:
      of = {.loader = {.tls_for_late_dlls = false, .disable_calls_reports_tls = true},
            .honour_alignment = false,
            .growth_step = 0,
            .fls_in_peb = true,
            .fls_last = true,
            .major = 5,
            .minor = 2,
            .build = 3790};
      break;
    case Generation::vista:
      of.honour_alignment = false;
      of.growth_step = 4;
      of.fls_in_peb = true;
      of.major = 6;
      of.build = 6002;
      break;
    case Generation::win10:
      break;
    case Generation::win11:
      of.loader.disable_calls_reports_tls = false;
      of.build = 22631;
      break;
  }
  return of;
}

/// Options say it, or $BOBBIN_TLS_GROWTH, which child processes inherit.
Result<tls::Growth> growth(const Options& options) {
  if (options.tls_growth)
    return *options.tls_growth == TlsGrowth::swap ? tls::Growth::swap : tls::Growth::in_place;
  const char* const named = getenv("BOBBIN_TLS_GROWTH");
  const std::string_view name = named != nullptr ? named : "in-place";
  if (name == "in-place") return tls::Growth::in_place;
  if (name == "swap") return tls::Growth::swap;
  return fail({.kind = ErrorKind::invalid,
               .status = abi::STATUS_INVALID_PARAMETER,
               .what = "BOBBIN_TLS_GROWTH is '" + std::string(name) + "'",
               .advice = "set it to swap or in-place"});
}

std::string own_path() {
  char path[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path);
  return length > 0 ? std::string(path, static_cast<std::size_t>(length)) : std::string("/proc/self/exe");
}

/// Where the C runtime DLLs are, unless told: $BOBBIN_SYSTEM, or beside the command.
std::string system_folder(const Options& options) {
  if (!options.system_folder.empty()) return options.system_folder;
  if (const char* named = getenv("BOBBIN_SYSTEM"); named != nullptr) return named;
  const std::string root = loader::folder_of(loader::folder_of(own_path()));
  for (const char* candidate : {"/system", "/lib/bobbin/system"}) {
    if (access((root + candidate).c_str(), R_OK) == 0) return root + candidate;
  }
  return "/usr/lib/bobbin/system";
}

std::string image_cache(const Options& options) {
  if (options.cache_folder == "-") return {};
  if (!options.cache_folder.empty()) return options.cache_folder;
  if (const char* cache = getenv("XDG_CACHE_HOME"); cache != nullptr && *cache != 0) {
    return std::string(cache) + "/bobbin/images";
  }
  const char* home = getenv("HOME");
  return home != nullptr && *home != 0 ? std::string(home) + "/.cache/bobbin/images" : std::string();
}

void (*g_trace_sink)(std::string_view) = nullptr;

void install_trace(const Options& options) {
  g_trace_sink = options.trace_sink;
  trace::install(
      [](trace::Category, std::string_view line) {
        if (g_trace_sink != nullptr) return g_trace_sink(line);
        std::fprintf(stderr, "bobbin: %.*s\n", static_cast<int>(line.size()), line.data());
      },
      options.trace);
}

}  // namespace

void* ProcessHeap::allocate(std::size_t size) noexcept {
  if (os::injected_failure()) return nullptr;
  try {
    return heap_.allocate(size, {.zeroed = true});
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

State* running() noexcept { return g_running.load(std::memory_order_acquire); }

loader::SearchPath search_path(const Options& options) {
  loader::SearchPath path;
  path.extra = options.dll_path;
  path.system = system_folder(options);
  return path;
}

Result<std::shared_ptr<State>> State::create(const Options& options) {
  const std::scoped_lock lock(g_starting);
  if (running() != nullptr) {
    return fail({.kind = ErrorKind::invalid,
                 .status = abi::STATUS_OBJECT_NAME_COLLISION,
                 .what = "a Runtime is running already: there is one guest process in a host process",
                 .advice = "use that one, or end it first"});
  }
  std::shared_ptr<State> state(new State, Deleter());
  state->options = options;
  g_running = state.get();
  if (auto built = state->build(); !built) return propagate(built);  // ~State gives g_running back
  return state;
}

Result<void> State::build() {
  if (const char* nth = getenv("BOBBIN_FAIL_ALLOCATION"); nth != nullptr)
    os::fail_allocation(strtoull(nth, nullptr, 10));
  if (options.trace != 0) install_trace(options);
  const std::string program = options.program.empty() ? own_path() : options.program;

  io::DriveTable drives;
  for (const auto& [letter, folder] : options.drives) {
    if (auto mapped = drives.map(static_cast<char16_t>(letter), folder); !mapped) return propagate(mapped);
  }
  files = std::make_unique<io::Files>(std::move(drives));
  process::ProcessOptions process_options{.program = program, .arguments = options.arguments};
  if (options.inherit_environment) process_options.host_environment = environ;
  for (const auto& [name, value] : options.environment) {
    if (value)
      process_options.set_variables.emplace_back(name, *value);
    else
      process_options.unset_variables.push_back(name);
  }
  process_options.is_whole_process = options.exit_ends_host;
  process_options.child_command = options.child_command;
  auto made_process = process::Process::create(std::move(process_options), *files, handles);
  if (!made_process) return propagate(made_process);
  process = std::move(*made_process);

  const Matrix windows = matrix(options.generation);
  fill_peb();
  peb.OSMajorVersion = windows.major;
  peb.OSMinorVersion = windows.minor;
  peb.OSBuildNumber = static_cast<abi::USHORT>(windows.build);
  auto tls_growth = growth(options);
  if (!tls_growth) return propagate(tls_growth);
  if (windows.fls_in_peb) {
    fls_bitmap = {tls::kOldFlsLimit, peb.FlsBitmapBits};
    peb.FlsBitmap = &fls_bitmap;
    peb.FlsCallback = fls_callbacks.data();
  }
  auto made_engine = tls::Engine::create({.growth = *tls_growth,
                                          .heap = &process_heap,
                                          .growth_step = windows.growth_step,
                                          .honour_alignment = windows.honour_alignment,
                                          .fls_in_peb = windows.fls_in_peb ? &peb : nullptr},
                                         peb.TlsBitmapBits, peb.TlsExpansionBitmapBits);
  if (!made_engine) return propagate(made_engine);
  engine = std::move(*made_engine);
  threads = std::make_unique<thread::Threads>(*engine, space, heaps, peb);
  threads->set_fls_last(windows.fls_last);

  loader::Options loader_options;
  loader_options.search = search_path(options);
  loader_options.map.cache_folder = image_cache(options);
  loader_options.generation = windows.loader;
  loader_options.natives = kNativeDlls;
  loader_options.native_tables = win32::all_natives();
  loader_options.windows_path = [this](const std::string& host) { return files->drives().to_windows(host); };
  loader_options.host_path = [this](std::u16string_view path) -> std::optional<std::string> {
    auto located = files->locate(path);
    if (!located || !located->exists) return std::nullopt;
    return located->host;
  };
  loader_options.on_exit = [this](std::uint32_t code) { on_exit(code); };
  if (options.lint || options.on_finding)
    loader_options.on_finding = [this](const loader::Finding& found) { report(found); };
  if (options.list_missing) {
    loader_options.on_missing = [this](std::string name) {
      const std::scoped_lock lock(missing_mutex_);
      ++missing_[std::move(name)];
    };
  }
  loader =
      std::make_unique<loader::Loader>(std::move(loader_options), space, *engine, *threads, peb, loader_lock);
  services = std::make_unique<win32::Services>(
      win32::Services{handles, space, heaps, *files, *process, *threads, *loader, *engine});
  win32::install(services.get());
  seh::install({.terminate = [](std::uint32_t code) { win32::services().loader.terminate_process(code); },
                .describe =
                    [](std::uint64_t address) {
                      return win32::services().loader.describe_address(
                          reinterpret_cast<const void*>(address));
                    },
                .take_guard =
                    [](std::uint64_t address) {
                      return reinterpret_cast<std::uint64_t>(
                          win32::services().memory.take_guard(reinterpret_cast<const void*>(address)));
                    },
                .answer_to_bad_pointer = &win32::answer_to_bad_pointer});

  auto first = threads->attach_current();
  if (!first) return propagate(first);
  (*first)->notified = true;  // there was nobody to tell; of its end there may be
  if (auto started = loader->start(program); !started) return started;
  threads->set_observer(loader.get());
  sync::watch_for_deadlocks(
      [](const sync::Deadlock& deadlock) {
        if (State* state = running(); state != nullptr) state->report(deadlock);
      },
      &loader_lock);
  return {};
}

void State::report(const loader::Finding& found) {
  const Finding finding{.rule = std::string(found.rule),
                        .module = found.module,
                        .function = found.function,
                        .address = found.address,
                        .text = found.text,
                        .advice = std::string(found.advice)};
  if (options.lint) {
    std::fprintf(stderr, "bobbin: lint: %s: %s\n  mend: %s\n", finding.rule.c_str(), finding.text.c_str(),
                 finding.advice.c_str());
  }
  if (options.on_finding) options.on_finding(finding);
}

/// In one piece, for programs that the guest has started may say theirs.
void State::list_missing() noexcept try {
  if (!options.list_missing) return;
  const std::scoped_lock lock(missing_mutex_);
  std::string text =
      fmt::format("bobbin: {} asked for {} in vain{}\n",
                  std::filesystem::path(process->options().program).filename().string(),
                  missing_.empty() ? "no function" : "these functions", missing_.empty() ? "" : ":");
  for (const auto& [name, times] : missing_)
    text += times == 1 ? fmt::format("  {}\n", name) : fmt::format("  {} ({} times)\n", name, times);
  std::fwrite(text.data(), 1, text.size(), stderr);
} catch (const std::bad_alloc&) {
  std::fputs("bobbin: no memory to list what was missing\n", stderr);
}

void State::fill_peb() {
  sync::initialize(loader_lock, 0);
  sync::initialize(peb_lock, 0);
  tls_bitmap = {64, peb.TlsBitmapBits};
  tls_expansion_bitmap = {abi::TLS_EXPANSION_SLOTS, peb.TlsExpansionBitmapBits};
  peb.TlsBitmap = &tls_bitmap;
  peb.TlsExpansionBitmap = &tls_expansion_bitmap;
  peb.LoaderLock = &loader_lock;
  peb.FastPebLock = &peb_lock;
  peb.ProcessHeap = heaps.process_heap();
  peb.NumberOfHeaps = peb.MaximumNumberOfHeaps = 1;
  peb.ProcessHeaps = &peb.ProcessHeap;
  peb.NumberOfProcessors = static_cast<abi::ULONG>(sysconf(_SC_NPROCESSORS_ONLN));
  peb.OSPlatformId = 2;
  peb.ImageSubsystem = 3;
  peb.ProcessParameters = process->parameters().get();
}

State::~State() { shut_down(); }

void State::shut_down() noexcept {
  if (std::exchange(shut_, true)) return;
  if (is_copy()) {
    ended = true;
    thread::forget_current();
    g_running = nullptr;
    return;
  }
  const bool attached = loader && threads && thread::current_or_null() != nullptr;
  if (attached && !ended) {
    loader->unload_all();
    list_missing();
  }
  if (threads) threads->stop_all_others(exit_code);
  ended = true;  // from now on nobody attaches
  if (files) files->operations().stop();
  // All that a thread may be using stays until it has gone.
  if (threads) threads->await_others();
  sync::watch_for_deadlocks(nullptr, nullptr);
  if (services) win32::stop_pools();
  if (threads) threads->detach_current();
  kept.clear();
  trace::install(nullptr, 0);
  loader.reset();
  threads.reset();
  win32::install(nullptr);
  services.reset();
  seh::uninstall();
  g_running = nullptr;
}

Error State::ended_error() const {
  return {.kind = ErrorKind::guest_ended,
          .status = exit_code.load(),
          .what = "the guest has ended (exit code " + std::to_string(exit_code.load()) + ")",
          .advice = "start a new Runtime"};
}

Result<thread::Thread*> State::attach() noexcept {
  return without_throwing([&]() -> Result<thread::Thread*> {
    if (ended) return fail(ended_error());
    return threads->attach_current();
  });
}

Result<std::byte*> State::load(const std::string& name) {
  if (is_copy()) {
    return fail({.kind = ErrorKind::invalid,
                 .status = abi::STATUS_NOT_SUPPORTED,
                 .what = "the child of a fork cannot load modules into the guest of its parent",
                 .file = name,
                 .advice = "end this Runtime, which leaves the parent's as it is, and start another"});
  }
  if (auto attached = attach(); !attached) return propagate(attached);
  return loader->load(name);
}

void State::on_exit(std::uint32_t code) {
  if (exiting_.exchange(true)) return;  // the first one's code counts, as with an ExitProcess within a detach
  exit_code = code;
  ended = true;
  ended.notify_all();
  process->leave(code);
  list_missing();
  if (options.exit_ends_host) {
    if (const char* nth = getenv("BOBBIN_FAIL_ALLOCATION"); nth != nullptr && os::fail_allocation(0) != 0)
      std::fprintf(stderr, "bobbin: BOBBIN_FAIL_ALLOCATION=%s: there were fewer allocations than that\n",
                   nth);
    std::fflush(nullptr);
    // A guest code above 255 gives its low byte, or 1 if that is 0: failure must stay failure.
    const std::uint32_t low = code & 0xFF;
    _exit(static_cast<int>(low == 0 && code != 0 ? 1 : low));
  }
}

Result<std::uint32_t> State::run() {
  auto program = loader->load_program(options.program);
  if (!program) return ended ? Result<std::uint32_t>(exit_code.load()) : propagate(program);
  loader::Module& module = **program;
  const pe::Header& header = module.image->parsed.header();
  if (module.is_dll() || module.entry.EntryPoint == nullptr) {
    return fail({.kind = ErrorKind::invalid,
                 .status = abi::STATUS_INVALID_IMAGE_FORMAT,
                 .what = "is a DLL or has no entry point: it cannot be run",
                 .file = options.program,
                 .advice = "`bobbin call` calls a function of a DLL"});
  }
  peb.ImageSubsystem = header.subsystem;
  threads->set_default_stack_size(header.stack_reserve);
  threads->run_main(header.stack_reserve, module.entry.EntryPoint, &peb);
  if (!ended) {  // the main thread has ended, others go on: the last one ends the process
    threads->detach_current();
    ended.wait(false);
  }
  return exit_code.load();
}

}  // namespace bobbin::detail
