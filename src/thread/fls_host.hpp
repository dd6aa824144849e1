// Where FLS callbacks run: on the calling thread, inside a gate; and how it waits for an index's lock, and
// how those who have that are told when it is waited for in a circle.
#pragma once

#include "sync/deadlock.hpp"
#include "tls/fls.hpp"

namespace bobbin::thread {

class LifeObserver;

/// For the calling thread, whichever that is; it is attached, and inside a native.
class GuestFlsHost final : public tls::FlsHost {
 public:
  /// `observer` is told of what cannot be called.
  GuestFlsHost(const tls::Fls& fls, LifeObserver* const& observer)
      : observer_(observer), freeing_(fls, tls::FlsWait::freeing), callbacks_(fls, tls::FlsWait::callbacks) {}

  [[nodiscard]] const abi::TEB& teb() noexcept override;
  bool call_guest(void (*body)(void*), void* context) noexcept override;
  bool wait(std::atomic<std::uint32_t>& word, std::uint32_t expected, tls::FlsWait whom) noexcept override;
  void wake_all(std::atomic<std::uint32_t>& word) noexcept override;
  void callback_is_gone(std::uint32_t index, void* callback) noexcept override;

 private:
  LifeObserver* const& observer_;
  struct IndexLock : sync::LockKind {
    IndexLock(const tls::Fls& of, tls::FlsWait for_whom);
    const tls::Fls& fls;
    const tls::FlsWait whom;
  };
  const IndexLock freeing_, callbacks_;
};

}  // namespace bobbin::thread
