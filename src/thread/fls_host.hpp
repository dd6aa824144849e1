// Where FLS callbacks run: on the calling thread, inside a gate; and how it waits for an index's lock.
#pragma once

#include "tls/fls.hpp"

namespace bobbin::thread {

/// For the calling thread, whichever that is; it is attached, and inside a native.
class GuestFlsHost final : public tls::FlsHost {
 public:
  bool call_guest(void (*body)(void*), void* context) noexcept override;
  bool wait(std::atomic<std::uint32_t>& word, std::uint32_t expected) noexcept override;
  void wake_all(std::atomic<std::uint32_t>& word) noexcept override;
};

}  // namespace bobbin::thread
