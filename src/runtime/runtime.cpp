// The public interface, in terms of the State.
#include <bobbin/bobbin.hpp>

#include "abi/status.hpp"
#include "loader/guard.hpp"
#include "runtime/state.hpp"
#include "thread/guest_call.hpp"

namespace bobbin {

namespace detail {

namespace {

Result<thread::Thread*> attach_to_running() noexcept {
  if (State* state = running(); state != nullptr) return state->attach();
  return without_throwing([]() -> Result<thread::Thread*> {
    return fail({.kind = ErrorKind::guest_ended,
                 .status = abi::STATUS_PROCESS_IS_TERMINATING,
                 .what = "no Runtime is running: the function's module is gone"});
  });
}

/// Why a call did not come back.
Result<void> why_it_ended() {
  State* state = running();
  if (state != nullptr && state->ended) return fail(state->ended_error());
  return fail({.kind = ErrorKind::guest_ended,
               .status = abi::STATUS_THREAD_IS_TERMINATING,
               .what = "the guest ended this thread (ExitThread or TerminateThread)"});
}

}  // namespace

std::optional<Error> run_in_guest(void (*body)(void*), void* context) {
  thread::Thread* thread = thread::current_or_null();
  if (thread == nullptr) [[unlikely]] {
    auto attached = attach_to_running();
    if (!attached) return std::move(attached).error();
    thread = *attached;
  }
  auto call = [body, context] { body(context); };
  if (thread::inside_gate(*thread, call)) [[likely]]
    return std::nullopt;
  return without_throwing(why_it_ended).error();
}

}  // namespace detail

// ---- Module ----------------------------------------------------------------------------------------------

Module::~Module() {
  if (!state_ || state_->ended || state_->is_copy() || !state_->attach()) return;
  (void)without_throwing([this] { return state_->loader->free(handle_); });
}

namespace {

template <class Name>
Result<void*> procedure(detail::State& state, void* base, Name name) {
  if (auto attached = state.attach(); !attached) return propagate(attached);
  if (const auto module = state.loader->find_by_base(base)) return state.loader->procedure(module, name);
  return fail({.kind = ErrorKind::invalid,
               .status = abi::STATUS_DLL_NOT_FOUND,
               .what = "the module is not loaded any more",
               .advice = "the guest has freed it more often than it had loaded it"});
}

}  // namespace

Result<void*> Module::symbol(std::string_view name) const {
  return without_throwing([&] { return procedure(*state_, handle_, name); });
}

Result<void*> Module::symbol(std::uint16_t ordinal) const {
  return without_throwing([&] { return procedure(*state_, handle_, std::uint32_t{ordinal}); });
}

void* Module::base() const { return handle_; }

std::string Module::path() const {
  auto path = without_throwing([&]() -> Result<std::string> {
    if (!state_->attach()) return {};
    const auto module = state_->loader->find_by_base(handle_);
    return module ? module->path : std::string();
  });
  return std::move(path).value_or(std::string());
}

// ---- Runtime ---------------------------------------------------------------------------------------------

Result<Runtime> Runtime::start(const Options& options) {
  auto state = without_throwing([&] { return detail::State::create(options); });
  if (!state) return propagate(state);
  return Runtime(std::move(*state));
}

Runtime::~Runtime() {
  if (state_) state_->shut_down();
}

Result<Module> Runtime::load(const std::string& name) {
  auto base = without_throwing([&] { return state_->load(name); });
  if (!base) return propagate(base);
  return Module(state_, *base);
}

Result<std::uint32_t> Runtime::run() {
  return without_throwing([&] { return state_->run(); });
}

Result<void> Runtime::provide(const std::string& dll, const std::string& name, const Callback& callback) {
  return without_throwing([&]() -> Result<void> {
    if (auto attached = state_->attach(); !attached) return propagate(attached);
    return state_->loader->provide(dll, name, callback.address());
  });
}

Result<void> Runtime::provide_for_good(const std::string& dll, const std::string& name, Callback callback) {
  return without_throwing([&]() -> Result<void> {
    state_->kept.reserve(state_->kept.size() + 1);
    auto provided = provide(dll, name, callback);
    if (provided) state_->kept.push_back(std::move(callback));
    return provided;
  });
}

Result<void> Runtime::attach_thread() {
  auto attached = state_->attach();
  if (!attached) return propagate(attached);
  return {};
}

void Runtime::detach_thread() {
  if (state_->threads) state_->threads->detach_current();
}

Statistics Runtime::statistics() const {
  if (!state_->attach()) return {};  // the guest has ended
  return {.modules = state_->loader->module_count(),
          .threads = state_->threads->count(),
          .handles = state_->handles.size(),
          .allocations = state_->space.allocations()};
}

TlsStatistics Runtime::tls_statistics() const {
  const tls::Statistics now = state_->engine->statistics();
  return {.growth = now.growth == tls::Growth::swap ? TlsGrowth::swap : TlsGrowth::in_place,
          .modules = now.modules,
          .threads = now.threads,
          .vector_length = now.vector_length,
          .growths = now.growths,
          .vectors = now.vectors,
          .vector_bytes = now.vector_bytes,
          .retired_vectors = now.retired_vectors,
          .retired_bytes = now.retired_bytes,
          .ever_retired = now.ever_retired,
          .blocks = now.blocks,
          .block_bytes = now.block_bytes,
          .unused = now.unused,
          .exchanges = now.exchanges};
}

const char* version() { return BOBBIN_VERSION; }

}  // namespace bobbin
