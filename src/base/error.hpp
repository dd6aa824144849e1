// Error and Result for every room. They are public types (one error type, no translation at the border), so
// they stand in include/bobbin/error.hpp; this header adds only what makes them short to write inside.
#pragma once

#include <bobbin/error.hpp>

#include <new>

namespace bobbin {

/// `return fail({.kind = ..., .status = ..., .what = ...});`
[[nodiscard]] inline std::unexpected<Error> fail(Error error) { return std::unexpected(std::move(error)); }

/// Passes on the error of a failed Result: `if (!x) return propagate(x);`
template <class T>
[[nodiscard]] std::unexpected<Error> propagate(Result<T>& result) {
  return std::unexpected(std::move(result).error());
}

/// operator new has failed. Made without it: so short a text stands in the string itself.
[[nodiscard]] inline std::unexpected<Error> no_memory() noexcept {
  constexpr std::uint32_t kStatusNoMemory = 0xC0000017u;
  return fail({.kind = ErrorKind::out_of_memory, .status = kStatusNoMemory, .what = "out of memory"});
}

/// Hands on body()'s Result, or no_memory().
template <class Body>
[[nodiscard]] auto without_throwing(Body body) noexcept -> decltype(body()) try {
  return body();
} catch (const std::bad_alloc&) {
  return no_memory();
}

}  // namespace bobbin
