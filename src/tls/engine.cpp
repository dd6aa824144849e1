#include "tls/engine.hpp"

#include "tls/engine_impl.hpp"

namespace bobbin::tls {

abi::TEB& teb_of(ThreadRecord& record) { return record.teb; }

Reservation::~Reservation() {
  if (engine_ != nullptr) engine_->cancel(index_);
}

Result<std::unique_ptr<Engine>> Engine::create(const Options& options, std::span<abi::ULONG> low,
                                               std::span<abi::ULONG> high) {
  if (options.growth == Growth::swap && options.heap == nullptr) {
    return fail({.kind = ErrorKind::invalid,
                 .status = abi::STATUS_INVALID_PARAMETER,
                 .what = "TLS growth by swapping needs the guest's heap"});
  }
  auto threads = Threads::create();
  if (!threads) return propagate(threads);
  auto modules = Strategy::create(options, **threads);
  if (!modules) return propagate(modules);
  auto fls = Fls::create(options.fls_in_peb);
  if (!fls) return propagate(fls);
  const Slots slots(low, high, **threads);
  return std::unique_ptr<Engine>(
      new Engine(std::make_unique<Impl>(std::move(*threads), std::move(*modules), slots, std::move(*fls))));
}

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

Result<ThreadRecord*> Engine::create_thread() {
  auto record = impl_->threads->take();
  if (record) Slots::begin((*record)->teb);
  return record;
}

Result<void> Engine::attach_thread(ThreadRecord& record) { return impl_->modules->attach(record); }

void Engine::detach_thread(ThreadRecord& record) noexcept {
  impl_->modules->detach(record);
  impl_->slots.drop_expansion(record.teb);
  impl_->fls->release(std::exchange(record.teb.FlsData, nullptr));
}

void Engine::destroy_thread(ThreadRecord* record) noexcept {
  detach_thread(*record);
  impl_->threads->give_back(*record);
}

Result<Reservation> Engine::prepare_module(const Template& module) {
  auto index = impl_->modules->prepare(module);
  if (!index) return propagate(index);
  return Reservation(*this, *index);
}

std::uint32_t Engine::commit_module(Reservation&& reservation) noexcept {
  reservation.engine_ = nullptr;
  impl_->modules->commit(reservation.index_);
  return reservation.index_;
}

void Engine::cancel(std::uint32_t index) noexcept { impl_->modules->cancel(index); }

void Engine::release_module(std::uint32_t index) noexcept { impl_->modules->release(index); }

Result<void> Engine::exchange(Exchange what, std::uint32_t number, std::span<ThreadData> data) {
  return impl_->modules->exchange(what, number, data);
}

bool Engine::take_back_vector(const void* block) noexcept { return impl_->modules->take_back_vector(block); }

Statistics Engine::statistics() const { return impl_->modules->statistics(); }

Result<std::uint32_t> Engine::allocate_slot(abi::TEB& caller) { return impl_->slots.allocate(caller); }

bool Engine::free_slot(std::uint32_t index) noexcept { return impl_->slots.free(index); }

bool Engine::zero_slot(std::uint32_t index) noexcept { return impl_->slots.zero(index); }

Result<void> Engine::make_expansion_slots(abi::TEB& teb) { return impl_->slots.make_expansion(teb); }

Fls& Engine::fls() const { return *impl_->fls; }

}  // namespace bobbin::tls
