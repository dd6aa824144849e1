#include "thread/fls_host.hpp"

#include "sync/address_wait.hpp"
#include "thread/guest_call.hpp"
#include "thread/thread.hpp"

namespace bobbin::thread {

GuestFlsHost::IndexLock::IndexLock(const tls::Fls& of, tls::FlsWait for_whom)
    : LockKind{.kind = for_whom == tls::FlsWait::freeing ? sync::Awaited::Kind::fls_index
                                                         : sync::Awaited::Kind::fls_callbacks,
               .add_owners =
                   [](const LockKind& self, const void* lock, std::vector<std::uint32_t>& ids) {
                     const auto& index = static_cast<const IndexLock&>(self);
                     index.fls.add_holders(index.fls.index_of(lock), index.whom, ids);
                   }},
      fls(of),
      whom(for_whom) {}

const abi::TEB& GuestFlsHost::teb() noexcept { return current().teb(); }

bool GuestFlsHost::call_guest(void (*body)(void*), void* context) noexcept {
  auto call = [&] { body(context); };
  return inside_gate(current_place(), call);
}

bool GuestFlsHost::wait(std::atomic<std::uint32_t>& word, std::uint32_t expected,
                        tls::FlsWait whom) noexcept {
  const auto outcome =
      sync::wait_on_address(&word, &expected, sizeof expected, std::nullopt, current_waiter(),
                            whom == tls::FlsWait::freeing ? &freeing_ : &callbacks_);
  return outcome != sync::ParkOutcome::interrupted;
}

void GuestFlsHost::callback_is_gone(std::uint32_t index, void* callback) noexcept {
  if (observer_ != nullptr) observer_->fls_callback_is_gone(index, callback);
}

void GuestFlsHost::wake_all(std::atomic<std::uint32_t>& word) noexcept { sync::wake_address_all(&word); }

}  // namespace bobbin::thread
