#include "thread/fls_host.hpp"

#include "sync/address_wait.hpp"
#include "thread/guest_call.hpp"
#include "thread/thread.hpp"

namespace bobbin::thread {

bool GuestFlsHost::call_guest(void (*body)(void*), void* context) noexcept {
  auto call = [&] { body(context); };
  return inside_gate(current_place(), call);
}

bool GuestFlsHost::wait(std::atomic<std::uint32_t>& word, std::uint32_t expected) noexcept {
  const auto outcome =
      sync::wait_on_address(&word, &expected, sizeof expected, std::nullopt, current_waiter());
  return outcome != sync::ParkOutcome::interrupted;
}

void GuestFlsHost::wake_all(std::atomic<std::uint32_t>& word) noexcept { sync::wake_address_all(&word); }

}  // namespace bobbin::thread
