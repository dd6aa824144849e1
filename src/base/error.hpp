// Error and Result for every room. They are public types (one error type, no translation at the border), so
// they stand in include/bobbin/error.hpp; this header adds only what makes them short to write inside.
#pragma once

#include <bobbin/error.hpp>

namespace bobbin {

/// `return fail({.kind = ..., .status = ..., .what = ...});`
[[nodiscard]] inline std::unexpected<Error> fail(Error error) { return std::unexpected(std::move(error)); }

/// Passes on the error of a failed Result: `if (!x) return propagate(x);`
template <class T>
[[nodiscard]] std::unexpected<Error> propagate(Result<T>& result) {
  return std::unexpected(std::move(result).error());
}

}  // namespace bobbin
