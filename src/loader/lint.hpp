// What a guest does wrong without coming to a standstill: what Windows documents as forbidden under the
// loader lock, and what an unloaded module leaves behind. On Windows most of it works until one day it hangs
// or crashes somewhere else.
//
// A finding is certain, as a deadlock's report is: a wait counts only if the thread has not ended, a load
// only if it maps something, an index only if it is still allocated when the module that allocated it has
// gone. What correct programs do there too is left alone: FlsGetValue in THREAD_DETACH, which every C runtime
// tries and finds NULL; an index that its DLL frees in PROCESS_DETACH; a thread that is past its routine;
// whatever the end of the process sweeps away.
//
// There is a Lint only while somebody listens (Loader::lint() is null otherwise), and only functions that are
// slow anyway ask for it: fast paths do not. FlsSetValue has one, and is of interest in THREAD_DETACH only: a
// thread that comes to it is sent past the fast path from there on (TEB.BobbinFlsIndices is 0).
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "os/os.hpp"
#include "sync/object.hpp"

namespace bobbin::thread {
class Thread;
}

namespace bobbin::loader {

class Loader;
class Module;

struct Finding {
  std::string_view rule;  ///< "wait-under-loader-lock"
  std::string module;     ///< "foo.dll": whose mistake it is; empty for code in no module
  std::string function;   ///< "DllMain+0x2a", as near as exports and COFF symbols tell; may be empty
  const void* address;    ///< of that code
  std::string text;       ///< what happened, in one line
  std::string_view advice;
};

/// Called on the thread that did it, in a native, often under the loader lock: must not call into the guest.
using FindingSink = std::function<void(const Finding&)>;

class Lint {
 public:
  Lint(Loader& loader, FindingSink sink) : loader_(loader), sink_(std::move(sink)) {}

  // What the calling thread is about to do, or has done, in a native.
  void waits(std::span<sync::Waitable* const> objects, bool all, os::Deadline deadline) noexcept;
  void creates_thread(const void* routine) noexcept;
  enum class Index : std::uint8_t { tls, fls };
  void allocated(Index kind, std::uint32_t index) noexcept;
  void freed(Index kind, std::uint32_t index) noexcept;
  void sets_fls(std::uint32_t index, const void* value) noexcept;

  // What the loader is about to do, under its lock.
  void loads(const Module& module) noexcept;
  void unloads(const Module& module) noexcept;
  /// Before and after a thread's THREAD_DETACH.
  void thread_detach_begins(thread::Thread& thread) noexcept;
  void thread_detach_ends(thread::Thread& thread) noexcept;

 private:
  struct Place {
    std::string module, function;
    const void* address = nullptr;
    [[nodiscard]] std::string text() const;
  };
  /// An index, and who allocated it.
  struct Allocation {
    Index kind;
    std::uint32_t index;
    Place by;
  };
  /// A value set in THREAD_DETACH.
  struct LateValue {
    std::uint32_t thread, index;
    const void* value;
    Place by;
    std::string in;  ///< "DllMain of foo.dll (THREAD_DETACH)"
  };

  [[nodiscard]] Place place_of(const void* address) const;
  /// The guest code that called the native that runs.
  [[nodiscard]] Place caller() const;
  [[nodiscard]] bool under_loader_lock() const;
  /// Whom the calling thread, under the loader lock, is telling of something; empty if nobody.
  [[nodiscard]] std::string notice() const;
  void find_left_callbacks(const Module& module);
  void find_left_threads(const Module& module);
  void find_leaked_indices(const Module& module);
  void report(std::string_view rule, const Place& place, std::string text, std::string_view advice);

  Loader& loader_;
  const FindingSink sink_;
  os::Mutex mutex_;  ///< inner to all locks but the loader's modules_mutex_; guards what follows
  std::set<std::string> reported_;  ///< rule and place: each is said once
  std::vector<Allocation> allocations_;
  std::vector<LateValue> late_values_;
};

}  // namespace bobbin::loader
