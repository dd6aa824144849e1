// Which parts of a one-dimensional space are taken: first fit, lowest address first. One of these is the
// process-wide layout of small blocks inside every thread record, another that of views inside every arena.
#pragma once

#include <cstdint>
#include <optional>

#include "tls/reserved_array.hpp"

namespace bobbin::tls {

/// Not synchronised; the engine's modules lock guards it.
class Ranges {
 public:
  struct Range {
    std::uint64_t begin;
    std::uint64_t end;
  };

  /// Hands out parts of [begin, end), at most `most` at a time.
  [[nodiscard]] static Result<Ranges> create(std::uint64_t begin, std::uint64_t end, std::size_t most);
  Ranges() = default;

  /// The lowest free `size` bytes at a multiple of `alignment`; nothing if there is no such gap.
  [[nodiscard]] std::optional<std::uint64_t> take(std::uint64_t size, std::uint64_t alignment);
  /// Gives back what take() returned.
  void give_back(std::uint64_t begin) noexcept;

  [[nodiscard]] std::size_t count() const { return count_; }
  /// The i-th range in use, in ascending order.
  [[nodiscard]] const Range& at(std::size_t i) const { return used_[i]; }
  /// End of the last range in use; `begin` if there is none.
  [[nodiscard]] std::uint64_t high_water() const { return count_ == 0 ? begin_ : used_[count_ - 1].end; }

 private:
  ReservedArray<Range> used_;  ///< sorted, disjoint
  std::size_t count_ = 0;
  std::uint64_t begin_ = 0;
  std::uint64_t end_ = 0;
};

}  // namespace bobbin::tls
