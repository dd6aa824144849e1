#include "memory/page_runs.hpp"

#include <algorithm>

namespace bobbin::memory {

std::size_t PageRuns::step_of(std::size_t offset) const {
  const auto after = std::ranges::upper_bound(steps_, offset, {}, &Step::offset);
  return static_cast<std::size_t>(after - steps_.begin()) - 1;
}

PageRun PageRuns::at(std::size_t offset) const {
  const std::size_t i = step_of(offset);
  return {steps_[i].offset, i + 1 < steps_.size() ? steps_[i + 1].offset : size_, steps_[i].value};
}

std::vector<PageRun> PageRuns::within(std::size_t start, std::size_t end) const {
  std::vector<PageRun> runs;
  while (start < end) {
    PageRun run = at(start);
    run.start = start;
    run.end = std::min(run.end, end);
    start = run.end;
    runs.push_back(run);
  }
  return runs;
}

bool PageRuns::any(std::size_t start, std::size_t end, std::uint32_t value) const {
  for (std::size_t i = step_of(start); i < steps_.size() && steps_[i].offset < end; ++i) {
    if (steps_[i].value == value) return true;
  }
  return false;
}

bool PageRuns::all(std::size_t start, std::size_t end, std::uint32_t value) const {
  const PageRun run = at(start);
  return run.value == value && run.end >= end;
}

void PageRuns::set(std::size_t start, std::size_t end, std::uint32_t value) noexcept {
  // What stands after the range goes on with the value it has; the steps inside the range go.
  const bool has_rest = end < size_;
  const std::uint32_t rest = has_rest ? at(end).value : 0;
  const auto first = std::ranges::lower_bound(steps_, start, {}, &Step::offset);
  const auto last = std::ranges::upper_bound(steps_, end, {}, &Step::offset);
  auto place = steps_.erase(first, last);
  if (has_rest && rest != value) place = steps_.insert(place, {end, rest});
  if (place == steps_.begin() || (place - 1)->value != value) steps_.insert(place, {start, value});
}

}  // namespace bobbin::memory
