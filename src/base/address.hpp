// Three kinds of address that a loader confuses at its peril, as three types.
//
//   FileOffset  where a byte stands in the file
//   Rva         where it stands relative to the image's base, once mapped
//   Va          where it stands in memory (an absolute address)
//
// They do not convert into each other silently: pe::File::offset_of() and Rva + base are the only bridges.
#pragma once

#include <compare>
#include <cstdint>

namespace bobbin {

template <class Tag, class Number>
struct Address {
  Number value = 0;

  constexpr auto operator<=>(const Address&) const = default;
  [[nodiscard]] constexpr explicit operator bool() const { return value != 0; }
  [[nodiscard]] friend constexpr Address operator+(Address a, Number n) {
    return {static_cast<Number>(a.value + n)};
  }
  [[nodiscard]] friend constexpr Number operator-(Address a, Address b) {
    return static_cast<Number>(a.value - b.value);
  }
};

using FileOffset = Address<struct FileOffsetTag, std::uint64_t>;
using Rva = Address<struct RvaTag, std::uint32_t>;
using Va = Address<struct VaTag, std::uint64_t>;

}  // namespace bobbin
