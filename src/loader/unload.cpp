// How modules go, and how the process ends.
//
// A module stays while it is reachable: from one that is pinned or has references (LoadLibrary calls), along
// what modules were bound to. So there are no counts to keep for dependencies, and circles of DLLs that
// import each other go as soon as nobody else needs them.
#include <algorithm>
#include <cstdio>
#include <mutex>
#include <new>

#include <fmt/format.h>

#include "abi/status.hpp"
#include "loader/guard.hpp"
#include "loader/lists.hpp"
#include "loader/loader.hpp"
#include "trace/trace.hpp"

namespace bobbin::loader {
namespace {

void mark(Module& module, std::uint32_t walk) noexcept {
  if (module.reached == walk) return;
  module.reached = walk;
  for (Module* needed : module.dependencies) mark(*needed, walk);
}

/// Modules that are unloaded together, linked through themselves: to unload must not need memory.
class Leavers {
 public:
  void add(Module& module) noexcept {
    module.leaving = true;
    (last_ != nullptr ? last_->leaves_after : first_) = &module;
    last_ = &module;
  }
  /// `tell` may let others load and unload, but none of these goes by that.
  template <class Tell>
  void each(Tell tell) const {
    for (Module *module = first_, *next = nullptr; module != nullptr; module = next) {
      next = module->leaves_after;  // first: `tell` may end it
      tell(*module);
    }
  }

 private:
  Module* first_ = nullptr;
  Module* last_ = nullptr;
};

}  // namespace

void Loader::add_reference(const Found& module) { ++module->references; }

void Loader::pin(const Found& module) { module->pin(); }

Result<void> Loader::free(const void* base) {
  const Found module = find_by_base(base);
  if (!module) {
    return fail(
        {.kind = ErrorKind::invalid, .status = abi::STATUS_DLL_NOT_FOUND, .what = "no module stands there"});
  }
  if (shutting_down() || module->pinned) return {};  // inert (specification 6.5), or never unloaded
  if (module->references == 0) {
    return fail({.kind = ErrorKind::invalid,
                 .status = abi::STATUS_INVALID_HANDLE,
                 .what = "was freed more often than it was loaded",
                 .file = module->name});
  }
  if (--module->references == 0) unload_unreachable();
  return {};
}

void Loader::unload_unreachable(bool at_end) noexcept {
  const std::uint32_t walk = ++walks_;
  for (const auto& module : modules_) {
    if (module->pinned || module->arriving || module->references != 0) mark(*module, walk);
  }
  const auto goes = [walk](const Module& module) { return !module.leaving && module.reached != walk; };
  Leavers leavers;
  // In reverse order of their initialisation, then what was not initialised.
  for (std::size_t left = initialised_.size(); left-- > 0;) {
    if (goes(*initialised_[left])) leavers.add(*initialised_[left]);
  }
  for (const auto& module : modules_) {
    if (goes(*module)) leavers.add(*module);
  }
  leavers.each([this](Module& module) { detach(module, nullptr); });
  leavers.each([this](const Module& module) { tell_watchers(module, Change::goes); });
  if (at_end) {
    // A DLL may stop its own threads in its detach; those that run on lose their code only now.
    threads_.stop_all_others(0);
  } else if (lint_) {
    leavers.each([this](const Module& module) { lint_->unloads(module); });
  }
  leavers.each([this](Module& module) { unpublish(module); });
}

void Loader::unpublish(Module& module) noexcept {
  trace::emit(trace::Category::loader, [&] { return "unload " + module.path; });
  unlink(module.entry);
  unwind::function_tables().remove_module(reinterpret_cast<std::uint64_t>(module.base()));
  if (module.tls && module.tls->index) engine_.release_module(*module.tls->index);
  leave_callbacks(module);
  std::erase(initialised_, &module);
  ++generation_of_lists_;
  const std::scoped_lock changing(modules_mutex_);
  std::erase_if(modules_, [&](const auto& one) { return one.get() == &module; });
}

/// On Windows an FLS callback into a module that is gone is a crash of the next thread that ends with a value
/// of it. Here it is not called, and what it was is remembered.
void Loader::leave_callbacks(const Module& module) noexcept {
  if (!module.image) return;
  engine_.fls().image_goes(module.base(), module.size(), [&](std::uint32_t, const void* callback) {
    try {
      std::string name = describe_address(callback);
      const std::scoped_lock changing(modules_mutex_);
      left_callbacks_.insert_or_assign(callback, std::move(name));
    } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): then it is told by its address alone
    }
  });
}

void Loader::fls_callback_is_gone(std::uint32_t index, const void* callback) noexcept {
  {
    const std::scoped_lock lock(modules_mutex_);
    const auto at = left_callbacks_.find(callback);
    std::fprintf(
        stderr,
        "bobbin: thread %u: FLS index %u calls back %s at %p, but that module was unloaded without FlsFree: "
        "the guest ends, as on Windows, with 0x%x\n",
        thread::current().id(), index, at != left_callbacks_.end() ? at->second.c_str() : "what was",
        callback, unsigned{abi::STATUS_ACCESS_VIOLATION});
  }
  terminate_process(abi::STATUS_ACCESS_VIOLATION);
}

void Loader::unload_all() noexcept {
  const Guard guard(*this);
  if (!guard.held()) return;  // another thread ends the process
  (void)threads_.run_fls_callbacks();
  for (const auto& module : modules_) {
    module->references = 0;
    if (module->image) module->pinned = false;
  }
  unload_unreachable(true);
}

// ---- the end of the process (specification 6.5)
// ------------------------------------------------------------

namespace {
/// Whether another thread has ended the process while this one was in a native: it just leaves.
bool is_leaving() { return (thread::current_place().requests.load() & thread::kLeave) != 0; }
}  // namespace

void Loader::exit_process(std::uint32_t code) noexcept {
  if (is_leaving()) return;
  if (shutting_down()) return terminate_process(code);  // a second one, from within a detach
  {
    const Guard guard(*this);
    if (!guard.held()) return;  // another thread exits the process; this one is being stopped
    threads_.stop_all_others(code);
    shut_down();
  }
  threads_.leave_current();
  options_.on_exit(code);
}

void Loader::shut_down() noexcept {
  const Guard guard(*this);
  if (!guard.held() || shutting_down()) return;
  ldr_.ShutdownThreadId = reinterpret_cast<void*>(static_cast<std::uintptr_t>(thread::current().id()));
  ldr_.ShutdownInProgress = 1;
  (void)threads_.run_fls_callbacks();
  for (std::size_t left = initialised_.size(); left-- > 0;)
    detach(*initialised_[left], reinterpret_cast<void*>(1));
  (void)notify_program(Reason::process_detach);
}

void Loader::terminate_process(std::uint32_t code) noexcept {
  if (is_leaving()) return;
  ldr_.ShutdownInProgress = 1;
  threads_.stop_all_others(code);
  threads_.leave_current();
  options_.on_exit(code);
}

void Loader::last_thread_exits(std::uint32_t code) noexcept {
  // In a library the host is the program: it lives on without guest threads.
  if (program_ != nullptr && program_->image) exit_process(code);
}

void Loader::no_thread_is_left(std::uint32_t code) noexcept {
  if (program_ != nullptr && program_->image) options_.on_exit(code);
}

}  // namespace bobbin::loader
