// The loader: which modules there are, how one more comes in, how one goes, and who is told.
//
// Coming in is two-phase for all modules of one load together:
//
//   map_tree()    find, parse, map, bind imports, recursively          may fail; the transaction's destructor
//   prepare()     TLS index and room in every live thread; protect     unmaps everything that is not
//   published
//   ---- nothing below can fail --------------------------------------------------------------------------
//   publish()     TLS blocks visible, LDR lists, GetModuleHandle finds it
//   attach()      TLS callbacks and DllMain, dependencies first; a refusal unloads again, in order
//
// All of this happens under the loader lock, the critical section at PEB.LoaderLock: recursive, visible to
// guests, held while DllMain and TLS callbacks run.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "abi/teb.hpp"
#include "base/error.hpp"
#include "image/image.hpp"
#include "loader/lint.hpp"
#include "loader/module.hpp"
#include "loader/native_modules.hpp"
#include "loader/search.hpp"
#include "memory/address_space.hpp"
#include "thread/thread.hpp"
#include "tls/engine.hpp"
#include "tls/fls.hpp"
#include "unwind/tables.hpp"

namespace bobbin::loader {

/// A DLL whose functions are natives, as the runtime registers it.
struct NativeDll {
  std::string_view name;  ///< "kernel32.dll"
  std::uint16_t dlls;     ///< which bits of NativeExport::dlls it exports
};

/// What depends on the Windows generation (architecture, decision 12).
struct Generation {
  bool tls_for_late_dlls = true;           ///< false before Vista
  bool disable_calls_reports_tls = false;  ///< DisableThreadLibraryCalls fails for a TLS module (before 11)
};

struct Options {
  SearchPath search;
  image::MapOptions map;
  Generation generation;
  std::span<const NativeDll> natives;
  std::span<const std::span<const NativeExport>> native_tables;
  /// Host path to Windows path, for LDR entries and GetModuleFileName.
  std::function<std::u16string(const std::string& host_path)> windows_path;
  /// Windows path (with a separator in it) to host path.
  std::function<std::optional<std::string>(std::u16string_view windows_path)> host_path;
  /// The end of the process: called once everything is detached; may not return.
  std::function<void(std::uint32_t code)> on_exit;
  /// If there is one, the guest is watched for what Lint finds.
  FindingSink on_finding = {};
  /// Told of each function that the guest asks for and that is not there: "foo.dll!function". Called under
  /// the loader lock.
  std::function<void(std::string name)> on_missing = {};
};

/// How a module is wanted.
struct LoadFlags {
  bool resolve = true;            ///< false: DONT_RESOLVE_DLL_REFERENCES
  bool own_folder_first = false;  ///< LOAD_WITH_ALTERED_SEARCH_PATH
  Places places = {};             ///< LOAD_LIBRARY_SEARCH_*
};

/// One import of a delay-import table. The texts are the image's own, hence NUL-ended.
struct DelayImport {
  const char* dll = nullptr;
  const char* name = nullptr;  ///< nullptr: by ordinal
  std::uint32_t ordinal = 0;
  void* target = nullptr;  ///< where the DLL stands, if it could be loaded
};

class Loader final : public thread::LifeObserver {
 public:
  Loader(Options options, memory::AddressSpace& space, tls::Engine& engine, thread::Threads& threads,
         abi::PEB& peb, abi::RTL_CRITICAL_SECTION& lock);
  ~Loader() override;

  /// Registers the native DLLs and, as the program, `host_path` (in a library: the host's own file).
  [[nodiscard]] Result<void> start(const std::string& host_path);

  class Guard;  // guard.hpp
  class Found;

  // All that follow take the loader lock themselves and may be called from any attached thread; what works on
  // a module wants it Found, which holds the lock.

  /// Loads a program as the process's EXE: it becomes PEB.ImageBaseAddress, gets TLS index 0, its DLLs are
  /// attached, then its own TLS callbacks run. What remains is to call its entry point. It stays to the end.
  [[nodiscard]] Result<Module*> load_program(const std::string& path);

  /// LoadLibraryEx; hands back where it stands. `name` is a bare name or a path, host or Windows; UTF-8.
  [[nodiscard]] Result<std::byte*> load(const std::string& name, const LoadFlags& flags = {});
  /// LOAD_LIBRARY_AS_DATAFILE: the file's bytes (or, with `as_image`, its sections laid out) to look at;
  /// nothing is bound or run. The handle is no module: its low bits are not 0. free_data() gives it back.
  [[nodiscard]] Result<void*> load_data(const std::string& name, bool as_image, const LoadFlags& flags = {});
  [[nodiscard]] Result<void> free_data(void* handle);
  /// FreeLibrary: one reference less; unloads what nobody needs any more.
  [[nodiscard]] Result<void> free(const void* base);
  static void add_reference(const Found& module);
  static void pin(const Found& module);

  /// GetModuleHandle. An empty name is the program.
  [[nodiscard]] Found find(const std::string& name);
  [[nodiscard]] Found find_by_base(const void* base);
  [[nodiscard]] Found find_by_address(const void* address);
  [[nodiscard]] std::size_t module_count();

  /// GetProcAddress. Errors name module and function.
  [[nodiscard]] Result<void*> procedure(const Found& module, std::string_view name);
  [[nodiscard]] Result<void*> procedure(const Found& module, std::uint32_t ordinal);
  /// Tells whoever listens that the guest asked for it in vain: a name, or "#ordinal".
  void note_missing(const Found& module, std::string_view function) const;

  /// Fills one slot of a delay-import descriptor (ResolveDelayLoadedAPI): loads the DLL if need be. `wanted`
  /// becomes what the slot is for, as far as that was found out before something failed.
  [[nodiscard]] Result<void*> resolve_delay_import(const Found& found, Rva descriptor, std::uint64_t* slot,
                                                   DelayImport& wanted);

  /// "foo.dll!function+0x12" for an address, as near as exports and COFF symbols tell; "0x..." for one in no
  /// module. Needs no loader lock, which is why it can be asked of a guest that hangs.
  [[nodiscard]] std::string describe_address(const void* address) const;
  /// The same in two parts: "foo.dll" and "function+0x12" (or "+0x12" without a symbol); empty ones.
  struct Named {
    std::string module, function;
  };
  [[nodiscard]] Named name_address(const void* address) const;
  /// "DllMain of foo.dll (PROCESS_ATTACH)": whom the lock's owner is just telling; empty if nobody. To be
  /// asked by the owner, or by whoever knows that it stands still.
  [[nodiscard]] std::string describe_notice() const;

  /// DisableThreadLibraryCalls. False where Windows of this generation answers FALSE.
  [[nodiscard]] bool disable_thread_calls(const Found& module);

  /// Calls `callback` of the guest, void(ULONG why, const LDR_DLL_NOTIFICATION_DATA*, PVOID context), under
  /// the loader lock whenever a module has come (1, before it is attached) or goes (2, after it was
  /// detached). Hands back what to unregister it by, which is never 0; 0 if the thread is being stopped.
  [[nodiscard]] std::uint64_t watch_modules(void* callback, void* context);
  /// False if there is none of that number.
  bool unwatch_modules(std::uint64_t number);

  /// An export of a host-provided DLL, made on first use (Runtime::provide).
  [[nodiscard]] Result<void> provide(const std::string& dll, const std::string& name, void* address);

  /// ExitProcess: specification 6.5. Returns only in a library.
  void exit_process(std::uint32_t code) noexcept;
  /// TerminateProcess on ourselves: no notification.
  void terminate_process(std::uint32_t code) noexcept;
  [[nodiscard]] bool shutting_down() const;
  /// What ExitProcess does once the other threads have been stopped: PROCESS_DETACH, in order.
  void shut_down() noexcept;
  /// Detaches every module that can be, in order; stops all other threads; unloads. The end of a Runtime.
  void unload_all() noexcept;

  /// Changes where DLLs are looked for.
  void change_search(const std::function<void(SearchPath&)>& change);
  /// Where a Windows path leads on the host.
  [[nodiscard]] std::optional<std::string> host_path(std::string_view windows_path) const;
  [[nodiscard]] abi::RTL_CRITICAL_SECTION& lock() { return lock_; }
  [[nodiscard]] const NativeTable& natives() const { return natives_; }
  /// nullptr unless somebody wants to know.
  [[nodiscard]] Lint* lint() const { return lint_.get(); }
  [[nodiscard]] const tls::Fls& fls() const { return engine_.fls(); }
  [[nodiscard]] thread::Threads& threads() const { return threads_; }

  // LifeObserver
  Result<void> born(thread::Thread& thread) override;
  void dying(thread::Thread& thread) noexcept override;
  void last_thread_exits(std::uint32_t code) noexcept override;
  void no_thread_is_left(std::uint32_t code) noexcept override;
  void fls_callback_is_gone(std::uint32_t index, const void* callback) noexcept override;

 private:
  struct Transaction;
  struct Kept;
  /// Of a module that is told. FALSE from PROCESS_ATTACH is `refused`.
  enum class Answer : std::uint8_t { accepted, refused, guest_ended };

  // load.cpp
  [[nodiscard]] Result<Module*> map_tree(Transaction& load, const std::string& name, const Module* importer);
  [[nodiscard]] Folders folders_for(const std::string& name, const LoadFlags& flags) const;
  [[nodiscard]] Result<std::string> locate(const std::string& name, const Folders& folders,
                                           const Module* importer) const;
  [[nodiscard]] Result<Module*> load_module(const std::string& name, const LoadFlags& flags = {});
  [[nodiscard]] Result<std::unique_ptr<Module>> map_file(const std::string& path);
  [[nodiscard]] Result<void> bind_imports(Transaction& load, Module& module);
  [[nodiscard]] Result<void> prepare(Transaction& load);
  void publish(Transaction& load) noexcept;
  static unwind::Module rows_of(const Module& module) noexcept;
  /// What stopped an attach, if anything: from there on the way back must not need memory for words.
  struct Obstacle {
    const Module* module = nullptr;
    Answer answer = {};
    explicit operator bool() const { return module != nullptr; }
  };
  [[nodiscard]] Obstacle attach(Transaction& load, Module& wanted) noexcept;
  [[nodiscard]] Obstacle attach(Module& module, std::uint32_t walk) noexcept;
  [[nodiscard]] Obstacle attach_now(Module& module) noexcept;
  [[nodiscard]] static std::unexpected<Error> error_of(const Obstacle& obstacle);
  [[nodiscard]] Result<Module*> finish(Transaction& load, Module* wanted);
  void set_names(Module& module, std::u16string full_name);
  [[nodiscard]] Result<void> add_native(std::string_view name, std::uint16_t dlls);

  // lookup.cpp
  [[nodiscard]] Module* look_for(const std::string& name) const;
  [[nodiscard]] Module* loaded(std::string_view key, const Transaction* load) const;
  [[nodiscard]] Module* loaded_from(const std::string& path, const Transaction* load) const;
  struct Wanted {
    std::string_view name;  ///< empty: by ordinal
    std::uint32_t ordinal = 0;
    [[nodiscard]] std::string describe() const;
  };
  [[nodiscard]] Result<void*> resolve(Transaction* load, Module& module, const Wanted& wanted, int depth = 0);
  [[nodiscard]] Result<void*> forwarded(Transaction* load, Module& module, std::string_view forwarder,
                                        int depth);

  // notify.cpp
  /// What is on top of the stack of the loader lock's owner.
  struct Notice {
    const Module* module = nullptr;
    Reason reason = {};
    bool by_callback = false;  ///< a TLS callback, not DllMain
  };
  /// How a notification ended: in order, by an exception that was swallowed, or with the guest.
  struct Told {
    bool finished = false;
    bool raised = false;
    Notice last;  ///< who was told last
  };
  /// TLS callbacks, then the entry point.
  template <class Body>
  Told inside_notice(Body& body);
  Answer notify(Module& module, Reason reason, void* reserved);
  /// The program's TLS callbacks. False if the guest ended meanwhile.
  bool notify_program(Reason reason);
  void notify_threads(Reason reason);
  void tell_callbacks(const Module& module, Reason reason);
  abi::BOOL tell(const Module& module, Reason reason, void* reserved);
  abi::BOOL tell_entry(const Module& module, Reason reason, void* reserved);
  /// How far telling all modules of a thread has come.
  struct Tour {
    Reason reason = {};
    std::size_t next = 0;  ///< in modules_, or backwards in initialised_
    Module* at = nullptr;
    std::uint32_t generation = 0;  ///< of the lists, when `at` was told
    bool entry_only = false;       ///< its callbacks were told
    bool program = false;          ///< the program was
  };
  void tell_of_thread(Tour& tour);
  [[nodiscard]] std::size_t tour_length(const Tour& tour) const;
  [[nodiscard]] Module* tour_stop(const Tour& tour, std::size_t i) const;
  void go_on(Tour& tour) const;
  void detach(Module& module, void* reserved);
  enum class Change : std::uint32_t { came = 1, goes = 2 };
  void tell_watchers(const Module& module, Change change);

  // unload.cpp
  /// `at_end` stops all other threads before anything is unmapped.
  void unload_unreachable(bool at_end = false) noexcept;
  void unpublish(Module& module) noexcept;
  void leave_callbacks(const Module& module) noexcept;

  Options options_;
  memory::AddressSpace& space_;
  tls::Engine& engine_;
  thread::Threads& threads_;
  abi::PEB& peb_;
  abi::RTL_CRITICAL_SECTION& lock_;
  abi::PEB_LDR_DATA ldr_{};
  NativeTable natives_;
  const std::unique_ptr<Lint> lint_;
  /// What FLS callbacks were called that unloaded modules have left behind. Guarded by modules_mutex_.
  std::map<const void*, std::string> left_callbacks_;
  /// Inner to all other locks. Whoever changes modules_ has it as well as the loader lock.
  mutable os::Mutex modules_mutex_;
  std::vector<std::unique_ptr<Module>> modules_;  ///< in load order
  struct DataFile;
  std::vector<std::unique_ptr<DataFile>> data_files_;
  std::vector<Module*> initialised_;  ///< in the order of their PROCESS_ATTACH
  Module* program_ = nullptr;
  Notice notice_;
  struct Watcher {
    void* callback;
    void* context;
  };
  std::map<std::uint64_t, Watcher> watchers_;  ///< in the order in which they came
  std::uint64_t last_watcher_ = 0;
  std::uint32_t walks_ = 0;                ///< along dependencies
  std::uint32_t generation_of_lists_ = 0;  ///< counts changes of modules_ and initialised_
};

}  // namespace bobbin::loader
