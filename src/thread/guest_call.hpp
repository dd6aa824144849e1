// Calling a guest function from our own code (a callback that a native was given, DllMain, a start routine).
#pragma once

#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include "thread/scope.hpp"

namespace bobbin::thread {

/// Runs `body`, which calls into the guest, inside a gate of the current thread. False if the gate was left
/// (the guest or the thread ended meanwhile); then the caller returns as soon as it can: its own native's
/// scope or the outer gate goes on with the leaving. `body` must own nothing (its frame is dropped on
/// leaving). If `swallowed` is given, an exception that no frame handles does not end the guest, but only the
/// body: its code is left there (it is never 0), and the answer is false.
template <class Body>
[[nodiscard]] bool inside_gate(Place& place, Body& body, std::uint32_t* swallowed = nullptr) {
  struct Context {
    Place& place;
    Body& body;
  } context{place, body};
  arch::Gate gate;
  gate.outer = place.gate;
  gate.swallowed = swallowed;
  const Where before = place.where.load(std::memory_order_relaxed);
  const std::uint64_t rip = place.guest_rip, rsp = place.guest_rsp;
  Held* const held = std::exchange(place.held, nullptr);
  place.gate = &gate;
  const bool finished = arch::bobbin_gate_run(
      &gate,
      [](void* raw) {
        auto& [thread_place, callable] = *static_cast<Context*>(raw);
        const Where outside = thread_place.where.load(std::memory_order_relaxed);
        thread_place.where.store(Where::guest, std::memory_order_relaxed);
        std::atomic_signal_fence(std::memory_order_seq_cst);
        if (thread_place.requests.load(std::memory_order_relaxed) != 0) [[unlikely]]
          serve_requests(thread_place);
        callable();
        std::atomic_signal_fence(std::memory_order_seq_cst);
        current_place_afresh().where.store(outside, std::memory_order_relaxed);
      },
      &context);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  Place& now = current_place_afresh();
  now.where.store(before, std::memory_order_relaxed);
  now.gate = gate.outer;
  now.guest_rip = rip;
  now.guest_rsp = rsp;
  now.held = held;
  return finished;
}

/// A guest function's result, where void has a value too.
template <class R>
using Returned = std::conditional_t<std::is_void_v<R>, std::monostate, R>;

template <class Signature>
struct GuestCall;

template <class R, class... A>
struct GuestCall<R(A...)> {
  using Function = R(BOBBIN_MS_ABI*)(A...);

  [[nodiscard]] static std::optional<Returned<R>> call(Place& place, void* address, A... arguments) {
    Returned<R> result{};
    auto body = [&] {
      const auto function = reinterpret_cast<Function>(address);
      if constexpr (std::is_void_v<R>)
        function(arguments...);
      else
        result = function(arguments...);
    };
    if (!inside_gate(place, body)) return std::nullopt;
    return result;
  }
};

/// `call_guest<BOOL(void*, DWORD)>(address, a, b)`: the result, or nothing if the guest ended meanwhile. On
/// an attached thread only.
template <class Signature, class... A>
[[nodiscard]] auto call_guest(void* address, A... arguments) {
  return GuestCall<Signature>::call(current_place(), address, arguments...);
}

}  // namespace bobbin::thread
