#include "loader/lint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <new>

#include "loader/loader.hpp"
#include "sync/critical_section.hpp"
#include "thread/thread.hpp"

namespace bobbin::loader {
namespace {

/// What Lint says is not worth failing for: without memory nothing is said.
template <class Body>
void as_memory_allows(Body body) noexcept {
  try {
    body();
  } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): see above
  }
}

/// A thread that goes on for now, or nullptr. One that was terminated needs no lock to end.
const thread::Thread* running_thread(const sync::Waitable& object) {
  if (object.kind() != sync::Kind::thread) return nullptr;
  const auto& thread = static_cast<const thread::Thread&>(object);
  return thread.ended_at() == 0 && !thread.was_terminated() ? &thread : nullptr;
}

}  // namespace

// ---- in words --------------------------------------------------------------------------------------------

std::string Lint::Place::text() const {
  if (module.empty()) return fmt::format("{}", address);
  return module + (function.starts_with("+0x") ? "" : "!") + function;
}

Lint::Place Lint::place_of(const void* address) const {
  auto [module, function] = loader_.name_address(address);
  return {std::move(module), std::move(function), address};
}

Lint::Place Lint::caller() const {
  return place_of(reinterpret_cast<const void*>(thread::current_place().guest_rip));
}

bool Lint::under_loader_lock() const { return sync::is_entered_by(loader_.lock(), thread::current().id()); }

std::string Lint::notice() const { return under_loader_lock() ? loader_.describe_notice() : std::string(); }

void Lint::report(std::string_view rule, const Place& place, std::string text, std::string_view advice) {
  {
    const std::scoped_lock lock(mutex_);
    if (!reported_.insert(fmt::format("{} {}", rule, place.text())).second) return;
  }
  sink_({rule, place.module, place.function, place.address, std::move(text), advice});
}

// ---- under the loader lock -------------------------------------------------------------------------------

void Lint::waits(std::span<sync::Waitable* const> objects, bool all, os::Deadline deadline) noexcept {
  if (deadline == 0 || !under_loader_lock()) return;
  as_memory_allows([&] {
    // Of several, any of which will do, one that is no thread may come.
    const thread::Thread* awaited = nullptr;
    for (const sync::Waitable* object : objects) {
      const thread::Thread* thread = running_thread(*object);
      if (thread == nullptr && !all) return;
      if (awaited == nullptr) awaited = thread;
    }
    if (awaited == nullptr) return;
    const Place place = caller();
    const std::string in = notice();
    report(
        "wait-under-loader-lock", place,
        fmt::format("{} waits for thread {} to end under the loader lock{}{}, which that thread needs to end",
                    place.text(), awaited->id(), in.empty() ? "" : ", in ", in),
        "end the thread in a function of the DLL's own, called before FreeLibrary; at the process's end "
        "there is nothing to wait for");
  });
}

void Lint::creates_thread(const void* routine) noexcept {
  as_memory_allows([&] {
    const std::string in = notice();
    if (in.empty()) return;
    const Place place = caller();
    report("thread-in-dllmain", place,
           fmt::format("{} creates a thread ({}) in {}: it does not begin before that returns", place.text(),
                       place_of(routine).text(), in),
           "create it on first use, in an exported function; here nothing may wait for it, and it needs a "
           "reference to the DLL (GetModuleHandleEx)");
  });
}

void Lint::loads(const Module& module) noexcept {
  as_memory_allows([&] {
    const std::string in = notice();
    if (in.empty()) return;
    const Place place = caller();
    report("load-in-dllmain", place, fmt::format("{} loads {} in {}", place.text(), module.name, in),
           "import the DLL, or load it on first use, in an exported function: in DllMain the order of "
           "initialisation is lost");
  });
}

// ---- what an unloaded module leaves ----------------------------------------------------------------------

void Lint::allocated(Index kind, std::uint32_t index) noexcept {
  as_memory_allows([&] {
    Allocation allocation{kind, index, caller()};
    const std::scoped_lock lock(mutex_);
    allocations_.push_back(std::move(allocation));
  });
}

void Lint::freed(Index kind, std::uint32_t index) noexcept {
  const std::scoped_lock lock(mutex_);
  std::erase_if(allocations_, [&](const Allocation& one) { return one.kind == kind && one.index == index; });
  if (kind == Index::fls)
    std::erase_if(late_values_, [&](const LateValue& one) { return one.index == index; });
}

void Lint::unloads(const Module& module) noexcept {
  if (!module.image) return;
  as_memory_allows([&] {
    find_left_callbacks(module);
    find_left_threads(module);
    find_leaked_indices(module);
  });
}

void Lint::find_left_callbacks(const Module& module) {
  const tls::Fls& fls = loader_.fls();
  for (std::uint32_t index = 1; index < fls.limit(); ++index) {
    const void* const callback = fls.callback_of(index);
    if (callback == nullptr || !module.contains(callback)) continue;
    const Place place = place_of(callback);
    report("fls-callback-unloaded", place,
           fmt::format("{} is unloaded while FLS index {} calls back {}: the next thread that ends with a "
                       "value of it crashes",
                       module.name, index, place.text()),
           "FlsFree the index in PROCESS_DETACH when lpReserved is NULL");
    // That is what is wrong with the index; that it is leaked as well goes without saying.
    freed(Index::fls, index);
  }
}

void Lint::find_left_threads(const Module& module) {
  for (const auto& [thread, routine] : loader_.threads().started_in(module.base(), module.size())) {
    const Place place = place_of(routine);
    report("thread-unloaded", place,
           fmt::format("{} is unloaded while thread {} runs {}: it crashes when it goes on there",
                       module.name, thread, place.text()),
           "wait for the thread before FreeLibrary; or let it have a reference to the DLL "
           "(GetModuleHandleEx) and end by FreeLibraryAndExitThread");
  }
}

void Lint::find_leaked_indices(const Module& module) {
  std::vector<Allocation> leaked;
  {
    const std::scoped_lock lock(mutex_);
    const auto leaks = [&](const Allocation& one) { return module.contains(one.by.address); };
    std::ranges::copy_if(allocations_, std::back_inserter(leaked), leaks);
    std::erase_if(allocations_, leaks);
  }
  for (const Allocation& one : leaked) {
    const bool tls = one.kind == Index::tls;
    report(tls ? "tls-index-leaked" : "fls-index-leaked", one.by,
           fmt::format("{} is unloaded and leaves {} index {}, allocated at {}", module.name,
                       tls ? "TLS" : "FLS", one.index, one.by.text()),
           tls ? "TlsFree the index in PROCESS_DETACH when lpReserved is NULL"
               : "FlsFree the index in PROCESS_DETACH when lpReserved is NULL");
  }
}

// ---- FLS in THREAD_DETACH --------------------------------------------------------------------------------

void Lint::thread_detach_begins(thread::Thread& thread) noexcept {
  if (!loader_.threads().fls_last()) thread.teb().BobbinFlsIndices = 0;
}

void Lint::sets_fls(std::uint32_t index, const void* value) noexcept {
  const thread::Thread& thread = thread::current();
  if (!thread.is_ending() || loader_.threads().fls_last()) return;
  as_memory_allows([&] {
    LateValue late{thread.id(), index, value, caller(), notice()};
    const std::scoped_lock lock(mutex_);
    std::erase_if(late_values_,
                  [&](const LateValue& one) { return one.thread == late.thread && one.index == late.index; });
    if (value != nullptr) late_values_.push_back(std::move(late));
  });
}

/// A value that was taken back before the end was nobody's mistake; nor was one that nobody is to be told of.
void Lint::thread_detach_ends(thread::Thread& thread) noexcept {
  as_memory_allows([&] {
    std::vector<LateValue> left;
    {
      const std::scoped_lock lock(mutex_);
      const auto own = [&](const LateValue& one) { return one.thread == thread.id(); };
      std::ranges::copy_if(late_values_, std::back_inserter(left), own);
      std::erase_if(late_values_, own);
    }
    for (const LateValue& one : left) {
      const void* const callback = loader_.fls().callback_of(one.index);
      if (callback == nullptr) continue;
      report("fls-set-after-run-down", one.by,
             fmt::format("{} sets FLS index {} in {}: its callback {} has had its turn and is not called for "
                         "that value",
                         one.by.text(), one.index, one.in, place_of(callback).text()),
             "FLS callbacks run before THREAD_DETACH: there, set no value but NULL, and take NULL from "
             "FlsGetValue as \"gone already\"");
    }
  });
}

}  // namespace bobbin::loader
