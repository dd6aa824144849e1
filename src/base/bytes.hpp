// Reading little-endian numbers out of bytes that may be unaligned, short or hostile.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

#include "base/checked.hpp"

namespace bobbin {

/// An unaligned little-endian integer as it lies in a mapped file; a member of the on-disk structs.
template <class T>
struct Little {
  std::byte raw[sizeof(T)];
  [[nodiscard]] operator T() const {
    T value;
    std::memcpy(&value, raw, sizeof value);
    return value;
  }
};
using U16 = Little<std::uint16_t>;
using U32 = Little<std::uint32_t>;
using U64 = Little<std::uint64_t>;

/// A bounded window on bytes. Every read is checked against its end; none is ever past it.
class ByteView {
 public:
  constexpr ByteView() = default;
  constexpr explicit ByteView(std::span<const std::byte> bytes) : bytes_(bytes) {}

  [[nodiscard]] constexpr std::size_t size() const { return bytes_.size(); }
  [[nodiscard]] constexpr std::span<const std::byte> bytes() const { return bytes_; }

  /// The window [offset, offset + size), or nothing if it does not lie inside this one.
  [[nodiscard]] constexpr std::optional<ByteView> slice(std::uint64_t offset, std::uint64_t size) const {
    if (!in_range<std::uint64_t>(offset, size, bytes_.size())) return std::nullopt;
    return ByteView(bytes_.subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(size)));
  }

  /// A trivially copyable T at `offset`, copied out (so alignment does not matter).
  template <class T>
  [[nodiscard]] std::optional<T> read(std::uint64_t offset) const {
    static_assert(std::is_trivially_copyable_v<T>);
    if (!in_range<std::uint64_t>(offset, sizeof(T), bytes_.size())) return std::nullopt;
    T value;
    std::memcpy(&value, bytes_.data() + offset, sizeof value);
    return value;
  }

  /// The NUL-ended string at `offset`, without its NUL; nothing if it has no end within `limit` bytes.
  [[nodiscard]] std::optional<std::string_view> c_string(std::uint64_t offset,
                                                         std::size_t limit = 4096) const {
    if (offset >= bytes_.size()) return std::nullopt;
    const std::size_t room = std::min<std::size_t>(limit, bytes_.size() - static_cast<std::size_t>(offset));
    const auto* start = reinterpret_cast<const char*>(bytes_.data() + offset);
    const void* end = std::memchr(start, 0, room);
    if (end == nullptr) return std::nullopt;
    return std::string_view(start, static_cast<std::size_t>(static_cast<const char*>(end) - start));
  }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace bobbin
