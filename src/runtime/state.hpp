// The running guest process: every room's objects, in the order in which they need each other.
#pragma once

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <bobbin/bobbin.hpp>

#include "abi/teb.hpp"
#include "io/files.hpp"
#include "loader/loader.hpp"
#include "memory/address_space.hpp"
#include "memory/heaps.hpp"
#include "process/process.hpp"
#include "runtime/callbacks.hpp"
#include "sync/deadlock.hpp"
#include "sync/handle_table.hpp"
#include "thread/thread.hpp"
#include "tls/engine.hpp"
#include "tls/fls.hpp"
#include "win32/services.hpp"

namespace bobbin::detail {

/// The process heap as the TLS engine knows it.
class ProcessHeap final : public tls::GuestHeap {
 public:
  explicit ProcessHeap(memory::Heaps& heaps) : heap_(*heaps.find(heaps.process_heap())) {}
  void* allocate(std::size_t size) noexcept override;
  std::optional<std::size_t> size(const void* block) const noexcept override { return heap_.size(block); }
  void free(void* block) noexcept override { (void)heap_.free(block); }

 private:
  memory::Heap& heap_;
};

struct State {
  /// Builds everything up to an attached calling thread, or says why not. One State at a time.
  [[nodiscard]] static Result<std::shared_ptr<State>> create(const Options& options);
  ~State();
  /// Ends the guest and takes everything apart that it was made of. What is left answers that it has ended: a
  /// Module that outlives its Runtime holds that.
  void shut_down() noexcept;

  /// Makes the calling thread a guest thread if it is not one. An Error once the guest has ended.
  [[nodiscard]] Result<thread::Thread*> attach() noexcept;
  [[nodiscard]] Error ended_error() const;
  /// Whether this is a copy, in the child of a fork: whatever the guest has outside its memory, files and
  /// templates of TLS blocks, is the parent's, and so is it to take them apart.
  [[nodiscard]] bool is_copy() const { return os::process_id() != process_id; }
  [[nodiscard]] Result<std::byte*> load(const std::string& name);
  [[nodiscard]] Result<std::uint32_t> run();

  Options options;
  abi::PEB peb{};
  abi::RTL_CRITICAL_SECTION loader_lock{};
  abi::RTL_CRITICAL_SECTION peb_lock{};
  abi::RTL_BITMAP tls_bitmap{}, tls_expansion_bitmap{};
  abi::RTL_BITMAP fls_bitmap{};                               ///< of generations that show it in the PEB
  std::array<abi::PVOID, tls::kOldFlsLimit> fls_callbacks{};  ///< likewise

  memory::AddressSpace space;
  memory::Heaps heaps;
  ProcessHeap process_heap{heaps};
  std::unique_ptr<io::Files> files;
  sync::HandleTable handles;  ///< after files, which what it names may use to its end
  std::unique_ptr<process::Process> process;
  std::unique_ptr<tls::Engine> engine;
  std::unique_ptr<thread::Threads> threads;
  std::unique_ptr<loader::Loader> loader;
  std::unique_ptr<win32::Services> services;
  CallbackPages callbacks{space};
  std::vector<Callback> kept;  ///< of provide(); live as long as the guest
  const std::uint32_t process_id = os::process_id();

  std::atomic<bool> ended{false};
  std::atomic<std::uint32_t> exit_code{0};

 private:
  struct Deleter {  ///< a copy is left as it is
    void operator()(State* state) const {
      if (!state->is_copy()) delete state;
    }
  };
  State() = default;
  [[nodiscard]] Result<void> build();
  void fill_peb();
  void report(const sync::Deadlock& found);  // deadlock.cpp
  void report(const loader::Finding& found);
  void on_exit(std::uint32_t code);
  void list_missing() noexcept;

  bool shut_ = false;
  std::mutex missing_mutex_;
  std::map<std::string, std::size_t> missing_;  ///< what was asked for in vain, and how often; missing_mutex_
  std::atomic<bool> exiting_{false};
};

/// The State there is, or nullptr. What guest threads reach the runtime by.
[[nodiscard]] State* running() noexcept;

}  // namespace bobbin::detail
