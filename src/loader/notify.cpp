// Who is told what, in Windows' order (specification 3.6, 3.7, 6.4, 6.5). All under the loader lock.
//
// For one module and one reason: its TLS callbacks in array order, then its entry point. A program has no
// entry point of that kind; its TLS callbacks come after all DLLs', whatever the reason.
//
// An exception that a callback or an entry point does not handle is swallowed (specification 3.7): what is
// left of the module's callbacks is skipped, its entry point is still told. One from a PROCESS_ATTACH of an
// entry point is a refusal, and then there is no PROCESS_DETACH. A gate is entered again after what raised.
#include <fmt/format.h>

#include <utility>

#include "abi/status.hpp"
#include "loader/guard.hpp"
#include "loader/loader.hpp"
#include "thread/guest_call.hpp"
#include "trace/trace.hpp"

namespace bobbin::loader {
namespace {

void* argument(Reason reason) { return reinterpret_cast<void*>(static_cast<std::uintptr_t>(reason)); }

}  // namespace

/// Calls a module's TLS callbacks. Inside a gate, as are the next two: the thread counts as in guest code,
/// and may leave at any call, so nothing is owned here.
void Loader::tell_callbacks(const Module& module, Reason reason) {
  if (!module.tls || !module.tls->index || !module.tls->directory.callbacks) return;
  notice_ = {.module = &module, .reason = reason, .by_callback = true};
  using Callback = void(BOBBIN_MS_ABI*)(void*, void*, void*);
  // The array is read anew at each step: a callback may extend it (specification 3.7).
  auto* next = reinterpret_cast<const Callback*>(module.base() + module.tls->directory.callbacks.value);
  for (; *next != nullptr; ++next) (*next)(module.base(), argument(reason), nullptr);
}

/// TLS callbacks, then the entry point; its answer.
abi::BOOL Loader::tell(const Module& module, Reason reason, void* reserved) {
  if (trace::on(trace::Category::loader)) {
    const thread::NativeScope scope(0, 0);
    trace::emit(trace::Category::loader,
                [&] { return fmt::format("notify {}: {}", module.name, static_cast<int>(reason)); });
  }
  tell_callbacks(module, reason);
  return tell_entry(module, reason, reserved);
}

abi::BOOL Loader::tell_entry(const Module& module, Reason reason, void* reserved) {
  if (module.entry.EntryPoint == nullptr) return 1;
  notice_ = {.module = &module, .reason = reason};
  using EntryPoint = abi::BOOL(BOBBIN_MS_ABI*)(void*, void*, void*);
  return reinterpret_cast<EntryPoint>(module.entry.EntryPoint)(module.base(), argument(reason), reserved);
}

/// Runs `body`, which tells modules of something; afterwards the notice is what it was before, for one can
/// come out of another.
template <class Body>
Loader::Told Loader::inside_notice(Body& body) {
  const Notice before = notice_;
  Told told;
  std::uint32_t swallowed = 0;
  told.finished = thread::inside_gate(thread::current_place(), body, &swallowed);
  told.raised = swallowed != 0;
  told.last = notice_;
  notice_ = before;
  if (told.raised) {
    trace::emit(trace::Category::loader,
                [&] { return fmt::format("{} raised {:#x}: swallowed", told.last.module->name, swallowed); });
  }
  return told;
}

Loader::Answer Loader::notify(Module& module, Reason reason, void* reserved) {
  if (reason == Reason::process_attach) module.entry.Flags |= abi::LDRP_PROCESS_ATTACH_CALLED;
  abi::BOOL result = 0;
  auto both = [&] { result = tell(module, reason, reserved); };
  auto entry = [&] { result = tell_entry(module, reason, reserved); };
  Told told = inside_notice(both);
  if (told.raised && told.last.by_callback) told = inside_notice(entry);
  if (told.raised && reason == Reason::process_attach) {
    module.entry.Flags &= ~abi::ULONG{abi::LDRP_PROCESS_ATTACH_CALLED};
    return Answer::refused;
  }
  if (!told.finished && !told.raised) return Answer::guest_ended;
  return reason == Reason::process_attach && result == 0 ? Answer::refused : Answer::accepted;
}

bool Loader::notify_program(Reason reason) {
  if (program_ == nullptr) return true;
  auto body = [&] { tell_callbacks(*program_, reason); };
  const Told told = inside_notice(body);
  return told.finished || told.raised;
}

/// Tells all modules of a thread, from where `tour` is on.
void Loader::tell_of_thread(Tour& tour) {
  while (tour.next < tour_length(tour)) {
    Module* const module = tour_stop(tour, tour.next);
    const bool wants = module->is_dll() && module->image && module->has(abi::LDRP_PROCESS_ATTACH_CALLED) &&
                       !module->has(abi::LDRP_DONT_CALL_FOR_THREADS) && !module->leaving;
    if (!wants || (module->entry.EntryPoint == nullptr && !module->tls)) {
      ++tour.next;
      continue;
    }
    tour.at = module;
    tour.generation = generation_of_lists_;
    if (std::exchange(tour.entry_only, false))
      (void)tell_entry(*module, tour.reason, nullptr);
    else
      (void)tell(*module, tour.reason, nullptr);
    go_on(tour);
  }
  if (program_ != nullptr && !std::exchange(tour.program, true)) tell_callbacks(*program_, tour.reason);
}

std::size_t Loader::tour_length(const Tour& tour) const {
  return tour.reason == Reason::thread_detach ? initialised_.size() : modules_.size();
}

Module* Loader::tour_stop(const Tour& tour, std::size_t i) const {
  return tour.reason == Reason::thread_detach ? initialised_[initialised_.size() - 1 - i] : modules_[i].get();
}

/// Past the module that was just told. It may have loaded or freed others; then the lists have changed, and
/// the place is found again by the module.
void Loader::go_on(Tour& tour) const {
  if (generation_of_lists_ != tour.generation) {
    std::size_t again = 0;
    while (again < tour_length(tour) && tour_stop(tour, again) != tour.at) ++again;
    if (again == tour_length(tour)) return;  // it is gone: the next one stands in its place
    tour.next = again;
  }
  ++tour.next;
}

void Loader::notify_threads(Reason reason) {
  Tour tour{.reason = reason};
  // One gate for all: opening one costs more than most callbacks.
  auto body = [&] { tell_of_thread(tour); };
  for (Told told = inside_notice(body); told.raised && !tour.program; told = inside_notice(body)) {
    const std::size_t before = tour.next;
    go_on(tour);
    // Its entry point is told if it was a callback that raised.
    tour.entry_only = told.last.by_callback && tour.next == before + 1;
    if (tour.entry_only) tour.next = before;
  }
}

Result<void> Loader::born(thread::Thread& thread) {
  const Guard guard(*this);
  if (!guard.held() || threads_.stopping()) {
    return fail({.kind = ErrorKind::guest_ended,
                 .status = abi::STATUS_PROCESS_IS_TERMINATING,
                 .what = "the process is exiting: no thread can start"});
  }
  if (auto attached = threads_.attach_storage(thread); !attached) return attached;
  thread.notified = true;
  notify_threads(Reason::thread_attach);
  return {};
}

void Loader::dying(thread::Thread& thread) noexcept {
  const Guard guard(*this);
  if (!guard.held() || shutting_down() || !thread.notified) return;
  if (lint_) lint_->thread_detach_begins(thread);
  notify_threads(Reason::thread_detach);
  if (lint_) lint_->thread_detach_ends(thread);
}

void Loader::detach(Module& module, void* reserved) {
  if (!module.has(abi::LDRP_PROCESS_ATTACH_CALLED) || !module.image) return;
  (void)notify(module, Reason::process_detach, reserved);
  module.entry.Flags &= ~std::uint32_t{abi::LDRP_PROCESS_ATTACH_CALLED};
}

std::uint64_t Loader::watch_modules(void* callback, void* context) {
  const Guard guard(*this);
  if (!guard.held()) return 0;
  watchers_.emplace(++last_watcher_, Watcher{callback, context});
  return last_watcher_;
}

bool Loader::unwatch_modules(std::uint64_t number) {
  const Guard guard(*this);
  return guard.held() && watchers_.erase(number) != 0;
}

void Loader::tell_watchers(const Module& module, Change change) {
  struct Data {  // LDR_DLL_NOTIFICATION_DATA
    abi::ULONG flags = 0;
    const abi::UNICODE_STRING* full_name;
    const abi::UNICODE_STRING* base_name;
    void* base;
    abi::ULONG size;
  } data{.full_name = &module.entry.FullDllName,
         .base_name = &module.entry.BaseDllName,
         .base = module.base(),
         .size = module.entry.SizeOfImage};
  // One may register and unregister others, or itself.
  std::uint64_t last = 0;
  for (auto at = watchers_.begin(); at != watchers_.end(); at = watchers_.upper_bound(last)) {
    last = at->first;
    const Watcher watcher = at->second;
    if (!thread::call_guest<void(std::uint32_t, const void*, void*)>(
            watcher.callback, static_cast<std::uint32_t>(change), &data, watcher.context))
      return;
  }
}

bool Loader::disable_thread_calls(const Found& module) {
  // A module with a TLS directory keeps its notifications on every Windows; only the answer differs (3.8).
  if (module->tls && module->tls->index) return !options_.generation.disable_calls_reports_tls;
  module->entry.Flags |= abi::LDRP_DONT_CALL_FOR_THREADS;
  return true;
}

}  // namespace bobbin::loader
