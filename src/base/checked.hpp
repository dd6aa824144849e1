// Arithmetic on numbers that a stranger chose. Every result is checked; nothing wraps.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <optional>

namespace bobbin {

template <std::unsigned_integral T>
[[nodiscard]] constexpr std::optional<T> checked_add(T a, T b) {
  T sum{};
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

template <std::unsigned_integral T>
[[nodiscard]] constexpr std::optional<T> checked_mul(T a, T b) {
  T product{};
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

/// Whether [offset, offset + size) lies in [0, limit).
template <std::unsigned_integral T>
[[nodiscard]] constexpr bool in_range(T offset, T size, T limit) {
  return offset <= limit && size <= limit - offset;
}

/// Rounds up to a multiple of `alignment`, a power of two. The caller has room: no overflow check.
template <std::unsigned_integral T>
[[nodiscard]] constexpr T align_up(T value, T alignment) {
  return (value + alignment - 1) & ~(alignment - 1);
}

template <std::unsigned_integral T>
[[nodiscard]] constexpr T align_down(T value, T alignment) {
  return value & ~(alignment - 1);
}

}  // namespace bobbin
