#include "tls/ranges.hpp"

#include <algorithm>

namespace bobbin::tls {

Result<Ranges> Ranges::create(std::uint64_t begin, std::uint64_t end, std::size_t most) {
  auto used = ReservedArray<Range>::create(most);
  if (!used) return propagate(used);
  Ranges ranges;
  ranges.used_ = std::move(*used);
  ranges.begin_ = begin;
  ranges.end_ = end;
  return ranges;
}

std::optional<std::uint64_t> Ranges::take(std::uint64_t size, std::uint64_t alignment) {
  if (count_ == used_.capacity()) return std::nullopt;
  std::uint64_t candidate = align_up(begin_, alignment);
  std::size_t i = 0;
  for (; i < count_ && !(candidate <= used_[i].begin && size <= used_[i].begin - candidate); ++i) {
    candidate = align_up(used_[i].end, alignment);
  }
  if (candidate > end_ || size > end_ - candidate) return std::nullopt;
  std::copy_backward(used_.data() + i, used_.data() + count_, used_.data() + count_ + 1);
  used_[i] = {candidate, candidate + size};
  ++count_;
  return candidate;
}

void Ranges::give_back(std::uint64_t begin) noexcept {
  Range* const end = used_.data() + count_;
  Range* const found = std::lower_bound(used_.data(), end, begin,
                                        [](const Range& r, std::uint64_t at) { return r.begin < at; });
  if (found == end || found->begin != begin) return;
  std::copy(found + 1, end, found);
  --count_;
}

}  // namespace bobbin::tls
