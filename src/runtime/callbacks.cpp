#include "runtime/callbacks.hpp"

#include <cstdio>
#include <exception>
#include <mutex>

#include "abi/status.hpp"
#include "runtime/state.hpp"
#include "thread/scope.hpp"

namespace bobbin::detail {

CallbackPages::~CallbackPages() {
  for (const Page& page : pages_) (void)space_.release(page.code);
}

Result<void> CallbackPages::add_page() {
  Page page{.code = nullptr, .slots = {}};
  for (std::size_t i = 0; i < arch::kCallbacksPerPage; ++i) page.slots.push_back(std::make_unique<Slot>());
  pages_.reserve(pages_.size() + 1);
  free_.reserve((pages_.size() + 1) * arch::kCallbacksPerPage);  // of all of them: remove() cannot fail
  auto base =
      space_.reserve(arch::kCallbackPageSize, nullptr, memory::Type::private_memory, memory::kReadWrite);
  if (!base) return propagate(base);
  auto done = without_throwing([&]() -> Result<void> {
    auto committed = space_.commit(*base, arch::kCallbackPageSize, memory::kReadWrite);
    if (!committed) return propagate(committed);
    arch::write_callback_page(*base);
    auto sealed = space_.protect(*base, os::kPageSize, memory::kExecuteRead);
    if (!sealed) return propagate(sealed);
    return {};
  });
  if (!done) {
    (void)space_.release(*base);
    return done;
  }
  page.code = *base;
  for (std::size_t i = 0; i < arch::kCallbacksPerPage; ++i) {
    page.slots[i]->dispatch = &CallbackPages::dispatch;
    *arch::callback_cell(*base, i) = page.slots[i].get();
    free_.emplace_back(pages_.size(), arch::kCallbacksPerPage - 1 - i);
  }
  pages_.push_back(std::move(page));
  return {};
}

Result<void*> CallbackPages::add(CallbackBase* target) {
  const std::scoped_lock lock(mutex_);
  if (free_.empty()) {
    if (auto added = add_page(); !added) return propagate(added);
  }
  const auto [page, slot] = free_.back();
  free_.pop_back();
  pages_[page].slots[slot]->target = target;
  return static_cast<void*>(arch::callback_code(pages_[page].code, slot));
}

void CallbackPages::remove(void* code, const CallbackBase* target) noexcept {
  const std::scoped_lock lock(mutex_);
  const auto* at = static_cast<const std::byte*>(code);
  for (std::size_t i = 0; i < pages_.size(); ++i) {
    if (at < pages_[i].code || at >= pages_[i].code + os::kPageSize) continue;
    const auto slot = static_cast<std::size_t>(at - pages_[i].code) / 16;
    // A callback of an earlier Runtime may have had its code at the same address.
    if (pages_[i].slots[slot]->target != target) return;
    pages_[i].slots[slot]->target = nullptr;
    free_.emplace_back(i, slot);
  }
}

/// From the guest into the host: the thread counts as in the host meanwhile, so it is not stopped there. What
/// the callback throws ends here: no exception crosses a guest frame.
void CallbackPages::dispatch(arch::Callback* self, const std::uint64_t* cells, const double* floats,
                             arch::CallbackResult* result) {
  *result = {};
  thread::Place& place = thread::current_place();
  place.where.store(thread::Where::host, std::memory_order_relaxed);
  place.host_code_ran = true;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  CallbackResult returned{};
  try {
    if (CallbackBase* target = static_cast<Slot*>(self)->target) target->invoke(cells, floats, returned);
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "bobbin: a callback threw '%s'; the guest is given 0\n", problem.what());
    returned = {};
  } catch (...) {
    std::fprintf(stderr, "bobbin: a callback threw; the guest is given 0\n");
    returned = {};
  }
  *result = {.integer = returned.integer, .floating = returned.floating};
  std::atomic_signal_fence(std::memory_order_seq_cst);
  thread::Place& now = thread::current_place_afresh();
  now.where.store(thread::Where::guest, std::memory_order_relaxed);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  if (now.requests.load(std::memory_order_relaxed) != 0) [[unlikely]]
    thread::serve_requests(now);
}

Result<void*> make_callback(CallbackBase* callback) noexcept {
  if (callback == nullptr) return no_memory();
  return without_throwing([&]() -> Result<void*> {
    if (State* state = running(); state != nullptr) return state->callbacks.add(callback);
    return fail({.kind = ErrorKind::invalid,
                 .status = abi::STATUS_INVALID_PARAMETER,
                 .what = "no Runtime is running: a callback needs one",
                 .advice = "start one with Runtime::start()"});
  });
}

void drop_callback(void* code, const CallbackBase* callback) noexcept {
  if (State* state = running(); state != nullptr) state->callbacks.remove(code, callback);
}

}  // namespace bobbin::detail
