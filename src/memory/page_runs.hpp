// The states of an allocation's pages, run-length coded: a terabyte in one state is one entry.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace bobbin::memory {

/// A run of pages [start, end), byte offsets into the allocation, that share one value.
struct PageRun {
  std::size_t start = 0;
  std::size_t end = 0;
  std::uint32_t value = 0;
};

/// A step function over [0, size). Neighbouring runs differ, so a run is as long as it can be. Not
/// thread-safe.
///
/// A change comes in two steps, so that what may fail in between leaves nothing half done: prepare() may run
/// out of memory, set() cannot.
class PageRuns {
 public:
  PageRuns(std::size_t size, std::uint32_t value) : size_(size), steps_{{0, value}} {}

  [[nodiscard]] std::size_t size() const { return size_; }

  /// The run that holds `offset`, which is below size().
  [[nodiscard]] PageRun at(std::size_t offset) const;

  /// The parts of runs that lie in [start, end), in order.
  [[nodiscard]] std::vector<PageRun> within(std::size_t start, std::size_t end) const;

  /// Whether some page, or every page, of [start, end) has `value`.
  [[nodiscard]] bool any(std::size_t start, std::size_t end, std::uint32_t value) const;
  [[nodiscard]] bool all(std::size_t start, std::size_t end, std::uint32_t value) const;

  /// Makes room for one set(). May throw bad_alloc.
  void prepare() { steps_.reserve(steps_.size() + 2); }
  /// Gives [start, end), not empty, a value.
  void set(std::size_t start, std::size_t end, std::uint32_t value) noexcept;

 private:
  struct Step {
    std::size_t offset;   ///< from here on,
    std::uint32_t value;  ///< until the next step, pages have this value
  };
  [[nodiscard]] std::size_t step_of(std::size_t offset) const;

  std::size_t size_;
  std::vector<Step> steps_;  ///< sorted by offset; the first is at 0; neighbours have different values
};

}  // namespace bobbin::memory
