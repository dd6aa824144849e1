// Bobbin: call Windows DLLs, and run Windows programs, from a Linux process.
//
//     auto rt   = bobbin::Runtime::start({});
//     auto zlib = rt->load("zlib1.dll");
//     auto crc  = zlib->function<std::uint32_t(std::uint32_t, const void*, std::uint32_t)>("crc32");
//     auto sum  = (*crc)(0, data, size);
//
// Everything that can fail returns Result<T> = std::expected<T, Error>. Nothing throws, nothing ends the
// process.
//
// Threads. Any thread may call anything here. A thread that calls a guest function becomes a guest thread on
// its first call (DLL_THREAD_ATTACH and all), stays one, and is run down when it exits; the thread that
// started the Runtime is run down when the Runtime ends. Attached threads have pthread cancellation disabled,
// and SIGRTMAX-3 is ours. A guest thread must not be ended by pthread_exit or by an exception from below a
// guest frame.
//
// Types. What is passed to and from the guest is what C has there: fixed-width integers, float, double, bool,
// pointers, and C aggregates, as the Win64 convention passes them. `long` and `wchar_t` have other sizes in
// Windows (32 and 16 bits), and so has `long double`: they do not compile. Note that on Linux std::int64_t,
// std::uint64_t and std::size_t ARE long: say bobbin::Int64, bobbin::UInt64, bobbin::Size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <bobbin/error.hpp>

#define BOBBIN_GUEST_ABI __attribute__((ms_abi))

namespace bobbin {

/// 64-bit integers under a name that is not `long`.
using Int64 = long long;
using UInt64 = unsigned long long;
/// size_t of the guest.
using Size = unsigned long long;

// ---- what may cross the border ---------------------------------------------------------------------------

namespace detail {

template <class T>
inline constexpr bool is_foreign_sized =
    std::is_same_v<std::remove_cv_t<T>, long> || std::is_same_v<std::remove_cv_t<T>, unsigned long> ||
    std::is_same_v<std::remove_cv_t<T>, wchar_t> || std::is_same_v<std::remove_cv_t<T>, long double>;

template <class T>
inline constexpr bool is_function_pointer =
    std::is_pointer_v<T> && std::is_function_v<std::remove_pointer_t<T>>;

template <class T>
inline constexpr bool is_c_aggregate =
    (std::is_aggregate_v<T> || std::is_union_v<T>) && !std::is_array_v<T> &&
    std::is_trivially_copyable_v<T> && std::is_standard_layout_v<T>;

/// Refuses, with a sentence, what the Win64 convention passes differently or not at all.
template <class T>
consteval void check_value() {
  static_assert(!std::is_reference_v<T>, "bobbin: references do not cross to the guest: pass a pointer");
  static_assert(
      !is_foreign_sized<T>,
      "bobbin: long, wchar_t and long double have other sizes in Windows: use std::int32_t or "
      "bobbin::Int64/UInt64/Size (std::int64_t and std::size_t are long on Linux), char16_t, double");
  static_assert(
      !is_function_pointer<T>,
      "bobbin: a host function has another calling convention: pass runtime.callback<...>(f).address()");
  static_assert(std::is_void_v<T> || std::is_arithmetic_v<T> || std::is_enum_v<T> || std::is_pointer_v<T> ||
                    std::is_null_pointer_v<T> || is_c_aggregate<T> || is_foreign_sized<T> ||
                    std::is_reference_v<T>,
                "bobbin: only scalars, pointers and C aggregates cross to the guest, no C++ classes");
}

template <class... T>
consteval void check_values() {
  (check_value<T>(), ...);
}

struct State;  // the running Runtime

/// Runs body(context) as guest code of the calling thread, attached if need be. Nothing on success.
[[nodiscard]] std::optional<Error> run_in_guest(void (*body)(void*), void* context);

/// What assembly hands to a callback: integer cells by argument number, the first four floating arguments.
struct CallbackResult {
  std::uint64_t integer;
  double floating;
};
struct CallbackBase {
  virtual ~CallbackBase() = default;
  virtual void invoke(const std::uint64_t* cells, const double* floats, CallbackResult& result) = 0;
};
/// Guest-callable code for a callback (null if there was no memory for one), and its release.
[[nodiscard]] Result<void*> make_callback(CallbackBase* callback) noexcept;
void drop_callback(void* code, const CallbackBase* callback) noexcept;

/// Win64: aggregates of 1, 2, 4 and 8 bytes travel as integers, all others by reference.
template <class T>
inline constexpr bool passed_by_reference =
    is_c_aggregate<T> && sizeof(T) != 1 && sizeof(T) != 2 && sizeof(T) != 4 && sizeof(T) != 8;

template <class T>
T take_argument(std::size_t number, const std::uint64_t* cells, const double* floats) {
  T value;
  const void* from = &cells[number];
  if constexpr (passed_by_reference<T>) std::memcpy(&from, &cells[number], sizeof from);
  if constexpr (std::is_floating_point_v<T>) {
    if (number < 4) from = &floats[number];
  }
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <class Signature, class F>
class TypedCallback;

template <class R, class... A, class F>
class TypedCallback<R(A...), F> final : public CallbackBase {
 public:
  explicit TypedCallback(F function) : function_(std::move(function)) {}

  void invoke(const std::uint64_t* cells, const double* floats, CallbackResult& result) override {
    call(cells, floats, result, std::index_sequence_for<A...>{});
  }

 private:
  template <std::size_t... I>
  void call(const std::uint64_t* cells, const double* floats, CallbackResult& result,
            std::index_sequence<I...>) {
    if constexpr (std::is_void_v<R>) {
      function_(take_argument<A>(I, cells, floats)...);
    } else if constexpr (passed_by_reference<R>) {  // the caller's room for it comes as argument 0
      const R value = function_(take_argument<A>(I + 1, cells, floats)...);
      std::memcpy(reinterpret_cast<void*>(cells[0]), &value, sizeof value);
      result.integer = cells[0];
    } else {
      const R value = function_(take_argument<A>(I, cells, floats)...);
      if constexpr (std::is_floating_point_v<R>)
        std::memcpy(&result.floating, &value, sizeof value);
      else
        std::memcpy(&result.integer, &value, sizeof value);
    }
  }
  F function_;
};

template <class R, class Pointer, class... A>
Result<R> call_guest_function(Pointer function, A... arguments) {
  if constexpr (std::is_void_v<R>) {
    auto body = [&] { function(arguments...); };
    if (auto error = run_in_guest([](void* f) { (*static_cast<decltype(body)*>(f))(); }, &body)) {
      return std::unexpected(std::move(*error));
    }
    return {};
  } else {
    R result;
    auto body = [&] { result = function(arguments...); };
    if (auto error = run_in_guest([](void* f) { (*static_cast<decltype(body)*>(f))(); }, &body)) {
      return std::unexpected(std::move(*error));
    }
    return result;
  }
}

}  // namespace detail

// ---- functions of the guest ------------------------------------------------------------------------------

template <class Signature>
class Function;

/// A guest function of known signature. A plain value (an address): copy it freely; calling it after its
/// module or the Runtime is gone is as wrong as calling any dangling function pointer.
template <class R, class... A>
class Function<R(A...)> {
 public:
  explicit Function(void* address) : address_(address) { detail::check_values<R, A...>(); }

  /// Calls it on this thread. An Error if the thread could not be attached, or the guest ended meanwhile.
  Result<R> operator()(A... arguments) const {
    using Pointer = R(BOBBIN_GUEST_ABI*)(A...);
    return detail::call_guest_function<R>(reinterpret_cast<Pointer>(address_), arguments...);
  }
  [[nodiscard]] void* address() const { return address_; }

 private:
  void* address_;
};

/// A guest function that takes more arguments than its signature names (printf and the like):
/// Variadic<int(const char*)>. float and small integers are promoted as in C.
template <class Signature>
class Variadic;

template <class R, class... A>
class Variadic<R(A...)> {
 public:
  explicit Variadic(void* address) : address_(address) { detail::check_values<R, A...>(); }

  template <class... More>
  Result<R> operator()(A... arguments, More... more) const {
    detail::check_values<More...>();
    using Pointer = R(BOBBIN_GUEST_ABI*)(A..., ...);
    return detail::call_guest_function<R>(reinterpret_cast<Pointer>(address_), arguments..., more...);
  }
  [[nodiscard]] void* address() const { return address_; }

 private:
  void* address_;
};

/// A host function that the guest can call by address; it lives as long as this object.
class Callback {
 public:
  Callback(Callback&& other) noexcept = default;
  Callback& operator=(Callback&& other) noexcept {
    std::swap(code_, other.code_);
    std::swap(target_, other.target_);
    return *this;
  }
  ~Callback() {
    if (code_ != nullptr && target_) detail::drop_callback(code_, target_.get());
  }
  /// What to hand to the guest.
  [[nodiscard]] void* address() const { return code_; }

 private:
  friend class Runtime;
  Callback(void* code, std::unique_ptr<detail::CallbackBase> target)
      : code_(code), target_(std::move(target)) {}
  void* code_;
  std::unique_ptr<detail::CallbackBase> target_;
};

// ---- modules ---------------------------------------------------------------------------------------------

/// A loaded DLL; releases it (FreeLibrary) when it dies, if the Runtime still runs. Moves, does not copy.
/// Thread-safe.
class Module {
 public:
  Module(Module&& other) noexcept = default;
  Module& operator=(Module&& other) noexcept {
    std::swap(state_, other.state_);
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Module();

  /// An export by name. The signature is yours to know; it is not in the file.
  template <class Signature>
  [[nodiscard]] Result<Function<Signature>> function(std::string_view name) const {
    auto address = symbol(name);
    if (!address) return std::unexpected(std::move(address).error());
    return Function<Signature>(*address);
  }
  template <class Signature>
  [[nodiscard]] Result<Variadic<Signature>> variadic(std::string_view name) const {
    auto address = symbol(name);
    if (!address) return std::unexpected(std::move(address).error());
    return Variadic<Signature>(*address);
  }
  /// The address of an export: a function or a variable.
  [[nodiscard]] Result<void*> symbol(std::string_view name) const;
  [[nodiscard]] Result<void*> symbol(std::uint16_t ordinal) const;

  /// The HMODULE: where the image stands.
  [[nodiscard]] void* base() const;
  /// The file on the host.
  [[nodiscard]] std::string path() const;

 private:
  friend class Runtime;
  Module(std::shared_ptr<detail::State> state, void* handle) : state_(std::move(state)), handle_(handle) {}
  std::shared_ptr<detail::State> state_;
  void* handle_;
};

// ---- the runtime -----------------------------------------------------------------------------------------

/// Which Windows the guest meets, wherever the specification's version matrix shows a difference.
enum class Generation : std::uint8_t { nt52, vista, win10, win11 };

/// How a thread's TLS vector grows when a DLL with thread-local variables arrives while the thread runs.
/// Guests see no difference unless they look at addresses.
enum class TlsGrowth : std::uint8_t {
  in_place,  ///< a vector has room for all modules from the start, and never moves
  swap,      ///< as on Windows since Vista: replaced by a longer one, the old one kept until its thread ends
};

/// What is traced; bits of Options::trace.
enum TraceCategory : std::uint32_t {
  kTraceLoader = 1,
  kTraceTls = 2,
  kTraceThread = 4,
  kTraceExit = 8,
  kTraceNative = 16,
  kTraceSync = 32
};

/// Threads of the guest that wait for each other in a circle, so that none of them can ever go on.
///
/// What has an owner is followed: critical sections (the loader lock is one), SRW locks held exclusively,
/// mutexes, and threads that are waited for. A wait for an event or a semaphore counts only if all other
/// threads are stuck as well and no new one can start. Nothing is said of waits with a deadline, of alertable
/// ones, and of what has no known owner: so what is said is certain.
struct Deadlock {
  struct Member {
    std::uint32_t thread = 0;        ///< GetCurrentThreadId() of it
    std::vector<std::string> holds;  ///< "the loader lock", "critical section foo.dll!g_lock"
    std::string waits_for;           ///< "thread 8 to end"
    std::string where;               ///< "foo.dll!DllMain+0x2a"
  };
  std::vector<Member> members;  ///< each waits for what the next one holds, or is; the last for the first
  std::string rule;             ///< which rule was broken
  std::string text;             ///< all of this as a picture, for people
};

/// A mistake of the guest's that does not stop it: what Windows documents as forbidden under the loader lock,
/// or what an unloaded DLL leaves behind. Each is certain, and is told of once.
///
///     wait-under-loader-lock  a wait for a thread that has not ended; it needs the loader lock to end
///     load-in-dllmain         LoadLibrary of what is not loaded yet, in DllMain or a TLS callback
///     thread-in-dllmain       CreateThread there
///     fls-callback-unloaded   an FLS index calls back into a DLL that is unloaded
///     thread-unloaded         a thread runs whose start routine is in a DLL that is unloaded
///     tls-index-leaked, fls-index-leaked  a DLL is unloaded and has not freed an index
///     fls-set-after-run-down  an FLS value is set in THREAD_DETACH, whose callback is not called any more
struct Finding {
  std::string rule;
  std::string module;             ///< "foo.dll": where `address` is
  std::string function;           ///< "DllMain+0x2a", as near as exports and symbols tell
  const void* address = nullptr;  ///< the code that did it, or that is in question
  std::string text;               ///< what happened, in one line
  std::string advice;             ///< how to mend it
};

struct Options {
  /// The program that run() runs, a host path; empty in a library, where the host stands for it.
  std::string program = {};
  /// What follows the program's name on its command line.
  std::vector<std::string> arguments = {};
  /// Folders searched for DLLs after the program's own.
  std::vector<std::string> dll_path = {};
  /// Folder of the C runtime DLLs (ucrtbase.dll, msvcrt.dll, ...); empty: $BOBBIN_SYSTEM, or where the
  /// command was installed with them.
  std::string system_folder = {};
  /// Changes to the environment that the guest sees: a value, or nothing to remove the name.
  std::vector<std::pair<std::string, std::optional<std::string>>> environment = {};
  /// Whether the guest's environment starts from the host's.
  bool inherit_environment = true;
  Generation generation = Generation::win11;
  /// Nothing: $BOBBIN_TLS_GROWTH (swap or in-place), else in place.
  std::optional<TlsGrowth> tls_growth = {};
  /// Further drive letters: {"C", "/srv/windows"}. Z: is /.
  std::vector<std::pair<char, std::string>> drives = {};
  /// Folder for page-aligned copies of images; empty: $XDG_CACHE_HOME/bobbin/images. "-" turns it off.
  std::string cache_folder = {};
  /// Whether ExitProcess ends this process, as it does in the command. In a library it ends the guest only:
  /// calls into it return an Error of kind guest_ended whose status is the exit code.
  bool exit_ends_host = false;
  /// What CreateProcess puts before a Windows program's path and arguments to run it, {"/usr/bin/bobbin",
  /// "run"} for instance; empty: a guest cannot start programs.
  std::vector<std::string> child_command = {};
  /// Called when threads of the guest have come to wait for each other in a circle (the picture has gone to
  /// stderr by then), on one that waits: it must not call into the guest.
  std::function<void(const Deadlock&)> on_deadlock = {};
  /// Whether such a guest is ended, with exit code 3. Otherwise it hangs, as on Windows.
  bool deadlock_ends_guest = false;
  /// Says on stderr what it does wrong otherwise, each Finding once.
  bool lint = false;
  /// Called for each Finding (whether or not `lint` is set), on the thread that did it, which may hold the
  /// loader lock: it must not call into the guest.
  std::function<void(const Finding&)> on_finding = {};
  /// At the end of the guest, says on stderr which functions it asked GetProcAddress for in vain.
  bool list_missing = false;
  /// Set of TraceCategory; lines go to `trace_sink`, or to stderr if there is none.
  std::uint32_t trace = 0;
  void (*trace_sink)(std::string_view line) = nullptr;
};

/// What a Runtime holds at the moment; for tests and curiosity.
struct Statistics {
  std::size_t modules = 0;
  std::size_t threads = 0;
  std::size_t handles = 0;
  std::size_t allocations = 0;  ///< ranges of the guest's address space
};

/// What thread-local storage takes at the moment. Vectors and blocks count where they come from the guest's
/// heap: by swapping all do; in place only those that the guest installed itself.
struct TlsStatistics {
  TlsGrowth growth = TlsGrowth::in_place;
  std::uint32_t modules = 0;        ///< loaded ones that have thread-local variables
  std::uint32_t threads = 0;        ///< that have a block of each
  std::uint32_t vector_length = 0;  ///< entries that every thread's vector has at least
  std::uint64_t growths = 0;        ///< how often the vectors of all threads were outgrown
  std::uint64_t vectors = 0;        ///< in use or retired
  std::uint64_t vector_bytes = 0;
  std::uint64_t retired_vectors = 0;  ///< of these, replaced; kept until their threads end, who may read them
  std::uint64_t retired_bytes = 0;
  std::uint64_t ever_retired = 0;  ///< vectors retired since the start
  std::uint64_t blocks = 0;        ///< modules' variables, one block for each thread
  std::uint64_t block_bytes = 0;
  std::uint64_t unused = 0;     ///< blocks and vectors made for threads that ended before they got them
  std::uint64_t exchanges = 0;  ///< NtSetInformationProcess(ProcessTlsInformation) calls of the guest
};

/// The guest process inside this one. One at a time.
///
/// After fork(), the child has a copy of the guest with the calling thread alone. On it, guest functions can
/// be called as before, if no other thread was inside a Windows function or this interface at the moment of
/// the fork: as in any library, a lock that it held stays held. The child must not load or free DLLs, here
/// (refused) or by guest functions: TLS blocks of 4 KiB and more share a file with the parent's. Its end of
/// the Runtime is nobody's business but its own: it runs no PROCESS_DETACH, closes and deletes no files, and
/// after it the child can start a Runtime of its own. fork() and exec are always fine.
class Runtime {
 public:
  /// Makes the guest process; the calling thread is its first. Fails if one is running already.
  [[nodiscard]] static Result<Runtime> start(const Options& options);
  Runtime(Runtime&& other) noexcept = default;
  Runtime& operator=(Runtime&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  /// Unloads everything (PROCESS_DETACH, in order), stops and awaits guest threads, and runs the calling
  /// thread down. Other threads of the host may be attached, but must not be in a guest function. Modules,
  /// functions and callbacks that outlive the Runtime may be dropped, and answer that the guest has ended.
  ~Runtime();

  /// LoadLibrary: `name` is a path, or a name to be searched for. Modules that die release it.
  [[nodiscard]] Result<Module> load(const std::string& name);

  /// Runs Options::program to its end on the calling thread, and hands back its exit code. Once per Runtime.
  [[nodiscard]] Result<std::uint32_t> run();

  /// A guest function by its address (an entry of a vtable, a pointer that the guest handed out).
  template <class Signature>
  [[nodiscard]] Function<Signature> function_at(void* address) const {
    return Function<Signature>(address);
  }

  /// Makes a host function callable by the guest: `callback<int(const void*, const void*)>(lambda)`. It may
  /// be called from any guest thread; it must not throw (what it throws is reported, and 0 returned).
  template <class Signature, class F>
  [[nodiscard]] Result<Callback> callback(F function) {
    std::unique_ptr<detail::CallbackBase> target(
        new (std::nothrow) detail::TypedCallback<Signature, F>(std::move(function)));
    auto code = detail::make_callback(target.get());
    if (!code) return std::unexpected(std::move(code).error());
    return Callback(*code, std::move(target));
  }

  /// An export provided by the host: modules loaded later that import `dll`!`name` get `callback`, which must
  /// outlive them. The DLL need not exist otherwise.
  [[nodiscard]] Result<void> provide(const std::string& dll, const std::string& name,
                                     const Callback& callback);
  /// The same with a function made on the spot; it lives as long as the Runtime.
  template <class Signature, class F>
  [[nodiscard]] Result<void> provide(const std::string& dll, const std::string& name, F function) {
    auto made = callback<Signature>(std::move(function));
    if (!made) return std::unexpected(std::move(made).error());
    return provide_for_good(dll, name, std::move(*made));
  }

  /// Attaches the calling thread now rather than on its first call; detaches it before it exits.
  [[nodiscard]] Result<void> attach_thread();
  void detach_thread();

  [[nodiscard]] Statistics statistics() const;
  [[nodiscard]] TlsStatistics tls_statistics() const;

 private:
  explicit Runtime(std::shared_ptr<detail::State> state) : state_(std::move(state)) {}
  [[nodiscard]] Result<void> provide_for_good(const std::string& dll, const std::string& name,
                                              Callback callback);
  std::shared_ptr<detail::State> state_;
};

/// "0.1.0"
[[nodiscard]] const char* version();

}  // namespace bobbin
